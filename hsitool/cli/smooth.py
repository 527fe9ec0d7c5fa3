"""`hsitool smooth`"""

from __future__ import annotations

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
    DataFile,
    DeviceOption,
    FormatOption,
    MaxMemory,
    Overwrite,
    Quiet,
    Threads,
    WavelengthsFile,
    budget_of,
    device_of,
    output_of,
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
    run_scenes,
)
from hsitool.errors import UsageError

if TYPE_CHECKING:
    pass


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
    context: typer.Context,
    cubes: CubePaths,
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
    out_dir: OutDir = None,
    jobs: Jobs = 1,
    keep_going: KeepGoing = False,
    resume: Resume = False,
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
    from hsitool.cli.smooth_scene import SmoothScene
    from hsitool.tasks import smooth as task

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
    if noise_cov is not None and not (sigma_out or report):
        raise UsageError("--noise-cov serves --sigma-out and --report: give one of them")
    named = _named(output, deriv)
    cubes_out = [*named, *wanted("--residual", residual)]
    noise = (*_words("--sigma", sigma), *_words("--noise-cov", noise_cov))
    if sigma is not None and not sigma_out:
        raise UsageError("--sigma without --sigma-out: name the file for the standard deviations")
    deviations = _deviations(sigma_out, named, residual, noise)
    reports = wanted("--report", report, raster=False)
    run = Run(
        "smooth",
        cubes,
        [*cubes_out, *deviations, *reports],
        Many(out_dir, jobs, keep_going, resume),
        options,
        budget,
        form,
        quiet=quiet,
        unsaid=("--deriv", "--sigma", "--noise-cov"),
    )
    wanted_settings = [replace(base, deriv=n) for n in deriv or [0]]
    if residual is not None:
        wanted_settings.append(replace(base, residual=True))
    work = SmoothScene(
        tuple(wanted_settings),
        len(deviations),
        window == AUTO,
        band,
        sigma,
        noise_cov,
        (data, wavelengths),
        device_of(device),
        quiet,
    )
    run_scenes(context, run, work)


def _named(output: list[Path] | None, deriv: list[int] | None) -> list[Output]:
    """An output for each derivative."""
    derivs, paths = deriv or [0], list[Path | None](output or [])
    if len(paths) != len(derivs) and (paths or len(derivs) > 1):
        raise UsageError(f"{len(derivs)} --deriv and {len(paths)} -o: give one -o for each --deriv")
    said = [("--deriv", str(n)) if deriv else () for n in derivs]
    return [Output("--output", path, own) for path, own in zip(paths or [None], said, strict=True)]


def _deviations(
    sigma_out: list[Path] | None,
    named: list[Output],
    residual: Path | None,
    noise: tuple[str, ...],
) -> list[Output]:
    """The outputs of standard deviations, those of the residual last."""
    files = sigma_out or []
    both = len(named) + (residual is not None)
    if files and len(files) not in (len(named), both):
        raise UsageError(f"{len(named)} -o and {len(files)} --sigma-out: give one for each -o")
    made = [Output("--sigma-out", f, (*o.own, *noise)) for f, o in zip(files, named, strict=False)]
    if residual is not None and len(files) == both:
        own = (*noise, "--residual", str(residual), "--sigma-out", str(files[0]))
        made.append(Output("--sigma-out", files[-1], own))
    return made


def _words(option: str, file: Path | None) -> tuple[str, ...]:
    return () if file is None else (option, str(file))
