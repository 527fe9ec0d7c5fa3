"""What is dark on a printed board, as shapes in mm: the drawing that its detectors look for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsitool.maths.boards.board import Board
from hsitool.maths.boards.patterns import charuco_pattern

Floats = NDArray[np.float64]

CIRCLE_RADIUS = 0.3
"""Per distance of the circles: larger ones are seen more surely, and stay apart when blurred."""


@dataclass(frozen=True, eq=False)
class Ink:
    """Dark boxes and discs, in mm from the board's first point, x along its rows, y down."""

    boxes: Floats
    """(n, 4): left, top, right, bottom."""
    discs: Floats
    """(n, 3): centre and radius."""
    extent: tuple[float, float, float, float]
    """Left, top, right, bottom of the whole pattern, white squares included."""


def ink_of(board: Board) -> Ink:
    """The ink of a board.

    Raises:
        UsageError: no dictionary of that name, or too few markers in it.
    """
    if board.target in ("circles", "acircles"):
        return _circles(board)
    boxes = _charuco(board) if board.target == "charuco" else _squares(board, _dark(board))
    side = board.square_mm
    extent = -side, -side, board.columns * side, board.rows * side
    return Ink(boxes, np.empty((0, 3)), extent)


def _dark(board: Board) -> NDArray[np.bool_]:
    """(rows + 1, columns + 1): the square before the first corner, at the top left, is dark.

    OpenCV's standard detector then counts from the top left of a board with an odd and an even
    count; other boards look the same upside down.
    """
    row, column = np.indices((board.rows + 1, board.columns + 1))
    return np.asarray((row + column) % 2 == 0, np.bool_)


def _squares(board: Board, dark: NDArray[np.bool_]) -> Floats:
    row, column = np.nonzero(dark)
    left, top = (column - 1) * board.square_mm, (row - 1) * board.square_mm
    return np.column_stack([left, top, left + board.square_mm, top + board.square_mm])


def _charuco(board: Board) -> Floats:
    """Squares without a marker are dark; OpenCV says where the markers are and what is in them."""
    pattern = charuco_pattern(board)
    dark = np.ones((board.rows + 1, board.columns + 1), bool)
    dictionary, boxes = pattern.getDictionary(), []
    cells = int(dictionary.markerSize) + 2
    for name, corners in zip(pattern.getIds(), pattern.getObjPoints(), strict=True):
        corner = np.asarray(corners, np.float64)[0, :2]
        column, row = (corner // board.square_mm).astype(int)
        dark[row, column] = False
        bits = dictionary.generateImageMarker(int(np.ravel(name)[0]), cells) == 0
        cell = (board.marker_mm or 0.0) / cells
        boxes.append(_runs(bits) * cell + np.tile(corner - board.square_mm, 2))
    return np.concatenate([_squares(board, dark), *boxes])


def _runs(bits: NDArray[np.bool_]) -> Floats:
    """(n, 4) boxes of the dark runs of each row, in cells."""
    found = []
    for row, line in enumerate(bits):
        steps = np.diff(np.concatenate([[0], line.astype(int), [0]]))
        ends = zip(np.flatnonzero(steps > 0), np.flatnonzero(steps < 0), strict=True)
        found += [(first, row, last, row + 1) for first, last in ends]
    return np.array(found, np.float64).reshape(-1, 4)


def _circles(board: Board) -> Ink:
    places = board.points_mm[:, :2]
    radius = CIRCLE_RADIUS * board.square_mm
    discs = np.column_stack([places, np.full(len(places), radius)])
    (left, top), (right, bottom) = places.min(axis=0) - radius, places.max(axis=0) + radius
    return Ink(np.empty((0, 4)), discs, (float(left), float(top), float(right), float(bottom)))
