"""Many scenes at a time: order, failures, and how the others are stopped."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from hsitool.cube import CubeInfo, Tile
from hsitool.engine.blocks import fold_blocks
from hsitool.engine.plan import PROCESS_BYTES, Budget
from hsitool.engine.scenes import outcomes
from hsitool.engine.stopping import WorkStopped, check_stop, stoppable
from hsitool.errors import DataError
from hsitool.storage.computed import ComputedImage

JOBS = [1, 2, 7]


def squared(number: int) -> int:
    if number < 0:
        raise DataError(f"{number}")
    return number**2


@pytest.mark.parametrize("jobs", JOBS)
def test_results_come_in_order(jobs: int) -> None:
    with outcomes(squared, range(20), jobs=jobs) as found:
        assert [outcome.result for outcome in found] == [n**2 for n in range(20)]


@pytest.mark.parametrize("jobs", JOBS)
def test_failures_are_outcomes_too(jobs: int) -> None:
    with outcomes(squared, [3, -1, 4, -2], jobs=jobs, keep_going=True) as found:
        told = [(outcome.result, str(outcome.error)) for outcome in found]
    assert told == [(9, "None"), (None, "-1"), (16, "None"), (None, "-2")]


def test_one_job_begins_nothing_after_a_failure() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        return squared(number)

    with outcomes(work, [3, -1, 4]) as found:
        told = [outcome.result for outcome in found]
    assert (told, begun) == ([9, None, None], [3, -1])


def endless(number: int) -> int:
    """Tile after tile, until it is stopped; scene 0 fails meanwhile."""
    if number == 0:
        time.sleep(0.05)
        raise DataError("bad")
    while True:
        check_stop()
        time.sleep(0.001)


def test_a_failure_stops_scenes_that_run() -> None:
    with outcomes(endless, [1, 0, 2], jobs=3) as found:
        ends = list(found)
    assert [end.result for end in ends] == [None] * 3
    assert [str(end.error) for end in ends] == ["None", "bad", "None"]


def test_leaving_stops_scenes_that_run() -> None:
    with pytest.raises(KeyboardInterrupt), outcomes(endless, [1, 2, 3], jobs=2):
        raise KeyboardInterrupt
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("scene")]


def test_a_fold_stops_at_the_next_tile() -> None:
    stop, seen = threading.Event(), list[Tile]()
    info = CubeInfo(bands=1, rows=400, columns=100_000, dtype=np.dtype("f4"))
    image = ComputedImage(info, lambda tile: np.zeros((tile.height, tile.width), "f4"))

    def merge(_: None, __: None) -> None:
        seen.append(info.whole)
        stop.set()

    with stoppable(stop), pytest.raises(WorkStopped):
        fold_blocks([image], lambda *_: None, merge, None, budget=Budget(PROCESS_BYTES + 2**24, 1))
    assert len(seen) == 1


def test_memory_and_threads_are_shared() -> None:
    whole = Budget(PROCESS_BYTES + 400, 8, 3)
    assert whole.divided(4) == Budget(PROCESS_BYTES + 100, 2, 3)
    assert whole.divided(1) == whole
    assert whole.divided(9).workers == 1


def test_paths_are_no_part_of_the_engine() -> None:
    with outcomes(lambda path: path.name, [Path("a/b")]) as found:
        assert [end.result for end in found] == ["b"]
