"""Differences of two cameras, against OpenCV's projections and a rotation fitted by SciPy."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from hsitool.camera import CameraInfo
from hsitool.errors import DataError
from hsitool.maths.cameras.difference import camera_difference
from hsitool.maths.cameras.lens_derivatives import by_parameter, by_turn

SIZE = (1280, 1024)
LENS = {"k1": -0.2, "k2": 0.08, "p1": 5e-4, "p2": -3e-4}
A = CameraInfo("pinhole", 1600, 1605, 650, 500, LENS, SIZE)
B = CameraInfo("pinhole", 1612, 1610, 655, 493, {**LENS, "k1": -0.19, "k3": 0.02}, SIZE)


def seen_by(info: CameraInfo, rays: np.ndarray) -> np.ndarray:
    matrix = np.array([[info.fx, 0, info.cx], [0, info.fy, info.cy], [0, 0, 1]])
    lens = np.array([info.coefficient(key) for key in ("k1", "k2", "p1", "p2", "k3")])
    return cv2.projectPoints(rays, np.zeros(3), np.zeros(3), matrix, lens)[0].reshape(-1, 2)


def rays_of(info: CameraInfo, pixels: np.ndarray) -> np.ndarray:
    matrix = np.array([[info.fx, 0, info.cx], [0, info.fy, info.cy], [0, 0, 1]])
    lens = np.array([info.coefficient(key) for key in ("k1", "k2", "p1", "p2", "k3")])
    plane = cv2.undistortPoints(pixels[:, None], matrix, lens, criteria=(3, 100, 1e-14))
    return np.column_stack([plane.reshape(-1, 2), np.ones(len(pixels))])


def test_the_difference_is_that_of_opencv_and_scipy() -> None:
    found = camera_difference(A, B)
    pixels = found.pixels.reshape(-1, 2)
    rays = rays_of(A, pixels)

    def residual(vector: np.ndarray) -> np.ndarray:
        return (seen_by(B, Rotation.from_rotvec(vector).apply(rays)) - pixels).ravel()

    best = least_squares(residual, np.zeros(3), x_scale=1e-3, xtol=1e-15, ftol=1e-15, gtol=1e-15)
    np.testing.assert_allclose(np.radians(found.turn_deg), best.x, atol=1e-8)
    np.testing.assert_allclose(found.moved.reshape(-1, 2), best.fun.reshape(-1, 2), atol=1e-4)
    assert found.rms_px == pytest.approx(math.sqrt(2 * np.mean(best.fun**2)), rel=1e-6)
    assert found.max_px == pytest.approx(np.hypot(*best.fun.reshape(-1, 2).T).max(), rel=1e-4)
    assert found.prediction is None
    corners = np.hypot(*best.fun.reshape(*found.pixels.shape).T).T[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert found.corners_px == pytest.approx(corners, rel=1e-4)


def test_the_same_camera_is_nowhere_apart() -> None:
    assert camera_difference(A, replace(A, name="copy")).max_px < 1e-9


def test_a_shifted_centre_is_a_turn() -> None:
    plain = CameraInfo("pinhole", 16000, 16000, 640, 512, {}, SIZE)
    found = camera_difference(plain, replace(plain, cx=645.0))
    assert found.max_px < 0.02
    assert found.turn_deg[1] == pytest.approx(-math.degrees(5 / 16000), rel=1e-3)
    assert found.shift_px == pytest.approx((-5, 0), abs=0.01)


def test_lens_models_may_differ() -> None:
    """A fisheye with the series of the tangent is a camera without distortion."""
    series = {"k1": 1 / 3, "k2": 2 / 15, "k3": 17 / 315, "k4": 62 / 2835}
    plain = CameraInfo("pinhole", 4000, 4000, 640, 512, {}, SIZE)
    fisheye = CameraInfo("fisheye", 4000, 4000, 640, 512, series, SIZE)
    assert camera_difference(plain, fisheye).max_px < 1e-4
    assert camera_difference(fisheye, plain).max_px < 1e-4
    assert camera_difference(plain, replace(fisheye, distortion={})).max_px > 1


def test_derivatives_are_opencvs() -> None:
    rays = rays_of(B, camera_difference(A, B).pixels.reshape(-1, 2)[::37])
    matrix = np.array([[B.fx, 0, B.cx], [0, B.fy, B.cy], [0, 0, 1]])
    names = ["fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"]
    lens = np.array([B.coefficient(key) for key in names[4:]])
    table = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), matrix, lens)[1]
    table = table.reshape(len(rays), 2, -1)
    np.testing.assert_allclose(
        by_parameter(B, rays, names), table[:, :, 6:18], rtol=1e-6, atol=1e-5
    )
    np.testing.assert_allclose(by_turn(B, rays), table[:, :, :3], rtol=1e-6, atol=1e-4)


def covered(info: CameraInfo, seed: int) -> CameraInfo:
    names = ("fx", "fy", "cx", "cy", "k1", "aspect")
    root = np.random.default_rng(seed).normal(size=(6, 6)) * [1, 1, 1, 1, 1e-3, 1e-4]
    covariance = tuple(map(tuple, (root.T @ root).tolist()))
    return replace(info, parameters=names, covariance=covariance)


@pytest.mark.parametrize("second", [False, True], ids=["one's errors", "both's errors"])
def test_the_prediction_is_the_spread_of_draws(second: bool) -> None:
    """Cameras drawn from their covariances around the same truth."""
    rng = np.random.default_rng(3)
    one, other = covered(A, 1), covered(A, 2) if second else A
    prediction = camera_difference(one, other).prediction
    assert prediction is not None
    drawn = [camera_difference(moved(one, rng), moved(other, rng)) for _ in range(200)]
    rms = np.array([found.rms_px for found in drawn])
    ratio = math.sqrt(np.mean(rms**2)) / prediction.rms_px
    print(f"draws / prediction {ratio:.3f}")
    assert ratio == pytest.approx(1, abs=0.12)
    above = np.mean(rms > prediction.limit_px)
    print(f"{100 * above:.1f} % above the limit")
    assert 0 <= above < 0.04
    sd = np.sqrt(np.mean([found.lengths**2 for found in drawn], axis=0))
    assert np.median(sd / prediction.sd_px) == pytest.approx(1, abs=0.12)
    assert prediction.of == ((0, 1) if second else (0,))


def moved(info: CameraInfo, rng: np.random.Generator) -> CameraInfo:
    if info.covariance is None:
        return info
    off = dict(
        zip(info.parameters, rng.multivariate_normal(np.zeros(6), info.covariance), strict=True)
    )
    k1 = info.coefficient("k1") + off["k1"]
    core = {key: getattr(info, key) + off[key] for key in ("fx", "fy", "cx", "cy")}
    return replace(info, **core, distortion={**info.distortion, "k1": k1}, covariance=None)


def test_what_folds_over_is_not_compared() -> None:
    folded = CameraInfo("pinhole", 800, 800, 640, 512, {"k1": -0.35}, SIZE)
    found = camera_difference(folded, replace(folded, fx=801.0))
    assert 0.1 < found.unseen < 0.9
    assert np.isnan(found.lengths[0, 0]) and math.isnan(found.corners_px[0])
    assert math.isfinite(found.rms_px)


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (replace(B, image_size=(640, 480)), "cameras of images of 1280x1024 and 640x480 px"),
        (replace(B, distortion={"k1": -90.0}), r"both cameras see only \d % of the frame"),
    ],
)
def test_what_cannot_be_compared(second: CameraInfo, said: str) -> None:
    with pytest.raises(DataError, match=said):
        camera_difference(A, second)


def test_one_size_is_enough() -> None:
    assert camera_difference(replace(A, image_size=None), B).rms_px > 0
    with pytest.raises(DataError, match="neither camera tells the size"):
        camera_difference(replace(A, image_size=None), replace(B, image_size=None))
