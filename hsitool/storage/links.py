"""From one step of a chain to the next, in one process: blocks are handed on, by no file or pipe.

What is under way stays in the memory of the step that made it, which is told when it is free.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from hsitool.cube import CubeInfo, Tile
from hsitool.errors import DataError
from hsitool.storage import ends
from hsitool.storage.layout import Layout
from hsitool.storage.lines import LineReader
from hsitool.storage.raw import Block, Bytes, Interleave
from hsitool.storage.writers import CubeWriter


class ChainEndedError(Exception):
    """Another step has failed, which is told in its place."""


class Halt:
    """Ends all steps of a chain, those that wait for one another as well."""

    def __init__(self) -> None:
        self._changes: list[threading.Condition] = []
        self.called = threading.Event()

    def condition(self) -> threading.Condition:
        """What links wait for; it hears of the end."""
        self._changes.append(threading.Condition())
        return self._changes[-1]

    def call(self) -> None:
        """End them."""
        self.called.set()
        for change in self._changes:
            with change:
                change.notify_all()

    def check(self) -> None:
        """Go on, or not.

        Raises:
            ChainEndedError: another step has failed.
        """
        if self.called.is_set():
            raise ChainEndedError


@dataclass(eq=False)
class _Given:
    """Lines under way: how many were taken, and by how many blocks they are looked at."""

    block: Block
    taken: int = 0
    borrowed: int = 0
    dropped: bool = False
    then: Callable[[], None] | None = None

    @property
    def left(self) -> int:
        """Lines that were not taken."""
        return int(self.block.shape[1]) - self.taken

    @property
    def is_over(self) -> bool:
        """Whether nobody looks at it any more."""
        return (self.dropped or not self.left) and not self.borrowed


MOST_GIVEN = 8
"""Blocks that may be under way."""


class Link:
    """Where blocks pass; one thread gives them, and one takes them."""

    def __init__(self, halt: Halt, called: str) -> None:
        self.called = called
        self._halt, self._change = halt, halt.condition()
        self._announced: tuple[CubeInfo, Interleave] | None = None
        self._given: deque[_Given] = deque()
        self._last: _Given | None = None
        self._left = self._ended = False

    def announce(self, info: CubeInfo, interleave: Interleave) -> None:
        """Say what will come."""
        with self._change:
            self._announced = info, interleave
            self._change.notify_all()

    def announced(self) -> tuple[CubeInfo, Interleave]:
        """Wait until it is known what will come.

        Raises:
            DataError: nothing will.
        """
        self._wait(lambda: self._announced is not None or self._ended)
        if self._announced is None:
            raise DataError(f"{self.called} does not come: the step ended without it")
        return self._announced

    def give(self, block: Block) -> None:
        """Hand on lines; `when_free` tells when their memory may be used anew."""
        self._wait(lambda: len(self._given) < MOST_GIVEN or self._left)
        with self._change:
            self._last = _Given(block, dropped=self._left)
            if not self._left:
                self._given.append(self._last)
            self._change.notify_all()

    def when_free(self, then: Callable[[], None]) -> None:
        """Call `then` when nobody looks any more at what was given last."""
        given = self._last
        assert given is not None
        with self._change:
            given.then = then
        self._settle(given)

    def wait_free(self) -> None:
        """Until nobody looks any more at what was given last."""
        given = self._last
        self._wait(lambda: given is None or given.is_over)

    def take(self, block: Block) -> None:
        """Fill a block with the next lines."""
        filled = 0
        while filled < block.shape[1]:
            given = self._next()
            count = min(block.shape[1] - filled, given.left)
            first = given.taken
            block[:, filled : filled + count] = given.block[:, first : first + count]
            filled += count
            self._took(given, count)

    def borrow(self, lines: int) -> tuple[Block, _Given] | None:
        """The next lines where they lie, if they lie in one piece as a block of them would."""
        given = self._next()
        assert self._announced is not None
        apart = self._announced[1] == "band" and given.block.shape[1] != lines
        if given.left < lines or apart:
            return None
        block = given.block[:, given.taken : given.taken + lines]
        with self._change:
            given.borrowed += 1
        self._took(given, lines)
        return block, given

    def give_back(self, given: _Given) -> None:
        """Lines that were borrowed are not looked at any more."""
        with self._change:
            given.borrowed -= 1
        self._settle(given)

    def end(self) -> None:
        """No more will be given."""
        with self._change:
            self._ended = True
            self._change.notify_all()

    def leave(self) -> None:
        """No more will be taken."""
        with self._change:
            self._left = True
            dropped = list(self._given)
            self._given.clear()
            for given in dropped:
                given.dropped = True
            self._change.notify_all()
        for given in dropped:
            self._settle(given)

    def _next(self) -> _Given:
        """What is to be taken from next."""
        self._wait(lambda: bool(self._given) or self._left or self._ended)
        with self._change:
            if not self._given:
                raise ChainEndedError
            return self._given[0]

    def _took(self, given: _Given, lines: int) -> None:
        with self._change:
            given.taken += lines
            if not given.left and self._given and self._given[0] is given:
                self._given.popleft()
                self._change.notify_all()
        self._settle(given)

    def _settle(self, given: _Given) -> None:
        """Tell whom it concerns, once, that nobody looks at lines any more."""
        with self._change:
            if given.is_over:
                self._change.notify_all()
            then = given.then if given.is_over else None
            if then is not None:
                given.then = None
        if then is not None:
            then()

    def _wait(self, ready: Callable[[], bool]) -> None:
        with self._change:
            while not ready():
                self._halt.check()
                self._change.wait()
        self._halt.check()


class LinkReader(LineReader):
    """What the step before gives."""

    def __init__(self, link: Link) -> None:
        info, interleave = link.announced()
        super().__init__(ends.STANDARD, info, interleave, form="stream", called=link.called)
        self._link = link
        self._borrowed: dict[int, _Given] = {}

    def fill(self, block: Block) -> None:
        self._link.take(block)

    def borrow(
        self, tile: Tile, bands: Sequence[int] | None = None, buffer: Bytes | None = None
    ) -> Block:
        if bands is None and tile.width == self.info.columns and self.is_next(tile.row):
            found = self._link.borrow(tile.height)
            if found is not None:
                block, self._borrowed[tile.row] = found
                self.passed(tile.height)
                return block
        return self.read(tile, bands, buffer)

    def give_back(self, tile: Tile) -> None:
        if (given := self._borrowed.pop(tile.row, None)) is not None:
            self._link.give_back(given)

    def abandon(self) -> None:
        self._link.leave()

    def close(self) -> None:
        self._link.leave()
        super().close()


class LinkWriter(CubeWriter):
    """Gives to the next step, in the order of samples in which it was made."""

    def __init__(self, info: CubeInfo, like: Layout, link: Link) -> None:
        words = replace(like, format="stream", block_columns=info.columns, raw=True, in_order=True)
        super().__init__(info, words, ends.STANDARD)
        self._link, self._row = link, 0
        link.announce(info, like.interleave)

    def write(self, tile: Tile, block: Block) -> None:
        self.lend(tile, block)
        self._link.wait_free()

    def lend(self, tile: Tile, block: Block) -> None:
        if (tile.row, tile.column, tile.width) != (self._row, 0, self.info.columns):
            raise RuntimeError(f"line {tile.row} does not follow line {self._row - 1}")
        self._row += tile.height
        self._link.give(block)

    def when_free(self, then: Callable[[], None]) -> None:
        self._link.when_free(then)

    def commit(self) -> None:
        if self._row != self.info.rows:
            raise RuntimeError(f"{self.info.rows - self._row} lines were not handed on")

    def discard(self) -> None:
        """Nothing is held."""


class LinkedEnds(ends.Ends):
    """The ends of a step between links; None where it has none there."""

    def __init__(self, before: Link | None, after: Link | None) -> None:
        self._before, self._after = before, after

    @property
    def source(self) -> Callable[[], LinkReader] | None:
        before = self._before
        return None if before is None else lambda: LinkReader(before)

    @property
    def sink(self) -> Callable[[CubeInfo, Layout], CubeWriter] | None:
        after = self._after
        return None if after is None else lambda info, like: LinkWriter(info, like, after)
