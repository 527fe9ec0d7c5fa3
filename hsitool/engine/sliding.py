"""Blocks whose samples come from a wider stretch of the source, as when an image is warped.

The source is read once, in stretches of rows into a ring of buffers; a tile is computed when all
rows that it needs are there, and a stretch gives way when no later tile needs it. Where that does
not fit the memory, the output is made in strips of columns, one after the other, each from the
columns that it needs; or in patches, cut across the rows as well, where rows of the output
come from slanting lines of the source, as when it is rotated. (`blocks` is for the rest, where a
tile needs itself only.)
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsitool.cube import Tile
from hsitool.engine.blocks import Progress
from hsitool.engine.plan import Budget
from hsitool.engine.stopping import check_stop
from hsitool.engine.strips import Index, Needs, SlidingPlan, Strip, plan_strips
from hsitool.storage.raw import Block, Bytes, as_block
from hsitool.storage.readers import CubeReader
from hsitool.storage.writers import CubeWriter


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
        self._source = source
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

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._source.abandon()
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
