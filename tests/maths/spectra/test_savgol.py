import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import savgol_coeffs, savgol_filter

from hsitool.errors import UsageError
from hsitool.maths.spectra.savgol import savgol_operator
from hsitool.maths.spectra.weights import savgol_weights


def exact_weights(positions: list[float], at: float, degree: int, deriv: int) -> list[Fraction]:
    """Row `deriv` of the pseudo-inverse of the Vandermonde matrix, times deriv!, in rationals."""
    x = [Fraction(p) - Fraction(at) for p in positions]
    powers = range(degree + 1)
    normal = [[sum((v ** (i + j) for v in x), Fraction(0)) for j in powers] for i in powers]
    wanted = [Fraction(int(i == deriv)) for i in powers]
    solution = solve_exactly(normal, wanted)
    factorial = int(np.prod(range(1, deriv + 1)))
    return [factorial * sum(c * v**i for i, c in enumerate(solution)) for v in x]


def solve_exactly(matrix: list[list[Fraction]], wanted: list[Fraction]) -> list[Fraction]:
    """Gauss-Jordan elimination of a positive definite system."""
    rows = [[*row, value] for row, value in zip(matrix, wanted, strict=True)]
    for i in range(len(rows)):
        pivot = rows[i]
        unit = [value / pivot[i] for value in pivot]
        rows = [
            unit if j == i else [a - row[i] * b for a, b in zip(row, unit, strict=True)]
            for j, row in enumerate(rows)
        ]
    return [row[-1] for row in rows]


def relative_error(weights: np.ndarray, exact: list[Fraction]) -> float:
    """Largest error over the largest weight."""
    largest = max(abs(float(w)) for w in exact)
    errors = [abs(float(Fraction(w) - e)) for w, e in zip(weights.tolist(), exact, strict=True)]
    return max(errors) / largest


def row(operator, i: int) -> np.ndarray:
    """The weights of output `i`, on all bands."""
    return operator.dense()[i]


@pytest.mark.parametrize(
    ("deriv", "numerators", "denominator"),
    [
        (0, (-3, 12, 17, 12, -3), 35),
        (1, (-2, -1, 0, 1, 2), 10),
        (2, (2, -1, -2, -1, 2), 7),
    ],
)
def test_five_even_points(deriv: int, numerators: tuple[int, ...], denominator: int) -> None:
    step = 4.0
    weights = savgol_weights(step * np.arange(5.0)[None], np.array([2 * step]), 2, deriv)
    expected = np.array(numerators) / denominator / step**deriv
    np.testing.assert_allclose(weights[0], expected, rtol=0, atol=1e-15)


def test_the_first_band_of_five_even_points() -> None:
    weights = savgol_weights(np.arange(5.0)[None], np.array([0.0]), 2, 1)
    np.testing.assert_allclose(weights[0], np.array([-54, 13, 40, 27, -26]) / 70, atol=1e-15)


def test_golden_rationals(shared_data: Path) -> None:
    golden = shared_data.parent / "reference" / "sg_golden.json"
    if not golden.is_file():
        pytest.skip(f"no golden table {golden}")
    for case in json.loads(golden.read_text())["rows"]:
        window, deriv = case["window"], case["deriv"]
        exact = np.array([float(Fraction(n, case["den"])) for n in case["num"]])
        operator = savgol_operator(
            np.arange(window), [range(window)], window, case["degree"], deriv
        )
        np.testing.assert_allclose(row(operator, case["pos"]), exact, rtol=0, atol=1e-12)
        gain = Fraction(*case["var_gain"])
        np.testing.assert_allclose(operator.noise_gain[case["pos"]] ** 2, float(gain), rtol=1e-12)


@pytest.mark.parametrize(
    ("window", "degree"), [(5, 2), (5, 4), (7, 3), (15, 6), (31, 4), (51, 8), (101, 8), (101, 2)]
)
@pytest.mark.parametrize("deriv", [0, 1, 2])
def test_exact_rationals_on_uneven_bands(window: int, degree: int, deriv: int) -> None:
    rng = np.random.default_rng(window + degree)
    positions = 400 + np.cumsum(rng.uniform(0.5, 9, window))
    for at in (0, window // 3, window - 1):
        weights = savgol_weights(positions[None], positions[[at]], degree, deriv)[0]
        exact = exact_weights(positions.tolist(), float(positions[at]), degree, deriv)
        assert relative_error(weights, exact) < 1e-10


@pytest.mark.parametrize("step", [1.0, 3.5, -3.5])
@pytest.mark.parametrize("deriv", [0, 1, 2])
def test_scipy_on_even_bands(step: float, deriv: int) -> None:
    for window, degree in ((5, 2), (7, 3), (15, 4)):
        operator = savgol_operator(2000 + step * np.arange(40), [range(40)], window, degree, deriv)
        middle = savgol_coeffs(window, degree, deriv, use="dot") / step**deriv
        inside = row(operator, 20)[20 - window // 2 :][:window]
        np.testing.assert_allclose(inside, middle, rtol=0, atol=1e-11 * np.abs(middle).max())
        spectrum = np.random.default_rng(0).random(40)
        filtered = savgol_filter(spectrum, window, degree, deriv) / step**deriv
        np.testing.assert_allclose(operator.dense() @ spectrum, filtered, atol=1e-11)


@pytest.mark.parametrize("deriv", [0, 1, 2, 3])
def test_polynomials_are_exact_at_every_band(deriv: int) -> None:
    rng = np.random.default_rng(deriv)
    for window, degree in ((5, 3), (9, 4), (21, 3)):
        x = np.cumsum(rng.uniform(0.2, 2, 60))
        polynomial = np.polynomial.Polynomial(rng.normal(size=degree + 1), domain=[x[0], x[-1]])
        truth = (polynomial.deriv(deriv) if deriv else polynomial)(x)
        segments = [range(25), range(25, 60)]
        found = savgol_operator(x, segments, window, degree, deriv).dense() @ polynomial(x)
        np.testing.assert_allclose(found, truth, rtol=0, atol=1e-9 * np.abs(truth).max())


def test_polyfit_on_uneven_bands() -> None:
    rng = np.random.default_rng(5)
    x, y = np.cumsum(rng.uniform(3, 7, 30)), rng.random(30)
    found = savgol_operator(x, [range(30)], 7, 2, 1).dense() @ y
    for i in range(30):
        start = min(max(i - 3, 0), 23)
        inside = slice(start, start + 7)
        slope = np.polyfit(x[inside] - x[i], y[inside], 2)[1]
        np.testing.assert_allclose(found[i], slope, rtol=1e-9, atol=1e-12)


def test_windows_stay_in_their_segment() -> None:
    operator = savgol_operator(np.arange(12.0), [range(5), range(6, 12)], 5, 2)
    assert operator.first.tolist() == [0, 0, 0, 0, 0, 5, 6, 6, 6, 7, 7, 7]
    assert operator.length.tolist() == [5] * 5 + [1] + [5] * 6


@pytest.mark.parametrize(
    ("bands", "degree", "length"), [(4, 2, 3), (3, 2, 3), (4, 3, 4), (6, 4, 5), (7, 2, 7)]
)
def test_a_short_segment_takes_a_shorter_window(bands: int, degree: int, length: int) -> None:
    operator = savgol_operator(np.arange(20.0), [range(bands), range(bands, 20)], 9, degree)
    assert operator.length[:bands].tolist() == [length] * bands
    assert operator.length[bands:].tolist() == [9] * (20 - bands)


def test_where_nothing_can_be_fitted() -> None:
    segments = [range(2), range(3, 10)]  # two bands are too few for degree 2; band 2 is bad
    smooth = savgol_operator(np.arange(10.0), segments, 5, 2)
    np.testing.assert_array_equal(smooth.dense()[:3], np.eye(10)[:3])
    slope = savgol_operator(np.arange(10.0), segments, 5, 2, 1)
    assert slope.length.tolist() == [0, 0, 0] + [5] * 7
    assert np.isnan(slope.noise_gain[:3]).all()


def test_a_window_of_one_band_copies() -> None:
    operator = savgol_operator(np.arange(4.0), [range(4)], 1, 0)
    np.testing.assert_array_equal(operator.dense(), np.eye(4))


@pytest.mark.parametrize(
    ("window", "degree", "deriv", "message"),
    [
        (4, 2, 0, "window 4 is even and has no middle band: use 3 or 5"),
        (0, 0, 0, "window 0 is too short"),
        (-3, 0, 0, "window -3 is too short"),
        (41, 2, 0, "window 41 is longer than the cube's 40 bands"),
        (5, 5, 0, "degree 5 needs a window of more than 5 bands, not 5"),
        (5, -1, 0, "degree -1 is negative"),
        (5, 2, 3, "derivative 3 of a polynomial of degree 2 is 0 everywhere"),
        (5, 2, -1, "derivative -1 is negative"),
    ],
)
def test_refusals(window: int, degree: int, deriv: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        savgol_operator(np.arange(40.0), [range(40)], window, degree, deriv)
