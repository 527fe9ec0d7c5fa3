"""Windows in bands and in nm, at the ends, and over bad bands: weights against exact fractions,
SciPy, and fits written from the description alone."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import factorial, perm
from typing import Any

import numpy as np
import pytest
from scipy.signal import savgol_coeffs, savgol_filter

from hsitool.errors import UsageError
from hsitool.maths.spectra.savgol import savgol_operator
from hsitool.maths.spectra.segments import chain_bands
from hsitool.maths.spectra.windows import Width

MODES = ("interp", "mirror", "nearest", "constant", "wrap")


@cache
def exact_fit(window: int, degree: int) -> list[list[Fraction]]:
    """Row k: what each sample of an even window adds to coefficient k, around the middle."""
    middle = window // 2
    x = range(-middle, middle + 1)
    powers = range(degree + 1)
    rows = [
        [Fraction(sum(v ** (i + j) for v in x)) for j in powers] + [Fraction(v**i) for v in x]
        for i in powers
    ]
    for i in powers:
        rows[i] = [value / rows[i][i] for value in rows[i]]
        for j in powers:
            if j != i:
                factor = rows[j][i]
                rows[j] = [a - factor * b for a, b in zip(rows[j], rows[i], strict=True)]
    return [row[degree + 1 :] for row in rows]


def exact_weights(window: int, degree: int, deriv: int, position: int) -> list[Fraction]:
    """Weights of the derivative at a position of the window, with a step of 1."""
    t = position - window // 2
    factors = {k: perm(k, deriv) * Fraction(t) ** (k - deriv) for k in range(deriv, degree + 1)}
    fit = exact_fit(window, degree)
    return [sum(f * fit[k][j] for k, f in factors.items()) for j in range(window)]


@pytest.mark.parametrize("window", [3, 5, 7, 9, 13, 17, 23, 31])
def test_weights_at_every_position_are_the_exact_ones(window: int) -> None:
    """Degrees to 6 and derivatives to 4."""
    worst = 0.0
    for degree in range(min(6, window - 1) + 1):
        for deriv in range(min(4, degree) + 1):
            found = savgol_operator(np.arange(window), [range(window)], window, degree, deriv)
            for position in range(window):
                exact = exact_weights(window, degree, deriv, position)
                largest = max(abs(float(w)) for w in exact)
                row = found.weights[position].tolist()
                errors = [abs(float(Fraction(w) - e)) for w, e in zip(row, exact, strict=True)]
                worst = max(worst, max(errors) / largest)
    print(f"window {window}: {worst:.1e} of the largest weight")
    assert worst < 1e-10


def scipy_error(window: int, degree: int, deriv: int) -> float:
    """How far SciPy's own weights in the middle are from the exact ones, and some more."""
    exact = [float(w) for w in exact_weights(window, degree, deriv, window // 2)]
    found = savgol_coeffs(window, degree, deriv, use="dot")
    return 3 * float(np.abs(found - exact).max() / np.abs(exact).max())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("bands", "window", "degree", "deriv"),
    [(40, 5, 2, 0), (40, 5, 2, 1), (9, 9, 4, 2), (64, 31, 6, 4), (33, 31, 3, 1), (5, 5, 0, 0)],
)
def test_modes_are_those_of_scipy(
    mode: str, bands: int, window: int, degree: int, deriv: int, rng: np.random.Generator
) -> None:
    step = 2.5
    operator = savgol_operator(
        step * np.arange(bands), [range(bands)], window, degree, deriv, mode=mode
    )
    settings = {"deriv": deriv, "delta": step, "axis": 0, "mode": mode}
    expected = savgol_filter(np.eye(bands), window, degree, **settings)
    slack = scipy_error(window, degree, deriv)
    error = np.abs(operator.dense() - expected).max() / np.abs(expected).max()
    assert error < max(1e-10, slack)
    if mode != "interp":
        exact = padded_weights(bands, window, degree, deriv, mode) / step**deriv
        assert np.abs(operator.dense() - exact).max() < 1e-12 * np.abs(exact).max()
    for dtype, tolerance in (("f8", 1e-12), ("f4", 1e-6)):
        cube = rng.random((bands, 3, 4)).astype(dtype)
        truth = savgol_filter(cube.astype("f8"), window, degree, **settings)
        scale = np.abs(expected).sum(axis=1).max()
        assert np.abs(operator.apply(cube) - truth).max() <= max(tolerance, slack) * scale


def padded_weights(bands: int, window: int, degree: int, deriv: int, mode: str) -> np.ndarray:
    """(bands, bands): the exact weights, slid over spectra that NumPy has padded."""
    weights = [float(w) for w in exact_weights(window, degree, deriv, window // 2)]
    pads = {"mirror": "reflect", "nearest": "edge", "wrap": "wrap", "constant": "constant"}
    around = ((window // 2, window // 2), (0, 0))
    padded = np.pad(np.eye(bands), around, mode=pads[mode])
    return sum(w * padded[j : j + bands] for j, w in enumerate(weights))


@pytest.mark.parametrize("mode", MODES)
def test_modes_apply_to_each_segment(mode: str, rng: np.random.Generator) -> None:
    cube = rng.random((30, 2, 3))
    operator = savgol_operator(np.arange(30), [range(12), range(14, 30)], 7, 2, 1, mode=mode)
    out = operator.apply(cube)
    for segment in (slice(0, 12), slice(14, 30)):
        expected = savgol_filter(cube[segment], 7, 2, deriv=1, axis=0, mode=mode)
        np.testing.assert_allclose(out[segment], expected, rtol=0, atol=1e-12)
    assert np.isnan(out[12:14]).all()


# Windows in nm


def nm_window(x: np.ndarray, band: int, width: float, degree: int) -> list[int]:
    """Bands of the segment `x` within half the width; moved inwards at the ends; no fewer than
    degree + 1, the nearest ones."""
    start, end = min(x), max(x)
    low, high = x[band] - width / 2, x[band] + width / 2
    if low < start:
        low, high = start, start + width
    if high > end:
        low, high = max(start, end - width), end
    inside = [i for i in range(len(x)) if low - 1e-9 <= x[i] <= high + 1e-9]
    if len(inside) <= degree:
        inside = sorted(sorted(range(len(x)), key=lambda i: abs(x[i] - x[band]))[: degree + 1])
    return inside


def fit_weights(x: np.ndarray, degree: int, deriv: int) -> np.ndarray:
    """Weights of the fit's derivative at 0, by `numpy.polyfit` of unit samples."""
    reach = np.abs(x).max()
    coefficients = np.polyfit(x / reach, np.eye(len(x)), degree)[::-1]
    return factorial(deriv) * coefficients[deriv] / reach**deriv


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("width", [9.0, 40.0, 41.7, 300.0, 5000.0])
@pytest.mark.parametrize(("degree", "deriv"), [(2, 0), (2, 2), (3, 1)])
def test_windows_in_nm(
    width: float, degree: int, deriv: int, direction: int, rng: np.random.Generator
) -> None:
    x = direction * np.cumsum(rng.uniform(4, 14, 60))
    segments = [range(25), range(27, 60)]
    operator = savgol_operator(x, segments, Width(width), degree, deriv)
    expected = np.zeros((60, 60))
    for segment in segments:
        members = np.array(segment)
        for place, band in enumerate(segment):
            inside = members[nm_window(x[members], place, width, degree)]
            expected[band, inside] = fit_weights(x[inside] - x[band], degree, deriv)
    if deriv == 0:
        expected[[25, 26], [25, 26]] = 1
    found = operator.dense()
    assert np.abs(found - expected).max() < 1e-9 * np.abs(expected).max()
    cube = rng.random((60, 3, 5)).astype(np.float32)
    truth = np.tensordot(expected, cube.astype(np.float64), 1)
    out = operator.apply(cube)
    if deriv > 0:
        truth[25:27] = np.nan
    np.testing.assert_array_equal(np.isnan(out), np.isnan(truth))
    assert np.nanmax(np.abs(out - truth)) < 1e-6 * np.abs(expected).sum(axis=1).max()


def test_bands_at_the_very_end_of_a_width_belong_to_it() -> None:
    x = np.arange(20) * 0.1 + 400  # 0.1 is no binary fraction
    operator = savgol_operator(x, [range(20)], Width(0.4), 2)
    assert operator.length.tolist() == [5] * 20
    np.testing.assert_allclose(operator.weights[10], np.array([-3, 12, 17, 12, -3]) / 35, atol=1e-9)


# Bad bands


def filled_truth(
    x: np.ndarray, chain: list[int], band: int, size: int, degree: int, deriv: int
) -> np.ndarray:
    """Weights on all bands of a fit to the `size` good neighbours around a bad band."""
    place = sum(member < band for member in chain)
    first = min(max(place - size // 2, 0), len(chain) - size)
    inside = np.array(chain[first : first + size])
    row = np.zeros(len(x))
    row[inside] = fit_weights(x[inside] - x[band], degree, deriv)
    return row


@pytest.mark.parametrize("deriv", [0, 1, 2])
def test_bad_bands_are_filled_between_good_ones_alone(deriv: int, rng: np.random.Generator) -> None:
    x = np.cumsum(rng.uniform(5, 7, 40))
    good = np.ones(40, bool)
    good[[0, 1, 10, 20, 21, 39]] = False  # at both ends nothing stands on one side
    segments = [range(2, 10), range(11, 20), range(22, 39)]
    chains = chain_bands(40, x.tolist(), good.tolist(), "auto")
    assert chains == (tuple(np.flatnonzero(good)),)
    plain = savgol_operator(x, segments, 5, 2, deriv)
    operator = savgol_operator(x, segments, 5, 2, deriv, chains=chains)
    np.testing.assert_array_equal(operator.dense()[good], plain.dense()[good])
    for band in (10, 20, 21):
        expected = filled_truth(x, list(chains[0]), band, 4, 2, deriv)
        assert np.abs(operator.dense()[band] - expected).max() < 1e-10 * np.abs(expected).max()
    for order in ("bsq", "bip"):
        cube = rng.random((40, 6, 7)) if order == "bsq" else rng.random((6, 7, 40)).T
        bad = cube.copy(order="K")
        bad[~good] = np.nan  # what stands in bad bands does not matter
        out, truth = operator.apply(bad), np.tensordot(operator.dense(), np.nan_to_num(bad), 1)
        inside = slice(2, 39)
        np.testing.assert_allclose(out[inside], truth[inside], rtol=0, atol=1e-12)
        assert np.isnan(out[[0, 1, 39]]).all()


def test_chains_are_cut_where_segments_are() -> None:
    nm = [400.0 + 5 * i for i in range(30)] + [900.0 + 5 * i for i in range(30)]
    good = [i not in (10, 29, 30, 45) for i in range(60)]
    chains = chain_bands(60, nm, good, "auto")
    assert [(chain[0], chain[-1]) for chain in chains] == [(0, 28), (31, 59)]
    assert 10 not in chains[0]
    seams = chain_bands(60, nm, good, None, [450.0])
    assert [(chain[0], chain[-1]) for chain in seams] == [(0, 9), (11, 59)]


# Refusals


@pytest.mark.parametrize("width", [0.0, -5.0, float("nan")])
def test_a_width_is_above_0(width: float) -> None:
    with pytest.raises(UsageError, match="give a width above 0 nm"):
        savgol_operator(np.arange(9), [range(9)], Width(width), 2)


def test_segments_too_short_for_the_degree_are_copied(rng: np.random.Generator) -> None:
    operator = savgol_operator(np.arange(9.0), [range(2), range(2, 9)], Width(4.0), 2)
    cube: Any = rng.random((9, 2, 2))
    np.testing.assert_array_equal(operator.apply(cube)[:2], cube[:2])
