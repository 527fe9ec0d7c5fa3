"""`hsitool provenance`"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from hsitool.cli.app import app
from hsitool.cli.options import Json, Quiet


@app.command(epilog="Example:  hsitool provenance slope.tif > again.sh")
def provenance(
    made: Annotated[
        Path,
        typer.Argument(
            metavar="OUT", help="A raster or scene model of hsitool.", show_default=False
        ),
    ],
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Print the command lines that made a file, one a step, ready for a shell.

    Files are named as they were then: run the lines in the same folder. A step that was run from
    Python, or by an earlier version, is a comment. A recipe stands as one above the lines of its
    steps, which do the same through pipes.
    """
    from hsitool.tasks.history import history, recipe_of

    steps = history(made)
    if as_json:
        typer.echo(json.dumps({"file": str(made), "steps": steps}, ensure_ascii=False))
        return
    for step in steps:
        if (recipe := recipe_of(step)) is not None:
            typer.echo(recipe)
        typer.echo(step["line"])
