"""What the options of `calib` mean: lengths, sensors and tolerances as they are typed."""

from __future__ import annotations

import math

from hsitool.errors import UsageError
from hsitool.maths.boards.board import UNITS_MM, Board, Target, parse_counts, parse_length_mm
from hsitool.maths.cameras.camera import PIXELS, is_pixel

SMALLEST_MM, LARGEST_MM = 1e-3, 1e5
"""Of squares; of sensors as well."""

MICRO = str.maketrans({"\u00b5": "u", "\u03bc": "u"})
"""The micro sign and the Greek letter."""

LARGEST_MOSAIC = 32


def length_mm(text: str, option: str) -> float:
    """Millimetres of `25mm`, `1in`, or a plain number of mm.

    Raises:
        UsageError: no length, or none that boards have.
    """
    length = parse_length_mm(text, option)
    if not SMALLEST_MM <= length <= LARGEST_MM:
        raise UsageError(
            f"{option} '{text}' is {length:g} mm, no side of a square or marker: "
            "check number and unit, as in 25mm"
        )
    return length


def board(
    counts: str | None,
    square_mm: float | None,
    target: Target,
    dictionary: str,
    marker: str | None,
) -> Board | None:
    """The board, None where it is not named; its unit is the square where that is not known.

    Raises:
        UsageError: no board of that description.
    """
    if counts is None:
        return None
    columns, rows = parse_counts(counts)
    marker_mm = None if marker is None else length_mm(marker, "--marker")
    side = 1.0 if square_mm is None else square_mm
    if marker_mm is not None and square_mm is None:
        raise UsageError("--marker needs --square as well: their ratio tells where the markers are")
    return Board(columns, rows, side, target, marker_mm, dictionary)


def image_size(text: str) -> tuple[int, int]:
    """(width, height) of `640x480`.

    Raises:
        UsageError: not two whole numbers.
    """
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) != 2 or not all(p.isascii() and p.isdigit() and 0 < len(p) < 7 for p in parts):
        raise UsageError(f"--size '{text}' is not WIDTHxHEIGHT in px, as 640x480")
    return int(parts[0]), int(parts[1])


def mosaic(text: str) -> tuple[int, int]:
    """(across, down) filters of `4x4`.

    Raises:
        UsageError: not two whole numbers that a sensor may have.
    """
    parts = text.strip().lower().replace("×", "x").split("x")
    if len(parts) != 2 or not all(p.isascii() and p.isdigit() and len(p) < 4 for p in parts):
        raise UsageError(f"--mosaic '{text}' is not ACROSSxDOWN in filters, as 4x4")
    across, down = int(parts[0]), int(parts[1])
    if not (1 <= across <= LARGEST_MOSAIC and 1 <= down <= LARGEST_MOSAIC and across * down > 1):
        raise UsageError(
            f"--mosaic '{text}': a pattern has 2 to {LARGEST_MOSAIC}x{LARGEST_MOSAIC} filters"
        )
    return across, down


def pitch_mm(text: str) -> tuple[float, float]:
    """(px, py) of `3.45um` or `3.45um,3.5um`.

    Raises:
        UsageError: no lengths, or none that pixels have.
    """
    found = _lengths(text.split(","))
    if len(found) not in (1, 2) or not all(map(is_pixel, found)):
        raise UsageError(
            f"--pitch '{text}' is no size of a pixel ({PIXELS}), or of one along x and y: "
            "write it as 3.45um or 3.45um,3.5um"
        )
    return found[0], found[-1]


def pixels_per_mm(text: str) -> tuple[float, float]:
    """(mx, my) of `289.9` or `289.9,289.9`.

    Raises:
        UsageError: no numbers, or none that sensors have.
    """
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) not in (1, 2) or not all(value > 0 and is_pixel(1 / value) for value in found):
        raise UsageError(
            f"--m '{text}' is no number of pixels per mm (2 to 10000), or one along x and one "
            "along y: write it as 289.9 or 289.9,289.9"
        )
    return found[0], found[-1]


def sensor_mm(text: str) -> tuple[float, float]:
    """Width and height of `6.78x5.43mm`.

    Raises:
        UsageError: not two lengths, or none that sensors have.
    """
    lower = text.strip().lower().replace("×", "x")
    unit = next((u for u in sorted(UNITS_MM, key=len)[::-1] if lower.endswith(u)), "mm")
    found = _lengths([part.strip().removesuffix(unit) + unit for part in lower.split("x")])
    if len(found) != 2 or not all(SMALLEST_MM <= side <= LARGEST_MM for side in found):
        raise UsageError(f"--sensor '{text}' is no WIDTHxHEIGHT: write it as 6.78x5.43mm")
    return found[0], found[1]


def _lengths(parts: list[str]) -> list[float]:
    """In mm, `µm` included; none where one of them is no length."""
    try:
        return [parse_length_mm(part.translate(MICRO)) for part in parts]
    except UsageError:
        return []


def tolerance(text: str) -> tuple[float, float | None]:
    """The relative difference that matters of `0.1%` or `0.001`, and the px of `0.5px`.

    Raises:
        UsageError: not such a number, or not between 0 and 100 %.
    """
    number, unit = text.strip().lower(), ""
    for ending in ("%", "px"):
        if number.endswith(ending):
            number, unit = number.removesuffix(ending), ending
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if unit == "px" and 0 < value < math.inf:
        return 1e-3, value
    value = value / 100 if unit == "%" else value
    if unit == "px" or not 0 < value < 1:
        raise UsageError(f"--tol '{text}' is no tolerance: write it as 0.1% or 0.5px")
    return value, None
