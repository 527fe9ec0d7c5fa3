"""`hsitool camera simulate`"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hsitool.cli import calib_options as given
from hsitool.cli.app import camera as group
from hsitool.cli.calib_options import BoardModelName, ModelName
from hsitool.cli.calib_table import aligned, named_rows
from hsitool.cli.options import Json, Quiet, Threads, progress_bar
from hsitool.errors import UsageError

if TYPE_CHECKING:
    from hsitool.tasks.camera_simulate import Simulation


class RollName(StrEnum):
    """How a board is turned about the line of sight."""

    any = "any"
    none = "none"
    half = "half"


@group.command(
    epilog="Example:  hsitool camera simulate --board 9x6 --views 20 --noise 0.2px "
    "--image-size 1280x1024 --f 1600px --roll-half"
)
def simulate(
    board: Annotated[
        str, typer.Option("--board", metavar="9x6", help="Inner corners of the board.")
    ],
    square: Annotated[
        str | None,
        typer.Option("--square", metavar="25mm", help="Side of a square, for --distance, --bow."),
    ] = None,
    views: Annotated[int, typer.Option("--views", metavar="N", help="Views of the shoot.")] = 20,
    noise: Annotated[
        str, typer.Option("--noise", metavar="0.2px", help="Standard deviation of a coordinate.")
    ] = "0.2px",
    camera: Annotated[
        Path | None,
        typer.Option("--camera", metavar="FILE", help="Take the camera from this file."),
    ] = None,
    image_size: Annotated[
        str | None, typer.Option("--image-size", metavar="WxH", help="Image size in px.")
    ] = None,
    focal: Annotated[
        str | None,
        typer.Option("--f", metavar="1600px|8.5mm", help="Focal length; mm needs a pitch."),
    ] = None,
    centre: Annotated[
        str | None,
        typer.Option("--centre", metavar="CX,CY", help="Principal point in px.  [default: middle]"),
    ] = None,
    distortion: Annotated[
        str | None,
        typer.Option(
            "--distortion",
            metavar="K1,K2,...",
            help="In OpenCV's order.  [default: -0.2,0.08, a common lens]",
        ),
    ] = None,
    pitch: given.PitchOption = None,
    pixels_per_mm: given.PixelsPerMm = None,
    sensor: given.SensorOption = None,
    tilt: Annotated[
        str, typer.Option("--tilt", metavar="5:40", help="Tilt of the board in degrees.")
    ] = "5:40",
    roll: Annotated[
        RollName | None,
        typer.Option(
            "--roll",
            help="Any roll, none, or half of the views turned by 90 degrees.  [default: any]",
        ),
    ] = None,
    roll_half: Annotated[
        bool, typer.Option("--roll-half", help="The same as --roll half.")
    ] = False,
    fill: Annotated[
        str,
        typer.Option("--fill", metavar="35:90%", help="The board's share of the frame's width."),
    ] = "35:90%",
    distance: Annotated[
        str | None,
        typer.Option("--distance", metavar="0.5:1.2m", help="Of the board, instead of --fill."),
    ] = None,
    true_difference: Annotated[
        str, typer.Option("--true-difference", metavar="0.1%", help="fx/fy - 1 of the camera.")
    ] = "0%",
    stretch: Annotated[
        str,
        typer.Option("--stretch", metavar="0.2%", help="The print is too long along its columns."),
    ] = "0%",
    bow: Annotated[
        str,
        typer.Option("--bow", metavar="0.5mm[,0mm]", help="Bow of the board along rows, columns."),
    ] = "0mm",
    outliers: Annotated[
        str, typer.Option("--outliers", metavar="2%", help="Share of corners that are 3 px off.")
    ] = "0%",
    model: given.ModelOption = ModelName.k2,
    no_tangential: given.NoTangential = False,
    board_model: given.BoardModelOption = BoardModelName.auto,
    tol: given.TolOption = "0.1%",
    differences: Annotated[
        str,
        typer.Option("--differences", metavar="LIST", help="Tell the power at these fx/fy - 1."),
    ] = "0%,0.01%,0.03%,0.05%,0.1%",
    trials: Annotated[
        int, typer.Option("--trials", metavar="N", help="Shoots to calibrate; 0: none.")
    ] = 200,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of random numbers.")] = 0,
    as_json: Json = False,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """What a planned shoot of a board will tell: which difference of fx and fy it can show.

    Boards are held at random, wholly in the frame, and seen with noise. Errors and power follow
    from the geometry; coverage and verdicts are counted in calibrations of simulated corners.
    """
    from hsitool.storage.cameras import read_camera
    from hsitool.tasks import calib_words as words
    from hsitool.tasks import shoot_words as said
    from hsitool.tasks.calib import CalibSettings
    from hsitool.tasks.camera_simulate import simulate as carry_out
    from hsitool.tasks.shoot import ShootSettings

    relative, edge_px = words.tolerance(tol)
    square_mm = None if square is None else words.length_mm(square, "--square")
    settings = ShootSettings(
        board=said.board(board, square_mm),
        square_known=square is not None,
        calib=CalibSettings(
            model=model.value,
            tangential=not no_tangential,
            board_model=board_model.value,
            tol=relative,
            tol_edge_px=edge_px,
            pitch_mm=None if pitch is None else words.pitch_mm(pitch),
            pixels_per_mm=None if pixels_per_mm is None else words.pixels_per_mm(pixels_per_mm),
            sensor_mm=None if sensor is None else words.sensor_mm(sensor),
        ),
        views=views,
        noise_px=said.pixels(noise, "--noise"),
        camera=None if camera is None else read_camera(camera),
        image_size=None if image_size is None else words.image_size(image_size),
        focal=None if focal is None else said.focal_length(focal),
        centre=None if centre is None else said.coefficients(centre, "--centre", 2),
        distortion=(
            None if distortion is None else said.coefficients(distortion, "--distortion", 8)
        ),
        tilt_deg=said.number_range(tilt, "--tilt", "deg", "LOW:HIGH in degrees, as 5:40"),
        roll=_roll(roll, roll_half),
        fill=said.share_range(fill, "--fill"),
        depth_mm=None if distance is None else said.length_range(distance, "--distance"),
        true_difference=said.relative(true_difference, "--true-difference"),
        stretch=said.relative(stretch, "--stretch"),
        bow_mm=said.bows(bow),
        outliers=said.relative(outliers, "--outliers"),
        trials=trials,
        seed=seed,
        differences=said.differences(differences),
    )
    plan = settings.plan()
    with progress_bar("simulate", quiet) as progress:
        found = carry_out(plan, workers=threads, progress=progress)
    if as_json:
        from hsitool.storage.camera_files import json_text
        from hsitool.tasks.simulation_summary import simulation_record

        typer.echo(json_text(simulation_record(found)))
        return
    typer.echo("\n".join(_lines(found)))


def _roll(roll: RollName | None, half: bool) -> Literal["any", "none", "half"]:
    if half and roll not in (None, RollName.half):
        raise UsageError(f"--roll-half and --roll {roll.value if roll else ''} exclude each other")
    if half or roll is RollName.half:
        return "half"
    return "none" if roll is RollName.none else "any"


def _lines(found: Simulation) -> Iterator[str]:
    from hsitool.tasks.simulation_summary import power_table, summary_rows

    yield from named_rows(summary_rows(found))
    yield ""
    yield "probability of noticing a difference"
    yield from aligned(power_table(found))
