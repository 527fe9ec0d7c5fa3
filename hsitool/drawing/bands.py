"""Focal length and image centre of a camera's bands over wavelength."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hsitool.drawing import COLORS, check_plot, new_figure, save_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hsitool.maths.cameras.camera import Floats
    from hsitool.tasks.calib_bands import BandsRun
    from hsitool.tasks.calib_rig import RigRun

BLUE, ORANGE, GREEN, PINK, SKY, RED = COLORS
WIDTH, HEIGHT = 10.0, 3.2
"""Inches of one of the pictures that stand above each other."""
APART = 0.004
"""Of the range of the axis, so that markers of x and y stand side by side."""


def save_bands(run: BandsRun | RigRun, path: Path, overwrite: bool = False) -> None:
    """Draw all bands, or all lenses of a rig, into a file.

    Raises:
        UsageError: as `check_plot`.
        DataError: it cannot be written.
    """
    check_plot(path, overwrite)
    figure = new_figure(WIDTH, height_of(run))
    draw_by_band(figure, run)
    save_picture(figure, path, overwrite)


def height_of(run: BandsRun | RigRun) -> float:
    """Inches of the whole figure."""
    return HEIGHT * (2 + getattr(run, "radial", False)) + 0.4


def draw_by_band(figure: Figure, run: BandsRun | RigRun) -> None:
    """All bands, or all lenses."""
    from hsitool.tasks.calib_bands import BandsRun

    if isinstance(run, BandsRun):
        draw_bands(figure, run)
    else:
        draw_rig(figure, run)


def draw_rig(figure: Figure, run: RigRun) -> None:
    """f_b / f_ref of each lens, and where it stands against the reference."""
    nm, numbers = run.corners.wavelength_nm, run.corners.numbers
    others = [(place, c) for place, c in run.cameras if place != run.reference]
    where = np.array([float(numbers[p]) if nm is None else nm[p] for p, _ in others])
    focal, apart = figure.subplots(2, 1, sharex=True)
    ratio = [100 * (camera.f_ratio - 1) for _, camera in others]
    reach = [100 * (camera.f_interval[1] - camera.f_ratio) for _, camera in others]
    _bars(focal, where, ratio, reach, ("o", BLUE, "95 % interval"))
    focal.set_ylabel("f / f_ref − 1 (%)")
    base = float(numbers[run.reference]) if nm is None else nm[run.reference]
    for axes in (focal, apart):
        axes.plot([base], [0], "s", color="black", markersize=6, label="reference")
    for axis, (name, marker) in enumerate((("x", "<"), ("y", "^"), ("z", "o"))):
        shift = [float(camera.translation_mm[axis]) for _, camera in others]
        errors = [1.96 * float(camera.place_errors[3 + axis]) for _, camera in others]
        _bars(apart, where, shift, errors, (marker, COLORS[axis], f"{name}, 1.96 se"))
    apart.set_ylabel(f"place ({run.corners.unit})")
    called = run.corners.called(run.reference)
    focal.set_title(f"Focal length and place of each lens against {called}")
    _finish([focal, apart], nm is not None)


def draw_bands(figure: Figure, run: BandsRun) -> None:
    """f_b / f_ref, the shift of the image centre, and dk1 where it was fitted."""
    rows = 2 + run.radial
    panels = np.atleast_1d(figure.subplots(rows, 1, sharex=True))
    _draw_focal(panels[0], run)
    _draw_pair(panels[1], run, (2, 3), "shift of the image centre (px)", ("dcx", "dcy"))
    if run.radial:
        _draw_pair(panels[2], run, (4,), "change of k1", ("dk1",))
    _finish(list(panels), run.corners.wavelength_nm is not None)


def _finish(panels: list[Axes], in_nm: bool) -> None:
    """What all panels have: a line at 0, a grid, their names."""
    panels[-1].set_xlabel("wavelength (nm)" if in_nm else "band")
    panels[-1].locator_params(axis="x", integer=True)
    for axes in panels:
        axes.axhline(0, color="#888888", linewidth=0.8, zorder=0)
        axes.grid(alpha=0.3)
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(handles, labels, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _places(run: BandsRun) -> tuple[Floats, float]:
    """Where the compared bands stand on the axis, and where the reference does."""
    nm = run.corners.wavelength_nm
    where = [float(n) for n in run.corners.numbers] if nm is None else list(nm)
    found = [where[place] for place, r in enumerate(run.results) if r.shift is not None]
    return np.array(found), where[run.corners.reference]


def _draw_focal(axes: Axes, run: BandsRun) -> None:
    """e with its 95 % intervals and the curve through it; e_x and e_y beside."""
    where, reference = _places(run)
    shifts = [shift for _, shift in run.fitted]
    percent = 100.0
    step = APART * max(float(np.ptp(np.append(where, reference))), 1.0)
    for place, marker, side, name in ((0, "<", -1, "along x"), (1, "^", 1, "along y")):
        values = [percent * shift.values[place] for shift in shifts]
        style: dict[str, Any] = {"color": SKY if place == 0 else PINK, "markersize": 4}
        axes.plot(where + side * step, values, marker, label=name, alpha=0.8, **style)
    _bars(
        axes,
        where,
        [percent * shift.e for shift in shifts],
        [percent * shift.reach_e for shift in shifts],
        ("o", BLUE, "both, 95 % interval"),
    )
    if run.curve is not None:
        ends = np.append(where, reference)
        nm = np.linspace(ends.min(), ends.max(), 300)
        middle, reach = run.curve.relative(nm, reference)
        name = "Cauchy's formula" if run.curve.kind == "cauchy" else "quadratic"
        axes.plot(nm, percent * middle, color=ORANGE, linewidth=1.3, label=f"{name}, 95 %")
        low, high = percent * (middle - reach), percent * (middle + reach)
        axes.fill_between(nm, low, high, color=ORANGE, alpha=0.2, linewidth=0)
    axes.plot([reference], [0], "s", color="black", markersize=6, label="reference")
    called = run.corners.called(run.corners.reference)
    axes.set_title(f"Focal length and image centre against {called}")
    axes.set_ylabel("f / f_ref − 1 (%)")


def _draw_pair(
    axes: Axes,
    run: BandsRun,
    places: tuple[int, ...],
    label: str,
    names: tuple[str, ...],
) -> None:
    """Values along x and y with their 95 % intervals."""
    where, reference = _places(run)
    step = APART * max(float(np.ptp(np.append(where, reference))), 1.0) * (len(places) > 1)
    looks = (("<", BLUE), ("^", RED))
    for number, (place, name) in enumerate(zip(places, names, strict=True)):
        values = [shift.values[place] for _, shift in run.fitted]
        reach = [shift.reach[place] for _, shift in run.fitted]
        _bars(axes, where + (2 * number - 1) * step, values, reach, (*looks[number], name))
    axes.plot([reference], [0], "s", color="black", markersize=6, label="reference")
    axes.set_ylabel(label)


def _bars(
    axes: Axes,
    where: Floats,
    values: list[float],
    reach: list[float],
    style: tuple[str, str, str],
) -> None:
    marker, color, name = style
    axes.errorbar(
        where,
        values,
        yerr=reach,
        fmt=marker,
        color=color,
        markersize=4,
        elinewidth=1,
        capsize=2,
        label=name,
    )
