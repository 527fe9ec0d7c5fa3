"""`hsitool band`"""

from __future__ import annotations

from typing import Annotated

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
    note,
    open_source,
    output_of,
    progress_bar,
    target_of,
    written,
)


@app.command(epilog="Example:  hsitool band cube.tif --band 680nm -o red.tif")
def band(
    cube: CubePath,
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
    max_memory: MaxMemory = DEFAULT_MEMORY,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Write one band as an image."""
    from hsitool.tasks.bands import describe_band, find_band
    from hsitool.tasks.convert import band_image

    budget = budget_of(max_memory, threads)
    options = output_of(form, compress, creation, overwrite, budget)
    target = target_of(output, cube, "band", form)
    with (
        open_source(cube, data, wavelengths, once=True) as source,
        progress_bar("band", quiet) as progress,
    ):
        index = find_band(source.info, name)
        note(describe_band(source.info, index), quiet)
        band_image(source, target, index, output=options, budget=budget, progress=progress)
    written(target, options)
