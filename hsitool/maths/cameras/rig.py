"""Cameras side by side that see one board at once: a lens for each band.

Each has intrinsics of its own and a place R, t against the reference, X_b = R X_ref + t, the same
in all views; the board's poses are shared. One bundle adjustment of all of it: the depth of the
board, which is what makes a focal length unsure, is then common to all cameras.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special  # type: ignore[import-untyped]

from hsitool.errors import DataError
from hsitool.maths.cameras.bundle import (
    Reduced,
    descend,
    projected,
    rotation_matrices,
    rotation_vectors,
)
from hsitool.maths.cameras.bundle_layout import Layout, State
from hsitool.maths.cameras.calibration_result import Calibration, Flags, Interval
from hsitool.maths.cameras.camera import BoardShape, Camera, Floats, project
from hsitool.maths.cameras.influence import Sureness, sureness
from hsitool.maths.cameras.model_fits import MOST_ROUNDS, within_limit

ALPHA = 0.05
MOVES = 6
"""Numbers of a camera's place: rotation vector and translation."""
Poses = dict[str, tuple[Floats, Floats]]
"""R and t of the board in each view, by its name."""
FEWEST_TOGETHER = 3
"""Views that a camera shares with the reference."""


@dataclass(frozen=True, eq=False)
class RigView:
    """One exposure of all cameras."""

    name: str
    board_mm: Floats
    """(n, 3)"""
    image_px: Floats
    """(cameras, n, 2) px, NaN where a camera does not see a point."""


@dataclass(frozen=True, eq=False)
class RigCamera:
    """One camera of a rig; errors are the wider of independent noise and jackknife.

    Values of the reference against itself are 0 with NaN for an error.
    """

    camera: Camera
    names: tuple[str, ...]
    """Of the free intrinsics."""
    values: Floats
    standard_errors: Floats
    rotation_deg: Floats
    """(3,) rotation vector from the reference's axes to its own."""
    translation_mm: Floats
    """(3,) X_b = R X_ref + t."""
    place_errors: Floats
    """(6,) of both."""
    f_ratio: float
    """f_b / f_ref, the mean of both axes."""
    f_interval: Interval
    """95 %."""
    anisotropy: float
    """ln(fx_b / fx_ref) - ln(fy_b / fy_ref), with its error."""
    se_anisotropy: float
    rms_px: float
    points: int
    views: int


@dataclass(frozen=True, eq=False)
class Rig:
    """All cameras, in the order of the images."""

    reference: int
    cameras: tuple[RigCamera, ...]
    views: tuple[str, ...]
    rms_px: float
    trimmed: int


@dataclass(frozen=True, eq=False)
class _Packed:
    """Points of all views and cameras; a view has the same board in each camera."""

    board: Floats
    """(views, n, 3) mm from the board's centre."""
    image: Floats
    """(views, cameras, n, 2) px"""
    weight: Floats
    """(views, cameras, n)"""
    layout: Layout
    reference: int
    base: Floats
    """(cameras, 3, 3) rotations that the parameters turn further."""

    @property
    def cameras(self) -> int:
        return int(self.image.shape[1])

    @property
    def points(self) -> int:
        """That count."""
        return int(self.weight.sum())

    def lens(self, parameters: Floats, camera: int) -> Floats:
        """Free intrinsics of a camera."""
        count = len(self.layout.names)
        return parameters[camera * count : (camera + 1) * count]

    def place_at(self, camera: int) -> int:
        """Where the numbers of a camera's place begin; the reference has none."""
        before = camera - (camera > self.reference)
        return self.cameras * len(self.layout.names) + before * MOVES

    def place(self, parameters: Floats, camera: int) -> tuple[Floats, Floats]:
        """R (3, 3) and t (3,)."""
        if camera == self.reference:
            return np.eye(3), np.zeros(3)
        at = self.place_at(camera)
        turn = rotation_matrices(parameters[None, at : at + 3])[0]
        return turn @ self.base[camera], parameters[at + 3 : at + 6]


def calibrate_rig(
    views: Sequence[RigView],
    alone: Sequence[Calibration],
    reference: int,
    *,
    trim: bool = True,
) -> Rig:
    """All cameras at once.

    Args:
        views: of one board.
        alone: each camera's own calibration of these views, by their names, with one lens model.
        reference: number of the camera that the others are compared with.
        trim: leave out points beyond 4 robust standard deviations.

    Raises:
        DataError: a camera shares too few views with the reference, or no optimum is found.
    """
    used = {view.name for view in alone[reference].views}
    kept = [view for view in views if view.name in used]
    packed, state = _started(kept, alone, reference)
    state, reduced = _solved(packed, state)
    here = packed.weight > 0
    for _ in range(MOST_ROUNDS if trim else 0):
        off = np.where(here[..., None], _residuals(packed, state), 0)
        good = here & within_limit(off, here)
        if (good == (packed.weight > 0)).all():
            break
        packed = _weighted(packed, good)
        state, reduced = _solved(packed, state)
    sure = sureness(reduced, packed.points)
    cameras = tuple(
        _camera(packed, state, reduced, sure, number, alone[number])
        for number in range(packed.cameras)
    )
    rms = float(np.sqrt(reduced.cost / packed.points))
    names = tuple(view.name for view in kept)
    return Rig(reference, cameras, names, rms, int(here.sum()) - packed.points)


def _started(
    views: Sequence[RigView], alone: Sequence[Calibration], reference: int
) -> tuple[_Packed, State]:
    """From the separate calibrations; a camera's place is the mean over the views it shares."""
    poses = [_poses(found) for found in alone]
    fit = alone[reference].rigid.two
    model = alone[reference].model
    layout = Layout.two(model, model == "fisheye" or "p1" in fit.names)
    longest = max(len(view.board_mm) for view in views)
    board = np.zeros((len(views), longest, 3))
    image = np.zeros((len(views), len(alone), longest, 2))
    weight = np.zeros(image.shape[:3])
    for i, view in enumerate(views):
        n = len(view.board_mm)
        board[i, :n], board[i, n:] = view.board_mm, view.board_mm[0]
        seen = np.asarray(np.isfinite(view.image_px).all(axis=2), np.bool_)
        image[i, :, :n] = np.where(seen[..., None], view.image_px, 0)
        weight[i, :, :n] = seen
    centre = (board.min(axis=(0, 1)) + board.max(axis=(0, 1))) / 2
    places = [_mean_place(poses[number], poses[reference]) for number in range(len(alone))]
    base = np.array([turn for turn, _ in places])
    packed = _Packed(board - centre, image, weight, layout, reference, base)
    lens = [layout.parameters(found.rigid.two.camera.intrinsics, BoardShape()) for found in alone]
    moves = [
        np.concatenate([np.zeros(3), shift])
        for number, (_, shift) in enumerate(places)
        if number != reference
    ]
    turns = np.array([poses[reference][view.name][0] for view in views])
    shifts = np.array([poses[reference][view.name][1] for view in views])
    return packed, State(np.concatenate([*lens, *moves]), turns, shifts + turns @ centre)


def _poses(found: Calibration) -> Poses:
    """R and t of the board as drawn, by the name of the view."""
    numbers = found.rigid.two.poses
    turns = rotation_matrices(numbers[:, :3])
    return {
        view.name: (turn, shift)
        for view, turn, shift in zip(found.views, turns, numbers[:, 3:], strict=True)
    }


def _mean_place(own: Poses, other: Poses) -> tuple[Floats, Floats]:
    """R and t against the reference: the mean rotation, the median translation."""
    shared = [name for name in own if name in other]
    if len(shared) < FEWEST_TOGETHER:
        raise DataError(
            f"seen together with the reference in {len(shared)} views, fewer than {FEWEST_TOGETHER}"
        )
    turns = np.array([own[name][0] @ other[name][0].T for name in shared])
    left, _, right = np.linalg.svd(turns.sum(axis=0))
    turn = left @ np.diag([1, 1, np.linalg.det(left @ right)]) @ right
    shifts = [own[name][1] - turn @ other[name][1] for name in shared]
    return turn, np.median(shifts, axis=0)


def _weighted(packed: _Packed, used: Flags) -> _Packed:
    return replace(packed, weight=used.astype(np.float64))


def _solved(packed: _Packed, state: State) -> tuple[State, Reduced]:
    return descend(lambda at: _linearised(packed, at), state, packed.points)


def _residuals(packed: _Packed, state: State) -> Floats:
    """(views, cameras, n, 2) px, projected minus observed."""
    points = np.einsum("vij,vnj->vni", state.rotation, packed.board) + state.translation[:, None]
    found = np.empty_like(packed.image)
    for camera in range(packed.cameras):
        turn, shift = packed.place(state.parameters, camera)
        own = (points @ turn.T + shift).reshape(-1, 3)
        pixels, _, _ = project(packed.layout.model, _intrinsics(packed, state, camera), own)
        found[:, camera] = pixels.reshape(found[:, camera].shape) - packed.image[:, camera]
    return found


def _intrinsics(packed: _Packed, state: State, camera: int) -> Floats:
    return packed.layout.intrinsics(packed.lens(state.parameters, camera))


def _linearised(packed: _Packed, state: State) -> Reduced:
    """Residuals and derivatives of all cameras, the poses projected off."""
    views, cameras, n, _ = packed.image.shape
    arms = np.einsum("vij,vnj->vni", state.rotation, packed.board).reshape(-1, 3)
    points = arms + np.repeat(state.translation, n, axis=0)
    residual = np.empty((views, cameras, n, 2))
    shared = np.zeros((views, cameras, n, 2, len(state.parameters)))
    pose = np.empty((views, cameras, n, 2, 6))
    count = len(packed.layout.names)
    for camera in range(cameras):
        turn, shift = packed.place(state.parameters, camera)
        turned = points @ turn.T
        model, lens = packed.layout.model, _intrinsics(packed, state, camera)
        pixels, by_lens, by_point = project(model, lens, turned + shift)
        weight = packed.weight[:, camera].reshape(-1, 1, 1)
        by_point = by_point * weight
        off = pixels.reshape(views, n, 2) - packed.image[:, camera]
        residual[:, camera] = off * packed.weight[:, camera, :, None]
        own = (by_lens * weight) @ packed.layout.table
        shared[:, camera, ..., camera * count : (camera + 1) * count] = own.reshape(views, n, 2, -1)
        if camera != packed.reference:
            at = packed.place_at(camera)
            moved = np.concatenate([np.cross(turned[:, None], by_point), by_point], axis=-1)
            shared[:, camera, ..., at : at + MOVES] = moved.reshape(views, n, 2, -1)
        back = by_point @ turn
        columns = np.concatenate([np.cross(arms[:, None], back), back], axis=-1)
        pose[:, camera] = columns.reshape(views, n, 2, 6)
    rows = 2 * cameras * n
    return projected(
        residual.reshape(views, cameras * n, 2),
        shared.reshape(views, rows, -1),
        pose.reshape(views, rows, 6),
    )


def _camera(
    packed: _Packed,
    state: State,
    reduced: Reduced,
    sure: Sureness,
    number: int,
    alone: Calibration,
) -> RigCamera:
    layout, count = packed.layout, len(packed.layout.names)
    errors = np.sqrt(np.fmax(np.diag(sure.covariance), np.diag(sure.jackknife)))
    values = packed.lens(state.parameters, number)
    along, down = _contrasts(packed, state, number)
    base = packed.lens(state.parameters, packed.reference)
    ratio = float(np.sqrt(values[0] / base[0] * values[1] / base[1]))
    reach = _reach(sure, (along + down) / 2, len(packed.image))
    own = reduced.residual.reshape(packed.image.shape)[:, number]
    weight = packed.weight[:, number]
    turn, shift = packed.place(state.parameters, number)
    return RigCamera(
        camera=Camera.from_intrinsics(layout.model, layout.intrinsics(values), alone.image_size),
        names=layout.names,
        values=values,
        standard_errors=errors[number * count : (number + 1) * count],
        rotation_deg=np.degrees(rotation_vectors(turn[None])[0]),
        translation_mm=shift,
        place_errors=_place_errors(packed, errors, number),
        f_ratio=ratio,
        f_interval=(ratio * (1 - reach), ratio * (1 + reach)),
        anisotropy=float(np.log(values[0] / base[0]) - np.log(values[1] / base[1])),
        se_anisotropy=_error(sure, along - down),
        rms_px=float(np.sqrt(np.sum(own**2) / weight.sum())),
        points=int(weight.sum()),
        views=int((weight.sum(axis=1) > 0).sum()),
    )


def _contrasts(packed: _Packed, state: State, number: int) -> tuple[Floats, Floats]:
    """(p,) derivatives of ln(fx_b / fx_ref) and of ln(fy_b / fy_ref); 0 for the reference."""
    found = np.zeros((2, len(state.parameters)))
    count = len(packed.layout.names)
    if number != packed.reference:
        for camera, sign in ((number, 1.0), (packed.reference, -1.0)):
            focal = packed.lens(state.parameters, camera)[:2]
            found[0, camera * count] = sign / focal[0]
            found[1, camera * count + 1] = sign / focal[1]
    return found[0], found[1]


def _place_errors(packed: _Packed, errors: Floats, number: int) -> Floats:
    """(6,) in degrees and mm, NaN for the reference."""
    if number == packed.reference:
        return np.full(MOVES, np.nan)
    at = packed.place_at(number)
    degrees = float(np.degrees(1.0))
    scaled: Floats = errors[at : at + MOVES] * ([degrees] * 3 + [1.0] * 3)
    return scaled


def _error(sure: Sureness, contrast: Floats) -> float:
    """The wider of both standard errors."""
    variances = [contrast @ matrix @ contrast for matrix in (sure.covariance, sure.jackknife)]
    return float(np.sqrt(np.nanmax(variances)))


def _reach(sure: Sureness, contrast: Floats, views: int) -> float:
    """Half of the wider 95 % interval, of independent noise and of the jackknife."""
    plain, jackknife = (
        np.sqrt(contrast @ matrix @ contrast) * special.stdtrit(dof, 1 - ALPHA / 2)
        for matrix, dof in ((sure.covariance, sure.dof), (sure.jackknife, views - 1))
    )
    return float(np.fmax(plain, jackknife))
