"""The guard of a query that goes on its way."""

from __future__ import annotations

import numpy as np
import pytest

from hsitool.errors import DataError
from hsitool.maths.attention.recurrence import Recurrence


def test_a_query_comes_to_rest() -> None:
    state = Recurrence(np.array([1.0, 0.0]), 10)
    assert state.turn("step 1", np.array([1.0, 0.1]), 50, 3.0)
    assert state.stages[0].change == pytest.approx(0.1)
    assert not state.turn("step 2", np.array([1.0, 0.1 + 1e-8]), 50, 3.0)
    assert state.query.tolist() == [1.0, 0.1 + 1e-8]


@pytest.mark.parametrize(("ess", "drift", "said"), [(50, 11, "11.0 degrees"), (1.5, 0, "1.5 pix")])
def test_a_query_that_goes_astray(ess: float, drift: float, said: str) -> None:
    state = Recurrence(np.array([1.0, 0.0]), 10)
    with pytest.raises(DataError, match=f"step 1: .*{said}"):
        state.turn("step 1", np.array([0.0, 1.0]), ess, drift)


def test_a_frame_in_doubt_leaves_the_query_as_it_is() -> None:
    state = Recurrence(np.array([1.0, 0.0]), 10)
    state.carry("a", np.array([1.0, 0.2]), 50, 4, None)
    state.carry("b", np.array([0.0, 1.0]), 50, 60, None)
    state.carry("c", np.array([0.0, 1.0]), 50, 1, "it may be absent")
    assert state.query.tolist() == [1.0, 0.2]
    assert [stage.held is None for stage in state.stages] == [True, False, False]
    assert state.stages[2].held == "it may be absent"
