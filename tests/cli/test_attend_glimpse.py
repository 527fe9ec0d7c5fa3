"""What `attend glimpse` refuses: one line and its exit code each, and no file left."""

from __future__ import annotations

from pathlib import Path

import cubes
import numpy as np
import pytest
from command import run

BANDS, ROWS, COLUMNS = 6, 20, 30


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a cube and some masks."""
    monkeypatch.chdir(tmp_path)
    array = rng.normal(100, 5, (BANDS, ROWS, COLUMNS)).astype(np.float32)
    array[1, 8, 9] = -1
    cubes.write_geotiff(tmp_path / "cube.tif", array, nodata=-1)
    cubes.write_geotiff(tmp_path / "whole.tif", array.astype(np.int16))
    few = np.zeros((1, ROWS, COLUMNS), np.float32)
    few[0, 10, 5:12] = 1
    nodata = np.zeros_like(few)
    nodata[0, 8, 9] = 1
    border = np.zeros_like(few)
    border[0, 0, 3:20] = 1
    masks = {"few": few, "zero": 0 * few, "below": few - 0.5, "nodata": nodata, "border": border}
    for name, mask in masks.items():
        cubes.write_geotiff(tmp_path / f"{name}.tif", mask)
    cubes.write_geotiff(tmp_path / "other.tif", few[:, :, 1:])
    cubes.write_geotiff(tmp_path / "two.tif", np.concatenate([few, few]))
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "crops around what? give --at"),
        (["--at", "9,9", "--from", "few.tif"], 2, "crops are around one thing"),
        (["--at", "9,9", "--xy", "9,9"], 2, "crops are around one thing"),
        (["--from", "few.tif", "--score", "rx"], 2, "crops are around one thing"),
        (["--at", "9,9", "--best"], 2, "--best finds places, --at and --xy name one"),
        (["--at", "9"], 2, "--at '9' is not ROW,COL"),
        (["--at", "20,9"], 2, "place row 20, column 9 is outside the cube of 20 rows"),
        (["--at", "-1,9"], 2, "place row -1, column 9 is outside the cube"),
        (["--at", "19.7,9"], 2, "outside the image of 20 rows"),
        (["--xy", "9,9"], 2, "the cube has no georeference"),
        (["--at", "8,9"], 3, "the pixel at row 8, column 9 has no data: name another place"),
        (["--at", "8,9", "--sigma", "2"], 3, "the pixel at row 8, column 9 has no data"),
        (["--at", "9,9", "--sigma", "0"], 2, "sigma 0 gives no density"),
        (["--at", "9,9", "--sigma", "-2"], 2, "sigma -2 gives no density"),
        (["--at", "9,9", "--sigma", "nan"], 2, "sigma nan gives no density"),
        (["--at", "9,9", "--sigma", "inf"], 2, "sigma inf gives no density"),
        (["--at", "9,9", "--size", "21"], 2, "size 21x21 is larger than the image of 20 rows and"),
        (["--at", "9,9", "--size", "5x31", "--edge", "shift"], 2, "size 5x31 is larger than"),
        (["--at", "9,9", "--size", "0"], 2, "--size '0' is no size: write rows, or ROWSxCOLUMNS"),
        (["--at", "9,9", "--size", "5x"], 2, "--size '5x' is no size"),
        (["--at", "9,9", "--size", "-5"], 2, "--size '-5' is no size"),
        (["--at", "1,9"], 2, "the crop of 5 x 5 pixels around row 1, column 9 leaves the image"),
        (["--at", "0,9", "--size", "19", "--sigma", "0.5"], 3, "hardly any centre there"),
        (["--at", "9,9", "--count", "0"], 2, "--count 0: ask for 1 glimpse or more"),
        (["--at", "9,9", "--focus", "5"], 2, "say how pixels are weighed: they go with --query"),
        (["--at", "9,9", "--seed", "-1"], 2, "--seed"),
        (["--at", "9,9", "--replace", "--best"], 2, "--best finds places"),
        (["--from", "few.tif", "--replace", "--best"], 2, "--replace goes with pixels"),
        (["--from", "few.tif", "--count", "8"], 3, "few.tif: only 7 have any weight, and 8 are"),
        (["--from", "few.tif", "--best", "--count", "3"], 3, "of 3 boxes of 5 x 5 pixels that lie"),
        (["--from", "zero.tif"], 3, "zero.tif: all weights are 0"),
        (["--from", "zero.tif", "--best"], 3, "zero.tif: no box of 5 x 5 pixels has any weight"),
        (["--from", "nodata.tif"], 3, "nodata.tif: all weights are 0"),
        (["--from", "border.tif"], 3, "all weights are 0: nothing can be drawn (crops inside the"),
        (["--from", "below.tif"], 3, "below.tif: a weight of -0.5 cannot be drawn by"),
        (["--from", "below.tif", "--best"], 3, "below.tif: holds numbers below 0"),
        (["--from", "other.tif"], 3, "other.tif: is of another grid (20 x 29 pixels)"),
        (["--from", "two.tif"], 3, "two.tif: 2 bands of float32 are no scores or weights"),
        (["--from", "none.tif"], 3, "none.tif"),
        (["--query", "none.csv"], 3, "none.csv: no such file"),
        (["--score", "ace"], 2, "--score ace needs a query"),
        (["--score", "cosine"], 2, "--score cosine is no file and none of ace mf sam"),
        (["--query-scale", "2", "--best"], 2, "--query-scale goes with --query"),
        (["--at", "9,9", "-o", "none/chips"], 2, "the folder of none/chips does not exist"),
        (["--at", "9,9", "-o", "cube.tif"], 2, "cube.tif is a file: name a folder"),
        (["--at", "9,9", "--format", "envi", "--compress", "zstd"], 2, "go with GeoTIFF"),
        (["--at", "9,9", "--max-memory", "100MB"], 2, "give --max-memory"),
    ],
)
def test_refusals(arguments: list[str], code: int, said: str, folder: Path) -> None:
    before = {path.name for path in folder.iterdir()}
    size = [] if "--size" in arguments else ["--size", "5"]
    out = [] if "-o" in arguments else ["-o", "chips"]
    answer = run("attend", "glimpse", "cube.tif", *arguments, *size, *out, "-q")
    assert (answer.code, answer.out) == (code, "")
    assert said in answer.err
    assert answer.err.startswith("hsitool: error: ") and answer.err.count("\n") == 1
    assert {path.name for path in folder.iterdir()} == before


def test_whole_numbers_without_nodata_cannot_be_padded(folder: Path) -> None:
    answer = run("attend", "glimpse", "whole.tif", "--at", "1,1", "--size", "5", "--edge", "pad")
    assert answer.code == 2
    assert "no nodata value to pad int16 samples with: declare one" in answer.err


def test_an_input_is_not_written_over(folder: Path) -> None:
    (folder / "glimpse_0001.tif").write_bytes((folder / "cube.tif").read_bytes())
    asked = ("--at", "9,9", "--size", "5", "--overwrite", "-o", ".")
    answer = run("attend", "glimpse", "glimpse_0001.tif", *asked)
    assert (answer.code, answer.out) == (2, "")
    assert "glimpse_0001.tif is an input: give the output another name" in answer.err
    assert (folder / "glimpse_0001.tif").read_bytes() == (folder / "cube.tif").read_bytes()


def test_a_cube_without_data(folder: Path) -> None:
    empty = np.full((BANDS, ROWS, COLUMNS), np.nan, np.float32)
    cubes.write_geotiff(folder / "empty.tif", empty)
    for how in (["--at", "9,9"], ["--from", "few.tif"], ["--best"]):
        answer = run("attend", "glimpse", "empty.tif", *how, "--size", "5", "-q")
        assert answer.code == 3 and "no good band has data" in answer.err
