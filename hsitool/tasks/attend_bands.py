"""`hsitool attend bands`: which few bands tell a target, or how much each of them does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hsitool.cube import CubeInfo
from hsitool.engine.blocks import Progress
from hsitool.engine.plan import Budget
from hsitool.errors import UsageError
from hsitool.maths.attention.pick_bands import Picks, agreement, far_apart, pick_bands
from hsitool.maths.scene.model import SceneModel, Shrink
from hsitool.maths.spectra.resample import local_steps
from hsitool.storage.readers import CubeReader
from hsitool.tasks.band_choice import (
    DEFAULT_PICKS,
    BandChoice,
    BandSettings,
    Halves,
    refuse_band_settings,
)
from hsitool.tasks.band_target import find_target
from hsitool.tasks.band_weights import weighed_bands
from hsitool.tasks.pixels import Pixels, used_bands
from hsitool.tasks.query import warn_of_scale
from hsitool.tasks.stats import fit_scene, stored_model

Floats = NDArray[np.float64]

WIDTHS_APART = 2.0
"""FWHM between picks, unless a gap is given."""


def choose_bands(
    source: CubeReader,
    target: str | None,
    settings: BandSettings,
    *,
    target_scale: float = 1.0,
    budget: Budget | None = None,
    progress: Progress | None = None,
) -> BandChoice:
    """Choose bands of a cube that tell a target, or hold what varies where there is none.

    Args:
        source: the cube.
        target: a region file, or a spectrum as FILE or FILE:NAME.
        settings: how to choose.
        target_scale: factor for a spectrum.
        budget: memory and threads.
        progress: told of every tile of every pass.

    Raises:
        UsageError: settings that cannot be carried out, or too many bands asked for.
        DataError: no pixel has data, a file cannot serve, or no band tells the target.
    """
    budget = budget or Budget()
    refuse_band_settings(settings, target)
    stored = settings.model and stored_model(settings.model, source, settings.bands)
    used = list(stored.blocks[0].bands) if stored else used_bands(source, settings.bands, budget)
    found = None if target is None else find_target(source, target, target_scale, used)
    bands = used if found is None else found.query.bands
    pixels = Pixels([source], [bands])
    if stored:
        model = stored.of_cube(0, bands)
    else:
        model = fit_scene(pixels, settings.background, budget, progress)
    if found is not None:
        warn_of_scale(found.query.name, found.query.values, model.mean, "--target-scale")
    std = np.sqrt(np.maximum(model.covariance.diagonal(), 0.0))
    empty = BandChoice(source, bands, found, model.mean, std, (), np.zeros(len(bands)))
    if settings.way == "pick":
        return _picked(empty, model, settings)
    return weighed_bands(empty, model, pixels, settings, budget, progress)


def _picked(choice: BandChoice, model: SceneModel, settings: BandSettings) -> BandChoice:
    shrunk = model.shrunk(settings.shrink or Shrink("none"))
    at, gap = _spacing(choice.source.info, choice.bands, settings.min_gap_nm)
    count = DEFAULT_PICKS if settings.pick is None else settings.pick

    def pick(mean: Floats | None) -> Picks:
        difference = None if mean is None else mean - model.mean
        return pick_bands(shrunk, difference, count=count, at_nm=at, gap_nm=gap)

    target = choice.target
    picks = pick(None if target is None else target.query.values)
    weights = np.zeros(len(choice.bands))
    weights[list(picks.bands)] = np.array(picks.gains) / picks.total
    halves = None
    if target is not None and target.halves is not None:
        first, second = (pick(mean).bands for mean in target.halves)
        halves = Halves(first, second, agreement(first, second, far_apart(at, gap)))
    return replace(
        choice, chosen=picks.bands, weights=weights, gains=picks.gains, halves=halves, gap_nm=gap
    )


def _spacing(info: CubeInfo, bands: Sequence[int], gap_nm: float | None) -> tuple[Floats, Floats]:
    """(bands,) where bands lie, and how far others have to be; in bands without wavelengths."""
    if gap_nm is not None and not 0 <= gap_nm < np.inf:
        raise UsageError(f"--min-gap {gap_nm:g} is no distance: give nm, 0 or more")
    if info.wavelength_nm is None:
        if gap_nm is not None:
            raise UsageError(
                "--min-gap: the cube has no wavelengths to measure it by: give --wavelengths FILE"
            )
        return np.array(bands, np.float64), np.full(len(bands), WIDTHS_APART)
    centres = np.array(info.wavelength_nm)
    if gap_nm is not None:
        return centres[list(bands)], np.full(len(bands), gap_nm)
    steps = local_steps(centres)
    widths = np.array(info.fwhm_nm or steps)
    widths = np.where(widths > 0, widths, steps)
    return centres[list(bands)], WIDTHS_APART * widths[list(bands)]
