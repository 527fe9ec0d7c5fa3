"""`hsitool undistort`: a cube or image as a camera without distortion would have taken it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hsitool.camera import BandShift, CameraInfo
from hsitool.cube import CAMERA_DOMAIN, CubeInfo, GroundControlPoint
from hsitool.engine.blocks import Progress
from hsitool.engine.plan import Budget
from hsitool.engine.sliding import slide_blocks
from hsitool.errors import DataError, HsitoolWarning
from hsitool.maths.cameras.undistortion import (
    AS_CALIBRATED,
    Framing,
    Like,
    Undistortion,
    framed,
    undistortion,
)
from hsitool.maths.resampling import MARGIN, Interpolation
from hsitool.storage import georeference
from hsitool.storage.images import orientation_of
from hsitool.storage.readers import CubeReader
from hsitool.storage.writers import OutputOptions, create_cube
from hsitool.tasks.bands import describe_band
from hsitool.tasks.provenance import with_step
from hsitool.tasks.warp import WORKING_BYTES, Warp, needs_of, nodata_of

__all__ = ["Framing", "UndistortSettings", "undistort"]

PLACED_KEYS = (*georeference.KEYS, "pixel size", "x start", "y start")
"""ENVI header items that tell of former pixels."""

WAVELENGTH_NM = 1.0
"""How far a band may lie from where the table of band shifts has it."""


@dataclass(frozen=True)
class UndistortSettings:
    """`interp` None is nearest for classes and colour tables, else linear.

    `nodata` is for cubes that have none. `shifts` move each band onto the reference band of the
    camera; they are in px of the calibrated frame.
    """

    like: Like = "K"
    interp: Interpolation | None = None
    framing: Framing = AS_CALIBRATED
    nodata: float | None = None
    shifts: tuple[BandShift, ...] = ()


def undistort(
    source: CubeReader,
    target: Path,
    camera: CameraInfo,
    settings: UndistortSettings | None = None,
    *,
    said: dict[str, Any] | None = None,
    output: OutputOptions | None = None,
    budget: Budget | None = None,
    progress: Progress | None = None,
) -> CameraInfo:
    """Write `source` without the distortion of `camera`; `said` adds to the provenance.

    A sample is missing where any sample that it is made of is missing or outside.

    Returns:
        The camera of the result.

    Raises:
        UsageError: the cube was not taken by such a camera, or its type has no value for pixels
            without data.
        DataError: the cube was resampled already, the lens folds, or a file fails.
    """
    settings, budget = settings or UndistortSettings(), budget or Budget()
    info = source.info
    _refuse(source)
    kind = settings.interp or usual_interpolation(info)
    took = framed(camera, settings.framing, (info.columns, info.rows))
    if camera.image_size is None and settings.framing.crop is None:
        _warn(f"{camera.called}: says no image size: that of the cube is taken")
    shifts = _shifts(info, settings)
    task = undistortion(took, settings.like, MARGIN[kind], shifts)
    made = result_info(info, task, settings)
    warp = Warp(info, made, task, kind, shifts)
    needs = needs_of(warp, budget)
    steps = {"like": settings.like, "interp": kind} | _framing_said(settings) | (said or {})
    made = with_step(made, "undistort", source.path, steps)
    with create_cube(target, made, source.layout, output) as sink:
        slide_blocks(
            source,
            needs,
            warp,
            sink,
            dtype=warp.working,
            prepare=warp.prepare,
            budget=budget,
            working_bytes=WORKING_BYTES,
            progress=progress,
        )
    return task.made


def usual_interpolation(info: CubeInfo) -> Interpolation:
    """Labels do not blend."""
    classes = {"classes", "class names"} & info.header.keys()
    return "nearest" if classes or "palette" in (info.color or ()) else "linear"


def _refuse(source: CubeReader) -> None:
    info = source.info
    if info.crs is not None and info.transform not in (None, IDENTITY):
        raise DataError(
            f"{source.path}: lies on a map already: its pixels are not the camera's any more; "
            "undistort comes before orthorectification"
        )
    if CAMERA_DOMAIN in info.tags:
        raise DataError(f"{source.path}: has no distortion any more: undistort made it")
    driver = {"GeoTIFF": "GTiff"}.get(source.layout.format, source.layout.format)
    if source.files and (turn := orientation_of(source.path, driver)) != 1:
        _warn(
            f"{source.path}: its pixels are taken as stored, though EXIF says that they are to be "
            f"turned (orientation {turn}); calib turns such images: turn the pixels first if the "
            "camera is of upright ones"
        )


IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def _framing_said(settings: UndistortSettings) -> dict[str, Any]:
    framing = settings.framing
    return {
        "crop": None if framing.crop is None else list(framing.crop),
        "bin": None if framing.bin == 1 else framing.bin,
        "scale": None if framing.scale == 1 else framing.scale,
        "nodata": settings.nodata,
    }


def _shifts(info: CubeInfo, settings: UndistortSettings) -> tuple[BandShift, ...]:
    """The shift of each band in px of the cube, in order; none where none are given."""
    if not settings.shifts:
        return ()
    by_band = {shift.band: shift for shift in settings.shifts}
    factor = settings.framing.factor
    found = []
    for band in range(info.bands):
        if (shift := by_band.get(band)) is None:
            raise DataError(
                f"the table of band shifts has no row for {describe_band(info, band)}: add it"
            )
        if shift.wavelength_nm is not None and info.wavelength_nm is not None:
            _refuse_other_band(info, shift)
        found.append(replace(shift, dcx_px=shift.dcx_px * factor, dcy_px=shift.dcy_px * factor))
    return tuple(found)


def _refuse_other_band(info: CubeInfo, shift: BandShift) -> None:
    assert info.wavelength_nm is not None and shift.wavelength_nm is not None
    if not abs(info.wavelength_nm[shift.band] - shift.wavelength_nm) <= WAVELENGTH_NM:
        raise DataError(
            f"the table of band shifts has band {shift.band + 1} at {shift.wavelength_nm:g} nm, "
            f"the cube at {info.wavelength_nm[shift.band]:g} nm: it is of other bands"
        )


def result_info(info: CubeInfo, task: Undistortion, settings: UndistortSettings) -> CubeInfo:
    """The description of the result: all that does not tell of former pixels.

    Raises:
        UsageError: a nodata that the type cannot hold, or that the cube has another of.
    """
    nodata = nodata_of(info, settings.nodata)
    if info.rpcs or (info.transform not in (None, IDENTITY)):
        _warn("its position on the map (transform, RPCs) is of the former pixels and is left out")
    header = {key: text for key, text in info.header.items() if key not in PLACED_KEYS}
    return info.with_new_pixels().replace(
        nodata=nodata,
        crs=None,
        transform=None,
        gcps=_moved(info.gcps, task),
        rpcs={},
        header=header,
        tags={**info.with_new_pixels().tags, CAMERA_DOMAIN: camera_items(task.made)},
    )


def camera_items(camera: CameraInfo) -> dict[str, str]:
    """A camera without distortion as tags; all digits."""
    assert camera.image_size is not None
    items = {"LENS": "pinhole", "DISTORTION": "none"}
    items |= {f"{key.upper()}_PX": repr(getattr(camera, key)) for key in ("fx", "fy", "cx", "cy")}
    width, height = camera.image_size
    items |= {"WIDTH_PX": str(width), "HEIGHT_PX": str(height)}
    if camera.pitch_mm is not None:
        items["PITCH_MM"] = " ".join(map(repr, camera.pitch_mm))
    return items | ({"NAME": camera.name} if camera.name else {})


def _moved(
    points: Sequence[GroundControlPoint], task: Undistortion
) -> tuple[GroundControlPoint, ...]:
    """Ground control points where they are seen now; they count from the corner of a pixel."""
    if not points:
        return ()
    at = np.array([(point.column - 0.5, point.row - 0.5) for point in points])
    new = task.moved(at) + 0.5
    kept = tuple(
        replace(point, column=float(column), row=float(row))
        for point, (column, row) in zip(points, new, strict=True)
        if math.isfinite(column)
    )
    if len(kept) < len(points):
        _warn(f"{len(points) - len(kept)} ground control points are seen no more and left out")
    return kept


def _warn(text: str) -> None:
    warnings.warn(text, HsitoolWarning, stacklevel=3)
