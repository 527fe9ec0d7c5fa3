"""What `attend bands` refuses: one line and its exit code each, and no file left."""

from __future__ import annotations

from pathlib import Path

import cubes
import numpy as np
import pytest
from command import done, run

BANDS, ROWS, COLUMNS = 12, 20, 30


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a cube, masks and tables."""
    monkeypatch.chdir(tmp_path)
    array = rng.normal(100, 5, (BANDS, ROWS, COLUMNS)).astype(np.float32)
    array[:, 5:9, 5:9] += np.linspace(3, 20, BANDS)[:, None, None]
    array[:, 12, 12] = -1
    nm = [400.0 + 10 * band for band in range(BANDS)]
    cubes.write_geotiff(tmp_path / "cube.tif", array, nodata=-1, wavelength_nm=nm)
    cubes.write_geotiff(tmp_path / "blind.tif", array, nodata=-1)
    cubes.write_geotiff(tmp_path / "flat.tif", np.ones_like(array))
    masks = {"roi": [slice(5, 9), slice(5, 9)], "hole": [12, 12], "none": [0, slice(0)]}
    for name, place in masks.items():
        mask = np.zeros((1, ROWS, COLUMNS), np.uint8)
        mask[0, *place] = 1
        cubes.write_geotiff(tmp_path / f"{name}.tif", mask)
    cubes.write_geotiff(tmp_path / "other.tif", np.ones((1, ROWS, COLUMNS - 1), np.uint8))
    (tmp_path / "short.csv").write_text("band,leaf\n1,2\n2,3\n")
    far = "".join(f"{nm},1\n" for nm in range(9000, 9090))
    (tmp_path / "far.csv").write_text("wavelength_nm,a\n" + far)
    (tmp_path / "broken.json").write_text('{"type": "Point", "coordinates": [1, 2]}')
    return tmp_path


ROI = ["-t", "roi.tif"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([*ROI, "--pick", "3", "--soft"], 2, "--pick and --soft: bands are chosen one way"),
        ([*ROI, "--soft", "--sample", "3"], 2, "--soft and --sample: bands are chosen one way"),
        ([*ROI, "--pick", "0"], 2, "0 bands cannot be picked: ask for 1 or more"),
        ([*ROI, "--pick", "13"], 2, "13 bands cannot be picked: only 12 are in use"),
        ([*ROI, "--pick", "7"], 2, "lie so far apart, not 7: ask for fewer, or give a smaller"),
        ([*ROI, "--pick", "2", "--min-gap", "500"], 2, "only 1 bands lie so far apart"),
        ([*ROI, "--min-gap", "-1"], 2, "--min-gap -1 is no distance: give nm, 0 or more"),
        ([*ROI, "--min-gap", "nan"], 2, "--min-gap nan is no distance"),
        ([*ROI, "--soft", "--min-gap", "9"], 2, "--min-gap and --shrink go with --pick"),
        ([*ROI, "--soft", "--shrink", "oas"], 2, "--min-gap and --shrink go with --pick"),
        ([*ROI, "--score", "snr"], 2, "they go with --soft or --sample"),
        ([*ROI, "--focus", "3"], 2, "they go with --soft or --sample"),
        ([*ROI, "--soft", "--score", "cosine"], 2, "--score cosine is no file and none of fisher"),
        (["--soft"], 2, "--score fisher needs --target; --score snr or a raster does without"),
        (["--soft", "--score", "other.tif"], 3, "other.tif: is of another grid (20 x 29 pixels)"),
        (["--soft", "--score", "roi.tif", "--focus", "x"], 2, "focus 'x' is no number"),
        ([*ROI, "--sample", "0"], 2, "--sample 0: ask for 1 band or more"),
        ([*ROI, "--sample", "13"], 2, "--sample 13: of the bands only 12 have any weight"),
        ([*ROI, "--soft", "--cube", "c.tif"], 2, "--cube holds chosen bands, and --soft chooses"),
        (["-t", "none.tif"], 3, "none.tif: marks no pixel of the cube"),
        (["-t", "hole.tif"], 3, "hole.tif: none of its 1 pixels has data in all bands"),
        (["-t", "other.tif"], 3, "other.tif: is of another grid"),
        (["-t", "nowhere.tif"], 3, "nowhere.tif: no such file"),
        (["-t", "broken.json"], 3, "broken.json: not a GeoJSON of polygons"),
        (["-t", "short.csv"], 3, "has 2 bands, the cube 12"),
        (["-t", "far.csv"], 3, "covers no band of the cube"),
        ([*ROI, "--background", "other.tif"], 3, "other.tif: is of another grid"),
        ([*ROI, "--background", "none.tif"], 3, "none.tif: marks no pixel"),
        ([*ROI, "--model", "no.npz"], 3, "no.npz: cannot be read"),
        ([*ROI, "--model", "m.npz", "--background", "roi.tif"], 2, "both say what the background"),
        (["--target-scale", "2"], 2, "--target-scale goes with --target"),
        ([*ROI, "--composite", "g.tif", "--cube", "g.tif"], 2, "two outputs would be written to"),
        ([*ROI, "--composite", "g.png"], 2, ".png files are not written"),
        ([*ROI, "--composite", "roi.tif", "--overwrite"], 2, "roi.tif is an input"),
        ([*ROI, "--cube", "cube.tif", "--overwrite"], 2, "cube.tif is an input"),
        ([*ROI, "--cube", "hole.tif"], 2, "hole.tif exists"),
        ([*ROI, "--plot", "a.bmp"], 2, "name it .png, .svg or .pdf"),
        ([*ROI, "--bands", "99"], 2, "band 99 does not exist"),
    ],
)
def test_refusals(arguments: list[str], code: int, said: str, folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    answer = run("attend", "bands", "cube.tif", *arguments, "-o", "out.csv", "-q")
    assert (answer.code, answer.out) == (code, "")
    assert said in answer.err
    assert answer.err.startswith("hsitool: error: ") and answer.err.count("\n") == 1
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("cube", "arguments", "code", "said"),
    [
        ("blind.tif", [*ROI, "--min-gap", "9"], 2, "the cube has no wavelengths to measure it by"),
        ("flat.tif", ROI, 3, "no band tells the target from the background"),
        ("flat.tif", [], 3, "no band varies"),
        ("flat.tif", [*ROI, "--soft"], 3, "flat.tif: all bands are constant"),
    ],
)
def test_cubes_that_cannot_serve(
    cube: str, arguments: list[str], code: int, said: str, folder: Path
) -> None:
    answer = run("attend", "bands", cube, *arguments, "-o", "out.csv", "-q")
    assert (answer.code, answer.out) == (code, "")
    assert said in answer.err and answer.err.count("\n") == 1
    assert not Path("out.csv").exists()


def test_what_is_told(folder: Path) -> None:
    Path("q.csv").write_text(done("spectrum", "cube.tif", "--at", "6,6").out)
    said = done("attend", "bands", "cube.tif", "-t", "q.csv", "--pick", "2")
    assert said.out == "cube_bands.csv\n"
    assert "the target has no two halves to compare the picks of" in said.err
    assert "chosen: bands " in said.err and " nm)" in said.err
    head, *lines = (line.split(",") for line in Path("q.csv").read_text().splitlines())
    small = [head, *([*line[:2], str(float(line[2]) / 1e4)] for line in lines)]
    Path("s.csv").write_text("".join(",".join(line) + "\n" for line in small))
    said = done("attend", "bands", "cube.tif", "-t", "s.csv", "--pick", "2", "-o", "s_bands.csv")
    assert "--target-scale 10000 brings them together" in said.err
