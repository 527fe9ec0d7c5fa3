"""Bands without any data, which count as bad."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hsitool.cube import Tile
from hsitool.engine.blocks import fold_blocks
from hsitool.engine.plan import Budget
from hsitool.maths.spectra.missing import MissingRule
from hsitool.storage.raw import Block
from hsitool.storage.readers import CubeReader
from hsitool.storage.wavelengths import warn

GLIMPSED = 8
"""Part of the memory that the first lines of a stream may take."""


def empty_bands(source: CubeReader, budget: Budget) -> list[int]:
    """Good bands that hold no data at all.

    Bands are looked at in a few places first, since most cubes show data in all of them there; only
    bands that were empty so far are looked for in the whole cube (which then has to be kept, where
    it comes through a pipe).
    """
    info = source.info
    if info.dtype.kind != "f" and info.nodata is None:
        return []
    rule = MissingRule(info.dtype, info.nodata)
    suspects = [b for b in range(info.bands) if info.good is None or info.good[b]]
    for block in source.glimpses(budget.memory // GLIMPSED):
        empty = np.all(rule.mask(block), axis=(1, 2))
        suspects = [band for band in suspects if empty[band]]
        if not suspects:
            return []
    source.keep()

    def measure(_: Tile, blocks: Sequence[Block]) -> list[bool]:
        return [_all(rule, samples) for samples in blocks[0]]

    def merge(so_far: list[bool], found: list[bool]) -> list[bool]:
        return [a and b for a, b in zip(so_far, found, strict=True)]

    start = [True] * len(suspects)
    found = fold_blocks([source], measure, merge, start, budget=budget, bands=suspects)
    bands = _empty(suspects, found)
    if bands:
        listed = ", ".join(str(b + 1) for b in bands[:8]) + (", ..." if len(bands) > 8 else "")
        warn(f"{source.path}: no data at all in {len(bands)} bands ({listed}): taken as bad")
    return bands


def _empty(bands: Sequence[int], empty: Sequence[bool]) -> list[int]:
    return [band for band, is_empty in zip(bands, empty, strict=True) if is_empty]


def _all(rule: MissingRule, samples: Block) -> bool:
    return bool(rule.mask(samples).all())
