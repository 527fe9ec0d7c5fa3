"""Attention as a picture: a few bands of the cube, and the weights, at the size of a screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsitool.cube import CubeInfo, Tile
from hsitool.engine.blocks import fold_blocks
from hsitool.engine.plan import Budget
from hsitool.errors import UsageError
from hsitool.maths.attention.weights import Attention
from hsitool.maths.spectra.missing import MissingRule
from hsitool.storage.raw import Block
from hsitool.storage.readers import CubeReader
from hsitool.tasks.attend_look import Look
from hsitool.tasks.bands import find_band

Floats = NDArray[np.float64]

LONGEST = 2048
"""Pixels of the longer side of a picture, at most."""

TRUE_COLOUR_NM = (650.0, 550.0, 450.0)
STRETCH = (2.0, 98.0)
"""Percentiles that become black and white."""


@dataclass(frozen=True, eq=False)
class View:
    """What to draw.

    Attributes:
        image: (rows, columns, 3) from 0 to 1; NaN where there is no data.
        weights: (rows, columns) the largest of the pixels that each stands for, over the peak.
        step: pixels of the cube in one of the picture, along rows and columns.
        bands: what red, green and blue are, for people.
        pixel_m: size of a pixel of the cube in metres, or None.
        title: what was looked for.
        mark: row and column of a pixel of the cube to mark, or None.
    """

    image: Floats
    weights: Floats
    step: int
    bands: tuple[str, str, str]
    pixel_m: float | None
    title: str
    mark: tuple[int, int] | None = None


def view_of(look: Look, rgb: str | None) -> View:
    """The view of a look; arguments and errors as of `views_of`."""
    frame = look.frame
    shown = Shown(frame.scores, look.attention, _title(look))
    return views_of(frame.source, frame.pixels.bands[0], [shown], rgb, frame.budget)[0]


@dataclass(frozen=True, eq=False)
class Shown:
    """Scores (rows, columns), what makes weights of them, a title, and row and column of a mark."""

    scores: Floats
    attention: Attention
    title: str
    mark: tuple[int, int] | None = None


def views_of(
    source: CubeReader, used: list[int], shown: Sequence[Shown], rgb: str | None, budget: Budget
) -> list[View]:
    """Views of one scene, each with other weights.

    `rgb` names three bands, as `find_band` does; by default those nearest to true colour, or
    three spread over the bands `used` (from 0).

    Raises:
        UsageError: not three bands.
        DataError: the cube cannot be read.
    """
    info = source.info
    bands = _bands(info, rgb, used)
    step = -(-max(info.rows, info.columns) // LONGEST)
    thin = _thinned(source, budget, bands, step)
    image = np.stack([_stretched(band) for band in thin], axis=-1)
    first, second, third = (_name(info, band) for band in bands)
    return [
        View(
            image,
            _largest(one, step),
            step,
            (first, second, third),
            _pixel_m(info),
            one.title,
            one.mark,
        )
        for one in shown
    ]


def _bands(info: CubeInfo, rgb: str | None, used: list[int]) -> list[int]:
    if rgb is not None:
        named = [find_band(info, text) for text in rgb.split(",")]
        if len(named) != 3:
            raise UsageError(f"--rgb '{rgb}' is not three bands, as 30,20,10 or 650nm,550nm,450nm")
        return named
    if (known := info.wavelength_nm) is not None:
        nearest = [min(used, key=lambda b: abs(known[b] - nm)) for nm in TRUE_COLOUR_NM]
        if len(set(nearest)) == 3 and abs(known[nearest[0]] - TRUE_COLOUR_NM[0]) < 50:
            return nearest
    return [used[int(part * (len(used) - 1))] for part in (0.8, 0.5, 0.2)]


def _thinned(source: CubeReader, budget: Budget, bands: list[int], step: int) -> Floats:
    """(3, rows, columns) every `step`th pixel, NaN where a sample is missing."""
    info, first = source.info, step // 2
    rule = MissingRule(info.dtype, info.nodata)
    shape = len(range(first, info.rows, step)), len(range(first, info.columns, step))
    image = np.full((len(bands), *shape), np.nan)

    def measure(tile: Tile, blocks: Sequence[Block]) -> None:
        start = [(first - at) % step for at in (tile.row, tile.column)]
        part = blocks[0][:, start[0] :: step, start[1] :: step]
        row, column = (tile.row + start[0]) // step, (tile.column + start[1]) // step
        inside = slice(row, row + part.shape[1]), slice(column, column + part.shape[2])
        image[:, *inside] = np.where(rule.mask(part), np.nan, part)

    def nothing(_: None, __: None) -> None:
        return None

    fold_blocks([source], measure, nothing, None, budget=budget, bands=bands)
    return image


def _stretched(band: Floats) -> Floats:
    """From 0 to 1 between percentiles."""
    known = band[np.isfinite(band)]
    if not known.size:
        return band
    low, high = np.percentile(known, STRETCH)
    stretched: Floats = np.clip((band - low) / (high - low if high > low else 1.0), 0.0, 1.0)
    return stretched


def _largest(shown: Shown, step: int) -> Floats:
    """(rows, columns) the largest mask of each square of `step` pixels: targets may be small."""
    height, width = shown.scores.shape
    columns = np.arange(0, width, step)
    rows = []
    for row in range(0, height, step):
        mask = shown.attention.shape(shown.scores[row : row + step])
        rows.append(np.maximum.reduceat(mask.max(axis=0), columns))
    shape = len(range(step // 2, height, step)), len(range(step // 2, width, step))
    return np.array(rows)[: shape[0], : shape[1]]


def _name(info: CubeInfo, band: int) -> str:
    if info.wavelength_nm is None:
        return f"band {band + 1}"
    return f"{info.wavelength_nm[band]:.0f} nm"


def _pixel_m(info: CubeInfo) -> float | None:
    """The width of a pixel where the grid is in metres."""
    from hsitool.storage.gdal import metres_per_unit

    if info.transform is None or info.crs is None:
        return None
    if (metres := metres_per_unit(info.crs)) is None:
        return None
    a, _, _, d, _, _ = info.transform
    return float(np.hypot(a, d)) * metres


def _title(look: Look) -> str:
    attention, query = look.attention, look.query
    what = "" if query is None else f"'{query.name}', "
    absent = " (may be absent)" if look.present is False else ""
    return f"{what}{attention.norm}, {attention.ess:.4g} of {look.seen.count} pixels{absent}"
