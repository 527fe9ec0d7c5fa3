"""Numbers of a calibration in words."""

from __future__ import annotations

import math

Row = tuple[str, str]
"""A name and a text of a report; a row that continues the one above has no name."""


LARGEST_LOG = 700.0
"""A float64 holds the exponential of little more."""
LARGEST_ERROR = 1e6
"""Larger ones are told by powers of ten."""


def percent(value: float) -> str:
    """A difference of logarithms as signed per cent."""
    return f"{100 * (math.expm1(value) if value < LARGEST_LOG else math.inf):+.3f} %"


def with_error(value: float, se: float, *, sign: bool = False) -> str:
    """`533.09 +- 0.41`: the error to two digits, the value to the same place."""
    if not (math.isfinite(se) and se > 0):
        return f"{value:{'+' if sign else ''}.6g}"
    if se >= LARGEST_ERROR:
        return f"{value:{'+' if sign else ''}.6g} +- {se:.2g}"
    places = min(max(1 - math.floor(math.log10(se)), 0), 12)
    return f"{value:{'+' if sign else ''}.{places}f} +- {se:.{places}f}"
