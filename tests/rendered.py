"""Images of calibration boards, rendered with a known camera, blur and noise.

Chessboards are drawn analytically: the Gaussian-blurred edges of both directions multiplied, which
is exact where the lines cross at right angles and point-symmetric about the corner everywhere, so
that a corner of the image lies where `cv2.projectPoints` puts it. Other targets are drawn as a
texture, several times oversampled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from hsitool.maths.boards.board import Board

Floats = NDArray[np.float64]
DARK, BRIGHT, BEHIND = 40.0, 215.0, 120.0
MARGIN_PX = 4.0
EXACT = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 100, 1e-12)


@dataclass(frozen=True)
class Lens:
    """A camera: pixels, and distortion k1 k2 p1 p2 k3."""

    columns: int = 1280
    rows: int = 1024
    fx: float = 1600.0
    fy: float = 1600.0
    cx: float = 650.0
    cy: float = 500.0
    distortion: tuple[float, ...] = (-0.2, 0.08, 5e-4, -3e-4, 0.0)

    @property
    def matrix(self) -> Floats:
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1.0]])

    def project(self, points: Floats, pose: Pose) -> Floats:
        """Pixels (n, 2) of board points (n, 3) in mm."""
        points = points.reshape(-1, 1, 3)
        args = (pose.rotation, pose.translation, self.matrix, np.array(self.distortion))
        return cv2.projectPoints(points, *args)[0].reshape(-1, 2)

    def scaled(self, factor: float) -> Lens:
        """The same camera with finer pixels."""
        return replace(
            self,
            columns=round(self.columns * factor),
            rows=round(self.rows * factor),
            fx=self.fx * factor,
            fy=self.fy * factor,
            cx=(self.cx + 0.5) * factor - 0.5,
            cy=(self.cy + 0.5) * factor - 0.5,
        )


@dataclass(frozen=True)
class Pose:
    """Where the board is: rotation vector and translation in mm, of the board to the camera."""

    rotation: Floats
    translation: Floats


@dataclass(frozen=True)
class Look:
    """How an image looks: blur and noise as standard deviations in px and grey levels.

    `stretch` is the length of a printed mm along y over that along x, as of a bad printer.
    """

    blur_px: float = 0.7
    noise: float = 2.0
    stretch: float = 1.0


@dataclass(frozen=True)
class Rendered:
    """An image, the true corners (n, 2) in it and the pose."""

    image: NDArray[np.uint8]
    uv: Floats
    pose: Pose


@lru_cache(maxsize=4)
def rays(lens: Lens) -> Floats:
    """Undistorted directions (rows, columns, 2) of all pixels."""
    u, v = np.meshgrid(np.arange(lens.columns, dtype=float), np.arange(lens.rows, dtype=float))
    pixels = np.stack([u, v], -1).reshape(-1, 1, 2)
    distortion = np.array(lens.distortion)
    found = cv2.undistortPoints(pixels, lens.matrix, distortion, criteria=EXACT)
    return found.reshape(lens.rows, lens.columns, 2)


def on_board(lens: Lens, pose: Pose) -> Floats:
    """Where on the board's plane, in mm (rows, columns, 2), each pixel looks."""
    rotation = cv2.Rodrigues(pose.rotation)[0]
    back = np.linalg.inv(np.column_stack([rotation[:, :2], pose.translation]))
    directions = rays(lens)
    homogeneous = directions @ back[:, :2].T + back[:, 2]
    return homogeneous[..., :2] / homogeneous[..., 2:]


def render(board: Board, lens: Lens, pose: Pose, look: Look, rng: np.random.Generator) -> Rendered:
    """An image of a board, and its true corners."""
    printed = board.points_mm * [1, look.stretch, 1]
    if board.target == "chess":
        grey = _chess(board, on_board(lens, pose) / [1, look.stretch], look.blur_px)
    else:
        grey = _textured(board, lens, pose, look)
    grey = grey + look.noise * rng.standard_normal(grey.shape)
    image = np.clip(np.rint(grey), 0, 255).astype(np.uint8)
    return Rendered(image, lens.project(printed, pose), pose)


def _chess(board: Board, place_mm: Floats, blur_px: float) -> Floats:
    """Grey levels of a chessboard in a white frame, half a square wide, before a grey wall."""
    waves, print_, frame = 1.0, 1.0, 1.0
    sigma = np.hypot(blur_px, 1 / np.sqrt(12)) * np.sqrt(2)  # the pixel itself averages, too
    for axis, count in enumerate((board.columns, board.rows)):
        square = place_mm[..., axis] / board.square_mm
        px = 1 / np.hypot(*np.gradient(square)) / sigma
        line = np.clip(np.rint(square), 0, count - 1)
        waves = waves * (1 - 2 * (line % 2)) * erf((square - line) * px)
        beyond = np.abs(square - (count - 1) / 2) - (count + 1) / 2
        print_ = print_ * (0.5 - 0.5 * erf(beyond * px))
        frame = frame * (0.5 - 0.5 * erf((beyond - 0.5) * px))
    ink = (0.5 - 0.5 * waves) * print_
    return BEHIND + frame * (BRIGHT - (BRIGHT - DARK) * ink - BEHIND)


def _textured(board: Board, lens: Lens, pose: Pose, look: Look, finer: int = 3) -> Floats:
    """Grey levels of a ChArUco board or of circles, three times oversampled each way."""
    texture, per_mm, border_mm = _texture(board)
    fine = lens.scaled(finer)
    place = (on_board(fine, pose) / [1, look.stretch] + border_mm) * per_mm - 0.5
    grey = cv2.remap(
        texture, *cv2.split(place.astype(np.float32)), cv2.INTER_LINEAR, borderValue=(BEHIND,) * 4
    )
    grey = cv2.GaussianBlur(grey, (0, 0), look.blur_px * finer)
    return cv2.resize(grey, (lens.columns, lens.rows), interpolation=cv2.INTER_AREA).astype(float)


@lru_cache(maxsize=4)
def _texture(board: Board) -> tuple[NDArray[np.float32], float, float]:
    """A print: grey levels, px per mm, and the distance in mm from its edge to the first point."""
    per_square = 60
    per_mm = per_square / board.square_mm
    if board.target == "charuco":
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, board.dictionary))
        size = (board.columns + 1, board.rows + 1)
        print_ = cv2.aruco.CharucoBoard(size, board.square_mm, board.marker_mm or 0, dictionary)
        print_.setLegacyPattern(board.legacy)
        plain = print_.generateImage((size[0] * per_square, size[1] * per_square))
        framed = cv2.copyMakeBorder(plain, *[per_square // 2] * 4, cv2.BORDER_CONSTANT, value=255)
        border = 1.5
    else:
        grid, border = board.grid, 1.5
        width, height = (np.ceil((grid.max(axis=0) + 2 * border) * per_square)).astype(int)
        v, u = np.mgrid[:height, :width] + 0.5
        framed = np.full((height, width), 255, np.uint8)
        for x, y in (grid + border) * per_square:
            framed[np.hypot(u - x, v - y) < 0.3 * per_square] = 0
    grey = DARK + (BRIGHT - DARK) / 255 * framed.astype(np.float32)
    return grey, per_mm, border * board.square_mm


def poses(
    board: Board,
    lens: Lens,
    rng: np.random.Generator,
    *,
    roll: str = "any",
    tilt_degrees: tuple[float, float] = (5.0, 40.0),
    width_share: tuple[float, float] = (0.35, 0.9),
    stretch: float = 1.0,
) -> Iterator[Pose]:
    """Poses in which the whole board is seen: `roll` any, none (within 3 degrees), or half.

    With half, every second board is turned by 90 degrees.
    """
    outline = _outline(board) * [1, stretch, 1]
    centre = outline.mean(axis=0)
    turned = False
    while True:
        angle = _roll(roll, turned, rng)
        rotation = _rotation(np.radians(rng.uniform(*tilt_degrees)), rng, angle)
        extent = np.ptp(outline[:, 0]) * lens.fx / (lens.columns * rng.uniform(*width_share))
        sideways = rng.uniform(-0.5, 0.5, 2) * extent * [lens.columns, lens.rows] / lens.fx
        ahead = np.array([*sideways, extent])
        pose = Pose(cv2.Rodrigues(rotation)[0].ravel(), ahead - rotation @ centre)
        uv = lens.project(outline, pose)
        frame = np.array([lens.columns, lens.rows]) - 1 - MARGIN_PX
        if (uv > MARGIN_PX).all() and (uv < frame).all():
            yield pose
            turned = not turned


def _outline(board: Board) -> Floats:
    """Points (n, 3) in mm around the outer squares."""
    low, high = -1.0, board.grid.max(axis=0) + 1
    along = np.linspace(0, 1, 5)
    across = [(low + (high[0] - low) * t, y) for t in along for y in (low, high[1])]
    down = [(x, low + (high[1] - low) * t) for t in along for x in (low, high[0])]
    flat = np.array(across + down) * board.square_mm
    return np.hstack([flat, np.zeros((len(flat), 1))])


def _roll(kind: str, turned: bool, rng: np.random.Generator) -> float:
    if kind == "any":
        return float(rng.uniform(0, 2 * np.pi))
    quarter = np.pi / 2 if kind == "half" and turned else 0.0
    return float(quarter + np.radians(rng.uniform(-3, 3)))


def _rotation(tilt: float, rng: np.random.Generator, roll: float) -> Floats:
    """A board tilted about any axis in its plane, then rolled about the optical axis."""
    direction = rng.uniform(0, 2 * np.pi)
    tilted = cv2.Rodrigues(tilt * np.array([np.cos(direction), np.sin(direction), 0.0]))[0]
    return cv2.Rodrigues(np.array([0, 0, roll]))[0] @ tilted


def views(
    board: Board,
    lens: Lens,
    look: Look,
    count: int,
    rng: np.random.Generator,
    **spread: object,
) -> list[Rendered]:
    """So many images of a board; `spread` as for `poses`."""
    places = poses(board, lens, rng, stretch=look.stretch, **spread)  # type: ignore[arg-type]
    return [render(board, lens, next(places), look, rng) for _ in range(count)]
