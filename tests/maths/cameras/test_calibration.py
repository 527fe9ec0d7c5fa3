"""Whole calibrations: published results, simulated truth, coverage of intervals, bad data.

Acceptance bounds of trials are three standard deviations of the binomial around the nominal
value; the default run has fewer trials than the slow one, and wider bounds for it.
"""

from __future__ import annotations

import json
import math
import re
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import views

from hsitool.errors import DataError, UsageError
from hsitool.maths.cameras.bundle import reduce_views, solve
from hsitool.maths.cameras.bundle_layout import Layout, PackedViews, State
from hsitool.maths.cameras.bundle_start import start
from hsitool.maths.cameras.calibration import calibrate
from hsitool.maths.cameras.calibration_result import Calibration, Interval
from hsitool.maths.cameras.camera import BoardView, Sensor
from hsitool.maths.cameras.influence import sureness

SCENE = views.Scene()
LEFT_PER_VIEW = [
    0.192965463, 1.18204820, 0.173180386, 0.193417311, 0.159574091, 0.179683909, 0.230989486,
    0.241952404, 0.296267658, 0.167184874, 0.202002615, 0.381039530, 0.174401343,
]  # fmt: skip


def fitted(scene: views.Scene, seed: int, **options: object) -> Calibration:
    seen = views.simulate(scene, seed)
    return calibrate(seen, scene.size, **options)  # type: ignore[arg-type]


def within(share: float, nominal: float, trials: int) -> bool:
    """Three standard deviations of the binomial."""
    return abs(share - nominal) <= 3 * math.sqrt(nominal * (1 - nominal) / trials) + 1e-9


def holds(interval: Interval, value: float) -> bool:
    return interval[0] <= value <= interval[1]


# Published results


@pytest.fixture(scope="module")
def left_old(request: pytest.FixtureRequest) -> list[BoardView]:
    folder: Path = request.getfixturevalue("shared_data")
    paths = sorted(folder.glob("opencv_samples/left*.jpg"))
    return [view for view, _ in views.photographed(paths, 11, 0.1).values()]


def test_opencvs_left_camera_by_the_old_recipe(left_old: list[BoardView]) -> None:
    """Window 11, eps 0.1, nothing trimmed, the aspect fixed: the published numbers."""
    found = calibrate(left_old, (640, 480), model="k3", trim=False)
    camera, rms = found.single_camera, found.reported.single.rms_px
    print(f"f {camera.fx:.4f}, c {camera.cx:.4f} {camera.cy:.4f}, RMS {rms:.5f}")
    assert camera.fx == camera.fy == pytest.approx(535.918, abs=0.01)
    assert (camera.cx, camera.cy) == pytest.approx((342.28315, 235.57083), abs=0.05)
    assert rms == pytest.approx(0.3929, abs=0.001)
    per_view = [view.single_rms_px for view in found.views]
    assert per_view == pytest.approx(LEFT_PER_VIEW, abs=0.005)
    assert found.views[int(np.argmax(per_view))].name == "left02"


@pytest.mark.parametrize("model", ["k2", "k3"])
def test_opencvs_left_camera(model: str, shared_data: Path) -> None:
    paths = sorted(shared_data.glob("opencv_samples/left*.jpg"))
    seen = [view for view, _ in views.photographed(paths).values()]
    found = calibrate(seen, (640, 480), model=model)  # type: ignore[arg-type]
    camera, ratio = found.camera, found.rigid.ratio
    print(f"{camera.fx:.3f} {camera.fy:.3f} RMS {found.rms_px:.5f} {found.verdict.sentence}")
    assert found.free is not None
    print(f"delta {ratio.delta:.2e} +- {ratio.se:.1e}, free board {found.free.ratio.delta:.2e}")
    assert len(found.views) == 13
    assert found.rms_px < 0.2
    assert (camera.fx, camera.fy) == pytest.approx((533.1, 533.1), abs=0.5)
    assert ratio.delta == pytest.approx(-1.4e-4, abs=0.3e-4)
    assert ratio.se == pytest.approx(1.6e-4, abs=0.1e-4)
    assert found.free.ratio.delta == pytest.approx(-2.3e-4, abs=0.3e-4)
    assert found.free.two.board.bow_y_mm == pytest.approx(-0.17, abs=0.02)
    assert found.verdict.key == "equal"
    assert not found.bad


def test_zhangs_camera(shared_data: Path) -> None:
    """Published in 1998: 832.50, 832.53, 303.959, 206.585, -0.2286, 0.1904."""
    seen = views.zhang(shared_data / "zhang_calib")
    found = calibrate(seen, (640, 480), tangential=False)
    camera, ratio = found.camera, found.rigid.ratio
    print(camera, found.verdict.sentence)
    assert (camera.fx, camera.fy) == pytest.approx((832.50, 832.53), abs=0.5)
    assert (camera.cx, camera.cy) == pytest.approx((303.96, 206.59), abs=0.3)
    assert camera.distortion == pytest.approx((-0.228601, 0.190353, 0, 0), abs=0.002)
    assert found.single_camera.fx == pytest.approx(832.376, abs=0.001)
    assert found.rms_px == pytest.approx(0.33689, abs=1e-5)
    deviations = [found.rigid.two.covariance[i, i] ** 0.5 for i in range(4)]
    assert deviations == pytest.approx([1.404, 1.383, 0.711, 0.654], abs=0.001)
    assert ratio.delta == pytest.approx(-0.43e-4, abs=0.01e-4)
    assert ratio.se == pytest.approx(0.99e-4, abs=0.01e-4)
    assert ratio.jackknife_se == pytest.approx(2.29e-4, abs=0.01e-4)
    assert ratio.jackknife_t == pytest.approx(-0.19, abs=0.01)
    assert ratio.jackknife_critical == pytest.approx(2.78, abs=0.01)
    assert ratio.z**2 == pytest.approx(0.1855, abs=1e-4)
    assert ratio.f_statistic == pytest.approx(0.1854, abs=1e-4)
    assert ratio.correlation == pytest.approx(0.998, abs=1e-3)
    assert found.rigid.two.dof == 2524
    assert found.verdict.key == "equal"


def test_udacitys_camera_cannot_be_told_from_its_board(shared_data: Path) -> None:
    """Hardly rolled views of a board that is not flat: never "fx differs from fy"."""
    paths = sorted(shared_data.glob("udacity_camera_cal/*.jpg"))
    detected = views.photographed(paths)
    assert len(detected) >= 17
    sizes = {name: size for name, (_, size) in detected.items() if size != (1280, 720)}
    assert set(sizes) == {"calibration7", "calibration15"}
    seen = [view for view, size in detected.values() if size == (1280, 720)]
    found = calibrate(seen, (1280, 720), model="k3")
    ratio = found.rigid.ratio
    print(found.verdict.sentence, *found.findings, sep="\n")
    print(f"z {ratio.z:.2f}, F {ratio.f_statistic:.1f}, t {ratio.jackknife_t:.2f}")
    assert (found.camera.fx, found.camera.fy) == pytest.approx((1156.94, 1152.14), rel=0.004)
    assert ratio.z > 6
    assert ratio.inflation > 2
    assert abs(ratio.z**2 / ratio.f_statistic - 1) < 0.03
    assert found.verdict.key == "not_separable"
    assert found.bad


def test_udacitys_camera_by_the_old_recipe(shared_data: Path) -> None:
    """Window 11, the two images of another size among them, as published: 0.15 %."""
    names = [f"calibration{i}.jpg" for i in range(1, 21) if i not in (1, 4, 5)]
    paths = [shared_data / "udacity_camera_cal" / name for name in names]
    seen = [view for view, _ in views.photographed(paths, 11, 0.001).values()]
    found = calibrate(seen, (1281, 721), model="k3", trim=False, board_model="rigid")
    print(found.camera, found.rms_px, found.rigid.ratio.z, found.rigid.ratio.f_statistic)
    assert len(seen) == 17
    assert (found.camera.fx, found.camera.fy) == pytest.approx((1156.94, 1152.14), rel=0.0015)


# Simulated truth


@pytest.mark.parametrize("ratio", [1.0, 1.25])
def test_pitches_make_one_focal_length_of_two(ratio: float) -> None:
    """Pixels of 5 um by 5 um / ratio on a lens of 8 mm: f in mm, and the pixels per mm."""
    scene = replace(SCENE, noise_px=0.1, ratio=ratio, focal_px=1600 / ratio)
    pitch = (0.005 * ratio, 0.005)
    found = fitted(scene, 5, sensor=Sensor(pitch), board_model="rigid")
    focal = found.focal
    assert focal.f_mm is not None
    assert focal.se_mm is not None
    print(f"{focal.f_mm:.4f} +- {focal.se_mm:.4f} mm, {focal.implied_mx} {focal.sheet_mx}")
    assert abs(focal.f_mm - 8) < 4 * focal.se_mm
    assert focal.se_mm < 0.01
    assert focal.implied_mx == pytest.approx(200 / ratio, rel=1e-3)
    assert (focal.sheet_mx, focal.sheet_my) == pytest.approx((200 / ratio, 200))
    camera = found.single_camera
    assert camera.fy / camera.fx == pytest.approx(ratio, rel=1e-12)
    assert f"{focal.f_mm:.5g} +- " in found.verdict.sentence
    assert found.verdict.key in ("equal", "different_below_tolerance")
    assert found.edge_px == pytest.approx(640 * found.rigid.ratio.delta)


@pytest.mark.parametrize("ratio", [1.0, 1.0003, 1.002])
@pytest.mark.parametrize("noise", [0.1, 0.5])
def test_wald_and_f_agree(ratio: float, noise: float) -> None:
    found = fitted(replace(SCENE, ratio=ratio, noise_px=noise), 7)
    assert found.free is not None
    for fit in (found.rigid, found.free):
        z2, f = fit.ratio.z**2, fit.ratio.f_statistic
        print(f"z^2 {z2:.4f}, F {f:.4f}")
        assert abs(z2 / f - 1) < 0.03 if z2 > 1 else abs(z2 - f) < 0.01


COUNTS = [pytest.param(40, id="40"), pytest.param(400, id="400", marks=pytest.mark.slow)]


@pytest.mark.parametrize("trials", COUNTS)
def test_intervals_hold_the_truth_as_often_as_they_say(trials: int) -> None:
    """20 views, 0.3 px: coverage of 95 % intervals, false alarms at 5 %."""
    found = [fitted(SCENE, 1000 + i, board_model="rigid") for i in range(trials)]
    ratios = [one.rigid.ratio for one in found]
    ols = np.mean([holds(r.interval_ols, 0) for r in ratios])
    jackknife = np.mean([holds(r.interval_jackknife, 0) for r in ratios])
    wald = np.mean([r.p_wald < 0.05 for r in ratios])
    f = np.mean([r.p_f < 0.05 for r in ratios])
    wider = np.mean([holds(r.interval, 0) for r in ratios])
    fx = [(c.camera.fx - 1600) / c.rigid.two.covariance[0, 0] ** 0.5 for c in found]
    fx_cover = np.mean(np.abs(fx) < 1.96)
    optimistic = np.mean([c.half_split is not None and c.half_split.optimistic for c in found])
    print(f"{trials} trials: coverage OLS {ols:.3f}, jackknife {jackknife:.3f}, wider {wider:.3f}")
    print(f"fx {fx_cover:.3f}; false alarms Wald {wald:.3f}, F {f:.3f}; halves {optimistic:.3f}")
    errors = [r.se for r in ratios]
    print(f"se {np.mean(errors):.2e}, sd {np.std([r.delta for r in ratios]):.2e}")
    assert within(ols, 0.95, trials)
    assert within(fx_cover, 0.95, trials)
    assert within(jackknife, 0.94, trials)
    assert within(wald, 0.05, trials)
    assert within(f, 0.05, trials)
    assert wider >= ols
    assert optimistic <= 0.01 + 3 * math.sqrt(0.01 * 0.99 / trials)
    assert np.mean([c.verdict.key.startswith("different") for c in found]) <= 0.05 + 3 * math.sqrt(
        0.05 * 0.95 / trials
    )
    assert not any(c.bad for c in found)


@pytest.mark.parametrize(
    "trials", [pytest.param(20, id="20"), pytest.param(300, id="300", marks=pytest.mark.slow)]
)
def test_differences_are_found_as_often_as_foretold(trials: int) -> None:
    """0.1 %: at least 99 % (all but one of few trials); 0.03 %: 42 % within three deviations."""
    shares = []
    for ratio in (1.001, 1.0003):
        scene = replace(SCENE, ratio=ratio)
        found = [fitted(scene, 2000 + i, board_model="rigid") for i in range(trials)]
        shares.append(np.mean([one.rigid.ratio.p_f < 0.05 for one in found]))
    print(f"{trials} trials: found {shares[0]:.3f} of 0.1 %, {shares[1]:.3f} of 0.03 %")
    assert shares[0] >= min(0.99, 1 - 1 / trials)
    assert within(shares[1], 0.42, trials)


@pytest.mark.parametrize(
    "trials", [pytest.param(20, id="20"), pytest.param(200, id="200", marks=pytest.mark.slow)]
)
def test_a_stretched_board_is_seen_through_where_views_are_turned(trials: int) -> None:
    scene = replace(SCENE, aspect=1.002, roll="half", noise_px=0.2)
    found = [fitted(scene, 3000 + i) for i in range(trials)]
    free = [one.free for one in found if one.free is not None]
    delta = np.array([fit.ratio.delta for fit in free])
    off = [abs(fit.two.board.aspect - 1.002) / fit.two.standard_error("aspect") for fit in free]
    equal = np.mean([one.verdict.key == "equal" for one in found])
    spread = delta.std(ddof=1)
    print(f"bias {delta.mean():.1e}, sd {spread:.2e}, equal {equal:.3f}")
    print(f"largest error of the aspect {max(off):.1f} se")
    assert abs(delta.mean()) < 0.3e-4 + 3 * spread / math.sqrt(trials) * (trials < 200)
    assert spread < 1.3e-4 * (1 + 3 / math.sqrt(2 * trials) * (trials < 200))
    assert np.mean(np.array(off) < 3) >= 0.98
    assert equal >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / trials)


@pytest.mark.parametrize(
    "trials", [pytest.param(20, id="20"), pytest.param(200, id="200", marks=pytest.mark.slow)]
)
def test_a_stretched_board_without_roll_is_not_separable(trials: int) -> None:
    """At least 90 %, and "different" in at most 6 %."""
    scene = replace(SCENE, aspect=1.002, roll="none", noise_px=0.2)
    keys = [fitted(scene, 4000 + i).verdict.key for i in range(trials)]
    shares = {key: keys.count(key) / trials for key in set(keys)}
    print(trials, shares)
    assert shares.get("not_separable", 0) >= 0.9
    assert shares.get("different", 0) <= 0.06


@pytest.mark.parametrize("ratio", [1.0, 1.002])
def test_right_verdicts_on_true_boards(ratio: float) -> None:
    """0.1 px, any roll: 20 of 20."""
    scene = replace(SCENE, ratio=ratio, noise_px=0.1)
    keys = [fitted(scene, 5000 + i).verdict.key for i in range(20)]
    assert keys.count("equal" if ratio == 1 else "different") >= 19, keys


def test_all_errors_of_a_board_at_once() -> None:
    scene = replace(SCENE, aspect=1.002, shear=1e-3, bow_mm=(0.5, -0.3), roll="half", noise_px=0.1)
    found = fitted(scene, 6, board_model="full")
    fit = found.reported.two
    assert found.reported is found.free
    truth = (1.002, 1e-3, 0.5, -0.3)
    for name, value in zip(("aspect", "shear", "bow_x", "bow_y"), truth, strict=True):
        print(f"{name} {fit.value(name):.5f} +- {fit.standard_error(name):.5f}")
        assert abs(fit.value(name) - value) < 3.5 * fit.standard_error(name)
    assert abs(found.camera.fx - 1600) < 3.5 * fit.standard_error("fx")
    (told,) = (line for line in found.warnings if "the board is not as drawn" in line)
    assert re.search(r"bowed by \S+ and \S+ mm; ", told)
    auto = fitted(scene, 6)
    assert auto.reported is auto.free  # since the board moves f by many of its errors
    assert not auto.bad
    assert auto.verdict.key == "equal"


def test_the_jackknife_agrees_with_a_refitted_bootstrap() -> None:
    """Within 20 % over 6 sets of 20 views, 60 resamplings each."""
    rng = np.random.default_rng(8)
    shares = []
    for seed in range(6):
        seen = views.simulate(SCENE, 7000 + seed)
        packed, layout = PackedViews.of(seen), Layout.two("k2", True)
        state, _ = solve(packed, layout, start(packed, layout, views.SIZE))
        deltas = [_resampled(packed, layout, state, rng) for _ in range(60)]
        ratio = calibrate(seen, views.SIZE, board_model="rigid", trim=False).rigid.ratio
        shares.append(ratio.jackknife_se / np.std(deltas, ddof=1))
    print(f"jackknife / bootstrap: {np.round(shares, 2)}, mean {np.mean(shares):.3f}")
    assert abs(np.mean(shares) - 1) < 0.2


def _resampled(
    packed: PackedViews, layout: Layout, state: State, rng: np.random.Generator
) -> float:
    chosen = rng.integers(0, 20, 20)
    drawn = replace(
        packed,
        board=packed.board[chosen],
        image=packed.image[chosen],
        weight=packed.weight[chosen],
    )
    begun = State(state.parameters, state.rotation[chosen], state.translation[chosen])
    found, _ = solve(drawn, layout, begun)
    return float(np.log(found.parameters[0] / found.parameters[1]))


@pytest.mark.parametrize("share", [0.02, 0.05])
@pytest.mark.parametrize(
    "trials", [pytest.param(20, id="20"), pytest.param(200, id="200", marks=pytest.mark.slow)]
)
def test_outliers_are_left_out(share: float, trials: int) -> None:
    """Points that are 3 px off at 0.2 px of noise: sd at most 1.3e-4, coverage .91 to .99."""
    scene = replace(SCENE, outliers=share, noise_px=0.2)
    found = [fitted(scene, 8000 + i, board_model="rigid") for i in range(trials)]
    delta = np.array([one.rigid.ratio.delta for one in found])
    cover = np.mean([holds(one.rigid.ratio.interval_ols, 0) for one in found])
    trimmed = np.mean([one.trimmed / one.points for one in found])
    print(f"{share}: sd {delta.std():.2e}, coverage {cover:.3f}, left out {trimmed:.4f}")
    assert delta.std() <= 1.3e-4 * (1 + 3 / math.sqrt(2 * trials) * (trials < 200))
    assert within(cover, 0.95, trials)
    assert 0.8 * share < trimmed < 1.2 * share


def test_views_that_are_off_as_a_whole_need_the_jackknife() -> None:
    """Smooth errors of each view: least squares covers too little, the jackknife does not.

    Halves of the views disagree no more than the jackknife foretells, so nothing is optimistic.
    """
    scene = replace(SCENE, common_px=0.3, noise_px=0.1)
    found = [fitted(scene, 9000 + i, board_model="rigid") for i in range(24)]
    ratios = [one.rigid.ratio for one in found]
    splits = [one.half_split for one in found if one.half_split is not None]
    optimistic = np.mean([split.optimistic for split in splits])
    print(f"halves: ratios {np.round([split.ratio for split in splits], 2)}")
    assert optimistic <= 0.01 + 3 * math.sqrt(0.01 * 0.99 / 24)
    ols = np.mean([holds(r.interval_ols, 0) for r in ratios])
    jackknife = np.mean([holds(r.interval_jackknife, 0) for r in ratios])
    used = np.mean([holds(r.interval, 0) for r in ratios])
    print(f"coverage OLS {ols:.2f}, jackknife {jackknife:.2f}, used {used:.2f}")
    assert ols < 0.7
    assert used >= 0.94 - 3 * math.sqrt(0.94 * 0.06 / 24)
    assert np.median([r.inflation for r in ratios]) > 1.5


def test_halves_that_disagree_make_the_intervals_optimistic() -> None:
    """Every second view by a lens that was focused anew: f is 1 % longer."""
    seen = views.simulate(replace(SCENE, noise_px=0.2), 10)
    other = views.simulate(replace(SCENE, noise_px=0.2, focal_px=1616), 11)
    mixed = [b if i % 2 else a for i, (a, b) in enumerate(zip(seen, other, strict=True))]
    found = calibrate(mixed, views.SIZE)
    split = found.half_split
    assert split is not None
    print(f"{split.difference_px:.2f} px where {split.predicted_px:.2f} px are foretold")
    assert split.optimistic
    assert any("the intervals are optimistic" in line for line in found.warnings)


def test_the_smallest_detectable_difference_is_always_told() -> None:
    """z(0.975) + z(0.8) = 2.8 of the wider standard errors."""
    for count in (3, 20):
        ratio = fitted(replace(SCENE, views=count), 18).rigid.ratio
        assert ratio.wider_se == max(ratio.se, ratio.jackknife_se)
        assert ratio.detectable == pytest.approx((1.95996 + 0.84162) * ratio.wider_se, rel=1e-3)


@pytest.mark.parametrize("board_model", ["rigid", "full"])
def test_poses_and_cameras_project_onto_the_corners(board_model: str) -> None:
    """By OpenCV, from the board as drawn (and bent about its centre): observed plus residual."""
    scene = replace(SCENE, aspect=1.002, bow_mm=(0.5, -0.3), noise_px=0.1)
    found = fitted(scene, 19, board_model=board_model)
    shape, camera = found.reported.two.board, found.camera
    drawn = views.grid(scene)
    x, y, z = (drawn - drawn.mean(axis=0)).T
    bent = z + shape.bow_x_mm * (1 - (x / 100) ** 2) + shape.bow_y_mm * (1 - (y / 62.5) ** 2)
    board = np.column_stack([x + shape.shear * y, shape.aspect * y, bent]) + drawn.mean(axis=0)
    for view, pose in zip(found.views, found.reported.two.poses, strict=True):
        lens = np.array(camera.distortion)
        seen, _ = cv2.projectPoints(board, pose[:3], pose[3:], camera.matrix, lens)
        np.testing.assert_allclose(seen.reshape(-1, 2), view.image_px + view.residual_px, atol=1e-6)


def test_a_misdetected_view_is_refused_and_named() -> None:
    """Its corners are shifted along the board by one column: no other view suffers."""
    seen = views.simulate(SCENE, 11)
    wrong = seen[7].image_px.reshape(6, 9, 2).copy()
    wrong[::2] = np.roll(wrong[::2], 1, axis=1)
    seen[7] = BoardView(seen[7].name, wrong.reshape(-1, 2), seen[7].object_mm)
    found = calibrate(seen, views.SIZE)
    print(found.refused, [v.trimmed for v in found.views], found.camera.fx)
    counts = {view.name: view.trimmed for view in found.views}
    gone = "view07" in {refusal.name for refusal in found.refused}
    assert gone or counts["view07"] > 20
    assert sum(count for name, count in counts.items() if name != "view07") <= 3
    clean = calibrate([v for v in seen if v.name != "view07"], views.SIZE)
    apart = abs(found.camera.fx - clean.camera.fx)
    assert apart < clean.reported.two.standard_error("fx")


# Bad fits


FISHEYE = views.Scene(
    fisheye=True, focal_px=400, lens=(0.05, -0.01, 0, 0), noise_px=0.1, tilt_deg=(5, 50)
)


def test_a_fisheye_lens_forced_into_a_pinhole_is_called_bad() -> None:
    found = fitted(FISHEYE, 1)
    print(*found.findings, sep="\n")
    assert found.bad
    assert found.findings[0].key == "model"
    right = fitted(FISHEYE, 1, model="fisheye")
    print(right.camera, right.verdict.sentence)
    assert not right.bad
    assert right.camera.fx == pytest.approx(400, abs=4 * right.rigid.two.standard_error("fx"))
    assert right.verdict.key == "equal"


def test_thumbnails_are_called_bad() -> None:
    scene = views.Scene(
        size=(96, 77), focal_px=120, centre=(48, 38), noise_px=0.2, share=(0.5, 0.75)
    )
    scene = replace(scene, size=(160, 128), focal_px=200, centre=(80, 64), share=(0.35, 0.5))
    found = fitted(scene, 1)
    print(*found.findings, found.verdict.sentence, sep="\n")
    assert found.bad
    assert "small_images" in {finding.key for finding in found.findings}


def test_blurred_views_are_called_bad() -> None:
    found = fitted(replace(SCENE, noise_px=1.5), 1)
    print(*found.findings, found.verdict.sentence, sep="\n")
    assert found.bad
    assert "noisy_corners" in {finding.key for finding in found.findings}


def test_motion_of_whole_views_is_called_doubtful() -> None:
    found = fitted(replace(SCENE, common_px=1.0, noise_px=0.1), 1)
    print(*found.findings, sep="\n")
    assert {"inflation"} <= {finding.key for finding in found.findings}


@pytest.mark.parametrize("decimals", [None, 4], ids=["exact", "rounded"])
@pytest.mark.parametrize("ratio", [1.0, 1.002])
def test_corners_without_noise_are_no_bad_fit(ratio: float, decimals: int | None) -> None:
    """Their residuals are rounding, whose pattern says nothing."""
    seen = views.simulate(replace(SCENE, noise_px=0, ratio=ratio), 4)
    if decimals is not None:
        seen = [replace(view, image_px=view.image_px.round(decimals)) for view in seen]
    found = calibrate(seen, views.SIZE)
    assert found.findings == ()
    assert found.trimmed == 0
    assert found.verdict.key == ("equal" if ratio == 1 else "different")
    assert found.camera.fx == pytest.approx(1600, abs=1e-3)


def test_a_line_scanner_raises_the_question() -> None:
    """Whether the pinhole fit fails (seed 0) or comes out as nonsense (seed 1)."""
    keys = []
    for seed in range(2):
        try:
            found = calibrate(views.line_scanned(seed), views.SIZE)
        except DataError as error:
            assert "--scanner pushbroom" in str(error)
            keys.append("refused")
        else:
            print(found.camera.fx, found.camera.fy, found.rms_px)
            assert "pushbroom" in {finding.key for finding in found.findings}
            assert found.bad
            assert "is y scan motion?" in found.verdict.sentence
            keys.append("asked")
    assert keys == ["refused", "asked"]


def test_no_frame_camera_is_taken_for_a_scanner() -> None:
    scenes = [
        SCENE,
        replace(SCENE, roll="none"),
        replace(SCENE, tilt_deg=(0, 8)),
        replace(SCENE, noise_px=1.0),
        FISHEYE,
    ]
    for i, scene in enumerate(scenes):
        found = fitted(scene, 20 + i, board_model="rigid")
        assert "pushbroom" not in {finding.key for finding in found.findings}


# What is reported


def test_the_dictionary_is_json_with_every_part() -> None:
    found = fitted(replace(SCENE, outliers=0.02), 12, sensor=Sensor((0.005, 0.005)))
    text = json.dumps(found.to_dict(), allow_nan=False)
    back = json.loads(text)
    assert back["verdict"]["key"] == "equal"
    assert back["rigid"]["two"]["names"][:4] == ["fx", "fy", "cx", "cy"]
    assert np.shape(back["rigid"]["two"]["covariance"]) == (8, 8)
    assert np.shape(back["free"]["single"]["covariance"]) == (11, 11)
    assert back["points"]["trimmed"] == sum(len(v["trimmed_points"]) for v in back["views"]) > 0
    assert back["reported"] == "rigid"
    assert back["half_split"]["ratio"] > 0


def test_gates_see_frame_tilt_and_roll() -> None:
    rolled = fitted(replace(SCENE, roll="half"), 13).coverage
    flat = fitted(replace(SCENE, roll="none"), 13).coverage
    print(rolled, flat)
    assert rolled.frame_share > 0.8
    assert rolled.roll_quadrature > 0.95
    assert rolled.roll_spread_deg > 85
    assert flat.roll_spread_deg < 15
    assert flat.roll_quadrature < 0.05
    assert 30 < rolled.tilt_max_deg < 42


def test_influence_names_the_view_that_moves_the_ratio() -> None:
    """One view stretched by 1 %: leaving it out changes delta most."""
    seen = views.simulate(SCENE, 14)
    middle = seen[3].image_px.mean(axis=0)
    stretched = middle + (seen[3].image_px - middle) * [1.01, 1]
    seen[3] = BoardView("stretched", stretched, seen[3].object_mm)
    found = calibrate(seen, views.SIZE, trim=False)
    worst = max(found.views, key=lambda view: abs(view.influence_delta))
    assert worst.name == "stretched"


def test_everything_after_detection_takes_less_than_a_third_of_a_second() -> None:
    """20 views of 54 points: 0.3 s; covariance and jackknife 5 ms. The best of five."""
    seen = views.simulate(SCENE, 15)
    took = min(_seconds(lambda: calibrate(seen, views.SIZE)) for _ in range(5))
    packed, layout = PackedViews.of(seen), Layout.two("k2", True)
    state, _ = solve(packed, layout, start(packed, layout, views.SIZE))
    sure = min(
        _seconds(lambda: sureness(reduce_views(packed, layout, state), 1080)) for _ in range(5)
    )
    print(f"everything {1e3 * took:.0f} ms, covariance and jackknife {1e3 * sure:.2f} ms")
    assert took < 0.3
    assert sure < 0.005


def _seconds(call: object) -> float:
    begun = time.perf_counter()
    call()  # type: ignore[operator]
    return time.perf_counter() - begun


# What is refused


def test_too_few_views_are_refused_with_their_reasons() -> None:
    seen = views.simulate(replace(SCENE, views=2), 1)
    with pytest.raises(DataError, match="2 views of the board cannot determine a camera"):
        calibrate(seen, views.SIZE)
    with pytest.raises(DataError, match="1 view of the board cannot"):
        calibrate(seen[:1], views.SIZE)
    with pytest.raises(DataError, match="0 views of the board cannot"):
        calibrate([], views.SIZE)
    with pytest.raises(DataError, match="view00: points outside the frame of 640x480 px"):
        calibrate(seen, (640, 480))


def test_three_or_four_views_are_too_few_for_a_verdict() -> None:
    for count in (3, 4):
        found = fitted(replace(SCENE, views=count, noise_px=0.05), 2)
        assert found.verdict.key == "too_few_views"
        assert found.half_split is None
        json.dumps(found.to_dict(), allow_nan=False)


def test_views_that_cannot_serve_are_named() -> None:
    seen = views.simulate(SCENE, 16)
    few = BoardView("few", seen[0].image_px[:5], seen[0].object_mm[:5])
    line = BoardView("line", seen[0].image_px[:9], seen[0].object_mm[:9])
    found = calibrate([*seen, few, line], views.SIZE)
    reasons = {refusal.name: refusal.reason for refusal in found.refused}
    assert reasons == {"few": "5 points, fewer than 6", "line": "all points on one line"}


def test_a_million_points_are_too_many() -> None:
    seen = views.simulate(replace(SCENE, views=1), 1)[0]
    image, board = (np.tile(a, (20_000, 1)) for a in (seen.image_px, seen.object_mm))
    many = BoardView("many", image, board)
    with pytest.raises(DataError, match="1080000 points are more than"):
        calibrate([many], views.SIZE)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tol": 0.0}, "tolerance must be between"),
        ({"board_model": "soft"}, "no board model 'soft'"),
        ({"model": "k9"}, "no lens model 'k9'"),
    ],
)
def test_settings_that_make_no_sense(options: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        fitted(SCENE, 1, **options)


def test_copies_of_a_view_count_once() -> None:
    seen = views.simulate(replace(SCENE, views=6), 17)
    copies = [BoardView(f"copy{i}", seen[0].image_px, seen[0].object_mm) for i in range(10)]
    found = calibrate([*seen, *copies], views.SIZE)
    assert {refusal.reason for refusal in found.refused} == {"the same points as view00"}
    assert len(found.views) == 6
    with pytest.raises(DataError, match=r"1 view of the board.*copy1: the same points as copy0"):
        calibrate(copies, views.SIZE)
