"""Calibrate cameras side by side that see one board at once, each with a lens of its own."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from hsitool.errors import DataError, UsageError
from hsitool.maths.cameras.calibration_result import Calibration
from hsitool.maths.cameras.plain_data import plain
from hsitool.maths.cameras.rig import FEWEST_TOGETHER, Rig, RigCamera, RigView, calibrate_rig
from hsitool.maths.cameras.words import Row, with_error
from hsitool.tasks.band_corners import BandCorners, BandView
from hsitool.tasks.calib import CalibrationRun, CalibSettings, calibrate_corners
from hsitool.tasks.calib_inputs import NO_BOARD
from hsitool.tasks.calib_record import calibration_record


@dataclass(frozen=True, eq=False)
class RigRun:
    """The reference camera's own calibration, and all cameras together."""

    run: CalibrationRun
    corners: BandCorners
    rig: Rig
    places: tuple[int, ...]
    """Of the cameras among the bands."""
    refused: tuple[tuple[int, str], ...]
    """Bands that could not be calibrated, and why."""
    seconds: float

    @property
    def cameras(self) -> list[tuple[int, RigCamera]]:
        """With the place of each among the bands."""
        return list(zip(self.places, self.rig.cameras, strict=True))

    @property
    def reference(self) -> int:
        """Place of the reference among the bands."""
        return self.corners.reference


def calibrate_rig_corners(corners: BandCorners, settings: CalibSettings) -> RigRun:
    """Each camera alone, then all together.

    Raises:
        UsageError: settings that contradict each other or the views.
        DataError: the reference cannot be calibrated, or no camera beside it.
    """
    began = time.perf_counter()
    run = calibrate_corners(corners.corners_of(corners.reference), settings)
    alone, refused = _alone(corners, settings, run)
    if len(alone) < 2:
        place, why = refused[0]
        raise DataError(
            f"only one lens of the rig can be calibrated: {corners.called(place)}: {why}"
        )
    places = tuple(alone)
    views = [_rig_view(view, corners, places) for view in corners.views]
    rig = calibrate_rig(
        views, list(alone.values()), places.index(corners.reference), trim=settings.trim
    )
    return RigRun(run, corners, rig, places, tuple(refused), time.perf_counter() - began)


def _alone(
    corners: BandCorners, settings: CalibSettings, run: CalibrationRun
) -> tuple[dict[int, Calibration], list[tuple[int, str]]]:
    """Separate calibrations by place, and the bands that have none."""
    found, refused = {}, []
    shared = {view.name for view in run.calibration.views}
    for place in range(len(corners.numbers)):
        if place == corners.reference:
            found[place] = run.calibration
            continue
        try:
            own = calibrate_corners(corners.corners_of(place), settings).calibration
        except DataError as error:
            refused.append((place, str(error)))
            continue
        together = sum(view.name in shared for view in own.views)
        if together < FEWEST_TOGETHER:
            refused.append((place, f"seen together with the reference in {together} views only"))
        else:
            found[place] = own
    return found, refused


def _rig_view(view: BandView, corners: BandCorners, places: tuple[int, ...]) -> RigView:
    if view.xyz_mm is not None:
        return RigView(view.name, view.xyz_mm, view.uv[list(places)])
    if corners.board is None:
        raise UsageError(NO_BOARD)
    return RigView(view.name, corners.board.points_mm[view.ids], view.uv[list(places)])


def rig_headline(found: RigRun) -> str:
    """The answer in one sentence."""
    others = [(place, c) for place, c in found.cameras if place != found.reference]
    place, furthest = max(others, key=lambda pair: abs(pair[1].f_ratio - 1))
    reach = furthest.f_interval[1] - furthest.f_ratio
    distance = max(float(np.linalg.norm(c.translation_mm)) for _, c in others)
    return (
        f"{len(found.cameras)} lenses, up to {distance:.2f} {found.corners.unit} from that of "
        f"{found.corners.called(found.reference)}; focal lengths differ by up to "
        f"{100 * (furthest.f_ratio - 1):+.4f} +- {100 * reach:.4f} % "
        f"({found.corners.called(place)})"
    )


def rig_rows(found: RigRun) -> Iterator[Row]:
    """Names and texts of what holds for all cameras."""
    rig = found.rig
    left_out = f", {rig.trimmed} corners left out" if rig.trimmed else ""
    yield "reference", found.corners.called(found.reference)
    yield "rig", f"{len(rig.views)} views{left_out}, RMS {rig.rms_px:.4f} px per corner"
    yield (
        "place",
        "X_b = R X_ref + t; R as a rotation vector in degrees, t in " + found.corners.unit,
    )
    yield "errors", "+- is a standard error; of f/f_ref half of a 95 % interval"


def rig_table(found: RigRun) -> list[list[str]]:
    """A head and a row for each camera."""
    head = ["band", "nm", "f/f_ref", "+-", "fx px", "fy px", "cx px", "cy px"]
    head += ["R deg", "t", "RMS px", "views"]
    return [head, *(_table_row(found, place, camera) for place, camera in found.cameras)]


def _table_row(found: RigRun, place: int, camera: RigCamera) -> list[str]:
    nm = found.corners.wavelength_nm
    first = [str(found.corners.numbers[place]), "" if nm is None else f"{nm[place]:.6g}"]
    reach = camera.f_interval[1] - camera.f_ratio
    ratio = ["1", ""] if place == found.reference else [f"{camera.f_ratio:.6f}", f"{reach:.6f}"]
    lens = [
        with_error(float(value), float(error))
        for value, error in zip(camera.values[:4], camera.standard_errors[:4], strict=True)
    ]
    turn = " ".join(f"{value:.3f}" for value in camera.rotation_deg)
    shift = " ".join(f"{value:.3f}" for value in camera.translation_mm)
    return [*first, *ratio, *lens, turn, shift, f"{camera.rms_px:.3f}", str(camera.views)]


def rig_notes(found: RigRun) -> Iterator[str]:
    """What was refused."""
    for place, why in found.refused:
        yield f"{found.corners.called(place)}: refused: {why}"


def rig_record(found: RigRun, *, single: bool = False) -> dict[str, Any]:
    """The reference's own record, and all cameras of the rig."""
    refused = [
        {"band": found.corners.numbers[place], "reason": why} for place, why in found.refused
    ]
    extra = {
        "reference_band": found.corners.numbers[found.reference],
        "rig": {
            "unit": found.corners.unit,
            "views": found.rig.views,
            "rms_px": found.rig.rms_px,
            "trimmed": found.rig.trimmed,
            "cameras": [_entry(found, place, camera) for place, camera in found.cameras],
            "refused": refused,
        },
    }
    return calibration_record(found.run, single=single) | {k: plain(v) for k, v in extra.items()}


def _entry(found: RigRun, place: int, camera: RigCamera) -> dict[str, Any]:
    nm = found.corners.wavelength_nm
    is_reference = place == found.reference
    return {
        "band": found.corners.numbers[place],
        "wavelength_nm": None if nm is None else nm[place],
        "reference": is_reference,
        "model": camera.camera.model,
        "camera_matrix": camera.camera.matrix,
        "distortion": camera.camera.distortion,
        "names": camera.names,
        "values": camera.values,
        "standard_errors": camera.standard_errors,
        "rotation_deg": camera.rotation_deg,
        "translation": camera.translation_mm,
        "place_errors": camera.place_errors,
        "f_ratio": camera.f_ratio,
        "f_ratio_interval": (math.nan, math.nan) if is_reference else camera.f_interval,
        "x_against_y": {"difference": camera.anisotropy, "se": camera.se_anisotropy},
        "rms_px": camera.rms_px,
        "points": camera.points,
        "views": camera.views,
    }
