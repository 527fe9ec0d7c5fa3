"""The directory of a GeoTIFF that GDAL makes for a cube, without its pixels.

GDAL takes long to write and read back the tags of some hundred bands. Scenes of one camera differ
in their provenance only, which is in the record: for them, the directory of the first serves.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from hsitool.cube import CubeInfo
from hsitool.errors import UsageError
from hsitool.storage import raster, tiff
from hsitool.storage.alike import OnceForAlike
from hsitool.storage.record import encode

METADATA = 42112
"""The tag in which GDAL keeps all items, as XML."""

PLACE_OF_RECORD = "the record of hsitool has its place here"

_headers: OnceForAlike[tuple[tiff.Directory, CubeInfo]] = OnceForAlike()


def geotiff_header(
    info: CubeInfo, profile: Mapping[str, Any], target: Path
) -> tuple[tiff.Directory, str | None]:
    """The directory that GDAL makes for `info` (no pixels), and the record in it.

    Raises:
        UsageError: GDAL refuses, or passes over a creation option.
    """
    directory, plain = _headers.get(
        info, sorted(profile.items()), lambda bare: _made(bare, profile, PLACE_OF_RECORD, target)
    )
    if (record := encode(info, plain)) is None:
        return _made(info, profile, None, target)[0], None
    return _with_record(directory, record), record


def _with_record(directory: tiff.Directory, record: str) -> tiff.Directory:
    """The directory with a record, as GDAL would have written it (`encode` gives plain ASCII)."""
    text = escape(escape(record, {'"': "&quot;"}))  # GDAL does so twice
    before, after = directory.values[METADATA].tobytes().split(PLACE_OF_RECORD.encode("ascii"))
    items = before + text.encode("ascii") + after
    return replace(directory, values={**directory.values, METADATA: np.frombuffer(items, np.uint8)})


def _made(
    info: CubeInfo, profile: Mapping[str, Any], record: str | None, target: Path
) -> tuple[tiff.Directory, CubeInfo]:
    """The directory with that record, and the cube that a file without it gives back."""
    from hsitool.storage.gdal import GDAL_ERRORS, complaints, one_line, open_memory

    with complaints() as said:
        try:
            with _empty(info, profile, None) as memory, open_memory(memory) as dataset:
                plain = raster.read_back(dataset, target)
            with _empty(info, profile, record) as memory:
                directory = tiff.parse_directory(memory.read())
        except (*GDAL_ERRORS, TypeError) as error:
            raise UsageError(f"GDAL refuses to make {target.name}: {one_line(error)}") from error
    if odd := next((text for text in said if "creation option" in text), None):
        raise UsageError(f"GDAL refuses to make {target.name}: {odd}")
    return directory, plain


@contextlib.contextmanager
def _empty(info: CubeInfo, profile: Mapping[str, Any], record: str | None) -> Iterator[Any]:
    """A GeoTIFF in memory that holds all of `info` but no pixels."""
    from rasterio.io import MemoryFile

    from hsitool.storage.gdal import open_memory

    with MemoryFile() as memory:
        with open_memory(memory, **profile, SPARSE_OK="TRUE") as dataset:
            raster.apply(dataset, info, record)
        yield memory
