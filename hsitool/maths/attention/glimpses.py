"""Hard attention: crops of an image around places, or around pixels drawn by their weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hsitool.device import array_module, on_cpu
from hsitool.errors import DataError, UsageError
from hsitool.maths.attention.around import Around, Valid
from hsitool.maths.attention.crops import Crops, Edge, Place, crop, pixel_of
from hsitool.maths.attention.draws import draw

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Glimpses:
    """Crops of an image, and where their centres were drawn.

    Attributes:
        chips: (glimpses, bands, height, width) where the image lives, of its type.
        row: (glimpses,) of the centres.
        column: likewise.
        logp: (glimpses,) of the density of each centre, given those before.
    """

    chips: Any
    row: Floats
    column: Floats
    logp: Floats


def glimpses(
    image: Any,
    *,
    size: int | tuple[int, int],
    at: Place | None = None,
    weights: ArrayLike | None = None,
    sigma: float | None = None,
    count: int = 1,
    seed: int = 0,
    edge: Edge = "reject",
    replace: bool = False,
) -> Glimpses:
    """Crop an image (bands, rows, columns), a NumPy or CuPy array, around a place or many.

    Args:
        image: samples of NaN or infinity are missing, and no pixel with one becomes a centre.
        size: (height, width) in pixels, or both.
        at: (row, column) around which all are drawn.
        weights: or (rows, columns) attention weights by which a pixel is drawn for each.
        sigma: standard deviation around it in pixels; by default its crop is taken as it is.
        count: how many.
        seed: of the random numbers, which are the same wherever the image lives.
        edge: what becomes of crops that leave the image; padded with NaN, or 0 in whole numbers.
        replace: whether a pixel may be drawn by its weight again.

    Raises:
        UsageError: neither or both of `at` and `weights`, or a size, sigma or edge that is none.
        DataError: too few pixels have data and a weight, or no crop can be had.
    """
    height, width = (size, size) if isinstance(size, int) else size
    crops = Crops(int(image.shape[1]), int(image.shape[2]), height, width, edge)
    known = on_cpu(array_module(image).isfinite(image).all(axis=0))

    def valid(rows: range, columns: range) -> Flags:
        return known[rows.start : rows.stop, columns.start : columns.stop]

    rng = np.random.default_rng(seed)
    if (at is None) == (weights is None):
        raise UsageError("give a place, or weights to draw places by: one of them")
    if at is not None:
        places, before = [at] * count, np.zeros(count)
    else:
        masked = masked_weights(np.asarray(on_cpu(weights), np.float64), crops, sigma, known)
        drawn = draw(lambda: [masked], count, rng, replace=replace)
        places = [divmod(int(index), crops.columns) for index in drawn.index]
        before = drawn.logp
    centres, logp = around(places, sigma, crops, valid, rng)
    chips = array_module(image).stack([crop(image, crops, centre) for centre in centres])
    row, column = np.array(centres, np.float64).reshape(-1, 2).T
    return Glimpses(chips, row, column, before + logp)


def masked_weights(
    weights: Floats, crops: Crops, sigma: float | None, known: Flags | None, first: int = 0
) -> Floats:
    """Weights of some rows, from `first` on, of the pixels that places may be; 0 for others."""
    rows, columns = crops.reachable(sigma)
    kept = np.zeros_like(weights)
    inside = slice(max(rows.start - first, 0), max(rows.stop - first, 0))
    kept[inside, columns.start : columns.stop] = weights[inside, columns.start : columns.stop]
    return kept if known is None else np.where(known, kept, 0.0)


def around(
    places: Sequence[Place],
    sigma: float | None,
    crops: Crops,
    valid: Valid | None,
    rng: np.random.Generator,
) -> tuple[list[Place], Floats]:
    """Centres drawn around places, one each, and the logarithms of their densities.

    Without `sigma` they are the places themselves, of probability 1.

    Raises:
        UsageError: `sigma` is no number above 0.
        DataError: a place has no data, or no crop can be had around it.
    """
    for place in dict.fromkeys(places):
        _refuse_place(place, crops, valid, sigma)
    if sigma is None:
        return list(places), np.zeros(len(places))
    centres, logp = [], []
    near: Around | None = None
    for place in places:
        if near is None or near.place != place:
            near = Around(place, sigma, crops, valid)
        centres.append(near.draw(rng))
        logp.append(near.logp(centres[-1]))
    return centres, np.array(logp)


def _refuse_place(place: Place, crops: Crops, valid: Valid | None, sigma: float | None) -> None:
    row, column = map(pixel_of, place)
    if not (0 <= row < crops.rows and 0 <= column < crops.columns):
        raise UsageError(
            f"place row {place[0]:g}, column {place[1]:g} is outside the image of "
            f"{crops.rows} rows and {crops.columns} columns"
        )
    rows, columns = crops.centres
    if sigma is None and not (row in rows and column in columns):
        raise UsageError(
            f"the crop of {crops.height} x {crops.width} pixels around row {row}, column {column} "
            "leaves the image: give --edge shift or pad, or a smaller size"
        )
    if valid is not None and not valid(range(row, row + 1), range(column, column + 1))[0, 0]:
        raise DataError(f"the pixel at row {row}, column {column} has no data: name another place")
