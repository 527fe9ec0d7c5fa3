"""What came through a pipe and has to be read again: a temporary file without a name."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hsitool.cube import Tile
from hsitool.errors import DataError
from hsitool.storage.atomic import require_space
from hsitool.storage.raw import Block, Bytes, Runs, write_runs
from hsitool.storage.readers import CubeReader
from hsitool.storage.wavelengths import warn

OPEN_FILES = Path("/proc/self/fd")
"""Where Linux lets a file be opened anew that has lost its name."""


class Spool:
    """A file in the folder for temporary ones; it has no name, so that a kill leaves nothing.

    Raises:
        DataError: it cannot be made, or has no room.
    """

    def __init__(self, called: str, why: str, nbytes: int = 0) -> None:
        self._called, self._folder = called, Path(tempfile.gettempdir())
        self._named: Path | None = None
        require_space(self._folder / "hsitool", nbytes)
        try:
            self._fd = self._made()
        except OSError as error:
            raise self._failure(error) from error
        size = f" ({nbytes / 1e6:.1f} MB)" if nbytes else ""
        warn(f"{called} {why}: it is kept in {self._folder} meanwhile{size}")

    @property
    def path(self) -> Path:
        """Opens the file while it is there."""
        return self._named or OPEN_FILES / str(self._fd)

    def write(self, memory: memoryview) -> None:
        """Append bytes.

        Raises:
            DataError: there is no room.
        """
        left = memory
        try:
            while left:
                left = left[os.write(self._fd, left) :]
        except OSError as error:
            raise self._failure(error) from error

    def write_runs(self, runs: Runs, memory: Bytes) -> None:
        """Write bytes to their places.

        Raises:
            DataError: there is no room.
        """
        try:
            write_runs(self._fd, runs, memory)
        except OSError as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """The file is gone."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self._named is not None:
            self._named.unlink(missing_ok=True)

    def _made(self) -> int:
        if OPEN_FILES.is_dir():
            try:
                return os.open(self._folder, os.O_TMPFILE | os.O_RDWR, 0o600)
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT):
                    raise
        fd, name = tempfile.mkstemp(prefix="hsitool-", dir=self._folder)
        if OPEN_FILES.is_dir():
            Path(name).unlink()
        else:
            self._named = Path(name)
        return fd

    def _failure(self, error: OSError) -> DataError:
        why = error.strerror or str(error)
        return DataError(
            f"{self._called} cannot be kept in {self._folder}: {why}: name a folder with more "
            "room by TMPDIR"
        )


class SpooledReader(CubeReader):
    """A file of any kind that came through a pipe, told of by the name that the user knows."""

    def __init__(self, path: Path, called: str, spool: Spool, kept: CubeReader) -> None:
        super().__init__(path, kept.info, kept.layout, ())
        self._called, self._spool, self._kept = called, spool, kept

    @property
    def size_on_disk(self) -> int:
        return self._kept.size_on_disk

    def buffer_bytes(self, tile: Tile, bands: Sequence[int] | None = None) -> int:
        return self._kept.buffer_bytes(tile, bands)

    def read(
        self, tile: Tile, bands: Sequence[int] | None = None, buffer: Bytes | None = None
    ) -> Block:
        try:
            return self._kept.read(tile, bands, buffer)
        except DataError as error:
            raise renamed(error, self._spool.path, self._called) from error

    def close(self) -> None:
        self._kept.close()
        self._spool.close()


def renamed(error: DataError, path: Path, called: str) -> DataError:
    """The error, with the name that the user knows."""
    return DataError(str(error).replace(str(path), called))
