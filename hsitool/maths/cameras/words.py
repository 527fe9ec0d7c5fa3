"""Numbers of a calibration in words."""

from __future__ import annotations

import math


def with_error(value: float, se: float, *, sign: bool = False) -> str:
    """`533.09 +- 0.41`: the error to two digits, the value to the same place."""
    if not (math.isfinite(se) and se > 0):
        return f"{value:{'+' if sign else ''}.6g}"
    places = min(max(1 - math.floor(math.log10(se)), 0), 12)
    return f"{value:{'+' if sign else ''}.{places}f} +- {se:.{places}f}"
