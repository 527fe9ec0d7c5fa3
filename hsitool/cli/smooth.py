"""`hsitool smooth`"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
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
    open_source,
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
    Scene,
    run_scenes,
)
from hsitool.errors import UsageError

if TYPE_CHECKING:
    from hsitool.device import Device
    from hsitool.storage.readers import CubeReader
    from hsitool.tasks.sigma import Sigma
    from hsitool.tasks.smooth import Fit, SmoothSettings
    from hsitool.tasks.tune import TuneReport


AUTO = "auto"

INDEPENDENT = "noise is taken as independent between bands; --noise-cov says otherwise"


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
    work = _Smooth(
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


@dataclass(frozen=True)
class _Smooth:
    """What to do with a scene: its first targets are for `settings`, then come deviations."""

    settings: tuple[SmoothSettings, ...]
    deviations: int
    auto: bool
    band: str | None
    sigma: Path | None
    noise_cov: Path | None
    files: tuple[Path | None, Path | None]
    device: Device
    quiet: bool

    def __call__(self, scene: Scene) -> None:
        """Smooth one scene."""
        from hsitool.tasks import gains
        from hsitool.tasks import smooth as task
        from hsitool.tasks.bands import describe_band, find_band

        count = len(self.settings)
        outputs = dict(zip(scene.targets, self.settings, strict=False))
        report = scene.targets[count + self.deviations :]
        with ExitStack() as stack:
            source = stack.enter_context(open_source(scene.cube, *self.files))
            write_report = [
                stack.enter_context(gains.report_file(path, overwrite=scene.options.overwrite))
                for path in report
            ]
            noise = self._noise(stack, source, scene.targets[: count + self.deviations])
            if self.auto:
                outputs = _tuned(source, outputs, scene)
            index = None if self.band is None else find_band(source.info, self.band)
            if index is not None:
                scene.note(describe_band(source.info, index))
            fits = task.smooth(
                source,
                outputs,
                band=index,
                sigma=noise,
                options=scene.options,
                budget=scene.budget,
                device=self.device,
                progress=scene.progress,
            )
            # With a cube of deviations, those of the outputs differ from pixel to pixel.
            alone = None if noise is None or noise.source is not None else noise.covariance
            for write in write_report:
                write(gains.gain_report(source, fits, alone))
            if noise is not None and noise.covariance is None:
                scene.note(INDEPENDENT)
            if index is None:  # else only the bands of its window are read
                self._advise(scene, source, list(fits.values()))

    def _noise(self, stack: ExitStack, source: CubeReader, targets: Sequence[Path]) -> Sigma | None:
        """The noise of the cube, and where that of the outputs goes."""
        from hsitool.storage.covariance import read_covariance
        from hsitool.tasks.sigma import Sigma

        if self.sigma is None and self.noise_cov is None and not self.deviations:
            return None
        covariance = deviations = None
        if self.noise_cov is not None:
            covariance = read_covariance(self.noise_cov, source.info.bands)
        if self.sigma is not None:
            deviations = stack.enter_context(open_source(self.sigma, None, None))
        count = len(self.settings)
        pairs = zip(targets[:count], targets[count:], strict=False)
        return Sigma(dict(pairs), deviations, covariance)

    def _advise(self, scene: Scene, source: CubeReader, fits: list[Fit]) -> None:
        """Say which derivatives are mostly noise."""
        from hsitool.tasks.tune import noisy_derivatives

        for advice in noisy_derivatives(source, [] if self.quiet else fits):
            scene.note(advice)


def _tuned(
    source: CubeReader, outputs: dict[Path, SmoothSettings], scene: Scene
) -> dict[Path, SmoothSettings]:
    """The outputs with the window that serves each derivative best."""
    from hsitool.tasks.tune import tune

    found: dict[Path, SmoothSettings] = {}
    reports: dict[int, TuneReport] = {}
    for target, settings in outputs.items():
        if settings.deriv not in reports:
            reports[settings.deriv] = tune(source, settings, budget=scene.budget)
        report = reports[settings.deriv]
        found[target] = replace(settings, window=report.best.window)
        idle = ", which leaves the cube as it is" if report.changes_nothing else ""
        scene.note(f"window {report.best.window} for {target}{idle} (see hsitool tune)")
    return found
