"""The sliding window: every tile sees the rows that it needs, in any plan; each is read once."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hsitool.cube import CubeInfo, Tile
from hsitool.engine.plan import PROCESS_BYTES, Budget
from hsitool.engine.sliding import Held, slide_blocks
from hsitool.engine.strips import BLOCK, NOTHING, Needs, plan_strips
from hsitool.errors import HsitoolWarning, UsageError
from hsitool.storage.layout import Layout
from hsitool.storage.raw import Block, Interleave, as_block
from hsitool.storage.readers import CubeReader

BANDS, ROWS, COLUMNS = 3, 90, 150
ROW_BYTES = BANDS * COLUMNS * 4


class Source(CubeReader):
    """A cube in memory that counts how often each row of it is read, and may fail at one."""

    def __init__(
        self,
        array: Any,
        interleave: Interleave = "band",
        packed_rows: int = 0,
        wait: float = 0.0,
        fails_at: int = -1,
    ) -> None:
        rows = packed_rows or array.shape[1]
        layout = Layout("made", interleave, rows, array.shape[2], raw=not packed_rows)
        super().__init__(Path("made"), CubeInfo(*array.shape, array.dtype), layout, ())
        self.array, self.wait, self.fails_at = array, wait, fails_at
        self.times_read = np.zeros(array.shape[1:], int)

    def read(self, tile: Tile, bands: Any = None, buffer: Any = None) -> Block:
        time.sleep(self.wait * (tile.row % 3))
        if tile.row <= self.fails_at < tile.row + tile.height:
            raise OSError("unreadable")
        part = (
            slice(tile.row, tile.row + tile.height),
            slice(tile.column, tile.column + tile.width),
        )
        self.times_read[part] += 1
        shape = BANDS, tile.height, tile.width
        block = as_block(buffer, self.layout.interleave, shape, self.array.dtype)
        block[...] = self.array[:, *part]
        return block

    def close(self) -> None:
        """There is nothing to close."""


class Sink:
    """An output in memory that keeps the order of its tiles."""

    def __init__(self, packed_rows: int = 0, packed_columns: int = COLUMNS) -> None:
        self.array = np.zeros((BANDS, ROWS, COLUMNS), np.float32)
        self.info = CubeInfo(BANDS, ROWS, COLUMNS, self.array.dtype)
        self.layout = Layout(
            "made", "band", packed_rows or ROWS, packed_columns, raw=not packed_rows
        )
        self.tiles: list[Tile] = []

    def buffer_bytes(self, tile: Tile) -> int:
        return tile.pixels * BANDS * 4

    def block(self, tile: Tile, buffer: Any) -> Block:
        return as_block(buffer, "band", (BANDS, tile.height, tile.width), self.array.dtype)

    def write(self, tile: Tile, block: Block) -> None:
        self.tiles.append(tile)
        rows = slice(tile.row, tile.row + tile.height)
        self.array[:, rows, tile.column : tile.column + tile.width] = block


class Warp:
    """Each pixel is one of the source, or none: (row, column) by two tables, -1 for none."""

    def __init__(self, row: Any, column: Any, wait: float = 0.0) -> None:
        self.row, self.column, self.wait = row, column, wait

    def needs(self) -> Needs:
        starts = np.arange(0, COLUMNS, BLOCK)
        none = self.row < 0
        tables = []
        for place in (self.row, self.column):
            first, last = np.where(none, NOTHING, place), np.where(none, -1, place)
            tables.append(np.minimum.reduceat(first, starts, axis=1))
            tables.append(np.maximum.reduceat(last, starts, axis=1))
        return Needs(*tables)

    def __call__(self, tile: Tile, held: Held, out: Block) -> None:
        time.sleep(self.wait * (tile.row % 2))
        rows = slice(tile.row, tile.row + tile.height)
        columns = slice(tile.column, tile.column + tile.width)
        row, column = self.row[rows, columns], self.column[rows, columns]
        places = np.where(row < 0, 0, held.starts[row] + column)
        found = held.samples[places].transpose(2, 0, 1)
        out[...] = np.where(row < 0, -1, found)

    def expected(self, array: Any) -> Any:
        return np.where(self.row < 0, -1, array[:, self.row, self.column])


def cast(block: Block, held: Block) -> None:
    np.copyto(held, block, casting="unsafe")


def slide(source: Source, warp: Warp, sink: Sink, used: Budget) -> None:
    options: dict[str, Any] = {"dtype": sink.array.dtype, "prepare": cast, "budget": used}
    slide_blocks(source, warp.needs(), warp, sink, **options)


def warps() -> dict[str, Warp]:
    y, x = np.mgrid[0:ROWS, 0:COLUMNS]
    bent_row = np.rint(y + 12 * np.sin(x / 40) + 3).astype(int)
    bent_column = np.rint(x + 9 * np.cos(y / 20)).astype(int)
    lost = (bent_row < 0) | (bent_row >= ROWS) | (bent_column < 0) | (bent_column >= COLUMNS)
    nothing = np.full((ROWS, COLUMNS), -1)
    late = np.where(y < 40, -1, y)
    return {
        "itself": Warp(y, x),
        "bent": Warp(np.where(lost, -1, bent_row), np.where(lost, -1, bent_column)),
        "upside down": Warp(ROWS - 1 - y, COLUMNS - 1 - x),
        "nothing": Warp(nothing, nothing),
        "only below": Warp(late, np.where(late < 0, -1, x)),
        "only above": Warp(np.where(y >= 40, -1, y), np.where(y >= 40, -1, x)),
    }


def cube(dtype: str = "float32") -> Any:
    return np.random.default_rng(0).integers(0, 10_000, (BANDS, ROWS, COLUMNS)).astype(dtype)


def budget(rows: float, workers: int) -> Budget:
    """Memory for so many rows of the cube."""
    return Budget(PROCESS_BYTES + int(rows * ROW_BYTES), workers)


@pytest.mark.parametrize("name", warps())
@pytest.mark.parametrize("interleave", ["band", "line", "pixel"])
@pytest.mark.parametrize(("rows", "workers"), [(1000, 1), (1000, 3), (110, 2), (40, 2)])
def test_every_plan_gives_the_same(
    name: str, interleave: Interleave, rows: float, workers: int
) -> None:
    array, warp = cube(), warps()[name]
    if name == "upside down" and rows < 200:
        rows = 220  # needs nearly all rows at once
    source, sink = Source(array, interleave), Sink()
    slide(source, warp, sink, budget(rows, workers))
    assert np.array_equal(sink.array, warp.expected(array))


@pytest.mark.parametrize("dtype", ["uint16", "int32"])
def test_other_types_are_cast_as_they_are_read(dtype: str) -> None:
    array, warp, sink = cube(dtype), warps()["bent"], Sink()
    slide(Source(array), warp, sink, budget(300, 2))
    assert np.array_equal(sink.array, warp.expected(array.astype(np.float32)))


def test_slow_reads_and_slow_tiles_change_nothing() -> None:
    array, warp = cube(), warps()["bent"]
    slow = Warp(warp.row, warp.column, wait=0.004)
    for workers in (1, 4):
        source, sink = Source(array, wait=0.002), Sink()
        slide(source, slow, sink, budget(60, workers))
        assert np.array_equal(sink.array, warp.expected(array))


@pytest.mark.parametrize("rows", [1000, 90])
def test_each_row_is_read_once(rows: float) -> None:
    array, warp = cube(), warps()["bent"]
    source, sink = Source(array), Sink()
    slide(source, warp, sink, budget(rows, 2))
    assert source.times_read.max() == 1
    assert {tile.width for tile in sink.tiles} == {COLUMNS}


def test_strips_save_memory_where_rows_bend() -> None:
    """A row of the output needs 60 rows of the source, a third of it only 20."""
    y, x = np.mgrid[0:ROWS, 0:COLUMNS]
    warp = Warp(np.minimum(y + x * 60 // COLUMNS, ROWS - 1), x)
    array, sink = cube(), Sink()
    source = Source(array)
    slide(source, warp, sink, budget(55, 1))
    assert np.array_equal(sink.array, warp.expected(array))
    assert max(tile.width for tile in sink.tiles) < COLUMNS


@pytest.mark.parametrize(("rows", "times"), [(1000, 1), (350, 2)], ids=["whole", "in strips"])
def test_packed_blocks_are_read_and_written_whole(rows: float, times: int) -> None:
    array, warp = cube(), warps()["bent"]
    source, sink = Source(array, packed_rows=16), Sink(packed_rows=20)
    used = Budget(budget(rows, 2).memory + 100 * 10**6, 2)
    slide(source, warp, sink, used)
    assert np.array_equal(sink.array, warp.expected(array))
    assert source.times_read.max() == times
    assert all(tile.row % 20 == 0 for tile in sink.tiles)


def test_blocks_that_are_unpacked_often_are_pointed_out() -> None:
    array, warp, sink = cube(), warps()["bent"], Sink()
    used = Budget(budget(60, 1).memory + 100 * 10**6, 1)
    with pytest.warns(HsitoolWarning, match="blocks of 90 rows.* unpacked [0-9]+ times"):
        slide(Source(array, packed_rows=90), warp, sink, used)
    assert np.array_equal(sink.array, warp.expected(array))


def test_the_plan_stays_within_the_memory() -> None:
    array, warp = cube(), warps()["bent"]
    for rows in (40, 60, 110, 400):
        for workers in (1, 2, 8):
            source, sink = Source(array), Sink()
            made = plan_strips(source, warp.needs(), sink, array.dtype, budget(rows, workers))
            width = max(strip.width for strip in made.strips)
            ring = made.ring * made.height * width * BANDS * 4
            tiles = made.slots * max(sink.buffer_bytes(s.largest) for s in made.strips)
            assert ring + tiles <= rows * ROW_BYTES


def test_too_little_memory_is_refused_with_what_would_do() -> None:
    array, warp = cube(), warps()["upside down"]
    with pytest.raises(UsageError, match=r"need (\d+) MB: give --max-memory \1MB or more"):
        slide(Source(array), warp, Sink(), budget(2, 1))


def test_a_failing_read_ends_all_threads() -> None:
    array, warp = cube(), warps()["bent"]
    source = Source(array, fails_at=70)
    with pytest.raises(OSError, match="unreadable"):
        slide(source, warp, Sink(), budget(60, 2))
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith(("read", "compute"))]
