"""What `attend mask` refuses: one line and its exit code each, and no file left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cubes
import numpy as np
import pytest
from command import done, run

BANDS, ROWS, COLUMNS = 6, 20, 30


@pytest.fixture
def cube(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A cube of noise with wavelengths, in its own folder."""
    path = tmp_path / "in" / "cube.tif"
    path.parent.mkdir()
    cubes.write_geotiff(path, noise(rng), wavelength_nm=cubes.wavelengths(BANDS), nodata=-1)
    return path


def noise(rng: np.random.Generator, bands: int = BANDS) -> Any:
    return rng.normal(100, 5, (bands, ROWS, COLUMNS)).astype(np.float32)


def table(path: Path, values: list[Any], head: str = "band") -> Path:
    first = range(1, len(values) + 1) if head == "band" else cubes.wavelengths(len(values))
    rows = "".join(f"{a},{b}\n" for a, b in zip(first, values, strict=True))
    path.write_text(f"{head},leaf\n{rows}")
    return path


def polygon(path: Path, *corners: tuple[float, float]) -> Path:
    shape = {"type": "Polygon", "coordinates": [[*corners, corners[0]]]}
    path.write_text(json.dumps(shape))
    return path


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "--score ace needs a query: give --query, --at, --xy or --roi"),
        (["--at", "1,2", "--xy", "3,4"], 2, "more than one query"),
        (["--at", "1"], 2, "--at '1' is not ROW,COL"),
        (["--at", "99,1"], 2, "outside the cube of 20 rows"),
        (["--xy", "1,1"], 2, "no georeference"),
        (["--at", "1,2", "--query-scale", "2"], 2, "--query-scale goes with --query"),
        (["--query", "none.csv"], 3, "none.csv: no such file"),
        (["--query", "SHORT"], 3, "has 4 bands, the cube 6, and the query no wavelengths"),
        (["--query", "HOLED"], 3, "query 'leaf': has no value in band 3"),
        (["--query", "FAR"], 3, "covers no band of the cube"),
        (["--query", "ZERO"], 3, "query 'leaf': is 0 in all bands that it covers"),
        (["--query", "ZERO", "--query-scale", "nan"], 2, "--query-scale nan is no factor"),
        (["--query", "ZERO", "--query-scale", "-2"], 2, "--query-scale -2 is no factor"),
        (["--at", "1,2", "--max-angle", "nan"], 2, "--max-angle nan is no angle"),
        (["--at", "1,2", "--max-drift", "nan", "--steps", "2"], 2, "--max-drift nan is no angle"),
        (["--roi", "OUTSIDE"], 3, "lies outside the cube of 20 rows and 30 columns"),
        (["--roi", "OTHER"], 3, "is of another grid: 20 x 29 pixels, and the cube has 20 x 30"),
        (["--at", "1,2", "--background", "OTHER"], 3, "is of another grid"),
        (["--score", "OTHER"], 3, "is of another grid (20 x 29 pixels)"),
        (["--score", "cosine"], 2, "--score cosine is no file and none of ace mf sam sid rx edge"),
        (["--at", "1,2", "--focus", "many"], 2, "focus 'many' is no number of pixels"),
        (["--at", "1,2", "--focus", "0"], 2, "focus '0'"),
        (["--at", "1,2", "--focus", "5", "--temperature", "1"], 2, "give one of them"),
        (["--at", "1,2", "--temperature", "-1"], 2, "temperature -1 is not a number above 0"),
        (["--at", "1,2", "--score", "sam", "--steps", "3"], 2, "--steps goes with --score ace"),
        (["--at", "1,2", "--mass", "0.5"], 2, "--mass and --top say what --hard holds"),
        (["--at", "1,2", "--hard", "h.tif", "--mass", "2"], 2, "--mass 2 is no share"),
        (["--at", "1,2", "--hard", "h.tif", "--mass", ".5", "--top", "3"], 2, "give one"),
        (["--at", "1,2", "--model", "m.npz", "--background", "OTHER"], 2, "give one"),
        (["--at", "1,2", "--model", "none.npz"], 3, "none.npz: cannot be read"),
        (["--at", "1,2", "--overlay", "a.bmp"], 2, "name it .png, .svg or .pdf"),
        (["--at", "1,2", "--overlay", "a.png", "--rgb", "1,2"], 2, "is not three bands"),
        (["--at", "1,2", "--masked", "out.tif"], 2, "two outputs would be written to"),
        (["--at", "1,2", "--spectrum", "out.tif"], 2, "two outputs would be written to"),
        (["--score", "rx", "--require", "present"], 2, "--require present needs a query"),
        (["--score", "rx", "--track"], 2, "--track carries a query"),
        (["other.tif", "--at", "1,2"], 2, "--output out.tif is one file, and 2 cubes are given"),
    ],
)
def test_refusals(
    arguments: list[str], code: int, said: str, cube: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(cube.parent)
    files = {
        "SHORT": table(Path("short.csv"), [1, 2, 3, 4]),
        "HOLED": table(Path("holed.csv"), [1, 2, "", 4, 5, 6], "wavelength_nm"),
        "FAR": Path("far.csv"),
        "ZERO": table(Path("zero.csv"), [0] * BANDS),
        "OUTSIDE": polygon(Path("outside.json"), (90, 1), (99, 1), (99, 9)),
        "OTHER": Path("other.tif"),
    }
    files["FAR"].write_text("wavelength_nm,a\n" + "".join(f"{n},1\n" for n in range(9000, 9090)))
    cubes.write_geotiff(files["OTHER"], np.ones((1, ROWS, COLUMNS - 1), np.float32))
    before = {path.name for path in Path().iterdir()}
    words = [str(files.get(word, word)) for word in arguments]
    answer = run("attend", "mask", "cube.tif", *words, "-o", "out.tif", "-q")
    assert (answer.code, answer.out) == (code, "")
    assert said in answer.err
    assert answer.err.startswith("hsitool: error: ") and answer.err.count("\n") == 1
    assert {path.name for path in Path().iterdir()} == before


def ask(path: Path, *more: object) -> Any:
    return run("attend", "mask", path, *more, "-o", path.with_name("m.tif"), "--json", "-q")


def test_a_cube_without_data(tmp_path: Path) -> None:
    path = tmp_path / "c.tif"
    cubes.write_geotiff(path, np.full((BANDS, ROWS, COLUMNS), -1, np.float32), nodata=-1)
    answer = ask(path, "--query", table(tmp_path / "q.csv", [1] * BANDS))
    assert answer.code == 3 and "no good band has data" in answer.err
    assert not path.with_name("m.tif").exists()


def test_a_cube_of_one_pixel_with_data(tmp_path: Path) -> None:
    array = np.full((BANDS, ROWS, COLUMNS), -1, np.float32)
    array[:, 3, 4] = [5, 6, 7, 8, 9, 9]
    path = tmp_path / "c.tif"
    cubes.write_geotiff(path, array, nodata=-1)
    query = ("--query", table(tmp_path / "q.csv", [5, 6, 7, 8, 9, 8]))
    answer = ask(path, *query, "--score", "sam")
    assert answer.code == 0, answer.err
    assert answer.json()["ess"] == 1
    with cubes.open_quietly(path.with_name("m.tif")) as dataset:
        mask = dataset.read(1)
    assert mask[3, 4] == 1 and np.isnan(mask).sum() == ROWS * COLUMNS - 1
    path.with_name("m.tif").unlink()
    for more, said in (
        (query, "only 1 pixel has data"),
        (("--at", "3,4", "--score", "sam"), "none of 1 pixels with data has a score"),
        (("--at", "0,0"), "the pixel at row 0, column 0 has no data"),
    ):
        answer = ask(path, *more)
        assert answer.code == 3 and said in answer.err
        assert not path.with_name("m.tif").exists()


def test_pixels_that_are_all_the_same(tmp_path: Path) -> None:
    """Only the one that was asked for is left out; its twins are found."""
    path = tmp_path / "c.tif"
    array = np.full((BANDS, ROWS, COLUMNS), 3, np.float32)
    array[:, 0, 0] = np.arange(BANDS) + 1
    cubes.write_geotiff(path, array)
    twins = table(tmp_path / "q.csv", [3] * BANDS)
    for asked, dropped in (("--at=5,6", [5, 6]), (f"--query={twins}", None)):
        answer = ask(path, asked, "--score", "sam", "--overwrite")
        assert answer.code == 0, answer.err
        found = answer.json()
        assert found["best_angle_deg"] == 0
        assert found["dropped_pixel"] == dropped
        assert found["ess"] == pytest.approx(ROWS * COLUMNS - 1 - (dropped is not None))


def test_two_bands_that_are_the_same(tmp_path: Path, rng: np.random.Generator) -> None:
    array = noise(rng)
    array[4] = array[2]
    path = tmp_path / "c.tif"
    cubes.write_geotiff(path, array)
    assert ask(path, "--at", "5,6").code == 0
    plain = run(
        "attend", "mask", path, "--at", "5,6", "--shrink", "none", "-q", "-o", tmp_path / "n.tif"
    )
    assert plain.code == 3 and "bands 3 and 5 are dependent" in plain.err


def test_fewer_pixels_than_bands(tmp_path: Path, rng: np.random.Generator) -> None:
    array = np.full((60, ROWS, COLUMNS), -1, np.float32)
    array[:, :5, :8] = rng.normal(100, 5, (60, 5, 8))
    path = tmp_path / "c.tif"
    cubes.write_geotiff(path, array, nodata=-1)
    answer = ask(path, "--at", "2,3", "--focus", 5)
    assert answer.code in (0, 2, 3) and answer.err.count("\n") <= 1
    if answer.code:
        assert "--shrink oas" in answer.err
    assert (
        run(
            "attend",
            "mask",
            path,
            "--at",
            "2,3",
            "--focus",
            5,
            "--shrink",
            "oas",
            "-o",
            tmp_path / "o.tif",
        ).code
        == 0
    )


def test_a_probable_factor_is_told(cube: Path, rng: np.random.Generator) -> None:
    query = table(cube.with_name("q.csv"), (rng.normal(100, 5, BANDS) / 10_000).tolist())
    asked = ("attend", "mask", cube, "--query", query, "-o", cube.with_name("m.tif"), "--overwrite")
    assert "about 0.0001 times the cube's mean" in done(*asked).err
    assert "--query-scale 10000 brings them together" in done(*asked).err
    assert "query-scale" not in done(*asked, "--query-scale", 10_000).err


def test_a_focus_that_cannot_be_had_is_told(cube: Path) -> None:
    answer = done(
        "attend", "mask", cube, "--at", "5,6", "--focus", 9999, "-o", cube.with_name("m.tif")
    )
    assert "9999 pixels are all there are: the weights are even" in answer.err


def test_the_default_name(cube: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(cube.parent)
    assert done("attend", "mask", cube, "--at", "5,6").out == "cube_mask.tif\n"
    assert done("attend", "mask", cube, "--at", "5,6", "--format", "envi").out == "cube_mask.img\n"


def test_help_without_a_verb_of_its_own() -> None:
    answer = run("attend")
    assert answer.code == 2
    assert "mask" in answer.err + answer.out


def test_other_sensors_frames_are_refused(cube: Path, rng: np.random.Generator) -> None:
    other = cube.with_name("other.tif")
    cubes.write_geotiff(other, noise(rng, BANDS + 1))
    answer = run(
        "attend", "mask", cube, other, "--track", "--at", "5,6", "-o", cube.with_name("m.tif"), "-q"
    )
    assert answer.code == 3 and "has other bands than the first cube" in answer.err
    assert {path.name for path in cube.parent.iterdir()} == {"cube.tif", "other.tif"}


def test_a_temperature_near_0_takes_the_best_pixel(cube: Path) -> None:
    for norm in ("sparsemax", "softmax", "entmax15"):
        answer = ask(cube, "--at", "5,6", "--norm", norm, "--temperature", "1e-300", "--overwrite")
        assert answer.code == 0, answer.err
        assert answer.err == ""
        assert answer.json()["ess"] == 1


def test_pixels_without_a_direction(tmp_path: Path) -> None:
    """Where all pixels but the query are 0, no angle is made up."""
    array = np.zeros((BANDS, ROWS, COLUMNS), np.float32)
    array[:, 3, 4] = np.arange(BANDS) + 1
    path = tmp_path / "c.tif"
    cubes.write_geotiff(path, array)
    words = ("--shrink", "oas", "-o", tmp_path / "m.tif")
    answer = run("attend", "mask", path, "--at", "3,4", *words)
    assert answer.code == 0, answer.err
    assert "absent: no other pixel has an angle to it" in answer.err
    assert "all pixels that 'r3_c4' could be like are 0" in answer.err
    assert "inf" not in answer.err
    answer = run("attend", "mask", path, "--at", "0,0", *words, "--overwrite")
    assert answer.code == 3 and "query 'r0_c0': is 0 in all bands" in answer.err
