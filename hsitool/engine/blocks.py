"""The engine: `map_blocks` (block in, block out) and `fold_blocks` (blocks in, one result out).

Reading ahead, computing and writing behind overlap; results are used in reading order; memory is
a fixed number of slots whose buffers are reused. Callers see none of the threads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

import numpy as np

from hsitool.cube import Tile
from hsitool.engine.plan import Budget, Plan, plan_tiles
from hsitool.storage.layout import Layout
from hsitool.storage.raw import Block, Bytes
from hsitool.storage.readers import CubeReader
from hsitool.storage.writers import CubeWriter

T = TypeVar("T")
R = TypeVar("R")
Progress = Callable[[int, int], None]
"""Called with the tiles done and the tiles to do."""


def map_blocks(
    source: CubeReader,
    kernel: Callable[[Block, Block], Block],
    sink: CubeWriter,
    *,
    budget: Budget,
    bands: Sequence[int] | None = None,
    window: Tile | None = None,
    progress: Progress | None = None,
) -> None:
    """Write `kernel(block, spare)` of every block of `source` to `sink`.

    Of `source` its `bands` and the rectangle `window` are read (all where None); `sink` has the
    size of the window. The kernel returns the block to write: `spare`, an empty block in the
    sink's order, after filling it, or the block it was given. Several threads call it at once.
    """
    one, window = Tile(0, 0, 1, 1), window or source.info.whole
    per_pixel = source.buffer_bytes(one, bands) + sink.buffer_bytes(one)
    plan = plan_tiles(window, per_pixel, [source.layout, sink.layout], budget)

    def compute(tile: Tile, block: Block, spare: Bytes) -> Block:
        return kernel(block, sink.block(tile, spare))

    spare_bytes = sink.buffer_bytes(plan.largest)
    with _Pipeline(source, plan, compute, bands, spare_bytes, budget) as pipeline:
        for done, (tile, out) in enumerate(pipeline, 1):
            # By one thread: several would wait for one another at the file's lock.
            sink.write(tile.moved(-window.row, -window.column), out)
            if progress is not None:
                progress(done, len(plan))


def fold_blocks(
    source: CubeReader,
    measure: Callable[[Tile, Block], T],
    merge: Callable[[R, T], R],
    start: R,
    *,
    budget: Budget,
    bands: Sequence[int] | None = None,
    extra_bytes_per_pixel: int = 0,
    beside: Sequence[Layout] = (),
    progress: Progress | None = None,
) -> R:
    """Merge `measure(tile, block)` of every block, in reading order, into `start`.

    `extra_bytes_per_pixel` is what `measure` itself needs, `beside` the layouts of other files that
    it reads at the same tiles. It is called from several threads at once, `merge` from one.
    """
    per_pixel = source.buffer_bytes(Tile(0, 0, 1, 1), bands) + extra_bytes_per_pixel
    plan = plan_tiles(source.info.whole, per_pixel, [source.layout, *beside], budget)

    def compute(tile: Tile, block: Block, _: Bytes) -> T:
        return measure(tile, block)

    result = start
    with _Pipeline(source, plan, compute, bands, 0, budget) as pipeline:
        for done, (_, value) in enumerate(pipeline, 1):
            result = merge(result, value)
            if progress is not None:
                progress(done, len(plan))
    return result


class _Pipeline(Generic[T]):
    """Iterates over (tile, result); a slot's buffers are free again when the next is asked for."""

    def __init__(
        self,
        source: CubeReader,
        plan: Plan,
        compute: Callable[[Tile, Block, Bytes], T],
        bands: Sequence[int] | None,
        spare_bytes: int,
        budget: Budget,
    ) -> None:
        self._source, self._plan, self._compute, self._bands = source, plan, compute, bands
        self._slots = [
            (_memory(source.buffer_bytes(plan.largest, bands)), _memory(spare_bytes))
            for _ in range(min(plan.slots, len(plan)))
        ]
        self._readers = ThreadPoolExecutor(plan.readers, "read")
        self._workers = ThreadPoolExecutor(budget.workers, "compute")

    def __enter__(self) -> _Pipeline[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self._readers.shutdown(cancel_futures=True)
        self._workers.shutdown(cancel_futures=True)

    def __iter__(self) -> Iterator[tuple[Tile, T]]:
        free, running = deque(self._slots), deque[tuple[Tile, tuple[Bytes, Bytes], Future[T]]]()
        for tile in self._plan:
            if not free:
                yield from self._finished(running, free)
            slot = free.popleft()
            running.append((tile, slot, self._start(tile, slot)))
        while running:
            yield from self._finished(running, free)

    def _start(self, tile: Tile, slot: tuple[Bytes, Bytes]) -> Future[T]:
        block = self._readers.submit(self._source.read, tile, self._bands, slot[0])
        return self._workers.submit(lambda: self._compute(tile, block.result(), slot[1]))

    @staticmethod
    def _finished(
        running: deque[tuple[Tile, tuple[Bytes, Bytes], Future[T]]], free: deque[Any]
    ) -> Iterator[tuple[Tile, T]]:
        tile, slot, result = running.popleft()
        yield tile, result.result()
        free.append(slot)


def _memory(size: int) -> Bytes:
    return np.empty(size, np.uint8)
