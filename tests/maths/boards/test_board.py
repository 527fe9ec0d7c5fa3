"""Boards: what their options mean, and where their points are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hsitool.errors import UsageError
from hsitool.maths.boards.board import Board, parse_counts, parse_length_mm


def test_points_follow_the_rows() -> None:
    points = Board(4, 3, 25.0).points_mm
    assert points.shape == (12, 3)
    assert points[:5].tolist() == [[0, 0, 0], [25, 0, 0], [50, 0, 0], [75, 0, 0], [0, 25, 0]]


def test_points_of_an_asymmetric_grid_are_those_of_opencvs_samples() -> None:
    points = Board(4, 11, 20.0, "acircles").points_mm
    expected = [[(2 * j + i % 2) * 20, i * 20, 0] for i in range(11) for j in range(4)]
    np.testing.assert_array_equal(points, expected)


@pytest.mark.parametrize(
    ("text", "counts"), [("9x6", (9, 6)), (" 11 X 4 ", (11, 4)), ("7×5", (7, 5))]
)
def test_counts(text: str, counts: tuple[int, int]) -> None:
    assert parse_counts(text) == counts


@pytest.mark.parametrize(
    "text", ["", "9", "9x", "9x6x2", "-9x6", "9.5x6", "ax6", "1" * 5000 + "x6"]
)
def test_what_are_no_counts(text: str) -> None:
    with pytest.raises(UsageError, match="--board"):
        parse_counts(text)


@pytest.mark.parametrize(
    ("text", "millimetres"),
    [("25mm", 25), ("2.5cm", 25), ("0.025 m", 25), ("25", 25), ("1in", 25.4), ("800um", 0.8)],
)
def test_lengths(text: str, millimetres: float) -> None:
    assert parse_length_mm(text) == pytest.approx(millimetres, rel=1e-12)


@pytest.mark.parametrize("text", ["", "mm", "-3mm", "0", "nan", "inf", "25px", "1e400"])
def test_what_are_no_lengths(text: str) -> None:
    with pytest.raises(UsageError, match="--marker"):
        parse_length_mm(text, "--marker")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"columns": 2}, "too small"),
        ({"columns": 1000, "rows": 1000}, "at most"),
        ({"square_mm": float("nan")}, "no length"),
        ({"square_mm": -1.0}, "no length"),
        ({"target": "dots"}, "--target dots"),
        ({"target": "charuco"}, "--marker"),
        ({"target": "charuco", "marker_mm": 30.0}, "does not fit"),
    ],
)
def test_boards_that_cannot_be(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Board(**{"columns": 9, "rows": 6, "square_mm": 25.0} | options)
