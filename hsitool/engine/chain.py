"""Steps of a chain at the same time, each in a thread of its own: all of them succeed, or none."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Sequence

from hsitool.engine.stopping import WorkStopped, stoppable
from hsitool.storage.links import ChainEndedError, Halt


def run_together(steps: Sequence[Callable[[], None]], halt: Halt) -> None:
    """Carry out all steps; the first that fails ends the others and is raised.

    A signal that arrives meanwhile ends them as well.
    """
    failures: list[BaseException] = []

    def carry_out(step: Callable[[], None], ended: threading.Event) -> None:
        try:
            with stoppable(halt.called):
                step()
        except (ChainEndedError, WorkStopped):
            return  # the step that failed is told
        except BaseException as error:
            failures.append(error)
            halt.call()
        finally:
            ended.set()

    ends: list[threading.Event] = []
    try:
        for step in steps:
            ended = threading.Event()
            run = contextvars.copy_context().run
            threading.Thread(target=run, args=(carry_out, step, ended)).start()
            ends.append(ended)
        _wait(ends)
    except BaseException:
        halt.call()
        _wait(ends)
        raise
    if failures:
        raise failures[0]


def _wait(ends: Sequence[threading.Event]) -> None:
    """Not by `join`: Python 3.11 takes a thread for ended when a signal interrupts that."""
    for ended in ends:
        ended.wait()
