"""Fixtures of the storage tests."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hsitool.cube import CubeInfo
from hsitool.storage.readers import open_cube
from hsitool.storage.writers import OutputOptions, create_cube

Copy = Callable[..., CubeInfo]
"""(source, target, **options) to the description read from the source."""


@pytest.fixture
def copy() -> Copy:
    """Copy a cube by the code under test; returns what it read from the source."""

    def run(source: Path, target: Path, **options: Any) -> CubeInfo:
        with open_cube(source) as reader:
            with create_cube(target, reader.info, reader.layout, OutputOptions(**options)) as out:
                tile = reader.info.whole
                block = out.block(tile)
                block[:] = reader.read(tile)
                out.write(tile, block)
            return reader.info

    return run


@pytest.fixture
def look() -> Callable[[Path], tuple[CubeInfo, NDArray[Any]]]:
    """Description and pixels of a cube, as the code under test reads them."""

    def run(path: Path) -> tuple[CubeInfo, NDArray[Any]]:
        with open_cube(path) as reader:
            return reader.info, np.array(reader.read(reader.info.whole))

    return run


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB; the test is skipped where it cannot be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
