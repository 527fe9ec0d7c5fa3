"""`hsitool spectrum`: the spectra of places in a cube, in physical values."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hsitool.cube import CubeInfo, Tile
from hsitool.errors import DataError, UsageError
from hsitool.maths.spectra.missing import MissingRule
from hsitool.storage.readers import CubeReader

MAX_POINTS_BYTES = 2**26


@dataclass(frozen=True)
class Place:
    """A pixel and the name of its column."""

    name: str
    row: int
    column: int


@dataclass(frozen=True)
class Spectra:
    """(places, bands) physical values, NaN where there is no data."""

    places: tuple[Place, ...]
    values: np.ndarray[Any, np.dtype[np.float64]]
    wavelength_nm: tuple[float, ...] | None
    names: tuple[str, ...]

    def mean(self) -> Spectra:
        """One column: the mean of the places that have data, band by band."""
        there = np.isfinite(self.values)
        count = there.sum(axis=0)
        total = np.where(there, self.values, 0.0).sum(axis=0)
        mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
        return Spectra(self.places, mean[None, :], self.wavelength_nm, ("mean",))


def spectra(source: CubeReader, places: Sequence[Place]) -> Spectra:
    """Read the spectra of `places`: scale and offset applied, NaN for missing samples.

    Raises:
        DataError: complex samples, or a file that fails.
    """
    info = source.info
    if info.dtype.kind == "c":
        raise DataError(f"{source.path}: {info.dtype} samples do not go into a table of spectra")
    rule = MissingRule(info.dtype, info.nodata)
    scale = np.array(info.scale or (1.0,) * info.bands)
    offset = np.array(info.offset or (0.0,) * info.bands)
    values = np.empty((len(places), info.bands))
    for row in sorted({place.row for place in places}):  # a stream comes in this order, and once
        among = [i for i, place in enumerate(places) if place.row == row]
        columns = [places[i].column for i in among]
        first = min(columns)
        stored = source.read(Tile(row, first, 1, max(columns) - first + 1))
        known = np.where(rule.mask(stored), np.nan, stored)[:, 0]
        for index, column in zip(among, columns, strict=True):
            values[index] = known[:, column - first] * scale + offset
    return Spectra(tuple(places), values, info.wavelength_nm, tuple(p.name for p in places))


def as_csv(found: Spectra) -> str:
    """The toolkit's spectrum format: `band`, `wavelength_nm`, one column a place."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    known = found.wavelength_nm
    table.writerow(["band", *(["wavelength_nm"] if known else []), *found.names])
    for band, row in enumerate(found.values.T):
        cells = ["" if math.isnan(v) else f"{v:.9g}" for v in row]
        table.writerow([band + 1, *([repr(known[band])] if known else []), *cells])
    return text.getvalue()


def as_json(found: Spectra) -> str:
    """The same as JSON: null where there is no data."""
    listed = [[None if math.isnan(v) else v for v in row] for row in found.values.tolist()]
    return json.dumps(
        {
            "band": list(range(1, found.values.shape[1] + 1)),
            "wavelength_nm": found.wavelength_nm,
            "places": [vars(place) for place in found.places],
            "spectra": dict(zip(found.names, listed, strict=True)),
        }
    )


def at(info: CubeInfo, row: float, column: float, name: str | None = None) -> Place:
    """The pixel at a row and column (from 0).

    Raises:
        UsageError: outside the cube.
    """
    if not (0 <= row < info.rows and 0 <= column < info.columns):
        raise UsageError(
            f"place row {row:g}, column {column:g} is outside the cube of {info.rows} rows and "
            f"{info.columns} columns"
        )
    return Place(name or f"r{int(row)}_c{int(column)}", int(row), int(column))


def at_xy(info: CubeInfo, x: float, y: float, name: str | None = None) -> Place:
    """The pixel that holds a point in the cube's CRS.

    Raises:
        UsageError: as `place_of_xy`.
    """
    column, row = place_of_xy(info, x, y)
    return Place(name or f"{x:.10g}_{y:.10g}", int(row), int(column))


def place_of_xy(info: CubeInfo, x: float, y: float) -> tuple[float, float]:
    """Column and row, from the upper left corner, of a point in the cube's CRS.

    Raises:
        UsageError: outside, or the cube has no transform.
    """
    if info.transform is None:
        raise UsageError("the cube has no georeference: name the place with --at ROW,COL")
    a, b, c, d, e, f = info.transform
    determinant = a * e - b * d
    column = (e * (x - c) - b * (y - f)) / determinant
    row = (a * (y - f) - d * (x - c)) / determinant
    if not (0 <= row < info.rows and 0 <= column < info.columns):
        raise UsageError(
            f"place {x:.10g},{y:.10g} lies at row {row:.1f}, column {column:.1f}: outside the cube"
        )
    return column, row


def at_lonlat(info: CubeInfo, lon: float, lat: float, name: str | None = None) -> Place:
    """The pixel that holds a longitude and latitude (WGS 84, degrees).

    Raises:
        UsageError: as `at_xy`, or the cube has no CRS, or no such place on Earth.
    """
    if info.crs is None or info.transform is None:
        raise UsageError("the cube has no georeference: name the place with --at ROW,COL")
    if not (-360 <= lon <= 360 and -90 <= lat <= 90):
        raise UsageError(f"longitude {lon:g}, latitude {lat:g}: give LON,LAT in degrees")
    from hsitool.storage.gdal import from_lonlat

    x, y = from_lonlat(info.crs, lon, lat)
    return at_xy(info, x, y, name or f"{lon:.10g}_{lat:.10g}")


def places_of(info: CubeInfo, path: Path) -> list[Place]:
    """The places in a CSV (columns row,col or x,y or lon,lat, and a name) or GeoJSON file.

    Raises:
        DataError: the file cannot be read or holds no points.
        UsageError: a point is outside the cube.
    """
    try:
        if path.stat().st_size > MAX_POINTS_BYTES:
            raise DataError(f"{path}: larger than {MAX_POINTS_BYTES} bytes")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    is_json = text.lstrip()[:1] == "{"
    found = _geojson_places(info, path, text) if is_json else _csv_places(info, path, text)
    if not found:
        raise DataError(f"{path}: holds no points")
    return found


def _csv_places(info: CubeInfo, path: Path, text: str) -> list[Place]:
    rows = [
        {k.strip().lower(): v for k, v in r.items() if k} for r in csv.DictReader(text.splitlines())
    ]
    head = set(rows[0]) if rows else set()
    systems = (
        (("row", "column"), at),
        (("row", "col"), at),
        (("x", "y"), at_xy),
        (("lon", "lat"), at_lonlat),
        (("longitude", "latitude"), at_lonlat),
    )
    named = next(((keys, find) for keys, find in systems if set(keys) <= head), None)
    if named is None:
        raise DataError(f"{path}: needs the columns row,col or x,y or lon,lat (and name)")
    (first, second), find = named
    label = next((key for key in ("name", "id", "label") if key in head), None)
    places = []
    for line, row in enumerate(rows, 2):
        try:
            a, b = float(row[first]), float(row[second])
        except (TypeError, ValueError):
            raise DataError(f"{path}, line {line}: not two numbers") from None
        places.append(find(info, a, b, row[label] if label else None))
    return places


def _geojson_places(info: CubeInfo, path: Path, text: str) -> list[Place]:
    """Points of a GeoJSON (RFC 7946: longitude, latitude in WGS 84)."""
    try:
        content = json.loads(text)
        features = content["features"] if content["type"] == "FeatureCollection" else [content]
        places = []
        for feature in features:
            shape = feature.get("geometry") or feature
            if shape["type"] != "Point":
                raise DataError(f"{path}: holds a {shape['type']}: only Point is read")
            lon, lat = (float(v) for v in shape["coordinates"][:2])
            known = feature.get("properties") or {}
            name = known.get("name") or known.get("id") or feature.get("id")
            places.append(at_lonlat(info, lon, lat, None if name is None else str(name)))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{path}: not a GeoJSON of points: {type(error).__name__} {error}"
        ) from None
    return places
