"""The scene model of files: whatever the layout, it is that of the pixels with data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cubes
import numpy as np
import pytest
import scenes
from command import done, run
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular

from hsitool.engine.plan import Budget
from hsitool.maths.scene.model import SceneModel
from hsitool.storage.readers import open_cube
from hsitool.tasks.stats import load_model, scene_stats

BANDS, ROWS, COLUMNS = 30, 70, 90
CENTRES = scenes.wavelengths(BANDS)
PLACE = {"crs": "EPSG:32633", "transform": (20.0, 0.0, 412_000.0, 0.0, -20.0, 5_812_000.0)}
Floats = NDArray[np.float64]


@pytest.fixture
def scene(rng: np.random.Generator) -> Any:
    clean = scenes.signal(BANDS, ROWS, COLUMNS)
    return (clean + 0.01 * scenes.noise(clean.shape, 0.0, rng)).astype(np.float32)


def write(path: Path, array: Any, **items: Any) -> Path:
    return cubes.write_geotiff(path, array, **{"wavelength_nm": CENTRES, **PLACE, **items})


def fitted(*paths: Path, **options: Any) -> SceneModel:
    sources = [open_cube(path) for path in paths]
    try:
        return scene_stats(sources, **options)
    finally:
        for source in sources:
            source.close()


def whitened_error(found: Floats, truth: Floats) -> float:
    factor = cholesky(truth, lower=True)
    half = solve_triangular(factor, found - truth, lower=True)
    return float(np.abs(solve_triangular(factor, half.T, lower=True)).max())


LAYOUTS: list[dict[str, Any]] = [
    {"interleave": "pixel"},
    {"interleave": "band"},
    {"interleave": "pixel", "blocks": ("tile", 16), "compress": "deflate"},
    {"interleave": "band", "blocks": ("tile", 32)},
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("workers", [1, 3])
def test_layout_and_threads_do_not_matter(
    layout: dict[str, Any], workers: int, scene: Any, tmp_path: Path
) -> None:
    scene[4, 11, 12:40], scene[:, 60] = np.nan, -1
    path = write(tmp_path / "in.tif", scene, nodata=-1, **layout)
    budget = Budget(330 * 10**6, workers)
    found = fitted(path, budget=budget)
    valid = (np.isfinite(scene) & (scene != -1)).all(axis=0)
    truth = np.cov(scene[:, valid].astype(np.float64))
    assert found.count == valid.sum()
    assert whitened_error(found.covariance, truth) < 4e-11
    plain = fitted(write(tmp_path / "plain.tif", scene, nodata=-1, interleave="band"))
    np.testing.assert_allclose(found.covariance, plain.covariance, rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(found.noise_std, plain.noise_std, rtol=1e-10)


@pytest.mark.parametrize("form", ["bsq", "bil", "bip"])
def test_small_blocks_and_envi(
    form: str, scene: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = cubes.write_envi(tmp_path / "in.img", scene, interleave=form)
    whole = fitted(path)
    monkeypatch.setattr("hsitool.tasks.pixels.PIECE_BYTES", 8 * BANDS * 50)
    monkeypatch.setattr("hsitool.engine.plan.TILE_BYTES", 60_000)
    small = fitted(path)
    np.testing.assert_allclose(small.covariance, whole.covariance, rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(small.noise_std, whole.noise_std, rtol=1e-10)


def test_scale_offset_and_bad_bands(scene: Any, tmp_path: Path) -> None:
    stored = np.round(scene * 1e4).astype(np.int16)
    stored[7, 3, 3] = -9999
    scales, offsets = [1e-4 * (b + 1) for b in range(BANDS)], [0.5] * BANDS
    bbl = [int(b not in (0, 9)) for b in range(BANDS)]
    items = {"scales": scales, "offsets": offsets, "bbl": bbl, "nodata": -9999}
    path = write(tmp_path / "in.tif", stored, **items)
    good = [b for b in range(BANDS) if bbl[b]]
    physical = stored * np.array(scales)[:, None, None] + 0.5
    valid = (stored != -9999).all(axis=0)
    found = fitted(path)
    assert found.blocks[0].bands == tuple(good)
    np.testing.assert_allclose(found.mean, physical[good][:, valid].mean(axis=1), rtol=1e-12)
    some = fitted(path, bands="10,2:4")
    assert some.blocks[0].bands == (1, 2, 3, 9)
    everywhere = physical[[1, 2, 3, 9]].reshape(4, -1)
    np.testing.assert_allclose(some.covariance, np.cov(everywhere), rtol=1e-10)


def test_several_cubes_are_stacked(scene: Any, tmp_path: Path) -> None:
    vnir = write(tmp_path / "vnir.tif", scene[:20], wavelength_nm=CENTRES[:20])
    stored = np.round(scene[20:] * 1e4).astype(np.int16)
    scales, bbl = [1e-4] * 10, [1] * 9 + [0]
    more = {"wavelength_nm": CENTRES[20:], "scales": scales, "bbl": bbl, "interleave": "band"}
    swir = write(tmp_path / "swir.tif", stored, **more)
    done("stats", vnir, swir, "-o", tmp_path / "scene.npz")
    found = load_model(tmp_path / "scene.npz")
    assert [(b.name, b.cube_bands, len(b.bands)) for b in found.blocks] == [
        ("vnir.tif", 20, 20),
        ("swir.tif", 10, 9),
    ]
    stacked = np.concatenate([scene[:20].astype(float), stored[:9] * 1e-4]).reshape(29, -1)
    assert whitened_error(found.covariance, np.cov(stacked)) < 1e-10
    assert found.blocks[1].wavelength_nm == tuple(CENTRES[20:29])
    alone = fitted(swir)
    np.testing.assert_allclose(found.of_cube(1).covariance, alone.covariance, rtol=1e-10)


def test_a_background_counts_alone(scene: Any, tmp_path: Path) -> None:
    cube = write(tmp_path / "in.tif", scene)
    inside = np.zeros((ROWS, COLUMNS), np.uint8)
    inside[10:40, 20:60] = 7
    mask = cubes.write_geotiff(tmp_path / "mask.tif", inside[None], **PLACE)
    answer = done("stats", cube, "--background", mask, "--json").json()
    assert answer["pixels"] == 30 * 40
    part = scene[:, 10:40, 20:60].astype(np.float64).reshape(BANDS, -1)
    np.testing.assert_allclose(answer["blocks"][0]["mean"], part.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(answer["blocks"][0]["std"], part.std(axis=1, ddof=1), rtol=1e-10)


def test_answers(scene: Any, tmp_path: Path) -> None:
    cube = write(tmp_path / "in.tif", scene)
    model = tmp_path / "scene.npz"
    answer = done("stats", cube, "-o", model)
    assert answer.out == f"{model}\n"
    assert "6300 pixels, 30 bands" in answer.err
    assert "exists" in run("stats", cube, "-o", model).err
    shown = done("stats", cube).out
    assert shown.startswith("6300 pixels, 30 bands\nin.tif: spread ")
    told = done("stats", cube, "--json", "-o", model, "--overwrite").json()
    assert told.keys() == {"pixels", "bands", "blocks"}
    assert np.median(told["blocks"][0]["noise_std"]) == pytest.approx(0.01, rel=0.15)


def refusals(scene: Any) -> dict[str, tuple[Any, dict[str, Any], str]]:
    undeclared = "hsitool convert --nodata"
    empty, one = np.full_like(scene, np.nan), np.full_like(scene, np.nan)
    one[:, 5, 6] = scene[:, 5, 6]
    patchy = scene.copy()
    patchy[0, ::2], patchy[1, 1::2] = np.nan, np.nan
    return {
        "empty": (empty, {}, "no good band has data"),
        "one pixel": (one, {}, "only 1 pixel has data in all used bands"),
        "never all": (patchy, {}, "no pixel has data in all used bands"),
        "complex": (scene.astype(np.complex64), {}, "complex64 samples"),
        "bad": (scene, {"bbl": [0] * BANDS}, "no good band has data"),
        "rubbish": (np.where(scene > 0.5, np.float32(-3e38), scene), {}, undeclared),
        "rubbish64": (np.where(scene > 0.5, 1e200, scene.astype(float)), {}, undeclared),
    }


@pytest.mark.parametrize(
    "case", ["empty", "one pixel", "never all", "complex", "bad", "rubbish", "rubbish64"]
)
def test_cubes_that_have_no_model(case: str, scene: Any, tmp_path: Path) -> None:
    array, items, said = refusals(scene)[case]
    answer = run("stats", write(tmp_path / "in.tif", array, **items), "-q")
    assert (answer.code, answer.err.count("\n")) == (3, 1), answer.err
    assert said in answer.err


def test_cubes_of_other_grids(scene: Any, tmp_path: Path) -> None:
    first = write(tmp_path / "a.tif", scene)
    smaller = write(tmp_path / "b.tif", scene[:, 1:])
    moved = write(tmp_path / "c.tif", scene, transform=(20.0, 0.0, 412_040.0, 0.0, -20.0, 5.812e6))
    for other, said in (
        (smaller, "is of another grid: 69 x 90 pixels, and"),
        (moved, "it lies elsewhere than"),
        (first, "is given twice"),
    ):
        answer = run("stats", first, other, "-o", tmp_path / "scene.npz")
        assert (answer.code, answer.err.count("\n")) == (3, 1)
        assert said in answer.err
    small_mask = cubes.write_geotiff(tmp_path / "m.tif", np.ones((1, 4, 4), np.uint8))
    answer = run("stats", first, "--background", small_mask)
    assert answer.code == 3 and "another grid" in answer.err
    away = tmp_path / "away.geojson"
    ring = "[[0, 0], [1, 0], [1, 1], [0, 0]]"
    away.write_text(f'{{"type": "Polygon", "coordinates": [{ring}]}}')
    answer = run("stats", first, "--background", away)
    assert answer.code == 3 and "outside the cube" in answer.err
