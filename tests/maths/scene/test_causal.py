"""Causal RX against fits to all lines before, made anew for each."""

from __future__ import annotations

import numpy as np
import pytest
import scenes
from numpy.typing import NDArray

from hsitool.errors import DataError
from hsitool.maths.scene.causal import CausalRx
from hsitool.maths.scene.model import BandBlock, Shrink, oas, scene_model
from hsitool.maths.scene.moments import Moments

Floats = NDArray[np.float64]
BANDS, LINES, COLUMNS, TRAINING = 12, 30, 25, 6
BLOCK = BandBlock("cube", tuple(range(BANDS)), BANDS)


@pytest.fixture
def scene(rng: np.random.Generator) -> Floats:
    clean = scenes.signal(BANDS, LINES, COLUMNS)
    made = clean + 0.01 * scenes.noise(clean.shape, 0.0, rng)
    made[3, 11, 5:9] = np.nan
    return made


def streamed(scene: Floats, shrink: Shrink, training: int = TRAINING) -> Floats:
    detector = CausalRx(training, [range(BANDS)], BLOCK, shrink)
    lines = np.moveaxis(scene, 1, 0)
    return np.stack([detector(line, np.isfinite(line).all(axis=0)) for line in lines])


@pytest.mark.parametrize("kind", ["none", "noise", "oas"])
def test_each_line_is_scored_by_those_before(kind: str, scene: Floats) -> None:
    shrink = Shrink(kind)  # type: ignore[arg-type]
    found = streamed(scene, shrink)
    assert np.isnan(found[:TRAINING]).all()
    assert np.isnan(found[11, 5:9]).all()
    ridge = np.diag(10 * scene_model(scene[:, :TRAINING]).noise_level)
    for line in range(TRAINING, LINES):
        before = scene[:, :line].reshape(BANDS, -1)
        before = before[:, np.isfinite(before).all(axis=0)]
        covariance = np.cov(before)
        if kind == "oas":
            covariance = oas(covariance, before.shape[1])
        covariance = covariance + (ridge if kind == "noise" else 0)
        apart = scene[:, line] - before.mean(axis=1, keepdims=True)
        far = np.einsum("bn,bn->n", apart, np.linalg.solve(covariance, apart))
        np.testing.assert_allclose(found[line], far, rtol=1e-8)


def test_moments_that_are_known_are_taken(scene: Floats) -> None:
    detector = CausalRx(TRAINING, [range(BANDS)], BLOCK, Shrink("none"))
    for number, expected in enumerate(streamed(scene, Shrink("none"))):
        line = scene[:, number]
        valid = np.isfinite(line).all(axis=0)
        found = detector(line, valid, Moments.of(line[:, valid]))
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_what_comes_later_does_not_matter(scene: Floats) -> None:
    first = streamed(scene, Shrink())
    scene[:, 20:] += 1.0
    np.testing.assert_array_equal(streamed(scene, Shrink())[:20], first[:20])


def test_lines_that_are_too_few_to_learn_from(scene: Floats) -> None:
    with pytest.raises(DataError, match="cannot give the covariance of 12 bands"):
        streamed(scene[:, :, :5], Shrink("none"), training=2)
    scene[:, :TRAINING] = np.nan
    with pytest.raises(DataError, match="no pixel has data"):
        streamed(scene, Shrink())
