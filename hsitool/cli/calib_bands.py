"""`hsitool calib CUBES... --bands`: each band of a camera against one of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hsitool.cli.calib_files import Outputs, reading
from hsitool.cli.calib_table import aligned, named_rows
from hsitool.cli.options import budget_of

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

    bands: str
    ref_band: str
    dk1: RadialName
    mosaic: str | None
    rig: bool
    wavelengths: Path | None
    max_memory: str

    def asked(self, threads: int | None) -> BandsAsked:
        """What the files are searched for.

        Raises:
            UsageError: a pattern of filters that is none, or no amount of memory.
        """
        from hsitool.tasks.band_corners import BandsAsked
        from hsitool.tasks.calib_words import mosaic

        pattern = None if self.mosaic is None else mosaic(self.mosaic)
        budget = budget_of(self.max_memory, threads)
        return BandsAsked(self.bands, self.ref_band, pattern, self.rig, self.wavelengths, budget)


def calibrate(
    source: Source, settings: CalibSettings, options: BandOptions, outputs: Outputs
) -> ByBand:
    """Find corners in all bands, keep them where asked for, and compare the bands."""
    from hsitool.tasks.calib_bands import calibrate_bands, read_bands
    from hsitool.tasks.calib_rig import calibrate_rig_corners

    asked = options.asked(source.workers)
    with reading(outputs.quiet) as (progress, tell):
        corners = read_bands(source, asked, progress, tell)
    outputs.keep_corners(corners.corner_views(), len(corners.views))
    if options.rig:
        return calibrate_rig_corners(corners, settings)
    return calibrate_bands(corners, settings, options.dk1.value)


def band_notes(found: ByBand) -> Iterator[str]:
    """Every band that was left out, and what is doubtful."""
    from hsitool.tasks.band_summary import bands_notes
    from hsitool.tasks.calib_bands import BandsRun
    from hsitool.tasks.calib_rig import rig_notes

    return bands_notes(found) if isinstance(found, BandsRun) else rig_notes(found)


def band_record(found: ByBand, single: bool) -> dict[str, Any]:
    """What `--json` prints and `-o camera.json` holds."""
    from hsitool.tasks.band_summary import bands_record
    from hsitool.tasks.calib_bands import BandsRun
    from hsitool.tasks.calib_rig import rig_record

    if isinstance(found, BandsRun):
        return bands_record(found, single=single)
    return rig_record(found, single=single)


def write_bands(found: ByBand, outputs: Outputs) -> None:
    """The table and the plot."""
    from hsitool.tasks.calib_bands import BandsRun

    if outputs.band_shift is not None and isinstance(found, BandsRun):
        from hsitool.storage.band_shifts import write_band_shifts
        from hsitool.tasks.band_summary import shift_rows

        write_band_shifts(outputs.band_shift, shift_rows(found), overwrite=outputs.overwrite)
    if outputs.plot is not None:
        from hsitool.drawing.bands import save_bands

        save_bands(found, outputs.plot, outputs.overwrite)


def band_lines(found: ByBand) -> Iterator[str]:
    """The bands against the reference, then the reference's own verdict and table."""
    from hsitool.tasks.calib_bands import BandsRun
    from hsitool.tasks.calib_summary import summary_rows

    yield from _of_bands(found) if isinstance(found, BandsRun) else _of_rig(found)
    yield ""
    yield f"reference: {found.run.calibration.verdict.sentence}"
    yield ""
    yield from named_rows(summary_rows(found.run))


def _of_bands(found: BandsRun) -> Iterator[str]:
    from hsitool.tasks.band_summary import bands_headline, bands_rows, bands_table

    table = bands_table(found)
    yield bands_headline(found)
    yield ""
    yield from named_rows(list(bands_rows(found)))
    yield ""
    lines = list(aligned([row[:-1] for row in table]))
    width = max(map(len, lines))
    for line, (*_, remark) in zip(lines, table, strict=True):
        yield f"{line:<{width}}  {remark}".rstrip()


def _of_rig(found: RigRun) -> Iterator[str]:
    from hsitool.tasks.calib_rig import rig_headline, rig_rows, rig_table

    yield rig_headline(found)
    yield ""
    yield from named_rows(list(rig_rows(found)))
    yield ""
    yield from aligned(rig_table(found))
