"""A calibration, and other reports, as tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hsitool.tasks.calib import CalibrationRun


def calibration_lines(run: CalibrationRun) -> Iterator[str]:
    """The verdict, the table, the views."""
    from hsitool.tasks.calib_summary import summary_rows, view_table

    yield run.calibration.verdict.sentence
    yield ""
    yield from named_rows(summary_rows(run))
    yield ""
    yield from aligned(view_table(run))


def named_rows(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Names in a column of their own, each before its text."""
    width = max(len(name) for name, _ in rows) + 2
    yield from (f"{name:<{width}}{text}" for name, text in rows)


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *cells in rows:
        right = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        yield "  ".join([first.ljust(widths[0]), *right]).rstrip()
