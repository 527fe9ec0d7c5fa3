"""`hsitool detect`: how much every pixel is like target spectra."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsitool.device import CPU, Device, array_module
from hsitool.engine.blocks import Progress
from hsitool.engine.plan import Budget
from hsitool.errors import DataError
from hsitool.maths.scene import scores
from hsitool.maths.scene.model import SceneModel, Shrink
from hsitool.maths.scene.scores import Method
from hsitool.storage.readers import CubeReader
from hsitool.storage.spectra import Spectrum
from hsitool.storage.wavelengths import warn
from hsitool.storage.writers import OutputOptions
from hsitool.tasks.pixels import Pixels, used_bands
from hsitool.tasks.query import at_bands, name_bands, warn_of_scale
from hsitool.tasks.ridge import shrinks_of
from hsitool.tasks.score_maps import refuse_outputs, score_info, write_scores
from hsitool.tasks.stats import fit_scene, stored_model

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DetectSettings:
    """What to score: `shrink` None chooses the ridge by the target.

    `bands` is text as `find_bands` reads it; `model` and `background` are files. Targets are
    multiplied by `target_scale`.
    """

    method: Method = "ace"
    shrink: Shrink | None = None
    target_scale: float = 1.0
    bands: str | None = None
    model: Path | None = None
    background: Path | None = None


@dataclass(frozen=True)
class Detection:
    """How one target was scored: `shrink` is None for the methods that have no background.

    `share` of the scene is what the target fills, by which the ridge was chosen: counted, or an
    upper limit where that is small.
    """

    target: str
    shrink: Shrink | None
    share: float | None


def detect(
    source: CubeReader,
    targets: Sequence[Spectrum],
    path: Path,
    settings: DetectSettings,
    *,
    output: OutputOptions | None = None,
    budget: Budget | None = None,
    device: Device = CPU,
    progress: Progress | None = None,
) -> list[Detection]:
    """Write the scores of all targets to `path`, a band each, computed on a device.

    Raises:
        UsageError: no such bands, or a ridge of noise that is not known.
        DataError: a target, model or background that does not belong to the cube, or a singular
            covariance.
        DeviceError: the device fails.
    """
    budget = budget or Budget()
    refuse_outputs([path], output)
    stored = (
        None if settings.model is None else stored_model(settings.model, source, settings.bands)
    )
    used = used_bands(source, settings.bands, budget) if stored is None else stored.blocks[0].bands
    bands, wanted = _covered(source, targets, used)
    wanted *= settings.target_scale
    pixels = Pixels([source], [bands], device)
    if settings.method in PLAIN:
        model = None
    elif stored is not None:
        model = stored.of_cube(0, bands)
    else:
        model = fit_scene(pixels, settings.background, budget, progress)
    if model is not None:
        for target, values in zip(targets, wanted.T, strict=True):
            warn_of_scale(target.name, values, model.mean, "--target-scale")
    shrinks = _shrinks(pixels, wanted, model, settings, budget)
    found = [Detection(target.name, *how) for target, how in zip(targets, shrinks, strict=True)]
    names = [f"{settings.method} {target.name}" for target in targets]
    made = score_info(source.info, names, "detect", source.path, _said(settings, found))
    score = _scored(settings.method, wanted, model, found)
    write_scores(pixels, path, made, score, output=output, budget=budget, progress=progress)
    return found


def _covered(
    source: CubeReader, targets: Sequence[Spectrum], used: Sequence[int]
) -> tuple[list[int], Floats]:
    """The bands (from 0) that all targets cover, and the targets there: (bands, targets)."""
    found = np.array([at_bands(target, source.info, used) for target in targets]).T
    covered = [band for band in used if not np.isnan(found[band]).any()]
    if not covered:
        raise DataError(f"{source.path}: no band that is used is covered by all targets")
    if lacking := sorted(set(used) - set(covered)):
        warn(f"the target does not cover {name_bands(lacking, source.info)}: left out")
    return covered, found[covered]


PLAIN = {"sam": scores.sam, "sid": scores.sid}
"""Methods that take spectra as they are."""


def _shrinks(
    pixels: Pixels,
    targets: Floats,
    model: SceneModel | None,
    settings: DetectSettings,
    budget: Budget,
) -> list[tuple[Shrink | None, float | None]]:
    """For each target how to shrink, and the share of the scene it fills where that decides."""
    if model is None or settings.shrink is not None:
        return [(settings.shrink, None)] * targets.shape[1]
    return list(shrinks_of(pixels, targets, model, budget))


def _scored(
    method: Method, targets: Floats, model: SceneModel | None, detections: Sequence[Detection]
) -> Callable[[Floats], Floats]:
    """What makes (targets, pixels) scores; targets of one background are scored together."""
    if model is None:
        return lambda spectra: PLAIN[method](spectra, targets)
    shrinks = [detection.shrink for detection in detections]
    groups = {shrink: [n for n, own in enumerate(shrinks) if own == shrink] for shrink in shrinks}
    backgrounds = {shrink: model.background(shrink) for shrink in groups}

    def scored(spectra: Floats) -> Floats:
        found = array_module(spectra).empty((targets.shape[1], spectra.shape[1]))
        for shrink, members in groups.items():
            own = scores.score(method, spectra, targets[:, members], backgrounds[shrink])
            for member, values in zip(members, own, strict=True):
                found[member] = values
        made: Floats = found
        return made

    return scored


def _said(settings: DetectSettings, detections: Sequence[Detection]) -> dict[str, str | None]:
    """For tags and provenance."""
    fitted = None if settings.method in PLAIN else "fitted to the cube"
    shrinks = [str(d.shrink) for d in detections if d.shrink is not None]
    return {
        "method": settings.method,
        "target": ", ".join(detection.target for detection in detections),
        "target_scale": None if settings.target_scale == 1 else str(settings.target_scale),
        "model": fitted if settings.model is None else settings.model.name,
        "background": None if settings.background is None else settings.background.name,
        "shrink": ", ".join(shrinks) or None,
        "bands": settings.bands,
    }
