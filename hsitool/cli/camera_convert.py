"""`hsitool camera convert`"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from hsitool.cli.app import camera
from hsitool.cli.camera_options import CameraFile, CameraName, SizeOption
from hsitool.cli.options import Overwrite, Quiet, note


class CameraFormatName(StrEnum):
    """Formats of camera files."""

    opencv = "opencv"
    ros = "ros"
    kalibr = "kalibr"
    colmap = "colmap"
    mrcal = "mrcal"
    metashape = "metashape"
    json = "json"


@camera.command(epilog="Example:  hsitool camera convert camera.yaml -o cameras.txt --to colmap")
def convert(
    file: CameraFile,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="Camera file.", show_default=False),
    ],
    to: Annotated[
        CameraFormatName | None,
        typer.Option("--to", help="Its format; the default goes by its name.", show_default=False),
    ] = None,
    name: CameraName = None,
    size: SizeOption = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Write a camera in another program's format, or refuse to where that cannot hold it.

    Pixel centres, signs and order of coefficients are turned into the target's own.
    """
    from hsitool.tasks import calib_words as words
    from hsitool.tasks.camera_convert import convert_camera

    sides = None if size is None else words.image_size(size)
    key = None if to is None else to.value
    for line in convert_camera(file, output, key, name, sides, overwrite=overwrite):
        note(line, quiet)
    typer.echo(output)
