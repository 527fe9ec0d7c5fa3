"""RX scores that are made line by line: relative to a ring, and to the lines before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hsitool.cube import CubeInfo, Tile
from hsitool.device import Device, on_cpu
from hsitool.engine.blocks import Progress, scan_lines
from hsitool.engine.plan import Budget
from hsitool.maths.scene.causal import CausalRx
from hsitool.maths.scene.local_rx import Components, local_rx, needed
from hsitool.maths.scene.model import Shrink, chosen
from hsitool.maths.scene.moments import Moments
from hsitool.storage.raw import Block
from hsitool.tasks.pixels import Pixels
from hsitool.tasks.score_maps import ScoreLines
from hsitool.tasks.stats import band_block

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def local_scores(
    pixels: Pixels,
    parts: Components,
    window: tuple[int, int],
    sink: ScoreLines,
    budget: Budget,
    progress: Progress | None = None,
) -> None:
    """Write the scores of all pixels relative to the ring (guard, outer) around each.

    Components of as many lines as a window has are kept, so that the cube is read once.

    Raises:
        DataError: no pixel has a score.
    """
    info, rank = pixels.sources[0].info, len(parts.weights)

    @pixels.device.work()
    def measure(tile: Tile, blocks: Sequence[Block]) -> tuple[Floats, Flags]:
        values = np.zeros((rank, tile.height, tile.width))
        valid = np.zeros((tile.height, tile.width), bool)
        for piece in pixels.pieces(tile, blocks):
            valid[piece.inside] = piece.valid
            values[(slice(None), *piece.inside)][:, piece.valid] = on_cpu(parts.of(piece.chosen))
        return values, valid

    budget = pixels.within(budget)
    kept = 2 * window[1] * info.columns * 8 * (rank + 1)
    lines = _Rings(info, parts.ridge, window, sink, pixels.device)
    scan_lines(
        pixels.sources,
        measure,
        lines.take,
        budget=replace(budget, reserved=budget.reserved + kept),
        bands=pixels.read_bands,
        extra_bytes_per_pixel=3 * 8 * (rank + 1),
        progress=progress,
    )
    sink.finish(pixels.sources[0])


class _Rings:
    """Takes strips of components in their order; writes lines as soon as their rings are there."""

    def __init__(
        self,
        info: CubeInfo,
        ridge: Floats,
        window: tuple[int, int],
        sink: ScoreLines,
        device: Device,
    ) -> None:
        self._rows, self._ridge, self._sink, self._device = info.rows, ridge, sink, device
        self._guard, self._outer = window
        self._values = np.empty((len(ridge), 0, info.columns))
        self._valid = np.empty((0, info.columns), bool)
        self._first = self._next = 0

    def take(self, tile: Tile, strip: tuple[Floats, Flags]) -> None:
        """Keep a strip; score and write all lines whose windows are complete by it."""
        self._values = np.concatenate([self._values, strip[0]], axis=1)
        self._valid = np.concatenate([self._valid, strip[1]])
        end = tile.row + tile.height
        ready = self._rows if end == self._rows else end - self._outer // 2
        if ready <= self._next or end < self._outer:
            return
        near = self._kept(needed(self._next, ready, self._rows, self._outer))
        scores, first = self._scored(near), self._next - self._first - near.start
        self._sink.write(self._next, scores[first : first + ready - self._next])
        self._next = ready
        self._forget(needed(min(ready, self._rows - 1), self._rows, self._rows, self._outer).start)

    def _scored(self, near: slice) -> Floats:
        """The scores of lines that are kept, on the device and back."""
        with self._device.work():
            values = self._device.put(self._values[:, near])
            window = self._guard, self._outer
            return on_cpu(local_rx(values, self._valid[near], *window, self._ridge))

    def _kept(self, rows: slice) -> slice:
        """Where rows of the image lie in what is kept."""
        return slice(rows.start - self._first, rows.stop - self._first)

    def _forget(self, before: int) -> None:
        """Lines of the image that no window reaches any more."""
        self._values = self._values[:, before - self._first :].copy()
        self._valid = self._valid[before - self._first :].copy()
        self._first = before


def causal_scores(
    pixels: Pixels,
    training: int,
    shrink: Shrink,
    sink: ScoreLines,
    budget: Budget,
    progress: Progress | None = None,
) -> None:
    """Write the scores of every line relative to those before; of the first ones there are none.

    Raises:
        DataError: the first lines do not give a covariance, or no later one has data.
    """
    source, count, device = pixels.sources[0], pixels.count, pixels.device
    block = band_block(source, pixels.bands[0])
    detector = CausalRx(training, pixels.segments, block, shrink)

    @device.work()
    def measure(tile: Tile, blocks: Sequence[Block]) -> list[tuple[Floats, Flags, Moments]]:
        piece = pixels.whole(tile, blocks)
        lines = [(piece.spectra[:, row], piece.valid[row]) for row in range(tile.height)]
        return [(line, there, Moments.of(chosen(line, there)).on_cpu()) for line, there in lines]

    @device.work()
    def use(tile: Tile, lines: list[tuple[Floats, Flags, Moments]]) -> None:
        sink.write(tile.row, np.stack([detector(*line) for line in lines]))

    scan_lines(
        pixels.sources,
        measure,
        use,
        budget=pixels.within(budget),
        bands=pixels.read_bands,
        extra_bytes_per_pixel=8 * count + 8 * count * -(-count // source.info.columns),
        progress=progress,
    )
    sink.finish(source)
