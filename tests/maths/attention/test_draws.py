"""Draws by weight against the probabilities of all that could be drawn."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chisquare

from hsitool.errors import DataError
from hsitool.maths.attention.draws import draw

WEIGHTS = np.array([0.0, 3.0, 1.0, np.nan, 0.5, 2.0])


def sequences(count: int) -> dict[tuple[int, ...], float]:
    """The probability of each order of `count` elements without replacement."""
    left = {n: w for n, w in enumerate(WEIGHTS.tolist()) if w > 0}
    found = {}
    for order in permutations(left, count):
        total, p = sum(left.values()), 1.0
        for one in order:
            p *= left[one] / total
            total -= left[one]
        found[order] = p
    return found


def test_orders_are_drawn_by_their_probabilities() -> None:
    rng, expected = np.random.default_rng(11), sequences(2)
    drawn = [draw(lambda: [WEIGHTS], 2, rng) for _ in range(6000)]
    counts = Counter(tuple(one.index.tolist()) for one in drawn)
    seen = [counts[order] for order in expected]
    assert sum(seen) == 6000
    assert chisquare(seen, [6000 * p for p in expected.values()]).pvalue > 1e-3
    for one in drawn[:50]:
        logp = float(one.logp.sum())
        assert np.exp(logp) == pytest.approx(expected[tuple(one.index.tolist())], rel=1e-12)


def test_with_replacement_each_draw_is_by_the_weights() -> None:
    drawn = draw(lambda: [WEIGHTS[:2], WEIGHTS[2:]], 8000, np.random.default_rng(3), replace=True)
    known = np.nan_to_num(WEIGHTS)
    expected = 8000 * known / known.sum()
    seen = np.bincount(drawn.index, minlength=6)
    assert chisquare(seen[expected > 0], expected[expected > 0]).pvalue > 1e-3
    np.testing.assert_allclose(np.exp(drawn.logp), (known / known.sum())[drawn.index], rtol=1e-14)


@pytest.mark.parametrize("replace", [False, True])
def test_pieces_change_nothing(replace: bool, rng: np.random.Generator) -> None:
    weights: NDArray[Any] = np.where(rng.random(5000) < 0.3, rng.gamma(0.3, size=5000), 0)
    cuts = np.sort(rng.integers(0, 5000, 6))
    whole = draw(lambda: [weights], 40, np.random.default_rng(1), replace=replace)
    parts = draw(lambda: np.split(weights, cuts), 40, np.random.default_rng(1), replace=replace)
    np.testing.assert_array_equal(parts.index, whole.index)
    np.testing.assert_allclose(parts.logp, whole.logp, rtol=1e-11)
    assert replace or len(set(whole.index.tolist())) == 40
    assert (weights[whole.index] > 0).all()


def test_all_that_there_is_can_be_drawn() -> None:
    drawn = draw(lambda: [WEIGHTS], 4, np.random.default_rng(0))
    assert sorted(drawn.index.tolist()) == [1, 2, 4, 5]
    assert drawn.logp[-1] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize(
    ("weights", "count", "said"),
    [
        ([1.0, -0.5], 1, "a weight of -0.5 cannot be drawn by"),
        ([1.0, np.inf], 1, "a weight of inf cannot be drawn by"),
        ([0.0, np.nan], 1, "all weights are 0"),
        ([], 1, "all weights are 0"),
    ],
)
def test_what_cannot_be_drawn(weights: list[float], count: int, said: str, replace: bool) -> None:
    with pytest.raises(DataError, match=said):
        draw(lambda: [np.array(weights)], count, np.random.default_rng(0), replace=replace)


def test_more_than_there_are() -> None:
    with pytest.raises(DataError, match="only 4 have any weight, and 5 are to be drawn"):
        draw(lambda: [WEIGHTS], 5, np.random.default_rng(0))
    assert len(draw(lambda: [WEIGHTS], 5, np.random.default_rng(0), replace=True).index) == 5
