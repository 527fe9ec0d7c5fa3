"""Chessboards found by OpenCV's detectors, in the order that costs least and errs least."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from hsitool.maths.boards.corners import (
    REFINE_PX,
    REFINE_STEPS,
    Grey,
    Grid,
    Points,
    measured,
    refine,
    right_handed,
    window_of,
)
from hsitool.maths.boards.gate import may_hold_chessboard, reduced

QUICK = cv2.CALIB_CB_ADAPTIVE_THRESH | cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_FAST_CHECK
SMOOTH_PX, NEAR_PX = 0.5, 2.0
"""A grid is believed at once up to this misfit and this way in refinement."""

SAME_PX = 0.1
CLASSIC_STEPS = 30
Shape = tuple[int, int]


def find_fast(image: Grey, shape: Shape) -> Grid | None:
    """A whole board of (rows, columns) corners: the first smooth grid, or the smoothest.

    At half size nearly all boards are found, and the corners refined at full size. A grid that
    is not smooth is only second choice, unless two detectors agree on it, and never refused: the
    board itself may be bent.
    """
    half = reduced(image, 2)
    if not may_hold_chessboard(image, half, shape):
        return None
    found: list[Grid] = []
    for grid in _candidates(image, half, shape):
        found.append(grid)
        if grid.moved_px <= NEAR_PX and (grid.misfit_px <= SMOOTH_PX or _confirmed(found)):
            break
    return smoothest(found)


def _confirmed(found: list[Grid]) -> bool:
    """Whether the last two detections gave the same corners: then it is the board that is bent."""
    if len(found) < 2 or found[-2].moved_px > NEAR_PX:
        return False
    former, last = (grid.uv for grid in found[-2:])
    return any(bool(np.abs(last - uv).max() <= SAME_PX) for uv in (former, former[::-1]))


def find_accurately(image: Grey, shape: Shape) -> Grid | None:
    """The smoothest of all grids that any detector finds, without quick rejection; slow."""
    flags = cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_EXHAUSTIVE | cv2.CALIB_CB_ACCURACY
    found = list(_candidates(image, reduced(image, 2), shape))
    return smoothest([*found, *_by_sectors(image, shape, flags, "accurate sectors")])


def find_classically(image: Grey, shape: Shape, half_window: int, eps_px: float) -> Grid | None:
    """As old programs do it: the standard detector at full size and a window of fixed size."""
    start = _standard(image, shape)
    if start is None:
        return None
    uv = refine(image, start, half_window, CLASSIC_STEPS, eps_px)
    return _graded(uv, start, shape, "standard, fixed window")


def smoothest(grids: list[Grid]) -> Grid | None:
    """The grid that departs least from a smooth surface."""
    return min(grids, key=lambda grid: grid.rough_px, default=None)


def _candidates(image: Grey, half: Grey, shape: Shape) -> Iterator[Grid]:
    for searched, scale, name in ((half, 2, "half size"), (image, 1, "full size")):
        if (start := _standard(searched, shape)) is not None:
            start = (start + 0.5) * scale - 0.5  # pixel centres are at whole numbers
            yield _refined(image, start, shape, name)
    yield from _by_sectors(image, shape, cv2.CALIB_CB_NORMALIZE_IMAGE, "sectors")


def _standard(image: Grey, shape: Shape) -> Points | None:
    found, uv = cv2.findChessboardCorners(image, shape[::-1], flags=QUICK)
    return _points(uv) if found else None


def _by_sectors(image: Grey, shape: Shape, flags: int, name: str) -> Iterator[Grid]:
    """Duda and Frese's detector (`SB`): slower, and more robust; its corners and refined ones."""
    found, uv = cv2.findChessboardCornersSB(image, shape[::-1], flags=flags)
    if found:
        start = _points(uv)
        yield _graded(start, start, shape, name)
        yield _refined(image, start, shape, f"{name}, refined")


def _refined(image: Grey, start: Points, shape: Shape, detector: str) -> Grid:
    uv = refine(image, start, window_of(start, shape), REFINE_STEPS, REFINE_PX)
    return _graded(uv, start, shape, detector)


def _graded(uv: Points, start: Points, shape: Shape, detector: str) -> Grid:
    moved = float(np.linalg.norm(uv - start, axis=1).max())
    down, along = np.divmod(np.arange(len(uv)), shape[1])
    places = np.stack([along, down], axis=1).astype(np.float64)
    return measured(right_handed(uv, shape), places, detector, moved)


def _points(uv: object) -> Points:
    """(n, 2) float64 of what OpenCV 4 and 5 return in different shapes."""
    return np.asarray(uv, np.float64).reshape(-1, 2)
