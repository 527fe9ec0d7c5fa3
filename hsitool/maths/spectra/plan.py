"""How an operator is carried out: which bands are read together, and what is done to them.

Output bands with windows of one length and one kind form a run. A run is computed in spans, each
of which reads a range of bands once and fills a range of outputs by a few products: dense
matrices for groups of neighbours, and one filter where the weights repeat.

In float32, weights that sum to 0 are applied to the differences of adjacent bands (their
cumulative sums are the weights then): the large level of a spectrum, which would cancel, never
enters. Long smoothing windows work likewise on what is to be added to the band itself. All
differences lie within the windows that use them, so no output sees bands beyond its window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsitool.maths.spectra.even import LONGEST, EvenProduct
from hsitool.maths.spectra.operator import SpectralOperator

Samples = NDArray[Any]
Integers = NDArray[np.intp]

PIXELS, BANDS = 2, 1
"""The axis of an array (lines, bands, samples) along which memory runs."""

GROUP = {PIXELS: 8, BANDS: 32}  # outputs a matrix: measured, along with the pixels of a chunk
EVEN_RTOL = 1e-9
SHORTEST_EVEN = 32
LONGEST_PLAIN = 7  # smoothing windows whose float32 sums stay within 4 units in the last place


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

    bands: slice

    def __call__(self, values: Samples, out: Samples) -> None:
        """Copy `values` (lines, bands, samples)."""
        np.copyto(out, values, casting="same_kind")


@dataclass(frozen=True)
class ScaledProduct:
    """Outputs that are made of one band each: no missing sample reaches another output."""

    bands: slice
    weights: Samples

    def __call__(self, values: Samples, out: Samples) -> None:
        """Multiply `values` (lines, bands, samples) with a weight a band."""
        np.multiply(values, self.weights[:, None], out=out, casting="same_kind")


Product = MatrixProduct | EvenProduct | CopyProduct | ScaledProduct


@dataclass(frozen=True)
class Part:
    """What one operator makes of a span.

    Products act on the samples or on their `differences`, in order: a later one may overwrite
    outputs of an earlier one. `anchors` are the bands to add to the outputs, if any, counted in
    the span.
    """

    operator: int
    outputs: slice
    differences: bool
    products: tuple[Product, ...]
    anchors: slice | None
    bias: Samples | None


@dataclass(frozen=True)
class Span:
    """A range of bands that are read together, and what all operators make of them.

    `starts` and `lengths` of the windows count the bands of the span. The bands of a window that
    leaves some out are listed one by one.
    """

    bands: slice | Integers
    starts: Integers
    lengths: Integers
    parts: tuple[Part, ...]

    @property
    def differences(self) -> bool:
        """Whether any part needs the differences of neighbours."""
        return any(part.differences for part in self.parts)


EMPTY, COPY, SCALED, PLAIN, DIFFERENCES, ANCHORED = range(6)
BAND_BY_BAND = COPY, SCALED


def make_plan(
    operators: Sequence[SpectralOperator], work: np.dtype[Any], axis: int
) -> tuple[Span, ...]:
    """The spans that compute every output, but for those that are nodata everywhere."""
    spans: dict[tuple[Any, ...], Span] = {}
    for number, operator in enumerate(operators):
        kinds = _kinds(operator, work)
        for rows in _runs(operator, kinds):
            run = _Run(operator, rows, int(kinds[rows[0]]), work)
            bands, part = run.bands(), run.part(number, axis)
            key = str(bands), run.starts.tobytes(), run.lengths.tobytes()
            former = spans[key].parts if key in spans else ()
            spans[key] = Span(bands, run.starts, run.lengths, (*former, part))
    return tuple(spans.values())


def _kinds(operator: SpectralOperator, work: np.dtype[Any]) -> Integers:
    """(outputs,) how each output is made."""
    kinds = np.full(operator.outputs, PLAIN)
    own = operator.band - operator.first
    smooths = (operator.level == 1) & (own >= 0) & (own < operator.length)
    if work == np.float32:
        kinds[(operator.length > 1) & (operator.level == 0)] = DIFFERENCES
        whole = ~operator.skips.any(axis=1)
        kinds[(operator.length > LONGEST_PLAIN) & smooths & whole] = ANCHORED
    kinds[operator.length == 1] = SCALED
    kinds[(operator.length == 1) & smooths & (operator.bias == 0)] = COPY
    kinds[operator.length == 0] = EMPTY
    return kinds


def _runs(operator: SpectralOperator, kinds: Integers) -> list[Integers]:
    """Neighbouring outputs of one kind, whose windows touch and go upwards at both ends."""
    first, stop = operator.first, operator.first + operator.length
    joined = (np.diff(kinds) == 0) & (np.diff(first) >= 0) & (np.diff(stop) >= 0)
    joined &= first[1:] <= stop[:-1]
    joined &= (np.diff(operator.band) == 1) | ~np.isin(kinds[1:], [*BAND_BY_BAND, ANCHORED])
    joined &= (np.diff(first) == 1) | ~np.isin(kinds[1:], BAND_BY_BAND)
    holed = np.atleast_1d(operator.skips.any(axis=1))
    joined &= ~(holed[1:] | holed[:-1])
    rows = np.split(np.arange(operator.outputs), np.flatnonzero(~joined) + 1)
    return [run for run in rows if run.size and kinds[run[0]] != EMPTY]


@dataclass(frozen=True)
class _Run:
    operator: SpectralOperator
    rows: Integers
    kind: int
    work: np.dtype[Any]

    @property
    def starts(self) -> Integers:
        """(outputs,) the first bands of the windows, counted from the run's first."""
        first = self.operator.first[self.rows]
        starts: Integers = first - first[0]
        return starts

    @property
    def lengths(self) -> Integers:
        """(outputs,) bands of the windows, without those left out."""
        lengths: Integers = self.operator.length[self.rows] - self._skips.sum()
        return lengths

    @property
    def _skips(self) -> NDArray[np.bool_]:
        """The bands left out of the window; only a run of one output has any."""
        skips: NDArray[np.bool_] = self.operator.skips[self.rows[0]]
        return skips

    def bands(self) -> slice | Integers:
        """What the run reads."""
        first, last = int(self.operator.first[self.rows[0]]), self.rows[-1]
        stop = int(self.operator.first[last] + self.operator.length[last])
        if self._skips.any():
            return np.flatnonzero(~self._skips[: stop - first]) + first
        return slice(first, stop)

    def part(self, number: int, axis: int) -> Part:
        """How the run is computed where memory runs along `axis`."""
        bias = self.operator.bias[self.rows, None].astype(self.work)
        start = self.operator.first[self.rows[0]]
        return Part(
            operator=number,
            outputs=_as_slice(self.rows),
            differences=self.kind in (DIFFERENCES, ANCHORED),
            products=tuple(self._products(axis)),
            anchors=_as_slice(self.operator.band[self.rows] - start)
            if self.kind == ANCHORED
            else None,
            bias=bias if bias.any() else None,
        )

    def _products(self, axis: int) -> Iterator[Product]:
        """What fills the span; bands and outputs count from its first ones."""
        if self.kind == COPY:
            yield CopyProduct(slice(0, len(self.rows)))
            return
        if self.kind == SCALED:
            weights = self.operator.weights[self.rows, 0].astype(self.work)
            yield ScaledProduct(slice(0, len(self.rows)), weights)
            return
        band, output = self.operator.first[self.rows[0]], self.rows[0]
        left, even = self.rows, self._even_stretch()
        if len(even) > 0:
            longest = self.lengths[even[0] - output] - (self.kind == DIFFERENCES)
            weights = self._coefficients(even[:1])[0, :longest]
            start = int(self.operator.first[even[0]] - band)
            product = EvenProduct(weights, start, _as_slice(even - output))
            yield product
            done = even[product.rim[0] : len(even) - product.rim[1]]
            left = left[(left < done[0]) | (left > done[-1])]
        for rows in _groups(left, GROUP[axis]):
            matrix = self._matrix(rows)
            start = int(self.operator.first[rows[0]] - band)
            # A matrix in the memory order of its product spares BLAS a transposition.
            ordered = np.asarray(matrix, order="C" if axis == PIXELS else "F")
            bands = slice(start, start + matrix.shape[1])
            yield MatrixProduct(ordered, bands, _as_slice(rows - output))

    def _coefficients(self, rows: Integers) -> NDArray[np.float64]:
        """The weights, of samples or of differences: of all but the first from each one on."""
        weights = self.operator.weights[rows]
        weights = weights[:, ~self._skips]
        if self.kind not in (DIFFERENCES, ANCHORED):
            return weights
        if self.kind == ANCHORED:
            own = self.operator.band[rows] - self.operator.first[rows]
            weights = weights - (np.arange(weights.shape[1]) == own[:, None])
        return np.cumsum(weights[:, ::-1], axis=1)[:, -2::-1]

    def _matrix(self, rows: Integers) -> Samples:
        """(outputs, bands of these outputs): the coefficients in place, 0 elsewhere."""
        coefficients = self._coefficients(rows)
        here = slice(int(rows[0] - self.rows[0]), int(rows[-1] - self.rows[0]) + 1)
        starts, lengths = self.starts[here], self.lengths[here]
        if self.kind in (DIFFERENCES, ANCHORED):
            lengths = lengths - 1
        starts = starts - starts[0]
        matrix = np.zeros((len(rows), int((starts + lengths).max())), self.work)
        places = np.arange(coefficients.shape[1])
        row, column = np.nonzero(places < lengths[:, None])
        matrix[row, starts[row] + column] = coefficients[row, column]
        return matrix

    def _even_stretch(self) -> Integers:
        """The outputs around the middle one that share its weights; none where too few do."""
        none = self.rows[:0]
        middle = len(self.rows) // 2
        filterable = self.work == np.float32 and self.kind in (PLAIN, DIFFERENCES)
        short = self.lengths[middle] <= LONGEST
        if not (filterable and short) or len(self.rows) < SHORTEST_EVEN:
            return none
        weights = self.operator.weights[self.rows]
        tolerance = EVEN_RTOL * np.abs(weights[middle]).max()
        same = (np.abs(weights - weights[middle]) <= tolerance).all(axis=1)
        same &= self.lengths == self.lengths[middle]
        offset = self.operator.first[self.rows] - self.rows
        others = np.flatnonzero(~same | (offset != offset[middle]))
        cut = int(np.searchsorted(others, middle))
        start = int(others[cut - 1]) + 1 if cut > 0 else 0
        stop = int(others[cut]) if cut < len(others) else len(self.rows)
        return self.rows[start:stop] if stop - start >= SHORTEST_EVEN else none


def _groups(rows: Integers, size: int) -> Iterator[Integers]:
    """Parts of `rows` that follow one another, of `size` (whole vector registers) and a rest."""
    for part in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1):
        for start in range(0, part.size, size):
            yield part[start : start + size]


def _as_slice(rows: Integers) -> slice:
    return slice(int(rows[0]), int(rows[-1]) + 1)
