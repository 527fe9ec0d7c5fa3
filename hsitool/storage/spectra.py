"""One spectrum from a file: a table, a spectral library, or a field spectrometer's file."""

from __future__ import annotations

import csv
import json
import math
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsitool.cube import Tile
from hsitool.errors import DataError
from hsitool.storage.envi_header import list_of
from hsitool.storage.readers import CubeReader, open_cube
from hsitool.storage.wavelengths import CENTRE_WORDS, SpectralTexts, choose

Floats = NDArray[np.float64]

MAX_FILE_BYTES = 2**26
MAX_SAMPLES = 2**20
LISTED = 6
"""Names that a message lists."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """(samples,) physical values as the file gives them, NaN where a sample is missing.

    `band` counts from 0 and is None where the file does not number its samples.
    """

    name: str
    values: Floats
    wavelength_nm: tuple[float, ...] | None = None
    fwhm_nm: tuple[float, ...] | None = None
    band: tuple[int, ...] | None = None


def read_spectrum(text: str) -> Spectrum:
    """The spectrum that `FILE` or `FILE:NAME` names.

    A file is a CSV (or other table) with a column `band` or `wavelength_nm` and columns of values,
    the JSON of `hsitool spectrum`, an ENVI spectral library, a library stored as a cube of one
    column or row (names are rows from 0 where it has none), or an ASD file.

    Raises:
        DataError: it cannot be read, or holds several spectra and none of that name.
    """
    path, name = file_and_name(text)
    start = _start(path)
    if start[:3].lower() in ASD_MARKS:
        return _of_asd(path)
    if start.lstrip()[:1] == b"{":
        return _of_json(path, name)
    if path.suffix.lower() in TABLES or _is_text(path, start):
        return _of_table(path, name)
    with open_cube(path) as library:
        return _of_library(library, name)


TABLES = (".csv", ".tsv", ".txt")


def file_and_name(text: str) -> tuple[Path, str | None]:
    """The file of `FILE` or `FILE:NAME`, and the name; either may hold colons of its own.

    Raises:
        DataError: there is no such file.
    """
    if Path(text).is_file():
        return Path(text), None
    ends = (i for i, mark in enumerate(text) if mark == ":")
    for end in ends:
        if Path(text[:end]).is_file():
            return Path(text[:end]), text[end + 1 :].strip()
    raise DataError(f"{text}: no such file (FILE, or FILE:NAME for a spectrum in a library)")


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(2048)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def _is_text(path: Path, start: bytes) -> bool:
    """Whether a file without a telling name holds a table; an ENVI header leads to a library."""
    has_header = any(path.with_name(n).is_file() for n in (f"{path.name}.hdr", f"{path.stem}.hdr"))
    return not has_header and b"\0" not in start and b"\n" in start and start[:4] != b"ENVI"


def _pick(path: Path, names: Sequence[str], name: str | None) -> int:
    """The place of a name among those of a file, or of the only one.

    Raises:
        DataError: no such name, or none was given and there are several.
    """
    some = ", ".join(f"'{n}'" for n in names[:LISTED]) + (", ..." if len(names) > LISTED else "")
    if name is None and len(names) == 1:
        return 0
    if name is None:
        raise DataError(f"{path}: holds {len(names)} spectra: give {path}:NAME, one of {some}")
    if name in names:
        return names.index(name)
    folded = [n.strip().lower() for n in names]
    if (plain := name.lower()) in folded:
        return folded.index(plain)
    raise DataError(f"{path}: holds no spectrum '{name}': it has {some}")


# Tables


def _text_of(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise DataError(f"{path}: larger than {MAX_FILE_BYTES} bytes: no table of spectra")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as a table: {error}") from error


def _of_table(path: Path, name: str | None) -> Spectrum:
    rows = _rows(path)
    head, body = [cell.strip() for cell in rows[0]], rows[1:]
    keys = [word.lower() for word in head]
    axis = {role: next((i for i, k in enumerate(keys) if is_one(k)), None) for role, is_one in AXES}
    if axis["band"] is None and axis["wavelength"] is None:
        raise DataError(f"{path}: no column is named 'band' or 'wavelength_nm'")
    spectra = [i for i, k in enumerate(keys) if k and not any(is_one(k) for _, is_one in AXES)]
    if not spectra:
        raise DataError(f"{path}: has no column of values beside {', '.join(head)}")
    column = spectra[_pick(path, [head[i] for i in spectra], name)]
    ragged = next((n for n, row in enumerate(body, 2) if len(row) <= column), None)
    if ragged is not None or not body:
        raise DataError(f"{path}, line {ragged or 2}: holds no value of '{head[column]}'")
    cells = {
        role: None if i is None else [r[i].strip() if i < len(r) else "" for r in body]
        for role, i in axis.items()
    }
    values = np.array([_value(path, n, row[column]) for n, row in enumerate(body, 2)])
    centres, widths = _axis(
        path, cells, "" if axis["wavelength"] is None else keys[axis["wavelength"]]
    )
    return Spectrum(head[column], values, centres, widths, _band_numbers(path, cells["band"]))


def _is_centre(key: str) -> bool:
    return re.split(r"[\s_(]+", key)[0] in CENTRE_WORDS


AXES = (
    ("band", lambda key: key == "band"),
    ("wavelength", _is_centre),
    ("fwhm", lambda key: key.startswith("fwhm")),
    ("good", lambda key: key in ("good", "bbl", "segment")),
)
"""Columns that hold no spectrum, each with what tells its name."""


def _rows(path: Path) -> list[list[str]]:
    """The cells of a table whose columns stand apart by tabs, semicolons or commas."""
    lines = [line for line in _text_of(path).splitlines() if line.strip() and line[0] != "#"]
    if not lines or len(lines) > MAX_SAMPLES:
        raise DataError(f"{path}: holds {len(lines)} lines: no table of spectra")
    mark = next((m for m in "\t;," if m in lines[0]), ",")
    try:
        return list(csv.reader(lines, delimiter=mark))
    except csv.Error as error:
        raise DataError(f"{path}: not a table: {error}") from error


def _value(path: Path, line: int, cell: str) -> float:
    """A number, or NaN where the cell is empty."""
    try:
        return float(cell) if cell.strip() else math.nan
    except ValueError:
        raise DataError(f"{path}, line {line}: '{cell.strip()[:30]}' is not a number") from None


def _axis(
    path: Path, cells: Mapping[str, Sequence[str] | None], key: str
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    """Wavelengths, in the unit behind the column's name, and FWHM in nm."""
    centres = cells["wavelength"]
    if centres is None:
        return None, None
    unit = "".join(re.split(r"[\s_(]+", key)[1:]).strip(")") or None
    texts = SpectralTexts("its table", centres, unit, cells["fwhm"])
    found = choose([texts], len(centres), str(path))
    if found.wavelength_nm is None:
        raise DataError(f"{path}: its column of wavelengths does not hold a number on each line")
    return found.wavelength_nm, found.fwhm_nm


def _band_numbers(path: Path, cells: Sequence[str] | None) -> tuple[int, ...] | None:
    """The bands, from 0."""
    if cells is None:
        return None
    if not all(cell.isascii() and cell.isdigit() and len(cell) < 8 for cell in cells):
        raise DataError(f"{path}: its column 'band' does not hold whole numbers from 1")
    return tuple(int(cell) - 1 for cell in cells)


def _of_json(path: Path, name: str | None) -> Spectrum:
    """What `hsitool spectrum --json` prints."""
    try:
        content = json.loads(_text_of(path))
        names = list(content["spectra"])
        name = names[_pick(path, names, name)]
        listed = content["spectra"][name]
        values = np.array([math.nan if v is None else float(v) for v in listed])
        known = content["wavelength_nm"]
        centres = None if known is None else tuple(float(v) for v in known)
        bands = tuple(int(band) - 1 for band in content["band"])
        if {len(values), len(centres or bands), len(bands)} != {len(values)} or not bands:
            raise ValueError("lists of different lengths")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{path}: not the JSON of hsitool spectrum: {type(error).__name__} {error}"
        ) from None
    return Spectrum(name, values, centres, None, bands)


# Libraries


def _of_library(library: CubeReader, name: str | None) -> Spectrum:
    info = library.info
    if min(info.rows, info.columns) > 1:
        raise DataError(
            f"{library.path}: an image of {info.rows} x {info.columns} pixels and no library: "
            "take a spectrum from it with hsitool spectrum"
        )
    if info.dtype.kind == "c":
        raise DataError(f"{library.path}: {info.dtype} samples are no spectrum")
    count = info.rows * info.columns
    names = list_of(info.header.get("spectra names", ""))
    names = names if len(names) == count else [str(number) for number in range(count)]
    index = _pick(library.path, names, name)
    place = Tile(index, 0, 1, 1) if info.columns == 1 else Tile(0, index, 1, 1)
    stored = library.read(place)[:, 0, 0].astype(np.float64)
    missing = ~np.isfinite(stored)
    if info.nodata is not None:
        missing |= stored == info.nodata
    scale, offset = np.array(info.scale or 1.0), np.array(info.offset or 0.0)
    values = np.where(missing, np.nan, stored * scale + offset)
    return Spectrum(names[index], values, info.wavelength_nm, info.fwhm_nm)


# ASD: the layout is that of "ASD File Format: Version 8" (ASD Inc., 2015)

ASD_MARKS = (b"asd", b"as2", b"as3", b"as4", b"as5", b"as6", b"as7", b"as8")
ASD_HEADER = 484
ASD_TYPES = {0: "<f4", 1: "<i4", 2: "<f8"}
REFLECTANCE = 1


def _of_asd(path: Path) -> Spectrum:
    """A spectrum of a field spectrometer: reflectances are its counts over the reference's."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise DataError(f"{path}: larger than {MAX_FILE_BYTES} bytes: no ASD file")
        content = path.read_bytes()
        kind = content[186]
        first, step = struct.unpack_from("<ff", content, 191)
        dtype, (count,) = np.dtype(ASD_TYPES[content[199]]), struct.unpack_from("<H", content, 204)
        values = np.frombuffer(content, dtype, count, ASD_HEADER).astype(np.float64)
        if kind == REFLECTANCE:
            values = _over_reference(content, values, dtype)
        if not (count and first > 0 and 0 < step < 1e4 and math.isfinite(first)):
            raise ValueError(f"{count} channels from {first} nm in steps of {step} nm")
    except (OSError, struct.error, ValueError, KeyError, IndexError) as error:
        raise DataError(f"{path}: not a whole ASD file: {type(error).__name__} {error}") from None
    return Spectrum(path.stem, values, tuple(first + step * n for n in range(count)))


def _over_reference(content: bytes, values: Floats, dtype: np.dtype[np.generic]) -> Floats:
    """Counts over those of the white reference, which follow them where the file has some."""
    start = ASD_HEADER + len(values) * dtype.itemsize
    if content[:3].lower() == b"asd" or len(content) < start + 20:
        return values
    (described,) = struct.unpack_from("<H", content, start + 18)
    reference = np.frombuffer(content, dtype, len(values), start + 20 + described)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Floats = values / reference
    return np.where(np.isfinite(ratio), ratio, np.nan)
