"""The boxes of an image that hold most weight.

The box of a pixel begins `height // 2` rows above it and `width // 2` columns before it; beyond the
border, and where a weight is NaN, there is none. Terms are added in the same order for all pixels,
so that equal boxes have equal sums.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsitool.errors import DataError

Floats = NDArray[np.float64]

PIXELS = 2**20
"""Worked on at a time, but no fewer rows than `ROWS`."""

ROWS = 32

Rows = Callable[[int, int], Floats]
"""(rows, columns) the weights of the image's rows from the first up to before the last one."""


@dataclass(frozen=True)
class Box:
    """The pixel that a box belongs to, and the weight in the box."""

    row: int
    column: int
    held: float


def box_sums(weights: Floats, height: int, width: int) -> Floats:
    """(rows - height + 1, columns) the weight in the boxes whose rows are all there."""
    rows, columns = weights.shape
    padded = np.zeros((rows, columns + width - 1))
    before = width // 2
    padded[:, before : before + columns] = np.where(np.isnan(weights), 0.0, weights)
    return _added(_added(padded, height).T, width).T


def _added(image: Floats, count: int) -> Floats:
    """Each row with the `count - 1` rows after it."""
    total = image[: len(image) - count + 1].copy()
    for shift in range(1, count):
        total += image[shift : shift + len(total)]
    return total


def best_boxes(
    weights: Rows,
    allowed: tuple[range, range],
    shape: tuple[int, int],
    size: tuple[int, int],
    n: int,
) -> list[Box]:
    """The `n` boxes that hold most and do not overlap, best first.

    Args:
        weights: of an image, some rows at a time.
        allowed: rows and columns of the pixels that boxes may belong to; pixels of NaN may not.
        shape: rows and columns of the image.
        size: height and width of the boxes.
        n: how many boxes.

    Raises:
        DataError: fewer boxes with any weight lie apart.
    """
    height = max(ROWS, PIXELS // shape[1])
    starts = range(allowed[0].start, allowed[0].stop, height)
    parts = [range(start, min(start + height, allowed[0].stop)) for start in starts]
    found: list[Box] = []
    best: list[Box | None] = [None] * len(parts)
    while len(found) < n:
        for number, part in enumerate(parts):
            if best[number] is None:
                best[number] = _best_of(weights, part, allowed[1], shape, size, found)
        greatest = max((box for box in best if box is not None), key=lambda box: box.held)
        if not greatest.held > 0:
            raise DataError(_few(len(found), n, size))
        found.append(greatest)
        for number, part in enumerate(parts):  # what it does not overlap stays as it is
            if part.start - size[0] < greatest.row < part.stop + size[0]:
                best[number] = None
    return found


def _best_of(
    weights: Rows,
    part: range,
    columns: range,
    shape: tuple[int, int],
    size: tuple[int, int],
    taken: list[Box],
) -> Box:
    """The first of the best boxes of some rows that overlap none of those taken."""
    height, width = size
    first, last = part.start - height // 2, part.stop - height // 2 + height - 1
    around = np.zeros((last - first, shape[1]))
    inside = slice(max(first, 0), min(last, shape[0]))
    around[inside.start - first : inside.stop - first] = weights(inside.start, inside.stop)
    held = box_sums(around, height, width)[:, columns.start : columns.stop]
    own = around[height // 2 : height // 2 + len(part), columns.start : columns.stop]
    held[np.isnan(own)] = 0.0
    for box in taken:
        row, column = box.row - part.start, box.column - columns.start
        rows = slice(max(0, row - height + 1), max(0, row + height))
        held[rows, max(0, column - width + 1) : max(0, column + width)] = 0.0
    row, column = divmod(int(np.argmax(held)), held.shape[1])
    return Box(row + part.start, column + columns.start, float(held[row, column]))


def _few(found: int, n: int, size: tuple[int, int]) -> str:
    box = f"{size[0]} x {size[1]} pixels"
    if not found:
        return f"no box of {box} has any weight: nothing can be chosen"
    return f"of {n} boxes of {box} that lie apart only {found} hold any weight: ask for fewer"
