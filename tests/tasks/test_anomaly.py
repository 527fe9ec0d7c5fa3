"""`anomaly` on files: scores of any layout are those of arrays, masks and reports of the scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cubes
import numpy as np
import pytest
import scenes
from command import done, run
from numpy.typing import NDArray
from scipy.stats import chi2

from hsitool.maths.scene.causal import CausalRx
from hsitool.maths.scene.local_rx import components, local_rx
from hsitool.maths.scene.model import BandBlock, Shrink, scene_model

BANDS, ROWS, COLUMNS = 20, 60, 80
PLACE = {"crs": "EPSG:32633", "transform": (20.0, 0.0, 412_000.0, 0.0, -20.0, 5_812_000.0)}
Floats = NDArray[np.float64]
LAYOUTS: list[dict[str, Any]] = [
    {"interleave": "pixel"},
    {"interleave": "band"},
    {"interleave": "pixel", "blocks": ("tile", 16), "compress": "deflate"},
    {"interleave": "band", "blocks": ("tile", 32)},
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def scene(rng: np.random.Generator) -> Any:
    clean = scenes.signal(BANDS, ROWS, COLUMNS)
    made = (clean + 0.01 * scenes.noise(clean.shape, 0.0, rng)).astype(np.float32)
    made[:, 40, 50] += 0.2 * (np.arange(BANDS) % 2)
    made[5, 8, 9], made[:, 30, :7] = np.nan, -1
    return made


def write(array: Any, **items: Any) -> Path:
    centres = scenes.wavelengths(BANDS)
    options = {"wavelength_nm": centres, "nodata": -1, **PLACE, **items}
    return cubes.write_geotiff(Path("cube.tif"), array, **options)


def band(path: str) -> Any:
    with cubes.open_quietly(path) as dataset:
        return dataset.read(1)


def valid_of(scene: Any) -> Any:
    return (np.isfinite(scene) & (scene != -1)).all(axis=0)


def global_rx(scene: Any) -> Floats:
    """(rows, columns) by NumPy."""
    valid = valid_of(scene)
    chosen = scene[:, valid].astype(np.float64)
    apart = chosen - chosen.mean(axis=1, keepdims=True)
    found = np.full(valid.shape, np.nan)
    found[valid] = np.einsum("bn,bn->n", apart, np.linalg.solve(np.cov(chosen), apart))
    return found


@pytest.fixture(params=["as planned", "small"])
def tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles of the usual size, or of a few lines."""
    if request.param == "small":
        monkeypatch.setattr("hsitool.engine.plan.TILE_BYTES", 40_000)
        monkeypatch.setattr("hsitool.tasks.pixels.PIECE_BYTES", 8 * BANDS * 50)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.usefixtures("tiles")
def test_global_scores_are_those_of_numpy(layout: Any, folder: Path, scene: Any) -> None:
    cube = write(scene, **layout)
    answer = done("anomaly", cube, "--shrink", "none", "--json", "-o", "rx.tif").json()
    np.testing.assert_allclose(band("rx.tif"), global_rx(scene), rtol=2e-6)
    count = int(valid_of(scene).sum())
    assert answer["pixels"] == count
    assert answer["mean"] == pytest.approx(BANDS * (count - 1) / count, rel=1e-6)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("shrink", ["none", "noise"])
@pytest.mark.usefixtures("tiles")
def test_local_scores_are_those_of_the_image(
    shrink: str, layout: Any, folder: Path, scene: Any
) -> None:
    cube = write(scene, **layout)
    options = ["--window", "3,9", "--rank", 5, "--shrink", shrink, "-o", "rx.tif"]
    done("anomaly", cube, *options)
    valid = valid_of(scene)
    physical = scene.astype(np.float64)
    model = scene_model(physical, valid)
    parts = components(model, 5, Shrink(shrink))  # type: ignore[arg-type]
    values = parts.of(physical.reshape(BANDS, -1)).reshape(5, ROWS, COLUMNS)
    truth = local_rx(values, valid, 3, 9, parts.ridge)
    np.testing.assert_allclose(band("rx.tif"), truth, rtol=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.usefixtures("tiles")
def test_causal_scores_are_those_of_lines_in_order(layout: Any, folder: Path, scene: Any) -> None:
    done("anomaly", write(scene, **layout), "--causal", 5, "-o", "rx.tif")
    block = BandBlock("cube", tuple(range(BANDS)), BANDS)
    detector = CausalRx(5, [range(BANDS)], block, Shrink())
    valid, physical = valid_of(scene), scene.astype(np.float64)
    truth = [detector(physical[:, line], valid[line]) for line in range(ROWS)]
    np.testing.assert_allclose(band("rx.tif"), np.stack(truth), rtol=1e-5)
    assert np.isnan(band("rx.tif")[:5]).all()
    assert np.nanargmax(band("rx.tif")) == 40 * COLUMNS + 50


@pytest.mark.parametrize(("top", "wanted"), [("1%", 0.01), ("7", 7), (None, 0.001)])
def test_masks_hold_the_highest_scores(
    top: str | None, wanted: float, folder: Path, scene: Any
) -> None:
    more = [] if top is None else ["--top", top]
    answer = done("anomaly", write(scene), "--hard", "odd.tif", *more)
    assert answer.out == "cube_anomaly.tif\nodd.tif\n"
    scores, mask = band("cube_anomaly.tif"), band("odd.tif")
    there = np.isfinite(scores)
    count = round(wanted * there.sum()) if wanted < 1 else int(wanted)
    limit = np.sort(scores[there])[-count]
    np.testing.assert_array_equal(mask, np.where(there, scores >= limit, 255))
    assert f"{count} pixels reach" in answer.err
    with cubes.open_quietly("odd.tif") as dataset:
        assert (dataset.nodata, dataset.dtypes[0]) == (255, "uint8")


def test_the_report_holds_quantiles_and_a_reference(folder: Path, scene: Any) -> None:
    told = done("anomaly", write(scene), "--json", "--top", "2%").json()
    keys = "method shrink pixels mean quantiles degrees chi_square top output hard"
    assert told.keys() == set(keys.split())
    scores = np.sort(band("cube_anomaly.tif"), axis=None)
    scores = scores[np.isfinite(scores)]
    for (share, score), (_, reference) in zip(told["quantiles"], told["chi_square"], strict=True):
        assert score == scores[int(np.ceil(share * scores.size)) - 1]
        assert reference == pytest.approx(chi2.ppf(share, BANDS), rel=1e-9)
    assert told["top"]["pixels"] == round(0.02 * scores.size)


def test_models_backgrounds_and_tags(folder: Path, scene: Any) -> None:
    cube = write(scene)
    done("stats", cube, "-o", "scene.npz")
    done("anomaly", cube, "-o", "own.tif")
    done("anomaly", cube, "-o", "model.tif", "--model", "scene.npz")
    np.testing.assert_array_equal(band("own.tif"), band("model.tif"))
    with cubes.open_quietly("model.tif") as dataset:
        assert dataset.tags(ns="HSITOOL")["MODEL"] == "scene.npz"
        assert dataset.tags(ns="HSITOOL")["METHOD"] == "RX"
        assert dataset.crs.to_epsg() == 32633
        assert dataset.descriptions == ("RX",)
    mask = np.zeros((1, ROWS, COLUMNS), np.uint8)
    mask[:, 31:] = 1
    cubes.write_geotiff(Path("mask.tif"), mask, **PLACE)
    done("anomaly", cube, "--background", "mask.tif", "--shrink", "none", "-o", "part.tif")
    truth = global_rx(scene[:, 31:])
    np.testing.assert_allclose(band("part.tif")[31:], truth, rtol=2e-6)


@pytest.mark.parametrize("form", ["bsq", "bil", "bip"])
def test_envi_in_and_out(form: str, folder: Path, scene: Any) -> None:
    cube = cubes.write_envi(
        Path("cube.img"), scene, interleave=form, items={"data ignore value": "-1"}
    )
    assert done("anomaly", cube, "--shrink", "none", "-o", "rx.img").out == "rx.img\n"
    np.testing.assert_allclose(band("rx.img"), global_rx(scene), rtol=2e-6)
    done("anomaly", cube, "--window", "3,9", "-o", "a.tif")
    done("anomaly", cube, "--window", "3,9", "-o", "b.tif", "--compress", "deflate")
    np.testing.assert_array_equal(band("a.tif"), band("b.tif"))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--window", "5"], 2, "is not GUARD,OUTER"),
        (["--window", "4,9"], 2, "two odd numbers"),
        (["--window", "9,5"], 2, "two odd numbers"),
        (["--window", "5,61"], 2, "give a smaller window"),
        (["--window", "3,5", "--rank", "16"], 2, "give 1 to 15"),
        (["--window", "3,9", "--rank", "0"], 2, "give 1 to 71"),
        (["--window", "3,9", "--shrink", "oas"], 2, "for a whole scene"),
        (["--window", "3,21", "--rank", "21"], 3, "has 20 independent components"),
        (["--rank", "5"], 2, "--rank 5 is for --window"),
        (["--causal", "0"], 2, "give 1 to 59"),
        (["--causal", "60"], 2, "give 1 to 59"),
        (["--causal", "5", "--window", "3,9"], 2, "leave out"),
        (["--causal", "5", "--model", "x.npz"], 2, "leave out"),
        (["--top", "0%"], 2, "neither a share"),
        (["--top", "0.5"], 2, "neither a share"),
        (["--top", "x"], 2, "neither a share"),
        (["--hard", "cube_anomaly.tif"], 2, "two outputs"),
        (["--hard", "cube.tif"], 2, "is an input"),
        (["--model", "missing.npz"], 3, "cannot be read"),
    ],
)
def test_refusals_are_one_line(
    words: list[str], code: int, said: str, folder: Path, scene: Any
) -> None:
    answer = run("anomaly", write(scene), *words)
    assert (answer.code, answer.err.count("\n")) == (code, 1), answer.err
    assert said in answer.err
    assert not Path("cube_anomaly.tif").exists()


def test_dependent_bands_and_few_pixels(folder: Path, scene: Any) -> None:
    few = cubes.write_geotiff(Path("few.tif"), scene[:, 40:43, 40:45])
    scene[12] = scene[11]
    twins = write(scene)
    answer = run("anomaly", twins, "--shrink", "none")
    assert answer.code == 3 and "bands 12 and 13 are dependent" in answer.err
    done("anomaly", twins, "-o", "held.tif")
    done("anomaly", twins, "-o", "without.tif", "--shrink", "none", "--bands", "1:12,14:20")
    scene[6] = 0.5
    answer = run("anomaly", write(scene), "--shrink", "none")
    assert answer.code == 3 and "band 7 is constant" in answer.err
    answer = run("anomaly", few, "--shrink", "none")
    assert answer.code == 3 and "15 pixels cannot give the covariance of 20 bands" in answer.err
    for remedy in ("oas", "none"):
        answer = run("anomaly", few, "--shrink", remedy, "-o", f"{remedy}.tif")
        assert answer.code == (0 if remedy == "oas" else 3)


def test_no_output_without_any_score(folder: Path, scene: Any) -> None:
    done("stats", write(scene), "-o", "scene.npz")
    nothing = np.full_like(scene, np.nan)
    empty = write(nothing)
    for words in (["--model", "scene.npz"], ["--model", "scene.npz", "--window", "3,9"]):
        answer = run("anomaly", empty, *words)
        assert (answer.code, answer.err.count("\n")) == (3, 1), answer.err
        assert "can be scored" in answer.err
    scene[:, 10:] = np.nan
    answer = run("anomaly", write(scene), "--causal", 10)
    assert answer.code == 3 and "can be scored" in answer.err
    assert not Path("cube_anomaly.tif").exists()


def test_a_scene_of_one_spectrum(folder: Path, scene: Any) -> None:
    scene[:] = scene[:, :1, :1]
    cube = write(scene)
    for words in ([], ["--shrink", "none"], ["--shrink", "oas"], ["--window", "3,9"]):
        answer = run("anomaly", cube, *words)
        assert (answer.code, answer.err.count("\n")) == (3, 1), answer.err
        assert "pixels are the same" in answer.err
    line = cubes.write_geotiff(Path("line.tif"), scene[:, :1])
    answer = run("anomaly", line, "--causal", "1")
    assert answer.code == 2 and "the cube has 1 line, and none before it" in answer.err
