"""Calibration boards: what is printed on them and where, and how a command line names them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hsitool.errors import UsageError

Target = Literal["chess", "charuco", "circles", "acircles"]
TARGETS: tuple[Target, ...] = get_args(Target)

MOST_POINTS = 10_000
"""Points of the largest board that is believed; no camera sees more of them apart."""

SMALLEST_SIDE = 3
"""Detectors need more than two points each way."""

UNITS_MM = {"um": 1e-3, "mm": 1.0, "cm": 10.0, "m": 1000.0, "in": 25.4}


@dataclass(frozen=True)
class Board:
    """A flat calibration target.

    `columns` and `rows` count inner corners (`chess`, `charuco`) or circles. `square_mm` is the
    side of a square, or the distance of adjacent circles; for `acircles`, whose rows are
    shifted in turns, it is half the distance of the circles of one row (as in OpenCV's samples).
    `marker_mm` and `dictionary` (OpenCV's name) belong to `charuco`; `legacy` is the pattern of
    OpenCV before 4.6, whose first square is white where the number of rows is odd.
    """

    columns: int
    rows: int
    square_mm: float = 1.0
    target: Target = "chess"
    marker_mm: float | None = None
    dictionary: str = "DICT_5X5_1000"
    legacy: bool = False

    def __post_init__(self) -> None:
        if self.target not in TARGETS:
            raise UsageError(f"--target {self.target} is none of {', '.join(TARGETS)}")
        if min(self.columns, self.rows) < SMALLEST_SIDE:
            raise UsageError(
                f"a board of {self} points is too small: detection needs at least "
                f"{SMALLEST_SIDE} inner corners or circles each way"
            )
        if self.count > MOST_POINTS:
            raise UsageError(f"a board of {self} has {self.count} points: at most {MOST_POINTS}")
        _require_length("the square", self.square_mm)
        if self.target == "charuco":
            self._require_marker()

    def _require_marker(self) -> None:
        if self.marker_mm is None:
            raise UsageError("a charuco board needs the side of its markers: give --marker 18mm")
        _require_length("the marker", self.marker_mm)
        if self.marker_mm >= self.square_mm:
            raise UsageError(
                f"a marker of {self.marker_mm:g} mm does not fit into a square of "
                f"{self.square_mm:g} mm: exchange --marker and --square?"
            )

    def __str__(self) -> str:
        return f"{self.columns}x{self.rows}"

    @property
    def count(self) -> int:
        """Number of points."""
        return self.columns * self.rows

    @property
    def grid(self) -> NDArray[np.float64]:
        """Positions (n, 2) in units of the square, in the detectors' order: along rows first."""
        row, column = np.divmod(np.arange(self.count), self.columns)
        if self.target == "acircles":
            column = 2 * column + row % 2
        return np.stack([column, row], axis=1).astype(np.float64)

    @property
    def points_mm(self) -> NDArray[np.float64]:
        """Object points (n, 3) in mm: x along a row, y down the rows, z = 0."""
        flat = np.zeros((self.count, 1))
        return np.hstack([self.grid * self.square_mm, flat])


def _require_length(what: str, millimetres: float) -> None:
    if not (math.isfinite(millimetres) and 0 < millimetres < 1e6):
        raise UsageError(f"{what} of {millimetres:g} mm is no length: give it as 25mm")


def parse_counts(text: str) -> tuple[int, int]:
    """Columns and rows of `9x6`.

    Raises:
        UsageError: it does not read so.
    """
    parts = text.strip().lower().replace("×", "x").split("x")
    if len(parts) != 2 or not all(p.strip().isascii() and p.strip().isdigit() for p in parts):
        raise UsageError(f"--board '{text}' is not COLUMNSxROWS: count inner corners, as 9x6")
    if max(map(len, parts)) > 6:
        raise UsageError(f"--board '{text}' has too many points: count inner corners, as 9x6")
    return int(parts[0]), int(parts[1])


def parse_length_mm(text: str, option: str = "--square") -> float:
    """Millimetres of `25mm`, `2.5cm`, `0.025m`, `1in`, or of a plain number of mm.

    Raises:
        UsageError: it is no positive length.
    """
    number, scale = text.strip().lower(), 1.0
    for unit in sorted(UNITS_MM, key=len, reverse=True):
        if number.endswith(unit):
            number, scale = number.removesuffix(unit), UNITS_MM[unit]
            break
    try:
        length = float(number) * scale
    except ValueError:
        length = math.nan
    if not 0 < length < math.inf:
        raise UsageError(f"{option} '{text}' is not a length: write it as 25mm")
    return length
