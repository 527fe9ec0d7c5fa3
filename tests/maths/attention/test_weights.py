"""Truth from SciPy's softmax, sorting (sparsemax, Martins and Astudillo 2016, algorithm 1), a root
of SciPy's for entmax-1.5, and plain sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import softmax
from scipy.stats import entropy

from hsitool.errors import DataError, UsageError
from hsitool.maths.attention import weights
from hsitool.maths.attention.weights import NORMS, attention_weights, focus_on

Floats = NDArray[np.float64]


def sparsemax(z: Floats) -> Floats:
    ranked = np.sort(z)[::-1]
    sums = np.cumsum(ranked) - 1
    support = np.flatnonzero(ranked * np.arange(1, len(z) + 1) > sums)[-1] + 1
    return np.maximum(z - sums[support - 1] / support, 0)


def entmax15(z: Floats) -> Floats:
    half = (z - z.max()) / 2
    tau = brentq(lambda t: np.sum(np.maximum(half - t, 0) ** 2) - 1, -1, 0, xtol=1e-16, rtol=1e-15)
    return np.maximum(half - tau, 0) ** 2


REFERENCE: dict[str, Any] = {"softmax": softmax, "sparsemax": sparsemax, "entmax15": entmax15}


def scores(rng: np.random.Generator, count: int = 4000) -> Floats:
    """Like whitened cosines: background, and some pixels that resemble the query."""
    return np.concatenate([rng.normal(0, 0.07, count - 40), rng.uniform(0.3, 0.9, 40)])


def ess(alpha: Floats) -> float:
    return float(1 / np.sum(alpha**2))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("temperature", [1e-4, 0.003, 0.1, 1.0, 50.0])
def test_weights_of_a_temperature(norm: Any, temperature: float, rng: np.random.Generator) -> None:
    s = scores(rng)
    found = attention_weights(s, temperature=temperature, norm=norm)
    np.testing.assert_allclose(found, REFERENCE[norm](s / temperature), rtol=1e-9, atol=1e-12)
    assert abs(found.sum() - 1) < 1e-12


def test_softmax_keeps_its_relative_digits(rng: np.random.Generator) -> None:
    s = scores(rng)
    found = attention_weights(s, temperature=0.01, norm="softmax")
    np.testing.assert_allclose(found, softmax(s / 0.01), rtol=1e-12)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("focus", [2, 40, "1%", 0.05, 1500, "99%"])
def test_focus_is_the_effective_sample_size(
    norm: Any, focus: float | str, rng: np.random.Generator
) -> None:
    s = scores(rng)
    target = {"1%": 40, "99%": 3960, "0.05": 200}.get(str(focus), focus)
    found = focus_on(s, focus=focus, norm=norm)
    alpha = found.weights(s)
    assert ess(alpha) == pytest.approx(target, rel=1e-6)
    assert found.ess == pytest.approx(ess(alpha), rel=1e-12)
    assert np.exp(found.entropy) == pytest.approx(np.exp(entropy(alpha)), rel=1e-9)
    np.testing.assert_allclose(alpha, REFERENCE[norm](s * found.beta), rtol=1e-8, atol=1e-12)
    assert abs(alpha.sum() - 1) < 1e-12
    assert found.largest == pytest.approx(alpha.max(), rel=1e-12)
    assert found.shape(s).max() == 1


def test_the_softmax_of_a_focus_is_that_of_a_root_of_scipys(rng: np.random.Generator) -> None:
    s = scores(rng)
    beta = brentq(lambda b: np.log(ess(softmax(b * s)) / 100), 1e-3, 1e4, xtol=1e-14, rtol=1e-15)
    found = attention_weights(s, focus=100, norm="softmax")
    np.testing.assert_allclose(found, softmax(beta * s), rtol=1e-10)


@pytest.mark.parametrize("norm", NORMS)
def test_nodata_has_no_weight_and_no_part_in_the_others(
    norm: Any, rng: np.random.Generator
) -> None:
    s = scores(rng)
    holed = np.full((90, 50), np.nan)
    holed[5:85] = s.reshape(80, 50)
    holed[:3] = -np.inf
    found = attention_weights(holed, focus="2%", norm=norm)
    assert (found[:5] == 0).all() and (found[85:] == 0).all()
    np.testing.assert_allclose(
        found[5:85].ravel(), attention_weights(s, focus="2%", norm=norm), rtol=1e-12
    )


@pytest.mark.parametrize("norm", NORMS)
def test_shift_and_unit_of_scores_do_not_matter(norm: Any, rng: np.random.Generator) -> None:
    s = scores(rng)
    first = attention_weights(s, focus=100, norm=norm)
    for other in (s + 5, s * 1e6, s * 1e-6 - 3e-6, -1e5 + s * 10, s * 1e-150, s * 1e150):
        np.testing.assert_allclose(
            attention_weights(other, focus=100, norm=norm), first, rtol=1e-7, atol=1e-12
        )


@pytest.mark.parametrize("norm", NORMS)
def test_pieces_do_not_matter(
    norm: Any, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = scores(rng)
    first = attention_weights(s, focus=30, norm=norm)
    monkeypatch.setattr(weights, "PIECE", 17)
    np.testing.assert_allclose(attention_weights(s, focus=30, norm=norm), first, rtol=1e-10)


@pytest.mark.parametrize("norm", NORMS)
def test_a_focus_that_cannot_be_had(norm: Any) -> None:
    s = np.array([0.0, 1, 2, 2, 2, np.nan])
    for focus in (5, 900):
        found = focus_on(s, focus=focus, norm=norm)
        assert found.weights(s).tolist() == [0.2] * 5 + [0]
        assert found.note is not None and "all there are" in found.note
    found = focus_on(s, focus=2, norm=norm)
    np.testing.assert_allclose(found.weights(s), [0, 0, 1 / 3, 1 / 3, 1 / 3, 0])
    assert found.note is not None and "3 pixels share the greatest score" in found.note
    found = focus_on(np.full(7, 3.0), focus=2, norm=norm)
    np.testing.assert_allclose(found.weights(np.full(7, 3.0)), 1 / 7)
    assert found.note is not None and "all scores are the same" in found.note
    assert focus_on(np.array([4.0]), norm=norm).weights(np.array([4.0])).tolist() == [1]
    assert focus_on(np.array([4.0]), norm=norm, temperature=2).ess == 1


@pytest.mark.parametrize(
    ("more", "error", "said"),
    [
        ({"norm": "l2"}, UsageError, "norm l2 is none of sparsemax, softmax, entmax15"),
        ({"focus": "a%"}, UsageError, "focus 'a%' is no number"),
        ({"focus": -1}, UsageError, "focus '-1'"),
        ({"focus": "101%"}, UsageError, "focus '101%'"),
        ({"focus": "nan"}, UsageError, "focus 'nan'"),
        ({"temperature": 0}, UsageError, "temperature 0 is not a number above 0"),
        ({"temperature": 1, "focus": 1}, UsageError, "give one of them"),
        ({"scores": [np.nan, -np.inf]}, DataError, "no score is a number"),
        ({"scores": [np.inf, 1.0]}, DataError, "a score is infinite"),
        ({"scores": [1e300, 1.0, 2.0]}, DataError, "as far apart as 1e.300 are beyond measure"),
    ],
)
def test_what_cannot_serve(more: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        attention_weights(**{"scores": [1.0, 2.0, 3.0], **more})


def test_float32_scores_would_not_do(rng: np.random.Generator) -> None:
    """Why scores are float64: a weight's relative error is beta times that of its score."""
    s = scores(rng)
    found = focus_on(s, focus=5, norm="softmax")
    apart = np.abs(softmax(found.beta * s.astype(np.float32).astype(float)) / found.weights(s) - 1)
    assert 1e-12 < apart.max() < found.beta * 1e-6
