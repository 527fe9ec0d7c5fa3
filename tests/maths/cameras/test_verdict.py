"""Each rule of the verdict by itself, at its borders, and that the first match wins."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hsitool.maths.cameras.calibration_result import Finding, Ratio
from hsitool.maths.cameras.camera import BoardShape
from hsitool.maths.cameras.verdict import BoardAspect, Evidence, judge, qualified

TOL = 1e-3


def ratio(low: float, high: float, detectable: float | None = None) -> Ratio:
    """With an interval in units of 1e-4; 2.8 standard errors are detectable unless said."""
    delta, se = (low + high) / 2e4, (high - low) / 3.92e4
    interval = (low / 1e4, high / 1e4)
    shown = 2.8 * se if detectable is None else detectable / 1e4
    return Ratio(
        delta, se, se, interval, interval, interval, delta / se, 0.5, 1, 0.5, delta / se, 2.1,
        0, 0.98, 1, shown,
    )  # fmt: skip


def verdict(
    rigid: tuple[float, ...],
    free: tuple[float, ...] | None = None,
    views: int = 20,
    aspect: BoardAspect | None = None,
) -> str:
    given = Evidence(
        views, TOL, ratio(*rigid), ratio(*free) if free else None, aspect, "1600 +- 1 px"
    )
    found = judge(given)
    print(found.key, ":", found.sentence)
    return found.key


@pytest.mark.parametrize(
    ("rigid", "free", "views", "expected"),
    [
        ((-2, 2), None, 4, "too_few_views"),
        ((20, 24), (20, 24), 4, "too_few_views"),
        ((-9, 9), None, 20, "too_few_views"),
        ((-9, 9), (-9, 9), 20, "too_few_views"),
        ((15, 25), None, 20, "different"),
        ((15, 25), (16, 24), 20, "different"),
        ((1, 5), (2, 12), 20, "different"),
        ((-25, -15), None, 20, "different"),
        ((2, 5), None, 20, "different_below_tolerance"),
        ((-2, 2), (1, 5), 20, "different_below_tolerance"),
        ((-3, 3), None, 20, "equal"),
        ((-3, 3), (-4, 4), 20, "equal"),
        ((15, 25), (-4, 4), 20, "equal"),
        ((-3, 3), (-60, 60), 20, "equal"),
        ((15, 25), (-60, 60), 20, "not_separable"),
        ((-12, 1), (-14, 1), 20, "undecided"),
        ((-6.5, 0.5, 9), (-12, 9), 20, "equal"),
        ((-11, 0.5, 9), (-12, 9), 20, "undecided"),
    ],
)
def test_the_first_rule_that_holds_wins(
    rigid: tuple[float, ...], free: tuple[float, ...] | None, views: int, expected: str
) -> None:
    assert verdict(rigid, free, views) == expected


def test_a_board_that_explains_a_vague_rigid_fit_is_not_too_few_views() -> None:
    """A stretched board, half of the views turned: the rigid fit is vague, the free one is not."""
    assert verdict((-12, 16), (-4, 4)) == "equal"
    assert verdict((-12, 16), (-12, 16)) == "too_few_views"


def test_a_large_difference_is_told_as_the_ratio() -> None:
    """ln 1.25 is 0.2231, and 1.25 is 25 % more."""
    found = judge(Evidence(20, TOL, ratio(2230, 2233), None, None, ""))
    assert "differ by +25.0" in found.sentence


def test_rounding_is_no_difference() -> None:
    """Corners without noise give errors of 1e-15 and a difference of 3e-15."""
    assert verdict((2e-11, 4e-11), (2e-11, 4e-11)) == "equal"


def test_a_bad_fit_is_said_before_the_verdict() -> None:
    plain = judge(Evidence(20, TOL, ratio(-3, 3), None, None, "f"))
    doubt, bad = Finding("inflation", False, "a"), Finding("model", True, "b")
    scanner = Finding("pushbroom", True, "is y scan motion?")
    assert qualified(plain, [doubt]) == plain
    assert qualified(plain, [bad]).sentence.startswith("bad fit, not to be relied on: fx and fy")
    asked = qualified(plain, [bad, scanner]).sentence
    assert asked.startswith("bad fit, not to be relied on: is y scan motion?; else fx and fy")


def test_a_board_of_unknown_size_is_measured_in_squares() -> None:
    board = BoardAspect(BoardShape(1.0035), 0.0005, (8, 5), "squares")
    found = judge(Evidence(20, TOL, ratio(-40, -32), ratio(-13, 10), board, ""))
    assert "8 squares this way and 5 squares that way" in found.sentence


def test_the_conditions_are_said() -> None:
    given = Evidence(20, TOL, ratio(-3, 3), ratio(-60, 60), None, "8.5 +- 0.01 mm")
    found = judge(given).sentence
    assert "within 0.1 %, if the board is true" in found
    assert "8.5 +- 0.01 mm" in found
    assert "if the board is true" not in judge(replace(given, free=ratio(-3, 3))).sentence


def test_too_few_views_says_how_many_would_do() -> None:
    given = Evidence(10, TOL, ratio(-14, 14), None, None, "")
    assert "about 40 views" in judge(given).sentence
    assert "at least 5" in judge(replace(given, views=4, rigid=ratio(-1, 1))).sentence


@pytest.mark.parametrize(("aspect", "named"), [(1.0035, True), (1.0014, False)])
def test_a_stretched_print_is_named_with_what_to_measure(aspect: float, named: bool) -> None:
    board = BoardAspect(BoardShape(aspect), 0.0005, (225, 135))
    given = Evidence(20, TOL, ratio(-40, -32), ratio(-13, 10), board, "")
    found = judge(given)
    assert found.key == "not_separable"
    assert "rotate the board by 90 degrees in half of the views" in found.sentence
    assert ("stretched by +0.35 +- 0.05 %" in found.sentence) == named
    assert ("225 mm this way and 135 mm that way" in found.sentence) == named


def test_causes_of_a_difference_are_listed() -> None:
    given = Evidence(20, TOL, ratio(15, 25), None, None, "")
    found = judge(given)
    assert len(found.causes) == 3
    assert all(cause in found.sentence for cause in found.causes)
