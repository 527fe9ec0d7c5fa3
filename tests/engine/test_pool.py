"""The pool keeps the order, tells progress, and leaves no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from pieces import dies, fails, late_or_not, pid_of

from hsitool.engine import pool
from hsitool.engine.pool import map_in_order
from hsitool.errors import DataError

KINDS = pytest.mark.parametrize("processes", [False, True])
SLEEPERS = """
import os, signal, sys, time
sys.path.insert(0, {folder!r})
from hsitool.engine.pool import map_in_order

def sleep(name):
    open(os.path.join({mark!r}, str(os.getpid())), "w").close()
    time.sleep(60)

def stop(*_):
    raise KeyboardInterrupt

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    try:
        map_in_order(sleep, range(20), workers=2, processes=True)
    except KeyboardInterrupt:
        sys.exit(143)
"""

STARTING = """
import os, signal, sys, time
from multiprocessing import forkserver, util
from hsitool.engine.pool import map_in_order

def stop(number, _):
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt

def signalled(module, name):
    plain = getattr(module, name)

    def first_then_signal(*words):
        given = plain(*words)
        if "{word}" in str(words):
            setattr(module, name, plain)
            {send}
        return given

    setattr(module, name, first_then_signal)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    signalled({module}, "{name}")
    try:
        map_in_order(abs, range(20), workers=2, processes=True)
    except KeyboardInterrupt:
        sys.exit(143)
"""
"""Is signalled in the midst of a start: of the server of processes, or of a process."""


@KINDS
def test_results_are_in_order_with_progress(processes: bool) -> None:
    seen: list[tuple[int, int]] = []
    found = map_in_order(
        late_or_not,
        range(9),
        workers=3,
        processes=processes,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert found == [n * n for n in range(9)]
    assert seen == [(n, 9) for n in range(1, 10)]


@KINDS
def test_an_error_of_the_work_is_the_callers(processes: bool) -> None:
    with pytest.raises(DataError, match="3 is wrong"):
        map_in_order(fails, range(9), workers=2, processes=processes)


def test_nothing_to_do() -> None:
    assert map_in_order(late_or_not, [], workers=4) == []


def test_few_pieces_or_workers_are_for_threads() -> None:
    here = map_in_order(pid_of, range(200), workers=2)
    assert set(here) == {os.getpid()}
    there = map_in_order(pid_of, range(4), workers=2, processes=True)
    assert os.getpid() not in there


def test_many_pieces_for_many_workers_are_for_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "THREADS_AT_MOST", 1)
    assert os.getpid() not in map_in_order(pid_of, range(pool.PROCESSES_FROM), workers=2)


def test_a_killed_worker_is_one_clear_line() -> None:
    with pytest.raises(DataError, match="a worker process was killed") as caught:
        map_in_order(dies, range(9), workers=2, processes=True)
    assert "\n" not in str(caught.value)


def test_threads_drop_what_has_not_begun() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        time.sleep(0.05)
        if number == 0:
            raise DataError("no")
        return number

    with pytest.raises(DataError, match="no"):
        map_in_order(work, range(1000), workers=2, processes=False)
    assert len(begun) < 20
    assert not [t for t in threading.enumerate() if t.name.startswith("piece")]


@pytest.mark.parametrize(
    ("number", "to_group"),
    [
        (signal.SIGTERM, False),
        (signal.SIGINT, False),
        (signal.SIGINT, True),
        (signal.SIGKILL, False),
    ],
)
def test_no_child_outlives_a_signal(number: int, to_group: bool, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    mark.mkdir()
    script = tmp_path / "sleepers.py"
    folder = str(Path(__file__).resolve().parents[2])
    script.write_text(SLEEPERS.format(folder=folder, mark=str(mark)))
    words = [sys.executable, str(script)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True) as run:
        wait_until(lambda: len(list(mark.iterdir())) == 2)
        (os.killpg if to_group else os.kill)(run.pid, number)
        complaints = run.communicate(timeout=20)[1]  # children would hold the pipe open
    assert run.returncode == (-9 if number == signal.SIGKILL else 143)
    assert complaints == "" or number == signal.SIGKILL
    wait_until(lambda: not any(alive(int(path.name)) for path in mark.iterdir()))


@pytest.mark.parametrize(
    ("name", "word", "send"),
    [
        *[
            ("util.spawnv_passfds", "forkserver", f"time.sleep({s}); os.killpg(0, signal.SIGINT)")
            for s in (0.005, 0.01, 0.02)  # Python is starting in the server
        ],
        ("forkserver.connect_to_new_process", "", "os.kill(os.getpid(), signal.SIGTERM)"),
    ],
)
def test_a_signal_that_meets_a_start_leaves_no_complaint(
    name: str, word: str, send: str, tmp_path: Path
) -> None:
    script = tmp_path / "starting.py"
    module, _, function = name.partition(".")
    script.write_text(STARTING.format(module=module, name=function, word=word, send=send))
    words = [sys.executable, str(script)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True) as run:
        complaints = run.communicate(timeout=20)[1]
    assert (run.returncode, complaints) == (143, "")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def wait_until(condition: object, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
