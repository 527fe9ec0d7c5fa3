"""`hsitool attend self`: what each query pixel attends to, as rows of the matrix of weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsitool.cube import Tile
from hsitool.engine.blocks import Progress, fold_blocks
from hsitool.engine.plan import Budget
from hsitool.errors import DataError, UsageError
from hsitool.maths.attention.relation import (
    Embedding,
    Score,
    noise_whitened_components,
    relatedness,
)
from hsitool.maths.attention.weights import Attention, Norm, focus_on
from hsitool.storage.projections import read_projections
from hsitool.storage.raw import Block
from hsitool.storage.readers import CubeReader
from hsitool.storage.wavelengths import warn
from hsitool.tasks.attend_frame import image_room
from hsitool.tasks.attend_query import Asked, Query, find_query
from hsitool.tasks.pixels import Pixels, used_bands
from hsitool.tasks.spectrum import Place
from hsitool.tasks.stats import fit_scene, refuse_two_backgrounds, stored_model

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SelfSettings:
    """How pixels relate: by a score of components of their spectra, or by projections (`qk`).

    `bands` is text as `find_bands` reads it; `model`, `background` and `qk` are files. Without
    focus and temperature, dot products (those of `qk`, too) have the textbook's temperature, the
    root of their width, and other scores are spread over 1 % of the pixels.
    """

    score: Score = "cosine"
    focus: str | None = None
    temperature: float | None = None
    norm: Norm = "softmax"
    components: int | None = None
    bands: str | None = None
    model: Path | None = None
    background: Path | None = None
    qk: Path | None = None


@dataclass(frozen=True, eq=False)
class Space:
    """Where pixels relate: the bands of the cube in use, and what makes features of spectra."""

    pixels: Pixels
    embedding: Embedding
    score: Score

    @property
    def source(self) -> CubeReader:
        """The cube."""
        return self.pixels.sources[0]


@dataclass(frozen=True, eq=False)
class Row:
    """A row of the matrix: the query, what makes weights of its scores, and these.

    Attributes:
        query: the pixel.
        scores: (rows, columns) of all pixels; NaN where there is no data.
        attention: what turns them into weights.
    """

    query: Query
    scores: Floats
    attention: Attention

    @property
    def place(self) -> tuple[int, int]:
        """Row and column of the query."""
        assert self.query.pixel is not None
        return self.query.pixel

    @property
    def log_sum(self) -> float:
        """ln of the sum of exp(beta s), by which a softmax row is made again from its scores."""
        return self.attention.beta * self.attention.top + math.log(self.attention.total)

    def weights(self, tile: Tile) -> Floats:
        """(rows, columns) of a tile; NaN where the cube has no data."""
        part = self.scores[tile.slices]
        return np.where(np.isnan(part), np.nan, self.attention.weights(part))


@dataclass(frozen=True, eq=False)
class Related:
    """Rows, one a query, as long as the context that gives them; `pixels` are valid ones."""

    space: Space
    rows: list[Row]
    pixels: int
    budget: Budget


def refuse_settings(settings: SelfSettings) -> None:
    """Refuse what no cube can be looked at by.

    Raises:
        UsageError: says what.
    """
    if settings.qk is not None and (settings.score != "cosine" or settings.components):
        raise UsageError("--qk says the score itself: leave --score and --components out")
    if settings.qk is not None and (settings.model or settings.background):
        raise UsageError("--qk needs no model of the scene: leave --model and --background out")
    refuse_two_backgrounds(settings.model, settings.background)
    if settings.focus is not None and settings.temperature is not None:
        raise UsageError("--focus and --temperature say the same in two ways: give one of them")
    if settings.temperature is not None and not 0 < settings.temperature < math.inf:
        raise UsageError(f"--temperature {settings.temperature:g} is not a number above 0")


def space_of(
    source: CubeReader,
    settings: SelfSettings,
    budget: Budget,
    progress: Progress | None = None,
) -> Space:
    """Where the pixels of a cube relate; takes a pass over it where a model is fitted.

    Raises:
        UsageError: settings that cannot be carried out.
        DataError: a file cannot serve, or the noise is not known.
    """
    refuse_settings(settings)
    stored = (
        None if settings.model is None else stored_model(settings.model, source, settings.bands)
    )
    used = used_bands(source, settings.bands, budget) if stored is None else stored.blocks[0].bands
    pixels = Pixels([source], [used])
    if settings.qk is not None:
        found = read_projections(settings.qk, len(used))
        value = None if found.value is None else found.value.T
        made = Embedding(np.zeros(len(used)), found.query.T, found.key.T, value)
        return Space(pixels, made, "dot")
    model = stored or fit_scene(pixels, settings.background, budget, progress)
    return Space(pixels, noise_whitened_components(model, settings.components), settings.score)


def temperature_of(space: Space, settings: SelfSettings) -> float | None:
    """The temperature that is given or the textbook's; None where it goes by focus."""
    if settings.temperature is None and settings.focus is None and space.score == "dot":
        return math.sqrt(space.embedding.width)
    return settings.temperature


@contextmanager
def related(
    source: CubeReader,
    places: Sequence[Place],
    settings: SelfSettings,
    target: Path,
    *,
    budget: Budget | None = None,
    progress: Progress | None = None,
) -> Iterator[Related]:
    """The rows of some pixels, in one pass over the cube (and one for the model).

    Args:
        source: the cube.
        places: of the queries.
        settings: how pixels relate.
        target: an output, beside which scores that exceed the memory are kept.
        budget: memory and threads.
        progress: told of every tile of every pass.

    Raises:
        UsageError: as `space_of`.
        DataError: a query has no data, nothing can be attended to, or a file fails.
    """
    budget = budget or Budget()
    space = space_of(source, settings, budget, progress)
    queries = [find_query(source, Asked(place=p), space.pixels.bands[0]) for p in places]
    shape = len(queries), source.info.rows, source.info.columns
    with image_room(target, shape, np.float64, budget) as (scores, left):
        pixels = _score(space, queries, scores, left, progress)
        temperature = temperature_of(space, settings)
        rows = [
            Row(query, part, _focused(query, part, settings, temperature))
            for query, part in zip(queries, scores, strict=True)
        ]
        yield Related(space, rows, pixels, left)


def _focused(
    query: Query, scores: Floats, settings: SelfSettings, temperature: float | None
) -> Attention:
    if not any((row > -np.inf).any() for row in scores):
        raise DataError(f"query '{query.name}' lies at the mean of the scene: it has no direction")
    found = focus_on(scores, focus=settings.focus, temperature=temperature, norm=settings.norm)
    if found.note:
        warn(f"query '{query.name}': {found.note}")
    return found


def _score(
    space: Space,
    queries: Sequence[Query],
    scores: Floats,
    budget: Budget,
    progress: Progress | None,
) -> int:
    """Fill in the scores of all pixels; how many are valid."""
    embedding, pixels = space.embedding, space.pixels
    asked = embedding.query(np.stack([query.values for query in queries], axis=1))

    def measure(tile: Tile, blocks: Sequence[Block]) -> int:
        count = 0
        for piece in pixels.pieces(tile, blocks):
            found = np.full((len(queries), *piece.valid.shape), np.nan)
            if piece.valid.any():
                values = relatedness(space.score, asked, embedding.key(piece.chosen))
                found[:, piece.valid] = np.where(np.isnan(values), -np.inf, values)
            scores[:, *piece.tile.slices] = found
            count += int(piece.valid.sum())
        return count

    count = fold_blocks(
        [space.source],
        measure,
        int.__add__,
        0,
        budget=pixels.within(budget),
        bands=pixels.read_bands,
        progress=progress,
    )
    if space.score == "cosine" and embedding.is_symmetric:
        for part, query in zip(scores, queries, strict=True):
            assert query.pixel is not None
            if part[query.pixel] > -np.inf:
                part[query.pixel] = 1.0  # but for rounding, and nothing is more alike
    return count


def said(space: Space, settings: SelfSettings) -> dict[str, Any]:
    """The settings as they are said in files."""
    projected = settings.qk is not None
    temperature = temperature_of(space, settings)
    return {
        "score": None if projected else settings.score,
        "qk": settings.qk.name if settings.qk is not None else None,
        "focus": settings.focus or ("1%" if temperature is None else None),
        "temperature": temperature,
        "norm": settings.norm,
        "components": None if projected else space.embedding.width,
        "bands": settings.bands,
        "model": None if settings.model is None else settings.model.name,
        "background": None if settings.background is None else settings.background.name,
    }
