"""mrcal's .cameramodel: the text of a Python dictionary, which is read as data alone.

https://mrcal.secretsauce.net/cameramodels.html and lensmodels.html: LENSMODEL_OPENCV4, 5, 8 and 12
have OpenCV's coefficients in its order, and its pixel centres.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hsitool.camera import COEFFICIENTS, CameraInfo, Lens
from hsitool.errors import DataError, HsitoolWarning
from hsitool.storage.camera_formats.document import Document, shown
from hsitool.storage.camera_formats.values import Record, image_size, named, numbers, record

LONGEST = 200_000
"""Letters, without the packed inputs: a model has some thousands."""
DEEPEST = 6
COMMENTS = re.compile(r"^[ \t]*#.*$", re.MULTILINE)
INPUTS = re.compile(r"'optimization_inputs'\s*:\s*b'[^']*'\s*,?")
KEY = re.compile(r"['\"](?:lens_?model|distortion_model)['\"]\s*:")
COUNTS = {
    "LENSMODEL_PINHOLE": 0,
    "LENSMODEL_OPENCV4": 4,
    "LENSMODEL_OPENCV5": 5,
    "LENSMODEL_OPENCV8": 8,
    "LENSMODEL_OPENCV12": 12,
}
NAMES = COEFFICIENTS["pinhole"]
HOLDS: dict[Lens, tuple[str, ...]] = {"pinhole": NAMES[:12]}


def claims(document: Document) -> bool:
    """Whether it is a dictionary with a lens model, by Python's or JSON's rules."""
    return document.first == "{" and KEY.search(document.text[:LONGEST]) is not None


def read(document: Document) -> list[CameraInfo]:
    """The one camera.

    Raises:
        DataError: it is no dictionary of plain values, or its lens model is not OpenCV's.
    """
    data = record(_literal(document.text))
    model = str(data.get("lensmodel", data.get("lens_model", data.get("distortion_model"))))
    model = model.replace("DISTORTION_", "LENSMODEL_").replace("_NONE", "_PINHOLE")
    if model not in COUNTS:
        raise DataError(f"has the lens model {shown(model)}: {', '.join(COUNTS)} are known")
    values = numbers(_part(data, "intrinsics"), "intrinsics", (4 + COUNTS[model],))
    size = image_size(*numbers(_part(data, "imagersize"), "imagersize", (2,)))
    poses = [data.get(key, ()) for key in ("extrinsics", "rt_cam_ref")]
    if any(value != 0 for pose in poses for value in numbers(pose, "extrinsics")):
        told = "the camera's place and direction (extrinsics) in the file are left out"
        warnings.warn(told, HsitoolWarning, stacklevel=2)
    fx, fy, cx, cy = values[:4]
    return [CameraInfo("pinhole", fx, fy, cx, cy, named(NAMES, values[4:]), size)]


def write(cameras: Sequence[CameraInfo], path: Path) -> str:
    """The text of a file with one camera at the origin."""
    info = cameras[0]
    last = max((NAMES.index(key) + 1 for key in info.active), default=0)
    model, count = next((name, n) for name, n in COUNTS.items() if n >= last)
    values = [info.fx, info.fy, info.cx, info.cy, *map(info.coefficient, NAMES[:count])]
    width, height = info.image_size or (0, 0)
    return (
        "{\n"
        f"    'lensmodel':  '{model}',\n\n"
        "    # intrinsics are fx,fy,cx,cy,distortion0,distortion1,....\n"
        f"    'intrinsics': [ {', '.join(map(repr, values))},],\n\n"
        "    # extrinsics are rt_fromref\n"
        "    'extrinsics': [ 0, 0, 0, 0, 0, 0,],\n\n"
        f"    'imagersize': [ {width}, {height},],\n"
        "}\n"
    )


def _part(data: Record, key: str) -> Any:
    if key not in data:
        raise DataError(f"has no {key}")
    return data[key]


def _literal(text: str) -> Any:
    """The dictionary; nothing but numbers, texts and brackets is taken."""
    bare = COMMENTS.sub("", INPUTS.sub("", text))
    if len(bare) > LONGEST:
        raise DataError(f"has {len(bare)} letters, more than a camera model")
    _check_depth(bare)
    try:
        return ast.literal_eval(bare)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise DataError("is no dictionary of plain numbers and texts") from error


def _check_depth(text: str) -> None:
    """Refuse brackets in brackets, and signs after signs, beyond what a model has."""
    depth = 0
    for letter in re.findall(r"[\[\](){}]", text):
        depth += 1 if letter in "[({" else -1
        if depth > DEEPEST:
            raise DataError(f"nests more than {DEEPEST} levels deep, as no camera model does")
    if re.search(r"[-+~]\s*[-+~]", text):
        raise DataError("has one sign after another, as no camera model does")
