"""`hsitool attend mask`"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hsitool.cli.app import attend
from hsitool.cli.attend_options import (
    FocusOption,
    NormName,
    NormOption,
    QueryOption,
    QueryScale,
    RoiOption,
    ScoreOption,
    TemperatureOption,
    asked_of,
)
from hsitool.cli.options import (
    DEFAULT_MEMORY,
    BackgroundFile,
    BandsOption,
    CompressOption,
    CreationOptions,
    DataFile,
    FormatOption,
    Json,
    MaxMemory,
    ModelFile,
    Overwrite,
    Quiet,
    ShrinkOption,
    Threads,
    WavelengthsFile,
    budget_of,
    note,
    open_source,
    output_of,
    progress_bar,
    shrink_of,
    target_of,
    written,
)
from hsitool.errors import UsageError

if TYPE_CHECKING:
    from hsitool.storage.readers import CubeReader
    from hsitool.storage.writers import OutputOptions
    from hsitool.tasks.attend_look import Look, MaskSettings
    from hsitool.tasks.attend_mask import MaskOutputs
    from hsitool.tasks.attend_query import Asked
    from hsitool.tasks.attend_track import Stage


class RequireName(StrEnum):
    """Checks that end with exit code 1 where the answer is no."""

    present = "present"


@attend.command(epilog="Example:  hsitool attend mask cube.tif --query kaolinite.csv -o mask.tif")
def mask(
    cubes: Annotated[
        list[Path],
        typer.Argument(
            metavar="CUBE...",
            help="A cube; several, in time order, with --track.",
            show_default=False,
        ),
    ],
    query: QueryOption = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="ROW,COL", help="The spectrum of a pixel, from 0."),
    ] = None,
    xy: Annotated[
        str | None,
        typer.Option("--xy", metavar="X,Y", help="The spectrum at a place in the cube's CRS."),
    ] = None,
    roi: RoiOption = None,
    query_scale: QueryScale = 1.0,
    score: ScoreOption = "ace",
    focus: FocusOption = None,
    temperature: TemperatureOption = None,
    norm: NormOption = NormName.sparsemax,
    bands: BandsOption = None,
    background: BackgroundFile = None,
    model: ModelFile = None,
    shrink: ShrinkOption = None,
    max_angle: Annotated[
        float,
        typer.Option(metavar="DEG", min=0, help="If no pixel is so near, the query may be absent."),
    ] = 10.0,
    require: Annotated[
        RequireName | None, typer.Option(help="Exit code 1 where the query may be absent.")
    ] = None,
    steps: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, help="Look again for what was seen, up to N times in all."
        ),
    ] = 1,
    max_drift: Annotated[
        float,
        typer.Option(metavar="DEG", min=0, help="How far a query may go from the first one."),
    ] = 60.0,
    carry: Annotated[
        bool, typer.Option("--track", help="Carry the query from cube to cube.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Weights over the largest; the default is <CUBE's name>_mask.tif in the current "
            "folder. With --track, each cube's name is added to all names.",
            show_default=False,
        ),
    ] = None,
    masked: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the cube times its mask.")
    ] = None,
    score_out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the scores.")
    ] = None,
    spectrum: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="Also write the attended spectrum and its errors."),
    ] = None,
    hard: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the heaviest pixels as 1.")
    ] = None,
    mass: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Weight that the pixels of --hard hold.  [default: 0.9]",
            show_default=False,
        ),
    ] = None,
    top: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Or how many they are.")
    ] = None,
    overlay: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="Draw the weights over the scene (.png, .svg, .pdf; matplotlib).",
        ),
    ] = None,
    rgb: Annotated[
        str | None,
        typer.Option(
            metavar="R,G,B", help="Bands of the picture, as 30,20,10; by default true colour."
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
    """Weigh pixels by their likeness to a query; write the weights and the spectrum they see.

    Scores become weights of sum 1 that are spread over as many pixels as --focus says. The mask
    holds weights over the largest one. The material need not be there: the angle of the most
    similar pixel is always told, and beyond --max-angle a warning is.
    """
    from hsitool.storage.spectra import file_and_name
    from hsitool.tasks import attend_report as reports
    from hsitool.tasks.attend_look import MaskSettings, refuse_settings
    from hsitool.tasks.attend_mask import MaskOutputs

    settings = MaskSettings(
        score=score,
        focus=focus,
        temperature=temperature,
        norm=norm.value,
        bands=bands,
        background=background,
        model=model,
        shrink=None if shrink is None else shrink_of(shrink),
        max_angle_deg=max_angle,
        steps=steps,
        max_drift_deg=max_drift,
    )
    budget = budget_of(max_memory, threads)
    options = output_of(form, compress, creation, overwrite, budget)
    if len(cubes) > 1 and not carry:
        raise UsageError(f"{len(cubes)} cubes: give one, or several in time order with --track")
    target = target_of(output, cubes[0], "mask", form)
    share = _share(hard, mass, top)
    wanted = MaskOutputs(target, masked, score_out, spectrum, hard, share, top, overlay)
    named = [wanted.named_after(cube) if carry else wanted for cube in cubes]
    asked_file = None if query is None else file_and_name(query)[0]
    raster = Path(score) if settings.is_file else None
    inputs = [*cubes, data, wavelengths, asked_file, roi, background, model, raster]
    _check_outputs(named, options, inputs)
    with ExitStack() as stack:
        sources = [stack.enter_context(open_source(c, data, wavelengths)) for c in cubes]
        asked = asked_of(sources[0], query, query_scale, roi, at, xy)
        refuse_settings(settings, asked)
        if require is not None and asked is None:
            raise UsageError("--require present needs a query: give --query, --at, --xy or --roi")
        progress = stack.enter_context(progress_bar("attend mask", quiet))
        found: list[dict[str, Any]] = []

        def use(number: int, look: Look) -> None:
            _write(stack, look, settings, named[number], options, rgb)
            found.append(reports.report(look, settings))
            for line in reports.lines(look):
                note(line, quiet)

        way = _carry_out(sources, settings, asked, target, use, budget, progress, carry)
        for turn in way:
            note(reports.turn_line(turn), quiet)
    if as_json:
        typer.echo(
            json.dumps({"frames": found, "track": reports.stages(way)} if carry else found[0])
        )
    else:
        _list_outputs(named, options)
    absent = [frame["cube"] for frame in found if frame["present"] is False]
    if require is not None and absent:
        note(f"--require present: the query may be absent from {', '.join(absent)}", False)
        raise typer.Exit(1)


def _list_outputs(named: list[MaskOutputs], options: OutputOptions) -> None:
    """Tell standard output what was written."""
    for outputs in named:
        for path in outputs.rasters:
            written(path, options)
        for path in outputs.others:
            typer.echo(path)


def _carry_out(
    sources: list[CubeReader],
    settings: MaskSettings,
    asked: Asked | None,
    target: Path,
    use: Callable[[int, Look], None],
    budget: Any,
    progress: Any,
    carry: bool,
) -> list[Stage]:
    """Look at one cube, or at several one after the other; the way of a query that is carried."""
    from hsitool.tasks.attend_look import look_at
    from hsitool.tasks.attend_track import track

    options: dict[str, Any] = {"budget": budget, "progress": progress}
    if not carry:
        with look_at(sources[0], settings, asked, target, **options) as look:
            use(0, look)
        return []
    if asked is None:
        raise UsageError("--track carries a query: give --query, --at, --xy or --roi")
    return track(sources, settings, asked, target, use, **options)


def _share(hard: Path | None, mass: float | None, top: int | None) -> float | None:
    """The share of weight that the hard mask holds; None where it goes by their number."""
    if (mass is not None or top is not None) and hard is None:
        raise UsageError("--mass and --top say what --hard holds: name its file")
    if mass is not None and top is not None:
        raise UsageError("--mass and --top both say how many pixels --hard has: give one")
    if mass is not None and not 0 < mass <= 1:
        raise UsageError(f"--mass {mass:g} is no share: give a number above 0, up to 1")
    return None if top is not None else (mass or 0.9)


def _check_outputs(
    named: list[MaskOutputs], options: OutputOptions, inputs: list[Path | None]
) -> None:
    """Refuse before the work what could not be written after it, or would replace an input."""
    from hsitool.drawing import check_plot
    from hsitool.storage.atomic import refuse_existing
    from hsitool.storage.writers import refuse_inputs, refuse_twins
    from hsitool.tasks.score_maps import refuse_outputs

    rasters = [path for outputs in named for path in outputs.rasters]
    others = [path for outputs in named for path in outputs.others]
    refuse_twins(rasters, options, others)
    refuse_inputs(rasters, inputs, options, others)
    refuse_outputs(rasters, options)
    refuse_existing(others, options.overwrite)
    for outputs in named:
        if outputs.overlay is not None:
            check_plot(outputs.overlay, options.overwrite)


def _write(
    stack: ExitStack,
    look: Look,
    settings: MaskSettings,
    outputs: MaskOutputs,
    options: OutputOptions,
    rgb: str | None,
) -> None:
    """Write all files of a look; they appear as the stack closes."""
    from hsitool.tasks.attend_mask import write_look

    write_look(stack, look, settings, outputs, options)
    if outputs.overlay is not None:
        from hsitool.drawing import picture_file
        from hsitool.drawing.overlay import draw_overlay
        from hsitool.tasks.attend_view import view_of

        save = stack.enter_context(picture_file(outputs.overlay, options.overwrite))
        save(draw_overlay(view_of(look, rgb)))
