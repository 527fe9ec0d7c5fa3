"""Several outputs, residuals, reports and standard deviations from one run of `smooth`."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import cubes
import numpy as np
import pytest
from command import done, run
from fits import gains

from hsitool.storage.readers import RasterioReader, RawReader

BANDS = 30
CENTRES = cubes.wavelengths(BANDS)
LAYOUTS = ("pixel", "band", "packed", "bsq", "bip")


def make(folder: Path, array: Any, layout: str = "band", **items: Any) -> Path:
    items = {"wavelength_nm": CENTRES, **items}
    if layout in ("bsq", "bip"):
        header = {"wavelength units": "Nanometers", "wavelength": cubes.listed(CENTRES)}
        return cubes.write_envi(folder / "in", array, items=header, interleave=layout)
    interleave = "band" if layout == "band" else "pixel"
    more = {"blocks": ("tile", 16), "compress": "deflate"} if layout == "packed" else {}
    return cubes.write_geotiff(folder / "in.tif", array, interleave=interleave, **more, **items)


def pixels(path: Path) -> Any:
    with cubes.open_quietly(path) as dataset:
        return dataset.read()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_outputs_of_one_run_are_those_of_single_runs(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = cubes.spectra(BANDS, 40, 30)
    array[4:6, 3, 3] = np.nan
    path = make(tmp_path, array, layout)
    for deriv in (0, 1, 2):
        target = tmp_path / f"{deriv}.tif"
        done("smooth", path, "-w7", "-d3", "--deriv", deriv, "-o", target)
    read: list[int] = []
    for reader in (RawReader, RasterioReader):
        original = reader.read

        def counted(self: Any, tile: Any, *rest: Any, _original: Any = original) -> Any:
            read.append(tile.pixels if tile.height > 1 else 0)
            return _original(self, tile, *rest)

        monkeypatch.setattr(reader, "read", counted)
    outputs = [word for n in (2, 0, 1) for word in ("--deriv", n, "-o", tmp_path / f"j{n}.tif")]
    answer = done("smooth", path, "-w7", "-d3", *outputs, "--residual", tmp_path / "r.tif", "-q")
    assert sum(read) == 40 * 30  # single rows are only looked at for bands without data
    assert answer.out.split() == [str(tmp_path / f"{n}.tif") for n in ("j2", "j0", "j1", "r")]
    for deriv in (0, 1, 2):
        alone, joint = pixels(tmp_path / f"{deriv}.tif"), pixels(tmp_path / f"j{deriv}.tif")
        np.testing.assert_allclose(joint, alone, rtol=0, atol=1e-6 * np.nanmax(np.abs(alone)))
        left, right = (
            done("info", tmp_path / f"{name}.tif", "--json").json()
            for name in (f"{deriv}", f"j{deriv}")
        )
        assert left["provenance"] == right["provenance"]
    smooth = pixels(tmp_path / "0.tif").astype("f8")
    np.testing.assert_allclose(pixels(tmp_path / "r.tif"), array - smooth, rtol=0, atol=1e-6)


def test_a_failure_leaves_none_of_the_outputs(tmp_path: Path) -> None:
    path = make(tmp_path, cubes.spectra(BANDS, 8, 9))
    (tmp_path / "b.tif").write_text("mine")
    words = ["--deriv", 0, "--deriv", 1, "-o", tmp_path / "a.tif", "-o", tmp_path / "b.tif"]
    answer = run("smooth", path, "-w5", "-d2", *words)
    assert answer.code == 2
    assert "exists" in answer.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.tif", "in.tif"]
    assert (tmp_path / "b.tif").read_text() == "mine"


def test_one_band_of_several_outputs(tmp_path: Path) -> None:
    path = make(tmp_path, cubes.spectra(BANDS, 8, 9))
    derivs = ["--deriv", 0, "--deriv", 1]
    done("smooth", path, "-w5", "-d2", *derivs, "-o", tmp_path / "a.tif", "-o", tmp_path / "b.tif")
    ones = ["-o", tmp_path / "c.tif", "-o", tmp_path / "d.tif", "--residual", tmp_path / "r.tif"]
    done("smooth", path, "-w5", "-d2", *derivs, *ones, "--band", 12)
    for whole, one in (("a", "c"), ("b", "d")):
        np.testing.assert_allclose(
            pixels(tmp_path / f"{one}.tif")[0], pixels(tmp_path / f"{whole}.tif")[11], rtol=1e-5
        )
    assert pixels(tmp_path / "r.tif").shape == (1, 8, 9)


# Windows, modes and bad bands


def test_a_window_in_nm(tmp_path: Path) -> None:
    centres = [400.0 + 5 * band for band in range(BANDS)]
    path = make(tmp_path, cubes.spectra(BANDS, 8, 9), wavelength_nm=centres)
    done("smooth", path, "-w5", "-d2", "-o", tmp_path / "bands.tif")
    done("smooth", path, "-w", "20nm", "-d2", "-o", tmp_path / "nm.tif")
    assert (pixels(tmp_path / "bands.tif") == pixels(tmp_path / "nm.tif")).all()
    (step,) = done("info", tmp_path / "nm.tif", "--json").json()["provenance"]
    assert step["settings"]["window"] == "20nm"


def test_bad_bands_are_filled_if_asked(tmp_path: Path) -> None:
    """A parabola is met exactly, also where a bad band holds nonsense, or nothing at all."""
    x = np.array(CENTRES)
    values = ((x - 900) / 100) ** 2
    array = np.repeat(values[:, None, None], 12, axis=2).repeat(5, axis=1)
    bbl = np.ones(BANDS, int)
    bbl[[0, 9]] = 0
    broken = array.copy()
    broken[9], broken[20] = 1e6, np.nan
    path = make(tmp_path, broken, bbl=bbl.tolist())
    words = ["smooth", path, "-w5", "-d2", "--split-gap", "off"]
    for deriv, truth in ((0, array), (2, np.full_like(array, 2e-4))):
        target = tmp_path / f"{deriv}.tif"
        done(*words, "--fill-bad", "--deriv", deriv, "-o", target)
        found = pixels(target)
        np.testing.assert_allclose(found[1:], truth[1:], rtol=1e-8, atol=1e-9)
    assert (pixels(tmp_path / "0.tif")[0] == broken[0]).all()  # nothing stands on its left
    assert np.isnan(pixels(tmp_path / "2.tif")[0]).all()
    done(*words, "-o", tmp_path / "plain.tif")
    assert (pixels(tmp_path / "plain.tif")[9] == 1e6).all()
    assert done("info", tmp_path / "0.tif", "--json").json()["band_table"][9]["good"] is False


def test_a_filled_band_hangs_on_its_window_alone(tmp_path: Path) -> None:
    """Neither on its own sample, nor on gaps elsewhere, nor on the way it is asked for."""
    array = cubes.spectra(BANDS, 6, 7, "float64")
    array[10:12] = np.nan
    array[25, 0, 0] = np.nan
    sigma = cubes.write_geotiff(tmp_path / "sigma.tif", np.ones((BANDS, 6, 7), np.float32))
    path = make(tmp_path, array)
    words = ["smooth", path, "-w5", "-d2", "--fill-bad"]
    outputs = ["-o", tmp_path / "a.tif", "--sigma", sigma, "--sigma-out", tmp_path / "sd.tif"]
    done(*words, *outputs)
    done(*words, "--band", 11, "-o", tmp_path / "one.tif")
    found, deviation = pixels(tmp_path / "a.tif"), pixels(tmp_path / "sd.tif")
    assert not np.isnan(found[10:12]).any()
    np.testing.assert_array_equal(np.isnan(found), np.isnan(deviation))
    np.testing.assert_allclose(pixels(tmp_path / "one.tif")[0], found[10], rtol=1e-12)
    x = np.array(CENTRES)[[8, 9, 12, 13]] - CENTRES[10]
    truth = np.polyfit(x, array[[8, 9, 12, 13], 0, 0], 2)[-1]
    assert found[10, 0, 0] == pytest.approx(truth, rel=1e-9)


@pytest.mark.parametrize("bad", [range(10, 13), range(8, 15)])
def test_long_runs_of_bad_bands_are_filled_alike_band_by_band(bad: range, tmp_path: Path) -> None:
    centres = [400.0 + 10 * band for band in range(BANDS)]
    array = cubes.spectra(BANDS, 6, 7)
    array[list(bad)] = np.nan
    path = make(tmp_path, array, wavelength_nm=centres)
    for window in ("5", "20nm"):
        words = ["smooth", path, "-w", window, "-d2", "--fill-bad", "--overwrite"]
        report = ["--report", tmp_path / "r.json"]
        done(*words, "-o", tmp_path / "all.tif", *report)
        whole = pixels(tmp_path / "all.tif")
        assert not np.isnan(whole).any()
        rows = json.loads((tmp_path / "r.json").read_text())["outputs"][0]["bands"]
        for band in bad:
            done(*words, "--band", band + 1, "-o", tmp_path / "one.tif")
            np.testing.assert_allclose(pixels(tmp_path / "one.tif")[0], whole[band], rtol=1e-5)
            assert rows[band]["window_first"] - 1 < bad[0] <= bad[-1] < rows[band]["window_last"]
            assert rows[band]["noise_gain"] < 4  # both sides: nothing is extrapolated


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
def test_a_residual_is_missing_where_its_band_is(dtype: str, tmp_path: Path) -> None:
    """Bands that are copied leave a residual of 0, whatever their neighbours miss."""
    array = cubes.spectra(BANDS, 6, 7, dtype)
    array[11, 1, 1] = -1
    bbl = [int(band not in range(10, 14)) for band in range(BANDS)]
    path = make(tmp_path, array, nodata=-1, bbl=bbl)
    done("smooth", path, "-w5", "-d2", "-o", tmp_path / "s.tif", "--residual", tmp_path / "r.tif")
    found = pixels(tmp_path / "r.tif")[10:14]
    expected = np.zeros((4, 6, 7))
    expected[1, 1, 1] = np.nan
    np.testing.assert_array_equal(found, expected)
    words = ["-w1", "-d0", "--residual", tmp_path / "r1.tif", "-o", tmp_path / "s1.tif"]
    done("smooth", path, *words)
    assert np.isnan(pixels(tmp_path / "r1.tif")).sum() == 1


def test_a_report_that_cannot_be_written_leaves_no_cube(tmp_path: Path) -> None:
    path = make(tmp_path, cubes.spectra(BANDS, 8, 9))
    target = tmp_path / "a.tif"
    answer = run("smooth", path, "-w5", "-d2", "-o", target, "--report", "/proc/none.json")
    assert answer.code == 3
    assert len(answer.err.splitlines()) == 1
    assert not target.exists()


def test_samples_that_are_no_measurements_stop_no_derivative(tmp_path: Path) -> None:
    array = cubes.spectra(BANDS, 40, 40, "float64")
    array[:, ::3] = -1.797e308
    path = make(tmp_path, array)
    done("smooth", path, "-w5", "-d2", "--deriv", 1, "-o", tmp_path / "a.tif")
    answer = run("tune", path)
    assert answer.code == 3
    assert "is no measurement" in answer.err


def test_standard_deviations_are_not_negative(tmp_path: Path) -> None:
    path = make(tmp_path, cubes.spectra(BANDS, 8, 9))
    sigma = cubes.write_geotiff(tmp_path / "sd.tif", np.full((BANDS, 8, 9), -9999, np.float32))
    words = ["-o", tmp_path / "a.tif", "--sigma", sigma, "--sigma-out", tmp_path / "b.tif"]
    answer = run("smooth", path, "-w5", "-d2", *words)
    assert answer.code == 3
    assert "is no standard deviation" in answer.err
    assert not (tmp_path / "a.tif").exists()


def test_gaps_are_filled_if_asked(tmp_path: Path) -> None:
    array = cubes.spectra(BANDS, 8, 9, "float64")
    array[10, 2, 3] = np.nan
    path = make(tmp_path, array)
    done("smooth", path, "-w7", "-d2", "-o", tmp_path / "a.tif")
    done("smooth", path, "-w7", "-d2", "--fill-gaps", "-o", tmp_path / "b.tif")
    done("smooth", path, "-w7", "-d2", "--min-valid", 7, "-o", tmp_path / "c.tif")
    kept, filled, strict = (pixels(tmp_path / f"{name}.tif")[:, 2, 3] for name in "abc")
    assert np.flatnonzero(np.isnan(kept)).tolist() == [10]
    assert not np.isnan(filled).any()
    assert np.flatnonzero(np.isnan(strict)).tolist() == list(range(7, 14))
    x = np.array(CENTRES)[[7, 8, 9, 11, 12, 13]]
    truth = np.polyfit(x - CENTRES[10], array[[7, 8, 9, 11, 12, 13], 2, 3], 2)[-1]
    assert filled[10] == pytest.approx(truth, rel=1e-9)


# Reports


@pytest.mark.parametrize("ending", ["json", "csv"])
def test_the_report_names_windows_and_noise_gains(ending: str, tmp_path: Path) -> None:
    bbl = [int(band != 12) for band in range(BANDS)]
    path = make(tmp_path, cubes.spectra(BANDS, 8, 9), bbl=bbl)
    report = tmp_path / f"report.{ending}"
    outputs = ["--deriv", 0, "--deriv", 1, "-o", tmp_path / "a.tif", "-o", tmp_path / "b.tif"]
    words = ["smooth", path, "-w5", "-d2", "--split-gap", "off", *outputs, "--report", report]
    done(*words)
    if ending == "json":
        found = json.loads(report.read_text())["outputs"]
        rows = [{"deriv": part["deriv"], **band} for part in found for band in part["bands"]]
        assert found[1]["file"].endswith("b.tif")
    else:
        table = csv.DictReader(io.StringIO(report.read_text()))
        rows = [
            {
                k: (float(v) if "." in v else int(v)) if v else None
                for k, v in row.items()
                if k not in ("file", "residual")
            }
            for row in table
        ]
    assert [row["band"] for row in rows] == 2 * list(range(1, BANDS + 1))
    x = np.array(CENTRES)
    for row in rows:
        band = row["band"] - 1
        assert row["wavelength_nm"] == pytest.approx(CENTRES[band])
        if band == 12:
            assert row["segment"] is None
            assert row["noise_gain"] == (1 if row["deriv"] == 0 else None)
            continue
        ends = (0, 7) if band < 12 else (13, BANDS - 5)
        first = min(max(band - 2, ends[0]), ends[1])
        window = range(first, first + 5)
        assert (row["window_first"], row["window_last"]) == (first + 1, first + 5)
        assert (row["window_bands"], row["segment"]) == (5, 1 if band < 12 else 2)
        assert row["noise_gain"] == pytest.approx(
            gains(x[window] - x[band], 2)[row["deriv"]], rel=1e-9
        )
    assert run(*words, "--overwrite").code == 0
    assert run(*words).code == 2


# Standard deviations


def sigma_cube(folder: Path, rng: np.random.Generator, **items: Any) -> tuple[Path, Any]:
    sigma = rng.uniform(0.5, 2, (BANDS, 8, 9)).astype(np.float32)
    return cubes.write_geotiff(folder / "sigma.tif", sigma, **items), sigma


@pytest.mark.parametrize("deriv", [0, 1])
def test_deviations_of_independent_bands(
    deriv: int, tmp_path: Path, rng: np.random.Generator
) -> None:
    path = make(tmp_path, cubes.spectra(BANDS, 8, 9), scales=[0.5] * BANDS, units=["W"] * BANDS)
    sigma_path, sigma = sigma_cube(tmp_path, rng)
    target, out = tmp_path / "out.tif", tmp_path / "sd.tif"
    words = ["smooth", path, "-w5", "-d2", "--deriv", deriv, "--split-gap", "off", "-o", target]
    answer = done(*words, "--sigma", sigma_path, "--sigma-out", out)
    assert "independent between bands" in answer.err
    assert answer.out.split() == [str(target), str(out)]
    found, x = pixels(out), np.array(CENTRES)
    assert found.dtype == np.float32
    for band in (0, 1, 15, BANDS - 1):
        first = min(max(band - 2, 0), BANDS - 5)
        window = slice(first, first + 5)
        basis = np.vander(x[window] - x[band], 3, increasing=True)
        weights = np.linalg.pinv(basis)[deriv]
        expected = np.sqrt(np.einsum("i,ijk->jk", weights**2, sigma[window].astype("f8") ** 2))
        np.testing.assert_allclose(found[band], expected, rtol=1e-5)
    about = done("info", out, "--json").json()
    assert {band["unit"] for band in about["band_table"]} == {"W" if deriv == 0 else "W/nm"}
    assert {band["scale"] for band in about["band_table"]} <= {None, 1.0}


def test_a_smoothed_cube_asks_for_the_covariance(tmp_path: Path, rng: np.random.Generator) -> None:
    path = make(tmp_path, cubes.spectra(BANDS, 8, 9))
    sigma_path, _ = sigma_cube(tmp_path, rng)
    once, again, out = (tmp_path / f"{name}.tif" for name in ("once", "again", "sd"))
    done("smooth", path, "-w5", "-d2", "-o", once)
    done("convert", once, "-o", tmp_path / "once.img")  # the tag goes along
    for cube in (once, tmp_path / "once.img"):
        words = ["smooth", cube, "-w5", "-d2", "-o", again, "--sigma", sigma_path]
        answer = run(*words, "--sigma-out", out)
        assert answer.code == 2
        assert "correlated between bands" in answer.err
        assert "--noise-cov" in answer.err
    np.save(tmp_path / "cov.npy", np.eye(BANDS))
    done(*words, "--sigma-out", out, "--noise-cov", tmp_path / "cov.npy")


def test_a_covariance_gives_deviations_alone(tmp_path: Path) -> None:
    path = make(tmp_path, cubes.spectra(BANDS, 8, 9))
    apart = np.abs(np.subtract.outer(np.arange(BANDS), np.arange(BANDS)))
    matrix = 4.0 * 0.5**apart
    np.save(tmp_path / "cov.npy", matrix)
    out, report = tmp_path / "sd.tif", tmp_path / "report.json"
    words = ["-w5", "-d2", "--spacing", "band", "--split-gap", "off", "-o", tmp_path / "out.tif"]
    noise = ["--noise-cov", tmp_path / "cov.npy", "--sigma-out", out, "--report", report]
    done("smooth", path, *words, *noise)
    weights = np.array([-3, 12, 17, 12, -3]) / 35
    expected = np.sqrt(weights @ matrix[:5, :5] @ weights)
    np.testing.assert_allclose(pixels(out)[2:-2], expected, rtol=1e-6)
    rows = json.loads(report.read_text())["outputs"][0]["bands"]
    assert rows[10]["sigma"] == pytest.approx(expected)


# Refusals


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-w", "5", "--deriv", 0, "--deriv", 1, "-o", "a.tif"], "2 --deriv and 1 -o"),
        (["-w", "5", "--deriv", 0, "--deriv", 1], "2 --deriv and 0 -o"),
        (
            ["-w", "5", "--deriv", 0, "--deriv", 1, "-o", "a.tif", "-o", "a.tif"],
            "give each its own name",
        ),
        (["-w", "5", "-o", "a.tif", "--residual", "./a.tif"], "two outputs"),
        (["-w", "5nm", "--spacing", "band"], "needs bands at known wavelengths"),
        (["-w", "0nm"], "give a width above 0 nm"),
        (["-w", "five"], "write it as 5 or 40nm"),
        (["-w", "5", "--mode", "mirror"], "add --spacing band or --delta"),
        (["-w", "5nm", "--mode", "wrap", "--delta", "5nm"], "give the window in bands"),
        (["-w", "5", "--report", "r.txt"], "name it .json or .csv"),
        (["-w", "5", "--sigma", "in.tif"], "--sigma without --sigma-out"),
        (["-w", "5", "--sigma-out", "s.tif"], "the noise is not known"),
        (["-w", "5", "--sigma", "small.tif", "--sigma-out", "s.tif"], "of the same shape"),
        (
            ["-w", "5", "--sigma", "in.tif", "--sigma-out", "s.tif", "--sigma-out", "t.tif"],
            "for each -o",
        ),
        (["-w", "5", "--deriv", 0, "--deriv", 1, "-o", "a.img", "-o", "a.hdr"], "two outputs"),
        (["-w", "5", "--deriv", 0, "--deriv", 1, "-o", "a.img", "-o", "a.dat"], "two outputs"),
        (["-w", "5", "-f", "envi", "-o", "a.csv", "--report", "a.csv"], "two outputs"),
        (["-w", "5", "--noise-cov", "in.tif"], "give one of them"),
    ],
)
def test_refusals(
    words: list[Any], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path, cubes.spectra(BANDS, 8, 9))
    cubes.write_geotiff(tmp_path / "small.tif", cubes.spectra(BANDS, 4, 4))
    before = sorted(path.name for path in tmp_path.iterdir())
    answer = run("smooth", "in.tif", "-d2", *words)
    assert answer.code == 2
    (line,) = answer.err.splitlines()
    assert says in line
    assert sorted(path.name for path in tmp_path.iterdir()) == before


class Trap:
    """Would run code if it were unpickled."""

    def __reduce__(self) -> Any:
        return (Path("trapped").write_text, ("x",))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (np.eye(BANDS + 1), "not (30, 30)"),
        (np.full((BANDS, BANDS), np.nan), "NaN"),
        (np.triu(np.ones((BANDS, BANDS))), "not symmetric"),
        (-np.eye(BANDS), "negative"),
        (np.ones((BANDS, BANDS, BANDS)), "too large"),
        (np.array([[Trap()]], object), "not a NumPy .npy file"),
        (b"no array", "not a NumPy .npy file"),
        (None, "cannot be read"),
    ],
)
def test_covariances_that_are_none(
    content: Any, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path, cubes.spectra(BANDS, 8, 9))
    if isinstance(content, bytes):
        Path("cov.npy").write_bytes(content)
    elif content is not None:
        np.save("cov.npy", content, allow_pickle=True)
    answer = run("smooth", "in.tif", "-w5", "-d2", "--noise-cov", "cov.npy", "--sigma-out", "s.tif")
    assert answer.code == 3
    (line,) = answer.err.splitlines()
    assert says in line
    assert not Path("trapped").exists()
    assert not Path("s.tif").exists()
