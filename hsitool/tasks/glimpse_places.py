"""Around which pixels glimpses lie: one that is named, drawn by attention, or in the best boxes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsitool.cube import CubeInfo, Tile
from hsitool.errors import DataError
from hsitool.maths.attention.around import Valid
from hsitool.maths.attention.boxes import best_boxes
from hsitool.maths.attention.crops import Crops, Edge, Place
from hsitool.maths.attention.draws import draw
from hsitool.maths.attention.glimpses import masked_weights
from hsitool.storage.regions import strips
from hsitool.tasks.attend_look import Look
from hsitool.tasks.attend_scores import scores_of_file

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

PIECE = 2**19
"""Pixels whose weights are drawn from at a time."""


@dataclass(frozen=True)
class GlimpseSettings:
    """What to draw: `count` crops of `size` (height, width), `sigma` pixels around their places.

    `best` takes the boxes of most weight, one for each crop, instead of drawing pixels by weight;
    `replace` lets a pixel be drawn again.
    """

    size: tuple[int, int]
    sigma: float | None = None
    count: int = 1
    seed: int = 0
    edge: Edge = "reject"
    best: bool = False
    replace: bool = False

    def crops(self, info: CubeInfo) -> Crops:
        """The crops that a cube has room for.

        Raises:
            UsageError: they are larger than the cube.
        """
        return Crops(info.rows, info.columns, *self.size, self.edge)


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """Weights of the pixels of an image.

    Attributes:
        info: of the image.
        weights: (height, width) of a tile, NaN where there is no data.
        name: where they come from.
    """

    info: CubeInfo
    weights: Callable[[Tile], Floats]
    name: str

    def strips(self) -> Iterator[tuple[Tile, Floats]]:
        """The weights of all pixels in some rows at a time, from the first row on."""
        return ((strip, self.weights(strip)) for strip in strips(self.info.whole, PIECE))


@dataclass(frozen=True, eq=False)
class Places:
    """Where glimpses are drawn around.

    Attributes:
        places: row and column of each.
        logp: (glimpses,) of the probability of each place, given those before it.
        shares: the part of all weight in each of the best boxes, or None.
    """

    places: Sequence[Place]
    logp: Floats
    shares: tuple[float, ...] | None = None


@contextmanager
def map_of_file(path: Path, info: CubeInfo, there: Flags | None) -> Iterator[AttentionMap]:
    """The weights in a raster, such as the mask of `attend mask`, of pixels that are there.

    Raises:
        DataError: it cannot be read, or is not one band of real numbers on the cube's grid.
    """
    with scores_of_file(path, info) as raster:

        def weights(tile: Tile) -> Floats:
            found = raster.values(tile)
            if there is not None:
                found[~there[tile.slices]] = np.nan
            return found

        yield AttentionMap(info, weights, path.name)


def map_of_look(look: Look) -> AttentionMap:
    """The weights of a look at the cube."""
    scores = look.frame.scores

    def weights(tile: Tile) -> Floats:
        part = scores[tile.slices]
        return np.where(np.isnan(part), np.nan, look.attention.weights(part))

    return AttentionMap(look.frame.source.info, weights, look.query.name if look.query else "look")


def validity(there: Flags | None) -> Valid | None:
    """Which pixels may be centres, by an image of those that are there."""
    if there is None:
        return None
    return lambda rows, columns: there[rows.start : rows.stop, columns.start : columns.stop]


def validity_of_look(look: Look) -> Valid:
    """The pixels that a look has seen."""
    scores = look.frame.scores
    return lambda rows, columns: (
        ~np.isnan(scores[rows.start : rows.stop, columns.start : columns.stop])
    )


def drawn_places(
    found: AttentionMap, settings: GlimpseSettings, rng: np.random.Generator
) -> Places:
    """Pixels drawn by their weight, of those that glimpses can be had around.

    Raises:
        DataError: a weight is negative, all are 0, or fewer than `count` are not.
    """
    crops = settings.crops(found.info)

    def pieces() -> Iterator[Floats]:
        for strip, weights in found.strips():
            yield masked_weights(weights, crops, settings.sigma, None, strip.row)

    try:
        drawn = draw(pieces, settings.count, rng, replace=settings.replace)
    except DataError as error:
        raise DataError(f"{found.name}: {error}{_room(crops)}") from None
    places = [divmod(int(index), found.info.columns) for index in drawn.index]
    return Places(places, drawn.logp)


def _room(crops: Crops) -> str:
    """Where centres have to lie."""
    if crops.edge != "reject":
        return ""
    rows, columns = crops.centres
    return (
        f" (crops inside the cube have their centres in rows {rows.start} to {rows.stop - 1}, "
        f"columns {columns.start} to {columns.stop - 1}: see --edge)"
    )


def best_places(found: AttentionMap, settings: GlimpseSettings) -> Places:
    """The centres of the boxes that hold most weight and do not overlap.

    Raises:
        DataError: a weight is negative, or there are too few such boxes.
    """
    crops, columns = settings.crops(found.info), found.info.columns
    total = sum(float(np.nansum(_checked(weights, found))) for _, weights in found.strips())

    def rows(first: int, last: int) -> Floats:
        return found.weights(Tile(first, 0, last - first, columns))

    shape = found.info.rows, columns
    try:
        boxes = best_boxes(rows, crops.centres, shape, settings.size, settings.count)
    except DataError as error:
        raise DataError(f"{found.name}: {error}{_room(crops)}") from None
    places = [(box.row, box.column) for box in boxes]
    return Places(places, np.zeros(len(places)), tuple(box.held / total for box in boxes))


def _checked(weights: Floats, found: AttentionMap) -> Floats:
    if not (np.isnan(weights) | ((weights >= 0) & (weights < np.inf))).all():
        raise DataError(f"{found.name}: holds numbers below 0: weights are 0 or more")
    return weights
