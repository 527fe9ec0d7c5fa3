"""Runs over many scenes that are killed or stopped half-way, and resumed."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from contextlib import chdir, suppress
from pathlib import Path

import cubes
import pytest
from command import done

COUNT = 24
WORDS = ("-w", "7", "-d", "2", "--jobs", "2", "--resume", "--deriv", "0", "--deriv", "1", "-q")
FILES = ("-o", "smooth.img", "-o", "slope.tif", "--report", "gain.json")
SECONDS = 120


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Scenes that take a while in all."""
    folder = tmp_path_factory.mktemp("scenes")
    return [
        cubes.write_geotiff(
            folder / f"s{number:02}.tif",
            cubes.spectra(60, 96, 128, seed=number),
            wavelength_nm=cubes.wavelengths(60),
        )
        for number in range(COUNT)
    ]


def words(scenes: list[Path]) -> list[str]:
    return ["smooth", *map(str, scenes), *WORDS, *FILES, "--out-dir", "made"]


@pytest.fixture(autouse=True)
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the outputs go, under one name from the current folder."""
    monkeypatch.chdir(tmp_path)
    return Path("made")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def undisturbed(scenes: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run leaves that is not disturbed."""
    folder = tmp_path_factory.mktemp("out")
    with chdir(folder):
        done(*words(scenes))
    return contents(folder / "made")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("some", [1, 2 * COUNT])
def test_a_run_that_is_ended_and_resumed_leaves_the_same_bytes(
    scenes: list[Path],
    undisturbed: dict[str, bytes],
    out: Path,
    number: signal.Signals,
    some: int,
) -> None:
    line = [sys.executable, "-m", "hsitool", *words(scenes)]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + SECONDS
    while not out.is_dir() or sum(not p.name.startswith(".") for p in out.iterdir()) < some:
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.001)
    process.send_signal(number)
    _, said = process.communicate(timeout=SECONDS)
    left = {path.name for path in out.iterdir()}
    complete = {name for name in left if not name.startswith(".")}
    assert some <= len(complete) < len(undisturbed)
    assert all((out / name).read_bytes() == undisturbed[name] for name in complete)
    if number == signal.SIGKILL:
        assert process.returncode == -number
    else:
        assert process.returncode == 128 + number
        assert said.endswith(": no unfinished file is left\n")
        assert left == complete
    again = done(*words(scenes)).out.splitlines()
    assert 0 < len(again) < 3 * COUNT or some == 1
    assert contents(out) == undisturbed
    # One that was killed before it had its lock stays for a minute: it could be a neighbour's.
    hidden = [path for path in out.iterdir() if path.name.startswith(".")]
    assert not [path for path in hidden if (path / "lock").exists() or number != signal.SIGKILL]
    assert done(*words(scenes)).out == ""


def test_a_reader_that_has_gone_ends_the_run_quietly(scenes: list[Path], out: Path) -> None:
    line = [sys.executable, "-m", "hsitool", *words(scenes)]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=SECONDS), said) == (141, b"")
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_bars_on_a_terminal_catch_nothing_of_the_answer(scenes: list[Path], out: Path) -> None:
    ours, theirs = pty.openpty()
    line = [word for word in words(scenes[:6]) if word != "-q"]
    with Path("told.txt").open("w") as told:
        line = [sys.executable, "-m", "hsitool", *line]
        process = subprocess.Popen(line, stdout=told, stderr=theirs)
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # the terminal has gone
        while part := os.read(ours, 4096):
            shown += part
    os.close(ours)
    assert process.wait(timeout=SECONDS) == 0
    kinds = ("smooth.img", "slope.tif", "gain.json")
    names = [f"made/{scene.stem}_{kind}" for scene in scenes[:6] for kind in kinds]
    assert Path("told.txt").read_text().splitlines() == names
    assert b"smooth, scenes" in shown
    assert b"s03.tif" in shown
    assert b"6/6" in shown or b"5/6" in shown
