"""What a view of a cube says of itself: where it lies on the map, and what stays true of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hsitool.cube import CAMERA_DOMAIN, CubeInfo, Tags
from hsitool.maths.attention.warp import View
from hsitool.storage.wavelengths import warn
from hsitool.tasks.undistort import PLACED_KEYS

ROTATED = 1e-9
"""Of a pixel: more slant makes a transform a rotated one."""


def view_info(info: CubeInfo, view: View, nodata: float | None) -> CubeInfo:
    """The description of a view: transform, control points, RPCs and camera move along.

    RPCs and a camera are left out, with a warning, where the view is turned or sheared.
    """
    rows, columns = view.size
    new = info.with_new_pixels()
    transform = None if info.transform is None else view.placed(info.transform)
    if transform is not None and is_rotated(transform):
        warn(
            "the view's georeference is rotated, which some programs refuse or pass over: "
            "--north-up gives one that is not"
        )
    return new.replace(
        rows=rows,
        columns=columns,
        nodata=nodata,
        transform=transform,
        gcps=_moved_points(info, view),
        rpcs=_moved_rpcs(info, view),
        tags=_moved_camera(new.tags, view),
        header={key: text for key, text in info.header.items() if key not in PLACED_KEYS},
    )


def is_rotated(transform: tuple[float, ...]) -> bool:
    """Whether rows of a grid do not lie along x."""
    a, b, _, d, e, _ = transform
    return max(abs(b), abs(d)) > ROTATED * max(abs(a), abs(e))


def _moved_points(info: CubeInfo, view: View) -> tuple:  # type: ignore[type-arg]
    points = []
    for point in info.gcps:
        column, row = view.seen(point.column, point.row)
        points.append(replace(point, column=column, row=row))
    return tuple(points)


def _straight(view: View) -> tuple[float, float, float, float] | None:
    """Column scale and shift, row scale and shift; None where the view is turned or flipped."""
    (a, b, c), (d, e, f) = view.matrix
    return (a, c, e, f) if b == d == 0 and a > 0 and e > 0 else None


def _moved_rpcs(info: CubeInfo, view: View) -> dict[str, str]:
    """Offsets count from the centre of the first pixel."""
    if not info.rpcs:
        return {}
    straight = _straight(view)
    moved = dict(info.rpcs)
    if straight is None:
        warn("RPCs have no turned lines and samples: they are left out")
        return {}
    for name, scale, shift in (("SAMP", *straight[:2]), ("LINE", *straight[2:])):
        offset, size = f"{name}_OFF", f"{name}_SCALE"
        if offset in moved and size in moved:
            moved[offset] = repr(_centre(float(moved[offset]), scale, shift))
            moved[size] = repr(float(moved[size]) / scale)
    return moved


def _centre(place: float, scale: float, shift: float) -> float:
    """A place in the view; both count from the centre of the first pixel."""
    return (place + 0.5 - shift) / scale - 0.5


def _moved_camera(tags: Tags, view: View) -> Tags:
    """The camera of an undistorted cube, as it sees the view."""
    camera = tags.get(CAMERA_DOMAIN)
    if camera is None:
        return tags
    straight = _straight(view)
    names = ("FX_PX", "FY_PX", "CX_PX", "CY_PX")
    others = {space: items for space, items in tags.items() if space != CAMERA_DOMAIN}
    if straight is None or not set(names) <= camera.keys():
        warn("the camera of the cube does not see a turned view: it is left out")
        return others
    fx, fy, cx, cy = (float(camera[name]) for name in names)
    across, right, down, below = straight
    values = fx / across, fy / down, _centre(cx, across, right), _centre(cy, down, below)
    moved = {**camera, **dict(zip(names, map(repr, values), strict=True))}
    moved |= {"WIDTH_PX": str(view.size[1]), "HEIGHT_PX": str(view.size[0])}
    if "PITCH_MM" in moved:
        pitch = np.array([float(part) for part in moved["PITCH_MM"].split()])
        moved["PITCH_MM"] = " ".join(map(repr, (pitch * (across, down)).tolist()))
    return {**others, CAMERA_DOMAIN: moved}
