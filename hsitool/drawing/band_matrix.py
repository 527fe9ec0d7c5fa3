"""The picture of `attend self --axis bands`: the matrix of all bands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hsitool.drawing import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hsitool.tasks.attend_band_matrix import BandMatrix

TICKS = 8


def draw_band_matrix(found: BandMatrix) -> Figure:
    """One square a pair of bands, in the order of the cube."""
    figure = new_figure(7.5, 6.4)
    axes = figure.subplots()
    shown = axes.imshow(found.values, interpolation="nearest", **_colours(found))
    places = np.unique(np.linspace(0, len(found.bands) - 1, TICKS).round().astype(int)).tolist()
    known = found.wavelength_nm
    names = [str(found.bands[i]) if known is None else f"{known[i]:.0f}" for i in places]
    axes.set_xticks(places, names)
    axes.set_yticks(places, names)
    unit = "band" if known is None else "wavelength of the band in nm"
    axes.set_xlabel(unit)
    axes.set_ylabel(unit)
    axes.set_title(f"{found.what} of {len(found.bands)} bands", fontsize=10)
    figure.colorbar(shown, ax=axes, label=found.what)
    return figure


def _colours(found: BandMatrix) -> dict[str, Any]:
    """Blue to red about 0 for correlations."""
    if found.is_correlation:
        return {"cmap": "RdBu_r", "vmin": -1, "vmax": 1}
    return {"cmap": "viridis"}
