"""The same work on many scenes, some at a time, each with its part of the memory and threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from hsitool.engine.stopping import WorkStopped, stoppable
from hsitool.storage.atomic import undisturbed

S = TypeVar("S")
R = TypeVar("R")


@dataclass(frozen=True)
class Outcome(Generic[R]):
    """What became of a scene: a result, or what failed; neither where it was stopped."""

    result: R | None = None
    error: Exception | None = None


@contextmanager
def outcomes(
    work: Callable[[S], R], scenes: Sequence[S], *, jobs: int = 1, keep_going: bool = False
) -> Iterator[Iterator[Outcome[R]]]:
    """The outcomes of `work(scene)`, in the order of the scenes, from `jobs` threads.

    Unless `keep_going`, the first failure stops the scenes that run, at their next tile, and no
    other one begins. So does leaving the context, as by an exception or a signal.
    """
    stop = threading.Event()

    def one(scene: S) -> Outcome[R]:
        try:
            with stoppable(stop):
                return Outcome() if stop.is_set() else Outcome(work(scene))
        except WorkStopped:
            return Outcome()
        except Exception as error:
            if not keep_going:
                stop.set()
            return Outcome(error=error)

    if jobs == 1:  # in this thread, which a signal stops at once
        yield map(one, scenes)
        return
    executor = ThreadPoolExecutor(jobs, "scene")
    try:
        with undisturbed():
            running = [executor.submit(one, scene) for scene in scenes]
        yield (future.result() for future in running)
    finally:
        stop.set()
        executor.shutdown(wait=True, cancel_futures=True)
