"""`hsitool convert`"""

from __future__ import annotations

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
    from hsitool.cube import Tile


@app.command(
    epilog="Example:  hsitool convert cube.hdr -o vnir.tif --bands 1:50,680nm --dtype float32"
)
def convert(
    cube: CubePath,
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
    max_memory: MaxMemory = DEFAULT_MEMORY,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Copy a cube without losing metadata: GeoTIFF <-> ENVI, other types, parts."""
    from hsitool.tasks import convert as task
    from hsitool.tasks.bands import find_bands

    budget = budget_of(max_memory, threads)
    options = output_of(form, compress, creation, overwrite, budget)
    target = target_of(output, cube, "convert", form)
    with (
        open_source(cube, data, wavelengths, once=True) as source,
        progress_bar("convert", quiet) as progress,
    ):
        settings = task.ConvertSettings(
            dtype,
            _nodata(nodata),
            None if bands is None else tuple(find_bands(source.info, bands)),
            None if subset is None else _tile(subset),
        )
        task.convert(source, target, settings, output=options, budget=budget, progress=progress)
    written(target, options)


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
