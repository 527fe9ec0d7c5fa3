"""Calibration boards in grey images: one image in, the points on it or a reason out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from hsitool.errors import UsageError
from hsitool.maths.boards.board import Board
from hsitool.maths.boards.chessboard import find_accurately, find_classically, find_fast
from hsitool.maths.boards.corners import Grey, Grid, Points
from hsitool.maths.boards.patterns import find_charuco, find_circles

Method = Literal["fast", "accurate", "classic"]
LARGEST_WINDOW = 500
SMALLEST_IMAGE = 32
"""Pixels of the shorter side."""


@dataclass(frozen=True)
class Recipe:
    """How chessboards are looked for.

    `fast`: quick rejection, half size, refined at full size in windows tied to the spacing of
    corners; `accurate`: all detectors, the smoothest grid; `classic`: the standard detector and
    `cornerSubPix` with a half window of `window` px, down to steps of `eps_px`. Other targets
    know one way only.
    """

    method: Method = "fast"
    window: int = 11
    eps_px: float = 0.1

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise UsageError(f"recipe {self.method} is none of {', '.join(get_args(Method))}")
        if not 1 <= self.window <= LARGEST_WINDOW:
            raise UsageError(
                f"--subpix-window {self.window} is not a half window from 1 to {LARGEST_WINDOW} px"
            )
        if not (math.isfinite(self.eps_px) and self.eps_px > 0):
            raise UsageError(f"--subpix-eps {self.eps_px:g} is not a positive step in px")


@dataclass(frozen=True)
class Detection:
    """What was found in an image.

    `uv` (n, 2) in px, pixel centres at whole numbers; `ids` (n,) into `Board.points_mm`; both
    empty where the board was not found, and `reason` says why. `misfit_px` is the largest
    departure of a point from a smooth surface over the board.
    """

    uv: Points
    ids: NDArray[np.int64]
    detector: str = ""
    reason: str = ""
    misfit_px: float = math.nan

    @property
    def found(self) -> bool:
        """Whether there are points."""
        return len(self.uv) > 0


def detect(image: Grey, board: Board, recipe: Recipe | None = None) -> Detection:
    """Look for a board in a grey image (rows, columns), uint8. Several threads may call it."""
    one_thread()
    if min(image.shape) < SMALLEST_IMAGE:
        return missing(f"an image of {image.shape[1]}x{image.shape[0]} pixels is too small")
    image = np.ascontiguousarray(image)
    if board.target == "chess":
        return _chess(image, board, recipe or Recipe())
    if board.target == "charuco":
        ids, grid = find_charuco(image, board)
        if grid is None:
            return missing(f"too few corners of the {board} charuco board: {len(ids)} found")
        return Detection(grid.uv, ids, grid.detector, "", grid.misfit_px)
    return _whole(find_circles(image, board), board, "no grid of {} circles")


def missing(reason: str) -> Detection:
    """Nothing found."""
    return Detection(np.empty((0, 2)), np.empty(0, np.int64), reason=reason)


def one_thread() -> None:
    """OpenCV starts no threads of its own: ours, or processes, share the cores."""
    if cv2.getNumThreads() != 1:
        cv2.setNumThreads(1)


def _chess(image: Grey, board: Board, recipe: Recipe) -> Detection:
    shape = board.rows, board.columns
    if recipe.method == "classic":
        grid = find_classically(image, shape, recipe.window, recipe.eps_px)
    else:
        grid = (find_accurately if recipe.method == "accurate" else find_fast)(image, shape)
    return _whole(grid, board, "no chessboard of {} inner corners")


def _whole(grid: Grid | None, board: Board, reason: str) -> Detection:
    if grid is None:
        return missing(reason.format(board))
    ids = np.arange(board.count, dtype=np.int64)
    return Detection(grid.uv, ids, grid.detector, "", grid.misfit_px)
