"""The picture of `attend mask` and `attend self`: weights over the scene."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hsitool.drawing import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from hsitool.tasks.attend_view import View

COLORMAP = "plasma"  # told apart by the colour-blind, and from most scenes
FAINT = 1e-3
"""Weights below, over the peak, are not shown."""

NO_DATA = 0.85  # of white
LENGTHS = (1, 2, 5)
SIDE_IN = 7.0
MOST_ACROSS = 3
"""Panels beside each other."""


def draw_overlay(*views: View) -> Figure:
    """The scene alone, and with the weights of each view over it."""
    rows, columns = views[0].weights.shape
    width = max(SIDE_IN * min(1.0, columns / rows), 2.5)
    height = max(SIDE_IN * min(1.0, rows / columns), 2.0)
    across = min(1 + len(views), MOST_ACROSS)
    down = -(-(1 + len(views)) // across)
    figure = new_figure(across * width + 1.6, down * height + 1.1)
    panels = figure.subplots(down, across, squeeze=False).reshape(-1)
    for axes in panels[1 + len(views) :]:
        axes.set_visible(False)
    scene, seen = panels[0], panels[1 : 1 + len(views)]
    _draw_scene(scene, views[0])
    scene.set_title("R {}, G {}, B {}".format(*views[0].bands), fontsize=10)
    _draw_scale(scene, views[0])
    for axes, view in zip(seen, views, strict=True):
        _draw_scene(axes, view)
        shown = _draw_weights(axes, view)
        axes.set_title(view.title, fontsize=10)
        _draw_mark(axes, view)
    figure.colorbar(shown, ax=list(seen), label="weight / largest weight", shrink=0.8)
    return figure


def _draw_mark(axes: Axes, view: View) -> None:
    """A ring about the query, which its own weight would hide."""
    if view.mark is not None:
        row, column = view.mark
        for colour, width in (("black", 3.0), ("white", 1.2)):
            axes.plot(
                [column], [row], "o", markersize=11, markerfacecolor="none",
                markeredgecolor=colour, markeredgewidth=width,
            )  # fmt: skip


def _draw_scene(axes: Axes, view: View) -> None:
    axes.imshow(_filled(view), interpolation="nearest", **_frame(view))
    axes.set_xlabel("column")
    axes.set_ylabel("row")


def _filled(view: View) -> NDArray[np.float64]:
    """The image, grey where any of its bands has no data."""
    absent = np.isnan(view.image).any(axis=2, keepdims=True)
    return np.where(absent, NO_DATA, view.image)


def _frame(view: View) -> dict[str, Any]:
    """Axes count pixels of the cube, whose centres are whole numbers."""
    rows, columns = view.weights.shape
    return {"extent": (-0.5, columns * view.step - 0.5, rows * view.step - 0.5, -0.5)}


def _draw_weights(axes: Axes, view: View) -> Any:
    """Colour by weight, on a pale grey scene, which even small weights stand out from."""
    grey = _filled(view).mean(axis=2)
    axes.imshow(grey, cmap="gray", vmin=-1.2, vmax=1, interpolation="nearest", **_frame(view))
    opacity = np.clip(0.5 + np.sqrt(view.weights) / 2, 0, 1) * (view.weights >= FAINT)
    return axes.imshow(
        view.weights,
        cmap=COLORMAP,
        vmin=0,
        vmax=1,
        alpha=opacity,
        interpolation="nearest",
        **_frame(view),
    )


def _draw_scale(axes: Axes, view: View) -> None:
    """A bar of about a quarter of the width, with its length."""
    columns = view.weights.shape[1] * view.step
    size = view.pixel_m or 1.0
    length = _round_length(columns * size / 4)
    unit = "px" if view.pixel_m is None else "m"
    label = f"{length / 1000:g} km" if unit == "m" and length >= 1000 else f"{length:g} {unit}"
    at = (0.04, -0.16)
    share = length / size / columns
    bar: dict[str, Any] = {"transform": axes.transAxes, "color": "black", "clip_on": False}
    axes.plot([at[0], at[0] + share], [at[1]] * 2, linewidth=3, solid_capstyle="butt", **bar)
    axes.text(at[0] + share + 0.02, at[1], label, va="center", fontsize=9, transform=axes.transAxes)


def _round_length(length: float) -> float:
    """1, 2 or 5 times a power of ten, the largest up to it."""
    power = 10.0 ** np.floor(np.log10(length))
    return float(max(n * power for n in LENGTHS if n * power <= length * (1 + 1e-9)))
