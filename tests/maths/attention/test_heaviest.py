"""Truth from sorting all weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hsitool.maths.attention import heaviest as module
from hsitool.maths.attention.heaviest import heaviest
from hsitool.maths.attention.weights import NORMS, focus_on


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("few", [2**22, 50])
def test_the_heaviest_pixels(
    norm: Any, few: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_SORTED", few)
    s = np.round(np.append(rng.normal(0, 0.07, 3960), rng.uniform(0.3, 0.9, 40)), 3)  # with ties
    found = focus_on(s, focus=60, norm=norm)
    ranked = np.sort(found.weights(s))[::-1]
    held = np.cumsum(ranked)
    for mass in (0.05, 0.5, 0.9, 0.999):
        top = heaviest(s, found, mass=mass)
        assert top.count == np.searchsorted(held, mass) + 1
        assert top.mass == pytest.approx(held[top.count - 1])
        assert np.sum(s > top.score) + top.ties == top.count
    for count in (1, 40, 77, 3999, 10_000):
        top = heaviest(s, found, count=count)
        assert top.count == min(count, np.count_nonzero(ranked))
        assert top.mass == pytest.approx(held[top.count - 1])
