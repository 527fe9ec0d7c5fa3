"""Files of a calibrated camera: OpenCV's FileStorage YAML, and JSON of everything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hsitool.errors import UsageError
from hsitool.storage.atomic import refuse_existing
from hsitool.storage.camera_formats.file_storage import as_yaml
from hsitool.storage.texts import write_text

YAML = (".yaml", ".yml")
ENDINGS = (*YAML, ".json")
OPENCV_COUNTS = (5, 8)
"""Numbers of pinhole coefficients that every reader of OpenCV's files takes."""


def check_camera_file(path: Path, overwrite: bool = False) -> None:
    """Refuse a camera file that could not be written in the end.

    Raises:
        UsageError: an unknown ending, the file exists, or its folder is missing.
    """
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(f"{path}: a camera file is OpenCV's .yaml (.yml) or .json: name it so")
    refuse_existing([path], overwrite)


def write_camera(path: Path, record: Mapping[str, Any], *, overwrite: bool = False) -> None:
    """Write a camera, whole or not at all, in the format that the name's ending tells.

    `record` is what `hsitool calib --json` prints.

    Raises:
        UsageError: as `check_camera_file`.
        DataError: it cannot be written.
    """
    check_camera_file(path, overwrite)
    is_yaml = path.suffix.lower() in YAML
    text = as_yaml(_yaml_items(record)) if is_yaml else json_text(record) + "\n"
    write_text(path, text, overwrite=overwrite)


def left_out(path: Path) -> str | None:
    """What the format of that file has no place for, in words; None where it holds everything."""
    if path.suffix.lower() not in YAML:
        return None
    return (
        "OpenCV's YAML has no place for tests, coverage and residuals of points: "
        "-o FILE.json or --json keeps them"
    )


def json_text(record: Mapping[str, Any]) -> str:
    """JSON with numbers at full precision; those that are not finite have become null before."""
    return json.dumps(record, allow_nan=False)


def _yaml_items(record: Mapping[str, Any]) -> dict[str, Any]:
    """The names of OpenCV's calibration sample, and ours for what it does not have."""
    width, height = record["image_size"]
    settings, parameters = record["settings"], record["parameters"]
    items: dict[str, Any] = {
        "tool": record["tool"],
        "nframes": len(record["views"]),
        "image_width": width,
        "image_height": height,
        "distortion_model": record["model"],
        "fisheye_model": int(record["model"] == "fisheye"),
        "camera_matrix": record["camera_matrix"],
        "distortion_coefficients": _column(record),
        "avg_reprojection_error": record["rms_px"],
        "per_view_reprojection_errors": [[view["rms_px"]] for view in record["views"]],
        "view_names": [view["name"] for view in record["views"]],
        "parameter_names": parameters["names"],
        "parameter_values": [[value] for value in parameters["values"]],
        "parameter_covariance": parameters["covariance"],
        "verdict": record["verdict"]["key"],
        "verdict_sentence": record["verdict"]["sentence"],
    }
    if settings.get("board"):
        items["board_width"], items["board_height"] = settings["board"]
    if settings.get("square_mm"):
        items["square_size_mm"] = settings["square_mm"]
    if record["pixel_pitch_mm"]:
        items["pixel_pitch_mm"] = [record["pixel_pitch_mm"]]
        items["focal_length_mm"] = record["focal_length"]["f_mm"]
    return items


def _column(record: Mapping[str, Any]) -> list[list[float]]:
    """Distortion as a column; pinhole coefficients that are fixed at 0 fill it up to 5 or 8."""
    found = [float(value) for value in record["distortion"]]
    if record["model"] != "fisheye":
        wanted = min(count for count in OPENCV_COUNTS if count >= len(found))
        found += [0.0] * (wanted - len(found))
    return [[value] for value in found]
