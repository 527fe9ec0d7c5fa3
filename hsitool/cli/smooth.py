"""`hsitool smooth`"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

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
from hsitool.errors import UsageError


class SpacingName(StrEnum):
    """Axes of the fit."""

    auto = "auto"
    band = "band"


@app.command(epilog="Example:  hsitool smooth cube.tif --window 7 --deg 2 --deriv 1 -o slope.tif")
def smooth(
    cube: CubePath,
    window: Annotated[
        int, typer.Option("--window", "-w", metavar="N", help="Bands in a window, odd.")
    ],
    degree: Annotated[
        int, typer.Option("--deg", "-d", metavar="N", help="Degree of the polynomial.")
    ],
    deriv: Annotated[
        int, typer.Option("--deriv", metavar="N", help="Order of the derivative; 0 smooths.")
    ] = 0,
    band: Annotated[
        str | None,
        typer.Option("--band", "-b", metavar="30|680nm", help="Only this band's image."),
    ] = None,
    output: OutputPath = None,
    spacing: Annotated[
        SpacingName,
        typer.Option(help="Fit at the real wavelengths where known (auto), or by band number."),
    ] = SpacingName.auto,
    delta: Annotated[
        str | None,
        typer.Option("--delta", metavar="5nm", help="Fit at one step between all bands."),
    ] = None,
    split_gap: Annotated[
        str,
        typer.Option(
            "--split-gap",
            metavar="auto|off|40nm",
            help="No window crosses a longer step; auto: 3 times the local median.",
        ),
    ] = "auto",
    split_at: Annotated[
        str | None,
        typer.Option("--split-at", metavar="970nm,...", help="No window crosses these seams."),
    ] = None,
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
    """Smooth a cube along its bands (Savitzky-Golay), or take derivatives.

    Each window is fitted at the real wavelengths; derivatives are per nm^n. No window crosses a
    bad band, a gap or a step back in wavelength; edge bands use the polynomial of the end window.
    """
    from hsitool.storage.wavelengths import length_nm
    from hsitool.tasks import smooth as task
    from hsitool.tasks.bands import describe_band, find_band

    if delta is not None and spacing is SpacingName.band:
        raise UsageError("--delta and --spacing band exclude each other: leave one out")
    seams = () if split_at is None else split_at.split(",")
    settings = task.SmoothSettings(
        window,
        degree,
        deriv,
        spacing.value,
        None if delta is None else _positive(length_nm(delta, "--delta"), "--delta"),
        _gap(split_gap),
        tuple(length_nm(seam, "--split-at") for seam in seams),
    )
    budget = budget_of(max_memory, threads)
    options = output_of(form, compress, creation, overwrite, budget)
    target = target_of(output, cube, "smooth", form)
    with open_source(cube, data, wavelengths) as source, progress_bar("smooth", quiet) as progress:
        index = None if band is None else find_band(source.info, band)
        if index is not None:
            note(describe_band(source.info, index), quiet)
        task.smooth(
            source, target, settings, band=index, output=options, budget=budget, progress=progress
        )
    written(target, options)


def _gap(text: str) -> float | Literal["auto"] | None:
    from hsitool.storage.wavelengths import length_nm

    if text == "auto":
        return "auto"
    return None if text == "off" else _positive(length_nm(text, "--split-gap"), "--split-gap")


def _positive(value: float, option: str) -> float:
    if not value > 0:
        raise UsageError(f"{option} {value:g}nm: give a length above 0")
    return value
