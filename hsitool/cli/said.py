"""The options that decide what is written, as the user gave them, for the provenance."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from enum import Enum
from typing import Any

import typer

HOW = (
    *("max_memory", "threads", "device", "jobs", "keep_going", "resume", "overwrite"),
    *("as_json", "quiet", "out_dir"),
)
"""Parameters that say how the work is done and told, and where: results are the same."""


def said_options(context: typer.Context, others: Collection[str]) -> tuple[str, ...]:
    """What was given on the command line, with long names; not of `others`, as `--output`."""
    found: list[str] = []
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        name = next((text for text in parameter.opts if text.startswith("--")), None)
        given = source is not None and source.name == "COMMANDLINE"
        if name is not None and given and parameter.name not in HOW and name not in others:
            found += _words(name, context.params[parameter.name or ""])
    return tuple(found)


def _words(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, bool):
        yield from [name] * value
        return
    for one in value if isinstance(value, list | tuple) else [value]:
        yield from (name, str(one.value if isinstance(one, Enum) else one))
