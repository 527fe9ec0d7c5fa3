"""How a cube lies on disk, as far as reading, planning and `info` want to know it."""

from __future__ import annotations

from dataclasses import dataclass

from hsitool.storage.raw import Interleave


@dataclass(frozen=True)
class Layout:
    """Format, order of the samples, and the blocks in which they can be read.

    `raw` files can be read from any row at no extra cost; the others by whole blocks, for which
    each reading thread holds `unpacked_bytes`. What is `in_order` comes or goes by whole lines,
    each once.
    """

    format: str
    interleave: Interleave
    block_rows: int
    block_columns: int
    compression: str = "none"
    byte_order: str = "little"
    raw: bool = False
    unpacked_bytes: int = 0
    in_order: bool = False
