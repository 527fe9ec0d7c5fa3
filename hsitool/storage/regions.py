"""Regions of a cube: polygons of a GeoJSON, or the pixels of a mask raster that are not 0."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsitool.cube import CubeInfo, Tile
from hsitool.errors import DataError
from hsitool.storage.readers import CubeReader, open_cube

Flags = NDArray[np.bool_]
Geometry = dict[str, Any]

MAX_GEOJSON_BYTES = 2**26
STRIP_PIXELS = 2**22
"""Pixels looked at together when a whole region is."""

SAME_PLACE = 0.01  # pixels


class Region(ABC):
    """Some pixels of a cube, at least one; `mask` may be called from several threads at once.

    `bounds` is a rectangle that holds them all.
    """

    def __init__(self, path: Path, bounds: Tile) -> None:
        self.path = path
        self.bounds = bounds

    @abstractmethod
    def mask(self, tile: Tile) -> Flags:
        """(height, width) whether each pixel of a tile belongs to the region."""

    @property
    def pixels(self) -> int:
        """How many there are."""
        return sum(int(np.count_nonzero(self.mask(strip))) for strip in strips(self.bounds))


class PolygonRegion(Region):
    """Pixels whose centres lie in polygons given in the cube's coordinates."""

    def __init__(self, path: Path, bounds: Tile, shapes: list[Geometry], info: CubeInfo) -> None:
        super().__init__(path, bounds)
        self._shapes, self._info = shapes, info

    def mask(self, tile: Tile) -> Flags:
        from rasterio.features import rasterize
        from rasterio.transform import Affine

        from hsitool.storage.gdal import GDAL_ERRORS, one_line

        grid, size = _of_grid(self._info), (tile.height, tile.width)
        grid = np.column_stack([grid[:, :2], grid @ (tile.column, tile.row, 1)])
        try:
            burnt = rasterize(self._shapes, size, transform=Affine(*grid.ravel()), dtype="uint8")
        except GDAL_ERRORS as error:
            raise DataError(f"{self.path}: no polygons to draw: {one_line(error)}") from error
        inside: Flags = burnt != 0
        return inside


class MaskRegion(Region):
    """Pixels of a one-band raster that have a value other than 0."""

    def __init__(self, reader: CubeReader) -> None:
        super().__init__(reader.path, reader.info.whole)
        self._reader = reader

    def mask(self, tile: Tile) -> Flags:
        stored = self._reader.read(tile)[0]
        there: Flags = (stored != 0) & ~np.isnan(stored)
        if self._reader.info.nodata is not None:
            there &= stored != self._reader.info.nodata
        return there


def is_region(path: Path) -> bool:
    """Whether a file is a region, and no spectrum: polygons, or a raster of one band.

    Raises:
        DataError: it cannot be read.
    """
    if _is_json(path):
        return "spectra" not in _content(path)
    try:
        with open_cube(path) as reader:
            return reader.info.bands == 1
    except DataError:
        return False


@contextmanager
def open_region(path: Path, info: CubeInfo) -> Iterator[Region]:
    """The region of the cube `info` that a GeoJSON or a mask raster of its grid gives.

    Polygons are in the CRS that the file names, else in the cube's, or in longitude and latitude
    where the cube is projected and no number exceeds these; of a cube without georeference, x is
    the column and y the row, both from the upper left corner. A pixel belongs to a polygon that
    holds its centre.

    Raises:
        DataError: it cannot be read, is of another grid, lies outside the cube or is empty.
    """
    if _is_json(path):
        yield _marking(_polygons(path, info), "draw it around a pixel's centre")
        return
    with open_cube(path) as reader:
        yield _marking(_mask(reader, info), "all of it is 0 or nodata")


def _marking(region: Region, else_why: str) -> Region:
    """The region, which is not empty."""
    if not any(region.mask(strip).any() for strip in strips(region.bounds)):
        raise DataError(f"{region.path}: marks no pixel of the cube: {else_why}")
    return region


def strips(tile: Tile, pixels: int = STRIP_PIXELS) -> Iterator[Tile]:
    """A tile in rows of so many pixels, or one row at a time."""
    height = max(1, pixels // tile.width)
    for row in range(tile.row, tile.row + tile.height, height):
        yield Tile(row, tile.column, min(height, tile.row + tile.height - row), tile.width)


def _is_json(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(512).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


# Rasters


def _mask(reader: CubeReader, info: CubeInfo) -> Region:
    path, own = reader.path, reader.info
    if own.bands != 1:
        raise DataError(f"{path}: has {own.bands} bands: a mask has 1")
    if (own.rows, own.columns) != (info.rows, info.columns):
        raise DataError(
            f"{path}: is of another grid: {own.rows} x {own.columns} pixels, and the cube has "
            f"{info.rows} x {info.columns}"
        )
    if not same_place(own, info):
        raise DataError(f"{path}: is of another grid: it lies elsewhere than the cube")
    return MaskRegion(reader)


def same_place(a: CubeInfo, b: CubeInfo) -> bool:
    """Whether two grids of one size lie in one place, as far as both of them say where."""
    from hsitool.storage.gdal import same_crs

    if a.crs is not None and b.crs is not None and not same_crs(a.crs, b.crs):
        return False
    if a.transform is None or b.transform is None:
        return True
    x, y = np.reshape(a.transform, (2, 3)), np.reshape(b.transform, (2, 3))
    corners = np.array([(0, 0, 1), (b.columns, 0, 1), (0, b.rows, 1), (b.columns, b.rows, 1)])
    pixel = min(np.hypot(*y[:, 0]), np.hypot(*y[:, 1]))
    return bool(np.abs((x - y) @ corners.T).max() <= SAME_PLACE * pixel)


# Polygons


def _polygons(path: Path, info: CubeInfo) -> Region:
    content = _content(path)
    try:
        shapes = list(_shapes(content))
        system = _system(content)
        points = np.array([xy for shape in shapes for xy in _points(shape["coordinates"])])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        raise DataError(
            f"{path}: not a GeoJSON of polygons: {type(error).__name__} {error}"
        ) from None
    if not shapes or not np.isfinite(points).all():
        raise DataError(
            f"{path}: holds no polygon" if not shapes else f"{path}: a corner is no number"
        )
    shapes = _in_cube(path, shapes, system or _likely_system(points, info), info)
    points = np.array([xy for shape in shapes for xy in _points(shape["coordinates"])])
    return PolygonRegion(path, _bounds(path, points, info), shapes, info)


def _content(path: Path) -> Any:
    try:
        if path.stat().st_size > MAX_GEOJSON_BYTES:
            raise DataError(f"{path}: larger than {MAX_GEOJSON_BYTES} bytes")
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read as GeoJSON: {error}") from error


def _shapes(content: Any) -> Iterator[Geometry]:
    """The polygons of any GeoJSON object.

    Raises:
        ValueError: it holds something else.
    """
    kind = content["type"]
    if kind == "FeatureCollection":
        for feature in content["features"]:
            yield from _shapes(feature)
    elif kind == "Feature":
        yield from _shapes(content["geometry"])
    elif kind == "GeometryCollection":
        for geometry in content["geometries"]:
            yield from _shapes(geometry)
    elif kind in ("Polygon", "MultiPolygon"):
        nested = content["coordinates"] if kind == "MultiPolygon" else [content["coordinates"]]
        yield {"type": "MultiPolygon", "coordinates": [list(map(_ring, part)) for part in nested]}
    else:
        raise ValueError(f"a {kind}: only polygons are read")


def _ring(points: Any) -> list[tuple[float, float]]:
    ring = [(float(point[0]), float(point[1])) for point in points]
    if len(ring) < 4:
        raise ValueError(f"a ring of {len(ring)} points")
    return ring


def _points(parts: list[Any]) -> Iterator[tuple[float, float]]:
    for part in parts:
        for ring in part:
            yield from ring


def _system(content: Any) -> str | None:
    """The CRS that GeoJSON files of before 2016, and GDAL's, name."""
    named = content.get("crs")
    return None if named is None else str(named["properties"]["name"])


def _likely_system(points: NDArray[np.float64], info: CubeInfo) -> str | None:
    """WGS 84 where the cube is projected and numbers are those of longitudes and latitudes."""
    from hsitool.storage.gdal import is_projected

    if info.crs is None or not is_projected(info.crs) or not _in_degrees(points):
        return None
    return None if _in_degrees(_corners(info)) else "OGC:CRS84"


def _in_degrees(points: NDArray[np.float64]) -> bool:
    return bool(np.all(np.abs(points) <= (180, 90)))


def _corners(info: CubeInfo) -> NDArray[np.float64]:
    return np.array([_of_grid(info) @ (c, r, 1) for c in (0, info.columns) for r in (0, info.rows)])


def _of_grid(info: CubeInfo) -> NDArray[np.float64]:
    """(2, 3) from column, row and 1 to the cube's coordinates."""
    return np.reshape(info.transform or (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (2, 3))


def _in_cube(
    path: Path, shapes: list[Geometry], system: str | None, info: CubeInfo
) -> list[Geometry]:
    """The polygons in the cube's CRS."""
    if system is None:
        return shapes
    if info.crs is None:
        raise DataError(
            f"{path}: is in {system[:60]}, and the cube has no CRS: give columns and rows instead"
        )
    from hsitool.storage.gdal import GDAL_ERRORS, one_line, polygons_between

    try:
        return polygons_between(system, info.crs, shapes)
    except GDAL_ERRORS as error:
        raise DataError(f"{path}: its CRS {system[:60]} cannot serve: {one_line(error)}") from error


def _bounds(path: Path, points: NDArray[np.float64], info: CubeInfo) -> Tile:
    """The pixels around all points, as far as they lie in the cube."""
    grid = _of_grid(info)
    places = np.linalg.solve(grid[:, :2], (points - grid[:, 2]).T).T
    column, row = np.min(places, axis=0)
    right, below = np.max(places, axis=0)
    if not (column < info.columns and row < info.rows and right > 0 and below > 0):
        said = f"columns {column:.1f} to {right:.1f}, rows {row:.1f} to {below:.1f}"
        raise DataError(
            f"{path}: lies outside the cube of {info.rows} rows and {info.columns} columns ({said})"
        )
    first = max(0, math.floor(row)), max(0, math.floor(column))
    last = min(info.rows, math.ceil(below)), min(info.columns, math.ceil(right))
    return Tile(*first, max(1, last[0] - first[0]), max(1, last[1] - first[1]))
