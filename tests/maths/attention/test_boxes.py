"""Boxes of most weight against a look at each of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hsitool.errors import DataError
from hsitool.maths.attention import boxes
from hsitool.maths.attention.boxes import best_boxes, box_sums

Floats = NDArray[np.float64]


def direct(weights: Floats, height: int, width: int) -> Floats:
    rows, columns = weights.shape
    padded = np.zeros((rows + 2 * height, columns + 2 * width))
    padded[height : height + rows, width : width + columns] = np.nan_to_num(weights)
    found = np.empty_like(weights)
    for row, column in np.ndindex(weights.shape):
        top, left = row + height - height // 2, column + width - width // 2
        found[row, column] = padded[top : top + height, left : left + width].sum()
    return found


@pytest.mark.parametrize("size", [(1, 1), (3, 4), (6, 5), (30, 3), (25, 60)])
def test_sums(size: tuple[int, int], rng: np.random.Generator) -> None:
    weights = rng.random((31, 42))
    weights[3, 4], weights[20, :9] = np.nan, np.nan
    found = box_sums(weights, *size)
    above = size[0] // 2
    expected = direct(weights, *size)[above : above + len(found)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert np.isnan(weights[3, 4]) and len(found) == 31 - size[0] + 1


def chosen(weights: Floats, allowed: tuple[range, range], size: tuple[int, int], n: int) -> Any:
    def rows(first: int, last: int) -> Floats:
        assert 0 <= first < last <= len(weights)
        return weights[first:last]

    shape = weights.shape[0], weights.shape[1]
    return [((box.row, box.column), box.held) for box in best_boxes(rows, allowed, shape, size, n)]


@pytest.mark.parametrize("rows", [1, 8, 1000])
def test_the_best_boxes_lie_apart_and_hold_most(
    rows: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boxes, "ROWS", rows)
    monkeypatch.setattr(boxes, "PIXELS", 1)
    weights = rng.gamma(0.2, size=(40, 50))
    weights[12:15, 20:30] = np.nan
    allowed = range(2, 38), range(3, 47)
    sums = direct(weights, 5, 7)
    free = np.full(sums.shape, False)
    free[2:38, 3:47] = ~np.isnan(weights[2:38, 3:47])
    for (row, column), held in chosen(weights, allowed, (5, 7), 6):
        best = np.unravel_index(np.argmax(np.where(free, sums, -1)), sums.shape)
        assert (row, column) == best
        assert held == pytest.approx(sums[best], rel=1e-12)
        down, across = np.ogrid[:40, :50]
        free &= (abs(down - row) >= 5) | (abs(across - column) >= 7)


def test_a_centre_of_mass_would_miss_both_targets() -> None:
    weights = np.zeros((60, 60))
    weights[10:15, 10:15], weights[45:50, 44:49] = 1.0, 1.1
    ((place, held),) = chosen(weights, (range(60), range(60)), (5, 5), 1)
    assert place == (47, 46) and held == pytest.approx(27.5)
    mean = [float((weights * axis).sum() / weights.sum()) for axis in np.indices((60, 60))]
    assert weights[int(mean[0]), int(mean[1])] == 0


def test_too_few_boxes() -> None:
    weights = np.zeros((20, 20))
    with pytest.raises(DataError, match="no box of 3 x 3 pixels has any weight"):
        chosen(weights, (range(20), range(20)), (3, 3), 1)
    weights[4, 4] = 1
    with pytest.raises(DataError, match="of 2 boxes of 3 x 3 pixels that lie apart only 1 hold"):
        chosen(weights, (range(20), range(20)), (3, 3), 2)


def test_a_pixel_without_data_has_no_box() -> None:
    weights = np.zeros((20, 20))
    weights[8:11, 8:11] = 1.0
    weights[9, 9] = np.nan
    ((place, held),) = chosen(weights, (range(20), range(20)), (3, 3), 1)
    assert place != (9, 9) and held == 5  # of the 8 around it
