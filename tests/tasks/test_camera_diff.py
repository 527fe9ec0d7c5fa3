"""`hsitool camera diff`: the answer, the map, the picture and the gate."""

from __future__ import annotations

import csv
from pathlib import Path

import camera_samples as samples
import pytest
from command import done, run

from hsitool.camera import CameraInfo
from hsitool.maths.cameras.difference import camera_difference
from hsitool.storage.cameras import format_for, write_cameras

SIZE = (1280, 1024)
COVARIANCE = ((4.0, 3.9), (3.9, 4.1))


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two cameras 10 px of focal length apart, in two formats."""
    for name, fx in (("a.json", 900.0), ("b.txt", 910.0)):
        info = CameraInfo("pinhole", fx, fx, 640, 512, {"k1": -0.1}, SIZE)
        write_cameras(tmp_path / name, [info], format_for(tmp_path / name))
    return tmp_path / "a.json", tmp_path / "b.txt"


def test_the_answer(pair: tuple[Path, Path]) -> None:
    found = done("camera", "diff", *pair, "--json").json()
    one = CameraInfo("pinhole", 900, 900, 640, 512, {"k1": -0.1}, SIZE)
    other = CameraInfo("pinhole", 910, 910, 640, 512, {"k1": -0.1}, SIZE)
    wanted = camera_difference(one, other)
    assert found["rms_px"] == pytest.approx(wanted.rms_px)
    assert found["max_px"] == pytest.approx(wanted.max_px)
    assert found["corners_px"]["upper_left"] == pytest.approx(wanted.corners_px[0])
    assert found["predicted"] is None
    text = done("camera", "diff", *pair).out
    assert text.startswith(f"{wanted.rms_px:.4g} px apart")
    assert "neither file has a covariance" in text


def test_a_copy_in_another_format_is_0_px_apart(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    done("camera", "convert", pair[0], "-o", tmp_path / "m.xml", "--to", "metashape")
    text = done("camera", "diff", pair[0], tmp_path / "m.xml", "--max-px", "1e-9").out
    assert text.startswith("0 px apart")


def test_the_gate(pair: tuple[Path, Path]) -> None:
    answer = run("camera", "diff", *pair, "--max-px", "1")
    assert answer.code == 1
    assert answer.err.startswith("hsitool: --max-px 1: they are up to ")
    assert "px apart" in answer.out
    assert run("camera", "diff", *pair, "--max-px", "100").code == 0


def test_the_map(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    done("camera", "diff", *pair, "-o", tmp_path / "map.csv")
    with (tmp_path / "map.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["u", "v", "du", "dv", "px", "sd_px"]
    assert len(rows) == 41 * 33
    first = rows[0]
    length = (float(first["du"]) ** 2 + float(first["dv"]) ** 2) ** 0.5
    assert float(first["px"]) == pytest.approx(length)
    assert first["sd_px"] == ""
    assert (float(rows[-1]["u"]), float(rows[-1]["v"])) == (1279, 1023)
    answer = run("camera", "diff", *pair, "-o", tmp_path / "map.csv")
    assert answer.code == 2
    assert "exists: choose another name or add --overwrite" in answer.err


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_the_picture(tmp_path: Path, pair: tuple[Path, Path], ending: str) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / f"map.{ending}"
    done("camera", "diff", *pair, "--plot", path)
    assert path.stat().st_size > 5000
    assert run("camera", "diff", *pair, "--plot", tmp_path / "map.txt").code == 2


def test_a_picture_of_no_difference(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    pytest.importorskip("matplotlib")
    done("camera", "diff", pair[0], pair[0], "--plot", tmp_path / "map.png")


def test_more_than_chance(tmp_path: Path) -> None:
    for name, fx in (("a.json", 900.0), ("b.json", 901.0), ("c.json", 990.0)):
        info = CameraInfo(
            "pinhole", fx, fx, 640, 512, {}, SIZE,
            parameters=("fx", "fy"), covariance=COVARIANCE,
        )  # fmt: skip
        write_cameras(tmp_path / name, [info], format_for(tmp_path / name))
    a, b, c = (tmp_path / f"{name}.json" for name in "abc")
    assert not done("camera", "diff", a, b, "--json").json()["predicted"]["more_than_chance"]
    assert "chance explains up to" in done("camera", "diff", a, b).out
    found = done("camera", "diff", a, c, "--json").json()["predicted"]
    assert found["more_than_chance"]
    assert found["of"] == ["first", "second"]
    assert "more than chance explains" in done("camera", "diff", a, c).out


def test_cameras_by_name(tmp_path: Path) -> None:
    path = tmp_path / "camchain.yaml"
    path.write_text(samples.KALIBR)
    found = done("camera", "diff", path, path, "--camera", "cam0", "--camera-b", "cam2", "--json")
    assert found.json()["max_px"] > 1
    answer = run("camera", "diff", path, path)
    assert answer.code == 3
    assert "holds 3 cameras (cam0, cam1, cam2): name one of them" in answer.err


def test_other_sizes_are_refused(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    path = tmp_path / "c.txt"
    path.write_text("1 PINHOLE 640 480 500 500 320 240\n")
    answer = run("camera", "diff", pair[0], path)
    assert answer.code == 3
    assert "1280x1024 and 640x480 px have no pixels in common" in answer.err
    assert answer.err.count("\n") == 1


def test_outputs_are_apart_from_inputs_and_each_other(
    tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    first, second = (path.read_bytes() for path in pair)
    (tmp_path / "a.png").symlink_to(pair[0])
    for words in (["-o", pair[0]], ["-o", pair[1]], ["--plot", tmp_path / "a.png"]):
        answer = run("camera", "diff", *pair, *words, "--overwrite")
        assert (answer.code, answer.out) == (2, "")
        assert "is an input: give the output another name" in answer.err
    assert (pair[0].read_bytes(), pair[1].read_bytes()) == (first, second)
    both = ("-o", tmp_path / "x.png", "--plot", tmp_path / "x.png")
    assert "two outputs would be written to" in run("camera", "diff", *pair, *both).err
