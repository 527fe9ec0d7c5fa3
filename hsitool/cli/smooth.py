"""`hsitool smooth`"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
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
    CompressOption,
    CreationOptions,
    CubePath,
    DataFile,
    DeviceOption,
    FormatName,
    FormatOption,
    MaxMemory,
    Overwrite,
    Quiet,
    Threads,
    WavelengthsFile,
    budget_of,
    device_of,
    note,
    open_source,
    output_of,
    progress_bar,
    target_of,
    written,
)
from hsitool.errors import UsageError

if TYPE_CHECKING:
    from hsitool.engine.plan import Budget
    from hsitool.storage.readers import CubeReader
    from hsitool.tasks.sigma import Sigma
    from hsitool.tasks.smooth import SmoothSettings
    from hsitool.tasks.tune import TuneReport


AUTO = "auto"


class ModeName(StrEnum):
    """What stands beyond the ends of a segment."""

    interp = "interp"
    mirror = "mirror"
    nearest = "nearest"
    constant = "constant"
    wrap = "wrap"


@app.command(epilog="Example:  hsitool smooth cube.tif --window 7 --deg 2 --deriv 1 -o slope.tif")
def smooth(
    cube: CubePath,
    window: Annotated[
        str,
        typer.Option(
            "--window", "-w", metavar="5|40nm|auto", help="Bands in a window (odd), or its width."
        ),
    ],
    degree: Annotated[
        int, typer.Option("--deg", "-d", metavar="N", help="Degree of the polynomial.")
    ],
    deriv: Annotated[
        list[int] | None,
        typer.Option(
            "--deriv",
            metavar="N",
            help="Order of the derivative, 0 to smooth; may be given again.  [default: 0]",
            show_default=False,
        ),
    ] = None,
    band: Annotated[
        str | None,
        typer.Option("--band", "-b", metavar="30|680nm", help="Only this band's image."),
    ] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Output file, one for each --deriv; the default for a single one is "
            "<CUBE's name>_smooth.tif in the current folder.",
            show_default=False,
        ),
    ] = None,
    residual: Annotated[
        Path | None,
        typer.Option("--residual", metavar="FILE", help="Also write the cube minus its smooth."),
    ] = None,
    mode: Annotated[
        ModeName,
        typer.Option(help="At the ends: the end window's polynomial (interp), or as in SciPy."),
    ] = ModeName.interp,
    spacing: SpacingOption = SpacingName.auto,
    delta: DeltaOption = None,
    split_gap: SplitGapOption = "auto",
    split_at: SplitAtOption = None,
    min_valid: Annotated[
        int,
        typer.Option(
            "--min-valid",
            metavar="N",
            min=0,
            help="Fewest samples that a window with gaps must hold, beside its noise gain.",
        ),
    ] = 0,
    fill_gaps: Annotated[
        bool, typer.Option("--fill-gaps", help="Also fit samples that are missing themselves.")
    ] = False,
    fill_bad: Annotated[
        bool, typer.Option("--fill-bad", help="Also fit bad bands between good ones.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report", metavar="FILE", help="Window and noise gain per band, as .json or .csv."
        ),
    ] = None,
    sigma: Annotated[
        Path | None,
        typer.Option("--sigma", metavar="CUBE", help="Standard deviations of the cube's samples."),
    ] = None,
    noise_cov: Annotated[
        Path | None,
        typer.Option("--noise-cov", metavar="FILE.npy", help="Covariance of the bands' noise."),
    ] = None,
    sigma_out: Annotated[
        list[Path] | None,
        typer.Option(
            "--sigma-out",
            metavar="FILE",
            help="Standard deviations of the outputs, one file for each -o.",
            show_default=False,
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
    device: DeviceOption = "auto",
    quiet: Quiet = False,
) -> None:
    """Smooth a cube along its bands (Savitzky-Golay), or take derivatives.

    Each window is fitted at the real wavelengths; derivatives are per nm^n. No window crosses a
    bad band, a gap or a step back in wavelength; edge bands use the polynomial of the end window.
    Where samples are missing, the others are fitted while the noise gain stays low.
    """
    from hsitool.storage.writers import refuse_twins
    from hsitool.tasks import gains
    from hsitool.tasks import smooth as task
    from hsitool.tasks.bands import describe_band, find_band
    from hsitool.tasks.tune import noisy_derivatives

    base = task.SmoothSettings(
        window=3 if window == AUTO else task.window_of(window),
        degree=degree,
        mode=mode.value,
        min_valid=min_valid,
        fill_gaps=fill_gaps,
        fill_bad=fill_bad,
    )
    base = on_axis(base, spacing, delta, split_gap, split_at)
    budget = budget_of(max_memory, threads)
    options = output_of(form, compress, creation, overwrite, budget)
    targets = _targets(output, cube, form, deriv or [0])
    others = [path for path in (residual, *(sigma_out or ())) if path is not None]
    refuse_twins([*(path for path, _ in targets), *others], options, [report] if report else [])
    outputs = _outputs(targets, base, residual)
    with ExitStack() as stack:
        once = window != AUTO
        source = stack.enter_context(open_source(cube, data, wavelengths, once=once))
        write_report = None
        if report is not None:
            write_report = stack.enter_context(gains.report_file(report, overwrite=overwrite))
        if noise_cov is not None and not (sigma_out or report):
            raise UsageError("--noise-cov serves --sigma-out and --report: give one of them")
        noise = _noise(stack, source, list(outputs), len(deriv or [0]), sigma_out, sigma, noise_cov)
        if window == AUTO:
            outputs = _tuned(source, outputs, budget, quiet)
        index = None if band is None else find_band(source.info, band)
        if index is not None:
            note(describe_band(source.info, index), quiet)
        progress = stack.enter_context(progress_bar("smooth", quiet))
        fits = task.smooth(
            source,
            outputs,
            band=index,
            sigma=noise,
            options=options,
            budget=budget,
            device=device_of(device),
            progress=progress,
        )
        if write_report is not None:
            # With a cube of deviations, those of the outputs differ from pixel to pixel.
            alone = None if noise is None or noise.source is not None else noise.covariance
            write_report(gains.gain_report(source, fits, alone))
        if noise is not None and noise.covariance is None:
            note("noise is taken as independent between bands; --noise-cov says otherwise", quiet)
        # With --band only the bands of its window are read, and what came through a pipe is gone.
        seen_again = index is None and not source.layout.in_order
        advised = fits.values() if seen_again and not quiet else ()
        for advice in noisy_derivatives(source, list(advised)):
            note(advice, quiet)
    for target in (*outputs, *(sigma_out or ())):
        written(target, options)
    if report is not None:
        typer.echo(report)


def _targets(
    output: list[Path] | None, cube: Path, form: FormatName | None, derivs: list[int]
) -> list[tuple[Path, int]]:
    """Each output file with its derivative."""
    paths = output or []
    if not paths and len(derivs) == 1:
        paths = [target_of(None, cube, "smooth", form)]
    if len(paths) != len(derivs):
        raise UsageError(f"{len(derivs)} --deriv and {len(paths)} -o: give one -o for each --deriv")
    return list(zip(paths, derivs, strict=True))


def _outputs(
    targets: list[tuple[Path, int]], base: SmoothSettings, residual: Path | None
) -> dict[Path, SmoothSettings]:
    """What to write where."""
    wanted = [(path, replace(base, deriv=deriv)) for path, deriv in targets]
    if residual is not None:
        wanted.append((residual, replace(base, residual=True)))
    return dict(wanted)


def _tuned(
    source: CubeReader, outputs: dict[Path, SmoothSettings], budget: Budget, quiet: bool
) -> dict[Path, SmoothSettings]:
    """The outputs with the window that serves each derivative best."""
    from hsitool.tasks.tune import tune

    found: dict[Path, SmoothSettings] = {}
    reports: dict[int, TuneReport] = {}
    for target, settings in outputs.items():
        if settings.deriv not in reports:
            reports[settings.deriv] = tune(source, settings, budget=budget)
        report = reports[settings.deriv]
        found[target] = replace(settings, window=report.best.window)
        idle = ", which leaves the cube as it is" if report.changes_nothing else ""
        note(f"window {report.best.window} for {target}{idle} (see hsitool tune)", quiet)
    return found


def _noise(
    stack: ExitStack,
    source: CubeReader,
    targets: list[Path],
    derivs: int,
    sigma_out: list[Path] | None,
    sigma: Path | None,
    noise_cov: Path | None,
) -> Sigma | None:
    """The noise of the cube, and where that of the outputs goes."""
    from hsitool.storage.covariance import read_covariance
    from hsitool.tasks.sigma import Sigma

    if sigma is None and noise_cov is None and not sigma_out:
        return None
    if sigma is not None and not sigma_out:
        raise UsageError("--sigma without --sigma-out: name the file for the standard deviations")
    if sigma_out and len(sigma_out) not in (derivs, len(targets)):
        raise UsageError(f"{derivs} -o and {len(sigma_out)} --sigma-out: give one for each -o")
    covariance = None if noise_cov is None else read_covariance(noise_cov, source.info.bands)
    deviations = None
    if sigma is not None:
        deviations = stack.enter_context(open_source(sigma, None, None, once=True))
    return Sigma(dict(zip(targets, sigma_out or (), strict=False)), deviations, covariance)
