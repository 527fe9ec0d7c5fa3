"""`hsitool undistort`"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hsitool.cli.app import app
from hsitool.cli.options import (
    DEFAULT_MEMORY,
    CompressOption,
    CreationOptions,
    CubePath,
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
    progress_bar,
    target_of,
    written,
)
from hsitool.errors import UsageError

if TYPE_CHECKING:
    from hsitool.tasks.undistort import Framing


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
    cube: CubePath,
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
    max_memory: MaxMemory = DEFAULT_MEMORY,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Take a lens's distortion off a cube or an image, any number of bands.

    Samples without data touch only what they are part of. The result lies in the camera that
    the tags of the domain CAMERA tell, without distortion and with the same ratio of fx and fy.
    """
    from hsitool.storage.atomic import refuse_existing
    from hsitool.storage.band_shifts import read_band_shifts
    from hsitool.storage.cameras import format_for, read_camera, write_cameras
    from hsitool.storage.writers import refuse_inputs, refuse_twins
    from hsitool.tasks import undistort as task

    budget = budget_of(max_memory, threads)
    options = output_of(form, compress, creation, overwrite, budget)
    target = target_of(output, cube, "undistort", form)
    if camera_out is not None:
        form_out = format_for(camera_out)
        refuse_existing([camera_out], overwrite)
        refuse_twins([target], options, [camera_out])
    inputs = [cube, camera, band_shift, data, wavelengths]
    refuse_inputs([target], inputs, options, [camera_out] if camera_out else [])
    settings = task.UndistortSettings(
        like.value,
        None if interp is None else interp.value,
        _framing(crop, binning, scale),
        nodata,
        () if band_shift is None else read_band_shifts(band_shift),
    )
    taken = read_camera(camera, camera_name)
    said = {"camera": camera.name, "band_shift": band_shift and band_shift.name}
    with open_source(cube, data, wavelengths) as source, progress_bar("undistort", quiet) as bar:
        made = task.undistort(
            source,
            target,
            taken,
            settings,
            said=said,
            output=options,
            budget=budget,
            progress=bar,
        )
    written(target, options)
    if camera_out is not None:
        write_cameras(camera_out, [made], form_out, overwrite=overwrite)
        typer.echo(camera_out)


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
