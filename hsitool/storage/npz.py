"""Arrays of NumPy's .npz files from anywhere: plain ones of bounded size, nothing is executed."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from hsitool.errors import DataError


def read_arrays(
    path: Path, names: Sequence[str], kinds: str, most_bytes: int, what: str
) -> dict[str, NDArray[Any]]:
    """Those of the arrays `names` that a file holds.

    Args:
        path: the file.
        names: of the arrays.
        kinds: of types that are taken, as NumPy names them by a letter.
        most_bytes: that an array may have.
        what: the file should be, for the message.

    Raises:
        DataError: it cannot be read, or an array is no plain one (pickled objects), or too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            return {
                name: _array(archive, members[name], kinds, most_bytes)
                for name in names
                if name in members
            }
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{path}: not {what}: {error}") from error


def _array(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, kinds: str, most_bytes: int
) -> NDArray[Any]:
    """A member of the archive, no larger than its header says and than it may be.

    Raises:
        ValueError: it is larger, or no plain array.
    """
    if info.file_size > most_bytes:
        raise ValueError(f"{info.filename} has {info.file_size} bytes")
    with archive.open(info) as file:
        version = npy.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"{info.filename} is of another version")
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = header(file)
        if dtype.hasobject:
            raise ValueError(f"{info.filename} is no plain array: it holds pickled objects")
        size = int(np.prod([int(length) for length in shape], dtype=object)) * dtype.itemsize
        if dtype.kind not in kinds or size + file.tell() != info.file_size:
            raise ValueError(f"{info.filename} is no plain array")
    with archive.open(info) as file:
        array: NDArray[Any] = npy.read_array(file, allow_pickle=False)
    return array
