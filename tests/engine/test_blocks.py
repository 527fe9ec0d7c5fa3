"""The engine: order, failures, and the same result for every plan and number of threads."""

from __future__ import annotations

import operator
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cubes
import numpy as np
import pytest
from says import pixels

from hsitool.cube import CubeInfo, Tile
from hsitool.engine.blocks import fold_blocks, map_blocks, scan_lines
from hsitool.engine.plan import PACKED_BYTES, PROCESS_BYTES, Budget
from hsitool.storage.layout import Layout
from hsitool.storage.raw import Block, as_block
from hsitool.storage.readers import CubeReader, open_cube
from hsitool.storage.writers import OutputOptions, create_cube
from hsitool.tasks.smooth import SmoothSettings, smooth

LAYOUTS: dict[str, dict[str, Any]] = {
    "pixel-strip": {"interleave": "pixel", "blocks": ("strip", 7)},
    "band-strip": {"interleave": "band", "blocks": ("strip", 5)},
    "pixel-tile": {"interleave": "pixel", "blocks": ("tile", 16)},
    "band-tile": {"interleave": "band", "blocks": ("tile", 32)},
    "pixel-tile-packed": {"interleave": "pixel", "blocks": ("tile", 16), "compress": "deflate"},
    "band-tile-packed": {"interleave": "band", "blocks": ("tile", 32), "compress": "zstd"},
    "band-strip-packed": {"interleave": "band", "blocks": ("strip", 5), "compress": "lzw"},
    "bsq": {},
    "bil": {},
    "bip": {},
}
BANDS, ROWS, COLUMNS = 24, 90, 70


def make(folder: Path, name: str, array: Any, **items: Any) -> Path:
    """A cube in one of `LAYOUTS`."""
    if name in cubes.ENVI_AXES:
        return cubes.write_envi(folder / name, array, interleave=name)
    return cubes.write_geotiff(folder / f"{name}.tif", array, **LAYOUTS[name], **items)


def whole_ranges(tile: Tile) -> tuple[slice, slice]:
    return (
        slice(tile.row, tile.row + tile.height),
        slice(tile.column, tile.column + tile.width),
    )


class Source(CubeReader):
    """A cube in memory that may read slowly or fail at a row."""

    def __init__(
        self, array: Any, wait: Callable[[Tile], float] = lambda _: 0.0, fails_at: int = -1
    ) -> None:
        info = CubeInfo(*array.shape, array.dtype)
        plain = Layout("made", "band", array.shape[1], array.shape[2], raw=True)
        super().__init__(Path("made"), info, plain, ())
        self.array, self.wait, self.fails_at = array, wait, fails_at
        self.reads = 0

    def read(self, tile: Tile, bands: Any = None, buffer: Any = None) -> Block:
        self.reads += 1
        time.sleep(self.wait(tile))
        if tile.row <= self.fails_at < tile.row + tile.height:
            raise OSError("unreadable")
        picked = self.array[slice(None) if bands is None else list(bands)]
        block = as_block(
            buffer[: self.buffer_bytes(tile, bands)],
            "band",
            (len(picked), tile.height, tile.width),
            self.array.dtype,
        )
        block[...] = picked[:, *whole_ranges(tile)]
        return block

    def close(self) -> None:
        """There is nothing to close."""


class Sink:
    """An output in memory that notes the order of what is written, and may fail at a row."""

    def __init__(self, shape: tuple[int, int, int], dtype: Any, fails_at: int = -1) -> None:
        self.array, self.fails_at = np.zeros(shape, dtype), fails_at
        self.info = CubeInfo(*shape, self.array.dtype)
        self.layout = Layout("made", "band", shape[1], shape[2], raw=True)
        self.tiles: list[Tile] = []
        self.threads: set[int] = set()

    def buffer_bytes(self, tile: Tile) -> int:
        return tile.pixels * self.info.bands * self.info.dtype.itemsize

    def block(self, tile: Tile, buffer: Any) -> Block:
        shape = (self.info.bands, tile.height, tile.width)
        return as_block(buffer[: self.buffer_bytes(tile)], "band", shape, self.info.dtype)

    def lend(self, tile: Tile, block: Block) -> None:
        self.write(tile, block)

    def when_free(self, then: Callable[[], None]) -> None:
        then()

    def write(self, tile: Tile, block: Block) -> None:
        self.tiles.append(tile)
        self.threads.add(threading.get_ident())
        if tile.row <= self.fails_at < tile.row + tile.height:
            raise OSError("unwritable")
        self.array[:, *whole_ranges(tile)] = block


SHAPE = (3, 40, 50)
"""With `few_rows` the memory takes a row at a time, in several slots."""


def few_rows(workers: int, slots: int = 5) -> Budget:
    return Budget(PROCESS_BYTES + slots * 2 * 3 * 50 * 4, workers)


Blocks = Sequence[Block]


def doubled(blocks: Blocks, outs: Blocks) -> Blocks:
    np.multiply(blocks[0], 2, out=outs[0])
    return outs


def threads_of_the_engine() -> list[str]:
    """Threads that read or compute."""
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith(("read", "compute"))]


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_blocks_are_written_in_order_though_they_are_computed_in_any(
    workers: int, rng: np.random.Generator
) -> None:
    array = rng.random(SHAPE, np.float32)
    delays = rng.uniform(0, 0.003, 40)
    sink, told = Sink(SHAPE, np.float32), []
    map_blocks(
        [Source(array, wait=lambda tile: delays[tile.row])],
        doubled,
        [sink],
        budget=few_rows(workers),
        progress=lambda done, total: told.append((done, total)),
    )
    np.testing.assert_array_equal(sink.array, 2 * array)
    assert [tile.row for tile in sink.tiles] == sorted(tile.row for tile in sink.tiles)
    assert told == [(n + 1, len(sink.tiles)) for n in range(len(sink.tiles))]
    assert len(sink.tiles) >= 40 // workers // 5
    assert sink.threads == {threading.get_ident()}
    assert threads_of_the_engine() == []


@pytest.mark.parametrize("keep", [True, False])
def test_a_kernel_may_return_its_block_or_the_spare_one(keep: bool) -> None:
    array = cubes.spectra(*SHAPE)
    sink = Sink(SHAPE, np.float32)

    def kernel(blocks: Blocks, outs: Blocks) -> Blocks:
        if keep:
            return blocks
        outs[0][...] = blocks[0]
        return outs

    map_blocks([Source(array)], kernel, [sink], budget=few_rows(2))
    np.testing.assert_array_equal(sink.array, array)


def test_no_more_blocks_are_read_ahead_than_there_are_slots() -> None:
    source, ahead = Source(np.zeros(SHAPE, np.float32)), []
    sink = Sink(SHAPE, np.float32)

    def progress(done: int, _: int) -> None:
        time.sleep(0.002)
        ahead.append(source.reads - done)

    map_blocks([source], doubled, [sink], budget=few_rows(2), progress=progress)
    assert max(ahead) <= 5


@pytest.mark.parametrize("where", ["read", "kernel", "write", "progress"])
@pytest.mark.parametrize("workers", [1, 3])
def test_a_failure_ends_the_run_and_leaves_nothing_running(where: str, workers: int) -> None:
    array = np.zeros(SHAPE, np.float32)
    array[0, 20, 0] = 1
    source = Source(array, fails_at=20 if where == "read" else -1)
    sink = Sink(SHAPE, np.float32, fails_at=20 if where == "write" else -1)

    def kernel(blocks: Blocks, outs: Blocks) -> Blocks:
        if where == "kernel" and blocks[0].max() > 0:
            raise OSError("incomputable")
        return doubled(blocks, outs)

    def progress(done: int, total: int) -> None:
        if where == "progress" and done == total // 2:
            raise OSError("impassable")

    with pytest.raises(OSError, match="able"):
        map_blocks([source], kernel, [sink], budget=few_rows(workers), progress=progress)
    assert threads_of_the_engine() == []
    reads = source.reads
    assert reads < 40
    time.sleep(0.01)
    assert source.reads == reads
    assert all(tile.row <= 21 for tile in sink.tiles)


@pytest.mark.parametrize("where", ["read", "measure", "merge"])
def test_a_failure_ends_a_fold(where: str) -> None:
    source = Source(np.zeros(SHAPE, np.float32), fails_at=20 if where == "read" else -1)

    def measure(tile: Tile, _: Blocks) -> int:
        if where == "measure" and tile.row >= 20:
            raise ValueError("incomputable")
        return tile.height

    def merge(total: int, height: int) -> int:
        if where == "merge" and total >= 20:
            raise ValueError("unmergeable")
        return total + height

    with pytest.raises((OSError, ValueError), match="able"):
        fold_blocks([source], measure, merge, 0, budget=few_rows(2))
    assert threads_of_the_engine() == []


@pytest.mark.parametrize("workers", [1, 4])
def test_a_fold_merges_in_reading_order(workers: int, rng: np.random.Generator) -> None:
    array = rng.integers(0, 100, SHAPE).astype(np.float32)
    delays = rng.uniform(0, 0.003, 40)
    source = Source(array, wait=lambda tile: delays[tile.row])
    start: tuple[float, ...] = ()
    rows = fold_blocks(
        [source],
        lambda _, blocks: tuple(blocks[0].sum(axis=(0, 2)).tolist()),
        operator.add,
        start,
        budget=few_rows(workers),
        bands=[0, 2],
    )
    np.testing.assert_array_equal(rows, array[[0, 2]].sum(axis=(0, 2)))


# On files


def tight(room: int, *, packed: bool) -> int:
    """Memory that leaves so much to the tiles."""
    return PROCESS_BYTES + (PACKED_BYTES if packed else 0) + room


@pytest.mark.parametrize("to", ["tif", "packed.tif", "img"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_bands_and_windows_of_every_layout(name: str, to: str, tmp_path: Path) -> None:
    array = cubes.spectra(BANDS, ROWS, COLUMNS, "int16")
    bands, window = [5, 6, 7, 20, 3], Tile(11, 9, 61, 43)
    target = tmp_path / f"out.{to}"
    options = OutputOptions(compress="deflate" if "packed" in to else None, overwrite=True)
    with open_cube(make(tmp_path, name, array)) as source:
        info = source.info.with_tile(window).with_bands(bands)
        few = tight(60_000, packed="packed" in to or not source.layout.raw)
        tiles: list[int] = []
        for budget in (Budget(workers=2), Budget(few, 3)):
            with create_cube(target, info, source.layout, options) as sink:
                map_blocks(
                    [source],
                    lambda blocks, _: blocks,
                    [sink],
                    budget=budget,
                    bands=bands,
                    window=window,
                    progress=lambda _, total: tiles.append(total),
                )
            np.testing.assert_array_equal(pixels(target), array[bands][:, *whole_ranges(window)])
        assert max(tiles) > 1 or "packed" in to  # an output block may be all rows


@pytest.mark.parametrize("name", LAYOUTS)
def test_results_do_not_depend_on_threads_and_memory(name: str, tmp_path: Path) -> None:
    array = cubes.spectra(BANDS, ROWS, COLUMNS)
    array[:, 40:50, 30] = np.nan
    array[7, 3, 4] = np.nan
    results, counts = [], []
    with open_cube(make(tmp_path, name, array)) as source:
        few = tight(400_000, packed=not source.layout.raw)
        for number, budget in enumerate(
            (Budget(workers=1), Budget(workers=3), Budget(few, 2), Budget(few, 5))
        ):
            target = tmp_path / f"out{number}.tif"
            smooth(
                source,
                {target: SmoothSettings(5, 2, 1)},
                budget=budget,
                progress=lambda _, total: counts.append(total),
            )
            results.append(target.read_bytes())
    assert results[1:] == results[:1] * 3
    assert max(counts) > 1


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("workers", [1, 4])
def test_lines_come_whole_and_in_order(
    name: str, workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsitool.engine.plan.TILE_BYTES", 6_000)
    cube = cubes.spectra(BANDS, ROWS, COLUMNS, "int16")
    lines: list[Any] = []
    tiles: list[tuple[int, int]] = []

    def use(tile: Tile, block: Any) -> None:
        assert (tile.row, tile.column, tile.width) == (len(lines), 0, COLUMNS)
        lines.extend(np.moveaxis(block, 1, 0))

    with open_cube(make(tmp_path, name, cube)) as source:
        scan_lines(
            [source],
            lambda _, blocks: blocks[0].copy(),
            use,
            budget=Budget(workers=workers),
            bands=[3, 7],
            progress=lambda done, total: tiles.append((done, total)),
        )
    np.testing.assert_array_equal(np.stack(lines, axis=1), cube[[3, 7]])
    assert tiles[-1] == (len(tiles), len(tiles))
    assert len(tiles) > 1


class Lender(Sink):
    """Keeps blocks as they are, and lets go of each a while later, from another thread."""

    def __init__(self, shape: tuple[int, int, int], dtype: Any) -> None:
        super().__init__(shape, dtype)
        self.kept: list[tuple[Tile, Block]] = []

    def write(self, tile: Tile, block: Block) -> None:
        self.kept.append((tile, block))

    def when_free(self, then: Callable[[], None]) -> None:
        tile, block = self.kept[-1]

        def late() -> None:
            self.array[:, *whole_ranges(tile)] = block
            then()

        threading.Timer(0.01, late).start()


@pytest.mark.parametrize("workers", [1, 3])
def test_memory_that_is_lent_is_not_filled_anew_before_it_comes_back(workers: int) -> None:
    array = cubes.spectra(BANDS, ROWS, COLUMNS)
    sink = Lender(array.shape, array.dtype)
    line = 2 * array[:, :1].nbytes
    budget = Budget(PROCESS_BYTES + 12 * line, workers)

    def copy(blocks: Sequence[Block], outs: Sequence[Block]) -> Sequence[Block]:
        np.copyto(outs[0], blocks[0])
        return outs

    map_blocks([Source(array)], copy, [sink], budget=budget)
    assert len(sink.kept) > 2 * (workers + 3)
    np.testing.assert_array_equal(sink.array, array)
