"""Cubes that come line by line and once, from a pipe or from a neighbour in a chain."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hsitool.cube import CubeInfo, Tile
from hsitool.storage.layout import Layout
from hsitool.storage.raw import Block, Bytes, Interleave, as_block, as_bytes, contiguous
from hsitool.storage.readers import CubeReader, RawReader, as_slice
from hsitool.storage.spool import Spool

STAGE_BYTES = 2**22
"""Of whole lines that are held where only a part of each is wanted."""


class LineReader(CubeReader):
    """Tiles in reading order, each once; after `keep` any tile, as often as wanted.

    One thread reads at a time. The lines that a tile leaves out are passed over.
    """

    def __init__(
        self, path: Path, info: CubeInfo, interleave: Interleave, *, form: str, called: str
    ) -> None:
        layout = Layout(form, interleave, 1, info.columns, raw=True, in_order=True)
        super().__init__(path, info, layout, ())
        self._called = called
        self._row = 0
        self._ahead: deque[Block] = deque()
        self._kept: RawReader | None = None
        self._spool: Spool | None = None

    @abstractmethod
    def fill(self, block: Block) -> None:
        """Fill a block (band, row, column) in the reader's order with the next lines.

        Raises:
            DataError: there are not so many.
        """

    @property
    def called(self) -> str:
        return self._called

    @property
    def size_on_disk(self) -> int:
        return self.info.nbytes

    @property
    def held_bytes(self) -> int:
        return sum(int(block.nbytes) for block in self._ahead)

    def buffer_bytes(self, tile: Tile, bands: Sequence[int] | None = None) -> int:
        if self.layout.interleave == "pixel":
            bands = None  # whole pixels come, bands are picked from them
        return super().buffer_bytes(tile, bands)

    def read(
        self, tile: Tile, bands: Sequence[int] | None = None, buffer: Bytes | None = None
    ) -> Block:
        if self._kept is not None:
            return self._kept.read(tile, bands, buffer)
        self._pass_over(tile.row - self._row)
        all_bands = range(self.info.bands)
        taken = all_bands if bands is None or self.layout.interleave == "pixel" else bands
        size = self.buffer_bytes(tile, bands)
        memory = np.empty(size, np.uint8) if buffer is None else buffer[:size]
        shape = (len(taken), tile.height, tile.width)
        block = as_block(memory, self.layout.interleave, shape, self.info.dtype)
        if tile.width == self.info.columns and taken == all_bands:
            self._take(block)
        else:
            columns = slice(tile.column, tile.column + tile.width)
            for row, lines in self._staged(tile.height):
                block[:, row : row + lines.shape[1]] = lines[as_slice(taken), :, columns]
        return block if bands is None or taken is bands else block[as_slice(bands)]

    def is_next(self, row: int) -> bool:
        """Whether a line comes next that nobody has looked at."""
        return self._kept is None and not self._ahead and row == self._row

    def passed(self, lines: int) -> None:
        """So many lines were taken without `fill`."""
        self._row += lines

    def glimpses(self, room: int) -> Iterator[Block]:
        if self._kept is not None:
            yield from super().glimpses(room)
            return
        line, lines = self._line_bytes, 1
        while (left := self._left) and self.held_bytes + line <= room:
            lines = min(lines, left, (room - self.held_bytes) // line)
            block = self._empty(lines)
            self.fill(block)
            self._ahead.append(block)
            yield block
            lines *= 2

    def keep(self) -> None:
        if self._kept is not None:
            return
        info, order = self.info, self.layout.interleave
        raw = contiguous(info.shape, info.dtype, order)
        self._spool = Spool(self._called, "is needed more than once", raw.end)
        for row, block in self._staged(info.rows - self._row):
            tile = Tile(row, 0, block.shape[1], info.columns)
            self._spool.write_runs(raw.runs(tile, range(info.bands)), as_bytes(block, order))
        self.layout = replace(self.layout, in_order=False)
        self._kept = RawReader(self.path, info, self.layout, raw, [self._spool.path])

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()
        if self._spool is not None:
            self._spool.close()
            self._spool = None
        self._ahead.clear()

    @property
    def _line_bytes(self) -> int:
        """Memory of a line."""
        return int(self.info.bands * self.info.columns * self.info.dtype.itemsize)

    @property
    def _left(self) -> int:
        """Lines that neither were read nor are held."""
        return self.info.rows - self._row - sum(int(block.shape[1]) for block in self._ahead)

    def _take(self, block: Block) -> None:
        """Fill a contiguous block with the next lines: those held, then new ones."""
        done, height = 0, block.shape[1]
        self._row += height
        while done < height and self._ahead:
            held = self._ahead.popleft()
            count = min(height - done, held.shape[1])
            block[:, done : done + count] = held[:, :count]
            done += count
            if count < held.shape[1]:
                self._ahead.appendleft(held[:, count:])
        if done < height:
            self.fill(block[:, done:])

    def _pass_over(self, lines: int) -> None:
        if lines < 0:
            raise RuntimeError(f"line {self._row + lines} of {self._called} was read already")
        for _ in self._staged(lines):
            pass

    def _staged(self, lines: int) -> Iterator[tuple[int, Block]]:
        """So many lines by bounded pieces, each with the number of its first one among them."""
        line = self._line_bytes
        step = max(1, min(lines, STAGE_BYTES // line))
        memory = np.empty(step * line if lines else 0, np.uint8)
        for row in range(0, lines, step):
            block = self._empty(min(step, lines - row), memory)
            self._take(block)
            yield row, block

    def _empty(self, lines: int, memory: Bytes | None = None) -> Block:
        shape = (self.info.bands, lines, self.info.columns)
        size = lines * self._line_bytes
        memory = np.empty(size, np.uint8) if memory is None else memory[:size]
        return as_block(memory, self.layout.interleave, shape, self.info.dtype)
