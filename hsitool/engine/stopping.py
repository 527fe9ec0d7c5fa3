"""Work that another thread may ask to stop: it does so at the next tile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_here = threading.local()


class WorkStopped(BaseException):
    """The work was given up on request; nothing of it is left."""


@contextmanager
def stoppable(stop: threading.Event) -> Iterator[None]:
    """What this thread does meanwhile over tiles ends as soon as the event is set."""
    former = getattr(_here, "stop", None)
    _here.stop = stop
    try:
        yield
    finally:
        _here.stop = former


def check_stop() -> None:
    """Called before each tile by the thread that goes through them.

    Raises:
        WorkStopped: the work is not wanted any more.
    """
    stop: threading.Event | None = getattr(_here, "stop", None)
    if stop is not None and stop.is_set():
        raise WorkStopped
