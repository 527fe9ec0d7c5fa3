"""Make `corners.csv`: corners of a chessboard as a simulated camera sees them.

The lens has one focal length, 8.48 mm, and the sensor square pixels of 5.3 um, so that fx = fy =
1600 px. The board is not what its drawing says: the printer stretched it by 0.1 %, and it is bent.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SIZE = (1280, 1024)
FOCAL_PX = 1600.0
CENTRE = np.array([650.0, 500.0])
K1, K2, P1, P2 = -0.2, 0.08, 5e-4, -3e-4
COLUMNS, ROWS, SQUARE_MM = 9, 6, 25.0
STRETCH, BOW_MM = 1.001, 0.05
VIEWS, NOISE_PX, SEED = 12, 0.1, 7
MARGIN_PX = 12


def board() -> Floats:
    """(n, 3) mm as printed, from the board's centre, row by row."""
    y, x = np.mgrid[:ROWS, :COLUMNS] * SQUARE_MM
    x, y = x.ravel() - x.mean(), y.ravel() - y.mean()
    return np.stack([x, STRETCH * y, BOW_MM * (1 - (x / x.max()) ** 2)], axis=1)


def turned(axis: Floats, degrees: float) -> Floats:
    """(3, 3) rotation about a unit axis."""
    x, y, z = axis
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * skew @ skew


def seen(points: Floats) -> Floats:
    """(n, 2) px of points (n, 3) in camera axes (Brown's model of distortion)."""
    x, y = points[:, 0] / points[:, 2], points[:, 1] / points[:, 2]
    r2 = x**2 + y**2
    radial = 1 + K1 * r2 + K2 * r2**2
    bent_x = x * radial + 2 * P1 * x * y + P2 * (r2 + 2 * x**2)
    bent_y = y * radial + P1 * (r2 + 2 * y**2) + 2 * P2 * x * y
    return FOCAL_PX * np.stack([bent_x, bent_y], axis=1) + CENTRE


def view(rng: np.random.Generator, roll: float) -> Floats:
    """(n, 2) px of a pose that shows the whole board, tilted by 15 to 40 degrees."""
    while True:
        side = rng.uniform(0, 2 * np.pi)
        tilt = turned(np.array([np.cos(side), np.sin(side), 0]), rng.uniform(15, 40))
        about = turned(np.array([0, 0, 1.0]), roll + rng.normal(0, 4))
        depth = rng.uniform(350, 600)
        place = rng.uniform(-0.2, 0.2, 2) * depth
        pixels = seen(board() @ (tilt @ about).T + [*place, depth])
        inside = (pixels > MARGIN_PX) & (pixels < np.array(SIZE) - MARGIN_PX)
        if inside.all():
            return pixels + rng.normal(0, NOISE_PX, pixels.shape)


def main() -> None:
    """Write the list: every second view is turned by 90 degrees."""
    rng = np.random.default_rng(SEED)
    with (Path(__file__).parent / "corners.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["image", "columns", "rows", "point", "u", "v"])
        for number in range(VIEWS):
            pixels = view(rng, 90 * (number % 2))
            for point, (u, v) in enumerate(pixels):
                rows.writerow([f"view{number:02}", *SIZE, point, f"{u:.2f}", f"{v:.2f}"])


if __name__ == "__main__":
    main()
