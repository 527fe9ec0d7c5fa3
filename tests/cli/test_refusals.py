"""What cannot be done is refused in one line that names the value, with the right exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cubes
import numpy as np
import pytest
from command import run

WRONG_USE, BAD_DATA = 2, 3
BANDS, ROWS, COLUMNS = 10, 6, 7
CENTRES = [500.0 + 10.0 * band for band in range(BANDS)]

HEADER = cubes.envi_required((3, 4, 5), "float32", "bsq", 0, 0)

SMOOTH = {
    "even window": (["-w4", "-d2"], WRONG_USE, "window 4 is even"),
    "window 0": (["-w0", "-d2"], WRONG_USE, "window 0"),
    "window above bands": (["-w11", "-d2"], WRONG_USE, "cube's 10 bands"),
    "degree as window": (["-w5", "-d5"], WRONG_USE, "degree 5"),
    "negative degree": (["-w5", "-d-1"], WRONG_USE, "degree -1"),
    "derivative above degree": (["-w5", "-d2", "--deriv", 3], WRONG_USE, "derivative 3"),
    "negative derivative": (["-w5", "-d2", "--deriv", -1], WRONG_USE, "derivative -1"),
    "window no number": (["-w", "five", "-d2"], WRONG_USE, "five"),
    "no window": (["-d2"], WRONG_USE, "--window"),
    "band beyond": (["-w5", "-d2", "--band", 11], WRONG_USE, "band 11"),
    "band 0": (["-w5", "-d2", "--band", 0], WRONG_USE, "band 0"),
    "band too far": (["-w5", "-d2", "--band", "480nm"], WRONG_USE, "20 nm away"),
    "band unit": (["-w5", "-d2", "--band", "680parsec"], WRONG_USE, "680parsec"),
    "delta without unit": (["-w5", "-d2", "--delta", "5"], WRONG_USE, "'5'"),
    "delta 0": (["-w5", "-d2", "--delta", "0nm"], WRONG_USE, "--delta 0nm"),
    "delta negative": (["-w5", "-d2", "--delta", "-5nm"], WRONG_USE, "--delta -5nm"),
    "delta and band": (["-w5", "-d2", "--delta", "5nm", "--spacing", "band"], WRONG_USE, "--delta"),
    "spacing": (["-w5", "-d2", "--spacing", "odd"], WRONG_USE, "odd"),
    "gap": (["-w5", "-d2", "--split-gap", "wide"], WRONG_USE, "wide"),
    "gap 0": (["-w5", "-d2", "--split-gap", "0nm"], WRONG_USE, "0nm"),
    "seam outside": (["-w5", "-d2", "--split-at", "970nm"], WRONG_USE, "970 nm"),
    "seam unit": (["-w5", "-d2", "--split-at", "550"], WRONG_USE, "550"),
    "co": (["-w5", "-d2", "--co", "TILED"], WRONG_USE, "TILED"),
    "co unknown": (["-w5", "-d2", "--co", "ODD=17"], WRONG_USE, "ODD"),
    "co unknown value": (["-w5", "-d2", "--co", "COMPRESS=ODD"], WRONG_USE, "ODD"),
    "co refused": (["-w5", "-d2", "--co", "TILED=YES", "--co", "BLOCKXSIZE=17"], WRONG_USE, "16"),
    "memory": (["-w5", "-d2", "--max-memory", "lots"], WRONG_USE, "lots"),
    "memory too small": (["-w5", "-d2", "--max-memory", "1MB"], WRONG_USE, "--max-memory"),
    "threads": (["-w5", "-d2", "--threads", 0], WRONG_USE, "threads"),
    "format": (["-w5", "-d2", "--format", "png"], WRONG_USE, "png"),
    "compressed ENVI": (["-w5", "-d2", "--format", "envi", "--compress", "lzw"], WRONG_USE, "ENVI"),
    "unknown option": (["-w5", "-d2", "--window-size", 5], WRONG_USE, "--window-size"),
    "wavelengths missing": (["-w5", "-d2", "--wavelengths", "none.txt"], BAD_DATA, "none.txt"),
    "data of a TIFF": (["-w5", "-d2", "--data", "x.dat"], BAD_DATA, "--data"),
}

CONVERT = {
    "bands 0": (["--bands", "0"], WRONG_USE, "band 0"),
    "bands beyond": (["--bands", "8:11"], WRONG_USE, "band 11"),
    "bands backwards": (["--bands", "8:5"], WRONG_USE, "8:5"),
    "bands word": (["--bands", "red"], WRONG_USE, "red"),
    "bands empty": (["--bands", "1,,2"], WRONG_USE, "band"),
    "bands far": (["--bands", "900nm"], WRONG_USE, "900nm"),
    "bands range far": (["--bands", "900nm:950nm"], WRONG_USE, "900nm:950nm"),
    "bands mixed": (["--bands", "3:520nm"], WRONG_USE, "3"),
    "subset beyond": (["--subset", "0,0,7,7"], WRONG_USE, "6 rows"),
    "subset negative": (["--subset=-1,0,3,3"], WRONG_USE, "-1,0,3,3"),
    "subset empty": (["--subset", "0,0,0,3"], WRONG_USE, "0,0,0,3"),
    "subset short": (["--subset", "0,0,3"], WRONG_USE, "0,0,3"),
    "subset fraction": (["--subset", "0,0.5,3,3"], WRONG_USE, "0,0.5,3,3"),
    "subset word": (["--subset", "a,b,c,d"], WRONG_USE, "a,b,c,d"),
    "type": (["--dtype", "float16"], WRONG_USE, "float16"),
    "type unknown": (["--dtype", "short"], WRONG_USE, "short"),
    "type of other order": (["--dtype", ">f4"], WRONG_USE, ">f4"),
    "nodata word": (["--nodata", "never"], WRONG_USE, "never"),
    "nodata too wide": (["--dtype", "uint8", "--nodata", 256], WRONG_USE, "256"),
    "nodata fraction": (["--nodata", 0.5], WRONG_USE, "0.5"),
    "sample too wide": (["--dtype", "uint8"], BAD_DATA, "uint8"),
}


@pytest.fixture
def cube(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small cube of int16, in the current folder."""
    monkeypatch.chdir(tmp_path)
    array = cubes.spectra(BANDS, ROWS, COLUMNS, "int16")
    return cubes.write_geotiff(Path("cube.tif"), array, wavelength_nm=CENTRES)


def refused(code: int, said: str, *arguments: Any) -> None:
    """One line of error that names what is wrong; nothing on standard output, no new file.

    Notes and warnings may go before it.
    """
    before = sorted(Path().iterdir())
    answer = run(*arguments)
    assert answer.out == ""
    *notes, error = answer.err.splitlines()
    assert all(note.startswith("hsitool: ") and "error" not in note for note in notes)
    assert error.startswith("hsitool: error: ")
    assert said in error
    assert "error: unexpected" not in error
    assert answer.code == code
    assert sorted(Path().iterdir()) == before


@pytest.mark.parametrize("case", SMOOTH)
def test_smooth(case: str, cube: Path) -> None:
    options, code, said = SMOOTH[case]
    refused(code, said, "smooth", cube, *options, "-o", "out.tif")


@pytest.mark.parametrize("case", CONVERT)
def test_convert(case: str, cube: Path) -> None:
    options, code, said = CONVERT[case]
    refused(code, said, "convert", cube, *options, "-o", "out.tif")


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ([], WRONG_USE, "--at ROW,COL"),
        (["--at", "6,0"], WRONG_USE, "row 6"),
        (["--at=-1,0"], WRONG_USE, "row -1"),
        (["--at", "1"], WRONG_USE, "'1'"),
        (["--at", "a,b"], WRONG_USE, "a,b"),
        (["--at", "nan,0"], WRONG_USE, "nan,0"),
        (["--xy", "1,2"], WRONG_USE, "--at"),
        (["--lonlat", "13,52"], WRONG_USE, "--at"),
        (["--points", "none.csv"], BAD_DATA, "none.csv"),
        (["--points", "cube.tif"], BAD_DATA, "cube.tif"),
    ],
)
def test_spectrum(options: list[str], code: int, said: str, cube: Path) -> None:
    refused(code, said, "spectrum", cube, *options)


def test_places_on_no_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    place = {"crs": "EPSG:32633", "transform": (30.0, 0.0, 412_000.0, 0.0, -30.0, 5_812_000.0)}
    cube = cubes.write_geotiff(Path("cube.tif"), cubes.spectra(3, 4, 5), **place)
    refused(WRONG_USE, "outside", "spectrum", cube, "--xy", "412000,5812001")
    refused(WRONG_USE, "outside", "spectrum", cube, "--lonlat", "15,52")
    refused(WRONG_USE, "latitude 95", "spectrum", cube, "--lonlat", "15,95")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("empty.csv", ""),
        ("head.csv", "row,col\n"),
        ("columns.csv", "a,b\n1,2\n"),
        ("words.csv", "row,col\n1,two\n"),
        ("short.csv", "row,col\n1\n"),
        ("odd.geojson", "{"),
        ("type.geojson", '{"type": "FeatureCollection"}'),
        ("line.geojson", '{"type": "LineString", "coordinates": [[1, 2], [3, 4]]}'),
        ("deep.geojson", '{"a":' * 5000 + "1" + "}" * 5000),
        ("none.geojson", '{"type": "FeatureCollection", "features": []}'),
    ],
)
def test_points_that_are_none(name: str, text: str, cube: Path) -> None:
    Path(name).write_text(text, encoding="utf-8")
    refused(BAD_DATA, name, "spectrum", cube, "--points", name)


@pytest.mark.parametrize("verb", ["info", "diff", "spectrum", "convert", "band", "smooth"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("absent.tif", None),
        ("empty.tif", b""),
        ("text.tif", b"hello"),
        ("cut.tif", b"II*\0\x08\0\0\0"),
        ("text.hdr", b"hello"),
        ("alone.hdr", cubes.envi_header(list(HEADER.items())).encode()),
        ("less.hdr", b"ENVI\nsamples = 3\n"),
        ("type.hdr", cubes.envi_header([*HEADER.items(), ("data type", "99")]).encode()),
        ("order.hdr", cubes.envi_header([*HEADER.items(), ("interleave", "bup")]).encode()),
    ],
)
def test_inputs_that_are_no_cubes(verb: str, name: str, content: bytes | None, cube: Path) -> None:
    if content is not None:
        Path(name).write_bytes(content)
    more: dict[str, list[Any]] = {
        "diff": [cube],
        "spectrum": ["--at", "0,0"],
        "band": ["-b", 1],
        "smooth": ["-w5", "-d2"],
    }
    refused(BAD_DATA, name, verb, name, *more.get(verb, []))


@pytest.mark.parametrize("name", [".", "..", "folder", "folder.tif", "/", "/dev/null"])
def test_folders_and_devices_are_no_cubes(name: str, cube: Path) -> None:
    Path("folder").mkdir()
    Path("folder.tif").mkdir()
    refused(BAD_DATA, name, "info", name)


def test_truncated_files(cube: Path) -> None:
    whole = cube.read_bytes()
    Path("cut.tif").write_bytes(whole[: len(whole) - 40])
    refused(BAD_DATA, "cut.tif", "smooth", "cut.tif", "-w5", "-d2")
    path = cubes.write_envi(Path("cut"), cubes.spectra(3, 4, 5), items=())
    path.write_bytes(path.read_bytes()[:-1])
    refused(BAD_DATA, "cut.dat", "info", path)


def test_outputs_that_exist_or_cannot(cube: Path) -> None:
    for name in ("out.tif", "out.img"):
        Path(name).write_text("mine")
        for verb in (["convert"], ["band", "-b1"], ["smooth", "-w5", "-d2"]):
            refused(WRONG_USE, name, verb[0], cube, *verb[1:], "-o", name)
        assert Path(name).read_text() == "mine"
    Path("lone.hdr").write_text("mine")
    refused(WRONG_USE, "lone.hdr", "convert", cube, "-o", "lone.img")
    Path("cube_smooth.tif").write_text("mine")
    refused(WRONG_USE, "cube_smooth.tif", "smooth", cube, "-w5", "-d2")
    Path("folder.tif").mkdir()
    refused(WRONG_USE, "folder.tif", "convert", cube, "-o", "folder.tif", "--overwrite")
    refused(WRONG_USE, "nowhere", "convert", cube, "-o", "nowhere/out.tif")


def test_complex_samples_are_not_smoothed(cube: Path) -> None:
    cubes.write_geotiff(Path("complex.tif"), cubes.spectra(BANDS, 3, 4, "complex64"))
    refused(BAD_DATA, "complex64", "smooth", "complex.tif", "-w5", "-d2")


def test_a_cube_without_wavelengths_has_none_to_name(cube: Path) -> None:
    cubes.write_geotiff(Path("plain.tif"), cubes.spectra(BANDS, 3, 4))
    smooth = ["smooth", "plain.tif", "-w5", "-d2"]
    refused(WRONG_USE, "no wavelengths", "band", "plain.tif", "-b", "680nm")
    refused(WRONG_USE, "no wavelengths", "convert", "plain.tif", "--bands", "500nm:600nm")
    refused(WRONG_USE, "970 nm", *smooth, "--split-at", "970nm")
    refused(WRONG_USE, "40 nm", *smooth, "--split-gap", "40nm")


def test_wavelengths_that_do_not_fit(cube: Path) -> None:
    for name, text in (("few.txt", "1\n2\n"), ("words.txt", "a\nb\n"), ("blank.txt", "\n")):
        Path(name).write_text(text)
        refused(BAD_DATA, name, "info", cube, "--wavelengths", name)


@pytest.mark.parametrize("fwhm", [None, 4.0])
def test_a_wavelength_reaches_as_far_as_its_band(fwhm: float | None, cube: Path) -> None:
    items: dict[str, Any] = {"wavelength_nm": CENTRES}
    if fwhm is not None:
        items["fwhm_nm"] = [fwhm] * BANDS
    cubes.write_geotiff(Path("wide.tif"), cubes.spectra(BANDS, 3, 4), **items)
    reach = fwhm or 10.0
    inside, outside = 500 - 0.99 * reach, 500 - 1.01 * reach
    assert run("band", "wide.tif", "-b", f"{inside}nm", "-o", "in.tif").code == 0
    refused(WRONG_USE, "away", "band", "wide.tif", "-b", f"{outside}nm", "-o", "out.tif")


def test_a_traceback_only_with_debug(cube: Path) -> None:
    plain = run("smooth", cube, "-w4", "-d2")
    debug = run("smooth", cube, "-w4", "-d2", "--debug")
    assert "Traceback" not in plain.err
    assert "Traceback" in debug.err
    assert debug.err.endswith(plain.err)
    assert (plain.code, debug.code) == (WRONG_USE, WRONG_USE)


def test_an_output_may_replace_its_own_input(cube: Path) -> None:
    run("smooth", cube, "-w5", "-d2", "-o", "other.tif")
    assert run("smooth", cube, "-w5", "-d2", "-o", cube, "--overwrite").code == 0
    with cubes.open_quietly("other.tif") as a, cubes.open_quietly(cube) as b:
        np.testing.assert_array_equal(a.read(), b.read())
