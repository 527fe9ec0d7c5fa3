"""How far apart two cameras put the same directions, whatever their lens models.

After mrcal's projection difference: pixels of the first are turned into rays, the rotation that
brings the second nearest is taken off (poses absorb it), and the rays are projected by the second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation  # type: ignore[import-untyped]

from hsitool.camera import CameraInfo
from hsitool.errors import DataError
from hsitool.maths.cameras.half_split import chance_limit
from hsitool.maths.cameras.lens import Floats, project, unproject
from hsitool.maths.cameras.lens_derivatives import by_parameter, by_turn, own_names

NODES = 41
"""Of the grid along the longer side."""
FEWEST_NODES = 5
LEAST_SHARE = 0.1
"""Of the frame that both must see."""
ROUNDS = 30
STILL = 1e-12
"""Radians; a turn by less ends the search."""


@dataclass(frozen=True)
class Prediction:
    """What the cameras' own errors make of the difference, as independent calibrations."""

    rms_px: float
    limit_px: float
    """RMS that chance exceeds in 1 of 100 pairs of such calibrations."""
    sd_px: Floats
    """(rows, columns) px standard deviation of the length of the difference at each node."""
    of: tuple[int, ...]
    """Whose errors: 0 the first camera's, 1 the second's. A camera without counts as exact."""


@dataclass(frozen=True, eq=False)
class CameraDifference:
    """Where the second camera sees what the first does, the common rotation taken off."""

    image_size: tuple[int, int]
    pixels: Floats
    """(rows, columns, 2) px in the first camera."""
    moved: Floats
    """(rows, columns, 2) px that the second sees it farther to the right and down; NaN where
    either sees nothing."""
    turn_deg: tuple[float, float, float]
    """The rotation about the axes x, y, z."""
    shift_px: tuple[float, float]
    """What the rotation does in the middle of the second camera's frame."""
    centre_px: float
    """Length of the difference in the middle of the frame."""
    corners_px: tuple[float, ...]
    """In the corners: upper left, upper right, lower left, lower right."""
    prediction: Prediction | None

    @property
    def lengths(self) -> Floats:
        """(rows, columns) px."""
        found: Floats = np.hypot(self.moved[..., 0], self.moved[..., 1])
        return found

    @property
    def rms_px(self) -> float:
        """Over the nodes that both see."""
        return float(np.sqrt(np.nanmean(self.lengths**2)))

    @property
    def median_px(self) -> float:
        """Over the nodes that both see."""
        return float(np.nanmedian(self.lengths))

    @property
    def max_px(self) -> float:
        """Over the nodes that both see."""
        return float(np.nanmax(self.lengths))

    @property
    def max_at(self) -> tuple[float, float]:
        """Where that is, px."""
        x, y = self.pixels.reshape(-1, 2)[int(np.nanargmax(self.lengths))]
        return float(x), float(y)

    @property
    def unseen(self) -> float:
        """Share of the frame that one of them does not see."""
        return float(np.isnan(self.lengths).mean())


def camera_difference(first: CameraInfo, second: CameraInfo) -> CameraDifference:
    """Compare two cameras over the frame.

    Raises:
        DataError: an image size is not known or not the same, or they see too little in common.
    """
    size = _common_size(first, second)
    pixels = _grid(size)
    flat = pixels.reshape(-1, 2)
    rays = unproject(first, flat)
    turn = _best_turn(second, rays, flat)
    moved = project(second, turn.apply(rays)) - flat
    seen = np.asarray(np.isfinite(moved).all(axis=1))
    spots = _spots(size)
    apart = project(second, turn.apply(unproject(first, spots))) - spots
    lengths = np.hypot(*apart.T)
    turned = turn.apply(rays[seen])
    return CameraDifference(
        size,
        pixels,
        moved.reshape(pixels.shape),
        _three(turn.as_rotvec(degrees=True)),
        _shift(second, turn),
        float(lengths[0]),
        tuple(lengths[1:].tolist()),
        _prediction((first, second), (rays[seen], turned), seen, pixels.shape[:2]),
    )


def _common_size(first: CameraInfo, second: CameraInfo) -> tuple[int, int]:
    sizes = first.image_size, second.image_size
    if sizes[0] is None and sizes[1] is None:
        raise DataError("neither camera tells the size of its images: give it with --size WxH")
    if None not in sizes and sizes[0] != sizes[1]:
        one, other = (f"{size[0]}x{size[1]}" for size in sizes if size is not None)
        raise DataError(f"cameras of images of {one} and {other} px have no pixels in common")
    size = sizes[0] or sizes[1]
    assert size is not None
    return size


def _grid(size: tuple[int, int]) -> Floats:
    """(rows, columns, 2) nodes from the first to the last pixel."""
    counts = [max(round(NODES * side / max(size)), FEWEST_NODES) for side in size]
    x, y = (np.linspace(0, side - 1, n) for side, n in zip(size, counts, strict=True))
    return np.stack(np.meshgrid(x, y), axis=-1)


def _spots(size: tuple[int, int]) -> Floats:
    """(5, 2) the middle and the corners."""
    right, down = size[0] - 1, size[1] - 1
    return np.array([[right / 2, down / 2], [0, 0], [right, 0], [0, down], [right, down]], float)


def _best_turn(camera: CameraInfo, rays: Floats, pixels: Floats) -> Rotation:
    """That brings projected rays nearest to the pixels, by least squares in px."""
    own = unproject(camera, pixels)
    both = np.isfinite(rays).all(axis=1) & np.isfinite(own).all(axis=1)
    if both.mean() < LEAST_SHARE:
        raise DataError(
            f"both cameras see only {100 * both.mean():.0f} % of the frame, too little to compare: "
            "distortion folds the rest over"
        )
    turn, _ = Rotation.align_vectors(own[both], rays[both])
    for _ in range(ROUNDS):
        turned = turn.apply(rays)
        residual, columns = project(camera, turned) - pixels, by_turn(camera, turned)
        known = np.isfinite(residual).all(axis=1) & np.isfinite(columns).all(axis=(1, 2))
        flat = columns[known].reshape(-1, 3)
        step = -np.linalg.lstsq(flat, residual[known].ravel(), rcond=None)[0]
        turn = Rotation.from_rotvec(step) * turn
        if np.linalg.norm(step) < STILL:
            break
    return turn


def _shift(camera: CameraInfo, turn: Rotation) -> tuple[float, float]:
    """px that the turn moves the direction of the optical axis."""
    axis = np.array([[0.0, 0.0, 1.0]])
    x, y = (project(camera, turn.apply(axis)) - project(camera, axis))[0]
    return float(x), float(y)


def _prediction(
    cameras: Sequence[CameraInfo],
    rays: Sequence[Floats],
    seen: NDArray[np.bool_],
    shape: tuple[int, ...],
) -> Prediction | None:
    """From the covariances of those that have one, each camera with its own rays."""
    known = [i for i, info in enumerate(cameras) if info.covariance is not None]
    if not known:
        return None
    errors = np.hstack([_errors(cameras[i], rays[i]) for i in known])
    turns, _ = np.linalg.qr(by_turn(cameras[1], rays[1]).reshape(-1, 3))
    errors = errors - turns @ (turns.T @ errors)
    count = len(rays[0])
    spread: Floats = np.linalg.eigvalsh(errors.T @ errors).clip(0) / count
    rms = float(np.sqrt(spread.sum()))
    sd = np.full(shape, np.nan)
    sd.ravel()[seen] = np.sqrt(np.sum(errors.reshape(count, -1) ** 2, axis=1))
    limit = chance_limit(spread) * rms if rms > 0 else 0.0
    return Prediction(rms, limit, sd, tuple(known))


def _errors(info: CameraInfo, rays: Floats) -> Floats:
    """(2n, q) px that independent unit errors make, so that errors errors' is their covariance."""
    names = own_names(info, info.parameters)
    places = np.ix_(*[[info.parameters.index(name) for name in names]] * 2)
    values, vectors = np.linalg.eigh(np.array(info.covariance)[places])
    root = vectors * np.sqrt(values.clip(0))
    columns: Floats = by_parameter(info, rays, names).reshape(2 * len(rays), -1) @ root
    return columns


def _three(values: Floats) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z
