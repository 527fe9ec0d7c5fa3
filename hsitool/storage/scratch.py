"""Arrays in a file while they are needed, for what exceeds the memory."""

from __future__ import annotations

import math
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from hsitool.storage.atomic import PartFolder, require_space, told_of


@contextmanager
def scratch_array(
    target: Path, shape: tuple[int, ...], dtype: DTypeLike = np.float64
) -> Iterator[NDArray[Any]]:
    """An array of zeros in a hidden file beside an output, which is gone afterwards.

    Its room is taken at the start: a disk that becomes full later would end the process.

    Raises:
        DataError: there is no room, or the place cannot be written.
    """
    target = Path(os.path.realpath(target))
    folder = PartFolder(target)
    path, size = folder.path / "scratch", math.prod(shape) * np.dtype(dtype).itemsize
    try:
        with told_of(target):
            require_space(target, size)
            with path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, size)
            array = np.memmap(path, dtype, "r+", shape=shape)
        yield array
    finally:
        folder.discard()


def forget(array: NDArray[Any]) -> None:
    """Take an array in a file out of this process's memory until it is used again; it stays."""
    owner = array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    if isinstance(owner.base, mmap.mmap):
        owner.base.madvise(mmap.MADV_DONTNEED)
