"""The picture of `attend bands`: spectra of target and background, and the bands that tell them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hsitool.drawing import COLORS, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from hsitool.tasks.band_choice import BandChoice, Halves

PICKED: dict[str, Any] = {"color": "black", "linewidth": 0.8, "linestyle": (0, (4, 3))}
GAP = 4.0
"""A step of more than so many median steps breaks a line."""

NEAR = 0.03
"""Of the width: labels closer than this stand at different heights."""

SEEN = 1e-3
"""Of the largest weight: smaller ones have no dot."""


def draw_bands(choice: BandChoice) -> Figure:
    """Spectra above, below them the weights of the bands and what halves of the target pick."""
    figure = new_figure(9, 6 if choice.halves is None else 6.8)
    heights = (3, 1.8) if choice.halves is None else (3, 1.8, 0.7)
    parts = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    _draw_spectra(parts[0], choice)
    _draw_weights(parts[1], choice)
    if choice.halves is not None:
        _draw_halves(parts[2], choice, choice.halves)
    known = choice.source.info.wavelength_nm is not None
    parts[-1].set_xlabel("wavelength (nm)" if known else "band")
    return figure


def _places(choice: BandChoice) -> NDArray[np.float64]:
    """Where bands in use lie."""
    known = choice.source.info.wavelength_nm
    return np.array([known[b] if known else b + 1 for b in choice.bands], np.float64)


def _broken(at: NDArray[np.float64], *lines: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Places and lines in order, with NaN where bands are missing."""
    order = np.argsort(at, kind="stable")
    steps = np.diff(at[order])
    far = np.flatnonzero(steps > GAP * np.median(steps)) + 1 if len(steps) else np.zeros(0, int)
    return [np.insert(values[order], far, np.nan) for values in (at, *lines)]


def _draw_spectra(axes: Axes, choice: BandChoice) -> None:
    at, (low, high) = _places(choice), (choice.mean - choice.std, choice.mean + choice.std)
    x, below, above = _broken(at, low, high)
    axes.fill_between(x, below, above, color=COLORS[0], alpha=0.15, linewidth=0)
    axes.plot(*_broken(at, choice.mean), color=COLORS[0], label="background, mean ± sd")
    if choice.target is not None:
        name, values = choice.target.query.name, choice.target.query.values
        axes.plot(*_broken(at, values), color=COLORS[5], label=f"target, {name}")
    _number(axes, at, choice.chosen)
    units = choice.source.info.units
    unit = units[choice.bands[0]] if units else ""
    axes.set_ylabel(f"value ({unit})" if unit else "value")
    axes.grid(alpha=0.3)
    axes.legend(loc="best")


def _number(axes: Axes, at: NDArray[np.float64], chosen: tuple[int, ...]) -> None:
    """A line at each chosen band, with the place it has in the order of choosing."""
    near = NEAR * np.ptp(at)
    heights: list[int] = []
    for number, place in enumerate(chosen):
        apart = np.abs(at[list(chosen[:number])] - at[place])
        taken = {heights[n] for n in np.flatnonzero(apart < near)}
        heights.append(next(n for n in range(len(chosen)) if n not in taken))
        axes.axvline(at[place], **PICKED)
        axes.annotate(
            str(number + 1),
            (at[place], 1),
            (0, 3 + 11 * heights[-1]),
            xycoords=axes.get_xaxis_transform(),
            textcoords="offset points",
            ha="center",
        )


def _draw_weights(axes: Axes, choice: BandChoice) -> None:
    at, seen = _places(choice), choice.weights > SEEN * choice.weights.max()
    axes.vlines(at[seen], 0, choice.weights[seen], color=COLORS[2], linewidth=2)
    axes.plot(at[seen], choice.weights[seen], "o", color=COLORS[2], markersize=4)
    axes.set_ylim(0, 1.08 * float(choice.weights.max()))
    axes.set_ylabel("share of the gain" if choice.gains else "weight")
    axes.grid(alpha=0.3)


def _draw_halves(axes: Axes, choice: BandChoice, halves: Halves) -> None:
    at = _places(choice)
    for level, (picks, color) in enumerate(
        ((halves.second, COLORS[3]), (halves.first, COLORS[4]), (choice.chosen, "black"))
    ):
        axes.plot(at[list(picks)], [level] * len(picks), "d", color=color)
    axes.set_yticks([0, 1, 2], ["second half", "first half", "all pixels"])
    axes.set_ylim(-0.6, 2.6)
    agree = f"which agree on {halves.agree} of {len(halves.first)} bands"
    axes.set_title(f"Picks of the target's pixels and of their halves, {agree}", fontsize=10)
    axes.grid(alpha=0.3)
