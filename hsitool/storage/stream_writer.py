"""A cube on standard output: a BigTIFF whose directory comes first and whose lines follow."""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path

from hsitool.cube import CubeInfo, Tile
from hsitool.errors import PipeClosedError
from hsitool.storage import ends
from hsitool.storage.atomic import write_error
from hsitool.storage.layout import Layout
from hsitool.storage.pipes import widen
from hsitool.storage.raw import Block, RawLayout, as_bytes, byte_order
from hsitool.storage.writers import CubeWriter


def free_output() -> int:
    """Standard output's descriptor; what else is printed goes to standard error from now on."""
    sys.stdout.flush()
    sys.stdout = sys.stderr
    return 1


class StreamWriter(CubeWriter):
    """Writes whole lines in their order."""

    def __init__(self, info: CubeInfo, raw: RawLayout, head: bytes, size: int, out: int) -> None:
        words = Layout(
            "GeoTIFF",
            "pixel",
            raw.block_rows,
            raw.block_columns,
            byte_order=byte_order(raw.dtype),
            raw=True,
            in_order=True,
        )
        super().__init__(info, words, ends.STANDARD)
        self._raw, self._out, self._left, self._row = raw, out, size, 0
        widen(out)
        self._send(memoryview(head))

    def write(self, tile: Tile, block: Block) -> None:
        if (tile.row, tile.column, tile.width) != (self._row, 0, self.info.columns):
            raise RuntimeError(f"line {tile.row} does not follow line {self._row - 1}")
        self._row += tile.height
        samples = block.astype(self._raw.dtype, copy=False)
        self._send(as_bytes(samples, "pixel").data)

    def commit(self) -> None:
        if self._left:
            raise RuntimeError(f"{self._left} bytes of the stream were not written")

    def discard(self) -> None:
        """What was written is out; whoever reads it sees that it ends early."""

    def _send(self, data: memoryview) -> None:
        self._left -= data.nbytes
        while data:
            try:
                data = data[os.write(self._out, data) :]
            except BlockingIOError:  # another program made it so
                select.select([], [self._out], [])
            except BrokenPipeError as error:
                raise PipeClosedError("standard output is not read any more") from error
            except OSError as error:
                raise write_error(Path("standard output"), error) from error
