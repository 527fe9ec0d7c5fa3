"""The commands of a recipe carried out together, or planned."""

from __future__ import annotations

import io
import shlex
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TextIO

import typer

from hsitool.errors import HsitoolError, PipeClosedError

if TYPE_CHECKING:
    from hsitool.cli.recipe_steps import Command
    from hsitool.storage.ends import Ends
    from hsitool.storage.recipes import Recipe

_answer: ContextVar[TextIO | None] = ContextVar("answer", default=None)


class _Answers(io.TextIOBase):
    """Standard output that keeps what each step says apart."""

    def __init__(self, otherwise: TextIO) -> None:
        self._otherwise = otherwise

    def write(self, text: str) -> int:
        return (_answer.get() or self._otherwise).write(text)

    def flush(self) -> None:
        if _answer.get() is None:
            self._otherwise.flush()


def carry_out(recipe: Recipe, commands: Sequence[Command]) -> int:
    """Carry out all steps; print what they say when all are done. Gives the exit code.

    Raises:
        HsitoolError: of the step that failed first, with its line; no output is left then.
    """
    from hsitool.engine.chain import run_together
    from hsitool.storage.atomic import Postponed, appearing
    from hsitool.storage.links import Halt, Link, LinkedEnds
    from hsitool.tasks.provenance import made_by_recipe

    halt, later = Halt(), Postponed()
    names = [f"step {n} ({c.step.verb})" for n, c in enumerate(commands, 1)]
    links = [None, *(Link(halt, f"what {name} makes") for name in names[:-1]), None]
    answers = [io.StringIO() for _ in commands]
    codes = [0] * len(commands)

    def step(number: int) -> Callable[[], None]:
        ends = LinkedEnds(links[number], links[number + 1])

        def carried() -> None:
            _answer.set(answers[number])
            codes[number] = _carried(recipe, commands[number], ends)
            if (link := links[number + 1]) is not None:
                link.end()

        return carried

    try:
        with appearing(later), made_by_recipe(recipe.record), _kept_apart():
            run_together([step(number) for number in range(len(commands))], halt)
        later.appear()
    finally:
        later.discard()
    for answer in answers:
        typer.echo(answer.getvalue(), nl=False)
    return next((code for code in codes if code), 0)


@contextmanager
def _kept_apart() -> Iterator[None]:
    """What the steps print is kept; a raster that goes to standard output keeps the place."""
    former = sys.stdout
    with redirect_stdout(_Answers(former)):
        kept = sys.stdout
        yield
        taken = sys.stdout is not kept
    if taken:
        sys.stdout = sys.stderr


def _carried(recipe: Recipe, command: Command, ends: Ends) -> int:
    """Carry out one step; gives its exit code."""
    from hsitool.storage.ends import between

    try:
        with between(ends):
            command.invoke()
    except PipeClosedError:
        raise
    except HsitoolError as error:
        raise type(error)(
            f"{recipe.path}, line {command.step.line}: {command.step.verb}: {error}"
        ) from error
    except typer.Exit as leave:
        return int(leave.exit_code)
    return 0


# Plans


def plan(recipe: Recipe, commands: Sequence[Command], memory: int) -> list[str]:
    """What would be done: sizes of all that comes and goes, and memory."""
    from hsitool.storage.planned import PlannedEnds
    from hsitool.tasks.provenance import made_by_recipe

    lines: list[str] = []
    before: Any = None
    with made_by_recipe(recipe.record):
        for number, command in enumerate(commands):
            ends = PlannedEnds(number > 0, before, number + 1 < len(commands))
            with redirect_stdout(io.StringIO()):
                ends.stopped = not _planned_whole(recipe, command, ends)
            if number == 0:
                lines.append(_row("input", recipe.input.values[0], _source_size(recipe)))
            lines += _planned(number + 1, command, ends)
            before = ends.handed_on
    share = f"{commands[0].memory / 1e6:.0f} MB for each step, the process included"
    return [*lines, _row("memory", f"{memory / 1e6:.0f} MB", share)]


def _planned_whole(recipe: Recipe, command: Command, ends: Ends) -> bool:
    """Carry out a step until it would work on tiles; whether it came to its end without."""
    from hsitool.engine.stopping import WorkStopped, stoppable
    from hsitool.storage.planned import PlanStopError

    at_once = threading.Event()
    at_once.set()
    try:
        with stoppable(at_once):
            _carried(recipe, command, ends)
    except (PlanStopError, WorkStopped):
        return False
    return True


def _row(name: str, what: str, more: str = "") -> str:
    return f"{name:<8}{what}{': ' if more else ''}{more}"


def _source_size(recipe: Recipe) -> str:
    from hsitool.storage.readers import open_cube

    if recipe.input.values[0] == "-":
        return "comes through standard input"
    with open_cube(recipe.input.values[0]) as source:
        return _size(source.info)


def _size(info: Any) -> str:
    """Shape, type and bytes of a cube."""
    shape = f"{info.bands} bands x {info.rows} rows x {info.columns} columns"
    return f"{shape}, {info.dtype}, {info.nbytes / 1e6:.3f} MB"


def _planned(number: int, command: Command, ends: Any) -> Iterator[str]:
    yield _row(f"step {number}", shlex.join([*command.step.verb.split(), *command.words]))
    if ends.is_kept:
        size = "" if ends.before is None else f" ({ends.before.nbytes / 1e6:.3f} MB)"
        yield _row("", f"reads its input more than once: a temporary file{size}")
    for path, info in ends.outputs:
        place = "handed on" if str(path) == "-" and ends.hands_on else f"to {path}"
        yield _row("", place, _size(info))
    if not ends.outputs and ends.stopped:
        yield _row("", "what it makes is known only when its input has been read")
