"""Calibrate a camera from corners of a board, and ask whether it has one focal length or two."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from hsitool.errors import DataError, UsageError
from hsitool.maths.cameras.calibration import calibrate
from hsitool.maths.cameras.calibration_request import BoardModel
from hsitool.maths.cameras.calibration_result import Calibration, Refusal
from hsitool.maths.cameras.camera import PIXELS, Floats, Model, Sensor, is_pixel
from hsitool.maths.cameras.model_fits import FEWEST_VIEWS
from hsitool.maths.cameras.projection_error import projection_errors
from hsitool.tasks.boards import HINTS
from hsitool.tasks.calib_inputs import Corners

PUSHBROOM = (
    "--scanner pushbroom: y is scan motion, so fy is a scan speed and no focal length, and a "
    "pinhole fitted to it returns nonsense with a fair RMS; what can be had instead is fx, "
    "distortion and keystone along the line, from targets at known angles, and the ground speed "
    "per line from the scan's navigation"
)
MIXED = (
    "EXIF turns some of the images by 90 degrees and others not, so that the sensor's x and y, "
    "along which --pitch, --m or --sensor are, differ among them: calibrate them apart"
)
EQUAL = ("equal", "different_below_tolerance")
"""Verdicts by which the difference of fx and fy lies within the tolerance."""

REQUIREMENTS = ("equal", "detectable")


@dataclass(frozen=True)
class CalibSettings:
    """How to calibrate; at most one of the three sizes of a pixel.

    `tol` is the relative difference of fx and fy that matters, `tol_edge_px` the same as a
    distance at the edge of the frame.
    """

    model: Model = "k2"
    tangential: bool = True
    board_model: BoardModel = "auto"
    trim: bool = True
    tol: float = 1e-3
    tol_edge_px: float | None = None
    pitch_mm: tuple[float, float] | None = None
    pixels_per_mm: tuple[float, float] | None = None
    sensor_mm: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        given = (self.pitch_mm, self.pixels_per_mm, self.sensor_mm)
        if sum(size is not None for size in given) > 1:
            raise UsageError("--pitch, --m and --sensor say the same thing: give one of them")

    def sensor(self, image_size: tuple[int, int], axes_swapped: bool | None = False) -> Sensor:
        """What is known of the pixels of images of that size, along the images' x and y.

        The settings are along the sensor's, which may be the other way round (None: in some).

        Raises:
            UsageError: such pixels no sensor has.
            DataError: axes are swapped in some images, and the pixels are not square.
        """
        if axes_swapped is not False:
            along = self.sensor(image_size[::-1]).pitch_mm
            if axes_swapped is None and along is not None and along[0] != along[1]:
                raise DataError(MIXED)
            return Sensor(None if along is None else along[::-1])
        found = Sensor(self.pitch_mm)
        if self.pixels_per_mm is not None:
            found = Sensor.from_pixels_per_mm(*self.pixels_per_mm)
        if self.sensor_mm is not None:
            found = Sensor.from_size(*self.sensor_mm, image_size)
        if found.pitch_mm is not None and not all(map(is_pixel, found.pitch_mm)):
            option = "--sensor" if self.sensor_mm is not None else "--pitch or --m"
            px, py = (f"{1e3 * pitch:.3g}" for pitch in found.pitch_mm)
            raise UsageError(
                f"{option} makes pixels of {px} x {py} um in images of {image_size[0]}x"
                f"{image_size[1]} px, which no sensor has ({PIXELS}): check number and unit"
            )
        return found

    def tolerance(self, image_size: tuple[int, int]) -> float:
        """Relative; delta moves a point at the left or right edge by half the width times delta.

        Raises:
            UsageError: it is larger than the image.
        """
        if self.tol_edge_px is None:
            return self.tol
        relative = self.tol_edge_px / (image_size[0] / 2)
        if not relative < 1:
            raise UsageError(
                f"--tol {self.tol_edge_px:g}px is more than half of an image of {image_size[0]} px"
            )
        return relative


@dataclass(frozen=True)
class Gates:
    """What a calibration has to keep: at most `max_rms` px, and `require` of the verdict."""

    max_rms: float | None = None
    require: str | None = None

    def __post_init__(self) -> None:
        if self.max_rms is not None and not 0 < self.max_rms < math.inf:
            raise UsageError(f"--max-rms {self.max_rms:g} is no limit: give px above 0, as 0.3")
        if self.require not in (None, *REQUIREMENTS):
            raise UsageError(f"--require '{self.require}' is neither equal nor detectable")


@dataclass(frozen=True, eq=False)
class CalibrationRun:
    """A calibration with what it was made of."""

    calibration: Calibration
    settings: CalibSettings
    corners: Corners
    seconds: float
    """For everything after detection."""

    @property
    def refused(self) -> tuple[Refusal, ...]:
        """Images and views that were not used, and why."""
        return (*self.corners.refused, *self.calibration.refused)

    @property
    def length_unit(self) -> str:
        """Of the board: mm, or squares (or units) where their size is not known."""
        return self.corners.unit

    @property
    def board_size_mm(self) -> tuple[float, float]:
        """Between the outermost points, along the rows and along the columns."""
        points = np.concatenate([view.board_mm for view in self.calibration.views])
        width, height = np.ptp(points[:, :2], axis=0)
        return float(width), float(height)

    def projection_errors(self) -> Floats:
        """Standard errors in px of projected points on a grid over the frame."""
        seen = np.concatenate([view.image_px[view.used] for view in self.calibration.views])
        return projection_errors(self.calibration.reported.two, seen)


def refuse_scanner(scanner: str | None) -> None:
    """Refuse a pinhole camera where there is none.

    Raises:
        DataError: the data are a line scanner's.
        UsageError: another word.
    """
    if scanner == "pushbroom":
        raise DataError(PUSHBROOM)
    if scanner not in (None, "frame"):
        raise UsageError(f"--scanner '{scanner}' is neither frame nor pushbroom")


def calibrate_corners(corners: Corners, settings: CalibSettings | None = None) -> CalibrationRun:
    """Fit, test and judge.

    Raises:
        UsageError: settings that contradict each other or the views, or no board is known.
        DataError: too few views, or they do not determine the camera.
    """
    settings = settings or CalibSettings()
    _refuse_mistaken(corners)
    began = time.perf_counter()
    found = calibrate(
        corners.board_views(),
        corners.size,
        sensor=settings.sensor(corners.size, corners.axes_swapped),
        model=settings.model,
        tangential=settings.tangential,
        board_model=settings.board_model,
        trim=settings.trim,
        tol=settings.tolerance(corners.size),
        unit=corners.unit,
    )
    took = time.perf_counter() - began
    return CalibrationRun(found, settings, corners, took)


def _refuse_mistaken(corners: Corners) -> None:
    """Where most images do not show the board, it is perhaps another one that they show."""
    seen, others, board = len(corners.views), len(corners.refused), corners.board
    if board is not None and seen < min(FEWEST_VIEWS, others):
        raise DataError(
            f"{seen} of {seen + others} images show a {board} board, and {FEWEST_VIEWS} views are "
            f"needed at least, 10 to 20 are better: {HINTS[board.target]}"
        )


def failed_gates(run: CalibrationRun, gates: Gates) -> list[str]:
    """What the user asked for and the calibration does not keep, a line each."""
    found, failed = run.calibration, []
    if gates.max_rms is not None and not found.rms_px <= gates.max_rms:
        failed.append(f"--max-rms {gates.max_rms:g}: the RMS is {found.rms_px:.4g} px")
    if gates.require == "equal" and (found.bad or found.verdict.key not in EQUAL):
        said = "the fit is bad" if found.bad else f"the verdict is '{_words(found.verdict.key)}'"
        failed.append(f"--require equal: {said}")
    if gates.require == "detectable" and (found.bad or not found.detectable <= found.tol):
        said = f"{100 * found.detectable:.3g} % can be detected, not {100 * found.tol:.3g} %"
        failed.append(f"--require detectable: {'the fit is bad' if found.bad else said}")
    return failed


def _words(key: str) -> str:
    return key.replace("_", " ")
