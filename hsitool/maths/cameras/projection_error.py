"""How surely a fitted camera projects: standard errors in px over the frame.

A turn of the camera is no error of its intrinsics, since the poses of what it sees absorb it: the
rotation that all seen points have in common is taken off (after mrcal's projection uncertainty).
"""

from __future__ import annotations

import numpy as np

from hsitool.maths.cameras.calibration_result import Fit
from hsitool.maths.cameras.camera import Floats, intrinsic_names, project

MOST_SEEN = 2000
"""Points that the common rotation is taken from."""


def projection_errors(fit: Fit, seen_px: Floats, steps: int = 49) -> Floats:
    """(steps, steps) px: standard error of a projected point, rows from top to bottom.

    Root of the summed variances of both coordinates, of the method (least squares or jackknife)
    whose median over the frame is larger. NaN where the lens model sees nothing.

    Args:
        fit: with its covariances.
        seen_px: (n, 2) where points of the board were seen.
        steps: nodes each way over the frame.
    """
    width, height = fit.camera.image_size
    x, y = np.meshgrid(np.linspace(0, width - 1, steps), np.linspace(0, height - 1, steps))
    rays = fit.camera.unproject(np.column_stack([x.ravel(), y.ravel()]))
    known = np.isfinite(rays).all(axis=1)
    columns, turns = _derivatives(fit, rays[known])
    columns -= turns @ _common_turn(fit, seen_px)
    free = [name for name in fit.names if name in intrinsic_names(fit.camera.model)]
    places = np.ix_(*[[fit.names.index(name) for name in free]] * 2)
    variances = [
        np.einsum("nip,pq,niq->n", columns, covariance[places], columns)
        for covariance in (fit.covariance, fit.covariance_jackknife)
        if np.isfinite(covariance).all()
    ]
    found = np.full(steps * steps, np.nan)
    found[known] = np.sqrt(max(variances, key=lambda v: float(np.median(v))))
    return found.reshape(steps, steps)


def _derivatives(fit: Fit, rays: Floats) -> tuple[Floats, Floats]:
    """(n, 2, q) px per unit of each free intrinsic, (n, 2, 3) px per radian of a turn."""
    camera = fit.camera
    _, by_lens, by_ray = project(camera.model, camera.intrinsics, rays)
    lens = intrinsic_names(camera.model)
    free = [lens.index(name) for name in fit.names if name in lens]
    return by_lens[:, :, free], np.cross(rays[:, None], by_ray)


def _common_turn(fit: Fit, seen_px: Floats) -> Floats:
    """(3, q) turn that comes nearest to what each intrinsic does to the seen points."""
    some = seen_px[:: max(1, len(seen_px) // MOST_SEEN)]
    rays = fit.camera.unproject(some)
    columns, turns = _derivatives(fit, rays[np.isfinite(rays).all(axis=1)])
    flat = columns.reshape(-1, columns.shape[2])
    found = np.linalg.lstsq(turns.reshape(-1, 3), flat, rcond=None)[0]
    return np.asarray(found, np.float64)
