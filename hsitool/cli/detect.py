"""`hsitool detect`"""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer

from hsitool.cli.app import app
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
    OutputPath,
    Overwrite,
    Quiet,
    ShrinkOption,
    Threads,
    WavelengthsFile,
    budget_of,
    factor_of,
    note,
    open_source,
    output_of,
    progress_bar,
    shrink_of,
    target_of,
    written,
)
from hsitool.errors import UsageError


class MethodName(StrEnum):
    """How spectra are compared with a target."""

    ace = "ace"
    mf = "mf"
    sam = "sam"
    sid = "sid"


@app.command(epilog="Example:  hsitool detect cube.tif --target leaf.csv --method ace -o score.tif")
def detect(
    cube: CubePath,
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
    max_memory: MaxMemory = DEFAULT_MEMORY,
    threads: Threads = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score how much every pixel is like target spectra, a band for each target.

    In every method more is more alike. ace and mf are relative to the scene model, which is fitted
    to the cube unless --model gives one.
    """
    from hsitool.storage.spectra import file_and_name, read_spectrum
    from hsitool.storage.writers import refuse_inputs
    from hsitool.tasks import detect as task

    if model is not None and background is not None:
        raise UsageError("--model and --background: the model is fitted already: leave out one")
    if method in (MethodName.sam, MethodName.sid) and (model or background or shrink):
        raise UsageError(f"--method {method.value} takes spectra as they are, without a model")
    budget = budget_of(max_memory, threads)
    options = output_of(form, compress, creation, overwrite, budget)
    path = target_of(output, cube, "detect", form)
    files = [file_and_name(text)[0] for text in targets]
    refuse_inputs([path], [cube, data, wavelengths, model, background, *files], options)
    settings = task.DetectSettings(
        method.value,
        None if shrink is None else shrink_of(shrink),
        factor_of(target_scale, "--target-scale"),
        bands,
        model,
        background,
    )
    spectra = [read_spectrum(text) for text in targets]
    with (
        open_source(cube, data, wavelengths) as source,
        progress_bar("detect", quiet) as progress,
    ):
        found = task.detect(
            source, spectra, path, settings, output=options, budget=budget, progress=progress
        )
    for one in found:
        if one.share is not None:
            note(f"--shrink {one.shrink}: {one.target} fills {one.share:.1%} of the scene", quiet)
    if as_json:
        listed = [asdict(d) | {"shrink": d.shrink and str(d.shrink)} for d in found]
        typer.echo(json.dumps({"method": method.value, "output": str(path), "targets": listed}))
        return
    written(path, options)
