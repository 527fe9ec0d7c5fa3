"""Camera files that OpenCV writes, and our own: what is read from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from hsitool.errors import DataError, HsitoolWarning
from hsitool.storage.cameras import read_camera

K = np.array([[1600.123456789012, 0.0, 650.25], [0.0, 1599.9, 500.125], [0.0, 0.0, 1.0]])
LENS = np.array([[-0.2, 0.08, 5e-4, -3e-4, 0.01, 0.02, -0.03, 0.005, 1e-3, -2e-4, 5e-4, 3e-4]])


def file_storage(path: Path, **values: Any) -> Path:
    """A file that OpenCV itself writes."""
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    for key, value in values.items():
        storage.write(key, value)
    storage.release()
    return path


@pytest.mark.parametrize("ending", ["yml", "xml", "json"])
@pytest.mark.parametrize("count", [4, 5, 8, 12])
@pytest.mark.parametrize("shape", ["row", "column", "array"])
def test_each_dialect_and_shape_of_opencv(
    tmp_path: Path, ending: str, count: int, shape: str
) -> None:
    lens = {"row": LENS[:, :count], "column": LENS[:, :count].T, "array": LENS[0, :count]}[shape]
    size = {"image_width": 1280, "image_height": 1024}
    path = file_storage(
        tmp_path / f"c.{ending}", camera_matrix=K, distortion_coefficients=lens.copy(), **size
    )
    found = read_camera(path)
    assert (found.fx, found.fy, found.cx, found.cy) == (K[0, 0], K[1, 1], K[0, 2], K[1, 2])
    assert list(found.distortion.values()) == LENS[0, :count].tolist()
    assert found.image_size == (1280, 1024)
    assert found.lens == "pinhole"


@pytest.mark.parametrize(
    ("matrix", "lens"),
    [("camera_matrix", "dist_coeffs"), ("cameraMatrix", "distCoeffs"), ("K", "D"), ("mtx", "dist")],
)
def test_other_names(tmp_path: Path, matrix: str, lens: str) -> None:
    found = read_camera(file_storage(tmp_path / "c.yml", **{matrix: K, lens: LENS[:, :5].copy()}))
    assert (found.fx, found.coefficient("k3"), found.image_size) == (K[0, 0], 0.01, None)


def test_a_stereo_pair_is_two_cameras(tmp_path: Path) -> None:
    """As OpenCV's stereo_calib writes them."""
    right = K + [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    values = {"M1": K, "D1": LENS[:, :5].copy(), "M2": right, "D2": LENS[:, :8].copy()}
    path = file_storage(tmp_path / "intrinsics.yml", **values)
    with pytest.raises(DataError, match=r"holds 2 cameras \(M1, M2\): name one"):
        read_camera(path)
    assert read_camera(path, "M2").fx == right[0, 0]
    assert read_camera(path, "M2").coefficient("k6") == 0.005
    with pytest.raises(DataError, match="has no camera M3: its cameras are M1, M2"):
        read_camera(path, "M3")


def test_a_fisheye_says_so(tmp_path: Path) -> None:
    lens = LENS[:, :4].copy()
    found = read_camera(file_storage(tmp_path / "c.yml", K=K, D=lens, fisheye_model=1))
    assert found.lens == "fisheye"
    assert found.distortion == {"k1": -0.2, "k2": 0.08, "k3": 5e-4, "k4": -3e-4}


def test_standard_deviations_of_interactive_calibration(tmp_path: Path) -> None:
    path = file_storage(
        tmp_path / "cameraParameters.xml",
        cameraMatrix=K,
        cameraMatrix_std_dev=np.array([[1.5], [1.4], [0.7], [0.6]]),
        dist_coeffs=LENS[:, :5].copy(),
        dist_coeffs_std_dev=np.array([[0.01], [0.02], [0.0], [0.0], [0.05]]),
    )
    found = read_camera(path).standard_errors
    assert found == {"fx": 1.5, "fy": 1.4, "cx": 0.7, "cy": 0.6, "k1": 0.01, "k2": 0.02, "k3": 0.05}


def test_opencvs_own_sample(shared_data: Path) -> None:
    found = read_camera(shared_data / "opencv_samples" / "left_intrinsics.yml")
    assert found.fx == found.fy == 535.9157339616320
    assert found.cx == pytest.approx(342.2831547330837, abs=1e-12)
    assert found.coefficient("k3") == 0.23839153080878486
    assert found.image_size == (640, 480)


def test_plain_lists_of_numbers(tmp_path: Path) -> None:
    """As Python programs dump them."""
    path = tmp_path / "c.yaml"
    path.write_text(
        "camera_matrix: [[900, 0, 650], [0, 905, 5e2], [0, 0, 1]]\ndist_coeff: [1e-1, 0, 0, 0]\n"
    )
    found = read_camera(path)
    assert (found.fx, found.fy, found.cy, found.coefficient("k1")) == (900, 905, 500, 0.1)


def test_skew_is_kept_and_told(tmp_path: Path) -> None:
    with pytest.warns(HsitoolWarning, match=r"skew 0\.204494 px is kept"):
        found = read_camera(
            file_storage(tmp_path / "c.yml", K=K + [[0, 0.204494, 0], [0, 0, 0], [0, 0, 0]])
        )
    assert found.skew == 0.204494


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"K": K.T.copy()}, "K is no camera matrix: it is transposed"),
        ({"K": K[:2].copy()}, "K has 6 numbers, not 9"),
        ({"K": K * 0 + np.diag([0, 0, 1.0])}, "K has fx 0: the camera is not calibrated"),
        ({"K": K, "D": LENS[:, :3].copy()}, "has 3 distortion coefficients: a pinhole has 0, 4"),
        ({"K": K, "D": np.full((1, 14), 0.01)}, "tilted sensor"),
        ({"K": K, "image_width": -640, "image_height": 480}, "an image of -640 x 480 px"),
        ({"rms": 0.5}, "no camera file that is known here"),
        ({"K": K * np.nan}, "K is no camera matrix"),
    ],
)
def test_what_is_no_camera(tmp_path: Path, values: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_camera(file_storage(tmp_path / "c.yml", **values))


def own(**changed: Any) -> dict[str, Any]:
    names = ["fx", "fy", "cx", "cy"]
    parameters = {
        "names": names,
        "standard_errors": [2.0, 1, 1, 1],
        "covariance": np.eye(4).tolist(),
        "covariance_jackknife": np.diag([4.0, 1, 1, 1]).tolist(),
    }
    return {
        "model": "k2",
        "camera_matrix": K.tolist(),
        "distortion": [-0.2, 0.08, 5e-4, -3e-4],
        "image_size": [1280, 1024],
        "pixel_pitch_mm": [0.005, 0.005],
        "parameters": parameters,
    } | changed


def test_our_json(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(json.dumps(own()))
    found = read_camera(tmp_path / "c.json")
    assert (found.fx, found.pitch_mm, found.image_size) == (K[0, 0], (0.005, 0.005), (1280, 1024))
    assert found.parameters == ("fx", "fy", "cx", "cy")
    assert found.covariance is not None
    assert found.covariance[0][0] == 4, "the wider of both"
    assert found.standard_errors == {"fx": 2, "fy": 1, "cx": 1, "cy": 1}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"model": "magic"}, "lens model magic, which is not known"),
        ({"distortion": [True, 0, 0, 0]}, "distortion is True, not a number"),
        ({"distortion": [0.1, 0, 0]}, "has 3 distortion coefficients"),
        ({"image_size": [1280.5, 1024]}, "an image of 1280.5 x 1024 px cannot be"),
        ({"pixel_pitch_mm": [0, 0.1]}, "pixel pitch of 0, 0.1 mm"),
        ({"parameters": {"names": ["fx"], "covariance": [[-1]]}}, "eigenvalue -1 is negative"),
        ({"parameters": {"names": ["fx"], "covariance": [[1, 2]]}}, "has 2 numbers, not 1"),
        ({"distortion_names": ["k1"]}, "distortion_names do not name"),
        ({"camera_matrix": [[10**400, 0, 0], [0, 1, 0], [0, 0, 1]]}, "not a number"),
        ({"camera_matrix": [[1e-300, 0, 0], [0, 1, 0], [0, 0, 1]]}, "are none of a camera"),
        ({"camera_matrix": [[1, 0, 0], [0, 1e300, 0], [0, 0, 1]]}, "are none of a camera"),
    ],
)
def test_our_json_with_an_error(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    (tmp_path / "c.json").write_text(json.dumps(own(**changed)))
    with pytest.raises(DataError, match=said):
        read_camera(tmp_path / "c.json")


def test_entities_are_refused_even_where_they_do_no_harm(tmp_path: Path) -> None:
    path = file_storage(tmp_path / "c.xml", camera_matrix=K)
    assert read_camera(path).fx == K[0, 0]
    body = path.read_text().replace('<?xml version="1.0"?>', "").replace("0. 0. 1.", "0. 0. &one;")
    assert "&one;" in body
    path.write_text(f"<!DOCTYPE opencv_storage [<!ENTITY one '1.'>]>{body}")
    with pytest.raises(DataError, match="XML with a document type"):
        read_camera(path)


def test_no_parameters_are_no_errors(tmp_path: Path) -> None:
    none = {"names": [], "covariance": [], "standard_errors": []}
    (tmp_path / "c.json").write_text(json.dumps(own(parameters=none)))
    found = read_camera(tmp_path / "c.json")
    assert (found.covariance, found.standard_errors) == (None, {})
