"""Attention to one cube: score, focus and gather, once or as a recurrence."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsitool.device import CPU, Device
from hsitool.engine.blocks import Progress
from hsitool.engine.plan import Budget
from hsitool.errors import DataError, UsageError
from hsitool.maths.attention.context import Context
from hsitool.maths.attention.heaviest import Heaviest, heaviest
from hsitool.maths.attention.recurrence import Recurrence, Stage
from hsitool.maths.attention.weights import Attention, Norm, focus_on
from hsitool.maths.scene.model import SceneModel, Shrink
from hsitool.maths.scene.scores import Method
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
from hsitool.tasks.query import warn_of_scale
from hsitool.tasks.ridge import shrinks_of
from hsitool.tasks.stats import fit_scene, model_of, refuse_two_backgrounds

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
    for option, angle in (
        ("--max-angle", settings.max_angle_deg),
        ("--max-drift", settings.max_drift_deg),
    ):
        if not angle >= 0:  # NaN, too
            raise UsageError(f"{option} {angle:g} is no angle: give degrees, from 0 on")
    refuse_two_backgrounds(settings.model, settings.background)


@contextmanager
def look_at(
    source: CubeReader,
    settings: MaskSettings,
    asked: Asked | None,
    target: Path,
    *,
    carried: Query | None = None,
    budget: Budget | None = None,
    device: Device = CPU,
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
        device: where spectra are computed with.
        progress: told of every tile of every pass.

    Raises:
        UsageError: settings that cannot be carried out.
        DataError: no pixel has data, a file cannot serve, or a recurrence goes astray.
        DeviceError: the device fails.
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
        frame = stack.enter_context(open_frame(source, bands, target, budget, progress, device))
        frame.without = None if query is None else query.pixel
        if settings.needs_model and model is None:
            model = fit_scene(frame.pixels, settings.background, frame.budget, progress)
        elif model is not None:
            model = model.of_cube(0, bands)
        shrink = _shrink(frame, settings, query, model)
        scoring_of = _scorings(stack, frame, settings, model, shrink)
        yield _looked(frame, settings, query, shrink, _turns(frame, settings, query, scoring_of))


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


@dataclass(frozen=True, eq=False)
class _Turn:
    """One look, focus and gathering; `stage` where it is one of several."""

    scoring: Scoring
    seen: Seen
    attention: Attention
    context: Context
    stage: Stage | None = None


ScoringOf = Callable[[Floats | None], Scoring]
"""What scores pixels by a query, or without one."""


def _turns(
    frame: Frame, settings: MaskSettings, query: Query | None, scoring_of: ScoringOf
) -> list[_Turn]:
    """Look for the query, and again for what was seen where steps are asked for.

    Raises:
        DataError: the query goes astray.
    """
    if query is None or settings.steps == 1:
        return [_turn(frame, settings, scoring_of, None if query is None else query.values)]
    state, turns = Recurrence(query.values, settings.max_drift_deg), []
    for step in range(1, settings.steps + 1):
        turn = _turn(frame, settings, scoring_of, state.query)
        assert isinstance(turn.scoring, Likeness)
        drift = turn.scoring.angle_deg(turn.context.mean, query.values)
        moves = state.turn(f"step {step}", turn.context.mean, turn.attention.ess, drift)
        turns.append(replace(turn, stage=state.stages[-1]))
        if not moves:
            break
    return turns


def _turn(
    frame: Frame, settings: MaskSettings, scoring_of: ScoringOf, query: Floats | None
) -> _Turn:
    scoring = scoring_of(query)
    seen = frame.look(scoring, query)
    attention = focus_on(
        frame.scores, focus=settings.focus, temperature=settings.temperature, norm=settings.norm
    )
    near = seen.mean if query is None else query
    return _Turn(scoring, seen, attention, frame.gather(attention, near))


def _shrink(
    frame: Frame, settings: MaskSettings, query: Query | None, model: SceneModel | None
) -> Shrink | None:
    """How the covariance is made invertible, where scores need that: by the first query."""
    if model is None or settings.score == "edge":
        return None
    if settings.shrink is None and query is not None and settings.score in WHITENED:
        return shrinks_of(frame.pixels, query.values[:, None], model, frame.budget)[0][0]
    return settings.shrink or Shrink()


def _scorings(
    stack: ExitStack,
    frame: Frame,
    settings: MaskSettings,
    model: SceneModel | None,
    shrink: Shrink | None,
) -> ScoringOf:
    """How a query becomes scores; files stay open as long as the stack does."""
    background = None if model is None or shrink is None else model.background(shrink)
    alone: Scoring | None = None
    if settings.is_file:
        alone = stack.enter_context(scores_of_file(Path(settings.score), frame.source.info))
    elif settings.score == "edge" and model is not None:
        alone = Edges(np.linalg.eigh(model.covariance)[1][:, -1])
    elif settings.score == "rx" and background is not None:
        alone = Anomaly(background)
    method: Method = settings.score  # type: ignore[assignment]

    def scoring_of(query: Floats | None) -> Scoring:
        if alone is not None:
            return alone
        assert query is not None
        return Likeness(method, query, background)

    return scoring_of


def _looked(
    frame: Frame,
    settings: MaskSettings,
    query: Query | None,
    shrink: Shrink | None,
    turns: Sequence[_Turn],
) -> Look:
    """What the last turn saw; whether the material is there, the first one says."""
    last, attention = turns[-1], turns[-1].attention
    look = Look(
        frame,
        turns[0].seen,
        query,
        attention,
        last.context,
        heaviest(frame.scores, attention, mass=N90_MASS),
        heaviest(frame.scores, attention, count=max(1, round(attention.ess))),
        _mass_in(frame, attention, settings.background),
        tuple(turn.stage for turn in turns if turn.stage is not None),
        last.scoring,
        shrink,
        settings.max_angle_deg,
    )
    _warn(look)
    return look


def _warn(look: Look) -> None:
    """Tell what a user should know before the mask is believed."""
    path, angle = look.frame.source.path, look.seen.angle_deg
    if look.attention.note:
        warn(f"{path}: {look.attention.note}")
    if look.query is not None:
        warn_of_scale(look.query.name, look.query.values, look.seen.mean, "--query-scale")
    if look.present is False:
        told = (
            "no other pixel has an angle to it"
            if math.isinf(angle)
            else f"the pixel most like it is {angle:.1f} degrees away, more than --max-angle "
            f"{look.max_angle_deg:g}"
        )
        warn(f"{path}: the query may be absent: {told}")


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
