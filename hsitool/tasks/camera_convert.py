"""Cameras from one format to another, without becoming other cameras."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hsitool.camera import CameraInfo
from hsitool.errors import UsageError
from hsitool.storage.cameras import (
    format_for,
    left_out,
    read_camera,
    read_cameras,
    write_cameras,
)
from hsitool.storage.writers import refuse_inputs

Size = tuple[int, int]


def convert_camera(
    source: Path,
    target: Path,
    key: str | None = None,
    name: str | None = None,
    size: Size | None = None,
    *,
    overwrite: bool = False,
) -> list[str]:
    """Write the cameras of a file (or the one of that name) to another; notes of what is left out.

    Args:
        source: in any format.
        target: its ending tells the format, unless `key` does.
        key: of a format.
        name: of a camera, where the source has several.
        size: (width, height) in px, where the source has none.
        overwrite: replace the target.

    Raises:
        UsageError: the target cannot be written or is the source, or `size` contradicts the source.
        DataError: the source cannot be read, or the target's format cannot hold its camera.
    """
    form = format_for(target, key)
    refuse_inputs((), [source], others=[target])
    found = read_cameras(source) if name is None else [read_camera(source, name)]
    cameras = [sized(info, size) for info in found]
    write_cameras(target, cameras, form, overwrite=overwrite)
    lost = dict.fromkeys(extra for info in cameras for extra in left_out(info, form))
    return [f"not written to {form.title}: {', '.join(lost)}"] if lost else []


def sized(info: CameraInfo, size: Size | None) -> CameraInfo:
    """The camera with the size of its images, where it had none.

    Raises:
        UsageError: it had another.
    """
    if size is None or info.image_size == size:
        return info
    if info.image_size is not None:
        width, height = info.image_size
        raise UsageError(
            f"--size {size[0]}x{size[1]}: {info.called} is of images of {width}x{height} px; "
            "another size makes another camera"
        )
    return replace(info, image_size=size)
