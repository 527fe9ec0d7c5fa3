"""Numbers, sizes and matrices out of the data of a camera file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hsitool.errors import DataError
from hsitool.storage.camera_formats.document import LONGEST_NUMBER, shown

LARGEST_SIDE = 1_000_000
LONGEST_LIST = 200_000
SMALLEST_PITCH_MM, LARGEST_PITCH_MM = 1e-6, 10.0
UNIT_ROW = (0.0, 0.0, 1.0)
Record = Mapping[str, Any]


def record(value: Any, what: str = "the file") -> Record:
    """Data by name.

    Raises:
        DataError: something else.
    """
    if not isinstance(value, Mapping):
        raise DataError(f"{what} is no list of named values, as a camera needs")
    return value


def number(value: Any, what: str) -> float:
    """A number, also of a text as in XML.

    Raises:
        DataError: something else.
    """
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        if isinstance(value, str) and len(value) > LONGEST_NUMBER:
            raise ValueError
        return float(value)
    except (ValueError, OverflowError):
        raise DataError(f"{what} is {shown(repr(value))}, not a number") from None


def numbers(value: Any, what: str, counts: Iterable[int] = ()) -> list[float]:
    """Numbers of a list, of a list of lists, of a text, or of a matrix by rows.

    Raises:
        DataError: something else, or not as many as one of `counts`.
    """
    found = [number(part, what) for part in _flat(value, what)]
    allowed = tuple(counts)
    if allowed and len(found) not in allowed:
        wanted = " or ".join(map(str, allowed))
        raise DataError(f"{what} has {len(found)} numbers, not {wanted}")
    return found


def square(value: Any, what: str, side: int) -> list[list[float]]:
    """The rows of a square matrix.

    Raises:
        DataError: not so many numbers.
    """
    found = numbers(value, what, (side * side,))
    return [found[start : start + side] for start in range(0, len(found), side)]


def camera_matrix(value: Any, what: str) -> tuple[float, float, float, float, float]:
    """fx, skew, cx, fy, cy of K.

    Raises:
        DataError: its other numbers are not those of a camera matrix.
    """
    (fx, skew, cx), (low, fy, cy), last = square(value, what, 3)
    if low != 0 or tuple(last) != UNIT_ROW:
        turned = last[:2] != [0, 0] and (skew, cx, cy) == (0, 0, 0)
        advice = "it is transposed" if turned else "it should be fx s cx, 0 fy cy, 0 0 1"
        raise DataError(f"{what} is no camera matrix: {advice}")
    if fx == 0:
        raise DataError(f"{what} has fx 0: the camera is not calibrated")
    return fx, skew, cx, fy, cy


def image_size(width: Any, height: Any) -> tuple[int, int]:
    """(width, height) in px.

    Raises:
        DataError: no whole numbers that images have.
    """
    sides = number(width, "the image's width"), number(height, "the image's height")
    if not all(side.is_integer() and 1 <= side <= LARGEST_SIDE for side in sides):
        raise DataError(f"an image of {sides[0]:g} x {sides[1]:g} px cannot be")
    return int(sides[0]), int(sides[1])


def pitch_mm(value: Any) -> tuple[float, float] | None:
    """mm from pixel to pixel along x and y; None of None.

    Raises:
        DataError: no two numbers that pixels have.
    """
    if value is None:
        return None
    across, down = numbers(value, "the pixel pitch", (2,))
    if not all(SMALLEST_PITCH_MM < side < LARGEST_PITCH_MM for side in (across, down)):
        raise DataError(f"has a pixel pitch of {across:g}, {down:g} mm")
    return across, down


def pixels_per_mm(pitch: tuple[float, float] | None) -> tuple[float, float]:
    """Of both axes; 1 where the pitch is not known, so that focal lengths are in px."""
    return (1.0, 1.0) if pitch is None else (1 / pitch[0], 1 / pitch[1])


def texts(value: Any, what: str) -> tuple[str, ...]:
    """A list of texts.

    Raises:
        DataError: something else.
    """
    if not isinstance(value, Sequence) or not all(isinstance(part, str) for part in value):
        raise DataError(f"{what} is no list of texts")
    return tuple(value)


def named(names: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    """Coefficients by name; there may be fewer values than names."""
    return dict(zip(names, values, strict=False))


def _flat(value: Any, what: str) -> list[Any]:
    if isinstance(value, str):
        return _words(value, what)
    if isinstance(value, Mapping):
        return _matrix_data(value, what)
    if not isinstance(value, Sequence):
        raise DataError(f"{what} is {shown(repr(value))}, not numbers")
    return [part for row in value for part in (row if isinstance(row, list) else [row])]


def _words(text: str, what: str) -> list[str]:
    if len(text) > LONGEST_LIST:
        raise DataError(f"{what} has {len(text)} letters, more than its numbers need")
    return text.split()


def _matrix_data(value: Record, what: str) -> list[Any]:
    """Numbers of `rows`, `cols`, `data`, or `sizes`, `data`, as OpenCV and ROS have them."""
    data = value.get("data", [])
    found = _words(data, what) if isinstance(data, str) else data
    if not isinstance(found, list):
        raise DataError(f"{what} has no data")
    if "rows" in value or "cols" in value:
        rows, columns = (number(value.get(key), f"{what}: {key}") for key in ("rows", "cols"))
        if rows * columns != len(found):
            raise DataError(f"{what} is {rows:g} x {columns:g}, but has {len(found)} numbers")
    return found
