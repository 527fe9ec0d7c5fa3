"""How sure a fit is: covariance, jackknife over views, and the test of fx against fy.

The jackknife takes one Newton step for each view left out (Efron 1982, The Jackknife, section 3,
with the linearisation of Cook and Weisberg 1982); its errors hold for views that are each off in
their own way, where least squares takes every corner's error as independent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special  # type: ignore[import-untyped]

from hsitool.errors import DataError
from hsitool.maths.cameras.bundle import Reduced, scaled_inverse, scaled_solve
from hsitool.maths.cameras.calibration_result import Fit, Interval, Ratio
from hsitool.maths.cameras.camera import Floats

DETECTABLE = 2.8
"""Standard errors: found in 80 % of calibrations by a test at 5 %, z(0.975) + z(0.8)."""
FEWEST_FOR_JACKKNIFE = 3


@dataclass(frozen=True, eq=False)
class Sureness:
    """Covariances of a fit's parameters, and what each view does to them."""

    covariance: Floats
    """(p, p)"""
    jackknife: Floats
    """(p, p), NaN below 3 views."""
    influence: Floats
    """(views, p) change of the parameters when a view is left out; NaN where undetermined."""
    dof: int


def sureness(reduced: Reduced, points: int) -> Sureness:
    """Of a converged fit with `points` that count.

    Raises:
        DataError: the views do not determine the parameters.
    """
    views, p = reduced.gradient.shape
    dof = 2 * points - p - 6 * views
    if dof < 1:
        raise DataError(
            f"{points} points in {views} views are too few for {p} parameters and the poses; "
            "add views"
        )
    inverse = scaled_inverse(reduced.information.sum(axis=0))
    influence = left_out(reduced)
    return Sureness(reduced.cost / dof * inverse, _jackknife(influence), influence, dof)


def left_out(reduced: Reduced) -> Floats:
    """(views, p) D_i = (S - S_i)^-1 g_i, NaN where the others do not determine the parameters."""
    others = reduced.information.sum(axis=0) - reduced.information
    try:
        return scaled_solve(others, reduced.gradient)
    except DataError:
        return np.full_like(reduced.gradient, np.nan)


def _jackknife(influence: Floats) -> Floats:
    views, p = influence.shape
    if views < FEWEST_FOR_JACKKNIFE:
        return np.full((p, p), np.nan)
    centred = influence - influence.mean(axis=0)
    found: Floats = (views - 1) / views * centred.T @ centred
    return found


def contrast(fx: float, fy: float, parameters: int) -> Floats:
    """(p,) derivative of delta = ln fx - ln fy, with fx and fy the first two parameters."""
    found = np.zeros(parameters)
    found[:2] = 1 / fx, -1 / fy
    return found


def ratio(two: Fit, single: Fit, expected: float, alpha: float) -> Ratio:
    """What two fits of the same points say of ln(fx / fy) - `expected`."""
    fx, fy = two.values[:2]
    row = contrast(fx, fy, len(two.values))
    delta = float(np.log(fx / fy) - expected)
    se = float(np.sqrt(row @ two.covariance @ row))
    jackknife_se = float(np.sqrt(row @ two.covariance_jackknife @ row))
    views = len(two.poses)
    critical = float(special.stdtrit(views - 1, 1 - alpha / 2)) if views > 1 else np.nan
    ols = _around(delta, se * float(special.stdtrit(two.dof, 1 - alpha / 2)))
    jackknife = _around(delta, jackknife_se * critical)
    f = max((single.sse_px2 - two.sse_px2) / two.sigma_px**2, 0.0)
    n = 2 * two.points
    return Ratio(
        delta=delta,
        se=se,
        jackknife_se=jackknife_se,
        interval_ols=ols,
        interval_jackknife=jackknife,
        interval=_wider(ols, jackknife),
        z=delta / se,
        p_wald=float(2 * special.ndtr(-abs(delta / se))),
        f_statistic=f,
        p_f=float(special.fdtrc(1, two.dof, f)),
        jackknife_t=delta / jackknife_se,
        jackknife_critical=critical,
        bic_difference=float(n * np.log(single.sse_px2 / two.sse_px2) - np.log(n)),
        correlation=float(_correlation(two.covariance)),
        inflation=jackknife_se / se,
        detectable=DETECTABLE * float(np.nanmax([se, jackknife_se])),
    )


def _around(middle: float, reach: float) -> Interval:
    return (middle - reach, middle + reach)


def _wider(one: Interval, other: Interval) -> Interval:
    """The wider of two; the first where the second is NaN."""
    return other if other[1] - other[0] > one[1] - one[0] else one


def _correlation(covariance: Floats) -> float:
    return float(covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]))
