"""The report of a calibration: one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import hsitool
from hsitool.drawing import UNDATED, new_figure, require_matplotlib
from hsitool.drawing.bands import WIDTH, draw_by_band, height_of
from hsitool.drawing.focal import draw_focal
from hsitool.drawing.poses import draw_board, draw_coverage, draw_turns, draw_uncertainty
from hsitool.drawing.residuals import draw_radius, draw_vectors, draw_views, view_rows
from hsitool.errors import UsageError, printable
from hsitool.storage.atomic import refuse_existing
from hsitool.storage.texts import write_text
from hsitool.tasks.band_summary import bands_headline, bands_notes, bands_rows, bands_table
from hsitool.tasks.calib_rig import rig_headline, rig_notes, rig_rows, rig_table
from hsitool.tasks.calib_summary import summary_rows, view_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hsitool.tasks.calib import CalibrationRun
    from hsitool.tasks.calib_bands import BandsRun
    from hsitool.tasks.calib_rig import RigRun

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
  max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.1rem; margin: 2.5rem 0 0.3rem; }
.verdict { border-left: 0.5rem solid #0072B2; background: #eef4f8; padding: 0.8rem 1rem; }
.bad { border-left-color: #D55E00; background: #fbeee6; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { text-align: left; vertical-align: top; padding: 0.15rem 1.2rem 0.15rem 0; }
th { font-weight: 600; white-space: nowrap; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
tr + tr > * { border-top: 1px solid #ddd; }
figure { margin: 0; } figcaption { max-width: 46rem; color: #444; }
img { max-width: 100%; height: auto; }
footer { margin-top: 3rem; color: #666; font-size: 0.85rem; }
"""


OF_BANDS = (
    "Differences of corners seen in the same poses: poses, board and distortion cancel. Bars are "
    "95 % intervals. The noise of the reference's corners is in all of them, so that bands move up "
    "and down together; the curve takes that into account."
)
OF_RIG = (
    "All lenses in one bundle adjustment, with the poses of the board in common; each has one "
    "place against the reference."
)


@dataclass(frozen=True)
class Plot:
    """One picture of the report; `draw` fills an empty figure."""

    key: str
    title: str
    caption: str
    width: float
    height: float
    draw: Callable[[Figure], None]


def check_report(path: Path, overwrite: bool = False) -> None:
    """Refuse a report that could not be written in the end.

    Raises:
        UsageError: another ending than .html, no Matplotlib, or the file exists.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{path}: a report is a page: name it .html")
    require_matplotlib()
    refuse_existing([path], overwrite)


def write_report(
    run: CalibrationRun, path: Path, overwrite: bool = False, bands: BandsRun | RigRun | None = None
) -> None:
    """Write the page whole or not at all; `bands` are those that `run` is the reference of.

    Raises:
        UsageError: as `check_report`.
        DataError: it cannot be written.
    """
    check_report(path, overwrite)
    write_text(path, "\n".join(_page(run, bands)) + "\n", overwrite=overwrite)


def plots(run: CalibrationRun) -> tuple[Plot, ...]:
    """The pictures, in the order of the report."""
    found = run.calibration
    rows = view_rows(found)
    return (
        Plot(
            "focal",
            "One focal length or two",
            "Left: fx and fy are estimated together, so what they can be is the thin ellipse, not "
            "the box of their separate intervals; they differ where the line of equality misses "
            "the ellipse, wherever it crosses the box. Right: the same as intervals of the "
            "difference. The verdict takes the wider one of independent noise and jackknife, with "
            "the board as drawn and with its shape free.",
            12,
            5.6,
            lambda figure: draw_focal(figure, found),
        ),
        Plot(
            "views",
            "Views",
            "A bar far longer than the noise of its corners is a view that the model does not "
            "describe: blur, a bent board, a wrong detection. A view whose influence exceeds the "
            "standard error decides the answer alone.",
            12,
            1.9 + 0.26 * rows if rows <= 30 else 2 + 0.19 * rows,
            lambda figure: draw_views(figure, found),
        ),
        Plot(
            "vectors",
            "Residual vectors",
            "From where a corner was seen to where the fit puts it. Neighbouring arrows that agree "
            "show an error of the model; noise has no pattern. The cross is the principal point.",
            10,
            _height(10, found.image_size),
            lambda figure: draw_vectors(figure, found),
        ),
        Plot(
            "radius",
            "Residual against radius",
            "Rings whose mean lies off zero by more than its bar show a lens model that does not "
            "bend as the lens does: try --model k3, rational or fisheye.",
            10,
            5,
            lambda figure: draw_radius(figure, found),
        ),
        Plot(
            "coverage",
            "Coverage of the frame",
            "Distortion is known only where corners were seen.",
            10,
            _height(9, found.image_size),
            lambda figure: draw_coverage(figure, found),
        ),
        Plot(
            "turns",
            "Tilt and roll",
            "The focal length needs tilt. Views in two groups that are 90 degrees apart in roll "
            "tell a stretched board from pixels that are not square.",
            7,
            6.4,
            lambda figure: draw_turns(figure, found),
        ),
        Plot(
            "uncertainty",
            "Uncertainty of projection",
            "How surely a point in a known direction is put at its pixel, by the wider of the two "
            "covariances. The rotation that all seen corners have in common is taken off. Errors "
            "of the lens model are not in it: the half-split in the table shows these.",
            10,
            _height(9, found.image_size),
            lambda figure: draw_uncertainty(figure, found, run.projection_errors()),
        ),
        Plot(
            "board",
            "Shape of the board",
            "Measure the board both ways with a caliper: an aspect of 1.002 means 0.2 % longer "
            "along the columns than the drawing says.",
            10,
            _height(8.4, run.board_size_mm) + 0.7 if found.free is not None else 1.2,
            lambda figure: draw_board(figure, found, run.board_size_mm, run.length_unit),
        ),
    )


def _height(width: float, size: tuple[float, float]) -> float:
    """Inches of a figure whose axes have the shape of `size`."""
    return min(max(width * size[1] / size[0], 2.5), 12) + 0.9


def drawn(plot: Plot) -> Figure:
    """The picture of a plot."""
    figure = new_figure(plot.width, plot.height)
    plot.draw(figure)
    return figure


def _page(run: CalibrationRun, bands: BandsRun | RigRun | None) -> Iterator[str]:
    found = run.calibration
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8"/>'
    yield f"<title>Camera calibration: {escape(found.verdict.key)}</title>"
    yield f"<style>{STYLE}</style>\n</head>\n<body>\n<h1>Camera calibration</h1>"
    kind = "verdict bad" if found.bad else "verdict"
    yield f'<p class="{kind}"><strong>{escape(found.verdict.sentence)}</strong></p>'
    if bands is not None:
        yield from _bands(bands)
        yield "<h2>The reference band</h2>"
    yield from _rows(summary_rows(run))
    for plot in plots(run):
        yield from _figure(plot)
    yield "<h2>Views</h2>"
    yield from _grid(view_table(run))
    if run.refused:
        yield "<h2>Not used</h2>"
        yield from _rows([(printable(r.name), printable(r.reason)) for r in run.refused])
    yield f"<footer>hsitool {escape(hsitool.__version__)}</footer>"
    yield "</body>\n</html>"


def _bands(bands: BandsRun | RigRun) -> Iterator[str]:
    """The bands against the reference: the answer, the plot, the table."""
    from hsitool.tasks.calib_bands import BandsRun

    if isinstance(bands, BandsRun):
        said, rows, table = bands_headline(bands), list(bands_rows(bands)), bands_table(bands)
        notes, caption = list(bands_notes(bands)), OF_BANDS
    else:
        said, rows, table = rig_headline(bands), list(rig_rows(bands)), rig_table(bands)
        notes, caption = list(rig_notes(bands)), OF_RIG
    yield f'<p class="verdict"><strong>{escape(said)}</strong></p>'
    yield from _rows(rows)
    height = height_of(bands)
    yield from _figure(
        Plot("bands", "Bands", caption, WIDTH, height, lambda figure: draw_by_band(figure, bands))
    )
    yield from _grid(table)
    if notes:
        yield "<h2>Notes on bands</h2>"
        yield "<ul>" + "".join(f"<li>{escape(printable(note))}</li>" for note in notes) + "</ul>"


def _rows(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    """A table of names and what they are."""
    yield "<table>"
    for name, text in rows:
        yield f'<tr><th scope="row">{escape(name)}</th><td>{escape(text)}</td></tr>'
    yield "</table>"


def _grid(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table whose first row is its head and whose first column is text."""
    head, *body = rows
    yield "<table><tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"
    for name, *cells in body:
        numbers = "".join(f'<td class="number">{escape(cell)}</td>' for cell in cells)
        yield f"<tr><td>{escape(name)}</td>{numbers}</tr>"
    yield "</table>"


def _figure(plot: Plot) -> Iterator[str]:
    """The picture inside the page, as SVG that shares no names with the page or its siblings."""
    memory = io.BytesIO()
    drawn(plot).savefig(memory, format="svg", dpi=150, metadata=UNDATED[".svg"])
    data = base64.b64encode(memory.getvalue()).decode("ascii")
    yield f'<h2 id="{plot.key}">{escape(plot.title)}</h2>\n<figure>'
    yield f'<img alt="{escape(plot.title)}" src="data:image/svg+xml;base64,{data}"/>'
    yield f"<figcaption>{escape(plot.caption)}</figcaption>\n</figure>"
