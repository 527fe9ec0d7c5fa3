"""Make `corners.csv` and `band_corners.csv`: corners that a simulated camera sees of a chessboard.

The lens has one focal length, 8.48 mm, and the sensor square pixels of 5.3 um, so that fx = fy =
1600 px. The board is not what its drawing says: the printer stretched it by 0.1 %, and it is bent.
In `band_corners.csv` the lens has colours: focal length and image centre change with wavelength.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SIZE = (1280, 1024)
FOCAL_PX = 1600.0
CENTRE = np.array([650.0, 500.0])
K1, K2, P1, P2 = -0.2, 0.08, 5e-4, -3e-4
SQUARE_MM = 25.0
STRETCH, BOW_MM = 1.001, 0.05
NOISE_PX = 0.1
MARGIN_PX = 12

BANDS_NM = (450.0, 500.0, 560.0, 650.0, 750.0, 850.0)
CHROMATIC = 1.5e-3
"""Change of the focal length, times (560 nm / wavelength)^2 - 1."""
LATERAL_PX = np.array([0.5, -0.3])
"""Change of the image centre, likewise."""


def board(columns: int, rows: int) -> Floats:
    """(n, 3) mm as printed, from the board's centre, row by row."""
    y, x = np.mgrid[:rows, :columns] * SQUARE_MM
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


def view(rng: np.random.Generator, points: Floats, roll: float) -> Floats:
    """(n, 2) px of a pose that shows the whole board, tilted by 15 to 40 degrees."""
    while True:
        side = rng.uniform(0, 2 * np.pi)
        tilt = turned(np.array([np.cos(side), np.sin(side), 0]), rng.uniform(15, 40))
        about = turned(np.array([0, 0, 1.0]), roll + rng.normal(0, 4))
        depth = rng.uniform(350, 600)
        place = rng.uniform(-0.2, 0.2, 2) * depth
        pixels = seen(points @ (tilt @ about).T + [*place, depth])
        inside = (pixels > MARGIN_PX) & (pixels < np.array(SIZE) - MARGIN_PX)
        if inside.all():
            return pixels


def in_band(pixels: Floats, wavelength_nm: float) -> Floats:
    """Where a band sees what the band of 560 nm sees at `pixels`."""
    away = (560 / wavelength_nm) ** 2 - 1
    return pixels + CHROMATIC * away * (CENTRE - pixels) + LATERAL_PX * away


def write(name: str, header: list[str], rows: Iterable[Sequence[object]]) -> None:
    """A list beside this script."""
    with (Path(__file__).parent / name).open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(header)
        table.writerows(rows)


def lines(image: str, pixels: Floats, *more: object) -> Iterator[Sequence[object]]:
    """The points of one image."""
    for point, (u, v) in enumerate(pixels):
        yield image, *SIZE, point, f"{u:.2f}", f"{v:.2f}", *more


def plain() -> Iterator[Sequence[object]]:
    """12 views of 9 x 6 corners; every second one is turned by 90 degrees."""
    rng = np.random.default_rng(7)
    for number in range(12):
        pixels = view(rng, board(9, 6), 90 * (number % 2))
        yield from lines(f"view{number:02}", pixels + rng.normal(0, NOISE_PX, pixels.shape))


def by_band() -> Iterator[Sequence[object]]:
    """8 views of 7 x 5 corners in each band."""
    rng = np.random.default_rng(8)
    for number in range(8):
        pixels = view(rng, board(7, 5), 90 * (number % 2))
        for band, wavelength in enumerate(BANDS_NM, 1):
            noisy = in_band(pixels, wavelength) + rng.normal(0, NOISE_PX, pixels.shape)
            yield from lines(f"view{number:02}", noisy, band, f"{wavelength:g}")


def main() -> None:
    """Write both lists."""
    header = ["image", "columns", "rows", "point", "u", "v"]
    write("corners.csv", header, plain())
    write("band_corners.csv", [*header, "band", "wavelength_nm"], by_band())


if __name__ == "__main__":
    main()
