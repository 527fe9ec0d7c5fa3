"""Tables of where each band of a camera lies against its reference band, as CSV.

A line a band. Its first seven columns tell where a point of the reference band is seen in the band,
with the reference's intrinsics fx, fy, cx, cy and x, y, r on the plane at distance 1, undistorted:

    u_b = u + e_x (u - cx) + dcx_px + dk1 fx x r^2,    v_b likewise with e_y, cy, dcy_px, fy, y
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from hsitool.camera import BandShift
from hsitool.errors import DataError, UsageError
from hsitool.storage.atomic import refuse_existing
from hsitool.storage.texts import read_text, write_text

NEEDED = ("band", "e_x", "e_y", "dcx_px", "dcy_px")
"""Columns that a table has to have; bands count from 1 in the file."""
COLUMNS = (
    *("band", "wavelength_nm", "e_x", "e_y", "dcx_px", "dcy_px", "dk1"),
    *("se_e_x", "se_e_y", "se_dcx_px", "se_dcy_px", "se_dk1"),
    *("f_ratio", "f_ratio_low", "f_ratio_high"),
    *("points", "views", "rms_px", "edge_px", "offset_x_px", "offset_y_px", "note"),
)
"""Those that are written; only the first seven move points, and are read."""
MAX_BYTES = 16 * 10**6
LARGEST = {"e_x": 0.5, "e_y": 0.5, "dcx_px": 1e5, "dcy_px": 1e5, "dk1": 1e9}
"""What bands of one camera differ by at most; more would leave nothing of a band in the frame."""

Row = Mapping[str, float | int | str | None]


def check_band_shifts(path: Path, overwrite: bool = False) -> None:
    """Refuse a table that could not be written in the end.

    Raises:
        UsageError: another ending than .csv, the file exists, or its folder is missing.
    """
    if path.suffix.lower() != ".csv":
        raise UsageError(f"{path}: a table of bands is CSV: name it .csv")
    refuse_existing([path], overwrite)


def write_band_shifts(path: Path, rows: Iterable[Row], *, overwrite: bool = False) -> None:
    """Write the table, whole or not at all; numbers keep all digits, unknown ones are empty.

    Raises:
        UsageError: as `check_band_shifts`.
        DataError: it cannot be written.
    """
    check_band_shifts(path, overwrite)
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(COLUMNS)
    for row in rows:
        table.writerow([_cell(row.get(name)) for name in COLUMNS])
    write_text(path, out.getvalue(), overwrite=overwrite)


def _cell(value: float | int | str | None) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return value if isinstance(value, str) else repr(value)


def read_band_shifts(path: Path) -> tuple[BandShift, ...]:
    """The rows of a CSV file with the columns band, e_x, e_y, dcx_px and dcy_px.

    Also wavelength_nm and dk1, where they are there; other columns are passed over. Bands count
    from 1 in the file.

    Raises:
        DataError: the file cannot be read, lacks a column, or a cell is no number that bands have.
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
    if abs(value) > LARGEST.get(name, math.inf):
        raise DataError(
            f"{where}: {name} is {value:g}, more than bands of one camera differ by "
            f"({LARGEST[name]:g})"
        )
    return value


def _refuse_twice(shifts: tuple[BandShift, ...], path: Path) -> None:
    seen: set[int] = set()
    for shift in shifts:
        if shift.band in seen:
            raise DataError(f"{path}: band {shift.band + 1} has two rows: keep one")
        seen.add(shift.band)
