"""Which tiles to work on, and how many at once, within a memory budget."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from hsitool.cube import Tile
from hsitool.errors import HsitoolWarning, UsageError
from hsitool.storage.layout import Layout

PROCESS_BYTES = 150 * 10**6
"""Interpreter and libraries, before any block."""

PACKED_BYTES = 100 * 10**6
"""GDAL's block cache (64 MB) and its own buffers, where blocks are packed or unpacked by it."""

TILE_BYTES = 48 * 2**20
"""What a tile takes in memory, one input and one output: long runs cost least (measured)."""


def _cores() -> int:
    return len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Budget:
    """Memory of the whole process in bytes, and how many blocks are computed at once.

    Of the memory, `reserved` bytes are for what a verb holds beside blocks.
    """

    memory: int = 512 * 10**6
    workers: int = field(default_factory=_cores)
    reserved: int = 0

    def divided(self, jobs: int) -> Budget:
        """What each of some jobs may take that run in one process at a time."""
        memory = PROCESS_BYTES + (self.memory - PROCESS_BYTES) // jobs
        return replace(self, memory=memory, workers=max(1, self.workers // jobs))


@dataclass(frozen=True)
class Plan:
    """Tiles that cover `window` in reading order, of which `slots` are alive at a time.

    Borders lie at multiples of `height` and `width` of the whole cube, as blocks do. One reader
    keeps plain files sequential; packed files are unpacked by as many as the memory allows.
    """

    window: Tile
    height: int
    width: int
    slots: int
    readers: int

    def __iter__(self) -> Iterator[Tile]:
        for row, height in _pieces(self.window.row, self.window.height, self.height):
            for column, width in _pieces(self.window.column, self.window.width, self.width):
                yield Tile(row, column, height, width)

    def __len__(self) -> int:
        rows = _pieces(self.window.row, self.window.height, self.height)
        return len(rows) * len(_pieces(self.window.column, self.window.width, self.width))

    @property
    def largest(self) -> Tile:
        """A tile as large as any."""
        return Tile(0, 0, min(self.height, self.window.height), min(self.width, self.window.width))


def _pieces(first: int, count: int, size: int) -> list[tuple[int, int]]:
    """(start, length) of the parts of `count` from `first` between multiples of `size`."""
    starts = [first, *range((first // size + 1) * size, first + count, size)]
    return [(a, b - a) for a, b in pairwise([*starts, first + count])]


def plan_tiles(
    window: Tile,
    bytes_per_pixel: int,
    inputs: Sequence[Layout],
    outputs: Sequence[Layout],
    budget: Budget,
    *,
    whole_lines: bool = False,
) -> Plan:
    """Tiles of `window` made of whole blocks of all files, or of whole lines of the window.

    `bytes_per_pixel` is what one pixel takes in all buffers of a slot. Packed files are taken by
    whole blocks, so that none is unpacked twice, unless a row of blocks of all bands is too large
    for the memory; plain ones by any rows of a block column. What comes or goes in order is taken
    by whole lines, by one reader.

    Raises:
        UsageError: not even one row of a tile fits the memory.
    """
    layouts = [*inputs, *outputs]
    in_order = any(layout.in_order for layout in layouts)
    whole_lines = whole_lines or in_order
    packed = [layout for layout in layouts if not layout.raw]
    height = math.lcm(*(layout.block_rows for layout in packed))
    tiled = [layout.block_columns for layout in layouts if layout.block_columns < window.width]
    width = math.lcm(*tiled) if tiled and not whole_lines else window.column + window.width
    room = budget.memory - budget.reserved - PROCESS_BYTES - (PACKED_BYTES if packed else 0)
    readers = 1
    if unpacked := sum(layout.unpacked_bytes for layout in inputs):
        readers = 1 if in_order else max(1, min(budget.workers, room // 2 // unpacked))
        room -= readers * unpacked
    row = min(width, window.width) * bytes_per_pixel
    if (fitting := room // row) < 1:
        needed = math.ceil((budget.memory - room + row) / 1e6)
        raise UsageError(
            f"one row of {min(width, window.width)} pixels needs {needed} MB: "
            f"give --max-memory {needed}MB or more"
        )
    if min(height, window.height) > fitting:
        height = _part_of_block(min(height, window.height), fitting)
    wanted = budget.workers + 3
    share = min(TILE_BYTES * max(len(layouts), 2) // 2, room // wanted)
    height *= max(1, share // (height * row))
    slots = max(1, min(wanted, room // (min(height, window.height) * row)))
    return Plan(window, height, width, slots, readers)


def _part_of_block(height: int, fitting: int) -> int:
    """The largest part of a block row, 1/2, 1/3, ..., that fits; its blocks are unpacked anew."""
    times = -(-height // fitting)
    if times > TIMES_UNPACKED:
        warnings.warn(
            f"blocks of {height} rows in all bands do not fit the memory and are unpacked {times} "
            "times: a larger --max-memory is faster",
            HsitoolWarning,
            stacklevel=2,
        )
    return -(-height // times)


TIMES_UNPACKED = 4
"""How often a block may be unpacked before the user is told."""
