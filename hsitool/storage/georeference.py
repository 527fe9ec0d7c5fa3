"""Georeference of ENVI headers: GDAL parses and writes the texts on a scratch file."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hsitool.cube import CubeInfo, GroundControlPoint
from hsitool.errors import DataError
from hsitool.storage.envi_header import format_header, read_header
from hsitool.storage.wavelengths import warn

MAP = ("map info", "projection info", "coordinate system string")
KEYS = (*MAP, "geo points", "rpc info")
"""The header items that say where the pixels are."""

WHOLE_IMAGE = {"TILE_ROW_OFFSET": "0", "TILE_COL_OFFSET": "0", "ENVI_RPC_EMULATION": "0"}
"""What ENVI's polynomials have beside the usual ones: without it GDAL does not write them."""

NOTHING: dict[str, Any] = {"crs": None, "transform": None, "gcps": (), "gcps_crs": None, "rpcs": {}}


def items_of_dataset(dataset: Any) -> dict[str, Any]:
    """The `CubeInfo` items crs, transform, gcps, gcps_crs and rpcs of a rasterio dataset."""
    points, points_crs = dataset.gcps
    transform = dataset.transform
    identity = transform.is_identity
    return {
        "crs": _wkt(dataset.crs),
        "transform": None if identity else tuple(float(v) + 0.0 for v in transform[:6]),
        "gcps": tuple(
            GroundControlPoint(p.row, p.col, p.x, p.y, p.z or 0.0, p.id or "", p.info or "")
            for p in points
        ),
        "gcps_crs": _wkt(points_crs) if points else None,
        "rpcs": dict(dataset.tags(ns="RPC")),
    }


def _wkt(crs: Any) -> str | None:
    return crs.to_wkt() if crs else None


def apply(dataset: Any, info: CubeInfo) -> None:
    """Give a rasterio dataset open for writing the georeference of `info`.

    It holds a transform or control points: a transform goes first, as it places every pixel.
    """
    from rasterio.control import GroundControlPoint as RasterioPoint
    from rasterio.crs import CRS
    from rasterio.transform import Affine

    if info.gcps and info.transform is None:
        points = [
            RasterioPoint(p.row, p.column, p.x, p.y, p.z, p.name or None, p.text or None)
            for p in info.gcps
        ]
        dataset.gcps = (points, CRS.from_wkt(info.gcps_crs) if info.gcps_crs else CRS())
    else:
        if info.transform is not None:
            dataset.transform = Affine(*info.transform)
        if info.crs is not None:
            dataset.crs = CRS.from_wkt(info.crs)
    if info.rpcs:
        dataset.update_tags(ns="RPC", **info.rpcs)


def of_items(items: Mapping[str, str], where: str = "") -> dict[str, Any]:
    """What the georeference items of an ENVI header mean; warns of what makes no sense.

    Each group of items is parsed alone: GDAL ignores the others where one is present.
    """
    found = dict(NOTHING)
    if any(key in items for key in MAP):
        place = _parsed({key: items[key] for key in MAP if key in items}, where)
        found |= {"crs": place["crs"] or _crs_alone(items), "transform": place["transform"]}
    if "geo points" in items:
        gcps = _parsed({"geo points": items["geo points"]}, where)["gcps"]
        found |= {"gcps": gcps, "gcps_crs": _geographic() if gcps else None}
    if "rpc info" in items:
        found["rpcs"] = _parsed({"rpc info": items["rpc info"]}, where)["rpcs"]
    meaning = {"map info": "transform", "geo points": "gcps", "rpc info": "rpcs"}
    for key in (k for k, name in meaning.items() if where and k in items and not found[name]):
        if not (key == "map info" and found["crs"]):
            warn(f"{where}: '{key}' makes no sense: left out")
    return found


def _parsed(items: Mapping[str, str], where: str) -> dict[str, Any]:
    """The georeference that GDAL finds in a header with these items alone."""
    from hsitool.storage.gdal import open_dataset

    frame = {"samples": "1", "lines": "1", "bands": "1", "header offset": "0"}
    frame |= {"file type": "ENVI Standard", "data type": "1", "interleave": "bsq"}
    text = format_header({**frame, "byte order": "0", **items})
    with _scratch() as pixels:
        pixels.write_bytes(bytes(16))
        pixels.with_suffix(".hdr").write_text(text, encoding="utf-8", errors="replace")
        try:
            with open_dataset(pixels, driver="ENVI") as dataset:
                found = items_of_dataset(dataset)
        except DataError:
            return dict(NOTHING)
    return found if _sensible(found["transform"]) else dict(NOTHING)


@contextmanager
def _scratch() -> Iterator[Path]:
    """A data file in a temporary folder."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder, "pixels.img")
    except OSError as error:
        raise DataError(f"no temporary file can be written: {error.strerror}") from error


def _sensible(transform: tuple[float, ...] | None) -> bool:
    if transform is None:
        return True
    a, b, _, d, e, _ = transform
    return all(map(math.isfinite, transform)) and a * e != b * d


def _crs_alone(items: Mapping[str, str]) -> str | None:
    """The `coordinate system string` of a header whose `map info` says nothing to GDAL."""
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    text = items.get("coordinate system string", "").strip("{} \n")
    if not text:
        return None
    try:
        return _wkt(CRS.from_wkt(text, morph_from_esri_dialect=True))
    except CRSError:
        return None


def _geographic() -> str:
    """ENVI gives the corners of unprojected images as latitudes and longitudes."""
    from rasterio.crs import CRS

    return str(CRS.from_epsg(4326).to_wkt())


def to_items(info: CubeInfo) -> dict[str, str]:
    """The georeference items of an ENVI header for `info`, as far as ENVI can hold them.

    The texts that `info` was read from are kept where they still mean the same.
    """
    original = {key: info.header[key] for key in KEYS if key in info.header}
    if original and _same(of_items(original), info):
        return original
    items: dict[str, str] = {}
    if info.transform is not None or info.crs is not None:
        items |= _written(info.replace(gcps=(), rpcs={}), MAP)
        if not _close(of_items(items)["transform"], info):
            items = {}  # shear has no place in it: no position beats a wrong one
    if info.gcps and _is_geographic(info.gcps_crs):
        items |= _written(info.replace(crs=None, transform=None, rpcs={}), ("geo points",))
    if info.rpcs:
        rpcs = {**WHOLE_IMAGE, **info.rpcs}
        items |= _written(info.replace(crs=None, transform=None, gcps=(), rpcs=rpcs), ("rpc info",))
    return items


def _written(info: CubeInfo, keys: tuple[str, ...]) -> dict[str, str]:
    """The items `keys` that GDAL writes for `info`."""
    from hsitool.storage.gdal import open_dataset

    with _scratch() as pixels:
        options = {"driver": "ENVI", "count": 1, "dtype": "uint8"}
        with open_dataset(pixels, "w", height=1, width=1, **options) as dataset:
            apply(dataset, info)
        made = read_header(pixels.with_suffix(".hdr"))
    return {key: made[key] for key in keys if key in made}


def _is_geographic(wkt: str | None) -> bool:
    from hsitool.storage.gdal import same_crs

    return wkt is not None and same_crs(wkt, _geographic())


def _close(found: tuple[float, ...] | None, info: CubeInfo) -> bool:
    """Whether a transform puts the cube's corners where they belong, to a millionth of a pixel."""
    if found is None or info.transform is None:
        return found is info.transform
    apart = [abs(x - y) for x, y in zip(found, info.transform, strict=True)]
    pixel = max(abs(v) for v in info.transform[:2] + info.transform[3:5])
    shift = max(a * info.columns + b * info.rows + c for a, b, c in (apart[:3], apart[3:]))
    return shift < 1e-6 * pixel


def _same(found: Mapping[str, Any], info: CubeInfo) -> bool:
    from hsitool.storage.gdal import same_crs

    return (
        same_crs(found["crs"], info.crs)
        and found["transform"] == info.transform
        and found["gcps"] == info.gcps
        and same_crs(found["gcps_crs"], info.gcps_crs)
        and found["rpcs"] == dict(info.rpcs)
    )
