"""ROS camera_info: the YAML of camera_calibration, and a printed CameraInfo message.

https://docs.ros.org/en/api/sensor_msgs/html/msg/CameraInfo.html: K is of the full, unbinned
sensor; binning and region of interest apply afterwards; P is the rectified camera's.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hsitool.camera import COEFFICIENTS, CameraInfo, Lens
from hsitool.errors import DataError, HsitoolWarning
from hsitool.storage.camera_formats.document import Document, shown
from hsitool.storage.camera_formats.opencv import lens_of
from hsitool.storage.camera_formats.values import (
    Record,
    camera_matrix,
    image_size,
    number,
    numbers,
    record,
)

FISHEYES = ("equidistant", "fisheye")
MODELS = ("plumb_bob", "rational_polynomial", *FISHEYES)
HOLDS: dict[Lens, tuple[str, ...]] = {
    "pinhole": COEFFICIENTS["pinhole"][:8],
    "fisheye": COEFFICIENTS["fisheye"],
}


def claims(document: Document) -> bool:
    """Whether a camera matrix stands beside a distortion model, without OpenCV's tags."""
    if document.first == "<" or "opencv-matrix" in document.text:
        return False
    data = document.data
    if not isinstance(data, dict) or not isinstance(data.get("distortion_model"), str):
        return False
    return any(key in data for key in ("camera_matrix", "K", "k"))


def read(document: Document) -> list[CameraInfo]:
    """The one camera.

    Raises:
        DataError: it is not calibrated, or its model is not known.
    """
    data = record(document.data)
    key, matrix = _first(data, ("camera_matrix", "K", "k"))
    fx, skew, cx, fy, cy = camera_matrix(matrix, key)
    _tell_region(data)
    model = data["distortion_model"]
    if model not in MODELS:
        raise DataError(f"has the distortion model {shown(model)}, none of {', '.join(MODELS)}")
    key, values = _first(data, ("distortion_coefficients", "D", "d"))
    lens, distortion = lens_of(numbers(values, key), model in FISHEYES)
    return [
        CameraInfo(
            lens,
            fx,
            fy,
            cx,
            cy,
            distortion,
            _size(data),
            skew,
            shown(str(data.get("camera_name") or "")),
        )
    ]


def write(cameras: Sequence[CameraInfo], path: Path) -> str:
    """The text of a file with one camera, not rectified: R is a unit matrix and P is K."""
    info = cameras[0]
    width, height = info.image_size or (0, 0)
    model, names = _model(info)
    lens = [info.coefficient(name) for name in names]
    k = [info.fx, 0.0, info.cx, 0.0, info.fy, info.cy, 0.0, 0.0, 1.0]
    p = [info.fx, 0.0, info.cx, 0.0, 0.0, info.fy, info.cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    return "".join(
        [
            f"image_width: {width}\nimage_height: {height}\n",
            f"camera_name: {json.dumps(info.name or 'camera')}\n",
            _matrix("camera_matrix", 3, k),
            f"distortion_model: {model}\n",
            _matrix("distortion_coefficients", 1, lens),
            _matrix("rectification_matrix", 3, r),
            _matrix("projection_matrix", 3, p),
        ]
    )


def _model(info: CameraInfo) -> tuple[str, tuple[str, ...]]:
    """The simplest model with all coefficients, and their names."""
    if info.lens == "fisheye":
        return "equidistant", COEFFICIENTS["fisheye"]
    names = COEFFICIENTS["pinhole"]
    if set(info.active) <= set(names[:5]):
        return "plumb_bob", names[:5]
    return "rational_polynomial", names[:8]


def _matrix(key: str, rows: int, values: Sequence[float]) -> str:
    data = ", ".join(map(repr, values))
    return f"{key}:\n  rows: {rows}\n  cols: {len(values) // rows}\n  data: [{data}]\n"


def _first(data: Record, keys: Iterable[str]) -> tuple[str, Any]:
    for key in keys:
        if key in data:
            return key, data[key]
    raise DataError(f"has no {' or '.join(keys)}")


def _size(data: Record) -> tuple[int, int] | None:
    width = data.get("image_width", data.get("width"))
    height = data.get("image_height", data.get("height"))
    if width is None or height is None or width == height == 0:
        return None
    return image_size(width, height)


def _tell_region(data: Record) -> None:
    """Tell what a message does to images beyond its camera."""
    binning = [number(data.get(f"binning_{axis}", 0), f"binning_{axis}") for axis in "xy"]
    region = data.get("roi")
    sides = [region.get(side, 0) for side in ("width", "height")] if region else [0, 0]
    if any(factor > 1 for factor in binning) or any(sides):
        warnings.warn(
            "the camera is that of the full sensor: binning and region of interest of the file "
            "are not applied to it",
            HsitoolWarning,
            stacklevel=2,
        )
