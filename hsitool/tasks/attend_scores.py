"""What makes the scores of pixels: a query, the scene alone, or a raster of the user's."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from hsitool.cube import CubeInfo, Tile
from hsitool.device import device_of, on_cpu
from hsitool.errors import DataError
from hsitool.maths.attention.edges import edge_strength
from hsitool.maths.scene.model import Background
from hsitool.maths.scene.scores import Method, ace, rx, sam, score
from hsitool.maths.spectra.missing import MissingRule
from hsitool.storage.readers import CubeReader, open_cube
from hsitool.storage.regions import same_place
from hsitool.tasks.pixels import Piece

Floats = NDArray[np.float64]

MATCHING: tuple[str, ...] = get_args(Method)
"""Scores of likeness to a query."""

ALONE = ("rx", "edge")
"""Scores that need no query."""

WHITENED = ("ace", "mf")
"""Scores relative to the background whose query may be made better by what it finds."""


class Scoring(ABC):
    """Scores of the valid pixels of a piece, (pixels,) float64 on the CPU; NaN without one."""

    @abstractmethod
    def of(self, piece: Piece) -> Floats: ...

    def finish(self, scores: Floats) -> Floats:
        """Scores of all pixels (rows, columns), changed in place where that needs neighbours."""
        return scores


class Likeness(Scoring):
    """How much like the query pixels are."""

    def __init__(self, method: Method, query: Floats, background: Background | None) -> None:
        self.method, self.query, self._background = method, query, background

    def of(self, piece: Piece) -> Floats:
        assert self._background is not None or self.method not in WHITENED
        found = score(self.method, piece.chosen, self.query, self._background)  # type: ignore[arg-type]
        return on_cpu(found)

    def angle_deg(self, first: Floats, other: Floats) -> float:
        """The angle between two spectra: in whitened space for `ace` and `mf`."""
        if self._background is None or self.method not in WHITENED:
            return math.degrees(-float(sam(first[:, None], other)[0]))
        cosine = float(ace(first[:, None], other, self._background)[0])
        return 180.0 if math.isnan(cosine) else math.degrees(math.acos(max(-1.0, min(1.0, cosine))))


class Anomaly(Scoring):
    """How far from the background pixels are."""

    def __init__(self, background: Background) -> None:
        self._background = background

    def of(self, piece: Piece) -> Floats:
        return on_cpu(rx(piece.chosen, self._background))


class Edges(Scoring):
    """How much pixels differ from their neighbours, along the scene's first principal axis."""

    def __init__(self, axis: Floats) -> None:
        self._axis = axis

    def of(self, piece: Piece) -> Floats:
        spectra = piece.chosen
        return on_cpu(device_of(spectra).put(self._axis) @ spectra)

    def finish(self, scores: Floats) -> Floats:
        edge_strength(scores)
        return scores


class FromFile(Scoring):
    """The user's own scores, from a raster of one band on the cube's grid."""

    def __init__(self, reader: CubeReader) -> None:
        self._reader = reader
        self._rule = MissingRule(reader.info.dtype, reader.info.nodata)

    def of(self, piece: Piece) -> Floats:
        return self.values(piece.tile)[piece.valid]

    def values(self, tile: Tile) -> Floats:
        """(height, width) of a tile; NaN where the raster has no data."""
        stored = self._reader.read(tile)[0]
        values: Floats = stored.astype(np.float64)
        values[self._rule.mask(stored)] = np.nan
        return values


@contextmanager
def scores_of_file(path: Path, info: CubeInfo) -> Iterator[FromFile]:
    """The scores in a raster.

    Raises:
        DataError: it cannot be read, or is not one band of real numbers on the cube's grid.
    """
    with open_cube(path) as reader:
        own = reader.info
        if own.bands != 1 or own.dtype.kind not in "iuf":
            raise DataError(
                f"{path}: {own.bands} bands of {own.dtype} are no scores or weights: give 1 band"
            )
        if (own.rows, own.columns) != (info.rows, info.columns) or not same_place(own, info):
            raise DataError(
                f"{path}: is of another grid ({own.rows} x {own.columns} pixels) than the cube "
                f"({info.rows} x {info.columns})"
            )
        yield FromFile(reader)
