"""Cameras side by side: simulated with known intrinsics and places."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import views as simulated
from numpy.typing import NDArray

from hsitool.errors import DataError
from hsitool.maths.cameras.calibration import calibrate
from hsitool.maths.cameras.calibration_result import Calibration
from hsitool.maths.cameras.camera import BoardView
from hsitool.maths.cameras.rig import Rig, RigView, calibrate_rig

Floats = NDArray[np.float64]
FOCAL = np.array([1600.0, 1606.4, 1588.8])
PLACES = np.array([[0, 0, 0], [-30, 2, 1], [5, -28, -1.0]])
TURNS_DEG = np.array([[0, 0, 0], [0.2, -0.3, 0.1], [-0.4, 0.1, 0.5]])
SCENE = simulated.Scene(noise_px=0.2, share=(0.3, 0.6))


def exposures(count: int, rng: np.random.Generator) -> list[RigView]:
    """Views that every camera sees whole."""
    board, drawn, found = simulated.printed(SCENE), simulated.grid(SCENE), []
    while len(found) < count:
        turn, shift = simulated.pose(SCENE, rng, len(found))
        points = board @ turn.T + shift
        pixels = np.array([_seen(camera, points) for camera in range(3)])
        if (pixels > 0).all() and (pixels < np.array(SCENE.size) - 1).all():
            noisy = pixels + rng.normal(0, SCENE.noise_px, pixels.shape)
            found.append(RigView(f"view{len(found):02}", drawn, noisy))
    return found


def _seen(camera: int, points: Floats) -> Floats:
    turn, degrees = np.eye(3), TURNS_DEG[camera]
    if degrees.any():
        turn = simulated.axis_rotation(degrees, float(np.radians(np.linalg.norm(degrees))))
    own = replace(SCENE, focal_px=float(FOCAL[camera]))
    return simulated.projected(own, points @ turn.T + PLACES[camera])


def separate(views: list[RigView]) -> list[Calibration]:
    found = []
    for camera in range(3):
        own = []
        for view in views:
            seen = np.isfinite(view.image_px[camera]).all(axis=1)
            if seen.any():
                own.append(BoardView(view.name, view.image_px[camera][seen], view.board_mm[seen]))
        found.append(calibrate(own, SCENE.size, board_model="rigid"))
    return found


@cache
def rigs(trials: int) -> list[tuple[Rig, list[Calibration]]]:
    found = []
    for seed in range(trials):
        views = exposures(15, np.random.default_rng(seed))
        alone = separate(views)
        found.append((calibrate_rig(views, alone, 0), alone))
    return found


def test_focal_lengths_and_places_come_back_within_their_errors() -> None:
    trials = 25
    together, apart, held, places, turns = [], [], [], [], []
    for rig, alone in rigs(trials):
        for camera in (1, 2):
            own, true = rig.cameras[camera], FOCAL[camera] / FOCAL[0]
            together.append(own.f_ratio - true)
            apart.append(alone[camera].camera.fx / alone[0].camera.fx - true)
            held.append(own.f_interval[0] <= true <= own.f_interval[1])
            places.append((own.translation_mm - PLACES[camera]) / own.place_errors[3:])
            turns.append((own.rotation_deg - TURNS_DEG[camera]) / own.place_errors[:3])
    ratio = np.std(apart) / np.std(together)
    print(f"rig: sd {np.std(together) * 1e4:.2f}e-4, {ratio:.1f} times better than separately")
    assert ratio > 4
    assert np.mean(held) >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / (2 * trials))
    for scaled in (np.array(places), np.array(turns)):
        assert 0.6 < scaled.std() < 1.3
        assert np.abs(scaled).max() < 4.5


def test_the_reference_is_where_it_is() -> None:
    rig, alone = rigs(25)[0]
    base = rig.cameras[0]
    assert (base.f_ratio, base.f_interval) == (1.0, (1.0, 1.0))
    assert not base.translation_mm.any()
    assert np.isnan(base.place_errors).all()
    assert base.camera.fx == pytest.approx(alone[0].camera.fx, rel=3e-3)
    assert base.standard_errors[0] < alone[0].rigid.two.standard_error("fx")


def test_any_camera_can_be_the_reference() -> None:
    views = exposures(15, np.random.default_rng(0))
    other = calibrate_rig(views, separate(views), 2)
    first = rigs(25)[0][0]
    assert other.rms_px == pytest.approx(first.rms_px, rel=1e-6)
    assert other.cameras[0].f_ratio * first.cameras[2].f_ratio == pytest.approx(1, rel=1e-6)


def test_points_that_a_camera_does_not_see_and_wrong_ones_are_left_out() -> None:
    views = exposures(12, np.random.default_rng(5))
    views[0].image_px[1] = np.nan
    views[3].image_px[2, 10:20] = np.nan
    views[5].image_px[1, 7] += 8
    rig = calibrate_rig(views, separate(views), 0)
    assert [camera.views for camera in rig.cameras] == [12, 11, 12]
    assert rig.trimmed >= 1
    assert abs(rig.cameras[1].f_ratio - FOCAL[1] / FOCAL[0]) < 2e-3


def test_cameras_that_never_see_the_board_together_are_refused() -> None:
    views = exposures(12, np.random.default_rng(5))
    alone = separate(views)
    others = tuple(replace(view, name=f"other {view.name}") for view in alone[1].views)
    with pytest.raises(DataError, match="in 0 views, fewer than 3"):
        calibrate_rig(views, [alone[0], replace(alone[1], views=others), alone[2]], 0)
