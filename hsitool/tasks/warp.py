"""The kernel of `undistort`: which samples each tile of the result takes, and what it makes of
them. And what others that resample share with it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsitool.camera import BandShift
from hsitool.cube import CubeInfo, Tile
from hsitool.engine.plan import Budget
from hsitool.engine.pool import map_in_order
from hsitool.engine.sliding import Held
from hsitool.engine.strips import BLOCK, NOTHING, Needs
from hsitool.errors import DataError, UsageError
from hsitool.maths.cameras.undistortion import Places, Undistortion, in_image
from hsitool.maths.resampling import (
    NO_VALUE,
    TAPS,
    Gather,
    Interpolation,
    axis_taps,
    gather,
    stored,
    turn,
)
from hsitool.maths.spectra.missing import MissingRule
from hsitool.storage.raw import Block
from hsitool.tasks.convert import fits

PIXELS, SAMPLES, ROW_SAMPLES = 2**14, 2**19, 2**15
"""What is computed at once, at most: two rows of it stay in a core's own cache."""

SHIFTED_SAMPLES = 2**21
"""The same where each band has a matrix of its own: fewer and larger ones."""

WORKING_BYTES = 16 * 2**20
"""What that takes for one thread."""


class Warp:
    """The kernel: what each tile of the result is made of."""

    def __init__(
        self,
        info: CubeInfo,
        made: CubeInfo,
        task: Undistortion,
        kind: Interpolation,
        shifts: tuple[BandShift, ...],
    ) -> None:
        self.info, self.made, self.task, self.kind, self.shifts = info, made, task, kind, shifts
        self.working = info.dtype if kind == "nearest" else working_type(info.dtype)
        self._missing = MissingRule(info.dtype, info.nodata)
        # What stands for missing samples; None where the type has no value for them.
        self.nodata = made.nodata
        if made.nodata is not None and not fits(made.dtype, made.nodata):
            self.nodata = None

    def prepare(self, block: Block, held: Block) -> None:
        """Samples as they are computed with: pixel by pixel, NaN where one is missing."""
        hold(block, held, None if self.kind == "nearest" else self._missing)

    def __call__(self, tile: Tile, held: Held, out: Block) -> None:
        samples = SHIFTED_SAMPLES if self.shifts else SAMPLES
        pixels = min(PIXELS, max(1, samples // self.info.bands))
        for part in tile_parts(tile, pixels, max(32, ROW_SAMPLES // self.info.bands)):
            places = self.places(part)
            made = self._shifted(places, held) if self.shifts else self._gathered(places, held)
            if self.kind != "nearest":
                made = stored(made, self.made.dtype, self.nodata, clips=self.kind == "cubic")
            made = made.reshape(-1, part.height, part.width)
            turn(made, part_of(out, part.moved(-tile.row, -tile.column)))

    def places(self, part: Tile) -> Places:
        """Where the pixels of a part come from."""
        rows = np.arange(part.row, part.row + part.height)
        return self.task.places(rows, np.arange(part.column, part.column + part.width))

    def _gathered(self, places: Places, held: Held) -> NDArray[Any]:
        """(bands, pixels), from the same places in all bands."""
        where = held.starts, 1, len(held.samples)
        return self._gather(places, None, where).of(held.samples, self._missing_value).T

    def _shifted(self, places: Places, held: Held) -> NDArray[Any]:
        """(bands, pixels), each band from its own places."""
        bands, count = self.info.bands, held.samples.size
        index = held.starts.dtype if count < 2**31 else np.int64
        size = count - (bands - 1)
        where = held.starts.astype(index) * bands, bands, size
        made = np.empty((bands, places.row.size), self.working)
        for band, shift in enumerate(self.shifts):
            samples = held.samples.reshape(-1)[band:][:size]
            made[band] = self._gather(places, shift, where).of(samples, self._missing_value)
        return made

    def _gather(
        self, places: Places, shift: BandShift | None, where: tuple[NDArray[Any], int, int]
    ) -> Gather:
        at = in_image(places, self.task.took, shift)
        found = gather(at, (self.info.rows, self.info.columns), self.kind, where, self.working)
        if self.nodata is None and found.outside.any():
            raise DataError(NO_VALUE.format(self.info.dtype))
        return found

    @property
    def _missing_value(self) -> Any:
        """What a gather puts where there is nothing."""
        if self.kind != "nearest":
            return math.nan
        return 0 if self.nodata is None else self.nodata  # none is missing then


def hold(block: Block, held: Block, rule: MissingRule | None) -> None:
    """Samples into the order and type that they are computed in; NaN where they are nodata."""
    absent = None
    if rule is not None and rule.nodata is not None and rule.found(block):
        absent = rule.mask(block)
    if not np.may_share_memory(block, held):
        turn(block, held)
    if absent is not None:
        held[absent] = np.nan


def working_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type to interpolate in: float32 where it holds all samples of the type exactly.

    Raises:
        DataError: no type does.
    """
    if dtype.kind == "c" or (dtype.kind in "iu" and dtype.itemsize > 4):
        raise DataError(
            f"{dtype} samples cannot be interpolated exactly: use --interp nearest, or convert "
            "them first (hsitool convert --dtype float64)"
        )
    small = dtype.itemsize <= 2 or dtype == np.float32
    return np.dtype(np.float32 if small else np.float64)


def nodata_of(info: CubeInfo, asked: float | None) -> float | None:
    """The nodata of a resampled cube: its own, the one asked for, or NaN in floats.

    Raises:
        UsageError: it does not fit the type, or the cube has another.
    """
    if asked is not None:
        if info.nodata is not None and info.nodata != asked:
            raise UsageError(
                f"the cube has the nodata {info.nodata:g} already: leave --nodata out, or change "
                "it first (hsitool convert --nodata)"
            )
        if not fits(info.dtype, asked):
            raise UsageError(f"--nodata {asked:g} does not fit {info.dtype}")
        return asked
    return math.nan if info.nodata is None and info.dtype.kind in "fc" else info.nodata


def tile_parts(tile: Tile, pixels: int, width: int) -> list[Tile]:
    """Rectangles of about so many pixels, and at most that wide, that make up a tile."""
    width = min(tile.width, width)
    height = max(1, pixels // width)
    return [
        Tile(
            tile.row + row,
            tile.column + column,
            min(height, tile.height - row),
            min(width, tile.width - column),
        )
        for row in range(0, tile.height, height)
        for column in range(0, tile.width, width)
    ]


def part_of(block: Block, part: Tile) -> Block:
    rows = slice(part.row, part.row + part.height)
    return block[:, rows, part.column : part.column + part.width]


def needs_of(warp: Warp, budget: Budget) -> Needs:
    """What each stretch of pixels needs of the source.

    Raises:
        UsageError: pixels come from outside, and the type has no value for that.
    """
    info = warp.info
    more = _largest_shift(warp)
    parts = tile_parts(info.whole, PIXELS, info.columns)

    def needs(part: Tile) -> Needs:
        column, row = in_image(warp.places(part), warp.task.took)
        if warp.nodata is None and not warp.shifts:
            _refuse_outside(warp, column, row)
        shape = part.height, part.width
        return Needs(
            *_reach(row.reshape(shape), info.rows, warp.kind, more),
            *_reach(column.reshape(shape), info.columns, warp.kind, more),
        )

    found = map_in_order(needs, parts, workers=budget.workers, processes=False)
    names = ("first_row", "last_row", "first_column", "last_column")
    first_row, last_row, first_column, last_column = (
        np.concatenate([getattr(part, name) for part in found]) for name in names
    )
    return Needs(first_row, last_row, first_column, last_column)


def _refuse_outside(warp: Warp, column: NDArray[Any], row: NDArray[Any]) -> None:
    inside = axis_taps(column, warp.info.columns, warp.kind)[2]
    if not (inside & axis_taps(row, warp.info.rows, warp.kind)[2]).all():
        raise UsageError(NO_VALUE.format(warp.info.dtype))


def _reach(
    place: NDArray[np.float64], count: int, kind: Interpolation, more: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """First and last sample of an axis that each block of places (rows, columns) takes."""
    before, after = TAPS[kind]
    whole = np.floor(place)
    first, last = whole - (before + more), whole + (after + more)
    there = (last >= 0) & (first <= count - 1)  # False for NaN
    first = np.where(there, np.maximum(first, 0), NOTHING)
    last = np.where(there, np.minimum(last, count - 1), -1)
    starts = np.arange(0, place.shape[1], BLOCK)
    return (
        np.minimum.reduceat(first, starts, axis=1).astype(np.int32),
        np.maximum.reduceat(last, starts, axis=1).astype(np.int32),
    )


def _largest_shift(warp: Warp) -> int:
    """px by which a band's own places are off at most, over a grid on the image; rounded up."""
    if not warp.shifts:
        return 0
    rows, columns = (
        np.unique(np.linspace(0, length - 1, 65).astype(np.int64))
        for length in (warp.info.rows, warp.info.columns)
    )
    places = warp.task.places(rows, columns)
    at = in_image(places, warp.task.took)
    largest = 0.0
    for shift in warp.shifts:
        moved = in_image(places, warp.task.took, shift)
        off = np.abs(np.subtract(moved, at))
        largest = max(largest, float(np.nanmax(off, initial=0.0)))
    return math.ceil(largest) + 1
