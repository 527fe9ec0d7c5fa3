"""One focal length or two: the pair (fx, fy) and the intervals of their difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hsitool.drawing import COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hsitool.maths.cameras.calibration_result import Calibration, Fit
    from hsitool.maths.cameras.camera import Floats

BLUE, ORANGE, GREEN, PINK, SKY, RED = COLORS


def draw_focal(figure: Figure, found: Calibration) -> None:
    """The ellipse of (fx, fy) beside the intervals of their difference."""
    pair, intervals = figure.subplots(1, 2, width_ratios=(1, 1.25))
    _draw_pair(pair, found)
    _draw_intervals(intervals, found)


def _draw_pair(axes: Axes, found: Calibration) -> None:
    """The region of the pair, the line of equality, and the box of the separate intervals.

    The region is scaled so that its shadow in any direction is the 95 % interval there: the line
    misses it exactly where the interval of the difference excludes 0.
    """
    fit = found.reported.two
    middle = np.array([fit.value("fx"), fit.value("fy")])
    covariance = _wider(fit) * _reach(found) ** 2
    box = np.sqrt(np.diag(covariance))
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]) * box + middle
    axes.plot(*corners.T, "--", color=ORANGE, label="box of separate intervals")
    axes.fill(*_ellipse(middle, covariance).T, color=BLUE, alpha=0.25)
    axes.plot(*_ellipse(middle, covariance).T, color=BLUE, label="fx and fy together")
    axes.plot(*middle, "o", color=BLUE, label="estimate")
    reach = 1.25 * float(max(*box, abs(_off_line(found)) / 1.2))
    ends = middle[0] + reach * np.array([-4, 4])
    name = "equal f: fx · px = fy · py" if found.sensor.known else "equal f: fx = fy"
    axes.plot(ends, ends / found.aspect, color="black", linewidth=1.2, label=name)
    limits = (middle[0] - reach, middle[0] + reach), (middle[1] - reach, middle[1] + reach)
    axes.set(xlim=limits[0], ylim=limits[1], xlabel="fx (px)", ylabel="fy (px)", aspect="equal")
    axes.ticklabel_format(useOffset=False, style="plain")
    axes.locator_params(nbins=5)
    axes.set_title(f"fx and fy, correlation {found.reported.ratio.correlation:.3f}")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)


def _reach(found: Calibration) -> float:
    """Half of the interval of the difference in standard errors: 1.96 or Student's t."""
    ratio = found.reported.ratio
    return (ratio.interval[1] - ratio.interval[0]) / 2 / ratio.wider_se


def _off_line(found: Calibration) -> float:
    """How far, in px of fx, the estimate is from the line of equality."""
    fit = found.reported.two
    return fit.value("fx") - fit.value("fy") * found.aspect


def _wider(fit: Fit) -> Floats:
    """Covariance (2, 2) of fx and fy: of the method that gives their ratio the wider interval."""
    places = [fit.names.index("fx"), fit.names.index("fy")]
    pair = np.ix_(places, places)
    contrast = np.array([1 / fit.value("fx"), -1 / fit.value("fy")])
    options = [c[pair] for c in (fit.covariance, fit.covariance_jackknife)]
    known = [c for c in options if np.isfinite(c).all()]
    chosen: Floats = max(known, key=lambda c: float(contrast @ c @ contrast))
    return chosen


def _ellipse(middle: Floats, covariance: Floats) -> Floats:
    """(n, 2) px on the ellipse of one standard error in every direction."""
    angle = np.linspace(0, 2 * np.pi, 361)
    values, vectors = np.linalg.eigh(covariance)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    edge: Floats = middle + circle * np.sqrt(np.maximum(values, 0)) @ vectors.T
    return edge


def _draw_intervals(axes: Axes, found: Calibration) -> None:
    """Every interval of the relative difference, in per cent, against the tolerance."""
    rows = _intervals(found)
    tol = 100 * found.tol
    axes.axvspan(-tol, tol, color=GREEN, alpha=0.15, label=f"tolerance ±{tol:g} %")
    axes.axvline(0, color="black", linewidth=1.2)
    for place, (_, low, high, middle, color) in enumerate(rows):
        style: dict[str, Any] = {"color": color, "capsize": 5, "linewidth": 2, "markersize": 7}
        error = [[100 * (middle - low)], [100 * (high - middle)]]
        axes.errorbar([100 * middle], [place], xerr=error, fmt="o", **style)
    axes.set_yticks(range(len(rows)), [row[0] for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    names = "(fx · px) / (fy · py)" if found.sensor.known else "fx / fy"
    axes.set_xlabel(f"difference of the focal lengths, ln[{names}] (%)")
    axes.set_title("95 % intervals of the difference" if found.alpha == 0.05 else "Intervals")
    axes.grid(alpha=0.3, axis="x")
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16))


def _intervals(found: Calibration) -> list[tuple[str, float, float, float, str]]:
    """Label, lower and upper end, middle, colour."""
    rows: list[tuple[str, float, float, float, str]] = []
    for name, fit in (("board as drawn", found.rigid), ("board's shape free", found.free)):
        if fit is None:
            continue
        ratio = fit.ratio
        color = BLUE if fit is found.rigid else PINK
        rows.append((f"{name}:\nindependent noise", *ratio.interval_ols, ratio.delta, color))
        if np.isfinite(ratio.interval_jackknife).all():
            rows.append((f"{name}:\njackknife", *ratio.interval_jackknife, ratio.delta, color))
    ratio, two = found.reported.ratio, found.reported.two
    apart = _reach(found) * float(
        np.hypot(
            two.standard_error("fx") / two.value("fx"), two.standard_error("fy") / two.value("fy")
        )
    )
    name = "misleading: separate\nstandard deviations"
    rows.append((name, ratio.delta - apart, ratio.delta + apart, ratio.delta, ORANGE))
    return rows
