"""Metashape's (PhotoScan's) XML: a calibration, or the sensors of exported cameras.

Metashape Professional User Manual, appendix "Camera models", frame cameras:
x' = x (1 + K1 r^2 + K2 r^4 + K3 r^6 + K4 r^8) + P1 (r^2 + 2 x^2) + 2 P2 x y,
y' = y (...) + P2 (r^2 + 2 y^2) + 2 P1 x y, u = w/2 + cx + x' f + x' B1 + y' B2, v = h/2 + cy + y' f
with the image's corner at (0, 0). So fx = f + B1, fy = f, the skew is B2, its P1 is OpenCV's p2 and
its P2 OpenCV's p1, K4 is our r8, and principal points are 0.5 px apart. A fisheye has the same
formulas on x, y scaled to the angle.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import numpy as np

from hsitool.camera import COEFFICIENTS, CameraInfo, Lens
from hsitool.errors import DataError, HsitoolWarning
from hsitool.storage.camera_formats.document import Document, shown
from hsitool.storage.camera_formats.uncertain import uncertainty
from hsitool.storage.camera_formats.values import image_size, number, numbers, pitch_mm
from hsitool.storage.covariance import sound

CORNER = 0.5
"""What Metashape's coordinates of a point exceed ours by."""
LENSES: dict[str, Lens] = {
    "frame": "pinhole",
    "fisheye": "fisheye",
    "equidistant_fisheye": "fisheye",
}
OURS: dict[Lens, dict[str, str]] = {
    "pinhole": {"k1": "k1", "k2": "k2", "k3": "k3", "k4": "r8", "p1": "p2", "p2": "p1"},
    "fisheye": {key: key for key in COEFFICIENTS["fisheye"]},
}
"""Our coefficient by theirs."""
HOLDS: dict[Lens, tuple[str, ...]] = {lens: tuple(names.values()) for lens, names in OURS.items()}
KNOWN = ("f", "cx", "cy", "b1", "b2", "k1", "k2", "k3", "k4", "p1", "p2", "p3", "p4")
ROOTS = ("calibration", "document", "chunk", "sensor")
OLD = ("fx", "fy", "skew")


def claims(document: Document) -> bool:
    """Whether the root is one of Metashape's."""
    return document.first == "<" and document.root.tag in ROOTS


def read(document: Document) -> list[CameraInfo]:
    """The cameras: one, or that of each sensor, by its label.

    Raises:
        DataError: there is none, or of a kind that we do not have.
    """
    root = document.root
    if root.tag == "calibration":
        kind = root.findtext("projection", "frame").strip()
        size = image_size(root.findtext("width"), root.findtext("height"))
        return [_camera(root, kind, size, "", None)]
    found = [(s, c) for s in root.iter("sensor") if (c := _calibration(s)) is not None]
    if not found:
        raise DataError("has no sensor with a calibration")
    names = _names([sensor for sensor, _ in found])
    return [_of_sensor(*pair, name) for pair, name in zip(found, names, strict=True)]


def write(cameras: Sequence[CameraInfo], path: Path) -> str:
    """A calibration of one camera; sensors of several, or where the pixel pitch is known."""
    if len(cameras) == 1 and cameras[0].pitch_mm is None and not cameras[0].name:
        root = _calibration_of(cameras[0])
    else:
        root = Element("document", version="2.0.0")
        sensors = SubElement(SubElement(root, "chunk", label="Chunk 1"), "sensors")
        for number_, info in enumerate(cameras):
            sensors.append(_sensor_of(number_, info))
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def _calibration(sensor: Element) -> Element | None:
    """The adjusted calibration of a sensor, else the only one."""
    found = sensor.findall("calibration")
    adjusted = [c for c in found if c.get("class") == "adjusted"]
    return next(iter(adjusted or found), None)


def _names(sensors: Sequence[Element]) -> list[str]:
    """Labels, or numbers where labels repeat or lack."""
    labels = [shown(sensor.get("label") or "") for sensor in sensors]
    if all(labels) and len(set(labels)) == len(labels):
        return labels
    return [shown(sensor.get("id") or str(i)) for i, sensor in enumerate(sensors)]


def _of_sensor(sensor: Element, calibration: Element, name: str) -> CameraInfo:
    resolution = calibration.find("resolution")
    place = sensor.find("resolution") if resolution is None else resolution
    if place is None:
        raise DataError(f"sensor {name} has no resolution")
    kind = calibration.get("type") or sensor.get("type") or "frame"
    size = image_size(place.get("width"), place.get("height"))
    if calibration.get("class") == "initial":
        told = f"sensor {name} has an initial calibration alone, not adjusted to images"
        warnings.warn(told, HsitoolWarning, stacklevel=2)
    info = _camera(calibration, kind, size, name, _pitch(sensor))
    return replace(info, **_uncertainty(sensor, info.lens))


def _uncertainty(sensor: Element, lens: Lens) -> dict[str, Any]:
    """The covariance of their parameters as one of ours: fx = f + b1 and fy = f, or one f."""
    theirs = (sensor.findtext("covariance/params") or "").split()
    if not theirs or len(theirs) > len(KNOWN) or not set(theirs) <= set(KNOWN):
        return {}
    counts = (len(theirs) ** 2,)
    given = numbers(sensor.findtext("covariance/coeffs") or "", "the covariance", counts)
    covariance = sound(np.array(given).reshape(len(theirs), len(theirs)), "the covariance")
    turn = np.eye(len(theirs))
    ours = OURS[lens] | {"cx": "cx", "cy": "cy", "f": "f", "b2": "skew"}
    if "f" in theirs and "b1" in theirs:
        turn[theirs.index("b1"), theirs.index("f")] = 1.0
        ours |= {"b1": "fx", "f": "fy"}
    names = [ours.get(name, name) for name in theirs]
    return uncertainty(names, [(turn @ covariance @ turn.T).tolist()], None)


def _pitch(sensor: Element) -> tuple[float, float] | None:
    found = {p.get("name"): p.get("value") for p in sensor.findall("property")}
    if "pixel_width" not in found or "pixel_height" not in found:
        return None
    sides = [number(found[f"pixel_{side}"], f"pixel_{side}") for side in ("width", "height")]
    return pitch_mm(sides) if all(sides) else None  # it writes 0 for what it does not know


def _camera(
    part: Element,
    kind: str,
    size: tuple[int, int],
    name: str,
    pitch: tuple[float, float] | None,
) -> CameraInfo:
    where = f"sensor {name}" if name else "the calibration"
    if kind not in LENSES:
        raise DataError(f"{where} is of the type {shown(kind)}: {', '.join(LENSES)} are known")
    if any(part.find(key) is not None for key in OLD):
        raise DataError(f"{where} has fx, fy as PhotoScan before 1.2: export it from a newer one")
    given = {key: number(part.findtext(key, "0"), f"{where}: {key}") for key in KNOWN}
    lens, f = LENSES[kind], given["f"]
    names = OURS[lens]
    lost = [key for key in KNOWN[5:] if key not in names and given[key] != 0]
    if lost:
        raise DataError(f"{where} has {lost[0]} = {given[lost[0]]:g}, which is not supported")
    return CameraInfo(
        lens,
        f + given["b1"],
        f,
        size[0] / 2 + given["cx"] - CORNER,
        size[1] / 2 + given["cy"] - CORNER,
        {ours: given[theirs] for theirs, ours in names.items()},
        size,
        given["b2"],
        name,
        pitch,
    )


def _values(info: CameraInfo) -> dict[str, float]:
    """Their parameters that are not 0, f and the principal point always."""
    width, height = info.image_size or (0, 0)
    cx, cy = info.cx + CORNER - width / 2, info.cy + CORNER - height / 2
    given = {"f": info.fy, "cx": cx, "cy": cy, "b1": info.fx - info.fy, "b2": info.skew}
    given |= {theirs: info.coefficient(ours) for theirs, ours in OURS[info.lens].items()}
    return {key: value for key, value in given.items() if value != 0 or key in KNOWN[:3]}


def _kind(info: CameraInfo) -> str:
    return "frame" if info.lens == "pinhole" else "fisheye"


def _fill(element: Element, info: CameraInfo) -> Element:
    for key, value in _values(info).items():
        SubElement(element, key).text = repr(float(value))
    return element


def _calibration_of(info: CameraInfo) -> Element:
    width, height = info.image_size or (0, 0)
    root = Element("calibration")
    for key, text in (("projection", _kind(info)), ("width", width), ("height", height)):
        SubElement(root, key).text = str(text)
    return _fill(root, info)


def _sensor_of(number_: int, info: CameraInfo) -> Element:
    width, height = (str(side) for side in info.image_size or (0, 0))
    kind = _kind(info)
    label = info.name or f"camera {number_}"
    sensor = Element("sensor", id=str(number_), label=label, type=kind)
    SubElement(sensor, "resolution", width=width, height=height)
    if info.pitch_mm is not None:
        for side, pitch in zip(("width", "height"), info.pitch_mm, strict=True):
            SubElement(sensor, "property", name=f"pixel_{side}", value=repr(pitch))
    calibration = SubElement(sensor, "calibration", {"type": kind, "class": "adjusted"})
    SubElement(calibration, "resolution", width=width, height=height)
    _fill(calibration, info)
    return sensor
