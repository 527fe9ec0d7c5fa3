"""Points to pixels and back through the lens of a camera, whatever coefficients it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsitool.camera import CameraInfo

Floats = NDArray[np.float64]

COMES_BACK_WITHIN = 0.01
"""px; a ray found for a pixel must come back to it this closely."""

ROUNDS = 50
"""Of Newton's method; about five do."""

COMPLEX_STEP = 1e-30
"""Im f(x + ih) / h is the derivative, without a difference that would cancel."""


@dataclass(frozen=True)
class FieldOfView:
    """Angles in degrees between opposite edges (or corners) of the frame; NaN where undefined."""

    horizontal: float
    vertical: float
    diagonal: float


def project(info: CameraInfo, points: Floats) -> Floats:
    """(n, 2) px of points (n, 3) in camera axes; NaN behind a pinhole camera."""
    if info.lens == "fisheye":
        across = np.hypot(points[:, 0], points[:, 1])
        angle = distorted_angle(info, np.arctan2(across, points[:, 2]))
        plane = points[:, :2] * (angle / np.where(across > 0, across, 1.0))[:, None]
        return _pixels(info, plane[:, 0], plane[:, 1])
    in_front = points[:, 2] > 0
    depth = np.where(in_front, points[:, 2], np.nan)
    return project_plane(info, points[:, 0] / depth, points[:, 1] / depth)


def project_plane(info: CameraInfo, x: Floats, y: Floats) -> Floats:
    """(..., 2) px of points on the plane at distance 1 in front of the camera."""
    if info.lens == "fisheye":
        radius = np.hypot(x, y)
        ratio = distorted_angle(info, np.arctan(radius)) / np.where(radius > 0, radius, 1.0)
        return _pixels(info, x * ratio, y * ratio)
    return _pixels(info, *distorted(info, x, y))


def unproject(info: CameraInfo, pixels: Floats) -> Floats:
    """(n, 3) unit rays in camera axes that are seen at pixels (n, 2); NaN where there is none.

    There is none where the distortion folds the image over before that pixel.
    """
    y = (pixels[:, 1] - info.cy) / info.fy
    x = (pixels[:, 0] - info.cx - info.skew * y) / info.fx
    rays = _fisheye_rays(info, x, y) if info.lens == "fisheye" else _pinhole_rays(info, x, y)
    lost = ~(np.hypot(*(project(info, rays) - pixels).T) < COMES_BACK_WITHIN)
    rays[lost] = np.nan
    return rays


def distorted(info: CameraInfo, x: Any, y: Any) -> tuple[Any, Any]:
    """A pinhole's distorted plane coordinates: `CameraInfo` has the formula."""
    k = info.coefficient
    square = x * x + y * y
    radial = _radial_factor(info, square)
    cross = 2 * x * y
    across = x * radial + k("p1") * cross + k("p2") * (square + 2 * x * x)
    down = y * radial + k("p1") * (square + 2 * y * y) + k("p2") * cross
    across = across + square * (k("s1") + square * k("s2"))
    down = down + square * (k("s3") + square * k("s4"))
    return across, down


def distorted_angle(info: CameraInfo, theta: Any) -> Any:
    """A fisheye's theta (1 + k1 theta^2 + ... + k4 theta^8), radians."""
    k1, k2, k3, k4 = (info.coefficient(key) for key in ("k1", "k2", "k3", "k4"))
    square = theta * theta
    return theta * (1 + square * (k1 + square * (k2 + square * (k3 + square * k4))))


def radial_image(info: CameraInfo, radius: Any) -> Any:
    """Distorted radius (focal length 1) of undistorted ones, radial coefficients only.

    The argument is the tangent of the angle, or the angle itself for a fisheye.
    """
    if info.lens == "fisheye":
        return distorted_angle(info, radius)
    return radius * _radial_factor(info, radius * radius)


def field_of_view(info: CameraInfo, image_size: tuple[int, int]) -> FieldOfView:
    """Between the outer edges of the frame through the principal point, with distortion."""
    width, height = image_size
    left, right, top, bottom = -0.5, width - 0.5, -0.5, height - 0.5
    ends = [(left, info.cy), (right, info.cy), (info.cx, top), (info.cx, bottom)]
    rays = unproject(info, np.array([*ends, (left, top), (right, bottom)]))
    if info.lens == "fisheye":
        return FieldOfView(*(_axis_angles(rays[i : i + 2]) for i in (0, 2, 4)))
    angles = np.arccos(np.clip(np.sum(rays[::2] * rays[1::2], axis=1), -1, 1))
    return FieldOfView(*(float(angle) for angle in np.degrees(angles)))


def pinhole_field_of_view(info: CameraInfo, image_size: tuple[int, int]) -> FieldOfView:
    """The same without distortion (2 atan of half the frame per focal length)."""
    straight = CameraInfo("pinhole", info.fx, info.fy, info.cx, info.cy, skew=info.skew)
    return field_of_view(straight, image_size)


def fold_radius(info: CameraInfo, reach: float) -> float | None:
    """Undistorted radius (as in `radial_image`) up to `reach` where the slope turns, or None."""
    radius = np.linspace(0, reach, 4001)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        turns = np.flatnonzero(~(np.diff(radial_image(info, radius)) > 0))
    return float(radius[turns[0]]) if turns.size else None


def folds_at(info: CameraInfo, image_size: tuple[int, int]) -> float | None:
    """Pixels from the principal point at which the image folds over, None if not in frame."""
    width, height = image_size
    corners = np.array([(x, y) for x in (-0.5, width - 0.5) for y in (-0.5, height - 0.5)])
    plane = (corners - [info.cx, info.cy]) / [info.fx, info.fy]
    reach = float(np.hypot(*plane.T).max())
    turn = fold_radius(info, np.pi if info.lens == "fisheye" else 3 * reach + 1)
    if turn is None or radial_image(info, turn) >= reach:
        return None
    return float(radial_image(info, turn) * np.sqrt(info.fx * info.fy))


def _radial_factor(info: CameraInfo, square: Any) -> Any:
    k = info.coefficient
    up = 1 + square * (k("k1") + square * (k("k2") + square * (k("k3") + square * k("r8"))))
    down = 1 + square * (k("k4") + square * (k("k5") + square * k("k6")))
    return up / down


def _pixels(info: CameraInfo, x: Floats, y: Floats) -> Floats:
    return np.stack([info.fx * x + info.skew * y + info.cx, info.fy * y + info.cy], axis=-1)


def _pinhole_rays(info: CameraInfo, x: Floats, y: Floats) -> Floats:
    """Newton's method on the plane, from the distorted point; NaN beyond a fold."""
    at_x, at_y = x.copy(), y.copy()
    with np.errstate(all="ignore"):
        for _ in range(ROUNDS):
            step_x, step_y = _newton_step(info, at_x, at_y, x, y)
            at_x, at_y = at_x - step_x, at_y - step_y
            if not np.nanmax(np.abs([step_x, step_y]), initial=0.0) > 1e-15:
                break
        radius = np.hypot(at_x, at_y)
        folds = fold_radius(info, float(np.nanmax(radius, initial=0.0)) + 1e-9)
    rays: Floats = np.column_stack([at_x, at_y, np.ones(len(x))])
    if folds is not None:
        rays[~(radius < folds)] = np.nan
    unit: Floats = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    return unit


def _newton_step(
    info: CameraInfo, at_x: Floats, at_y: Floats, x: Floats, y: Floats
) -> tuple[Floats, Floats]:
    """What to take off a point whose image should be x, y."""
    by_x = distorted(info, at_x + 1j * COMPLEX_STEP, at_y)
    by_y = distorted(info, at_x, at_y + 1j * COMPLEX_STEP)
    xx, yx = (part.imag / COMPLEX_STEP for part in by_x)
    xy, yy = (part.imag / COMPLEX_STEP for part in by_y)
    off_x, off_y = by_x[0].real - x, by_x[1].real - y
    area = xx * yy - xy * yx
    return (yy * off_x - xy * off_y) / area, (xx * off_y - yx * off_x) / area


def _fisheye_rays(info: CameraInfo, x: Floats, y: Floats) -> Floats:
    """Newton's method on the angle to the axis."""
    angle = np.hypot(x, y)
    theta = angle.copy()
    for _ in range(ROUNDS):
        value = distorted_angle(info, theta + 1j * COMPLEX_STEP)
        slope = value.imag / COMPLEX_STEP
        step = (value.real - angle) / np.where(slope == 0, 1.0, slope)
        theta = np.clip(theta - step, 0, np.pi)
    across = np.sin(theta) / np.where(angle > 0, angle, 1.0)
    return np.column_stack([x * across, y * across, np.cos(theta)])


def _axis_angles(rays: Floats) -> float:
    """Degrees between two rays on opposite sides of the axis, which may exceed 180."""
    off = np.arctan2(np.hypot(rays[:, 0], rays[:, 1]), rays[:, 2])
    return float(np.degrees(off.sum()))
