"""How the noise of a cube passes through operators: standard deviations of their outputs.

The variance of a weighted sum of noisy samples is w' C w, with the covariance C of their noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsitool.maths.spectra.kernel import BandedKernel
from hsitool.maths.spectra.operator import SpectralOperator
from hsitool.maths.spectra.refit import PartialFits

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]
Flags = NDArray[np.bool_]


class DeviationKernel:
    """`kernel(missing, sigma, outs)` fills in standard deviations of operators' outputs.

    Args:
        operators: on values in the unit of the standard deviations.
        covariance: (inputs, inputs) of the noise of one pixel. Where standard deviations are given
            for each sample, only its correlations count; None means independent bands.
    """

    def __init__(
        self, operators: Sequence[SpectralOperator], covariance: Floats | None = None
    ) -> None:
        self._operators = tuple(operators)
        squared = [operator.squared() for operator in operators]
        self._independent = BandedKernel(squared, np.float64)
        self._own = np.ones(operators[0].inputs)
        self._correlation: Floats | None = None
        if covariance is not None:
            self._own = np.sqrt(np.diagonal(covariance))
            self._correlation = correlation(covariance)

    def __call__(self, missing: Flags, sigma: Floats | None, outs: Sequence[NDArray[Any]]) -> None:
        """Fill `outs`.

        Args:
            missing: (inputs, pixels) samples of the cube that are missing.
            sigma: (inputs, pixels) standard deviations of its samples, NaN where unknown; those
                of the covariance where None.
            outs: one an operator, (outputs, pixels); NaN where the operator gives no value.
        """
        if sigma is None:
            sigma = np.broadcast_to(self._own[:, None], missing.shape)
        variances = [np.empty((o.outputs, 1, sigma.shape[1])) for o in self._operators]
        self._independent(np.where(missing, np.nan, sigma**2)[:, None], variances)
        known = np.where(np.isnan(sigma), 0.0, sigma)
        for operator, variance, out in zip(self._operators, variances, outs, strict=True):
            out[...] = np.sqrt(self._correlated(operator, variance[:, 0], known))
            if operator.refit is not None and missing.any():
                self._fit_gaps(operator.refit, missing, sigma, out)

    def _correlated(self, operator: SpectralOperator, variance: Floats, sigma: Floats) -> Floats:
        """The variances (outputs, pixels) with the bands' correlation; NaN where they were NaN."""
        if self._correlation is None:
            return variance
        for row in range(operator.outputs):
            bands = operator.first[row] + np.arange(operator.length[row])
            terms = operator.weights[row, : bands.size, None] * sigma[bands]
            with_others = self._correlation[np.ix_(bands, bands)] @ terms
            there = ~np.isnan(variance[row])
            variance[row, there] = np.einsum("ij,ij->j", terms, with_others)[there]
        return variance.clip(0)

    def _fit_gaps(
        self, fits: PartialFits, missing: Flags, sigma: Floats, out: NDArray[Any]
    ) -> None:
        """Deviations where windows miss samples, with the weights that fit the others."""
        chosen = np.flatnonzero(missing.any(axis=0) & ~missing.all(axis=0))
        # What is not known of a missing sample does not matter, since it gets no weight.
        spectra = np.where(missing, 0.0, sigma)[:, chosen]
        fitted = fits.windows.length > 0
        for pixels, weights in fits.weights(missing[:, chosen]):
            terms = weights * fits.samples(spectra[:, pixels])
            found = np.sqrt(self._of_terms(fits, terms))
            out[np.ix_(fitted, chosen[pixels])] = found[fitted]

    def _of_terms(self, fits: PartialFits, terms: Floats) -> Floats:
        """(outputs, pixels) variances of sums of `terms`, which are deviations times weights."""
        if self._correlation is None:
            terms = fits.folded(terms)
            independent: Floats = np.einsum("ijk,ijk->ik", terms, terms)
            return independent
        columns = fits.windows.columns.clip(0)
        pairs = self._correlation[columns[:, :, None], columns[:, None, :]]
        variance: Floats = np.einsum("ijk,ijk->ik", terms, pairs @ terms)
        return variance.clip(0)


def correlation(covariance: Floats) -> Floats:
    """(n, n) the correlations of a covariance; 0 where a variance is 0."""
    deviation = np.sqrt(np.diagonal(covariance))
    outer = np.outer(deviation, deviation)
    found: Floats = np.divide(covariance, outer, out=np.zeros_like(outer), where=outer > 0)
    np.fill_diagonal(found, 1.0)  # also for a band without noise
    return found


def deviations(operator: SpectralOperator, covariance: Floats) -> Floats:
    """(outputs,) sqrt(w' C w) of full windows; NaN where nothing is given."""
    table = operator.dense()
    variance = np.einsum("ij,jk,ik->i", table, covariance, table, optimize=True)
    found: Floats = np.where(operator.length > 0, np.sqrt(variance.clip(0)), np.nan)
    return found
