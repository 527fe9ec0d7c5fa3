"""`hsitool smooth`"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hsitool.cli.app import app
from hsitool.cli.options import (
    DEFAULT_MEMORY,
    CompressOption,
    CreationOptions,
    CubePath,
    DataFile,
    FormatName,
    FormatOption,
    MaxMemory,
    Overwrite,
    Quiet,
    Threads,
    WavelengthsFile,
    budget_of,
    note,
    open_source,
    output_of,
    progress_bar,
    target_of,
    written,
)
from hsitool.errors import UsageError

if TYPE_CHECKING:
    from hsitool.storage.readers import CubeReader
    from hsitool.tasks.sigma import Sigma


class SpacingName(StrEnum):
    """Axes of the fit."""

    auto = "auto"
    band = "band"


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
    spacing: Annotated[
        SpacingName,
        typer.Option(help="Fit at the real wavelengths where known (auto), or by band number."),
    ] = SpacingName.auto,
    delta: Annotated[
        str | None,
        typer.Option("--delta", metavar="5nm", help="Fit at one step between all bands."),
    ] = None,
    mode: Annotated[
        ModeName,
        typer.Option(help="At the ends: the end window's polynomial (interp), or as in SciPy."),
    ] = ModeName.interp,
    split_gap: Annotated[
        str,
        typer.Option(
            "--split-gap",
            metavar="auto|off|40nm",
            help="No window crosses a longer step; auto: 3 times the local median.",
        ),
    ] = "auto",
    split_at: Annotated[
        str | None,
        typer.Option("--split-at", metavar="970nm,...", help="No window crosses these seams."),
    ] = None,
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
    quiet: Quiet = False,
) -> None:
    """Smooth a cube along its bands (Savitzky-Golay), or take derivatives.

    Each window is fitted at the real wavelengths; derivatives are per nm^n. No window crosses a
    bad band, a gap or a step back in wavelength; edge bands use the polynomial of the end window.
    Where samples are missing, the others are fitted while the noise gain stays low.
    """
    from hsitool.storage.wavelengths import length_nm
    from hsitool.tasks import gains
    from hsitool.tasks import smooth as task
    from hsitool.tasks.bands import describe_band, find_band

    if delta is not None and spacing is SpacingName.band:
        raise UsageError("--delta and --spacing band exclude each other: leave one out")
    seams = () if split_at is None else split_at.split(",")
    settings = task.SmoothSettings(
        task.window_of(window),
        degree,
        0,
        spacing.value,
        None if delta is None else _positive(length_nm(delta, "--delta"), "--delta"),
        _gap(split_gap),
        tuple(length_nm(seam, "--split-at") for seam in seams),
        mode.value,
        min_valid,
        fill_gaps,
        fill_bad,
    )
    budget = budget_of(max_memory, threads)
    options = output_of(form, compress, creation, overwrite, budget)
    derivs = deriv or [0]
    targets = _targets(output, cube, form, len(derivs))
    outputs = {t: replace(settings, deriv=n) for t, n in zip(targets, derivs, strict=True)}
    if residual is not None:
        outputs[residual] = replace(settings, residual=True)
    if report is not None:
        gains.check_report(report, overwrite)
    with ExitStack() as stack:
        source = stack.enter_context(open_source(cube, data, wavelengths))
        noise = _noise(stack, source, targets, sigma_out, sigma, noise_cov)
        if noise is not None and noise.covariance is None:
            note(
                "the noise of the bands is taken as independent; --noise-cov says otherwise", quiet
            )
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
            progress=progress,
        )
        if report is not None:
            covariance = None if noise is None else noise.covariance
            gains.write_report(report, gains.gain_report(source, fits, covariance), overwrite)
    for target in (*outputs, *(sigma_out or ())):
        written(target, options)


def _targets(
    output: list[Path] | None, cube: Path, form: FormatName | None, count: int
) -> list[Path]:
    """An output file for each derivative."""
    if not output and count == 1:
        return [target_of(None, cube, "smooth", form)]
    if len(output or ()) != count:
        raise UsageError(
            f"{count} --deriv and {len(output or ())} -o: give one -o for each --deriv"
        )
    if twice := [path for path in output or () if (output or []).count(path) > 1]:
        raise UsageError(f"two outputs are named {twice[0]}: give each its own name")
    return list(output or ())


def _noise(
    stack: ExitStack,
    source: CubeReader,
    targets: list[Path],
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
    if sigma_out and len(sigma_out) != len(targets):
        raise UsageError(
            f"{len(targets)} outputs and {len(sigma_out)} --sigma-out: give one for each -o"
        )
    covariance = None if noise_cov is None else read_covariance(noise_cov, source.info.bands)
    deviations = None if sigma is None else stack.enter_context(open_source(sigma, None, None))
    return Sigma(dict(zip(targets, sigma_out or (), strict=False)), deviations, covariance)


def _gap(text: str) -> float | Literal["auto"] | None:
    from hsitool.storage.wavelengths import length_nm

    if text == "auto":
        return "auto"
    return None if text == "off" else _positive(length_nm(text, "--split-gap"), "--split-gap")


def _positive(value: float, option: str) -> float:
    if not value > 0:
        raise UsageError(f"{option} {value:g}nm: give a length above 0")
    return value
