"""What an existing calibration says, above all of fx and fy."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from hsitool.camera import CameraInfo
from hsitool.maths.cameras import lens
from hsitool.maths.cameras.focal_ratio import FocalRatio, focal_ratio
from hsitool.maths.cameras.lens import FieldOfView
from hsitool.maths.cameras.words import Row, percent, with_error
from hsitool.storage.camera_formats.own_json import camera_record

CORNERS = ("upper left", "upper right", "lower left", "lower right")
NO_MORE = "whether that is chance no K alone can tell: it takes the covariance, or the images"
CAVEAT = "a board that is not printed to scale shifts it unseen: hsitool calib can free the board"


@dataclass(frozen=True)
class Explanation:
    """A camera, and what follows from its numbers; None where the image size is not known."""

    info: CameraInfo
    ratio: FocalRatio
    edge_px: float | None
    """delta half a width from the centre."""
    field_of_view: FieldOfView | None
    pinhole: FieldOfView | None
    """The field of view without distortion."""
    corners: dict[str, float] | None
    """px that distortion moves what is seen in each corner, outwards above 0; NaN: sees nothing."""
    folds_at_px: float | None


def explain(info: CameraInfo, pitch_mm: tuple[float, float] | None = None) -> Explanation:
    """All that a camera's own numbers say.

    Args:
        info: the camera.
        pitch_mm: of its pixels, where it does not know it better.
    """
    info = info if pitch_mm is None else replace(info, pitch_mm=pitch_mm)
    ratio, size = focal_ratio(info), info.image_size
    if size is None:
        return Explanation(info, ratio, None, None, None, None, None)
    return Explanation(
        info,
        ratio,
        size[0] / 2 * ratio.delta,
        lens.field_of_view(info, size),
        lens.pinhole_field_of_view(info, size) if info.lens == "pinhole" else None,
        _corners(info, size),
        lens.folds_at(info, size),
    )


def explanation_record(found: Explanation) -> dict[str, Any]:
    """For programs; None for what is unknown or not finite."""
    info, ratio = found.info, found.ratio
    pitch = info.pitch_mm
    whole = {
        **camera_record(info),
        "focal_length_mm": [info.fx * pitch[0], info.fy * pitch[1]] if pitch else None,
        "skew_deg": _skew_degrees(info),
        "difference": asdict(ratio)
        | {key: getattr(ratio, key) for key in ("interval", "z", "z_range", "z_typical")},
        "edge_px": found.edge_px,
        "field_of_view_deg": found.field_of_view and asdict(found.field_of_view),
        "field_of_view_pinhole_deg": found.pinhole and asdict(found.pinhole),
        "distortion_at_corners_px": found.corners,
        "folds_at_px": found.folds_at_px,
    }
    return {key: _finite(value) for key, value in whole.items()}


def explanation_headline(found: Explanation) -> str:
    """fx against fy in one sentence."""
    ratio = found.ratio
    if ratio.one_f:
        return (
            "fx and fy were held together in this calibration: it cannot tell whether they differ"
        )
    far = f"fx and fy differ by {percent(ratio.delta)}"
    if found.edge_px is not None:
        far += f" ({found.edge_px:+.2f} px at the left and right edges)"
    if ratio.interval is not None:
        low, high = ratio.interval
        holds = "includes" if low <= 0 <= high else "excludes"
        ends = f"{percent(low)} to {percent(high)}"
        return f"{far}; the 95 % interval {ends} {holds} 0, by the file's covariance"
    if ratio.se_range is not None:
        return f"{far}; standard errors alone cannot tell whether by chance"
    return f"{far}; {NO_MORE}"


def explanation_rows(found: Explanation) -> list[Row]:
    """Names and texts; a row that continues the one above has no name."""
    return [
        *_camera_rows(found.info),
        *_ratio_rows(found),
        *_pixel_rows(found.info),
        *_view_rows(found),
    ]


def _camera_rows(info: CameraInfo) -> list[Row]:
    size = f"{info.image_size[0]} x {info.image_size[1]} px" if info.image_size else "unknown"
    name = f"{info.name}, " if info.name else ""
    rows = [("camera", f"{name}{info.lens}, images of {size}")]
    pitch = info.pitch_mm or (None, None)
    for key, mm in (("fx", pitch[0]), ("fy", pitch[1])):
        value, se = getattr(info, key), info.standard_errors.get(key, math.nan)
        text = f"{with_error(value, se)} px"
        rows.append((key, text if mm is None else f"{text} = {with_error(value * mm, se * mm)} mm"))
    for key in ("cx", "cy"):
        value, se = getattr(info, key), info.standard_errors.get(key, math.nan)
        rows.append((key, f"{with_error(value, se)} px{_off_centre(info, key)}"))
    rows.append(("skew", _skew(info)))
    parts = [
        f"{key} {with_error(info.coefficient(key), info.standard_errors.get(key, math.nan))}"
        for key in info.active
    ]
    return [*rows, ("distortion", ", ".join(parts) or "none")]


def _off_centre(info: CameraInfo, key: str) -> str:
    if info.image_size is None:
        return ""
    middle = (info.image_size[["cx", "cy"].index(key)] - 1) / 2
    return f", {getattr(info, key) - middle:+.1f} px from the middle"


def _skew(info: CameraInfo) -> str:
    if info.skew == 0:
        return "none"
    return f"{info.skew:g} px: the pixels' axes are {90 - _skew_degrees(info):.4f} degrees apart"


def _skew_degrees(info: CameraInfo) -> float:
    """By which the angle between the pixels' axes falls short of 90 degrees."""
    return math.degrees(math.atan2(info.skew, info.fx))


def _ratio_rows(found: Explanation) -> list[Row]:
    ratio = found.ratio
    pitch = "with the data sheet's pixels" if found.info.pitch_mm else "square pixels assumed"
    rows = [("fx against fy", f"{percent(ratio.delta)}, {pitch}")]
    if ratio.one_f:
        return rows
    if ratio.se is not None and ratio.z is not None and ratio.correlation is not None:
        told = f"z {ratio.z:.2f}, correlation of fx and fy {ratio.correlation:.3f}"
        rows.append(
            ("", f"standard error {1e4 * ratio.se:.3g}e-4 from the file's covariance; {told}")
        )
        rows.append(("", CAVEAT))
    if ratio.se_range and ratio.z_range and ratio.se_typical and ratio.z_typical is not None:
        rows += _unknown_correlation(ratio)
    return rows


def _unknown_correlation(ratio: FocalRatio) -> list[Row]:
    """Ranges, since the correlation of fx and fy is not in the file."""
    assert ratio.se_range and ratio.z_range and ratio.se_typical and ratio.z_typical is not None
    low, high = (f"{1e4 * end:.3g}e-4" for end in ratio.se_range)
    z_low, z_high = ratio.z_range
    top = f"{z_high:.2g}" if math.isfinite(z_high) else "any number"
    return [
        ("", f"standard error {low} to {high}: it depends on the correlation of fx and fy, which"),
        ("", f"standard errors do not tell; so |z| is anything from {z_low:.2g} to {top}"),
        (
            "",
            f"at the typical correlation 0.98 (assumed, not measured here): standard error "
            f"{1e4 * ratio.se_typical:.3g}e-4, |z| {ratio.z_typical:.2g}",
        ),
    ]


def _pixel_rows(info: CameraInfo) -> list[Row]:
    """The pixels' shape that follows if the lens has one focal length."""
    implied = info.fy / info.fx
    if info.pitch_mm is None:
        return [("pixel aspect", f"width / height {implied:.6f}, if the lens has one focal length")]
    across, down = info.pitch_mm
    sheet = across / down
    told = f"{implied:.6f} implied by one focal length; data sheet {sheet:.6f}"
    return [("pixel aspect", f"width / height {told}, {percent(implied / sheet - 1)} apart")]


def _view_rows(found: Explanation) -> list[Row]:
    view = found.field_of_view
    if view is None or found.corners is None:
        return [("field of view", "unknown without the image's size: --size WxH tells it")]
    text = f"{_degrees(view.horizontal)} x {_degrees(view.vertical)} degrees, diagonal "
    text += _degrees(view.diagonal)
    if found.pinhole is not None:
        text += (
            f" (without distortion {found.pinhole.horizontal:.2f} x {found.pinhole.vertical:.2f})"
        )
    moved = ", ".join(f"{name} {_px(value)}" for name, value in found.corners.items())
    rows = [("field of view", text), ("at the corners", f"distortion moves {moved}")]
    if found.folds_at_px is not None:
        told = f"the distortion folds the image over {found.folds_at_px:.0f} px from the centre"
        rows.append(("warning", f"{told}: what lies beyond is not described"))
    return rows


def _degrees(angle: float) -> str:
    return f"{angle:.2f}" if math.isfinite(angle) else "unknown"


def _px(value: float) -> str:
    return f"{value:+.1f} px" if math.isfinite(value) else "unknown"


def _corners(info: CameraInfo, size: tuple[int, int]) -> dict[str, float]:
    """How much farther out each corner's ray is seen than without distortion."""
    width, height = size
    pixels = np.array([(x, y) for y in (0, height - 1) for x in (0, width - 1)], np.float64)
    straight = CameraInfo(info.lens, info.fx, info.fy, info.cx, info.cy, skew=info.skew)
    centre = np.array([info.cx, info.cy])
    plain = lens.project(straight, lens.unproject(info, pixels))
    moved = np.hypot(*(pixels - centre).T) - np.hypot(*(plain - centre).T)
    return dict(zip(CORNERS, moved.tolist(), strict=True))


def _finite(value: Any) -> Any:
    """The same with None for numbers that JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
