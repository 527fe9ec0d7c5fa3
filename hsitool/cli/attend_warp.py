"""`hsitool attend warp`"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hsitool.cli.app import attend
from hsitool.cli.attend_options import size_of
from hsitool.cli.options import (
    DEFAULT_MEMORY,
    CompressOption,
    CreationOptions,
    DataFile,
    FormatOption,
    Json,
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
from hsitool.cli.scene_names import Output
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

if TYPE_CHECKING:
    from hsitool.tasks.attend_warp import Warped, WarpSettings


@attend.command(
    epilog="Example:  hsitool attend warp cube.tif --at 120,340 --zoom 4 --size 256 -o view.tif"
)
def warp(
    context: typer.Context,
    cubes: CubePaths,
    theta: Annotated[
        str | None,
        typer.Option(
            metavar="A11,A12,A13,A21,A22,A23",
            help="From normalised x, y, 1 of the view (-1 to 1 from edge to edge) to the cube's.",
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="ROW,COL", help="The pixel in the middle, from 0."),
    ] = None,
    xy: Annotated[
        str | None,
        typer.Option("--xy", metavar="X,Y", help="The point in the middle, in the cube's CRS."),
    ] = None,
    zoom: Annotated[
        float, typer.Option(metavar="Z", help="Pixels of the view in one of the cube.")
    ] = 1.0,
    rotate: Annotated[
        float, typer.Option(metavar="DEG", help="Turn the view clockwise on the cube.")
    ] = 0.0,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="H[xW]",
            help="Rows and columns of the view.  [default: the cube's, or all of it at this zoom]",
            show_default=False,
        ),
    ] = None,
    no_antialias: Annotated[
        bool,
        typer.Option("--no-antialias", help="Do not smooth where the view is coarser."),
    ] = False,
    north_up: Annotated[
        bool, typer.Option("--north-up", help="North up, whatever way the cube lies.")
    ] = False,
    nodata: Annotated[
        float | None,
        typer.Option("--nodata", metavar="VALUE", help="For pixels without data, of integers."),
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
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """See a cube zoomed, turned or sheared: an affine grid and linear interpolation.

    The view is where --at or --xy say, or what --theta says (a spatial transformer's, with
    align_corners=False). Where it is coarser than the cube it is smoothed first, so that it shows
    no patterns that are not there. Its georeference is exact, rotated or not.
    """
    from hsitool.tasks.attend_warp import WarpSettings

    budget = budget_of(max_memory, threads)
    options = output_of(form, compress, creation, overwrite, budget)
    settings = WarpSettings(
        theta=None if theta is None else tuple(numbers(theta, 6, "--theta", "six numbers")),
        at=None if at is None else _pair(at, "--at", "ROW,COL"),
        xy=None if xy is None else _pair(xy, "--xy", "X,Y"),
        zoom=zoom,
        rotate_deg=rotate,
        size=None if size is None else size_of(size),
        north_up=north_up,
        antialias=not no_antialias,
        nodata=nodata,
    )
    outputs, many = [Output("--output", output)], Many(out_dir, jobs, keep_going, resume)
    run = Run("attend warp", cubes, outputs, many, options, budget, form, as_json, quiet)
    run_scenes(context, run, partial(_one, settings=settings, data=data, wavelengths=wavelengths))


def _one(
    scene: Scene, *, settings: WarpSettings, data: Path | None, wavelengths: Path | None
) -> dict[str, Any]:
    """The view of one scene."""
    from hsitool.tasks.attend_warp import warp

    (target,) = scene.targets
    with open_source(scene.cube, data, wavelengths) as source:
        made = warp(
            source,
            target,
            settings,
            output=scene.options,
            budget=scene.budget,
            progress=scene.progress,
        )
    return _report(made, str(target))


def _pair(text: str, option: str, form: str) -> tuple[float, float]:
    first, second = numbers(text, 2, option, form)
    return first, second


def _report(made: Warped, target: str) -> dict[str, Any]:
    view, info = made.view, made.info
    return {
        "output": target,
        "rows": view.size[0],
        "columns": view.size[1],
        "theta": made.theta.tolist(),
        "pixel_map": [list(row) for row in view.matrix],
        "scales": list(view.scales),
        "smoothed": len(made.foot.shares) > 1,
        "transform": None if info.transform is None else list(info.transform),
    }
