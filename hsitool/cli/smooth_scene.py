"""What `hsitool smooth` does with one scene."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hsitool.cli.options import open_source
from hsitool.cli.scenes import Scene

if TYPE_CHECKING:
    from hsitool.device import Device
    from hsitool.storage.readers import CubeReader
    from hsitool.tasks.sigma import Sigma
    from hsitool.tasks.smooth import Fit, SmoothSettings
    from hsitool.tasks.tune import TuneReport

INDEPENDENT = "noise is taken as independent between bands; --noise-cov says otherwise"


@dataclass(frozen=True)
class SmoothScene:
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
            source = stack.enter_context(open_source(scene.cube, *self.files, once=not self.auto))
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
            # With a band only those of its window are read; what came through a pipe is gone.
            if index is None and not source.layout.in_order:
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
            deviations = stack.enter_context(open_source(self.sigma, None, None, once=True))
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
