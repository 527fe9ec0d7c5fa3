"""Exact quantiles of float32 values in bounded memory: two passes, of 16 bits each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Singles = NDArray[np.float32]
Keys = NDArray[np.uint32]
Counts = NDArray[np.int64]

HALF = 16
SIGN = np.uint32(1 << 31)


def high_counts(values: Singles) -> Counts:
    """(65536,) how many values (no NaN) have each upper half, in ascending order of values."""
    return np.bincount(_keys(values) >> HALF, minlength=1 << HALF)


def low_counts(values: Singles, high: Sequence[int]) -> dict[int, Counts]:
    """The same of the lower halves, of the values with some upper halves."""
    keys = _keys(values)
    upper = keys >> HALF
    mask = np.uint32((1 << HALF) - 1)
    return {h: np.bincount(keys[upper == h] & mask, minlength=1 << HALF) for h in high}


def places(counts: Counts, ranks: Sequence[int]) -> list[tuple[int, int]]:
    """For each rank (from 0, ascending) the bin that holds it, and its rank within."""
    behind = np.cumsum(counts)
    bins = np.searchsorted(behind, ranks, side="right").tolist()
    return [(b, rank - int(behind[b] - counts[b])) for b, rank in zip(bins, ranks, strict=True)]


def values_of(found: Sequence[tuple[int, int]], low: Mapping[int, Counts]) -> list[float]:
    """The values at `places`, by the counts of lower halves."""
    keys = [(high << HALF) + places(low[high], [rank])[0][0] for high, rank in found]
    bits = np.array(keys, np.uint32)
    raw = np.where(bits & SIGN, bits ^ SIGN, ~bits)
    return [float(value) for value in raw.view(np.float32)]


def _keys(values: Singles) -> Keys:
    """Whole numbers in the order of the values: the sign bit is turned, and all bits below 0."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return np.where(bits & SIGN, ~bits, bits | SIGN)
