"""The noise of made scenes, white and correlated, is found again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scenes
from numpy.typing import NDArray

from hsitool.maths.spectra.noise import Correlation, SceneNoise, estimate_noise

BANDS = 64
Floats = NDArray[np.float64]


def noisy(std: Floats, along: float, rng: np.random.Generator) -> Floats:
    clean = scenes.signal(len(std))
    return clean + std[:, None, None] * scenes.noise(clean.shape, along, rng)


def estimated(cube: Floats, segments: list[range] | None = None) -> SceneNoise:
    return estimate_noise(*scenes.pairs(cube), segments or [range(len(cube))])


@pytest.mark.parametrize("level", [0.002, 0.005, 0.02])
def test_white_noise_is_found_without_what_the_regressors_add(
    level: float, rng: np.random.Generator
) -> None:
    found = estimated(noisy(np.full(BANDS, level), 0.0, rng))
    ratio = found.std / level
    assert abs(np.median(ratio) - 1) < 0.07
    assert np.quantile(np.abs(ratio - 1), 0.9) < 0.15
    assert found.correlation.first <= 0.08


def test_noise_may_differ_from_band_to_band(rng: np.random.Generator) -> None:
    std = 0.004 * (1 + np.arange(BANDS) / 20 + 0.5 * np.sin(np.arange(BANDS) / 3))
    ratio = estimated(noisy(std, 0.0, rng)).std / std
    assert abs(np.median(ratio) - 1) < 0.05
    assert np.quantile(np.abs(ratio - 1), 0.9) < 0.15


@pytest.mark.parametrize(("along", "tolerance"), [(0.3, 0.08), (0.6, 0.12), (0.8, 0.25)])
def test_noise_correlated_along_the_bands(
    along: float, tolerance: float, rng: np.random.Generator
) -> None:
    found = estimated(noisy(np.full(BANDS, 0.01), along, rng))
    assert abs(found.correlation.first - along) < 0.1
    assert abs(found.correlation.decay - along) < 0.1
    assert abs(np.median(found.std / 0.01) - 1) < tolerance


def test_noise_of_bands_mixed_with_their_neighbours(rng: np.random.Generator) -> None:
    clean = scenes.signal(BANDS)
    fresh = rng.standard_normal((BANDS + 1, *clean.shape[1:]))
    found = estimated(clean + 0.01 * (fresh[1:] + fresh[:-1]) / np.sqrt(2))
    assert found.correlation.first == pytest.approx(0.5, abs=0.05)
    assert found.correlation.decay <= 0.1
    assert abs(np.median(found.std / 0.01) - 1) < 0.08


def test_features_of_few_bands_count_as_noise_where_there_is_little(
    rng: np.random.Generator,
) -> None:
    ratio = estimated(noisy(np.full(BANDS, 0.0005), 0.0, rng)).std / 0.0005
    assert 1 < np.median(ratio) < 2


def test_noise_shared_by_adjacent_pixels_disturbs_a_little(rng: np.random.Generator) -> None:
    clean = scenes.signal(BANDS)
    fresh = rng.standard_normal((*clean.shape[:2], clean.shape[2] + 1))
    found = estimated(clean + 0.01 * (fresh[..., 1:] + fresh[..., :-1]) / np.sqrt(2))
    assert abs(np.median(found.std / 0.01) - 1) < 0.25


@pytest.mark.parametrize("along", [0.0, 0.5])
def test_known_noise_on_the_spectra_of_a_real_scene(
    along: float, shared_data: Path, rng: np.random.Generator
) -> None:
    path = shared_data / "isofit/topoflux/ang20160910t185702_2rdn_img"
    stored = np.fromfile(path, "<f4").reshape(425, -1).astype(np.float64)
    mean = stored.mean(axis=1, keepdims=True)
    u, s, v = np.linalg.svd(stored - mean, full_matrices=False)
    clean = (mean + u[:, :12] * s[:12] @ v[:12]).reshape(425, 25, 30)
    std = (u[:, 12:] * s[12:] @ v[12:]).std(axis=1)
    cube = clean + std[:, None, None] * scenes.noise(clean.shape, along, rng)
    rows = np.moveaxis(cube, 0, -1)
    pixels, beside = rows[:, 1:].reshape(-1, 425), rows[:, :-1].reshape(-1, 425)
    found = estimate_noise(pixels, beside, [range(425)])
    assert abs(np.median(found.std / std) - 1) < 0.1
    assert abs(found.correlation.first - along) < 0.1


def test_segments_have_no_noise_in_common(rng: np.random.Generator) -> None:
    segments = [range(20), range(20, 21), range(21, 23), range(23, BANDS)]
    found = estimated(noisy(np.full(BANDS, 0.01), 0.0, rng), segments)
    assert found.segments.tolist() == [0] * 20 + [1] + [2] * 2 + [3] * 41
    long = [*range(20), *range(23, BANDS)]
    assert abs(np.median(found.std[long] / 0.01) - 1) < 0.05
    covariance = found.covariance
    for segment in segments:
        others = [band for band in range(BANDS) if band not in segment]
        assert not covariance[np.ix_(segment, others)].any()


def test_the_covariance_is_one() -> None:
    std = np.array([1.0, 2.0, 3.0, 4.0])
    found = SceneNoise(std, Correlation(0.5, 0.2), np.array([0, 0, 0, 1]))
    expected = np.diag(std**2)
    expected[0, 1] = expected[1, 0] = 0.5 * 1 * 2
    expected[1, 2] = expected[2, 1] = 0.5 * 2 * 3
    expected[0, 2] = expected[2, 0] = 0.5 * 0.2 * 1 * 3
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-14)
    for first, decay in ((0.9, 0.9), (0.5, 0.0), (0.6, 0.2), (0.0, 0.0)):
        many = SceneNoise(np.ones(50), Correlation(first, decay), np.zeros(50, int))
        assert np.linalg.eigvalsh(many.covariance).min() > -1e-12


def test_bands_without_noise_have_none(rng: np.random.Generator) -> None:
    cube = noisy(np.full(BANDS, 0.01), 0.0, rng)
    cube[30] = 0.25
    found = estimated(cube)
    assert found.std[30] == 0
    assert np.isfinite(found.std).all()
    assert estimated(np.ones((4, 8, 8))).std.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("bands", [1, 2, 3])
def test_few_bands(bands: int, rng: np.random.Generator) -> None:
    flat = 0.5 + 0.01 * rng.standard_normal((bands, 60, 60))
    found = estimated(flat)
    np.testing.assert_allclose(found.std, 0.01, rtol=0.1)
    assert found.covariance.shape == (bands, bands)
