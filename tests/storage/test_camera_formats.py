"""Camera files in the form of their owners: what is read, projected, written and refused."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import camera_samples as samples
import cv2
import numpy as np
import pytest

from hsitool.camera import COEFFICIENTS, CameraInfo
from hsitool.errors import DataError, HsitoolWarning, UsageError
from hsitool.maths.cameras.lens import project
from hsitool.storage.cameras import (
    FORMATS,
    format_for,
    left_out,
    read_camera,
    read_cameras,
    write_cameras,
)

SIZE = (1280, 1024)
CORE = (900.25, 905.75, 650.5, 500.125)
LENS = (-0.2, 0.08, 5e-4, -3e-4, 0.01, 0.02, -0.03, 0.005)
FISHEYE = (0.05, -0.01, 0.003, -0.001)
FISHEYE_CORE = (600.5, 602.25, 640.25, 512.5)
BY_KEY = {known.key: known for known in FORMATS}


def given(tmp_path: Path, text: str, name: str = "camera") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def points(rng: np.random.Generator) -> np.ndarray:
    return np.column_stack([rng.uniform(-200, 200, (100, 2)), rng.uniform(350, 500, 100)])


def opencv_pixels(core: tuple, lens: tuple, seen: np.ndarray, fisheye: bool = False) -> np.ndarray:
    """Where OpenCV projects points to."""
    fx, fy, cx, cy = core
    matrix, none = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), np.zeros(3)
    if fisheye:
        found, _ = cv2.fisheye.projectPoints(seen[:, None], none, none, matrix, np.array(lens))
    else:
        found, _ = cv2.projectPoints(seen, none, none, matrix, np.array(lens))
    return found.reshape(-1, 2)


def core(info: CameraInfo) -> tuple[float, float, float, float]:
    return info.fx, info.fy, info.cx, info.cy


OWNERS = [
    ("ros", samples.ROS, None, CORE, LENS[:5]),
    ("ros", samples.ROS_MESSAGE, None, CORE, LENS),
    ("kalibr", samples.KALIBR, "cam0", CORE, LENS[:4]),
    ("kalibr", samples.KALIBR, "cam1", FISHEYE_CORE, FISHEYE),
    ("kalibr", samples.KALIBR, "cam2", CORE, ()),
    ("colmap", samples.COLMAP, "1", CORE, LENS[:4]),
    ("colmap", samples.COLMAP, "2", CORE, LENS),
    ("colmap", samples.COLMAP, "3", FISHEYE_CORE, FISHEYE),
    ("mrcal", samples.MRCAL, None, CORE, LENS),
    ("metashape", samples.METASHAPE_CAMERAS, "DSC-QX100 (10.4mm)", CORE, LENS[:4]),
    ("metashape", samples.METASHAPE_CAMERAS, "fish", FISHEYE_CORE, FISHEYE),
]


@pytest.mark.filterwarnings("ignore::hsitool.errors.HsitoolWarning")
@pytest.mark.parametrize(("key", "text", "name", "wanted", "lens"), OWNERS)
def test_the_owners_files_are_the_known_camera(
    tmp_path: Path,
    rng: np.random.Generator,
    key: str,
    text: str,
    name: str | None,
    wanted: tuple,
    lens: tuple,
) -> None:
    found = read_camera(given(tmp_path, text), name)
    np.testing.assert_allclose(core(found), wanted, rtol=0, atol=1e-9)
    fisheye = lens == FISHEYE
    assert found.lens == ("fisheye" if fisheye else "pinhole")
    assert found.image_size == SIZE
    seen = points(rng)
    error = np.abs(project(found, seen) - opencv_pixels(wanted, lens, seen, fisheye)).max()
    print(f"{error:.1e} px")
    assert error < 1e-9


def agisoft_pixels(text: str, seen: np.ndarray) -> np.ndarray:
    """The formula of Agisoft's manual on the numbers in a calibration, the image's corner 0, 0."""
    from xml.etree.ElementTree import fromstring

    v = {part.tag: float(part.text) for part in fromstring(text) if part.tag not in NO_NUMBERS}
    x, y = seen[:, 0] / seen[:, 2], seen[:, 1] / seen[:, 2]
    r = np.hypot(x, y)
    radial = 1 + v["k1"] * r**2 + v["k2"] * r**4 + v["k3"] * r**6 + v["k4"] * r**8
    bent_x = x * radial + v["p1"] * (r**2 + 2 * x**2) + 2 * v["p2"] * x * y
    bent_y = y * radial + v["p2"] * (r**2 + 2 * y**2) + 2 * v["p1"] * x * y
    u = v["width"] / 2 + v["cx"] + bent_x * v["f"] + bent_x * v["b1"] + bent_y * v["b2"]
    return np.column_stack([u, v["height"] / 2 + v["cy"] + bent_y * v["f"]])


NO_NUMBERS = ("projection", "date")


def test_metashape_with_all_its_parameters(tmp_path: Path, rng: np.random.Generator) -> None:
    seen = points(rng)
    found = read_camera(given(tmp_path, samples.METASHAPE_CALIBRATION))
    corner = agisoft_pixels(samples.METASHAPE_CALIBRATION, seen)
    error = np.abs(project(found, seen) - (corner - 0.5)).max()
    assert error < 1e-9, f"{error:.1e} px"
    assert (found.skew, found.coefficient("r8")) == (0.75, 0.004)
    assert (found.coefficient("p1"), found.coefficient("p2")) == (5e-4, -3e-4)


def test_metashape_tells_pitch_and_covariance(tmp_path: Path) -> None:
    """fx = f + b1: its variance is that of f and b1 and twice their covariance."""
    found = read_camera(given(tmp_path, samples.METASHAPE_CAMERAS), "DSC-QX100 (10.4mm)")
    assert found.pitch_mm == (0.0024, 0.0025)
    assert found.parameters == ("fy", "cx", "cy", "fx", "k1", "p2")
    assert found.covariance is not None
    assert found.covariance[3][3] == pytest.approx(0.01 + 0.003 + 2 * 0.002)
    assert found.covariance[0][3] == pytest.approx(0.01 + 0.002)
    assert found.standard_errors["p2"] == pytest.approx(1e-5)


def test_a_centred_camera_has_half_the_size_in_colmap(tmp_path: Path) -> None:
    """OpenCV's 399.5, 299.5 is the middle of 800 x 600 px."""
    path = tmp_path / "cameras.txt"
    info = CameraInfo("pinhole", 750, 750, 399.5, 299.5, {"k1": 0.1}, (800, 600))
    write_cameras(path, [info], BY_KEY["colmap"])
    name, model, *numbers = path.read_text().splitlines()[-1].split()
    assert (name, model) == ("1", "OPENCV")
    assert list(map(float, numbers)) == [800, 600, 750, 750, 400, 300, 0.1, 0, 0, 0]
    assert core(read_camera(path)) == (750, 750, 399.5, 299.5)


def test_one_f_of_colmap_is_both(tmp_path: Path) -> None:
    for name in ("4", "8", "9"):
        found = read_camera(given(tmp_path, samples.COLMAP), name)
        assert found.fx == found.fy == 2559.81
        assert (found.cx, found.cy) == (1535.5, 1151.5)


def full(names: tuple[str, ...], rng: np.random.Generator) -> dict[str, float]:
    return {name: float(value) for name, value in zip(names, rng.normal(0, 0.01, 13), strict=False)}


@pytest.mark.parametrize("known", FORMATS, ids=lambda known: known.key)
@pytest.mark.parametrize("lens", ["pinhole", "fisheye"])
def test_each_format_gives_back_what_it_holds(
    tmp_path: Path, known: Any, lens: Any, rng: np.random.Generator
) -> None:
    if lens not in known.holds:
        pytest.skip("no such lens")
    numbers = [float(value) for value in rng.uniform(500, 1000, 4)]
    distortion = full(known.holds[lens], rng)
    skew = 0.1234567890123 if known.skew else 0.0
    info = CameraInfo(lens, *numbers, distortion, SIZE, skew)
    for ending in known.endings:
        path = tmp_path / f"camera{ending}"
        write_cameras(path, [info], known)
        found = read_camera(path)
        np.testing.assert_allclose(core(found), core(info), rtol=1e-15, atol=1e-12)
        got = {key: found.coefficient(key) for key in COEFFICIENTS[lens]}
        assert got == {key: info.coefficient(key) for key in COEFFICIENTS[lens]}
        assert (found.skew, found.image_size, found.lens) == (skew, SIZE, lens)
        seen = points(rng)
        assert np.abs(project(found, seen) - project(info, seen)).max() < 1e-9


@pytest.mark.parametrize("ending", [".yaml", ".xml", ".json"])
def test_opencv_reads_what_is_written_for_it(tmp_path: Path, ending: str) -> None:
    info = CameraInfo(
        "pinhole", *CORE, dict(zip(COEFFICIENTS["pinhole"], LENS, strict=False)), SIZE
    )
    path = tmp_path / f"camera{ending}"
    write_cameras(path, [info], BY_KEY["opencv"])
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
    fx, fy, cx, cy = CORE
    matrix = storage.getNode("camera_matrix").mat()
    assert matrix.tolist() == [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]
    assert storage.getNode("distortion_coefficients").mat().ravel().tolist() == list(LENS)
    assert storage.getNode("image_width").real() == 1280


def covered() -> CameraInfo:
    return CameraInfo(
        "pinhole",
        *CORE,
        {"k1": -0.1},
        SIZE,
        name="left",
        pitch_mm=(0.005, 0.006),
        parameters=("fx", "fy"),
        covariance=((1.0, 0.9), (0.9, 2.0)),
        standard_errors={"fx": 1.0, "fy": 2.0**0.5},
    )


@pytest.mark.parametrize("name", ["c.json", "c.yaml", "c.xml"])
def test_ours_and_opencvs_keep_the_covariance(tmp_path: Path, name: str) -> None:
    form = format_for(tmp_path / name)
    write_cameras(tmp_path / name, [covered()], form)
    found = read_camera(tmp_path / name)
    assert found.covariance == covered().covariance
    assert found.parameters == ("fx", "fy")
    assert found.standard_errors == covered().standard_errors
    assert (found.pitch_mm, found.name) == (covered().pitch_mm, "left")
    assert left_out(covered(), form) == []


@pytest.mark.parametrize("name", ["c.json", "c.yaml", "c.xml"])
def test_ours_and_opencvs_keep_standard_errors_alone(tmp_path: Path, name: str) -> None:
    info = replace(covered(), parameters=(), covariance=None)
    write_cameras(tmp_path / name, [info], format_for(tmp_path / name))
    assert read_camera(tmp_path / name).standard_errors == covered().standard_errors


def test_what_is_left_out_is_told() -> None:
    assert left_out(covered(), BY_KEY["ros"]) == ["covariance", "standard errors", "pixel pitch"]
    assert left_out(covered(), BY_KEY["metashape"]) == ["covariance", "standard errors"]


@pytest.mark.parametrize(
    ("key", "changed", "said"),
    [
        ("kalibr", {"distortion": {"k3": 0.25}}, r"Kalibr's camchain has no place for k3 = 0.25"),
        ("ros", {"skew": 0.5}, r"ROS camera_info has no place for skew = 0.5 px"),
        ("opencv", {"distortion": {"r8": 0.1}}, "no place for r8 = 0.1"),
        ("colmap", {"distortion": {"s1": 0.1, "k6": 0.1}}, "no place for s1 = 0.1 of camera"),
        ("mrcal", {"lens": "fisheye", "distortion": {}}, "mrcal's cameramodel has no fisheye lens"),
        ("metashape", {"distortion": {"k6": 0.1}}, "no place for k6 = 0.1"),
        ("colmap", {"image_size": None}, "needs the image's size: give it with --size WxH"),
    ],
)
def test_a_model_that_the_target_cannot_hold_is_refused(
    tmp_path: Path, key: str, changed: dict[str, Any], said: str
) -> None:
    base: dict[str, Any] = {"lens": "pinhole", "distortion": {}, "image_size": SIZE}
    fx, fy, cx, cy = CORE
    info = CameraInfo(**{**base, "fx": fx, "fy": fy, "cx": cx, "cy": cy, **changed})
    path = tmp_path / f"out{BY_KEY[key].endings[0]}"
    with pytest.raises(DataError, match=said):
        write_cameras(path, [info], BY_KEY[key])
    assert not path.exists()


def test_a_coefficient_of_zero_is_no_obstacle(tmp_path: Path) -> None:
    info = CameraInfo("pinhole", *CORE, {"k1": 0.1, "k3": 0.0, "s4": 0.0}, SIZE)
    write_cameras(tmp_path / "c.yaml", [info], BY_KEY["kalibr"])
    assert read_camera(tmp_path / "c.yaml").coefficient("k1") == 0.1


@pytest.mark.parametrize("key", ["kalibr", "colmap", "metashape"])
def test_several_cameras_in_one_file(tmp_path: Path, key: str) -> None:
    cameras = read_cameras(given(tmp_path, samples.KALIBR))
    path = tmp_path / f"out{BY_KEY[key].endings[0]}"
    write_cameras(path, cameras, BY_KEY[key])
    found = read_cameras(path)
    assert [info.lens for info in found] == ["pinhole", "fisheye", "pinhole"]
    np.testing.assert_allclose(core(found[1]), FISHEYE_CORE, atol=1e-12)


def test_one_camera_alone_where_no_more_go(tmp_path: Path) -> None:
    cameras = read_cameras(given(tmp_path, samples.KALIBR))
    with pytest.raises(DataError, match=r"holds one camera, not 3 \(cam0, cam1, cam2\)"):
        write_cameras(tmp_path / "c.json", cameras, BY_KEY["json"])


def test_ros_tells_of_binning(tmp_path: Path) -> None:
    with pytest.warns(HsitoolWarning, match="binning and region of interest"):
        found = read_camera(given(tmp_path, samples.ROS_MESSAGE))
    assert found.fx == 900.25
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_camera(given(tmp_path, samples.ROS)).name == "narrow_stereo/left"


def test_ros_projects_by_p_as_by_k(tmp_path: Path) -> None:
    """P of a camera that is not rectified is K beside a column of 0."""
    import yaml

    info = CameraInfo("pinhole", *CORE, {}, SIZE)
    write_cameras(tmp_path / "c.yaml", [info], BY_KEY["ros"])
    data = yaml.safe_load((tmp_path / "c.yaml").read_text())
    p = np.array(data["projection_matrix"]["data"]).reshape(3, 4)
    k = np.array(data["camera_matrix"]["data"]).reshape(3, 3)
    assert (p[:, :3] == k).all() and (p[:, 3] == 0).all()
    assert data["distortion_model"] == "plumb_bob"


def test_mrcal_tells_of_extrinsics(tmp_path: Path) -> None:
    with pytest.warns(HsitoolWarning, match="extrinsics"):
        read_camera(given(tmp_path, samples.MRCAL))


def changed(text: str, *pairs: tuple[str, str]) -> str:
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


REFUSED: dict[str, tuple[str, str]] = {
    "ros uncalibrated": (
        changed(samples.ROS, ("[900.25, 0.0, 650.5, 0.0, 905.75", "[0.0, 0.0, 650.5, 0.0, 0.0")),
        "camera_matrix has fx 0: the camera is not calibrated",
    ),
    "ros model": (changed(samples.ROS, ("plumb_bob", "magic")), "distortion model magic"),
    "ros count": (changed(samples.ROS, ("cols: 5", "cols: 4")), "is 1 x 4, but has 5 numbers"),
    "kalibr omni": (
        changed(
            samples.KALIBR,
            (
                "camera_model: pinhole\n  distortion_coeffs: [0.05",
                "camera_model: omni\n  distortion_coeffs: [0.05",
            ),
        ),
        "camera cam1 has the model omni: only pinhole",
    ),
    "kalibr fov": (changed(samples.KALIBR, ("equidistant", "fov")), "cam1 has the distortion fov"),
    "kalibr without model": (
        changed(samples.KALIBR, ("  distortion_model: radtan\n", "")),
        "cam0: distortion_coeffs: it has 4, but names no distortion_model",
    ),
    "kalibr none with numbers": (
        changed(samples.KALIBR, ("coeffs: []", "coeffs: [0, 0.1]")),
        "cam2: distortion_coeffs: it has 2, but names no distortion_model",
    ),
    "kalibr count": (changed(samples.KALIBR, (", -0.0003]", "]")), "has 3 numbers, not 4"),
    "colmap fov": ("1 FOV 10 10 1 1 5 5 0.1\n", "has the model FOV"),
    "colmap twice": (
        "1 PINHOLE 10 10 1 1 5 5\n" * 2,
        "has two cameras 1: their numbers should differ",
    ),
    "colmap count": ("1 OPENCV 10 10 1 1 5 5 0.1\n", "OPENCV has 8 parameters, not 5"),
    "colmap words": ("1 PINHOLE 10 10 1 x 5 5\n", "a parameter is 'x', not a number"),
    "colmap line": (
        "1 PINHOLE 10 10 1 1 5 5\nodd line\n",
        "the line 'odd line', which is no camera",
    ),
    "mrcal splined": (
        changed(samples.MRCAL, ("OPENCV8'", "SPLINED_STEREOGRAPHIC_order=3'")),
        "lens model LENSMODEL_SPLINED_STEREOGRAPHIC",
    ),
    "mrcal count": (changed(samples.MRCAL, ("OPENCV8'", "OPENCV5'")), "has 12 numbers, not 9"),
    "mrcal size": (changed(samples.MRCAL, ("'imagersize'", "'size'")), "has no imagersize"),
    "metashape kind": (
        changed(samples.METASHAPE_CALIBRATION, (">frame<", ">spherical<")),
        "is of the type spherical",
    ),
    "metashape p3": (
        changed(samples.METASHAPE_CALIBRATION, ("<date>", "<p3>0.1</p3><date>")),
        "has p3 = 0.1, which is not supported",
    ),
    "metashape fisheye p1": (
        changed(samples.METASHAPE_CALIBRATION, (">frame<", ">fisheye<")),
        "has p1 = -0.0003",
    ),
    "metashape old": (
        changed(samples.METASHAPE_CALIBRATION, ("<f>", "<fx>"), ("</f>", "</fx>")),
        "PhotoScan before 1.2",
    ),
    "metashape no sensor": ("<document><chunk/></document>", "has no sensor with a calibration"),
    "other XML": ("<html><p>hello</p></html>", "no camera file that is known here|XML of <html>"),
    "text": ("hello", "no camera file that is known here"),
    "several": (samples.KALIBR, r"holds 3 cameras \(cam0, cam1, cam2\): name one of them"),
}


@pytest.mark.filterwarnings("ignore::hsitool.errors.HsitoolWarning")
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_by_name(tmp_path: Path, case: str) -> None:
    text, said = REFUSED[case]
    with pytest.raises(DataError, match=said) as caught:
        read_camera(given(tmp_path, text))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path))


def test_formats_by_name_and_key(tmp_path: Path) -> None:
    wanted = {"c.yml": "opencv", "c.XML": "opencv", "c.json": "json", "cameras.txt": "colmap"}
    for name, key in wanted.items():
        assert format_for(tmp_path / name).key == key
    assert format_for(tmp_path / "c.yaml", "ros").key == "ros"
    cases: list[tuple[str, str | None, str]] = [
        ("c.png", None, "the ending tells no camera format"),
        ("c.yaml", "colmap", r"COLMAP's cameras.txt is written to \.txt"),
        ("c.yaml", "magic", "no camera format 'magic'"),
    ]
    for name, wanted_key, said in cases:
        with pytest.raises(UsageError, match=said):
            format_for(tmp_path / name, wanted_key)


def test_a_file_is_not_overwritten_unasked(tmp_path: Path) -> None:
    path = given(tmp_path, "mine", "c.json")
    with pytest.raises(UsageError, match="exists: choose another name or add --overwrite"):
        write_cameras(path, [covered()], BY_KEY["json"])
    assert path.read_text() == "mine"
    write_cameras(path, [covered()], BY_KEY["json"], overwrite=True)
    assert read_camera(path).fx == 900.25
