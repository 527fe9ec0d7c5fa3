"""How an output is cut so that what its tiles need of a source fits the memory.

In strips of columns, one after the other, each from the columns that it needs; or in patches, cut
across the rows as well, where rows of the output come from slanting lines of the source, as when
it is rotated: then every patch reads a rectangle that others read, too.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsitool.cube import CubeInfo, Tile
from hsitool.engine.blocks import ONE
from hsitool.engine.plan import (
    PACKED_BYTES,
    PROCESS_BYTES,
    TILE_BYTES,
    TIMES_UNPACKED,
    Budget,
)
from hsitool.errors import HsitoolWarning, UsageError
from hsitool.storage.layout import Layout
from hsitool.storage.readers import CubeReader
from hsitool.storage.writers import CubeWriter

Index = NDArray[np.integer[Any]]

BLOCK = 64
"""Columns for which what is needed is told as one, unless the needs say otherwise."""

NOTHING = np.iinfo(np.int32).max
"""As a first row or column: no row or column is needed (the last one is then -1)."""

STRIPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
SHARES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
TRIED = sorted(((s, n) for s in SHARES for n in STRIPS), key=lambda pair: pair[0] * pair[1])
"""Parts of the tile that is best, and numbers of strips, the fastest first."""

SMALL = 32
"""Share times strips from which on fewer workers are better."""

PARTS = (1, 2, 4, 8, 16, 32, 64)
"""Numbers of patches, one below the other, that strips may be cut into."""

MOST_PIECES = 1024
"""Patches of a plan, about."""

TIMES_READ = 1.25
"""How often the source may be read in strips before patches are thought of, which must save as
much."""

WHOLE_ROWS = 0.75
"""Share of a row of the source from which on all of it is read, which is faster in one piece."""

BLOCKS_WHOLE = 32
"""Up to this part of the best tile, rows of packed blocks are taken whole."""


@dataclass(frozen=True)
class Needs:
    """First and last rows and columns of the source that pixels of the output need.

    Each of shape (rows of the output, blocks of `block` columns of it).
    """

    first_row: Index
    last_row: Index
    first_column: Index
    last_column: Index
    block: int = BLOCK


@dataclass(frozen=True)
class Strip:
    """Tiles of `height` rows that cover `output`; the columns of the source that they need, and
    the first and last stretch that each needs (not decreasing)."""

    output: Tile
    height: int
    first_column: int
    width: int
    first: Index
    last: Index

    @property
    def tiles(self) -> Iterator[Tile]:
        """In order."""
        rows, out = self.output.height, self.output
        for row in range(0, rows, self.height):
            yield Tile(out.row + row, out.column, min(self.height, rows - row), out.width)

    @property
    def largest(self) -> Tile:
        """A tile as large as any."""
        return Tile(0, 0, min(self.height, self.output.height), self.output.width)


@dataclass(frozen=True)
class SlidingPlan:
    """Strips in order; stretches of `height` rows, of which `ring` are held; tiles computed at
    once."""

    strips: tuple[Strip, ...]
    height: int
    ring: int
    workers: int

    @property
    def slots(self) -> int:
        """Tiles of the output in memory: some wait to be written."""
        return self.workers + 2

    @property
    def largest(self) -> Tile:
        """A tile as large as any."""
        return max((strip.largest for strip in self.strips), key=lambda tile: tile.pixels)

    @property
    def pixels_read(self) -> int:
        """Pixels of the source, each as often as it is read."""
        return sum(
            int(strip.last.max() - strip.first.min() + 1) * self.height * strip.width
            for strip in self.strips
        )

    def readers(self, layout: Layout) -> int:
        """One keeps plain files sequential; packed ones are unpacked by as many as compute."""
        return 1 if layout.raw else self.workers


def plan_strips(
    source: CubeReader,
    needs: Needs,
    sink: CubeWriter,
    dtype: np.dtype[Any],
    budget: Budget,
    working_bytes: int = 0,
) -> SlidingPlan:
    """The largest tiles, in as few strips, that fit the memory.

    Raises:
        UsageError: none do.
    """
    packed = [layout for layout in (source.layout, sink.layout) if not layout.raw]
    room = budget.memory - PROCESS_BYTES - (PACKED_BYTES if packed else 0)
    best, least = None, math.inf
    for parts in PARTS:
        plan, size = _fitting(
            source, needs, sink, dtype, budget.workers, working_bytes, parts, room
        )
        least = min(least, size)
        if plan and best and plan.pixels_read * TIMES_READ > best.pixels_read:
            break
        best = plan or best
        if best is not None and best.pixels_read <= TIMES_READ * _pixels_needed(needs):
            break
    if best is None:
        needed = math.ceil((budget.memory - room + least) / 1e6)
        raise UsageError(
            f"the rows that a part of the output comes from need {needed} MB: "
            f"give --max-memory {needed}MB or more"
        )
    _tell_of_unpacking(best, source)
    return best


def _fitting(
    source: CubeReader,
    needs: Needs,
    sink: CubeWriter,
    dtype: np.dtype[Any],
    workers: int,
    working_bytes: int,
    parts: int,
    room: int,
) -> tuple[SlidingPlan | None, float]:
    """The fastest plan of so many parts that fits into `room`, and what the smallest one takes."""
    least, tried = math.inf, set()
    for used, share, count in _tries(workers):
        if count > 1 and sink.layout.in_order:
            continue  # no line of an output that goes out in order would be whole
        cut = _cut(needs, sink, share, count, parts)
        if (used, cut, share > BLOCKS_WHOLE) in tried or (
            parts > 1 and parts * count > MOST_PIECES
        ):
            continue
        tried.add((used, cut, share > BLOCKS_WHOLE))
        plan = _planned(source, needs, sink, used, share, cut)
        size = _bytes(plan, source, sink, dtype) + used * working_bytes
        if size <= room:
            return plan, size
        least = min(least, size)
    return None, least


def _pixels_needed(needs: Needs) -> int:
    """Of the rectangle of the source that all of the output comes from."""
    rows = int(needs.last_row.max()) - int(needs.first_row.min()) + 1
    return max(1, rows) * max(1, int(needs.last_column.max()) - int(needs.first_column.min()) + 1)


def _tell_of_unpacking(plan: SlidingPlan, source: CubeReader) -> None:
    """Strips and parts of packed blocks cost unpacking them anew."""
    layout, wide = source.layout, source.layout.block_columns
    if layout.raw:
        return
    touched = sum(
        (strip.first_column + strip.width - 1) // wide - strip.first_column // wide + 1
        for strip in plan.strips
    )
    times = touched / -(-source.info.columns // wide) * max(1, layout.block_rows / plan.height)
    if times > TIMES_UNPACKED:
        warnings.warn(
            f"blocks of {layout.block_rows} rows in all bands do not fit the memory and are "
            f"unpacked {times:.0f} times: a larger --max-memory is faster",
            HsitoolWarning,
            stacklevel=2,
        )


def _tries(workers: int) -> Iterator[tuple[int, int, int]]:
    """Numbers of workers, shares and strips; fewer workers come before very small tiles."""
    while workers > 1:
        yield from ((workers, s, n) for s, n in TRIED if s * n <= SMALL)
        workers //= 2
    yield from ((1, s, n) for s, n in TRIED)


@dataclass(frozen=True)
class _Cut:
    """Columns and rows of a patch of the output, and rows of a tile."""

    width: int
    deep: int
    height: int


def _cut(needs: Needs, sink: CubeWriter, share: int, count: int, parts: int) -> _Cut:
    """About `count` strips in `parts` of tiles that are one part in `share` of the best size."""
    rows, columns = sink.info.rows, sink.info.columns
    width = _rounded_up(-(-columns // count), _column_step(sink.layout, columns, needs.block))
    best = TILE_BYTES // 2 // (min(width, columns) * sink.buffer_bytes(ONE))
    deep = min(rows, _of_blocks(-(-rows // parts), sink.layout, share))
    height = min(deep, _of_blocks(max(1, min(deep, best) // share), sink.layout, share))
    return _Cut(width, deep, height)


def _planned(
    source: CubeReader, needs: Needs, sink: CubeWriter, workers: int, share: int, cut: _Cut
) -> SlidingPlan:
    """The plan that cuts the output so; stretches of the source follow the tiles."""
    rows, columns = sink.info.rows, sink.info.columns
    width, deep, height = cut.width, cut.deep, cut.height
    slices = [
        _slice(needs, source.info, Tile(row, column, min(deep, rows - row), wide), height)
        for row in range(0, rows, deep)
        for column in range(0, columns, width)
        for wide in [min(width, columns - column)]
    ]
    most = max(1, *(int((part.last - part.first).max()) + 1 for part in slices))
    stretch = min(_of_blocks(min(height, most), source.layout, share), source.info.rows)
    strips = tuple(
        replace(part, first=part.first // stretch, last=part.last // stretch) for part in slices
    )
    span = max(int((strip.last - strip.first).max()) + 1 for strip in strips)
    ahead = -(-workers * height // stretch) + 1
    ring = min(span + ahead, -(-source.info.rows // stretch))
    return SlidingPlan(strips, stretch, ring, workers)


def _slice(needs: Needs, source: CubeInfo, output: Tile, height: int) -> Strip:
    """A strip whose tiles tell the rows that they need, not stretches yet."""
    rows = slice(output.row, output.row + output.height)
    blocks = slice(output.column // needs.block, -(-(output.column + output.width) // needs.block))
    inside = rows, blocks
    starts = np.arange(0, output.height, height)
    first = np.minimum.reduceat(needs.first_row[inside].min(axis=1), starts)
    last = np.maximum.reduceat(needs.last_row[inside].max(axis=1), starts)
    # Rows come and go in order: a tile holds what a later one needs, and has what came before.
    first = np.minimum.accumulate(first[::-1])[::-1]
    last = np.maximum.accumulate(last)
    first = np.minimum(first, np.maximum(last, 0))
    left = int(min(needs.first_column[inside].min(), source.columns - 1))
    right = int(max(needs.last_column[inside].max(), left))
    if right - left + 1 > WHOLE_ROWS * source.columns:
        left, right = 0, source.columns - 1
    return Strip(output, height, left, right - left + 1, first, last)


def _bytes(plan: SlidingPlan, source: CubeReader, sink: CubeWriter, dtype: np.dtype[Any]) -> int:
    """Memory of the ring, of stretches as they are read, and of the tiles in flight."""
    wide = max(strip.width for strip in plan.strips) * plan.height * source.info.bands
    reading = wide * source.info.dtype.itemsize + source.layout.unpacked_bytes
    held = plan.ring * wide * dtype.itemsize
    return (
        held + plan.readers(source.layout) * reading + plan.slots * sink.buffer_bytes(plan.largest)
    )


def _column_step(layout: Layout, columns: int, block: int) -> int:
    """Borders of strips lie between blocks of a packed output."""
    tiled = not layout.raw and layout.block_columns < columns
    return math.lcm(block, layout.block_columns) if tiled else block


def _of_blocks(height: int, layout: Layout, share: int) -> int:
    """Rows of packed blocks, whole ones where there is memory; plain files take any rows."""
    if layout.raw:
        return height
    if share > BLOCKS_WHOLE:
        return min(height, layout.block_rows)
    return _rounded_up(height, layout.block_rows)


def _rounded_up(number: int, step: int) -> int:
    return -(-number // step) * step
