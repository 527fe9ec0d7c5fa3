"""From one step of a chain to the next, in one process: blocks are handed on, by no file or pipe.

The writer waits until its block was taken, so that nothing is held between the two.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from hsitool.cube import CubeInfo, Tile
from hsitool.errors import DataError
from hsitool.storage import ends
from hsitool.storage.layout import Layout
from hsitool.storage.lines import LineReader
from hsitool.storage.raw import Block, Interleave
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


class Link:
    """Where blocks pass; one thread gives them, and one takes them."""

    def __init__(self, halt: Halt, called: str) -> None:
        self.called = called
        self._halt, self._change = halt, halt.condition()
        self._announced: tuple[CubeInfo, Interleave] | None = None
        self._block: Block | None = None
        self._done = 0
        self._left = self._ended = False

    def announce(self, info: CubeInfo, interleave: Interleave) -> None:
        """Say what will come."""
        with self._change:
            self._announced = info, interleave
            self._change.notify_all()

    def announced(self) -> tuple[CubeInfo, Interleave]:
        """Wait until it is known what will come."""
        self._wait(lambda: self._announced is not None or self._ended)
        if self._announced is None:
            raise DataError(f"{self.called} does not come: the step ended without it")
        return self._announced

    def give(self, block: Block) -> None:
        """Hand on lines; they are free again afterwards."""
        with self._change:
            self._block, self._done = block, 0
            self._change.notify_all()
        self._wait(lambda: self._block is None or self._left)
        self._block = None

    def take(self, block: Block) -> None:
        """Fill a block with the next lines."""
        filled = 0
        while filled < block.shape[1]:
            self._wait(lambda: self._block is not None or self._left or self._ended)
            given = self._block
            if given is None:
                raise ChainEndedError
            count = min(block.shape[1] - filled, given.shape[1] - self._done)
            block[:, filled : filled + count] = given[:, self._done : self._done + count]
            filled, self._done = filled + count, self._done + count
            if self._done == given.shape[1]:
                with self._change:
                    self._block = None
                    self._change.notify_all()

    def end(self) -> None:
        """No more will be given."""
        with self._change:
            self._ended = True
            self._change.notify_all()

    def leave(self) -> None:
        """No more will be taken."""
        with self._change:
            self._left = True
            self._change.notify_all()

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

    def fill(self, block: Block) -> None:
        self._link.take(block)

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
        if (tile.row, tile.column, tile.width) != (self._row, 0, self.info.columns):
            raise RuntimeError(f"line {tile.row} does not follow line {self._row - 1}")
        self._row += tile.height
        self._link.give(block)

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
