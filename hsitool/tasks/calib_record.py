"""A calibration as one object for programs: what `--json` prints and `-o camera.json` holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import hsitool
from hsitool.maths.cameras.calibration_result import Calibration, Fit
from hsitool.maths.cameras.camera import Camera
from hsitool.tasks.calib import CalibrationRun

TAKEN = ("edge_px", "coverage", "half_split", "findings", "verdict", "warnings", "bad_fit")
"""Items of the calibration's own dictionary that are passed on as they are."""

FIT_OF = {"two": "two focal lengths", "single": "one focal length"}


def calibration_record(run: CalibrationRun, *, single: bool = False) -> dict[str, Any]:
    """Numbers, texts, lists and objects; None for what is unknown or not finite.

    The camera and the parameters are those of two focal lengths, or of a `single` one.
    """
    found = run.calibration
    plain = found.to_dict()
    reported = found.reported.single if single else found.reported.two
    return {
        "tool": f"hsitool {hsitool.__version__}",
        "verdict": plain["verdict"],
        "image_size": list(found.image_size),
        "rms_px": reported.rms_px,
        **_camera(reported.camera),
        "single_f": _camera(found.single_camera) | {"rms_px": found.reported.single.rms_px},
        "pixel_pitch_mm": list(found.sensor.pitch_mm) if found.sensor.pitch_mm else None,
        "focal_length": plain["focal"],
        "parameters": _parameters(plain, found, single),
        "difference": {
            "rigid": plain["rigid"]["ratio"],
            "free": plain["free"] and plain["free"]["ratio"],
            "reported": plain["reported"],
            "detectable": found.detectable,
            "tol": found.tol,
            "alpha": found.alpha,
        },
        "field_of_view_deg": plain["field_of_view"],
        "field_of_view_pinhole_deg": plain["field_of_view_pinhole"],
        "board": _board(run),
        **{key: plain[key] for key in TAKEN},
        "points": plain["points"],
        "views": plain["views"],
        "refused": [asdict(refusal) for refusal in run.refused],
        "settings": _settings(run),
    }


def _camera(camera: Camera) -> dict[str, Any]:
    return {
        "model": camera.model,
        "camera_matrix": camera.matrix.tolist(),
        "distortion": list(camera.distortion),
    }


def _parameters(plain: dict[str, Any], found: Calibration, single: bool) -> dict[str, Any]:
    """Names, values and both covariances of the fit that the camera is of."""
    which = "single" if single else "two"
    fit: Fit = getattr(found.reported, which)
    own = plain[plain["reported"]][which]
    return {
        "fit": FIT_OF[which],
        "names": list(fit.names),
        "values": own["values"],
        "standard_errors": [fit.standard_error(name) for name in fit.names],
        "covariance": own["covariance"],
        "covariance_jackknife": own["covariance_jackknife"],
    }


def _board(run: CalibrationRun) -> dict[str, Any]:
    """Its size, and its shape with standard errors where it was free."""
    free, (width, height) = run.calibration.free, run.board_size_mm
    found: dict[str, Any] = {"unit": run.length_unit, "width": width, "height": height}
    if free is None:
        return found | {"shape": None, "standard_errors": None}
    names: Sequence[str] = ("aspect", "shear", "bow_x", "bow_y")
    return found | {
        "shape": {name: free.two.value(name) for name in names},
        "standard_errors": {name: free.two.standard_error(name) for name in names},
    }


def _settings(run: CalibrationRun) -> dict[str, Any]:
    """What the run was asked for; options that were not given are None."""
    board, recipe = run.corners.board, run.corners.recipe
    asked = {
        "board": board and [board.columns, board.rows],
        "target": board and board.target,
        "square_mm": board.square_mm if board and run.length_unit == "mm" else None,
        "recipe": recipe and asdict(recipe),
        **asdict(run.settings),
    }
    return {key: list(v) if isinstance(v, tuple) else v for key, v in asked.items()}
