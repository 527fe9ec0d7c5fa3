"""Which pixels of a cube have data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsitool.cube import Tile
from hsitool.engine.blocks import Progress, fold_blocks
from hsitool.engine.plan import Budget
from hsitool.errors import DataError
from hsitool.maths.spectra.missing import MissingRule
from hsitool.storage.raw import Block
from hsitool.storage.readers import CubeReader
from hsitool.tasks.attend_frame import image_room
from hsitool.tasks.empty import empty_bands

Flags = NDArray[np.bool_]


@contextmanager
def presence(
    source: CubeReader,
    target: Path,
    budget: Budget,
    wanted: Callable[[Tile], bool] | None = None,
    progress: Progress | None = None,
) -> Iterator[Flags | None]:
    """(rows, columns) whether a pixel has data in all good bands that have any.

    None where samples cannot be missing. Tiles that are not `wanted` are left False. Where the
    image exceeds the memory it lies in a file beside `target`.

    Raises:
        DataError: no good band has data, or the file fails.
    """
    info = source.info
    if info.dtype.kind not in "fc" and info.nodata is None:
        yield None
        return
    empty = set(empty_bands(source, budget))
    bands = [b for b in range(info.bands) if (info.good is None or info.good[b]) and b not in empty]
    if not bands:
        raise DataError(f"{source.path}: no good band has data")
    rule = MissingRule(info.dtype, info.nodata)
    with image_room(target, (info.rows, info.columns), np.bool_, budget) as (there, left):

        def measure(tile: Tile, blocks: Sequence[Block]) -> None:
            there[tile.slices] = _complete(rule, blocks[0])

        def nothing(_: None, __: None) -> None:
            return None

        fold_blocks(
            [source],
            measure,
            nothing,
            None,
            budget=left,
            bands=bands,
            extra_bytes_per_pixel=2,
            wanted=wanted,
            progress=progress,
        )
        yield there


def _complete(rule: MissingRule, block: Block) -> Flags:
    """(rows, columns) whether no sample is missing."""
    complete = np.ones(block.shape[1:], bool)
    if rule.dtype.kind == "c" or rule.found(block):
        for samples in block:
            complete &= ~rule.mask(samples)
    return complete
