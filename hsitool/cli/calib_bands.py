"""`hsitool calib CUBES... --bands`: each band of a camera against one of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hsitool.cli.options import DEFAULT_MEMORY, budget_of, note, progress_bar
from hsitool.errors import UsageError

if TYPE_CHECKING:
    from hsitool.tasks.band_corners import BandsAsked
    from hsitool.tasks.calib import CalibSettings
    from hsitool.tasks.calib_bands import BandsRun
    from hsitool.tasks.calib_inputs import Source
    from hsitool.tasks.calib_rig import RigRun

    ByBand = BandsRun | RigRun


class RadialName(StrEnum):
    """Whether bands differ in distortion."""

    auto = "auto"
    on = "on"
    off = "off"


BandsOption = Annotated[
    str | None,
    typer.Option(
        "--bands",
        metavar="all|LIST",
        help="The inputs are cubes: calibrate these bands (as 1:20,680nm) against one of them.",
    ),
]
RefBand = Annotated[
    str,
    typer.Option(
        "--ref-band",
        metavar="auto|30|680nm",
        help="The band that is compared with; auto: the one whose corners are surest.",
    ),
]
RadialOption = Annotated[
    RadialName, typer.Option("--dk1", help="Whether the bands differ in k1; auto tests it.")
]
MosaicOption = Annotated[
    str | None,
    typer.Option(
        "--mosaic",
        metavar="4x4",
        help="The inputs are raw frames of a sensor with so many filters across and down.",
    ),
]
RigOption = Annotated[
    bool,
    typer.Option(
        "--rig",
        help="Every band has a lens of its own: cubes with a band a lens, or images named .._1 ...",
    ),
]
BandShiftFile = Annotated[
    Path | None,
    typer.Option("--band-shift", metavar="FILE", help="Keep the table of the bands there (.csv)."),
]
PlotOption = Annotated[
    Path | None,
    typer.Option(
        "--plot", metavar="FILE", help="Draw the bands over wavelength (.png, .svg or .pdf)."
    ),
]


@dataclass(frozen=True)
class BandOptions:
    """The options of `calib` that are about bands, as typed."""

    bands: str | None
    ref_band: str
    dk1: RadialName
    mosaic: str | None
    rig: bool
    wavelengths: Path | None
    band_shift: Path | None
    plot: Path | None
    max_memory: str

    def require_bands(self) -> None:
        """Refuse options that say something about bands where there are none.

        Raises:
            UsageError: one is given without `--bands`.
        """
        given = {
            "--ref-band": self.ref_band != "auto",
            "--dk1": self.dk1 is not RadialName.auto,
            "--mosaic": self.mosaic is not None,
            "--rig": self.rig,
            "--wavelengths": self.wavelengths is not None,
            "--band-shift": self.band_shift is not None,
            "--plot": self.plot is not None,
            "--max-memory": self.max_memory != DEFAULT_MEMORY,
        }
        named = [option for option, is_given in given.items() if is_given]
        if self.bands is None and named:
            raise UsageError(f"{named[0]} goes with --bands: add --bands all")
        if self.rig and self.mosaic is not None:
            raise UsageError("--mosaic has one lens for all bands, --rig one for each: give one")
        if self.rig and self.dk1 is not RadialName.auto:
            raise UsageError("--dk1: every lens of a rig has a distortion of its own: leave it out")
        if self.rig and self.band_shift is not None:
            raise UsageError(
                "--band-shift: lenses of a rig see from different places, so that no shift of one "
                "against the other holds at all distances: -o camera.json keeps every lens"
            )

    def check_outputs(self, overwrite: bool) -> None:
        """Refuse before the work what could not be written after it."""
        if self.band_shift is not None:
            from hsitool.storage.band_shifts import check_band_shifts

            check_band_shifts(self.band_shift, overwrite)
        if self.plot is not None:
            from hsitool.drawing import check_plot

            check_plot(self.plot, overwrite)

    def asked(self, threads: int | None) -> BandsAsked:
        """What the files are searched for.

        Raises:
            UsageError: a pattern of filters that is none.
        """
        from hsitool.tasks.band_corners import BandsAsked
        from hsitool.tasks.calib_words import mosaic

        pattern = None if self.mosaic is None else mosaic(self.mosaic)
        budget = budget_of(self.max_memory, threads)
        return BandsAsked(
            self.bands or "all", self.ref_band, pattern, self.rig, self.wavelengths, budget
        )


def calibrate(
    source: Source, settings: CalibSettings, options: BandOptions, kept: Path | None, **told: bool
) -> ByBand:
    """Find corners in all bands, keep them where asked for, and compare the bands.

    `told` are the options `quiet` and `overwrite`.
    """
    from hsitool.storage.corners import write_corners
    from hsitool.tasks.calib_bands import calibrate_bands, read_bands
    from hsitool.tasks.calib_rig import calibrate_rig_corners

    with progress_bar("calib", told["quiet"]) as progress:
        corners = read_bands(source, options.asked(source.workers), progress)
    if kept is not None:
        write_corners(kept, corners.corner_views(), overwrite=told["overwrite"])
    if options.rig:
        found: ByBand = calibrate_rig_corners(corners, settings)
    else:
        found = calibrate_bands(corners, settings, options.dk1.value)
    _tell(found, told["quiet"])
    _write(found, options, told["overwrite"])
    return found


def record_of(found: ByBand, single: bool) -> dict[str, Any]:
    """What `--json` prints and `-o camera.json` holds."""
    from hsitool.tasks.band_summary import bands_record
    from hsitool.tasks.calib_bands import BandsRun
    from hsitool.tasks.calib_rig import rig_record

    if isinstance(found, BandsRun):
        return bands_record(found, single=single)
    return rig_record(found, single=single)


def _tell(found: ByBand, quiet: bool) -> None:
    """Notes on standard error: every view, every band left out, what was assumed."""
    from hsitool.tasks.band_summary import bands_notes
    from hsitool.tasks.calib_bands import BandsRun
    from hsitool.tasks.calib_rig import rig_notes
    from hsitool.tasks.calib_summary import printable

    reference = found.run.calibration
    refused = (f"{view.name}: not used: {view.reason}" for view in reference.refused)
    notes = bands_notes(found) if isinstance(found, BandsRun) else rig_notes(found)
    for line in (*found.corners.notes, *refused, *notes, *reference.warnings):
        note(printable(line), quiet)
    note(f"calibrated in {found.seconds:.2f} s", quiet)


def _write(found: ByBand, options: BandOptions, overwrite: bool) -> None:
    """The table and the plot."""
    from hsitool.tasks.calib_bands import BandsRun

    if options.band_shift is not None and isinstance(found, BandsRun):
        from hsitool.storage.band_shifts import write_band_shifts
        from hsitool.tasks.band_summary import shift_rows

        write_band_shifts(options.band_shift, shift_rows(found), overwrite=overwrite)
    if options.plot is not None:
        from hsitool.drawing.bands import save_bands

        save_bands(found, options.plot, overwrite)
