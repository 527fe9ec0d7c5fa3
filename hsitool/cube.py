"""A hyperspectral cube described without its pixels."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from hsitool.errors import UsageError

Tags = Mapping[str, Mapping[str, str]]
"""Text items by namespace ("" is the default one), then by key."""

T = TypeVar("T")


@dataclass(frozen=True)
class GroundControlPoint:
    """A pixel position (row, column; fractions allowed) tied to map coordinates."""

    row: float
    column: float
    x: float
    y: float
    z: float = 0.0
    name: str = ""
    text: str = ""


@dataclass(frozen=True)
class Tile:
    """A rectangle of rows and columns: rows `row .. row + height - 1`, columns likewise."""

    row: int
    column: int
    height: int
    width: int

    @property
    def pixels(self) -> int:
        return self.height * self.width

    @property
    def slices(self) -> tuple[slice, slice]:
        """What it is of an image (rows, columns)."""
        return (
            slice(self.row, self.row + self.height),
            slice(self.column, self.column + self.width),
        )

    def moved(self, rows: int, columns: int) -> Tile:
        """The same rectangle elsewhere."""
        return Tile(self.row + rows, self.column + columns, self.height, self.width)


@dataclass(frozen=True)
class CubeInfo:
    """Everything a cube file says, except its pixels and their layout on disk.

    Per-band items are tuples of length `bands`, or None where the file has none. Wavelengths
    and FWHM are in nanometres; `transform` is (a, b, c, d, e, f) with x = a*col + b*row + c and
    y = d*col + e*row + f at the upper left corner of a pixel; a physical value is
    scale * stored + offset. `header` holds ENVI header items verbatim, in file order. The noise of
    neighbouring bands is correlated (`noise_correlated`) where samples were made from several.
    """

    bands: int
    rows: int
    columns: int
    dtype: np.dtype[Any]
    wavelength_nm: tuple[float, ...] | None = None
    fwhm_nm: tuple[float, ...] | None = None
    good: tuple[bool, ...] | None = None
    names: tuple[str, ...] | None = None
    units: tuple[str, ...] | None = None
    nodata: float | None = None
    former_nodata: float | None = None
    scale: tuple[float, ...] | None = None
    offset: tuple[float, ...] | None = None
    crs: str | None = None
    transform: tuple[float, ...] | None = None
    gcps: tuple[GroundControlPoint, ...] = ()
    gcps_crs: str | None = None
    rpcs: Mapping[str, str] = field(default_factory=dict)
    color: tuple[str, ...] | None = None
    tags: Tags = field(default_factory=dict)
    band_tags: tuple[Tags, ...] | None = None
    header: Mapping[str, str] = field(default_factory=dict)
    noise_correlated: bool = False
    provenance: tuple[Mapping[str, Any], ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(bands, rows, columns)"""
        return self.bands, self.rows, self.columns

    @property
    def nbytes(self) -> int:
        """Size of the pixels, uncompressed."""
        return self.bands * self.rows * self.columns * self.dtype.itemsize

    @property
    def whole(self) -> Tile:
        """The tile that covers the cube."""
        return Tile(0, 0, self.rows, self.columns)

    def replace(self, **changes: Any) -> CubeInfo:
        """A copy with some items changed."""
        return dataclasses.replace(self, **changes)

    def with_bands(self, indices: Sequence[int]) -> CubeInfo:
        """The description of the bands `indices` (from 0), in that order."""
        picked: dict[str, Any] = {
            name: pick(getattr(self, name), indices) for name in PER_BAND_ITEMS
        }
        return self.replace(bands=len(indices), header=_header_of_bands(self, indices), **picked)

    def with_tile(self, tile: Tile) -> CubeInfo:
        """The description of a rectangle: the georeference moves along.

        Raises:
            UsageError: the rectangle is empty or leaves the cube.
        """
        below, right = tile.row + tile.height, tile.column + tile.width
        inside = 0 <= tile.row < below <= self.rows and 0 <= tile.column < right <= self.columns
        if not inside:
            raise UsageError(
                f"subset {tile.row},{tile.column},{tile.height},{tile.width} leaves the cube of "
                f"{self.rows} rows and {self.columns} columns: give ROW,COL,HEIGHT,WIDTH inside it"
            )
        return self.with_window(tile)

    def with_window(self, tile: Tile) -> CubeInfo:
        """As `with_tile`, of a rectangle that may leave the cube."""
        gcps = tuple(
            dataclasses.replace(p, row=p.row - tile.row, column=p.column - tile.column)
            for p in self.gcps
        )
        new = self.with_new_pixels()
        return new.replace(
            rows=tile.height,
            columns=tile.width,
            tags=_moved_camera(new.tags, tile),
            header=_moved_start(self.header, tile.row, tile.column),
            transform=_moved(self.transform, tile.row, tile.column),
            gcps=gcps,
            rpcs=_moved_rpcs(self.rpcs, tile.row, tile.column),
        )

    def with_new_pixels(self) -> CubeInfo:
        """The description without what was computed from the former pixels (GDAL's statistics)."""
        bands = self.band_tags
        return self.replace(
            tags=_without_statistics(self.tags),
            band_tags=None if bands is None else tuple(map(_without_statistics, bands)),
        )


PER_BAND_ITEMS = (
    "wavelength_nm",
    "fwhm_nm",
    "good",
    "names",
    "units",
    "scale",
    "offset",
    "color",
    "band_tags",
)


def pick(items: tuple[T, ...] | None, indices: Sequence[int]) -> tuple[T, ...] | None:
    """The items at `indices`, or None where there are none."""
    return None if items is None else tuple(items[i] for i in indices)


def _moved(transform: tuple[float, ...] | None, row: int, column: int) -> tuple[float, ...] | None:
    if transform is None:
        return None
    a, b, c, d, e, f = transform
    return a, b, a * column + b * row + c, d, e, d * column + e * row + f


def _moved_start(header: Mapping[str, str], row: int, column: int) -> dict[str, str]:
    """ENVI's `x start` and `y start` count the pixels cut off before the first one."""
    moved = dict(header)
    for key, shift in (("x start", column), ("y start", row)):
        if shift and moved.get(key, "").strip().lstrip("-").isdigit():
            moved[key] = str(int(moved[key]) + shift)
    return moved


CAMERA_DOMAIN = "CAMERA"
"""Namespace of the tags that tell the camera of an undistorted cube, in px."""


def _moved_camera(tags: Tags, tile: Tile) -> Tags:
    """Its principal point counts from the centre of the upper left pixel."""
    camera = tags.get(CAMERA_DOMAIN)
    if camera is None or not {"CX_PX", "CY_PX"} <= camera.keys():
        return tags
    moved = {
        **camera,
        "CX_PX": repr(float(camera["CX_PX"]) - tile.column),
        "CY_PX": repr(float(camera["CY_PX"]) - tile.row),
        "WIDTH_PX": str(tile.width),
        "HEIGHT_PX": str(tile.height),
    }
    return {**tags, CAMERA_DOMAIN: moved}


def _moved_rpcs(rpcs: Mapping[str, str], row: int, column: int) -> Mapping[str, str]:
    """RPC line and sample offsets count from the upper left pixel, so they move with a subset."""
    moved = dict(rpcs)
    for key, shift in (("LINE_OFF", row), ("SAMP_OFF", column)):
        if shift and key in moved:
            moved[key] = repr(float(moved[key]) - shift)
    return moved


def _without_statistics(tags: Tags) -> Tags:
    kept = {
        space: {k: v for k, v in items.items() if not k.startswith("STATISTICS_")}
        for space, items in tags.items()
    }
    return {space: items for space, items in kept.items() if items}


def _header_of_bands(info: CubeInfo, indices: Sequence[int]) -> dict[str, str]:
    """The header for other bands: `default bands` is renumbered, or dropped if one is gone."""
    header = dict(info.header)
    if "default bands" in header and list(indices) != list(range(info.bands)):
        numbers = header.pop("default bands").strip("{} ").split(",")
        position = {old + 1: new + 1 for new, old in enumerate(indices)}
        try:
            renumbered = [position.get(int(float(n))) for n in numbers]
        except ValueError:
            renumbered = [None]
        if None not in renumbered:
            header["default bands"] = "{" + ", ".join(map(str, renumbered)) + "}"
    return header
