"""`hsitool provenance`: the command lines that made a file, from what it says of itself."""

from __future__ import annotations

import json
import shlex
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hsitool.errors import DataError, printable
from hsitool.storage.readers import open_cube
from hsitool.storage.scene_files import read_scene

Step = Mapping[str, Any]


def history(path: Path) -> list[dict[str, Any]]:
    """The steps that made a raster or a scene model, the first one first, each with its `line`.

    Raises:
        DataError: it cannot be read, or says of no step.
    """
    steps = _steps(path)
    if not steps:
        raise DataError(f"{path}: does not say what made it: hsitool did not, or it was rewritten")
    targets = [*map(_input, steps[1:]), str(path)]
    return [{"line": line_of(s, t), **s} for s, t in zip(steps, targets, strict=True)]


def _steps(path: Path) -> Sequence[Step]:
    if zipfile.is_zipfile(path):
        return [read_scene(path).facts["provenance"]]
    with open_cube(path) as cube:
        return cube.info.provenance


def recipe_of(step: Step) -> str | None:
    """The recipe of which a step is the first, for people: what it was called, values and text."""
    recipe = step.get("recipe")
    if not isinstance(recipe, Mapping) or not isinstance(recipe.get("text"), str):
        return None
    values = recipe.get("values")
    pairs = values.items() if isinstance(values, Mapping) else ()
    given = [f"{name}={value}" for name, value in pairs]
    call = ["hsitool", "run", str(recipe.get("name")), *given]
    lines = [" ".join(map(quoted, call)), *recipe["text"].splitlines()]
    return "\n".join(f"# {printable(line)}" for line in lines)


def line_of(step: Step, target: str) -> str:
    """The command line of a step for a shell, whatever the file says; else a comment for it."""
    words = _words(step)
    if words is None:
        return _comment(step)
    end = " |" if target == "-" else ""  # the next line reads it
    return " ".join(map(quoted, ["hsitool", *words, _as_operand(target)])) + end


def _words(step: Step) -> list[str] | None:
    """Verb, input and options, if the file holds them."""
    command, line = step.get("command"), step.get("arguments")
    if not isinstance(command, str) or not isinstance(line, list) or not line:
        return None
    if not all(isinstance(word, str) for word in line):
        return None
    return [*command.split(), _as_operand(line[0]), *line[1:]]


def _input(step: Step) -> str:
    words = _words(step)
    return words[len(str(step["command"]).split())] if words else str(step.get("input"))


def _as_operand(name: str) -> str:
    """A file that no option can be mistaken for."""
    return f"./{name}" if name.startswith("-") and name != "-" else name


def quoted(word: str) -> str:
    """A word as a shell reads it back, on one line and without what a terminal obeys."""
    if word.isprintable():
        return shlex.quote(word)
    parts = [c if c.isprintable() and c not in "'\\" else _escape(c) for c in word]
    return f"$'{''.join(parts)}'"


def _escape(letter: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in letter.encode("utf-8", "surrogateescape"))


def _comment(step: Step) -> str:
    """What is known of a step that has no command line, as one run from Python."""
    settings = json.dumps(step.get("settings", {}), ensure_ascii=False)
    made = f"{step.get('command')} of {step.get('input')} by {step.get('tool')}: {settings}"
    return printable(f"# {made} (its command line was not kept)")
