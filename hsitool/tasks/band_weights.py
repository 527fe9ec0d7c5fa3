"""Bands weighed by how telling each is alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from operator import add
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsitool.cube import Tile
from hsitool.engine.blocks import Progress, fold_blocks
from hsitool.engine.plan import Budget
from hsitool.errors import DataError, UsageError
from hsitool.maths.attention.band_scores import Deviations, fisher, signal_to_noise
from hsitool.maths.attention.draws import Draws, draw
from hsitool.maths.attention.weights import focus_on
from hsitool.maths.scene.model import SceneModel
from hsitool.storage.raw import Block
from hsitool.storage.wavelengths import warn
from hsitool.tasks.attend_scores import scores_of_file
from hsitool.tasks.band_choice import DEFAULT_FOCUS, BandChoice, BandSettings, Weighed
from hsitool.tasks.pixels import Pixels

Floats = NDArray[np.float64]


def weighed_bands(
    choice: BandChoice,
    model: SceneModel,
    pixels: Pixels,
    settings: BandSettings,
    budget: Budget,
    progress: Progress | None,
) -> BandChoice:
    scores = _scores(choice, model, pixels, settings, budget, progress)
    attention = focus_on(
        scores,
        focus=_focus(settings),
        temperature=settings.temperature,
        norm=settings.norm,
    )
    if attention.note:
        warn(
            f"{choice.source.path}: of the bands' scores {attention.note}".replace("pixel", "band")
        )
    weighed = Weighed(scores, attention.weights(scores), attention)
    if settings.sample is None:
        return replace(choice, weights=weighed.weights, weighed=weighed)
    drawn = _drawn(weighed.weights, settings.sample, settings.seed)
    weights = np.zeros(len(scores))
    weights[drawn.index] = weighed.weights[drawn.index] / weighed.weights[drawn.index].sum()
    chosen = tuple(drawn.index.tolist())
    return replace(choice, chosen=chosen, weights=weights, weighed=weighed, logp=drawn.logp)


def _focus(settings: BandSettings) -> str | None:
    return settings.focus or (None if settings.temperature else DEFAULT_FOCUS)


def _drawn(weights: Floats, count: int, seed: int) -> Draws:
    if count < 1:
        raise UsageError(f"--sample {count}: ask for 1 band or more")
    try:
        return draw(lambda: [weights], count, np.random.default_rng(seed))
    except DataError as error:
        raise UsageError(f"--sample {count}: of the bands {error}, or a wider --focus") from None


def _scores(
    choice: BandChoice,
    model: SceneModel,
    pixels: Pixels,
    settings: BandSettings,
    budget: Budget,
    progress: Progress | None,
) -> Floats:
    """(bands,) how telling each is alone; NaN where that cannot be said."""
    name = settings.score or "fisher"
    if name == "fisher":
        assert choice.target is not None
        difference = choice.target.query.values - model.mean
        scores = fisher(difference, choice.target.variance, model.covariance.diagonal())
    elif name == "snr":
        if model.noise_std is None:
            raise DataError(
                "too few pixels lie side by side to tell the noise: give --score fisher"
            )
        scores = signal_to_noise(model.mean, model.noise_std)
    else:
        scores = _correlation(pixels, Path(name), budget, progress)
    if not np.isfinite(scores).any():
        raise DataError(f"{choice.source.path}: all bands are constant: none can be weighed")
    return scores


def _correlation(pixels: Pixels, path: Path, budget: Budget, progress: Progress | None) -> Floats:
    """(bands,) the size of the correlation with a raster on the cube's grid."""
    with scores_of_file(path, pixels.sources[0].info) as raster:

        def measure(tile: Tile, blocks: Sequence[Block]) -> Deviations:
            total = nothing
            for piece in pixels.pieces(tile, blocks):
                values = raster.of(piece)
                known = np.isfinite(values)
                stacked = np.concatenate([piece.chosen[:, known], values[None, known]])
                total = total + Deviations.of(stacked)
            return total

        nothing = Deviations.of(np.zeros((pixels.count + 1, 0)))
        found = fold_blocks(
            pixels.sources,
            measure,
            add,
            nothing,
            budget=pixels.within(budget),
            bands=pixels.read_bands,
            progress=progress,
        )
    if not found.count:
        raise DataError(f"{path}: no pixel with data has a value in it")
    return np.abs(found.correlation)
