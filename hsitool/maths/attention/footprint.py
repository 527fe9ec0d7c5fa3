"""What the pixels of a view gather: linear interpolation, smoothed where the view is coarser.

A view whose pixels are s px of the image apart along an axis shows what is finer as patterns that
are not there, unless it is smoothed first: by a Gaussian of sigma = sqrt(s^2 - 1) / 2 px along each
singular axis of the map on which s > 1. The interpolated image is weighed at places on a lattice
along these axes, which is the Gaussian filter followed by linear interpolation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.sparse import csr_array  # type: ignore[import-untyped]

from hsitool.maths.attention.warp import LEAST_WEIGHT, rounded

Floats = NDArray[np.float64]

REACH = 3.0
"""Sigmas at which the Gaussian ends."""

ALIKE = 1e-9
"""Singular values that differ less, relatively, are one: any axes serve."""


@dataclass(frozen=True, eq=False)
class Footprint:
    """Places about that of a pixel, (places,) in columns and rows of the image, and their shares.

    The shares sum to 1.
    """

    columns: Floats
    rows: Floats
    shares: Floats

    @property
    def reach(self) -> int:
        """Whole px that places are away at most."""
        return math.ceil(max(float(np.abs(self.columns).max()), float(np.abs(self.rows).max())))


POINT = Footprint(np.zeros(1), np.zeros(1), np.ones(1))
"""Linear interpolation alone."""


def footprint(linear: Floats) -> Footprint:
    """What pixels gather that are `linear` (2, 2) px of the image apart."""
    axes, scales, _ = np.linalg.svd(linear)
    if scales[0] <= 1:
        return POINT
    if scales[0] - scales[1] <= ALIKE * scales[0]:
        axes = np.eye(2)
    sigmas = [math.sqrt(max(s * s - 1, 0.0)) / 2 for s in scales.tolist()]
    (first, near), (second, far) = (_lattice(sigma) for sigma in sigmas)
    inside = near[:, None] ** 2 + far**2 <= REACH**2
    shares = np.exp(-(near[:, None] ** 2 + far**2) / 2)[inside]
    along = np.stack(np.broadcast_arrays(first[:, None], second))[:, inside]
    columns, rows = rounded(axes @ along)
    return Footprint(columns, rows, shares / shares.sum())


def _lattice(sigma: float) -> tuple[Floats, Floats]:
    """Places along an axis, no further apart than a pixel or sigma; in px and in sigmas."""
    if sigma == 0:
        return np.zeros(1), np.zeros(1)
    step = min(1.0, sigma)
    count = math.floor(REACH * sigma / step * (1 + 1e-12))
    places = step * np.arange(-count, count + 1, dtype=np.float64)
    return places, places / sigma


@dataclass(frozen=True, eq=False)
class Gathered:
    """Weights of samples for some pixels: those of a pixel that lie in the image, which sum to 1.

    Attributes:
        matrix: sparse, (pixels, size of the memory).
        inside: (pixels,) the part of each footprint that lies in the image.
    """

    matrix: Any
    inside: Floats

    def of(self, samples: NDArray[Any]) -> NDArray[Any]:
        """(pixels, bands) of samples (size, bands), which are missing where not finite.

        The weighted mean of those that are there; NaN where they have less than half the weight.
        """
        made: NDArray[Any] = self.matrix @ samples
        holes = ~np.isfinite(made).all(axis=1)
        if holes.any():
            made[holes] = self._mended(np.flatnonzero(holes), samples)
        made[self.inside < LEAST_WEIGHT] = np.nan
        return made

    def _mended(self, pixels: NDArray[np.intp], samples: NDArray[Any]) -> NDArray[Any]:
        some = self.matrix[pixels]
        taken, places = np.unique(some.indices, return_inverse=True)
        some = csr_array((some.data, places, some.indptr), shape=(len(pixels), len(taken)))
        values = samples[taken]
        there = np.isfinite(values)
        total = some @ np.where(there, values, values.dtype.type(0))
        weight = some @ there.astype(values.dtype)
        enough = weight * self.inside[pixels, None] >= LEAST_WEIGHT
        result: NDArray[Any] = np.where(enough, total, np.nan) / np.where(enough, weight, 1)
        return result


def gathered(
    places: tuple[Floats, Floats],
    shape: tuple[int, int],
    foot: Footprint,
    memory: tuple[NDArray[Any], int],
    dtype: DTypeLike,
) -> Gathered:
    """The weights of pixels at `places` (columns and rows, (n,) each, from the first centre).

    `shape` is (rows, columns) of the image, `memory` where its rows begin and the size of it;
    `dtype` is that of the weights.
    """
    starts, size = memory
    weights, columns, rows = _windows(places, foot)
    width = columns.shape[1]
    across = (columns >= 0) & (columns < shape[1])
    down = (rows >= 0) & (rows < shape[0])
    weights *= down[:, :, None]
    weights *= across[:, None, :]
    inside = weights.sum(axis=(1, 2))
    weights /= np.where(inside > 0, inside, 1.0)[:, None, None]
    index = (
        starts[np.where(down, rows, 0)][:, :, None]
        + np.where(across, columns, 0).astype(starts.dtype)[:, None, :]
    )
    taken = weights.reshape(-1, width * width) > 0
    ends = np.concatenate([[0], np.cumsum(np.count_nonzero(taken, axis=1))])
    parts = (
        weights.reshape(taken.shape)[taken].astype(dtype),
        index.reshape(taken.shape)[taken],
        ends.astype(index.dtype),
    )
    return Gathered(csr_array(parts, shape=(len(taken), size)), inside)


def _windows(
    places: tuple[Floats, Floats], foot: Footprint
) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """(n, width, width) weights of the samples about places, their columns and rows (n, width)."""
    reach = foot.reach
    width = 2 * reach + 2
    lefts, across = zip(*(_split(place) for place in places), strict=True)
    flat = np.zeros(len(places[0]) * width * width)
    for start in range(0, len(foot.shares), PLACES_AT_ONCE):
        part = slice(start, start + PLACES_AT_ONCE)
        flat += _spread((across[0], across[1]), foot, part, width)
    window = np.arange(-reach, reach + 2)
    columns, rows = (left[:, None] + window for left in lefts)
    return flat.reshape(-1, width, width), columns, rows


PLACES_AT_ONCE = 2**14


def _split(place: Floats) -> tuple[NDArray[np.int64], Floats]:
    whole = np.floor(place)
    return whole.astype(np.int64), place - whole


def _spread(part: tuple[Floats, Floats], foot: Footprint, some: slice, width: int) -> Floats:
    """The weights of some places of a footprint, on all four samples about each."""
    whole_x, x = _split(part[0][:, None] + foot.columns[some])
    whole_y, y = _split(part[1][:, None] + foot.rows[some])
    reach = width // 2 - 1
    base = np.arange(len(x))[:, None] * width + whole_y + reach
    base = base * width + whole_x + reach
    size = len(x) * width * width
    share = foot.shares[some]
    total = np.zeros(size)
    for step, weight in (
        (0, (1 - x) * (1 - y)),
        (1, x * (1 - y)),
        (width, (1 - x) * y),
        (width + 1, x * y),
    ):
        total += np.bincount((base + step).reshape(-1), (weight * share).reshape(-1), size)
    return total
