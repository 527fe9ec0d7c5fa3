"""From the image that a camera took to one that a camera without distortion would have taken."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hsitool.camera import BandShift, CameraInfo
from hsitool.errors import DataError, UsageError
from hsitool.maths.cameras import lens

Floats = NDArray[np.float64]
Like = Literal["K", "fit", "full"]

STEPS = 2.0**16
"""Places are rounded to 1/65536 px: those that are on a sample but for the last digits of a
float64 are then on it, and take no other sample."""

ZOOM_AT_MOST = 1024.0
TINY = 1e-9  # px
ROUNDS = 60
"""Of bisection, for a factor to all digits."""


@dataclass(frozen=True)
class Framing:
    """How images were made from the frame that was calibrated: cropped, then binned, then scaled.

    `crop` is (column, row, width, height) in px of the frame.
    """

    crop: tuple[int, int, int, int] | None = None
    bin: int = 1
    scale: float = 1.0

    @property
    def factor(self) -> float:
        """New pixels in a pixel of the frame, along an axis."""
        return self.scale / self.bin


AS_CALIBRATED = Framing()


@dataclass(frozen=True)
class Places:
    """Pixels of the new image, (n,) each: on the plane at distance 1, and in the image taken."""

    x: Floats
    y: Floats
    column: Floats
    row: Floats


@dataclass(frozen=True)
class Undistortion:
    """A camera as it `took` images, and the one without distortion that they are `made` for.

    Rays at `end` or farther from the axis (on the plane at distance 1) are beyond a fold.
    """

    took: CameraInfo
    made: CameraInfo
    end: float = math.inf

    def places(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Places:
        """Where the pixels in those rows and columns (all pairs, row by row) come from.

        NaN where the lens gives no image.
        """
        shape = rows.size, columns.size
        x = np.broadcast_to((columns - self.made.cx) / self.made.fx, shape).ravel()
        y = np.broadcast_to(((rows - self.made.cy) / self.made.fy)[:, None], shape).ravel()
        return self._places(x, y)

    def border(self) -> Places:
        """Where the outermost pixels come from."""
        border = border_pixels(_size(self.made))
        return self._places(*_on_plane(self.made, border).T)

    def _places(self, x: Floats, y: Floats) -> Places:
        with np.errstate(all="ignore"):
            image = lens.project_plane(self.took, x, y)
            if self.end < math.inf:
                image[~(x * x + y * y < self.end * self.end)] = np.nan
        return Places(x, y, image[:, 0], image[:, 1])

    def moved(self, pixels: Floats) -> Floats:
        """Where pixels (n, 2) of the image taken go; NaN where they are not seen any more."""
        rays = lens.unproject(self.took, pixels)
        rays[~(rays[:, 2] > 0)] = np.nan
        plane = rays[:, :2] / rays[:, 2:]
        return plane * [self.made.fx, self.made.fy] + [self.made.cx, self.made.cy]


def in_image(
    places: Places, camera: CameraInfo, shift: BandShift | None = None
) -> tuple[Floats, Floats]:
    """(columns, rows) of places in the image that was taken, moved by a band's own shift."""
    column, row = places.column, places.row
    if shift is not None:
        grown = (places.x**2 + places.y**2) * shift.dk1
        column = column + shift.e_x * (column - camera.cx) + shift.dcx_px
        row = row + shift.e_y * (row - camera.cy) + shift.dcy_px
        if shift.dk1 != 0:
            column, row = column + camera.fx * places.x * grown, row + camera.fy * places.y * grown
    return _rounded(column), _rounded(row)


def _rounded(place: Floats) -> Floats:
    made = place * STEPS
    np.rint(made, out=made)
    made /= STEPS
    return made


def framed(camera: CameraInfo, framing: Framing, size: tuple[int, int]) -> CameraInfo:
    """The camera of images of `size` (width, height) that were made from its frame.

    With s new pixels in a pixel of the frame, f' = s f and c' = (c + 1/2) s - 1/2.

    Raises:
        UsageError: they cannot have been made so.
    """
    frame = camera.image_size
    if framing.crop is not None:
        column, row, width, height = framing.crop
        if frame is not None and (column + width > frame[0] or row + height > frame[1]):
            raise UsageError(
                f"--crop {column},{row},{width},{height} leaves the calibrated frame of "
                f"{frame[0]} x {frame[1]} px: give COL,ROW,WIDTH,HEIGHT inside it"
            )
        camera = dataclasses.replace(camera, cx=camera.cx - column, cy=camera.cy - row)
        frame = width, height
    _refuse_size(frame, framing, size)
    s = framing.factor
    return dataclasses.replace(
        camera,
        fx=camera.fx * s,
        fy=camera.fy * s,
        skew=camera.skew * s,
        cx=(camera.cx + 0.5) * s - 0.5,
        cy=(camera.cy + 0.5) * s - 0.5,
        pitch_mm=camera.pitch_mm and (camera.pitch_mm[0] / s, camera.pitch_mm[1] / s),
        image_size=size,
        parameters=(),
        covariance=None,
        standard_errors={},
    )


def _refuse_size(frame: tuple[int, int] | None, framing: Framing, size: tuple[int, int]) -> None:
    if frame is None:
        return
    expected = tuple(length // framing.bin * framing.scale for length in frame)
    if all(abs(made - given) < 1 for made, given in zip(expected, size, strict=True)):
        return
    how = "was calibrated for" if framing == AS_CALIBRATED else "gives, framed so,"
    width, height = (f"{length:g}" for length in expected)
    raise UsageError(
        f"the cube has {size[0]} x {size[1]} px, but the camera {how} {width} x {height} px: say "
        "how it was made from the calibrated frame by --crop COL,ROW,WIDTH,HEIGHT, --bin N or "
        "--scale S"
    )


def undistortion(
    took: CameraInfo, like: Like, margin: float = 0.0, shifts: Sequence[BandShift] = ()
) -> Undistortion:
    """What takes the distortion off: the new camera keeps the centre and the ratio of fx and fy.

    Both are kept ("K"), or multiplied by one factor: the least at which every pixel of the new
    image has its samples, `margin` px from the border ("fit", in all bands), or the largest at
    which no pixel of the image taken is lost ("full").

    Raises:
        DataError: the lens folds the image over within the frame.
        UsageError: there is no such factor.
    """
    width, height = _size(took)
    folds = lens.folds_at(took, (width, height))
    if folds is not None:
        raise DataError(
            f"{took.called}: its distortion folds the image over {folds:.0f} px from the principal "
            f"point, within the frame of {width} x {height} px: calibrate with another --model, "
            "or with views that reach the corners"
        )
    plain = Undistortion(took, _scaled(took, 1.0))
    if like == "fit":
        plain = Undistortion(took, _scaled(took, _least_factor(took, margin, shifts)))
    if like == "full":
        plain = Undistortion(took, _scaled(took, _largest_factor(took)))
    return dataclasses.replace(plain, end=_end(plain))


def _scaled(took: CameraInfo, factor: float) -> CameraInfo:
    """The camera without distortion and skew, f times a factor."""
    return CameraInfo(
        "pinhole",
        took.fx * factor,
        took.fy * factor,
        took.cx,
        took.cy,
        image_size=took.image_size,
        name=took.name,
        pitch_mm=took.pitch_mm,
    )


def _end(task: Undistortion) -> float:
    """How far from the axis, on the plane at distance 1, the lens gives an image."""
    corners = border_pixels(_size(task.made))
    reach = float(np.hypot(*_on_plane(task.made, corners).T).max())
    if task.took.lens == "fisheye":
        angle = lens.fold_radius(task.took, math.atan(reach))
        return math.inf if angle is None else math.tan(angle)
    radius = lens.fold_radius(task.took, reach)
    return math.inf if radius is None else radius


def _least_factor(took: CameraInfo, margin: float, shifts: Sequence[BandShift]) -> float:
    """Bisection: a larger factor shows less."""
    last_column, last_row = (length - 1 - margin for length in _size(took))

    def complete(factor: float) -> bool:
        task = Undistortion(took, _scaled(took, factor))
        places = dataclasses.replace(task, end=_end(task)).border()
        for shift in shifts or (None,):
            column, row = in_image(places, took, shift)
            inside = (column >= margin) & (column <= last_column) & (row >= margin)
            if not (inside & (row <= last_row)).all():
                return False
        return True

    low, high = 1 / ZOOM_AT_MOST, ZOOM_AT_MOST
    if not complete(high):
        raise UsageError(
            f"{took.called}: --like fit finds no part of the image without missing edges around "
            f"the principal point {took.cx:g}, {took.cy:g}: use --like K"
        )
    return _bisected(low, high, complete)


def _bisected(low: float, high: float, holds: Callable[[float], bool]) -> float:
    """The least number between `low` and `high` from which on a condition holds."""
    for _ in range(ROUNDS):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _largest_factor(took: CameraInfo) -> float:
    """The border of the image taken has to stay inside."""
    size = _size(took)
    rays = lens.unproject(took, border_pixels(size))
    if not (rays[:, 2] > 0).all():  # NaN, too
        raise UsageError(
            f"{took.called}: its border is seen at 90 degrees or more from the axis, which no "
            "image without distortion holds: use --like K or fit"
        )
    centre = took.cx, took.cy
    if not all(0 < c < length - 1 for c, length in zip(centre, size, strict=True)):
        raise UsageError(
            f"{took.called}: --like full needs its principal point {took.cx:g}, {took.cy:g} inside "
            "the frame: use --like K"
        )
    off = rays[:, :2] / rays[:, 2:] * [took.fx, took.fy]
    room = np.where(off > 0, np.subtract(size, 1) - centre, centre)
    return float(np.min(room / np.maximum(np.abs(off), TINY)))


def border_pixels(size: tuple[int, int]) -> Floats:
    """(n, 2) centres of the outermost pixels of an image of (width, height)."""
    width, height = size
    across = [(column, row) for row in (0, height - 1) for column in range(width)]
    down = [(column, row) for column in (0, width - 1) for row in range(height)]
    return np.array(across + down, np.float64)


def _on_plane(camera: CameraInfo, pixels: Floats) -> Floats:
    return (pixels - [camera.cx, camera.cy]) / [camera.fx, camera.fy]


def _size(camera: CameraInfo) -> tuple[int, int]:
    assert camera.image_size is not None
    return camera.image_size
