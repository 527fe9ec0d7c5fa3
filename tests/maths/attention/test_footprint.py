"""What coarse views gather: noise and constants, against filters written out, and holes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import correlate1d, map_coordinates

from hsitool.maths.attention.footprint import POINT, Footprint, footprint, gathered
from hsitool.maths.attention.warp import View, affine_grid, grid_sample, turned, view_about

Floats = NDArray[np.float64]


def seen(image: Floats, view: View, foot: Footprint) -> Floats:
    """(bands, h, w) through the sparse matrix, of an image (bands, rows, columns)."""
    bands, rows, columns = image.shape
    places = view.centres(*(np.arange(n) for n in view.size))
    memory = np.arange(rows) * columns, rows * columns
    found = gathered(places, (rows, columns), foot, memory, np.float64)
    return found.of(image.reshape(bands, -1).T).T.reshape(bands, *view.size)


def middle(image: tuple[int, int], linear: Floats, size: tuple[int, int]) -> View:
    rows, columns = image
    return view_about((columns / 2, rows / 2), (size[1] / 2, size[0] / 2), linear, size)


def test_a_point_is_the_sample_of_a_grid(rng: np.random.Generator) -> None:
    image = rng.normal(size=(5, 20, 30))
    image[2, 5:9, 7] = np.nan
    missing = []
    for linear in (turned(40.0), turned(-95.0) / 3, np.diag([2.0, 0.4]), turned(10.0) * 1.7):
        view = middle((20, 30), linear, (33, 28))
        expected = grid_sample(image, affine_grid(view.theta((20, 30)), view.size))
        made = seen(image, view, POINT)
        assert np.allclose(made, expected, rtol=0, atol=1e-9, equal_nan=True)
        missing.append(np.isnan(made).mean())
    assert 0.1 < max(missing) < 0.9


def test_views_that_are_no_coarser_are_not_smoothed() -> None:
    for linear in (np.eye(2), turned(33.0), turned(33.0) / 4, np.diag([0.3, -1.0])):
        assert footprint(linear) is POINT or len(footprint(linear).shares) == 1


@pytest.mark.parametrize("degrees", [0.0, 17.0, 45.0])
def test_noise_of_a_coarse_view(degrees: float, rng: np.random.Generator) -> None:
    """Four times coarser, a box would leave 0.25 of it, and linear interpolation 0.5."""
    image = rng.normal(size=(3, 400, 400))
    view = middle((400, 400), turned(degrees) * 4, (60, 60))
    foot = footprint(view.linear)
    assert seen(image, view, foot).std() <= 0.27
    assert seen(image, view, POINT).std() > 0.4


@pytest.mark.parametrize("scale", [1.001, 1.4, 2.0, 4.0, 11.0])
def test_constants_are_kept(scale: float) -> None:
    image = np.full((1, 60, 70), 3.7)
    for linear in (turned(0.0) * scale, turned(29.0) * scale, turned(29.0) @ np.diag([scale, 0.5])):
        view = middle((60, 70), linear, (9, 8))
        made = seen(image, view, footprint(linear))
        assert np.nanmax(np.abs(made - 3.7)) < 1e-12
        assert np.isfinite(made[:, 4, 4]).all()


def test_along_the_axes_it_is_a_gaussian_filter_and_then_linear(rng: np.random.Generator) -> None:
    """Of sigma sqrt(s^2 - 1) / 2 across only, where only columns lie further apart."""
    image, scale = rng.normal(size=(1, 40, 90)), 5.0
    sigma = math.sqrt(scale**2 - 1) / 2
    reach = np.arange(-math.floor(3 * sigma), math.floor(3 * sigma) + 1)
    kernel = np.exp(-(reach**2) / (2 * sigma**2))
    smooth = correlate1d(image[0], kernel / kernel.sum(), axis=1, mode="constant")
    view = middle((40, 90), np.diag([scale, 0.8]), (30, 8))
    x, y = view.centres(np.arange(30), np.arange(8))
    expected = map_coordinates(smooth, [y, x], order=1).reshape(30, 8)
    made = seen(image, view, footprint(view.linear))[0]
    assert np.abs(made - expected)[:, 2:-2].max() < 1e-12


def test_sigma_is_what_it_should_be_in_any_direction() -> None:
    """The second moments of the weights: the Gaussian's, cut at 3 sigma, and the triangle's."""
    for scales, degrees in (((3.0, 3.0), 20.0), ((6.0, 2.0), 35.0), ((1.5, 1.2), 80.0)):
        linear = turned(degrees) @ np.diag(scales)
        foot = footprint(linear)
        image = np.zeros((1, 81, 81))
        image[0, 40, 40] = 1
        fine = view_about((40.5, 40.5), (100.0, 100.0), np.eye(2) / 4, (200, 200))
        weights = seen(image, fine, foot)[0]
        u, v = (np.mgrid[0:200, 0:200][::-1] + 0.5 - 100) / 4
        moments = [np.sum(weights * a * b) / weights.sum() for a, b in ((u, u), (v, v), (u, v))]
        cut = 1 - 4.5 * math.exp(-4.5) / (1 - math.exp(-4.5))  # variance that a disc of 3 sigma has
        axes, found, _ = np.linalg.svd(linear)
        spread = axes @ np.diag([(s * s - 1) / 4 * cut for s in found]) @ axes.T
        expected = spread + np.eye(2) * (1 / 6)
        measured = np.array([[moments[0], moments[2]], [moments[2], moments[1]]])
        assert np.abs(measured - expected).max() < 0.06 * expected.max()


def test_smoothing_begins_where_it_ends(rng: np.random.Generator) -> None:
    """A view that is hardly coarser is hardly smoothed."""
    image = rng.normal(size=(1, 50, 50))
    view = middle((50, 50), turned(12.0) * (1 + 1e-6), (20, 20))
    made, plain = (seen(image, view, foot) for foot in (footprint(view.linear), POINT))
    assert 0 < np.abs(made - plain).max() < 0.01


def test_holes_take_no_part(rng: np.random.Generator) -> None:
    """A sample that is missing is as if it was not there, in each band for itself."""
    image = rng.normal(size=(2, 60, 60)) + 10
    holes = np.zeros((60, 60), bool)
    holes[20:24, 30:41], holes[45, 5] = True, True
    torn = image.copy()
    torn[1, holes] = np.nan
    torn[0, 3, 3] = np.inf
    view = middle((60, 60), turned(25.0) * 3, (12, 12))
    foot = footprint(view.linear)
    made, whole = seen(torn, view, foot), seen(image, view, foot)
    ones = np.where(np.stack([np.zeros_like(holes), holes]), 0.0, 1.0)
    weight = seen(ones, view, foot)
    total = seen(np.nan_to_num(torn, nan=0.0, posinf=0.0), view, foot)
    expected = np.where(weight >= 0.5, total / np.maximum(weight, 0.01), np.nan)
    assert np.allclose(made[1], expected[1], rtol=1e-12, equal_nan=True)
    away = weight[1] == 1
    assert np.array_equal(made[1][away], whole[1][away], equal_nan=True)
    assert 0 < np.isnan(made[1]).sum() - np.isnan(whole[1]).sum() < 20
    assert not np.isinf(made).any()
