"""Samples between pixels, against polynomials, float64 sums by loops, and NumPy's own copies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from blocks import arranged
from numpy.typing import NDArray

from hsitool.errors import DataError
from hsitool.maths.resampling import Interpolation, axis_taps, gather, stored, turn

ROWS, COLUMNS, BANDS = 23, 31, 5
REACH = {"nearest": 0.0, "linear": 0.0, "cubic": 1.0}


def places(count: int, margin: float, seed: int = 0) -> tuple[Any, Any]:
    """Columns and rows, `margin` px inside the image."""
    rng = np.random.default_rng(seed)
    column = rng.uniform(margin, COLUMNS - 1 - margin, count)
    return column, rng.uniform(margin, ROWS - 1 - margin, count)


def picked(
    samples: NDArray[Any], at: tuple[Any, Any], kind: Interpolation, dtype: str = "float64"
) -> NDArray[Any]:
    """(n, bands) of samples (rows, columns, bands)."""
    where = np.arange(ROWS) * COLUMNS, 1, ROWS * COLUMNS
    found = gather(at, (ROWS, COLUMNS), kind, where, dtype)
    return found.of(samples.reshape(ROWS * COLUMNS, -1), np.nan)


@pytest.mark.parametrize(("kind", "degree"), [("linear", 1), ("cubic", 2)])
def test_polynomials_come_back(kind: Interpolation, degree: int) -> None:
    y, x = np.mgrid[0:ROWS, 0:COLUMNS].astype(float)
    column, row = places(500, REACH[kind])
    for i in range(degree + 1):
        for j in range(degree + 1):
            made = picked((x / 10) ** i * (y / 10) ** j, (column, row), kind)[:, 0]
            expected = (column / 10) ** i * (row / 10) ** j
            assert np.abs(made - expected).max() < 1e-13 * np.abs(expected).max()


def test_linear_equals_a_loop_in_float64_to_a_millionth() -> None:
    rng = np.random.default_rng(3)
    samples = rng.uniform(0, 1000, (ROWS, COLUMNS, BANDS)).astype(np.float32)
    column, row = places(300, 0.0)
    made = picked(samples, (column, row), "linear", "float32")
    assert made.dtype == np.float32
    for n, (u, v) in enumerate(zip(column, row, strict=True)):
        i, j = int(u), int(v)
        a, b = u - i, v - j
        corners = samples[j : j + 2, i : i + 2].astype(np.float64)
        upper, lower = corners[:, 0] * (1 - a) + corners[:, 1] * a
        assert np.abs(made[n] - (upper * (1 - b) + lower * b)).max() < 1e-6 * 1000


def test_nearest_copies_any_type() -> None:
    samples = np.arange(ROWS * COLUMNS * 2).reshape(ROWS, COLUMNS, 2) + 2**60
    column, row = places(200, -0.49)
    at = np.floor(row + 0.5).astype(int), np.floor(column + 0.5).astype(int)
    made = picked(samples, (column, row), "nearest")
    assert made.dtype == samples.dtype
    assert np.array_equal(made, samples[at])


@pytest.mark.parametrize("kind", ["linear", "cubic"])
def test_on_a_sample_no_other_is_taken(kind: Interpolation) -> None:
    samples = np.full((ROWS, COLUMNS), np.nan)
    samples[[0, 7, ROWS - 1], [0, 9, COLUMNS - 1]] = [1.5, 2.5, 3.5]
    at = np.array([0.0, 9.0, COLUMNS - 1]), np.array([0.0, 7.0, ROWS - 1])
    assert picked(samples, at, kind)[:, 0].tolist() == [1.5, 2.5, 3.5]


@pytest.mark.parametrize(
    ("kind", "place", "inside"),
    [
        ("linear", 0.0, True),
        ("linear", -(2**-16), False),
        ("linear", COLUMNS - 1.0, True),
        ("linear", COLUMNS - 1 + 2**-16, False),
        ("linear", np.nan, False),
        ("linear", 1e300, False),
        ("nearest", -0.5, True),
        ("nearest", -0.51, False),
        ("nearest", COLUMNS - 0.51, True),
        ("nearest", COLUMNS - 0.5, False),
        ("cubic", 0.0, True),
        ("cubic", 0.5, False),
        ("cubic", 1.0, True),
        ("cubic", 1.5, True),
        ("cubic", COLUMNS - 2.5, True),
        ("cubic", COLUMNS - 1.5, False),
        ("cubic", COLUMNS - 1.0, True),
    ],
)
def test_what_lacks_a_sample_is_outside(kind: Interpolation, place: float, inside: bool) -> None:
    taps, weights, found = axis_taps(np.array([place]), COLUMNS, kind)
    assert found[0] == inside
    assert 0 <= taps.min() <= taps.max() < COLUMNS
    if inside:
        assert weights.sum() == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize(("kind", "reach"), [("linear", 1), ("cubic", 2)])
def test_a_hole_reaches_no_farther_than_the_kernel(kind: Interpolation, reach: int) -> None:
    samples = np.ones((ROWS, COLUMNS))
    samples[11, 15] = np.nan
    column, row = places(4000, REACH[kind])
    near = (np.abs(column - 15) < reach) & (np.abs(row - 11) < reach)
    assert np.array_equal(np.isnan(picked(samples, (column, row), kind)[:, 0]), near)


def test_integers_are_rounded_and_never_become_nodata_by_it() -> None:
    values = np.array([np.nan, 0.4, 0.6, 254.7, 12.5], np.float32)
    made = stored(values.copy(), np.dtype("uint8"), 0.0)
    assert made.dtype == np.uint8
    assert made.tolist() == [0, 1, 1, 255, 12]
    assert stored(values.copy(), np.dtype("uint8"), 255.0).tolist() == [255, 0, 1, 254, 12]


def test_cubic_overshoot_stays_in_the_type() -> None:
    values = np.array([-3.2, 260.1, 7.0])
    assert stored(values, np.dtype("uint8"), None, clips=True).tolist() == [0, 255, 7]


def test_missing_integers_without_nodata_are_refused() -> None:
    with pytest.raises(DataError, match="give one with --nodata VALUE, show only complete"):
        stored(np.array([1.0, np.nan]), np.dtype("int16"), None)


def test_floats_take_the_nodata_of_the_file() -> None:
    values = np.array([np.nan, -9999.0, 1.0], np.float32)
    made = stored(values, np.dtype("float32"), -9999.0)
    assert made[0] == -9999
    assert made[1] == np.nextafter(np.float32(-9999), np.float32(0))
    assert made[2] == 1


@pytest.mark.parametrize("order", ["bsq", "bil", "bip", "bsq cropped", "bil cropped"])
@pytest.mark.parametrize("shape", [(5, 4, 3), (1, 4, 3), (5, 4, 1), (1, 1, 1), (130, 3, 2)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "int64", "complex128"])
def test_blocks_turn_both_ways(order: str, shape: tuple[int, int, int], dtype: str) -> None:
    cube = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    block = arranged(cube, order)
    by_pixel = np.zeros((*shape[1:], shape[0]), dtype).transpose(2, 0, 1)
    turn(block, by_pixel)
    assert np.array_equal(by_pixel, cube)
    back = arranged(np.zeros_like(cube), order)
    turn(by_pixel, back)
    assert np.array_equal(back, cube)


def test_turning_casts() -> None:
    cube = np.arange(60, dtype=np.uint16).reshape(5, 4, 3)
    by_pixel = np.zeros((4, 3, 5), np.float32).transpose(2, 0, 1)
    turn(cube, by_pixel)
    assert np.array_equal(by_pixel, cube)
