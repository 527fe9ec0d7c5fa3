"""The options of `hsitool calib`, each declared with its help."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class TargetName(StrEnum):
    """What is printed on the board."""

    chess = "chess"
    charuco = "charuco"
    circles = "circles"
    acircles = "acircles"


class ModelName(StrEnum):
    """Lens models."""

    k2 = "k2"
    k3 = "k3"
    rational = "rational"
    fisheye = "fisheye"


class BoardModelName(StrEnum):
    """Whether the board may differ from its drawing."""

    auto = "auto"
    rigid = "rigid"
    full = "full"


class ScannerName(StrEnum):
    """How images come about."""

    frame = "frame"
    pushbroom = "pushbroom"


class RequireName(StrEnum):
    """Gates on the verdict."""

    equal = "equal"
    detectable = "detectable"


Images = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[IMAGE|FOLDER|CORNERS]...",
        help="Images of the board, folders of them, or lists of corners (.csv, .json).",
        show_default=False,
    ),
]
BoardOption = Annotated[
    str | None,
    typer.Option(
        "--board", metavar="9x6", help="Inner corners (or circles) along a row and down a column."
    ),
]
SquareOption = Annotated[
    str | None,
    typer.Option(
        "--square",
        metavar="25mm",
        help="Side of a square, or distance of circles; without it lengths are in squares.",
    ),
]
TargetOption = Annotated[TargetName, typer.Option("--target", help="What is on the board.")]
DictOption = Annotated[
    str, typer.Option("--dict", metavar="NAME", help="Marker dictionary of a charuco board.")
]
MarkerOption = Annotated[
    str | None, typer.Option("--marker", metavar="18mm", help="Side of a charuco board's markers.")
]
PitchOption = Annotated[
    str | None,
    typer.Option("--pitch", metavar="3.45um[,3.45um]", help="Pixel pitch, along x and y."),
]
PixelsPerMm = Annotated[
    str | None, typer.Option("--m", metavar="MX,MY", help="The same as pixels per mm.")
]
SensorOption = Annotated[
    str | None,
    typer.Option("--sensor", metavar="WxHmm", help="The same as the size that the images show."),
]
ModelOption = Annotated[ModelName, typer.Option("--model", help="Lens model.")]
NoTangential = Annotated[
    bool, typer.Option("--no-tangential", help="Hold p1 and p2 at 0 (a centred lens).")
]
BoardModelOption = Annotated[
    BoardModelName,
    typer.Option(
        "--board-model",
        help="Board as drawn (rigid), or its aspect, shear and bows fitted (full); auto does both "
        "from 8 views on.",
    ),
]
TolOption = Annotated[
    str,
    typer.Option(
        "--tol", metavar="0.1%|0.5px", help="Difference that matters, or px at the frame's edge."
    ),
]
ScannerOption = Annotated[
    ScannerName, typer.Option("--scanner", help="Line scanners have no pinhole model.")
]
NoTrim = Annotated[bool, typer.Option("--no-trim", help="Keep outliers (beyond 4 sigma).")]
Accurate = Annotated[
    bool, typer.Option("--accurate", help="All detectors, the best kept: slower, sometimes better.")
]
SubpixWindow = Annotated[
    int | None,
    typer.Option(
        "--subpix-window",
        metavar="PX",
        min=1,
        help="Standard detector with this half window, as older programs do.",
    ),
]
SubpixEps = Annotated[
    float | None,
    typer.Option("--subpix-eps", metavar="PX", help="Where its refinement stops.  [default: 0.1]"),
]
ResizeOk = Annotated[
    bool, typer.Option("--resize-ok", help="Leave out images of another size than the most.")
]
CornersFile = Annotated[
    Path | None,
    typer.Option(
        "--corners",
        metavar="FILE",
        help="With images: keep their corners there (.csv or .json). Alone: calibrate from them.",
    ),
]
PointsFile = Annotated[
    Path | None,
    typer.Option(
        "--points",
        metavar="FILE",
        help="The inputs are point files (u v u v ...) of the board's points in FILE (x y x y ...)",
    ),
]
SizeOption = Annotated[
    str | None,
    typer.Option("--size", metavar="WxH", help="Image size in px, for --points."),
]
CameraFile = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Camera file: OpenCV's .yaml, or .json."),
]
SingleF = Annotated[
    bool,
    typer.Option(
        "--single-f", help="-o FILE and --json have the fit of one focal length (fx px = fy py)."
    ),
]
ReportOption = Annotated[
    Path | None,
    typer.Option("--report", metavar="FILE", help="A page with plots, .html (needs Matplotlib)."),
]
MaxRms = Annotated[
    float | None,
    typer.Option("--max-rms", metavar="PX", help="Exit with 1 if the RMS is larger."),
]
RequireOption = Annotated[
    RequireName | None,
    typer.Option(
        "--require",
        help="Exit with 1 unless fx and fy are equal within --tol, or such a difference is "
        "detectable.",
    ),
]
