"""Residuals of a calibration: by view, over the frame and against the radius."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hsitool.drawing import COLORS
from hsitool.tasks.calib_summary import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hsitool.maths.cameras.calibration_result import Calibration, ViewResult
    from hsitool.maths.cameras.camera import Floats

BLUE, ORANGE, GREEN, PINK, SKY, RED = COLORS
MOST_ROWS = 60
MOST_LETTERS = 28
MOST_ARROWS = 1500
RINGS = 12
"""Bins of the radius."""


def view_rows(found: Calibration) -> int:
    """How many views the bars show."""
    return min(len(found.views), MOST_ROWS)


def draw_views(figure: Figure, found: Calibration) -> None:
    """RMS of every view, and what leaving it out does to the difference of fx and fy."""
    views = sorted(found.views, key=lambda view: -view.rms_px)[:MOST_ROWS]
    shown = [view for view in found.views if view in views]
    left, right = figure.subplots(1, 2, sharey=True)
    _draw_rms(left, shown, found)
    if len(shown) < len(found.views):
        left.set_title(f"Residuals by view, the {len(shown)} largest of {len(found.views)}")
    _draw_influence(right, shown, found)
    names = [_short(printable(view.name)) + _left_out(view) for view in shown]
    left.set_yticks(range(len(shown)), names, fontsize=8 if len(shown) <= 30 else 6)
    for label in left.get_yticklabels():
        label.set_parse_math(False)  # a $ in a file's name is no formula
    left.set_ylim(len(shown) - 0.4, -0.6)


def _short(name: str) -> str:
    """The end of a name, which tells images apart better than its start."""
    return name if len(name) <= MOST_LETTERS else "…" + name[1 - MOST_LETTERS :]


def _left_out(view: ViewResult) -> str:
    return f" ({view.trimmed} left out)" if view.trimmed else ""


def _draw_rms(axes: Axes, views: Sequence[ViewResult], found: Calibration) -> None:
    rows = np.arange(len(views))
    axes.barh(rows, [view.rms_px for view in views], color=BLUE, label="RMS of the view")
    noise = [np.sqrt(2) * view.corner_noise_px for view in views]
    if np.isfinite(noise).any():
        style: dict[str, Any] = {"color": ORANGE, "markersize": 7, "markeredgecolor": "black"}
        axes.plot(noise, rows, "D", label="noise of its corners", **style)
    axes.axvline(found.rms_px, color="black", linestyle="--", linewidth=1, label="RMS of all")
    axes.set_xlabel("RMS per point (px)")
    axes.set_title("Residuals by view")
    axes.grid(alpha=0.3, axis="x")
    _legend_below(axes)


def _draw_influence(axes: Axes, views: Sequence[ViewResult], found: Calibration) -> None:
    """Leave-one-out change of delta, beside the standard error that it has to be compared with."""
    se = 100 * found.reported.ratio.wider_se
    axes.axvspan(-se, se, color=GREEN, alpha=0.15, label="± standard error of the difference")
    axes.barh(np.arange(len(views)), [100 * view.influence_delta for view in views], color=PINK)
    axes.axvline(0, color="black", linewidth=1)
    axes.set_xlabel("change of the difference of fx and fy (%)")
    axes.set_title("Influence: the view left out")
    axes.grid(alpha=0.3, axis="x")
    axes.tick_params(labelleft=False)
    _legend_below(axes)


def _legend_below(axes: Axes) -> None:
    height = float(axes.figure.get_figheight())  # type: ignore[union-attr]
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.62 / height), ncols=3)


def draw_vectors(figure: Figure, found: Calibration) -> None:
    """Residuals at their places in the frame, drawn longer than they are."""
    axes = figure.subplots()
    pixels, residual, used = _all_points(found)
    step = -(-int(used.sum()) // MOST_ARROWS)
    at, arrow = pixels[used][::step], residual[used][::step]
    typical = float(np.median(np.hypot(*arrow.T))) or 1e-9
    factor = 0.02 * found.image_size[0] / typical
    style: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "width": 0.0018}
    arrows = axes.quiver(*at.T, *arrow.T, color=BLUE, scale=1 / factor, rasterized=True, **style)
    axes.plot(*pixels[~used].T, "x", color=RED, markersize=6)
    length = _round(3 * typical)
    axes.quiverkey(arrows, 0.88, 1.03, length, f"{length:g} px", labelpos="E", coordinates="axes")
    axes.plot(found.camera.cx, found.camera.cy, "+", color="black", markersize=12)
    every = f", one of {step}" if step > 1 else ""
    left_out = f", {int((~used).sum())} left out (crosses)" if not used.all() else ""
    axes.set_title(f"Residuals ({factor:.0f} times longer){every}{left_out}", loc="left")
    frame(axes, found.image_size)


def _round(value: float) -> float:
    """1, 2 or 5 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(power * max(step for step in (1, 2, 5) if step * power <= value))


def frame(axes: Axes, image_size: tuple[int, int]) -> None:
    """The axes of the image: columns to the right, rows down."""
    width, height = image_size
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), aspect="equal")
    axes.set(xlabel="column (px)", ylabel="row (px)")


def draw_radius(figure: Figure, found: Calibration) -> None:
    """The part of each residual that points outwards: what a wrong lens model bends."""
    axes = figure.subplots()
    pixels, residual, used = _all_points(found)
    away = pixels - [found.camera.cx, found.camera.cy]
    radius = np.hypot(*away.T)
    outward = np.sum(away * residual, axis=1) / np.maximum(radius, 1e-9)
    style: dict[str, Any] = {"markersize": 2.5, "alpha": 0.5, "rasterized": True}
    axes.plot(radius[used], outward[used], ".", color=SKY, label="a corner", **style)
    if not used.all():
        axes.plot(radius[~used], outward[~used], "x", color=RED, label="left out", markersize=5)
    centre, mean, error = _ring_means(radius[used], outward[used])
    axes.errorbar(
        centre, mean, 2 * error, fmt="o-", color=BLUE, capsize=4, label="mean of a ring, ± 2 se"
    )
    axes.axhline(0, color="black", linewidth=1)
    reach = 1.3 * float(np.quantile(np.abs(outward[used]), 0.995)) or 1.0
    axes.set_ylim(-reach, reach)
    axes.axvline(found.image_size[0] / 2, color="gray", linestyle=":", label="half the width")
    axes.set(xlabel="radius from the principal point (px)", ylabel="outward residual (px)")
    axes.set_title("Residual against radius")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=4)


def _ring_means(radius: Floats, outward: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean radius, mean and its standard error of rings that hold as many corners each."""
    rings = np.array_split(np.argsort(radius), RINGS)
    kept = [ring for ring in rings if len(ring) > 1]
    centre = np.array([radius[ring].mean() for ring in kept])
    mean = np.array([outward[ring].mean() for ring in kept])
    error = np.array([outward[ring].std(ddof=1) / np.sqrt(len(ring)) for ring in kept])
    return centre, mean, error


def _all_points(found: Calibration) -> tuple[Floats, Floats, Any]:
    """(n, 2) px observed, (n, 2) px projected minus observed, (n,) whether used."""
    return (
        np.concatenate([view.image_px for view in found.views]),
        np.concatenate([view.residual_px for view in found.views]),
        np.concatenate([view.used for view in found.views]),
    )
