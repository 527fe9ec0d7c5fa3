"""What a format has no place for: one JSON record in a namespace of our own.

The record holds the items of a cube that reading the plain items back does not give, and the
provenance. It is believed only if the band count and the wavelengths beside it still agree with
the plain items, since other programs subset bands and keep foreign tags as they are.
"""

from __future__ import annotations

import dataclasses
import json
import math
import warnings
from typing import Any

import numpy as np

from hsitool.cube import CubeInfo, GroundControlPoint
from hsitool.errors import HsitoolWarning

VERSION = 1
CHECKED = ("bands", "rows", "columns", "dtype", "wavelength_nm")
"""Never taken from a record: they are what tells whether it still belongs to the pixels."""

PLACED = ("crs", "transform", "gcps", "gcps_crs", "rpcs")
"""Items that hold for one frame of pixels only: taken if rows and columns agree as well."""

ITEMS = tuple(f.name for f in dataclasses.fields(CubeInfo) if f.name not in CHECKED)


def encode(info: CubeInfo, plain: CubeInfo) -> str | None:
    """The record that turns `plain` (what the format itself gives back) into `info`.

    Pure ASCII without braces in texts, equals signs or semicolons, so that it also survives in an
    ENVI header; None where nothing is missing.
    """
    missing = {k: getattr(info, k) for k in ITEMS if getattr(info, k) != getattr(plain, k)}
    if not missing or (len(missing) == 1 and _is_nan_twice(missing, plain)):
        return None
    head = {
        "version": VERSION,
        "bands": info.bands,
        "size": [info.rows, info.columns],
        "wavelength_nm": info.wavelength_nm,
    }
    text = json.dumps({**head, **{k: _plain(v) for k, v in missing.items()}}, ensure_ascii=True)
    return _shielded(text)


def _is_nan_twice(missing: dict[str, Any], plain: CubeInfo) -> bool:
    values = (missing.get("nodata"), plain.nodata)
    return all(v is not None and math.isnan(v) for v in values)


def decode(plain: CubeInfo, text: str | None, where: str) -> CubeInfo:
    """`plain` completed by a record, if there is one that still belongs to it."""
    if text is None:
        return plain
    try:
        record = json.loads(text)
        believed = record["version"] == VERSION and _agrees(plain, record)
    except (ValueError, KeyError, TypeError, RecursionError):
        believed = False
    if not believed:
        warnings.warn(
            f"{where}: the hsitool record no longer fits the bands and is left out",
            HsitoolWarning,
            stacklevel=2,
        )
        return plain
    framed = record.get("size") == [plain.rows, plain.columns]
    names = [k for k in ITEMS if k in record and (framed or k not in PLACED)]
    return plain.replace(**{k: _restored(k, record[k]) for k in names})


def _agrees(plain: CubeInfo, record: dict[str, Any]) -> bool:
    centres = record["wavelength_nm"]
    if record["bands"] != plain.bands or (centres is None) != (plain.wavelength_nm is None):
        return False
    return centres is None or bool(np.allclose(centres, plain.wavelength_nm, rtol=1e-9, atol=0))


def _plain(value: Any) -> Any:
    """A JSON value; NaN and infinities become texts."""
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain(dataclasses.asdict(value))
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    if hasattr(value, "items"):
        return {k: _plain(v) for k, v in value.items()}
    return value


def _restored(name: str, value: Any) -> Any:
    """The value of an item as `CubeInfo` holds it."""
    if name == "gcps":
        return tuple(GroundControlPoint(**point) for point in value)
    if name in ("nodata", "former_nodata"):
        return None if value is None else float(value)
    if name in ("scale", "offset", "transform", "fwhm_nm") and value is not None:
        return tuple(float(v) for v in value)
    return tuple(value) if isinstance(value, list) else value


def _shielded(text: str) -> str:
    """JSON in which braces, '=' and ';' occur inside texts only as escapes."""
    shielded, inside, escaped = [], False, False
    for character in text:
        if inside and character in "{}=;":
            shielded.append(f"\\u{ord(character):04x}")
            continue
        shielded.append(character)
        if inside and character == "\\" and not escaped:
            escaped = True
            continue
        if character == '"' and not escaped:
            inside = not inside
        escaped = False
    return "".join(shielded)
