"""RX relative to a ring around each pixel, in a few whitened principal components."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from hsitool.device import Device, array_module, device_of
from hsitool.errors import DataError
from hsitool.maths.scene.model import SceneModel, Shrink

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Integers = NDArray[np.intp]

SMALLEST = 1e-12
"""Of the largest variance: components of less are rounding."""

ROUNDING = 1e-13
"""Of the sum of all squares: what sums of a ring are uncertain by."""

AT_ONCE = 64, 192
"""Rows and columns whose sums are formed together: in longer sums small rings drown."""


@dataclass(frozen=True, eq=False)
class Components:
    """Whitened principal components: `weights` (rank, bands) of spectra minus `mean` (bands,).

    `ridge` (rank, rank) is added to the covariance of every ring.
    """

    mean: Floats
    weights: Floats
    ridge: Floats

    def of(self, spectra: Floats) -> Floats:
        """(rank, pixels) of (bands, pixels), on their device."""
        put = device_of(spectra).put
        found: Floats = put(self.weights) @ (spectra - put(self.mean)[:, None])
        return found


def components(model: SceneModel, rank: int, shrink: Shrink) -> Components:
    """The components of the largest variance; a noise ridge becomes that of the rings.

    Raises:
        DataError: the scene has fewer components.
        UsageError: a ridge of noise that is not known.
    """
    variance, axes = np.linalg.eigh(model.covariance)
    there = int(np.count_nonzero(variance > max(SMALLEST * variance[-1], 0.0)))
    if not there:
        raise DataError(f"all {model.count} pixels are the same: there are no components")
    if rank > there:
        raise DataError(f"the scene has {there} independent components: give --rank {there}")
    weights = (axes[:, ::-1][:, :rank] / np.sqrt(variance[::-1][:rank])).T
    level = (
        shrink.ridge * model.noise_level if shrink.kind == "noise" else np.zeros_like(model.mean)
    )
    return Components(model.mean, weights, (weights * level) @ weights.T)


def local_rx(
    values: Floats, valid: Flags, guard: int, outer: int, ridge: Floats | None = None
) -> Floats:
    """(rows, columns) (y - m)' (C + R)^-1 (y - m), with m and C of the ring around each pixel.

    The ring is a window of `outer` x `outer` pixels without the `guard` x `guard` ones in its
    middle. At the border of the image the window is moved inwards and keeps its size; the guard
    stays around the pixel and loses what lies outside. NaN where a pixel is not valid, or where too
    few are in its ring (or the same) to give a covariance. The scores are on the device of the
    values.

    Args:
        values: (rank, rows, columns)
        valid: (rows, columns) the pixels that count.
        guard: odd, less than `outer`.
        outer: odd, at most the rows and the columns.
        ridge: R, (rank, rank); none where None.
    """
    rank, rows, columns = values.shape
    xp, device = array_module(values), device_of(values)
    scores = xp.full((rows, columns), np.nan)
    ridge, valid = np.zeros((rank, rank)) if ridge is None else ridge, device.put(valid)
    for row, column in product(range(0, rows, AT_ONCE[0]), range(0, columns, AT_ONCE[1])):
        down = _Windows.of(row, min(row + AT_ONCE[0], rows), rows, guard, outer)
        across = _Windows.of(column, min(column + AT_ONCE[1], columns), columns, guard, outer)
        here = values[:, down.near, across.near], valid[down.near, across.near]
        ends = down.on(device), across.on(device)
        scores[down.centres, across.centres] = _scores(*here, *ends, ridge)
    found: Floats = scores
    return found


@dataclass(frozen=True, eq=False)
class _Windows:
    """Along one axis: `centres` are scored, for which the pixels `near` are needed.

    `middle`, `outer` and `guard` (first, behind the last) are numbers within `near`, one a centre.
    """

    centres: slice
    near: slice
    middle: Integers
    outer: tuple[Integers, Integers]
    guard: tuple[Integers, Integers]

    @classmethod
    def of(cls, start: int, stop: int, size: int, guard: int, outer: int) -> _Windows:
        near = needed(start, stop, size, outer)
        centre = np.arange(start, stop)
        first = np.clip(centre - outer // 2, 0, size - outer) - near.start
        inner = np.maximum(centre - guard // 2, 0), np.minimum(centre + guard // 2 + 1, size)
        ends = inner[0] - near.start, inner[1] - near.start
        return cls(slice(start, stop), near, centre - near.start, (first, first + outer), ends)

    def on(self, device: Device) -> _Windows:
        """The same with its numbers on a device."""
        put = device.put
        outer, guard = ((put(first), put(behind)) for first, behind in (self.outer, self.guard))
        return replace(self, middle=put(self.middle), outer=outer, guard=guard)


def needed(start: int, stop: int, size: int, outer: int) -> slice:
    """The rows (or columns), of `size`, that the windows of `start` .. `stop` - 1 reach."""
    first = min(max(start - outer // 2, 0), size - outer)
    return slice(first, min(max(stop + outer // 2, first + outer), size))


def _scores(
    values: Floats, valid: Flags, down: _Windows, across: _Windows, ridge: Floats
) -> Floats:
    """The scores of the centres, from the values near them."""
    xp, rank = array_module(values), len(values)
    y = xp.where(valid, values, 0.0)
    if (count := int(xp.count_nonzero(valid))) > 0:
        y = xp.where(valid, y - (y.sum(axis=(1, 2)) / count)[:, None, None], 0.0)
    number = _ring_sums(valid.astype(np.float64), down, across)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = xp.stack([_ring_sums(part, down, across) for part in y]) / number
        covariance = xp.empty((rank, rank, *number.shape))
        for i in range(rank):
            for j in range(i + 1):
                products = _ring_sums(y[i] * y[j], down, across) - number * mean[i] * mean[j]
                if i == j:
                    products[products < ROUNDING * (y[i] ** 2).sum()] = 0.0
                covariance[i, j] = products / (number - 1) + float(ridge[i, j])
    scored = distances(covariance, y[:, down.middle][:, :, across.middle] - mean)
    there = valid[down.middle][:, across.middle] & (number > 1)
    found: Floats = xp.where(there, scored, np.nan)
    return found


def _ring_sums(values: Floats, down: _Windows, across: _Windows) -> Floats:
    """Sums over the rings, by a summed-area table (Crow 1984)."""
    xp = array_module(values)
    table = xp.zeros((values.shape[0] + 1, values.shape[1] + 1))
    table[1:, 1:] = xp.cumsum(xp.cumsum(values, axis=0), axis=1)
    return _box(table, down.outer, across.outer) - _box(table, down.guard, across.guard)


def _box(
    table: Floats, rows: tuple[Integers, Integers], columns: tuple[Integers, Integers]
) -> Floats:
    between = table[rows[1]] - table[rows[0]]
    return between[:, columns[1]] - between[:, columns[0]]


def distances(covariance: Floats, apart: Floats) -> Floats:
    """(...) d' C^-1 d of many small matrices at once, by their Cholesky factors.

    `covariance` is (rank, rank, ...), of which the lower triangles count, and is written over;
    `apart` is (rank, ...). NaN where a matrix is not positive definite.
    """
    xp = array_module(apart)
    total, factor, white = xp.zeros(apart.shape[1:]), covariance, xp.empty_like(apart)
    with np.errstate(divide="ignore", invalid="ignore"):
        for j in range(len(apart)):
            least = SMALLEST * covariance[j, j]
            column = covariance[j:, j] - xp.einsum(
                "ik...,k...->i...", factor[j:, :j], factor[j, :j]
            )
            pivot = xp.where(column[0] > least, column[0], np.nan)
            factor[j:, j] = column / xp.sqrt(pivot)
            rest = apart[j] - xp.einsum("k...,k...->...", factor[j, :j], white[:j])
            white[j] = rest / factor[j, j]
            total += white[j] ** 2
    found: Floats = total
    return found
