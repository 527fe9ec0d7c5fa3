"""`hsitool band`"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

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


@app.command(epilog="Example:  hsitool band cube.tif --band 680nm -o red.tif")
def band(
    context: typer.Context,
    cubes: CubePaths,
    name: Annotated[
        str,
        typer.Option("--band", "-b", metavar="30|680nm", help="Number or wavelength of the band."),
    ],
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
    """Write one band as an image."""
    budget = budget_of(max_memory, threads)
    options = output_of(form, compress, creation, overwrite, budget)
    outputs, many = [Output("--output", output)], Many(out_dir, jobs, keep_going, resume)
    run = Run("band", cubes, outputs, many, options, budget, form, quiet=quiet)
    run_scenes(context, run, partial(_one, name=name, data=data, wavelengths=wavelengths))


def _one(scene: Scene, *, name: str, data: Path | None, wavelengths: Path | None) -> None:
    """The image of one scene."""
    from hsitool.tasks.bands import describe_band, find_band
    from hsitool.tasks.convert import band_image

    (target,) = scene.targets
    with open_source(scene.cube, data, wavelengths, once=True) as source:
        index = find_band(source.info, name)
        scene.note(describe_band(source.info, index))
        band_image(
            source,
            target,
            index,
            output=scene.options,
            budget=scene.budget,
            progress=scene.progress,
        )
