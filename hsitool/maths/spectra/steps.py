"""Spectral operators as tables of steps along the bands, which a GPU carries out.

A step is a set of samples of a pixel, and what all operators make of it that have an output there.
The records here are the structures of `spectral.cu`, which says what their fields mean.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsitool.maths.spectra.operator import SpectralOperator
from hsitool.maths.spectra.refit import PartialFits
from hsitool.maths.spectra.windows import NONE

Integers = NDArray[np.int32]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Records = NDArray[Any]

LISTED = 1 << 30
ALIGNED = 4  # weights of a step begin at a multiple of this, so that several are loaded at once


def record(integers: str, *doubles: str) -> np.dtype[Any]:
    """The type of a structure of 64-bit floating numbers, and 32-bit integers after them."""
    fields = [(name, np.float64) for name in doubles]
    return np.dtype([*fields, *((name, np.int32) for name in integers.split())], align=True)


STEP = record("last start output flags list count middle first")
CHUNK = record("start stop low high counted")
FIT = record("of output band degree deriv fewest fills residual start count", "limit")


@dataclass(frozen=True, eq=False)
class Steps:
    """The steps of some operators, in order of the band that completes each.

    Attributes:
        window: bands of the steps that are not listed; they are adjacent.
        table: (steps,) of type `STEP`.
        bands: of the samples of all steps.
        weights: of all steps: (samples - 1) x operators coefficients of the differences from each
            sample to the next, then the operators' levels, then their biases.
        reach: (steps, 2) first band that a step reads, and the one after the last.
    """

    window: int
    table: Records
    bands: Integers
    weights: Floats
    reach: Integers

    def chunks(self, size: int) -> Records:
        """(chunks,) of type `CHUNK`: the steps cut into chunks of `size`."""
        starts = np.arange(0, len(self.table), size)
        chunks = np.zeros(len(starts), CHUNK)
        chunks["start"] = starts
        chunks["stop"] = np.minimum(starts + size, len(self.table))
        chunks["low"] = np.minimum.reduceat(self.reach[:, 0], starts)
        chunks["high"] = np.maximum.reduceat(self.reach[:, 1], starts)
        chunks["counted"][1:] = np.maximum.accumulate(chunks["high"])[:-1]
        return chunks


def make_steps(operators: Sequence[SpectralOperator], longest: int) -> Steps:
    """The steps that compute every output, also those that are nodata everywhere.

    Those of more samples than `longest`, or of another number than most, are listed.
    """
    drafts = sorted(_drafts(operators), key=lambda draft: (draft.reach[1], draft.output))
    window = _usual_window(drafts, longest)
    levels = [operator.level for operator in operators]
    weights = [draft.weights(operators, levels) for draft in drafts]
    counts = [len(draft.bands) for draft in drafts]
    table = np.zeros(len(drafts), STEP)
    table["count"], table["list"] = counts, np.cumsum([0, *counts])[:-1]
    table["start"] = np.cumsum([0, *(len(part) for part in weights)])[:-1]
    table["output"] = [draft.output for draft in drafts]
    table["middle"] = [draft.middle for draft in drafts]
    table["flags"] = [draft.flags(window) for draft in drafts]
    reach = np.array([draft.reach for draft in drafts], np.int32).reshape(-1, 2)
    table["first"], table["last"] = reach[:, 0], reach[:, 1] - 1
    bands = np.concatenate([np.zeros(0, np.int32), *(draft.bands for draft in drafts)])
    return Steps(window, table, bands, np.concatenate([np.zeros(0), *weights]), reach)


@dataclass(frozen=True, eq=False)
class _Draft:
    """A step in the making: the output band of some operators, and its samples."""

    output: int
    own: int
    bands: Integers
    operators: tuple[int, ...]

    @property
    def reach(self) -> tuple[int, int]:
        """First band and the one after the last."""
        bands = self.bands if self.bands.size else [self.own]
        return int(bands[0]), int(bands[-1]) + 1

    @property
    def adjacent(self) -> int:
        """How many bands there are if they are adjacent, else 0."""
        first, stop = self.reach
        return self.bands.size if self.bands.size == stop - first else 0

    def flags(self, window: int) -> int:
        """A bit for each operator; whether the bands are not just so many adjacent ones."""
        return sum(1 << k for k in self.operators) | (LISTED if self.adjacent != window else 0)

    @property
    def middle(self) -> int:
        """The band whose sample stands for the level."""
        return int(self.bands[self.bands.size // 2]) if self.bands.size else self.own

    def weights(self, operators: Sequence[SpectralOperator], levels: Sequence[Floats]) -> Floats:
        """Coefficients, levels and biases, and zeros up to a multiple of `ALIGNED`."""
        count = self.bands.size
        table = np.zeros((max(count - 1, 0) + 2, len(operators)))
        for k in self.operators:
            operator, row, level = operators[k], self.output, levels[k][self.output]
            weights = operator.weights[row, self.bands - operator.first[row]]
            # Without the level they sum up to 0, as weights of differences do.
            weights = weights - level * (np.arange(count) == count // 2)
            table[:-2, k] = np.cumsum(weights[::-1])[-2::-1]
            table[-2:, k] = level, operator.bias[row]
        return np.pad(table.ravel(), (0, -table.size % ALIGNED))


def _drafts(operators: Sequence[SpectralOperator]) -> Iterator[_Draft]:
    """One for each output band and set of samples, shared by the operators that have it."""
    for output in range(max(operator.outputs for operator in operators)):
        sharing: dict[tuple[int, ...], list[int]] = {}
        for k, operator in enumerate(operators):
            if output < operator.outputs:
                sharing.setdefault(tuple(operator.members(output)), []).append(k)
        for bands, those in sharing.items():
            own = int(operators[those[0]].band[output])
            yield _Draft(output, own, np.array(bands, np.int32), tuple(those))


def _usual_window(drafts: Sequence[_Draft], longest: int) -> int:
    """The number of adjacent bands, 2 to `longest`, of most steps."""
    sizes = Counter(draft.adjacent for draft in drafts)
    fitting = {size: count for size, count in sizes.items() if 1 < size <= longest}
    return max(fitting, key=lambda size: (fitting[size], size), default=2)


@dataclass(frozen=True, eq=False)
class Fits:
    """How windows that miss samples are fitted: `refit` of some operators.

    Attributes:
        table: (windows,) of type `FIT`.
        bands: of the samples of all windows, -1 for zeros beyond the end.
        positions: of the same samples, from the output's own place.
        scales: (operators, inputs) physical values are scale * stored + offset.
        offsets: (operators, inputs)
        counted: (inputs,) whether any window reads the band.
    """

    table: Records
    bands: Integers
    positions: Floats
    scales: Floats
    offsets: Floats
    counted: Flags


def make_fits(operators: Sequence[SpectralOperator]) -> Fits:
    """The tables of all operators that fit windows anew; empty ones where none does."""
    shape = len(operators), operators[0].inputs
    scales, offsets, counted = np.ones(shape), np.zeros(shape), np.zeros(shape[1], bool)
    tables, bands, positions = [np.zeros(0, FIT)], [np.zeros(0, np.int32)], [np.zeros(0)]
    for k, operator in enumerate(operators):
        if (fits := operator.refit) is None:
            continue
        used = (fits.windows.columns != NONE) & (operator.length > 0)[:, None]
        table = _fit_table(k, fits, np.count_nonzero(used, axis=1))
        table["start"] += sum(map(len, bands))
        tables.append(table[table["count"] > 0])
        bands.append(fits.windows.columns[used].clip(-1).astype(np.int32))
        positions.append(fits.windows.positions[used])
        scales[k], offsets[k] = fits.scale, fits.offset
        counted[bands[-1][bands[-1] >= 0]] = True
    joined = np.concatenate(tables), np.concatenate(bands), np.concatenate(positions)
    return Fits(*joined, scales, offsets, counted)


def _fit_table(of: int, fits: PartialFits, counts: NDArray[np.intp]) -> Records:
    """The windows of one operator, with so many samples each."""
    table = np.zeros(len(counts), FIT)
    table["of"], table["output"], table["band"] = of, np.arange(len(counts)), fits.band
    table["degree"], table["deriv"], table["limit"] = fits.degree, fits.deriv, fits.limit
    table["fewest"] = max(fits.degree + 1, fits.rule.min_valid)
    table["fills"] = (fits.rule.fill_gaps and not fits.residual) | ~fits.holds_own
    table["residual"] = fits.residual
    table["count"], table["start"] = counts, np.cumsum(counts) - counts
    return table
