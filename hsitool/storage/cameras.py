"""Cameras in files of any format: which one it is, and what each can hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hsitool.camera import COEFFICIENTS, CameraInfo, Lens
from hsitool.errors import DataError, UsageError
from hsitool.storage.atomic import refuse_existing
from hsitool.storage.camera_formats import colmap, kalibr, metashape, mrcal, opencv, own_json, ros
from hsitool.storage.camera_formats.document import Document, shown
from hsitool.storage.texts import write_text

OF_OPENCV: dict[Lens, tuple[str, ...]] = {
    "pinhole": COEFFICIENTS["pinhole"][:12],
    "fisheye": COEFFICIENTS["fisheye"],
}


@dataclass(frozen=True)
class CameraFormat:
    """A kind of camera file."""

    key: str
    title: str
    """Its name for messages."""
    endings: tuple[str, ...]
    """That such a file may have."""
    claims: Callable[[Document], bool]
    """Whether a file is one."""
    read: Callable[[Document], list[CameraInfo]]
    write: Callable[[Sequence[CameraInfo], Path], str]
    holds: Mapping[Lens, tuple[str, ...]]
    """Coefficients that it has a place for, by lens."""
    skew: bool = False
    several: bool = False
    """Whether a file may hold more than one camera."""
    needs_size: bool = True
    keeps: tuple[str, ...] = ()
    """What it holds beyond the model, of `EXTRAS`."""


EXTRAS: dict[str, Callable[[CameraInfo], bool]] = {
    "covariance": lambda info: info.covariance is not None,
    "standard errors": lambda info: bool(info.standard_errors),
    "pixel pitch": lambda info: info.pitch_mm is not None,
    "name": lambda info: bool(info.name),
}
"""What is no part of the model, and whether a camera has it."""

FORMATS = (
    CameraFormat(
        "mrcal",
        "mrcal's cameramodel",
        (".cameramodel",),
        mrcal.claims,
        mrcal.read,
        mrcal.write,
        mrcal.HOLDS,
    ),
    CameraFormat(
        "json",
        "hsitool's JSON",
        (".json",),
        own_json.claims,
        own_json.read,
        own_json.write,
        COEFFICIENTS,
        skew=True,
        needs_size=False,
        keeps=tuple(EXTRAS),
    ),
    CameraFormat(
        "colmap",
        "COLMAP's cameras.txt",
        (".txt",),
        colmap.claims,
        colmap.read,
        colmap.write,
        colmap.HOLDS,
        several=True,
    ),
    CameraFormat(
        "metashape",
        "Metashape's XML",
        (".xml",),
        metashape.claims,
        metashape.read,
        metashape.write,
        metashape.HOLDS,
        skew=True,
        several=True,
        keeps=("pixel pitch", "name"),
    ),
    CameraFormat(
        "kalibr",
        "Kalibr's camchain",
        (".yaml", ".yml"),
        kalibr.claims,
        kalibr.read,
        kalibr.write,
        kalibr.HOLDS,
        several=True,
    ),
    CameraFormat(
        "ros",
        "ROS camera_info",
        (".yaml", ".yml"),
        ros.claims,
        ros.read,
        ros.write,
        ros.HOLDS,
        keeps=("name",),
    ),
    CameraFormat(
        "opencv",
        "OpenCV",
        (".yaml", ".yml", ".xml", ".json"),
        opencv.claims,
        opencv.read,
        opencv.write,
        OF_OPENCV,
        needs_size=False,
        keeps=tuple(EXTRAS),
    ),
)
"""In the order in which they are asked whether a file is theirs."""

BY_ENDING = {
    ".yaml": "opencv",
    ".yml": "opencv",
    ".xml": "opencv",
    ".json": "json",
    ".txt": "colmap",
    ".cameramodel": "mrcal",
}
"""The format that an output's name asks for."""


def read_camera(path: Path, name: str | None = None) -> CameraInfo:
    """The camera of a file; of several, the one of that `name`.

    Raises:
        DataError: the file cannot be read, is of no known format or holds no camera that we
            have; or it holds several, or none of that name.
    """
    cameras = read_cameras(path)
    if name is None and len(cameras) == 1:
        return cameras[0]
    names = ", ".join(camera.name for camera in cameras)
    if name is None:
        raise DataError(f"{path}: holds {len(cameras)} cameras ({names}): name one of them")
    for camera in cameras:
        if camera.name == name:
            return camera
    has = f"its cameras are {names}" if names else "its camera has no name"
    raise DataError(f"{path}: has no camera {shown(name)}: {has}")


def read_cameras(path: Path) -> list[CameraInfo]:
    """All cameras of a file, in its order.

    Raises:
        DataError: as `read_camera`.
    """
    document = Document.read(path)
    try:
        return format_of(document).read(document)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def format_of(document: Document) -> CameraFormat:
    """The first format that claims a file.

    Raises:
        DataError: none does.
    """
    for known in FORMATS:
        if known.claims(document):
            return known
    titles = ", ".join(known.title for known in FORMATS)
    raise DataError(f"is no camera file that is known here ({titles})")


def format_for(path: Path, key: str | None = None) -> CameraFormat:
    """The format to write: of that key, else the one that the ending asks for.

    Raises:
        UsageError: an unknown key or ending, or they do not go together.
    """
    wanted = key or BY_ENDING.get(path.suffix.lower())
    if wanted is None:
        raise UsageError(f"{path}: the ending tells no camera format: say it with --to")
    found = next((known for known in FORMATS if known.key == wanted), None)
    if found is None:
        keys = ", ".join(known.key for known in FORMATS)
        raise UsageError(f"no camera format '{wanted}': choose one of {keys}")
    if path.suffix.lower() not in found.endings:
        raise UsageError(f"{path}: {found.title} is written to {' or '.join(found.endings)}")
    return found


def write_cameras(
    path: Path, cameras: Sequence[CameraInfo], form: CameraFormat, *, overwrite: bool = False
) -> None:
    """Write cameras, whole or not at all; numbers keep all their digits.

    Raises:
        UsageError: the file exists, or its folder is missing.
        DataError: the format cannot hold such a camera, or so many; or it cannot be written.
    """
    refuse_existing([path], overwrite)
    if len(cameras) > 1 and not form.several:
        names = ", ".join(camera.name for camera in cameras)
        raise DataError(f"{path}: {form.title} holds one camera, not {len(cameras)} ({names})")
    for info in cameras:
        _require_place(path, info, form)
    write_text(path, form.write(cameras, path), overwrite=overwrite)


def left_out(info: CameraInfo, form: CameraFormat) -> list[str]:
    """What a camera has beyond its model and the format has no place for, in words."""
    return [extra for extra, has in EXTRAS.items() if has(info) and extra not in form.keeps]


def _require_place(path: Path, info: CameraInfo, form: CameraFormat) -> None:
    """Refuse a camera that would come out as another one."""
    if info.image_size is None and form.needs_size:
        raise DataError(f"{path}: {form.title} needs the image's size: give it with --size WxH")
    places = form.holds.get(info.lens)
    if places is None:
        raise DataError(f"{path}: {form.title} has no {info.lens} lens, as {info.called} has")
    lost = [f"{key} = {info.coefficient(key):g}" for key in info.active if key not in places]
    if info.skew != 0 and not form.skew:
        lost.append(f"skew = {info.skew:g} px")
    if lost:
        held = ", ".join(places) or "no coefficients"
        raise DataError(
            f"{path}: {form.title} has no place for {', '.join(lost)} of {info.called}: its "
            f"{info.lens} has {held}{' and skew' if form.skew else ''}"
        )
