"""Bands of a cube or of a mosaic sensor's frame as images, a few at a time."""

from __future__ import annotations

import re
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
from hsitool.tasks.band_corners import BandsAsked
from hsitool.tasks.boards import file_names

Frame = NDArray[np.float32]
Floats = NDArray[np.float64]
BYTES = 4
"""Of a sample of a frame."""
LEAST_BYTES = 2**23
"""To read with, however little memory there is."""


class ViewFile:
    """One view of the board: its bands as float32 images, NaN where there are no data.

    With `mosaic` (filters across, filters down) the file holds the raw frame of a sensor with a
    filter on every pixel; filter (i, j) from the upper left is band j * across + i + 1. A view
    may lie in several `paths` of one band each, as the cameras of a rig write them.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        name: str,
        mosaic: tuple[int, int] | None = None,
    ) -> None:
        self.paths = tuple(paths)
        self.name = name
        self.mosaic = mosaic
        infos = []
        for path in self.paths:
            with open_cube(path) as reader:
                infos.append(reader.info)
        self.info = infos[0]
        self.frame_size = self.size
        if len(infos) > 1:
            self.info = _stacked(infos, self.paths)
        if mosaic is not None:
            self.info = _split(self.info, self.path, mosaic)

    @property
    def path(self) -> Path:
        """The file, or the first one."""
        return self.paths[0]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of a band in px."""
        return self.info.columns, self.info.rows

    def frames(self, bands: Sequence[int], memory: int) -> Iterator[tuple[int, Frame]]:
        """(band, image) for `bands` (from 0), in about `memory` bytes.

        Raises:
            DataError: the file cannot be read.
        """
        if self.mosaic is not None:
            yield from self._filters(bands, memory, self.mosaic)
        elif len(self.paths) > 1:
            for band in bands:
                yield band, self._only_band(self.paths[band], memory)
        else:
            with open_cube(self.path) as reader:
                yield from _frames(reader, bands, memory)

    def _only_band(self, path: Path, memory: int) -> Frame:
        with open_cube(path) as reader:
            return next(_frames(reader, [0], memory))[1]

    def _filters(
        self, bands: Sequence[int], memory: int, mosaic: tuple[int, int]
    ) -> Iterator[tuple[int, Frame]]:
        frame = self._only_band(self.path, memory)
        across, down = mosaic
        for band in bands:
            row, column = divmod(band, across)
            part = frame[row::down, column::across]
            yield band, np.ascontiguousarray(part[: self.info.rows, : self.info.columns])


def view_files(paths: Sequence[Path], asked: BandsAsked) -> list[ViewFile]:
    """The views in files; a rig's images of one band each are put together by their names.

    Raises:
        DataError: a file cannot be read, or a view lacks a band.
    """
    groups = {name: [path] for name, path in zip(file_names(paths), paths, strict=True)}
    if asked.rig and all(_bands_of(path) == 1 for path in paths):
        groups = _by_exposure(paths)
    files = [ViewFile(parts, name, asked.mosaic) for name, parts in groups.items()]
    if asked.wavelengths is not None:
        _override(files, asked.wavelengths)
    return files


def _override(files: Sequence[ViewFile], path: Path) -> None:
    """Give all files the wavelengths of the user's file, which is read and spoken of once."""
    first = files[0]
    first.info = wavelengths.override(first.info, wavelengths.of_file(path), str(first.path))
    same = {name: getattr(first.info, name) for name in ("wavelength_nm", "fwhm_nm", "good")}
    for file in files[1:]:
        if file.info.bands == first.info.bands:
            file.info = file.info.replace(**same)


def _bands_of(path: Path) -> int:
    with open_cube(path) as reader:
        return reader.info.bands


def _by_exposure(paths: Sequence[Path]) -> dict[str, list[Path]]:
    """`IMG_0001_2.tif` is band 2 of the view `IMG_0001`."""
    numbered: dict[str, dict[int, Path]] = {}
    for path in paths:
        named = re.fullmatch(r"(.*?)[_-]?(\d{1,4})", path.stem)
        if named is None:
            raise DataError(
                f"{path}: which lens of the rig took it? give cubes with a band for each lens, or "
                "images of one band whose names end in its number, as IMG_0001_2.tif"
            )
        numbered.setdefault(str(path.with_name(named[1])), {})[int(named[2])] = path
    lenses = sorted({number for bands in numbered.values() for number in bands})
    for name, bands in numbered.items():
        if lacking := [number for number in lenses if number not in bands]:
            raise DataError(f"{name}: has no image of lens {lacking[0]}, which other views have")
    names = file_names([Path(name) for name in numbered])
    parts = ([bands[number] for number in lenses] for bands in numbered.values())
    return dict(zip(names, parts, strict=True))


def _stacked(infos: Sequence[CubeInfo], paths: Sequence[Path]) -> CubeInfo:
    """Images of one band each as the bands of one cube."""
    first = infos[0]
    for info, path in zip(infos, paths, strict=True):
        if (info.rows, info.columns) != (first.rows, first.columns):
            raise DataError(
                f"{path}: {info.columns}x{info.rows} px, but {paths[0]} has "
                f"{first.columns}x{first.rows}: the images of a rig have one size"
            )
    return CubeInfo(len(infos), first.rows, first.columns, first.dtype)


def offsets(mosaic: tuple[int, int]) -> Floats:
    """(filters, 2) where a filter's pixels lie, less the middle of the pattern, in patterns."""
    across, down = mosaic
    row, column = np.divmod(np.arange(across * down), across)
    return np.column_stack([(column - (across - 1) / 2) / across, (row - (down - 1) / 2) / down])


def _split(info: CubeInfo, path: Path, mosaic: tuple[int, int]) -> CubeInfo:
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
    return split


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
