"""The one place that imports rasterio: configured, quiet, with errors in the project's words."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

os.environ["GDAL_CACHEMAX"] = "64"  # MB; reads are aligned with blocks, so more gains nothing
os.environ.setdefault("GDAL_DISABLE_READDIR_ON_OPEN", "TRUE")

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from hsitool.errors import DataError

warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)

GDAL_ERRORS = (RasterioError, OSError, ValueError)
"""What rasterio raises for files that cannot be opened, read or written."""


def open_dataset(path: Path | str, mode: str = "r", **options: Any) -> Any:
    """A rasterio dataset.

    Raises:
        DataError: GDAL cannot open it.
    """
    try:
        return rasterio.open(path, mode, **options)
    except GDAL_ERRORS as error:
        raise DataError(f"{path}: cannot be opened as a raster: {one_line(error)}") from error


def one_line(error: BaseException) -> str:
    """An exception's text without line breaks."""
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
