import pickle

import numpy as np
import pytest

from hsitool.maths.spectra.operator import SpectralOperator
from hsitool.maths.spectra.savgol import savgol_operator

RNG = np.random.default_rng(3)
NM = np.cumsum(RNG.uniform(4, 7, 30))
SEGMENTS = [range(12), range(14, 30)]


def operator(deriv: int = 0, window: int = 5) -> SpectralOperator:
    return savgol_operator(NM, SEGMENTS, window, 2, deriv)


@pytest.mark.parametrize("deriv", [0, 1, 2])
def test_rescaled_acts_on_stored_values(deriv: int) -> None:
    scale, offset = RNG.uniform(0.5, 2, 30), RNG.uniform(-3, 3, 30)
    stored = RNG.uniform(0, 100, (30, 4, 5))
    physical = scale[:, None, None] * stored + offset[:, None, None]
    expected = operator(deriv).apply(physical)
    found = operator(deriv).rescaled(scale, offset).apply(stored)
    found = scale[:, None, None] * found + (offset[:, None, None] if deriv == 0 else 0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("deriv", [0, 1])
def test_equal_scales_change_no_bit(deriv: int) -> None:
    plain = operator(deriv)
    scaled = plain.rescaled(0.0001, np.full(30, -0.2))
    np.testing.assert_array_equal(scaled.weights, plain.weights)
    np.testing.assert_array_equal(scaled.bias, 0.0)


def test_rescaled_derivatives_in_float32_keep_their_digits() -> None:
    """Terms of different scale cancel badly in float32, so the kernel must not work in it."""
    scale = np.linspace(1, 1.1, 30)
    stored = (1000 / scale)[:, None, None].astype(np.float32).repeat(7, axis=2)
    found = operator(2).rescaled(scale).apply(stored)
    exact = operator(2).rescaled(scale).apply(stored.astype(np.float64))
    np.testing.assert_allclose(found, exact, rtol=1e-6, atol=1e-12)


def test_select_keeps_the_values_and_forgets_the_rest() -> None:
    cube = RNG.random((30, 3, 4))
    outputs = [20, 3, 12, 29]
    picked = operator().select(outputs)
    np.testing.assert_allclose(picked.apply(cube), operator().apply(cube)[outputs], rtol=1e-12)
    assert picked.support == range(1, 30)
    part = picked.on_inputs(picked.support)
    assert part.inputs == 29
    np.testing.assert_allclose(part.apply(cube[1:]), picked.apply(cube), rtol=1e-12)


def test_an_output_without_window_keeps_its_band_in_the_support() -> None:
    empty = operator(1).select([13])
    assert empty.support == range(13, 14)
    assert np.isnan(empty.on_inputs(range(13, 14)).apply(np.ones((1, 2, 2)))).all()


def test_on_inputs_refuses_to_lose_bands() -> None:
    with pytest.raises(ValueError, match="do not hold"):
        operator().on_inputs(range(1, 30))


def test_noise_gain_is_measured_on_noise() -> None:
    noise = RNG.normal(size=(30, 200, 200))
    found = operator(1).apply(noise).std(axis=(1, 2))
    np.testing.assert_allclose(found, operator(1).noise_gain, rtol=0.05)


def test_pickled() -> None:
    copy = pickle.loads(pickle.dumps(operator(1)))
    cube = RNG.random((30, 2, 2))
    np.testing.assert_array_equal(copy.apply(cube), operator(1).apply(cube))


def test_level_says_what_a_constant_becomes() -> None:
    assert operator(0).level.tolist() == [1.0] * 30
    assert operator(1).level.tolist() == [0.0] * 30
