"""Pixels as models and scores want them: blocks of files in, physical float64 spectra out.

The spectra are on the device that computes with them; what is valid is told on the CPU.
A pixel is valid when all used bands of all cubes have data there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hsitool.cube import CubeInfo, Tile
from hsitool.device import CPU, Device, array_module
from hsitool.engine.plan import Budget
from hsitool.errors import DataError
from hsitool.maths.scene.model import chosen
from hsitool.maths.spectra.missing import MissingRule
from hsitool.maths.spectra.segments import segment_bands
from hsitool.storage.raw import Block
from hsitool.storage.readers import CubeReader, as_slice
from hsitool.storage.regions import Region, same_place
from hsitool.tasks.bands import find_bands
from hsitool.tasks.empty import empty_bands

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

PIECE_BYTES = 2**22
"""Of float64 spectra that a processor computes with at once: they stay near it."""

COPIES = 4
"""Arrays of that size that a thread holds."""

SQUARES = 12
"""Matrices of bands x bands that a thread holds: a covariance, that of pairs, and sums of both."""


@dataclass(frozen=True, eq=False)
class Piece:
    """A part of a block: (bands, rows, columns) spectra on a device, and which pixels are valid.

    `tile` is where it lies in the image, `inside` where in the block.
    """

    tile: Tile
    inside: tuple[slice, slice]
    spectra: Floats
    valid: Flags

    @property
    def chosen(self) -> Floats:
        """(bands, pixels) the valid ones, in the order of the image."""
        return chosen(self.spectra, self.valid)


class Pixels:
    """Cuts blocks of cubes on one grid into pieces of bounded size.

    Their spectra are on `device`, within whose `work` they are cut and computed with.
    """

    def __init__(
        self,
        sources: Sequence[CubeReader],
        bands: Sequence[Sequence[int]],
        device: Device = CPU,
    ) -> None:
        self.sources, self.device = sources, device
        self.bands = [list(used) for used in bands]
        self._rules = [MissingRule(s.info.dtype, s.info.nodata) for s in sources]
        self._scales = [_scale(s.info, b) for s, b in zip(sources, bands, strict=True)]
        # Several cubes have bands of their own: the engine reads them all, and these are picked.
        alone = len(sources) == 1
        self.read_bands = self.bands[0] if alone else None
        self._picks = [slice(None)] if alone else [as_slice(used) for used in self.bands]

    @property
    def count(self) -> int:
        """Bands of all cubes together."""
        return sum(map(len, self.bands))

    @property
    def segments(self) -> list[range]:
        """The stacked bands, cut where cubes end and where neighbours do not follow each other."""
        lengths = [
            length
            for source, used in zip(self.sources, self.bands, strict=True)
            for length in _segment_lengths(source.info, used)
        ]
        ends = np.cumsum(lengths).tolist()
        return [range(end - length, end) for end, length in zip(ends, lengths, strict=True)]

    def within(self, budget: Budget) -> Budget:
        """The budget, with room for the pieces that threads work on and for a covariance each."""
        per_thread = COPIES * PIECE_BYTES + SQUARES * 8 * self.count**2
        return replace(budget, reserved=budget.reserved + budget.workers * per_thread)

    def pieces(self, tile: Tile, blocks: Sequence[Block]) -> Iterator[Piece]:
        """The pieces of a tile; they begin at even columns where the tile does."""
        room = max(2, PIECE_BYTES * self.device.batch // (8 * self.count) // 2 * 2)
        width = min(tile.width, room)
        height = max(1, room // width)
        for row in range(0, tile.height, height):
            for column in range(0, tile.width, width):
                rows = slice(row, min(row + height, tile.height))
                columns = slice(column, min(column + width, tile.width))
                yield self._piece(tile, blocks, rows, columns)

    def whole(self, tile: Tile, blocks: Sequence[Block]) -> Piece:
        """A tile in one piece, where all of its spectra have to be there at once."""
        return self._piece(tile, blocks, slice(0, tile.height), slice(0, tile.width))

    def _piece(self, tile: Tile, blocks: Sequence[Block], rows: slice, columns: slice) -> Piece:
        parts, valid = [], np.ones((rows.stop - rows.start, columns.stop - columns.start), bool)
        for rule, pick, block, scale in zip(
            self._rules, self._picks, blocks, self._scales, strict=True
        ):
            stored = block[pick, rows, columns]
            if rule.found(stored):
                valid &= ~rule.mask(stored).any(axis=0)
            parts.append(_physical(stored, scale, self.device))
        spectra = parts[0] if len(parts) == 1 else array_module(parts[0]).concatenate(parts)
        place = Tile(tile.row + rows.start, tile.column + columns.start, *valid.shape)
        return Piece(place, (rows, columns), spectra, valid)


def _segment_lengths(info: CubeInfo, bands: Sequence[int]) -> list[int]:
    kept = np.zeros(info.bands, bool)
    kept[list(bands)] = True
    return [len(s) for s in segment_bands(info.bands, info.wavelength_nm, kept.tolist())]


def _scale(info: CubeInfo, bands: Sequence[int]) -> tuple[Floats, Floats] | None:
    """(bands, 1, 1) scale and offset; None where samples are physical as they are."""
    if info.scale is None and info.offset is None:
        return None
    scale = np.array(info.scale or (1.0,) * info.bands)[list(bands), None, None]
    offset = np.array(info.offset or (0.0,) * info.bands)[list(bands), None, None]
    return scale, offset


def _physical(stored: Block, scale: tuple[Floats, Floats] | None, device: Device) -> Floats:
    """float64 on a device; in the memory order in which (bands, rows, columns) are two axes."""
    order = "C" if stored.strides[2] == stored.itemsize else "K"
    spectra: Floats = device.put(stored).astype(np.float64, order=order, copy=True)
    if scale is not None:
        spectra *= device.put(scale[0])
        spectra += device.put(scale[1])
    return spectra


def used_bands(source: CubeReader, text: str | None, budget: Budget) -> list[int]:
    """The bands (from 0) that a user names, or the good ones that have any data.

    Raises:
        UsageError: no such bands.
        DataError: complex samples, or no band is good.
    """
    info = source.info
    if info.dtype.kind not in "iuf":
        raise DataError(f"{source.path}: {info.dtype} samples have no covariance in real numbers")
    if text is not None:
        return sorted(set(find_bands(info, text)))
    empty = set(empty_bands(source, budget))
    good = [b for b in range(info.bands) if (info.good is None or info.good[b]) and b not in empty]
    if not good:
        raise DataError(f"{source.path}: no good band has data")
    return good


def refuse_other_grids(sources: Sequence[CubeReader]) -> None:
    """Refuse cubes whose pixels do not lie on one another.

    Raises:
        DataError: sizes differ, or places where both are known.
    """
    first, *others = sources
    for other in others:
        a, b = first.info, other.info
        if (a.rows, a.columns) != (b.rows, b.columns):
            raise DataError(
                f"{other.path}: is of another grid: {b.rows} x {b.columns} pixels, and "
                f"{first.path} has {a.rows} x {a.columns}: bring them onto one grid first"
            )
        if not same_place(a, b):
            raise DataError(
                f"{other.path}: is of another grid: it lies elsewhere than {first.path}: bring "
                "them onto one grid first"
            )


def in_region(region: Region | None, piece: Piece) -> Flags:
    """(rows, columns) the valid pixels of a piece that belong to a region."""
    return piece.valid if region is None else piece.valid & region.mask(piece.tile)
