"""Blocks handed from one thread to another, as they are or copied together anew."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from cubes import spectra

from hsitool.cube import CubeInfo, Tile
from hsitool.errors import DataError
from hsitool.storage.layout import Layout
from hsitool.storage.links import ChainEndedError, Halt, Link, LinkReader, LinkWriter
from hsitool.storage.raw import Interleave, as_block, as_bytes

ARRAY = spectra(5, 40, 12)
INFO = CubeInfo(*ARRAY.shape, ARRAY.dtype)


def given(order: Interleave, heights: list[int], free: list[int]) -> tuple[Link, threading.Thread]:
    """A link into which a thread gives the array, in blocks of these heights."""
    link = Link(Halt(), "what is made")
    like = Layout("made", order, 40, 12, raw=True)

    def give() -> None:
        with LinkWriter(INFO, like, link) as writer:
            row = 0
            for height in heights:
                samples = ARRAY[:, row : row + height]
                block = as_block(as_bytes(samples, order).copy(), order, samples.shape, INFO.dtype)
                writer.lend(Tile(row, 0, height, 12), block)
                writer.when_free(lambda row=row: free.append(row))  # type: ignore[misc]
                row += height
        link.end()

    thread = threading.Thread(target=give)
    thread.start()
    return link, thread


@pytest.mark.parametrize("order", ["band", "line", "pixel"])
@pytest.mark.parametrize(
    ("heights", "taken"), [([10] * 4, 10), ([7] * 5 + [5], 10), ([40], 3), ([4] * 10, 20)]
)
def test_lines_arrive_whatever_the_heights(
    order: Interleave, heights: list[int], taken: int
) -> None:
    free: list[int] = []
    link, thread = given(order, heights, free)
    reader = LinkReader(link)
    parts = []
    for row in range(0, 40, taken):
        tile = Tile(row, 0, min(taken, 40 - row), 12)
        parts.append(reader.borrow(tile).copy())
        reader.give_back(tile)
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), ARRAY)
    reader.close()
    thread.join(10)
    assert sorted(free) == list(np.cumsum([0, *heights[:-1]]))


def test_blocks_of_the_same_height_are_not_copied_and_free_only_when_given_back() -> None:
    free: list[int] = []
    link, thread = given("band", [10] * 4, free)
    reader = LinkReader(link)
    thread.join(10)
    tiles = [Tile(row, 0, 10, 12) for row in range(0, 40, 10)]
    blocks = [reader.borrow(tile) for tile in tiles]
    assert free == []
    assert not any(block.base is None for block in blocks)
    reader.give_back(tiles[1])
    assert free == [10]
    reader.give_back(tiles[0])
    assert free == [10, 0]
    reader.close()


def test_memory_of_a_plain_write_may_be_used_anew_at_once() -> None:
    link = Link(Halt(), "what is made")

    def give() -> None:
        block = np.empty((5, 10, 12), INFO.dtype)
        with LinkWriter(INFO, Layout("made", "band", 40, 12, raw=True), link) as writer:
            for row in range(0, 40, 10):
                block[:] = ARRAY[:, row : row + 10]
                writer.write(Tile(row, 0, 10, 12), block)
                block[:] = np.nan

    thread = threading.Thread(target=give)
    thread.start()
    reader = LinkReader(link)
    for row in range(0, 40, 10):
        tile = Tile(row, 0, 10, 12)
        np.testing.assert_array_equal(reader.borrow(tile), ARRAY[:, row : row + 10])
        reader.give_back(tile)
    thread.join(10)
    reader.close()


def test_what_a_reader_leaves_is_free() -> None:
    free: list[int] = []
    link, thread = given("pixel", [2] * 20, free)
    reader = LinkReader(link)
    reader.read(Tile(0, 0, 3, 12))
    reader.close()
    thread.join(10)
    assert sorted(free) == list(range(0, 40, 2))


def test_lines_that_were_looked_at_come_again() -> None:
    link, thread = given("band", [10] * 4, [])
    reader = LinkReader(link)
    assert next(reader.glimpses(10**6)).shape == (5, 1, 12)
    first = reader.borrow(Tile(0, 0, 10, 12)).copy()
    second = reader.borrow(Tile(10, 0, 10, 12)).copy()
    np.testing.assert_array_equal(np.concatenate([first, second], axis=1), ARRAY[:, :20])
    reader.give_back(Tile(10, 0, 10, 12))
    reader.close()
    thread.join(10)


def test_a_halt_ends_both_sides() -> None:
    halt = Halt()
    link = Link(halt, "what is made")
    link.announce(INFO, "band")
    reader = LinkReader(link)
    ended: list[bool] = []

    def wait() -> None:
        with pytest.raises(ChainEndedError):
            reader.read(Tile(0, 0, 1, 12))
        ended.append(True)

    thread = threading.Thread(target=wait)
    thread.start()
    halt.call()
    thread.join(10)
    assert ended == [True]
    with pytest.raises(ChainEndedError):
        link.give(ARRAY)


def test_a_step_that_gives_nothing_is_told() -> None:
    link = Link(Halt(), "what step 1 (smooth) makes")
    link.end()
    with pytest.raises(DataError, match=r"what step 1 \(smooth\) makes does not come"):
        LinkReader(link)


def test_lines_that_are_missing_are_an_error() -> None:
    link = Link(Halt(), "what is made")
    with (
        pytest.raises(RuntimeError, match="40 lines were not handed on"),
        LinkWriter(INFO, Layout("made", "band", 40, 12), link),
    ):
        pass


def test_any_place_can_be_read_after_keep(tmp_path: Path) -> None:
    link, thread = given("line", [9] * 4 + [4], [])
    with pytest.warns(UserWarning, match="what is made is needed more than once"):
        reader = LinkReader(link)
        reader.keep()
    thread.join(10)
    np.testing.assert_array_equal(reader.read(Tile(30, 2, 5, 3)), ARRAY[:, 30:35, 2:5])
    np.testing.assert_array_equal(reader.read(Tile(0, 0, 40, 12), [3]), ARRAY[[3]])
    reader.close()
