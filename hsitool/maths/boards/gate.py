"""Can there be a chessboard in this image at all? A test that costs less than looking for one.

OpenCV's detectors take longest where they find nothing. Where a chessboard is, the grey levels
have saddle points in straight, evenly spaced rows, and from one to the next black and white change
places. Other scenes have saddles, too, but hardly such rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hsitool.maths.boards.corners import Grey

Floats = NDArray[Any]
Complex = NDArray[np.complex128]

FINE_PIXELS, COARSE_PIXELS = 500_000, 1_000_000
"""Up to the one, images are looked at in full size, too, as their squares may be small; from the
other on, first at an eighth, where most boards are seen at almost no cost."""

SMALLEST_SIDE = 40
CANDIDATES, MOST_CANDIDATES = 6, 1500
"""Strongest saddles looked at, in multiples of the board's points, and in all."""

LOPSIDED = 0.85
"""Largest sum over difference of a saddle's two curvatures; seen aslant, they are not opposite."""

NEIGHBOURS = 10
STRAIGHT = 0.2
"""How far from the midpoint of its two neighbours a saddle may be, in distances of these."""

OPPOSITE = -0.5
"""Cosine, at most, between the Hessians of neighbours: the one is the other's negative."""

ALONG_EDGE = 0.75
"""Curvature, at most, towards a neighbour, in units of the difference: an edge leads there."""

TWO_WAYS = 0.85
"""Cosine, at most, between the directions of the two rows that meet in a saddle."""

WEAK = 0.1
"""Response of saddles that are passed over, beside that of the strongest."""

FAINT = 4.0
"""Response of saddles that are lost in the noise of 8 bits."""

ENOUGH = 0.35
"""Share of the board's inner points in which two such rows must meet."""


def may_hold_chessboard(image: Grey, half: Grey, shape: tuple[int, int]) -> bool:
    """Whether it is worthwhile to look for a chessboard of (rows, columns) inner corners.

    `half` is the image at half size, which the caller needs anyway.
    """
    most = min(CANDIDATES * shape[0] * shape[1], MOST_CANDIDATES)
    least = max(1.0, min(ENOUGH * (shape[0] - 2) * (shape[1] - 2), ENOUGH * MOST_CANDIDATES / 2))
    return any(crossings(level, most) >= least for level in levels(image, half))


def levels(image: Grey, half: Grey) -> Iterator[Grey]:
    """The image at the sizes that are looked at, the smallest first."""
    if image.size >= COARSE_PIXELS:
        yield _reduced(half, 4, cv2.INTER_LINEAR)  # area means would cost more than all the rest
    if min(half.shape) >= 2 * SMALLEST_SIDE:
        yield _reduced(half, 2, cv2.INTER_AREA)
    yield half
    if image.size <= FINE_PIXELS:
        yield image


def _reduced(image: Grey, times: int, by: int) -> Grey:
    reduced = cv2.resize(image, None, fx=1 / times, fy=1 / times, interpolation=by)
    return np.asarray(reduced, np.uint8)


def crossings(image: Grey, most: int) -> int:
    """In how many of the `most` strongest saddles two rows of saddles meet."""
    places, turns, sums = _saddles(image, most)
    if len(places) < NEIGHBOURS + 1:
        return 0
    near = _nearest(places)
    steps = places[near] - places[:, None]
    length = np.abs(steps)
    ways = steps / length
    alike = (turns[near] * turns.conj()[:, None]).real + sums[near] * sums[:, None]
    alike /= np.sqrt((1 + sums[near] ** 2) * (1 + sums[:, None] ** 2))
    towards = sums[:, None] + (ways**2 * turns.conj()[:, None]).real
    fits = (alike < OPPOSITE) & (np.abs(towards) < ALONG_EDGE)
    gap = np.abs(steps[:, :, None] + steps[:, None])
    even = gap < STRAIGHT * (length[:, :, None] + length[:, None])
    in_row = (even & fits[:, :, None] & fits[:, None]).any(axis=2)
    cosine = np.abs((ways[:, :, None] * ways.conj()[:, None]).real)
    meets = in_row[:, :, None] & in_row[:, None] & (cosine < TWO_WAYS)
    return int(meets.any(axis=(1, 2)).sum())


def _nearest(places: Complex) -> NDArray[np.intp]:
    """Indices (n, NEIGHBOURS) of the nearest other places. (SciPy's tree takes 0.2 s to import.)"""
    distance = np.abs(places[:, None] - places)
    np.fill_diagonal(distance, np.inf)
    return np.argpartition(distance, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]


def _saddles(image: Grey, most: int) -> tuple[Complex, Complex, Floats]:
    """Places u + iv (n,) of the strongest saddles, and their Hessians: turns (n,), sums (n,).

    A turn is exp(2ia) with the angle a of the larger curvature, a sum that of both curvatures over
    their difference: along the direction w, the second derivative is as sum + Re(w^2 conj(turn)).
    """
    smooth = cv2.GaussianBlur(image, (5, 5), 1.2)
    xx, yy, xy = (
        cv2.Sobel(smooth, cv2.CV_32F, *order, ksize=3) for order in ((2, 0), (0, 2), (1, 1))
    )
    across, mixed, common = xx - yy, 2 * xy, xx + yy
    size = cv2.magnitude(across, mixed)
    strength = size - np.abs(common) / LOPSIDED
    peak = cv2.dilate(strength, np.ones((5, 5), np.uint8))
    row, column = np.nonzero((strength == peak) & (strength > FAINT))
    best = _strongest(strength[row, column], most)
    at = row[best], column[best]
    turns = (across[at] + 1j * mixed[at]) / size[at]
    return column[best] + 1j * row[best], turns.astype(np.complex128), common[at] / size[at]


def _strongest(strength: Floats, most: int) -> NDArray[np.intp]:
    """The `most` strongest, without those that are weak beside as many as a board has."""
    falling = np.argsort(-strength)[:most]
    corners = strength[falling[: most // CANDIDATES]]
    return falling[strength[falling] > WEAK * np.median(corners)] if len(corners) else falling
