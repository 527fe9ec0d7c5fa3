"""A camera as its file tells it: intrinsics, without the images that they came from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from hsitool.errors import DataError

Lens = Literal["pinhole", "fisheye"]

COEFFICIENTS: dict[Lens, tuple[str, ...]] = {
    "pinhole": (
        *("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"),
        *("s1", "s2", "s3", "s4"),
        "r8",
    ),
    "fisheye": ("k1", "k2", "k3", "k4"),
}
"""Names of distortion coefficients, in OpenCV's order; r8 is the factor of r^8 in the numerator
of the radial part (Metashape's k4), which OpenCV does not have."""


SHORTEST_PX, LONGEST_PX = 1e-6, 1e12
"""Of focal lengths; what follows from others has no digits that mean anything."""


@dataclass(frozen=True)
class CameraInfo:
    """Intrinsics of one frame camera, in OpenCV's conventions.

    Focal lengths, skew and principal point in px, the first pixel's centre at (0, 0), x right,
    y down, z forward. With x, y on the plane at distance 1 (or at the distance "fisheye" gives),
    u = fx xd + skew yd + cx and v = fy yd + cy, where the pinhole's distortion is
    xd = x L + 2 p1 x y + p2 (r2 + 2 x^2) + s1 r2 + s2 r2^2,
    yd = y L + p1 (r2 + 2 y^2) + 2 p2 x y + s3 r2 + s4 r2^2,
    L = (1 + k1 r2 + k2 r2^2 + k3 r2^3 + r8 r2^4) / (1 + k4 r2 + k5 r2^2 + k6 r2^3),
    and the fisheye's, on the angle theta to the axis, theta (1 + k1 theta^2 + ... + k4 theta^8).
    """

    lens: Lens
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: Mapping[str, float] = field(default_factory=dict)
    """Coefficients that the file names; those that it does not name are 0."""
    image_size: tuple[int, int] | None = None
    """(width, height) in px."""
    skew: float = 0.0
    name: str = ""
    pitch_mm: tuple[float, float] | None = None
    """mm from pixel to pixel along x and y."""
    parameters: tuple[str, ...] = ()
    """What the rows of the covariance are: fx, fy, cx, cy, skew, coefficients, the board's."""
    covariance: tuple[tuple[float, ...], ...] | None = None
    standard_errors: Mapping[str, float] = field(default_factory=dict)
    """By parameter, where the file has them."""

    def __post_init__(self) -> None:
        numbers = {"fx": self.fx, "fy": self.fy, "cx": self.cx, "cy": self.cy, "skew": self.skew}
        for key, value in (numbers | dict(self.distortion)).items():
            if not math.isfinite(value):
                raise DataError(f"{self.called}: {key} is {value:g}, not a number of a camera")
        if not (self.fx > 0 and self.fy > 0):
            raise DataError(
                f"{self.called}: focal lengths must be above 0 px, not {self.fx:g}, {self.fy:g}"
            )
        if not all(SHORTEST_PX <= f <= LONGEST_PX for f in (self.fx, self.fy)):
            raise DataError(
                f"{self.called}: focal lengths of {self.fx:g}, {self.fy:g} px are none of a camera"
            )
        unknown = set(self.distortion) - set(COEFFICIENTS[self.lens])
        if unknown:
            raise DataError(f"{self.called}: a {self.lens} has no coefficient {min(unknown)}")
        if self.image_size is not None and min(self.image_size) < 1:
            width, height = self.image_size
            raise DataError(f"{self.called}: an image of {width} x {height} px holds nothing")

    @property
    def called(self) -> str:
        """Its name for messages."""
        return f"camera {self.name}" if self.name else "camera"

    def coefficient(self, name: str) -> float:
        """A distortion coefficient; 0 where the file does not name it."""
        return float(self.distortion.get(name, 0.0))

    @property
    def active(self) -> tuple[str, ...]:
        """Names of the coefficients that are not 0, in OpenCV's order."""
        return tuple(key for key in COEFFICIENTS[self.lens] if self.coefficient(key) != 0)


@dataclass(frozen=True)
class BandShift:
    """Where a band lies against the reference band of its camera, in the image as it was taken.

    u_b = u + e_x (u - cx) + dcx + fx x r^2 dk1, and v alike, with cx, cy, fx, fy of the reference
    and x, y, r on the plane at distance 1, without distortion. `band` counts from 0.
    """

    band: int
    wavelength_nm: float | None
    e_x: float
    e_y: float
    dcx_px: float
    dcy_px: float
    dk1: float = 0.0
