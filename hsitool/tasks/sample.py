"""Sampled spectra of a cube and their neighbours: a few small places, drawn by a seed.

Places lie in aligned cells of the image, so that few blocks of a packed file are unpacked, and do
not hang on the layout of the file: the same cube and seed give the same sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from hsitool.cube import CubeInfo, Tile
from hsitool.errors import DataError
from hsitool.maths.spectra.missing import MissingRule
from hsitool.maths.spectra.noise import REGRESSORS
from hsitool.storage.readers import CubeReader

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

CELL = 64
"""Rows and columns of a cell."""

CELLS = 24
"""Cells that a sample is drawn from; up to `MORE` times as many where data are missing."""

MORE = 4

PLACE = (2, 16)
"""Rows and columns read at once, which makes 30 pairs of neighbours in a row."""

LARGEST = 1e60
"""Samples beyond it have no squares worth adding."""

FEWEST = 4 * REGRESSORS
"""Pixels below which nothing can be said about noise."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Spectra without missing samples and those of the pixels beside them, in physical values.

    Attributes:
        bands: the cube's bands that they hold, from 0.
        spectra: (pixels, bands)
        adjacent: (pixels, bands)
    """

    bands: tuple[int, ...]
    spectra: Floats
    adjacent: Floats


def draw_sample(
    source: CubeReader, bands: Sequence[int], pixels: int, seed: int, cells: int = CELLS
) -> Sample:
    """Up to `pixels` spectra of these bands, but for bands that miss more than half of them.

    Raises:
        DataError: fewer than `FEWEST` spectra are complete, or the file fails.
    """
    if not bands:
        raise DataError(f"{source.path}: no good band has data: there is nothing to sample")
    pairs = np.empty((0, 2, len(bands)))
    kept, complete = np.ones(len(bands), bool), np.zeros(0, bool)
    for places in _places(source.info, pixels, cells, np.random.default_rng(seed)):
        pairs = np.concatenate([pairs, *(_pairs(source, place, bands) for place in places)])
        kept, complete = _complete(pairs)
        if complete.sum() >= pixels:
            break
    if complete.sum() < FEWEST:
        raise DataError(
            f"{source.path}: only {complete.sum()} of the pixels looked at have data in all bands, "
            f"as their neighbours do: {FEWEST} are needed to tell noise from scene"
        )
    chosen = pairs[np.flatnonzero(complete)[:pixels]][:, :, kept]
    if (largest := np.abs(chosen).max()) > LARGEST:
        raise DataError(
            f"{source.path}: a sample of {largest:.3g} is no measurement: declare what marks "
            "missing samples (hsitool convert --nodata)"
        )
    names = tuple(band for band, is_kept in zip(bands, kept, strict=True) if is_kept)
    return Sample(names, np.ascontiguousarray(chosen[:, 0]), np.ascontiguousarray(chosen[:, 1]))


def _places(
    info: CubeInfo, pixels: int, cells: int, rng: np.random.Generator
) -> Iterator[list[Tile]]:
    """For each of some cells, in random order, the places to read in it."""
    down, across = ceil(info.rows / CELL), ceil(info.columns / CELL)
    count = down * across
    wanted = ceil(pixels / (PLACE[0] * (PLACE[1] - 1)))
    share = ceil(wanted / min(cells, count))
    for number in rng.choice(count, min(count, MORE * cells), replace=False).tolist():
        row, column = CELL * (number // across), CELL * (number % across)
        inside = _parts(
            Tile(row, column, min(CELL, info.rows - row), min(CELL, info.columns - column)),
            PLACE if info.columns > 1 else PLACE[::-1],
        )
        drawn = rng.choice(len(inside), min(share, len(inside)), replace=False)
        yield [inside[i] for i in sorted(drawn.tolist())]


def _parts(cell: Tile, size: tuple[int, int]) -> list[Tile]:
    """A cell in pieces, those at its ends as large as they can be."""
    height, width = size
    return [
        Tile(
            cell.row + r, cell.column + c, min(height, cell.height - r), min(width, cell.width - c)
        )
        for r in range(0, cell.height, height)
        for c in range(0, cell.width, width)
    ]


def _pairs(source: CubeReader, place: Tile, bands: Sequence[int]) -> Floats:
    """(pairs, 2, bands) each pixel of a place and the one before it in its row.

    NaN where a sample is missing; pairs with an empty pixel are left out. A cube of one column
    has its neighbours in the column.
    """
    info, stored = source.info, source.read(place, bands)
    missing = MissingRule(info.dtype, info.nodata).mask(stored)
    values = np.where(missing, np.nan, stored.astype(np.float64))
    if info.columns == 1:
        values = values.swapaxes(1, 2)
    spectra = np.moveaxis(values, 0, -1) * _of_bands(info.scale, bands, 1.0)
    spectra = spectra + _of_bands(info.offset, bands, 0.0)
    pairs = np.stack([spectra[:, 1:], spectra[:, :-1]], axis=2).reshape(-1, 2, len(bands))
    empty: Flags = np.any(np.all(np.isnan(pairs), axis=2), axis=1)
    return pairs[~empty]


def _of_bands(items: tuple[float, ...] | None, bands: Sequence[int], default: float) -> Floats:
    return np.array([default if items is None else items[band] for band in bands])


def _complete(pairs: Floats) -> tuple[Flags, Flags]:
    """Bands that at least half of the pairs have, and the pairs that have all of these (if any)."""
    missing: Flags = np.any(np.isnan(pairs), axis=1)
    kept: Flags = 2 * np.sum(missing, axis=0) <= len(pairs)
    lacking: Flags = np.any(missing[:, kept], axis=1)
    return kept, ~lacking & kept.any()
