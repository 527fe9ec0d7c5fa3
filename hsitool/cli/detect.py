"""`hsitool detect`"""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
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
    factor_of,
    open_source,
    output_of,
    shrink_of,
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
    from hsitool.device import Device
    from hsitool.storage.spectra import Spectrum
    from hsitool.tasks.detect import DetectSettings


class MethodName(StrEnum):
    """How spectra are compared with a target."""

    ace = "ace"
    mf = "mf"
    sam = "sam"
    sid = "sid"


@app.command(epilog="Example:  hsitool detect cube.tif --target leaf.csv --method ace -o score.tif")
def detect(
    context: typer.Context,
    cubes: CubePaths,
    targets: Annotated[
        list[str],
        typer.Option(
            "--target",
            "-t",
            metavar="FILE[:NAME]",
            help="Spectrum to look for: a table, a library, an ASD file; may be given again.",
        ),
    ],
    target_scale: Annotated[
        float,
        typer.Option("--target-scale", metavar="N", help="Factor for the spectra of --target."),
    ] = 1.0,
    method: Annotated[
        MethodName,
        typer.Option(help="Signed whitened cosine, matched filter, angle or divergence."),
    ] = MethodName.ace,
    output: OutputPath = None,
    model: ModelFile = None,
    background: BackgroundFile = None,
    shrink: ShrinkOption = None,
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
    """Score how much every pixel is like target spectra, a band for each target.

    In every method more is more alike. ace and mf are relative to the scene model, which is fitted
    to the cube unless --model gives one.
    """
    from hsitool.storage.spectra import file_and_name, read_spectrum
    from hsitool.tasks.detect import DetectSettings

    if model is not None and background is not None:
        raise UsageError("--model and --background: the model is fitted already: leave out one")
    if method in (MethodName.sam, MethodName.sid) and (model or background or shrink):
        raise UsageError(f"--method {method.value} takes spectra as they are, without a model")
    budget = budget_of(max_memory, threads)
    options = output_of(form, compress, creation, overwrite, budget)
    settings = DetectSettings(
        method.value,
        None if shrink is None else shrink_of(shrink),
        factor_of(target_scale, "--target-scale"),
        bands,
        model,
        background,
    )
    outputs, many = [Output("--output", output)], Many(out_dir, jobs, keep_going, resume)
    run = Run(
        "detect",
        cubes,
        outputs,
        many,
        options,
        budget,
        form,
        as_json,
        quiet,
        inputs=(data, wavelengths, model, background, *(file_and_name(t)[0] for t in targets)),
    )
    spectra, files = [read_spectrum(text) for text in targets], (data, wavelengths)
    work = partial(_one, spectra=spectra, settings=settings, files=files, device=device_of(device))
    run_scenes(context, run, work)


def _one(
    scene: Scene,
    *,
    spectra: list[Spectrum],
    settings: DetectSettings,
    files: tuple[Path | None, Path | None],
    device: Device,
) -> dict[str, Any]:
    """The scores of one scene."""
    from hsitool.tasks.detect import detect

    (path,) = scene.targets
    once = settings.method in ("sam", "sid") or bool(settings.model and settings.shrink)
    with open_source(scene.cube, *files, once=once) as source:
        found = detect(
            source,
            spectra,
            path,
            settings,
            output=scene.options,
            budget=scene.budget,
            device=device,
            progress=scene.progress,
        )
    for one in found:
        if one.share is not None:
            scene.note(f"--shrink {one.shrink}: {one.target} fills {one.share:.1%} of the scene")
    listed = [asdict(d) | {"shrink": d.shrink and str(d.shrink)} for d in found]
    return {"method": settings.method, "output": str(path), "targets": listed}
