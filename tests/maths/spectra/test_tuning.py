"""Estimated risks against the errors that known signals and noise make."""

from __future__ import annotations

import numpy as np
import pytest
import scenes
from numpy.typing import NDArray
from scipy.signal import savgol_filter

from hsitool.maths.spectra.tuning import Moments, estimated_risk, moments, noise_share

BANDS = 40
Floats = NDArray[np.float64]


def savgol(window: int, degree: int, deriv: int = 0) -> Floats:
    """(bands, bands) the matrix of SciPy's filter."""
    return np.asarray(savgol_filter(np.eye(BANDS), window, degree, deriv=deriv, axis=0))


def covariance(rng: np.random.Generator, rank: int = BANDS) -> Floats:
    factor = rng.standard_normal((BANDS, rank))
    return np.asarray(factor @ factor.T / rank)


@pytest.mark.parametrize("deriv", [0, 1, 2])
def test_its_mean_is_the_error_that_it_estimates(deriv: int, rng: np.random.Generator) -> None:
    """With the moments that spectra have on average, signal and noise being independent."""
    mean, of_signal, of_noise = rng.standard_normal(BANDS), covariance(rng, 5), covariance(rng)
    filtered = savgol(9, 3, deriv)
    wanted = savgol(5, 3, deriv) if deriv else np.eye(BANDS)
    found = estimated_risk(filtered, wanted, of_noise, Moments(mean, of_signal + of_noise))
    bias = filtered - wanted
    expected = (bias @ mean) ** 2 + np.diag(bias @ of_signal @ bias.T)
    expected += np.diag(filtered @ of_noise @ filtered.T)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("along", [0.0, 0.5])
def test_sampled_spectra_show_their_error(along: float, rng: np.random.Generator) -> None:
    clean = scenes.signal(BANDS, 64, 64).reshape(BANDS, -1)
    noise = 0.01 * scenes.noise(clean.shape, along, rng)
    apart = np.abs(np.subtract.outer(np.arange(BANDS), np.arange(BANDS)))
    for window in (5, 9, 15):
        filtered = savgol(window, 2)
        error = ((filtered @ (clean + noise) - clean) ** 2).mean()
        seen = moments((clean + noise).T)
        found = estimated_risk(filtered, np.eye(BANDS), 1e-4 * along**apart, seen).mean()
        assert found == pytest.approx(error, rel=0.05)


def test_doing_nothing_leaves_the_noise(rng: np.random.Generator) -> None:
    of_noise, one = covariance(rng), np.eye(BANDS)
    found = estimated_risk(one, one, of_noise, moments(rng.standard_normal((9, BANDS))))
    np.testing.assert_allclose(found, np.diag(of_noise), rtol=1e-12)


def test_moments(rng: np.random.Generator) -> None:
    spectra = 1e4 + rng.standard_normal((30, BANDS))
    found = moments(spectra)
    np.testing.assert_allclose(found.mean, spectra.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(found.covariance, np.cov(spectra.T, bias=True), atol=1e-12)


def test_share_of_noise(rng: np.random.Generator) -> None:
    signal, noise = 3.0 * np.eye(BANDS), np.eye(BANDS)
    found = noise_share(savgol(7, 2), noise, Moments(np.zeros(BANDS), signal + noise))
    np.testing.assert_allclose(found, 0.5, rtol=1e-12)
    nothing = noise_share(np.zeros((2, BANDS)), noise, moments(rng.standard_normal((9, BANDS))))
    assert np.isnan(nothing).all()
