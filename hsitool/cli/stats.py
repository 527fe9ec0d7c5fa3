"""`hsitool stats`"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from hsitool.cli.app import app
from hsitool.cli.options import (
    DEFAULT_MEMORY,
    BackgroundFile,
    BandsOption,
    DeviceOption,
    Json,
    MaxMemory,
    Overwrite,
    Quiet,
    Threads,
    budget_of,
    device_of,
    note,
    open_source,
    progress_bar,
)
from hsitool.cli.said import said_options

if TYPE_CHECKING:
    from hsitool.tasks.stats import SceneModel


@app.command(epilog="Example:  hsitool stats vnir.tif swir.tif -o scene.npz")
def stats(
    context: typer.Context,
    cubes: Annotated[
        list[Path],
        typer.Argument(metavar="CUBE...", help="Cubes on one grid.", show_default=False),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE.npz", help="Where the model is written."),
    ] = None,
    bands: BandsOption = None,
    background: BackgroundFile = None,
    overwrite: Overwrite = False,
    max_memory: MaxMemory = DEFAULT_MEMORY,
    threads: Threads = None,
    device: DeviceOption = "auto",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit the scene model: mean, covariance and noise of one cube, or of several stacked.

    One model serves detect and anomaly (--model). Without -o, only the report is printed.
    """
    from hsitool.storage.atomic import refuse_existing
    from hsitool.storage.writers import refuse_inputs
    from hsitool.tasks import stats as task

    budget, chosen = budget_of(max_memory, threads), device_of(device)
    if output is not None:
        refuse_inputs((), [*cubes, background], others=[output])
        refuse_existing([output], overwrite)
    with ExitStack() as stack:
        sources = [stack.enter_context(open_source(cube, None, None)) for cube in cubes]
        task.refuse_twice(sources)
        progress = stack.enter_context(progress_bar("stats", quiet))
        model = task.scene_stats(
            sources,
            bands=bands,
            background=background,
            budget=budget,
            device=chosen,
            progress=progress,
        )
    if output is not None:
        settings = {
            "cubes": [cube.name for cube in cubes],
            "bands": bands,
            "background": None if background is None else background.name,
        }
        said = (*map(str, cubes), *said_options(context, {"--output"}), "--output")
        task.save_model(output, model, settings, line=said, overwrite=overwrite)
    if output is None or as_json:
        typer.echo(task.as_json(model) if as_json else "\n".join(_lines(model)))
        return
    for line in _lines(model):
        note(line, quiet)
    typer.echo(output)


def _lines(model: SceneModel) -> list[str]:
    """The report for people."""
    lines = [f"{model.count} pixels, {len(model.mean)} bands"]
    if model.noise_std is None or model.difference_std is None:
        return [*lines, "too few pixels lie side by side to tell the noise"]
    for block, inside in zip(model.blocks, model.ranges, strict=True):
        spread = median(model.covariance.diagonal()[inside].tolist()) ** 0.5
        noise = median(model.noise_std[inside].tolist())
        texture = median(model.difference_std[inside].tolist())
        lines.append(
            f"{block.name}: spread {spread:.3g}, noise {noise:.3g}, differences of neighbours "
            f"{texture:.3g} in the median band"
        )
    return lines
