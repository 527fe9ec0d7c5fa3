"""Scores of single bands against NumPy."""

from __future__ import annotations

import numpy as np

from hsitool.maths.attention.band_scores import Deviations, fisher, signal_to_noise


def test_fisher_and_signal_to_noise(rng: np.random.Generator) -> None:
    target, others = rng.normal(3, 1, (5, 40)), rng.normal(1, 2, (5, 300))
    difference = target.mean(axis=1) - others.mean(axis=1)
    found = fisher(difference, target.var(axis=1, ddof=1), others.var(axis=1, ddof=1))
    expected = difference**2 / (target.var(axis=1, ddof=1) + others.var(axis=1, ddof=1))
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert np.isnan(fisher(np.ones(2), np.zeros(2), np.array([0.0, 1.0]))).tolist() == [True, False]
    np.testing.assert_array_equal(
        signal_to_noise(np.array([-4.0, 2.0, 1.0]), np.array([2.0, 1.0, 0.0])), [2.0, 2.0, np.nan]
    )


def test_deviations_of_pieces_add_up(rng: np.random.Generator) -> None:
    values = rng.normal(1e4, 1, (6, 1000)) + 3 * rng.normal(size=1000)
    values[4] = 7.0
    total = Deviations.of(np.zeros((6, 0)))
    for part in np.split(values, [10, 10, 400, 777], axis=1):
        total = total + Deviations.of(part)
    assert total.count == 1000
    np.testing.assert_allclose(total.mean, values.mean(axis=1), rtol=1e-14)
    np.testing.assert_allclose(total.variance, values.var(axis=1, ddof=1), rtol=1e-11, atol=1e-12)
    expected = [np.corrcoef(values[b], values[5])[0, 1] for b in range(4)]
    np.testing.assert_allclose(total.correlation[:4], expected, rtol=1e-10)
    assert np.isnan(total.correlation[4])
    assert Deviations.of(np.array([[3.0]])).variance.tolist() == [0.0]
