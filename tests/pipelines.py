"""Commands joined by pipes: each stage's exit code and last words."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

HSITOOL = (sys.executable, "-m", "hsitool")
SECONDS = 120
"""No chain takes this long: one that does hangs."""


@dataclass(frozen=True)
class Stage:
    """What one command of a chain left."""

    code: int
    err: str


@dataclass
class Chain:
    """Commands under way, the output of each being the input of the next."""

    processes: list[subprocess.Popen[bytes]]

    def ended(self) -> list[Stage]:
        """Wait for all of them; the output of the last is read and dropped."""
        found = []
        for process in reversed(self.processes):
            _, err = process.communicate(timeout=SECONDS)
            found.append(Stage(process.returncode, err.decode()))
        return found[::-1]


def start(
    *stages: Sequence[object],
    stdin: int | IO[Any] = subprocess.DEVNULL,
    cwd: Path | None = None,
    **more: str,
) -> Chain:
    """Start commands, or `hsitool` with words, as a shell does."""
    processes: list[subprocess.Popen[bytes]] = []
    for number, stage in enumerate(stages):
        processes.append(
            subprocess.Popen(
                words(stage),
                stdin=processes[-1].stdout if processes else stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=cwd,
                env=os.environ | more,
            )
        )
        if number:
            former = processes[-2].stdout
            assert former is not None
            former.close()  # only the next command holds it, so that it learns when that ends
    return Chain(processes)


def words(stage: Sequence[object]) -> list[str]:
    """The command: another program's where it begins with a path, else hsitool's."""
    own = () if isinstance(stage[0], Path) else HSITOOL
    return [str(word) for word in (*own, *stage)]


def piped(*stages: Sequence[object], **options: Any) -> list[Stage]:
    """Run commands joined by pipes."""
    return start(*stages, **options).ended()


def fed(data: bytes, *stage: object, **options: Any) -> Stage:
    """One `hsitool` with bytes on a pipe as its input."""
    done = subprocess.run(
        words(stage), input=data, capture_output=True, timeout=SECONDS, check=False, **options
    )
    return Stage(done.returncode, done.stderr.decode())


def given(data: bytes, *stage: object, **options: Any) -> bytes:
    """What one `hsitool` prints that has to succeed."""
    done = subprocess.run(
        words(stage), input=data, capture_output=True, timeout=SECONDS, check=False, **options
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
