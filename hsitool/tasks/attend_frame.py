"""One cube under attention: scores of its pixels, and what the weights gather from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from operator import add
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from hsitool.cube import Tile
from hsitool.device import CPU, Device, on_cpu
from hsitool.engine.blocks import Progress, fold_blocks
from hsitool.engine.plan import Budget
from hsitool.errors import DataError
from hsitool.maths.attention.context import Blocks, Context, Gathered, context, gather, nothing
from hsitool.maths.attention.weights import Attention
from hsitool.maths.scene.model import chosen
from hsitool.maths.scene.scores import sam
from hsitool.storage.raw import Block
from hsitool.storage.readers import CubeReader
from hsitool.storage.scratch import scratch_array
from hsitool.tasks.attend_scores import Likeness, Scoring
from hsitool.tasks.pixels import Piece, Pixels

Floats = NDArray[np.float64]
T = TypeVar("T")

IN_MEMORY = 1 / 4
"""Part of the memory that an image may take before it is mapped from a file."""

NEAR_DEG = 1e-3
"""Pixels no further than this from the query are looked at more closely."""

SAME = 1e-6
"""Of its largest value: a pixel that differs less from the query is the query."""

Place = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Seen:
    """What a pass over the pixels found out, beside their scores.

    Attributes:
        count: valid pixels.
        total: (bands,) sum of their spectra.
        angle_deg: the least spectral angle to the query, of pixels that are not the query itself;
            infinite without a query.
        place: row and column of it.
        own: places of pixels that are the query itself, the first two.
    """

    count: int
    total: Floats
    angle_deg: float = math.inf
    place: Place = (0, 0)
    own: tuple[Place, ...] = ()

    def __add__(self, other: Seen) -> Seen:
        nearer = min(self, other, key=lambda seen: seen.angle_deg)  # of equal ones the first
        return Seen(
            self.count + other.count,
            self.total + other.total,
            nearer.angle_deg,
            nearer.place,
            (self.own + other.own)[:2],
        )

    @property
    def mean(self) -> Floats:
        """(bands,) of all valid pixels."""
        return self.total / self.count


@dataclass(eq=False)
class Frame:
    """A cube, and a score for each of its pixels.

    Attributes:
        source: the cube.
        pixels: its bands that are used.
        scores: (rows, columns) float64; NaN where there is no data, -inf where no score.
        budget: memory and threads.
        progress: told of every tile of every pass.
        without: a pixel that gets no score: the query, which is like itself above all.
    """

    source: CubeReader
    pixels: Pixels
    scores: Floats
    budget: Budget
    progress: Progress | None = None
    without: Place | None = None

    def look(self, scoring: Scoring, query: Floats | None) -> Seen:
        """Score all pixels.

        Raises:
            DataError: no pixel has data in all bands, or a score, or the file fails.
        """

        @self.pixels.device.work()
        def measure(tile: Tile, blocks: Sequence[Block]) -> Seen:
            total = Seen(0, np.zeros(self.pixels.count))
            for piece in self.pixels.pieces(tile, blocks):
                total = total + self._score(piece, scoring, query)
            return total

        seen = self._fold(measure, Seen(0, np.zeros(self.pixels.count)))
        if not seen.count:
            raise DataError(
                f"{self.source.path}: no pixel has data in all {self.pixels.count} bands in use: "
                "choose others with --bands"
            )
        scoring.finish(self.scores)
        if self.without is None and len(seen.own) == 1:
            self.without = seen.own[0]
        if self.without is not None and not np.isnan(self.scores[self.without]):
            self.scores[self.without] = -np.inf
        if twins := [place for place in seen.own if place != self.without]:
            seen = replace(seen, angle_deg=0.0, place=twins[0])
        if not any((row > -np.inf).any() for row in self.scores):
            raise DataError(
                f"{self.source.path}: none of {seen.count} pixels with data has a score: the query "
                "is the only one of them, is 0, or lies at the mean of the background"
            )
        return seen

    def _score(self, piece: Piece, scoring: Scoring, query: Floats | None) -> Seen:
        """Scores of a piece into their place."""
        spectra, found = piece.chosen, np.full(piece.valid.shape, np.nan)
        seen = Seen(spectra.shape[1], on_cpu(spectra.sum(axis=1)))
        if not seen.count:
            self.scores[piece.tile.slices] = found
            return seen
        scores = scoring.of(piece)
        found[piece.valid] = np.where(np.isnan(scores), -np.inf, scores)
        self.scores[piece.tile.slices] = found
        if query is None:
            return seen
        is_angle = isinstance(scoring, Likeness) and scoring.method == "sam"
        angles = np.degrees(-(scores if is_angle else on_cpu(sam(spectra, query))))
        return self._nearest(piece, seen, angles, query)

    def _nearest(self, piece: Piece, seen: Seen, angles: Floats, query: Floats) -> Seen:
        """With the pixel that is most like the query, and those that are the query."""
        rows, columns = np.nonzero(piece.valid)
        close = np.flatnonzero(angles < NEAR_DEG)
        spectra = on_cpu(piece.chosen[:, self.pixels.device.put(close)])
        apart = np.abs(spectra - query[:, None]).max(axis=0, initial=0.0)
        own = close[apart <= SAME * np.abs(query).max()].tolist()
        places = [(piece.tile.row + int(rows[i]), piece.tile.column + int(columns[i])) for i in own]
        others = np.where(np.isnan(angles), np.inf, angles)
        others[own] = np.inf
        best = int(np.argmin(others))
        place = piece.tile.row + int(rows[best]), piece.tile.column + int(columns[best])
        return replace(seen, angle_deg=float(others[best]), place=place, own=tuple(places[:2]))

    def gather(self, attention: Attention, fixed: Floats) -> Context:
        """The attended spectrum; `fixed` (bands,) is one near it, for the sake of its digits."""
        blocks = Blocks(self.source.info.rows, self.source.info.columns)
        device = self.pixels.device

        @device.work()
        def measure(tile: Tile, read: Sequence[Block]) -> Gathered:
            total = nothing(blocks.count, self.pixels.count)
            for piece in self.pixels.pieces(tile, read):
                weights = attention.weights(self.scores[piece.tile.slices])
                there = weights > 0
                if there.any():
                    rows, columns = np.nonzero(there)
                    number = blocks.of(piece.tile.row + rows, piece.tile.column + columns)
                    spectra = chosen(piece.spectra, there).T - device.put(fixed)
                    total = total + gather(spectra, weights[there], number, blocks.count)
            return total

        def wanted(tile: Tile) -> bool:
            return bool((self.scores[tile.slices] > attention.floor).any())

        start = nothing(blocks.count, self.pixels.count)
        return context(self._fold(measure, start, wanted), fixed)

    def _fold(
        self,
        measure: Callable[[Tile, Sequence[Block]], T],
        start: T,
        wanted: Callable[[Tile], bool] | None = None,
    ) -> T:
        return fold_blocks(
            [self.source],
            measure,
            add,
            start,
            budget=self.pixels.within(self.budget),
            bands=self.pixels.read_bands,
            wanted=wanted,
            progress=self.progress,
        )


@contextmanager
def open_frame(
    source: CubeReader,
    bands: Sequence[int],
    target: Path,
    budget: Budget,
    progress: Progress | None,
    device: Device = CPU,
) -> Iterator[Frame]:
    """A frame whose scores are in memory, or in a file beside `target` while they are needed.

    The spectra are on `device` while they are computed with.

    Raises:
        DataError: there is no room for the file.
    """
    pixels, shape = Pixels([source], [bands], device), (source.info.rows, source.info.columns)
    with image_room(target, shape, np.float64, budget) as (scores, left):
        yield Frame(source, pixels, scores, left, progress)


@contextmanager
def image_room(
    target: Path, shape: tuple[int, ...], dtype: DTypeLike, budget: Budget
) -> Iterator[tuple[NDArray[Any], Budget]]:
    """An image of zeros in memory, or in a file beside `target`, and the memory that is left.

    Raises:
        DataError: there is no room for the file.
    """
    size = np.dtype(dtype).itemsize * math.prod(shape)
    if size <= IN_MEMORY * budget.memory:
        yield np.zeros(shape, dtype), replace(budget, memory=budget.memory - size)
        return
    with scratch_array(target, shape, dtype) as image:
        yield image, budget
