"""Cubes without a lens's distortion, against OpenCV's projection and sums in float64."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cubes
import cv2
import numpy as np
import pytest
from command import done, run

from hsitool.camera import BandShift, CameraInfo
from hsitool.engine.plan import Budget
from hsitool.errors import DataError, HsitoolWarning, UsageError
from hsitool.maths.cameras.undistortion import Framing, in_image, undistortion
from hsitool.storage.readers import open_cube
from hsitool.storage.writers import OutputOptions
from hsitool.tasks.undistort import UndistortSettings, undistort

WIDTH, HEIGHT = 150, 110
LENS = {"k1": -0.25, "k2": 0.08, "p1": 0.002, "p2": -0.001}
PINCUSHION = {"k1": 0.2, "k2": 0.05}
CAMERA = CameraInfo("pinhole", 140.0, 140.0, 77.3, 52.1, LENS, (WIDTH, HEIGHT), name="nir")
OUTWARD = replace(CAMERA, distortion=PINCUSHION)
LAYOUTS: dict[str, dict[str, Any]] = {
    "pixel-strip": {"interleave": "pixel", "blocks": ("strip", 7)},
    "band-strip": {"interleave": "band", "blocks": ("strip", 5)},
    "pixel-tile": {"interleave": "pixel", "blocks": ("tile", 16)},
    "pixel-tile-packed": {"interleave": "pixel", "blocks": ("tile", 16), "compress": "deflate"},
    "band-tile-packed": {"interleave": "band", "blocks": ("tile", 32), "compress": "deflate"},
    "bsq": {},
    "bil": {},
    "bip": {},
}


def make(folder: Path, name: str, array: Any, **items: Any) -> Path:
    """A cube in one of `LAYOUTS`."""
    if name in cubes.ENVI_AXES:
        return cubes.write_envi(folder / name, array, interleave=name)
    return cubes.write_geotiff(folder / f"{name}.tif", array, **LAYOUTS[name], **items)


def straight(
    path: Path,
    camera: CameraInfo = CAMERA,
    budget: Budget | None = None,
    output: Path | None = None,
    **settings: Any,
) -> Any:
    """The samples of the result."""
    target = output or path.with_name("straight.tif")
    with open_cube(path) as source:
        options = OutputOptions(overwrite=True)
        wanted = UndistortSettings(**settings)
        undistort(source, target, camera, wanted, output=options, budget=budget)
    with cubes.open_quietly(target) as dataset:
        return dataset.read()


def analytic(camera: CameraInfo, made: CameraInfo | None = None) -> Any:
    """(2, rows, columns): where each pixel comes from, by OpenCV."""
    made = made or camera
    row, column = np.mgrid[0:HEIGHT, 0:WIDTH]
    x, y = (column - made.cx) / made.fx, (row - made.cy) / made.fy
    points = np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 1, 3)
    matrix = np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1.0]])
    lens = np.array([camera.coefficient(name) for name in ("k1", "k2", "p1", "p2")])
    zero = np.zeros(3)
    return (
        cv2.projectPoints(points, zero, zero, matrix, lens)[0]
        .reshape(HEIGHT, WIDTH, 2)
        .T.swapaxes(1, 2)
    )


def coordinates() -> Any:
    """(2, rows, columns) float32: each pixel's column and row."""
    return np.mgrid[0:HEIGHT, 0:WIDTH][::-1].astype(np.float32)


def summed(cube: Any, column: Any, row: Any) -> Any:
    """Linear interpolation in float64, NaN outside."""
    i, j = np.floor(column).astype(int), np.floor(row).astype(int)
    a, b = column - i, row - j
    inside = (column >= 0) & (column <= WIDTH - 1) & (row >= 0) & (row <= HEIGHT - 1)
    wide = np.pad(cube.astype(np.float64), ((0, 0), (0, 2), (0, 2)))
    i, j = np.where(inside, i, 0), np.where(inside, j, 0)
    upper = wide[:, j, i] * (1 - a) + wide[:, j, i + 1] * a
    lower = wide[:, j + 1, i] * (1 - a) + wide[:, j + 1, i + 1] * a
    return np.where(inside, upper * (1 - b) + lower * b, np.nan)


# Truth


@pytest.mark.parametrize("bands", [1, 3, 129, 300])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_linear_equals_a_gather_in_float64(tmp_path: Path, bands: int, dtype: str) -> None:
    rng = np.random.default_rng(bands)
    cube = rng.uniform(-300, 700, (bands, HEIGHT, WIDTH)).astype(dtype)
    task = undistortion(OUTWARD, "K")
    places = in_image(task.places(np.arange(HEIGHT), np.arange(WIDTH)), OUTWARD)
    expected = summed(cube, *(place.reshape(HEIGHT, WIDTH) for place in places))
    made = straight(make(tmp_path, "bip", cube), OUTWARD)
    assert made.dtype == dtype
    assert np.array_equal(np.isnan(made), np.isnan(expected))
    limit = 1e-6 if dtype == "float32" else 1e-14
    assert np.nanmax(np.abs(made - expected)) < limit * 1000
    assert 0 < np.isnan(expected).mean() < 0.5


@pytest.mark.parametrize("interp", ["linear", "cubic"])
@pytest.mark.parametrize("camera", [CAMERA, OUTWARD], ids=["barrel", "pincushion"])
@pytest.mark.parametrize("like", ["K", "fit", "full"])
def test_an_image_of_coordinates_tells_where_it_came_from(
    tmp_path: Path, interp: Any, camera: CameraInfo, like: Any
) -> None:
    path = make(tmp_path, "bsq", coordinates())
    made = straight(path, camera, like=like, interp=interp)
    new = undistortion(camera, like, 1.0 if interp == "cubic" else 0.0).made
    expected = analytic(camera, new)
    assert np.nanmax(np.abs(made - expected)) < 1e-3
    edge = 1 if interp == "cubic" else 0
    last = np.array([WIDTH, HEIGHT])[:, None, None] - 1 - edge
    inside = (expected > edge) & (expected < last)
    assert np.isfinite(made[:, inside.all(axis=0)]).all()
    if like == "fit":
        assert np.isfinite(made).all()


@pytest.mark.parametrize("interp", ["linear", "cubic", "nearest"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_bytes_do_not_depend_on_layout_memory_and_threads(
    tmp_path: Path, layout: str, interp: Any
) -> None:
    cube = np.random.default_rng(1).random((40, HEIGHT, WIDTH)).astype(np.float32)
    cube[7, 30:40, 60:63] = np.nan
    first = straight(make(tmp_path, "bip", cube), OUTWARD, Budget(2 * 10**9, 1), interp=interp)
    path = make(tmp_path, layout, cube)
    packed = 100 * 10**6 if layout.endswith("packed") else 0
    for megabytes, workers in ((170, 1), (173, 2), (400, 3)):
        budget = Budget(megabytes * 10**6 + packed, workers)
        made = straight(path, OUTWARD, budget, interp=interp)
        assert made.tobytes() == first.tobytes()


def test_a_camera_without_distortion_changes_nothing(tmp_path: Path) -> None:
    cube = np.random.default_rng(2).random((5, HEIGHT, WIDTH)).astype(np.float32)
    path = make(tmp_path, "bil", cube)
    for interp in ("nearest", "linear", "cubic"):
        made = straight(path, replace(CAMERA, distortion={}), interp=interp)
        assert made.tobytes() == cube.tobytes()


def test_cubic_is_closer_than_linear_on_a_smooth_image(tmp_path: Path) -> None:
    def wave(at: Any) -> Any:
        return np.sin(at[0] / 3) * np.cos(at[1] / 4)

    path = make(tmp_path, "bsq", wave(coordinates())[None].astype(np.float32))
    expected = wave(analytic(CAMERA))
    apart = {k: np.abs(straight(path, interp=k)[0] - expected).max() for k in ("linear", "cubic")}
    assert apart["cubic"] < apart["linear"] / 3


def test_nearest_keeps_classes(tmp_path: Path) -> None:
    classes = np.random.default_rng(3).integers(0, 2**40, (2, HEIGHT, WIDTH))
    made = straight(make(tmp_path, "bsq", classes), interp="nearest")
    column, row = np.floor(analytic(CAMERA) + 0.5).astype(int)
    assert made.dtype == np.int64
    assert np.mean(made != classes[:, row, column]) < 1e-3  # ties


# Missing samples


@pytest.mark.parametrize(("interp", "reach"), [("linear", 1), ("cubic", 2)])
@pytest.mark.parametrize("nodata", [None, -9999.0])
def test_nodata_grows_by_the_kernel_only(
    tmp_path: Path, interp: Any, reach: int, nodata: float | None
) -> None:
    cube = np.random.default_rng(4).random((6, HEIGHT, WIDTH)).astype(np.float32)
    cube[2, 50, 70] = np.nan if nodata is None else nodata
    cube[4, 20, 20] = np.inf
    path = make(tmp_path, "pixel-strip", cube, nodata=nodata)
    made = straight(path, interp=interp)
    missing = ~np.isfinite(made) if nodata is None else made == nodata
    column, row = analytic(CAMERA)
    for band, (y, x) in {2: (50, 70), 4: (20, 20)}.items():
        near = (np.abs(column - x) < reach) & (np.abs(row - y) < reach)
        assert np.array_equal(missing[band], near)
        missing[band] = False
    assert not missing.any()
    assert nodata is None or np.isfinite(made).all()


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "uint32"])
@pytest.mark.parametrize("layout", ["band-strip", "pixel-strip", "pixel-tile-packed"])
def test_integers_are_rounded(tmp_path: Path, dtype: str, layout: str) -> None:
    top = min(np.iinfo(dtype).max, 2**31)
    cube = np.random.default_rng(5).integers(1, top, (9, HEIGHT, WIDTH)).astype(dtype)
    cube[3, 40:50, 40:50] = 0
    made = straight(make(tmp_path, layout, cube, nodata=0), OUTWARD)
    task = undistortion(OUTWARD, "K")
    places = in_image(task.places(np.arange(HEIGHT), np.arange(WIDTH)), OUTWARD)
    holed = np.where(cube == 0, np.nan, cube.astype(np.float64))
    expected = summed(holed, *(place.reshape(HEIGHT, WIDTH) for place in places))
    there = np.isfinite(expected)
    assert made.dtype == dtype
    assert np.array_equal(made != 0, there)
    tolerance = 0.5 + top * (1e-6 if top < 2**17 else 1e-15)
    assert np.abs(made[there] - expected[there]).max() <= tolerance


def test_a_rounded_sample_never_becomes_nodata(tmp_path: Path) -> None:
    cube = np.random.default_rng(6).integers(99, 102, (2, HEIGHT, WIDTH)).astype(np.uint8)
    cube[cube == 100] = 99  # 99 and 101 blend to 100
    made = straight(make(tmp_path, "pixel-strip", cube, nodata=100))
    assert 100 not in made


def test_whole_numbers_without_nodata_refuse_to_invent_pixels(tmp_path: Path) -> None:
    cube = np.full((2, HEIGHT, WIDTH), 7, np.uint16)
    path = make(tmp_path, "bsq", cube)
    for interp in ("linear", "nearest"):
        with pytest.raises(UsageError, match="no value in uint16: give one with --nodata VALUE"):
            straight(path, OUTWARD, interp=interp)
    assert not (tmp_path / "straight.tif").exists()
    assert (straight(path, OUTWARD, like="fit") == 7).all()
    assert (straight(path, CAMERA) == 7).all()
    assert 0 in straight(path, OUTWARD, nodata=0.0, interp="nearest")


def test_a_nodata_that_the_type_cannot_hold_is_none(tmp_path: Path) -> None:
    header = {"data ignore value": "-9999"}
    cube = np.full((2, HEIGHT, WIDTH), 7, np.uint16)
    path = cubes.write_envi(tmp_path / "odd", cube, items=header)
    with pytest.raises(UsageError, match="no value in uint16"):
        straight(path, OUTWARD)


# Bands that lie apart


def test_each_band_comes_back_from_where_the_table_says(tmp_path: Path) -> None:
    shifts = (
        BandShift(0, None, 0.0, 0.0, 0.0, 0.0),
        BandShift(1, None, 2e-3, 1e-3, 1.5, -0.75),
        BandShift(2, None, -2e-3, -1e-3, -1.25, 0.5, 0.01),
    )
    at = analytic(CAMERA)
    row, column = np.mgrid[0:HEIGHT, 0:WIDTH]
    x, y = (column - CAMERA.cx) / CAMERA.fx, (row - CAMERA.cy) / CAMERA.fy
    for axis in (0, 1):
        cube = np.repeat(coordinates()[axis : axis + 1], 3, axis=0)
        for name in ("bsq", "bip"):
            made = straight(make(tmp_path, name, cube), shifts=shifts)
            for band, s in enumerate(shifts):
                e, c = ((s.e_x, CAMERA.cx), (s.e_y, CAMERA.cy))[axis]
                moved = (s.dcx_px, s.dcy_px)[axis] + e * (at[axis] - c)
                moved = moved + CAMERA.fx * (x, y)[axis] * (x**2 + y**2) * s.dk1
                assert np.nanmax(np.abs(made[band] - at[axis] - moved)) < 1e-3
                assert np.isnan(made[band]).mean() < 0.05


def test_fit_is_complete_in_all_bands(tmp_path: Path) -> None:
    shifts = tuple(BandShift(b, None, 0.0, 0.0, 3.0 * b, -2.0 * b) for b in range(3))
    made = straight(make(tmp_path, "bsq", np.ones((3, HEIGHT, WIDTH), "uint8")), OUTWARD,
                    like="fit", shifts=shifts)  # fmt: skip
    assert (made == 1).all()


def test_shifts_are_scaled_with_the_frame(tmp_path: Path) -> None:
    double = replace(
        CAMERA, fx=280.0, fy=280.0, cx=155.1, cy=104.7, image_size=(2 * WIDTH, 2 * HEIGHT),
        distortion={},
    )  # fmt: skip
    shift = BandShift(0, None, 0.0, 0.0, 4.0, 0.0)
    cube = coordinates()[:1]
    made = straight(make(tmp_path, "bsq", cube), double, framing=Framing(bin=2), shifts=(shift,))
    assert np.nanmax(np.abs(made - cube - 2)) < 1e-3


def test_a_band_that_the_table_lacks_is_named(tmp_path: Path) -> None:
    path = cubes.write_geotiff(
        tmp_path / "c.tif", np.ones((2, HEIGHT, WIDTH), "float32"), wavelength_nm=[500.0, 600.0]
    )
    first = BandShift(0, 500.2, 0, 0, 0, 0)
    with pytest.raises(DataError, match=r"no row for band 2 \(600 nm\)"):
        straight(path, shifts=(first,))
    with pytest.raises(DataError, match="band 2 at 700 nm, the cube at 600 nm"):
        straight(path, shifts=(first, BandShift(1, 700.0, 0, 0, 0, 0)))


# What the file says


def test_metadata_pass_and_the_new_camera_is_told(tmp_path: Path) -> None:
    items: dict[str, Any] = {
        "wavelength_nm": [450.1234567, 550.5, 650.25],
        "fwhm_nm": [5.0, 6.0, 7.0],
        "bbl": [1, 0, 1],
        "names": ["a", "b", "c"],
        "units": ["W"] * 3,
        "nodata": -9999.0,
        "tags": {"": {"SENSOR": "made"}},
    }
    path = cubes.write_geotiff(tmp_path / "c.tif", np.ones((3, HEIGHT, WIDTH), "float32"), **items)
    out = tmp_path / "out.tif"
    straight(path, output=out, like="full")
    with open_cube(path) as before, open_cube(out) as after:
        for name in ("wavelength_nm", "fwhm_nm", "good", "names", "units", "nodata"):
            assert getattr(after.info, name) == getattr(before.info, name)
        assert after.info.tags[""]["SENSOR"] == "made"
        (step,) = after.info.provenance
    assert step["command"] == "undistort"
    assert step["settings"]["like"] == "full"
    with cubes.open_quietly(out) as dataset:
        camera = dataset.tags(ns="CAMERA")
    new = undistortion(CAMERA, "full").made
    assert [float(camera[f"{k}_PX"]) for k in ("FX", "FY", "CX", "CY")] == [
        new.fx, new.fy, new.cx, new.cy,
    ]  # fmt: skip
    assert camera["NAME"] == "nir"
    assert (camera["WIDTH_PX"], camera["HEIGHT_PX"]) == (str(WIDTH), str(HEIGHT))


def test_the_camera_survives_envi_and_moves_with_a_subset(tmp_path: Path) -> None:
    path = make(tmp_path, "bsq", np.ones((2, HEIGHT, WIDTH), "float32"))
    out, part = tmp_path / "out.img", tmp_path / "part.tif"
    straight(path, output=out)
    done("convert", out, "-o", part, "--subset", "10,20,50,60", "-q")
    with open_cube(out) as whole, open_cube(part) as cut:
        before, after = whole.info.tags["CAMERA"], cut.info.tags["CAMERA"]
    assert float(before["CX_PX"]) == CAMERA.cx
    assert float(after["CX_PX"]) == CAMERA.cx - 20
    assert float(after["CY_PX"]) == CAMERA.cy - 10
    assert (after["WIDTH_PX"], after["HEIGHT_PX"]) == ("60", "50")


def test_ground_control_points_move_with_the_image(tmp_path: Path) -> None:
    """A pixel that is bright in the image is bright where its point is afterwards."""
    cube = np.zeros((1, HEIGHT, WIDTH), np.float32)
    spots = [(12, 15), (12, 130), (95, 20), (90, 120)]
    gcps = []
    for row, column in spots:
        cube[0, row - 2 : row + 3, column - 2 : column + 3] = 1
        gcps.append((row + 0.5, column + 0.5, 10.0 + column, 50.0 - row, 0.0))
    path = cubes.write_geotiff(tmp_path / "c.tif", cube, gcps=gcps, gcps_crs="EPSG:4326")
    out = tmp_path / "out.tif"
    made = straight(path, output=out, like="full")[0]
    with cubes.open_quietly(out) as dataset:
        points, _ = dataset.gcps
    assert [(p.x, p.y) for p in points] == [(g[2], g[3]) for g in gcps]
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    for point in points:
        row, column = point.row - 0.5, point.col - 0.5
        near = (np.abs(y - row) < 6) & (np.abs(x - column) < 6) & (made > 0)
        assert np.average(y[near], weights=made[near]) == pytest.approx(row, abs=0.2)
        assert np.average(x[near], weights=made[near]) == pytest.approx(column, abs=0.2)


def test_points_that_are_seen_no_more_are_left_out_and_said(tmp_path: Path) -> None:
    gcps = [(55.0, 75.0, 1.0, 2.0, 0.0), (5000.0, 9000.0, 3.0, 4.0, 0.0)]
    cube = np.ones((1, HEIGHT, WIDTH), np.float32)
    path = cubes.write_geotiff(tmp_path / "c.tif", cube, gcps=gcps, gcps_crs="EPSG:4326")
    folding = replace(CAMERA, distortion={"k1": -0.3})  # shows nothing beyond 0.703 f
    with pytest.warns(HsitoolWarning, match="1 ground control points are seen no more"):
        straight(path, folding)


def test_map_cubes_and_results_are_refused(tmp_path: Path) -> None:
    cube = np.ones((1, HEIGHT, WIDTH), np.float32)
    on_map = {"crs": "EPSG:32633", "transform": (30.0, 0.0, 4e5, 0.0, -30.0, 5e6)}
    with pytest.raises(DataError, match="lies on a map already"):
        straight(cubes.write_geotiff(tmp_path / "m.tif", cube, **on_map))
    straight(make(tmp_path, "bsq", cube), output=tmp_path / "once.tif")
    with pytest.raises(DataError, match="no distortion any more"):
        straight(tmp_path / "once.tif")


def test_rpcs_are_left_out_and_said(tmp_path: Path) -> None:
    cube = np.ones((1, HEIGHT, WIDTH), np.float32)
    path = cubes.write_geotiff(tmp_path / "c.tif", cube, rpcs=cubes.rich_items(1).rpcs)
    with pytest.warns(HsitoolWarning, match="is of the former pixels and is left out"):
        straight(path)


def test_samples_that_cannot_be_interpolated_exactly_are_refused(tmp_path: Path) -> None:
    for dtype in ("int64", "complex64"):
        path = make(tmp_path, "bsq", np.ones((1, HEIGHT, WIDTH), dtype))
        with pytest.raises(DataError, match=f"{dtype} samples cannot be .*--interp nearest"):
            straight(path)


def test_classes_default_to_nearest(tmp_path: Path) -> None:
    cube = np.random.default_rng(8).integers(0, 2, (1, HEIGHT, WIDTH)).astype(np.uint8) * 9
    items = {"file type": "ENVI Classification", "classes": "10"}
    path = cubes.write_envi(tmp_path / "classes", cube, items=items)
    assert set(np.unique(straight(path)).tolist()) == {0, 9}


def test_images_turned_by_exif_are_pointed_out(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    _, jpeg = cv2.imencode(".jpg", np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    entry = (0x0112).to_bytes(2, "big") + (3).to_bytes(2, "big") + (1).to_bytes(4, "big")
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + entry + b"\0\x03\0\0" + bytes(4)
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    path.write_bytes(jpeg.tobytes()[:2] + segment + jpeg.tobytes()[2:])
    with pytest.warns(HsitoolWarning, match="taken as stored.*orientation 3"):
        made = straight(path)
    assert made.shape == (3, HEIGHT, WIDTH)


def test_a_camera_without_a_size_is_believed_and_said(tmp_path: Path) -> None:
    path = make(tmp_path, "bsq", coordinates())
    with pytest.warns(HsitoolWarning, match="says no image size"):
        made = straight(path, replace(CAMERA, image_size=None))
    assert np.nanmax(np.abs(made - analytic(CAMERA))) < 1e-3


# The command


def camera_file(folder: Path, camera: CameraInfo = CAMERA) -> Path:
    path = folder / "camera.json"
    lens = [camera.coefficient(name) for name in ("k1", "k2", "p1", "p2")]
    matrix = [[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]]
    record = {"model": "k2", "camera_matrix": matrix, "distortion": lens}
    path.write_text(json.dumps(record | {"image_size": camera.image_size}), encoding="utf-8")
    return path


def test_the_command_writes_the_cube_and_its_camera(tmp_path: Path) -> None:
    path = make(tmp_path, "bip", coordinates())
    out, camera = tmp_path / "out.tif", tmp_path / "new.yaml"
    said = done(
        "undistort", path, "--camera", camera_file(tmp_path), "--like", "full",
        "--camera-out", camera, "-o", out, "-q",
    )  # fmt: skip
    assert said.out.splitlines() == [str(out), str(camera)]
    file = cv2.FileStorage(str(camera), cv2.FILE_STORAGE_READ)
    matrix = file.getNode("camera_matrix").mat()
    assert matrix[0, 0] == matrix[1, 1] < CAMERA.fx
    assert not file.getNode("distortion_coefficients").mat().any()
    new = replace(CAMERA, fx=matrix[0, 0], fy=matrix[1, 1])
    with cubes.open_quietly(out) as dataset:
        assert np.nanmax(np.abs(dataset.read() - analytic(CAMERA, new))) < 1e-3


def test_a_part_of_the_frame(tmp_path: Path) -> None:
    """The crop of the whole frame's result and the result of the crop agree."""
    whole = done(
        "undistort", make(tmp_path, "bsq", coordinates()), "--camera", camera_file(tmp_path),
        "-o", tmp_path / "whole.tif",
    )  # fmt: skip
    part = cubes.write_envi(tmp_path / "part", coordinates()[:, 20:90, 30:130])
    words = ["undistort", part, "--camera", camera_file(tmp_path), "-o", tmp_path / "p.tif"]
    refused = run(*words)
    assert refused.code == 2
    assert "the cube has 100 x 70 px, but the camera was calibrated for 150 x 110" in refused.err
    done(*words, "--crop", "30,20,100,70")
    with cubes.open_quietly(whole.out.strip()) as a, cubes.open_quietly(tmp_path / "p.tif") as b:
        apart = a.read()[:, 20:90, 30:130] - b.read()
    assert np.nanmax(np.abs(apart)) < 1e-4


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--crop", "1,2,3"], 2, "--crop '1,2,3' is not COL,ROW,WIDTH,HEIGHT"),
        (["--crop=-1,0,10,10"], 2, "--crop '-1,0,10,10' is not"),
        (["--crop", "0,0,1000,1000"], 2, "leaves the calibrated frame"),
        (["--bin", "2"], 2, "gives, framed so, 75 x 55"),
        (["--bin", "0"], 2, "--bin"),
        (["--scale", "0"], 2, "--scale 0 is no factor"),
        (["--scale", "nan"], 2, "--scale nan is no factor"),
        (["--like", "all"], 2, "--like"),
        (["--interp", "lanczos"], 2, "--interp"),
        (["--nodata", "5"], 2, "the cube has the nodata -9999 already"),
        (["--camera-out", "x.tif"], 2, "the ending tells no camera format"),
        (["--band-shift", "none.csv"], 3, "none.csv: there is no such file"),
        (["--max-memory", "1MB"], 2, "give --max-memory"),
        (["--camera-name", "left"], 3, "has no camera"),
        (["-o", "x.png"], 2, ".png files are not written"),
    ],
)
def test_what_cannot_be_done_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    cube = np.ones((2, HEIGHT, WIDTH), "float32")
    path = make(tmp_path, "pixel-strip", cube, nodata=-9999.0)
    refused = run("undistort", path, "--camera", camera_file(tmp_path), *words)
    assert refused.code == code
    assert said in refused.err
    assert len(refused.err.splitlines()) == 1
    assert not list(tmp_path.glob("*undistort*"))


@pytest.mark.parametrize(
    "words",
    [
        ["-o", "cube.img"],
        ["-o", "cube.hdr"],
        ["-o", "camera.json", "--format", "gtiff"],
        ["-o", "o.tif", "--camera-out", "camera.json"],
        ["-o", "o.tif", "--band-shift", "shift.json", "--camera-out", "shift.json"],
    ],
    ids=" ".join,
)
def test_inputs_are_never_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    camera_file(tmp_path)
    (tmp_path / "shift.json").write_text("band,e_x,e_y,dcx_px,dcy_px\n1,0,0,0,0\n")
    cubes.write_envi(tmp_path / "cube", np.ones((1, HEIGHT, WIDTH), "float32"))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    refused = run("undistort", "cube.img", "--camera", "camera.json", *words, "--overwrite")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "is an input: give the output another name" in refused.err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_photograph_as_opencv_undistorts_it(shared_data: Path, tmp_path: Path) -> None:
    """OpenCV rounds places to 1/32 px, which is up to 2 of 255 levels at a sharp edge here."""
    folder = shared_data / "opencv_samples"
    words = ["--camera", folder / "left_intrinsics.yml", "-o", tmp_path / "straight.tif"]
    done("undistort", folder / "left02.jpg", *words)
    file = cv2.FileStorage(str(folder / "left_intrinsics.yml"), cv2.FILE_STORAGE_READ)
    nodes = [file.getNode(key).mat() for key in ("camera_matrix", "distortion_coefficients")]
    with cubes.open_quietly(folder / "left02.jpg") as dataset:
        expected = cv2.undistort(dataset.read(1), *nodes).astype(int)
    with cubes.open_quietly(tmp_path / "straight.tif") as dataset:
        apart = np.abs(dataset.read(1).astype(int) - expected)
    assert apart.max() <= 3
    assert apart.mean() < 0.1
