"""The ridge that serves a target: by the share of the scene that it fills."""

from __future__ import annotations

from collections.abc import Sequence
from operator import add

import numpy as np
from numpy.typing import NDArray

from hsitool.cube import Tile
from hsitool.device import array_module, on_cpu
from hsitool.engine.blocks import fold_blocks
from hsitool.engine.plan import Budget
from hsitool.maths.scene.model import Background, SceneModel, Shrink
from hsitool.maths.scene.scores import ALIKE, MUCH, WIDE, ace, largest_share, shrink_for
from hsitool.storage.raw import Block
from hsitool.tasks.pixels import Pixels

Floats = NDArray[np.float64]


def shrinks_of(
    pixels: Pixels, targets: Floats, model: SceneModel, budget: Budget
) -> list[tuple[Shrink, float]]:
    """For each of (bands, targets) how to shrink, and the share of the scene that it fills.

    Pixels are counted only for targets that might fill much, since it takes a reading.

    Raises:
        UsageError: the noise is not known.
        DataError: the file fails.
    """
    background = model.background(WIDE)
    shares = np.array([largest_share(target, background) for target in targets.T])
    if (open_ones := np.flatnonzero(shares > MUCH)).size:
        shares[open_ones] = _filled(pixels, targets[:, open_ones], background, budget)
    return [(shrink_for(share), share) for share in shares.tolist()]


def _filled(pixels: Pixels, targets: Floats, background: Background, budget: Budget) -> Floats:
    """(targets,) the share of all valid pixels that are like each target."""

    @pixels.device.work()
    def measure(tile: Tile, blocks: Sequence[Block]) -> Floats:
        counts = np.zeros(targets.shape[1] + 1)
        for piece in pixels.pieces(tile, blocks):
            spectra = piece.chosen
            counts[-1] += spectra.shape[1]
            alike = ace(spectra, targets, background) >= ALIKE
            counts[:-1] += on_cpu(array_module(alike).count_nonzero(alike, axis=1))
        return counts

    start, left = np.zeros(targets.shape[1] + 1), pixels.within(budget)
    counts = fold_blocks(pixels.sources, measure, add, start, budget=left, bands=pixels.read_bands)
    shares: Floats = counts[:-1] / max(counts[-1], 1.0)
    return shares
