"""Are fx and fy one focal length? One verdict of six, by rules of which the first match wins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hsitool.maths.cameras.calibration_result import Finding, Interval, Ratio, Verdict
from hsitool.maths.cameras.camera import BoardShape

FEWEST_VIEWS = 5
BOARD_STANDS_OUT = 3.0
"""Standard errors by which a board's aspect must differ from 1 to be named."""
SCANNER = "pushbroom"
"""Key of the finding that asks whether these are a line scanner's images."""
ROUNDING = 1e-9
"""Relative difference of two focal lengths that arithmetic alone makes."""
CAUSES = (
    "images resized by different factors along x and y",
    "pixels that are not square, or another pitch than the data sheet's",
    "a board that is not printed to scale in both directions",
)


@dataclass(frozen=True)
class BoardAspect:
    """The free board's shape with the standard error of its aspect, and its size in `unit`."""

    shape: BoardShape
    se: float
    size: tuple[float, float]
    unit: str = "mm"

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
    vague = detectable(rigid, evidence.free) > tol
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


def qualified(verdict: Verdict, findings: Sequence[Finding]) -> Verdict:
    """The same; its sentence says first if the fit is bad, and asks whether there is a camera."""
    severe = [finding for finding in findings if finding.severe]
    if not severe:
        return verdict
    scanner = next((f"{finding.text}; else " for finding in severe if finding.key == SCANNER), "")
    sentence = f"bad fit, not to be relied on: {scanner}{verdict.sentence}"
    return replace(verdict, sentence=sentence)


def detectable(rigid: Ratio, free: Ratio | None) -> float:
    """Smallest relative difference that the views would show, with the better of both boards.

    Where a free board tells enough, errors of the rigid one are the board's: views are not few.
    """
    return min(rigid.detectable, math.inf if free is None else free.detectable)


def _holds_zero(interval: Interval) -> bool:
    return interval[0] <= ROUNDING and interval[1] >= -ROUNDING


def _inside(interval: Interval, tol: float) -> bool:
    return -tol < interval[0] and interval[1] < tol


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %"


def _difference(ratio: Ratio) -> str:
    delta, low, high = (100 * math.expm1(end) for end in (ratio.delta, *ratio.interval))
    return f"{delta:+.3f} % (95 % interval {low:+.3f} to {high:+.3f} %)"


def _too_few(evidence: Evidence) -> Verdict:
    """Errors shrink with the root of the number of views."""
    seen, tol = detectable(evidence.rigid, evidence.free), evidence.tol
    wanted = max(math.ceil(evidence.views * (seen / tol) ** 2), FEWEST_VIEWS)
    sentence = (
        f"too few views: {evidence.views} show a difference of fx and fy from "
        f"{_percent(seen)} on, and {_percent(tol)} was asked for; about {wanted} views like "
        "these would do"
    )
    if wanted <= evidence.views or seen <= tol:
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
    width, height = aspect.size
    return (
        f"the print is stretched by {100 * (aspect.shape.aspect - 1):+.2f} +- "
        f"{100 * aspect.se:.2f} % along its y axis, which would explain it; measure "
        f"{width:g} {aspect.unit} this way and {height:g} {aspect.unit} that way with a caliper"
    )


def _undecided(best: Ratio, tol: float) -> Verdict:
    sentence = (
        f"undecided: fx and fy differ by {_difference(best)}; differences from "
        f"{_percent(best.detectable)} on can be seen, and {_percent(tol)} was asked for"
    )
    return Verdict("undecided", sentence)
