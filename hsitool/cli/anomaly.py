"""`hsitool anomaly`"""

from __future__ import annotations

import re
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hsitool.cli.app import app
from hsitool.cli.options import (
    DEFAULT_MEMORY,
    BackgroundFile,
    BandsOption,
    CompressOption,
    CreationOptions,
    DataFile,
    DeviceOption,
    FormatOption,
    Json,
    MaxMemory,
    ModelFile,
    OutputPath,
    Overwrite,
    Quiet,
    ShrinkOption,
    Threads,
    WavelengthsFile,
    budget_of,
    device_of,
    open_source,
    output_of,
    shrink_of,
)
from hsitool.cli.scene_names import Output, wanted
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
    from hsitool.device import Device
    from hsitool.tasks.anomaly import AnomalySettings
    from hsitool.tasks.anomaly_report import ScoreReport

DEFAULT_TOP = "0.1%"


@app.command(epilog="Example:  hsitool anomaly cube.tif --top 0.1% --hard odd.tif -o rx.tif")
def anomaly(
    context: typer.Context,
    cubes: CubePaths,
    output: OutputPath = None,
    shrink: ShrinkOption = "noise",
    window: Annotated[
        str | None,
        typer.Option(
            "--window",
            metavar="GUARD,OUTER",
            help="Against the ring around each pixel: 5,21 is 21 x 21 pixels without 5 x 5.",
        ),
    ] = None,
    rank: Annotated[
        int | None,
        typer.Option("--rank", metavar="R", help="Components with --window.  [default: 10]"),
    ] = None,
    causal: Annotated[
        int | None,
        typer.Option(
            "--causal", metavar="LINES", help="Against the lines before; the first are not scored."
        ),
    ] = None,
    top: Annotated[
        str | None,
        typer.Option(
            "--top",
            metavar="0.1%|N",
            help="How many count as anomalies.  [default with --hard: 0.1%]",
        ),
    ] = None,
    hard: Annotated[
        Path | None,
        typer.Option("--hard", metavar="FILE", help="Also write their mask: 1, 0, 255 no score."),
    ] = None,
    model: ModelFile = None,
    background: BackgroundFile = None,
    bands: BandsOption = None,
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
    """Score how far every pixel is from the scene (RX), from its surroundings or the lines before.

    The scores are squared distances; those of a Gaussian scene would follow a chi-square
    distribution, real ones do not: choose anomalies by --top.
    """
    from hsitool.tasks.anomaly import AnomalySettings

    _refuse_together(window, rank, causal, model, background)
    budget = budget_of(max_memory, threads)
    options = output_of(form, compress, creation, overwrite, budget)
    share = _top(top or DEFAULT_TOP) if top or hard else None
    settings = AnomalySettings(
        shrink_of(shrink or "noise"),
        bands,
        model,
        background,
        None if window is None else _window(window),
        10 if rank is None else rank,
        causal,
    )
    outputs = [Output("--output", output), *wanted("--hard", hard)]
    many = Many(out_dir, jobs, keep_going, resume)
    run = Run(
        "anomaly",
        cubes,
        outputs,
        many,
        options,
        budget,
        form,
        as_json,
        quiet,
        inputs=(data, wavelengths, model, background),
    )
    work = partial(
        _one,
        settings=settings,
        share=share,
        files=(data, wavelengths),
        device=device_of(device),
    )
    run_scenes(context, run, work)


def _one(
    scene: Scene,
    *,
    settings: AnomalySettings,
    share: float | None,
    files: tuple[Path | None, Path | None],
    device: Device,
) -> dict[str, Any]:
    """The scores of one scene, and what stands out in them."""
    from hsitool.storage.reread import rereadable
    from hsitool.storage.writers import output_paths
    from hsitool.tasks import anomaly as task
    from hsitool.tasks.anomaly_report import score_report, write_mask

    path, *masks = scene.targets
    options, budget = scene.options, scene.budget
    once = bool(settings.causal or settings.model)
    with rereadable(path, options) as (place, first):
        with open_source(scene.cube, *files, once=once) as source:
            degrees = task.anomaly(
                source,
                place,
                settings,
                others=masks,
                output=first,
                budget=budget,
                device=device,
                progress=scene.progress,
            )
        with open_source(output_paths(place, first)[0], None, None) as scores:
            found = score_report(scores, degrees, share, budget)
            if found.top is not None:
                for mask in masks:
                    write_mask(scores, mask, found.top.threshold, output=options, budget=budget)
    for line in _lines(found):
        scene.note(line)
    more = {"output": str(path), "hard": str(masks[0]) if masks else None}
    method = {"method": task.method_of(settings), "shrink": str(settings.shrink)}
    return method | asdict(found) | more


def _refuse_together(
    window: str | None,
    rank: int | None,
    causal: int | None,
    model: Path | None,
    background: Path | None,
) -> None:
    if causal is not None and (window or model or background):
        raise UsageError(
            "--causal learns from the lines before: leave out --window, --model and --background"
        )
    if model is not None and background is not None:
        raise UsageError("--model and --background: the model is fitted already: leave out one")
    if rank is not None and window is None:
        raise UsageError(f"--rank {rank} is for --window: add it, as --window 5,21")


def _window(text: str) -> tuple[int, int]:
    """Guard and outer window.

    Raises:
        UsageError: not two numbers.
    """
    sizes = re.fullmatch(r"\s*(\d{1,5})\s*,\s*(\d{1,5})\s*", text)
    if not sizes:
        raise UsageError(f"--window '{text}' is not GUARD,OUTER, as 5,21")
    return int(sizes[1]), int(sizes[2])


def _top(text: str) -> float:
    """A share below 1, or a number of pixels.

    Raises:
        UsageError: neither.
    """
    number = re.fullmatch(r"\s*(\d{1,12}(?:\.\d*)?)\s*(%?)\s*", text)
    value = float(number[1]) if number else 0.0
    if number and number[2] and 0 < value < 100:
        return value / 100
    if number and not number[2] and value >= 1 and value.is_integer():
        return value
    raise UsageError(f"--top '{text}' is neither a share as 0.1% nor a number of pixels")


def _lines(found: ScoreReport) -> list[str]:
    """The report for people."""
    pairs = zip(found.quantiles, found.chi_square, strict=True)
    told = [f"{share * 100:g}% {score:.4g} ({chi:.4g})" for (share, score), (_, chi) in pairs]
    lines = [f"mean {found.mean:.4g}, quantiles (and of chi-square): {', '.join(told)}"]
    if found.top is not None:
        lines.append(f"{found.top.pixels} pixels reach {found.top.threshold:.6g}")
    return lines
