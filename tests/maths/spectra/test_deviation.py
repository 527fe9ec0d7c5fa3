"""Claimed standard deviations against those of 10,000 noisy spectra."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hsitool.maths.spectra.deviation import DeviationKernel, deviations
from hsitool.maths.spectra.operator import SpectralOperator
from hsitool.maths.spectra.refit import PartialRule
from hsitool.maths.spectra.savgol import savgol_operator

Floats = NDArray[np.float64]
BANDS, SPECTRA = 60, 10_000
X = 400 + np.cumsum(np.random.default_rng(3).uniform(4, 9, BANDS))
SEGMENTS = [range(25), range(27, BANDS)]
SIGMA = np.random.default_rng(4).uniform(0.5, 2.0, BANDS)
WITHIN = 0.03


def operator(window: int, degree: int, deriv: int, **options: Any) -> SpectralOperator:
    options.setdefault("partial", PartialRule(fill_gaps=True))
    x = X if options.get("mode", "interp") == "interp" else np.arange(float(BANDS))
    return savgol_operator(x, SEGMENTS, window, degree, deriv, **options)


def covariance(rho: float) -> Floats:
    """AR(1) noise with another size in every band."""
    apart = np.abs(np.subtract.outer(np.arange(BANDS), np.arange(BANDS)))
    return np.outer(SIGMA, SIGMA) * rho**apart


def noise(rho: float, rng: np.random.Generator) -> Floats:
    """(bands, spectra) by the recursion of an AR(1) process."""
    steps = rng.normal(size=(BANDS, SPECTRA))
    found = steps.copy()
    for band in range(1, BANDS):
        found[band] = rho * found[band - 1] + np.sqrt(1 - rho**2) * steps[band]
    return found * SIGMA[:, None]


def assert_within(claimed: Floats, results: Floats) -> None:
    """Bands with a value in all spectra: claimed against sample standard deviation."""
    given = ~np.isnan(results).any(axis=1)
    np.testing.assert_array_equal(np.isnan(claimed), ~given)
    sample = results[given].std(axis=1, ddof=1)
    assert np.all(claimed[given][sample == 0] == 0)  # a band that is copied leaves no residual
    ratio = claimed[given][sample > 0] / sample[sample > 0]
    print(f"claimed / sample: {ratio.min():.3f} to {ratio.max():.3f} over {given.sum()} bands")
    assert np.abs(ratio - 1).max() < WITHIN


CASES = [
    operator(5, 2, 0),
    operator(7, 3, 1),
    operator(5, 2, 2),
    operator(11, 2, 0).residual(),
    operator(7, 2, 0, mode="mirror"),
    operator(7, 2, 1, mode="nearest"),
    operator(7, 2, 0, mode="constant"),
    operator(7, 2, 0, mode="wrap"),
]


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("rho", [0.0, 0.5])
@pytest.mark.parametrize("case", range(len(CASES)))
def test_claimed_and_sample_deviations(case: int, rho: float, gaps: bool) -> None:
    """Edges and bands of no segment included; with gaps, every spectrum misses the same bands."""
    rng = np.random.default_rng(10 + case)
    spectra = noise(rho, rng)
    missing = np.zeros((BANDS, 1), bool)
    if gaps:
        missing[[1, 9, 14, 30, 31, 45, 58]] = True
        spectra[missing[:, 0]] = np.nan
    with np.errstate(invalid="ignore"):
        results = CASES[case].apply(spectra[:, None])[:, 0]
    correlated = covariance(rho) if rho else None
    out = np.empty((BANDS, 1))
    DeviationKernel([CASES[case]], correlated)(missing, SIGMA[:, None], [out])
    assert_within(out[:, 0], results)
    if correlated is not None:
        alone = np.empty((BANDS, 1))
        DeviationKernel([CASES[case]], correlated)(missing, None, [alone])
        np.testing.assert_allclose(alone, out, rtol=1e-12)
        if not gaps:
            np.testing.assert_allclose(deviations(CASES[case], correlated), out[:, 0], rtol=1e-9)


def test_independent_noise_would_be_wrong_for_correlated_noise() -> None:
    """The test above can fail: AR(1) noise taken as independent is 10 % off and more."""
    results = CASES[0].apply(noise(0.5, np.random.default_rng(1))[:, None])[:, 0]
    out = np.empty((BANDS, 1))
    DeviationKernel([CASES[0]])(np.zeros((BANDS, 1), bool), SIGMA[:, None], [out])
    inside = slice(2, 23)
    ratio = out[inside, 0] / results[inside].std(axis=1)
    assert (ratio < 0.9).mean() > 0.5


def test_each_pixel_has_its_own_deviations(rng: np.random.Generator) -> None:
    smoothing = operator(5, 2, 0)
    sigma = rng.uniform(0.5, 2, (BANDS, 7))
    out = np.empty((BANDS, 7), np.float32)
    DeviationKernel([smoothing])(np.zeros((BANDS, 7), bool), sigma, [out])
    expected = np.sqrt(smoothing.dense() ** 2 @ sigma**2)
    np.testing.assert_allclose(out, expected, rtol=1e-6)


def test_an_unknown_deviation_makes_those_of_its_windows_unknown(
    rng: np.random.Generator,
) -> None:
    """Where the sample itself is missing, its deviation does not matter."""
    sigma = rng.uniform(0.5, 2, (BANDS, 2))
    sigma[10] = np.nan
    missing = np.zeros((BANDS, 2), bool)
    missing[10, 1] = True
    out = np.empty((BANDS, 2))
    DeviationKernel([operator(5, 2, 0, partial=PartialRule())])(missing, sigma, [out])
    assert np.flatnonzero(np.isnan(out[:25, 0])).tolist() == [8, 9, 10, 11, 12]
    assert np.flatnonzero(np.isnan(out[:25, 1])).tolist() == [10]
