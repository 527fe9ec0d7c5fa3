"""Two calibrations, compared as pixels over the image."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hsitool.camera import CameraInfo
from hsitool.errors import DataError
from hsitool.maths.cameras.words import Row
from hsitool.storage.cameras import read_camera, read_cameras
from hsitool.storage.texts import write_text
from hsitool.tasks.camera_convert import sized

if TYPE_CHECKING:
    from hsitool.maths.cameras.difference import CameraDifference

CORNERS = ("upper_left", "upper_right", "lower_left", "lower_right")
WHOSE: dict[tuple[int, ...], str] = {
    (0,): "the first camera's errors",
    (1,): "the second camera's errors",
}
BOTH = "both cameras' errors, as of independent calibrations"
ROUNDING_PX = 1e-9
"""Less is the rounding of numbers, no difference."""
MAP = ("u", "v", "du", "dv", "px", "sd_px")


def compare_cameras(
    first: Path,
    second: Path,
    name: str | None = None,
    other_name: str | None = None,
    size: tuple[int, int] | None = None,
) -> CameraDifference:
    """The difference of the cameras in two files.

    Args:
        first: a camera file of any format.
        second: another.
        name: of the camera in the first, where it has several.
        other_name: of that in the second; where it has several, the first's name is looked for.
        size: (width, height) in px of the images, where the files do not tell it.

    Raises:
        UsageError: `size` contradicts a file.
        DataError: a file cannot be read, or the cameras cannot be compared.
    """
    cameras = read_camera(first, name), _other(second, name, other_name)
    one, other = (sized(info, size) for info in cameras)
    from hsitool.maths.cameras.difference import camera_difference  # slow: once both are read

    try:
        return camera_difference(one, other)
    except DataError as error:
        raise DataError(f"{first}, {second}: {error}") from error


def _other(path: Path, name: str | None, other_name: str | None) -> CameraInfo:
    """The second camera; alone in its file it needs no name."""
    found = read_cameras(path)
    if other_name is None and len(found) == 1:
        return found[0]
    return read_camera(path, other_name or name)


def difference_headline(found: CameraDifference) -> str:
    """One sentence."""
    most = _px(found.max_px)
    told = f"{_px(found.rms_px)} apart (RMS over the frame; at most {most})"
    prediction = found.prediction
    if prediction is None:
        return told
    if found.rms_px > prediction.limit_px:
        return f"{told}: more than chance explains, {prediction.limit_px:.4g} px"
    return f"{told}: chance explains up to {prediction.limit_px:.4g} px"


def difference_rows(found: CameraDifference) -> list[Row]:
    """Names and texts."""
    x, y = found.max_at
    turn = ", ".join(f"{angle:+.5f}" for angle in found.turn_deg)
    corners = ", ".join(_px(value) for value in found.corners_px)
    rows = [
        ("RMS", f"{_px(found.rms_px)}, median {_px(found.median_px)}"),
        ("largest", f"{_px(found.max_px)}, at column {x:.0f}, row {y:.0f}"),
        ("in the middle", _px(found.centre_px)),
        ("in the corners", f"{corners} (upper left, upper right, lower left, lower right)"),
        ("turn taken off", f"{turn} degrees about x, y, z"),
        ("", f"it moves the optical axis by {found.shift_px[0]:+.4g}, {found.shift_px[1]:+.4g} px"),
    ]
    if found.unseen > 0:
        told = f"{100 * found.unseen:.1f} % of the frame: distortion folds over there"
        rows.append(("not compared", told))
    if (prediction := found.prediction) is not None:
        whose = WHOSE.get(prediction.of, BOTH)
        rows.append(("predicted", f"{prediction.rms_px:.4g} px RMS from {whose}"))
        rows.append(("", f"99 % of such pairs are less than {prediction.limit_px:.4g} px apart"))
    else:
        rows.append(("predicted", "unknown: neither file has a covariance"))
    return rows


def difference_record(found: CameraDifference) -> dict[str, Any]:
    """For programs; None for what is not finite."""
    prediction = found.prediction
    corners = dict(zip(CORNERS, map(_finite, found.corners_px), strict=True))
    return {
        "image_size": list(found.image_size),
        "rms_px": found.rms_px,
        "median_px": found.median_px,
        "max_px": found.max_px,
        "max_at": list(found.max_at),
        "centre_px": _finite(found.centre_px),
        "corners_px": corners,
        "turn_deg": list(found.turn_deg),
        "shift_px": list(found.shift_px),
        "unseen": found.unseen,
        "predicted": prediction
        and {
            "rms_px": prediction.rms_px,
            "limit_px": prediction.limit_px,
            "of": [("first", "second")[i] for i in prediction.of],
            "more_than_chance": found.rms_px > prediction.limit_px,
        },
    }


def write_map(path: Path, found: CameraDifference, overwrite: bool = False) -> None:
    """Write the difference at the nodes as CSV, whole or not at all; unseen nodes have no numbers.

    Raises:
        UsageError: it exists and may not be overwritten, or its folder is missing.
        DataError: it cannot be written.
    """
    prediction = found.prediction
    sd = np.full(found.lengths.shape, np.nan) if prediction is None else prediction.sd_px
    table = np.dstack([found.pixels, found.moved, found.lengths, sd]).reshape(-1, len(MAP))
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(MAP)
    rows.writerows([_cell(value) for value in row] for row in table.tolist())
    write_text(path, out.getvalue(), overwrite=overwrite)


def _cell(value: float) -> str:
    return repr(value) if math.isfinite(value) else ""


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _px(value: float) -> str:
    if not math.isfinite(value):
        return "not seen"
    return f"{value:.4g} px" if value > ROUNDING_PX else "0 px"
