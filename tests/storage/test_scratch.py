"""Arrays in files that are gone afterwards."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from hsitool.errors import DataError
from hsitool.storage.scratch import forget, scratch_array


def test_an_array_that_lives_as_long_as_its_context(tmp_path: Path) -> None:
    with scratch_array(tmp_path / "out.tif", (300, 70)) as array:
        assert array.shape == (300, 70) and array.dtype == np.float64
        assert (array == 0).all()
        array[:] = 7
        (folder,) = tmp_path.iterdir()
        assert folder.name.startswith(".out.tif.")
        assert sum(p.stat().st_blocks for p in folder.iterdir()) * 512 >= array.nbytes
    assert not list(tmp_path.iterdir())
    with pytest.raises(KeyError), scratch_array(tmp_path / "out.tif", (3,)):
        raise KeyError
    assert not list(tmp_path.iterdir())


def test_a_disk_without_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        pytest.raises(DataError, match="no space left on the disk"),
        scratch_array(tmp_path / "out.tif", (2**50,)),
    ):
        pass
    monkeypatch.setattr(os, "posix_fallocate", _full)
    with (
        pytest.raises(DataError, match="no space left on the disk"),
        scratch_array(tmp_path / "out.tif", (20,)),
    ):
        pass
    assert not list(tmp_path.iterdir())


def _full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_what_is_forgotten_is_still_there(tmp_path: Path) -> None:
    def resident() -> int:
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("Rss:")) * 1024

    with scratch_array(tmp_path / "out.tif", (2**22,)) as array:
        array[:] = np.arange(2**22)
        before = resident()
        forget(array.reshape(64, -1)[3:])
        assert resident() < before - 16 * 2**20
        assert np.array_equal(array, np.arange(2**22))
    forget(np.zeros(3))
