"""Rectangles cut from an image around places, pixel by pixel as they were.

Rows and columns count from 0 and are whole numbers at the centres of pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from hsitool.device import array_module
from hsitool.errors import UsageError

Edge = Literal["reject", "shift", "pad"]
EDGES: tuple[Edge, ...] = get_args(Edge)
Place = tuple[float, float]
"""Row and column."""

REACH = 7.0
"""Standard deviations beyond which a place is too far from the pixels that may be centres."""


@dataclass(frozen=True)
class Crops:
    """Rectangles of `height` x `width` pixels of an image of `rows` x `columns`.

    `edge` says what becomes of those that would leave the image: "reject" draws no such centre,
    "shift" moves them inside, "pad" lets them leave it.

    Raises:
        UsageError: a size below 1, no such edge, or larger than the image and not padded.
    """

    rows: int
    columns: int
    height: int
    width: int
    edge: Edge = "reject"

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 1:
            raise UsageError(f"size {self.height}x{self.width} holds no pixel: give 1 or more")
        if self.edge not in EDGES:
            raise UsageError(f"edge {self.edge} is none of {', '.join(EDGES)}")
        if self.edge != "pad" and (self.height > self.rows or self.width > self.columns):
            raise UsageError(
                f"size {self.height}x{self.width} is larger than the image of {self.rows} rows and "
                f"{self.columns} columns: give a smaller one, or --edge pad"
            )

    @property
    def centres(self) -> tuple[range, range]:
        """Rows and columns of the pixels that may be centres."""
        if self.edge != "reject":
            return range(self.rows), range(self.columns)
        return _inside(self.rows, self.height), _inside(self.columns, self.width)

    def reachable(self, sigma: float | None) -> tuple[range, range]:
        """Rows and columns of the pixels around which glimpses may be drawn."""
        beyond = math.floor(REACH * (sigma or 0.0))
        rows, columns = self.centres
        return _wider(rows, beyond, self.rows), _wider(columns, beyond, self.columns)

    def corner(self, row: float, column: float) -> tuple[int, int]:
        """Row and column of the first pixel of the crop whose centre is there."""
        top, left = pixel_of(row) - self.height // 2, pixel_of(column) - self.width // 2
        if self.edge != "shift":
            return top, left
        last = self.rows - self.height, self.columns - self.width
        return min(max(top, 0), last[0]), min(max(left, 0), last[1])


def pixel_of(at: float) -> int:
    """The row, or column, of the pixel that holds a place."""
    return math.floor(at + 0.5)


def _inside(size: int, length: int) -> range:
    return range(length // 2, size - length + length // 2 + 1)


def _wider(part: range, by: int, size: int) -> range:
    return range(max(0, part.start - by), min(size, part.stop + by))


def crop(image: Any, crops: Crops, centre: Place) -> Any:
    """(bands, height, width) of an image around a centre; its pixels are as they were.

    What lies beyond the image is NaN, or 0 where samples are whole numbers.
    """
    module = array_module(image)
    top, left = crops.corner(*centre)
    fill = math.nan if image.dtype.kind in "fc" else 0
    chip = module.full((image.shape[0], crops.height, crops.width), fill, dtype=image.dtype)
    rows, columns = range(crops.rows), range(crops.columns)
    inside = rows[max(top, 0) : top + crops.height], columns[max(left, 0) : left + crops.width]
    part = image[:, inside[0].start : inside[0].stop, inside[1].start : inside[1].stop]
    down, right = inside[0].start - top, inside[1].start - left
    chip[:, down : down + part.shape[1], right : right + part.shape[2]] = part
    return chip
