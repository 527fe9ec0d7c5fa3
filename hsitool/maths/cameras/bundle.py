"""Bundle adjustment of views of one board, with the poses eliminated (Schur complement).

For view i with derivatives A by the shared parameters, B by its pose and residuals r, projecting
A and r off the columns of B leaves S_i = A'A and g_i = A'r: the information and the gradient of
the shared parameters alone (Triggs et al. 2000, Bundle Adjustment: A Modern Synthesis, section 6).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from hsitool.errors import DataError
from hsitool.maths.cameras.bundle_layout import (
    Layout,
    PackedViews,
    State,
    bends,
    in_camera_axes,
    shaped_board,
)
from hsitool.maths.cameras.camera import Floats
from hsitool.maths.cameras.projection import project

CONVERGED = 1e-12
"""Stop when a full Gauss-Newton step promises less than this share of the cost."""
NEARLY_CONVERGED = 1e-6
"""The same after the last step, or where no step helps."""
NO_STEP_HELPS = 1e-9
"""Below, it is rounding that keeps the cost from falling."""
FIRST_DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-4, 1e-12, 1e12
MOST_STEPS = 200
SMALLEST_EIGENVALUE = 1e-13
"""Of S scaled to a unit diagonal; below, the views do not determine the parameters."""


@dataclass(frozen=True, eq=False)
class Reduced:
    """The system of all views at one state, the poses eliminated."""

    residual: Floats
    """(views, n, 2) projected minus observed, 0 without weight."""
    shared: Floats
    """(views, 2n, p) A"""
    pose_q: Floats
    """(views, 2n, 6) of the thin QR of B"""
    pose_r: Floats
    """(views, 6, 6)"""
    information: Floats
    """(views, p, p) S_i"""
    gradient: Floats
    """(views, p) g_i"""
    pose_gain: Floats
    """(views, 6) Q'r: 0 at the optimum."""

    @property
    def cost(self) -> float:
        """Sum of squared residuals, px^2."""
        return float(np.sum(self.residual**2))


def reduce_views(packed: PackedViews, layout: Layout, state: State) -> Reduced:
    """Linearise all views at a state and project their poses off."""
    views, n, _ = packed.image.shape
    shaped = shaped_board(packed, layout.shape(state.parameters))
    points = in_camera_axes(shaped, state)
    pixels, by_lens, by_point = project(layout.model, layout.intrinsics(state.parameters), points)
    weight = packed.weight.reshape(-1, 1, 1)
    residual = (pixels.reshape(packed.image.shape) - packed.image) * packed.weight[..., None]
    by_point = by_point * weight
    shared = (by_lens * weight) @ layout.table
    if layout.free_board:
        turned = np.einsum("vij,vnjk->vnik", state.rotation, _by_shape(packed))
        shared[..., -4:] = by_point @ turned.reshape(-1, 3, 4)
    # A turn w about the board's centre moves a point P by w x P, and a . (w x P) = w . (P x a).
    arms = points - np.repeat(state.translation, n, axis=0)
    pose = np.concatenate([np.cross(arms[:, None], by_point), by_point], axis=-1)
    return projected(residual, shared.reshape(views, 2 * n, -1), pose.reshape(views, 2 * n, 6))


def _by_shape(packed: PackedViews) -> Floats:
    """(views, n, 3, 4) derivatives of board points by aspect, shear and the two bows."""
    columns = np.zeros((*packed.board.shape, 4))
    columns[..., 1, 0] = columns[..., 0, 1] = packed.board[..., 1]
    columns[..., 2, 2], columns[..., 2, 3] = bends(packed)
    return columns


def projected(residual: Floats, shared: Floats, pose: Floats) -> Reduced:
    """Residuals (views, n, 2) and columns (views, 2n, p) with those of poses projected off."""
    flat = residual.reshape(len(residual), -1, 1)
    pose_q, pose_r = np.linalg.qr(pose)
    across = np.swapaxes(pose_q, 1, 2)
    pose_gain = across @ flat
    left = shared - pose_q @ (across @ shared)
    turned = np.swapaxes(left, 1, 2)
    return Reduced(
        residual,
        shared,
        pose_q,
        pose_r,
        turned @ left,
        (turned @ flat)[..., 0],
        pose_gain[..., 0],
    )


def solve(packed: PackedViews, layout: Layout, state: State) -> tuple[State, Reduced]:
    """The optimum for views of one camera.

    Raises:
        DataError: the views do not determine the parameters, or no optimum is found.
    """
    return descend(lambda at: reduce_views(packed, layout, at), state, packed.points)


def descend(
    linearise: Callable[[State], Reduced], state: State, points: int
) -> tuple[State, Reduced]:
    """Levenberg-Marquardt on the reduced system, to the optimum.

    The damping follows the ratio of found and foretold decrease (Nielsen 1999, Damping Parameter
    in Marquardt's Method): fits that stay bad would swing about their optimum otherwise.

    Raises:
        DataError: the views do not determine the parameters, or no optimum is found.
    """
    reduced, damping, raising = linearise(state), FIRST_DAMPING, 2.0
    for _ in range(MOST_STEPS):
        promised = _promised(reduced)
        if promised <= CONVERGED * reduced.cost + 1e-20 * points:
            return state, reduced
        trial, foretold = _stepped(state, reduced, damping)
        there = _reduced_if_finite(linearise, trial)
        if there is not None and there.cost < reduced.cost:
            damping = _lowered(damping, (reduced.cost - there.cost) / foretold)
            state, reduced, raising = trial, there, 2.0
        elif damping > MOST_DAMPING or promised <= NO_STEP_HELPS * reduced.cost:
            break
        else:
            damping, raising = max(damping, 1e-8) * raising, 2 * raising
    if _promised(reduced) <= NEARLY_CONVERGED * reduced.cost:
        return state, reduced
    raise DataError(
        "the fit did not converge; check the board's counts, or choose another lens model"
    )


def _promised(reduced: Reduced) -> float:
    """Decrease of the cost that a full Gauss-Newton step would bring were all linear, px^2."""
    gradient = reduced.gradient.sum(axis=0)
    newton = scaled_solve(reduced.information.sum(axis=0), -gradient)
    return float(np.sum(reduced.pose_gain**2) - gradient @ newton)


def _lowered(damping: float, gain: float) -> float:
    """After a step that brought `gain` times the decrease foretold; raised where that is little."""
    slowest = 0.1 if gain > 0.9 else 1 / 3
    lowered = damping * max(slowest, 1 - (2 * gain - 1) ** 3)
    return lowered if lowered > LEAST_DAMPING else 0.0


def _reduced_if_finite(linearise: Callable[[State], Reduced], state: State) -> Reduced | None:
    with np.errstate(all="ignore"):
        numbers = (state.parameters, state.rotation, state.translation)
        if not all(np.isfinite(array).all() for array in numbers):
            return None
        found = linearise(state)
    return found if np.isfinite(found.cost) else None


def _stepped(state: State, reduced: Reduced, damping: float) -> tuple[State, float]:
    """One step, and the decrease of the cost that the linear model foretells.

    Damping of the poses adds rows to their columns: with pose = Q R, these rows and R = Q2 R2.
    """
    rows = np.sqrt(damping) * np.linalg.norm(reduced.pose_r, axis=1)[:, :, None] * np.eye(6)
    pose_q, pose_r = np.linalg.qr(np.concatenate([reduced.pose_r, rows], axis=1))
    top = np.swapaxes(pose_q[:, :6], 1, 2)
    on_pose = np.swapaxes(reduced.pose_q, 1, 2) @ reduced.shared
    damped_on_pose = top @ on_pose
    gain = np.einsum("vij,vj->vi", top, reduced.pose_gain)
    information, gradient = reduced.information.sum(axis=0), reduced.gradient.sum(axis=0)
    scale = np.diag(np.diag(information))
    information = information + np.sum(_gram(on_pose) - _gram(damped_on_pose), axis=0)
    gradient = gradient + np.einsum("vip,vi->p", on_pose, reduced.pose_gain)
    gradient = gradient - np.einsum("vip,vi->p", damped_on_pose, gain)
    step = scaled_solve(information + damping * scale, -gradient)
    poses = -np.linalg.solve(pose_r, (gain + damped_on_pose @ step)[..., None])
    moved = reduced.shared @ step + (reduced.pose_q @ (reduced.pose_r @ poses))[..., 0]
    left = float(np.sum((reduced.residual.reshape(moved.shape) + moved) ** 2))
    poses = poses[..., 0]
    trial = State(
        state.parameters + step,
        rotation_matrices(poses[:, :3]) @ state.rotation,
        state.translation + poses[:, 3:],
    )
    return trial, max(reduced.cost - left, 1e-300)


def _gram(columns: Floats) -> Floats:
    """X'X of each view."""
    found: Floats = np.swapaxes(columns, 1, 2) @ columns
    return found


def rotation_matrices(vectors: Floats) -> Floats:
    """(n, 3, 3) of rotation vectors (n, 3) in radians (Rodrigues)."""
    angle = np.linalg.norm(vectors, axis=1)[:, None, None]
    skew = np.zeros((len(vectors), 3, 3))
    x, y, z = vectors.T
    skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0] = x, y, z
    skew -= np.swapaxes(skew, 1, 2)
    half = np.sinc(angle / (2 * np.pi))  # sin(angle / 2) / (angle / 2)
    found: Floats = np.eye(3) + np.sinc(angle / np.pi) * skew + half**2 / 2 * skew @ skew
    return found


def rotation_vectors(matrices: Floats) -> Floats:
    """(n, 3) radians of rotation matrices (n, 3, 3)."""
    found = [np.asarray(cv2.Rodrigues(matrix)[0]).ravel() for matrix in matrices]
    return np.array(found).reshape(-1, 3)


def scaled_solve(matrix: Floats, right: Floats) -> Floats:
    """Solve symmetric systems (..., p, p) scaled to a unit diagonal; `right` is (..., p).

    Raises:
        DataError: the matrix is singular.
    """
    scale = 1 / np.sqrt(np.maximum(np.diagonal(matrix, axis1=-2, axis2=-1), 1e-300))
    scaled = matrix * scale[..., :, None] * scale[..., None, :]
    try:
        found = np.linalg.solve(scaled, (right * scale)[..., None])[..., 0]
    except np.linalg.LinAlgError as error:
        raise DataError(UNDETERMINED) from error
    result: Floats = found * scale
    return result


UNDETERMINED = (
    "the views do not determine the camera; tilt the board differently from view to view, "
    "or choose a simpler lens model"
)


def scaled_inverse(matrix: Floats) -> Floats:
    """Inverse of a symmetric (p, p) matrix, scaled to a unit diagonal.

    Raises:
        DataError: the matrix is singular to rounding.
    """
    scale = 1 / np.sqrt(np.maximum(np.diag(matrix), 1e-300))
    values, vectors = np.linalg.eigh(matrix * np.outer(scale, scale))
    if not values[0] > SMALLEST_EIGENVALUE:
        raise DataError(UNDETERMINED)
    inverse: Floats = (vectors / values) @ vectors.T * np.outer(scale, scale)
    return inverse
