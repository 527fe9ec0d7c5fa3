"""Simulated views of boards: known cameras, boards, poses and noise, each from its seed.

The geometry unless said otherwise: 1280x1024 px, f = 1600 px, principal point (650, 500),
k1 = -0.2, k2 = 0.08, p1 = 5e-4, p2 = -3e-4; a board of 9x6 corners, 25 mm apart; tilts of 5 to 40
degrees towards any side, any roll, the board over 35 to 90 % of the frame's width, every corner at
least 8 px inside. Projection is written out here from the formulas, so that it is not OpenCV's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hsitool.maths.cameras.camera import BoardView

Floats = NDArray[np.float64]
SIZE = (1280, 1024)
DETECTION = cv2.CALIB_CB_ADAPTIVE_THRESH | cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_FAST_CHECK


@dataclass(frozen=True)
class Scene:
    """What is simulated. `ratio` is fy / fx; the board's errors are those of `BoardShape`."""

    views: int = 20
    noise_px: float = 0.3
    ratio: float = 1.0
    focal_px: float = 1600.0
    centre: tuple[float, float] = (650.0, 500.0)
    lens: tuple[float, ...] = (-0.2, 0.08, 5e-4, -3e-4)
    fisheye: bool = False
    size: tuple[int, int] = SIZE
    counts: tuple[int, int] = (9, 6)
    square_mm: float = 25.0
    tilt_deg: tuple[float, float] = (5.0, 40.0)
    roll: str = "any"
    """"any", "none" (within 3 degrees of 0) or "half" (every second view turned by 90)."""
    share: tuple[float, float] = (0.35, 0.9)
    aspect: float = 1.0
    shear: float = 0.0
    bow_mm: tuple[float, float] = (0.0, 0.0)
    outliers: float = 0.0
    """Share of points that are 3 px off in a random direction."""
    common_px: float = field(default=0.0)
    """Smooth error of each view: a random linear field of this standard deviation at its edge."""

    @property
    def intrinsics(self) -> Floats:
        """fx, fy, cx, cy, k1, k2, p1, p2 (k1 .. k4 of a fisheye)."""
        return np.array([self.focal_px, self.focal_px * self.ratio, *self.centre, *self.lens])


def grid(scene: Scene) -> Floats:
    """(n, 3) mm, as drawn."""
    columns, rows = scene.counts
    y, x = np.mgrid[:rows, :columns] * scene.square_mm
    return np.column_stack([x.ravel(), y.ravel(), np.zeros(x.size)])


def printed(scene: Scene) -> Floats:
    """(n, 3) mm from the board's centre, as printed."""
    x, y, _ = (grid(scene) - grid(scene).mean(axis=0)).T
    a, b = x / np.abs(x).max(), y / np.abs(y).max()
    bow = scene.bow_mm[0] * (1 - a**2) + scene.bow_mm[1] * (1 - b**2)
    return np.column_stack([x + scene.shear * y, scene.aspect * y, bow])


def projected(scene: Scene, points: Floats) -> Floats:
    """(n, 2) px of points in camera axes."""
    fx, fy, cx, cy = scene.intrinsics[:4]
    x, y = points[:, 0] / points[:, 2], points[:, 1] / points[:, 2]
    if scene.fisheye:
        k1, k2, k3, k4 = scene.lens
        radius = np.hypot(points[:, 0], points[:, 1])
        theta = np.arctan2(radius, points[:, 2])
        bent = theta * (1 + k1 * theta**2 + k2 * theta**4 + k3 * theta**6 + k4 * theta**8)
        scale = bent / np.where(radius > 0, radius, 1)
        return np.column_stack([fx * points[:, 0] * scale + cx, fy * points[:, 1] * scale + cy])
    k1, k2, p1, p2 = scene.lens
    r2 = x**2 + y**2
    radial = 1 + k1 * r2 + k2 * r2**2
    xd = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x**2)
    yd = y * radial + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y
    return np.column_stack([fx * xd + cx, fy * yd + cy])


def axis_rotation(axis: Floats, angle: float) -> Floats:
    """(3, 3) by Rodrigues' formula, radians."""
    x, y, z = axis / np.linalg.norm(axis)
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * skew @ skew


def pose(scene: Scene, rng: np.random.Generator, index: int) -> tuple[Floats, Floats]:
    """A rotation and a translation that show the whole board."""
    board, (width, height) = printed(scene), scene.size
    for _ in range(20_000):
        roll = rng.uniform(-np.pi, np.pi)
        if scene.roll != "any":
            roll = rng.normal(0, np.radians(1)) + (index % 2) * (scene.roll == "half") * np.pi / 2
        tilt, side = np.radians(rng.uniform(*scene.tilt_deg)), rng.uniform(-np.pi, np.pi)
        turn = axis_rotation(np.array([np.cos(side), np.sin(side), 0]), tilt)
        turn = turn @ axis_rotation(np.array([0, 0, 1.0]), roll)
        share = rng.uniform(*scene.share) * width
        depth = scene.focal_px * np.ptp(board[:, 0]) / share
        at = np.array([rng.uniform(0, width), rng.uniform(0, height)])
        shift = np.append((at - scene.centre) / scene.focal_px, 1.0) * depth
        points = board @ turn.T + shift
        if points[:, 2].min() <= 0:
            continue
        pixels = projected(scene, points)
        if (pixels >= 8).all() and (pixels <= np.array(scene.size) - 9).all():
            return turn, shift
    raise RuntimeError("no pose shows the whole board")


def simulate(scene: Scene, seed: int | np.random.Generator) -> list[BoardView]:
    """Views with their noise."""
    rng = np.random.default_rng(seed)
    board, drawn, views = printed(scene), grid(scene), []
    for index in range(scene.views):
        turn, shift = pose(scene, rng, index)
        pixels = projected(scene, board @ turn.T + shift)
        pixels = pixels + rng.normal(0, scene.noise_px, pixels.shape)
        if scene.common_px:
            across = (pixels - pixels.mean(axis=0)) / np.ptp(pixels, axis=0).max() * 2
            pixels = pixels + across @ rng.normal(0, scene.common_px, (2, 2))
        if scene.outliers:
            wrong = rng.random(len(pixels)) < scene.outliers
            angle = rng.uniform(-np.pi, np.pi, wrong.sum())
            pixels[wrong] += 3 * np.column_stack([np.cos(angle), np.sin(angle)])
        views.append(BoardView(f"view{index:02}", pixels, drawn))
    return views


def zhang(folder: Path) -> list[BoardView]:
    """Zhang's five lists of 256 corners; his model is in inches."""
    model = _pairs(folder / "Model.txt") * 25.4
    board = np.column_stack([model, np.zeros(len(model))])
    return [BoardView(f"data{i}", _pairs(folder / f"data{i}.txt"), board) for i in range(1, 6)]


def _pairs(path: Path) -> Floats:
    return np.array(path.read_text("utf-8").split(), np.float64).reshape(-1, 2)


def photographed(
    paths: Sequence[Path], half_window: int | None = None, eps: float = 0.001
) -> dict[str, tuple[BoardView, tuple[int, int]]]:
    """Views of a 9x6 chessboard of 25 mm with the sizes of their images, by OpenCV alone.

    Detected at full size, by the sector-based detector where that fails; refined within
    `half_window`, or 0.3 of the smallest distance of corners.
    """
    found = {}
    for path in paths:
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        ok, corners = cv2.findChessboardCorners(image, (9, 6), None, DETECTION)
        if not ok:
            ok, corners = cv2.findChessboardCornersSB(image, (9, 6), None)
        if ok:
            refined = _refined(image, corners, half_window, eps)
            view = BoardView(path.stem, refined, grid(Scene()))
            found[path.stem] = (view, (image.shape[1], image.shape[0]))
    return found


def _refined(image: Any, corners: Any, half_window: int | None, eps: float) -> Floats:
    places = np.ascontiguousarray(np.reshape(corners, (-1, 1, 2)), np.float32)
    rows = places.reshape(6, 9, 2)
    apart = min(np.hypot(*np.moveaxis(np.diff(rows, axis=k), -1, 0)).min() for k in (0, 1))
    half = half_window or max(2, int(0.3 * apart))
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 30 if half_window else 40, eps)
    cv2.cornerSubPix(image, places, (half, half), (-1, -1), criteria)
    return places.reshape(-1, 2).astype(np.float64)


def line_scanned(seed: int, views: int = 15, noise_px: float = 0.2) -> list[BoardView]:
    """A board below a line scanner: perspective across its line (f = 1600 px), none along y."""
    rng, scene = np.random.default_rng(seed), Scene()
    found = []
    for index in range(views):
        side, tilt = rng.uniform(-np.pi, np.pi), np.radians(rng.uniform(2, 20))
        turn = axis_rotation(np.array([np.cos(side), np.sin(side), 0]), tilt)
        turn = turn @ axis_rotation(np.array([0, 0, 1.0]), rng.uniform(-np.pi, np.pi))
        x, y, z = (printed(scene) @ turn.T + [0, 0, rng.uniform(500, 700)]).T
        seen = np.column_stack([1600 * x / z + 640, 2.7 * y + 512])
        seen = seen + rng.normal(0, noise_px, seen.shape)
        found.append(BoardView(f"scan{index:02}", seen, grid(scene)))
    return found
