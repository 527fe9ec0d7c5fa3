"""Cubes being written: raw positioned writes, or rasterio for compressed files.

Both write into a hidden folder (see `atomic`) and appear under their name on `commit`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np

from hsitool.cube import CubeInfo, Tile
from hsitool.errors import DataError, UsageError
from hsitool.storage import ends, envi, raster, tiff
from hsitool.storage.atomic import PartFolder, refuse_existing, require_space, told_of
from hsitool.storage.geotiff_header import geotiff_header
from hsitool.storage.layout import Layout
from hsitool.storage.raw import (
    Block,
    Bytes,
    RawLayout,
    as_block,
    as_bytes,
    byte_order,
    contiguous,
    write_runs,
)

Format = Literal["gtiff", "envi"]
Compression = Literal["zstd", "deflate", "lzw"]
ENVI_SUFFIXES = (".hdr", ".img", ".dat", ".raw", ".bsq", ".bil", ".bip")
OTHER_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jp2", ".nc", ".h5", ".hdf", ".zarr", ".mat", ".npy"),
    *(".vrt", ".csv", ".json", ".xml", ".txt"),
)
TARGET_BLOCK_BYTES = 4 * 2**20
MAX_BLOCK_BYTES = 8 * 2**20


@dataclass(frozen=True)
class OutputOptions:
    """How an output is to be written; `format` None goes by the file name.

    `lines` are the command lines that make the outputs, for their provenance: the input, options,
    and last the option that names the output.
    """

    format: Format | None = None
    compress: Compression | None = None
    creation: Mapping[str, str] = field(default_factory=dict)
    overwrite: bool = False
    threads: int = 1
    lines: Mapping[Path, Sequence[str]] = field(default_factory=dict)


class CubeWriter(ABC):
    """A cube being written; leaving the `with` block commits it, an exception discards it."""

    def __init__(self, info: CubeInfo, layout: Layout, target: Path) -> None:
        self.info = info
        self.layout = layout
        self.target = target

    def buffer_bytes(self, tile: Tile) -> int:
        """Memory of a block."""
        return tile.pixels * self.info.bands * self.info.dtype.itemsize

    def block(self, tile: Tile, buffer: Bytes | None = None) -> Block:
        """An empty block for `tile` in the output's order, a view of `buffer` if given."""
        size = self.buffer_bytes(tile)
        memory = np.empty(size, np.uint8) if buffer is None else buffer[:size]
        shape = (self.info.bands, tile.height, tile.width)
        return as_block(memory, self.layout.interleave, shape, self.info.dtype)

    @abstractmethod
    def write(self, tile: Tile, block: Block) -> None:
        """Write a block made by `block`.

        Raises:
            DataError: the disk is full or fails.
        """

    def lend(self, tile: Tile, block: Block) -> None:
        """As `write`; but the block may not be filled anew until `when_free` says so."""
        self.write(tile, block)

    def when_free(self, then: Callable[[], None]) -> None:
        """Call `then` as soon as the block that was lent last may be filled anew."""
        then()

    @abstractmethod
    def commit(self) -> None:
        """Make the output appear under its name."""

    @abstractmethod
    def discard(self) -> None:
        """Leave nothing behind."""

    def __enter__(self) -> CubeWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.commit()
        finally:
            self.discard()


class RawWriter(CubeWriter):
    """Positioned writes of uncompressed pixels behind an optional header."""

    def __init__(
        self,
        info: CubeInfo,
        layout: Layout,
        raw: RawLayout,
        target: Path,
        *,
        size: int,
        head: bytes = b"",
        header_text: str | None = None,
    ) -> None:
        super().__init__(info, layout, target)
        self._folder = PartFolder(target)
        self._raw = raw
        self._header_text = header_text
        self._part = self._folder.path / "pixels"
        self._fd = -1
        try:
            with told_of(target):
                require_space(target, size)
                self._fd = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
                os.pwrite(self._fd, head, 0)
                os.ftruncate(self._fd, size)
        except BaseException:
            self.discard()
            raise

    def write(self, tile: Tile, block: Block) -> None:
        samples = block.astype(self._raw.dtype, copy=False)
        memory = as_bytes(samples, self._raw.interleave)
        with told_of(self.target):
            write_runs(self._fd, self._raw.runs(tile, range(self.info.bands)), memory)

    def commit(self) -> None:
        if self._header_text is None:
            self._folder.commit([(self._part, self.target)], stale_sidecars(self.target))
            return
        header = self._folder.path / "header"
        target = header_target(self.target)
        with told_of(target):
            header.write_text(self._header_text, encoding="utf-8", errors="replace")
        pairs = [(self._part, self.target), (header, target)]
        # The former header goes first: a kill between the renames leaves no header that lies.
        self._folder.commit(pairs, [*stale_sidecars(self.target), target])

    def discard(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._folder.discard()


class RasterioWriter(CubeWriter):
    """GeoTIFFs that GDAL packs."""

    def __init__(
        self,
        info: CubeInfo,
        layout: Layout,
        target: Path,
        profile: Mapping[str, Any],
        record: str | None,
    ) -> None:
        from hsitool.storage.gdal import GDAL_ERRORS, one_line, open_dataset

        super().__init__(info, layout, target)
        self._folder = PartFolder(target)
        self._part = self._folder.path / "pixels.tif"
        try:
            self._dataset = open_dataset(self._part, "w", **profile)
            raster.apply(self._dataset, info, record)
        except BaseException as error:
            self._folder.discard()
            if isinstance(error, (DataError, *GDAL_ERRORS)):
                raise self._failure(one_line(error)) from error
            raise

    def write(self, tile: Tile, block: Block) -> None:
        from rasterio.windows import Window

        from hsitool.storage.gdal import GDAL_ERRORS, one_line

        window = Window(tile.column, tile.row, tile.width, tile.height)
        try:
            self._dataset.write(block, window=window)
        except GDAL_ERRORS as error:
            raise self._failure(one_line(error)) from error

    def commit(self) -> None:
        from hsitool.storage.gdal import GDAL_ERRORS, one_line

        try:
            self._dataset.close()
        except GDAL_ERRORS as error:
            raise self._failure(one_line(error)) from error
        # GDAL's last flush tells nobody that the disk is full: look at what it left.
        self._folder.require_room()
        if not tiff.is_complete(self._part):
            raise self._failure("blocks are missing after the last flush")
        self._folder.commit([(self._part, self.target)], stale_sidecars(self.target))

    def _failure(self, text: str) -> DataError:
        room = os.statvfs(self.target.parent)
        if room.f_bavail * room.f_frsize < TARGET_BLOCK_BYTES or "No space left" in text:
            return DataError(f"{self.target}: no space left on the disk: nothing was written")
        return DataError(f"{self.target}: cannot be written: {text}")

    def discard(self) -> None:
        from hsitool.storage.gdal import GDAL_ERRORS

        with contextlib.suppress(*GDAL_ERRORS):  # it is thrown away: a full disk matters no more
            self._dataset.close()
        self._folder.discard()


def output_paths(path: Path, options: OutputOptions) -> list[Path]:
    """The files that an output named `path` consists of, the one to tell the user first.

    None for `-`.
    """
    if path == ends.STANDARD:
        return []
    if output_format(path, options) == "gtiff":
        return [path]
    pixels = path.with_suffix(".img") if path.suffix.lower() == ".hdr" else path
    return [pixels, header_target(pixels)]


def refuse_twins(
    targets: Sequence[Path], options: OutputOptions | None = None, others: Sequence[Path] = ()
) -> None:
    """Refuse outputs of one run that would share a file, headers and `others` included.

    Raises:
        UsageError: naming the file.
    """
    named = [
        path for target in targets for path in output_paths(target, options or OutputOptions())
    ]
    if [*targets, *others].count(ends.STANDARD) > 1:
        raise UsageError("two outputs would be written to standard output: name files")
    if ends.STANDARD in targets:
        refuse_stream(options or OutputOptions())
    seen = set[str]()
    for file in map(os.path.realpath, (*named, *others)):
        if file in seen:
            raise UsageError(f"two outputs would be written to {file}: give each its own name")
        seen.add(file)


def refuse_inputs(
    targets: Sequence[Path],
    inputs: Iterable[Path | None],
    options: OutputOptions | None = None,
    others: Sequence[Path] = (),
) -> None:
    """Refuse outputs, `others` included, that would replace what is read, even with `overwrite`.

    An ENVI header counts with its data, and data with their header.

    Raises:
        UsageError: naming the file.
    """
    options = options or OutputOptions()
    named = [path for target in targets for path in output_paths(target, options)]
    read = {os.path.realpath(file) for path in inputs if path for file in _with_partner(path)}
    for path in (*named, *others):
        if os.path.realpath(path) in read:
            raise UsageError(f"{path} is an input: give the output another name")


def _with_partner(path: Path) -> list[Path]:
    header = envi.header_of(path)
    partners = envi.data_beside(path) if path.suffix.lower() == ".hdr" else []
    return [path, *partners, *([] if header is None else [header])]


def output_format(path: Path, options: OutputOptions) -> Format:
    """The format asked for, or the one that the file name says (GeoTIFF where it says none).

    Raises:
        UsageError: the name says a format that is not written.
    """
    if options.format is not None:
        return options.format
    suffix = path.suffix.lower()
    if suffix in OTHER_SUFFIXES:
        raise UsageError(
            f"{path}: {suffix} files are not written: name it .tif or .img, or give --format"
        )
    return "envi" if suffix in ENVI_SUFFIXES else "gtiff"


def header_target(pixels: Path) -> Path:
    """The header that belongs to an ENVI data file of ours."""
    if pixels.suffix.lower() in ENVI_SUFFIXES:
        return pixels.with_suffix(".hdr")
    return pixels.with_name(pixels.name + ".hdr")


def stale_sidecars(target: Path) -> list[Path]:
    """Files of other programs that would describe the former output."""
    names = [target.name + s for s in (".aux.xml", ".ovr", ".msk", ".hdr", ".HDR")]
    return [target.with_name(name) for name in names]


def create_cube(
    path: Path, info: CubeInfo, like: Layout, options: OutputOptions | None = None
) -> CubeWriter:
    """Start an output with the order and blocks of `like`, where they are sensible.

    Raises:
        UsageError: it exists and may not be overwritten, or the format cannot hold the type.
        DataError: the place cannot be written or has no room.
    """
    options = options or OutputOptions()
    info = _with_line(info, options.lines.get(path))
    if (chain := ends.current()) is not None:
        chain.made(path, info)
    if path == ends.STANDARD:
        return _create_stream(info, like, options)
    target, *others = output_paths(Path(os.path.realpath(path)), options)
    refuse_existing([target, *others], options.overwrite)
    if output_format(path, options) == "envi":
        return _create_envi(target, info, like, options)
    return _create_geotiff(target, info, like, options)


def _with_line(info: CubeInfo, line: Sequence[str] | None) -> CubeInfo:
    """With the command line in the last step of the provenance."""
    if line is None or not info.provenance:
        return info
    *before, last = info.provenance
    return info.replace(provenance=(*before, {**last, "arguments": list(line)}))


def _create_envi(target: Path, info: CubeInfo, like: Layout, options: OutputOptions) -> CubeWriter:
    if options.compress or options.creation:
        raise UsageError("--compress and --co go with GeoTIFF: an ENVI file is always plain")
    raw = contiguous(info.shape, info.dtype, like.interleave)
    text = envi.compose(info, like.interleave)
    words = envi.layout_words(raw)
    return RawWriter(info, words, raw, target, size=raw.end, header_text=text)


def _create_stream(info: CubeInfo, like: Layout, options: OutputOptions) -> CubeWriter:
    """Standard output, or the next step of a chain."""
    refuse_stream(options)
    if (chain := ends.current()) is not None and chain.sink is not None:
        return chain.sink(info, like)
    from hsitool.storage.stream_writer import StreamWriter, free_output

    out = free_output()
    profile = _profile(info, dataclasses.replace(like, interleave="pixel"), OutputOptions())
    strips = {"BIGTIFF": "YES", "BLOCKYSIZE": stream_rows(info)}
    header, _ = geotiff_header(info, profile | strips, ends.STANDARD)
    head, raw, size = tiff.laid_out(header)
    return StreamWriter(info, raw, head, size, out)


def refuse_stream(options: OutputOptions) -> None:
    """Refuse a stream into a terminal, and options that a stream has no place for.

    Raises:
        UsageError: standard output is a terminal, or a format or compression is asked for.
    """
    chain = ends.current()
    if (chain is None or chain.sink is None) and os.isatty(1):
        raise UsageError(
            "-o - would write a raster to the terminal: pipe it into a command or into a file"
        )
    if options.format == "envi" or options.compress or options.creation:
        raise UsageError(
            "-o - always writes a plain BigTIFF: leave out --format envi, --compress and --co"
        )


def stream_rows(info: CubeInfo) -> int:
    """Rows of a strip: few enough strips that other programs can hold the directory."""
    row = info.columns * info.bands * info.dtype.itemsize
    return min(info.rows, max(1, TARGET_BLOCK_BYTES // row, -(-info.rows // MOST_STRIPS)))


MOST_STRIPS = 20_000
"""Of a stream: 16 bytes each; GDAL takes no stream whose directory and values exceed 1 MB."""


def _create_geotiff(
    target: Path, info: CubeInfo, like: Layout, options: OutputOptions
) -> CubeWriter:
    profile = _profile(info, like, options)
    header, record = geotiff_header(info, profile, target)
    grid = tiff.grid(header)
    if grid is None:
        raise UsageError("these creation options give no plain grid of samples: leave some out")
    words = Layout("GeoTIFF", grid.interleave, grid.block_rows, grid.block_columns)
    if profile["COMPRESS"] != "NONE":
        words = dataclasses.replace(words, compression=profile["COMPRESS"].lower())
        threads = {"NUM_THREADS": options.threads}
        return RasterioWriter(info, words, target, profile | threads, record)
    head, raw, size = tiff.laid_out(header)
    words = dataclasses.replace(words, raw=True, byte_order=byte_order(raw.dtype))
    return RawWriter(info, words, raw, target, size=size, head=head)


def _profile(info: CubeInfo, like: Layout, options: OutputOptions) -> dict[str, Any]:
    """What GDAL is told when it makes the file."""
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "dtype": info.dtype.name,
        "count": info.bands,
        "height": info.rows,
        "width": info.columns,
        "INTERLEAVE": "PIXEL" if like.interleave == "pixel" else "BAND",
        "COMPRESS": (options.compress or "none").upper(),
    }
    if options.compress is not None and info.dtype.kind in "iuf":
        profile["PREDICTOR"] = 3 if info.dtype.kind == "f" else 2
    if options.compress == "zstd":
        profile["ZSTD_LEVEL"] = 1
    if options.compress == "deflate":
        profile["ZLEVEL"] = 6
    profile |= {key.upper(): value for key, value in options.creation.items()}
    profile["COMPRESS"] = str(profile["COMPRESS"]).upper()
    pixel = str(profile["INTERLEAVE"]).upper() == "PIXEL"
    if not profile.keys() & {"TILED", "BLOCKXSIZE", "BLOCKYSIZE"}:
        profile |= _blocks(info, like, pixel, profile["COMPRESS"] != "NONE")
    profile.setdefault("BIGTIFF", "IF_SAFER")
    if _holds(info.dtype, info.nodata):
        profile["nodata"] = info.nodata
    return profile


def _holds(dtype: np.dtype[Any], nodata: float | None) -> bool:
    """Whether a nodata value can be told to GDAL for this type."""
    if nodata is None or dtype.kind == "c":
        return False
    if dtype.kind == "f":
        return True
    limits = np.iinfo(dtype)
    return float(nodata).is_integer() and limits.min <= nodata <= limits.max


def _blocks(info: CubeInfo, like: Layout, pixel: bool, packed: bool) -> dict[str, Any]:
    """Tiles of the input where it has sensible ones, else strips (or tiles) of 1 to 8 MB.

    A packed band-interleaved file is written a block row of all bands at a time, so its blocks
    are counted over all bands; 1 to 8 MB for each band would take gigabytes of memory.
    """
    item = info.dtype.itemsize
    depth = info.bands if pixel or packed else 1
    height, width = like.block_rows, like.block_columns
    tiled = width < info.columns and height % 16 == 0 and width % 16 == 0
    if tiled and height * width * item * (info.bands if pixel else 1) <= MAX_BLOCK_BYTES:
        return {"TILED": "YES", "BLOCKXSIZE": width, "BLOCKYSIZE": height}
    row = info.columns * item * depth
    if row > MAX_BLOCK_BYTES:
        side = max(16, int((TARGET_BLOCK_BYTES / (item * depth)) ** 0.5) // 16 * 16)
        return {"TILED": "YES", "BLOCKXSIZE": side, "BLOCKYSIZE": side}
    return {"BLOCKYSIZE": min(info.rows, max(1, TARGET_BLOCK_BYTES // row))}
