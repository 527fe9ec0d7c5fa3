"""A scene made of whole numbers alone: the same on every machine and in every library's version."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BANDS, ROWS, COLUMNS = 9, 14, 11


def hashed_scene() -> NDArray[np.float64]:
    """(bands, rows, columns): two smooth spectra, mixed, and evenly distributed noise."""
    b, r, c = np.ogrid[:BANDS, :ROWS, :COLUMNS]
    mixed = (r * 5 + c * 3) % 16 / 16
    number = ((b * ROWS + r) * COLUMNS + c + 1).astype(np.uint64)
    for factor, shift in ((2_246_822_519, 15), (3_266_489_917, 13), (668_265_263, 16)):
        number = (number * np.uint64(factor)) % np.uint64(2**32)
        number ^= number >> np.uint64(shift)
    noise = number.astype(np.float64) / 2**32 - 0.5
    return np.asarray(mixed * (b + 2) + (1 - mixed) * (20 - b * b / 8) + noise)
