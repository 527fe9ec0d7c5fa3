"""Camera files: what OpenCV and a JSON reader find in them, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from hsitool.errors import DataError, UsageError
from hsitool.storage.camera_files import check_camera_file, left_out, write_camera
from hsitool.storage.camera_formats.file_storage import as_yaml

K = [[1600.123456789012, 0.0, 650.25], [0.0, 1599.9, 500.125], [0.0, 0.0, 1.0]]


def record(**changed: Any) -> dict[str, Any]:
    """A camera as `calib --json` prints it, as far as the files need it."""
    names = ["fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2"]
    found: dict[str, Any] = {
        "tool": "hsitool 0",
        "image_size": [1280, 1024],
        "model": "k2",
        "camera_matrix": K,
        "distortion": [-0.2, 0.08, 5e-4, -3e-4],
        "rms_px": 0.3125,
        "views": [
            {"name": "a.png", "rms_px": 0.25},
            {"name": 'odd "name" \\ é.png', "rms_px": 0.5},
        ],
        "parameters": {
            "names": names,
            "values": [1600.123456789012, 1599.9, 650.25, 500.125, -0.2, 0.08, 5e-4, -3e-4],
            "covariance": np.diag(np.arange(1.0, 9) * 1e-7 / 3).tolist(),
        },
        "pixel_pitch_mm": [0.00345, 0.00345],
        "focal_length": {"f_mm": 5.52},
        "verdict": {"key": "equal", "sentence": "fx and fy are equal: yes, they are # really"},
        "settings": {"board": [9, 6], "square_mm": 25.0},
    }
    return found | changed


def opened(path: Path) -> Any:
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
    assert storage.isOpened()
    return storage


@pytest.mark.parametrize("ending", [".yaml", ".yml", ".YML"])
def test_opencv_reads_the_yaml_to_the_last_digit(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"camera{ending}"
    write_camera(path, record())
    storage = opened(path)
    assert storage.getNode("camera_matrix").mat().tolist() == K
    lens = storage.getNode("distortion_coefficients").mat()
    assert lens.shape == (5, 1)
    assert lens.ravel().tolist() == [-0.2, 0.08, 5e-4, -3e-4, 0.0]
    assert [storage.getNode(f"image_{side}").real() for side in ("width", "height")] == [1280, 1024]
    assert storage.getNode("avg_reprojection_error").real() == 0.3125
    assert storage.getNode("per_view_reprojection_errors").mat().tolist() == [[0.25], [0.5]]
    covariance = storage.getNode("parameter_covariance").mat()
    assert covariance.tolist() == record()["parameters"]["covariance"]
    assert storage.getNode("pixel_pitch_mm").mat().tolist() == [[0.00345, 0.00345]]
    assert storage.getNode("board_width").real() == 9


def test_texts_come_back_from_the_yaml(tmp_path: Path) -> None:
    write_camera(tmp_path / "camera.yaml", record())
    storage = opened(tmp_path / "camera.yaml")
    names = storage.getNode("view_names")
    assert [names.at(i).string() for i in range(names.size())] == [
        "a.png",
        'odd "name" \\ é.png',
    ]
    assert storage.getNode("verdict_sentence").string() == record()["verdict"]["sentence"]
    parameters = storage.getNode("parameter_names")
    assert [parameters.at(i).string() for i in range(8)] == record()["parameters"]["names"]


@pytest.mark.parametrize(
    ("model", "given", "written"), [("k3", 5, 5), ("rational", 8, 8), ("fisheye", 4, 4)]
)
def test_each_lens_has_the_coefficients_that_opencv_takes(
    tmp_path: Path, model: str, given: int, written: int
) -> None:
    write_camera(tmp_path / "c.yaml", record(model=model, distortion=[0.1] * given))
    storage = opened(tmp_path / "c.yaml")
    assert storage.getNode("distortion_coefficients").mat().shape == (written, 1)
    assert storage.getNode("fisheye_model").real() == (model == "fisheye")


def test_a_camera_without_pitch_or_board_has_no_such_keys(tmp_path: Path) -> None:
    write_camera(tmp_path / "c.yaml", record(pixel_pitch_mm=None, settings={}))
    storage = opened(tmp_path / "c.yaml")
    for key in ("pixel_pitch_mm", "focal_length_mm", "board_width", "square_size_mm"):
        assert storage.getNode(key).empty()


def test_numbers_that_are_not_finite_are_read_as_such(tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(as_yaml({"m": [[math.nan, math.inf, -math.inf, 1e-300]], "none": None}))
    storage = opened(path)
    found = storage.getNode("m").mat().ravel()
    assert np.isnan(found[0])
    assert found[1:].tolist() == [math.inf, -math.inf, 1e-300]


def test_json_is_the_record(tmp_path: Path) -> None:
    write_camera(tmp_path / "camera.json", record())
    assert json.loads((tmp_path / "camera.json").read_text("utf-8")) == record()


def test_only_the_yaml_leaves_something_out(tmp_path: Path) -> None:
    assert "json" in str(left_out(tmp_path / "camera.yml"))
    assert left_out(tmp_path / "camera.json") is None


def test_a_file_is_not_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text("mine")
    with pytest.raises(UsageError, match="exists: choose another name or add --overwrite"):
        write_camera(path, record())
    assert path.read_text() == "mine"
    write_camera(path, record(), overwrite=True)
    assert opened(path).getNode("camera_matrix").mat().tolist() == K
    assert [p.name for p in tmp_path.iterdir()] == ["camera.yaml"]


@pytest.mark.parametrize("name", ["camera.xml", "camera", "camera.txt"])
def test_other_formats_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"OpenCV's \.yaml \(\.yml\) or \.json"):
        check_camera_file(tmp_path / name)


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the folder of"):
        check_camera_file(tmp_path / "no" / "camera.yaml")


def test_a_write_that_fails_leaves_the_former_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "camera.json"
    path.write_text("former")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(DataError, match="no space left"):
        write_camera(path, record(), overwrite=True)
    assert path.read_bytes() == b"former"
    assert [p.name for p in tmp_path.iterdir()] == ["camera.json"]
