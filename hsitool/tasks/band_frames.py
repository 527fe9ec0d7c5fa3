"""Bands of a cube or of a mosaic sensor's frame as images, a few at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsitool.cube import CubeInfo, Tile
from hsitool.engine.plan import PACKED_BYTES, PROCESS_BYTES, Budget, plan_tiles
from hsitool.errors import DataError
from hsitool.maths.spectra.missing import MissingRule
from hsitool.storage import wavelengths
from hsitool.storage.readers import CubeReader, open_cube

Frame = NDArray[np.float32]
Floats = NDArray[np.float64]
BYTES = 4
"""Of a sample of a frame."""
LEAST_BYTES = 2**23
"""To read with, however little memory there is."""


class ViewFile:
    """One view of the board: its bands as float32 images, NaN where there are no data.

    With `mosaic` (filters across, filters down) the file holds the raw frame of a sensor with a
    filter on every pixel; filter (i, j) from the upper left is band j * across + i + 1.
    """

    def __init__(
        self,
        path: Path,
        *,
        wavelengths_file: Path | None = None,
        mosaic: tuple[int, int] | None = None,
    ) -> None:
        self.path = path
        self.mosaic = mosaic
        source = None if mosaic else wavelengths_file
        with open_cube(path, wavelengths_file=source) as reader:
            self.info = reader.info
        self.frame_size = self.size
        if mosaic is not None:
            self.info = _split(self.info, path, mosaic, wavelengths_file)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of a band in px."""
        return self.info.columns, self.info.rows

    def frames(self, bands: Sequence[int], memory: int) -> Iterator[tuple[int, Frame]]:
        """(band, image) for `bands` (from 0), in about `memory` bytes.

        Raises:
            DataError: the file cannot be read.
        """
        with open_cube(self.path) as reader:
            if self.mosaic is None:
                yield from _frames(reader, bands, memory)
                return
            (_, frame), *_ = _frames(reader, [0], memory)
            across, down = self.mosaic
            for band in bands:
                row, column = divmod(band, across)
                part = frame[row::down, column::across]
                yield band, np.ascontiguousarray(part[: self.info.rows, : self.info.columns])


def offsets(mosaic: tuple[int, int]) -> Floats:
    """(filters, 2) where a filter's pixels lie, less the middle of the pattern, in patterns."""
    across, down = mosaic
    row, column = np.divmod(np.arange(across * down), across)
    return np.column_stack([(column - (across - 1) / 2) / across, (row - (down - 1) / 2) / down])


def _split(
    info: CubeInfo, path: Path, mosaic: tuple[int, int], wavelengths_file: Path | None
) -> CubeInfo:
    """What the bands of a mosaic frame are."""
    if info.bands != 1:
        raise DataError(
            f"{path}: {info.bands} bands, but a mosaic sensor's raw frame has one: "
            "leave out --mosaic for a cube that is split already"
        )
    across, down = mosaic
    split = CubeInfo(
        across * down, info.rows // down, info.columns // across, info.dtype, nodata=info.nodata
    )
    if min(split.rows, split.columns) < 1:
        raise DataError(f"{path}: {info.columns}x{info.rows} px hold no {across}x{down} pattern")
    more = [] if wavelengths_file is None else wavelengths.of_file(wavelengths_file)
    return wavelengths.override(split, more, str(path))


def _frames(reader: CubeReader, bands: Sequence[int], memory: int) -> Iterator[tuple[int, Frame]]:
    """Groups of bands are read by tiles, since some files hold all bands of a pixel together."""
    info = reader.info
    at_once = max(1, memory // 2 // (info.whole.pixels * BYTES))
    for first in range(0, len(bands), at_once):
        group = bands[first : first + at_once]
        stack = np.empty((len(group), info.rows, info.columns), np.float32)
        for tile in _tiles(reader, group, memory // 2):
            stack[:, *_where(tile)] = _values(reader, tile, group)
        yield from zip(group, stack, strict=True)


def _tiles(reader: CubeReader, bands: Sequence[int], memory: int) -> Iterator[Tile]:
    pixel = reader.buffer_bytes(Tile(0, 0, 1, 1), bands) + len(bands) * (BYTES + 1)
    fixed = PROCESS_BYTES + PACKED_BYTES + reader.layout.unpacked_bytes
    budget = Budget(max(memory, LEAST_BYTES) + fixed, 1)
    return iter(plan_tiles(reader.info.whole, pixel, [reader.layout], [], budget))


def _where(tile: Tile) -> tuple[slice, slice]:
    return (
        slice(tile.row, tile.row + tile.height),
        slice(tile.column, tile.column + tile.width),
    )


def _values(reader: CubeReader, tile: Tile, bands: Sequence[int]) -> Frame:
    """float32, missing samples as NaN."""
    block = reader.read(tile, bands)
    with np.errstate(over="ignore"):
        values = block.astype(np.float32)
    values[MissingRule(block.dtype, reader.info.nodata).mask(block)] = np.nan
    return values
