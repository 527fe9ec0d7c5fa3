"""`hsitool convert`"""

from __future__ import annotations

from dataclasses import replace
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
from hsitool.errors import UsageError

if TYPE_CHECKING:
    from hsitool.cube import Tile
    from hsitool.tasks.convert import ConvertSettings


@app.command(
    epilog="Example:  hsitool convert cube.hdr -o vnir.tif --bands 1:50,680nm --dtype float32"
)
def convert(
    context: typer.Context,
    cubes: CubePaths,
    output: OutputPath = None,
    form: FormatOption = None,
    dtype: Annotated[
        str | None, typer.Option("--dtype", "-t", metavar="TYPE", help="uint8 ... float64.")
    ] = None,
    nodata: Annotated[
        str | None,
        typer.Option(
            "--nodata",
            metavar="VALUE|none",
            help="New nodata value; missing samples are rewritten to it.",
        ),
    ] = None,
    bands: Annotated[
        str | None,
        typer.Option(
            "--bands", "-b", metavar="LIST", help="Bands to keep: 10:50,680nm (both ends included)."
        ),
    ] = None,
    subset: Annotated[
        str | None,
        typer.Option("--subset", metavar="ROW,COL,HEIGHT,WIDTH", help="Rectangle to keep."),
    ] = None,
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
    """Copy a cube without losing metadata: GeoTIFF <-> ENVI, other types, parts."""
    from hsitool.tasks.convert import ConvertSettings

    budget = budget_of(max_memory, threads)
    options = output_of(form, compress, creation, overwrite, budget)
    tile = None if subset is None else _tile(subset)
    settings = ConvertSettings(dtype, _nodata(nodata), None, tile)
    outputs, many = [Output("--output", output)], Many(out_dir, jobs, keep_going, resume)
    run = Run("convert", cubes, outputs, many, options, budget, form, quiet=quiet)
    work = partial(_one, settings=settings, bands=bands, data=data, wavelengths=wavelengths)
    run_scenes(context, run, work)


def _one(
    scene: Scene,
    *,
    settings: ConvertSettings,
    bands: str | None,
    data: Path | None,
    wavelengths: Path | None,
) -> None:
    """The copy of one scene; which bands are meant, its wavelengths may say."""
    from hsitool.tasks.bands import find_bands
    from hsitool.tasks.convert import convert

    (target,) = scene.targets
    with open_source(scene.cube, data, wavelengths, once=True) as source:
        if bands is not None:
            settings = replace(settings, bands=tuple(find_bands(source.info, bands)))
        convert(
            source,
            target,
            settings,
            output=scene.options,
            budget=scene.budget,
            progress=scene.progress,
        )


def _tile(text: str) -> Tile:
    from hsitool.cube import Tile

    form = "four whole numbers ROW,COL,HEIGHT,WIDTH"
    values = numbers(text, 4, "--subset", form)
    if not all(value.is_integer() for value in values):
        raise UsageError(f"--subset '{text}' is not {form}")
    return Tile(*map(int, values))


def _nodata(text: str | None) -> float | str | None:
    if text is None or text == "none":
        return text
    if text.lower() == "nan":
        return float("nan")
    return numbers(text, 1, "--nodata", "a number or 'none'")[0]
