"""A camera of numbers that were typed instead of read from a file."""

from __future__ import annotations

import math

from hsitool.camera import CameraInfo
from hsitool.errors import DataError, UsageError
from hsitool.maths.cameras.camera import Sensor
from hsitool.storage.camera_formats.opencv import lens_of
from hsitool.storage.camera_formats.values import camera_matrix
from hsitool.tasks import calib_words

CORE = ("fx", "fy", "cx", "cy")
Size = tuple[int, int]


def typed_camera(
    k: str,
    lens: str | None = None,
    errors: str | None = None,
    size: Size | None = None,
    *,
    fisheye: bool = False,
) -> CameraInfo:
    """The camera of `--K`, `--dist`, `--std` and `--size`.

    Args:
        k: 9 numbers by rows, or fx,fy,cx,cy.
        lens: distortion in OpenCV's order.
        errors: standard errors of fx, fy (and cx, cy).
        size: (width, height) in px.
        fisheye: the distortion is on the angle.

    Raises:
        UsageError: other counts, or numbers that are none of a camera.
    """
    values = _numbers(k, "--K", (4, 9))
    try:
        if len(values) == 4:
            fx, fy, cx, cy, skew = *values, 0.0
        else:
            fx, skew, cx, fy, cy = camera_matrix(values, "the matrix")
        kind, distortion = lens_of(_numbers(lens, "--dist") if lens else [], fisheye)
        found = _numbers(errors, "--std", (2, 4)) if errors else []
        named = dict(zip(CORE, found, strict=False))
        return CameraInfo(kind, fx, fy, cx, cy, distortion, size, skew, standard_errors=named)
    except DataError as error:
        raise UsageError(f"--K '{k}': {error}") from error


def _numbers(text: str, option: str, counts: tuple[int, ...] = ()) -> list[float]:
    try:
        values = [float(part) for part in text.replace(";", ",").split(",")]
    except ValueError:
        values = []
    if not values or not all(map(math.isfinite, values)) or (counts and len(values) not in counts):
        wanted = f"{' or '.join(map(str, counts))} " if counts else ""
        raise UsageError(f"{option} '{text}' is not {wanted}numbers with commas between them")
    if option == "--std" and min(values) <= 0:
        raise UsageError(f"{option} '{text}': standard errors are above 0")
    return values


def pitch_of(
    size: Size | None, pitch: str | None, pixels_per_mm: str | None, sensor: str | None
) -> tuple[float, float] | None:
    """mm from pixel to pixel, of one of the three ways to say it; None of none.

    Raises:
        UsageError: more than one way, no lengths, or a sensor without the image's size.
    """
    if sum(text is not None for text in (pitch, pixels_per_mm, sensor)) > 1:
        raise UsageError("--pitch, --m and --sensor say the same thing: give one of them")
    if pitch is not None:
        return calib_words.pitch_mm(pitch)
    if pixels_per_mm is not None:
        return Sensor.from_pixels_per_mm(*calib_words.pixels_per_mm(pixels_per_mm)).pitch_mm
    if sensor is None:
        return None
    if size is None:
        raise UsageError("--sensor needs the image's size: give it with --size WxH")
    return Sensor.from_size(*calib_words.sensor_mm(sensor), size).pitch_mm
