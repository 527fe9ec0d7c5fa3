"""`hsitool attend bands`"""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hsitool.cli.app import attend
from hsitool.cli.options import (
    DEFAULT_MEMORY,
    BackgroundFile,
    BandsOption,
    CompressOption,
    CreationOptions,
    CubePath,
    DataFile,
    FormatOption,
    Json,
    MaxMemory,
    ModelFile,
    NormName,
    Overwrite,
    Quiet,
    ShrinkOption,
    TemperatureOption,
    Threads,
    WavelengthsFile,
    budget_of,
    factor_of,
    note,
    open_source,
    output_of,
    progress_bar,
    shrink_of,
    stem_of,
    written,
)
from hsitool.cli.said import said_options
from hsitool.errors import UsageError

if TYPE_CHECKING:
    from hsitool.storage.readers import CubeReader
    from hsitool.storage.writers import OutputOptions
    from hsitool.tasks.band_choice import BandSettings
    from hsitool.tasks.band_outputs import BandOutputs


@attend.command(
    epilog="Example:  hsitool attend bands cube.tif --target clay.geojson --pick 5 -o bands.csv"
)
def bands(
    context: typer.Context,
    cube: CubePath,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            "-t",
            metavar="ROI|FILE[:NAME]",
            help="Polygons (GeoJSON), a mask raster, or a spectrum; without one, what varies.",
        ),
    ] = None,
    target_scale: Annotated[
        float,
        typer.Option("--target-scale", metavar="N", help="Factor for a spectrum of --target."),
    ] = 1.0,
    background: BackgroundFile = None,
    model: ModelFile = None,
    pick: Annotated[
        int | None,
        typer.Option(
            "--pick",
            metavar="K",
            help="Pick K bands one after the other, each for what it adds.  [default: 5]",
            show_default=False,
        ),
    ] = None,
    min_gap: Annotated[
        float | None,
        typer.Option(
            "--min-gap",
            metavar="NM",
            help="How far picks lie apart.  [default: 2 FWHM]",
            show_default=False,
        ),
    ] = None,
    soft: Annotated[
        bool, typer.Option("--soft", help="Weigh all bands by how telling each is alone.")
    ] = False,
    sample: Annotated[
        int | None,
        typer.Option("--sample", metavar="K", help="Draw K different bands by these weights."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="S", min=0, help="Of --sample.")] = 0,
    score: Annotated[
        str | None,
        typer.Option(
            "--score",
            metavar="fisher|snr|FILE",
            help="Contrast with the target, signal over noise, or the correlation with a raster.",
        ),
    ] = None,
    focus: Annotated[
        str | None,
        typer.Option(
            metavar="10%|3",
            help="Effective number of bands, or share of them.  [default: 10%]",
            show_default=False,
        ),
    ] = None,
    temperature: TemperatureOption = None,
    norm: Annotated[
        NormName, typer.Option(help="From scores to weights; sparsemax leaves most bands out.")
    ] = NormName.softmax,
    use: BandsOption = None,
    shrink: ShrinkOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.csv",
            help="The table; the default is <CUBE's name>_bands.csv in the current folder.",
            show_default=False,
        ),
    ] = None,
    composite: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write the weighted sum of the bands."),
    ] = None,
    picked: Annotated[
        Path | None,
        typer.Option("--cube", metavar="FILE", help="Also write a cube of the chosen bands."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="Draw spectra and bands (.png, .svg, .pdf; matplotlib).",
        ),
    ] = None,
    form: FormatOption = None,
    compress: CompressOption = None,
    creation: CreationOptions = None,
    data: DataFile = None,
    wavelengths: WavelengthsFile = None,
    overwrite: Overwrite = False,
    max_memory: MaxMemory = DEFAULT_MEMORY,
    threads: Threads = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Choose the few bands that tell a target from its background, or weigh all bands.

    A pick counts for what the ones before do not foretell, so neighbours are not picked for the
    same thing twice. How far two halves of the target pick the same bands is told.
    """
    from hsitool.tasks import band_outputs as task
    from hsitool.tasks.attend_bands import choose_bands
    from hsitool.tasks.band_choice import BandSettings

    budget = budget_of(max_memory, threads)
    options = output_of(form, compress, creation, overwrite, budget)
    settings = BandSettings(
        pick=pick,
        min_gap_nm=min_gap,
        soft=soft,
        sample=sample,
        seed=seed,
        score=score,
        focus=focus,
        temperature=temperature,
        norm=norm.value,
        bands=use,
        background=background,
        model=model,
        shrink=None if shrink is None else shrink_of(shrink),
    )
    named = output or Path(f"{stem_of(cube)}_bands.csv")
    outputs = task.BandOutputs(named, composite, picked, plot)
    said = (str(cube), *said_options(context, {"--output", "--composite", "--cube", "--plot"}))
    rasters = {"--composite": composite, "--cube": picked}
    lines = {path: (*said, option) for option, path in rasters.items() if path is not None}
    options = replace(options, lines=lines)
    if target is None and target_scale != 1:
        raise UsageError("--target-scale goes with --target")
    with open_source(cube, data, wavelengths) as source, ExitStack() as stack:
        _check(source, settings, target, outputs, options)
        with progress_bar("attend bands", quiet) as progress:
            choice = choose_bands(
                source,
                target,
                settings,
                target_scale=factor_of(target_scale, "--target-scale"),
                budget=budget,
                progress=progress,
            )
            for line in task.lines(choice):
                note(line, quiet)
            task.write_choice(
                stack, choice, settings, outputs, options, budget=budget, progress=progress
            )
        if plot is not None:
            from hsitool.drawing import picture_file
            from hsitool.drawing.chosen_bands import draw_bands

            save = stack.enter_context(picture_file(plot, overwrite))
            save(draw_bands(choice))
    if as_json:
        typer.echo(json.dumps(task.report(choice, settings)))
        return
    typer.echo(named)
    for path in outputs.rasters:
        written(path, options)
    if plot is not None:
        typer.echo(plot)


def _check(
    source: CubeReader,
    settings: BandSettings,
    target: str | None,
    outputs: BandOutputs,
    options: OutputOptions,
) -> None:
    """Refuse before the work what could not be carried out or written after it."""
    from hsitool.drawing import check_plot
    from hsitool.storage.spectra import file_and_name
    from hsitool.storage.writers import refuse_inputs
    from hsitool.tasks.band_choice import refuse_band_settings
    from hsitool.tasks.score_maps import refuse_outputs

    refuse_band_settings(settings, target)
    if settings.soft and outputs.cube is not None:
        raise UsageError("--cube holds chosen bands, and --soft chooses none: ask for --composite")
    refuse_outputs(outputs.rasters, options, outputs.others)
    read = [*source.files, settings.background, settings.model]
    read += [Path(text) for text in (settings.score, target and file_and_name(target)[0]) if text]
    refuse_inputs(outputs.rasters, read, options, outputs.others)
    if outputs.plot is not None:
        check_plot(outputs.plot, options.overwrite)
