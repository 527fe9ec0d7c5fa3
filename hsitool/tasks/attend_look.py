"""Attention to one cube: score, focus and gather, once or as a recurrence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsitool.engine.blocks import Progress
from hsitool.engine.plan import Budget
from hsitool.errors import DataError, UsageError
from hsitool.maths.attention.context import Context
from hsitool.maths.attention.recurrence import Recurrence, Stage
from hsitool.maths.attention.weights import Attention, Heaviest, Norm, focus_on, heaviest
from hsitool.maths.scene.model import Background, SceneModel, Shrink
from hsitool.maths.scene.scores import Method
from hsitool.maths.spectra.resample import probable_factor
from hsitool.storage.readers import CubeReader
from hsitool.storage.regions import open_region, strips
from hsitool.storage.wavelengths import warn
from hsitool.tasks.attend_frame import Frame, Seen, open_frame
from hsitool.tasks.attend_query import Asked, Query, find_query
from hsitool.tasks.attend_scores import (
    ALONE,
    MATCHING,
    WHITENED,
    Anomaly,
    Edges,
    Likeness,
    Scoring,
    scores_of_file,
)
from hsitool.tasks.pixels import used_bands
from hsitool.tasks.ridge import shrinks_of
from hsitool.tasks.stats import fit_scene, model_of

Floats = NDArray[np.float64]

N90_MASS = 0.9


@dataclass(frozen=True)
class MaskSettings:
    """How to look: a score that is no name is a raster's path, and `shrink` None goes by the query.

    `bands` is text as `find_bands` reads it; `model` and `background` are files.
    """

    score: str = "ace"
    focus: str | None = None
    temperature: float | None = None
    norm: Norm = "sparsemax"
    bands: str | None = None
    background: Path | None = None
    model: Path | None = None
    shrink: Shrink | None = None
    max_angle_deg: float = 10.0
    steps: int = 1
    max_drift_deg: float = 60.0

    @property
    def is_file(self) -> bool:
        """Whether scores come from a raster."""
        return self.score not in (*MATCHING, *ALONE)

    @property
    def needs_model(self) -> bool:
        """Whether scores are relative to a background."""
        return self.score in WHITENED or self.score in ALONE


@dataclass(frozen=True, eq=False)
class Look:
    """What was seen in one cube.

    Attributes:
        frame: the cube, with the scores of its pixels.
        seen: of the last pass.
        query: what was looked for in the end, or None.
        attention: what turns scores into weights.
        context: the attended spectrum.
        n90: the fewest pixels with 90 % of the weight.
        core: the heaviest pixels, as many as the effective sample size.
        in_background: weight on the pixels of `--background`, or None.
        stages: of the recurrence.
        scoring: what the scores are.
        shrink: how the covariance was made invertible, or None.
        max_angle_deg: beyond it the query may be absent.
    """

    frame: Frame
    seen: Seen
    query: Query | None
    attention: Attention
    context: Context
    n90: Heaviest
    core: Heaviest
    in_background: float | None
    stages: tuple[Stage, ...]
    scoring: Scoring
    shrink: Shrink | None
    max_angle_deg: float

    def drift_deg(self, origin: Floats) -> float:
        """The angle of the attended spectrum to another query, in the space of the scores."""
        assert isinstance(self.scoring, Likeness)
        return self.scoring.angle_deg(self.context.mean, origin)

    @property
    def best_score_place(self) -> tuple[int, int]:
        """Row and column of the greatest score."""
        for row, scores in enumerate(self.frame.scores):
            if (there := np.flatnonzero(scores == self.attention.top)).size:
                return row, int(there[0])
        raise AssertionError("the greatest score is nowhere")

    @property
    def present(self) -> bool | None:
        """Whether any pixel is like the query; None without one."""
        if self.query is None:
            return None
        return self.seen.angle_deg <= self.max_angle_deg

    @property
    def background_mass(self) -> float:
        """Weight outside the heaviest pixels, as many as the effective sample size."""
        return max(0.0, 1.0 - self.core.mass)


def refuse_settings(settings: MaskSettings, asked: Asked | None) -> None:
    """Refuse what cannot be carried out on any cube.

    Raises:
        UsageError: says what.
    """
    if settings.score in MATCHING and asked is None:
        raise UsageError(
            f"--score {settings.score} needs a query: give --query, --at, --xy or --roi"
        )
    if settings.is_file and not Path(settings.score).is_file():
        names = " ".join((*MATCHING, *ALONE))
        raise UsageError(f"--score {settings.score} is no file and none of {names}")
    if settings.steps > 1 and settings.score not in WHITENED:
        raise UsageError(
            f"--steps goes with --score ace or mf: others lose it, as {settings.score}"
        )
    if settings.model is not None and settings.background is not None:
        raise UsageError("--model and --background both say what the background is: give one")


@contextmanager
def look_at(
    source: CubeReader,
    settings: MaskSettings,
    asked: Asked | None,
    target: Path,
    *,
    carried: Query | None = None,
    budget: Budget | None = None,
    progress: Progress | None = None,
) -> Iterator[Look]:
    """Attend to what is like the query; scores live as long as the context does.

    Args:
        source: the cube.
        settings: how to look.
        asked: what to look for, or None for scores that need no query.
        target: an output, beside which scores that exceed the memory are kept.
        carried: a query from another cube, instead of `asked`.
        budget: memory and threads.
        progress: told of every tile of every pass.

    Raises:
        UsageError: settings that cannot be carried out.
        DataError: no pixel has data, a file cannot serve, or a recurrence goes astray.
    """
    budget = budget or Budget()
    used = used_bands(source, settings.bands, budget)
    model = None
    if settings.model is not None:
        model = model_of(source, bands=settings.bands, model=settings.model)
        used = list(model.blocks[0].bands)
    query = _query(source, asked, carried, used)
    bands = used if query is None else query.bands
    with ExitStack() as stack:
        frame = stack.enter_context(open_frame(source, bands, target, budget, progress))
        frame.without = None if query is None else query.pixel
        if settings.needs_model and model is None:
            model = fit_scene(frame.pixels, settings.background, frame.budget, progress)
        elif model is not None:
            model = model.of_cube(0, bands)
        yield _attend(stack, frame, settings, query, model)


def _query(
    source: CubeReader, asked: Asked | None, carried: Query | None, used: Sequence[int]
) -> Query | None:
    if carried is None:
        return None if asked is None else find_query(source, asked, used)
    if lacking := set(carried.bands) - set(used):
        raise DataError(
            f"{source.path}: band {min(lacking) + 1} of the query is bad or empty here: "
            "leave it out of all cubes with --bands"
        )
    return replace(carried, pixel=None)


def _attend(
    stack: ExitStack,
    frame: Frame,
    settings: MaskSettings,
    query: Query | None,
    model: SceneModel | None,
) -> Look:
    """Look, focus and gather, again with what was gathered where steps are asked for."""
    state = None if query is None else Recurrence(query.values, settings.max_drift_deg)
    shrink = _shrink(frame, settings, query, model)
    background = None if model is None or shrink is None else model.background(shrink)
    first: Seen | None = None
    for step in range(1, settings.steps + 1):
        values = None if state is None else state.query
        scoring = _scoring(stack, frame, settings, values, model, background)
        seen = frame.look(scoring, values)
        first = first or seen  # whether the material is there, the first query says
        attention = _focus(frame, settings)
        found = frame.gather(attention, seen.mean if values is None else values)
        if query is None or state is None or settings.steps == 1:
            break
        assert isinstance(scoring, Likeness)
        drift = scoring.angle_deg(found.mean, query.values)
        if not state.turn(f"step {step}", found.mean, attention.ess, drift):
            break
    if query is not None:
        _warn_of_scale(query, seen)
    assert first is not None
    return _looked(frame, settings, query, first, attention, found, state, scoring, shrink)


def _shrink(
    frame: Frame, settings: MaskSettings, query: Query | None, model: SceneModel | None
) -> Shrink | None:
    """How the covariance is made invertible, where scores need that: by the first query."""
    if model is None or settings.score == "edge":
        return None
    if settings.shrink is None and query is not None and settings.score in WHITENED:
        return shrinks_of(frame.pixels, query.values[:, None], model, frame.budget)[0][0]
    return settings.shrink or Shrink()


def _focus(frame: Frame, settings: MaskSettings) -> Attention:
    focus = settings.focus
    return focus_on(frame.scores, focus=focus, temperature=settings.temperature, norm=settings.norm)


def _scoring(
    stack: ExitStack,
    frame: Frame,
    settings: MaskSettings,
    query: Floats | None,
    model: SceneModel | None,
    background: Background | None,
) -> Scoring:
    if settings.is_file:
        return stack.enter_context(scores_of_file(Path(settings.score), frame.source.info))
    if settings.score == "edge":
        assert model is not None
        return Edges(np.linalg.eigh(model.covariance)[1][:, -1])
    if settings.score == "rx":
        assert background is not None
        return Anomaly(background)
    assert query is not None
    method: Method = settings.score  # type: ignore[assignment]
    return Likeness(method, query, background)


def _looked(
    frame: Frame,
    settings: MaskSettings,
    query: Query | None,
    seen: Seen,
    attention: Attention,
    found: Context,
    state: Recurrence | None,
    scoring: Scoring,
    shrink: Shrink | None,
) -> Look:
    if attention.note:
        warn(f"{frame.source.path}: {attention.note}")
    look = Look(
        frame,
        seen,
        query,
        attention,
        found,
        heaviest(frame.scores, attention, mass=N90_MASS),
        heaviest(frame.scores, attention, count=max(1, round(attention.ess))),
        _mass_in(frame, attention, settings.background),
        tuple(state.stages) if state is not None else (),
        scoring,
        shrink,
        settings.max_angle_deg,
    )
    if look.present is False:
        warn(
            f"{frame.source.path}: the query may be absent: the pixel most like it is "
            f"{seen.angle_deg:.1f} degrees away, more than --max-angle {settings.max_angle_deg:g}"
        )
    return look


def _warn_of_scale(query: Query, seen: Seen) -> None:
    factor = probable_factor(query.values, seen.mean)
    if factor is not None:
        warn(
            f"query '{query.name}' is about {1 / factor:g} of the cube's mean: is one in "
            f"reflectance and the other stored as whole numbers? --query-scale {factor:g} brings "
            "them together"
        )


def _mass_in(frame: Frame, attention: Attention, region: Path | None) -> float | None:
    """Weight on the pixels of a region."""
    if region is None:
        return None
    total = []
    with open_region(region, frame.source.info) as inside:
        for strip in strips(inside.bounds):
            rows = slice(strip.row, strip.row + strip.height)
            columns = slice(strip.column, strip.column + strip.width)
            weights = attention.weights(frame.scores[rows, columns])
            total.append(float(weights[inside.mask(strip)].sum()))
    return math.fsum(total)
