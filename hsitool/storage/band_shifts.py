"""Tables of what each band of a camera is against its reference band.

A CSV with a line a band. Its first seven columns tell where a point of the reference band is seen
in the band, with the reference's intrinsics fx, fy, cx, cy and the undistorted x, y, r2 = x2 + y2:

    u_b = u_ref + e_x (u_ref - cx) + dcx_px + dk1 fx x r2,    v_b likewise with fy, cy, y
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from hsitool.errors import UsageError
from hsitool.storage.atomic import refuse_existing
from hsitool.storage.texts import write_text

SHIFT_COLUMNS = ("band", "wavelength_nm", "e_x", "e_y", "dcx_px", "dcy_px", "dk1")
"""What moves points; bands count from 1."""
COLUMNS = (
    *SHIFT_COLUMNS,
    *("se_e_x", "se_e_y", "se_dcx_px", "se_dcy_px", "se_dk1"),
    *("f_ratio", "f_ratio_low", "f_ratio_high"),
    *("points", "views", "rms_px", "edge_px", "offset_x_px", "offset_y_px", "note"),
)

Row = Mapping[str, float | int | str | None]


def check_band_shifts(path: Path, overwrite: bool = False) -> None:
    """Refuse a table that could not be written in the end.

    Raises:
        UsageError: another ending than .csv, or the file exists.
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
