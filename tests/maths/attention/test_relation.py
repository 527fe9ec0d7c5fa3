"""Rows and Z against PyTorch's (stored, and live where it is installed) and SciPy's softmax."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from device_arrays import device_module
from numpy.typing import NDArray
from scipy.special import softmax

from hsitool.errors import DataError, UsageError
from hsitool.maths.attention.relation import (
    Offer,
    attended,
    attended_in_window,
    noise_whitened_components,
    relatedness,
    self_attention_row,
)
from hsitool.maths.scene.model import BandBlock, SceneModel

Array = NDArray[Any]
ORACLE = np.load(Path(__file__).parents[2] / "oracles" / "attention.npz")
QUERY, KEY, VALUE = (ORACLE[name] for name in ("query", "key", "value"))
BETA = 1 / math.sqrt(QUERY.shape[1])


def blocks(keys: Any, values: Any, step: int) -> Iterator[Offer]:
    for start in range(0, len(keys), step):
        yield Offer.of(keys[start : start + step], values[start : start + step])


@pytest.mark.parametrize("row", [0, 17, 59])
def test_a_row_is_that_of_pytorch(row: int) -> None:
    made = self_attention_row(QUERY[row], KEY.T, score="dot")
    assert np.abs(made - ORACLE["weights"][row]).max() <= 1e-10
    assert abs(made.sum() - 1) <= 1e-9


@pytest.mark.parametrize("step", [1, 7, 60, 500])
@pytest.mark.parametrize(("dtype", "limit"), [(np.float64, 1e-9), (np.float32, 1e-5)])
def test_z_is_that_of_pytorch(step: int, dtype: Any, limit: float) -> None:
    query, key, value = (array.astype(dtype) for array in (QUERY, KEY, VALUE))
    made = attended(query, blocks(key, value, step), BETA)
    assert np.abs(made - ORACLE["attended"]).max() <= limit


def test_blocks_of_any_size_give_the_same(rng: np.random.Generator) -> None:
    made = [attended(QUERY, blocks(KEY, VALUE, step), BETA) for step in (1, 13, 60)]
    assert max(np.abs(one - made[0]).max() for one in made) <= 1e-12


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1.0, 30.0, 3000.0])
def test_scores_of_any_size_neither_overflow_nor_vanish(
    dtype: Any, size: float, rng: np.random.Generator
) -> None:
    """Rising from block to block, by far more than an exponential holds."""
    query, key = rng.normal(size=(9, 4)), rng.normal(size=(40, 4))
    key *= np.linspace(0.01, 1, 40)[:, None] * math.sqrt(size)
    query *= math.sqrt(size)
    query, key = query.astype(dtype).astype(float), key.astype(dtype).astype(float)
    value = rng.normal(size=(40, 3))
    expected = softmax(query @ key.T, axis=1) @ value
    made = attended(query.astype(dtype), blocks(key.astype(dtype), value.astype(dtype), 5), 1.0)
    assert np.abs(made - expected).max() < (1e-11 if dtype is np.float64 else 1e-6 * (10 + size))


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="no PyTorch here")
def test_live_against_pytorch(rng: np.random.Generator) -> None:
    import torch  # type: ignore[import-not-found]

    query, key, value = (rng.normal(size=(700, n)) * 2 for n in (16, 16, 30))
    given = [torch.tensor(a)[None] for a in (query, key, value)]
    expected = torch.nn.functional.scaled_dot_product_attention(*given)[0].numpy()
    assert np.abs(attended(query, blocks(key, value, 64), 0.25) - expected).max() <= 1e-9
    small = [a.astype(np.float32) for a in (query, key, value)]
    made = attended(small[0], blocks(small[1], small[2], 64), 0.25)
    assert np.abs(made - expected).max() <= 1e-5


def test_a_pixel_is_most_like_itself_by_cosine_and_distance(rng: np.random.Generator) -> None:
    """By their product it need not be: one bright pixel is everybody's best match."""
    keys = rng.normal(size=(8, 30, 20)) + 1
    keys[:, 3, 4] *= 40
    for score, always in (("cosine", True), ("gauss", True), ("dot", False)):
        places = [(r, c) for r in range(0, 30, 7) for c in range(0, 20, 6)]
        rows = [self_attention_row(keys[:, r, c], keys, score=score) for r, c in places]  # type: ignore[arg-type]
        best = [
            np.unravel_index(row.argmax(), row.shape) == at
            for row, at in zip(rows, places, strict=True)
        ]
        assert all(best) is always
    assert all(row.shape == (30, 20) for row in rows)


@pytest.mark.parametrize("score", ["cosine", "gauss"])
def test_focus_is_the_effective_number_of_keys(score: Any, rng: np.random.Generator) -> None:
    keys = rng.normal(size=(6, 4000))
    row = self_attention_row(keys[:, 5], keys, score=score, focus=200)
    assert 1 / np.sum(row**2) == pytest.approx(200, rel=1e-6)
    d = keys - keys[:, 5:6]
    lengths = np.linalg.norm(keys, axis=0)
    s = keys[:, 5] @ keys / lengths / lengths[5] if score == "cosine" else -(d**2).sum(axis=0) / 2
    beta = np.log(row[7] / row[9]) / (s[7] - s[9])
    assert np.allclose(row, softmax(beta * s), rtol=1e-8)


def test_keys_that_are_missing_have_no_weight(rng: np.random.Generator) -> None:
    keys = rng.normal(size=(3, 50))
    keys[1, 7], keys[:, 9] = np.nan, 0
    row = self_attention_row(keys[:, 0], keys, temperature=0.1)
    assert (row[7], row[9]) == (0, 0)
    others = np.delete(keys, [7, 9], axis=1)
    expected = self_attention_row(keys[:, 0], others, temperature=0.1)
    assert np.allclose(np.delete(row, [7, 9]), expected, rtol=1e-13)


@pytest.mark.parametrize("window", [3, 7])
def test_in_a_window(window: int, rng: np.random.Generator) -> None:
    rows, columns, half = 9, 8, window // 2
    query, key = rng.normal(size=(2, rows, columns, 4))
    value, there = rng.normal(size=(rows, columns, 5)), rng.random((rows, columns)) > 0.2
    value[~there] = np.nan
    frame = ((half, half), (half, half))
    made = attended_in_window(
        query, np.pad(key, (*frame, (0, 0))), np.pad(value, (*frame, (0, 0))),
        np.pad(there, frame), window, 0.5,
    )  # fmt: skip
    for row, column in ((0, 0), (4, 4), (8, 7), (0, 5)):
        near = (
            slice(max(0, row - half), row + half + 1),
            slice(max(0, column - half), column + half + 1),
        )
        inside = there[near]
        weights = softmax(0.5 * key[near][inside] @ query[row, column])
        assert np.allclose(made[row, column], weights @ value[near][inside], rtol=1e-12)


def test_on_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    cupy = device_module()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    query, key, value = map(cupy.asarray, (QUERY, KEY, VALUE))
    row = self_attention_row(query[17], key.T, score="dot")
    assert isinstance(row, cupy.ndarray)
    assert np.abs(row.get() - ORACLE["weights"][17]).max() <= 1e-10
    for score in ("cosine", "gauss"):
        for norm in ("softmax", "sparsemax", "entmax15"):
            made = self_attention_row(query[17], key.T, score=score, norm=norm, focus=9)  # type: ignore[arg-type]
            expected = self_attention_row(QUERY[17], KEY.T, score=score, norm=norm, focus=9)  # type: ignore[arg-type]
            assert np.abs(made.get() - expected).max() <= 1e-12
    z = attended(query, blocks(key, value, 16), BETA)
    assert isinstance(z, cupy.ndarray)
    assert np.abs(z.get() - ORACLE["attended"]).max() <= 1e-9


def model(rng: np.random.Generator, bands: int = 6, noise: Any = None) -> SceneModel:
    mixed = rng.normal(size=(bands, 2)) @ rng.normal(size=(2, 500)) * 5
    noise = np.linspace(0.5, 2, bands) if noise is None else noise
    spectra = mixed + rng.normal(size=(bands, 500)) * np.linspace(0.5, 2, bands)[:, None]
    block = BandBlock("made", tuple(range(bands)), bands)
    return SceneModel(500, spectra.mean(axis=1), np.cov(spectra), noise, None, (block,))


def test_components_are_of_bands_over_their_noise(rng: np.random.Generator) -> None:
    made = model(rng)
    found = noise_whitened_components(made)
    assert found.width == 2  # as many as are mixed
    assert made.noise_std is not None
    whitened = made.covariance / np.outer(made.noise_std, made.noise_std)
    variances = np.sort(np.linalg.eigvalsh(whitened))[::-1]
    assert np.allclose(found.keys @ made.covariance @ found.keys.T, np.diag(variances[:2]))
    assert noise_whitened_components(made, 5).width == 5
    with pytest.raises(UsageError, match="7 components of 6 bands"):
        noise_whitened_components(made, 7)


def test_without_noise_nothing_is_whitened(rng: np.random.Generator) -> None:
    made = model(rng)
    for noise, said in ((None, "too few pixels"), (np.zeros(6), "no noise")):
        bare = SceneModel(500, made.mean, made.covariance, noise, None, made.blocks)
        with pytest.raises(DataError, match=said):
            noise_whitened_components(bare)
    quiet = np.array([0.0, 1, 1, 1, 1, 1])
    bare = SceneModel(500, made.mean, made.covariance, quiet, None, made.blocks)
    assert np.isfinite(noise_whitened_components(bare).keys).all()


def test_what_does_not_match_is_refused() -> None:
    with pytest.raises(UsageError, match="give"):
        self_attention_row(np.zeros(3), np.zeros((4, 9)))
    with pytest.raises(UsageError, match="none of cosine"):
        relatedness("sine", np.zeros((3, 1)), np.zeros((3, 9)))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no key"):
        attended(np.zeros((2, 3)), iter(()), 1.0)
    with pytest.raises(DataError, match="no score"):
        self_attention_row(np.zeros(3), np.ones((3, 4)))
