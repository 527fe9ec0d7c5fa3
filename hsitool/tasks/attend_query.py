"""What attention looks for: a spectrum from a file, of a pixel, or the mean of a region."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsitool.cube import CubeInfo, Tile
from hsitool.errors import DataError
from hsitool.maths.scene.model import chosen
from hsitool.storage.readers import CubeReader
from hsitool.storage.regions import Region, open_region
from hsitool.storage.spectra import file_and_name, read_spectrum
from hsitool.storage.wavelengths import warn
from hsitool.tasks.pixels import Pixels
from hsitool.tasks.query import at_bands, name_bands, refuse_nothing
from hsitool.tasks.spectrum import Place, spectra

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]

STRIP_BYTES = 2**25
"""Of stored samples of a region that are read at a time."""


@dataclass(frozen=True)
class Asked:
    """Where the query comes from: one of a spectrum file, a place and a region file.

    `scale` is a factor for the spectrum.
    """

    spectrum: str | None = None
    scale: float = 1.0
    place: Place | None = None
    region: Path | None = None

    @property
    def file(self) -> Path | None:
        """Of the spectrum."""
        return None if self.spectrum is None else file_and_name(self.spectrum)[0]


@dataclass(frozen=True, eq=False)
class Query:
    """A spectrum to look for, at some bands of a cube.

    Attributes:
        name: what to call it.
        values: (bands,) physical values.
        bands: of the cube, from 0.
        pixel: row and column where it was taken from one pixel of the cube.
        scale: factor that the values have been multiplied by.
    """

    name: str
    values: Floats
    bands: list[int]
    pixel: tuple[int, int] | None = None
    scale: float = 1.0


def find_query(source: CubeReader, asked: Asked, used: Sequence[int]) -> Query:
    """The query at those of the bands `used` that it covers; the others are named.

    Raises:
        DataError: a file cannot serve, or the place or region has no data.
    """
    if asked.place is not None:
        return _of_place(source, asked.place, used)
    if asked.region is not None:
        with open_region(asked.region, source.info) as region:
            mean = region_mean(source, region, used)
        refuse_nothing(asked.region.name, mean)
        return Query(asked.region.name, mean, list(used))
    assert asked.spectrum is not None
    spectrum = read_spectrum(asked.spectrum)
    values = asked.scale * at_bands(spectrum, source.info, used)
    there = [band for band in used if not np.isnan(values[band])]
    if len(there) < len(used):
        lacking = [band for band in used if np.isnan(values[band])]
        named = name_bands(lacking, source.info)
        warn(f"query '{spectrum.name}' does not cover {named}: left out")
    return Query(spectrum.name, values[there], there, scale=asked.scale)


def _of_place(source: CubeReader, place: Place, used: Sequence[int]) -> Query:
    values = spectra(source, [place]).values[0, list(used)]
    if np.isnan(values).any():
        lacking = [band for band, value in zip(used, values, strict=True) if np.isnan(value)]
        raise DataError(
            f"{source.path}: the pixel at row {place.row}, column {place.column} has no data in "
            f"{name_bands(lacking, source.info)}: name another"
        )
    refuse_nothing(place.name, values)
    return Query(place.name, values, list(used), (place.row, place.column))


def region_mean(source: CubeReader, region: Region, used: Sequence[int]) -> Floats:
    """(used,) the mean of the pixels of a region that have data in all bands `used`.

    Raises:
        DataError: none has.
    """
    total, count = np.zeros(len(used)), 0
    for part, _ in region_spectra(source, region, used):
        total += part.sum(axis=1)
        count += part.shape[1]
    if not count:
        raise nothing_there(region)
    return total / count


def region_spectra(
    source: CubeReader, region: Region, used: Sequence[int]
) -> Iterator[tuple[Floats, Integers]]:
    """The pixels of a region that have data in all bands `used`, some at a time.

    They come as (used, pixels) physical values and (pixels,) numbers, which count all pixels of
    the region.
    """
    pixels, first = Pixels([source], [used]), 0
    for tile in _strips(region.bounds, source.info):
        block = source.read(tile, pixels.read_bands)
        for piece in pixels.pieces(tile, [block]):
            marked = region.mask(piece.tile)
            numbers = first + np.flatnonzero(piece.valid[marked])
            first += int(np.count_nonzero(marked))
            yield chosen(piece.spectra, piece.valid & marked), numbers


def nothing_there(region: Region) -> DataError:
    """Why a region has no mean."""
    return DataError(f"{region.path}: none of its {region.pixels} pixels has data in all bands")


def _strips(bounds: Tile, info: CubeInfo) -> Iterator[Tile]:
    """A rectangle in rows that are read at once."""
    height = max(1, STRIP_BYTES // (bounds.width * info.bands * info.dtype.itemsize))
    for row in range(bounds.row, bounds.row + bounds.height, height):
        left = bounds.row + bounds.height - row
        yield Tile(row, bounds.column, min(height, left), bounds.width)
