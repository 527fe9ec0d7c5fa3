"""Derivatives of the projection by any camera's parameters, and by turns of the camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hsitool.camera import COEFFICIENTS, CameraInfo
from hsitool.maths.cameras.lens import Floats, project

CORE = ("fx", "fy", "cx", "cy", "skew")
STEPS = {"core": 1e-2, "coefficient": 1e-5, "turn": 1e-5}
"""px, -, radians. The projection is linear in all but k4, k5, k6 and turns: central differences
are exact there to rounding, and to the step's square elsewhere."""


def own_names(info: CameraInfo, names: Sequence[str]) -> list[str]:
    """Those of the names that are intrinsics of that camera, not its board's."""
    known = {*CORE, *COEFFICIENTS[info.lens]}
    return [name for name in names if name in known]


def by_parameter(info: CameraInfo, rays: Floats, names: Sequence[str]) -> Floats:
    """(n, 2, q) px per unit of each named intrinsic, of rays (n, 3)."""
    columns = [_by_one(info, rays, name) for name in names]
    return np.stack(columns, axis=2) if columns else np.zeros((len(rays), 2, 0))


def by_turn(info: CameraInfo, rays: Floats) -> Floats:
    """(n, 2, 3) px per radian of turns of rays (n, 3) about the axes x, y, z."""
    step = STEPS["turn"]
    columns = []
    for axis in np.eye(3):
        turned = np.cross(axis, rays) * step
        columns.append((project(info, rays + turned) - project(info, rays - turned)) / (2 * step))
    return np.stack(columns, axis=2)


def _by_one(info: CameraInfo, rays: Floats, name: str) -> Floats:
    step = STEPS["core" if name in CORE else "coefficient"]
    up, down = (project(_changed(info, name, sign * step), rays) for sign in (1, -1))
    return (up - down) / (2 * step)


def _changed(info: CameraInfo, name: str, by: float) -> CameraInfo:
    if name in CORE:
        changed: dict[str, Any] = {name: getattr(info, name) + by}
        return replace(info, **changed)
    lens = dict(info.distortion) | {name: info.coefficient(name) + by}
    return replace(info, distortion=lens)
