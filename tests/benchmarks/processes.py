"""Whole processes for the benchmarks: large cubes made, commands timed, outputs cleared away.

A process that is measured is started from a small one: Linux counts the memory of its parent.
"""

from __future__ import annotations

import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
HSITOOL = (sys.executable, "-m", "hsitool")
RAM_DISK = Path("/dev/shm")
MAKE = """
import sys
from pathlib import Path
from cubes import write_large
write_large(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), placed=sys.argv[4] == "placed")
"""


@dataclass(frozen=True)
class Usage:
    """What a process took: seconds by the clock and of all cores, and its peak memory in bytes."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int


def run(words: Sequence[object]) -> Usage:
    """Run a command, which has to succeed."""
    start = time.perf_counter()
    process = subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL)
    return _ended(process, start)


def run_piped(commands: Sequence[Sequence[object]]) -> list[Usage]:
    """Run commands joined by pipes, all of which have to succeed; seconds are those of all."""
    start = time.perf_counter()
    processes: list[subprocess.Popen[bytes]] = []
    for number, words in enumerate(commands, 1):
        processes.append(
            subprocess.Popen(
                [str(word) for word in words],
                stdin=processes[-1].stdout if processes else subprocess.DEVNULL,
                stdout=subprocess.PIPE if number < len(commands) else subprocess.DEVNULL,
            )
        )
        if number > 1 and (former := processes[-2].stdout) is not None:
            former.close()
    return [_ended(process, start) for process in processes]


def _ended(process: subprocess.Popen[bytes], start: float) -> Usage:
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"exit code {process.returncode}: {shlex.join(map(str, process.args))}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Usage(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit)


def medians(
    commands: Mapping[str, Sequence[object]],
    outputs: Sequence[Path],
    rounds: int,
    *,
    cpu: bool = False,
) -> dict[str, float]:
    """Median seconds (of the cores, with `cpu`) of each command, in turns after a round to warm up.

    `outputs` are removed before each run, so that none is written over a former one, and the
    memory for all of them is touched: virtual machines take long to find it otherwise.
    """
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    largest = 0
    for _ in range(rounds + 1):
        for name, words in commands.items():
            remove(*outputs)
            touch_memory(outputs[0].with_name("touched"), largest)
            usage = run(words)
            seconds[name].append(usage.cpu_seconds if cpu else usage.seconds)
            largest = max(largest, sum(p.stat().st_size for p in outputs if p.exists()))
    remove(*outputs)
    return {name: statistics.median(taken[1:]) for name, taken in seconds.items()}


def touch_memory(path: Path, nbytes: int) -> None:
    """Write so many bytes to a file and remove it."""
    piece = bytes(2**20)
    with path.open("wb") as file:
        for _ in range(nbytes // len(piece)):
            file.write(piece)
    path.unlink()


@contextmanager
def work_folder(folder: Path | None) -> Iterator[Path]:
    """A temporary folder in `folder`: by default on a RAM disk, where there is one."""
    if folder is None and RAM_DISK.is_dir():
        folder = RAM_DISK
    with tempfile.TemporaryDirectory(prefix="hsitool-benchmark-", dir=folder) as name:
        yield Path(name)


@contextmanager
def large_cube(
    folder: Path, layout: str, gigabytes: float, *, placed: bool = True
) -> Iterator[Path]:
    """A made cube of 224 float32 bands with uneven wavelengths, gone afterwards.

    It lies on a map where `placed`.
    """
    cube = folder / f"cube{suffix_of(layout)}"
    where = "placed" if placed else "free"
    words = [sys.executable, "-c", MAKE, str(cube), layout, str(gigabytes), where]
    subprocess.run(words, check=True, env=os.environ | {"PYTHONPATH": str(TESTS)})
    try:
        yield cube
    finally:
        remove(cube)


def suffix_of(layout: str) -> str:
    """The suffix of a file of a layout: an output of the same suffix has the same format."""
    return ".img" if layout.startswith("envi") else ".tif"


def remove(*paths: Path) -> None:
    """Remove files and the ENVI headers that belong to them."""
    for path in paths:
        path.unlink(missing_ok=True)
        path.with_suffix(".hdr").unlink(missing_ok=True)


def verdict(kept: bool) -> str:
    """A cell of a table that says whether a limit was kept."""
    return "yes" if kept else "**no**"
