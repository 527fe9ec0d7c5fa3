"""Projection by OpenCV's lens models, with derivatives."""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from hsitool.errors import UsageError

Floats = NDArray[np.float64]
Model = Literal["k2", "k3", "rational", "fisheye"]
MODELS: tuple[Model, ...] = ("k2", "k3", "rational", "fisheye")
LENS = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
"""Coefficients of the pinhole models in OpenCV's order; k2 has 4 of them, k3 5, rational 8."""
FISHEYE = ("k1", "k2", "k3", "k4")
COUNTS: dict[Model, int] = {"k2": 4, "k3": 5, "rational": 8, "fisheye": 4}


def intrinsic_names(model: Model) -> tuple[str, ...]:
    """fx, fy, cx, cy and the distortion coefficients of a model, in OpenCV's order."""
    if model not in COUNTS:
        raise UsageError(f"no lens model {model!r}; choose one of {', '.join(MODELS)}")
    lens = FISHEYE if model == "fisheye" else LENS[: COUNTS[model]]
    return ("fx", "fy", "cx", "cy", *lens)


def camera_matrix(intrinsics: Floats) -> Floats:
    """K, (3, 3), of fx, fy, cx, cy."""
    fx, fy, cx, cy = intrinsics[:4]
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])


def project(model: Model, intrinsics: Floats, points: Floats) -> tuple[Floats, Floats, Floats]:
    """Pixels of points in camera axes, with OpenCV's analytic derivatives, in one call.

    Args:
        model: of the lens.
        intrinsics: (q,) in the order of `intrinsic_names`.
        points: (n, 3)

    Returns:
        (n, 2) px, (n, 2, q) derivatives by the intrinsics, (n, 2, 3) by the point.
    """
    nothing = np.zeros(3)
    matrix, lens = camera_matrix(intrinsics), intrinsics[4:]
    jacobian: Any
    if model == "fisheye":
        shaped = np.ascontiguousarray(points)[:, None]
        pixels, jacobian = cv2.fisheye.projectPoints(shaped, nothing, nothing, matrix, lens)
        inner, outer = slice(0, 8), slice(11, 14)
    else:
        pixels, jacobian = cv2.projectPoints(points, nothing, nothing, matrix, lens)
        inner, outer = slice(6, 6 + len(intrinsics)), slice(3, 6)
    table = jacobian.reshape(len(points), 2, -1)
    return np.asarray(pixels, np.float64).reshape(-1, 2), table[:, :, inner], table[:, :, outer]
