"""ENVI: finding the two files of a cube, and header items to `CubeInfo` and back."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Literal

import numpy as np

from hsitool.cube import CubeInfo
from hsitool.errors import DataError, UsageError
from hsitool.storage import georeference, wavelengths
from hsitool.storage.alike import OnceForAlike
from hsitool.storage.envi_header import (
    brace_list,
    format_header,
    list_of,
    parse_header,
    read_header,
    whole_number,
)
from hsitool.storage.layout import Layout
from hsitool.storage.raw import Interleave, RawLayout, byte_order, contiguous
from hsitool.storage.record import decode, encode
from hsitool.storage.wavelengths import SpectralTexts, warn

DATA_TYPES = {
    **{1: "u1", 2: "i2", 3: "i4", 4: "f4", 5: "f8", 6: "c8", 9: "c16"},
    **{12: "u2", 13: "u4", 14: "i8", 15: "u8"},
}
INTERLEAVES: dict[str, Interleave] = {"bsq": "band", "bil": "line", "bip": "pixel"}
DATA_SUFFIXES = (
    "",
    ".img",
    ".dat",
    ".raw",
    ".bsq",
    ".bil",
    ".bip",
    ".bin",
    ".sli",
    ".hsi",
    ".envi",
)
FRAME = (
    *("samples", "lines", "bands", "header offset", "file type", "data type"),
    *("interleave", "byte order"),
)
"""Header items that say how the pixels lie."""

SCALING = ("data gain values", "data offset values", "reflectance scale factor")
LIBRARY = "envi spectral library"
MAX_SIDE, MAX_BANDS, MAX_BYTES = 2**31, 2**20, 2**60
"""Larger dimensions are taken for damage."""


def header_of(data: Path) -> Path | None:
    """The header beside a data file, or None."""
    if not data.name:
        return None  # a folder such as . or /
    for name in (data.name + ".hdr", data.stem + ".hdr", data.name + ".HDR", data.stem + ".HDR"):
        if (path := data.with_name(name)).is_file() and path != data:
            return path
    return None


def is_header(path: Path) -> bool:
    """Whether a file says that it is an ENVI header."""
    try:
        with path.open("rb") as file:
            start = file.read(16).removeprefix(b"\xef\xbb\xbf")
            return start.split(b"\n")[0].split(b"\r")[0].strip() == b"ENVI"
    except OSError:
        return False


def data_of(header: Path, needed: int) -> Path:
    """The data file beside a header: of `needed` bytes, or larger, or the first there is.

    Raises:
        DataError: there is none.
    """
    found = data_beside(header)
    if not found:
        stem = header.with_suffix("").name
        raise DataError(
            f"{header}: no data file beside it (such as {stem} or {stem}.img): "
            "name it with --data FILE"
        )
    large_enough = [p for p in found if p.stat().st_size >= needed]
    exact = [p for p in large_enough if p.stat().st_size == needed]
    return (exact or large_enough or found)[0]


def data_beside(header: Path) -> list[Path]:
    """The files that by their names may be an ENVI header's data."""
    stem = header.with_suffix("").name
    names = [stem + s for s in DATA_SUFFIXES] + [stem + s.upper() for s in DATA_SUFFIXES]
    start = os.path.join(header.parent, "")  # noqa: PTH118 (two dozen names: plain texts are faster)
    there = [name for name in dict.fromkeys(names) if os.path.isfile(start + name)]  # noqa: PTH113
    return [path for name in there if (path := header.with_name(name)) != header]


def layout_of(items: Mapping[str, str], where: str = "the header") -> RawLayout:
    """Where the samples of the data file lie.

    Raises:
        DataError: an item is missing or makes no sense.
    """
    shape, interleave = _shape(items), _interleave(items)
    offset, code = whole_number(items, "header offset", 0), whole_number(items, "data type")
    if code not in DATA_TYPES:
        known = ", ".join(map(str, DATA_TYPES))
        raise DataError(f"data type {code} is not one of ENVI's ({known})")
    if items.get("file compression", "0").strip() not in ("", "0"):
        raise DataError("compressed ENVI files cannot be read: uncompress it first")
    dtype = np.dtype(DATA_TYPES[code])
    if dtype.itemsize > 1:
        dtype = dtype.newbyteorder(_byte_order(items, where))
    bands, rows, columns = shape
    if offset + bands * rows * columns * dtype.itemsize > MAX_BYTES:
        raise DataError(f"{bands} bands, {rows} lines, {columns} samples describe no cube")
    return contiguous(shape, dtype, interleave, offset)


def _shape(items: Mapping[str, str]) -> tuple[int, int, int]:
    """Bands, rows and columns; a spectral library is a column of spectra."""
    bands, lines, samples = (whole_number(items, key) for key in ("bands", "lines", "samples"))
    if is_library(items):
        if bands != 1:
            raise DataError(f"a spectral library of {bands} bands: it has to have 1")
        bands, samples = samples, 1
    if not (0 < bands <= MAX_BANDS and 0 < lines < MAX_SIDE and 0 < samples < MAX_SIDE):
        raise DataError(f"{bands} bands, {lines} lines, {samples} samples describe no cube")
    return bands, lines, samples


def is_library(items: Mapping[str, str]) -> bool:
    """Whether the file is a spectral library: a line of samples for each spectrum."""
    return " ".join(items.get("file type", "").lower().split()) == LIBRARY


def _interleave(items: Mapping[str, str]) -> Interleave:
    word = items.get("interleave", "").strip().lower()
    if is_library(items):
        return "pixel"
    if word not in INTERLEAVES:
        raise DataError(f"interleave '{word[:20]}' is not bsq, bil or bip")
    return INTERLEAVES[word]


def _byte_order(items: Mapping[str, str], where: str) -> Literal["<", ">"]:
    order = items.get("byte order", "").strip()
    if order not in ("0", "1"):
        said = f"has byte order '{order[:20]}'" if order else "has no byte order"
        warn(f"{where} {said}: taken as 0 (little-endian)")
    return ">" if order == "1" else "<"


def describe(
    items: Mapping[str, str],
    layout: RawLayout,
    where: str,
    more: Sequence[SpectralTexts] = (),
) -> CubeInfo:
    """The cube that a header describes; `more` spectral sources override its own."""
    found = decode(_plain(items, layout, where), items.get("hsitool"), where)
    return wavelengths.override(found, more, where)


def _plain(items: Mapping[str, str], layout: RawLayout, where: str) -> CubeInfo:
    bands, rows, columns = layout.shape
    spectral = wavelengths.choose(wavelengths.of_header(items), bands, where)
    scale, offset = _scaling(items, bands, where)
    names = [] if is_library(items) else list_of(items.get("band names", ""))
    if names and len(names) != bands:
        warn(f"{where}: {len(names)} band names for {bands} bands: left out")
    left_out = (*FRAME, "hsitool", *(["band names"] if is_library(items) else []))
    header = {k: v for k, v in items.items() if k not in left_out}
    if spectral.unit is None and spectral.wavelength_nm is not None:
        header["wavelength units"] = "Nanometers"
    return CubeInfo(
        bands=bands,
        rows=rows,
        columns=columns,
        dtype=layout.dtype.newbyteorder("="),
        wavelength_nm=spectral.wavelength_nm,
        fwhm_nm=spectral.fwhm_nm,
        good=spectral.good,
        names=tuple(names) if len(names) == bands else None,
        nodata=_number(items, "data ignore value", where),
        scale=scale,
        offset=offset,
        header=header,
        **georeference.of_items(items, where),
    )


def _number(items: Mapping[str, str], key: str, where: str) -> float | None:
    text = items.get(key, "").strip(" {}")
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        _left_out(where, f"'{key} = {text[:30]}' is not a number")
        return None


def _left_out(where: str, what: str) -> None:
    """Tell what cannot be used, unless it is not said of which file."""
    if where:
        warn(f"{where}: {what}: left out")


def _scaling(
    items: Mapping[str, str], bands: int, where: str = ""
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    """Scale and offset: `data gain/offset values`, else 1 / `reflectance scale factor`."""
    scale = _floats(items, "data gain values", bands, where)
    offset = _floats(items, "data offset values", bands, where)
    factor = _number(items, "reflectance scale factor", where)
    if factor is not None and not (factor > 0 and math.isfinite(factor)):
        _left_out(where, f"'reflectance scale factor = {factor}' makes no sense")
    elif factor is not None and factor != 1 and scale is None:
        scale = (1 / factor,) * bands
    return scale, offset


def _floats(items: Mapping[str, str], key: str, bands: int, where: str) -> tuple[float, ...] | None:
    if key not in items:
        return None
    try:
        values = tuple(float(text) for text in list_of(items[key]))
    except ValueError:
        values = ()
    if len(values) != bands:
        _left_out(where, f"'{key}' does not hold one number for each of {bands} bands")
        return None
    return values


def compose(info: CubeInfo, interleave: Interleave) -> str:
    """The header text for `info`, little-endian pixels from byte 0.

    Raises:
        UsageError: ENVI has no such data type.
    """
    alike, plain = _headers.get(info, interleave, lambda bare: _items(bare, interleave))
    items = dict(alike)
    if (text := encode(info, plain)) is not None:
        items["hsitool"] = text
    return format_header(items)


_headers: OnceForAlike[tuple[dict[str, str], CubeInfo]] = OnceForAlike()


def _items(info: CubeInfo, interleave: Interleave) -> tuple[dict[str, str], CubeInfo]:
    """The items of a header, and the cube that it gives back without a record."""
    frame = _frame(info, interleave)
    items = {**frame, **_described(info), **frame}
    layout = contiguous(info.shape, info.dtype.newbyteorder("<"), interleave)
    return items, _plain(parse_header(format_header(items)), layout, "the new header")


def _frame(info: CubeInfo, interleave: Interleave) -> dict[str, str]:
    codes = {np.dtype(code): number for number, code in DATA_TYPES.items()}
    if info.dtype.newbyteorder("=") not in codes:
        raise UsageError(f"ENVI has no data type for {info.dtype}: choose another with --dtype")
    word = {order: word for word, order in INTERLEAVES.items()}[interleave]
    frame = {"samples": info.columns, "lines": info.rows, "bands": info.bands, "header offset": 0}
    words = {k: str(v) for k, v in frame.items()} | {"file type": "ENVI Standard"}
    code = codes[info.dtype.newbyteorder("=")]
    return {**words, "data type": str(code), "interleave": word, "byte order": "0"}


def _described(info: CubeInfo) -> dict[str, str]:
    """All other items: those found before in their order (texts kept where they still hold)."""
    made = spectral_items(info) | _other_items(info) | georeference.to_items(info)
    items: dict[str, str] = {}
    for key, text in info.header.items():
        if key in made:
            items[key] = text if _means_the_same(text, made[key]) else made[key]
        elif key not in GENERATED:
            items[key] = text
    return {**items, **{key: text for key, text in made.items() if key not in items}}


GENERATED = frozenset(
    ("wavelength", "wavelength units", "fwhm", "bbl", "band names", "data ignore value")
    + (*SCALING, *georeference.KEYS, "hsitool")
)
"""Header items that come from `CubeInfo`, and are dropped where it no longer has them."""


def length_unit(info: CubeInfo) -> str:
    """The unit in which wavelengths are written: the file's own word where it is a length."""
    unit = info.header.get("wavelength units", "")
    return unit if unit.strip().lower() in wavelengths.NM_PER_UNIT else "Nanometers"


def spectral_items(info: CubeInfo) -> dict[str, str]:
    """Wavelengths in the file's own unit, FWHM and bad-band list as ENVI lists."""
    unit = length_unit(info)
    items: dict[str, str] = {}
    if info.wavelength_nm is not None:
        items["wavelength units"] = unit
        items["wavelength"] = brace_list(wavelengths.in_unit(info.wavelength_nm, unit))
    if info.fwhm_nm is not None:
        items["fwhm"] = brace_list(wavelengths.in_unit(info.fwhm_nm, unit))
    if info.good is not None:
        items["bbl"] = brace_list([str(int(g)) for g in info.good], per_line=32)
    return items


def _other_items(info: CubeInfo) -> dict[str, str]:
    items: dict[str, str] = {}
    if info.names is not None:
        names = [_listable(n) or f"Band {k}" for k, n in enumerate(info.names, 1)]
        items["band names"] = brace_list(names, per_line=1)
    if info.nodata is not None:
        items["data ignore value"] = _short(info.nodata)
    texts = {key: info.header[key] for key in SCALING if key in info.header}
    if _scaling(texts, info.bands) == (info.scale, info.offset):
        return items | texts
    if info.scale is not None:
        items["data gain values"] = brace_list([repr(v) for v in info.scale])
    if info.offset is not None:
        items["data offset values"] = brace_list([repr(v) for v in info.offset])
    return items


def _listable(name: str) -> str:
    """A name as a brace list can hold it: the record keeps what differs."""
    return " ".join(name.translate(str.maketrans(",{}", ";()")).split()).lstrip(";")


def _short(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _means_the_same(old: str, new: str) -> bool:
    """Whether two values are equal, entry by entry, as numbers or as words."""
    a, b = list_of(old), list_of(new)
    return len(a) == len(b) and all(map(_same_entry, a, b))


def _same_entry(a: str, b: str) -> bool:
    try:
        return Decimal(a) == Decimal(b)
    except InvalidOperation:
        return a == b


def open_pair(path: Path, data: Path | None) -> tuple[Path, Path, dict[str, str], RawLayout]:
    """Header, data file, header items and layout of an ENVI cube named by either of its files.

    Raises:
        DataError: no header, no data file, or a data file that is too short.
    """
    header, items, layout = open_header(path)
    pixels = data or (path if header != path else data_of(header, layout.end))
    try:
        size = pixels.stat().st_size
    except OSError as error:
        raise DataError(f"{pixels}: cannot be read: {error.strerror}") from error
    if size < layout.end:
        raise DataError(
            f"{pixels}: {size} bytes, but its header {header.name} needs {layout.end}: "
            "the file is incomplete or the header is not its own"
        )
    return header, pixels, items, layout


def open_header(path: Path) -> tuple[Path, dict[str, str], RawLayout]:
    """Header, its items and the layout of the ENVI cube that a file belongs to.

    Raises:
        DataError: no header, or it does not say where the pixels are.
    """
    header = path if is_header(path) or path.suffix.lower() == ".hdr" else header_of(path)
    if header is None:
        raise DataError(f"{path}: no ENVI header beside it")
    items = read_header(header)
    try:
        return header, items, layout_of(items, str(header))
    except DataError as error:
        raise DataError(f"{header}: {error}") from None


def layout_words(layout: RawLayout) -> Layout:
    """The layout in the words of `info`."""
    _, rows, columns = layout.shape
    order = byte_order(layout.dtype)
    return Layout("ENVI", layout.interleave, rows, columns, byte_order=order, raw=True)
