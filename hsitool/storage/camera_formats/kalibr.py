"""Kalibr's camchain YAML: several cameras, pinhole with radtan, equidistant or no distortion.

https://github.com/ethz-asl/kalibr/wiki/yaml-formats and /supported-models; pixel centres and the
order k1 k2 p1 p2 are OpenCV's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hsitool.camera import COEFFICIENTS, CameraInfo, Lens
from hsitool.errors import DataError
from hsitool.storage.camera_formats.document import Document, shown
from hsitool.storage.camera_formats.values import Record, image_size, named, numbers, record

RADTAN = COEFFICIENTS["pinhole"][:4]
DISTORTIONS: dict[str, tuple[Lens, tuple[str, ...]]] = {
    "radtan": ("pinhole", RADTAN),
    "radial-tangential": ("pinhole", RADTAN),
    "equidistant": ("fisheye", COEFFICIENTS["fisheye"]),
    "equi": ("fisheye", COEFFICIENTS["fisheye"]),
    "none": ("pinhole", ()),
}
HOLDS: dict[Lens, tuple[str, ...]] = {"pinhole": RADTAN, "fisheye": COEFFICIENTS["fisheye"]}


def claims(document: Document) -> bool:
    """Whether some named part has a camera model with intrinsics."""
    data = document.data if document.first not in "<{[" else None
    return isinstance(data, dict) and bool(_cameras(data))


def read(document: Document) -> list[CameraInfo]:
    """The cameras of the chain.

    Raises:
        DataError: a model that we do not have.
    """
    found = _cameras(record(document.data))
    return [_camera(shown(name), part) for name, part in found.items()]


def write(cameras: Sequence[CameraInfo], path: Path) -> str:
    """A chain cam0, cam1, ... without extrinsics."""
    return "".join(_text(f"cam{number}", info) for number, info in enumerate(cameras))


def _cameras(data: Record) -> dict[str, Any]:
    parts = {"": data} | dict(data)
    return {
        name: part
        for name, part in parts.items()
        if isinstance(part, dict) and "camera_model" in part and "intrinsics" in part
    }


def _camera(name: str, part: Record) -> CameraInfo:
    model, kind = part["camera_model"], part.get("distortion_model") or "none"
    if model != "pinhole":
        raise DataError(f"camera {name} has the model {shown(str(model))}: only pinhole is known")
    if not isinstance(kind, str) or kind not in DISTORTIONS:
        known = ", ".join(DISTORTIONS)
        raise DataError(f"camera {name} has the distortion {shown(str(kind))}, none of {known}")
    fx, fy, cx, cy = numbers(part["intrinsics"], f"camera {name}: intrinsics", (4,))
    lens, names = DISTORTIONS[kind]
    given = part.get("distortion_coeffs", part.get("distortion_coefficients")) or []
    what = f"camera {name}: distortion_coeffs"
    values = numbers(given, what, (len(names),) if names else ())
    if not names and any(values):
        raise DataError(f"{what}: it has {len(values)}, but names no distortion_model they are of")
    size = part.get("resolution")
    sides = None if size is None else image_size(*numbers(size, "resolution", (2,)))
    return CameraInfo(lens, fx, fy, cx, cy, named(names, values), sides, name=name)


def _text(name: str, info: CameraInfo) -> str:
    width, height = info.image_size or (0, 0)
    kind = "radtan" if info.lens == "pinhole" else "equidistant"
    lens = [info.coefficient(key) for key in HOLDS[info.lens]]
    return (
        f"{name}:\n"
        "  camera_model: pinhole\n"
        f"  intrinsics: {[info.fx, info.fy, info.cx, info.cy]}\n"
        f"  distortion_model: {kind}\n"
        f"  distortion_coeffs: {lens}\n"
        f"  rostopic: /{name}/image_raw\n"
        f"  resolution: [{width}, {height}]\n"
    )
