"""`hsitool diff`"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from hsitool.cli.app import app
from hsitool.cli.options import (
    DEFAULT_MEMORY,
    Json,
    MaxMemory,
    Quiet,
    Threads,
    budget_of,
    open_source,
    progress_bar,
)


@app.command(epilog="Example:  hsitool diff cube.tif copy.img && echo same")
def diff(
    first: Annotated[Path, typer.Argument(metavar="A", help="A cube.", show_default=False)],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another.", show_default=False)],
    as_json: Json = False,
    rtol: Annotated[float, typer.Option(min=0, help="Relative tolerance of samples.")] = 0.0,
    atol: Annotated[float, typer.Option(min=0, help="Absolute tolerance of samples.")] = 0.0,
    strict: Annotated[
        bool, typer.Option("--strict", help="Layout, comments and provenance count as well.")
    ] = False,
    max_memory: MaxMemory = DEFAULT_MEMORY,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Compare two cubes by meaning: exit code 0 if they are the same, 1 if not."""
    from hsitool.tasks.diff import compare

    budget = budget_of(max_memory, threads)
    with (
        open_source(first, None, None, once=True) as a,
        open_source(second, None, None, once=True) as b,
        progress_bar("diff", quiet) as progress,
    ):
        found = compare(a, b, rtol=rtol, atol=atol, budget=budget, progress=progress)
    same = not any(d.decides or strict for d in found)
    if as_json:
        typer.echo(json.dumps({"same": same, "differences": [asdict(d) for d in found]}))
    else:
        for d in found:
            aside = "" if d.decides or strict else "  (does not count)"
            typer.echo(f"{d.item}: {d.first} | {d.second}{aside}")
        typer.echo("same" if same else "different")
    raise typer.Exit(0 if same else 1)
