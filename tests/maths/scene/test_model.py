"""The scene model: its noise, its regularisers, and what makes it singular."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scenes
from numpy.typing import NDArray

from hsitool.errors import DataError, UsageError
from hsitool.maths.scene.model import (
    BandBlock,
    SceneModel,
    SceneSums,
    Shrink,
    finished,
    oas,
    scene_model,
)

Floats = NDArray[np.float64]
BANDS = 24


@pytest.fixture
def scene(rng: np.random.Generator) -> Floats:
    """(bands, rows, columns) with noise of 0.01."""
    clean = scenes.signal(BANDS, 60, 50)
    return clean + 0.01 * scenes.noise(clean.shape, 0.0, rng)


def in_tiles(cube: Floats, height: int, width: int, step: int) -> SceneModel:
    """The model of a cube that is read tile by tile."""
    bands, rows, columns = cube.shape
    total = SceneSums.none(bands)
    for row in range(0, rows, height):
        for column in range(0, columns, width):
            part = cube[:, row : row + height, column : column + width]
            total = total + SceneSums.of(part, np.isfinite(part).all(axis=0), row, column, step)
    return finished(total, [range(bands)], [BandBlock("cube", tuple(range(bands)), bands)])


@pytest.mark.parametrize(("height", "width"), [(1, 50), (7, 50), (16, 16), (60, 2)])
def test_a_model_does_not_hang_on_the_tiles(height: int, width: int, scene: Floats) -> None:
    scene[3, 10:13, 20:31] = np.nan
    whole, tiled = in_tiles(scene, 60, 50, 3), in_tiles(scene, height, width, 3)
    assert tiled.count == whole.count == 60 * 50 - 33
    valid = scene[:, np.isfinite(scene).all(axis=0)]
    np.testing.assert_allclose(tiled.covariance, np.cov(valid), rtol=1e-10, atol=1e-14)
    assert whole.noise_std is not None and tiled.noise_std is not None
    np.testing.assert_allclose(tiled.noise_std, whole.noise_std, rtol=1e-10)
    np.testing.assert_allclose(tiled.difference_std, whole.difference_std, rtol=1e-10)


def test_noise_is_found_and_differences_hold_the_texture(scene: Floats) -> None:
    model = scene_model(scene)
    assert model.noise_std is not None and model.difference_std is not None
    assert np.median(model.noise_std) == pytest.approx(0.01, rel=0.1)
    right, left = scene[:, :, 1::2], scene[:, :, ::2]
    expected = (right - left).std(axis=(1, 2), ddof=1) / np.sqrt(2)
    np.testing.assert_allclose(model.difference_std, expected, rtol=1e-12)
    assert np.median(model.difference_std) > 1.2 * np.median(model.noise_std)


def test_oas_is_that_of_its_authors(rng: np.random.Generator) -> None:
    """Against the formula as scikit-learn has it, with the divisor n."""
    values = rng.standard_normal((40, BANDS)) * np.linspace(1, 3, BANDS)
    biased = np.cov(values.T, bias=True)
    alpha, mu = np.mean(biased**2), np.trace(biased) / BANDS
    share = min((alpha + mu**2) / (41 * (alpha - mu**2 / BANDS)), 1.0)
    expected = (1 - share) * biased + share * mu * np.eye(BANDS)
    assert 0.05 < share < 1
    np.testing.assert_allclose(oas(np.cov(values.T), 40), expected, rtol=1e-12, atol=1e-14)


def test_the_ridge_is_that_of_each_cube(scene: Floats) -> None:
    model = scene_model(np.concatenate([scene, 1000 * scene[:5]]))
    bands = tuple(range(BANDS))
    two = replace(model, blocks=(BandBlock("a", bands, BANDS), BandBlock("b", bands[:5], 5)))
    assert model.noise_std is not None
    added = (two.shrunk(Shrink("noise", 7.0)) - two.covariance).diagonal()
    np.testing.assert_allclose(added[:BANDS], 7 * np.median(model.noise_std[:BANDS]) ** 2)
    np.testing.assert_allclose(
        added[BANDS:], 7 * np.median(model.noise_std[BANDS:]) ** 2, rtol=1e-6
    )
    alone = two.of_cube(1)
    np.testing.assert_array_equal(alone.covariance, model.covariance[BANDS:, BANDS:])
    assert alone.blocks[0].name == "b"
    some = two.of_cube(0, [7, 3])
    np.testing.assert_array_equal(some.mean, model.mean[[7, 3]])
    assert some.covariance[0, 1] == model.covariance[7, 3]
    assert some.blocks[0].bands == (7, 3)


def refused(cube: Floats, shrink: str = "none") -> str:
    with pytest.raises((DataError, UsageError)) as error:
        scene_model(cube).background(Shrink(shrink))  # type: ignore[arg-type]
    return str(error.value)


def test_two_identical_bands_are_named_and_a_ridge_holds_them_up(scene: Floats) -> None:
    scene[12] = scene[11]
    assert "bands 12 and 13 are dependent" in refused(scene)
    assert np.isfinite(scene_model(scene).background().factor).all()
    assert np.isfinite(scene_model(scene).background(Shrink("oas")).factor).all()


def test_a_sum_of_two_bands_is_named_with_them(scene: Floats) -> None:
    scene[20] = 2 * scene[3] - scene[8]
    assert "bands 4, 9 and 21 are dependent" in refused(scene)


def test_a_mean_of_many_bands_is_named(scene: Floats) -> None:
    scene[20] = scene[:15].mean(axis=0)
    assert "is a combination of others" in refused(scene)


def test_a_constant_band_is_named(scene: Floats) -> None:
    scene[6] = 0.25
    assert "band 7 is constant" in refused(scene)
    assert np.isfinite(scene_model(scene).background().factor).all()


def test_fewer_pixels_than_bands(scene: Floats) -> None:
    few = scene[:, :3, :6].copy()
    assert "18 pixels cannot give the covariance of 24 bands" in refused(few)
    assert np.isfinite(scene_model(scene[:, :3, :12]).background().factor).all()
    assert "side by side" in refused(few, "noise")


def test_bands_keep_the_numbers_of_their_cubes(scene: Floats) -> None:
    scene[5] = scene[2]
    blocks = (BandBlock("a.tif", (4, 6, 8), 9), BandBlock("b.tif", tuple(range(21)), 21))
    model = replace(scene_model(scene), blocks=blocks)
    with pytest.raises(DataError, match=r"bands 9 of a.tif and 3 of b.tif are dependent"):
        model.background(Shrink("none"))


@pytest.mark.parametrize(("pixels", "said"), [(0, "no pixel has"), (1, "only 1 pixel has")])
def test_pixels_that_are_no_scene(pixels: int, said: str, scene: Floats) -> None:
    scene.reshape(BANDS, -1)[0, pixels:] = np.nan
    assert said in refused(scene)


def test_rubbish_is_no_measurement(scene: Floats) -> None:
    scene[0, 0, 0] = 1e200
    with np.errstate(over="ignore"):
        assert "hsitool convert --nodata" in refused(scene)


def test_models_of_two_parts_are_that_of_the_whole(scene: Floats) -> None:
    whole = scene_model(scene)
    both = scene_model(scene[:, :25]) + scene_model(scene[:, 25:])
    assert both.count == whole.count
    np.testing.assert_allclose(both.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(both.covariance, whole.covariance, rtol=1e-10, atol=1e-14)
    assert both.noise_std is not None and whole.noise_std is not None
    np.testing.assert_allclose(both.noise_std, whole.noise_std, rtol=0.1)
    blind = both + replace(whole, noise_std=None)
    assert blind.noise_std is None and blind.difference_std is not None
    with pytest.raises(DataError, match="other bands"):
        whole.of_cube(0, range(5)) + whole


def test_a_remedy_is_not_what_was_tried(scene: Floats) -> None:
    clean = np.add.outer(np.arange(BANDS), np.add.outer(np.arange(60.0), np.arange(50.0)))
    clean[0] = 1.0
    assert "give --shrink noise or oas" in refused(clean)
    told = refused(np.where(np.isnan(scene), 0, clean), "noise")
    assert "give --shrink oas (there is too little noise for a ridge)" in told
    assert "all 3000 pixels are the same" in refused(np.ones_like(scene), "noise")
