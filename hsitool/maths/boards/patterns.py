"""ChArUco boards, of which any part may be seen, and grids of circles."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hsitool.errors import UsageError
from hsitool.maths.boards.board import Board
from hsitool.maths.boards.corners import (
    REFINE_PX,
    REFINE_STEPS,
    SMALLEST_WINDOW,
    WINDOW_SHARE,
    Grey,
    Grid,
    Points,
    measured,
    refine,
    right_handed,
)
from hsitool.maths.boards.gate import may_hold_charuco, may_hold_circles, reduced

LEAST_CORNERS = 6
"""Fewer corners of a ChArUco board say little, and nothing about whether they are right."""

MOST_BLOBS = 2
"""Dark blobs that are searched for a grid, in multiples of its circles."""

LIKE_SIZE = 2.5
"""Diameter of a circle, at most, in that of the middle one; far more than perspective does."""

Ids = NDArray[np.int64]


def find_charuco(image: Grey, board: Board) -> tuple[Ids, Grid | None]:
    """Ids and corners of the part of a ChArUco board that is seen; None where that is too little.

    The corners are always refined: those of OpenCV 4.12 are 0.5 px off. Boards of the other
    (`legacy`) pattern are recognised from the same markers.
    """
    half = reduced(image, 2)
    if not (_shows_marker(half, board) or may_hold_charuco(image, half, board.count)):
        return np.empty(0, np.int64), None
    uv, ids, markers, names = _charuco_detector(board).detectBoard(image)
    if ids is None and names is not None and len(names):
        other = _charuco_detector(replace(board, legacy=not board.legacy))
        uv, ids = other.detectBoard(image, None, None, markers, names)[:2]
    if ids is None:
        return np.empty(0, np.int64), None
    ids = np.asarray(ids, np.int64).reshape(-1)
    uv = np.asarray(uv, np.float64).reshape(-1, 2)
    places = board.grid[ids]
    if len(ids) < LEAST_CORNERS or min(np.ptp(places, axis=0)) == 0:
        return ids, None
    window = max(SMALLEST_WINDOW, int(clear_share(board) * _spacing(uv, places)))
    refined = refine(image, uv, window, REFINE_STEPS, REFINE_PX)
    moved = float(np.linalg.norm(refined - uv, axis=1).max())
    return ids, measured(refined, places, "charuco", moved)


def _shows_marker(half: Grey, board: Board) -> bool:
    """Whether one marker at least is seen at half size, where looking costs a tenth."""
    names = _marker_detector(board).detectMarkers(half)[1]
    return names is not None and len(names) > 0


def clear_share(board: Board) -> float:
    """Half of the sub-pixel window in squares, so that no marker reaches into it."""
    gap = (board.square_mm - (board.marker_mm or 0.0)) / 2 / board.square_mm
    return min(WINDOW_SHARE, gap)


def _spacing(uv: Points, places: Points) -> float:
    """The smallest distance in px of two points over that on the board, in px per square."""
    apart = np.linalg.norm(places[:, None] - places, axis=-1)
    px = np.linalg.norm(uv[:, None] - uv, axis=-1)
    near = (apart > 0) & (apart < 1.5)
    return float((px[near] / apart[near]).min()) if near.any() else 0.0


@lru_cache(maxsize=4)
def _charuco_detector(board: Board) -> Any:
    return cv2.aruco.CharucoDetector(charuco_pattern(board))


@lru_cache(maxsize=4)
def _marker_detector(board: Board) -> Any:
    """Of markers of usual size only: in textures, narrow windows find outlines everywhere."""
    settings = cv2.aruco.DetectorParameters()
    settings.adaptiveThreshWinSizeMin = settings.adaptiveThreshWinSizeMax
    return cv2.aruco.ArucoDetector(charuco_pattern(board).getDictionary(), settings)


def charuco_pattern(board: Board) -> Any:
    """OpenCV's description (`cv2.aruco.CharucoBoard`) of a ChArUco board.

    Raises:
        UsageError: no dictionary of that name, or too few markers in it.
    """
    dictionary = getattr(cv2.aruco, board.dictionary, None)
    if not isinstance(dictionary, int) or not board.dictionary.startswith("DICT_"):
        known = sorted(name for name in dir(cv2.aruco) if name.startswith("DICT_"))
        raise UsageError(f"--dict {board.dictionary} is none of {', '.join(known)}")
    markers = cv2.aruco.getPredefinedDictionary(dictionary)
    size = board.columns + 1, board.rows + 1
    if (needed := size[0] * size[1] // 2) > len(markers.bytesList):
        raise UsageError(
            f"{board.dictionary} has {len(markers.bytesList)} markers, a {board} charuco board "
            f"needs {needed}: name the dictionary that was printed"
        )
    # A candidate is compared with each marker, which takes most of the time: with those printed.
    printed = cv2.aruco.Dictionary(
        markers.bytesList[:needed], markers.markerSize, markers.maxCorrectionBits
    )
    pattern = cv2.aruco.CharucoBoard(size, board.square_mm, board.marker_mm or 0.0, printed)
    pattern.setLegacyPattern(board.legacy)
    return pattern


def find_circles(image: Grey, board: Board) -> Grid | None:
    """A whole grid of dark circles on a bright board, at the centres of their blobs."""
    even = board.target == "circles"
    if not may_hold_circles(image, board):
        return None
    kind = cv2.CALIB_CB_SYMMETRIC_GRID if even else cv2.CALIB_CB_ASYMMETRIC_GRID
    size = board.columns, board.rows
    blobs = _blobs(image.size // board.count).detect(image)
    centres = _of_like_size(blobs, board.count)
    if not board.count <= len(centres) <= MOST_BLOBS * board.count:
        return None  # among too many, OpenCV would search for minutes
    find: Any = cv2.findCirclesGrid  # without a detector it takes points, which its types deny
    for flags in (kind, kind | cv2.CALIB_CB_CLUSTERING):
        found, uv = find(centres, size, flags, None, cv2.CirclesGridFinderParameters())
        if found:
            points = np.asarray(uv, np.float64).reshape(-1, 2)
            points = right_handed(points, size[::-1]) if even else points
            return measured(points, board.grid, "circles", 0.0)
    return None


def _of_like_size(blobs: Any, count: int) -> NDArray[np.float32]:
    """Centres (n, 1, 2) of blobs about as large as the largest `count` of them are."""
    size = np.array([blob.size for blob in blobs])
    typical = np.median(np.sort(size)[-count:]) if len(size) else 0.0
    kept = [blob.pt for blob in blobs if typical / LIKE_SIZE < blob.size < typical * LIKE_SIZE]
    return np.array(kept, np.float32).reshape(-1, 1, 2)


def _blobs(largest: int) -> Any:
    """A detector of dark blobs, of any size up to their share of the image; OpenCV's: 5000 px."""
    settings = cv2.SimpleBlobDetector.Params()
    settings.minArea, settings.maxArea = 20.0, float(max(largest, 100))
    settings.minDistBetweenBlobs = 5.0
    return cv2.SimpleBlobDetector.create(settings)
