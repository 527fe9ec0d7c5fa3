"""`hsitool camera explain`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hsitool.cli.app import camera
from hsitool.cli.calib_options import PitchOption, PixelsPerMm, SensorOption
from hsitool.cli.camera_options import CameraName, SizeOption
from hsitool.cli.options import Json
from hsitool.errors import UsageError

if TYPE_CHECKING:
    from hsitool.camera import CameraInfo


@camera.command(epilog="Example:  hsitool camera explain camera.yaml --pitch 3.45um")
def explain(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A camera file of any format.", show_default=False),
    ] = None,
    k: Annotated[
        str | None,
        typer.Option(
            "--K", metavar="FX,0,CX,0,FY,CY,0,0,1", help="Numbers instead; or FX,FY,CX,CY."
        ),
    ] = None,
    dist: Annotated[
        str | None,
        typer.Option(
            "--dist", metavar="K1,K2,P1,P2,...", help="With --K: distortion, as OpenCV's."
        ),
    ] = None,
    std: Annotated[
        str | None,
        typer.Option("--std", metavar="SFX,SFY", help="With --K: standard errors, px."),
    ] = None,
    fisheye: Annotated[
        bool, typer.Option("--fisheye", help="With --K: the distortion is OpenCV's fisheye.")
    ] = False,
    size: SizeOption = None,
    pitch: PitchOption = None,
    pixels_per_mm: PixelsPerMm = None,
    sensor: SensorOption = None,
    name: CameraName = None,
    as_json: Json = False,
) -> None:
    """Tell what a calibration says: focal length in mm, field of view, and fx against fy.

    Without the images no test of fx = fy is possible unless the file has the covariance; with
    standard errors alone the range of what they allow is told.
    """
    from hsitool.tasks import calib_words as words
    from hsitool.tasks import camera_explain as task
    from hsitool.tasks.camera_convert import sized
    from hsitool.tasks.camera_numbers import pitch_of, typed_camera

    sides = None if size is None else words.image_size(size)
    if k is not None:
        if file is not None:
            raise UsageError(f"--K and {file} are two cameras: give one of them")
        info: CameraInfo = typed_camera(k, dist, std, sides, fisheye=fisheye)
    else:
        info = sized(_read(file, name, dist or std or fisheye), sides)
    found = task.explain(info, pitch_of(info.image_size, pitch, pixels_per_mm, sensor))
    if as_json:
        from hsitool.storage.camera_files import json_text

        typer.echo(json_text(task.explanation_record(found)))
        return
    rows = task.explanation_rows(found)
    width = max(len(label) for label, _ in rows) + 2
    lines = [f"{label:<{width}}{text}" for label, text in rows]
    typer.echo("\n".join([task.explanation_headline(found), "", *lines]))


def _read(file: Path | None, name: str | None, of_numbers: object) -> CameraInfo:
    from hsitool.storage.cameras import read_camera

    if file is None:
        raise UsageError("no camera to explain: name a file, or give --K")
    if of_numbers:
        raise UsageError("--dist, --std and --fisheye go with --K: the file tells its own")
    return read_camera(file, name)
