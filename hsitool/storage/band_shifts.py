"""Tables of where each band of a camera lies against its reference band, as CSV."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from hsitool.camera import BandShift
from hsitool.errors import DataError
from hsitool.storage.texts import read_text

NEEDED = ("band", "e_x", "e_y", "dcx_px", "dcy_px")
MAX_BYTES = 16 * 10**6


def read_band_shifts(path: Path) -> tuple[BandShift, ...]:
    """The rows of a CSV file with the columns band, e_x, e_y, dcx_px and dcy_px.

    Also wavelength_nm and dk1, where they are there; other columns are passed over. Bands count
    from 1 in the file.

    Raises:
        DataError: the file cannot be read, lacks a column, or a cell is no finite number.
    """
    text = read_text(path, MAX_BYTES, "are no table of band shifts")
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines())]
    except csv.Error as error:
        raise DataError(f"{path}: is no CSV file: {error}") from None
    names, *rest = [row for row in rows if any(row)] or [[]]
    lacking = [name for name in NEEDED if name not in names]
    if lacking:
        raise DataError(f"{path}: has no column {lacking[0]}: it needs {', '.join(NEEDED)}")
    shifts = tuple(
        _shift(dict(zip(names, row, strict=False)), f"{path}: row {number} below the names")
        for number, row in enumerate(rest, 1)
    )
    _refuse_twice(shifts, path)
    return shifts


def _shift(cells: dict[str, str], where: str) -> BandShift:
    numbers = {name: _number(cells.get(name, ""), name, where) for name in NEEDED}
    if not numbers["band"].is_integer() or numbers["band"] < 1:
        raise DataError(f"{where}: band is {cells['band']}: bands count from 1")
    wavelength, dk1 = cells.get("wavelength_nm", ""), cells.get("dk1", "")
    return BandShift(
        int(numbers["band"]) - 1,
        _number(wavelength, "wavelength_nm", where) if wavelength else None,
        numbers["e_x"],
        numbers["e_y"],
        numbers["dcx_px"],
        numbers["dcy_px"],
        _number(dk1, "dk1", where) if dk1 else 0.0,
    )


def _number(text: str, name: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{where}: {name} is '{text[:40]}', not a finite number")
    return value


def _refuse_twice(shifts: tuple[BandShift, ...], path: Path) -> None:
    seen: set[int] = set()
    for shift in shifts:
        if shift.band in seen:
            raise DataError(f"{path}: band {shift.band + 1} has two rows: keep one")
        seen.add(shift.band)
