"""What is asked of a calibration, checked; and which views can serve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hsitool.errors import DataError, UsageError
from hsitool.maths.cameras.calibration_result import Refusal
from hsitool.maths.cameras.camera import BoardView, Model, Sensor, Views
from hsitool.maths.cameras.model_fits import FEWEST_POINTS

BoardModel = Literal["auto", "rigid", "full"]
FEWEST_VIEWS_FREE = 8
MOST_POINTS = 1_000_000
FLAT = 1e-6
"""Height per size of a board that counts as flat."""


LEAST_TOL = 1e-9
"""Smallest tolerance of the difference of focal lengths."""


@dataclass(frozen=True)
class Request:
    """The settings of `calibrate`, checked."""

    sensor: Sensor
    model: Model
    tangential: bool
    board_model: BoardModel
    trim: bool
    tol: float
    unit: str = "mm"

    def __post_init__(self) -> None:
        if not LEAST_TOL <= self.tol < 1:
            raise UsageError(
                f"the tolerance must be between {100 * LEAST_TOL:g} and 100 %, "
                f"not {100 * self.tol:g} %"
            )
        if self.board_model not in ("auto", "rigid", "full"):
            raise UsageError(f"no board model {self.board_model!r}; choose auto, rigid or full")

    @property
    def focal(self) -> tuple[float, float]:
        """(mx, my): px per unit of the single f, per mm where the pitch is known."""
        return self.sensor.pixels_per_mm

    @property
    def expected(self) -> float:
        """ln(fx / fy) of one focal length."""
        return float(np.log(self.focal[0] / self.focal[1]))

    def frees_board(self, views: list[BoardView]) -> bool:
        """Whether a free board is to be fitted."""
        board = np.concatenate([view.object_mm for view in views])
        is_flat = np.ptp(board[:, 2]) <= FLAT * np.ptp(board[:, :2])
        if self.board_model == "full" and not is_flat:
            raise UsageError("the full board model is for flat boards; choose --board-model rigid")
        enough = self.board_model == "full" or len(views) >= FEWEST_VIEWS_FREE
        return bool(is_flat) and enough and self.board_model != "rigid"


def usable_views(
    views: Views, image_size: tuple[int, int]
) -> tuple[list[BoardView], list[Refusal]]:
    """The views that can serve, and the others with the reason.

    Raises:
        DataError: more points than a calibration takes.
    """
    points = sum(len(view.image_px) for view in views)
    if points > MOST_POINTS:
        raise DataError(
            f"{points} points are more than the {MOST_POINTS} that a calibration takes; "
            "use fewer views, or a smaller board"
        )
    kept: dict[bytes, BoardView] = {}
    refused = []
    for view in views:
        seen = view.image_px.tobytes()
        reason = _unusable(view, image_size)
        if reason is None and seen in kept:
            # Copies would make the calibration look surer than it is.
            reason = f"the same points as {kept[seen].name}"
        if reason is None:
            kept[seen] = view
        else:
            refused.append(Refusal(view.name, reason))
    return list(kept.values()), refused


def _unusable(view: BoardView, image_size: tuple[int, int]) -> str | None:
    """Why a view cannot serve."""
    count = len(view.image_px)
    if count < FEWEST_POINTS:
        return f"{count} points, fewer than {FEWEST_POINTS}"
    if (view.image_px < -1).any() or (view.image_px > image_size).any():
        return f"points outside the frame of {image_size[0]}x{image_size[1]} px"
    for points in (view.object_mm, view.image_px):
        sizes = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
        if sizes[1] <= 1e-6 * sizes[0]:
            return "all points on one line"
    return None
