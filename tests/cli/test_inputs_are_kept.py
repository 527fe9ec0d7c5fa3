"""No output of a scene's commands replaces what is read, whatever `--overwrite` says."""

from __future__ import annotations

from pathlib import Path

import cubes
import numpy as np
import pytest
from command import done, run

BANDS, ROWS, COLUMNS = 6, 20, 30
MASK = ["attend", "mask", "cube.tif", "--overwrite"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with all that the commands read."""
    monkeypatch.chdir(tmp_path)
    array = rng.normal(100, 5, (BANDS, ROWS, COLUMNS)).astype(np.float32)
    cubes.write_geotiff(Path("cube.tif"), array)
    cubes.write_envi(Path("cube.img"), array)
    cubes.write_geotiff(Path("roi.tif"), np.ones((1, ROWS, COLUMNS), np.uint8))
    cubes.write_geotiff(Path("own.tif"), array[:1])
    cubes.write_geotiff(Path("link_to.tif"), array)
    Path("link.tif").symlink_to("link_to.tif")
    Path("q.csv").write_text("band,a\n" + "".join(f"{n + 1},{90 + n}\n" for n in range(BANDS)))
    Path("w.txt").write_text("\n".join(str(v) for v in cubes.wavelengths(BANDS)))
    done("stats", "cube.tif", "-o", "scene.npz", "-q")


@pytest.mark.parametrize(
    "words",
    [
        [*MASK, "--at", "1,2", "-o", "cube.tif"],
        [*MASK, "--at", "1,2", "-o", "./cube.tif"],
        [*MASK, "--at", "1,2", "-o", "m.tif", "--masked", "cube.tif"],
        [*MASK, "--at", "1,2", "-o", "m.tif", "--model", "scene.npz", "--spectrum", "scene.npz"],
        [*MASK, "--query", "q.csv", "-o", "m.tif", "--spectrum", "q.csv"],
        [*MASK, "--query", "q.csv:a", "-o", "m.tif", "--spectrum", "q.csv"],
        [*MASK, "--roi", "roi.tif", "-o", "roi.tif"],
        [*MASK, "--score", "own.tif", "-o", "m.tif", "--score-out", "own.tif"],
        [*MASK, "--at", "1,2", "--background", "roi.tif", "-o", "m.tif", "--hard", "roi.tif"],
        [*MASK, "--at", "1,2", "--wavelengths", "w.txt", "-o", "m.tif", "--spectrum", "w.txt"],
        ["attend", "mask", "link.tif", "--at", "1,2", "-o", "link_to.tif", "--overwrite"],
        ["attend", "mask", "cube.hdr", "--at", "1,2", "-o", "cube.img", "--overwrite"],
        ["attend", "mask", "cube.img", "--at", "1,2", "-o", "cube.hdr", "--overwrite"],
        ["stats", "cube.tif", "-o", "cube.tif", "--overwrite"],
        ["stats", "cube.tif", "--background", "roi.tif", "-o", "roi.tif", "--overwrite"],
        ["detect", "cube.tif", "-t", "q.csv", "-o", "cube.tif", "--overwrite"],
        ["detect", "cube.img", "-t", "q.csv", "-o", "cube.img", "--overwrite"],
        ["anomaly", "cube.tif", "-o", "cube.tif", "--overwrite"],
        ["anomaly", "cube.tif", "-o", "a.tif", "--hard", "cube.tif", "--overwrite"],
        ["anomaly", "cube.tif", "--background", "roi.tif", "-o", "roi.tif", "--overwrite"],
    ],
    ids=lambda words: " ".join(words[1:]),
)
def test_outputs_over_inputs_are_refused(words: list[str]) -> None:
    before = {path: path.read_bytes() for path in Path().iterdir()}
    answer = run(*words)
    assert (answer.code, answer.err.count("\n")) == (2, 1), answer.err
    assert "is an input: give the output another name" in answer.err
    assert {path: path.read_bytes() for path in Path().iterdir()} == before
