"""`hsitool camera convert`: the path, the notes and the refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import camera_samples as samples
import pytest
from command import done, run

from hsitool.storage.cameras import read_camera, read_cameras


def given(tmp_path: Path, text: str, name: str) -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_the_answer_is_the_path_and_what_is_left_out_a_note(tmp_path: Path) -> None:
    source = given(tmp_path, samples.METASHAPE_CAMERAS, "cameras.xml")
    words = ("camera", "convert", source, "--camera", "DSC-QX100 (10.4mm)")
    answer = done(*words, "-o", tmp_path / "cameras.txt")
    assert answer.out == f"{tmp_path / 'cameras.txt'}\n"
    assert answer.err == (
        "hsitool: not written to COLMAP's cameras.txt: covariance, standard errors, pixel pitch, "
        "name\n"
    )
    assert done(*words, "-o", tmp_path / "quiet.txt", "-q").err == ""
    assert done(*words, "-o", tmp_path / "c.json").err == ""
    found, wanted = read_camera(tmp_path / "c.json"), read_camera(source, "DSC-QX100 (10.4mm)")
    assert found.covariance == wanted.covariance
    assert replace(found, distortion=wanted.distortion) == wanted
    assert all(found.coefficient(key) == value for key, value in wanted.distortion.items())


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("opencv", "c.yaml"),
        ("opencv", "c.json"),
        ("ros", "c.yml"),
        ("kalibr", "c.yaml"),
        ("colmap", "c.txt"),
        ("mrcal", "c.cameramodel"),
        ("metashape", "c.xml"),
        ("json", "c.json"),
    ],
)
def test_every_target(tmp_path: Path, key: str, name: str) -> None:
    source = given(tmp_path, samples.COLMAP, "cameras.txt")
    done("camera", "convert", source, "--camera", "1", "--to", key, "-o", tmp_path / name)
    found = read_camera(tmp_path / name)
    assert (found.fx, found.fy, found.cx, found.cy) == pytest.approx(
        (900.25, 905.75, 650.5, 500.125), abs=1e-9
    )
    assert found.active == ("k1", "k2", "p1", "p2")


def test_all_cameras_or_one(tmp_path: Path) -> None:
    source = given(tmp_path, samples.KALIBR, "chain.yaml")
    done("camera", "convert", source, "-o", tmp_path / "all.txt", "-q")
    assert [info.name for info in read_cameras(tmp_path / "all.txt")] == ["1", "2", "3"]
    answer = run("camera", "convert", source, "-o", tmp_path / "one.json")
    assert (answer.code, answer.out) == (3, "")
    assert "hsitool's JSON holds one camera, not 3 (cam0, cam1, cam2)" in answer.err
    done("camera", "convert", source, "--camera", "cam1", "-o", tmp_path / "one.json")
    assert read_camera(tmp_path / "one.json").lens == "fisheye"


def test_a_size_for_formats_that_need_one(tmp_path: Path) -> None:
    source = given(tmp_path, "K: [900, 0, 640, 0, 905, 512, 0, 0, 1]\n", "c.yaml")
    answer = run("camera", "convert", source, "-o", tmp_path / "c.txt")
    assert answer.code == 3
    assert "needs the image's size: give it with --size WxH" in answer.err
    done("camera", "convert", source, "-o", tmp_path / "c.txt", "--size", "1280x1024")
    assert read_camera(tmp_path / "c.txt").image_size == (1280, 1024)


def test_warnings_of_the_source_are_told(tmp_path: Path) -> None:
    source = given(tmp_path, samples.MRCAL, "c.cameramodel")
    answer = done("camera", "convert", source, "-o", tmp_path / "c.yaml")
    assert answer.err.startswith("hsitool: warning: the camera's place and direction (extrinsics)")


def test_a_failure_leaves_the_former_file(tmp_path: Path) -> None:
    source = given(tmp_path, samples.ROS, "c.yaml")
    target = given(tmp_path, "mine", "k.yaml")
    answer = run("camera", "convert", source, "--to", "kalibr", "-o", target)
    assert (answer.code, target.read_text()) == (2, "mine")
    answer = run("camera", "convert", source, "--to", "kalibr", "-o", target, "--overwrite")
    assert (answer.code, target.read_text()) == (3, "mine")
    assert "Kalibr's camchain has no place for k3 = 0.01 of camera narrow_stereo/left" in answer.err


def test_the_group_alone_shows_its_help() -> None:
    answer = run("camera")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("Usage: hsitool camera [OPTIONS] COMMAND [ARGS]...\n")
    assert "  convert  " in answer.err


def test_the_source_is_never_written_over(tmp_path: Path) -> None:
    source = given(tmp_path, samples.COLMAP, "cameras.txt")
    (tmp_path / "link.txt").symlink_to(source)
    for target in (source, tmp_path / "link.txt"):
        answer = run("camera", "convert", source, "-o", target, "--overwrite")
        assert (answer.code, answer.err.count("\n")) == (2, 1)
        assert "is an input: give the output another name" in answer.err
    assert source.read_text() == samples.COLMAP
