"""`hsitool tune` on the command line: its table, JSON, picture, notes and refusals."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import cubes
import numpy as np
import pytest
import scenes
from command import done, run

BANDS = 40
WRONG_USE, BAD_DATA = 2, 3
STARTS = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


@pytest.fixture
def cube(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> Path:
    """A noisy cube of even steps, in the current folder."""
    monkeypatch.chdir(tmp_path)
    clean = scenes.signal(BANDS, 48, 48)
    noisy = clean + 0.01 * scenes.noise(clean.shape, 0.0, rng)
    return cubes.write_geotiff(Path("cube.tif"), noisy, wavelength_nm=scenes.wavelengths(BANDS))


def test_a_table_and_the_command_to_go_on_with(cube: Path) -> None:
    answer = done("tune", cube, "--deg", "2,3", "--windows", "3:9")
    assert answer.err == ""
    lines = answer.out.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["criterion", "sample", "noise"]
    head, *rows = (line.split() for line in lines[4:-2])
    assert head == ["window", "degree", "score", "rms", "error", "noise", "gain", "better", "bands"]
    tried = [(w, 2) for w in (3, 5, 7, 9)] + [(w, 3) for w in (5, 7, 9)]
    assert [(int(row[0]), int(row[1])) for row in rows] == tried
    (best,) = (row for row in rows if row[-1] == "best")
    assert float(best[2]) == min(float(row[2]) for row in rows)
    assert lines[-1] == f"hsitool smooth cube.tif -w {best[0]} -d {best[1]}"
    assert done(*shlex.split(lines[-1])[1:]).out == "cube_smooth.tif\n"


def test_the_command_repeats_what_was_asked(cube: Path) -> None:
    cube.rename("my cube.tif")
    Path("centres.txt").write_text("\n".join(map(str, scenes.wavelengths(BANDS))))
    options = "--deriv 1 --delta 8nm --split-gap off --split-at 500nm --wavelengths centres.txt"
    last = done("tune", "my cube.tif", *options.split()).out.splitlines()[-1]
    assert last.startswith("hsitool smooth 'my cube.tif' -w ")
    assert last.endswith(" -d 2 " + options)
    assert done("tune", "my cube.tif", "--spacing", "band").out.endswith(" --spacing band\n")


def test_for_programs(cube: Path) -> None:
    answer = done("tune", cube, "--deg", "2,4", "--json", "--seed", 7)
    found = answer.json()
    assert answer.err == ""
    assert list(found) == [
        *("criterion", "noise_method", "deriv", "pixels", "seed", "bands", "unit", "noise_unit"),
        *("wavelength_nm", "noise_std", "noise_correlation", "candidates", "best"),
    ]
    assert list(found["candidates"][0]) == [
        *("window", "degree", "score", "noise_gain", "better", "rms")
    ]
    assert list(found["noise_correlation"]) == ["first", "decay"]
    assert found["wavelength_nm"] == scenes.wavelengths(BANDS)
    assert len(found["noise_std"]) == found["bands"] == BANDS
    lowest = min(found["candidates"], key=lambda tried: tried["score"])
    assert found["best"] == {key: lowest[key] for key in ("window", "degree")}
    assert lowest["rms"] == pytest.approx(np.sqrt(lowest["score"]))


def test_the_same_seed_gives_the_same_bytes(cube: Path) -> None:
    words = ["tune", cube, "--json", "--pixels", 300]
    first = done(*words, "--seed", 3).out
    assert done(*words, "--seed", 3, "--threads", 1).out == first
    assert done(*words, "--seed", 4).out != first


def test_a_cube_without_wavelengths(cube: Path) -> None:
    with cubes.open_quietly(cube) as dataset:
        cubes.write_geotiff(Path("plain.tif"), dataset.read())
    found = done("tune", "plain.tif", "--json").json()
    assert found["wavelength_nm"] is None
    known = done("tune", cube, "--json").json()
    scores = [[tried["score"] for tried in report["candidates"]] for report in (found, known)]
    np.testing.assert_allclose(*scores, rtol=1e-9)


def test_notes_of_a_best_window_that_is_none_or_the_longest(cube: Path) -> None:
    sharp = np.zeros((BANDS, 48, 48))
    sharp[::2] = cubes.spectra(BANDS // 2, 48, 48, "float64", noise=0.0)
    cubes.write_geotiff(Path("sharp.tif"), sharp)
    answer = done("tune", "sharp.tif")
    assert answer.err.endswith("leaves the cube as it is\n")
    assert answer.out.endswith("-w 3 -d 2\n")
    flat = cubes.spectra(BANDS, 48, 48, "float64", noise=0.05)
    cubes.write_geotiff(Path("flat.tif"), flat)
    assert "longer ones with --windows" in done("tune", "flat.tif", "--windows", "3:9").err
    assert done("tune", "flat.tif", "--windows", "3:9", "--quiet").err == ""


@pytest.mark.parametrize("ending", STARTS)
def test_a_picture(ending: str, cube: Path) -> None:
    pytest.importorskip("matplotlib")
    words = ["tune", cube, "--deg", "2,4", "--deriv", 1]
    answer = done(*words, "--plot", f"a{ending}")
    assert answer.err == ""
    assert answer.out == done(*words).out
    assert Path(f"a{ending}").read_bytes().startswith(STARTS[ending])
    done(*words, "--plot", f"b{ending}", "--json")
    assert Path(f"a{ending}").read_bytes() == Path(f"b{ending}").read_bytes()
    answer = run(*words, "--plot", f"a{ending}")
    assert (answer.code, answer.out) == (WRONG_USE, "")
    assert "exists" in answer.err
    done(*words, "--plot", f"a{ending}", "--overwrite")


def test_a_picture_says_what_its_axes_are(cube: Path) -> None:
    pytest.importorskip("matplotlib")
    with cubes.open_quietly(cube) as dataset:
        items = {"wavelength_nm": scenes.wavelengths(BANDS), "units": ["W"] * BANDS}
        cubes.write_geotiff(Path("units.tif"), dataset.read(), **items)
    done("tune", "units.tif", "--deg", "2,3", "--deriv", 1, "--plot", "a.svg")
    text = Path("a.svg").read_text(encoding="utf-8")
    for words in (
        *("window (bands)", "mean squared error, (W/nm)²", "degree 2", "degree 3", "best: window"),
        *("wavelength (nm)", "standard deviation, W", "Estimated error of derivative 1"),
    ):
        assert f"<!-- {words}" in text


REFUSALS: dict[str, tuple[list[Any], int, str]] = {
    "degrees": (["--deg", "two"], WRONG_USE, "--deg 'two'"),
    "degree negative": (["--deg=-1"], WRONG_USE, "--deg '-1'"),
    "degree empty": (["--deg", "2,"], WRONG_USE, "--deg '2,'"),
    "degree as bands": (["--deg", BANDS], WRONG_USE, f"cube's {BANDS} bands"),
    "windows": (["--windows", "wide"], WRONG_USE, "--windows 'wide'"),
    "windows backwards": (["--windows", "9:5"], WRONG_USE, "'9:5'"),
    "windows none": (["--windows", "4:4"], WRONG_USE, "'4:4'"),
    "window even": (["--windows", "5,6"], WRONG_USE, "window 6 is even"),
    "windows too long": (["--windows", "5:99"], WRONG_USE, f"cube's {BANDS} bands"),
    "windows too short": (["--windows", "3,5", "--deg", "6"], WRONG_USE, "degree 6"),
    "derivative": (["--deriv", 3], WRONG_USE, "derivative 3"),
    "derivative negative": (["--deriv", -1], WRONG_USE, "derivative -1"),
    "pixels": (["--pixels", 3], WRONG_USE, "3 pixels"),
    "pixels too many": (["--pixels", 10**9], WRONG_USE, "--max-memory"),
    "seed": (["--seed", -1], WRONG_USE, "--seed"),
    "delta": (["--delta", "0nm"], WRONG_USE, "--delta 0nm"),
    "delta and band": (["--delta", "5nm", "--spacing", "band"], WRONG_USE, "--delta"),
    "gap": (["--split-gap", "wide"], WRONG_USE, "wide"),
    "gap 0": (["--split-gap", "0nm"], WRONG_USE, "--split-gap 0nm"),
    "seam": (["--split-at", "5000nm"], WRONG_USE, "5000 nm"),
    "plot ending": (["--plot", "x.bmp"], WRONG_USE, "x.bmp"),
    "plot folder": (["--plot", "nowhere/x.png"], WRONG_USE, "nowhere"),
    "memory": (["--max-memory", "9MB"], WRONG_USE, "--max-memory"),
    "wavelengths": (["--wavelengths", "none.txt"], BAD_DATA, "none.txt"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals(case: str, cube: Path) -> None:
    options, code, said = REFUSALS[case]
    before = sorted(Path().iterdir())
    answer = run("tune", cube, *options)
    assert (answer.code, answer.out) == (code, "")
    (line,) = answer.err.splitlines()
    assert line.startswith("hsitool: error: ")
    assert said in line
    assert sorted(Path().iterdir()) == before


def test_a_cube_that_cannot_serve(cube: Path) -> None:
    cubes.write_geotiff(Path("few.tif"), cubes.spectra(BANDS, 3, 4))
    cubes.write_geotiff(Path("complex.tif"), cubes.spectra(BANDS, 30, 40, "complex64"))
    Path("text.tif").write_bytes(b"hello")
    for name, said in (("few", "16 are needed"), ("complex", "complex64"), ("text", "text.tif")):
        answer = run("tune", f"{name}.tif")
        assert (answer.code, answer.out) == (BAD_DATA, "")
        assert said in answer.err
        assert len(answer.err.splitlines()) == 1


def test_without_matplotlib(cube: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hsitool.drawing.find_spec", lambda _: None)
    answer = run("tune", cube, "--plot", "x.png")
    assert (answer.code, answer.out) == (WRONG_USE, "")
    assert answer.err == "hsitool: error: a plot needs Matplotlib: pip install matplotlib\n"
