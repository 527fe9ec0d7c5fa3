"""Truth from numerical integrals (scipy.integrate.quad) and closed forms."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from hsitool.maths.spectra.resample import probable_factor, resample

SIGMA = 1 / (2 * np.sqrt(2 * np.log(2)))


def test_a_band_is_the_integral_of_the_joined_samples_under_its_gaussian(
    rng: np.random.Generator,
) -> None:
    at = np.linspace(400, 2500, 300) + rng.uniform(-3, 3, 300)
    values = rng.random(300)
    centres, widths = [700.0, 1200.0, 1999.0], [6.0, 40.0, 25.0]
    found = resample(values, at.tolist(), centres, widths)
    for centre, width, value in zip(centres, widths, found, strict=True):
        band = norm(centre, width * SIGMA)
        knots = at[abs(at - centre) < 10 * width * SIGMA]
        ends = [centre - 10 * width * SIGMA, *knots, centre + 10 * width * SIGMA]
        parts = [
            quad(lambda x, g=band: np.interp(x, at, values) * g.pdf(x), a, b)[0]
            for a, b in pairwise(ends)
        ]
        assert value == pytest.approx(sum(parts), rel=1e-9)


def test_a_line_stays_a_line_and_a_gaussian_widens() -> None:
    at = np.arange(300.0, 2000.0, 0.1)
    centres, widths = np.arange(500.0, 1800.0, 33.0), np.full(40, 30.0)
    np.testing.assert_allclose(resample(2 + at / 100, at, centres, widths), 2 + centres / 100)
    narrow = norm.pdf(at, 1000, 10)
    wide = norm.pdf(centres, 1000, np.hypot(10, 30 * SIGMA))
    np.testing.assert_allclose(resample(narrow, at, centres, widths), wide, atol=1e-6)


def test_widths_of_the_samples_themselves_count() -> None:
    at, centres = np.arange(300.0, 2000.0, 0.1), np.array([900.0, 1000.0, 1010.0])
    seen = norm.pdf(at, 1000, np.hypot(10, 20 * SIGMA))  # a line of 10 nm through bands of 20 nm
    found = resample(seen, at, centres, [30.0] * 3, [20.0] * len(at))
    np.testing.assert_allclose(found, norm.pdf(centres, 1000, np.hypot(10, 30 * SIGMA)), atol=1e-5)


def test_the_same_centres_give_the_samples_themselves(rng: np.random.Generator) -> None:
    at = [900.0, 910.0, 905.0, 915.0]  # two detectors that overlap
    values = rng.random(4)
    assert resample(values, at, at, [10.0] * 4).tolist() == values.tolist()
    assert resample(values, at, at).tolist() == values.tolist()


def test_the_order_of_samples_does_not_matter(rng: np.random.Generator) -> None:
    at, values = np.arange(400.0, 900.0, 3.0), rng.random(167)
    mixed = rng.permutation(167)
    centres = [500.0, 607.0, 750.5]
    first = resample(values, at, centres, [12.0] * 3)
    np.testing.assert_array_equal(resample(values[mixed], at[mixed], centres, [12.0] * 3), first)


def test_nothing_is_extrapolated_and_no_gap_is_bridged() -> None:
    at = np.concatenate([np.arange(500.0, 900.0, 5.0), np.arange(1100.0, 1500.0, 5.0)])
    centres = [490.0, 501.0, 506.0, 850.0, 1000.0, 1200.0, 1490.0, 1494.0, 1600.0]
    found = resample(np.ones(len(at)), at, centres, [10.0] * 9)
    assert np.isnan(found).tolist() == [True, True, False, False, True, False, False, True, True]
    np.testing.assert_allclose(found[~np.isnan(found)], 1)


def test_missing_samples_are_a_gap() -> None:
    at, values = np.arange(500.0, 900.0, 5.0), np.ones(80)
    values[40], values[60:64] = np.nan, np.nan  # 700 nm; 800 to 815 nm
    found = resample(values, at, [600.0, 703.0, 807.0, 840.0], [10.0] * 4)
    np.testing.assert_array_equal(found, [1, 1, np.nan, 1])


def test_no_samples_cover_nothing() -> None:
    assert np.isnan(resample(np.ones(1), [500.0], [500.0, 510.0])).all()


@pytest.mark.parametrize(
    ("query", "scene", "factor"),
    [
        (0.2, 2500, 1e4),
        (0.2, 20, 1e2),
        (2500, 0.2, 1e-4),
        (0.2, 0.5, None),
        (900, 2000, None),
        (0.0, 5, None),
    ],
)
def test_probable_factors(query: float, scene: float, factor: float | None) -> None:
    found = probable_factor(np.full(5, query), np.array([scene, scene, np.nan]))
    assert found == (None if factor is None else pytest.approx(factor))
