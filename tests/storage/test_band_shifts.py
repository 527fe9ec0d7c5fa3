"""Tables of band shifts: what is read, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from hsitool.camera import BandShift
from hsitool.errors import DataError, UsageError
from hsitool.storage import band_shifts
from hsitool.storage.band_shifts import read_band_shifts, write_band_shifts

NAMES = "band,wavelength_nm,e_x,e_y,dcx_px,dcy_px"


def table(folder: Path, *lines: str) -> Path:
    path = folder / "shifts.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_rows_are_read(tmp_path: Path) -> None:
    path = table(tmp_path, NAMES, "1,450.5,1e-4,2e-4,0.5,-0.25", "", "3,,0,0,0,0")
    assert read_band_shifts(path) == (
        BandShift(0, 450.5, 1e-4, 2e-4, 0.5, -0.25),
        BandShift(2, None, 0, 0, 0, 0),
    )


def test_columns_come_in_any_order_and_others_are_passed_over(tmp_path: Path) -> None:
    path = table(tmp_path, "dk1, e_x,e_y,se,dcx_px,dcy_px,band", "0.01, .1,.2,?,3,4,7")
    assert read_band_shifts(path) == (BandShift(6, None, 0.1, 0.2, 3, 4, 0.01),)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """All digits; what is unknown is an empty cell, and other columns do not matter."""
    path = tmp_path / "shifts.csv"
    third, tiny, far = 1 / 3, 5e-324, 1e5 / 3
    rows = [
        {"band": 2, "wavelength_nm": 500.1, "e_x": third, "e_y": -third, "dcx_px": far}
        | {"dcy_px": tiny, "dk1": 0.1, "se_e_x": math.nan, "note": 'missing, "seen" in 2\nviews'},
        {"band": 7, "wavelength_nm": None, "e_x": 0.0, "e_y": 0.0, "dcx_px": 0.0, "dcy_px": 0.0},
    ]
    write_band_shifts(path, rows)
    assert read_band_shifts(path) == (
        BandShift(1, 500.1, third, -third, far, tiny, 0.1),
        BandShift(6, None, 0.0, 0.0, 0.0, 0.0),
    )
    with pytest.raises(UsageError, match="exists"):
        write_band_shifts(path, rows)
    with pytest.raises(UsageError, match=r"a table of bands is CSV"):
        write_band_shifts(tmp_path / "shifts.txt", rows)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "no column band"),
        (["band,e_x,e_y,dcx_px", "1,0,0,0"], "no column dcy_px"),
        ([NAMES, "1,450,-1,0,0,0"], "e_x is -1, more than bands of one camera differ by"),
        ([NAMES, "1,450,0,0,1e300,0"], r"dcx_px is 1e\+300, more than bands .* \(100000\)"),
        ([NAMES, "1,450,0,0,0"], "row 1 below the names: dcy_px is '', not a finite number"),
        ([NAMES, "1,450,0,0,0,0", "2,460,nan,0,0,0"], "row 2 .*e_x is 'nan'"),
        ([NAMES, "1,450,0,0,inf,0"], "dcx_px is 'inf'"),
        ([NAMES, "1,blue,0,0,0,0"], "wavelength_nm is 'blue'"),
        ([NAMES, "0,450,0,0,0,0"], "band is 0: bands count from 1"),
        ([NAMES, "1.5,450,0,0,0,0"], "band is 1.5"),
        ([NAMES, "1,450,0,0,0,0", "1,460,0,0,0,0"], "band 1 has two rows"),
        (["x" * 200_000], "no CSV file"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, lines: list[str], said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_band_shifts(table(tmp_path, *lines))


def test_large_files_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(band_shifts, "MAX_BYTES", 20)
    with pytest.raises(DataError, match="no table of band shifts"):
        read_band_shifts(table(tmp_path, NAMES))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv: there is no such file"):
        read_band_shifts(tmp_path / "none.csv")
