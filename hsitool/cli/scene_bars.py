"""Progress of many scenes: one line for each that runs, and one for all of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from hsitool.errors import printable

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from hsitool.engine.blocks import Progress

NAME_WIDTH = 32
"""Letters of a scene's name that are shown, the last ones."""

Bars = Callable[[str], "AbstractContextManager[Progress | None]"]
"""Gives the progress of a scene, by its name, while it runs."""


@contextmanager
def scene_bars(verb: str, count: int, quiet: bool) -> Iterator[Bars]:
    """Bars on standard error, if that is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield _silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar
    from rich.progress import TimeRemainingColumn as Remaining

    # Names of files come from outside: markup in them is text.
    text = TextColumn("{task.description}", markup=False)
    columns = (text, BarColumn(), MofNCompleteColumn(), Remaining())
    console = Console(stderr=True)
    # What goes to a file or a pipe must not be caught to be shown above the bars.
    shown = sys.stdout.isatty()
    with Bar(*columns, console=console, transient=True, redirect_stdout=shown) as bars:
        total = bars.add_task(f"{verb}, scenes", total=count)

        @contextmanager
        def scene(name: str) -> Iterator[Progress | None]:
            task = bars.add_task(printable(name)[-NAME_WIDTH:], total=None)
            try:
                yield _updating(bars, task)
            finally:
                bars.remove_task(task)
                bars.advance(total)

        yield scene


def _updating(bars: RichProgress, task: TaskID) -> Progress:
    def update(done: int, parts: int) -> None:
        bars.update(task, completed=done, total=parts)

    return update


@contextmanager
def _silent(_: str) -> Iterator[Progress | None]:
    yield None
