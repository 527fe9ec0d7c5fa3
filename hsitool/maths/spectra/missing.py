"""Samples without a value: nodata, NaN and infinities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Samples = NDArray[Any]
Flags = NDArray[np.bool_]


class MissingRule:
    """Says which samples of one data type are missing.

    A sample is missing where it equals `nodata`, or is NaN or infinite. A nodata that the type
    cannot hold (NaN or -9999 in uint16) matches nothing; in a floating type it is rounded to the
    type first, as a file does when it stores it.
    """

    def __init__(self, dtype: DTypeLike, nodata: float | None = None) -> None:
        self.dtype = np.dtype(dtype)
        self.floating = self.dtype.kind in "fc"
        self.nodata = _stored(self.dtype, nodata)

    def found(self, samples: Samples) -> bool:
        """Whether any sample is missing.

        Least and greatest value tell most often, in two fast passes: NaN stays in them, infinity
        is one of them, and a nodata outside of them is not there.
        """
        if samples.size == 0 or (self.nodata is None and not self.floating):
            return False
        if samples.ndim > 1 and samples.strides[-2] < samples.strides[-1]:
            samples = samples.swapaxes(-1, -2)  # along the memory NumPy is three times as fast
        least = np.minimum.reduce(samples, axis=None)
        greatest = np.maximum.reduce(samples, axis=None)
        if self.floating and not (np.isfinite(least) and np.isfinite(greatest)):
            return True
        if self.nodata is None or not least <= self.nodata <= greatest:
            return False
        return bool((samples == self.nodata).any())

    def suspects(self, samples: Samples) -> Flags:
        """(lines, samples): the pixels of (lines, bands, samples) that may miss a sample.

        None that does is left out. Like `found`, in two passes, since most pixels miss nothing.
        """
        least = np.minimum.reduce(samples, axis=1)
        greatest = np.maximum.reduce(samples, axis=1)
        suspect: Flags = np.zeros(least.shape, bool)
        if self.floating:
            suspect |= ~(np.isfinite(least) & np.isfinite(greatest))
        if self.nodata is not None:
            suspect |= (least <= self.nodata) & (self.nodata <= greatest)
        return suspect

    def mask(self, samples: Samples) -> Flags:
        """True where a sample is missing; the same shape and memory order."""
        if self.floating:
            missing = np.isfinite(samples)
            np.logical_not(missing, out=missing)
        else:
            missing = np.zeros_like(samples, dtype=bool)
        if self.nodata is not None:
            missing |= samples == self.nodata
        return missing


def _stored(dtype: np.dtype[Any], nodata: float | None) -> Any:
    """`nodata` as a number of that type; None where none can be equal to it."""
    if nodata is None or not np.isfinite(nodata):
        return None
    if dtype.kind in "fc":
        with np.errstate(over="ignore"):
            return dtype.type(nodata)
    limits = np.iinfo(dtype)
    fits = float(nodata).is_integer() and limits.min <= int(nodata) <= limits.max
    return dtype.type(int(nodata)) if fits else None
