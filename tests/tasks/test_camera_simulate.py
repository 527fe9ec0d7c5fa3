"""`hsitool camera simulate`: words in, predictions out; the same for any number of threads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import done, run
from scipy import stats

from hsitool.errors import UsageError
from hsitool.tasks import shoot_words as words
from hsitool.tasks.camera_simulate import Share

USUAL = ("--board", "9x6", "--image-size", "1280x1024", "--f", "1600px", "-q")


@pytest.fixture(autouse=True)
def fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words and shapes are looked at here, not digits of power."""
    monkeypatch.setattr("hsitool.tasks.camera_simulate.FEWEST_GEOMETRIES", 60)


def simulated(*more: object) -> Any:
    return done("camera", "simulate", *USUAL, "--json", *more).json()


def test_views_without_roll_and_a_stretched_board_cannot_be_separated() -> None:
    """At least 90 % of 30 calibrations say so; to turn half of the views is advised, and helps."""
    found = simulated("--roll", "none", "--stretch", "0.2%", "--trials", 30)
    assert found["verdicts"]["not_separable"]["share"] >= 0.9
    assert found["rigid"]["bias_delta"] == pytest.approx(-20.7e-4, abs=0.6e-4)
    assert found["coverage"]["rigid"]["reported"]["share"] < 0.1
    assert found["coverage"]["free"]["reported"]["share"] > 0.8
    assert found["views_needed"] > 100
    roll, measure = found["advice"]
    assert roll.startswith("turn the board by 90 degrees in half of the views (--roll half)")
    assert measure.startswith("measure the print both ways")
    turned = simulated("--roll-half", "--stretch", "0.2%", "--trials", 0)
    assert turned["detectable"] < 0.2 * found["detectable"]
    assert not any("--roll half" in text for text in turned["advice"])


def test_coverage_verdicts_and_power_of_a_good_shoot() -> None:
    found = simulated("--roll-half", "--trials", 60, "--differences", "0%,0.03%,0.1%")
    for model in ("rigid", "free"):
        for kind in ("ols", "jackknife", "reported"):
            low, high = found["coverage"][model][kind]["interval"]
            assert high > 0.9 > low - 0.1
    assert found["verdicts"]["equal"]["share"] > 0.9
    assert found["failed"]["count"] == 0
    none, some, much = found["power"]
    assert none["rigid"] == pytest.approx(0.05, abs=1e-6)
    assert 0 < none["reported"] < 0.06
    assert some["rigid"] < much["rigid"]
    for row in found["power"]:
        low, high = row["counted"]["interval"]
        assert low - 0.06 <= row["reported"] <= high + 0.06
    assert found["trials"] == 60
    assert found["geometries"] == 60
    assert "Gaussian" in found["assumes"]


def test_a_true_difference_is_found() -> None:
    found = simulated("--true-difference", "0.3%", "--trials", 20, "--differences", "0.3%")
    assert found["true_difference"] == pytest.approx(0.003)
    assert found["camera_matrix"][0][0] == pytest.approx(1604.8)
    assert found["camera_matrix"][1][1] == 1600
    assert found["verdicts"]["different"]["share"] == 1
    assert found["power"][0]["counted"]["share"] == 1
    assert found["coverage"]["free"]["reported"]["share"] >= 0.8


def test_threads_change_nothing_and_seeds_do() -> None:
    one, two, other = (
        simulated("--trials", 6, "--views", 9, "--outliers", "2%", *more)
        for more in (("--threads", 1), ("--threads", 3), ("--seed", 1))
    )
    assert one == two
    assert one["rigid"] != other["rigid"]


@pytest.mark.slow
def test_views_needed_are_enough() -> None:
    """A shoot of so many views shows the tolerance; four fewer do not."""
    needed = simulated("--noise", "0.3px", "--trials", 0)["views_needed"]
    enough = simulated("--noise", "0.3px", "--trials", 0, "--views", needed)["detectable"]
    fewer = simulated("--noise", "0.3px", "--trials", 0, "--views", needed - 4)["detectable"]
    print(f"{needed} views show {enough:.5f}, {needed - 4} views {fewer:.5f}")
    assert enough < 1.1e-3
    assert fewer > 1.1e-3
    from_few = simulated("--noise", "0.3px", "--trials", 0, "--views", 3)["views_needed"]
    assert abs(from_few - needed) <= 2


def test_a_pitch_gives_millimetres() -> None:
    found = simulated("--trials", 0, "--f", "8.48mm", "--pitch", "5.3um")
    assert found["camera_matrix"][0][0] == pytest.approx(1600)
    assert found["rigid"]["se_f_mm"] == pytest.approx(found["rigid"]["se_f_px"] * 5.3e-3)
    oblong = simulated("--trials", 0, "--f", "8.48mm", "--pitch", "5.3um,4.24um")
    assert oblong["camera_matrix"][1][1] == pytest.approx(2000)
    assert oblong["power"][0]["rigid"] == pytest.approx(0.05, abs=1e-6)


def test_few_views_and_flat_ones_get_advice() -> None:
    few = simulated("--trials", 5, "--views", 5)
    assert few["free"] is None
    assert few["coverage"]["free"] is None
    assert any("take 8 views or more" in text for text in few["advice"])
    flat = simulated("--trials", 0, "--tilt", "0:10", "--roll-half")
    (said,) = flat["advice"]
    assert said.startswith("tilt the board by up to 40 degrees: f to ")
    small = simulated("--trials", 0, "--fill", "20:40%", "--roll-half")
    assert small["advice"][0].startswith("let the board fill up to 90 % of the width: f to ")


def test_distances_bows_and_rigid_boards() -> None:
    found = simulated(
        *("--trials", 3, "--square", "25mm", "--distance", "0.5:0.8m", "--bow", "0.5mm,-0.3mm"),
        *("--board-model", "rigid"),
    )
    assert found["free"] is None
    assert found["printed"]["bow_mm"] == [0.5, -0.3]
    assert found["fill"]["largest"] <= 1600 * 200 / 500 / 1280 + 1e-9
    assert found["fill"]["least"] >= 1600 * 200 / 800 / 1280 - 1e-9


def test_a_camera_file_serves(tmp_path: Path) -> None:
    path = tmp_path / "camera.json"
    corners = Path(__file__).resolve().parents[2] / "data" / "corners.csv"
    done("calib", corners, "--board", "9x6", "--square", "25mm", "--pitch", "5.3um", "-o", path)
    truth = json.loads(path.read_text("utf-8"))
    found = done(
        "camera", "simulate", "--board", "9x6", "--camera", path, "--trials", 0, "--json", "-q"
    ).json()
    assert found["image_size"] == [1280, 1024]
    assert found["camera_matrix"][0] == pytest.approx(truth["camera_matrix"][0])
    assert found["distortion"] == pytest.approx(truth["distortion"])
    assert found["rigid"]["se_f_mm"] > 0


def test_the_table_names_what_the_json_has() -> None:
    answer = done("camera", "simulate", *USUAL, "--trials", 12)
    for text in ("20 views, 54 corners each", "detectable", "coverage", "verdicts", "not in it",
                 "the same, counted", "Gaussian"):  # fmt: skip
        assert text in answer.out
    assert answer.err == ""
    assert "counted" not in done("camera", "simulate", *USUAL, "--trials", 0).out


@pytest.mark.parametrize(("count", "of"), [(0, 20), (7, 20), (20, 20), (380, 400)])
def test_shares_have_wilsons_interval(count: int, of: int) -> None:
    expected = stats.binomtest(count, of).proportion_ci(method="wilson")
    assert Share(count, of).interval == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_words() -> None:
    assert words.number_range("5:40", "--tilt", "deg", "") == (5, 40)
    assert words.number_range("20deg", "--tilt", "deg", "") == (20, 20)
    assert words.share_range("35:90%", "--fill") == (0.35, 0.9)
    assert words.share_range("0.35:0.9", "--fill") == (0.35, 0.9)
    assert words.length_range("0.5:1.2m", "--distance") == (500, 1200)
    assert words.length_range("50cm:1.2m", "--distance") == (500, 1200)
    assert words.length_range("600", "--distance") == (600, 600)
    assert words.relative("-0.1%", "-") == -0.001
    assert words.relative("0.001", "-") == 0.001
    assert words.differences("0.03%,0.1%") == pytest.approx((3e-4, 1e-3))
    assert words.pixels("0.2px", "--noise") == 0.2
    assert words.focal_length("1600") == (1600, "px")
    assert words.focal_length("8.5mm") == (8.5, "mm")
    assert words.bows("0.5mm,-0.3mm") == (0.5, -0.3)
    assert words.bows("0mm") == (0, 0)
    assert words.coefficients("-0.2,0.08", "--distortion", 8) == (-0.2, 0.08)
    with pytest.raises(UsageError):
        words.differences(",".join(["1%"] * 21))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--noise", "0"), "--noise '0' is not a number of px above 0"),
        (("--noise", "nan"), "--noise 'nan'"),
        (("--noise", "200px"), "noise of 200 px"),
        (("--tilt", "40:5"), "tilt from 40 to 5 degrees: give the smaller end first"),
        (("--tilt", "a"), "--tilt 'a' is not LOW:HIGH"),
        (("--tilt", "5:120"), "to 85 degrees"),
        (("--fill", "0:50%"), "fill from 0 to 0.5"),
        (("--fill", "150:200%"), "none shows the whole board"),
        (("--roll", "none", "--roll-half"), "--roll-half and --roll none exclude each other"),
        (("--views", "2"), "--views 2: a calibration takes 3"),
        (("--trials", "-1"), "--trials -1"),
        (("--f", "8mm"), "--f 8mm needs the size of a pixel"),
        (("--f", "-3px"), "--f '-3px' is not a number of px above 0"),
        (("--f", "0.1px"), "0.1 px is none of a camera"),
        (("--image-size", "9x9"), "give sides of 32"),
        (("--centre", "5000,1"), "outside the frame"),
        (("--centre", "5"), "--centre takes two numbers"),
        (("--distortion", "1,2,3,4,5"), "--distortion has 5 numbers, lens model k2 has k1, k2"),
        (("--distortion", "-3,0"), "folds the image over"),
        (("--distance", "1m"), "give the board's too, as --square"),
        (("--bow", "1mm"), "give the board's too, as --square"),
        (("--bow", "x"), "--bow 'x' is not a length"),
        (("--bow", "1mm,1mm,1mm"), "--bow '1mm,1mm,1mm' has 3 lengths"),
        (("--stretch", "80%"), "--stretch '80%' is no relative difference"),
        (("--outliers", "-1%"), "outliers of -1 %"),
        (("--differences", "x"), "--differences 'x'"),
        (("--board", "2x2"), "too small"),
        (("--pitch", "5um", "--m", "200"), "say the same thing"),
        (("--camera", "/no/such.yaml"), "/no/such.yaml"),
    ],
)
def test_nonsense_is_refused(more: tuple[str, ...], said: str) -> None:
    answer = run("camera", "simulate", *USUAL, "--trials", "0", *more)
    assert answer.code == (3 if "/no/" in said else 2)
    assert said in answer.err
    assert answer.err.count("\n") == 1
    assert answer.out == ""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--f", "1600px"), "the image size is not known: give --image-size"),
        (("--image-size", "640x480"), "the focal length is not known: give --f"),
    ],
)
def test_what_is_missing_is_named(given: tuple[str, ...], said: str) -> None:
    answer = run("camera", "simulate", "--board", "9x6", *given)
    assert answer.code == 2
    assert said in answer.err


def test_cameras_with_more_coefficients_name_their_model(tmp_path: Path) -> None:
    path = tmp_path / "camera.yaml"
    data = "[ 500., 0., 320., 0., 500., 240., 0., 0., 1. ]"
    path.write_text(
        "%YAML:1.0\n---\nimage_width: 640\nimage_height: 480\n"
        f"camera_matrix: !!opencv-matrix\n   rows: 3\n   cols: 3\n   dt: d\n   data: {data}\n"
        "distortion_coefficients: !!opencv-matrix\n   rows: 1\n   cols: 5\n   dt: d\n"
        "   data: [ -0.2, 0.05, 0., 0., 0.01 ]\n"
    )
    given = ("camera", "simulate", "--board", "9x6", "--camera", path, "--trials", 0, "-q")
    answer = run(*given)
    assert answer.code == 2
    assert "choose --model k3" in answer.err
    found = done(*given, "--model", "k3", "--json").json()
    assert found["distortion"] == [-0.2, 0.05, 0, 0, 0.01]
    assert np.isfinite(found["rigid"]["se_delta"])
