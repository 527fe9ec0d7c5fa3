"""`hsitool camera simulate`: what a planned shoot of a board will tell of fx and fy."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from hsitool.engine.pool import Progress, map_in_order
from hsitool.errors import DataError, UsageError
from hsitool.maths.cameras.calibration_request import FEWEST_VIEWS_FREE, Request
from hsitool.maths.cameras.calibration_result import Interval, Ratio, VerdictKey
from hsitool.maths.cameras.camera import BoardView, Floats
from hsitool.maths.cameras.simulation import (
    Foretold,
    Outcome,
    Shoot,
    carry_out,
    draw_scene,
    foretell,
    power,
)
from hsitool.maths.cameras.verdict import FEWEST_VIEWS

MOST_TRIALS = 100_000
FEWEST_GEOMETRIES = 200
"""Shoots whose geometry is looked at, however few are calibrated: power to about 1 point."""
GEOMETRIES_OF_ADVICE = 40
WORTH_SAYING = 0.8
"""An alternative must bring an error below this share of the plan's to be named."""
WANTED_POWER = 0.8
USUAL_TILT_DEG, USUAL_FILL = 40.0, 0.9
"""What alternatives go up to."""
MOST_VIEWS = 10_000
MOST_VIEWS_SIMULATED = 200
"""Beyond, the root is believed."""
ROUNDS_OF_VIEWS = 8
STEP_OF_VIEWS = 4 / 3
"""Errors of few views fall with about the power 1, of many with 1/2: this closes in on either."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What is to be simulated. `differences` are values of fx/fy - 1 to tell the power at."""

    shoot: Shoot
    asked: Request
    trials: int = 200
    seed: int = 0
    differences: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.trials <= MOST_TRIALS:
            raise UsageError(f"--trials {self.trials}: give 0 to {MOST_TRIALS}")
        if not 3 <= self.shoot.views <= MOST_VIEWS:
            raise UsageError(f"--views {self.shoot.views}: a calibration takes 3 to {MOST_VIEWS}")

    @property
    def frees_board(self) -> bool:
        """Whether `calib` will fit the board's shape."""
        board = self.shoot.board_mm
        view = BoardView("", np.zeros((len(board), 2)), board)
        return self.asked.frees_board([view] * self.shoot.views)

    @property
    def true_delta(self) -> float:
        """ln(fx px / fy py) of the simulated camera."""
        camera = self.shoot.camera
        return math.log(camera.fx / camera.fy) - self.asked.expected


@dataclass(frozen=True)
class Share:
    """A count of trials, with its 95 % interval (Wilson 1927)."""

    count: int
    of: int

    @property
    def value(self) -> float:
        """The share itself."""
        return self.count / self.of

    @property
    def interval(self) -> Interval:
        """What the share of endlessly many trials lies in."""
        z, n, p = 1.959964, self.of, self.value
        middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
        reach = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
        return max(middle - reach, 0.0), min(middle + reach, 1.0)


@dataclass(frozen=True)
class Forecast:
    """Of one model of the board, from the geometries alone: medians, and 90 % of the shoots.

    `detectable` is the difference that the F test at 5 % notices in 80 % of the shoots,
    `detectable_reported` that which calib's interval, the wider one, shows.
    """

    se_fx_px: float
    se_fy_px: float
    se_single_px: float
    se_delta: float
    se_delta_range: Interval
    bias_delta: float
    correlation: float
    detectable: float
    detectable_reported: float


@dataclass(frozen=True)
class PowerRow:
    """Probability of noticing that fx/fy - 1 is `difference`; of a false alarm where it is 0.

    `rigid` and `free` are predicted of the F test (noncentral F, over the geometries), `reported`
    of the interval that calib reports (linearised fits); `counted` is the share of trials whose
    interval excludes 0.
    """

    difference: float
    rigid: float
    free: float | None
    reported: float
    counted: Share | None


@dataclass(frozen=True)
class Coverage:
    """Shares of trials whose 95 % interval holds the true difference, by its kind."""

    ols: Share
    jackknife: Share
    reported: Share
    """The wider of the two, as `calib` reports it."""


@dataclass(frozen=True)
class Simulation:
    """What was found; shares are None where nothing was calibrated."""

    plan: Plan
    geometries: int
    fill_seen: tuple[float, float, float]
    """Least, mean and largest share of the width that the boards took."""
    rigid: Forecast
    free: Forecast | None
    coverage_rigid: Coverage | None
    coverage_free: Coverage | None
    verdicts: dict[VerdictKey, Share]
    failed: Share | None
    power: tuple[PowerRow, ...]
    views_needed: int | None
    """For a difference of `tol` to be noticed in 80 %; None where views do not bring it."""
    advice: tuple[str, ...] = field(default=())

    @property
    def judged(self) -> Forecast:
        """Of the board that the verdict rests on."""
        return self.free or self.rigid


@dataclass(frozen=True)
class _Trial:
    fill: Floats
    rigid: Foretold
    free: Foretold | None
    outcome: Outcome | None


def simulate(
    plan: Plan, *, workers: int | None = None, progress: Progress | None = None
) -> Simulation:
    """Draw shoots, foretell each, calibrate `plan.trials` of them, and count.

    Each trial has random numbers of its own, so the result does not depend on the workers.

    Raises:
        UsageError: no pose shows the whole board.
        DataError: such views do not determine the camera.
    """
    numbers = range(max(plan.trials, FEWEST_GEOMETRIES))
    trials = map_in_order(
        partial(_trial, plan), numbers, workers=workers or _cores(), progress=progress
    )
    rigid = _forecast([trial.rigid for trial in trials])
    free = _forecast([t.free for t in trials if t.free is not None]) if plan.frees_board else None
    outcomes = [trial.outcome for trial in trials if trial.outcome is not None]
    fill = np.concatenate([trial.fill for trial in trials])
    found = Simulation(
        plan,
        geometries=len(trials),
        fill_seen=(float(fill.min()), float(fill.mean()), float(fill.max())),
        rigid=rigid,
        free=free,
        coverage_rigid=_coverage([o.rigid for o in outcomes], plan.true_delta),
        coverage_free=_coverage([o.free for o in outcomes if o.free], plan.true_delta),
        verdicts=_verdicts(outcomes),
        failed=Share(plan.trials - len(outcomes), plan.trials) if plan.trials else None,
        power=tuple(_power_row(d, trials, outcomes, plan.true_delta) for d in plan.differences),
        views_needed=None,
    )
    return replace(found, views_needed=_views_needed(found), advice=_advice(found))


def _cores() -> int:
    import os

    return os.cpu_count() or 1


def _trial(plan: Plan, number: int) -> _Trial:
    rng = np.random.default_rng([plan.seed, number])
    scene = draw_scene(plan.shoot, rng)
    rigid = foretell(scene, plan.asked, rng, free_board=False)
    free = foretell(scene, plan.asked, rng, free_board=True) if plan.frees_board else None
    outcome = None
    if number < plan.trials:
        try:
            outcome = carry_out(scene, plan.asked, rng)
        except DataError:
            outcome = None  # counted as a calibration that failed
    return _Trial(scene.fill, rigid, free, outcome)


def _forecast(found: Sequence[Foretold]) -> Forecast:
    def middle(name: str) -> float:
        return float(np.median([getattr(one, name) for one in found]))

    se = np.array([one.se_delta for one in found])
    low, high = np.quantile(se, [0.05, 0.95])
    return Forecast(
        middle("se_fx_px"),
        middle("se_fy_px"),
        middle("se_single_px"),
        middle("se_delta"),
        (float(low), float(high)),
        middle("bias_delta"),
        middle("correlation"),
        _detectable(found),
        float(np.quantile([one.reach - one.error for one in found], WANTED_POWER)),
    )


def _mean_power(found: Sequence[Foretold], difference: float, *, biased: bool = True) -> float:
    """Over shoots: their standard errors differ."""
    se, dof, bias = (
        np.array([getattr(one, name) for one in found], np.float64)
        for name in ("se_delta", "dof", "bias_delta")
    )
    return float(power(se, dof, math.log1p(difference) + (bias if biased else 0 * bias)).mean())


def _detectable(found: Sequence[Foretold]) -> float:
    """Of independent noise alone: what a bias adds is no power."""
    from scipy.optimize import brentq  # type: ignore[import-untyped]

    largest = 20 * max(one.se_delta for one in found)
    return float(
        brentq(lambda d: _mean_power(found, d, biased=False) - WANTED_POWER, 0, largest, rtol=1e-4)
    )


def _coverage(ratios: Sequence[Ratio], true_delta: float) -> Coverage | None:
    if not ratios:
        return None
    kinds = ("interval_ols", "interval_jackknife", "interval")
    shares = []
    for kind in kinds:
        intervals = [getattr(ratio, kind) for ratio in ratios]
        held = sum(low <= true_delta <= high for low, high in intervals)
        shares.append(Share(held, len(ratios)))
    return Coverage(*shares)


def _verdicts(outcomes: Sequence[Outcome]) -> dict[VerdictKey, Share]:
    """The most frequent first."""
    counted = Counter(outcome.verdict for outcome in outcomes)
    return {key: Share(count, len(outcomes)) for key, count in counted.most_common()}


def _power_row(
    difference: float, trials: Sequence[_Trial], outcomes: Sequence[Outcome], true_delta: float
) -> PowerRow:
    """Errors do not depend on so small a difference: the trials' intervals move along with it."""
    rigid = [trial.rigid for trial in trials]
    free = [trial.free for trial in trials if trial.free is not None]
    moved = math.log1p(difference) - true_delta
    ratios = [outcome.free or outcome.rigid for outcome in outcomes]
    noticed = sum(not _holds_zero(ratio.interval, moved) for ratio in ratios)
    return PowerRow(
        difference,
        _mean_power(rigid, difference),
        _mean_power(free, difference) if free else None,
        _reported_power(free or rigid, difference),
        Share(noticed, len(outcomes)) if outcomes else None,
    )


def _reported_power(found: Sequence[Foretold], difference: float) -> float:
    """Share of drawn intervals that exclude 0."""
    moved = math.log1p(difference)
    noticed = [abs(moved + one.bias_delta + one.error) > one.reach for one in found]
    return float(np.mean(noticed))


def _holds_zero(interval: Interval, moved: float) -> bool:
    return interval[0] + moved <= 0 <= interval[1] + moved


def _views_needed(found: Simulation) -> int | None:
    """Errors shrink about with the root of the number of views; those of a wrong board do not.

    Few views are worse than that, so the first guess is looked at and corrected.
    """
    plan, tol = found.plan, found.plan.asked.tol
    if abs(found.judged.bias_delta) > tol / 2:
        return None
    views, noticed = plan.shoot.views, found.judged.detectable_reported
    for _ in range(ROUNDS_OF_VIEWS):
        by_root = views * math.pow(noticed / tol, 2)
        if views >= MOST_VIEWS_SIMULATED <= by_root:
            return math.ceil(by_root) if by_root <= MOST_VIEWS else None
        wanted = max(math.ceil(views * math.pow(noticed / tol, STEP_OF_VIEWS)), FEWEST_VIEWS)
        if abs(wanted - views) <= 1:
            return max(views, wanted)
        views = min(wanted, MOST_VIEWS_SIMULATED)
        then = _alternative(plan, replace(plan.shoot, views=views))
        if then is None:
            return None
        noticed = then.detectable_reported
    return views


def _advice(found: Simulation) -> tuple[str, ...]:
    """What the numbers of alternatives speak for."""
    plan, said = found.plan, []
    shoot, now = plan.shoot, found.judged
    if shoot.roll != "half":
        gain = _alternative(plan, replace(shoot, roll="half")) or now
        if gain.detectable_reported < WORTH_SAYING * now.detectable_reported:
            said.append(
                "turn the board by 90 degrees in half of the views (--roll half): differences "
                f"from {_percent(gain.detectable_reported)} on show, instead of "
                f"{_percent(now.detectable_reported)}"
            )
    if shoot.tilt_deg[1] < USUAL_TILT_DEG:
        tilted = replace(shoot, tilt_deg=(shoot.tilt_deg[0], USUAL_TILT_DEG))
        said += _better_f(now, _alternative(plan, tilted), "tilt the board by up to 40 degrees")
    if shoot.depth_mm is None and shoot.fill[1] < USUAL_FILL:
        filled = replace(shoot, fill=(shoot.fill[0], USUAL_FILL))
        words = "let the board fill up to 90 % of the width"
        said += _better_f(now, _alternative(plan, filled), words)
    if abs(found.rigid.bias_delta) > found.rigid.se_delta:
        said.append(
            "measure the print both ways: taken as drawn, it moves the difference by "
            f"{100 * found.rigid.bias_delta:+.3f} %, more than noise does"
        )
    if plan.asked.board_model == "auto" and shoot.views < FEWEST_VIEWS_FREE:
        said.append(
            f"take {FEWEST_VIEWS_FREE} views or more: from then on calib fits the board's shape, "
            "and can tell a stretched print from a difference of fx and fy"
        )
    return tuple(said)


def _better_f(now: Forecast, then: Forecast | None, words: str) -> list[str]:
    if then is None or then.se_single_px >= WORTH_SAYING * now.se_single_px:
        return []
    return [f"{words}: f to {then.se_single_px:.2g} px, instead of {now.se_single_px:.2g} px"]


def _percent(value: float) -> str:
    return f"{100 * value:.2g} %"


def _alternative(plan: Plan, shoot: Shoot) -> Forecast | None:
    """Another shoot's forecast, with the board model of the verdict; None where none is possible.

    Its random numbers are its own, so that advice changes nothing else.
    """
    other, found = replace(plan, shoot=shoot), []
    for number in range(GEOMETRIES_OF_ADVICE):
        rng = np.random.default_rng([plan.seed, number, 1])
        try:
            scene = draw_scene(shoot, rng)
            found.append(foretell(scene, plan.asked, rng, free_board=other.frees_board))
        except (UsageError, DataError):
            return None
    return _forecast(found)
