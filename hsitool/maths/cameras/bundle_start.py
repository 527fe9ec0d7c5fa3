"""Where a bundle adjustment starts from: OpenCV's own calibration, without and with a guess."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from hsitool.errors import DataError
from hsitool.maths.cameras.bundle import rotation_matrices
from hsitool.maths.cameras.bundle_layout import Layout, PackedViews, State, residuals
from hsitool.maths.cameras.camera import BoardShape, Floats
from hsitool.maths.cameras.projection import camera_matrix

STOP = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 30, 1e-9)
"""A start need not be converged, since it is polished."""
SOLVER_FAILED = (cv2.error, SystemError)


def start(packed: PackedViews, layout: Layout, image_size: tuple[int, int]) -> State:
    """The start of lower cost.

    Raises:
        DataError: OpenCV finds none.
    """
    width, height = image_size
    largest = float(max(width, height))
    solver, guesses = _pinhole, [None, 1.2 * largest]
    if layout.model == "fisheye":
        solver, guesses = _fisheye, [None, largest / 2]
    found = []
    for guess in guesses:
        matrix = None
        if guess is not None:
            matrix = camera_matrix(np.array([guess, guess, (width - 1) / 2, (height - 1) / 2]))
        state = solver(packed, layout, image_size, matrix)
        if state is not None:
            found.append((_cost(packed, layout, state), state))
    finite = [pair for pair in found if np.isfinite(pair[0])]
    if not finite:
        raise DataError(
            "OpenCV finds no start for the calibration; check the board's counts and the corners"
        )
    return min(finite, key=lambda pair: pair[0])[1]


def _cost(packed: PackedViews, layout: Layout, state: State) -> float:
    with np.errstate(all="ignore"):
        return float(np.sum((residuals(packed, layout, state) * packed.weight[..., None]) ** 2))


def _lists(packed: PackedViews, dtype: type) -> tuple[list[Any], list[Any]]:
    """Board and image points of each view in the shape (1, n, axes), which all of OpenCV takes."""
    kept = packed.weight > 0
    board = [b[k].astype(dtype)[None] for b, k in zip(packed.board, kept, strict=True)]
    image = [i[k].astype(dtype)[None] for i, k in zip(packed.image, kept, strict=True)]
    return board, image


def _pinhole(
    packed: PackedViews, layout: Layout, image_size: tuple[int, int], matrix: Floats | None
) -> State | None:
    flags = {"k2": cv2.CALIB_FIX_K3, "k3": 0, "rational": cv2.CALIB_RATIONAL_MODEL}[layout.model]
    if "p1" not in layout.names:
        flags |= cv2.CALIB_ZERO_TANGENT_DIST
    if matrix is not None:
        flags |= cv2.CALIB_USE_INTRINSIC_GUESS
    board, image = _lists(packed, np.float32)  # float64 is refused
    calibrate: Any = cv2.calibrateCamera
    try:
        _, found, lens, turns, moves = calibrate(
            board, image, image_size, matrix, None, flags=flags, criteria=STOP
        )
    except SOLVER_FAILED:
        return None
    return _state(layout, found, np.ravel(lens)[: len(layout.table) - 4], turns, moves)


def _fisheye(
    packed: PackedViews, layout: Layout, image_size: tuple[int, int], matrix: Floats | None
) -> State | None:
    flags = cv2.CALIB_RECOMPUTE_EXTRINSIC | cv2.CALIB_FIX_SKEW
    if matrix is not None:
        flags |= cv2.CALIB_USE_INTRINSIC_GUESS
    board, image = _lists(packed, np.float64)
    calibrate: Any = cv2.fisheye.calibrate
    first = np.zeros((3, 3)) if matrix is None else matrix
    try:
        _, found, lens, turns, moves = calibrate(
            board, image, image_size, first, np.zeros((4, 1)), flags=flags, criteria=STOP
        )
    except SOLVER_FAILED:
        return None
    return _state(layout, found, np.ravel(lens), turns, moves)


def _state(layout: Layout, matrix: Any, lens: Any, turns: Any, moves: Any) -> State | None:
    intrinsics = np.array([matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2], *lens])
    turned = np.array([np.ravel(turn) for turn in turns], np.float64)
    moved = np.array([np.ravel(move) for move in moves], np.float64)
    if not (
        np.isfinite(intrinsics).all() and np.isfinite(turned).all() and np.isfinite(moved).all()
    ):
        return None
    parameters = layout.parameters(intrinsics, BoardShape())
    return State(parameters, rotation_matrices(turned), moved)
