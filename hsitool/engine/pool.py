"""Many independent pieces of work on all cores, in order, with progress; nothing is left behind.

Threads or processes? OpenCV lets go of Python's lock while it detects, so threads use the cores as
well as processes do and start at once; two processes took 0.2 s to start, more than the detection
of 20 boards. What Python does around it (1 ms in 10 an image) holds the lock, though, so that
threads stop getting faster beyond some eight cores: then, and when there is enough to do,
processes pay.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import wait
from typing import TypeVar

from hsitool.errors import DataError
from hsitool.storage.atomic import undisturbed

T = TypeVar("T")
R = TypeVar("R")
Progress = Callable[[int, int], None]
"""Called with the pieces done and the pieces to do."""

THREADS_AT_MOST = 8
"""Workers up to which threads are as fast as processes."""

PROCESSES_FROM = 100
"""Pieces from which on it pays to start processes."""


def map_in_order(
    work: Callable[[T], R],
    pieces: Sequence[T],
    *,
    workers: int,
    progress: Progress | None = None,
    processes: bool | None = None,
) -> list[R]:
    """`[work(piece) for piece in pieces]` by several workers.

    `processes` chooses between processes and threads; None: by the number of pieces and workers.
    Processes need a `work` from the top of a module, and pieces and results that can be pickled.
    An exception of `work`, or one that a signal raises in the caller, ends all workers.

    Raises:
        DataError: a worker process was killed.
    """
    workers = max(1, min(workers, len(pieces)))
    if processes is None:
        processes = workers > THREADS_AT_MOST and len(pieces) >= PROCESSES_FROM
    try:
        with _workers(workers, processes) as executor:
            return list(_results(executor, work, pieces, progress))
    except BrokenProcessPool as error:
        raise DataError(
            "a worker process was killed, perhaps for want of memory: "
            "use fewer --threads, or leave out the image that does it"
        ) from error


def _results(
    executor: Executor,
    work: Callable[[T], R],
    pieces: Sequence[T],
    progress: Progress | None,
) -> Iterator[R]:
    with undisturbed():  # a process that is only half started would be nobody's to end
        running: list[Future[R]] = [executor.submit(work, piece) for piece in pieces]
    for done, future in enumerate(running, 1):
        yield future.result()
        if progress is not None:
            progress(done, len(pieces))


@contextmanager
def _workers(count: int, processes: bool) -> Iterator[Executor]:
    """An executor that drops what has not begun, and ends its processes, on an exception."""
    ours = {child.pid for child in multiprocessing.active_children()}
    executor = _processes(count) if processes else ThreadPoolExecutor(count, "piece")
    try:
        yield executor
    except BaseException:
        if processes:
            for child in multiprocessing.active_children():
                if child.pid not in ours:
                    child.kill()
        raise
    finally:
        # Once only: a second time, Python no longer waits for the thread that minds the processes.
        executor.shutdown(wait=True, cancel_futures=True)


def _processes(count: int) -> ProcessPoolExecutor:
    # Not by fork: threads of this process may hold locks, which no child would ever open.
    context = multiprocessing.get_context("forkserver")
    _start_server()
    return ProcessPoolExecutor(count, context, initializer=_begin)


def _start_server() -> None:
    """Start the server that forks the workers, deaf to the terminal before Python is up in it."""
    resource_tracker.ensure_running()  # sees to itself, but lets signals through at its end
    former = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _begin() -> None:
    """Leave signals of the terminal to the parent, and do not survive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        watch = threading.Thread(target=_follow, args=(parent.sentinel,), daemon=True)
        watch.start()


def _follow(sentinel: int) -> None:
    with suppress(OSError):
        wait([sentinel])
    os._exit(1)
