"""Files that `hsitool calib` is to write, and what it tells while it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hsitool.cli.options import note, progress_bar

if TYPE_CHECKING:
    from hsitool.engine.pool import Progress
    from hsitool.storage.corners import CornerView


@dataclass(frozen=True)
class Outputs:
    """The files asked for, the last two about bands; `overwrite`: they may replace others."""

    camera: Path | None
    report: Path | None
    corners: Path | None
    band_shift: Path | None
    plot: Path | None
    overwrite: bool
    quiet: bool

    @property
    def paths(self) -> list[Path]:
        """All that were named."""
        named = (self.camera, self.report, self.corners, self.band_shift, self.plot)
        return [path for path in named if path is not None]

    def refuse(self, inputs: Iterable[Path | None]) -> None:
        """Refuse before the work what could not be written after it, or would replace an input.

        Raises:
            UsageError: naming the file.
        """
        from hsitool.storage.images import list_images
        from hsitool.storage.writers import refuse_inputs, refuse_twins

        self._refuse_unwritable()
        refuse_twins((), others=self.paths)
        read = list_images([path for path in inputs if path is not None])
        refuse_inputs((), read, others=self.paths)

    def _refuse_unwritable(self) -> None:
        from hsitool.drawing import check_plot
        from hsitool.storage.band_shifts import check_band_shifts
        from hsitool.storage.camera_files import check_camera_file
        from hsitool.storage.corners import check_corner_list

        if self.camera is not None:
            check_camera_file(self.camera, self.overwrite)
        if self.report is not None:
            from hsitool.drawing.calib_report import check_report  # with it come all plots

            check_report(self.report, self.overwrite)
        if self.corners is not None:
            check_corner_list(self.corners, self.overwrite)
        if self.band_shift is not None:
            check_band_shifts(self.band_shift, self.overwrite)
        if self.plot is not None:
            check_plot(self.plot, self.overwrite)

    def keep_corners(self, views: Iterable[CornerView], images: int) -> None:
        """Write the corner list before the fit: a fit that fails does not cost detections."""
        from hsitool.storage.corners import write_corners

        if self.corners is not None:
            write_corners(self.corners, views, overwrite=self.overwrite)
            count = f"{images} image{'' if images == 1 else 's'}"
            note(f"{self.corners}: holds the corners of {count}", self.quiet)


@contextmanager
def reading(quiet: bool) -> Iterator[tuple[Progress | None, Callable[[str], None]]]:
    """A progress bar and what hears of each image.

    Its lines come when the bar is gone, also where reading fails: they are the reason then.
    """
    told: list[str] = []
    try:
        with progress_bar("calib", quiet) as progress:
            yield progress, told.append
    finally:
        for line in told:
            note(line, quiet)
