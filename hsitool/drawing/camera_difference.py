"""The picture of `camera diff`: how far apart two cameras are, and which way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hsitool.drawing import check_plot, new_figure, save_picture
from hsitool.drawing.poses import contours
from hsitool.drawing.residuals import frame

if TYPE_CHECKING:
    from hsitool.maths.cameras.difference import CameraDifference

ARROWS_APART = 3
"""Nodes from arrow to arrow."""


def draw_difference(found: CameraDifference, path: Path, overwrite: bool = False) -> None:
    """Draw lengths as contours and directions as arrows.

    Raises:
        UsageError: as `check_plot`.
        DataError: it cannot be written.
    """
    check_plot(path, overwrite)
    width, height = found.image_size
    figure = new_figure(10, min(max(8.4 * height / width, 2.5), 12) + 0.9)
    figure.set_layout_engine("compressed")
    axes = figure.subplots()
    contours(figure, axes, found.image_size, found.lengths, "difference (px)")
    some = (slice(None, None, ARROWS_APART),) * 2
    at, arrow = found.pixels[some].reshape(-1, 2), found.moved[some].reshape(-1, 2)
    seen = np.isfinite(arrow).all(axis=1)
    factor = 0.05 * width / max(found.max_px, 1e-12)
    style: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "width": 0.0018}
    axes.quiver(*at[seen].T, *arrow[seen].T, color="black", scale=1 / factor, **style)
    axes.set_title(f"Second camera against first: {found.rms_px:.3g} px RMS, arrows {factor:.3g}x")
    frame(axes, found.image_size)
    save_picture(figure, path, overwrite)
