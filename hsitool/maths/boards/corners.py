"""Corners of a grid in an image: sub-pixel refinement, and how smooth a grid is.

How a detection is judged: the points of a flat board, seen through any lens, lie on a smooth
surface over the board's indices. What they depart from it is wrong detection (or a bent board).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
Points = NDArray[np.float64]

WINDOW_SHARE = 0.3
"""Half of the sub-pixel window in corner spacings; more pulls in the neighbours' edges."""

SMALLEST_WINDOW = 2
REFINE_STEPS, REFINE_PX = 40, 0.001
LEAST_FOR_MISFIT = 6


@dataclass(frozen=True)
class Grid:
    """A whole grid as one detector gave it: `uv` (n, 2) in px along rows first, and its quality.

    `misfit_px` is the largest, `rough_px` the RMS distance to the smooth surface; `moved_px` is
    the longest way that a point went in refinement.
    """

    uv: Points
    detector: str
    misfit_px: float = 0.0
    rough_px: float = 0.0
    moved_px: float = 0.0


def refine(
    image: Grey | NDArray[np.float32], uv: Points, half_window: int, steps: int, eps_px: float
) -> Points:
    """Corners (n, 2) moved to where the grey gradients around them meet (`cornerSubPix`)."""
    side = min(image.shape)
    half_window = max(1, min(half_window, (side - 5) // 2))
    start = np.ascontiguousarray(uv, np.float32).reshape(-1, 1, 2)
    stop = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, steps, eps_px)
    found = cv2.cornerSubPix(image, start, (half_window, half_window), (-1, -1), stop)
    return np.asarray(found, np.float64).reshape(-1, 2)


def window_of(uv: Points, shape: tuple[int, int], share: float = WINDOW_SHARE) -> int:
    """Half of the sub-pixel window for a whole grid of (rows, columns) points."""
    return max(SMALLEST_WINDOW, int(share * smallest_spacing(uv, shape)))


def smallest_spacing(uv: Points, shape: tuple[int, int]) -> float:
    """The smallest distance in px of points that are adjacent in a row or in a column."""
    grid = uv.reshape(*shape, 2)
    steps = [np.linalg.norm(np.diff(grid, axis=axis), axis=-1).min() for axis in (0, 1)]
    return float(min(steps))


def right_handed(uv: Points, shape: tuple[int, int]) -> Points:
    """The grid with rows turned round if need be, so that it is not seen as from behind.

    A chessboard looks the same in a mirror, and detectors may start anywhere; but the bow of a
    board would change its sign from view to view.
    """
    grid = uv.reshape(*shape, 2)
    along, down = (np.diff(grid, axis=axis).mean(axis=(0, 1)) for axis in (1, 0))
    if along[0] * down[1] - along[1] * down[0] < 0:
        grid = grid[:, ::-1]
    return np.ascontiguousarray(grid).reshape(-1, 2)


def same_way_round(grids: Points, shape: tuple[int, int]) -> Points:
    """Grids (bands, n, 2) of one board seen from almost the same place, all counted alike.

    A chessboard looks the same turned by 180 degrees (a square one by 90), and detectors start
    where they like: each grid is turned as the first that has no NaN.
    """
    whole = [place for place, uv in enumerate(grids) if np.isfinite(uv).all()]
    turned = grids.copy()
    for place in whole[1:]:
        ways = _ways_round(grids[place].reshape(*shape, 2))
        first = grids[whole[0]] - grids[whole[0]].mean(axis=0)
        turned[place] = min(ways, key=lambda uv: float(np.sum((uv - uv.mean(axis=0) - first) ** 2)))
    return turned


def _ways_round(grid: Points) -> list[Points]:
    """(n, 2) of a grid (rows, columns, 2) counted from other corners, without mirroring."""
    turns = range(4) if grid.shape[0] == grid.shape[1] else (0, 2)
    return [np.rot90(grid, turn).reshape(-1, 2) for turn in turns]


def measured(uv: Points, places: Points, detector: str, moved_px: float) -> Grid:
    """A grid with its misfit; `places` (n, 2) are its points on the board."""
    off = np.linalg.norm(departures(uv, places), axis=1)
    rough = float(np.sqrt((off**2).mean()))
    return Grid(uv, detector, float(off.max()), rough, moved_px)


def departures(uv: Points, places: Points) -> Points:
    """Residuals (n, 2) in px to a homography plus a quartic in the board's coordinates."""
    if len(uv) < LEAST_FOR_MISFIT:
        return np.zeros_like(uv)
    homography, _ = cv2.findHomography(places, uv)
    if homography is None:
        return np.full_like(uv, np.inf)
    seen = np.hstack([places, np.ones((len(places), 1))]) @ np.asarray(homography).T
    off = uv - seen[:, :2] / seen[:, 2:]
    basis = _smooth_basis(places.tobytes(), len(places))
    return np.asarray(off - basis @ (basis.T @ off), np.float64)


@lru_cache(maxsize=64)
def _smooth_basis(places: bytes, count: int) -> Points:
    """Orthonormal polynomials (n, m) over the board, of as high a degree as leaves freedom."""
    x, y = np.frombuffer(places).reshape(count, 2).T
    x, y = ((c - c.mean()) / (np.ptp(c) or 1) for c in (x, y))
    degree = next(d for d in (4, 3, 2, 1, 0) if (d + 1) * (d + 2) <= count or d == 0)
    terms = [x**i * y**j for i in range(degree + 1) for j in range(degree + 1 - i)]
    u, s, _ = np.linalg.svd(np.stack(terms, axis=1), full_matrices=False)
    return np.asarray(u[:, s > 1e-9 * s[0]], np.float64)
