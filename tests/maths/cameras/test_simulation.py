"""Planned shoots against independent ones: `views` draws and projects them, OpenCV fits them."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
import views
from scipy import stats

from hsitool.errors import UsageError
from hsitool.maths.cameras import simulation
from hsitool.maths.cameras.calibration import calibrate
from hsitool.maths.cameras.calibration_request import Request
from hsitool.maths.cameras.camera import BoardShape, BoardView, Camera, Sensor
from hsitool.maths.cameras.simulation import Foretold, Scene, Shoot, draw_scene, foretell
from hsitool.tasks.camera_simulate import Plan, simulate

SCENE = views.Scene()
ASKED = Request(Sensor(), "k2", True, "auto", True, 1e-3, None)
RIGID = replace(ASKED, board_model="rigid")
GEOMETRIES = {
    "usual": (SCENE, 4.65e-4),
    "ten views without roll": (replace(SCENE, views=10, noise_px=0.2, roll="none"), 3e-4),
    "14x10 corners": (replace(SCENE, counts=(14, 10), square_mm=15.0), 2.5e-4),
    "small in the frame": (replace(SCENE, share=(0.2, 0.4)), 1e-3),
}
"""What is simulated twice, and the difference of fx and fy to be noticed."""


def planned(scene: views.Scene) -> Shoot:
    """The same shoot in the words of the code under test; the camera has one focal length."""
    f = scene.focal_px
    camera = Camera("k2", f, f, *scene.centre, scene.lens, scene.size)
    printed = BoardShape(scene.aspect, scene.shear, *scene.bow_mm)
    return Shoot(
        camera,
        views.grid(scene),
        scene.views,
        scene.noise_px,
        scene.tilt_deg,
        scene.roll,  # type: ignore[arg-type]
        scene.share,
        printed=printed,
        outliers=scene.outliers,
    )


def foretold(scene: views.Scene, count: int = 60, *, free_board: bool = False) -> list[Foretold]:
    found, shoot = [], planned(scene)
    for seed in range(count):
        rng = np.random.default_rng([3, seed])
        found.append(foretell(draw_scene(shoot, rng), ASKED, rng, free_board=free_board))
    return found


def median(found: list[Foretold], name: str) -> float:
    return float(np.median([getattr(one, name) for one in found]))


def noticed(scene: views.Scene, seed: int) -> bool:
    """Whether F of two calibrations by OpenCV, with fx and fy free and equal, is beyond 95 %."""
    seen = views.simulate(scene, seed)
    board = [view.object_mm.astype(np.float32)[None] for view in seen]
    image = [view.image_px.astype(np.float32)[None] for view in seen]
    flags = cv2.CALIB_FIX_K3 | cv2.CALIB_USE_INTRINSIC_GUESS
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-12)
    costs = []
    for fixed in (0, cv2.CALIB_FIX_ASPECT_RATIO):
        begin = np.array([[1600.0, 0, 650], [0, 1600.0, 500], [0, 0, 1]])
        lens = np.array([-0.2, 0.08, 0, 0, 0])
        rms = cv2.calibrateCamera(
            board, image, scene.size, begin, lens, flags=flags | fixed, criteria=stop
        )[0]
        costs.append(rms**2 * sum(len(view.image_px) for view in seen))
    points = sum(len(view.image_px) for view in seen)
    dof = 2 * points - 8 - 6 * len(seen)
    f = (costs[1] - costs[0]) / (costs[0] / dof)
    return bool(f > stats.f.ppf(0.95, 1, dof))


@pytest.mark.slow
@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize("trials", [30, 1000])
def test_the_power_is_that_of_independent_simulations(name: str, trials: int) -> None:
    """Within 5 points of what is counted, plus what chance does in the short run (3 sd)."""
    scene, difference = GEOMETRIES[name]
    plan = Plan(planned(scene), RIGID, trials=0, differences=(difference,))
    predicted = simulate(plan, workers=2).power[0].rigid
    apart = replace(scene, ratio=1 / (1 + difference))
    counted = np.mean([noticed(apart, 50_000 + seed) for seed in range(trials)])
    chance = math.sqrt(predicted * (1 - predicted) / trials)
    print(f"{name}: predicted {predicted:.3f}, counted {counted:.3f} +- {chance:.3f}")
    assert 0.4 < predicted < 0.9
    assert abs(predicted - counted) < (0.05 if trials >= 1000 else 3 * chance)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_power_follows_from_independent_geometries(name: str) -> None:
    """OpenCV's derivatives at poses of `views`, and the normal distribution: within 5 points.

    And two standard deviations of what 40 shoots differ by.
    """
    scene, difference = GEOMETRIES[name]
    plan = Plan(planned(scene), RIGID, trials=0, differences=(difference,))
    predicted = simulate(plan, workers=2).power[0].rigid
    errors = np.array([independent_errors(scene, 900 + seed)[1] for seed in range(40)])
    away = math.log1p(difference) / errors
    each = stats.norm.sf(1.96 - away) + stats.norm.cdf(-1.96 - away)
    expected, chance = each.mean(), each.std() / math.sqrt(len(each))
    print(f"{name}: {predicted:.3f}, independently {expected:.3f} +- {chance:.3f}")
    assert abs(predicted - expected) < 0.05 + 2 * chance


def independent_errors(scene: views.Scene, seed: int) -> tuple[float, float]:
    """Standard errors of fx in px and of ln(fx / fy), without elimination of poses."""
    rng, board = np.random.default_rng(seed), views.printed(scene)
    poses = [views.pose(scene, rng, index) for index in range(scene.views)]
    return errors_of(scene, board, poses)


def errors_of(
    scene: views.Scene, board: views.Floats, poses: list[tuple[views.Floats, views.Floats]]
) -> tuple[float, float]:
    """From the whole Jacobian of all views by OpenCV."""
    matrix = np.array([[scene.focal_px, 0, scene.centre[0]],
                       [0, scene.focal_px, scene.centre[1]], [0, 0, 1]])  # fmt: skip
    rows = 2 * len(board)
    whole = np.zeros((rows * len(poses), 8 + 6 * len(poses)))
    for i, (turn, shift) in enumerate(poses):
        vector = cv2.Rodrigues(turn)[0]
        _, jacobian = cv2.projectPoints(board, vector, shift, matrix, np.array(scene.lens))
        whole[i * rows : (i + 1) * rows, :8] = jacobian[:, 6:14]
        whole[i * rows : (i + 1) * rows, 8 + 6 * i : 14 + 6 * i] = jacobian[:, :6]
    scale = np.linalg.norm(whole, axis=0)
    covariance = np.linalg.inv((whole / scale).T @ (whole / scale)) / np.outer(scale, scale)
    row = np.array([1, -1]) / scene.focal_px
    return (
        scene.noise_px * math.sqrt(covariance[0, 0]),
        scene.noise_px * math.sqrt(row @ covariance[:2, :2] @ row),
    )


def test_standard_errors_are_those_of_the_whole_jacobian() -> None:
    scene = replace(SCENE, views=6)
    drawn = draw_scene(planned(scene), np.random.default_rng(1))
    found = foretell(drawn, ASKED, np.random.default_rng(2), free_board=False)
    poses = list(zip(drawn.state.rotation, drawn.state.translation, strict=True))
    se_fx, se_delta = errors_of(scene, views.printed(scene), poses)
    assert found.se_fx_px == pytest.approx(se_fx, rel=1e-6)
    assert found.se_delta == pytest.approx(se_delta, rel=1e-6)
    assert found.dof == 2 * 6 * 54 - 8 - 36


# What was measured of such shoots before


@pytest.mark.parametrize(
    ("change", "se_fx", "se_delta"),
    [
        ({}, 1.61, 1.66e-4),
        ({"tilt_deg": (5, 8)}, 12.7, 1.07e-4),
        ({"tilt_deg": (5, 20)}, 3.7, 1.25e-4),
        ({"tilt_deg": (5, 60)}, 1.1, 2.1e-4),
        ({"share": (0.2, 0.4)}, 4.9, 4.0e-4),
        ({"counts": (14, 10), "square_mm": 15.0}, 1.05, 1.05e-4),
    ],
)
def test_errors_of_other_geometries(
    change: dict[str, object], se_fx: float, se_delta: float
) -> None:
    """Within 15 % (of f; tilts up to 8 degrees 20 %): their boards were held a little nearer."""
    found = foretold(replace(SCENE, **change))  # type: ignore[arg-type]
    print(f"fx {median(found, 'se_fx_px') / se_fx:.2f}, "
          f"ratio {median(found, 'se_delta') / se_delta:.2f}")  # fmt: skip
    assert median(found, "se_fx_px") == pytest.approx(se_fx, rel=0.2)
    assert median(found, "se_delta") == pytest.approx(se_delta, rel=0.15)


def test_the_power_that_was_counted_before() -> None:
    """300 trials each: 7, 23, 42, 73, 91 and 100 %; within 5 points and their chance (2 sd)."""
    counted = {1e-4: 0.07, 2e-4: 0.23, 3e-4: 0.42, 4.65e-4: 0.73, 6e-4: 0.91, 1e-3: 1.0}
    plan = Plan(planned(SCENE), RIGID, trials=0, differences=tuple(counted))
    for row in simulate(plan, workers=2).power:
        before = counted[row.difference]
        print(f"{row.difference}: {row.rigid:.3f}, before {before}")
        assert abs(row.rigid - before) < 0.05 + 2 * math.sqrt(before * (1 - before) / 300)


def test_a_stretched_board_moves_the_ratio_one_to_one_without_roll() -> None:
    straight = foretold(replace(SCENE, aspect=1.002, roll="none"), 20)
    assert median(straight, "bias_delta") == pytest.approx(-20.7e-4, abs=0.5e-4)
    half = foretold(replace(SCENE, aspect=1.002, roll="half"))
    assert median(half, "bias_delta") == pytest.approx(-2.8e-4, abs=1.5e-4)
    free = foretold(replace(SCENE, aspect=1.002, roll="none"), 20, free_board=True)
    assert abs(median(free, "bias_delta")) < 1e-8


# Poses


@pytest.mark.parametrize("roll", ["any", "none", "half"])
def test_poses_are_as_planned(roll: str) -> None:
    """Tilt, roll, share of the width, and all corners 8 px inside, by OpenCV's projection."""
    scene = replace(SCENE, roll=roll, views=40)
    drawn = draw_scene(planned(scene), np.random.default_rng(4))
    rotation, translation = drawn.state.rotation, drawn.state.translation
    tilt = np.degrees(np.arccos(rotation[:, 2, 2]))
    assert 5 <= tilt.min() < 12
    assert 33 < tilt.max() <= 40
    share = 1600 * 200 / translation[:, 2] / 1280
    assert ((share >= 0.35) & (share <= 0.9)).all()
    np.testing.assert_allclose(drawn.fill, share)
    matrix = np.array([[1600.0, 0, 650], [0, 1600, 500], [0, 0, 1]])
    for turn, shift, seen in zip(rotation, translation, drawn.packed.image, strict=True):
        vector = cv2.Rodrigues(turn)[0]
        uv = cv2.projectPoints(views.printed(scene), vector, shift, matrix, np.array(scene.lens))[0]
        np.testing.assert_allclose(uv.reshape(-1, 2), seen, atol=1e-9)
        assert (seen >= 8).all()
        assert (seen <= np.array([1271, 1015])).all()
    around = np.degrees(np.arctan2(rotation[:, 1, 0] - rotation[:, 0, 1],
                                   rotation[:, 0, 0] + rotation[:, 1, 1]))  # fmt: skip
    if roll == "any":
        assert np.ptp(around) > 270
    else:
        quarter = 90 * (np.arange(40) % 2) * (roll == "half")
        assert np.abs(around - quarter).max() < 5


def test_the_same_seed_gives_the_same_poses() -> None:
    first, again, other = (
        draw_scene(planned(SCENE), np.random.default_rng(seed)).packed.image for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_boards_that_cannot_be_seen_whole_are_refused() -> None:
    shoot = replace(planned(SCENE), fill=(1.5, 2.0))
    with pytest.raises(UsageError, match="none shows the whole board"):
        draw_scene(shoot, np.random.default_rng(0))


# Fits


def test_trials_are_calibrations(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same corners through `calibrate`, which starts from nothing: the same answer."""
    scene = replace(SCENE, outliers=0.02, aspect=1.002, roll="none")
    drawn = draw_scene(planned(scene), np.random.default_rng(6))
    noisy = simulation._noisy(drawn, np.random.default_rng(7))
    found = simulation.carry_out(drawn, ASKED, np.random.default_rng(7))
    seen = [BoardView(f"v{i}", uv, views.grid(scene)) for i, uv in enumerate(noisy)]
    truth = calibrate(seen, views.SIZE)
    assert truth.free is not None
    assert found.free is not None
    assert found.rigid.delta == pytest.approx(truth.rigid.ratio.delta, abs=1e-8)
    assert found.free.interval == pytest.approx(truth.free.ratio.interval, abs=1e-7)
    assert found.verdict == truth.verdict.key
    assert truth.trimmed > 10


def test_noise_and_outliers_are_as_asked() -> None:
    drawn = draw_scene(planned(replace(SCENE, views=100)), np.random.default_rng(8))
    noisy = simulation._noisy(drawn, np.random.default_rng(9)) - drawn.packed.image
    assert noisy.std() == pytest.approx(0.3, rel=0.02)
    assert stats.kstest((noisy / 0.3).ravel(), "norm").pvalue > 1e-3
    clean = Scene(replace(drawn.shoot, noise_px=1e-9, outliers=0.1), drawn.state, drawn.packed)
    off = np.linalg.norm(
        simulation._noisy(clean, np.random.default_rng(9)) - drawn.packed.image, axis=2
    )
    assert off.max() == pytest.approx(3, abs=1e-6)
    assert (off > 1).mean() == pytest.approx(0.1, abs=0.015)


@pytest.mark.slow
@pytest.mark.parametrize("trials", [20, 400])
def test_the_power_of_calibs_interval_is_foretold(trials: int) -> None:
    """Whole calibrations of independent views: 5 points, plus chance in the short run."""
    plan = Plan(planned(SCENE), ASKED, trials=0, differences=(6e-4,))
    predicted = simulate(plan, workers=2).power[0].reported
    scene = replace(SCENE, ratio=1 / (1 + 6e-4))
    hits = 0
    for seed in range(trials):
        ratio = calibrate(views.simulate(scene, 70_000 + seed), views.SIZE).free
        assert ratio is not None
        hits += not ratio.ratio.interval[0] <= 0 <= ratio.ratio.interval[1]
    chance = math.sqrt(predicted * (1 - predicted) / trials)
    print(f"predicted {predicted:.3f}, counted {hits / trials:.3f} +- {chance:.3f}")
    assert 0.5 < predicted < 0.9
    assert abs(predicted - hits / trials) < (0.05 if trials >= 400 else 3 * chance)


def test_foretold_errors_scatter_as_their_standard_error_says() -> None:
    found = foretold(SCENE, 150)
    scaled = np.array([one.error / one.se_delta for one in found])
    assert scaled.std() == pytest.approx(1, abs=4 / math.sqrt(2 * scaled.size))
    assert abs(scaled.mean()) < 4 / math.sqrt(scaled.size)
