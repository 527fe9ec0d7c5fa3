"""`detect` on files: scores of any layout are those of arrays, and what it says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cubes
import numpy as np
import pytest
import scenes
from command import done, run
from numpy.typing import NDArray

BANDS, ROWS, COLUMNS = 30, 60, 80
CENTRES = scenes.wavelengths(BANDS)
PLACE = {"crs": "EPSG:32633", "transform": (20.0, 0.0, 412_000.0, 0.0, -20.0, 5_812_000.0)}
Floats = NDArray[np.float64]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def scene(rng: np.random.Generator) -> Any:
    clean = scenes.signal(BANDS, ROWS, COLUMNS)
    made = (clean + 0.01 * scenes.noise(clean.shape, 0.0, rng)).astype(np.float32)
    made[5, 8, 9] = np.nan
    return made


def write(name: str, array: Any, **items: Any) -> Path:
    return cubes.write_geotiff(Path(name), array, **{"wavelength_nm": CENTRES, **PLACE, **items})


def table(name: str, spectra: dict[str, Floats], centres: list[float] | None = None) -> Path:
    """A CSV as `hsitool spectrum` prints them."""
    rows = [",".join(["band", "wavelength_nm", *spectra])]
    for band, centre in enumerate(centres or CENTRES):
        cells = [repr(float(values[band])) for values in spectra.values()]
        rows.append(",".join([str(band + 1), repr(centre), *cells]))
    Path(name).write_text("\n".join(rows) + "\n")
    return Path(name)


def scores(path: Path | str) -> Any:
    with cubes.open_quietly(path) as dataset:
        return dataset.read()


def expected(scene: Any, target: Floats, method: str, ridge: float = 0.0) -> Floats:
    """(rows, columns) by NumPy, over the valid pixels."""
    spectra = scene.reshape(len(scene), -1).astype(np.float64)
    valid = np.isfinite(spectra).all(axis=0)
    mean = spectra[:, valid].mean(axis=1)
    covariance = np.cov(spectra[:, valid]) + ridge * np.eye(len(scene))
    along = np.linalg.solve(covariance, target - mean)
    x = spectra - mean[:, None]
    if method == "mf":
        found = along @ x / (along @ (target - mean))
    else:
        far = np.einsum("bn,bn->n", x, np.linalg.solve(covariance, x))
        found = along @ x / np.sqrt(along @ (target - mean) * far)
    return np.where(valid, found, np.nan).reshape(scene.shape[1:])


@pytest.mark.parametrize("method", ["ace", "mf"])
@pytest.mark.parametrize("interleave", ["pixel", "band"])
def test_scores_are_those_of_numpy(method: str, interleave: str, folder: Path, scene: Any) -> None:
    cube = write("cube.tif", scene, interleave=interleave)
    target = scene[:, 20, 30].astype(np.float64)
    table("t.csv", {"leaf": target})
    words = ["--method", method, "--shrink", "none", "--max-memory", "260MB"]
    assert done("detect", cube, "-t", "t.csv", *words).out == "cube_detect.tif\n"
    found = scores("cube_detect.tif")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], expected(scene, target, method), rtol=2e-6, atol=2e-6)
    assert found[0, 20, 30] == pytest.approx(1.0, abs=1e-6)


def test_angles_need_no_model_and_targets_are_bands(folder: Path, scene: Any) -> None:
    cube = write("cube.tif", scene)
    some = {"a": scene[:, 3, 4].astype(float), "b": scene[:, 30, 50].astype(float)}
    table("two.csv", some)
    done("detect", cube, "-t", "two.csv:b", "-t", "two.csv:a", "--method", "sam", "-o", "s.tif")
    found = scores("s.tif")
    for number, name in enumerate("ba"):
        target = some[name]
        cosine = np.einsum("brc,b->rc", scene, target) / np.linalg.norm(target)
        cosine /= np.linalg.norm(scene.astype(float), axis=0)
        angle = -np.arccos(np.clip(cosine, -1, 1))
        np.testing.assert_allclose(found[number], angle, atol=1e-6)
    done("detect", cube, "-t", "two.csv:a", "--method", "sid", "-o", "d.tif")
    assert np.nanargmax(scores("d.tif")) == 3 * COLUMNS + 4
    with cubes.open_quietly("s.tif") as dataset:
        assert dataset.descriptions == ("sam b", "sam a")


def test_several_targets_are_scored_as_each_alone(folder: Path, scene: Any) -> None:
    cube = write("cube.tif", scene)
    rare = scene[:, 3, 4] + 0.3 * (np.arange(BANDS) % 2)
    table("two.csv", {"common": scene[:, 30, 50].astype(float), "rare": rare.astype(float)})
    both = ["-t", "two.csv:common", "-t", "two.csv:rare"]
    answer = done("detect", cube, *both, "-o", "both.tif", "--json")
    told = answer.json()["targets"]
    assert [one["shrink"] for one in told] == ["noise=3000", "noise=10"]
    assert told[0]["share"] > 1 / 30 > told[1]["share"]
    assert "common fills" in answer.err
    for number, name in enumerate(("common", "rare")):
        done("detect", cube, "-t", f"two.csv:{name}", "-o", f"{name}.tif")
        np.testing.assert_array_equal(scores("both.tif")[number], scores(f"{name}.tif")[0])


def test_a_model_from_a_file_gives_the_same_scores(folder: Path, scene: Any) -> None:
    cube = write("cube.tif", scene)
    table("t.csv", {"leaf": scene[:, 20, 30].astype(float)})
    done("detect", cube, "-t", "t.csv", "-o", "own.tif")
    done("stats", cube, "-o", "scene.npz")
    done("detect", cube, "-t", "t.csv", "-o", "model.tif", "--model", "scene.npz")
    np.testing.assert_array_equal(scores("own.tif"), scores("model.tif"))
    with cubes.open_quietly("model.tif") as dataset:
        tags = dataset.tags(ns="HSITOOL")
        place = dataset.crs.to_epsg(), tuple(dataset.transform)[:6]
    assert (tags["METHOD"], tags["TARGET"], tags["MODEL"]) == ("ace", "leaf", "scene.npz")
    assert tags["SHRINK"].startswith("noise=")
    assert place == (32633, PLACE["transform"])
    step = done("info", "model.tif", "--json").json()["provenance"][-1]
    assert step["command"] == "detect"
    assert step["settings"]["target"] == "leaf"


def test_a_model_of_several_cubes_serves_each(folder: Path, scene: Any) -> None:
    first = write("first.tif", scene[:12], wavelength_nm=CENTRES[:12])
    second = write("second.tif", scene[12:], wavelength_nm=CENTRES[12:])
    done("stats", first, second, "-o", "scene.npz")
    table("t.csv", {"leaf": scene[12:, 20, 30].astype(float)}, CENTRES[12:])
    words = ["-t", "t.csv", "--shrink", "none", "--model", "scene.npz", "-o", "s.tif"]
    done("detect", second, *words)
    target = scene[12:, 20, 30].astype(float)
    part = scene.copy()
    part[12:, 8, 9] = np.nan  # where the other cube has no data
    truth = expected(part[12:], target, "ace")
    valid = np.isfinite(truth)
    np.testing.assert_allclose(scores("s.tif")[0][valid], truth[valid], atol=2e-6)


def test_a_target_that_covers_some_bands(folder: Path, scene: Any) -> None:
    cube = write("cube.tif", scene, fwhm_nm=[8.0] * BANDS)
    centres = np.linspace(CENTRES[5] - 20, CENTRES[20] + 20, 60).tolist()
    values = np.interp(centres, CENTRES, scene[:, 20, 30])
    table("lib.csv", {"leaf": values}, centres)
    answer = done("detect", cube, "-t", "lib.csv", "-o", "s.tif", "--shrink", "none")
    assert "does not cover bands 1-" in answer.err
    assert scores("s.tif")[0, 20, 30] > 0.8


def test_a_background_is_what_scores_are_relative_to(folder: Path, scene: Any) -> None:
    cube = write("cube.tif", scene)
    mask = np.zeros((1, ROWS, COLUMNS), np.uint8)
    mask[:, 30:] = 1
    cubes.write_geotiff(Path("mask.tif"), mask, **PLACE)
    table("t.csv", {"leaf": scene[:, 20, 30].astype(float)})
    words = ["-t", "t.csv", "--background", "mask.tif", "--shrink", "none", "-o", "s.tif"]
    done("detect", cube, *words, "--method", "mf")
    half = scene[:, 30:].reshape(BANDS, -1).astype(float)
    apart = scene[:, 20, 30] - half.mean(axis=1)
    along = np.linalg.solve(np.cov(half), apart)
    truth = np.einsum("b,brc->rc", along, scene - half.mean(axis=1)[:, None, None])
    np.testing.assert_allclose(scores("s.tif")[0], truth / (along @ apart), atol=1e-5)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["-t", "none.csv"], 3, "no such file"),
        (["-t", "t.csv", "--model", "t.csv"], 3, "not a scene model"),
        (["-t", "t.csv", "--model", "other.npz"], 3, "has other bands or wavelengths"),
        (["-t", "t.csv", "--model", "some.npz", "--bands", "1:9"], 3, "holds no band 1"),
        (["-t", "t.csv", "--model", "some.npz", "--background", "m"], 2, "leave out one"),
        (["-t", "t.csv", "--method", "sam", "--shrink", "oas"], 2, "without a model"),
        (["-t", "t.csv", "--shrink", "ridge"], 2, "none of noise, noise=K"),
        (["-t", "t.csv", "--shrink", "noise=0"], 2, "none of noise, noise=K"),
        (["-t", "t.csv", "--shrink", "noise=nan"], 2, "none of noise, noise=K"),
        (["-t", "t.csv", "--bands", "77"], 2, "band 77 does not exist"),
        (["-t", "t.csv", "--target-scale", "0"], 2, "--target-scale 0 is no factor"),
        (["-t", "t.csv", "--target-scale", "nan"], 2, "--target-scale nan is no factor"),
        (["-t", "t.csv", "-o", "cube.tif"], 2, "is an input"),
        (["-t", "t.csv", "--background", "other.tif"], 3, "a mask has 1"),
        (["-t", "twin.csv", "--bands", "3,4", "--shrink", "none"], 3, "bands 3 and 4 are depend"),
    ],
)
def test_refusals_are_one_line(
    words: list[str], code: int, said: str, folder: Path, scene: Any
) -> None:
    scene[3] = scene[2]
    cube = write("cube.tif", scene)
    other = cubes.write_geotiff(Path("other.tif"), scene[:5, :40])
    done("stats", other, "-o", "other.npz")
    done("stats", cube, "-o", "some.npz", "--bands", "5:20")
    for name in ("t.csv", "twin.csv"):
        table(name, {"leaf": scene[:, 20, 30].astype(float)})
    answer = run("detect", cube, *words)
    assert (answer.code, answer.err.count("\n")) == (code, 1), answer.err
    assert said in answer.err
    assert not Path("cube_detect.tif").exists()


def test_nothing_to_score(folder: Path, scene: Any) -> None:
    table("t.csv", {"leaf": scene[:, 20, 30].astype(float)})
    scene[0, ::2], scene[1, 1::2] = np.nan, np.nan
    answer = run("detect", write("cube.tif", scene), "-t", "t.csv")
    assert (answer.code, answer.err.count("\n")) == (3, 1)
    assert "no pixel has data in all used bands" in answer.err
    empty = np.full_like(scene, np.nan)
    whole = np.nan_to_num(scene, nan=0.3)
    whole[0] += np.random.default_rng(0).random(whole.shape[1:])
    done("stats", write("whole.tif", whole), "-o", "scene.npz")
    answer = run("detect", write("empty.tif", empty), "-t", "t.csv", "--model", "scene.npz")
    assert (answer.code, answer.err.count("\n")) == (3, 1), answer.err
    assert "can be scored" in answer.err
    assert not Path("empty_detect.tif").exists()


def test_a_target_in_another_unit_is_told_and_scaled(folder: Path, scene: Any) -> None:
    cube, target = write("cube.tif", scene), scene[:, 20, 30].astype(float)
    table("t.csv", {"leaf": target})
    table("stored.csv", {"leaf": target * 1e4})
    assert "times" not in done("detect", cube, "-t", "t.csv", "-o", "a.tif").err
    said = done("detect", cube, "-t", "stored.csv", "-o", "b.tif").err
    assert "query 'leaf' is about 10000 times the cube's mean" in said
    assert "--target-scale 0.0001 brings them together" in said
    scaled = ["--target-scale", "0.0001", "-o", "c.tif"]
    assert "times" not in done("detect", cube, "-t", "stored.csv", *scaled).err
    np.testing.assert_allclose(scores("c.tif"), scores("a.tif"), atol=1e-6)
