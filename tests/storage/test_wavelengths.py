"""Wavelengths in all the ways in which files give them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import cubes
import pytest

from hsitool.cube import CubeInfo
from hsitool.errors import DataError, HsitoolWarning, UsageError
from hsitool.storage.readers import open_cube
from hsitool.storage.wavelengths import NM_PER_UNIT, in_unit, length_nm

ARRAY = cubes.spectra(3, 2, 2)
NM = (400.5, 550.25, 2500.123456789)


def described(path: Path, message: str | None = None, **options: Any) -> CubeInfo:
    """What is read, with the one warning that is expected."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with open_cube(path, **options) as reader:
            info = reader.info
    texts = [str(t.message) for t in told]
    assert all(issubclass(t.category, HsitoolWarning) for t in told), texts
    assert len(texts) == (message is not None), texts
    assert message is None or message in texts[0]
    return info


def envi(tmp_path: Path, **items: str) -> Path:
    spaced = {key.replace("_", " "): text for key, text in items.items()}
    return cubes.write_envi(tmp_path / "x", ARRAY, items=spaced)


UNITS = [
    *((unit, "400.5, 550.25, 2500.123456789") for unit in ("Nanometers", "nm", "NANOMETRES")),
    *(
        (unit, "0.4005, 0.55025, 2.500123456789")
        for unit in ("Micrometers", "um", "µm", "μm", "microns")
    ),
    ("Millimeters", "0.0004005, 0.00055025, 0.002500123456789"),
    ("Angstroms", "4005, 5502.5, 25001.23456789"),
]


@pytest.mark.parametrize(("unit", "values"), UNITS)
def test_length_units_lose_no_digit(tmp_path: Path, unit: str, values: str) -> None:
    path = envi(tmp_path, wavelength=f"{{{values}}}", wavelength_units=unit)
    assert described(path).wavelength_nm == NM


@pytest.mark.parametrize(
    ("unit", "values", "widths", "nm", "fwhm"),
    [
        ("Wavenumber", "25000, 20000, 4000", "25, 20, 4", (400, 500, 2500), (0.4, 0.5, 2.5)),
        ("GHz", "749481.145, 599584.916, 299792.458", "", (400, 500, 1000), None),
        ("MHz", "299792458, 299792458, 149896229", "", (1000, 1000, 2000), None),
    ],
)
def test_reciprocal_units(
    tmp_path: Path, unit: str, values: str, widths: str, nm: Any, fwhm: Any
) -> None:
    given = {"fwhm": f"{{{widths}}}"} if widths else {}
    path = envi(tmp_path, wavelength=f"{{{values}}}", wavelength_units=unit, **given)
    info = described(path)
    assert info.wavelength_nm == pytest.approx(nm, rel=1e-12)
    assert info.fwhm_nm == (None if fwhm is None else pytest.approx(fwhm, rel=1e-12))


MICRO, NANO = "{0.4, 1, 2.5}", "{400, 1000, 2500}"


@pytest.mark.parametrize(
    ("values", "unit", "message"),
    [
        (MICRO, None, "have no unit: taken as um"),
        (NANO, None, "have no unit: taken as nm"),
        (NANO, "Unknown", "have the unit 'Unknown': taken as nm"),
        (MICRO, "Nanometers", "said to be in Nanometers but reach 2.5: taken as um"),
        (NANO, "um", "said to be in um but reach 2500: taken as nm"),
        (MICRO, "Micrometers", None),
        (NANO, "nm", None),
    ],
)
def test_silent_and_wrong_units(
    tmp_path: Path, values: str, unit: str | None, message: str | None
) -> None:
    given = {} if unit is None else {"wavelength_units": unit}
    info = described(envi(tmp_path, wavelength=values, **given), message)
    assert info.wavelength_nm == (400.0, 1000.0, 2500.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("{1, 2}", "2 values for 3 bands: left out"),
        ("{400, five, 600}", "'five' is not a number: left out"),
        ("{400, nan, 600}", "'nan' is not a number"),
        ("{400, 1e400, 600}", "'1e400' is not a number"),
        ("{400, 9e999999, 600}", "'9e999999' is not a number"),
        ("{400, , 600}", "'' is not a number"),
        ("{0, 0, 0}", "are all zero: left out"),
        ("{400, -500, 600}", "are below zero: left out"),
        ("{" + "9" * 5000 + ", 1, 2}", "is not a number"),
        ("{}", None),
        ("{,,}", None),
    ],
)
def test_lists_that_make_no_sense(tmp_path: Path, values: str, message: str | None) -> None:
    info = described(envi(tmp_path, wavelength=values, wavelength_units="nm"), message)
    assert info.wavelength_nm is None


def test_zero_entries_duplicates_and_order_are_kept(tmp_path: Path) -> None:
    info = described(envi(tmp_path, wavelength="{900, 0, 900}", wavelength_units="nm"))
    assert info.wavelength_nm == (900.0, 0.0, 900.0)


def test_fwhm_and_flags_alone(tmp_path: Path) -> None:
    info = described(envi(tmp_path, fwhm="{1, 2, 3}", bbl="{1.0, 0.0, 1}"))
    assert (info.fwhm_nm, info.good) == ((1.0, 2.0, 3.0), (True, False, True))


@pytest.mark.parametrize(
    ("names", "nm"),
    [
        ("376.44 Nanometers, 381.45 Nanometers, 2500.12 Nanometers", (376.44, 381.45, 2500.12)),
        ("b0 (400.5 Nanometers), b1 (410 Nanometers), b2 (420 Nanometers)", (400.5, 410, 420)),
        ("a 0.45µm, b 0.55 µm, c 0.65 µm", (450, 550, 650)),
        ("a 0.45μm, b 0.55 μm, c 0.65 μm", (450, 550, 650)),
        ("450nm, 550nm, other", None),
        ("450nm, 0.55um, 650nm", None),
    ],
)
def test_wavelengths_in_names(tmp_path: Path, names: str, nm: Any) -> None:
    assert described(envi(tmp_path, band_names=f"{{{names}}}")).wavelength_nm == nm


def test_sources_of_a_geotiff_go_from_the_exact_to_the_rounded(tmp_path: Path) -> None:
    exact = [400.5, 500.25, 600.125]
    rounded = [{"IMAGERY": {"CENTRAL_WAVELENGTH_UM": f"{w / 1000 + 1e-9:.3f}"}} for w in exact]
    plain = [
        {"": {"WAVELENGTH": str(w), "wavelength_units": "nm"}, **i}
        for w, i in zip(exact, rounded, strict=True)
    ]
    path = tmp_path / "x.tif"
    cubes.write_geotiff(path, ARRAY, band_tags=rounded)
    assert described(path).wavelength_nm == (401.0, 500.0, 600.0)
    cubes.write_geotiff(path, ARRAY, band_tags=plain)
    assert described(path).wavelength_nm == tuple(exact)
    envi_domain = {"ENVI": {"wavelength": "{400.5, 500.25, 600.125}", "wavelength_units": "nm"}}
    cubes.write_geotiff(path, ARRAY, band_tags=rounded, tags=envi_domain)
    assert described(path).wavelength_nm == tuple(exact)
    cubes.write_geotiff(path, ARRAY, band_tags=rounded, names=["450 nm", "550 nm", "650 nm"])
    found = described(path, "differ by up to 50 nm: those in the band names are used")
    assert found.wavelength_nm == (450.0, 550.0, 650.0)


def test_bands_with_different_units_are_told(tmp_path: Path) -> None:
    units = ("nm", "um", "nm")
    tags = [{"": {"wavelength": "500", "wavelength_units": unit}} for unit in units]
    path = cubes.write_geotiff(tmp_path / "x.tif", ARRAY, band_tags=tags)
    described(path, "have no unit: taken as nm")


def test_good_band_words(tmp_path: Path) -> None:
    tags = [{"": {"good_band": word}} for word in ("true", "false", "True")]
    path = cubes.write_geotiff(tmp_path / "x.tif", ARRAY, band_tags=tags)
    assert described(path).good == (True, False, True)


@pytest.mark.parametrize("name", ["potsdam"])
def test_real_geotiff(shared_data: Path, name: str) -> None:
    path = sorted((shared_data / "enmap-box" / f"{name}_tiles" / "images").glob("*.tif"))[0]
    info = described(path)
    assert info.wavelength_nm is not None
    assert info.good is not None
    assert (min(info.wavelength_nm), max(info.wavelength_nm)) == (418.24, 2445.53)
    assert [k for k, good in enumerate(info.good, 1) if not good] == [130, 131, 132, 133, 134, 135]


FILES = [
    ("400.5\n550.25\n2500.5\n", "have no unit", None),
    ("# a comment\n\n0.4005\n0.55025\n2.5005\n", "have no unit: taken as um", None),
    ("1 400.5\n2 550.25\n3 2500.5\n", "have no unit", None),
    ("0\t400.5\t1\n1\t550.25\t2\n2\t2500.5\t3\n", "have no unit", (1.0, 2.0, 3.0)),
    ("400.5, 1\n550.25, 2\n2500.5, 3\n", "have no unit", (1.0, 2.0, 3.0)),
    ("wavelength_nm;fwhm\n400.5;1\n550.25;2\n2500.5;3\n", None, (1.0, 2.0, 3.0)),
    ('"FWHM (nm)","Wavelength (nm)"\n1,400.5\n2,550.25\n3,2500.5\n', None, (1.0, 2.0, 3.0)),
    ("band,wavelength_nm,mean,std\n1,400.5,9,8\n2,550.25,9,8\n3,2500.5,,\n", None, None),
    ("wavelength_µm fwhm\n0.4005 .001\n0.55025 .002\n2.5005 .003\n", None, (1.0, 2.0, 3.0)),
]


@pytest.mark.parametrize(("text", "message", "fwhm"), FILES)
def test_files_of_wavelengths(tmp_path: Path, text: str, message: str | None, fwhm: Any) -> None:
    table = tmp_path / "w.csv"
    table.write_text(text, "utf-8")
    path = envi(tmp_path, wavelength="{1000, 2000, 3000}", wavelength_units="nm", bbl="{1, 0, 1}")
    info = described(path, message, wavelengths_file=table)
    assert info.wavelength_nm == (400.5, 550.25, 2500.5)
    assert info.fwhm_nm == fwhm
    assert info.good == (True, False, True)


def test_a_header_as_file_of_wavelengths(tmp_path: Path) -> None:
    header = tmp_path / "other.hdr"
    header.write_text(
        "ENVI\nwavelength units = um\nwavelength = {0.5, 0.6, 0.7}\nbbl = {0, 1, 1}\n"
    )
    path = cubes.write_geotiff(tmp_path / "x.tif", ARRAY)
    info = described(path, wavelengths_file=header)
    assert info.wavelength_nm == (500.0, 600.0, 700.0)
    assert info.good == (False, True, True)


def test_a_file_of_wavelengths_leaves_the_record_as_it_is(tmp_path: Path, copy: Any) -> None:
    made = cubes.rich_geotiff(tmp_path / "a.tif")
    copy(made.path, tmp_path / "b.img")
    table = tmp_path / "w.csv"
    table.write_text("wavelength_nm\n" + "\n".join(str(500 + k) for k in range(7)))
    info = described(tmp_path / "b.img", wavelengths_file=table)
    assert info.wavelength_nm == tuple(500.0 + k for k in range(7))
    assert info.units == tuple(made.items.units or ())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "holds no wavelengths"),
        (b"\xff\xfe\x00", "holds no text"),
        (b"a,b\n1,2\n", "no column is named 'wavelength'"),
        (None, "cannot read wavelengths: No such file"),
    ],
)
def test_files_without_wavelengths(tmp_path: Path, data: bytes | None, message: str) -> None:
    table = tmp_path / "w.csv"
    if data is not None:
        table.write_bytes(data)
    with pytest.raises(DataError, match=rf"w\.csv: {message}"):
        open_cube(envi(tmp_path), wavelengths_file=table)


@pytest.mark.parametrize("text", ["wavelength_nm\n400\n500\n", "wavelength_nm\n400\n\nx\n500\n"])
def test_files_of_other_bands(tmp_path: Path, text: str) -> None:
    table = tmp_path / "w.csv"
    table.write_text(text)
    with (
        pytest.warns(HsitoolWarning, match="left out"),
        pytest.raises(DataError, match="does not hold one wavelength for each of the 3 bands"),
    ):
        open_cube(envi(tmp_path), wavelengths_file=table)


def test_in_unit_and_back() -> None:
    for unit, factor in NM_PER_UNIT.items():
        for value in (0.1 + 0.2, 1e3 / 3, 2500.0, 1e-7):
            (text,) = in_unit([value], unit)
            assert float(cubes_decimal(text) * factor) == value


def cubes_decimal(text: str) -> Any:
    from decimal import Decimal

    return Decimal(text)


@pytest.mark.parametrize(
    ("text", "nm"),
    [
        ("680nm", 680),
        (" 0.68 um ", 680),
        (".68µm", 680),
        ("0.68μm", 680),
        ("6800Å", 680),
        ("1e3nm", 1000),
    ],
)
def test_lengths(text: str, nm: float) -> None:
    assert length_nm(text, "band") == nm


@pytest.mark.parametrize("text", ["680", "nm", "680 xm", "6 8nm", "", "1e999999999999999999999nm"])
def test_no_lengths(text: str) -> None:
    with pytest.raises(UsageError, match=r"is not a length: write it as 680nm or 0\.68um"):
        length_nm(text, "band")
