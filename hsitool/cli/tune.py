"""`hsitool tune`"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from hsitool.cli.app import app
from hsitool.cli.axis import (
    DeltaOption,
    SpacingName,
    SpacingOption,
    SplitAtOption,
    SplitGapOption,
    on_axis,
)
from hsitool.cli.options import (
    DEFAULT_MEMORY,
    CubePath,
    DataFile,
    Json,
    MaxMemory,
    Overwrite,
    Quiet,
    Threads,
    WavelengthsFile,
    budget_of,
    note,
    open_source,
)
from hsitool.errors import UsageError

if TYPE_CHECKING:
    from hsitool.tasks.tune import TuneReport


@app.command(epilog="Example:  hsitool tune cube.tif --deg 2,4 --plot tune.png")
def tune(
    cube: CubePath,
    degrees: Annotated[
        str, typer.Option("--deg", "-d", metavar="2,3,...", help="Degrees of the polynomial.")
    ] = "2",
    deriv: Annotated[
        int, typer.Option("--deriv", metavar="N", help="Order of the derivative; 0 smooths.")
    ] = 0,
    windows: Annotated[
        str | None,
        typer.Option(
            "--windows",
            metavar="5:31|5,7,...",
            help="Windows to try, odd.  [default: up to 31]",
            show_default=False,
        ),
    ] = None,
    pixels: Annotated[int, typer.Option("--pixels", metavar="N", help="Pixels to sample.")] = 2000,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="Seed of the sample.")
    ] = 0,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE", help="Draw scores and noise (.png, .svg or .pdf; matplotlib)."
        ),
    ] = None,
    spacing: SpacingOption = SpacingName.auto,
    delta: DeltaOption = None,
    split_gap: SplitGapOption = "auto",
    split_at: SplitAtOption = None,
    data: DataFile = None,
    wavelengths: WavelengthsFile = None,
    overwrite: Overwrite = False,
    max_memory: MaxMemory = DEFAULT_MEMORY,
    threads: Threads = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Choose the window of `smooth`: estimate the error of many on sampled pixels.

    The noise of the scene is estimated first; then the error of each window is, without knowing
    the scene (SURE). The last line is the command to smooth with the best one.
    """
    from hsitool.tasks import tune as task
    from hsitool.tasks.smooth import SmoothSettings

    wanted = _numbers(degrees, "--deg")
    settings = SmoothSettings(3, wanted[0], deriv)
    settings = on_axis(settings, spacing, delta, split_gap, split_at)
    budget = budget_of(max_memory, threads)
    if plot is not None:
        from hsitool.drawing import check_plot
        from hsitool.drawing.tuning import draw_tuning

        check_plot(plot, overwrite)
    with open_source(cube, data, wavelengths) as source:
        report = task.tune(
            source,
            settings,
            None if windows is None else _numbers(windows, "--windows", odd=True),
            wanted,
            pixels=pixels,
            seed=seed,
            budget=budget,
        )
    if plot is not None:
        draw_tuning(report, plot, overwrite)
    if report.changes_nothing:
        note("no window lowers the estimated error: the best one leaves the cube as it is", quiet)
    elif report.best.window == max(tried.window for tried in report.candidates):
        note("the longest window is the best: try longer ones with --windows", quiet)
    if as_json:
        typer.echo(task.as_json(report))
        return
    asked = (
        ("--deriv", deriv or None),
        ("--spacing", None if spacing is SpacingName.auto else spacing.value),
        ("--delta", delta),
        ("--split-gap", None if split_gap == "auto" else split_gap),
        ("--split-at", split_at),
        ("--data", data),
        ("--wavelengths", wavelengths),
    )
    words = ["hsitool", "smooth", cube, "-w", report.best.window, "-d", report.best.degree]
    words += [word for option in asked if option[1] is not None for word in option]
    typer.echo("\n".join([*_lines(report), "", shlex.join(map(str, words))]))


def _numbers(text: str, option: str, *, odd: bool = False) -> list[int]:
    """The numbers of a list such as `2,4:6`; ranges include both ends, or `odd` numbers only.

    Raises:
        UsageError: not a list, or a range without numbers.
    """
    found: list[int] = []
    for part in text.split(","):
        ends = re.fullmatch(r"\s*(\d{1,4})\s*(?::\s*(\d{1,4})\s*)?", part)
        if not ends:
            raise UsageError(f"{option} '{text}' is not a list of numbers, as in 3,5:9")
        first, last = int(ends[1]), int(ends[2] or ends[1])
        is_range = ends[2] is not None
        numbers = [n for n in range(first, last + 1) if n % 2 or not (odd and is_range)]
        if not numbers:
            raise UsageError(f"{option} '{part}': the range holds nothing")
        found += numbers
    return found


def _lines(report: TuneReport) -> list[str]:
    """The report for people."""
    typical = median(std for std in report.noise_std if std is not None)
    unit = f" {report.noise_unit}" if report.noise_unit else ""
    correlation = report.noise_correlation.first
    head = [
        f"criterion  {report.criterion}",
        f"sample     {report.pixels} pixels, {report.bands} bands, seed {report.seed}",
        f"noise      {typical:.3g}{unit} in the median band, correlation {correlation:.2g}",
        "",
    ]
    rows = [("window", "degree", "score", "rms error", "noise gain", "better bands", "")]
    for tried in report.candidates:
        cells = str(tried.window), str(tried.degree), f"{tried.score:.2e}"
        sizes = f"{tried.rms:#.3g}", f"{tried.noise_gain:#.3g}"
        mark = "best" if tried == report.best else ""
        rows.append((*cells, *sizes, str(tried.better), mark))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ["  ".join(c.rjust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows]
    return [*head, *table]
