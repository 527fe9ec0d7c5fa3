"""What was assumed in a calibration, and what to be careful about."""

from __future__ import annotations

from hsitool.maths.cameras.calibration_result import BoardFit, HalfSplit
from hsitool.maths.cameras.camera import Camera
from hsitool.maths.cameras.model_fits import Fits


def cautions(
    square_assumed: bool,
    fits: Fits,
    boards: tuple[BoardFit, BoardFit | None],
    split: HalfSplit | None,
    camera: Camera,
    unit: str,
) -> tuple[str, ...]:
    """One line each.

    Args:
        square_assumed: whether nothing was said of the pixels.
        fits: of the views.
        boards: with the rigid board and, where there is one, the free board.
        split: cross-validation by halves.
        camera: that is reported.
        unit: of the board.
    """
    found, (rigid, free) = [], boards
    if square_assumed:
        found.append("square pixels are assumed: the pixel pitch (--pitch) is not given")
    if fits.free_failed is not None:
        found.append(f"no free board: {fits.free_failed}")
    if free is not None:
        found += _board_warnings(rigid, free, unit)
    if split is not None and split.optimistic:
        found.append(
            f"two halves of the views disagree by {split.difference_px:.2g} px over the frame "
            f"where {split.predicted_px:.2g} px are predicted: the intervals are optimistic"
        )
    folding = camera.folds_at()
    if folding is not None:
        found.append(
            f"the distortion folds the image over at {folding:.0f} px from the principal point, "
            "inside the frame: no corners were seen there, or another lens model is needed"
        )
    return tuple(found)


def board_moves(rigid: BoardFit, free: BoardFit) -> bool:
    """Whether a free board moves the focal length by more than its error."""
    moved, se = _moved(rigid, free)
    return abs(moved) >= 3 * se


def _moved(rigid: BoardFit, free: BoardFit) -> tuple[float, float]:
    """What a free board does to f, and the standard error of f, in px."""
    moved = free.single.camera.fx - rigid.single.camera.fx
    se = free.single.standard_error("f") / free.single.value("f") * free.single.camera.fx
    return moved, se


def _board_warnings(rigid: BoardFit, free: BoardFit, unit: str) -> list[str]:
    if not board_moves(rigid, free):
        return []
    moved, se = _moved(rigid, free)
    board = free.two.board
    return [
        f"the board is not as drawn: stretched by {100 * (board.aspect - 1):+.2f} %, bowed by "
        f"{board.bow_x_mm:+.2g} and {board.bow_y_mm:+.2g} {unit}; fitting that "
        f"moves f by {moved:+.1f} px (+- {se:.1f}), and is reported (not by --board-model rigid)"
    ]
