"""`hsitool undistort`"""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hsitool.cli.app import app
from hsitool.cli.options import (
    DEFAULT_MEMORY,
    CompressOption,
    CreationOptions,
    DataFile,
    FormatOption,
    MaxMemory,
    OutputPath,
    Overwrite,
    Quiet,
    Threads,
    WavelengthsFile,
    budget_of,
    numbers,
    open_source,
    output_of,
)
from hsitool.cli.scene_names import Output, wanted
from hsitool.cli.scenes import (
    CubePaths,
    Jobs,
    KeepGoing,
    Many,
    OutDir,
    Resume,
    Run,
    Scene,
    run_scenes,
)
from hsitool.errors import UsageError

if TYPE_CHECKING:
    from hsitool.camera import CameraInfo
    from hsitool.tasks.undistort import Framing, UndistortSettings


class LikeName(StrEnum):
    """Which new camera."""

    K = "K"
    fit = "fit"
    full = "full"


class InterpName(StrEnum):
    """Samples between pixels."""

    linear = "linear"
    nearest = "nearest"
    cubic = "cubic"


@app.command(epilog="Example:  hsitool undistort cube.tif --camera camera.yaml -o straight.tif")
def undistort(
    context: typer.Context,
    cubes: CubePaths,
    camera: Annotated[
        Path,
        typer.Option("--camera", metavar="FILE", help="Camera file, of calib or another program."),
    ],
    camera_name: Annotated[
        str | None,
        typer.Option("--camera-name", metavar="NAME", help="Which camera of a file of several."),
    ] = None,
    like: Annotated[
        LikeName,
        typer.Option(
            "--like", help="New camera: same K, no missing edges (fit), or nothing cut off (full)."
        ),
    ] = LikeName.K,
    interp: Annotated[
        InterpName | None,
        typer.Option(
            "--interp",
            help="Samples between pixels.  [default: linear; nearest for classes and palettes]",
            show_default=False,
        ),
    ] = None,
    crop: Annotated[
        str | None,
        typer.Option(
            "--crop",
            metavar="COL,ROW,WIDTH,HEIGHT",
            help="The part of the calibrated frame that the cube was cut from.",
        ),
    ] = None,
    binning: Annotated[
        int,
        typer.Option(
            "--bin", metavar="N", min=1, help="Pixels of the frame in one of the cube, an axis."
        ),
    ] = 1,
    scale: Annotated[
        float,
        typer.Option("--scale", metavar="S", help="Factor by which the cube was resized (last)."),
    ] = 1.0,
    band_shift: Annotated[
        Path | None,
        typer.Option(
            "--band-shift",
            metavar="FILE.csv",
            help="Where each band lies against the reference band, as calib --bands writes it.",
        ),
    ] = None,
    nodata: Annotated[
        float | None,
        typer.Option("--nodata", metavar="VALUE", help="For pixels without data, of integers."),
    ] = None,
    camera_out: Annotated[
        Path | None,
        typer.Option(
            "--camera-out",
            metavar="FILE",
            help="Write the new camera, too; its ending tells the format.",
        ),
    ] = None,
    output: OutputPath = None,
    form: FormatOption = None,
    compress: CompressOption = None,
    creation: CreationOptions = None,
    data: DataFile = None,
    wavelengths: WavelengthsFile = None,
    overwrite: Overwrite = False,
    out_dir: OutDir = None,
    jobs: Jobs = 1,
    keep_going: KeepGoing = False,
    resume: Resume = False,
    max_memory: MaxMemory = DEFAULT_MEMORY,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Take a lens's distortion off a cube or an image, any number of bands.

    Samples without data touch only what they are part of. The result lies in the camera that
    the tags of the domain CAMERA tell, without distortion and with the same ratio of fx and fy.
    """
    from hsitool.storage.band_shifts import read_band_shifts
    from hsitool.storage.cameras import format_for, read_camera
    from hsitool.tasks.undistort import UndistortSettings

    budget = budget_of(max_memory, threads)
    options = output_of(form, compress, creation, overwrite, budget)
    if camera_out is not None:
        format_for(camera_out)
    settings = UndistortSettings(
        like.value,
        None if interp is None else interp.value,
        _framing(crop, binning, scale),
        nodata,
        () if band_shift is None else read_band_shifts(band_shift),
    )
    outputs = [Output("--output", output), *wanted("--camera-out", camera_out, raster=False)]
    many = Many(out_dir, jobs, keep_going, resume)
    run = Run(
        "undistort",
        cubes,
        outputs,
        many,
        options,
        budget,
        form,
        quiet=quiet,
        inputs=(camera, band_shift, data, wavelengths),
    )
    said = {
        "camera": camera.name,
        "band_shift": None if band_shift is None else band_shift.name,
    }
    taken, files = read_camera(camera, camera_name), (data, wavelengths)
    run_scenes(context, run, partial(_one, camera=taken, settings=settings, said=said, files=files))


def _one(
    scene: Scene,
    *,
    camera: CameraInfo,
    settings: UndistortSettings,
    said: dict[str, str | None],
    files: tuple[Path | None, Path | None],
) -> None:
    """One scene without the distortion, and the camera that would have taken it."""
    from hsitool.storage.atomic import refuse_existing
    from hsitool.storage.cameras import format_for, write_cameras
    from hsitool.tasks.undistort import undistort

    target, *cameras = scene.targets
    overwrite = scene.options.overwrite
    refuse_existing(cameras, overwrite)
    with open_source(scene.cube, *files) as source:
        made = undistort(
            source,
            target,
            camera,
            settings,
            said=dict(said),
            output=scene.options,
            budget=scene.budget,
            progress=scene.progress,
        )
    for path in cameras:
        write_cameras(path, [made], format_for(path), overwrite=overwrite)


def _framing(crop: str | None, binning: int, scale: float) -> Framing:
    from hsitool.tasks.undistort import Framing

    if not 0 < scale < float("inf"):
        raise UsageError(f"--scale {scale:g} is no factor above 0")
    if crop is None:
        return Framing(None, binning, scale)
    form = "COL,ROW,WIDTH,HEIGHT in whole px, inside the frame"
    values = numbers(crop, 4, "--crop", form)
    column, row, width, height = (int(value) for value in values)
    whole = all(value.is_integer() for value in values)
    if not whole or min(column, row) < 0 or min(width, height) < 1:
        raise UsageError(f"--crop '{crop}' is not {form}")
    return Framing((column, row, width, height), binning, scale)
