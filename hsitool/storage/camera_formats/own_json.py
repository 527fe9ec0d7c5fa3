"""Our own JSON: what `hsitool calib --json` prints, as far as it tells the camera.

A converted camera has the same names: `model`, `camera_matrix`, `distortion`, `image_size`,
`pixel_pitch_mm`, `parameters`; with `distortion_names` where the coefficients are not OpenCV's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hsitool
from hsitool.camera import COEFFICIENTS, CameraInfo, Lens
from hsitool.errors import DataError
from hsitool.storage.camera_formats.document import Document, shown
from hsitool.storage.camera_formats.opencv import column_of, lens_of
from hsitool.storage.camera_formats.uncertain import record_of, uncertainty
from hsitool.storage.camera_formats.values import (
    Record,
    camera_matrix,
    image_size,
    numbers,
    pitch_mm,
    pixels_per_mm,
    record,
    texts,
)

MODELS = {0: "k2", 4: "k2", 5: "k3", 8: "rational", 12: "thin_prism"}
BEYOND_OPENCV = "r8"


def claims(document: Document) -> bool:
    """Whether it is JSON of a model and a camera matrix by rows."""
    data = document.data if document.first == "{" else None
    return (
        isinstance(data, dict) and "model" in data and isinstance(data.get("camera_matrix"), list)
    )


def read(document: Document) -> list[CameraInfo]:
    """The one camera.

    Raises:
        DataError: it lacks something, or its numbers are none of a camera.
    """
    data = record(document.data)
    fx, skew, cx, fy, cy = camera_matrix(data["camera_matrix"], "camera_matrix")
    lens, distortion = _lens(data)
    size, pitch = data.get("image_size"), pitch_mm(data.get("pixel_pitch_mm"))
    return [
        CameraInfo(
            lens,
            fx,
            fy,
            cx,
            cy,
            distortion,
            None if size is None else image_size(*numbers(size, "image_size", (2,))),
            skew,
            shown(str(data.get("name") or "")),
            pitch,
            **_uncertainty(data.get("parameters"), pixels_per_mm(pitch)),
        )
    ]


def write(cameras: Sequence[CameraInfo], path: Path) -> str:
    """The text of a file with one camera."""
    return json.dumps(camera_record(cameras[0]), allow_nan=False) + "\n"


def camera_record(info: CameraInfo) -> dict[str, Any]:
    """One camera as an object of named values, for JSON."""
    found: dict[str, Any] = {"tool": f"hsitool {hsitool.__version__}", "name": info.name or None}
    found["image_size"] = None if info.image_size is None else list(info.image_size)
    found |= _distortion(info)
    found["camera_matrix"] = [[info.fx, info.skew, info.cx], [0.0, info.fy, info.cy], [0, 0, 1.0]]
    found["pixel_pitch_mm"] = None if info.pitch_mm is None else list(info.pitch_mm)
    names = info.parameters or tuple(info.standard_errors)
    found["parameters"] = record_of(names, info.covariance, info.standard_errors)
    return found


def _distortion(info: CameraInfo) -> dict[str, Any]:
    if info.coefficient(BEYOND_OPENCV) != 0:
        names = info.active
        values = [info.coefficient(name) for name in names]
        return {"model": info.lens, "distortion_names": list(names), "distortion": values}
    column = column_of(info)
    if info.lens == "fisheye":
        return {"model": info.lens, "distortion": column}
    if info.coefficient("k3") == 0 and len(column) == 5:
        column = column[:4]
    return {"model": MODELS[len(column)], "distortion": column}


def _lens(data: Record) -> tuple[Lens, dict[str, float]]:
    values = numbers(data.get("distortion", []), "distortion")
    fisheye = data["model"] == "fisheye"
    if data["model"] not in (*MODELS.values(), "pinhole", "fisheye"):
        raise DataError(f"has the lens model {shown(str(data['model']))}, which is not known")
    if (names := data.get("distortion_names")) is None:
        return lens_of(values, fisheye)
    lens: Lens = "fisheye" if fisheye else "pinhole"
    listed = texts(names, "distortion_names")
    if len(listed) != len(values) or not set(listed) <= set(COEFFICIENTS[lens]):
        raise DataError("distortion_names do not name the coefficients of distortion")
    return lens, dict(zip(listed, values, strict=True))


def _uncertainty(value: Any, per_f: tuple[float, float]) -> dict[str, Any]:
    if value is None:
        return {}
    parts = record(value, "parameters")
    covariances = [parts.get("covariance"), parts.get("covariance_jackknife")]
    names, errors = parts.get("names", []), parts.get("standard_errors")
    return uncertainty(names, covariances, errors, per_f)
