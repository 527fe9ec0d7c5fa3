"""Glimpses against SciPy's truncated normal distribution, and against slices of the image."""

from __future__ import annotations

import sys
from typing import Any

import device_arrays
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import dblquad
from scipy.stats import kstest, norm, truncnorm

from hsitool.errors import DataError, UsageError
from hsitool.maths.attention import around
from hsitool.maths.attention.around import Around
from hsitool.maths.attention.crops import Crops
from hsitool.maths.attention.glimpses import Glimpses, glimpses

Floats = NDArray[np.float64]
ROWS, COLUMNS = 60, 70


@pytest.fixture
def image(rng: np.random.Generator) -> Floats:
    return rng.normal(size=(5, ROWS, COLUMNS))


def truncated(mean: float, sigma: float, low: float, high: float) -> Any:
    return truncnorm((low - mean) / sigma, (high - mean) / sigma, mean, sigma)


@pytest.mark.parametrize("size", [15, 16])
@pytest.mark.parametrize("place", [(30, 35), (4, 35), (59.3, 2.5), (0, 69)])
def test_centres_follow_a_truncated_normal_distribution(
    image: Floats, place: tuple[float, float], size: int
) -> None:
    found = glimpses(image, size=size, at=place, sigma=6, count=4000, seed=5)
    before, after = size // 2, size - 1 - size // 2
    drawn = zip((found.row, found.column), place, (ROWS, COLUMNS), strict=True)
    logp = np.zeros(4000)
    for values, mean, length in drawn:
        law = truncated(mean, 6, before - 0.5, length - after - 0.5)
        assert abs(values.mean() - law.mean()) <= 4 * law.std() / np.sqrt(4000)
        assert kstest(values, law.cdf).pvalue > 1e-3
        logp += law.logpdf(values)
    np.testing.assert_allclose(found.logp, logp, rtol=1e-12, atol=1e-12)


def test_no_pile_at_the_border(image: Floats) -> None:
    """Of 4 +- 6 rows, 69 % lie before row 7, where a crop of 15 rows would leave the image."""
    found = glimpses(image, size=15, at=(4, 35), sigma=6, count=4000, seed=1)
    assert norm.cdf(7, 4, 6) == pytest.approx(0.69, abs=0.01)
    tops = np.floor(found.row + 0.5).astype(int) - 7
    assert tops.min() == 0 and np.mean(tops == 0) < 0.25
    piled = glimpses(image, size=15, at=(4, 35), sigma=6, count=4000, seed=1, edge="shift")
    moved = np.maximum(np.floor(piled.row + 0.5).astype(int) - 7, 0)
    assert np.mean(moved == 0) > 0.5


@pytest.mark.parametrize("edge", ["reject", "shift", "pad"])
def test_chips_are_slices(image: Floats, edge: Any) -> None:
    image[:, 3, 3] = np.nan
    found = glimpses(image, size=(9, 12), at=(5, 66), sigma=5, count=200, seed=2, edge=edge)
    assert found.chips.shape == (200, 5, 9, 12)
    padded = np.pad(image, ((0, 0), (20, 20), (20, 20)), constant_values=np.nan)
    left_out = 0
    for chip, row, column in zip(found.chips, found.row, found.column, strict=True):
        top, left = int(np.floor(row + 0.5)) - 4, int(np.floor(column + 0.5)) - 6
        if edge == "shift":
            top, left = min(max(top, 0), ROWS - 9), min(max(left, 0), COLUMNS - 12)
        expected = padded[:, top + 20 : top + 29, left + 20 : left + 32]
        assert chip.tobytes() == np.ascontiguousarray(expected).tobytes()
        left_out += int(np.isnan(expected).all(axis=0).any() and (top < 0 or left + 12 > COLUMNS))
    assert (left_out > 20) == (edge == "pad")


def test_pixels_without_data_are_no_centres_and_the_density_knows(image: Floats) -> None:
    image[2, :, 32:36] = np.nan
    image[0, 25, 10:60] = np.inf
    image[:, 28, 36] = np.nan
    found = glimpses(image, size=7, at=(28, 31), sigma=4, count=3000, seed=9)
    rows, columns = (np.floor(at + 0.5).astype(int) for at in (found.row, found.column))
    assert np.isfinite(image[:, rows, columns]).all()
    mass = 0.0
    for row, column in np.argwhere(np.isfinite(image).all(axis=0)):
        if 3 <= row < ROWS - 3 and 3 <= column < COLUMNS - 3:
            sides = [
                norm.cdf(np.array([a - 0.5, a + 0.5]), m, 4) for a, m in ((row, 28), (column, 31))
            ]
            mass += float(np.diff(sides[0])[0] * np.diff(sides[1])[0])
    plain = norm.logpdf(found.row, 28, 4) + norm.logpdf(found.column, 31, 4)
    np.testing.assert_allclose(found.logp, plain - np.log(mass), rtol=1e-11)
    near = np.isfinite(image[:, 24:33, 27:36]).all(axis=0)
    expected = [
        np.diff(norm.cdf([r - 0.5, r + 0.5], 28, 4))[0]
        * np.diff(norm.cdf([c - 0.5, c + 0.5], 31, 4))[0]
        for r, c in np.argwhere(near) + (24, 27)
    ]
    seen = np.zeros((9, 9))
    inside = (rows >= 24) & (rows < 33) & (columns >= 27) & (columns < 36)
    np.add.at(seen, (rows[inside] - 24, columns[inside] - 27), 1)
    p = np.array(expected) / mass
    z = (seen[near] - 3000 * p) / np.sqrt(3000 * p * (1 - p))
    assert np.abs(z).max() < 4.5


def test_the_density_has_a_total_of_one() -> None:
    crops = Crops(12, 15, 5, 4)
    there = np.ones((12, 15), bool)
    law = Around((3.2, 6.9), 1.7, crops, lambda r, c: there[r.start : r.stop, c.start : c.stop])
    total, _ = dblquad(lambda x, y: np.exp(law.logp((y, x))), 1.5, 9.5, 1.5, 13.5)
    assert total == pytest.approx(1, abs=1e-7)


def test_few_pixels_at_a_time_change_nothing(
    image: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    image[:, 10:20] = np.nan
    whole = glimpses(image, size=9, at=(30, 30), sigma=20, count=50, seed=1)
    monkeypatch.setattr(around, "FLAGS", 100)
    parts = glimpses(image, size=9, at=(30, 30), sigma=20, count=50, seed=1)
    np.testing.assert_array_equal(parts.row, whole.row)
    np.testing.assert_allclose(parts.logp, whole.logp, rtol=1e-13)


def test_pixels_are_drawn_by_their_weights(image: Floats, rng: np.random.Generator) -> None:
    weights = np.zeros((ROWS, COLUMNS))
    spots = [(10, 12), (30, 40), (50, 8), (45, 60)]
    for spot, weight in zip(spots, (4, 2, 1, 1), strict=True):
        weights[spot] = weight
    weights[2, 2] = 1000  # no crop is to be had there
    weights[20, 20] = 1000
    image[3, 20, 20] = np.nan
    found = glimpses(image, size=9, weights=weights, count=4, seed=3)
    places = list(
        zip(found.row.astype(int).tolist(), found.column.astype(int).tolist(), strict=True)
    )
    assert sorted(places) == sorted(spots)
    left, logp = 8.0, []
    for place in places:
        logp.append(np.log(weights[place] / left))
        left -= weights[place]
    np.testing.assert_allclose(found.logp, logp, atol=1e-12)
    weights[2, 2] = 0  # with a sigma one might be
    jittered = glimpses(image, size=9, weights=weights, count=2, sigma=3.0, seed=3)
    assert not np.array_equal(jittered.row, np.round(jittered.row))
    for n in range(2):
        mean = places[n]
        laws = [
            truncated(m, 3, 3.5, length - 4.5)
            for m, length in zip(mean, (ROWS, COLUMNS), strict=True)
        ]
        joint = laws[0].logpdf(jittered.row[n]) + laws[1].logpdf(jittered.column[n])
        assert jittered.logp[n] - logp[n] == pytest.approx(joint, abs=0.02)  # one pixel is missing


def test_seeds(image: Floats) -> None:
    def found(seed: int) -> Glimpses:
        return glimpses(image, size=9, at=(30, 30), sigma=5, count=5, seed=seed)

    assert found(4).row.tobytes() == found(4).row.tobytes()
    assert found(4).row.tobytes() != found(5).row.tobytes()


def test_whole_numbers_are_padded_with_0() -> None:
    image = np.arange(2 * 4 * 5, dtype=np.uint16).reshape(2, 4, 5) + 1
    found = glimpses(image, size=9, at=(0, 0), edge="pad")
    assert found.chips.dtype == np.uint16
    expected = np.zeros((2, 9, 9), np.uint16)
    expected[:, 4:8, 4:9] = image
    np.testing.assert_array_equal(found.chips[0], expected)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"size": 9}, UsageError, "give a place, or weights"),
        ({"size": 9, "at": (3, 3), "weights": np.ones((60, 70))}, UsageError, "one of them"),
        ({"size": 0, "at": (3, 3)}, UsageError, "size 0x0 holds no pixel"),
        ({"size": (61, 3), "at": (3, 3)}, UsageError, "61x3 is larger than the image of 60 rows"),
        ({"size": 9, "at": (3, 3), "edge": "wrap"}, UsageError, "edge wrap is none of"),
        ({"size": 9, "at": (3, 3)}, UsageError, "around row 3, column 3 leaves the image"),
        ({"size": 9, "at": (60, 3)}, UsageError, "outside the image of 60 rows and 70 columns"),
        ({"size": 9, "at": (20, 20), "sigma": 0}, UsageError, "sigma 0 gives no density"),
        ({"size": 9, "at": (20, 20), "sigma": -1}, UsageError, "sigma -1 gives no density"),
        ({"size": 9, "at": (20, 20), "sigma": np.nan}, UsageError, "sigma nan gives no density"),
        ({"size": 9, "at": (40, 40)}, DataError, "row 40, column 40 has no data"),
        ({"size": 59, "at": (0, 9), "sigma": 1}, DataError, "no glimpse can be drawn around row 0"),
        ({"size": 9, "weights": np.zeros((60, 70))}, DataError, "all weights are 0"),
        ({"size": 9, "weights": np.eye(60, 70), "count": 99}, DataError, "only 51 have any weight"),
    ],
)
def test_what_cannot_be_cropped(
    image: Floats, options: dict[str, Any], error: type[Exception], said: str
) -> None:
    image[1, 40, 40] = np.nan
    with pytest.raises(error, match=said):
        glimpses(image, **options)


def test_arrays_stay_where_they_live(image: Floats, monkeypatch: pytest.MonkeyPatch) -> None:
    cupy: Any = device_arrays.device_module()
    image[:, 30, 31] = np.nan
    weights = np.zeros((ROWS, COLUMNS))
    weights[20:40, 20:40] = 1
    ways: list[dict[str, Any]] = [
        {"at": (30, 30), "sigma": 4.0},
        {"weights": weights, "edge": "pad", "sigma": 9.0},
    ]
    for way in ways:
        expected = glimpses(image, size=(7, 8), count=6, seed=2, **way)
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "cupy", cupy)
            moved = {k: cupy.asarray(v) if k == "weights" else v for k, v in way.items()}
            found = glimpses(cupy.asarray(image), size=(7, 8), count=6, seed=2, **moved)
            assert isinstance(found.chips, device_arrays.DeviceArray)
            assert cupy.asnumpy(found.chips).tobytes() == expected.chips.tobytes()
        assert found.row.tobytes() == expected.row.tobytes()
        assert found.logp.tobytes() == expected.logp.tobytes()
