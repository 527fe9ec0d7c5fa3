"""Truth from numpy.average, numpy.cov, and blocks left out one after the other."""

from __future__ import annotations

import numpy as np
import pytest

from hsitool.maths.attention.context import Blocks, context, gather, nothing


def test_mean_spread_and_error(rng: np.random.Generator) -> None:
    blocks = Blocks(40, 55)
    row, column = np.divmod(rng.choice(2200, 700, replace=False), 55)
    spectra = rng.normal(3000, [1, 20, 300], (700, 3)) + row[:, None]
    weights = rng.random(700) * (rng.random(700) < 0.4)
    weights /= weights.sum()
    fixed = np.array([2990.0, 3100, 2000])
    block = blocks.of(row, column)
    whole = nothing(blocks.count, 3)
    for part in np.array_split(rng.permutation(700), 6):
        whole += gather(spectra[part] - fixed, weights[part], block[part], blocks.count)
    found = context(whole, fixed)
    mean = np.average(spectra, axis=0, weights=weights)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-12)
    sd = np.sqrt(np.diag(np.cov(spectra.T, ddof=0, aweights=weights)))
    np.testing.assert_allclose(found.sd, sd, rtol=1e-9)
    there = np.unique(block[weights > 0])
    left_out = np.array(
        [np.average(spectra[block != k], axis=0, weights=weights[block != k]) for k in there]
    )
    variance = (len(there) - 1) / len(there) * np.sum((left_out - mean) ** 2, axis=0)
    np.testing.assert_allclose(found.error, np.sqrt(variance), rtol=1e-9)
    assert found.blocks == len(there)


def test_the_error_covers_what_alike_neighbours_hide(rng: np.random.Generator) -> None:
    """Of many scenes whose blocks share a value, the spread of the mean is that of the error."""
    blocks, side = Blocks(60, 60), 5
    assert blocks.side == side
    row, column = np.divmod(np.arange(3600), 60)
    block, weights = blocks.of(row, column), np.full(3600, 1 / 3600)
    means, errors, naive = [], [], []
    for _ in range(200):
        spectra = rng.normal(size=(blocks.count, 4))[block] + 0.2 * rng.normal(size=(3600, 4))
        found = context(gather(spectra, weights, block, blocks.count), np.zeros(4))
        means.append(found.mean)
        errors.append(found.error)
        naive.append(found.sd / 60)
    spread = np.std(means)
    assert np.mean(errors) == pytest.approx(spread, rel=0.1)
    assert np.mean(naive) < spread / 4


def test_one_block_alone_says_nothing_of_the_error() -> None:
    blocks = Blocks(3, 2)
    assert (blocks.side, blocks.count) == (1, 6)
    found = context(gather(np.ones((2, 2)), np.ones(2) / 2, np.zeros(2, int), 6), np.zeros(2))
    assert found.blocks == 1
    assert np.isnan(found.error).all()
    assert found.sd.tolist() == [0, 0]


@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (100, 100), (5, 4000)])
def test_blocks_cover_the_scene(shape: tuple[int, int]) -> None:
    blocks = Blocks(*shape)
    row, column = np.mgrid[: shape[0], : shape[1]]
    found = blocks.of(row, column)
    assert found.min() == 0 and found.max() == blocks.count - 1
    assert len(np.unique(found)) == blocks.count <= 144
