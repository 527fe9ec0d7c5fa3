"""Rasters from pipes: in order as they come where that can be, else from a temporary file."""

from __future__ import annotations

import os
import select
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from fcntl import fcntl
from pathlib import Path

import numpy as np

from hsitool.cube import CubeInfo
from hsitool.errors import DataError, UsageError
from hsitool.storage import ends, envi, tiff, wavelengths
from hsitool.storage.lines import LineReader
from hsitool.storage.raw import Block, Interleave, RawLayout, as_bytes
from hsitool.storage.readers import CubeReader, describe_raster, open_cube
from hsitool.storage.spool import Spool, SpooledReader, renamed

MOST_HEAD = 2**24
"""How far into a stream its directory and metadata may lie."""

PIPE_BYTES = 2**20
"""What the system is asked to hold in a pipe: half again as fast as its 64 KB (measured)."""

F_SETPIPE_SZ = 1031
COPY_BYTES = 2**20


class CutError(DataError):
    """A stream that ended early."""


class Pipe:
    """Bytes in their order, of which the first can be looked at before they are taken.

    Waiting for more ends when another thread calls `abandon`.
    """

    def __init__(self, fd: int, called: str, *, owned: bool) -> None:
        self.called, self._fd, self._owned = called, fd, owned
        self._start = b""
        self._taken = 0
        self._wake, self._waker = os.pipe()
        self._poll = select.poll()
        for watched in (fd, self._wake):
            self._poll.register(watched, select.POLLIN)
        widen(fd)

    def start(self, size: int) -> bytes:
        """The first bytes, at least `size` where there are so many; none was taken yet."""
        parts, have = [self._start], len(self._start)
        while have < size:
            memory = bytearray(min(size - have, COPY_BYTES))
            if not (count := self._some(memoryview(memory))):
                break
            parts.append(bytes(memory[:count]))
            have += count
        self._start = b"".join(parts)
        return self._start

    def fill(self, memory: memoryview) -> int:
        """Take bytes until `memory` is full; gives how many there were."""
        left = memory
        size = left.nbytes
        while left:
            if not (count := self._next(left)):
                break
            left = left[count:]
        self._taken += size - left.nbytes
        return size - left.nbytes

    def skip(self, size: int) -> int:
        """Take bytes and drop them; gives how many there were."""
        memory, left = bytearray(min(size, COPY_BYTES)), size
        while left and (count := self.fill(memoryview(memory)[: min(left, len(memory))])):
            left -= count
        return size - left

    @property
    def taken(self) -> int:
        """Bytes taken so far."""
        return self._taken

    def abandon(self) -> None:
        """End the waiting of a thread that reads."""
        os.write(self._waker, b"x")

    def close(self) -> None:
        """Let go of the pipe; whoever writes to it learns that nobody reads."""
        for fd in (self._wake, self._waker, *((self._fd,) if self._owned else ())):
            if fd >= 0:
                os.close(fd)
        self._wake = self._waker = self._fd = -1

    def _next(self, memory: memoryview) -> int:
        if self._start:
            count = min(len(self._start), len(memory))
            memory[:count] = self._start[:count]
            self._start = self._start[count:]
            return count
        return self._some(memory)

    def _some(self, memory: memoryview) -> int:
        while True:
            if any(fd == self._wake for fd, _ in self._poll.poll()):
                raise DataError(f"{self.called} was left unread")
            try:
                return os.readv(self._fd, [memory])
            except BlockingIOError:
                continue
            except OSError as error:
                raise DataError(f"{self.called} cannot be read: {error.strerror}") from error


def widen(fd: int) -> None:
    """Ask for a larger pipe."""
    with suppress(OSError):  # no pipe, another system, or over the user's share
        fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES)


class PipeReader(LineReader):
    """Uncompressed lines behind a header."""

    def __init__(self, path: Path, info: CubeInfo, pipe: Pipe, raw: RawLayout, form: str) -> None:
        order: Interleave = "line" if raw.interleave == "line" else "pixel"
        super().__init__(path, info, order, form=form, called=pipe.called)
        self.layout = replace(self.layout, block_rows=raw.block_rows)
        self._pipe, self._dtype, self._whole = pipe, raw.dtype, raw.end
        start = int(raw.offsets.flat[0])
        if pipe.skip(start) < start:
            raise self._cut()

    def fill(self, block: Block) -> None:
        memory = as_bytes(block, self.layout.interleave)
        assert np.shares_memory(memory, block)
        if self._pipe.fill(memory.data) < memory.nbytes:
            raise self._cut()
        if not self._dtype.isnative:
            block.byteswap(inplace=True)

    def _cut(self) -> DataError:
        return CutError(
            f"{self._pipe.called}: the stream ended early after {self._pipe.taken} of "
            f"{self._whole} bytes: what made it has failed"
        )

    def abandon(self) -> None:
        self._pipe.abandon()

    def close(self) -> None:
        super().close()
        self._pipe.close()


def open_stream(
    path: Path, data: Path | None, more: Sequence[wavelengths.SpectralTexts]
) -> CubeReader:
    """Open `-`, a pipe with a name, or an ENVI header whose pixels come from one.

    Raises:
        UsageError: standard input is a terminal.
        DataError: it is closed, empty, or no raster.
    """
    named = path if data is None else data
    if named != ends.STANDARD:
        pipe = Pipe(os.open(named, os.O_RDONLY), str(named), owned=True)
    elif data is None and (chain := ends.current()) is not None and chain.source is not None:
        reader = chain.source()
        reader.info = wavelengths.override(reader.info, more, reader.called)
        return reader
    elif (file := _standard_file()) is not None:
        return _open_file(path, data, file, more)
    else:
        pipe = Pipe(0, "standard input", owned=False)
    try:
        return _open_envi(path, pipe, more) if data is not None else _open_tiff(path, pipe, more)
    except BaseException:
        pipe.close()
        raise


def _standard_file() -> Path | None:
    """The plain file that standard input is, or None where it is a pipe.

    Raises:
        UsageError: it is a terminal.
        DataError: it is closed.
    """
    if sys.stdin is None:
        raise DataError("standard input is closed: pipe a raster into it")
    if os.isatty(0):
        raise UsageError("standard input is a terminal: pipe a raster into it, or name a file")
    status = os.fstat(0)
    if not stat.S_ISREG(status.st_mode):
        return None
    named = Path(os.path.realpath("/dev/stdin"))
    is_named = named.is_file() and os.path.samestat(named.stat(), status)
    return named if is_named else Path("/dev/stdin")  # it has lost its name


def _open_file(
    path: Path, data: Path | None, file: Path, more: Sequence[wavelengths.SpectralTexts]
) -> CubeReader:
    reader = open_cube(file) if data is None else open_cube(path, data=file)
    reader.info = wavelengths.override(reader.info, more, str(path))
    return reader


def _open_envi(path: Path, pipe: Pipe, more: Sequence[wavelengths.SpectralTexts]) -> CubeReader:
    header, items, raw = envi.open_header(path)
    info = envi.describe(items, raw, str(header), more)
    if raw.interleave != "band" or info.bands == 1:
        return PipeReader(path, info, pipe, raw, "ENVI")
    spool = _spooled(pipe)
    try:
        kept = open_cube(path, data=spool.path)
        kept.info = info
        return SpooledReader(path, pipe.called, spool, kept)
    except BaseException as error:
        raise _failed(error, spool, pipe) from error
    finally:
        pipe.close()


def _open_tiff(path: Path, pipe: Pipe, more: Sequence[wavelengths.SpectralTexts]) -> CubeReader:
    """In order where the pixels lie so, else from a file; what is no TIFF from a file, too."""
    start = pipe.start(16)
    if not start:
        raise DataError(f"{pipe.called} is empty: what should have written to it has failed")
    raw = _streamed_layout(pipe) if tiff.is_tiff(start) else None
    if raw is not None and (info := _head_info(path, pipe, raw, more)) is not None:
        return PipeReader(path, info, pipe, raw, "GeoTIFF")
    spool = _spooled(pipe)
    try:
        kept = open_cube(spool.path)
        kept.info = wavelengths.override(kept.info, more, pipe.called)
        return SpooledReader(path, pipe.called, spool, kept)
    except BaseException as error:
        raise _failed(error, spool, pipe) from error
    finally:
        pipe.close()


def _failed(error: BaseException, spool: Spool, pipe: Pipe) -> BaseException:
    place = spool.path
    spool.close()
    return renamed(error, place, pipe.called) if isinstance(error, DataError) else error


def _spooled(pipe: Pipe) -> Spool:
    """All bytes of a pipe, in a file."""
    spool = Spool(pipe.called, "cannot be read in order")
    try:
        memory = memoryview(bytearray(COPY_BYTES))
        while count := pipe.fill(memory):
            spool.write(memory[:count])
    except BaseException:
        spool.close()
        raise
    return spool


class _TooFarError(Exception):
    """A part of the directory lies too far into the stream."""


def _streamed_layout(pipe: Pipe) -> RawLayout | None:
    """Where the pixels lie that come in order, line by line, behind the directory; else None.

    Raises:
        DataError: the stream ends inside its directory.
    """

    def read(size: int, offset: int) -> bytes:
        if offset + size > MOST_HEAD:
            raise _TooFarError
        found = pipe.start(offset + size)
        if len(found) < offset + size:
            raise CutError(
                f"{pipe.called}: the stream ended early after {len(found)} bytes, inside its "
                "directory: what made it has failed"
            )
        return found[offset : offset + size]

    try:
        raw = tiff.pixel_layout(tiff.directory_of(read))
    except _TooFarError:
        return None
    if raw is None or (raw.interleave != "pixel" and raw.shape[0] > 1):
        return None
    first, used = raw.offsets.ravel(), raw.used.ravel()
    together = raw.block_columns == raw.shape[2] and bool((np.diff(first) == used[:-1]).all())
    return raw if together and first[0] <= MOST_HEAD else None


def _head_info(
    path: Path, pipe: Pipe, raw: RawLayout, more: Sequence[wavelengths.SpectralTexts]
) -> CubeInfo | None:
    """What the bytes before the pixels say; None where GDAL does not understand them alone."""
    from rasterio.io import MemoryFile

    from hsitool.storage.gdal import GDAL_ERRORS, open_memory

    head = pipe.start(int(raw.offsets.flat[0]))
    try:
        with MemoryFile(head) as memory, open_memory(memory) as dataset:
            info, _ = describe_raster(dataset, path, more)
    except GDAL_ERRORS:
        return None
    return info if (info.shape, info.dtype) == (raw.shape, raw.dtype.newbyteorder("=")) else None
