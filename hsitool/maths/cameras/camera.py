"""Cameras, boards and views of boards: what a calibration is made of and what it gives.

Models and order of coefficients are OpenCV's. Pixels in px, the first pixel's centre at (0, 0);
lengths in mm; camera axes x right, y down, z forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hsitool.camera import CameraInfo, Lens
from hsitool.errors import DataError, UsageError
from hsitool.maths.cameras import lens as lens_maths
from hsitool.maths.cameras.lens import FieldOfView
from hsitool.maths.cameras.projection import (
    MODELS,
    Floats,
    Model,
    camera_matrix,
    intrinsic_names,
    project,
)

__all__ = [
    "MODELS",
    "PIXELS",
    "BoardShape",
    "BoardView",
    "Camera",
    "FieldOfView",
    "Floats",
    "Model",
    "Sensor",
    "Views",
    "camera_matrix",
    "grid_mm",
    "intrinsic_names",
    "is_pixel",
    "project",
]


@dataclass(frozen=True)
class Camera:
    """Intrinsics of a frame camera: focal lengths and principal point in px.

    `distortion` holds k1 k2 p1 p2 [k3 [k4 k5 k6]], or k1 k2 k3 k4 on the angle for "fisheye".
    `image_size` is (width, height) in px.
    """

    model: Model
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...]
    image_size: tuple[int, int]

    def __post_init__(self) -> None:
        wanted = len(intrinsic_names(self.model)) - 4
        if len(self.distortion) != wanted:
            raise UsageError(
                f"lens model {self.model} has {wanted} distortion coefficients, "
                f"not {len(self.distortion)}"
            )

    @classmethod
    def from_intrinsics(
        cls, model: Model, intrinsics: Sequence[float] | Floats, image_size: tuple[int, int]
    ) -> Camera:
        """From the numbers in the order of `intrinsic_names`."""
        fx, fy, cx, cy, *rest = (float(value) for value in intrinsics)
        return cls(model, fx, fy, cx, cy, tuple(rest), image_size)

    @property
    def intrinsics(self) -> Floats:
        """fx, fy, cx, cy and the distortion, in the order of `intrinsic_names`."""
        return np.array([self.fx, self.fy, self.cx, self.cy, *self.distortion])

    @property
    def matrix(self) -> Floats:
        """K, (3, 3) in px."""
        return camera_matrix(self.intrinsics)

    @property
    def info(self) -> CameraInfo:
        """The same by names of coefficients, as files tell it."""
        lens: Lens = "fisheye" if self.model == "fisheye" else "pinhole"
        names = intrinsic_names(self.model)[4:]
        named = dict(zip(names, self.distortion, strict=True))
        return CameraInfo(lens, self.fx, self.fy, self.cx, self.cy, named, self.image_size)

    def project(self, points: Floats) -> Floats:
        """(n, 2) px of points (n, 3) in camera axes; NaN behind a pinhole camera."""
        return lens_maths.project(self.info, points)

    def unproject(self, pixels: Floats) -> Floats:
        """(n, 3) unit rays in camera axes that are seen at pixels (n, 2); NaN where there is none.

        There is none where the distortion folds the image over before that pixel.
        """
        return lens_maths.unproject(self.info, pixels)

    def field_of_view(self) -> FieldOfView:
        """Between the outer edges of the frame through the principal point, with distortion."""
        return lens_maths.field_of_view(self.info, self.image_size)

    def pinhole_field_of_view(self) -> FieldOfView:
        """The same without distortion (2 atan of half the frame per focal length)."""
        return lens_maths.pinhole_field_of_view(self.info, self.image_size)

    def folds_at(self) -> float | None:
        """Pixels from the principal point at which the image folds over, None if not in frame."""
        return lens_maths.folds_at(self.info, self.image_size)


@dataclass(frozen=True, eq=False)
class BoardView:
    """One image of a board: where its points are seen, and where they are on the board."""

    name: str
    image_px: Floats
    """(n, 2) x (column), y (row) in px."""
    object_mm: Floats
    """(n, 3) on the board, in mm; z = 0 on a flat one."""

    def __post_init__(self) -> None:
        for label, columns in (("image_px", 2), ("object_mm", 3)):
            array = np.ascontiguousarray(getattr(self, label), np.float64)
            if array.ndim != 2 or array.shape[1] != columns:
                raise DataError(
                    f"view {self.name}: {label} has shape {array.shape}, not (points, {columns})"
                )
            object.__setattr__(self, label, array)
        if len(self.image_px) != len(self.object_mm):
            raise DataError(
                f"view {self.name}: {len(self.image_px)} image points for "
                f"{len(self.object_mm)} board points; each needs its own"
            )
        finite = np.isfinite(self.image_px).all(axis=1) & np.isfinite(self.object_mm).all(axis=1)
        if not finite.all():
            raise DataError(
                f"view {self.name}: {int((~finite).sum())} of {finite.size} points are not finite "
                f"(first: point {int(np.flatnonzero(~finite)[0])}); leave such points out"
            )


Views = Sequence[BoardView]


def grid_mm(columns: int, rows: int, square_mm: float) -> Floats:
    """(columns * rows, 3) inner corners of a chessboard, row by row, z = 0."""
    y, x = np.mgrid[:rows, :columns]
    flat = np.column_stack([x.ravel(), y.ravel(), np.zeros(x.size)])
    grid: Floats = flat * square_mm
    return grid


@dataclass(frozen=True)
class BoardShape:
    """How a board differs from its drawing; the size along x is the gauge.

    X' = X + shear Y, Y' = aspect Y, Z' = bow_x (1 - a^2) + bow_y (1 - b^2), with X, Y from the
    board's centre and a, b = X, Y in units of half the board.
    """

    aspect: float = 1.0
    shear: float = 0.0
    bow_x_mm: float = 0.0
    bow_y_mm: float = 0.0


SMALLEST_PITCH_MM, LARGEST_PITCH_MM = 1e-4, 0.5
PIXELS = "0.1um to 500um"


def is_pixel(pitch_mm: float) -> bool:
    """Whether pixels of cameras are so large."""
    return SMALLEST_PITCH_MM <= pitch_mm <= LARGEST_PITCH_MM


@dataclass(frozen=True)
class Sensor:
    """What the data sheet says of the pixels; without a pitch, square pixels are assumed."""

    pitch_mm: tuple[float, float] | None = field(default=None)
    """(px, py): mm from pixel to pixel along x and y."""

    def __post_init__(self) -> None:
        pitch = self.pitch_mm
        if pitch is not None and not all(np.isfinite(p) and p > 0 for p in pitch):
            raise UsageError(f"a pixel pitch must be above 0 mm, not {pitch[0]:g}, {pitch[1]:g}")

    @classmethod
    def from_pixels_per_mm(cls, mx: float, my: float) -> Sensor:
        """From the numbers of pixels in a mm along x and y."""
        if not (mx > 0 and my > 0):
            raise UsageError(f"pixels per mm must be above 0, not {mx:g}, {my:g}")
        return cls((1 / mx, 1 / my))

    @classmethod
    def from_size(cls, width_mm: float, height_mm: float, image_size: tuple[int, int]) -> Sensor:
        """From the size in mm of the area that the images show."""
        return cls((width_mm / image_size[0], height_mm / image_size[1]))

    @property
    def pixels_per_mm(self) -> tuple[float, float]:
        """(mx, my), or (1, 1) where the pitch is not known: f is then in px."""
        if self.pitch_mm is None:
            return (1.0, 1.0)
        return (1 / self.pitch_mm[0], 1 / self.pitch_mm[1])

    @property
    def known(self) -> bool:
        """Whether focal lengths can be given in mm."""
        return self.pitch_mm is not None
