"""Local RX against a loop over pixels with NumPy's covariance and a dense solve."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hsitool.errors import DataError
from hsitool.maths.scene import local_rx as module
from hsitool.maths.scene.local_rx import components, distances, local_rx, needed
from hsitool.maths.scene.model import Shrink, scene_model

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def by_loop(values: Floats, valid: Flags, guard: int, outer: int, ridge: Floats) -> Floats:
    _, rows, columns = values.shape
    scores = np.full((rows, columns), np.nan)
    for r, c in zip(*np.nonzero(valid), strict=True):
        top = min(max(r - outer // 2, 0), rows - outer)
        left = min(max(c - outer // 2, 0), columns - outer)
        ring = np.zeros(valid.shape, bool)
        ring[top : top + outer, left : left + outer] = True
        half = guard // 2
        ring[max(r - half, 0) : r + half + 1, max(c - half, 0) : c + half + 1] = False
        around = values[:, ring & valid]
        apart = values[:, r, c] - around.mean(axis=1)
        scores[r, c] = apart @ np.linalg.solve(np.cov(around) + ridge, apart)
    return scores


@pytest.mark.parametrize(("guard", "outer"), [(1, 3), (3, 7), (5, 11)])
@pytest.mark.parametrize("at_once", [(64, 192), (4, 5)])
def test_scores_are_those_of_a_loop(
    guard: int,
    outer: int,
    at_once: tuple[int, int],
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    rank = 3
    values = rng.standard_normal((rank, 14, 19)).cumsum(axis=1)
    valid = rng.random((14, 19)) > 0.1
    values[:, ~valid] = np.nan
    ridge = 0.1 * np.eye(rank) if outer > 3 else np.eye(rank)
    found = local_rx(values, valid, guard, outer, ridge)
    np.testing.assert_allclose(found, by_loop(values, valid, guard, outer, ridge), rtol=1e-9)


def test_without_a_ridge(rng: np.random.Generator) -> None:
    values, valid = rng.standard_normal((4, 12, 12)), np.ones((12, 12), bool)
    expected = by_loop(values, valid, 3, 9, np.zeros((4, 4)))
    np.testing.assert_allclose(local_rx(values, valid, 3, 9), expected, rtol=1e-9)


def test_rings_without_a_covariance_have_no_score(rng: np.random.Generator) -> None:
    values = rng.standard_normal((3, 9, 30))
    values[:, :, :12] = 2.5
    valid = np.ones((9, 30), bool)
    valid[:, 20:] = False
    valid[4, 25] = True
    scores = local_rx(values, valid, 1, 5)
    assert np.isnan(scores[:, :8]).all()
    assert np.isnan(scores[4, 25])
    assert np.isfinite(scores[:, 14:18]).all()


def test_small_matrices_are_solved_together(rng: np.random.Generator) -> None:
    roots = rng.standard_normal((50, 6, 6))
    matrices = roots @ roots.transpose(0, 2, 1)
    apart = rng.standard_normal((50, 6))
    expected = [d @ np.linalg.solve(m, d) for m, d in zip(matrices, apart, strict=True)]
    found = distances(matrices.transpose(1, 2, 0).copy(), apart.T)
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_rows_that_windows_reach() -> None:
    assert needed(0, 1, 50, 7) == slice(0, 7)
    assert needed(10, 12, 50, 7) == slice(7, 15)
    assert needed(49, 50, 50, 7) == slice(43, 50)


def test_components_are_white(rng: np.random.Generator) -> None:
    mixing = rng.standard_normal((12, 5))
    cube = np.einsum("bm,mrc->brc", mixing, rng.standard_normal((5, 30, 30)))
    model = scene_model(cube)
    parts = components(model, 5, Shrink("none"))
    np.testing.assert_allclose(np.cov(parts.of(cube.reshape(12, -1))), np.eye(5), atol=1e-10)
    assert not parts.ridge.any()
    with pytest.raises(DataError, match="has 5 independent components: give --rank 5"):
        components(model, 6, Shrink("none"))


def test_the_ridge_of_rings_is_the_noise_in_components(rng: np.random.Generator) -> None:
    cube = rng.standard_normal((6, 40, 40)).cumsum(axis=0) + rng.standard_normal((6, 40, 40))
    model = scene_model(cube)
    parts = components(model, 3, Shrink("noise", 5.0))
    added = model.shrunk(Shrink("noise", 5.0)) - model.covariance
    np.testing.assert_allclose(parts.ridge, parts.weights @ added @ parts.weights.T, atol=1e-12)
