"""Spectra in tables, libraries and ASD files: truth from numpy.loadtxt and plain bytes."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from command import done

from hsitool.errors import DataError, HsitoolWarning
from hsitool.storage.spectra import read_spectrum


def write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def test_what_the_verb_spectrum_writes_is_read(tmp_path: Path, sample: Path) -> None:
    said = done("spectrum", sample, "--at", "3,4", "--at", "5,6")
    path = write(tmp_path / "s.csv", said.out)
    table = np.genfromtxt(path, delimiter=",", skip_header=1)
    for column, name in ((2, "r3_c4"), (3, "r5_c6")):
        found = read_spectrum(f"{path}:{name}")
        np.testing.assert_array_equal(found.values, table[:, column])
        assert found.wavelength_nm == tuple(table[:, 1])
        assert found.band == tuple(range(82))
    other = write(tmp_path / "s.json", done("spectrum", sample, "--at", "3,4", "--json").out)
    np.testing.assert_allclose(read_spectrum(str(other)).values, table[:, 2], rtol=1e-8)


@pytest.mark.parametrize(
    ("text", "centres"),
    [
        ("wavelength_nm,leaf\n500,0.1\n510,0.2\n", (500, 510)),
        ("wavelength_um;leaf\n0.5;0.1\n0.51;0.2\n", (500, 510)),
        ("Wavelength (um)\tleaf\n0.5\t0.1\n0.51\t0.2\n", (500, 510)),
        ("# a remark\nleaf,wavelength_nm,fwhm\n.1,500,8\n0.2,510,8\n", (500, 510)),
        ("band,leaf\n1,0.1\n2,0.2\n", None),
    ],
)
def test_tables(tmp_path: Path, text: str, centres: tuple[float, ...] | None) -> None:
    found = read_spectrum(str(write(tmp_path / "a:b.csv", text)))
    assert found.name == "leaf"
    assert found.values.tolist() == [0.1, 0.2]
    assert found.wavelength_nm == centres
    assert found.fwhm_nm == ((8, 8) if "fwhm" in text else None)


def test_an_empty_cell_is_a_missing_sample(tmp_path: Path) -> None:
    found = read_spectrum(str(write(tmp_path / "a.csv", "band,leaf\n1,0.1\n2,\n3,nan\n")))
    np.testing.assert_array_equal(found.values, [0.1, np.nan, np.nan])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds 0 lines"),
        ("a,b\n1,2\n", "no column is named 'band' or 'wavelength_nm'"),
        ("band,wavelength_nm\n1,400\n", "no column of values"),
        ("band,a\n1,x\n", "line 2: 'x' is not a number"),
        ("band,a\n1,2\n3\n", "line 3: holds no value of 'a'"),
        ("band,a\n", "line 2: holds no value"),
        ("band,a\none,2\n", "whole numbers from 1"),
        ("wavelength_nm,a\n400,2\nx,3\n", "does not hold a number on each line"),
        ("band,a,b\n1,2,3\n", "holds 2 spectra: give"),
        ('{"spectra": {"a": [1, 2]}, "band": [1], "wavelength_nm": null}', "not the JSON of"),
        ('{"spectra": 1}', "not the JSON of"),
        ("[" * 5000, "no column is named"),
        ("{" * 5000, "not the JSON of"),
    ],
)
@pytest.mark.filterwarnings("ignore::hsitool.errors.HsitoolWarning")
def test_tables_that_cannot_serve(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_spectrum(str(write(tmp_path / "a.csv", text)))


def test_a_name_that_is_not_there_lists_some(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "band,leaf,soil\n1,2,3\n")
    assert read_spectrum(f"{path}:Soil").values.tolist() == [3]
    with pytest.raises(DataError, match="no spectrum 'rock': it has 'leaf', 'soil'"):
        read_spectrum(f"{path}:rock")
    with pytest.raises(DataError, match=r"nowhere.csv:leaf: no such file"):
        read_spectrum(f"{tmp_path}/nowhere.csv:leaf")


def library(tmp_path: Path, **more: str) -> Path:
    """Three spectra of four samples."""
    items = {"samples": "4", "lines": "3", "bands": "1", "header offset": "0", "data type": "5"}
    items |= {"file type": "ENVI Spectral Library", "interleave": "bsq", "byte order": "0"}
    items |= {"wavelength units": "Micrometers", "wavelength": "{0.4, 0.5, 0.6, 0.7}"}
    items |= {"spectra names": "{oak, beech,\n a: b}", **more}
    text = "".join(f"{key} = {value}\n" for key, value in items.items())
    write(tmp_path / "lib.hdr", f"ENVI\n{text}")
    np.arange(12.0).tofile(tmp_path / "lib.sli")
    return tmp_path / "lib.sli"


def test_a_library_by_name(tmp_path: Path) -> None:
    path = library(tmp_path)
    found = read_spectrum(f"{path}:a: b")
    assert found.values.tolist() == [8, 9, 10, 11]
    assert found.wavelength_nm == (400, 500, 600, 700)
    assert read_spectrum(f"{path.with_suffix('.hdr')}:oak").values.tolist() == [0, 1, 2, 3]
    with pytest.raises(DataError, match=r"holds 3 spectra: give .*:NAME, one of 'oak', 'beech'"):
        read_spectrum(str(path))


def test_scale_factor_and_missing_samples_of_a_library(tmp_path: Path) -> None:
    more = {"reflectance scale factor": "10", "data ignore value": "9"}
    found = read_spectrum(f"{library(tmp_path, **more)}:a: b")
    np.testing.assert_allclose(found.values, [0.8, np.nan, 1.0, 1.1])


def test_an_image_is_no_library(sample: Path) -> None:
    with pytest.raises(DataError, match="40 x 48 pixels and no library: take a spectrum"):
        read_spectrum(str(sample))


def asd(path: Path, kind: int, *parts: bytes, channels: int = 3) -> Path:
    head = bytearray(484)
    head[:3], head[186], head[199] = b"as7", kind, 2
    struct.pack_into("<ff", head, 191, 350.0, 2.0)
    struct.pack_into("<H", head, 204, channels)
    path.write_bytes(bytes(head) + b"".join(parts))
    return path


def test_asd_counts_and_reflectances(tmp_path: Path) -> None:
    counts, white = np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 0.0])
    reference = struct.pack("<HddH", 1, 0.0, 0.0, 3) + b"abc" + white.tobytes()
    found = read_spectrum(str(asd(tmp_path / "a.asd", 1, counts.tobytes(), reference)))
    np.testing.assert_array_equal(found.values, [0.5, 0.5, np.nan])
    assert found.wavelength_nm == (350, 352, 354)
    found = read_spectrum(str(asd(tmp_path / "b.asd", 2, counts.tobytes(), reference)))
    np.testing.assert_array_equal(found.values, counts)


def test_damaged_asd_files(tmp_path: Path) -> None:
    for name, path in {
        "cut": asd(tmp_path / "a.asd", 1, bytes(7)),
        "none": asd(tmp_path / "b.asd", 2, channels=0),
        "start": write(tmp_path / "c.asd", "as7\0\0"),
    }.items():
        with pytest.raises(DataError, match="not a whole ASD file"):
            read_spectrum(str(path))
        assert name


@pytest.mark.filterwarnings("ignore::hsitool.errors.HsitoolWarning")
def test_random_bytes_give_one_line(tmp_path: Path, rng: np.random.Generator) -> None:
    for number in range(40):
        start = (b"as7", b"{", b"band,a\n", b"ENVI\n", b"")[number % 5]
        path = tmp_path / f"{number}{('.csv', '.sli', '', '.hdr')[number % 4]}"
        path.write_bytes(start + rng.bytes(int(rng.integers(0, 900))))
        with pytest.raises(DataError) as error:
            read_spectrum(str(path))
        assert len(str(error.value).splitlines()) == 1, error.value


def test_field_spectra_are_their_text_exports(shared_data: Path) -> None:
    folder = shared_data / "enmap-box" / "asd"
    for path in folder.glob("*.asd"):
        exported = np.loadtxt(f"{path}.txt", delimiter=";", skiprows=1)
        found = read_spectrum(str(path))
        np.testing.assert_allclose(found.values, exported[:, 1], rtol=1e-10)
        with pytest.warns(HsitoolWarning, match="no unit: taken as nm"):
            text = read_spectrum(f"{path}.txt")
        np.testing.assert_array_equal(text.values, exported[:, 1])
        assert found.wavelength_nm == text.wavelength_nm


@pytest.mark.filterwarnings("ignore::hsitool.errors.HsitoolWarning")
def test_real_libraries(shared_data: Path) -> None:
    berlin = shared_data / "enmap-box" / "berlin_lib" / "library_berlin.sli"
    names = berlin.with_suffix(".csv").read_text().splitlines()[1:]
    row = [line.split(",")[0] for line in names].index("zinc")
    found = read_spectrum(f"{berlin}:zinc")
    assert found.values.tolist() == np.fromfile(berlin).reshape(75, 177)[row].tolist()
    assert found.wavelength_nm is not None and found.wavelength_nm[0] == 460
    stored = shared_data / "isofit" / "lib" / "ecostress_library_with_mixtures"
    found = read_spectrum(f"{stored}:2040")
    truth = np.fromfile(stored, "<f4").reshape(2041, 479)[-1]
    np.testing.assert_array_equal(found.values, truth)
    json.dumps(found.wavelength_nm)


def test_a_table_that_is_too_large_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsitool.storage.spectra.MAX_FILE_BYTES", 100)
    for name, text in (("a.csv", "band,a\n" * 50), ("b.asd", "as7" * 50)):
        with pytest.raises(DataError, match="larger than 100 bytes"):
            read_spectrum(str(write(tmp_path / name, text)))
