"""Greedy picks against all the sets that a search by hand would look at."""

from __future__ import annotations

import sys
from typing import Any

import device_arrays
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg.lapack import dpstrf

from hsitool.errors import DataError, UsageError
from hsitool.maths.attention.pick_bands import agreement, far_apart, pick_bands

Floats = NDArray[np.float64]


def smooth_covariance(bands: int, rng: np.random.Generator, noise: float = 1e-3) -> Floats:
    """Of bands that their neighbours foretell, as in a scene; of condition 1e6 or so."""
    lag = np.subtract.outer(np.arange(bands), np.arange(bands))
    scale = rng.uniform(0.5, 2, bands)
    return np.outer(scale, scale) * (np.exp(-((lag / 9.0) ** 2)) + noise * np.eye(bands))


def told(covariance: Floats, difference: Floats, bands: list[int]) -> float:
    """d' S^-1 d by its formula."""
    d = difference[bands]
    return float(d @ np.linalg.solve(covariance[np.ix_(bands, bands)], d)) if bands else 0.0


def by_hand(covariance: Floats, difference: Floats, count: int, gap: float) -> list[int]:
    picked: list[int] = []
    for _ in range(count):
        free = [b for b in range(len(difference)) if all(abs(b - p) >= max(gap, 1) for p in picked)]
        picked.append(max(free, key=lambda b: told(covariance, difference, [*picked, b])))
    return picked


@pytest.mark.parametrize("gap", [0.0, 2.0, 7.0])
def test_gains_are_the_rises_of_the_squared_distance(gap: float, rng: np.random.Generator) -> None:
    for _ in range(5):
        covariance = smooth_covariance(60, rng)
        difference = np.cumsum(rng.normal(size=60)) / 5
        picks = pick_bands(covariance, difference, count=6, gap_nm=gap)
        assert list(picks.bands) == by_hand(covariance, difference, 6, gap)
        sums = np.cumsum(picks.gains)
        for number in range(1, 7):
            expected = told(covariance, difference, list(picks.bands[:number]))
            assert sums[number - 1] == pytest.approx(expected, rel=1e-9)
        assert picks.total == pytest.approx(sums[-1], rel=1e-12)


def test_units_of_bands_do_not_matter(rng: np.random.Generator) -> None:
    covariance, difference = smooth_covariance(40, rng), rng.normal(size=40)
    unit = 10.0 ** rng.integers(-6, 7, 40)
    picks = pick_bands(covariance, difference, count=5)
    other = pick_bands(covariance * np.outer(unit, unit), difference * unit, count=5)
    assert other.bands == picks.bands
    np.testing.assert_allclose(other.gains, picks.gains, rtol=1e-9)


def test_without_a_target_picks_are_the_pivots_of_lapack(rng: np.random.Generator) -> None:
    covariance = smooth_covariance(50, rng)
    scale = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(scale, scale)
    np.fill_diagonal(correlation, 1.0)  # all begin alike: the first one comes first
    factor, pivots, _, _ = dpstrf(correlation, lower=1)
    picks = pick_bands(covariance, count=8)
    assert list(picks.bands) == (pivots[:8] - 1).tolist()
    np.testing.assert_allclose(picks.gains, np.diag(factor)[:8] ** 2, rtol=1e-9)


def test_a_doublet_beside_a_bright_continuum() -> None:
    """Bands that tell alone are neighbours of one another; those that tell together are not."""
    bands, rng = 224, np.random.default_rng(5)
    nm = np.linspace(400, 2500, bands)
    smooth = np.exp(-((np.subtract.outer(nm, [500, 1000, 1500, 2000, 2400]) / 300) ** 2)).T
    background = rng.dirichlet(np.ones(5), 20_000) @ smooth + rng.normal(0, 0.003, (20_000, bands))
    doublet = sum(np.exp(-(((nm - at) / 12) ** 2)) for at in (2160, 2207))
    target = background[:150] - 0.025 * doublet + 0.05 * smooth[3]
    scene = np.concatenate([background, target])
    wanted = np.arange(len(scene)) >= len(background)
    covariance, difference = np.cov(scene.T), target.mean(axis=0) - scene.mean(axis=0)

    def precision(chosen: list[int]) -> float:
        weights = np.linalg.solve(covariance[np.ix_(chosen, chosen)], difference[chosen])
        order = np.argsort(-((scene - scene.mean(axis=0))[:, chosen] @ weights))
        hits = wanted[order]
        return float(np.mean((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits]))

    variance = target.var(axis=0) + covariance.diagonal()
    alone = np.argsort(-(difference**2) / variance)[:3].tolist()
    picks = pick_bands(covariance, difference, count=3, at_nm=nm, gap_nm=20.0)
    print(f"\npicked {nm[list(picks.bands)].round()} {precision(list(picks.bands)):.3f}, ", end="")
    print(f"best alone {nm[alone].round()} {precision(alone):.3f}, ", end="")
    print(f"all {precision(list(range(bands))):.3f}")
    assert precision(list(picks.bands)) >= 0.95
    assert precision(alone) <= 0.1


def test_gaps_of_bands_of_their_own() -> None:
    nm = [400.0, 410.0, 430.0, 470.0]
    apart = far_apart(nm, [10.0, 10.0, 30.0, 41.0])
    expected = [[0, 1, 1, 1], [1, 0, 0, 1], [1, 0, 0, 0], [1, 1, 0, 0]]
    np.testing.assert_array_equal(apart, np.array(expected, bool))


def test_agreement_pairs_each_band_once() -> None:
    apart = far_apart(np.arange(20), 3.0)
    assert agreement([1, 8, 15], [1, 8, 15], apart) == 3
    assert agreement([1, 8], [2, 3], apart) == 1
    assert agreement([1, 3], [2, 4], apart) == 2
    assert agreement([1, 5], [8, 12], apart) == 0
    assert agreement([5, 6, 7], [6], apart) == 1


def test_bands_that_others_foretell_wholly_add_nothing(rng: np.random.Generator) -> None:
    mixed = rng.normal(size=(4, 3)) @ rng.normal(size=(3, 500))  # 4 bands of 3 dimensions
    covariance, difference = np.cov(np.concatenate([mixed, np.ones((1, 500))])), rng.normal(size=5)
    assert len(set(pick_bands(covariance, difference, count=3).bands) & {0, 1, 2, 3}) == 3
    with pytest.raises(DataError, match="3 bands tell all that the others could, and 4 were"):
        pick_bands(covariance, difference, count=4)


def test_what_cannot_be_picked(rng: np.random.Generator) -> None:
    covariance, difference = smooth_covariance(10, rng), rng.normal(size=10)
    with pytest.raises(UsageError, match="0 bands cannot be picked"):
        pick_bands(covariance, difference, count=0)
    with pytest.raises(UsageError, match="11 bands cannot be picked: only 10 are in use"):
        pick_bands(covariance, difference, count=11)
    with pytest.raises(UsageError, match="only 3 bands lie so far apart, not 4"):
        pick_bands(covariance, np.eye(10)[0] + 0.1, count=4, gap_nm=4.0)
    with pytest.raises(DataError, match="no band tells the target from the background"):
        pick_bands(covariance, np.zeros(10), count=2)
    with pytest.raises(DataError, match="not finite"):
        pick_bands(covariance, np.full(10, np.nan), count=2)


def test_arrays_stay_where_they_live(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    cupy: Any = device_arrays.device_module()
    covariance, difference = smooth_covariance(30, rng), rng.normal(size=30)
    for given in ((covariance, difference), (covariance,)):
        expected = pick_bands(*given, count=5, gap_nm=2.0)
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "cupy", cupy)
            found = pick_bands(*map(cupy.asarray, given), count=5, gap_nm=2.0)
        assert found.bands == expected.bands
        np.testing.assert_allclose(found.gains, expected.gains, rtol=1e-12)
