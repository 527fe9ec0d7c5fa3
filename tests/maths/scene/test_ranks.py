"""Quantiles from counts are the values that sorting gives."""

from __future__ import annotations

import numpy as np
import pytest

from hsitool.maths.scene.ranks import high_counts, low_counts, places, values_of


@pytest.mark.parametrize("pieces", [1, 5])
@pytest.mark.parametrize("kind", ["normal", "ties", "one"])
def test_ranks_are_those_of_the_sorted(kind: str, pieces: int, rng: np.random.Generator) -> None:
    made = {
        "normal": rng.standard_normal(5000) * 10.0 ** rng.integers(-30, 30, 5000),
        "ties": rng.integers(-3, 4, 5000),
        "one": np.array([-7.25]),
    }
    values = made[kind].astype(np.float32)
    ordered = np.sort(values)
    ranks = sorted({0, len(values) // 3, len(values) // 2, len(values) - 1})
    parts = np.array_split(values, pieces)
    high = sum((high_counts(part) for part in parts), start=np.zeros(65536, np.int64))
    found = [places(high, [rank])[0] for rank in ranks]
    bins = sorted({place for place, _ in found})
    counted = [low_counts(part, bins) for part in parts]
    low = {b: sum((c[b] for c in counted), start=np.zeros(65536, np.int64)) for b in bins}
    assert values_of(found, low) == ordered[ranks].tolist()
