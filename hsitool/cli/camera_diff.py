"""`hsitool camera diff`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hsitool.cli.app import camera
from hsitool.cli.camera_options import SizeOption
from hsitool.cli.options import Json, Overwrite, note


@camera.command(epilog="Example:  hsitool camera diff old.yaml new.yaml --max-px 0.5")
def diff(
    first: Annotated[Path, typer.Argument(metavar="A", help="A camera file.", show_default=False)],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another.", show_default=False)],
    name: Annotated[
        str | None, typer.Option("--camera", metavar="NAME", help="Which camera of A.")
    ] = None,
    name_b: Annotated[
        str | None,
        typer.Option("--camera-b", metavar="NAME", help="Which camera of B.  [default: as of A]"),
    ] = None,
    size: SizeOption = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE.csv", help="Write the difference on a grid."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE", help="Draw the map (.png, .svg or .pdf; matplotlib)."
        ),
    ] = None,
    max_px: Annotated[
        float | None,
        typer.Option("--max-px", metavar="PX", min=0, help="Exit with 1 if anywhere more apart."),
    ] = None,
    as_json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Compare two calibrations as pixels over the image, after the best-fitting rotation.

    Lens models may differ. With the covariance of one or both, the difference is held against
    what their errors predict.
    """
    from hsitool.storage.atomic import refuse_existing
    from hsitool.storage.writers import refuse_inputs, refuse_twins
    from hsitool.tasks import calib_words as words
    from hsitool.tasks import camera_diff as task

    if output is not None:
        refuse_existing([output], overwrite)
    if plot is not None:
        from hsitool.drawing import check_plot

        check_plot(plot, overwrite)
    outputs = [path for path in (output, plot) if path is not None]
    refuse_inputs((), [first, second], others=outputs)
    refuse_twins((), others=outputs)
    sides = None if size is None else words.image_size(size)
    found = task.compare_cameras(first, second, name, name_b, sides)
    if output is not None:
        task.write_map(output, found, overwrite)
    if plot is not None:
        from hsitool.drawing.camera_difference import draw_difference

        draw_difference(found, plot, overwrite)
    if as_json:
        from hsitool.storage.camera_files import json_text

        typer.echo(json_text(task.difference_record(found)))
    else:
        rows = task.difference_rows(found)
        width = max(len(label) for label, _ in rows) + 2
        lines = [f"{label:<{width}}{text}" for label, text in rows]
        typer.echo("\n".join([task.difference_headline(found), "", *lines]))
    if max_px is not None and not found.max_px <= max_px:
        note(f"--max-px {max_px:g}: they are up to {found.max_px:.4g} px apart", False)
        raise typer.Exit(1)
