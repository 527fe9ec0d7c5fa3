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

    def carry_out(step: Callable[[], None]) -> None:
        try:
            with stoppable(halt.called):
                step()
        except (ChainEndedError, WorkStopped):
            return  # the step that failed is told
        except BaseException as error:
            failures.append(error)
            halt.call()

    threads = [
        threading.Thread(target=contextvars.copy_context().run, args=(carry_out, step))
        for step in steps
    ]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except BaseException:
        halt.call()
        for thread in threads:
            thread.join()
        raise
    if failures:
        raise failures[0]
