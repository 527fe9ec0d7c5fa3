"""Where the corners lie in the frame, how the board was turned, and its shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hsitool.drawing import COLORS
from hsitool.drawing.residuals import frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hsitool.maths.cameras.calibration_result import Calibration, Fit
    from hsitool.maths.cameras.camera import Floats

BLUE, ORANGE, GREEN, PINK, SKY, RED = COLORS
CELLS = 8
"""Of the grid over the frame, each way."""

MOST_NAMED = 7
"""Contours with a name each; more names would lie on one another where the difference is steep."""


def draw_coverage(figure: Figure, found: Calibration) -> None:
    """Corners in each cell of the frame."""
    figure.set_layout_engine("compressed")
    axes = figure.subplots()
    width, height = found.image_size
    x, y = np.concatenate([view.image_px for view in found.views]).T
    edges = np.linspace(-0.5, height - 0.5, CELLS + 1), np.linspace(-0.5, width - 0.5, CELLS + 1)
    counts, _, _ = np.histogram2d(y, x, bins=edges)
    shown = np.ma.masked_equal(counts, 0)
    image = axes.pcolormesh(edges[1], edges[0], shown, cmap="cividis", alpha=0.75)
    axes.plot(x, y, ".", color="black", markersize=1.5, rasterized=True)
    axes.set_facecolor("white")
    figure.colorbar(image, ax=axes, label="corners in a cell")
    share = 100 * found.coverage.frame_share
    axes.set_title(f"Coverage: {share:.0f} % of the cells hold a corner (empty ones are white)")
    frame(axes, found.image_size)


def draw_turns(figure: Figure, found: Calibration) -> None:
    """Tilt outwards and roll around, a point for each view."""
    axes: Any = figure.add_subplot(projection="polar")
    roll = np.radians([view.roll_deg for view in found.views])
    tilt = np.array([view.tilt_deg for view in found.views])
    axes.set_theta_direction(-1)  # rolls are clockwise in an image whose rows run down
    axes.plot(roll, tilt, "o", color=BLUE, markersize=8, alpha=0.75, markeredgecolor="black")
    axes.set_ylim(0, max(10.0, 1.15 * float(tilt.max())))
    axes.set_rlabel_position(_free_direction(roll))
    axes.yaxis.set_major_formatter("{x:g}°")
    axes.set_title("Tilt (outwards) and roll (around) of the board", pad=18)
    text = f"spread of tilt {found.coverage.tilt_spread_deg:.0f}°, of roll "
    axes.set_xlabel(text + f"{found.coverage.roll_spread_deg:.0f}° (modulo 180°)", labelpad=12)
    axes.grid(alpha=0.4)


def _free_direction(roll: Floats) -> float:
    """Degrees of the middle of the widest gap between rolls, where labels hide no point."""
    turned = np.sort(np.degrees(roll) % 360)
    gaps = np.diff(np.append(turned, turned[0] + 360))
    widest = int(np.argmax(gaps))
    return float((turned[widest] + gaps[widest] / 2) % 360)


def draw_board(figure: Figure, found: Calibration, size: tuple[float, float], unit: str) -> None:
    """Height and outline of the fitted board, its errors drawn larger; lengths are in `unit`."""
    figure.set_layout_engine("compressed")
    axes = figure.subplots()
    if found.free is None:
        axes.set_axis_off()
        text = "The board's shape was not fitted: that takes 8 views and --board-model auto or full"
        axes.text(0.5, 0.5, text, ha="center", va="center", wrap=True, fontsize=12)
        return
    fit = found.free.two
    shape, (width, height) = fit.board, size
    x, y = np.meshgrid(np.linspace(-1, 1, 61), np.linspace(-1, 1, 61))
    z = shape.bow_x_mm * (1 - x**2) + shape.bow_y_mm * (1 - y**2)
    height_map = axes.contourf(x * width / 2, y * height / 2, z, levels=12, cmap="cividis")
    figure.colorbar(height_map, ax=axes, label=f"height ({unit})")
    factor = _exaggeration(fit)
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]) * [width / 2, height / 2]
    drawn: dict[str, Any] = {"color": "black", "linewidth": 1}
    axes.plot(*corners.T, label="as drawn", **drawn)
    axes.plot(
        *_stretched(corners, fit, factor).T, "--", color=RED, linewidth=2, label=_label(factor)
    )
    reach = 1.25 * np.abs(corners).max(axis=0)
    axes.set(xlim=(-reach[0], reach[0]), ylim=(reach[1], -reach[1]), aspect="equal")
    axes.set(xlabel=f"along the rows ({unit})", ylabel=f"along the columns ({unit})")
    axes.set_title(_shape_text(fit, unit), fontsize=10)
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)


def _label(factor: float) -> str:
    return f"as fitted, aspect and shear {factor:g} times larger"


def _exaggeration(fit: Fit) -> float:
    """A power of ten that makes the larger of the stretch and the shear visible."""
    largest = max(abs(fit.board.aspect - 1), abs(fit.board.shear), 1e-6)
    return float(10 ** np.clip(np.floor(np.log10(0.2 / largest)), 0, 3))


def _stretched(corners: Floats, fit: Fit, factor: float) -> Floats:
    x, y = corners.T
    aspect, shear = 1 + factor * (fit.board.aspect - 1), factor * fit.board.shear
    return np.column_stack([x + shear * y, aspect * y])


def _shape_text(fit: Fit, unit: str) -> str:
    """Aspect, shear and bows with their standard errors, on two lines."""
    se = {name: fit.standard_error(name) for name in ("aspect", "shear", "bow_x", "bow_y")}
    board = fit.board
    return (
        f"aspect {board.aspect:.5f} ± {se['aspect']:.5f}, "
        f"shear {board.shear:+.5f} ± {se['shear']:.5f}\n"
        f"bow {board.bow_x_mm:+.3f} ± {se['bow_x']:.3f} {unit} along the rows, "
        f"{board.bow_y_mm:+.3f} ± {se['bow_y']:.3f} {unit} along the columns"
    )


def draw_uncertainty(figure: Figure, found: Calibration, sd_px: Floats) -> None:
    """How surely a direction is projected to its pixel, over the frame: (n, n) px."""
    figure.set_layout_engine("compressed")
    axes = figure.subplots()
    contours(figure, axes, found.image_size, sd_px, "standard error of a projected point (px)")
    x, y = np.concatenate([view.image_px for view in found.views]).T
    axes.plot(x, y, ".", color="white", markersize=1, alpha=0.6, rasterized=True)
    axes.set_title("Uncertainty of projection; dots are the corners")
    frame(axes, found.image_size)


def contours(
    figure: Figure, axes: Axes, image_size: tuple[int, int], values: Floats, label: str
) -> None:
    """Filled contours over the frame at 1, 2 and 5 times powers of ten: corners are far worse."""
    from matplotlib.colors import LogNorm

    width, height = image_size
    columns = np.linspace(0, width - 1, values.shape[1])
    rows = np.linspace(0, height - 1, values.shape[0])
    shown = np.ma.masked_invalid(values)
    levels = _levels(float(shown.min()), float(shown.max()))
    norm = LogNorm(levels[0], levels[-1])
    filled = axes.contourf(columns, rows, shown, levels=levels, cmap="cividis", norm=norm)
    lines = axes.contour(columns, rows, shown, levels=levels, colors="black", linewidths=0.6)
    axes.clabel(lines, _named(levels), fontsize=8, fmt="%g")
    bar = figure.colorbar(filled, ax=axes, label=label)
    bar.set_ticks(levels, labels=[f"{level:g}" for level in levels])


def _named(levels: list[float]) -> list[float]:
    """Those that have room for a name in the picture: of many, the powers of ten."""
    if len(levels) <= MOST_NAMED:
        return levels
    return [level for level in levels if f"{level:.1e}".startswith("1.0e")]


def _levels(low: float, high: float) -> list[float]:
    """Round numbers from below `low` to above `high`, in even ratios; more where these are near."""
    low, high = max(low, 1e-9), max(high, 1e-8)
    each = ("1", "2", "5") if high > 50 * low else ("1", "1.5", "2", "3", "5", "7")
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    steps = [float(f"{step}e{power}") for power in powers for step in each]
    first = max(i for i, step in enumerate(steps) if step <= low)
    last = min(i for i, step in enumerate(steps) if step >= high and i > first)
    return steps[first : last + 1]
