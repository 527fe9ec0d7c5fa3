"""Windows that miss some of their samples, fitted to those that are there, pixel by pixel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsitool.maths.weights import savgol_weights
from hsitool.maths.windows import NONE, ZERO, Windows

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]
Flags = NDArray[np.bool_]

SMOOTHING_GAIN = 1.0
DERIVATIVE_GAIN = 3.0
"""Most noise that a value may carry: that of a sample; so many times that of the full window."""

ROUNDING = 1e-9  # a gain that is 1 on paper, as of a single sample kept as it is, counts as 1
BATCH = 1 << 20  # samples of windows looked at together
CACHED = 1 << 20  # weights kept for patterns that come again
BITS = 31


@dataclass(frozen=True)
class PartialRule:
    """When a window that misses samples still gives a value.

    Attributes:
        min_valid: fewest samples that must be there, beside degree + 1.
        fill_gaps: whether a sample that is missing itself gets a value, too.
    """

    min_valid: int = 0
    fill_gaps: bool = False


def partial_fits(
    windows: Windows,
    weights: Floats,
    band: Integers,
    degree: int,
    deriv: int,
    rule: PartialRule,
) -> PartialFits:
    """The fits of all outputs; `weights` (outputs, longest window) are those of full windows."""
    bands = len(band)
    fits = PartialFits(
        windows=windows,
        band=band,
        degree=degree,
        deriv=deriv,
        limit=np.full(bands, np.inf),
        rule=rule,
        residual=False,
        scale=np.ones(bands),
        offset=np.zeros(bands),
    )
    full = fits.noise_gain(np.arange(bands), weights)
    limit = np.full(bands, SMOOTHING_GAIN) if deriv == 0 else DERIVATIVE_GAIN * full
    return replace(fits, limit=limit * (1 + ROUNDING))


@dataclass(frozen=True, eq=False)
class PartialFits:
    """How windows with missing samples are fitted: by least squares without these samples.

    A value is given while the noise gain of the fit, sqrt(sum w^2), stays within `limit`.

    Attributes:
        windows: samples of the full windows.
        band: (outputs,) the band that each output stands for.
        degree: of the polynomials.
        deriv: order of the derivative.
        limit: (outputs,) greatest noise gain.
        rule: when a value is given beside that.
        residual: whether outputs are samples minus smoothed values.
        scale: (inputs,) physical values are scale * stored + offset.
        offset: (inputs,)
    """

    windows: Windows
    band: Integers
    degree: int
    deriv: int
    limit: Floats
    rule: PartialRule
    residual: bool
    scale: Floats
    offset: Floats

    def select(self, rows: Integers) -> PartialFits:
        """The fits of these outputs."""
        return replace(
            self,
            windows=self.windows.select(rows),
            band=self.band[rows],
            limit=self.limit[rows],
        )

    def on_inputs(self, bands: range) -> PartialFits:
        """The same fits for cubes that hold `bands` alone."""
        inside = slice(bands.start, bands.stop)
        return replace(
            self,
            windows=self.windows.on_inputs(bands.start),
            band=self.band - bands.start,
            scale=self.scale[inside],
            offset=self.offset[inside],
        )

    @cached_property
    def reads(self) -> Flags:
        """(inputs,) the bands that windows hold."""
        used = np.zeros(len(self.scale), bool)
        used[self.windows.columns[self.windows.columns >= 0]] = True
        return used

    def __call__(self, samples: Floats, missing: Flags, out: NDArray[Any]) -> None:
        """Replace outputs whose windows miss samples: by a value, or by NaN where none is given.

        Args:
            samples: (pixels, inputs) as stored; any finite number where missing.
            missing: (pixels, inputs)
            out: (pixels, outputs) outputs of windows that miss no sample are left as they are.
        """
        physical = samples * self.scale + self.offset
        own_scale, own_offset = self.scale[self.band], self.offset[self.band]
        if self.deriv > 0 or self.residual:
            own_offset = np.zeros_like(own_offset)
        for pixels, outputs, weights in self.weights(missing):
            values = np.einsum("ij,ij->i", weights, self.samples(physical, pixels, outputs))
            out[pixels, outputs] = (values - own_offset[outputs]) / own_scale[outputs]

    def samples(self, values: Floats, pixels: Integers, outputs: Integers) -> Floats:
        """(n, longest window) the samples of the windows; 0 where there is none."""
        columns = self.windows.columns[outputs]
        found: Floats = values[pixels[:, None], columns.clip(0)]
        found[columns < 0] = 0
        return found

    def weights(self, missing: Flags) -> Iterator[tuple[Integers, Integers, Floats]]:
        """Pixels and outputs whose windows miss samples, and the weights of all samples.

        Weights (n, longest window) are 0 for missing samples and NaN where no value is given.
        """
        columns = self.windows.columns
        batch = max(1, BATCH // max(columns.size, 1))
        for start in range(0, len(missing), batch):
            part = missing[start : start + batch]
            there = self._there(part)
            touched = ~(there | (columns == NONE)).all(axis=2)
            pixels, outputs = np.nonzero(touched)
            fitted = self._fitted(outputs, there[pixels, outputs])
            if self.residual or not self.rule.fill_gaps:
                fitted[part[pixels, self.band[outputs]]] = np.nan
            if self.residual:
                fitted = self._own[outputs] - fitted
            yield pixels + start, outputs, fitted

    @cached_property
    def _own(self) -> Floats:
        """(outputs, longest window) 1 for the output's own band, the first time it is there."""
        own = self.windows.columns == self.band[:, None]
        first: Floats = (own & (np.cumsum(own, axis=1) == 1)).astype(np.float64)
        return first

    def _there(self, missing: Flags) -> Flags:
        """(pixels, outputs, longest window) the samples that can be fitted."""
        columns = self.windows.columns
        there = ~missing[:, columns.clip(0)]
        there[:, columns == NONE] = False
        there[:, columns == ZERO] = True
        return there

    def _fitted(self, outputs: Integers, there: Flags) -> Floats:
        """(n, longest window) weights; equal patterns of samples are solved once."""
        keys, short = outputs, there.shape[1] <= BITS
        for start in range(0, there.shape[1], BITS):
            if start > 0:
                keys = np.unique(keys, return_inverse=True)[1]
            part = there[:, start : start + BITS]
            keys = (keys << part.shape[1]) | (part @ (1 << np.arange(part.shape[1])))
        unique, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        if not short:
            return self._solved(outputs[first], there[first])[inverse]
        return self._known(unique, outputs[first], there[first])[inverse]

    def _known(self, keys: Integers, outputs: Integers, there: Flags) -> Floats:
        """Weights of patterns in ascending order of their keys, remembered if there is room."""
        known, table = self._memory[0]
        place = np.searchsorted(known, keys)
        place[place == known.size] = 0
        found = known[place] == keys if known.size else np.zeros(keys.size, bool)
        weights = np.empty(there.shape)
        weights[found] = table[place[found]]
        new = ~found
        if new.any():
            weights[new] = self._solved(outputs[new], there[new])
            if (known.size + keys.size) * max(1, there.shape[1]) <= CACHED:
                order = np.argsort(np.concatenate((known, keys[new])), kind="stable")
                # One assignment: threads may lose each other's patterns, never see half of them.
                self._memory[0] = (
                    np.concatenate((known, keys[new]))[order],
                    np.concatenate((table, weights[new]))[order],
                )
        return weights

    @cached_property
    def _memory(self) -> list[tuple[Integers, Floats]]:
        width = self.windows.columns.shape[1]
        return [(np.empty(0, np.intp), np.empty((0, width)))]

    def _solved(self, outputs: Integers, there: Flags) -> Floats:
        """(n, longest window) weights of the samples that are there; NaN where none are given."""
        weights = np.full(there.shape, np.nan)
        fewest = max(self.degree + 1, self.rule.min_valid)
        rows = np.flatnonzero(np.count_nonzero(there, axis=1) >= fewest)
        if not rows.size:
            return weights
        positions = self.windows.positions[outputs[rows]]
        solved = savgol_weights(
            positions, np.zeros(rows.size), self.degree, self.deriv, there[rows]
        )
        solved[self.noise_gain(outputs[rows], solved) > self.limit[outputs[rows]]] = np.nan
        weights[rows] = solved
        return weights

    def noise_gain(self, outputs: Integers, weights: Floats) -> Floats:
        """(n,) sqrt(sum w^2) over bands."""
        weights = self.folded(outputs, weights)
        gain: Floats = np.sqrt(np.einsum("ij,ij->i", weights, weights))
        return gain

    def folded(self, outputs: Integers, weights: Floats) -> Floats:
        """(n, longest window) weights in which those of copies of one band are added up."""
        if self._copies is None:
            return weights
        together: Floats = np.einsum("ij,ijk->ik", weights, self._copies[outputs])
        return together

    @cached_property
    def _copies(self) -> Floats | None:
        """(outputs, W, W) 1 where sample j is one of the copies of sample k; None without copies.

        Zeros beyond the end are copies of nothing, since they carry no noise.
        """
        columns = self.windows.columns
        real = columns >= 0
        first = np.argmax(columns[:, :, None] == columns[:, None, :], axis=2)
        places = np.arange(columns.shape[1])
        if (columns != ZERO).all() and (first == places)[real].all():
            return None
        copies: Floats = ((first[:, :, None] == places) & real[:, :, None]).astype(np.float64)
        return copies
