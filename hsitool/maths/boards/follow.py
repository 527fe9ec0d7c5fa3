"""Corners that one band of a view shows, found again in its other bands, and how well.

The other band has the same corners within a few pixels, so they are refined from there, on the
band's own floating point values: no detection, and the order of the reference by construction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree  # type: ignore[import-untyped]

from hsitool.maths.boards.board import Board
from hsitool.maths.boards.corners import (
    REFINE_PX,
    REFINE_STEPS,
    SMALLEST_WINDOW,
    Points,
    departures,
    refine,
)
from hsitool.maths.boards.detection import one_thread
from hsitool.maths.boards.patterns import clear_share

Frame = NDArray[np.float32]

DARKEST, BRIGHTEST = 2, 98
SAMPLED = 250_000
"""Percentiles that become 0 and 255, and pixels that they are taken from."""

LEAST_CONTRAST = 5.0
"""From dark to bright in standard deviations of the noise; noise alone has 2.6."""
MOST_LOST = 1 / 3
"""Share of the corners of a view that may be lost before the band is refused there."""
LARGEST_SCATTER_PX, LARGEST_SCATTER = 0.5, 0.02
"""Of corners about a smooth surface: px, or share of their spacing where that is more."""
PER_MAD = 1.4826
NUDGE_PX = 0.125
"""Off the start, so that a corner that is found where it was differs from one that was lost."""


@dataclass(frozen=True, eq=False)
class Followed:
    """What became of corners in another band.

    `uv` (n, 2) px, NaN where lost, all where `reason` says why the band cannot serve.
    `contrast` is from dark to bright around the corners, in standard deviations of the noise;
    `blur_px` the standard deviation of an edge's blur; `scatter_px` the RMS distance of corners
    to a smooth surface over the board.
    """

    uv: Points
    contrast: float = math.nan
    blur_px: float = math.nan
    scatter_px: float = math.nan
    reason: str = ""

    def refused(self, reason: str) -> Followed:
        """The same without corners."""
        return replace(self, uv=np.full_like(self.uv, np.nan), reason=reason)


def follow(frame: Frame, start: Points, board: Board, ids: NDArray[np.int64]) -> Followed:
    """Refine the corners `start` (n, 2) of another band in a frame (rows, columns), NaN: missing.

    A corner is lost where it leaves its window, or where the window holds missing pixels.
    """
    one_thread()
    image = stretched(frame)
    spacing = float(cKDTree(start).query(start, k=2)[0][:, 1].min())
    half = max(SMALLEST_WINDOW, int(clear_share(board) * spacing))
    uv = np.full(start.shape, np.nan)
    if image is None:
        return Followed(uv, 0.0, reason="all its pixels are missing or alike")
    patches, inside = _patches(image, frame, start, half)
    if inside.sum() < (1 - MOST_LOST) * len(start):
        return Followed(uv, reason="too many corners lie at missing pixels or beyond the frame")
    contrast, blur = _look(patches)
    if contrast < LEAST_CONTRAST:
        words = f"contrast of {contrast:.1f} times its noise, below {LEAST_CONTRAST:g}"
        return Followed(uv, contrast, blur, reason=words)
    uv[inside] = _refined(image, start[inside], half)
    return _judged(Followed(uv, contrast, blur), board.grid[ids], half, spacing)


def _refined(image: Frame, start: Points, half: int) -> Points:
    """(n, 2) corners within a half window, NaN for those that left it."""
    begun = start + NUDGE_PX
    found = refine(image, begun, half, REFINE_STEPS, REFINE_PX)
    # OpenCV puts corners that left their window back to where they began, without a word.
    stayed = (found.astype(np.float32) == begun.astype(np.float32)).all(axis=1)
    return np.where(stayed[:, None], np.nan, found)


def _judged(found: Followed, places: Points, half: int, spacing: float) -> Followed:
    """Refused where too many corners are lost, or they do not make a grid of `places` (n, 2)."""
    kept = np.isfinite(found.uv[:, 0])
    if kept.sum() < (1 - MOST_LOST) * len(kept):
        return found.refused(f"{(~kept).sum()} of {len(kept)} corners moved more than {half} px")
    off = departures(found.uv[kept], places[kept])
    scatter = float(np.sqrt(np.mean(np.sum(off**2, axis=1))))
    found = replace(found, scatter_px=scatter)
    if scatter > max(LARGEST_SCATTER_PX, LARGEST_SCATTER * spacing):
        return found.refused(f"corners scatter by {scatter:.2f} px")
    return found


def stretched(frame: Frame) -> Frame | None:
    """Percentiles to 0 and 255, not cut off; missing pixels as the median. None: nothing there."""
    step = max(1, int(np.sqrt(frame.size / SAMPLED)))
    some = frame[::step, ::step]
    some = some[np.isfinite(some)]
    if not some.size:
        return None
    low, middle, high = np.percentile(some.astype(np.float64), (DARKEST, 50, BRIGHTEST))
    if not high > low:
        return None
    scale = 255 / (high - low)
    image = (frame - np.float32(low)) * np.float32(scale)
    image[~np.isfinite(image)] = (middle - low) * scale
    return np.asarray(image, np.float32)


def edge_score(frame: Frame) -> float:
    """The steepest edges of a frame (99th percentile of its gradient) in units of its noise.

    Corners are the surer the steeper edges are and the less noise there is, whatever the band's
    brightness; 0 where there is nothing to see.
    """
    image = stretched(frame)
    if image is None:
        return 0.0
    slope = _slope(image)[2:-2, 2:-2]
    return float(np.percentile(slope, 99) / _noise(image)) if slope.size else 0.0


def _slope(image: Frame) -> NDArray[np.float32]:
    """Size of the gradient, after a blur of 1 px, per px."""
    smooth = cv2.GaussianBlur(image, (0, 0), 1.0)
    across = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=1, scale=0.5)
    down = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=1, scale=0.5)
    return np.asarray(np.hypot(across, down), np.float32)


def _noise(image: NDArray[np.float32]) -> float:
    """Robust standard deviation by second differences along the last axis (..., columns)."""
    second = image[..., :-2] - 2 * image[..., 1:-1] + image[..., 2:]
    some = np.abs(second.ravel()[:: max(1, second.size // SAMPLED)])
    return max(PER_MAD * float(np.median(some)) / np.sqrt(6), 1e-3) if some.size else 1e-3


def _patches(
    image: Frame, frame: Frame, start: Points, half: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Squares (m, side, side) around the corners that have a whole one, and which these are."""
    rows, columns = frame.shape
    at = np.rint(start).astype(np.int64)
    inside = (at >= half).all(axis=1) & (at[:, 0] < columns - half) & (at[:, 1] < rows - half)
    reach = np.arange(-half, half + 1)
    down = at[inside, 1][:, None, None] + reach[:, None]
    along = at[inside, 0][:, None, None] + reach
    whole = np.isfinite(frame[down, along]).all(axis=(1, 2))
    inside[inside] = whole
    return image[down[whole], along[whole]], inside


def _look(patches: NDArray[np.float32]) -> tuple[float, float]:
    """Contrast in units of noise and blur in px, of the median corner."""
    low, high = np.percentile(patches, (10, 90), axis=(1, 2))
    slope = np.array([np.percentile(_slope(patch), 95) for patch in patches])
    height = float(np.median(high - low))
    # A blurred edge's steepest slope is its height / (sqrt(2 pi) sigma); ours has 1 px more.
    sigma = height / (math.sqrt(2 * math.pi) * max(float(np.median(slope)), 1e-6))
    return height / _noise(patches), math.sqrt(max(sigma**2 - 1, 0.0))
