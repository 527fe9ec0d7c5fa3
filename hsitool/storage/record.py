"""What a format has no place for: one JSON record in a namespace of our own.

The record holds the items of a cube that reading the plain items back does not give, and the
provenance. Other programs subset bands, crop, and change items while they keep foreign tags as
they are. So it is believed only if the band count and the wavelengths beside it still agree with
the plain items, and each of its items only while the plain one that it stands in for is the same.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import warnings
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hsitool.cube import PER_BAND_ITEMS, CubeInfo, GroundControlPoint
from hsitool.errors import HsitoolWarning

VERSION = 1
CHECKED = ("bands", "rows", "columns", "dtype", "wavelength_nm")
"""Never taken from a record: they are what tells whether it still belongs to the pixels."""

PLACED = ("crs", "transform", "gcps", "gcps_crs", "rpcs")
"""Items that hold for one frame of pixels only: taken if rows and columns agree as well."""

STORED = ("nodata", "former_nodata", "scale", "offset")
"""Items that hold for the numbers as stored: taken if the type agrees as well."""

ITEMS = tuple(f.name for f in dataclasses.fields(CubeInfo) if f.name not in CHECKED)


def encode(info: CubeInfo, plain: CubeInfo) -> str | None:
    """The record that turns `plain` (what the format itself gives back) into `info`.

    Pure ASCII without braces in texts, equals signs or semicolons, so that it also survives in an
    ENVI header; None where nothing is missing.
    """
    missing = [k for k in ITEMS if not _equal(getattr(info, k), getattr(plain, k))]
    if not missing:
        return None
    record = {
        "version": VERSION,
        "bands": info.bands,
        "size": [info.rows, info.columns],
        "dtype": info.dtype.name,
        "wavelength_nm": info.wavelength_nm,
        "instead_of": {k: _mark(getattr(plain, k)) for k in missing},
        **{k: _plain(getattr(info, k)) for k in missing},
    }
    return _shielded(json.dumps(record, ensure_ascii=True))


def _equal(a: Any, b: Any) -> bool:
    """Whether two items are the same, NaN and the order of keys included."""
    return a is b or json.dumps(_plain(a)) == json.dumps(_plain(b))


def _mark(value: Any) -> int:
    """A short mark that changes with the value."""
    return zlib.crc32(json.dumps(_plain(value)).encode())


def decode(plain: CubeInfo, text: str | None, where: str) -> CubeInfo:
    """`plain` completed by a record, if there is one that still belongs to it."""
    if text is None:
        return plain
    try:
        record = json.loads(text)
        found = _believed(plain, record) if _agrees(plain, record) else None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        found = None
    if found is None:
        warnings.warn(
            f"{where}: the hsitool record no longer fits the bands and is left out",
            HsitoolWarning,
            stacklevel=2,
        )
        return plain
    return plain.replace(**found)


def _agrees(plain: CubeInfo, record: dict[str, Any]) -> bool:
    centres = record["wavelength_nm"]
    if (record["version"], record["bands"]) != (VERSION, plain.bands):
        return False
    if centres is None or plain.wavelength_nm is None:
        return centres is plain.wavelength_nm
    return bool(np.allclose(centres, plain.wavelength_nm, rtol=1e-9, atol=0))


def _believed(plain: CubeInfo, record: dict[str, Any]) -> dict[str, Any]:
    """The items of a record that still hold."""
    stale: set[str] = set()
    if record["size"] != [plain.rows, plain.columns]:
        stale |= set(PLACED)
    if record["dtype"] != plain.dtype.name:
        stale |= set(STORED)
    marks = {k: mark for k, mark in record["instead_of"].items() if k in ITEMS and k not in stale}
    return {
        k: _restored(k, record[k], plain.bands)
        for k, mark in marks.items()
        if mark == _mark(getattr(plain, k))
    }


def _plain(value: Any) -> Any:
    """A JSON value; NaN and infinities become texts."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain(dataclasses.asdict(value))
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    return value


def _restored(name: str, value: Any, bands: int) -> Any:
    """The value of an item as `CubeInfo` holds it.

    Raises:
        TypeError: it is not of the item's type.
    """
    if value is None:
        _require(name not in NEVER_NONE)
        return None
    if name in PER_BAND_ITEMS:
        _require(isinstance(value, list) and len(value) == bands)
    if name in ("nodata", "former_nodata"):
        return float(value)
    if name == "noise_correlated":
        _require(isinstance(value, bool))
        return value
    if name in ("crs", "gcps_crs"):
        _require(isinstance(value, str))
        return value
    if name in MAPPINGS:
        return MAPPINGS[name](value)
    _require(isinstance(value, list) and (name != "transform" or len(value) == 6))
    return tuple(map(ENTRIES[name], value))


def _require(sound: bool) -> None:
    if not sound:
        raise TypeError("the record holds something else")


def _texts(value: Any) -> dict[str, str]:
    _require(isinstance(value, dict) and all(isinstance(v, str) for v in value.values()))
    return dict(value)


def _tags(value: Any) -> dict[str, dict[str, str]]:
    return {space: _texts(tags) for space, tags in value.items()}


def _text(value: Any) -> str:
    _require(isinstance(value, str))
    return str(value)


def _step(value: Any) -> dict[str, Any]:
    _require(isinstance(value, dict))
    return dict(value)


def _point(value: Any) -> GroundControlPoint:
    numbers = {k: float(value[k]) for k in ("row", "column", "x", "y", "z")}
    return GroundControlPoint(**numbers, name=_text(value["name"]), text=_text(value["text"]))


NEVER_NONE = ("gcps", "rpcs", "tags", "header", "noise_correlated", "provenance")
MAPPINGS = {"rpcs": _texts, "header": _texts, "tags": _tags}
ENTRIES: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("fwhm_nm", "scale", "offset", "transform"), float),
    **dict.fromkeys(("names", "units", "color"), _text),
    **{"good": bool, "gcps": _point, "band_tags": _tags, "provenance": _step},
}
"""What makes an item, or an entry of it, from its JSON value."""


def _shielded(text: str) -> str:
    """JSON in which braces, '=' and ';' occur inside texts only as escapes."""
    return re.sub(r'"(?:[^"\\]|\\.)*"', lambda quoted: _escaped(quoted[0]), text)


def _escaped(text: str) -> str:
    return re.sub("[{}=;]", lambda mark: f"\\u{ord(mark[0]):04x}", text)
