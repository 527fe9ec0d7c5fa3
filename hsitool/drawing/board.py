"""A calibration board at its true size, with rulers along two edges."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hsitool.drawing import check_plot, new_figure, save_picture
from hsitool.errors import UsageError
from hsitool.tasks.camera_board import CAPTION_MM, RULER_MM, Sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.path import Path as Outline

    from hsitool.maths.boards.ink import Floats, Ink

MM_PER_INCH, POINTS_PER_MM = 25.4, 72 / 25.4
LINE_POINTS = 0.4
TICKS_MM = {10: 3.2, 5: 2.4, 1: 1.6}
"""Length of the ticks at multiples of so many mm."""
NUMBERS_AWAY_MM = 4.8
NUMBER_POINTS, LARGEST_TEXT_POINTS, LINES_APART_MM = 5.0, 7.5, 2.9
MOST_DPI, MOST_PIXELS = 2400, 200_000_000


def draw_sheet(sheet: Sheet, path: Path, overwrite: bool = False, dpi: int = 300) -> None:
    """Write a .pdf, .svg or .png that is as large as the page; `dpi` is for .png.

    Raises:
        UsageError: as `check_plot`, or too many pixels.
        DataError: it cannot be written.
    """
    check_sheet(sheet, path, overwrite, dpi)
    width, height = sheet.page_mm
    figure = new_figure(width / MM_PER_INCH, height / MM_PER_INCH)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    _draw_ink(axes, sheet)
    _draw_rulers(axes, sheet)
    _draw_caption(axes, sheet)
    save_picture(figure, path, overwrite, dpi)


def check_sheet(sheet: Sheet, path: Path, overwrite: bool, dpi: int) -> None:
    """Refuse what could not be written.

    Raises:
        UsageError: as `draw_sheet`.
    """
    check_plot(path, overwrite)
    pixels = np.prod([side / MM_PER_INCH * dpi for side in sheet.page_mm])
    if not 10 <= dpi <= MOST_DPI or (path.suffix.lower() == ".png" and pixels > MOST_PIXELS):
        raise UsageError(
            f"--dpi {dpi} on a page of {sheet.page_mm[0]:g} x {sheet.page_mm[1]:g} mm: give 10 to "
            f"{MOST_DPI}, and at most {MOST_PIXELS / 1e6:g} million pixels; .pdf has none"
        )


def _draw_ink(axes: Axes, sheet: Sheet) -> None:
    """One shape, so that no viewer shows seams between its parts."""
    from matplotlib.patches import PathPatch

    patch = PathPatch(_outline(sheet.ink, sheet.origin_mm), facecolor="black", linewidth=0)
    patch.set_snap(False)  # pixels of a .png shall be as dark as they are covered
    patch.set_gid("board")
    axes.add_patch(patch)


def _outline(ink: Ink, origin: tuple[float, float]) -> Outline:
    from matplotlib.path import Path as Outline

    at = np.array(origin)
    codes = [Outline.MOVETO, *[Outline.LINETO] * 3, Outline.CLOSEPOLY]
    boxes = [Outline(_ring(box) + at, codes) for box in ink.boxes]
    discs = [Outline.circle((x + at[0], y + at[1]), radius) for x, y, radius in ink.discs]
    return Outline.make_compound_path(*boxes, *discs)


def _ring(box: Floats) -> Floats:
    left, top, right, bottom = box
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)])


def _draw_rulers(axes: Axes, sheet: Sheet) -> None:
    left, top, _, bottom = sheet.extent_mm
    across, down = sheet.rulers_mm
    start = np.array([left, bottom + sheet.quiet_mm])
    _draw_ruler(axes, "ruler-x", start, across, np.array([1.0, 0]), np.array([0, 1.0]))
    start = np.array([left - sheet.quiet_mm, top])
    _draw_ruler(axes, "ruler-y", start, down, np.array([0, 1.0]), np.array([-1.0, 0]))


def _draw_ruler(
    axes: Axes, name: str, start: Floats, length: float, along: Floats, out: Floats
) -> None:
    """A line with ticks every millimetre, and a number every centimetre."""
    from matplotlib.collections import LineCollection

    ticks = np.arange(0, round(length) + 1)
    sizes = [next(size for step, size in TICKS_MM.items() if tick % step == 0) for tick in ticks]
    feet = start + ticks[:, None] * along
    lines = [np.array([start, start + length * along])]
    lines += [np.array([foot, foot + size * out]) for foot, size in zip(feet, sizes, strict=True)]
    drawn = LineCollection(lines, colors="black", linewidths=LINE_POINTS, capstyle="butt")
    drawn.set_gid(name)
    axes.add_collection(drawn)
    for tick, foot in zip(ticks, feet, strict=True):
        if tick % 10 == 0 or tick == ticks[-1]:
            x, y = foot + NUMBERS_AWAY_MM * out
            middle: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": NUMBER_POINTS}
            axes.text(x, y, f"{tick}", rotation=90 if out[0] else 0, **middle)


def _draw_caption(axes: Axes, sheet: Sheet) -> None:
    """Below the ruler, small enough to stay as wide as the page."""
    from matplotlib.textpath import TextPath

    left, _, _, bottom = sheet.extent_mm
    room = sheet.page_mm[0] - left - 3
    widest = max(TextPath((0, 0), line, size=10).get_extents().width for line in sheet.caption)
    points = min(LARGEST_TEXT_POINTS, 10 * room * POINTS_PER_MM / widest)
    y = bottom + sheet.quiet_mm + RULER_MM + CAPTION_MM / 2
    for place, line in enumerate(sheet.caption):
        offset = (place - (len(sheet.caption) - 1) / 2) * LINES_APART_MM
        axes.text(left, y + offset, line, fontsize=points, ha="left", va="center")
