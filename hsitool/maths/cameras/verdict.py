"""Are fx and fy one focal length? One verdict of six, by rules of which the first match wins."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hsitool.maths.cameras.calibration_result import Interval, Ratio, Verdict
from hsitool.maths.cameras.camera import BoardShape

FEWEST_VIEWS = 5
BOARD_STANDS_OUT = 3.0
"""Standard errors by which a board's aspect must differ from 1 to be named."""
CAUSES = (
    "images resized by different factors along x and y",
    "pixels that are not square, or another pitch than the data sheet's",
    "a board that is not printed to scale in both directions",
)


@dataclass(frozen=True)
class BoardAspect:
    """The free board's shape with the standard error of its aspect, and its size in mm."""

    shape: BoardShape
    se: float
    size_mm: tuple[float, float]

    @property
    def stands_out(self) -> bool:
        """Whether the aspect differs from 1 by more than noise."""
        return abs(self.shape.aspect - 1) > BOARD_STANDS_OUT * self.se


@dataclass(frozen=True)
class Evidence:
    """What the verdict rests on: ratios with a rigid and (or None) a free board."""

    views: int
    tol: float
    rigid: Ratio
    free: Ratio | None
    aspect: BoardAspect | None
    focal: str
    """The single focal length in words."""


def judge(evidence: Evidence) -> Verdict:
    """The first rule that holds."""
    rigid, tol = evidence.rigid, evidence.tol
    best = evidence.free or rigid
    unequal, inside = not _holds_zero(best.interval), _inside(best.interval, tol)
    # Where a free board tells enough, errors of the rigid one are the board's: not too few views.
    vague = rigid.detectable > tol and best.detectable > tol
    if evidence.views < FEWEST_VIEWS or (_holds_zero(rigid.interval) and vague):
        return _too_few(evidence)
    if unequal and not inside:
        return _different(best, tol)
    if unequal:
        return _different_below(evidence, best)
    if inside or _inside(rigid.interval, tol):
        return _equal(evidence, best if inside else rigid)
    if not _holds_zero(rigid.interval):
        return _not_separable(evidence, rigid, best)
    return _undecided(best, tol)


def _holds_zero(interval: Interval) -> bool:
    return interval[0] <= 0 <= interval[1]


def _inside(interval: Interval, tol: float) -> bool:
    return -tol < interval[0] and interval[1] < tol


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %"


def _difference(ratio: Ratio) -> str:
    low, high = ratio.interval
    return f"{100 * ratio.delta:+.3f} % (95 % interval {100 * low:+.3f} to {100 * high:+.3f} %)"


def _too_few(evidence: Evidence) -> Verdict:
    """Errors shrink with the root of the number of views."""
    detectable, tol = evidence.rigid.detectable, evidence.tol
    wanted = max(math.ceil(evidence.views * (detectable / tol) ** 2), FEWEST_VIEWS)
    sentence = (
        f"too few views: {evidence.views} show a difference of fx and fy from "
        f"{_percent(detectable)} on, and {_percent(tol)} was asked for; about {wanted} views like "
        "these would do"
    )
    if wanted <= evidence.views or detectable <= tol:
        sentence = (
            f"too few views: {evidence.views} are too few to tell errors of whole views from "
            f"noise; take at least {FEWEST_VIEWS}"
        )
    return Verdict("too_few_views", sentence)


def _different(best: Ratio, tol: float) -> Verdict:
    sentence = (
        f"fx and fy differ by {_difference(best)}, which may exceed {_percent(tol)}; possible "
        f"causes: {'; '.join(CAUSES)}"
    )
    return Verdict("different", sentence, CAUSES)


def _different_below(evidence: Evidence, best: Ratio) -> Verdict:
    sentence = (
        f"fx and fy differ by {_difference(best)}, less than the {_percent(evidence.tol)} that "
        f"matter: one focal length, {evidence.focal}, may serve"
    )
    return Verdict("different_below_tolerance", sentence)


def _equal(evidence: Evidence, ratio: Ratio) -> Verdict:
    condition = "" if ratio is evidence.free else ", if the board is true"
    sentence = (
        f"fx and fy are equal within {_percent(evidence.tol)}{condition}: they differ by "
        f"{_difference(ratio)}; one focal length, {evidence.focal}, serves"
    )
    return Verdict("equal", sentence)


def _not_separable(evidence: Evidence, rigid: Ratio, best: Ratio) -> Verdict:
    sentence = (
        f"fx and fy differ by {_difference(rigid)} if the board is true, by {_difference(best)} "
        "if it may be stretched: not separable from the board's aspect; rotate the board by 90 "
        "degrees in half of the views"
    )
    aspect, causes = evidence.aspect, CAUSES[2:]
    if aspect is not None and aspect.stands_out:
        sentence += f" ({_named(aspect)})"
    return Verdict("not_separable", sentence, causes)


def _named(aspect: BoardAspect) -> str:
    width, height = aspect.size_mm
    return (
        f"the print is stretched by {100 * (aspect.shape.aspect - 1):+.2f} +- "
        f"{100 * aspect.se:.2f} % along its y axis, which would explain it; measure "
        f"{width:g} mm this way and {height:g} mm that way with a caliper"
    )


def _undecided(best: Ratio, tol: float) -> Verdict:
    sentence = (
        f"undecided: fx and fy differ by {_difference(best)}; differences from "
        f"{_percent(best.detectable)} on can be seen, and {_percent(tol)} was asked for"
    )
    return Verdict("undecided", sentence)
