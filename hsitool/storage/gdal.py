"""The one place that imports rasterio: configured, quiet, with errors in the project's words."""

from __future__ import annotations

import ctypes
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

os.environ["GDAL_CACHEMAX"] = "64"  # MB; reads are aligned with blocks, so more gains nothing
os.environ.setdefault("GDAL_DISABLE_READDIR_ON_OPEN", "TRUE")
os.environ.setdefault("CPL_LOG", os.devnull)  # what GDAL would say past rasterio

import rasterio
import rasterio._io
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from hsitool.errors import DataError

with suppress(AttributeError, OSError):
    # libtiff itself prints that a disk is full, past GDAL and Python, for each lost block.
    ctypes.CDLL(rasterio._io.__file__).TIFFSetErrorHandler(None)

logging.getLogger("rasterio").addHandler(logging.NullHandler())  # errors are told by us, once

GDAL_ERRORS = (RasterioError, OSError, ValueError)
"""What rasterio raises for files that cannot be opened, read or written."""


def open_dataset(path: Path | str, mode: str = "r", **options: Any) -> Any:
    """A rasterio dataset.

    Raises:
        DataError: GDAL cannot open it.
    """
    _hush()
    try:
        return rasterio.open(path, mode, **options)
    except GDAL_ERRORS as error:
        raise DataError(f"{path}: cannot be opened as a raster: {one_line(error)}") from error


def open_memory(file: Any, **options: Any) -> Any:
    """The dataset in a rasterio `MemoryFile`; with options, a new one.

    Raises:
        one of GDAL_ERRORS
    """
    _hush()
    return file.open(**options)


def _hush() -> None:
    """Camera cubes have no place on Earth, and nobody wants to hear that of each of them."""
    warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)


class _Notes(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:  # others make other files
            self.texts.append(" ".join(record.getMessage().split()))


@contextmanager
def complaints() -> Iterator[list[str]]:
    """What GDAL says meanwhile though it goes on."""
    notes, logger = _Notes(), logging.getLogger("rasterio")
    logger.addHandler(notes)
    try:
        yield notes.texts
    finally:
        logger.removeHandler(notes)


def one_line(error: BaseException) -> str:
    """The text of an exception, of its first cause where it has one, without line breaks."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()) or type(error).__name__


def same_crs(a: str | None, b: str | None) -> bool:
    """Whether two WKT texts mean the same reference system."""
    if a is None or b is None or a == b:
        return a == b
    return bool(rasterio.crs.CRS.from_wkt(a) == rasterio.crs.CRS.from_wkt(b))


def from_lonlat(crs: str, lon: float, lat: float) -> tuple[float, float]:
    """Map coordinates (x, y) of a WGS 84 longitude and latitude in a reference system (WKT)."""
    from rasterio.warp import transform

    xs, ys = transform("EPSG:4326", rasterio.crs.CRS.from_wkt(crs), [lon], [lat])
    return float(xs[0]), float(ys[0])


def is_projected(crs: str) -> bool:
    """Whether a reference system (WKT) has coordinates in a plane."""
    return bool(rasterio.crs.CRS.from_wkt(crs).is_projected)


def polygons_between(system: str, crs: str, shapes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """GeoJSON geometries from a system that a user names into a reference system (WKT).

    Raises:
        one of GDAL_ERRORS
    """
    from rasterio.warp import transform_geom

    own = rasterio.crs.CRS.from_user_input(system)
    return list(transform_geom(own, rasterio.crs.CRS.from_wkt(crs), shapes))


def metres_per_unit(crs: str) -> float | None:
    """The length of a projected reference system's unit; None of others."""
    system = rasterio.crs.CRS.from_wkt(crs)
    return float(system.linear_units_factor[1]) if system.is_projected else None
