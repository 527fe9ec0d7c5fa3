"""Pictures of results, by Matplotlib: it is imported here alone, when a picture is asked for."""

from __future__ import annotations

import logging
import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsitool.errors import UsageError
from hsitool.storage.atomic import PartFolder, refuse_existing, told_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hsitool.tasks.tune import TuneReport

COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
"""Okabe and Ito's colours, which the colour-blind can tell apart; markers differ as well."""

MARKERS = "osD^vP"

UNDATED: dict[str, dict[str, Any]] = {
    ".png": {},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}
"""What is left out of a picture so that it is the same every time, by the ending of its name."""


def check_plot(path: Path, overwrite: bool = False) -> None:
    """Refuse a picture that could not be written in the end.

    Raises:
        UsageError: an unknown ending, no Matplotlib, or the file exists.
    """
    if path.suffix.lower() not in UNDATED:
        raise UsageError(f"{path}: a plot is a picture: name it .png, .svg or .pdf")
    if find_spec("matplotlib") is None:
        raise UsageError("a plot needs Matplotlib: pip install matplotlib")
    refuse_existing([path], overwrite)


def draw_tuning(report: TuneReport, path: Path, overwrite: bool = False) -> None:
    """Draw scores against windows, and the noise of the bands.

    Raises:
        UsageError: as `check_plot`.
        DataError: it cannot be written.
    """
    check_plot(path, overwrite)
    figure = _figure()
    scores, noise = figure.subplots(1, 2)
    _draw_scores(scores, report)
    _draw_noise(noise, report)
    _save(figure, path, overwrite)


def _figure() -> Figure:
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it would talk of its font cache

    from matplotlib import rcParams
    from matplotlib.figure import Figure

    rcParams["svg.hashsalt"] = "hsitool"
    return Figure(figsize=(11, 4.5), layout="constrained")


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


def _save(figure: Figure, path: Path, overwrite: bool) -> None:
    """Write the picture whole or not at all."""
    target = Path(os.path.realpath(path))
    refuse_existing([target], overwrite)
    folder = PartFolder(target)
    try:
        part = folder.path / f"picture{path.suffix.lower()}"
        with told_of(target):
            figure.savefig(part, dpi=150, metadata=UNDATED[path.suffix.lower()])
        folder.commit([(part, target)])
    except BaseException:
        folder.discard()
        raise
