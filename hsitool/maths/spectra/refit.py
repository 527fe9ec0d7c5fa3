"""Windows that miss some of their samples, fitted to those that are there, pixel by pixel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsitool.maths.spectra.weights import orthonormal
from hsitool.maths.spectra.windows import NONE, ZERO, Windows

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]
Flags = NDArray[np.bool_]

SMOOTHING_GAIN = 1.0
DERIVATIVE_GAIN = 3.0
"""Most noise that a value may carry: that of a sample; so many times that of the full window."""

ROUNDING = 1e-9  # a gain that is 1 on paper, as of a single sample kept as it is, counts as 1
BATCH = 1 << 18  # samples of windows looked at together


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
    full = fits.noise_gain(weights[..., None])[:, 0]
    limit = np.full(bands, SMOOTHING_GAIN) if deriv == 0 else DERIVATIVE_GAIN * full
    # Weights of copies may cancel: then the full window's gain is 0, but for rounding.
    return replace(fits, limit=limit + ROUNDING * np.sqrt(np.sum(weights**2, axis=1)))


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

    def __call__(self, samples: Floats, missing: Flags, out: NDArray[Any]) -> None:
        """Fill the outputs that have windows: with NaN where no value is given.

        Args:
            samples: (inputs, pixels) as stored; any finite number where missing.
            missing: (inputs, pixels)
            out: (outputs, pixels) those without windows are left as they are.
        """
        physical = samples * self.scale[:, None] + self.offset[:, None]
        own_scale, own_offset = self.scale[self.band, None], self.offset[self.band, None]
        if self.deriv > 0 or self.residual:
            own_offset = np.zeros_like(own_offset)
        fitted = self.windows.length[:, None] > 0
        for pixels, weights in self.weights(missing):
            values = np.einsum("ijk,ijk->ik", weights, self.samples(physical[:, pixels]))
            np.copyto(out[:, pixels], (values - own_offset) / own_scale, where=fitted)

    def samples(self, values: Floats) -> Floats:
        """(outputs, longest window, pixels) the samples of the windows; 0 where there is none."""
        columns = self.windows.columns
        found: Floats = values[columns.clip(0)]
        found[columns < 0] = 0
        return found

    def weights(self, missing: Flags) -> Iterator[tuple[slice, Floats]]:
        """Some pixels at a time, and the weights (outputs, longest window, pixels) of all samples.

        They are 0 for missing samples, and NaN throughout where no value is given.
        """
        columns = self.windows.columns
        batch = max(1, BATCH // max(columns.size, 1))
        for start in range(0, missing.shape[1], batch):
            pixels = slice(start, start + batch)
            there = ~missing[columns.clip(0), pixels]
            there[columns == NONE] = False
            there[columns == ZERO] = True
            touched: Flags = (there != (columns != NONE)[..., None]).any(axis=1)
            weights = self._fitted(there)
            own = missing[self.band, pixels]
            withheld: Flags = touched & ~self._given(there, weights)
            if self.residual or not self.rule.fill_gaps:
                withheld |= own & self.holds_own[:, None]
            if self.residual:
                weights = self._own[..., None] - weights
            np.copyto(weights, np.nan, where=withheld[:, None])
            yield pixels, weights

    def _fitted(self, there: Flags) -> Floats:
        """(outputs, longest window, pixels) least-squares weights of the samples `there`.

        In a basis that is orthonormal on the full window, the normal equations of the others are
        the unit matrix minus the products of the rows that are missing.
        """
        (basis, wanted), count = self._orthonormal, self.degree + 1
        gone = (~there).astype(np.float64)
        normal = self._products.swapaxes(1, 2) @ gone
        np.subtract(np.eye(count).reshape(1, -1, 1), normal, out=normal)
        square = normal.reshape(len(normal), count, count, -1)
        weights: Floats = basis @ _solved(square, wanted)
        weights *= there
        return weights

    def _given(self, there: Flags, weights: Floats) -> Flags:
        """(outputs, pixels) whether the fit has samples enough, and little enough noise."""
        fewest = max(self.degree + 1, self.rule.min_valid)
        given: Flags = self.noise_gain(weights) <= self.limit[:, None]
        given &= there.sum(axis=1) >= fewest
        if self._zeros.any():  # they alone give no value
            given &= np.any(there & ~self._zeros[..., None], axis=1)
        return given

    @cached_property
    def _zeros(self) -> Flags:
        """(outputs, longest window) which samples are zeros beyond the end."""
        zeros: Flags = self.windows.columns == ZERO
        return zeros

    @cached_property
    def holds_own(self) -> Flags:
        """(outputs,) whether the window holds the output's own band, as all do but filled ones."""
        found: Flags = np.count_nonzero(self._own, axis=1) > 0
        return found

    @cached_property
    def _own(self) -> Floats:
        """(outputs, longest window) 1 for the output's own band, the first time it is there."""
        own = self.windows.columns == self.band[:, None]
        first: Floats = (own & (np.cumsum(own, axis=1) == 1)).astype(np.float64)
        return first

    @cached_property
    def _orthonormal(self) -> tuple[Floats, Floats]:
        """Columns (outputs, longest window, degree + 1) that are orthonormal on full windows.

        And their derivatives (outputs, degree + 1) at the output.
        """
        return orthonormal(self.windows, self.degree, self.deriv)

    @cached_property
    def _products(self) -> Floats:
        """(outputs, longest window, (degree + 1)^2) of each row of the basis with itself."""
        basis, _ = self._orthonormal
        products = basis[..., :, None] * basis[..., None, :]
        flat: Floats = products.reshape(*products.shape[:2], -1)
        return flat

    def noise_gain(self, weights: Floats) -> Floats:
        """(outputs, pixels) sqrt(sum w^2) over bands of (outputs, longest window, pixels)."""
        folded = self.folded(weights)
        gain: Floats = np.sqrt(np.einsum("ijk,ijk->ik", folded, folded))
        return gain

    def folded(self, weights: Floats) -> Floats:
        """The weights, in which those of copies of one band are added up."""
        if self._copies is None:
            return weights
        together: Floats = self._copies.swapaxes(1, 2) @ weights
        return together

    @cached_property
    def _copies(self) -> Floats | None:
        """(outputs, W, W) 1 where sample j is one of the copies of sample k; None without copies.

        Zeros beyond the end are copies of nothing, since they carry no noise.
        """
        columns = self.windows.columns
        real = columns >= 0
        ordered = np.sort(columns, axis=1)
        if (columns != ZERO).all() and not (np.diff(ordered)[ordered[:, 1:] >= 0] == 0).any():
            return None
        first = np.argmax(columns[:, :, None] == columns[:, None, :], axis=2)
        places = np.arange(columns.shape[1])
        copies: Floats = ((first[:, :, None] == places) & real[:, :, None]).astype(np.float64)
        return copies


def _solved(matrices: Floats, wanted: Floats) -> Floats:
    """Solve many small systems at once by Cholesky's method, an entry of all of them at a time.

    Args:
        matrices: (n, size, size, pixels) positive definite ones; spoilt.
        wanted: (n, size) right sides.

    Returns:
        (n, size, pixels), without meaning where a matrix is singular.
    """
    size = matrices.shape[1]
    solution = np.repeat(wanted[..., None], matrices.shape[3], axis=2)
    with np.errstate(all="ignore"):
        for j in range(size):
            pivot = np.sqrt(matrices[:, j, j])
            matrices[:, j:, j] /= pivot[:, None]
            for k in range(j + 1, size):
                matrices[:, k:, k] -= matrices[:, k:, j] * matrices[:, k, j][:, None]
            solution[:, j] /= pivot
            solution[:, j + 1 :] -= matrices[:, j + 1 :, j] * solution[:, j][:, None]
        for j in reversed(range(size)):
            above = matrices[:, j + 1 :, j] * solution[:, j + 1 :]
            solution[:, j] -= above.sum(axis=1)
            solution[:, j] /= matrices[:, j, j]
    return solution
