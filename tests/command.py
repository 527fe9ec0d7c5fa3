"""The command line, carried out in this process: its answer, its notes and its exit code."""

from __future__ import annotations

import io
import json
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from typing import Any
from unittest.mock import patch

from hsitool.cli.main import main

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Answer:
    """What a command left: exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The answer, of a command with `--json`."""
        return json.loads(self.out)


def run(*arguments: object) -> Answer:
    """Carry out `hsitool` with some arguments."""
    out, err = io.StringIO(), io.StringIO()
    words = ["hsitool", *map(str, arguments)]
    code = 0
    with (
        warnings.catch_warnings(),
        _kept_signals(),
        patch.object(sys, "argv", words),
        patch("hsitool.cli.verbs.application", lambda _: _application()),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    return Answer(code, out.getvalue(), err.getvalue())


def done(*arguments: object) -> Answer:
    """Carry out `hsitool`, which has to succeed."""
    answer = run(*arguments)
    assert answer.code == 0, answer.err
    return answer


@cache
def _application() -> Any:
    """The commands, made from their functions once instead of every time."""
    import typer

    from hsitool.cli.verbs import every_verb

    return typer.main.get_command(every_verb())


STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def _kept_signals() -> Iterator[None]:
    """What signals do is the same afterwards, whatever the command told them to do."""
    kept = {number: signal.getsignal(number) for number in STOPS}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
