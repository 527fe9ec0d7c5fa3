"""The picture of `tune`: scores against windows, noise against wavelength."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsitool.drawing import COLORS, MARKERS, check_plot, new_figure, save_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hsitool.tasks.tune import TuneReport


def draw_tuning(report: TuneReport, path: Path, overwrite: bool = False) -> None:
    """Draw scores against windows, and the noise of the bands.

    Raises:
        UsageError: as `check_plot`.
        DataError: it cannot be written.
    """
    check_plot(path, overwrite)
    figure = new_figure()
    scores, noise = figure.subplots(1, 2)
    _draw_scores(scores, report)
    _draw_noise(noise, report)
    save_picture(figure, path, overwrite)


def _draw_scores(axes: Axes, report: TuneReport) -> None:
    """One line a degree, the best candidate in a ring."""
    degrees = sorted({tried.degree for tried in report.candidates})
    for number, degree in enumerate(degrees):
        tried = [c for c in report.candidates if c.degree == degree]
        style: dict[str, Any] = {
            "color": COLORS[number % len(COLORS)],
            "marker": MARKERS[number % len(MARKERS)],
        }
        axes.plot(
            [c.window for c in tried], [c.score for c in tried], label=f"degree {degree}", **style
        )
    best = report.best
    name = f"best: window {best.window}, degree {best.degree}"
    ring: dict[str, Any] = {"markersize": 14, "markerfacecolor": "none", "markeredgecolor": "black"}
    axes.plot([best.window], [best.score], "o", label=name, **ring)
    if all(tried.score > 0 for tried in report.candidates):
        axes.set_yscale("log")
    what = "smoothing" if report.deriv == 0 else f"derivative {report.deriv}"
    axes.set_title(f"Estimated error of {what}, {report.pixels} pixels")
    axes.set_xlabel("window (bands)")
    axes.set_ylabel("mean squared error" + (f", ({report.unit})²" if report.unit else ""))
    axes.grid(alpha=0.3)
    axes.legend()


def _draw_noise(axes: Axes, report: TuneReport) -> None:
    """The standard deviation of every band that has one."""
    known = [(b, s) for b, s in enumerate(report.noise_std) if s is not None]
    where = report.wavelength_nm or [b + 1 for b in range(len(report.noise_std))]
    axes.plot([where[b] for b, _ in known], [s for _, s in known], ".", color=COLORS[0])
    axes.set_title(f"Noise, correlation of adjacent bands {report.noise_correlation.first:.2g}")
    axes.set_xlabel("wavelength (nm)" if report.wavelength_nm else "band")
    axes.set_ylabel("standard deviation" + (f", {report.noise_unit}" if report.noise_unit else ""))
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
