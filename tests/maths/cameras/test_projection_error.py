"""Projection errors over the frame, against draws of the parameters projected one by one."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from views import Scene, simulate

from hsitool.maths.cameras.calibration import calibrate
from hsitool.maths.cameras.camera import Camera, intrinsic_names
from hsitool.maths.cameras.projection_error import projection_errors

Floats = NDArray[np.float64]


@pytest.mark.parametrize("model", ["k2", "k3"])
def test_errors_are_the_spread_of_projections(model: str) -> None:
    scene = Scene(views=12, noise_px=0.2)
    found = calibrate(simulate(scene, 3), scene.size, model=model, board_model="rigid")
    fit = found.reported.two
    seen = np.concatenate([view.image_px for view in found.views])
    errors = projection_errors(fit, seen, steps=5)
    x, y = np.meshgrid(np.linspace(0, 1279, 5), np.linspace(0, 1023, 5))
    pixels = np.column_stack([x.ravel(), y.ravel()])
    spreads = []
    for covariance in (fit.covariance, fit.covariance_jackknife):
        drawn = np.random.default_rng(1).multivariate_normal(fit.values, covariance, size=500)
        moved = [_moved(fit.camera, fit.names, values, pixels, seen[::7]) for values in drawn]
        spreads.append(np.sqrt(np.sum(np.var(moved, axis=0), axis=1)).reshape(5, 5))
    widest = max(spreads, key=lambda spread: float(np.median(spread)))
    np.testing.assert_allclose(errors, widest, rtol=0.2)


def _moved(
    camera: Camera, names: tuple[str, ...], values: Floats, pixels: Floats, seen: Floats
) -> Floats:
    """Where another camera sees what this one sees at pixels, turned to agree where seen."""
    intrinsics = dict(zip(names, values, strict=True))
    other = Camera.from_intrinsics(
        camera.model,
        [intrinsics.get(name, 0.0) for name in intrinsic_names(camera.model)],
        camera.image_size,
    )
    turn, _ = Rotation.align_vectors(other.unproject(seen), camera.unproject(seen))
    return other.project(turn.apply(camera.unproject(pixels))) - pixels
