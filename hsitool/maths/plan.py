"""How an operator is carried out: which bands are read together, and what is done to them.

Output bands with windows of one length and one kind form a run. A run is computed in spans, each
of which reads a range of bands once and fills a range of outputs by a few products: dense
matrices for groups of neighbours, and one filter where the weights repeat.

Derivative weights sum to 0. In float32 they are applied to the differences of adjacent bands
(their cumulative sums are the weights then), which removes the cancellation of large values; a
difference lies within each window that uses it, so no output sees bands beyond its window.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsitool.maths.even import LONGEST, EvenProduct
from hsitool.maths.operator import SpectralOperator

Samples = NDArray[Any]
Integers = NDArray[np.intp]

EVEN_RTOL = 1e-9
SHORTEST_EVEN = 32


@dataclass(frozen=True)
class Layout:
    """What suits a memory order: outputs a matrix, pixels a chunk, whether runs are split."""

    group: int
    pixels: int
    split: bool


BAND_MAJOR = Layout(group=8, pixels=8192, split=True)
PIXEL_MAJOR = Layout(group=32, pixels=1024, split=False)


@dataclass(frozen=True)
class MatrixProduct:
    """`out[outputs] = matrix @ values[bands]`, for many pixels at once."""

    matrix: Samples
    bands: slice
    outputs: slice

    def __call__(self, values: Samples, out: Samples) -> None:
        """Fill `out` (lines, outputs, samples) from `values` (lines, bands, samples)."""
        np.matmul(self.matrix, values[:, self.bands], out=out[:, self.outputs])


@dataclass(frozen=True)
class CopyProduct:
    """Bands that pass unchanged, bit by bit."""

    def __call__(self, values: Samples, out: Samples) -> None:
        """Copy `values` (lines, bands, samples)."""
        np.copyto(out, values, casting="same_kind")


Product = MatrixProduct | EvenProduct | CopyProduct


@dataclass(frozen=True)
class Span:
    """A range of outputs and the range of bands that it is computed from.

    `starts` are the first bands of the windows, counted in the range, and `fresh` is the number
    of leading bands that the span before has already looked through for missing samples. Products
    are carried out in order: a later one may overwrite outputs of an earlier one.
    """

    bands: slice
    outputs: slice
    length: int
    starts: Integers
    fresh: int
    differences: bool
    products: tuple[Product, ...]
    bias: Samples | None


EMPTY, COPY, PLAIN, DIFFERENCES = range(4)


def make_plan(operator: SpectralOperator, work: np.dtype[Any], layout: Layout) -> tuple[Span, ...]:
    """The spans that compute every output, but for those that are nodata everywhere."""
    kinds = _kinds(operator, work)
    runs = [_Run(operator, rows, int(kinds[rows[0]]), work) for rows in _runs(operator, kinds)]
    return tuple(span for run in runs for span in run.spans(layout))


def _kinds(operator: SpectralOperator, work: np.dtype[Any]) -> Integers:
    """(outputs,) how each output is made."""
    kinds = np.full(operator.outputs, PLAIN)
    if work == np.float32:
        kinds[(operator.length > 1) & (operator.level == 0)] = DIFFERENCES
    kinds[(operator.length == 1) & (operator.level == 1) & (operator.bias == 0)] = COPY
    kinds[operator.length == 0] = EMPTY
    return kinds


def _runs(operator: SpectralOperator, kinds: Integers) -> list[Integers]:
    """Neighbouring outputs of one kind and length, whose windows touch and go upwards."""
    step, length = np.diff(operator.first), operator.length
    joined = (np.diff(kinds) == 0) & (np.diff(length) == 0) & (step <= length[1:])
    joined &= step >= np.where(kinds[1:] == COPY, 1, 0)
    rows = np.split(np.arange(operator.outputs), np.flatnonzero(~joined) + 1)
    return [run for run in rows if run.size and kinds[run[0]] != EMPTY]


@dataclass(frozen=True)
class _Run:
    operator: SpectralOperator
    rows: Integers
    kind: int
    work: np.dtype[Any]

    @property
    def length(self) -> int:
        return int(self.operator.length[self.rows[0]])

    def spans(self, layout: Layout) -> Iterator[Span]:
        """The run in one piece, or a span for each group where the layout asks for it."""
        group = layout.group
        even = self._even_stretch()
        whole = not layout.split or self.kind == COPY or len(even) > 0
        seen = 0
        for rows in [self.rows] if whole else _groups(self.rows, group):
            span = self._span(rows, tuple(self._products(rows, even, group)), seen)
            seen = span.bands.stop
            yield span

    def _span(self, rows: Integers, products: tuple[Product, ...], seen: int) -> Span:
        first = self.operator.first[rows]
        start, stop = int(first[0]), int(first[-1]) + self.length
        bias = self.operator.bias[rows, None].astype(self.work)
        return Span(
            bands=slice(start, stop),
            outputs=_as_slice(rows),
            length=self.length,
            starts=first - start,
            fresh=max(seen - start, 0),
            differences=self.kind == DIFFERENCES,
            products=products,
            bias=bias if bias.any() else None,
        )

    def _products(self, rows: Integers, even: Integers, group: int) -> Iterator[Product]:
        """What fills a span of `rows`; bands and outputs count from the span's first."""
        if self.kind == COPY:
            yield CopyProduct()
            return
        band, output = self.operator.first[rows[0]], rows[0]
        left = rows
        if len(even) > 0:
            weights = self._coefficients(even[:1])[0]
            start = int(self.operator.first[even[0]] - band)
            product = EvenProduct(weights, start, _as_slice(even - output))
            yield product
            left = np.setdiff1d(rows, even[product.rim[0] : len(even) - product.rim[1]])
        for joined in np.split(left, np.flatnonzero(np.diff(left) > 1) + 1):
            for some in _groups(joined, group):
                matrix, start = self._matrix(some), int(self.operator.first[some[0]] - band)
                bands = slice(start, start + matrix.shape[1])
                yield MatrixProduct(matrix, bands, _as_slice(some - output))

    def _coefficients(self, rows: Integers) -> NDArray[np.float64]:
        """The weights, of samples or of differences: of all but the first from each one on."""
        weights = self.operator.weights[rows, : self.length]
        if self.kind != DIFFERENCES:
            return weights
        return np.cumsum(weights[:, ::-1], axis=1)[:, -2::-1]

    def _matrix(self, rows: Integers) -> Samples:
        """(outputs, bands of these outputs): the coefficients in place, 0 elsewhere."""
        coefficients = self._coefficients(rows)
        starts = self.operator.first[rows] - self.operator.first[rows[0]]
        matrix = np.zeros((len(rows), starts[-1] + coefficients.shape[1]), self.work)
        columns = starts[:, None] + np.arange(coefficients.shape[1])
        np.put_along_axis(matrix, columns, coefficients, axis=1)
        return matrix

    def _even_stretch(self) -> Integers:
        """The outputs around the middle one that share its weights; none where too few do."""
        none = self.rows[:0]
        filterable = self.work == np.float32 and self.kind in (PLAIN, DIFFERENCES)
        if not filterable or self.length > LONGEST or len(self.rows) < SHORTEST_EVEN:
            return none
        middle = len(self.rows) // 2
        weights = self.operator.weights[self.rows, : self.length]
        tolerance = EVEN_RTOL * np.abs(weights[middle]).max()
        same = (np.abs(weights - weights[middle]) <= tolerance).all(axis=1)
        offset = self.operator.first[self.rows] - self.rows
        others = np.flatnonzero(~same | (offset != offset[middle]))
        cut = int(np.searchsorted(others, middle))
        start = int(others[cut - 1]) + 1 if cut > 0 else 0
        stop = int(others[cut]) if cut < len(others) else len(self.rows)
        return self.rows[start:stop] if stop - start >= SHORTEST_EVEN else none


def _groups(rows: Integers, size: int) -> list[Integers]:
    """`rows` in parts of nearly equal length, none longer than `size`."""
    return np.array_split(rows, -(-len(rows) // size)) if len(rows) > 0 else []


def _as_slice(rows: Integers) -> slice:
    return slice(int(rows[0]), int(rows[-1]) + 1)
