"""What `hsitool attend mask` does with one scene."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsitool.cli.attend_options import asked_of
from hsitool.cli.options import open_source
from hsitool.cli.scenes import Scene
from hsitool.errors import UsageError

if TYPE_CHECKING:
    from hsitool.device import Device
    from hsitool.storage.readers import CubeReader
    from hsitool.storage.writers import OutputOptions
    from hsitool.tasks.attend_look import Look, MaskSettings
    from hsitool.tasks.attend_mask import MaskOutputs
    from hsitool.tasks.attend_query import Asked


@dataclass(frozen=True)
class Where:
    """What the query is, as the user says it."""

    query: str | None
    scale: float
    at: str | None
    xy: str | None
    roi: Path | None

    def asked(self, source: CubeReader) -> Asked | None:
        """Where the query comes from."""
        return asked_of(source, self.query, self.scale, self.roi, self.at, self.xy)


KINDS = {
    "--output": "mask",
    "--masked": "masked",
    "--score-out": "score",
    "--hard": "hard",
    "--spectrum": "spectrum",
    "--overlay": "overlay",
}
"""What the file of an option is among the outputs."""


@dataclass(frozen=True)
class MaskScene:
    """What to do with a scene, whose targets are of `kinds` (options, in order)."""

    settings: MaskSettings
    where: Where
    share: float | None
    top: int | None
    rgb: str | None
    required: bool
    files: tuple[Path | None, Path | None]
    device: Device
    quiet: bool
    kinds: tuple[str, ...] = ()

    def __call__(self, scene: Scene) -> dict[str, Any]:
        """Look at one scene, and write what is asked for."""
        from hsitool.tasks.attend_look import look_at
        from hsitool.tasks.attend_mask import MaskOutputs
        from hsitool.tasks.attend_report import lines, report

        paths: dict[str, Any] = {
            KINDS[kind]: path for kind, path in zip(self.kinds, scene.targets, strict=True)
        }
        outputs = MaskOutputs(**paths, hard_mass=self.share, hard_count=self.top)
        check_outputs([outputs], scene.options)
        with ExitStack() as stack:
            source = stack.enter_context(open_source(scene.cube, *self.files))
            look = stack.enter_context(
                look_at(
                    source,
                    self.settings,
                    self.asked(source),
                    outputs.mask,
                    budget=scene.budget,
                    device=self.device,
                    progress=scene.progress,
                )
            )
            write_files(stack, look, self.settings, outputs, scene.options, self.rgb)
            for line in lines(look):
                scene.note(line)
            return report(look, self.settings)

    def asked(self, source: CubeReader) -> Asked | None:
        """The query, after what is refused whatever the cube."""
        from hsitool.tasks.attend_look import refuse_settings

        asked = self.where.asked(source)
        refuse_settings(self.settings, asked)
        if self.required and asked is None:
            raise UsageError("--require present needs a query: give --query, --at, --xy or --roi")
        return asked


def check_outputs(named: list[MaskOutputs], options: OutputOptions) -> None:
    """Refuse before the work what could not be written after it."""
    from hsitool.drawing import check_plot
    from hsitool.tasks.score_maps import refuse_outputs

    rasters = [path for outputs in named for path in outputs.rasters]
    others = [path for outputs in named for path in outputs.others]
    refuse_outputs(rasters, options, others)
    for outputs in named:
        if outputs.overlay is not None:
            check_plot(outputs.overlay, options.overwrite)


def write_files(
    stack: ExitStack,
    look: Look,
    settings: MaskSettings,
    outputs: MaskOutputs,
    options: OutputOptions,
    rgb: str | None,
) -> None:
    """Write all files of a look; they appear as the stack closes."""
    from hsitool.tasks.attend_mask import write_look

    write_look(stack, look, settings, outputs, options)
    if outputs.overlay is not None:
        from hsitool.drawing import picture_file
        from hsitool.drawing.overlay import draw_overlay
        from hsitool.tasks.attend_view import view_of

        save = stack.enter_context(picture_file(outputs.overlay, options.overwrite))
        save(draw_overlay(view_of(look, rgb)))
