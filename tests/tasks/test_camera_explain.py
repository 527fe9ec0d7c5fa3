"""What a calibration on disk says of fx and fy, against closed forms and published numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import camera_samples as samples
import cv2
import numpy as np
import pytest
from command import done, run

from hsitool.camera import CameraInfo
from hsitool.maths.cameras.focal_ratio import focal_ratio
from hsitool.storage.cameras import format_for, read_camera, write_cameras
from hsitool.tasks.camera_explain import explain, explanation_headline, explanation_rows

ZHANG = "832.207,0,304.068,0,832.243,206.372,0,0,1"
ZHANG_LENS = "-0.22853,0.19101,0,0"
ZHANG_STD = "1.404,1.383,0.711,0.654"


def explained(*arguments: object) -> Any:
    return done("camera", "explain", *arguments, "--json").json()


def test_zhangs_standard_errors_leave_a_wide_range() -> None:
    """OpenCV's fit of Zhang's data: the true standard error, by its covariance, is 0.99e-4."""
    found = explained("--K", ZHANG, "--dist", ZHANG_LENS, "--std", ZHANG_STD)["difference"]
    low, high = found["se_range"]
    assert low == pytest.approx(0.25e-4, abs=0.005e-4)
    assert high == pytest.approx(33.5e-4, abs=0.05e-4)
    assert low < 0.99e-4 < high
    assert found["delta"] == pytest.approx(-0.43e-4, abs=0.005e-4)
    assert (found["se"], found["z"], found["interval"]) == (None, None, None)
    assert found["z_range"] == pytest.approx([0.43e-4 / high, 0.43e-4 / low], rel=0.01)


def test_standard_errors_never_give_a_p_value() -> None:
    text = done("camera", "explain", "--K", ZHANG, "--std", ZHANG_STD).out
    assert "0.253e-4 to 33.5e-4" in text
    assert "typical correlation 0.98 (assumed, not measured here)" in text
    assert "standard errors alone cannot tell whether by chance" in text
    assert "p " not in text.replace("mp ", "").split() and "p-value" not in text


def test_typical_error_is_that_of_its_correlation() -> None:
    info = CameraInfo("pinhole", 1000, 1001, 0, 0, standard_errors={"fx": 1.0, "fy": 1.2})
    a, b = 1.0 / 1000, 1.2 / 1001
    both = np.array([[a * a, 0.98 * a * b], [0.98 * a * b, b * b]])
    row = np.array([1, -1])
    assert focal_ratio(info).se_typical == pytest.approx(math.sqrt(row @ both @ row))


def test_the_covariance_gives_interval_and_z() -> None:
    """Against draws of fx and fy."""
    covariance = ((4.0, 3.9), (3.9, 4.1))
    names = ("fx", "fy")
    info = CameraInfo("pinhole", 1600, 1602, 0, 0, parameters=names, covariance=covariance)
    drawn = np.random.default_rng(1).multivariate_normal([1600, 1602], covariance, 200_000)
    spread = np.std(np.log(drawn[:, 0] / drawn[:, 1]))
    found = focal_ratio(info)
    assert found.se == pytest.approx(spread, rel=0.01)
    assert found.delta == pytest.approx(math.log(1600 / 1602))
    assert found.z == pytest.approx(found.delta / spread, rel=0.01)
    assert found.interval is not None
    assert np.mean(found.interval) == pytest.approx(found.delta)
    assert found.correlation == pytest.approx(3.9 / math.sqrt(4 * 4.1))


def test_pitches_shift_the_difference_not_its_error() -> None:
    covariance = ((4.0, 3.9), (3.9, 4.1))
    parts: dict[str, Any] = {"parameters": ("fx", "fy"), "covariance": covariance}
    square = focal_ratio(CameraInfo("pinhole", 1600, 2000, 0, 0, **parts))
    true = focal_ratio(CameraInfo("pinhole", 1600, 2000, 0, 0, **parts, pitch_mm=(0.005, 0.004)))
    assert square.delta == pytest.approx(math.log(0.8))
    assert true.delta == pytest.approx(0, abs=1e-15)
    assert square.se == true.se


def test_a_calibration_of_ours(tmp_path: Path, sample: Path) -> None:
    corners, path = sample.parent / "corners.csv", tmp_path / "camera.json"
    words = ("--board", "9x6", "--square", "25mm", "--pitch", "5.3um")
    done("calib", "--corners", corners, *words, "-o", path, "-q")
    record = json.loads(path.read_text())
    found = explained(path)
    told = record["difference"]["free"]
    assert found["difference"]["delta"] == pytest.approx(told["delta"], abs=1e-12)
    assert found["difference"]["source"] == "covariance"
    errors = told["se"], told["jackknife_se"]
    assert min(errors) * 0.999 < found["difference"]["se"] < max(errors) * 1.001
    assert found["focal_length_mm"] == pytest.approx([8.48, 8.48], rel=2e-3)
    assert found["field_of_view_deg"] == pytest.approx(record["field_of_view_deg"])
    assert found["edge_px"] == pytest.approx(640 * told["delta"])
    single = tmp_path / "single.json"
    done("calib", "--corners", corners, *words, "-o", single, "-q", "--single-f")
    assert "held together" in done("camera", "explain", single).out
    read = read_camera(single)
    assert read.standard_errors["fx"] == pytest.approx(record["focal_length"]["se_fx_px"], rel=0.3)


def test_one_f_of_metashape_is_held_together(tmp_path: Path) -> None:
    text = samples.METASHAPE_CAMERAS.replace("<b1>-5.5</b1>", "")
    text = text.replace("f cx cy b1 k1 p1", "f cx cy k2 k1 p1")
    (tmp_path / "c.xml").write_text(text)
    found = focal_ratio(read_camera(tmp_path / "c.xml", "DSC-QX100 (10.4mm)"))
    assert found.one_f
    assert found.se == pytest.approx(0, abs=1e-9)


def test_field_of_view_and_millimetres_are_opencvs() -> None:
    """calibrationMatrixValues, which knows no distortion, of a centred camera."""
    k = "900,0,639.5,0,905,511.5,0,0,1"
    found = explained("--K", k, "--size", "1280x1024", "--pitch", "5um")
    matrix = np.array([float(part) for part in k.split(",")]).reshape(3, 3)
    matrix[:2, 2] += 0.5  # its frame begins at 0, ours at -0.5
    across, down, f_mm, _, aspect = cv2.calibrationMatrixValues(matrix, (1280, 1024), 6.4, 5.12)
    view = found["field_of_view_deg"]
    assert (view["horizontal"], view["vertical"]) == pytest.approx((across, down))
    assert found["focal_length_mm"][0] == pytest.approx(f_mm)
    assert found["focal_length_mm"][1] / found["focal_length_mm"][0] == pytest.approx(aspect)


def test_distortion_at_the_corners_is_opencvs() -> None:
    found = explained("--K", ZHANG, "--dist", ZHANG_LENS, "--size", "640x480")
    matrix = np.array([float(part) for part in ZHANG.split(",")]).reshape(3, 3)
    lens = np.array([float(part) for part in ZHANG_LENS.split(",")])
    corners = np.array([[0, 0], [639, 0], [0, 479], [639, 479.0]])
    plain = cv2.undistortPoints(
        corners[:, None], matrix, lens, P=matrix, criteria=(3, 100, 1e-12)
    ).reshape(-1, 2)
    centre = matrix[:2, 2]
    moved = np.hypot(*(corners - centre).T) - np.hypot(*(plain - centre).T)
    told = list(found["distortion_at_corners_px"].values())
    np.testing.assert_allclose(told, moved, atol=1e-6)


def test_zhangs_skew_is_an_angle() -> None:
    text = done("camera", "explain", "--K", "832.5,0.204494,303.959,0,832.53,206.585,0,0,1").out
    assert "0.204494 px: the pixels' axes are 89.9859 degrees apart" in text


def test_a_fold_is_warned_of() -> None:
    found = explained("--K", "500,500,499.5,499.5", "--dist", "-0.35,0,0,0", "--size", "1000x1000")
    assert found["folds_at_px"] == pytest.approx(500 * 0.6506, rel=1e-3)
    assert found["field_of_view_deg"]["diagonal"] is None
    text = done(
        "camera",
        "explain",
        "--K",
        "500,500,499.5,499.5",
        "--dist",
        "-0.35,0,0,0",
        "--size",
        "1000x1000",
    ).out
    assert "folds the image over 325 px from the centre" in text


def test_a_bare_matrix_says_that_it_cannot_say() -> None:
    text = done(
        "camera", "explain", "--K", "1156.94,1152.139,665.95,388.785", "--size", "1280x720"
    ).out
    assert text.startswith("fx and fy differ by +0.417 % (+2.66 px at the left and right edges)")
    assert "no K alone can tell" in text
    assert "1280 x 720" in text


def test_sizes_of_pixels_in_three_ways() -> None:
    words = ("--K", "900,900,640,512", "--size", "1280x1024")
    wanted = [4.5, 4.5]
    for option in (("--pitch", "5um"), ("--m", "200"), ("--sensor", "6.4x5.12mm")):
        assert explained(*words, *option)["focal_length_mm"] == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "no camera to explain: name a file, or give --K"),
        (("--K", "1,2,3"), "--K '1,2,3' is not 4 or 9 numbers"),
        (("--K", "1,nan,3,4"), "is not 4 or 9 numbers"),
        (("--K", "0,1,3,4"), "focal lengths must be above 0 px"),
        (("--K", "1,0,0,0,1,0,5,5,1"), "the matrix is no camera matrix: it is transposed"),
        (("--K", "1,1,1,1", "--dist", "1,2"), "has 2 distortion coefficients"),
        (("--K", "1,1,1,1", "--std", "0,1"), "standard errors are above 0"),
        (("--K", "1,1,1,1", "--std", "1"), "is not 2 or 4 numbers"),
        (("--K", "1,1,1,1", "--pitch", "5um", "--m", "200"), "give one of them"),
        (("--K", "1,1,1,1", "--sensor", "5x5mm"), "--sensor needs the image's size"),
        (("a.yaml", "--K", "1,1,1,1"), "are two cameras: give one of them"),
        (("a.yaml", "--dist", "1"), "--dist, --std and --fisheye go with --K"),
    ],
)
def test_wrong_use(arguments: tuple[str, ...], said: str) -> None:
    answer = run("camera", "explain", *arguments)
    assert answer.code == 2
    assert said in answer.err
    assert answer.err.count("\n") == 1


def test_a_size_that_contradicts_the_file(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(samples.ROS)
    answer = run("camera", "explain", tmp_path / "c.yaml", "--size", "640x480")
    assert answer.code == 2
    assert "camera narrow_stereo/left is of images of 1280x1024 px" in answer.err


def test_every_format_can_be_explained(tmp_path: Path) -> None:
    info = CameraInfo("pinhole", 900, 905, 640, 512, {"k1": -0.1}, (1280, 1024))
    for name in ("c.txt", "c.cameramodel", "c.json", "c.xml", "c.yaml"):
        write_cameras(tmp_path / name, [info], format_for(tmp_path / name))
        assert explained(tmp_path / name)["edge_px"] == pytest.approx(explain(info).edge_px)


def test_absurd_errors_are_told_in_short() -> None:
    """A file may claim anything; the exponential of its interval is beyond a float64."""
    huge = ((1e300, 0.0), (0.0, 1e300))
    info = CameraInfo(
        "pinhole", 800, 801, 320, 240, parameters=("fx", "fy"), covariance=huge,
        standard_errors={"fx": 1e150, "fy": 1e150},
    )  # fmt: skip
    found = explain(info)
    assert "+inf %" in explanation_headline(found)
    assert ("fx", "800 +- 1e+150 px") in explanation_rows(found)


def test_a_covariance_of_zeros_tells_nothing() -> None:
    """As of focal lengths that were held: no interval of no width."""
    none = ((0.0, 0.0), (0.0, 0.0))
    info = CameraInfo("pinhole", 800, 801, 0, 0, parameters=("fx", "fy"), covariance=none)
    assert focal_ratio(info) == focal_ratio(CameraInfo("pinhole", 800, 801, 0, 0))
