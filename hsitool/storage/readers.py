"""Cubes open for reading: raw positioned reads, or rasterio with one handle a thread."""

from __future__ import annotations

import os
import stat
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from hsitool.cube import CubeInfo, Tile
from hsitool.errors import DataError
from hsitool.storage import ends, envi, raster, tiff, wavelengths
from hsitool.storage.layout import Layout
from hsitool.storage.raw import Block, Bytes, RawLayout, as_block, byte_order, read_runs

GLIMPSE_COLUMNS = 1024


class CubeReader(ABC):
    """A cube open for reading; `read` may be called from several threads at once.

    Where the layout is `in_order`, one thread reads each tile once and in reading order.
    """

    def __init__(self, path: Path, info: CubeInfo, layout: Layout, files: Sequence[Path]) -> None:
        self.path = path
        self.info = info
        self.layout = layout
        self.files = tuple(files)

    @property
    def size_on_disk(self) -> int:
        """Bytes of all files of the cube."""
        return sum(file.stat().st_size for file in self.files)

    @abstractmethod
    def read(
        self, tile: Tile, bands: Sequence[int] | None = None, buffer: Bytes | None = None
    ) -> Block:
        """A block (band, row, column) in the file's order and type, native byte order.

        `bands` counts from 0 (all where None). A `buffer` of at least `buffer_bytes(tile, bands)`
        bytes is filled and the block is a view of it; without one, memory is allocated.

        Raises:
            DataError: the file cannot be read there.
        """

    def borrow(
        self, tile: Tile, bands: Sequence[int] | None = None, buffer: Bytes | None = None
    ) -> Block:
        """As `read`; but the block may be the memory of another step until `give_back`."""
        return self.read(tile, bands, buffer)

    def give_back(self, tile: Tile) -> None:  # noqa: B027 - the memory is the caller's own
        """The block that was borrowed of a tile is not looked at any more."""

    def buffer_bytes(self, tile: Tile, bands: Sequence[int] | None = None) -> int:
        """Memory that `read` fills."""
        count = self.info.bands if bands is None else len(bands)
        return tile.pixels * count * self.info.dtype.itemsize

    @property
    def called(self) -> str:
        """What to call it in messages."""
        return str(self.path)

    @property
    def held_bytes(self) -> int:
        """Memory of what was looked at before it is read."""
        return 0

    def glimpses(self, room: int) -> Iterator[Block]:
        """Samples of all bands from a few places, to be seen before the reading.

        A cube that comes once gives its first lines, and holds them: `room` bytes at most.
        """
        info = self.info
        width = min(info.columns, GLIMPSE_COLUMNS)
        for row in (info.rows // 2, info.rows // 4, 3 * info.rows // 4):
            yield self.read(Tile(row, (info.columns - width) // 2, 1, width))

    def keep(self) -> None:  # noqa: B027 - a file is there as long as it is open
        """From now on any tile may be read, and again; a cube that comes once goes into a file.

        Raises:
            DataError: there is no room, or it ends early.
        """

    def abandon(self) -> None:  # noqa: B027 - a file never waits
        """End a `read` that waits for what comes, in whatever thread."""

    @abstractmethod
    def close(self) -> None:
        """Close all handles."""

    def __enter__(self) -> CubeReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class RawReader(CubeReader):
    """Positioned reads of uncompressed pixels."""

    def __init__(
        self, path: Path, info: CubeInfo, layout: Layout, raw: RawLayout, files: Sequence[Path]
    ) -> None:
        super().__init__(path, info, layout, files)
        self._raw = raw
        self._pixels = files[0]
        try:
            self._fd = os.open(self._pixels, os.O_RDONLY)
        except OSError as error:
            raise DataError(f"{self._pixels}: cannot be read: {error.strerror}") from error

    def buffer_bytes(self, tile: Tile, bands: Sequence[int] | None = None) -> int:
        if self._raw.interleave == "pixel":
            bands = None  # whole pixels are read, bands picked from them
        return super().buffer_bytes(tile, bands)

    def read(
        self, tile: Tile, bands: Sequence[int] | None = None, buffer: Bytes | None = None
    ) -> Block:
        if bands is None:
            bands = range(self.info.bands)
        whole_pixels = self._raw.interleave == "pixel"
        wanted = range(self.info.bands) if whole_pixels else bands
        size = self.buffer_bytes(tile, bands)
        memory = np.empty(size, np.uint8) if buffer is None else buffer[:size]
        try:
            missing = read_runs(self._fd, self._raw.runs(tile, wanted), memory)
        except OSError as error:
            raise DataError(f"{self._pixels}: cannot be read: {error.strerror}") from error
        if missing:
            raise DataError(
                f"{self._pixels}: the file ends {missing} bytes early: it is incomplete"
            )
        shape = (len(wanted), tile.height, tile.width)
        block = as_block(memory, self._raw.interleave, shape, self._raw.dtype)
        if not self._raw.dtype.isnative:
            block = block.byteswap(inplace=True).view(self.info.dtype)
        return block[as_slice(bands)] if whole_pixels else block

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class RasterioReader(CubeReader):
    """Everything else that GDAL opens."""

    def __init__(self, path: Path, info: CubeInfo, layout: Layout, files: Sequence[Path]) -> None:
        super().__init__(path, info, layout, files)
        self._handles = threading.local()
        self._all: list[Any] = []

    def _dataset(self) -> Any:
        if not hasattr(self._handles, "dataset"):
            from hsitool.storage.gdal import open_dataset

            self._handles.dataset = open_dataset(self.path, sharing=False)
            self._all.append(self._handles.dataset)
        return self._handles.dataset

    def read(
        self, tile: Tile, bands: Sequence[int] | None = None, buffer: Bytes | None = None
    ) -> Block:
        from rasterio.windows import Window

        from hsitool.storage.gdal import GDAL_ERRORS, one_line

        numbers = [b + 1 for b in (range(self.info.bands) if bands is None else bands)]
        size = self.buffer_bytes(tile, bands)
        memory = np.empty(size, np.uint8) if buffer is None else buffer[:size]
        shape = (len(numbers), tile.height, tile.width)
        block = as_block(memory, self.layout.interleave, shape, self.info.dtype)
        window = Window(tile.column, tile.row, tile.width, tile.height)
        try:
            self._dataset().read(numbers, window=window, out=block)
        except GDAL_ERRORS as error:
            raise DataError(
                f"{self.path}: cannot be read at rows {tile.row} to {tile.row + tile.height - 1}: "
                f"{one_line(error)}"
            ) from error
        return block

    def close(self) -> None:
        while self._all:
            self._all.pop().close()


def as_slice(bands: Sequence[int]) -> slice | list[int]:
    """A slice where the bands follow each other (a view, no copy), else a list."""
    first, count = bands[0], len(bands)
    if list(bands) == list(range(first, first + count)):
        return slice(first, first + count)
    return list(bands)


def open_cube(
    path: Path | str,
    *,
    data: Path | None = None,
    wavelengths_file: Path | None = None,
    once: bool = False,
) -> CubeReader:
    """Open a cube: an ENVI header or data file, or anything that rasterio reads.

    Args:
        path: the file; `-` is standard input.
        data: the data file of an ENVI header, where it lies elsewhere.
        wavelengths_file: overrides the file's own.
        once: tiles will be read in order and once, so that what comes through a pipe need not be
            kept in a file.

    Raises:
        UsageError: standard input is a terminal.
        DataError: missing, damaged, truncated, or of a kind that cannot be read.
    """
    path = Path(path)
    more = [] if wavelengths_file is None else wavelengths.of_file(wavelengths_file)
    if not any(_comes_once(file) for file in (path, data)):
        return _open_file(path, data, more)
    from hsitool.storage.pipes import open_stream

    reader = open_stream(path, data, more)
    try:
        if not once:
            reader.keep()
    except BaseException:
        reader.close()
        raise
    return reader


def _comes_once(path: Path | None) -> bool:
    """Whether a path is `-` or a pipe that has a name."""
    if path is None or path == ends.STANDARD:
        return path is not None
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _open_file(
    path: Path, data: Path | None, more: Sequence[wavelengths.SpectralTexts]
) -> CubeReader:
    start = _start_of(path)
    if envi.is_header(path) or path.suffix.lower() == ".hdr":
        return _open_envi(path, data, more)
    if data is not None:
        raise DataError(f"{path}: --data goes with an ENVI header, which this is not")
    if _header_of(path, start) is not None:
        return _open_envi(path, None, more)
    return _open_raster(path, more, tiff.is_tiff(start))


def header_beside(path: Path) -> Path | None:
    """The header of an ENVI data file; None of other files.

    Raises:
        DataError: the file cannot be read.
    """
    return _header_of(path, _start_of(path))


def _header_of(path: Path, start: bytes) -> Path | None:
    """The same, of a file that begins so."""
    if start.startswith(OTHER_FORMATS):
        return None
    header = envi.header_of(path)
    return header if header is not None and envi.is_header(header) else None


OTHER_FORMATS = (*tiff.STARTS, b"\x89PNG", b"\x89HDF", b"\xff\xd8\xff", b"CDF", b"PK\3\4", b"GIF8")
"""First bytes of files that are no raw pixels, whatever header lies beside them."""


MAX_BLOCK_BYTES = 2**31
"""The largest block of a packed file: more than GDAL itself would write."""


def _start_of(path: Path) -> bytes:
    if path.exists() and not path.is_file() and not path.is_dir():
        raise DataError(f"{path}: is no file that can be read from any place")
    try:
        with path.open("rb") as file:
            return file.read(16)
    except IsADirectoryError:
        return b""
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def _open_envi(
    path: Path, data: Path | None, more: Sequence[wavelengths.SpectralTexts]
) -> CubeReader:
    header, pixels, items, raw = envi.open_pair(path, data)
    info = envi.describe(items, raw, str(header), more)
    return RawReader(path, info, envi.layout_words(raw), raw, (pixels, header))


def _open_raster(
    path: Path, more: Sequence[wavelengths.SpectralTexts], is_tiff: bool
) -> CubeReader:
    from hsitool.storage.gdal import open_dataset

    with open_dataset(path, sharing=False) as dataset:
        info, layout = describe_raster(dataset, path, more)
        files = [Path(file) for file in dataset.files if Path(file).exists()] or [path]
    raw = _tiff_layout(path) if is_tiff else None
    if raw is None or (raw.shape, raw.dtype.newbyteorder("=")) != (info.shape, info.dtype):
        _refuse_absurd_blocks(path, layout)
        return RasterioReader(path, info, layout, files)
    order = byte_order(raw.dtype)
    words = Layout(
        "GeoTIFF", raw.interleave, raw.block_rows, raw.block_columns, "none", order, True
    )
    return RawReader(path, info, words, raw, (path, *(f for f in files if f != path)))


def describe_raster(
    dataset: Any, path: Path, more: Sequence[wavelengths.SpectralTexts]
) -> tuple[CubeInfo, Layout]:
    """The cube and the layout of an open rasterio dataset.

    Raises:
        DataError: it has no bands, or bands of several types.
    """
    if dataset.count == 0:
        raise DataError(f"{path}: holds no bands of its own (subdatasets are not read yet)")
    info = raster.describe(dataset, path, more)
    flags = {flag.name for flag in dataset.mask_flag_enums[0]}
    if "per_dataset" in flags and "alpha" not in flags:
        wavelengths.warn(f"{path}: its mask band is not read: give nodata a value of its own")
    return info, raster.layout_words(dataset)


def _refuse_absurd_blocks(path: Path, layout: Layout) -> None:
    """GDAL would make room for a whole block before it finds that the file is damaged."""
    if (size := layout.unpacked_bytes) > MAX_BLOCK_BYTES:
        raise DataError(f"{path}: blocks of {size / 1e9:.1f} GB: too large, or the file is damaged")


def _tiff_layout(path: Path) -> RawLayout | None:
    """The raw layout of an uncompressed TIFF that is complete, or None."""
    fd = os.open(path, os.O_RDONLY)
    try:
        raw = tiff.pixel_layout(tiff.read_directory(fd))
        if raw is not None and raw.end > (size := os.fstat(fd).st_size):
            raise DataError(f"{size} bytes, but its pixels need {raw.end}: the file is incomplete")
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    finally:
        os.close(fd)
    return raw
