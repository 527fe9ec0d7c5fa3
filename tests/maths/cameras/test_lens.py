"""The lens of a camera with any coefficients: OpenCV's projections, inverses, folds."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from hsitool.camera import COEFFICIENTS, CameraInfo
from hsitool.errors import DataError
from hsitool.maths.cameras.lens import fold_radius, folds_at, project, project_plane, unproject

SIZE = (1280, 1024)
THIN_PRISM = dict(
    zip(
        COEFFICIENTS["pinhole"],
        (-0.2, 0.08, 5e-4, -3e-4, 0.01, 0.02, -0.03, 0.005, 1e-3, -2e-4, 5e-4, 3e-4),
        strict=False,
    )
)
FISHEYE = {"k1": 0.05, "k2": -0.01, "k3": 0.003, "k4": -0.001}


def pinhole(distortion: dict[str, float], skew: float = 0.0) -> CameraInfo:
    return CameraInfo("pinhole", 900, 905, 650, 500, distortion, SIZE, skew)


def points(rng: np.random.Generator) -> np.ndarray:
    return np.column_stack([rng.uniform(-250, 250, (200, 2)), rng.uniform(350, 500, 200)])


def test_thin_prism_and_rational_coefficients_are_opencvs(rng: np.random.Generator) -> None:
    seen, known = points(rng), pinhole(THIN_PRISM)
    matrix = np.array([[900.0, 0, 650], [0, 905, 500], [0, 0, 1]])
    coefficients = np.array(list(THIN_PRISM.values()))
    wanted, _ = cv2.projectPoints(seen, np.zeros(3), np.zeros(3), matrix, coefficients)
    np.testing.assert_allclose(project(known, seen), wanted.reshape(-1, 2), atol=1e-9)
    plane = seen[:, :2] / seen[:, 2:]
    np.testing.assert_allclose(project_plane(known, *plane.T), wanted.reshape(-1, 2), atol=1e-9)


def test_a_fisheye_is_opencvs(rng: np.random.Generator) -> None:
    seen = points(rng)
    matrix = np.array([[900.0, 0, 650], [0, 905, 500], [0, 0, 1]])
    wanted, _ = cv2.fisheye.projectPoints(
        seen[:, None], np.zeros(3), np.zeros(3), matrix, np.array(list(FISHEYE.values()))
    )
    known = CameraInfo("fisheye", 900, 905, 650, 500, FISHEYE, SIZE)
    np.testing.assert_allclose(project(known, seen), wanted.reshape(-1, 2), atol=1e-9)
    plane = seen[:, :2] / seen[:, 2:]
    np.testing.assert_allclose(project_plane(known, *plane.T), wanted.reshape(-1, 2), atol=1e-9)


def test_skew_moves_u_by_v() -> None:
    """Zhang's K: u = fx x + skew y + cx."""
    at = project(pinhole({}, skew=2.0), np.array([[0.1, 0.3, 1.0]]))
    np.testing.assert_allclose(at, [[90 + 0.6 + 650, 271.5 + 500]], atol=1e-12)


def test_the_eighth_power_of_the_radius() -> None:
    at = project(pinhole({"r8": 0.5}), np.array([[0.6, 0.0, 1.0]]))
    assert at[0, 0] == pytest.approx(650 + 900 * 0.6 * (1 + 0.5 * 0.6**8), abs=1e-12)


@pytest.mark.parametrize(
    "known",
    [
        pinhole({}),
        pinhole(THIN_PRISM, skew=1.5),
        pinhole({"k1": 0.1, "r8": 0.02}),
        pinhole({"k1": -0.2, "k2": 0.08}),
        CameraInfo("fisheye", 600, 605, 650, 500, FISHEYE, SIZE, skew=0.3),
    ],
    ids=["none", "all", "r8", "barrel", "fisheye"],
)
def test_every_pixel_has_its_ray(known: CameraInfo, rng: np.random.Generator) -> None:
    pixels = rng.uniform(0, 1, (500, 2)) * SIZE
    pixels[0] = known.cx, known.cy
    rays = unproject(known, pixels)
    error = np.abs(project(known, rays) - pixels).max()
    print(f"{error:.1e} px")
    assert error < 1e-9
    np.testing.assert_allclose(np.linalg.norm(rays, axis=1), 1, atol=1e-12)


def test_rays_beyond_a_fold_are_none() -> None:
    """k1 = -0.35 alone folds at r = 0.976; its image reaches r (1 - 0.35 r^2) = 0.651."""
    known = CameraInfo("pinhole", 500, 500, 499.5, 499.5, {"k1": -0.35}, (1000, 1000))
    inside, outside = 499.5 + 500 * 0.64, 499.5 + 500 * 0.66
    rays = unproject(known, np.array([[inside, 499.5], [outside, 499.5]]))
    assert np.isfinite(rays[0]).all() and np.isnan(rays[1]).all()
    assert fold_radius(known, 3.0) == pytest.approx(0.976, abs=2e-3)
    assert folds_at(known, (1000, 1000)) == pytest.approx(500 * 0.6506, rel=1e-3)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"fx": 0.0}, "camera left: focal lengths must be above 0 px, not 0, 905"),
        ({"cy": float("nan")}, "camera left: cy is nan"),
        ({"distortion": {"k9": 0.1}}, "camera left: a pinhole has no coefficient k9"),
        ({"image_size": (0, 10)}, "camera left: an image of 0 x 10 px"),
    ],
)
def test_numbers_that_are_no_camera(changed: dict, said: str) -> None:
    numbers = {"fx": 900.0, "fy": 905.0, "cx": 650.0, "cy": 500.0} | changed
    with pytest.raises(DataError, match=said):
        CameraInfo("pinhole", **numbers, name="left")
