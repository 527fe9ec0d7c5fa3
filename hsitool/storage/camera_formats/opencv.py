"""Cameras in OpenCV's YAML, XML and JSON, under the names that its programs and others use.

The names of OpenCV's samples are camera_matrix and distortion_coefficients (calibration), M1, D1,
M2, D2 (stereo), cameraMatrix and dist_coeffs with standard deviations (interactive-calibration).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hsitool.camera import COEFFICIENTS, CameraInfo, Lens
from hsitool.errors import DataError, HsitoolWarning
from hsitool.storage.camera_formats.document import Document, shown
from hsitool.storage.camera_formats.file_storage import as_json, as_xml, as_yaml, items_of
from hsitool.storage.camera_formats.uncertain import by_name, uncertainty
from hsitool.storage.camera_formats.values import (
    Record,
    camera_matrix,
    image_size,
    named,
    numbers,
    pitch_mm,
    pixels_per_mm,
)

MATRICES = ("cameramatrix", "intrinsicmatrix", "cameraintrinsics", "mtx", "k", "m")
DISTORTIONS = (
    *("distortioncoefficients", "distortioncoeffs", "distcoeffs", "distcoeff"),
    *("distortion", "dist", "d"),
)
NUMBERED = re.compile(r"(.*?)(\d|left|right)?")
SIZES = ("imagesize", "size", "cameraresolution", "resolution", "framesize")
SIDES = (("imagewidth", "imageheight"), ("width", "height"))
FISHEYES = ("fisheye", "equidistant", "kannala_brandt")
COUNTS = (0, 4, 5, 8, 12, 14)
FISHEYE_COUNTS = (0, 4)
TILTED = slice(12, 14)
WRITTEN_COUNTS: dict[Lens, tuple[int, ...]] = {"pinhole": (5, 8, 12), "fisheye": (4,)}
"""Numbers of coefficients that every reader of OpenCV's files takes."""
CORE = ("fx", "fy", "cx", "cy")


def read(document: Document) -> list[CameraInfo]:
    """The cameras of the file: one, or two of a stereo pair.

    Raises:
        DataError: there is none, or a coefficient that we do not have.
    """
    items = items_of(document)
    plain = {key.lower().replace("_", ""): value for key, value in items.items()}
    found = [_camera(plain, *place) for place in _places(items)]
    if not found:
        raise DataError("has no camera matrix (camera_matrix, cameraMatrix, K or M1)")
    return found


def lens_of(values: Sequence[float], fisheye: bool) -> tuple[Lens, dict[str, float]]:
    """The lens and its coefficients by name, of numbers in OpenCV's order.

    Raises:
        DataError: OpenCV has no lens of so many, or the sensor is tilted.
    """
    lens: Lens = "fisheye" if fisheye else "pinhole"
    counts = FISHEYE_COUNTS if fisheye else COUNTS
    if len(values) not in counts:
        allowed = ", ".join(map(str, counts))
        raise DataError(f"has {len(values)} distortion coefficients: a {lens} has {allowed}")
    if any(value != 0 for value in values[TILTED]):
        raise DataError("has a tilted sensor (coefficients 13 and 14), which is not supported")
    return lens, named(COEFFICIENTS[lens][: len(values)], values)


def column_of(info: CameraInfo) -> list[float]:
    """Coefficients in OpenCV's order, as many as a reader of OpenCV's files expects."""
    names = COEFFICIENTS[info.lens]
    last = max((names.index(key) + 1 for key in info.active), default=0)
    count = min(n for n in WRITTEN_COUNTS[info.lens] if n >= last)
    return [info.coefficient(key) for key in names[:count]]


def write(cameras: Sequence[CameraInfo], path: Path) -> str:
    """The text of a file with one camera, in the dialect that the ending tells."""
    endings = {".xml": as_xml, ".json": as_json}
    return endings.get(path.suffix.lower(), as_yaml)(_items(cameras[0]))


def _items(info: CameraInfo) -> dict[str, Any]:
    """The names of OpenCV's calibration sample, and those of `calib` for what it lacks."""
    items: dict[str, Any] = {"camera_name": info.name} if info.name else {}
    if info.image_size is not None:
        items["image_width"], items["image_height"] = info.image_size
    items["fisheye_model"] = int(info.lens == "fisheye")
    items["camera_matrix"] = [[info.fx, 0.0, info.cx], [0.0, info.fy, info.cy], [0.0, 0.0, 1.0]]
    items["distortion_coefficients"] = [[value] for value in column_of(info)]
    if info.covariance is not None:
        items["parameter_names"] = list(info.parameters)
        items["parameter_covariance"] = info.covariance
    elif info.standard_errors:
        items["parameter_names"] = list(info.standard_errors)
        items["parameter_standard_errors"] = [[e] for e in info.standard_errors.values()]
    if info.pitch_mm is not None:
        items["pixel_pitch_mm"] = [list(info.pitch_mm)]
    return items


def _places(items: Record) -> Iterator[tuple[str, str]]:
    """The key of each camera matrix, and what tells its other keys: 1, 2, left, right or none."""
    for key, value in items.items():
        match = NUMBERED.fullmatch(key.lower().replace("_", ""))
        if match and match[1] in MATRICES and isinstance(value, dict | list):
            yield key, match[2] or ""


def _camera(plain: Record, key: str, suffix: str) -> CameraInfo:
    fx, skew, cx, fy, cy = camera_matrix(plain[key.lower().replace("_", "")], shown(key))
    if skew != 0:
        told = f"{shown(key)}: the skew {skew:g} px is kept, though OpenCV itself leaves it out"
        warnings.warn(told, HsitoolWarning, stacklevel=2)
    lens, distortion = lens_of(_coefficients(plain, suffix), _is_fisheye(plain))
    name = shown(key) if suffix else shown(str(plain.get("cameraname") or ""))
    return CameraInfo(
        lens,
        fx,
        fy,
        cx,
        cy,
        distortion,
        _size(plain),
        skew,
        name,
        pitch_mm(plain.get("pixelpitchmm")),
        **({} if suffix else _uncertainty(plain, lens)),
    )


def _coefficients(plain: Record, suffix: str) -> list[float]:
    for key in DISTORTIONS:
        if (value := plain.get(key + suffix)) is not None:
            return numbers(value, "the distortion")
    return []


def _is_fisheye(plain: Record) -> bool:
    flag = str(plain.get("fisheyemodel", plain.get("fisheye", 0))).lower()
    return flag in ("1", "1.0", "true") or str(plain.get("distortionmodel")).lower() in FISHEYES


def _size(plain: Record) -> tuple[int, int] | None:
    for across, down in SIDES:
        if across in plain and down in plain:
            return image_size(plain[across], plain[down])
    for key in SIZES:
        if key in plain:
            width, height = numbers(plain[key], "the image's size", (2,))
            return image_size(width, height)
    return None


def _uncertainty(plain: Record, lens: Lens) -> dict[str, Any]:
    """Ours, or the standard deviations of OpenCV's interactive-calibration."""
    if (names := plain.get("parameternames")) is not None:
        listed = names.replace('"', " ").split() if isinstance(names, str) else names
        errors = plain.get("parameterstandarderrors")
        given = None if errors is None else numbers(errors, "the standard errors")
        per_f = pixels_per_mm(pitch_mm(plain.get("pixelpitchmm")))
        return uncertainty(listed, [plain.get("parametercovariance")], given, per_f)
    if (core := plain.get("cameramatrixstddev")) is None:
        return {}
    rest = plain.get("distcoeffsstddev")
    found = numbers(core, "cameraMatrix_std_dev", (4,))
    found += numbers(rest, "dist_coeffs_std_dev") if rest is not None else []
    return {"standard_errors": by_name((*CORE, *COEFFICIENTS[lens]), found)}


def claims(document: Document) -> bool:
    """Whether the file has a camera matrix under a name of OpenCV's."""
    if document.first == "<":
        return document.root.tag == "opencv_storage"
    data = document.data
    return isinstance(data, dict) and any(True for _ in _places(data))
