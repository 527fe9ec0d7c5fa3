"""Grids and samples against PyTorch's (stored, and live where it is installed) and SciPy's."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from device_arrays import device_module
from scipy.ndimage import map_coordinates

from hsitool.errors import UsageError
from hsitool.maths.attention.warp import (
    View,
    affine_grid,
    grid_sample,
    turned,
    view_about,
    view_of_theta,
)

ORACLE = np.load(Path(__file__).parents[2] / "oracles" / "attention.npz")
VIEWS = range(6)
SHIFTED = ((13, 17), (21, 9), (4, 30))


def size_of(number: int) -> tuple[int, int]:
    rows, columns = ORACLE[f"view_{number}"].shape[1:]
    return rows, columns


@pytest.mark.parametrize("number", VIEWS)
def test_grid_is_that_of_pytorch(number: int) -> None:
    made = affine_grid(ORACLE[f"theta_{number}"], size_of(number))
    assert np.abs(made - ORACLE[f"grid_{number}"]).max() < 1e-14


@pytest.mark.parametrize("number", VIEWS)
@pytest.mark.parametrize(("dtype", "limit"), [(np.float64, 1e-12), (np.float32, 5e-7)])
def test_samples_are_those_of_pytorch(number: int, dtype: Any, limit: float) -> None:
    image = ORACLE["image"].astype(dtype)
    made = grid_sample(image, ORACLE[f"grid_{number}"], outside="zero")
    assert made.dtype == dtype
    assert np.abs(made - ORACLE[f"view_{number}"]).max() <= limit


@pytest.mark.parametrize("number", VIEWS)
def test_without_padding_the_inside_is_the_same_and_the_outside_missing(number: int) -> None:
    image = ORACLE["image"]
    made = grid_sample(image, ORACLE[f"grid_{number}"])
    x, y = np.moveaxis(ORACLE[f"grid_{number}"], -1, 0)
    rows, columns = image.shape[1:]
    across, down = (x + 1) * columns / 2 - 0.5, (y + 1) * rows / 2 - 0.5
    inside = (across >= 0) & (across <= columns - 1) & (down >= 0) & (down <= rows - 1)
    assert np.abs(made - ORACLE[f"view_{number}"])[:, inside].max() < 1e-12
    beyond = (
        (across <= -0.51) | (across >= columns - 0.49) | (down <= -0.51) | (down >= rows - 0.49)
    )
    assert np.isnan(made[:, beyond]).all()
    assert np.isfinite(made[:, inside]).all()


def test_corners_at_centres_are_another_convention() -> None:
    """Mixing them moves all but the middle: what is made here is far from that."""
    image, apart = ORACLE["image"], []
    for number in VIEWS[1:4]:
        made = grid_sample(image, ORACLE[f"grid_{number}"], outside="zero")
        apart.append(np.sqrt(np.mean((made - ORACLE[f"mixed_{number}"]) ** 2)) / image.std())
    assert min(apart) > 0.1


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="no PyTorch here")
def test_live_against_pytorch(rng: np.random.Generator) -> None:
    import torch  # type: ignore[import-not-found]
    from torch.nn import functional  # type: ignore[import-not-found]

    image = rng.normal(size=(140, 31, 27))
    theta = rng.normal(size=(2, 3))
    grid = functional.affine_grid(torch.tensor(theta)[None], [1, 1, 19, 23], align_corners=False)
    expected = functional.grid_sample(torch.tensor(image)[None], grid, align_corners=False)
    made = grid_sample(image, affine_grid(theta, (19, 23)), outside="zero")
    assert np.abs(made - expected[0].numpy()).max() < 1e-10


@pytest.mark.parametrize("bands", [1, 129, 224, 600])
def test_any_number_of_bands(bands: int, rng: np.random.Generator) -> None:
    """As SciPy has it, one band at a time; others fail or give less from 129 bands on."""
    image = rng.normal(size=(bands, 12, 15))
    view = view_of_theta([[0.4, -0.3, 0.1], [0.2, 0.5, -0.1]], (12, 15), (9, 8))
    made = grid_sample(image, affine_grid(view.theta((12, 15)), (9, 8)))
    x, y = view.centres(np.arange(9), np.arange(8))
    for band in (0, bands // 2, bands - 1):
        expected = map_coordinates(image[band], [y, x], order=1)
        assert np.abs(made[band].reshape(-1) - expected).max() < 1e-10


@pytest.mark.parametrize("size", SHIFTED)
def test_whole_pixels_are_copied(size: tuple[int, int], rng: np.random.Generator) -> None:
    """Also to a view of another size, where a mix of conventions would scale as well."""
    image = rng.normal(size=(2, 40, 50))
    for down, right in ((0, 0), (3, 7), (-2, 5)):
        view = View(((1.0, 0.0, right), (0.0, 1.0, down)), size)
        made = grid_sample(image, affine_grid(view.theta((40, 50)), size))
        rows, columns = np.arange(size[0]) + down, np.arange(size[1]) + right
        inside = (rows >= 0)[:, None] & (columns >= 0)
        expected = image[:, rows[:, None].clip(0), columns.clip(0)]
        assert np.abs(made - expected)[:, inside].max() <= 1e-12
        assert np.isnan(made[:, ~inside]).all()


def test_holes_do_not_leak(rng: np.random.Generator) -> None:
    image = rng.normal(size=(2, 9, 9))
    image[0, 4, 4], image[1, 2, 6] = np.nan, np.inf
    for shift in (0.0, 0.25, 0.5, 0.75):
        view = View(((1.0, 0.0, shift), (0.0, 1.0, 0.0)), (9, 8))
        made = grid_sample(image, affine_grid(view.theta((9, 9)), (9, 8)))
        left, right = image[0, 4, :8], image[0, 4, 1:]
        expected = (1 - shift) * np.nan_to_num(left) + shift * np.nan_to_num(right)
        weight = (1 - shift) * np.isfinite(left) + shift * np.isfinite(right)
        expected = np.where(weight >= 0.5, expected / np.maximum(weight, 0.1), np.nan)
        assert np.allclose(made[0, 4], expected, rtol=1e-14, equal_nan=True)
        assert np.isfinite(np.delete(made[0], 4, axis=0)).all()
        assert not np.isinf(made[1]).any()
        assert np.isfinite(np.delete(made[1], 2, axis=0)).all()


def test_on_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    cupy = device_module()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    grid = affine_grid(cupy.asarray(ORACLE["theta_3"]), size_of(3))
    made = grid_sample(cupy.asarray(ORACLE["image"]), grid, outside="zero")
    assert isinstance(made, cupy.ndarray)
    assert np.abs(made.get() - ORACLE["view_3"]).max() < 1e-12


def test_what_cannot_be_sampled_is_refused() -> None:
    with pytest.raises(UsageError, match="shape"):
        affine_grid(np.eye(3), (4, 4))
    with pytest.raises(UsageError, match="give"):
        grid_sample(np.zeros((4, 4)), np.zeros((2, 2, 2)))
    with pytest.raises(UsageError, match="neither"):
        grid_sample(np.zeros((1, 4, 4)), np.zeros((2, 2, 2)), outside="border")  # type: ignore[arg-type]
    for theta in ([[1, 2, 0], [2, 4, 0]], [[0, 0, 0], [0, 0, 0]]):
        with pytest.raises(UsageError, match="singular"):
            view_of_theta(theta, (5, 7), (3, 3))


def test_quarter_turns_are_exact() -> None:
    for quarter in range(-3, 5):
        matrix = turned(90.0 * quarter)
        assert set(np.abs(matrix).reshape(-1)) == {0.0, 1.0}
        assert np.array_equal(matrix, np.linalg.matrix_power(turned(90.0), quarter % 4))
    assert np.allclose(turned(-17.0) @ turned(17.0), np.eye(2), atol=1e-15)


def test_a_view_and_its_theta_say_the_same() -> None:
    view = view_about((11.5, 7.25), (4.0, 3.0), turned(31.0) / 1.7, (6, 8))
    again = view_of_theta(view.theta((20, 30)), (20, 30), (6, 8))
    assert np.allclose(again.matrix, view.matrix, atol=1e-13)
    assert np.allclose(view.seen(11.5, 7.25), (4.0, 3.0), atol=1e-13)
