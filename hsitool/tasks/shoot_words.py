"""What the options of `camera simulate` mean: ranges, shares and focal lengths as typed."""

from __future__ import annotations

import math

from hsitool.errors import UsageError
from hsitool.maths.boards.board import UNITS_MM, Board, parse_counts, parse_length_mm

Range = tuple[float, float]
MOST_DIFFERENCES = 20


def board(counts: str, square_mm: float | None) -> Board:
    """The board, of squares of 1 where their side is not known.

    Raises:
        UsageError: no board of that description.
    """
    return Board(*parse_counts(counts), 1.0 if square_mm is None else square_mm)


def number_range(text: str, option: str, unit: str, example: str) -> Range:
    """Both ends of `5:40` with an optional unit; a single number is both.

    Raises:
        UsageError: not one or two numbers.
    """
    parts = text.strip().lower().split(":")
    found = [_number(part.strip().removesuffix(unit)) for part in parts]
    if len(found) > 2 or not all(map(math.isfinite, found)):
        raise UsageError(f"{option} '{text}' is not {example}")
    return found[0], found[-1]


def share_range(text: str, option: str) -> Range:
    """Shares of `35:90%` (or `0.35:0.9`).

    Raises:
        UsageError: not such numbers.
    """
    low, high = number_range(text.replace("%", ""), option, "", "LOW:HIGH, as 35:90%")
    scale = 100 if "%" in text else 1
    return low / scale, high / scale


def length_range(text: str, option: str) -> Range:
    """mm of `0.5:1.2m`; the unit of the first end is that of the second unless it has its own.

    Raises:
        UsageError: not lengths.
    """
    low, _, high = text.strip().lower().partition(":")
    high = high or low
    unit = next((u for u in sorted(UNITS_MM, key=len)[::-1] if high.endswith(u)), "")
    if low and low[-1].isdigit():
        low += unit
    return parse_length_mm(low, option), parse_length_mm(high, option)


def relative(text: str, option: str) -> float:
    """A relative difference, of either sign: `0.1%`, `-0.1%` or `0.001`.

    Raises:
        UsageError: not such a number, or not within 50 %.
    """
    plain = text.strip()
    found = _number(plain.removesuffix("%")) / (100 if plain.endswith("%") else 1)
    if not abs(found) <= 0.5:
        raise UsageError(f"{option} '{text}' is no relative difference: write it as 0.1%")
    return found


def differences(text: str) -> tuple[float, ...]:
    """A list of differences of fx and fy, `0.03%,0.1%`.

    Raises:
        UsageError: one is none, or they are too many.
    """
    parts = text.split(",")
    if len(parts) > MOST_DIFFERENCES:
        raise UsageError(f"--differences has {len(parts)} numbers: at most {MOST_DIFFERENCES}")
    return tuple(relative(part, "--differences") for part in parts)


def pixels(text: str, option: str) -> float:
    """px of `0.2px` or `0.2`.

    Raises:
        UsageError: not a number above 0.
    """
    found = _number(text.strip().lower().removesuffix("px"))
    if not 0 < found < math.inf:
        raise UsageError(f"{option} '{text}' is not a number of px above 0: write it as 0.2px")
    return found


def focal_length(text: str) -> tuple[float, str]:
    """The number and unit of `1600px` or `8.5mm`; a plain number is px, other lengths are mm.

    Raises:
        UsageError: neither.
    """
    plain = text.strip().lower()
    if any(plain.endswith(unit) for unit in UNITS_MM):
        return parse_length_mm(plain, "--f"), "mm"
    return pixels(plain, "--f"), "px"


def bows(text: str) -> tuple[float, float]:
    """mm of `0.5mm,-0.3mm`, along the rows and along the columns of the board; one is both.

    Raises:
        UsageError: not one or two lengths.
    """
    parts = [part.strip() for part in text.split(",")]
    found = [_signed_mm(part) for part in parts]
    if len(found) > 2:
        raise UsageError(f"--bow '{text}' has {len(found)} lengths: give one, or x and y")
    return found[0], found[-1]


def coefficients(text: str, option: str, most: int) -> tuple[float, ...]:
    """Numbers, at most so many.

    Raises:
        UsageError: not such numbers.
    """
    found = tuple(_number(part) for part in text.split(","))
    if len(found) > most or not all(map(math.isfinite, found)):
        raise UsageError(f"{option} '{text}' is not a list of up to {most} numbers")
    return found


def _signed_mm(text: str) -> float:
    size = text.removeprefix("-")
    if _number(size.rstrip("umcin")) == 0:
        return 0.0  # which is no length of anything else
    return (-1 if text.startswith("-") else 1) * parse_length_mm(size, "--bow")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
