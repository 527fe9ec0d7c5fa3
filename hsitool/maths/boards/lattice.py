"""Points that lie in straight, evenly spaced rows, and the lattices that such rows make."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]
Complex = NDArray[np.complex128]
Indices = NDArray[np.intp]
Flags = NDArray[np.bool_]
Axes = tuple[complex, complex]
Links = list[list[tuple[complex, int]]]

NEIGHBOURS = 10
STRAIGHT = 0.2
"""How far from the midpoint of its two neighbours a point may be, in distances of these."""

ASTRAY = 0.3
"""How far from its expected place the next point of a lattice may be, in steps."""

AROUND = ((0, 1), (1, 0), (0, -1), (-1, 0))
TWO_WAYS = 0.85
"""Cosine, at most, between the directions of the two rows that meet in a point."""

BEYOND = 0.8
"""Share of a line from which on the lattice is believed to go on there: it is a larger board."""

WEAKER = 0.7
"""Strength of a line, at least, in that of the next line inside. Where the outer squares of a
chessboard end in white, there is a line of saddles, too, but of half the strength."""


@dataclass(frozen=True)
class Near:
    """Of n points the NEIGHBOURS nearest others: indices, and complex steps (n, m) to them."""

    indices: Indices
    steps: Complex


@dataclass(frozen=True)
class Rows:
    """The two even rows through each of n points, the shorter first.

    `steps` (n, 2) lead along them to the next point, as means of both sides; `exist` (n, 2) says
    whether there are such rows.
    """

    steps: Complex
    exist: Flags

    @property
    def crossings(self) -> int:
        """In how many points two rows meet."""
        return int(self.exist[:, 1].sum())


def nearest(places: Complex) -> Near:
    """Of more than NEIGHBOURS points u + iv. (SciPy's tree takes 0.2 s to import.)"""
    uv = np.stack([places.real, places.imag], axis=1).astype(np.float32)
    order: Any = cv2.batchDistance(uv, uv, cv2.CV_32F, normType=cv2.NORM_L2SQR, K=NEIGHBOURS + 1)[1]
    indices = np.asarray(order[:, 1:], np.intp)  # the first is the point itself
    return Near(indices, places[indices] - places[:, None])


def rows_through(near: Near, fits: Flags) -> Rows:
    """The shortest row through each point, and the shortest across; `fits` (n, m) as in Near."""
    one, other = np.triu_indices(NEIGHBOURS, 1)
    length = np.abs(near.steps)
    span = length[:, one] + length[:, other]
    even = np.abs(near.steps[:, one] + near.steps[:, other]) < STRAIGHT * span
    span = np.where(even & fits[:, one] & fits[:, other], span, np.inf)
    each = np.arange(len(span))
    first = span.argmin(axis=1)
    ways = (near.steps / length)[:, one]
    cosine = np.abs((ways * ways[each, first, None].conj()).real)
    across = np.where(cosine < TWO_WAYS, span, np.inf)
    chosen = np.stack([first, across.argmin(axis=1)], axis=1)
    exist = np.stack([span.min(axis=1), across.min(axis=1)], axis=1) < np.inf
    ahead, back = (near.steps[each[:, None], end[chosen]] for end in (one, other))
    return Rows((ahead - back) / 2, exist)


def holds_board(
    near: Near, fits: Flags, rows: Rows, strength: Floats, shape: tuple[int, int]
) -> bool:
    """Whether a lattice is a whole board of (rows, columns) points, and no larger one."""
    for grid in _grids(near, fits, rows, strength):
        if any(_is_board(grid, way) for way in {shape, shape[::-1]}):
            return True
    return False


def largest(near: Near, fits: Flags, rows: Rows) -> int:
    """Points of the largest lattice."""
    sizes = (int(grid.sum()) for grid in _grids(near, fits, rows, np.ones(len(fits))))
    return max(sizes, default=0)


def _grids(near: Near, fits: Flags, rows: Rows, strength: Floats) -> Iterator[Floats]:
    """Strengths of the points of each lattice, 0 where there is none."""
    unseen = set(np.nonzero(rows.exist[:, 1])[0].tolist())
    links = _links(near, fits)
    while unseen:
        seed = unseen.pop()
        cells = _grown(seed, tuple(rows.steps[seed].tolist()), links)
        unseen.difference_update(cells.values())
        taken = np.array(list(cells))
        taken -= taken.min(axis=0)
        grid = np.zeros(taken.max(axis=0) + 1)
        grid[tuple(taken.T)] = strength[list(cells.values())]
        yield grid


def _links(near: Near, fits: Flags) -> Links:
    """For each point the steps to the neighbours that fit, and these."""
    everything = zip(near.steps.tolist(), near.indices.tolist(), fits.tolist(), strict=True)
    return [
        [(step, end) for step, end, fit in zip(*point, strict=True) if fit] for point in everything
    ]


def _grown(seed: int, axes: Axes, links: Links) -> dict[tuple[int, int], int]:
    """The lattice around a point: points by their place on it.

    Axes are the steps to the next points. They are taken anew at each point and handed on, as
    they change little from one to the next, however distorted. (Plain numbers: NumPy takes three
    times as long for so few.)
    """
    cells, known = {(0, 0): seed}, {seed}
    todo: list[tuple[tuple[int, int], int, Axes]] = [((0, 0), seed, axes)]
    for (row, column), point, (right, below) in todo:  # grows meanwhile
        ways = [_next(links[point], step) for step in (right, below, -right, -below)]
        found = [step for step, _ in ways]
        axes = (found[0] - found[2]) / 2, (found[1] - found[3]) / 2
        for (down, across), (_, end) in zip(AROUND, ways, strict=True):
            cell = row + down, column + across
            if end >= 0 and end not in known and cell not in cells:
                cells[cell] = end
                known.add(end)
                todo.append((cell, end, axes))
    return cells


def _next(links: list[tuple[complex, int]], expected: complex) -> tuple[complex, int]:
    """The step that is nearest the expected one, and where it leads: -1 if it is astray."""
    nearest_, least = (expected, -1), ASTRAY * abs(expected)
    for link in links:
        off = abs(link[0] - expected)
        if off < least:
            nearest_, least = link, off
    return nearest_


def _is_board(grid: Floats, shape: tuple[int, int]) -> bool:
    """Whether some window of this shape is full, and the lattice ends on all of its sides.

    A board of which one corner is hidden is none: detectors would make that corner up.

    `grid` are strengths of a lattice's points, 0 where there is none.
    """
    framed = np.pad(grid, [(n, n) for n in shape])
    for top, left in np.argwhere(_full(framed > 0, shape)).tolist():
        around = framed[top - 1 : top + shape[0] + 1, left - 1 : left + shape[1] + 1]
        sides = (around[:, 1:-1], around[::-1, 1:-1], around[1:-1].T, around[1:-1, ::-1].T)
        if all(_begins_inside(lines[:3].tolist()) for lines in sides):
            return True
    return False


def _full(there: Flags, shape: tuple[int, int]) -> Flags:
    """At which upper left corners a window of this shape is full, by sums over windows."""
    sums = np.pad(there, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    down, along = shape
    inside = sums[down:, along:] - sums[:-down, along:] - sums[down:, :-along]
    return np.asarray(inside + sums[:-down, :-along] == down * along)


def _begins_inside(lines: list[list[float]]) -> bool:
    """Whether the second line is as strong as the third, and the first is not or is not there."""
    outside, first, next_ = lines
    seen = [strength for strength in outside if strength > 0]
    goes_on = len(seen) >= BEYOND * len(outside) and _not_weaker(seen, first)
    return not goes_on and _not_weaker(first, next_)


def _not_weaker(line: list[float], other: list[float]) -> bool:
    return _median(line) >= WEAKER * _median(other)


def _median(numbers: list[float]) -> float:
    """(For so few, NumPy's takes ten times as long.)"""
    ordered, half = sorted(numbers), len(numbers) // 2
    return (ordered[half] + ordered[-half - 1]) / 2
