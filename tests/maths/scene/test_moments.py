"""Moments against NumPy's, in the metric in which scores use a covariance."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular

from hsitool.maths.scene.moments import Moments

Floats = NDArray[np.float64]
BANDS, PIXELS = 60, 20_000


def spectra(rng: np.random.Generator) -> Floats:
    """(bands, pixels) of a covariance of condition 1e6, far from 0."""
    turned, _ = np.linalg.qr(rng.standard_normal((BANDS, BANDS)))
    sizes = np.geomspace(1.0, 1e-3, BANDS)
    made: Floats = turned @ (sizes[:, None] * rng.standard_normal((BANDS, PIXELS)))
    return made + 5.0


def whitened_error(found: Floats, truth: Floats) -> float:
    """The largest entry of L^-1 (found - truth) L'^-1."""
    factor = cholesky(truth, lower=True)
    half = solve_triangular(factor, found - truth, lower=True)
    return float(np.abs(solve_triangular(factor, half.T, lower=True)).max())


@pytest.mark.parametrize("pieces", [1, 7, 300])
@pytest.mark.parametrize("order", ["C", "F"])
def test_moments_of_any_pieces_are_those_of_all(
    pieces: int, order: str, rng: np.random.Generator
) -> None:
    values = spectra(rng)
    total = Moments.none(BANDS)
    for piece in np.array_split(values, pieces, axis=1):
        total = total + Moments.of(np.array(piece, order=order))
    assert total.count == PIXELS
    np.testing.assert_allclose(total.mean, values.mean(axis=1), rtol=1e-13)
    assert whitened_error(total.covariance, np.cov(values)) < 4e-11


def test_float32_sums_of_products_are_what_it_must_not_be(rng: np.random.Generator) -> None:
    values = spectra(rng)
    single = values.astype(np.float32)
    raw = single @ single.T / PIXELS - np.outer(single.mean(axis=1), single.mean(axis=1))
    assert whitened_error(raw.astype(np.float64), np.cov(values)) > 0.01


def test_no_spectra_add_nothing(rng: np.random.Generator) -> None:
    some = Moments.of(spectra(rng)[:, :9])
    none = Moments.of(np.empty((BANDS, 0)))
    assert (none + some) is some
    assert (some + none) is some
    assert (none + none).count == 0
