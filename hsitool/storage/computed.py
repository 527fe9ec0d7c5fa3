"""Images that are computed as they are read, for writers that take what readers give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsitool.cube import CubeInfo, Tile
from hsitool.storage.layout import Layout
from hsitool.storage.raw import Block, Bytes
from hsitool.storage.readers import CubeReader

Samples = NDArray[Any]


class ComputedImage(CubeReader):
    """One band whose samples of a tile (height, width) a function gives."""

    def __init__(self, info: CubeInfo, samples: Callable[[Tile], Samples]) -> None:
        layout = Layout("computed", "band", 1, info.columns, raw=True)
        super().__init__(Path("computed"), info, layout, ())
        self._samples = samples

    def read(
        self, tile: Tile, bands: Sequence[int] | None = None, buffer: Bytes | None = None
    ) -> Block:
        size = self.buffer_bytes(tile)
        memory = np.empty(size, np.uint8) if buffer is None else buffer[:size]
        block: Block = memory.view(self.info.dtype).reshape(1, tile.height, tile.width)
        block[0] = self._samples(tile)
        return block

    def buffer_bytes(self, tile: Tile, bands: Sequence[int] | None = None) -> int:
        return tile.pixels * self.info.dtype.itemsize

    def close(self) -> None:
        """Nothing is open."""
