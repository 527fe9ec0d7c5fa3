"""What the verbs answer: paths, tables, CSV and JSON on standard output, all else beside it."""

from __future__ import annotations

import csv
import io
import json
import warnings
from pathlib import Path
from typing import Any

import cubes
import numpy as np
import pytest
import rasterio
from command import done, run
from rasterio.warp import transform
from rasterio.windows import Window
from says import pixels

BANDS = 12
CENTRES = [500.0 + 10.0 * band for band in range(BANDS)]
PLACE = {"crs": "EPSG:32633", "transform": (20.0, 10.0, 412_000.0, 10.0, -20.0, 5_812_000.0)}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cube(folder: Path) -> Path:
    """A cube with a place, scales and offsets, nodata, FWHM, names and a bad band."""
    array = cubes.spectra(BANDS, 6, 7, "int16")
    array[:, 1, 2] = -9999
    array[3, 4, 5] = -9999
    items: dict[str, Any] = {
        "wavelength_nm": CENTRES,
        "fwhm_nm": [6.5] * BANDS,
        "bbl": [int(band != 4) for band in range(BANDS)],
        "names": [f"Bänd {band + 1}" for band in range(BANDS)],
        "scales": [0.0001 * (band + 1) for band in range(BANDS)],
        "offsets": [0.5] * BANDS,
        "nodata": -9999,
    }
    cubes.write_geotiff(Path("cube.tif"), array, **items, **PLACE)
    return Path("cube.tif")


def physical(cube: Path) -> Any:
    """(band, row, column) values as rasterio gives them, NaN where masked."""
    with cubes.open_quietly(cube) as dataset:
        by_band = (slice(None), None, None)
        values = dataset.read() * np.array(dataset.scales)[by_band]
        values += np.array(dataset.offsets)[by_band]
        return np.where(dataset.read_masks() == 0, np.nan, values)


# Standard output and standard error


@pytest.mark.parametrize(
    ("words", "target"),
    [
        (["convert"], "cube_convert.tif"),
        (["convert", "--format", "envi"], "cube_convert.img"),
        (["convert", "-o", "x.img"], "x.img"),
        (["convert", "-o", "x.hdr"], "x.img"),
        (["convert", "-o", "x.dat", "-f", "envi"], "x.dat"),
        (["convert", "-o", "bare", "-f", "envi"], "bare"),
        (["band", "-b", "2"], "cube_band.tif"),
        (["smooth", "-w5", "-d2"], "cube_smooth.tif"),
        (["smooth", "-w5", "-d2", "--format", "envi", "-o", "y.bsq"], "y.bsq"),
    ],
)
def test_a_raster_verb_answers_with_the_path_it_wrote(
    words: list[str], target: str, cube: Path
) -> None:
    answer = done(words[0], cube, *words[1:])
    assert answer.out == f"{target}\n"
    with cubes.open_quietly(target) as dataset:
        assert dataset.driver == ("GTiff" if target.endswith(".tif") else "ENVI")
    assert not [path for path in Path().iterdir() if path.name.startswith(".")]


def test_outputs_are_replaced_only_if_asked(cube: Path) -> None:
    assert run("smooth", cube, "-w5", "-d2").code == 0
    assert run("smooth", cube, "-w5", "-d2").code == 2
    assert run("smooth", cube, "-w5", "-d2", "--overwrite").code == 0


def test_notes_and_warnings_go_to_standard_error(folder: Path) -> None:
    items = {"wavelength": cubes.listed(CENTRES)}
    array = cubes.spectra(BANDS, 3, 4)
    path = cubes.write_envi(folder / "in", array, items=items, without=("byte order",))
    answer = done("band", path, "-b", "0.5211um", "-o", "out.tif")
    lines = answer.err.splitlines()
    assert answer.out == "out.tif\n"
    assert lines[-1] == "hsitool: band 3 (520 nm)"
    assert any("no byte order" in line for line in lines)
    assert any("no unit" in line for line in lines)
    assert all(line.startswith("hsitool: ") for line in lines)
    assert done("band", path, "-b", "521nm", "-o", "two.tif", "--quiet").err == ""


# info


def test_info_for_programs(cube: Path) -> None:
    answer = done("info", cube, "--json")
    found = answer.json()
    assert answer.err == ""
    assert list(found) == [
        *("path", "files", "size_bytes", "bands", "rows", "columns", "dtype", "layout", "nodata"),
        *("former_nodata", "crs", "transform", "gcps", "gcps_crs", "rpcs", "spacing"),
        *("band_table", "tags", "header", "noise_correlated", "provenance"),
    ]
    assert (found["bands"], found["rows"], found["columns"]) == (BANDS, 6, 7)
    assert (found["path"], found["files"]) == ("cube.tif", ["cube.tif"])
    assert found["size_bytes"] == cube.stat().st_size
    assert (found["dtype"], found["nodata"], found["former_nodata"]) == ("int16", -9999, None)
    assert set(found["layout"]) == {
        *("format", "interleave", "block", "compression", "byte_order"),
    }
    assert found["layout"]["format"] == "GeoTIFF"
    assert found["layout"]["interleave"] == "pixel"
    assert rasterio.crs.CRS.from_wkt(found["crs"]) == PLACE["crs"]
    assert tuple(found["transform"]) == PLACE["transform"]
    assert found["band_table"][4] == {
        "band": 5,
        "wavelength_nm": 540.0,
        "fwhm_nm": 6.5,
        "good": False,
        "name": "Bänd 5",
        "unit": None,
        "scale": 0.0001 * 5,
        "offset": 0.5,
    }
    assert found["provenance"] == []


def test_info_for_programs_of_points_and_of_a_result(folder: Path) -> None:
    made = cubes.rich_geotiff(folder / "in.tif", reference="gcps")
    found = done("info", made.path, "--json").json()
    assert found["gcps"][0] == {
        **dict(zip(("row", "column", "x", "y", "z"), made.items.gcps[0], strict=True)),
        **{key: found["gcps"][0][key] for key in ("name", "text")},
    }
    assert found["rpcs"].keys() >= {"LINE_OFF", "SAMP_NUM_COEFF"}
    assert found["tags"]["MISSION"] == made.items.tags["MISSION"]
    done("smooth", made.path, "-w3", "-d1", "-o", "out.tif")
    (step,) = done("info", "out.tif", "--json").json()["provenance"]
    assert set(step) == {"tool", "command", "input", "settings", "arguments"}
    assert (step["command"], step["input"]) == ("smooth", "in.tif")
    assert step["settings"]["window"] == 3


def test_info_of_steps_back_and_gaps(shared_data: Path) -> None:
    tile = shared_data / "enmap-box/potsdam_tiles/images/enmap_potsdam_tile_128_0.tif"
    found = done("info", tile, "--json").json()["spacing"]
    assert set(found) == {
        *("first_nm", "last_nm", "min_step_nm", "median_step_nm", "max_step_nm"),
        *("descending", "step_backs", "gaps"),
    }
    with rasterio.open(tile) as dataset:
        centres = np.array([float(dataset.tags(b)["wavelength"]) for b in range(1, 225)])
    back = int(np.argmin(np.diff(centres)))
    (told,) = found["step_backs"]
    assert told["after_band"] == back + 1
    assert told["step_nm"] == pytest.approx(-90.8, abs=0.05)
    assert (found["first_nm"], found["last_nm"]) == (418.24, 2445.53)
    assert found["max_step_nm"] == pytest.approx(179.6, abs=0.05)
    text = done("info", tile).out
    assert f"{told['step_nm']:.4g} nm after band {back + 1}" in text


def test_info_for_people(cube: Path) -> None:
    text = done("info", cube).out
    for said in ("12 bands x 6 rows x 7 columns", "int16", "-9999", "WGS 84 / UTM zone 33N"):
        assert said in text
    head, *rows = text[text.index("band  ") :].splitlines()
    assert head.split() == ["band", "wavelength_nm", "fwhm_nm", "good", "name"]
    assert rows[4].split() == ["5", "540", "6.5", "bad", "Bänd", "5"]
    assert len(rows) == BANDS


def test_info_of_nan_is_json(folder: Path) -> None:
    cubes.write_geotiff(Path("nan.tif"), cubes.spectra(3, 4, 5), nodata=float("nan"))
    text = done("info", "nan.tif", "--json").out
    assert json.loads(text, parse_constant=pytest.fail)["nodata"] == "nan"


# spectrum


def table(text: str) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a CSV."""
    head, *rows = csv.reader(io.StringIO(text))
    return head, rows


def test_spectra_as_csv(cube: Path) -> None:
    answer = done("spectrum", cube, "--at", "4,5", "--at", "0,0", "--at", "1,2")
    head, rows = table(answer.out)
    assert head == ["band", "wavelength_nm", "r4_c5", "r0_c0", "r1_c2"]
    assert [row[0] for row in rows] == [str(band + 1) for band in range(BANDS)]
    assert [float(row[1]) for row in rows] == CENTRES
    values = physical(cube)
    found = np.array([[float(cell or "nan") for cell in row[2:]] for row in rows])
    expected = np.stack([values[:, 4, 5], values[:, 0, 0], values[:, 1, 2]], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-8)
    assert [row[4] for row in rows] == [""] * BANDS
    assert [row[0] for row in rows if row[2] == ""] == ["4"]
    assert answer.err == ""


def test_spectra_as_json(cube: Path) -> None:
    found = done("spectrum", cube, "--at", "4,5", "--json").json()
    assert set(found) == {"band", "wavelength_nm", "places", "spectra"}
    assert found["places"] == [{"name": "r4_c5", "row": 4, "column": 5}]
    assert found["band"] == list(range(1, BANDS + 1))
    assert found["wavelength_nm"] == CENTRES
    values = [np.nan if v is None else v for v in found["spectra"]["r4_c5"]]
    np.testing.assert_allclose(values, physical(cube)[:, 4, 5], rtol=1e-12)
    assert found["spectra"]["r4_c5"][3] is None


def _map_place(row: float, column: float) -> tuple[float, float]:
    a, b, c, d, e, f = PLACE["transform"]
    return a * column + b * row + c, d * column + e * row + f


def _lonlat(x: float, y: float) -> tuple[float, float]:
    (lon,), (lat,) = transform(PLACE["crs"], "EPSG:4326", [x], [y])
    return lon, lat


@pytest.mark.parametrize("row_column", [(0.5, 0.5), (2.1, 6.9), (5.9, 0.1)])
def test_places_on_the_map(row_column: tuple[float, float], cube: Path) -> None:
    x, y = _map_place(*row_column)
    lon, lat = _lonlat(x, y)
    row, column = int(row_column[0]), int(row_column[1])
    _, expected = table(done("spectrum", cube, "--at", f"{row},{column}").out)
    for option in (f"--xy={x!r},{y!r}", f"--lonlat={lon!r},{lat!r}"):
        _, found = table(done("spectrum", cube, option).out)
        assert found == expected


@pytest.mark.parametrize("kind", ["rows", "xy", "lonlat", "bom"])
def test_places_from_a_csv(kind: str, cube: Path) -> None:
    places = [("leaf, old", 2, 3), ("µ soil", 5, 0)]
    heads = {
        "rows": "Name, Row ,Col",
        "xy": "x,y,name",
        "lonlat": "lat,lon,id",
        "bom": "row,col,id",
    }
    lines = [heads[kind]]
    for name, row, column in places:
        x, y = _map_place(row + 0.5, column + 0.5)
        lon, lat = _lonlat(x, y)
        cells = {
            "rows": f'"{name}",{row},{column}',
            "xy": f'{x!r},{y!r},"{name}"',
            "lonlat": f'{lat!r},{lon!r},"{name}"',
            "bom": f'{row},{column},"{name}"',
        }
        lines.append(cells[kind])
    encoding = "utf-8-sig" if kind == "bom" else "utf-8"
    Path("places.csv").write_text("\n".join(lines) + "\n", encoding=encoding)
    head, rows = table(done("spectrum", cube, "--points", "places.csv").out)
    assert head[2:] == ["leaf, old", "µ soil"]
    expected = done("spectrum", cube, "--at", "2,3", "--at", "5,0").out
    assert rows == table(expected)[1]


def test_places_from_a_geojson(cube: Path) -> None:
    features = []
    for name, row, column in (("leaf", 2, 3), ("soil", 5, 0)):
        x, y = _map_place(row + 0.5, column + 0.5)
        lon, lat = _lonlat(x, y)
        point = {"type": "Point", "coordinates": [lon, lat, 30.0]}
        features += [{"type": "Feature", "geometry": point, "properties": {"name": name}}]
    Path("p.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    head, rows = table(done("spectrum", cube, "--points", "p.geojson").out)
    assert head[2:] == ["leaf", "soil"]
    assert rows == table(done("spectrum", cube, "--at", "2,3", "--at", "5,0").out)[1]


def test_the_mean_leaves_missing_samples_out(cube: Path) -> None:
    places = ["--at", "4,5", "--at", "0,0", "--at", "1,2"]
    head, rows = table(done("spectrum", cube, *places, "--mean").out)
    values = physical(cube)
    there = np.stack([values[:, 4, 5], values[:, 0, 0], values[:, 1, 2]])
    assert head == ["band", "wavelength_nm", "mean"]
    np.testing.assert_allclose([float(row[2]) for row in rows], np.nanmean(there, 0), rtol=1e-8)
    _, rows = table(done("spectrum", cube, "--at", "1,2", "--mean").out)
    assert {row[2] for row in rows} == {""}


def test_spectra_without_wavelengths(folder: Path) -> None:
    array = cubes.spectra(3, 4, 5)
    cubes.write_geotiff(Path("plain.tif"), array)
    head, rows = table(done("spectrum", "plain.tif", "--at", "1,2").out)
    assert head == ["band", "r1_c2"]
    np.testing.assert_allclose([float(row[1]) for row in rows], array[:, 1, 2], rtol=1e-8)


def test_complex_samples_have_no_spectrum_in_a_table(folder: Path) -> None:
    cubes.write_geotiff(Path("c.tif"), cubes.spectra(3, 4, 5, "complex64"), nodata=0)
    answer = run("spectrum", "c.tif", "--at", "0,0")
    assert answer.code == 3
    assert "complex64" in answer.err


# band and convert


@pytest.mark.parametrize("name", ["3", "520nm", "0.52um", "518.2nm", "0.00052 mm", "5200angstrom"])
def test_a_band_is_that_plane_of_the_cube(name: str, cube: Path) -> None:
    done("band", cube, "--band", name, "-o", "one.tif")
    with rasterio.open("one.tif") as one, rasterio.open(cube) as whole:
        np.testing.assert_array_equal(one.read(), whole.read([3]))
        assert one.tags(1)["wavelength"] == "520.0"
        assert one.descriptions == ("Bänd 3",)
        assert (one.scales, one.offsets) == (whole.scales[2:3], whole.offsets[2:3])
        assert (one.crs, one.transform, one.nodata) == (whole.crs, whole.transform, whole.nodata)


def test_a_wavelength_finds_the_nearest_good_band(cube: Path) -> None:
    answer = run("band", cube, "--band", "540nm", "-o", "one.tif")
    assert answer.code == 2  # band 5, at 540 nm, is bad; the next good one is too far
    assert done("band", cube, "--band", "5", "-o", "one.tif").out == "one.tif\n"
    assert "band 4 (530 nm)" in done("band", cube, "--band", "534nm", "-o", "two.tif").err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10:12", [10, 11, 12]),
        ("3", [3]),
        (":3", [1, 2, 3]),
        ("10:", [10, 11, 12]),
        ("520nm:550nm", [3, 4, 5, 6]),
        ("0.515um:0.531um", [3, 4]),
        ("7,2:3,520nm,12", [7, 2, 3, 3, 12]),
    ],
)
def test_bands_that_are_kept(text: str, expected: list[int], cube: Path) -> None:
    done("convert", cube, "--bands", text, "-o", "some.tif")
    with rasterio.open("some.tif") as some, rasterio.open(cube) as whole:
        np.testing.assert_array_equal(some.read(), whole.read(expected))
        assert some.descriptions == tuple(whole.descriptions[b - 1] for b in expected)
        assert some.scales == tuple(whole.scales[b - 1] for b in expected)
        for band, former in enumerate(expected, 1):
            assert some.tags(band) == whole.tags(former)


@pytest.mark.parametrize("ending", ["tif", "img"])
def test_a_subset_keeps_its_place(ending: str, folder: Path) -> None:
    made = cubes.rich_geotiff(folder / "in.tif")
    done("convert", made.path, "--subset", "2,3,5,6", "--bands", "2:4", "-o", f"part.{ending}")
    done("convert", f"part.{ending}", "-o", "out.tif")
    window = Window(3, 2, 6, 5)
    with rasterio.open("out.tif") as part, rasterio.open(made.path) as whole:
        np.testing.assert_array_equal(part.read(), whole.read([2, 3, 4], window=window))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PendingDeprecationWarning)  # of affine, in rasterio
            expected = rasterio.windows.transform(window, whole.transform)
        np.testing.assert_allclose(part.transform[:6], expected[:6], rtol=1e-14)
        offsets = {k: float(v) for k, v in part.tags(ns="RPC").items() if k.endswith("_OFF")}
        assert (offsets["LINE_OFF"], offsets["SAMP_OFF"]) == (2.5, 2.5)
        assert offsets["LAT_OFF"] == 52.25


def test_control_points_move_with_a_subset(folder: Path) -> None:
    made = cubes.rich_geotiff(folder / "in.tif", reference="gcps")
    done("convert", made.path, "--subset", "2,3,5,6", "-o", "out.tif")
    with cubes.open_quietly("out.tif") as dataset:
        points = [(p.row + 2, p.col + 3, p.x, p.y, p.z) for p in dataset.gcps[0]]
    assert points == list(made.items.gcps)


@pytest.mark.parametrize(
    ("dtype", "nodata", "options", "made", "value"),
    [
        ("int16", -9999, ["--dtype", "float32"], "float32", -9999),
        ("int16", -9999, ["--dtype", "float64", "--nodata", "nan"], "float64", np.nan),
        ("int16", -9999, ["--dtype", "uint16", "--nodata", "65535"], "uint16", 65535),
        ("int16", -9999, ["--nodata", "-1"], "int16", -1),
        ("int16", -9999, ["--nodata", "none"], "int16", None),
        ("float32", np.nan, ["--nodata", "-1"], "float32", -1),
        ("float32", np.nan, ["--dtype", "int32", "--nodata", "-1"], "int32", -1),
        ("float32", None, ["--dtype", "int32", "--nodata", "-1"], "int32", -1),
        ("float32", None, ["--dtype", "float64"], "float64", None),
        ("float64", -9999, ["--dtype", "float32"], "float32", -9999),
        ("complex64", None, ["--dtype", "complex128"], "complex128", None),
        ("complex64", 5, ["--dtype", "complex128"], "complex128", 5),
    ],
)
def test_types_and_nodata(
    dtype: str, nodata: Any, options: list[str], made: str, value: Any, folder: Path
) -> None:
    array = cubes.spectra(3, 4, 5, dtype) + (np.zeros(1, dtype) if "int" in dtype else 3)
    array = array.astype(dtype)
    array[1, 2, 3] = np.nan if nodata is None and array.dtype.kind in "fc" else nodata or 0
    cubes.write_geotiff(Path("in.tif"), array, nodata=nodata)
    done("convert", "in.tif", *options, "-o", "out.tif")
    missing = np.isnan(array) if nodata is None or np.isnan(nodata) else array == nodata
    expected = np.where(missing, 0, array)
    expected = np.rint(expected) if "int" in made else expected
    with cubes.open_quietly("out.tif") as dataset:
        found = dataset.read()
        np.testing.assert_equal(dataset.nodata, None if made.startswith("complex") else value)
    assert found.dtype == made
    marked = found[1, 2, 3]
    kept = array[1, 2, 3] if value is None else value
    np.testing.assert_equal(marked, np.asarray(kept).astype(made))
    found[1, 2, 3] = 0
    np.testing.assert_array_equal(found, expected.astype(made))


@pytest.mark.parametrize(
    ("dtype", "sample", "options"),
    [
        ("float64", 1e39, ["--dtype", "float32"]),
        ("int16", -1, ["--dtype", "uint16"]),
        ("float32", 255.5, ["--dtype", "uint8"]),
        ("float32", 2.0**31, ["--dtype", "int32"]),
        ("uint64", 2**63, ["--dtype", "int64"]),
        ("complex64", 1j, ["--dtype", "float32"]),
        ("float32", np.nan, ["--dtype", "int16"]),
        ("int16", 7, ["--nodata", "7"]),
    ],
)
def test_samples_that_do_not_fit(dtype: str, sample: Any, options: list[str], folder: Path) -> None:
    array = np.ones((2, 3, 4), dtype)
    array[1, 2, 3] = sample
    array[0, 0, 0] = 3
    cubes.write_geotiff(Path("in.tif"), array, nodata=3 if dtype[0] in "iu" else None)
    answer = run("convert", "in.tif", *options, "-o", "out.tif")
    assert (answer.code, Path("out.tif").exists()) == (3, False)
    assert "error: unexpected" not in answer.err


def test_declaring_nodata_changes_no_sample(folder: Path) -> None:
    array = cubes.rich_pixels(7, 9, 11)
    cubes.write_geotiff(Path("in.tif"), array)
    done("convert", "in.tif", "--nodata", "-9999", "-o", "out.tif")
    with cubes.open_quietly("out.tif") as dataset:
        assert dataset.nodata == -9999
        np.testing.assert_array_equal(dataset.read(), array)


@pytest.mark.parametrize("compress", ["zstd", "deflate", "lzw"])
def test_compressed_outputs(compress: str, cube: Path) -> None:
    done("convert", cube, "--compress", compress, "-o", "out.tif")
    with rasterio.open("out.tif") as dataset:
        assert dataset.compression.value.lower() == compress
    assert run("diff", cube, "out.tif").code == 0
    done("smooth", cube, "-w5", "-d2", "-o", "plain.tif")
    done("smooth", cube, "-w5", "-d2", "--compress", compress, "-o", "packed.tif")
    np.testing.assert_array_equal(pixels(Path("plain.tif")), pixels(Path("packed.tif")))


def test_creation_options_reach_gdal(cube: Path) -> None:
    done("convert", cube, "--co", "tiled=yes", "--co", "BLOCKXSIZE=16", "-o", "out.tif")
    with rasterio.open("out.tif") as dataset:
        assert dataset.block_shapes[0][1] == 16


def test_wavelengths_from_a_file(folder: Path) -> None:
    cubes.write_geotiff(Path("plain.tif"), cubes.spectra(3, 4, 5))
    Path("w.csv").write_text("band,wavelength_um,fwhm\n1,0.5,0.01\n2,0.51,0.01\n3,0.525,0.01\n")
    found = done("info", "plain.tif", "--wavelengths", "w.csv", "--json").json()
    assert [band["wavelength_nm"] for band in found["band_table"]] == [500.0, 510.0, 525.0]
    assert [band["fwhm_nm"] for band in found["band_table"]] == [10.0] * 3
    done("convert", "plain.tif", "--wavelengths", "w.csv", "-o", "out.tif")
    with cubes.open_quietly("out.tif") as dataset:
        assert float(dataset.tags(3)["wavelength"]) in (525.0, 0.525)


def test_a_data_file_that_lies_elsewhere(folder: Path) -> None:
    array = cubes.spectra(3, 4, 5)
    path = cubes.write_envi(folder / "in", array)
    Path("elsewhere").mkdir()
    data = path.rename("elsewhere/data.bin")
    assert run("info", "in.hdr").code == 3
    done("convert", "in.hdr", "--data", data, "-o", "out.tif")
    np.testing.assert_array_equal(pixels(Path("out.tif")), array)
