"""`hsitool run`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hsitool.cli.app import app
from hsitool.cli.options import (
    DEFAULT_MEMORY,
    MaxMemory,
    Overwrite,
    Quiet,
    Threads,
    budget_of,
)
from hsitool.errors import UsageError


@app.command(epilog="Example:  hsitool run recipe.yaml cube=scene.hdr out=slope.tif --dry-run")
def run(
    context: typer.Context,
    recipe: Annotated[
        Path,
        typer.Argument(
            metavar="RECIPE",
            help="A chain of commands as YAML (see the README).",
            show_default=False,
        ),
    ],
    values: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME=VALUE...", help="Values of the recipe's variables.", show_default=False
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan with sizes and memory; make nothing.")
    ] = False,
    overwrite: Overwrite = False,
    max_memory: MaxMemory = DEFAULT_MEMORY,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Carry out a recipe: commands in a chain, in one process and at the same time.

    Blocks go from step to step; the input is read once and the output written once. Every output
    says in its provenance by which recipe it was made. All outputs appear together at the end.
    """
    from hsitool.cli.chain import carry_out, plan
    from hsitool.cli.recipe_steps import Shared, commands_of
    from hsitool.storage.recipes import read_recipe

    found = read_recipe(recipe, _variables(values or []))
    budget = budget_of(max_memory, threads)
    shared = Shared(budget.memory, threads, overwrite, quiet)
    commands = commands_of(found, shared, context.find_root().command)
    if dry_run:
        typer.echo("\n".join(plan(found, commands, budget.memory)))
        return
    code = carry_out(found, commands)
    if code:
        raise typer.Exit(code)


def _variables(texts: list[str]) -> dict[str, str]:
    """The values that the command line gives.

    Raises:
        UsageError: one is not NAME=VALUE, or is given twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"'{text}' is not NAME=VALUE, as in cube=scene.hdr")
        if name in found:
            raise UsageError(f"{name} is given twice")
        found[name] = value
    return found
