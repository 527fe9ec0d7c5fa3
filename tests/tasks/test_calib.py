"""Calibrations from images and corner lists: published results, rendered boards, gates, words."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rendered
import views as simulated

from hsitool.errors import DataError, UsageError
from hsitool.maths.boards.board import Board
from hsitool.maths.cameras.calibration_result import Refusal
from hsitool.maths.cameras.words import with_error
from hsitool.storage.corners import CornerView, read_corners, write_corners
from hsitool.tasks import calib_words as words
from hsitool.tasks.calib import (
    CalibrationRun,
    CalibSettings,
    Gates,
    calibrate_corners,
    failed_gates,
    refuse_scanner,
)
from hsitool.tasks.calib_inputs import Corners, Source, read_source, recipe_of
from hsitool.tasks.calib_record import calibration_record
from hsitool.tasks.calib_summary import summary_rows, view_table

BOARD = Board(9, 6, 25.0)
SAMPLE = Path(__file__).resolve().parents[2] / "data" / "corners.csv"
LEFT_VIEWS = (0.192965463, 1.18204820, 0.173180386, 0.193417311, 0.159574091, 0.179683909)
LEFT_VIEWS += (0.230989486, 0.241952404, 0.296267658, 0.167184874, 0.202002615, 0.381039530)
LEFT_VIEWS += (0.174401343,)
"""RMS of each view in OpenCV's left_intrinsics.yml."""


def calibrated(source: Source, **settings: Any) -> CalibrationRun:
    return calibrate_corners(read_source(source), CalibSettings(**settings))


@pytest.fixture(scope="module")
def left(shared_data: Path) -> tuple[Path, ...]:
    return tuple(sorted((shared_data / "opencv_samples").glob("left*.jpg")))


@cache
def sample_run() -> CalibrationRun:
    """The corner list that the project ships."""
    return calibrated(Source((SAMPLE,), BOARD, 25.0), pitch_mm=(0.0053, 0.0053), board_model="full")


def test_opencv_left_set_as_published(left: tuple[Path, ...]) -> None:
    """With its settings: window 11, eps 0.1, aspect fixed to 1, all points kept, k3."""
    source = Source(left, BOARD, 25.0, recipe_of(False, 11, 0.1))
    run = calibrated(source, model="k3", trim=False)
    single = run.calibration.rigid.single
    assert single.camera.fx == single.camera.fy == pytest.approx(535.918, abs=0.01)
    assert single.camera.cx == pytest.approx(342.2831547, abs=0.05)
    assert single.camera.cy == pytest.approx(235.5708291, abs=0.05)
    assert single.rms_px == pytest.approx(0.3929, abs=0.001)
    rms = [view.single_rms_px for view in run.calibration.views]
    assert rms == pytest.approx(LEFT_VIEWS, abs=0.005)
    assert run.calibration.views[int(np.argmax(rms))].name == "left02.jpg"


def test_opencv_left_set_by_the_own_detection(left: tuple[Path, ...]) -> None:
    run = calibrated(Source(left, BOARD, 25.0), model="k3")
    camera = run.calibration.camera
    assert camera.fx == pytest.approx(533.1, abs=1)
    assert camera.fy == pytest.approx(533.1, abs=1)
    assert run.calibration.rms_px < 0.2
    assert len(run.calibration.views) == 13
    assert run.calibration.verdict.key == "equal"
    assert not run.calibration.bad


def test_zhang_as_published(shared_data: Path) -> None:
    folder = shared_data / "zhang_calib"
    source = Source(
        tuple(folder / f"data{number}.txt" for number in range(1, 6)),
        points=folder / "Model.txt",
        size=(640, 480),
    )
    run = calibrated(source, model="k2", tangential=False)
    camera = run.calibration.camera
    assert camera.fx == pytest.approx(832.50, abs=0.5)
    assert camera.fy == pytest.approx(832.53, abs=0.5)
    assert camera.cx == pytest.approx(303.96, abs=0.5)
    assert camera.cy == pytest.approx(206.59, abs=0.5)
    assert camera.distortion == pytest.approx((-0.2286, 0.1904, 0, 0), abs=0.002)
    assert run.calibration.verdict.key == "equal"
    assert run.length_unit == "units"


def test_udacity_is_not_separable(shared_data: Path) -> None:
    source = Source((shared_data / "udacity_camera_cal",), Board(9, 6), resize_ok=True)
    told: list[str] = []
    corners = read_source(source, tell=told.append)
    shown = [line for line in told if "not found" not in line]
    assert len(shown) >= 17
    assert all(line.endswith(": found") or "shows the board" in line for line in shown)
    assert {r.name for r in corners.refused} >= {f"calibration{n}.jpg" for n in (1, 5, 7, 15)}
    run = calibrate_corners(corners)
    found = run.calibration
    assert found.verdict.key == "not_separable"
    assert "rotate the board" in run.calibration.verdict.sentence
    assert found.camera.fx == pytest.approx(1156.94, rel=0.004)
    assert found.camera.fy == pytest.approx(1152.14, rel=0.004)


def test_udacity_sizes_are_refused_with_the_list(shared_data: Path) -> None:
    with pytest.raises(DataError, match=r"calibration7\.jpg.*1281x721.*calibration15\.jpg"):
        read_source(Source((shared_data / "udacity_camera_cal",), Board(9, 6)))


def test_everything_after_detection_is_quick(left: tuple[Path, ...]) -> None:
    corners = read_source(Source(left, BOARD, 25.0))
    took = min(calibrate_corners(corners).seconds for _ in range(3))
    print(f"everything after detection: {took:.3f} s")
    assert took < 0.3


def test_the_sample_tells_what_it_was_made_from() -> None:
    run = sample_run()
    found, focal = run.calibration, run.calibration.focal
    assert found.verdict.key == "equal"
    assert focal.f_mm is not None and focal.se_mm is not None
    assert abs(focal.f_mm - 8.48) < 3 * focal.se_mm
    assert found.free is not None
    fit = found.free.two
    assert abs(fit.board.aspect - 1.001) < 3 * fit.standard_error("aspect")
    assert focal.implied_mx == pytest.approx(1 / 0.0053, rel=1e-3)


ONE_F = rendered.Lens().scaled(0.5)
TWO_F = rendered.Lens(fx=1600 * 1.002).scaled(0.5)
PLAIN, STRETCHED = rendered.Look(), rendered.Look(stretch=1.002)
CASES: dict[str, tuple[rendered.Lens, rendered.Look, str, set[str]]] = {
    "one focal length": (ONE_F, PLAIN, "any", {"equal"}),
    "one focal length, board turned in half": (ONE_F, PLAIN, "half", {"equal"}),
    "fx / fy = 1.002": (TWO_F, PLAIN, "any", {"different"}),
    "fx / fy = 1.002, board turned in half": (TWO_F, PLAIN, "half", {"different"}),
    "stretched board, turned in half": (ONE_F, STRETCHED, "half", {"equal"}),
    # Perspective alone tells a little of the aspect: with good corners it can be enough.
    "stretched board, never turned": (ONE_F, STRETCHED, "none", {"not_separable", "equal"}),
}
"""Camera, print, rolls, and the verdicts that are right."""


def judged(case: str, seed: int, folder: Path, count: int = 20) -> str:
    """The verdict on rendered images, from files."""
    lens, look, roll, _ = CASES[case]
    rng = np.random.default_rng(seed)
    for number, shown in enumerate(rendered.views(BOARD, lens, look, count, rng, roll=roll)):
        cv2.imwrite(str(folder / f"{number:02}.png"), shown.image)
    run = calibrated(Source((folder,), BOARD, 25.0))
    assert len(run.calibration.views) >= count - 2
    return run.calibration.verdict.key


@pytest.mark.parametrize("case", CASES)
def test_rendered_boards_get_the_right_verdict(case: str, tmp_path: Path) -> None:
    assert judged(case, 1, tmp_path, 14) in CASES[case][3]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_19_of_20_verdicts_are_right(case: str, tmp_path: Path) -> None:
    given = []
    for seed in range(100, 120):
        (folder := tmp_path / str(seed)).mkdir()
        given.append(judged(case, seed, folder))
    print(case, given)
    assert sum(key in CASES[case][3] for key in given) >= 19


def scene_corners(**changed: Any) -> Corners:
    """Simulated corners."""
    scene = simulated.Scene(**changed)
    seen = simulated.simulate(scene, 5)
    listed = [
        CornerView(view.name, scene.size, np.arange(len(view.image_px)), view.image_px)
        for view in seen
    ]
    return Corners(tuple(listed), scene.size, Board(*scene.counts, scene.square_mm), "mm")


def test_gates() -> None:
    run = calibrate_corners(scene_corners(noise_px=0.1, roll="half"))
    assert run.calibration.verdict.key == "equal"
    assert failed_gates(run, Gates(None, None)) == failed_gates(run, Gates(0.2, "equal")) == []
    assert failed_gates(run, Gates(1.0, "detectable")) == []
    (said,) = failed_gates(run, Gates(0.1, "equal"))
    assert said.startswith("--max-rms 0.1: the RMS is 0.1")
    with pytest.raises(UsageError, match="neither equal nor detectable"):
        failed_gates(run, Gates(None, "perfect"))


def test_gates_on_views_that_tell_little() -> None:
    run = calibrate_corners(scene_corners(views=8, noise_px=0.5))
    equal, detectable = (
        failed_gates(run, Gates(None, word))[0] for word in ("equal", "detectable")
    )
    assert equal.startswith("--require equal: the verdict is 'too few views'")
    assert detectable.startswith("--require detectable: ")


def test_a_precise_small_difference_passes_the_gate() -> None:
    run = calibrate_corners(
        scene_corners(views=30, noise_px=0.05, ratio=1.0005, roll="half"), CalibSettings(tol=2e-3)
    )
    assert run.calibration.verdict.key == "different_below_tolerance"
    assert failed_gates(run, Gates(None, "equal")) == []


def test_an_edge_tolerance_is_half_the_width() -> None:
    settings = CalibSettings(tol_edge_px=0.5)
    assert settings.tolerance((1280, 1024)) == 0.5 / 640
    assert CalibSettings(tol=2e-3).tolerance((1280, 1024)) == 2e-3


def test_the_three_ways_to_name_a_pixel_agree() -> None:
    size = (1280, 1024)
    ways = (
        CalibSettings(pitch_mm=(0.005, 0.004)),
        CalibSettings(pixels_per_mm=(200.0, 250.0)),
        CalibSettings(sensor_mm=(6.4, 4.096)),
    )
    for way in ways:
        assert way.sensor(size).pitch_mm == pytest.approx((0.005, 0.004))
    with pytest.raises(UsageError, match="give one of them"):
        replace(ways[0], sensor_mm=(6.4, 4.096))


def test_unequal_pitches_are_one_focal_length() -> None:
    corners = scene_corners(ratio=1.25, noise_px=0.1, roll="half")
    run = calibrate_corners(corners, CalibSettings(pitch_mm=(0.005, 0.004)))
    focal = run.calibration.focal
    assert run.calibration.verdict.key == "equal"
    assert focal.f_mm == pytest.approx(8.0, rel=2e-3)
    assert calibrate_corners(corners).calibration.verdict.key == "different"


def test_a_line_scanner_has_no_pinhole() -> None:
    with pytest.raises(DataError, match=r"fy is a scan speed and no focal length.*instead"):
        refuse_scanner("pushbroom")
    refuse_scanner("frame")


def test_a_record_is_json_of_everything() -> None:
    record = calibration_record(sample_run())
    again = json.loads(json.dumps(record, allow_nan=False))
    assert again == record
    names = record["parameters"]["names"]
    assert names[:4] == ["fx", "fy", "cx", "cy"]
    assert names[-4:] == ["aspect", "shear", "bow_x", "bow_y"]
    assert np.shape(record["parameters"]["covariance"]) == (12, 12)
    assert record["camera_matrix"][0][0] == record["parameters"]["values"][0]
    assert record["verdict"]["key"] == "equal"
    assert record["settings"]["board"] == [9, 6]
    assert record["settings"]["recipe"] is None
    assert len(record["views"]) == 12
    assert not any("image_px" in view or "board_mm" in view for view in record["views"])


def test_a_record_of_a_single_f_has_one() -> None:
    record = calibration_record(sample_run(), single=True)
    assert record["camera_matrix"][0][0] == pytest.approx(record["camera_matrix"][1][1])
    assert record["parameters"]["names"][0] == "f"
    assert record["camera_matrix"] == record["single_f"]["camera_matrix"]


def test_the_table_says_what_was_asked_for() -> None:
    rows = dict(summary_rows(sample_run()))
    assert {"views", "RMS", "f", "fx", "fy", "cx", "cy", "distortion", "at the edge"} <= set(rows)
    assert {"mx, my", "field of view", "board", "half-split", "coverage"} <= set(rows)
    assert "mm (one focal length)" in rows["f"]
    head, *body = view_table(sample_run())
    assert len(body) == 12
    assert all(len(row) == len(head) for row in body)


def test_values_have_the_digits_of_their_errors() -> None:
    assert with_error(533.0912, 0.4149) == "533.09 +- 0.41"
    assert with_error(-0.00112, 0.00024, sign=True) == "-0.00112 +- 0.00024"
    assert with_error(1234.5, 27.4) == "1234 +- 27"
    assert with_error(2.5, float("nan")) == "2.5"


def test_lists_are_joined_and_kept(tmp_path: Path) -> None:
    corners = scene_corners(views=6)
    write_corners(tmp_path / "a.csv", corners.views[:4])
    write_corners(tmp_path / "b.json", corners.views[2:])
    found = read_source(Source((tmp_path / "a.csv", tmp_path / "b.json"), BOARD, 25.0))
    assert len(found.views) == 8
    assert len({view.name for view in found.views}) == 8
    np.testing.assert_array_equal(found.views[0].uv, corners.views[0].uv)


def test_lists_of_two_sizes_are_refused(tmp_path: Path) -> None:
    views = scene_corners(views=3).views
    write_corners(tmp_path / "a.csv", views)
    write_corners(tmp_path / "b.csv", [replace(view, size=(1281, 1024)) for view in views])
    with pytest.raises(DataError, match=r"1281x1024 px.*1280x1024 px: one camera has one size"):
        read_source(Source((tmp_path / "a.csv", tmp_path / "b.csv"), BOARD))


def test_places_in_a_list_need_no_board(tmp_path: Path) -> None:
    corners = scene_corners(views=6)
    placed = [replace(view, xyz_mm=BOARD.points_mm) for view in corners.views]
    write_corners(tmp_path / "placed.csv", placed)
    found = read_source(Source((tmp_path / "placed.csv",)))
    assert found.unit == "mm"
    one, two = calibrate_corners(found), calibrate_corners(corners)
    assert one.calibration.camera == two.calibration.camera
    assert read_corners(tmp_path / "placed.csv")[0].xyz_mm is not None


def test_numbers_in_a_list_need_a_board(tmp_path: Path) -> None:
    write_corners(tmp_path / "a.csv", scene_corners(views=6).views)
    with pytest.raises(UsageError, match="--board is needed"):
        calibrate_corners(read_source(Source((tmp_path / "a.csv",))))
    with pytest.raises(DataError, match="not on a 4x3 board"):
        calibrate_corners(read_source(Source((tmp_path / "a.csv",), Board(4, 3))))


def test_what_options_mean() -> None:
    assert words.pitch_mm("3.45\u00b5m,3.45\u03bcm") == words.pitch_mm("3.45um")
    assert words.pitch_mm("3.45um") == pytest.approx((0.00345, 0.00345))
    assert words.pitch_mm("3.45um,0.0035mm") == pytest.approx((0.00345, 0.0035))
    assert words.pixels_per_mm("200,250") == (200, 250)
    assert words.pixels_per_mm("200") == (200, 200)
    assert words.sensor_mm("6.78x5.43mm") == pytest.approx((6.78, 5.43))
    assert words.sensor_mm("0.678x0.543cm") == pytest.approx((6.78, 5.43))
    assert words.tolerance("0.1%") == (pytest.approx(1e-3), None)
    assert words.tolerance("0.002") == (0.002, None)
    assert words.tolerance("0.5px")[1] == 0.5
    assert words.image_size("640x480") == (640, 480)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (words.pitch_mm, "3.45"),
        (words.pitch_mm, "1um,2um,3um"),
        (words.pitch_mm, "-3um"),
        (words.pitch_mm, "nan um"),
        (words.pixels_per_mm, "0,3"),
        (words.pixels_per_mm, "a"),
        (words.sensor_mm, "6.78mm"),
        (words.sensor_mm, "6.78x0mm"),
        (words.tolerance, "0"),
        (words.tolerance, "100%"),
        (words.tolerance, "-1px"),
        (words.tolerance, "nan%"),
        (words.image_size, "640"),
        (words.image_size, "640x-480"),
    ],
)
def test_what_options_do_not_mean(call: Any, text: str) -> None:
    with pytest.raises(UsageError, match="--"):
        call(text)


def test_images_that_mostly_show_another_board_raise_the_question() -> None:
    views = read_source(Source((SAMPLE,), BOARD, 25.0)).views
    others = tuple(Refusal(f"{n}.png", "not found") for n in range(3))
    few = Corners(views[:2], views[0].size, BOARD, "mm", others)
    with pytest.raises(DataError, match=r"2 of 5 images show a 9x6 board.* inner corners"):
        calibrate_corners(few)
    with pytest.raises(DataError, match="2 views of the board cannot"):
        calibrate_corners(replace(few, refused=others[:2]))


def test_one_recipe_at_a_time() -> None:
    assert recipe_of(False, None, None).method == "fast"
    assert recipe_of(True, None, None).method == "accurate"
    assert recipe_of(False, 5, None).window == 5
    assert recipe_of(False, None, 0.01).method == "classic"
    with pytest.raises(UsageError, match="--accurate"):
        recipe_of(True, 5, None)
