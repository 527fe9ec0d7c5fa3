"""Outputs appear when they are complete, and leave nothing behind otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hsitool.errors import DataError, UsageError
from hsitool.storage.atomic import (
    ABANDONED_SECONDS,
    SUFFIX,
    PartFolder,
    refuse_existing,
    remove_leftovers,
    require_space,
)


def parts(folder: Path) -> list[Path]:
    return list(folder.glob(f".*{SUFFIX}"))


def made(folder: PartFolder, text: str, name: str = "part") -> Path:
    path = folder.path / name
    path.write_text(text)
    return path


def test_commit_replaces_and_puts_stale_files_away(tmp_path: Path) -> None:
    target, stale = tmp_path / "out", tmp_path / "out.aux.xml"
    target.write_text("former")
    stale.write_text("stale")
    folder = PartFolder(target)
    part = made(folder, "new")
    assert target.read_text() == "former"
    folder.commit([(part, target)], [stale, tmp_path / "absent"])
    assert target.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_discard_leaves_the_former_file(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_text("former")
    folder = PartFolder(target)
    made(folder, "new")
    folder.discard()
    folder.discard()
    assert target.read_text() == "former"
    assert not parts(tmp_path)


def test_a_target_that_cannot_be_replaced_keeps_its_sidecars(tmp_path: Path) -> None:
    target, stale = tmp_path / "out", tmp_path / "out.hdr"
    (target / "inner").mkdir(parents=True)
    stale.write_text("stale")
    folder = PartFolder(target)
    with pytest.raises(DataError, match="out: cannot be written: "):
        folder.commit([(made(folder, "new"), target)], [stale])
    folder.discard()
    assert stale.read_text() == "stale"
    assert not parts(tmp_path)


def test_folders_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="out: cannot be written: No such file or directory"):
        PartFolder(tmp_path / "none" / "out")


def test_long_names(tmp_path: Path) -> None:
    target = tmp_path / ("x" * 250)
    folder = PartFolder(target)
    folder.commit([(made(folder, "new"), target)])
    assert target.read_text() == "new"


KILLED = """
import os, sys
from pathlib import Path
from hsitool.storage.atomic import PartFolder
folder = PartFolder(Path(sys.argv[1]))
(folder.path / "part").write_text("half")
print("ready", flush=True)
sys.stdin.read()
"""


def test_leftovers_of_killed_runs_go_and_living_ones_stay(tmp_path: Path) -> None:
    target = tmp_path / "out"
    command = [sys.executable, "-c", KILLED, str(target)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        remove_leftovers(tmp_path)
        assert len(parts(tmp_path)) == 1
        process.kill()
        process.wait()
    remove_leftovers(tmp_path)
    assert not parts(tmp_path)


def test_folders_without_a_lock_go_after_a_while(tmp_path: Path) -> None:
    folder = tmp_path / f".x.0{SUFFIX}"
    folder.mkdir()
    remove_leftovers(tmp_path)
    assert folder.exists()
    old = time.time() - 2 * ABANDONED_SECONDS
    os.utime(folder, (old, old))
    remove_leftovers(tmp_path)
    assert not folder.exists()


def test_files_and_links_of_that_name_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / f".a{SUFFIX}").write_text("")
    (tmp_path / f".b{SUFFIX}").symlink_to(tmp_path / "real")
    remove_leftovers(tmp_path)
    assert len(parts(tmp_path)) == 2


def test_refuse_existing(tmp_path: Path) -> None:
    target = tmp_path / "out"
    refuse_existing([target], overwrite=False)
    with pytest.raises(UsageError, match=r"the folder of .* does not exist: make it first"):
        refuse_existing([tmp_path / "none" / "out"], overwrite=False)
    target.touch()
    refuse_existing([target], overwrite=True)
    with pytest.raises(UsageError, match="out exists: choose another name or add --overwrite"):
        refuse_existing([tmp_path / "new", target], overwrite=False)
    with pytest.raises(UsageError, match="is not a plain file"):
        refuse_existing([tmp_path], overwrite=True)


def test_require_space(tmp_path: Path) -> None:
    require_space(tmp_path / "out", 1)
    with pytest.raises(DataError, match=r"out: no space left on the disk: .* MB needed"):
        require_space(tmp_path / "out", 2**62)
