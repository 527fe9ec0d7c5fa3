"""The boxes of an image that hold most weight."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hsitool.errors import DataError

Floats = NDArray[np.float64]

ROWS = 256  # worked on at a time


def box_sums(weights: Floats, height: int, width: int, out: Floats) -> None:
    """Into `out` (rows, columns) the weight in the box around each pixel of (rows, columns).

    The box of a pixel begins `height // 2` rows above it and `width // 2` columns before it; beyond
    the border and where a weight is NaN there is none. Terms are added in the same order for all
    pixels, so that equal boxes have equal sums.
    """
    rows, columns = weights.shape
    above, before = height // 2, width // 2
    for start in range(0, rows, ROWS):
        stop = min(start + ROWS, rows)
        first, last = start - above, stop - above + height - 1
        part = np.zeros((last - first, columns + width - 1))
        inside = slice(max(first, 0), min(last, rows))
        own = weights[inside]
        part[inside.start - first : inside.stop - first, before : before + columns] = np.where(
            np.isnan(own), 0.0, own
        )
        down = _added(part, height)
        out[start:stop] = _added(down.T, width).T


def _added(image: Floats, count: int) -> Floats:
    """Each row with the `count - 1` rows after it."""
    total = image[: len(image) - count + 1].copy()
    for shift in range(1, count):
        total += image[shift : shift + len(total)]
    return total


def best_boxes(
    sums: Floats, weights: Floats, allowed: tuple[range, range], shape: tuple[int, int], count: int
) -> list[tuple[tuple[int, int], float]]:
    """The `count` boxes that hold most and do not overlap: (row, column) and weight, best first.

    Args:
        sums: of `box_sums`; it is changed.
        weights: (rows, columns); pixels of NaN are no centres.
        allowed: rows and columns that centres may lie in.
        shape: height and width of the boxes.
        count: how many boxes.

    Raises:
        DataError: fewer boxes with any weight lie apart.
    """
    rows, columns = (slice(part.start, part.stop) for part in allowed)
    held, known = sums[rows, columns], weights[rows, columns]
    for start in range(0, len(held), ROWS):
        own = held[start : start + ROWS]
        own[np.isnan(known[start : start + ROWS])] = 0.0
    found: list[tuple[tuple[int, int], float]] = []
    for _ in range(count):
        row, column = _greatest(held)
        if not held[row, column] > 0:
            raise DataError(_few(len(found), count, shape))
        place = row + rows.start, column + columns.start
        found.append((place, float(held[row, column])))
        height, width = shape
        held[
            max(0, row - height + 1) : row + height, max(0, column - width + 1) : column + width
        ] = 0
    return found


def _greatest(held: Floats) -> tuple[int, int]:
    """The first of the largest."""
    tops = [float(held[start : start + ROWS].max()) for start in range(0, len(held), ROWS)]
    start = int(np.argmax(tops)) * ROWS
    row, column = divmod(int(np.argmax(held[start : start + ROWS])), held.shape[1])
    return start + row, column


def _few(found: int, count: int, shape: tuple[int, int]) -> str:
    box = f"{shape[0]} x {shape[1]} pixels"
    if not found:
        return f"no box of {box} has any weight: nothing can be chosen"
    return f"of {count} boxes of {box} that lie apart only {found} hold any weight: ask for fewer"
