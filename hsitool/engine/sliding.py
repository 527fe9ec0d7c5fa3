"""Blocks whose samples come from a wider stretch of the source, as when an image is warped.

The source is read once, in stretches of rows into a ring of buffers; a tile is computed when all
rows that it needs are there, and a stretch gives way when no later tile needs it. Where that does
not fit the memory, the output is made in strips of columns, one after the other, each from the
columns that it needs. (`blocks` is for the rest, where a tile needs itself only.)
"""

from __future__ import annotations

import math
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsitool.cube import Tile
from hsitool.engine.blocks import ONE, Progress
from hsitool.engine.plan import (
    PACKED_BYTES,
    PROCESS_BYTES,
    TILE_BYTES,
    TIMES_UNPACKED,
    Budget,
)
from hsitool.engine.stopping import check_stop
from hsitool.errors import HsitoolWarning, UsageError
from hsitool.storage.layout import Layout
from hsitool.storage.raw import Block, Bytes, as_block
from hsitool.storage.readers import CubeReader
from hsitool.storage.writers import CubeWriter

Index = NDArray[np.integer[Any]]

BLOCK = 64
"""Columns for which what is needed is told as one."""

NOTHING = np.iinfo(np.int32).max
"""As a first row or column: no row or column is needed (the last one is then -1)."""

STRIPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
SHARES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
TRIED = sorted(((s, n) for s in SHARES for n in STRIPS), key=lambda pair: pair[0] * pair[1])
"""Parts of the tile that is best, and numbers of strips, the fastest first."""

SMALL = 32
"""Share times strips from which on fewer workers are better."""

WHOLE_ROWS = 0.75
"""Share of a row of the source from which on all of it is read, which is faster in one piece."""

BLOCKS_WHOLE = 32
"""Up to this part of the best tile, rows of packed blocks are taken whole."""


@dataclass(frozen=True)
class Needs:
    """First and last rows and columns of the source that pixels of the output need.

    Each of shape (rows of the output, blocks of BLOCK columns of it).
    """

    first_row: Index
    last_row: Index
    first_column: Index
    last_column: Index


@dataclass(frozen=True)
class Held:
    """Samples in memory, pixel by pixel: those of a row and column of the source are
    `samples[starts[row] + column]`, (pixels, bands).

    True of the rows that a tile needs, others may have given way to them; and of the columns that
    its strip needs.
    """

    samples: NDArray[Any]
    starts: Index


Prepare = Callable[[Block, Block], None]
"""Fills a pixel-interleaved block, of the type that is held, from one of the source; both may be
the same memory."""

Kernel = Callable[[Tile, Held, Block], None]
"""Fills the output's block of a tile."""


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
            yield Tile(row, out.column, min(self.height, rows - row), out.width)

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

    def readers(self, layout: Layout) -> int:
        """One keeps plain files sequential; packed ones are unpacked by as many as compute."""
        return 1 if layout.raw else self.workers


def slide_blocks(
    source: CubeReader,
    needs: Needs,
    kernel: Kernel,
    sink: CubeWriter,
    *,
    dtype: np.dtype[Any],
    prepare: Prepare,
    budget: Budget,
    working_bytes: int = 0,
    progress: Progress | None = None,
) -> None:
    """Write the blocks that `kernel` makes to `sink`, tile by tile.

    Samples are held as `dtype`, as `prepare` gives them. Several threads call the kernel at once,
    each using `working_bytes`.

    Raises:
        UsageError: the memory does not hold the rows that even a narrow strip needs.
    """
    plan = plan_strips(source, needs, sink, dtype, budget, working_bytes)
    _keep_freed_memory()
    total = sum(len(strip.first) for strip in plan.strips)
    done = 0
    with _Workshop(plan, source, sink, dtype) as shop:
        for strip in plan.strips:
            for tile, out in _Slide(source, strip, plan, kernel, sink, dtype, prepare, shop):
                sink.write(tile, out)
                done += 1
                if progress is not None:
                    progress(done, total)


KEPT_BYTES = 2**25 - 2**16


def _keep_freed_memory() -> None:
    """After a block of this size was freed, the C library keeps smaller ones for reuse.

    Else it gives the arrays that kernels make back to the system, which has to clear them again
    for every tile (ten times as many page faults in all).
    """
    np.empty(KEPT_BYTES, np.uint8)


class _Workshop:
    """Threads and memory for all strips, one after the other; each thread opens the source once."""

    def __init__(
        self, plan: SlidingPlan, source: CubeReader, sink: CubeWriter, dtype: np.dtype[Any]
    ) -> None:
        width = max(strip.width for strip in plan.strips)
        stretch = Tile(0, 0, plan.height, width)
        readers = plan.readers(source.layout)
        self.ring = np.empty(
            plan.ring * stretch.pixels * source.info.bands * dtype.itemsize, np.uint8
        )
        self.stagings = _buffers(readers, source.buffer_bytes(stretch))
        self.spares = _buffers(plan.slots, sink.buffer_bytes(plan.largest))
        self.readers = ThreadPoolExecutor(readers, "read")
        self.workers = ThreadPoolExecutor(plan.workers, "compute")

    def __enter__(self) -> _Workshop:
        return self

    def __exit__(self, *_: object) -> None:
        self.readers.shutdown(cancel_futures=True)
        self.workers.shutdown(cancel_futures=True)


def _buffers(count: int, nbytes: int) -> deque[Bytes]:
    return deque(np.empty(nbytes, np.uint8) for _ in range(count))


@dataclass(frozen=True)
class _Running:
    """A tile being computed, the first stretch that it needs, and the memory of its block."""

    tile: Tile
    first: int
    spare: Bytes
    made: Future[Block]


class _Slide:
    """Iterates over (tile, block) of a strip; a block's memory is free when the next is asked.

    At its end nothing is under way in the workshop's memory.
    """

    def __init__(
        self,
        source: CubeReader,
        strip: Strip,
        plan: SlidingPlan,
        kernel: Kernel,
        sink: CubeWriter,
        dtype: np.dtype[Any],
        prepare: Prepare,
        shop: _Workshop,
    ) -> None:
        self._source, self._strip, self._plan = source, strip, plan
        self._kernel, self._sink, self._prepare = kernel, sink, prepare
        shape = source.info.bands, plan.height, strip.width
        size = math.prod(shape)
        samples = shop.ring[: plan.ring * size * dtype.itemsize].view(dtype)
        self._memory = samples.view(np.uint8).reshape(plan.ring, -1)
        self._slots = [as_block(part, "pixel", shape, dtype) for part in self._memory]
        self._held = self._described(samples.reshape(-1, source.info.bands))
        self._shop = shop

    def _described(self, samples: NDArray[Any]) -> Held:
        rows = np.arange(self._source.info.rows) % (self._plan.height * self._plan.ring)
        starts = rows * self._strip.width - self._strip.first_column
        index = np.int32 if len(samples) < 2**31 else np.int64  # half the memory to look up
        return Held(samples, starts.astype(index))

    def __iter__(self) -> Iterator[tuple[Tile, Block]]:
        strip, ring = self._strip, self._plan.ring
        reading: dict[int, Future[None]] = {}
        running: deque[_Running] = deque()
        coming = 0
        for number, tile in enumerate(strip.tiles):
            first, last = int(strip.first[number]), int(strip.last[number])
            coming = max(coming, first)
            while coming <= last:
                while running and running[0].first <= coming - ring:
                    yield from self._finished(running)
                reading.pop(coming - ring, None)
                reading[coming] = self._shop.readers.submit(self._read, coming)
                coming += 1
            if not self._shop.spares:
                yield from self._finished(running)
            spare = self._shop.spares.popleft()
            needed = [reading[i] for i in range(first, last + 1) if i in reading]
            made = self._shop.workers.submit(self._compute, tile, needed, spare)
            running.append(_Running(tile, first, spare, made))
        while running:
            yield from self._finished(running)

    def _finished(self, running: deque[_Running]) -> Iterator[tuple[Tile, Block]]:
        check_stop()
        oldest = running.popleft()
        yield oldest.tile, oldest.made.result()
        self._shop.spares.append(oldest.spare)

    def _compute(self, tile: Tile, needed: list[Future[None]], spare: Bytes) -> Block:
        for future in needed:
            future.result()
        out = self._sink.block(tile, spare)
        self._kernel(tile, self._held, out)
        return out

    def _read(self, stretch: int) -> None:
        """Fill the stretch's place in the ring, by no other memory where type and order allow."""
        plan, strip, source = self._plan, self._strip, self._source
        row = stretch * plan.height
        tile = Tile(row, strip.first_column, min(plan.height, source.info.rows - row), strip.width)
        slot = self._slots[stretch % plan.ring][:, : tile.height]
        direct = slot.dtype == source.info.dtype and tile.height == plan.height
        direct &= source.layout.interleave == "pixel"
        staging = self._shop.stagings.popleft()
        memory = self._memory[stretch % plan.ring] if direct else staging
        self._prepare(source.read(tile, buffer=memory), slot)
        self._shop.stagings.append(staging)


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
    least = math.inf
    for workers, share, count in _tries(budget.workers):
        plan = _planned(source, needs, sink, workers, share, count)
        size = _bytes(plan, source, sink, dtype) + workers * working_bytes
        if size <= room:
            _tell_of_unpacking(plan, source)
            return plan
        least = min(least, size)
    needed = math.ceil((budget.memory - room + least) / 1e6)
    raise UsageError(
        f"the rows that a part of the output comes from need {needed} MB: "
        f"give --max-memory {needed}MB or more"
    )


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


def _planned(
    source: CubeReader, needs: Needs, sink: CubeWriter, workers: int, share: int, count: int
) -> SlidingPlan:
    """About `count` strips of tiles that are one part in `share` of the best size."""
    rows, columns = sink.info.rows, sink.info.columns
    width = _rounded_up(-(-columns // count), _column_step(sink.layout, columns))
    best = TILE_BYTES // 2 // (min(width, columns) * sink.buffer_bytes(ONE))
    height = min(rows, _of_blocks(max(1, min(rows, best) // share), sink.layout, share))
    stretch = min(_of_blocks(height, source.layout, share), source.info.rows)
    strips = tuple(
        _strip(needs, source.info.columns, Tile(0, column, rows, wide), height, stretch)
        for column in range(0, columns, width)
        for wide in [min(width, columns - column)]
    )
    span = max(int((strip.last - strip.first).max()) + 1 for strip in strips)
    ahead = -(-workers * height // stretch) + 1
    ring = min(span + ahead, -(-source.info.rows // stretch))
    return SlidingPlan(strips, stretch, ring, workers)


def _strip(needs: Needs, source_columns: int, output: Tile, height: int, stretch: int) -> Strip:
    blocks = slice(output.column // BLOCK, -(-(output.column + output.width) // BLOCK))
    starts = np.arange(0, output.height, height)
    first = np.minimum.reduceat(needs.first_row[:, blocks].min(axis=1), starts)
    last = np.maximum.reduceat(needs.last_row[:, blocks].max(axis=1), starts)
    # Rows come and go in order: a tile holds what a later one needs, and has what came before.
    first = np.minimum.accumulate(first[::-1])[::-1]
    last = np.maximum.accumulate(last)
    first = np.minimum(first, np.maximum(last, 0))
    left = int(min(needs.first_column[:, blocks].min(), source_columns - 1))
    right = int(max(needs.last_column[:, blocks].max(), left))
    if right - left + 1 > WHOLE_ROWS * source_columns:
        left, right = 0, source_columns - 1
    return Strip(output, height, left, right - left + 1, first // stretch, last // stretch)


def _bytes(plan: SlidingPlan, source: CubeReader, sink: CubeWriter, dtype: np.dtype[Any]) -> int:
    """Memory of the ring, of stretches as they are read, and of the tiles in flight."""
    wide = max(strip.width for strip in plan.strips) * plan.height * source.info.bands
    reading = wide * source.info.dtype.itemsize + source.layout.unpacked_bytes
    held = plan.ring * wide * dtype.itemsize
    return (
        held + plan.readers(source.layout) * reading + plan.slots * sink.buffer_bytes(plan.largest)
    )


def _column_step(layout: Layout, columns: int) -> int:
    """Borders of strips lie between blocks of a packed output."""
    tiled = not layout.raw and layout.block_columns < columns
    return math.lcm(BLOCK, layout.block_columns) if tiled else BLOCK


def _of_blocks(height: int, layout: Layout, share: int) -> int:
    """Rows of packed blocks, whole ones where there is memory; plain files take any rows."""
    if layout.raw:
        return height
    if share > BLOCKS_WHOLE:
        return min(height, layout.block_rows)
    return _rounded_up(height, layout.block_rows)


def _rounded_up(number: int, step: int) -> int:
    return -(-number // step) * step
