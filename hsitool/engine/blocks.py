"""The engine: `map_blocks` (blocks in, blocks out) and `fold_blocks` (blocks in, one result out).

Reading ahead, computing and writing behind overlap; results are used in reading order; memory is
a fixed number of slots whose buffers are reused. Callers see none of the threads.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar, cast

import numpy as np

from hsitool.cube import Tile
from hsitool.engine.plan import Budget, Plan, plan_tiles
from hsitool.engine.stopping import check_stop
from hsitool.storage.raw import Block, Bytes
from hsitool.storage.readers import CubeReader
from hsitool.storage.writers import CubeWriter

T = TypeVar("T")
R = TypeVar("R")
Slot = tuple[list[Bytes], list[Bytes]]
Progress = Callable[[int, int], None]
"""Called with the tiles done and the tiles to do."""

Memory = Callable[[int], Bytes]
"""Gives a buffer of so many bytes."""


def pageable(size: int) -> Bytes:
    """Memory as the system gives it."""
    return np.empty(size, np.uint8)


SMALL_BYTES = 2**24
"""Buffers of a map up to this size wait for the next one in the same thread: new memory is slow to
come, which among many small scenes is much of their time."""

_waiting = threading.local()


def _buffer(memory: Memory, size: int) -> Bytes:
    """Memory that a former map has left, or new one."""
    if getattr(_waiting, "memory", None) == memory:
        for number, buffer in enumerate(_waiting.buffers):
            if size <= buffer.size <= 2 * size:
                return cast(Bytes, _waiting.buffers.pop(number))
    return memory(size)


def _leave(memory: Memory, slots: Sequence[Slot]) -> None:
    """Leave small buffers to the next map."""
    buffers = [buffer for slot in slots for part in slot for buffer in part]
    small = sum(buffer.size for buffer in buffers) <= SMALL_BYTES
    _waiting.memory, _waiting.buffers = memory, buffers if small else []


def map_blocks(
    sources: Sequence[CubeReader],
    kernel: Callable[[Sequence[Block], Sequence[Block]], Sequence[Block]],
    sinks: Sequence[CubeWriter],
    *,
    budget: Budget,
    bands: Sequence[int] | None = None,
    window: Tile | None = None,
    progress: Progress | None = None,
    memory: Memory = pageable,
) -> None:
    """Write `kernel(blocks, spares)` of the blocks of all `sources` to `sinks`, tile by tile.

    Of the sources, all of one size, their `bands` and the rectangle `window` are read, once (all
    where None); sinks have the size of the window. The kernel returns a block for each sink:
    its spare, an empty block in the sink's order, after filling it, or a block it was given.
    Several threads call it at once. `memory` gives the buffers, where a device wants its own kind.
    """
    window = window or sources[0].info.whole
    per_pixel = sum(_read_bytes(sources, ONE, bands)) + sum(s.buffer_bytes(ONE) for s in sinks)
    layouts = [source.layout for source in sources], [sink.layout for sink in sinks]
    plan = plan_tiles(window, per_pixel, *layouts, _beside(sources, budget))

    def compute(tile: Tile, blocks: Sequence[Block], spares: Sequence[Bytes]) -> Sequence[Block]:
        made = [sink.block(tile, spare) for sink, spare in zip(sinks, spares, strict=True)]
        return kernel(blocks, made)

    spares = [sink.buffer_bytes(plan.largest) for sink in sinks]
    with _Pipeline(sources, plan, compute, bands, spares, budget, memory, sinks=sinks) as pipeline:
        for done, (tile, outs) in enumerate(pipeline, 1):
            # By one thread: several would wait for one another at the file's lock.
            for sink, out in zip(sinks, outs, strict=True):
                sink.lend(tile.moved(-window.row, -window.column), out)
            if progress is not None:
                progress(done, len(plan))


def fold_blocks(
    sources: Sequence[CubeReader],
    measure: Callable[[Tile, Sequence[Block]], T],
    merge: Callable[[R, T], R],
    start: R,
    *,
    budget: Budget,
    bands: Sequence[int] | None = None,
    extra_bytes_per_pixel: int = 0,
    wanted: Callable[[Tile], bool] | None = None,
    progress: Progress | None = None,
) -> R:
    """Merge `measure(tile, blocks)` of the blocks of all `sources`, in reading order, into `start`.

    `extra_bytes_per_pixel` is what `measure` itself needs. It is called from several threads at
    once, `merge` from one. Tiles that are not `wanted` are not read.
    """
    per_pixel = sum(_read_bytes(sources, ONE, bands)) + extra_bytes_per_pixel
    layouts = [source.layout for source in sources]
    plan = plan_tiles(sources[0].info.whole, per_pixel, layouts, (), _beside(sources, budget))

    def compute(tile: Tile, blocks: Sequence[Block], _: Sequence[Bytes]) -> T:
        return measure(tile, blocks)

    result = start
    tiles = [tile for tile in plan if wanted is None or wanted(tile)]
    with _Pipeline(sources, plan, compute, bands, (), budget, tiles=tiles) as pipeline:
        for done, (_, value) in enumerate(pipeline, 1):
            result = merge(result, value)
            if progress is not None:
                progress(done, len(tiles))
    return result


def scan_lines(
    sources: Sequence[CubeReader],
    measure: Callable[[Tile, Sequence[Block]], T],
    use: Callable[[Tile, T], None],
    *,
    budget: Budget,
    bands: Sequence[int] | None = None,
    extra_bytes_per_pixel: int = 0,
    progress: Progress | None = None,
) -> None:
    """Call `use(tile, measure(tile, blocks))` line by line: tiles are whole lines of the image.

    `measure` is called from several threads at once, `use` from one and in the order of the lines,
    so that it may hang on those before and write results as it goes.
    """
    per_pixel = sum(_read_bytes(sources, ONE, bands)) + extra_bytes_per_pixel
    layouts = [source.layout for source in sources]
    whole = sources[0].info.whole
    budget = _beside(sources, budget)
    plan = plan_tiles(whole, per_pixel, layouts, (), budget, whole_lines=True)

    def compute(tile: Tile, blocks: Sequence[Block], _: Sequence[Bytes]) -> T:
        return measure(tile, blocks)

    with _Pipeline(sources, plan, compute, bands, (), budget) as pipeline:
        for done, (tile, value) in enumerate(pipeline, 1):
            use(tile, value)
            if progress is not None:
                progress(done, len(plan))


ONE = Tile(0, 0, 1, 1)

STOP_SECONDS = 0.1
"""How often one that waits for a slot sees whether it is to stop."""


def _read_bytes(
    sources: Sequence[CubeReader], tile: Tile, bands: Sequence[int] | None
) -> list[int]:
    """What a tile takes in memory, source by source."""
    return [source.buffer_bytes(tile, bands) for source in sources]


def _beside(sources: Sequence[CubeReader], budget: Budget) -> Budget:
    """The budget without the memory of what sources hold already."""
    held = sum(source.held_bytes for source in sources)
    return replace(budget, reserved=budget.reserved + held)


class _Pipeline(Generic[T]):
    """Iterates over (tile, result); a slot's buffers are free again when the next is asked for."""

    def __init__(
        self,
        sources: Sequence[CubeReader],
        plan: Plan,
        compute: Callable[[Tile, Sequence[Block], Sequence[Bytes]], T],
        bands: Sequence[int] | None,
        spare_bytes: Sequence[int],
        budget: Budget,
        memory: Memory = pageable,
        tiles: Sequence[Tile] | None = None,
        sinks: Sequence[CubeWriter] = (),
    ) -> None:
        self._sources, self._compute, self._bands = sources, compute, bands
        self._sinks = sinks
        self._memory, self._leaves = memory, bool(spare_bytes)  # views of others may live on
        self._tiles = list(plan) if tiles is None else tiles
        read_bytes = _read_bytes(sources, plan.largest, bands)
        take = partial(_buffer, memory) if self._leaves else memory
        self._slots = [
            (list(map(take, read_bytes)), list(map(take, spare_bytes)))
            for _ in range(min(plan.slots, len(self._tiles)))
        ]
        self._free: SimpleQueue[Slot] = SimpleQueue()
        for slot in self._slots:
            self._free.put(slot)
        self._readers = ThreadPoolExecutor(plan.readers, "read")
        self._workers = ThreadPoolExecutor(budget.workers, "compute")

    def __enter__(self) -> _Pipeline[T]:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            for source in self._sources:
                source.abandon()
        self._readers.shutdown(cancel_futures=True)
        self._workers.shutdown(cancel_futures=True)
        if self._leaves and kind is None:  # else another step may still look at them
            _leave(self._memory, self._slots)

    def __iter__(self) -> Iterator[tuple[Tile, T]]:
        if len(self._tiles) == 1:  # nothing overlaps: no thread need be started
            yield from self._alone()
            return
        running = deque[tuple[Tile, Slot, Future[T]]]()
        for tile in self._tiles:
            check_stop()
            while running and self._free.empty():
                yield from self._finished(running)
            slot = self._next_free()
            running.append((tile, slot, self._start(tile, slot)))
        while running:
            yield from self._finished(running)
        self._wait_for_all()

    def _alone(self) -> Iterator[tuple[Tile, T]]:
        (tile,), slot = self._tiles, self._next_free()
        check_stop()
        yield tile, self._compute(tile, self._read(tile, slot[0]), slot[1])
        self._let_go(tile, slot)
        self._wait_for_all()

    def _next_free(self) -> Slot:
        """A slot whose blocks nobody looks at."""
        while True:
            try:
                return self._free.get(timeout=STOP_SECONDS)
            except Empty:
                check_stop()

    def _wait_for_all(self) -> None:
        for _ in self._slots:
            self._next_free()

    def _let_go(self, tile: Tile, slot: Slot) -> None:
        """A slot is free again when all sinks are done with what it holds."""
        waiting = list(self._sinks)

        def done() -> None:
            if waiting:
                waiting.pop().when_free(done)
                return
            for source in self._sources:
                source.give_back(tile)
            self._free.put(slot)

        done()

    def _start(self, tile: Tile, slot: Slot) -> Future[T]:
        buffers, spares = slot
        blocks = self._readers.submit(self._read, tile, buffers)
        return self._workers.submit(lambda: self._compute(tile, blocks.result(), spares))

    def _read(self, tile: Tile, buffers: Sequence[Bytes]) -> list[Block]:
        # What a map gets it gives back; results of others may be views of their blocks.
        return [
            (source.borrow if self._sinks else source.read)(tile, self._bands, buffer)
            for source, buffer in zip(self._sources, buffers, strict=True)
        ]

    def _finished(self, running: deque[tuple[Tile, Slot, Future[T]]]) -> Iterator[tuple[Tile, T]]:
        check_stop()
        tile, slot, result = running.popleft()
        yield tile, result.result()
        self._let_go(tile, slot)
