"""`hsitool camera board`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hsitool.cli import calib_options as given
from hsitool.cli.app import camera as group
from hsitool.cli.calib_options import TargetName
from hsitool.cli.options import Overwrite, Quiet, note


@group.command(epilog="Example:  hsitool camera board -o board.pdf --board 9x6 --square 25mm")
def board(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="The sheet, .pdf, .svg or .png."),
    ],
    counts: Annotated[
        str,
        typer.Option("--board", metavar="9x6", help="Inner corners (or circles) each way."),
    ] = "9x6",
    square: Annotated[
        str | None,
        typer.Option(
            "--square",
            metavar="25mm",
            help="Side of a square, or distance of circles.  [default: the largest that fits]",
        ),
    ] = None,
    target: given.TargetOption = TargetName.chess,
    dictionary: given.DictOption = "DICT_5X5_1000",
    marker: given.MarkerOption = None,
    page: Annotated[
        str | None,
        typer.Option(
            "--page",
            metavar="A4|A3|letter|WxHmm",
            help="Paper, upright or across.  [default: A4, or the next larger that fits]",
        ),
    ] = None,
    margin: Annotated[
        str, typer.Option("--margin", metavar="5mm", help="What the printer leaves white.")
    ] = "5mm",
    dpi: Annotated[
        int, typer.Option("--dpi", metavar="N", help="Pixels per inch of a .png.")
    ] = 300,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Draw a calibration board at its true size, with rulers both ways (needs Matplotlib).

    A print that is longer one way than the other moves fx/fy as much: the rulers show it.
    """
    from hsitool.drawing.board import draw_sheet
    from hsitool.tasks import calib_words as words
    from hsitool.tasks import camera_board as task

    settings = task.BoardSettings(
        task.parse_board(counts),
        None if square is None else words.length_mm(square, "--square"),
        target.value,
        dictionary,
        None if marker is None else words.length_mm(marker, "--marker"),
        page,
        words.length_mm(margin, "--margin"),
    )
    sheet = task.sheet_of(settings)
    draw_sheet(sheet, output, overwrite, dpi)
    width, height = sheet.page_mm
    across, down = sheet.rulers_mm
    note(
        f"{sheet.board} {target.value} board of {sheet.board.square_mm:g} mm on {width:g} x "
        f"{height:g} mm: print at 100 %, then measure the rulers, {across:g} mm and {down:g} mm",
        quiet,
    )
    typer.echo(output)
