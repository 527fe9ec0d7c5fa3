"""`hsitool attend mask`"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hsitool.cli.app import attend
from hsitool.cli.attend_options import (
    NormOption,
    QueryOption,
    QueryScale,
    RoiOption,
    ScoreOption,
)
from hsitool.cli.options import (
    DEFAULT_MEMORY,
    BackgroundFile,
    BandsOption,
    CompressOption,
    CreationOptions,
    DataFile,
    DeviceOption,
    FocusOption,
    FormatOption,
    Json,
    MaxMemory,
    ModelFile,
    NormName,
    Overwrite,
    Quiet,
    RgbOption,
    ShrinkOption,
    TemperatureOption,
    Threads,
    WavelengthsFile,
    budget_of,
    device_of,
    note,
    open_source,
    output_of,
    progress_bar,
    shrink_of,
    target_of,
    written,
)
from hsitool.cli.scene_names import Output, wanted
from hsitool.cli.scenes import (
    Jobs,
    KeepGoing,
    Many,
    OutDir,
    Resume,
    Run,
    run_scenes,
)
from hsitool.errors import UsageError

if TYPE_CHECKING:
    from hsitool.cli.attend_mask_scene import MaskScene
    from hsitool.engine.plan import Budget
    from hsitool.storage.writers import OutputOptions
    from hsitool.tasks.attend_look import Look
    from hsitool.tasks.attend_mask import MaskOutputs


class RequireName(StrEnum):
    """Checks that end with exit code 1 where the answer is no."""

    present = "present"


@attend.command(epilog="Example:  hsitool attend mask cube.tif --query kaolinite.csv -o mask.tif")
def mask(
    context: typer.Context,
    cubes: Annotated[
        list[Path],
        typer.Argument(
            metavar="CUBE...",
            help="Cubes: scenes of their own, or with --track in time order.",
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
    rgb: RgbOption = None,
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
    device: DeviceOption = "auto",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Weigh pixels by their likeness to a query; write the weights and the spectrum they see.

    Scores become weights of sum 1 that are spread over as many pixels as --focus says. The mask
    holds weights over the largest one. The material need not be there: the angle of the most
    similar pixel is always told, and beyond --max-angle a warning is.
    """
    from hsitool.cli.attend_mask_scene import MaskScene, Where
    from hsitool.storage.spectra import file_and_name
    from hsitool.tasks.attend_look import MaskSettings
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
    share, many = _share(hard, mass, top), Many(out_dir, jobs, keep_going, resume)
    where = Where(query, query_scale, at, xy, roi)
    work = MaskScene(
        settings,
        where,
        share,
        top,
        rgb,
        require is not None,
        (data, wavelengths),
        device_of(device),
        quiet,
    )
    asked_file = None if query is None else file_and_name(query)[0]
    raster = Path(score) if settings.is_file else None
    inputs = (data, wavelengths, asked_file, roi, background, model, raster)
    if carry:
        if many != Many():
            raise UsageError(
                "--track goes from cube to cube in order: leave out --out-dir, --jobs, "
                "--keep-going and --resume"
            )
        target = target_of(output, cubes[0], "mask", form)
        wanted_files = MaskOutputs(target, masked, score_out, spectrum, hard, share, top, overlay)
        absent = _track(cubes, work, wanted_files, (*cubes, *inputs), options, budget, as_json)
    else:
        outputs = [
            Output("--output", output),
            *wanted("--masked", masked),
            *wanted("--score-out", score_out),
            *([] if hard is None else [Output("--hard", hard, _heaviest(mass, top))]),
            *wanted("--spectrum", spectrum, raster=False),
            *wanted("--overlay", overlay, raster=False),
        ]
        run = Run(
            "attend mask",
            cubes,
            outputs,
            many,
            options,
            budget,
            form,
            as_json,
            quiet,
            ("--mass", "--top"),
            inputs,
        )
        work = replace(work, kinds=tuple(one.option for one in outputs))
        found = run_scenes(context, run, work)
        absent = [report["cube"] for report in found if report["present"] is False]
    if require is not None and absent:
        note(f"--require present: the query may be absent from {', '.join(absent)}", False)
        raise typer.Exit(1)


def _track(
    cubes: list[Path],
    work: MaskScene,
    wanted_files: MaskOutputs,
    inputs: Sequence[Path | None],
    options: OutputOptions,
    budget: Budget,
    as_json: bool,
) -> list[str]:
    """Carry a query from cube to cube; the cubes that may not hold it."""
    from hsitool.cli.attend_mask_scene import check_outputs, write_files
    from hsitool.storage.writers import refuse_inputs
    from hsitool.tasks import attend_report as reports
    from hsitool.tasks.attend_track import track

    named = [wanted_files.named_after(cube) for cube in cubes]
    refuse_inputs(
        [path for outputs in named for path in outputs.rasters],
        inputs,
        options,
        [path for outputs in named for path in outputs.others],
    )
    check_outputs(named, options)
    found: list[dict[str, Any]] = []
    with ExitStack() as stack:
        sources = [stack.enter_context(open_source(c, *work.files)) for c in cubes]
        asked = work.asked(sources[0])
        if asked is None:
            raise UsageError("--track carries a query: give --query, --at, --xy or --roi")

        def use(number: int, look: Look) -> None:
            write_files(stack, look, work.settings, named[number], options, work.rgb)
            found.append(reports.report(look, work.settings))
            for line in reports.lines(look):
                note(line, work.quiet)

        progress = stack.enter_context(progress_bar("attend mask", work.quiet))
        stages = track(
            sources,
            work.settings,
            asked,
            wanted_files.mask,
            use,
            budget=budget,
            device=work.device,
            progress=progress,
        )
    for turn in stages:
        note(reports.turn_line(turn), work.quiet)
    if as_json:
        typer.echo(json.dumps({"frames": found, "track": reports.stages(stages)}))
    else:
        for outputs in named:
            for path in outputs.rasters:
                written(path, options)
            for path in outputs.others:
                typer.echo(path)
    return [frame["cube"] for frame in found if frame["present"] is False]


def _share(hard: Path | None, mass: float | None, top: int | None) -> float | None:
    """The share of weight that the hard mask holds; None where it goes by their number."""
    if (mass is not None or top is not None) and hard is None:
        raise UsageError("--mass and --top say what --hard holds: name its file")
    if mass is not None and top is not None:
        raise UsageError("--mass and --top both say how many pixels --hard has: give one")
    if mass is not None and not 0 < mass <= 1:
        raise UsageError(f"--mass {mass:g} is no share: give a number above 0, up to 1")
    return None if top is not None else (mass or 0.9)


def _heaviest(mass: float | None, top: int | None) -> tuple[str, ...]:
    """The options that say what `--hard` holds."""
    pairs = {"--mass": mass, "--top": top}
    return tuple(w for name, v in pairs.items() if v is not None for w in (name, str(v)))
