"""The Typer application that the verbs register with."""

from __future__ import annotations

from typing import Annotated

import typer

import hsitool

app = typer.Typer(
    name="hsitool",
    help="Hyperspectral cubes and cameras on the command line.",
    epilog="Example:  hsitool smooth cube.tif --window 5 --deg 2",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

camera = typer.Typer(
    name="camera",
    help="Cameras on disk: explain, convert, compare and plan them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(camera)

attend = typer.Typer(
    name="attend",
    help="Attention over a cube: where it looks, and what it sees there.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(attend)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hsitool {hsitool.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)
