"""A calibration as a table on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hsitool.tasks.calib import CalibrationRun
    from hsitool.tasks.calib_bands import BandsRun
    from hsitool.tasks.calib_rig import RigRun


def calibration_lines(run: CalibrationRun) -> Iterator[str]:
    """The verdict, the table, the views."""
    from hsitool.tasks.calib_summary import headline, summary_rows, view_table

    yield headline(run)
    yield ""
    yield from _named(summary_rows(run))
    yield ""
    yield from (line.rstrip() for line in _aligned(view_table(run)))


def band_lines(found: BandsRun | RigRun) -> Iterator[str]:
    """The bands against the reference, then the reference's own verdict and table."""
    from hsitool.tasks.calib_bands import BandsRun
    from hsitool.tasks.calib_summary import headline, summary_rows

    yield from _of_bands(found) if isinstance(found, BandsRun) else _of_rig(found)
    yield ""
    yield f"reference: {headline(found.run)}"
    yield ""
    yield from _named(summary_rows(found.run))


def _of_bands(found: BandsRun) -> Iterator[str]:
    from hsitool.tasks.band_summary import bands_headline, bands_rows, bands_table

    table = bands_table(found)
    yield bands_headline(found)
    yield ""
    yield from _named(bands_rows(found))
    yield ""
    numbers = _aligned([row[:-1] for row in table])
    for line, (*_, note) in zip(numbers, table, strict=True):
        yield f"{line}  {note}".rstrip()


def _of_rig(found: RigRun) -> Iterator[str]:
    from hsitool.tasks.calib_rig import rig_headline, rig_rows, rig_table

    yield rig_headline(found)
    yield ""
    yield from _named(rig_rows(found))
    yield ""
    yield from _aligned(rig_table(found))


def _named(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Names to the left, texts below each other."""
    listed = list(rows)
    width = max(len(name) for name, _ in listed) + 2
    yield from (f"{name:<{width}}{text}" for name, text in listed)


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *cells in rows:
        right = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        yield "  ".join([first.ljust(widths[0]), *right])
