"""Scores against formulas written out with a dense inverse, and what they are at known places."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hsitool.maths.scene.model import Background, Shrink, scene_model
from hsitool.maths.scene.scores import (
    WIDE,
    ace,
    largest_share,
    matched_filter,
    rx,
    sam,
    score,
    shrink_for,
    sid,
)

Floats = NDArray[np.float64]
BANDS, PIXELS = 30, 4000


@pytest.fixture
def spectra(rng: np.random.Generator) -> Floats:
    """(bands, pixels) positive and correlated."""
    mixing = rng.uniform(0.1, 1.0, (BANDS, 6))
    return np.asarray(mixing @ rng.uniform(0, 1, (6, PIXELS)) + 0.05 * rng.random((BANDS, PIXELS)))


@pytest.fixture
def background(spectra: Floats) -> Background:
    return scene_model(spectra[:, None]).background(Shrink("none"))


@pytest.mark.parametrize("order", ["C", "F"])
def test_scores_are_their_formulas(
    order: str, spectra: Floats, background: Background, rng: np.random.Generator
) -> None:
    spectra, target = np.array(spectra, order=order), rng.uniform(0.2, 1.5, BANDS)
    inverse = np.linalg.inv(np.cov(spectra))
    x, d = spectra - spectra.mean(axis=1, keepdims=True), target - spectra.mean(axis=1)
    far = np.einsum("bn,bc,cn->n", x, inverse, x)
    along = d @ inverse @ x
    np.testing.assert_allclose(rx(spectra, background), far, rtol=1e-8)
    mf = matched_filter(spectra, target, background)
    np.testing.assert_allclose(mf, along / (d @ inverse @ d), rtol=1e-8, atol=1e-10)
    signed = along / np.sqrt(d @ inverse @ d * far)
    np.testing.assert_allclose(ace(spectra, target, background), signed, rtol=1e-8, atol=1e-9)
    share = 1 / (1 + d @ inverse @ d)
    assert largest_share(target, background) == pytest.approx(share, rel=1e-9)
    sizes = np.linalg.norm(spectra, axis=0) * np.linalg.norm(target)
    np.testing.assert_allclose(sam(spectra, target), -np.arccos(target @ spectra / sizes))
    p, q = spectra / spectra.sum(axis=0), (target / target.sum())[:, None]
    divergence = (p * np.log(p / q)).sum(axis=0) + (q * np.log(q / p)).sum(axis=0)
    np.testing.assert_allclose(sid(spectra, target), -divergence, rtol=1e-9)


def test_the_mean_of_rx_over_its_own_pixels(spectra: Floats, background: Background) -> None:
    expected = BANDS * (PIXELS - 1) / PIXELS
    assert rx(spectra, background).mean() == pytest.approx(expected, rel=1e-9)


def test_target_mean_and_anti_target(spectra: Floats, background: Background) -> None:
    target = spectra[:, 0] + 0.1
    places = np.column_stack([target, background.mean, 2 * background.mean - target])
    np.testing.assert_allclose(matched_filter(places, target, background), [1, 0, -1], atol=1e-12)
    np.testing.assert_allclose(ace(places, target, background)[[0, 2]], [1, -1], atol=1e-12)


def test_what_has_no_direction_has_no_score(background: Background) -> None:
    nothing = np.zeros((BANDS, 1))
    assert np.isnan(sam(nothing, background.mean))
    assert np.isnan(sid(nothing, background.mean))
    at_mean = background.mean[:, None].copy()
    assert np.isnan(ace(at_mean, background.mean + 1, background))


def test_sid_bears_samples_that_are_not_positive(spectra: Floats) -> None:
    spectra[4, 0], spectra[5, 1] = -0.01, 0.0
    assert np.isfinite(sid(spectra, spectra[:, 7])).all()


@pytest.mark.parametrize("method", ["ace", "mf", "sam", "sid"])
def test_every_method_scores_the_target_highest(
    method: str, spectra: Floats, background: Background
) -> None:
    target = spectra[:, 17]
    found = score(method, spectra, target, background)  # type: ignore[arg-type]
    assert found.argmax() == 17 or method == "mf"


@pytest.mark.parametrize("method", ["ace", "mf", "sam", "sid"])
def test_targets_together_are_as_each_alone(
    method: str, spectra: Floats, background: Background
) -> None:
    together = score(method, spectra, spectra[:, [3, 99]], background)  # type: ignore[arg-type]
    for place, number in enumerate((3, 99)):
        alone = score(method, spectra, spectra[:, number], background)  # type: ignore[arg-type]
        np.testing.assert_allclose(together[place], alone, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5])
def test_no_target_fills_more_than_its_largest_share(
    share: float, spectra: Floats, rng: np.random.Generator
) -> None:
    target = rng.uniform(0.2, 1.5, BANDS)
    filled = int(share * PIXELS)
    spectra[:, :filled] = target[:, None]
    background = scene_model(spectra[:, None]).background(Shrink("none"))
    assert largest_share(target, background) >= 0.999 * share


def test_the_wide_ridge_is_for_targets_that_may_fill_much() -> None:
    assert shrink_for(0.2) == WIDE
    assert shrink_for(0.02) == Shrink()
