"""Can there be a board in this image at all? A test that costs less than looking for one.

OpenCV's detectors take longest where they find nothing. Where a chessboard is, the grey levels
have saddle points in straight, evenly spaced rows, and from one to the next black and white change
places. Other scenes have saddles, too, but hardly such rows. Grids of circles are rows of dark
blobs of like size. Of ChArUco boards a part may do, and a marker seen at half size is enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hsitool.maths.boards.board import Board
from hsitool.maths.boards.corners import Grey
from hsitool.maths.boards.lattice import (
    NEIGHBOURS,
    Complex,
    Flags,
    Floats,
    Near,
    Rows,
    holds_board,
    largest,
    nearest,
    rows_through,
)

FINE_PIXELS, COARSE_PIXELS = 500_000, 1_000_000
"""Up to the one, images are looked at in full size, too, as their squares may be small; from the
other on, first at an eighth, where most boards are seen at almost no cost."""

SMALLEST_SIDE = 40
CANDIDATES, MOST_CANDIDATES = 6, 1500
"""Strongest saddles looked at, in multiples of the board's points, and in all."""

WIDE = 10.0
"""Pixels of a step at half size from which squares are not so small that full size shows more."""

LOPSIDED = 0.85
"""Largest sum over difference of a saddle's two curvatures; seen aslant, they are not opposite."""

OPPOSITE = -0.5
"""Cosine, at most, between the Hessians of neighbours: the one is the other's negative."""

ALONG_EDGE = 0.75
"""Curvature, at most, towards a neighbour, in units of the difference: an edge leads there."""

WEAK = 0.1
"""Response of saddles that are passed over, beside that of the strongest."""

FAINT = 4.0
"""Response of saddles that are lost in the noise of 8 bits."""

STRIP_PIXELS = 60_000
HALO = 5
"""Pixels that are looked at together, and rows around them that a saddle depends on."""

ENOUGH = 0.35
"""Share of the board's inner points in which two such rows must meet."""

PART = 12
"""Points of a lattice that is believed to be part of a board; in textures, 11 come about."""

DARKER = 5
"""Grey levels by which blobs are darker than the mean around them."""

SMALLEST_BLOB, BLOB_IN_BOX, LONGEST_BLOB = 5, 0.3, 4.0
"""Pixels of a blob, its share of its bounding box, and this box's longer side in the shorter."""

LIKE_AREA = 1.6
"""Ratio, at most, of the areas of neighbouring circles."""

HALF, NEARLY = 0.45, 0.8
"""Share of the circles that a lattice has to hold where rows are shifted in turns: seen aslant, its
rows may run along those of the board, of which it is one half then."""


def may_hold_chessboard(image: Grey, half: Grey, shape: tuple[int, int]) -> bool:
    """Whether it is worthwhile to look for a chessboard of (rows, columns) inner corners.

    `half` is the image at half size, which the caller needs anyway.
    """
    for level in _levels(image, half):
        seen = _looked(level, shape)
        if seen.board:
            return True
        if level is half and seen.step_px >= WIDE:
            return False
    return False


def may_hold_circles(image: Grey, board: Board) -> bool:
    """Whether dark blobs of like size make the lattice of a grid of circles."""
    shape, count = (board.rows, board.columns), board.count
    if image.size > FINE_PIXELS:
        image = reduced(image, 2)
    places, areas = _dark_blobs(image, count)
    if len(places) <= NEIGHBOURS:
        return len(places) >= count
    near = nearest(places)
    ratio = areas[near.indices] / areas[:, None]
    alike = np.asarray((ratio > 1 / LIKE_AREA) & (ratio < LIKE_AREA))
    rows = rows_through(near, alike)
    if rows.crossings < ENOUGH * (shape[0] - 2) * (shape[1] - 2):
        return False
    if board.target == "circles":
        return holds_board(near, alike, rows, areas, shape)
    crowded = len(places) >= CANDIDATES * count  # where lattices come about by chance
    return largest(near, alike, rows) >= (NEARLY if crowded else HALF) * count


def may_hold_charuco(image: Grey, half: Grey, count: int) -> bool:
    """Whether saddles of opposite neighbours make some lattice, as parts of a ChArUco board do.

    `count`: corners of the whole board. Other scenes rarely have so much of a lattice; the cells of
    markers vanish in small images, where corners are seen best.
    """
    return any(_part_of_lattice(level, count) >= PART for level in _levels(image, half))


def _part_of_lattice(image: Grey, count: int) -> int:
    """Points of the largest lattice of saddles."""
    crossed = _crossed(image, count)
    return 0 if crossed is None else largest(crossed.near, crossed.fits, crossed.rows)


def _dark_blobs(image: Grey, count: int) -> tuple[Complex, Floats]:
    """Centres u + iv (n,) and areas of what is darker than its surroundings, the largest.

    The surroundings are those that each of so many circles can have in the image.
    """
    around = int(np.sqrt(image.size / count)) | 1
    smooth = cv2.GaussianBlur(image, (5, 5), 1.2)
    mean, inverse = cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV
    dark = cv2.adaptiveThreshold(smooth, 255, mean, inverse, max(around, 3), DARKER)
    _, _, boxes, centres = cv2.connectedComponentsWithStats(dark)
    width, height, area = (boxes[1:, n].astype(float) for n in (2, 3, 4))
    blob = (area >= SMALLEST_BLOB) & (area > BLOB_IN_BOX * width * height)
    blob &= np.maximum(width, height) < LONGEST_BLOB * np.minimum(width, height)
    kept = np.flatnonzero(blob)
    kept = kept[np.argsort(-area[kept])[: CANDIDATES * count]]
    return centres[1:][kept] @ np.array([1, 1j]), area[kept]


@dataclass(frozen=True)
class Seen:
    """Whether a lattice of saddles is the whole board; the typical step of lattices, 0: none."""

    board: bool
    step_px: float = 0.0


def _looked(image: Grey, shape: tuple[int, int]) -> Seen:
    """Whether rows of saddles meet often enough, and their lattice is the whole board."""
    found = _crossed(image, shape[0] * shape[1])
    least = max(1.0, min(ENOUGH * (shape[0] - 2) * (shape[1] - 2), ENOUGH * MOST_CANDIDATES / 2))
    if found is None or found.rows.crossings < least:
        return Seen(False)
    rows = found.rows
    step = float(np.median(np.abs(rows.steps[rows.exist[:, 1]])))
    return Seen(holds_board(found.near, found.fits, rows, found.saddles.strength, shape), step)


def _levels(image: Grey, half: Grey) -> Iterator[Grey]:
    """The image at the sizes that are looked at, the smallest first."""
    if image.size >= COARSE_PIXELS:
        yield reduced(half, 4, cv2.INTER_LINEAR)  # area means would cost more than all the rest
    if min(half.shape) >= 2 * SMALLEST_SIDE:
        yield reduced(half, 2)
    yield half
    if image.size <= FINE_PIXELS:
        yield image


def reduced(image: Grey, times: int, by: int = cv2.INTER_AREA) -> Grey:
    """The image so many times smaller; by area means, unless told otherwise."""
    # By factors, not by a size: those of odd sizes would not be whole, and five times slower.
    smaller = cv2.resize(image, None, fx=1 / times, fy=1 / times, interpolation=by)
    return np.asarray(smaller, np.uint8)


@dataclass(frozen=True)
class Saddles:
    """Places u + iv (n,) of saddles, the strength of their response, and their Hessians.

    A turn is exp(2ia) with the angle a of the larger curvature, a sum that of both curvatures over
    their difference: along the direction w, the second derivative is as sum + Re(w^2 conj(turn)).
    """

    places: Complex
    strength: Floats
    turns: Complex
    sums: Floats


@dataclass(frozen=True)
class Crossed:
    """Saddles with their neighbours, which of these fit, and the rows through each."""

    saddles: Saddles
    near: Near
    fits: Flags
    rows: Rows


def _crossed(image: Grey, count: int) -> Crossed | None:
    """The rows of saddles of an image that may show a board of `count` points; None: too few."""
    saddles = _saddles(image, min(CANDIDATES * count, MOST_CANDIDATES))
    if len(saddles.places) <= NEIGHBOURS:
        return None
    near = nearest(saddles.places)
    fits = _fits(saddles, near)
    return Crossed(saddles, near, fits, rows_through(near, fits))


def _fits(saddles: Saddles, near: Near) -> Flags:
    """Which neighbours (n, m) have black and white changed, and an edge that leads to them."""
    turns, sums = saddles.turns, saddles.sums
    there = near.indices
    alike = (turns[there] * turns.conj()[:, None]).real + sums[there] * sums[:, None]
    alike /= np.sqrt((1 + sums[there] ** 2) * (1 + sums[:, None] ** 2))
    ways = near.steps / np.abs(near.steps)
    towards = sums[:, None] + (ways**2 * turns.conj()[:, None]).real
    return np.asarray((alike < OPPOSITE) & (np.abs(towards) < ALONG_EDGE))


def _saddles(image: Grey, most: int) -> Saddles:
    """The strongest saddles of an image, looked for in strips, whose memory is used again."""
    step = max(STRIP_PIXELS // image.shape[1], HALO)
    strips = [_peaks(image, top, top + step) for top in range(0, image.shape[0], step)]
    columns, rows, strength, across, mixed, common = np.concatenate(strips, axis=1)
    best = _strongest(strength, most)
    turns = across[best] + 1j * mixed[best]
    size = np.abs(turns)
    return Saddles(
        columns[best] + 1j * rows[best], strength[best], turns / size, common[best] / size
    )


def _peaks(image: Grey, top: int, bottom: int) -> Floats:
    """(6, n) of the saddles in rows `top` to `bottom`: column, row, strength, Hessian.

    The Hessian as the difference of both second derivatives, twice the mixed one, and their sum.
    """
    first = max(top - HALO, 0)
    smooth = cv2.GaussianBlur(image[first : bottom + HALO], (5, 5), 1.2)
    xx, yy = (cv2.Sobel(smooth, cv2.CV_32F, *order, ksize=3) for order in ((2, 0), (0, 2)))
    mixed = cv2.Sobel(smooth, cv2.CV_32F, 1, 1, ksize=3, scale=2)
    across, common = cv2.subtract(xx, yy), cv2.add(xx, yy)
    size = cv2.magnitude(across, mixed)
    strength = cv2.scaleAdd(np.abs(common), -1 / LOPSIDED, size)
    peak = cv2.dilate(strength, np.ones((5, 5), np.uint8))
    inside = slice(top - first, bottom - first)
    found = np.flatnonzero((strength == peak)[inside] & (strength > FAINT)[inside])
    row, column = np.divmod(found, image.shape[1])
    values = [each[inside].ravel()[found] for each in (strength, across, mixed, common)]
    return np.stack([column, row + top, *values])


def _strongest(strength: Floats, most: int) -> NDArray[np.intp]:
    """The `most` strongest, without those that are weak beside as many as a board has."""
    if not len(strength):
        return np.empty(0, np.intp)
    kept = np.argpartition(-strength, min(most, len(strength) - 1))[:most]
    falling = kept[np.argsort(-strength[kept])]
    corners = strength[falling[: most // CANDIDATES]]
    return np.asarray(falling[strength[falling] > WEAK * np.median(corners)], np.intp)
