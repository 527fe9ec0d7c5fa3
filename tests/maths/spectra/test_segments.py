import numpy as np
import pytest

from hsitool.errors import UsageError
from hsitool.maths.spectra.segments import segment_bands

EVEN = [400.0 + 5 * i for i in range(40)]


def jump(at: int, by: float, wavelengths: list[float] = EVEN) -> list[float]:
    """The wavelengths, with all from band `at` on moved up."""
    return wavelengths[:at] + [nm + by for nm in wavelengths[at:]]


def test_even_wavelengths_are_one_segment() -> None:
    assert segment_bands(40, EVEN) == (range(40),)


def test_without_wavelengths_all_bands_are_neighbours() -> None:
    assert segment_bands(6) == (range(6),)


def test_no_bands_and_one_band() -> None:
    assert segment_bands(0) == ()
    assert segment_bands(1, [500.0]) == (range(1),)


@pytest.mark.parametrize("wavelengths", [None, EVEN[:8]])
def test_bad_bands_separate_and_belong_to_none(wavelengths: list[float] | None) -> None:
    good = [True, True, False, True, False, False, True, True]
    assert segment_bands(8, wavelengths, good) == (range(2), range(3, 4), range(6, 8))


def test_all_bands_bad() -> None:
    assert segment_bands(3, EVEN[:3], [False] * 3) == ()


def test_a_step_back_cuts() -> None:
    assert segment_bands(40, jump(15, -50)) == (range(15), range(15, 40))


def test_a_repeated_wavelength_cuts() -> None:
    assert segment_bands(40, jump(15, -5)) == (range(15), range(15, 40))


def test_a_descending_cube_stays_whole_and_is_cut_where_it_steps_up() -> None:
    assert segment_bands(40, EVEN[::-1]) == (range(40),)
    assert segment_bands(40, jump(15, -50)[::-1]) == (range(25), range(25, 40))


def test_an_unknown_wavelength_stands_alone() -> None:
    assert segment_bands(5, [1.0, 2.0, np.nan, 4.0, 5.0]) == (range(2), range(2, 3), range(3, 5))


@pytest.mark.parametrize(("by", "cut"), [(9.9, False), (10.1, True)])
def test_auto_cuts_at_three_times_the_local_median(by: float, cut: bool) -> None:
    wavelengths = jump(20, by)  # steps of 5, one of 5 + by
    assert (len(segment_bands(40, wavelengths)) == 2) is cut
    assert (len(segment_bands(40, wavelengths[::-1])) == 2) is cut


def test_auto_is_local() -> None:
    fine = [400.0 + i for i in range(20)]
    coarse = [fine[-1] + 4 * (i + 1) for i in range(20)]
    gap_among_fine = jump(10, 3, fine)
    assert segment_bands(40, [*gap_among_fine, *[nm + 3 for nm in coarse]])[0] == range(10)


def test_a_change_of_step_is_no_gap() -> None:
    steps = [3.36] * 100 + [5.6] * 100
    assert segment_bands(201, np.cumsum([378.2, *steps]).tolist()) == (range(201),)


def test_auto_is_off_for_few_bands_and_when_told() -> None:
    few = jump(10, 400, EVEN[:19])
    assert segment_bands(19, few) == (range(19),)
    assert segment_bands(40, jump(20, 400), split_gap=None) == (range(40),)


def test_auto_does_not_count_steps_across_bad_bands() -> None:
    good = [not 10 <= i < 20 for i in range(40)]
    wavelengths = jump(15, 400)
    assert segment_bands(40, wavelengths, good) == (range(10), range(20, 40))


def test_a_gap_in_nm() -> None:
    wavelengths = jump(20, 2)
    assert segment_bands(40, wavelengths, split_gap=7.0) == (range(40),)
    assert segment_bands(40, wavelengths, split_gap=6.9) == (range(20), range(20, 40))
    assert len(segment_bands(40, wavelengths, split_gap=4.0)) == 40


@pytest.mark.parametrize("seam", [496.0, 500.0])
def test_a_seam_cuts_below_the_first_band_at_or_beyond(seam: float) -> None:
    assert segment_bands(40, EVEN, split_at_nm=[seam]) == (range(20), range(20, 40))


def test_a_seam_of_a_descending_cube() -> None:
    wavelengths = EVEN[::-1]  # band 19 is 500 nm
    assert segment_bands(40, wavelengths, split_at_nm=[500.0]) == (range(19), range(19, 40))
    assert segment_bands(40, wavelengths, split_at_nm=[498.0]) == (range(20), range(20, 40))


def test_a_seam_in_an_overlap_cuts_each_detector() -> None:
    wavelengths = jump(20, -50)
    assert segment_bands(40, wavelengths, split_at_nm=[470.0]) == (
        range(14),
        range(14, 20),
        range(20, 24),
        range(24, 40),
    )


@pytest.mark.parametrize(
    ("wavelengths", "options", "message"),
    [
        (EVEN, {"split_at_nm": [2000.0]}, "2000 nm lies outside of the cube's 400 to 595 nm"),
        (EVEN, {"split_at_nm": [399.0]}, "399 nm lies outside"),
        (None, {"split_at_nm": [500.0]}, "seam at 500 nm: the cube has no known wavelengths"),
        (None, {"split_gap": 20.0}, "gap over 20 nm: the cube has no known wavelengths"),
        (EVEN, {"split_gap": 0.0}, "split gap of 0 nm: give a step above 0 nm"),
    ],
)
def test_refusals(wavelengths: list[float] | None, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        segment_bands(40, wavelengths, **options)
