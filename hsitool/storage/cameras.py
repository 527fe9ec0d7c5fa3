"""Cameras in files of any format: which one it is, and the camera that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hsitool.camera import CameraInfo
from hsitool.errors import DataError
from hsitool.storage.camera_formats import opencv, own_json
from hsitool.storage.camera_formats.document import Document, shown


@dataclass(frozen=True)
class CameraFormat:
    """A kind of camera file."""

    key: str
    title: str
    """Its name for messages."""
    claims: Callable[[Document], bool]
    """Whether a file is one."""
    read: Callable[[Document], list[CameraInfo]]


FORMATS = (
    CameraFormat("json", "hsitool's JSON", own_json.claims, own_json.read),
    CameraFormat("opencv", "OpenCV", opencv.claims, opencv.read),
)


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
