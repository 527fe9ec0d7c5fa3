"""Options that the verbs on camera files share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

CameraFile = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="A camera file: OpenCV, ROS, Kalibr, COLMAP, mrcal, Metashape or hsitool's JSON.",
        show_default=False,
    ),
]
CameraName = Annotated[
    str | None,
    typer.Option("--camera", metavar="NAME", help="Which camera of a file with several, as cam0."),
]
SizeOption = Annotated[
    str | None,
    typer.Option(
        "--size", "--image-size", metavar="WxH", help="Image size in px, where no file tells it."
    ),
]
