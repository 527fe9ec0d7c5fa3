"""A planned shoot, from what is known of the camera, the board and how it will be held."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hsitool.camera import CameraInfo
from hsitool.errors import UsageError
from hsitool.maths.boards.board import Board
from hsitool.maths.cameras.calibration_request import Request
from hsitool.maths.cameras.camera import BoardShape, Camera, Model, Sensor, intrinsic_names
from hsitool.maths.cameras.simulation import Range, Roll, Shoot
from hsitool.tasks.calib import CalibSettings
from hsitool.tasks.camera_simulate import Plan

USUAL_LENS = {"k1": -0.2, "k2": 0.08}
"""Barrel distortion of a common lens, in OpenCV's coefficients; a fisheye is taken without any."""
LARGEST_SIDE = 100_000
SMALLEST_SIDE = 32


@dataclass(frozen=True)
class ShootSettings:
    """Lengths in mm; `square_known` tells whether the board's are.

    `focal` is a number with its unit, px or mm. A `camera` brings the image size, focal length,
    principal point, distortion and pitch, each unless it is given besides.
    """

    board: Board
    square_known: bool
    calib: CalibSettings
    views: int = 20
    noise_px: float = 0.2
    camera: CameraInfo | None = None
    image_size: tuple[int, int] | None = None
    focal: tuple[float, str] | None = None
    centre: tuple[float, ...] | None = None
    distortion: tuple[float, ...] | None = None
    tilt_deg: Range = (5.0, 40.0)
    roll: Roll = "any"
    fill: Range = (0.35, 0.9)
    depth_mm: Range | None = None
    true_difference: float = 0.0
    stretch: float = 0.0
    bow_mm: tuple[float, float] = (0.0, 0.0)
    outliers: float = 0.0
    trials: int = 200
    seed: int = 0
    differences: tuple[float, ...] = (0.0, 1e-4, 3e-4, 5e-4, 1e-3)

    def plan(self) -> Plan:
        """The same as cameras, boards and poses.

        Raises:
            UsageError: something is missing, contradicts itself, or is no camera.
        """
        self._require_lengths()
        size = self._image_size()
        sensor = self._sensor(size)
        calib = self.calib
        asked = Request(
            sensor,
            calib.model,
            calib.tangential,
            calib.board_model,
            calib.trim,
            calib.tolerance(size),
        )
        shoot = Shoot(
            self._camera(size, sensor),
            self.board.points_mm,
            self.views,
            self.noise_px,
            self.tilt_deg,
            self.roll,
            self.fill,
            self.depth_mm,
            BoardShape(1 + self.stretch, 0.0, *self.bow_mm),
            self.outliers,
        )
        return Plan(shoot, asked, self.trials, self.seed, self.differences)

    def _require_lengths(self) -> None:
        if not self.square_known and (self.depth_mm is not None or any(self.bow_mm)):
            raise UsageError("--distance and --bow are lengths: give the board's too, as --square")

    def _image_size(self) -> tuple[int, int]:
        size = self.image_size or (self.camera and self.camera.image_size)
        if not size:
            raise UsageError("the image size is not known: give --image-size, as 1280x1024")
        if not SMALLEST_SIDE <= min(size) <= max(size) <= LARGEST_SIDE:
            raise UsageError(
                f"--image-size {size[0]}x{size[1]}: give sides of {SMALLEST_SIDE} to "
                f"{LARGEST_SIDE} px"
            )
        return size

    def _sensor(self, size: tuple[int, int]) -> Sensor:
        sensor = self.calib.sensor(size)
        if not sensor.known and self.camera is not None:
            return Sensor(self.camera.pitch_mm)
        return sensor

    def _camera(self, size: tuple[int, int], sensor: Sensor) -> Camera:
        fx, fy = self._focal_px(sensor)
        centre = self._centre(size)
        lens = self._lens()
        camera = Camera(self.calib.model, fx, fy, *centre, lens, size)
        if not (0 <= centre[0] < size[0] and 0 <= centre[1] < size[1]):
            raise UsageError(
                f"a principal point at {centre[0]:g}, {centre[1]:g} is outside the frame"
            )
        if (folds := camera.folds_at()) is not None:
            raise UsageError(
                f"this distortion folds the image over {folds:.0f} px from its centre, within the "
                "frame: no lens does so; give --distortion of yours, or a longer --f"
            )
        return camera

    def _focal_px(self, sensor: Sensor) -> tuple[float, float]:
        """fy by the data sheet, fx longer by the true difference."""
        mx, my = sensor.pixels_per_mm
        if self.focal is None and self.camera is None:
            raise UsageError("the focal length is not known: give --f, as 1600px or 8.5mm")
        number, unit = self.focal or (self.camera.fx if self.camera else math.nan, "px")
        if unit == "mm" and not sensor.known:
            raise UsageError(
                f"--f {number:g}mm needs the size of a pixel: give --pitch, --m or --sensor, "
                "or --f in px"
            )
        nominal = number * mx if unit == "mm" else number
        if not 1 <= nominal <= 1e7:
            raise UsageError(f"a focal length of {nominal:g} px is none of a camera: see --f")
        return nominal * (1 + self.true_difference), nominal * my / mx

    def _centre(self, size: tuple[int, int]) -> tuple[float, float]:
        if self.centre is not None:
            if len(self.centre) != 2:
                raise UsageError("--centre takes two numbers, as 650,500")
            return self.centre[0], self.centre[1]
        if self.camera is not None:
            return self.camera.cx, self.camera.cy
        return (size[0] - 1) / 2, (size[1] - 1) / 2

    def _lens(self) -> tuple[float, ...]:
        names = intrinsic_names(self.calib.model)[4:]
        if self.distortion is not None:
            if len(self.distortion) > len(names):
                raise UsageError(
                    f"--distortion has {len(self.distortion)} numbers, lens model "
                    f"{self.calib.model} has {', '.join(names)}: choose another --model"
                )
            return (*self.distortion, *(0.0,) * (len(names) - len(self.distortion)))
        if self.camera is not None:
            self._require_model(self.camera, names)
            return tuple(self.camera.coefficient(name) for name in names)
        usual = {} if self.calib.model == "fisheye" else USUAL_LENS
        return tuple(usual.get(name, 0.0) for name in names)

    def _require_model(self, camera: CameraInfo, names: tuple[str, ...]) -> None:
        if camera.skew != 0:
            raise UsageError(
                f"{camera.called} has a skew of {camera.skew:g} px, which is not simulated: give "
                "--f, --centre and --distortion instead of --camera"
            )
        left = [name for name in camera.active if name not in names]
        if left or (camera.lens == "fisheye") != (self.calib.model == "fisheye"):
            models: tuple[Model, ...] = ("k2", "k3", "rational", "fisheye")
            fitting = [m for m in models if _takes(m, camera)]
            raise UsageError(
                f"lens model {self.calib.model} does not take {camera.called}: "
                + (f"choose --model {fitting[0]}" if fitting else "give --distortion instead")
            )


def _takes(model: Model, camera: CameraInfo) -> bool:
    same = (camera.lens == "fisheye") == (model == "fisheye")
    return same and set(camera.active) <= set(intrinsic_names(model)[4:])
