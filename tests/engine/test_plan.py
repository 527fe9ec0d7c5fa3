"""Plans of tiles: what they cover, where their borders lie, and what they take."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest

from hsitool.cube import Tile
from hsitool.engine.plan import PACKED_BYTES, PROCESS_BYTES, TILE_BYTES, Budget, plan_tiles
from hsitool.errors import HsitoolWarning, UsageError
from hsitool.storage.layout import Layout


def layout(rows: int, columns: int, *, raw: bool) -> Layout:
    return Layout("made", "band", rows, columns, raw=raw)


def reserved(layouts: list[Layout]) -> int:
    """Memory that no tile gets."""
    packed = any(not one.raw for one in layouts)
    return PROCESS_BYTES + (PACKED_BYTES if packed else 0)


def made_by_chance(rng: np.random.Generator) -> tuple[Tile, int, list[Layout], Budget]:
    """A window, bytes a pixel, layouts and a budget that may or may not do."""
    height, width = (int(n) for n in rng.integers(1, 200, 2))
    row, column = (int(n) for n in rng.integers(0, 100, 2))
    layouts = []
    for _ in range(rng.integers(1, 3)):
        rows, raw = int(2 ** rng.integers(0, 7)), bool(rng.integers(2))
        columns = int(2 ** rng.integers(4, 7)) if rng.integers(2) else row + column + 500
        layouts.append(layout(rows, columns, raw=raw))
    room = int(10 ** rng.uniform(4, 8))
    aside = int(rng.integers(0, 2)) * 10**7
    budget = Budget(reserved(layouts) + room + aside, int(rng.integers(1, 9)), aside)
    return Tile(row, column, height, width), int(rng.integers(1, 2000)), layouts, budget


@pytest.mark.parametrize("seed", range(60))
def test_any_plan_covers_its_window_once_within_the_budget(seed: int) -> None:
    window, pixel, layouts, budget = made_by_chance(np.random.default_rng(seed))
    tiled = [one.block_columns for one in layouts if one.block_columns < window.width]
    width = min(window.width, math.lcm(*tiled)) if tiled else window.width
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HsitoolWarning)
            plan = plan_tiles(window, pixel, layouts[:1], layouts[1:], budget)
    except UsageError as error:
        assert width * pixel > budget.memory - budget.reserved - reserved(layouts)
        assert "--max-memory" in str(error)
        return
    tiles = list(plan)
    count = np.zeros((300, 300), int)
    for tile in tiles:
        count[tile.row : tile.row + tile.height, tile.column : tile.column + tile.width] += 1
        assert tile.height <= plan.largest.height
        assert tile.width <= plan.largest.width
    inside = np.zeros_like(count)
    inside[window.row :, window.column :][: window.height, : window.width] = 1
    np.testing.assert_array_equal(count, inside)
    assert len(plan) == len(tiles)
    assert plan.slots >= 1
    assert plan.slots * plan.largest.pixels * pixel <= budget.memory - budget.reserved - reserved(
        layouts
    )
    assert [(t.row, t.column) for t in tiles] == sorted((t.row, t.column) for t in tiles)


@pytest.mark.parametrize("seed", range(60))
def test_tiles_are_made_of_whole_packed_blocks_where_they_fit(seed: int) -> None:
    window, pixel, layouts, budget = made_by_chance(np.random.default_rng(seed))
    packed = [one for one in layouts if not one.raw]
    rows = math.lcm(*(one.block_rows for one in packed))
    width = math.lcm(*(one.block_columns for one in layouts if one.block_columns < window.width))
    width = width if width > 1 else window.width
    unit = min(rows, window.height) * min(width, window.width) * pixel
    if unit > budget.memory - budget.reserved - reserved(layouts):
        return
    for tile in plan_tiles(window, pixel, layouts[:1], layouts[1:], budget):
        assert tile.row in (window.row, tile.row // rows * rows)
        below, end = tile.row + tile.height, window.row + window.height
        assert below == end or below % rows == 0


def test_a_block_too_large_for_the_memory_is_unpacked_in_parts() -> None:
    whole, packed = Tile(0, 0, 1024, 100), layout(1024, 100, raw=False)
    pixel = 1000
    block = whole.pixels * pixel
    budget = Budget(reserved([packed]) + block // 3, 2)
    plan = plan_tiles(whole, pixel, [packed], [], budget)
    assert plan.height < 1024 // 2
    with pytest.warns(HsitoolWarning, match="unpacked 16 times: a larger --max-memory"):
        plan_tiles(whole, pixel, [packed], [], Budget(reserved([packed]) + block // 16, 2))


def test_a_row_too_large_for_the_memory_is_refused_with_the_size_that_does() -> None:
    whole, plain = Tile(0, 0, 10, 1000), layout(10, 1000, raw=True)
    with pytest.raises(UsageError, match=r"give --max-memory \d+MB or more") as told:
        plan_tiles(whole, 10**6, [plain], [], Budget(512 * 10**6))
    needed = int(str(told.value).split("--max-memory ")[1].split("MB")[0]) * 10**6
    assert plan_tiles(whole, 10**6, [plain], [], Budget(needed)).height == 1


def test_tiles_are_large_but_not_larger_than_the_cache_likes() -> None:
    whole, plain = Tile(0, 0, 100_000, 1000), layout(100_000, 1000, raw=True)
    for workers in (1, 8):
        plan = plan_tiles(whole, 1000, [plain], [], Budget(10**9, workers))
        assert TILE_BYTES // 2 < plan.largest.pixels * 1000 <= TILE_BYTES
        assert plan.slots == workers + 3


def test_columns_follow_tiles_and_rows_go_far() -> None:
    whole: Any = Tile(0, 0, 1000, 1000)
    plan = plan_tiles(whole, 100, [layout(256, 256, raw=False)], [], Budget(512 * 10**6, 2))
    assert {tile.width for tile in plan} == {256, 1000 - 3 * 256}
    assert plan.height % 256 == 0
