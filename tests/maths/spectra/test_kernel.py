from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from blocks import ORDERS, arranged, by_loop

from hsitool.maths.spectra.kernel import BandedKernel
from hsitool.maths.spectra.operator import SpectralOperator
from hsitool.maths.spectra.savgol import savgol_operator

Cube = np.ndarray[Any, Any]

DTYPES = ["u1", "i1", "u2", "i2", ">u2", "u4", "i4", "i8", "u8", "f4", ">f4", "f8"]


def operator_on(bands: int, window: int, degree: int, deriv: int, even: bool) -> SpectralOperator:
    """Two segments with a bad band between; the spacing is even or not."""
    rng = np.random.default_rng(bands)
    x = np.arange(bands) * 1.0 if even else np.cumsum(rng.uniform(0.4, 1.6, bands))
    half = bands // 2
    return savgol_operator(x, [range(half), range(half + 1, bands)], window, degree, deriv)


def run(
    operator: SpectralOperator, cube: Cube, order: str, nodata: float | None = None, to: str = ""
) -> Cube:
    """The kernel's output; the arrays are in memory order `order`, the output in `to`, if given."""
    kernel = BandedKernel([operator], cube.dtype, nodata)
    shape = (operator.outputs, *cube.shape[1:])
    out = arranged(np.zeros(shape, kernel.output_dtype), to or order)
    kernel(arranged(cube, order), [out])
    return out


def tolerance(operator: SpectralOperator, cube: Cube, out: Cube) -> float:
    """A few units in the last place of the largest sum of terms."""
    largest = np.abs(operator.weights).sum(axis=1).max() * np.nanmax(np.abs(cube.astype("f8")))
    return float(4 * np.finfo(out.dtype).eps * largest)


@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize("deriv", [0, 1, 2])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_order_and_type(dtype: str, order: str, deriv: int, even: bool) -> None:
    rng = np.random.default_rng(1)
    operator = operator_on(90, 5, 2, deriv, even)
    cube = rng.uniform(0, 120, (90, 4, 7)).astype(dtype)
    out = run(operator, cube, order)
    assert out.dtype == (np.float64 if dtype == "f8" else np.float32)
    expected = by_loop(operator, cube, np.zeros(cube.shape, bool))
    np.testing.assert_allclose(out, expected, rtol=0, atol=tolerance(operator, cube, out))


@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize(("window", "degree"), [(1, 0), (3, 2), (9, 4), (25, 2), (31, 3), (45, 2)])
@pytest.mark.parametrize("order", ["bsq", "bil", "bip"])
def test_every_window(order: str, window: int, degree: int, even: bool) -> None:
    rng = np.random.default_rng(2)
    for deriv in range(min(degree, 2) + 1):
        operator = operator_on(100, window, degree, deriv, even)
        cube = rng.random((100, 3, 5)).astype(np.float32)
        out = run(operator, cube, order)
        expected = by_loop(operator, cube, np.zeros(cube.shape, bool))
        np.testing.assert_allclose(out, expected, rtol=0, atol=tolerance(operator, cube, out))


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (3, 9000), (20, 1100), (0, 4)])
@pytest.mark.parametrize("order", ["bsq", "bil", "bip", "bsq cropped", "bip cropped"])
def test_tiles_of_any_shape(order: str, shape: tuple[int, int]) -> None:
    for even in (True, False):
        operator = operator_on(80, 5, 2, 1, even)
        cube = np.random.default_rng(3).random((80, *shape)).astype(np.float32)
        out = run(operator, cube, order)
        expected = by_loop(operator, cube, np.zeros(cube.shape, bool))
        np.testing.assert_allclose(out, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("to", ["bsq", "bil", "bip"])
@pytest.mark.parametrize("order", ["bsq", "bil", "bip"])
def test_the_output_may_be_in_another_order(order: str, to: str) -> None:
    operator = operator_on(80, 5, 2, 0, True)
    cube = np.random.default_rng(4).random((80, 4, 6)).astype(np.float32)
    expected = run(operator, cube, order)
    np.testing.assert_allclose(run(operator, cube, order, to=to), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize("order", ["bsq", "bil", "bip"])
@pytest.mark.parametrize("deriv", [0, 1, 2])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -9999.0])
def test_a_missing_sample_blanks_its_windows_alone(
    value: float, deriv: int, order: str, even: bool
) -> None:
    """Each pixel misses another band; even weights of 0 (the middle of a slope) count."""
    operator = operator_on(80, 5, 2, deriv, even)
    clean = np.random.default_rng(5).random((80, 8, 10)).astype(np.float32)
    cube = clean.copy()
    band, row, column = np.arange(80), np.arange(80) // 10, np.arange(80) % 10
    cube[band, row, column] = value
    out = run(operator, cube, order, nodata=-9999)
    missing = np.zeros(cube.shape, bool)
    missing[band, row, column] = True
    expected = by_loop(operator, cube, missing)
    np.testing.assert_array_equal(np.isnan(out), np.isnan(expected))
    whole = run(operator, clean, order)
    np.testing.assert_allclose(out, np.where(np.isnan(out), out, whole), rtol=0, atol=1e-6)


@pytest.mark.parametrize("order", ["bsq", "bil", "bip"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_nodata_of_every_type(dtype: str, order: str) -> None:
    rng = np.random.default_rng(6)
    cube = rng.integers(0, 12, (60, 5, 9)).astype(dtype)
    for operator in (operator_on(60, 7, 2, 0, True), operator_on(60, 7, 2, 1, False)):
        out = run(operator, cube, order, nodata=3)
        expected = by_loop(operator, cube, cube == 3)
        np.testing.assert_array_equal(np.isnan(out), np.isnan(expected))
        np.testing.assert_allclose(out, expected, rtol=0, atol=tolerance(operator, cube, out))


@pytest.mark.parametrize("nodata", [np.nan, -9999.0, 1e30, 0.5, np.inf])
def test_a_nodata_that_the_type_cannot_hold_matches_nothing(nodata: float) -> None:
    operator = operator_on(40, 5, 2, 0, True)
    cube = np.random.default_rng(7).integers(0, 2, (40, 3, 3)).astype(np.uint16)
    assert not np.isnan(run(operator, cube, "bsq", nodata)).any()


def test_a_float_nodata_is_compared_as_it_was_stored() -> None:
    cube = np.full((40, 2, 2), 0.5, np.float32)
    cube[7, 1, 1] = -0.9999
    out = run(operator_on(40, 5, 2, 0, True), cube, "bip", nodata=-0.9999)
    assert np.isnan(out[5:10, 1, 1]).all()
    assert np.isnan(out).sum() == 5


def test_a_bad_band_that_is_wholly_nodata_blanks_itself_alone() -> None:
    operator = operator_on(40, 5, 2, 0, False)  # band 20 belongs to no segment
    cube = np.random.default_rng(8).random((40, 3, 3)).astype(np.float32)
    cube[20] = -1
    out = run(operator, cube, "bsq", nodata=-1)
    assert np.isnan(out[20]).all()
    assert not np.isnan(np.delete(out, 20, axis=0)).any()


def test_pixels_without_any_sample() -> None:
    cube = np.full((40, 3, 4), -1, np.int16)
    out = run(operator_on(40, 5, 2, 1, True), cube, "bip", nodata=-1)
    assert np.isnan(out).all()


def test_huge_but_finite_samples_are_data() -> None:
    cube = np.full((40, 3, 4), 3e37, np.float32)
    out = run(operator_on(40, 5, 2, 0, False), cube, "bsq")
    np.testing.assert_allclose(out, 3e37, rtol=1e-6)


@pytest.mark.parametrize("order", ["bsq", "bil", "bip"])
def test_an_undeclared_fill_disturbs_no_bit_beyond_its_windows(order: str) -> None:
    operator = operator_on(80, 5, 2, 2, False)
    cube = np.random.default_rng(9).random((80, 5, 6)).astype(np.float32)
    clean = run(operator, cube, order)
    cube[30] = -3.4e38
    out = run(operator, cube, order)
    beyond = [i for i in range(80) if not operator.first[i] <= 30 < operator.first[i] + 5]
    np.testing.assert_array_equal(out[beyond], clean[beyond])


@pytest.mark.parametrize("order", ["bsq", "bip"])
def test_bands_that_pass_unchanged_keep_every_bit(order: str) -> None:
    cube = np.random.default_rng(10).random((41, 4, 5)).astype(np.float32)
    out = run(operator_on(41, 5, 2, 0, True), cube, order)
    np.testing.assert_array_equal(out[20], cube[20])


@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize("order", ["bsq", "bil", "bip"])
def test_float32_keeps_the_digits_of_a_derivative(order: str, even: bool) -> None:
    """A small signal on a large level: a plain float32 sum is 1.2 % off here."""
    t = np.linspace(0, 1, 200)
    if not even:
        t += np.random.default_rng(11).uniform(-1e-3, 1e-3, 200)
    operator = savgol_operator(t, [range(200)], 11, 3, 2)
    cube = np.broadcast_to((1000 + np.sin(6 * t)).astype(np.float32)[:, None, None], (200, 3, 4))
    exact = by_loop(operator, cube, np.zeros(cube.shape, bool))
    error = np.abs(run(operator, cube, order) - exact).max()
    assert error < 5e-6 * np.abs(exact).max()


@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize("window", [5, 15, 31])
def test_float32_smoothing_is_within_four_units_in_the_last_place(window: int, even: bool) -> None:
    operator = operator_on(100, window, 2, 0, even)
    cube = np.random.default_rng(12).uniform(0.5, 1, (100, 40, 50)).astype(np.float32)
    for order in ("bsq", "bip"):
        error = run(operator, cube, order) - by_loop(operator, cube, np.zeros(cube.shape, bool))
        assert np.abs(error).max() < 4 * np.finfo(np.float32).eps / 2  # samples are below 1


def test_threads_share_a_kernel() -> None:
    operator = operator_on(60, 5, 2, 1, False)
    kernel = operator.kernel(np.float32)
    cube = np.random.default_rng(13).random((60, 64, 100)).astype(np.float32)
    cube[:, 10, 10] = np.nan
    out = np.empty_like(cube)
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(lambda row: kernel(cube[:, row : row + 1], [out[:, row : row + 1]]), range(64))
        )
    np.testing.assert_allclose(out, operator.apply(cube), rtol=0, atol=1e-6)


def test_refusals() -> None:
    kernel = operator_on(40, 5, 2, 0, True).kernel(np.uint16)
    block, out = np.zeros((40, 2, 3), np.uint16), np.zeros((40, 2, 3), np.float32)
    with pytest.raises(ValueError, match="shapes"):
        kernel(block[1:], [out])
    with pytest.raises(ValueError, match="shapes"):
        kernel(block, [out[:, 1:]])
    with pytest.raises(ValueError, match="types"):
        kernel(block.astype(np.int16), [out])
    with pytest.raises(ValueError, match="types"):
        kernel(block, [out.astype(np.float64)])
