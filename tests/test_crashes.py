"""Whole runs that are killed, stopped, out of space, or fed damaged files.

Whatever happens, nothing appears under the output's name and a former output stays as it was; the
run ends with one line and its exit code, and leaves nothing behind.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cubes import spectra, write_envi, write_geotiff, write_large

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="looks at processes through /proc"
)

FORMATS = {
    "plain": ("out.tif", []),
    "packed": ("out.tif", ["--compress", "deflate"]),
    "envi": ("out.img", []),
}
CASES = pytest.mark.parametrize(
    ("kind", "former"),
    [
        pytest.param("plain", True, id="plain over a former output"),
        pytest.param("plain", False, id="plain"),
        pytest.param("packed", True, id="packed over a former output"),
        pytest.param("packed", False, id="packed", marks=pytest.mark.slow),
        pytest.param("envi", True, id="envi over a former output"),
        pytest.param("envi", False, id="envi", marks=pytest.mark.slow),
    ],
)
SECONDS = 120
"""No run takes this long: one that does hangs."""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cube that takes a while: 100 MB of noisy spectra."""
    path = write_large(tmp_path_factory.mktemp("large") / "large.tif", "tif-pixel-strip", 0.1)
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cube of 8 MB."""
    path = tmp_path_factory.mktemp("small") / "small.tif"
    return write_geotiff(path, spectra(64, 256, 128), blocks=("strip", 4))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the outputs go."""
    path = tmp_path / "outputs"
    path.mkdir()
    return path


@pytest.fixture
def little_disk(folder: Path) -> Iterator[Callable[[str], None]]:
    """Mounts a file system of a size on the folder of the outputs."""
    mounted = []

    def mount(size: str) -> None:
        words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
        if not shutil.which("mount") or outcome(words)[0]:
            pytest.skip("a small tmpfs cannot be mounted here (it takes root)")
        mounted.append(folder)

    yield mount
    for path in mounted:
        subprocess.run(["umount", str(path)], check=True)


def command(cube: Path, folder: Path, kind: str = "plain", memory: str = "300MB") -> list[str]:
    """A run in small tiles by one thread."""
    name, options = FORMATS[kind]
    words = ["smooth", str(cube), "-w", "5", "-d", "2", "-o", str(folder / name), "--overwrite"]
    return [
        sys.executable,
        "-m",
        "hsitool",
        *words,
        "--threads",
        "1",
        "--max-memory",
        memory,
        *options,
    ]


def start(words: list[str], **options: Any) -> subprocess.Popen[str]:
    """Start a run whose output is caught, and that hears all signals unless told otherwise."""
    pipe = subprocess.PIPE
    options = {"preexec_fn": hear} | options
    return subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True, **options)


def hear() -> None:
    """Heed SIGINT and SIGHUP, even if these tests were started in the background."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def held(words: list[str], folder: Path, **options: Any) -> subprocess.Popen[str]:
    """A run that is stopped (SIGSTOP) after it wrote some of its pixels."""
    known = set(parts(folder))
    process = start(words, **options)
    while process.poll() is None and not any(written(p) > 2e6 for p in set(parts(folder)) - known):
        time.sleep(0.001)
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    assert set(parts(folder)) - known, "the run was over before it could be stopped"
    return process


def ended(process: subprocess.Popen[str], *numbers: signal.Signals) -> tuple[int, str]:
    """Send signals to a held run and let it go on: its exit code and its last words."""
    for number in (*numbers, signal.SIGCONT):
        process.send_signal(number)
    _, errors = process.communicate(timeout=SECONDS)
    return process.returncode, errors


def outcome(words: list[str], **options: Any) -> tuple[int, str]:
    """Exit code and last words of a whole run."""
    process = start(words, **options)
    _, errors = process.communicate(timeout=SECONDS)
    return process.returncode, errors


def parts(folder: Path) -> list[Path]:
    """The hidden folders of unfinished outputs."""
    return list(folder.glob(".*.hsitool-part"))


def written(part: Path) -> int:
    """Bytes that the disk holds of an unfinished output."""
    try:
        return sum(file.stat().st_blocks * 512 for file in part.glob("pixels*"))
    except FileNotFoundError:
        return 0


def contents(folder: Path) -> Mapping[str, bytes]:
    """All files in a folder, however deep."""
    files = (p for p in folder.rglob("*") if not p.is_dir())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def filled(folder: Path, former: bool) -> Mapping[str, bytes]:
    """The folder's contents before the run: a former output with its sidecars, or nothing."""
    if former:
        for name in ("out.tif", "out.img", "out.hdr", "out.tif.aux.xml", "out.img.aux.xml"):
            (folder / name).write_bytes(f"the former {name}".encode())
    return contents(folder)


def is_one_line(errors: str) -> bool:
    """Whether a run said one line, and that an error."""
    return errors.startswith("hsitool: error: ") and errors.count("\n") == 1 and errors[-1] == "\n"


# Signals


@CASES
@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGINT, 130),
        pytest.param(signal.SIGTERM, 143),
        pytest.param(signal.SIGHUP, 129, marks=pytest.mark.slow),
    ],
)
def test_a_signal_in_mid_run_leaves_nothing(
    large: Path, folder: Path, kind: str, former: bool, number: signal.Signals, code: int
) -> None:
    before = filled(folder, former)
    said = ended(held(command(large, folder, kind), folder), number)
    assert said[0] == code
    assert is_one_line(said[1]), said[1]
    assert contents(folder) == before
    assert not parts(folder)


@CASES
def test_a_killed_run_leaves_a_part_that_the_next_run_removes(
    large: Path, small: Path, folder: Path, kind: str, former: bool
) -> None:
    before = filled(folder, former)
    assert ended(held(command(large, folder, kind), folder), signal.SIGKILL) == (-9, "")
    (part,) = parts(folder)
    kept = {n: b for n, b in contents(folder).items() if not n.startswith(part.name)}
    assert kept == before
    assert outcome(command(small, folder, kind)) == (0, "")
    assert not parts(folder)


def test_further_signals_do_not_disturb_the_clearing_away(large: Path, folder: Path) -> None:
    process = held(command(large, folder, "packed"), folder)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)
    for number in 20 * (signal.SIGTERM, signal.SIGINT):
        process.send_signal(number)
    _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode in (130, 143)
    assert is_one_line(errors), errors
    assert not list(folder.iterdir())


@pytest.mark.parametrize("library", ["numpy", "rasterio"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_starting_ends_in_one_line(
    large: Path, folder: Path, library: str, number: signal.Signals, code: int
) -> None:
    process = start(command(large, folder))
    while f"/{library}/" not in Path(f"/proc/{process.pid}/maps").read_text():
        assert process.poll() is None
    process.send_signal(number)
    _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == code
    assert is_one_line(errors), errors
    assert not list(folder.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("step", range(60))
def test_a_signal_at_any_time_is_all_or_nothing(small: Path, folder: Path, step: int) -> None:
    process = start(command(small, folder, "envi"))
    time.sleep(0.02 * step)
    process.terminate()
    _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode in (0, 143, -signal.SIGTERM)  # the last before Python was ready
    assert errors == "" or is_one_line(errors)
    assert sorted(contents(folder)) in ([], ["out.hdr", "out.img"])
    assert not parts(folder)


def test_signals_that_the_parent_ignores_stay_ignored(large: Path, folder: Path) -> None:
    def nohup() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process = held(command(large, folder), folder, preexec_fn=nohup)
    assert ended(process, signal.SIGHUP) == (0, "")
    assert (folder / "out.tif").exists()


def test_the_part_of_a_running_neighbour_stays(large: Path, folder: Path, tmp_path: Path) -> None:
    process = held(command(large, folder), folder)
    (part,) = parts(folder)
    other = [word.replace("out.tif", "other.tif") for word in command(large, folder)]
    assert outcome(other) == (0, "")
    assert parts(folder) == [part]
    assert ended(process) == (0, "")
    both = contents(folder)
    assert sorted(both) == ["other.tif", "out.tif"]
    assert both["other.tif"] == both["out.tif"]


# Out of space


@CASES
def test_a_disk_too_small_is_told(
    small: Path, folder: Path, kind: str, former: bool, little_disk: Callable[[str], None]
) -> None:
    little_disk("4m")
    before = filled(folder, former)
    code, errors = outcome(command(small, folder, kind))
    assert code == 3
    assert is_one_line(errors), errors
    assert "no space left on the disk" in errors
    assert contents(folder) == before
    assert not parts(folder)


@CASES
def test_a_disk_that_fills_up_in_mid_run_is_told(
    large: Path, folder: Path, kind: str, former: bool, little_disk: Callable[[str], None]
) -> None:
    little_disk("110m")
    filled(folder, former)
    process = held(command(large, folder, kind), folder)
    room = os.statvfs(folder)
    with (folder / "neighbour").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize)
    code, errors = ended(process)
    (folder / "neighbour").unlink()
    assert code == 3
    assert is_one_line(errors), errors
    assert "no space left on the disk" in errors
    assert all(b == f"the former {n}".encode() for n, b in contents(folder).items())
    assert bool(contents(folder)) == former
    assert not parts(folder)


@CASES
def test_a_limit_on_file_sizes_is_told(small: Path, folder: Path, kind: str, former: bool) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**21, 2**21))

    before = filled(folder, former)
    code, errors = outcome(command(small, folder, kind), preexec_fn=limit)
    assert code == 3
    assert is_one_line(errors), errors
    assert "cannot be written" in errors
    assert contents(folder) == before
    assert not parts(folder)


# Damaged inputs


@CASES
def test_a_packed_file_that_ends_early_fails_at_its_first_lost_block(
    folder: Path, tmp_path: Path, kind: str, former: bool
) -> None:
    cube = packed_cube(tmp_path / "cube.tif")
    os.truncate(cube, cube.stat().st_size * 6 // 10)
    before = filled(folder, former)
    code, errors = outcome(command(cube, folder, kind, "254MB"))
    assert code == 3
    assert is_one_line(errors), errors
    assert f"{cube}: cannot be read at rows " in errors
    assert "at rows 0 " not in errors
    assert contents(folder) == before
    assert not parts(folder)


def test_a_packed_file_with_a_damaged_block_fails(folder: Path, tmp_path: Path) -> None:
    cube = packed_cube(tmp_path / "cube.tif")
    with cube.open("r+b") as file:
        file.seek(cube.stat().st_size // 2)
        file.write(np.random.default_rng(0).bytes(20_000))
    code, errors = outcome(command(cube, folder, "plain", "254MB"))
    assert code == 3
    assert is_one_line(errors), errors
    assert "cannot be read at rows " in errors
    assert not list(folder.iterdir())


@pytest.mark.parametrize("suffix", [".tif", ".dat"])
def test_a_plain_file_that_ends_early_is_refused_at_once(
    folder: Path, tmp_path: Path, suffix: str
) -> None:
    pixels = spectra(16, 32, 32)
    tif = suffix == ".tif"
    cube = (
        write_geotiff(tmp_path / "cube.tif", pixels)
        if tif
        else write_envi(tmp_path / "cube", pixels)
    )
    os.truncate(cube, cube.stat().st_size - 1)
    code, errors = outcome(command(cube, folder))
    assert code == 3
    assert is_one_line(errors), errors
    assert "incomplete" in errors
    assert not list(folder.iterdir())


def test_a_plain_file_cut_in_mid_run_is_told(large: Path, folder: Path, tmp_path: Path) -> None:
    cube = Path(shutil.copy(large, tmp_path / "cube.tif"))
    before = filled(folder, former=True)
    process = held(command(cube, folder), folder)
    os.truncate(cube, 2**20)
    code, errors = ended(process)
    assert code == 3
    assert is_one_line(errors), errors
    assert "incomplete" in errors
    assert contents(folder) == before
    assert not parts(folder)


def packed_cube(path: Path) -> Path:
    """A cube of 8 MB in compressed strips."""
    return write_geotiff(path, spectra(64, 256, 128), blocks=("strip", 4), compress="deflate")


# Faults in each stage of a run

FAILING = """
import pkgutil, sys
from itertools import count
from unittest.mock import patch
from hsitool.cli.main import main

name, error = sys.argv.pop(1), eval(sys.argv.pop(1))
real, calls = pkgutil.resolve_name(name), count()

def failing(*arguments, **options):
    if next(calls) == 5:
        raise error
    return real(*arguments, **options)

with patch(name, failing):
    main()
"""
"""Runs the command line with a function that fails when it is called for the sixth time."""

READ, WRITE = "hsitool.storage.readers.read_runs", "hsitool.storage.writers.write_runs"
KERNEL = "hsitool.maths.spectra.kernel.BandedKernel.__call__"


@pytest.mark.parametrize(
    ("stage", "error", "code", "said"),
    [
        (READ, "OSError(5, 'Input/output error')", 3, "small.tif: cannot be read: Input/output"),
        (READ, "MemoryError()", 3, "out of memory"),
        (KERNEL, "ValueError('two\\nlines')", 1, "unexpected ValueError: two lines (add --debug"),
        (KERNEL, "MemoryError()", 3, "out of memory"),
        (WRITE, "OSError(28, 'No space')", 3, "out.tif: no space left on the disk"),
        (WRITE, "OSError(5, 'Input/output error')", 3, "out.tif: cannot be written: Input/output"),
        (WRITE, "RuntimeError('odd')", 1, "unexpected RuntimeError: odd"),
    ],
)
def test_a_fault_in_any_stage_ends_the_run(
    small: Path, folder: Path, stage: str, error: str, code: int, said: str
) -> None:
    before = filled(folder, former=True)
    words = command(small, folder, memory="152MB")[3:]
    result, errors = outcome([sys.executable, "-c", FAILING, stage, error, *words])
    assert result == code
    assert is_one_line(errors), errors
    assert said in errors
    assert contents(folder) == before
    assert not parts(folder)


# A signal between the renames of a commit

SIGNALLED = """
import os, sys
from pathlib import Path
from hsitool.cli.main import main

number, rename = int(sys.argv.pop(1)), Path.replace

def signalled(part, target):
    os.kill(os.getpid(), number)
    return rename(part, target)

Path.replace = signalled
main()
"""
"""Runs the command line with a signal before each rename."""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_the_output_takes_its_name_waits(
    small: Path, folder: Path, number: signal.Signals, code: int
) -> None:
    before = filled(folder, former=True)
    words = command(small, folder, "envi")[3:]
    result, errors = outcome([sys.executable, "-c", SIGNALLED, str(int(number)), *words])
    assert result == code
    assert is_one_line(errors), errors
    after = contents(folder)
    assert sorted(after) == ["out.hdr", "out.img", "out.tif", "out.tif.aux.xml"]
    assert all(after[n] != before[n] for n in ("out.hdr", "out.img"))
    assert not parts(folder)
