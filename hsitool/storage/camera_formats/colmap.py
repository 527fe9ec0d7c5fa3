"""COLMAP's cameras.txt: a line a camera, `ID MODEL WIDTH HEIGHT PARAMS...`.

Its pixel coordinates begin at the image's corner, so that the first pixel's centre is (0.5, 0.5):
https://github.com/colmap/colmap/blob/main/src/colmap/sensor/models.h; the formulas are OpenCV's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hsitool.camera import COEFFICIENTS, CameraInfo, Lens
from hsitool.errors import DataError
from hsitool.storage.camera_formats.document import Document, shown
from hsitool.storage.camera_formats.values import image_size, number

CORNER = 0.5
"""What COLMAP's coordinates of a point exceed ours by."""
MOST_CAMERAS = 1000
LONGEST = 2000
"""Letters in a line."""
LINE = re.compile(r"\d{1,10}\s+[A-Z][A-Z_0-9]*\s+\d+\s+\d+\s")


@dataclass(frozen=True)
class Model:
    """Names of the parameters in COLMAP's order."""

    lens: Lens
    focal: tuple[str, ...]
    coefficients: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Of all parameters."""
        return len(self.focal) + 2 + len(self.coefficients)


ONE, TWO = ("f",), ("fx", "fy")
PINHOLE, FISHEYE = COEFFICIENTS["pinhole"], COEFFICIENTS["fisheye"]
MODELS = {
    "SIMPLE_PINHOLE": Model("pinhole", ONE),
    "PINHOLE": Model("pinhole", TWO),
    "SIMPLE_RADIAL": Model("pinhole", ONE, ("k1",)),
    "RADIAL": Model("pinhole", ONE, ("k1", "k2")),
    "OPENCV": Model("pinhole", TWO, PINHOLE[:4]),
    "FULL_OPENCV": Model("pinhole", TWO, PINHOLE[:8]),
    "SIMPLE_FISHEYE": Model("fisheye", ONE),
    "FISHEYE": Model("fisheye", TWO),
    "SIMPLE_RADIAL_FISHEYE": Model("fisheye", ONE, ("k1",)),
    "RADIAL_FISHEYE": Model("fisheye", ONE, ("k1", "k2")),
    "OPENCV_FISHEYE": Model("fisheye", TWO, FISHEYE),
}
WRITTEN = ("PINHOLE", "OPENCV", "FULL_OPENCV", "OPENCV_FISHEYE")
"""The first with the lens and all coefficients is taken."""
HOLDS: dict[Lens, tuple[str, ...]] = {"pinhole": PINHOLE[:8], "fisheye": FISHEYE}
HEAD = (
    "# Camera list with one line of data per camera:\n#   CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]"
)


def claims(document: Document) -> bool:
    """Whether the first line of data is a camera's."""
    start = document.beginning
    return LINE.match(document.text[start : start + LONGEST]) is not None


def read(document: Document) -> list[CameraInfo]:
    """The cameras, named by their numbers.

    Raises:
        DataError: a line that is no camera, or a model that we do not have.
    """
    lines = _lines(document)
    if max(map(len, lines)) > LONGEST:
        raise DataError(f"has a line of more than {LONGEST} letters")
    if len(lines) > MOST_CAMERAS:
        raise DataError(f"has {len(lines)} cameras: at most {MOST_CAMERAS} are read")
    cameras = [_camera(line) for line in lines]
    names = [info.name for info in cameras]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"has two cameras {twice}: their numbers should differ")
    return cameras


def write(cameras: Sequence[CameraInfo], path: Path) -> str:
    """A line for each camera, numbered from 1."""
    head = f"{HEAD}\n# Number of cameras: {len(cameras)}\n"
    return head + "".join(_line(number, info) for number, info in enumerate(cameras, 1))


def _lines(document: Document) -> list[str]:
    stripped = (line.strip() for line in document.text.splitlines())
    return [line for line in stripped if line and not line.startswith("#")]


def _camera(line: str) -> CameraInfo:
    if not LINE.match(line):
        raise DataError(f"has the line '{shown(line)}', which is no camera")
    name, model_name, width, height, *words = line.split()
    if (model := MODELS.get(model_name)) is None:
        raise DataError(
            f"camera {name} has the model {shown(model_name)}: {', '.join(MODELS)} are known"
        )
    values = [number(word, f"camera {name}: a parameter") for word in words]
    if len(values) != model.count:
        raise DataError(
            f"camera {name}: {model_name} has {model.count} parameters, not {len(values)}"
        )
    focal, (cx, cy, *rest) = values[: len(model.focal)], values[len(model.focal) :]
    return CameraInfo(
        model.lens,
        focal[0],
        focal[-1],
        cx - CORNER,
        cy - CORNER,
        dict(zip(model.coefficients, rest, strict=True)),
        image_size(width, height),
        name=name,
    )


def _line(number: int, info: CameraInfo) -> str:
    name = next(
        name
        for name in WRITTEN
        if MODELS[name].lens == info.lens and set(info.active) <= set(MODELS[name].coefficients)
    )
    values = [info.fx, info.fy, info.cx + CORNER, info.cy + CORNER]
    values += [info.coefficient(key) for key in MODELS[name].coefficients]
    width, height = info.image_size or (0, 0)
    return f"{number} {name} {width} {height} {' '.join(map(repr, values))}\n"
