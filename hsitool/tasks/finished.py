"""Whether the outputs of a command are there already, as it would make them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import hsitool
from hsitool.cube import CubeInfo
from hsitool.errors import HsitoolError
from hsitool.storage.atomic import is_unfinished
from hsitool.storage.readers import CubeReader, open_cube
from hsitool.storage.writers import OutputOptions, output_paths

State = Literal["absent", "finished", "own", "foreign"]


@dataclass(frozen=True)
class Awaited:
    """What a command makes of one cube: rasters with their lines in the options, other files."""

    command: str
    cube: Path
    data: Path | None
    rasters: Sequence[Path]
    others: Sequence[Path]
    options: OutputOptions


def state_of(awaited: Awaited) -> State:
    """What is there of the outputs.

    "finished": all of them, made by this version, line, chain of steps and input name, and no
    older than any file that the line names. "own": something else that the same verb made of this
    input under these names, or that a killed run left; "foreign": anything else.
    """
    files = [file for raster in awaited.rasters for file in output_paths(raster, awaited.options)]
    there = [file for file in (*files, *awaited.others) if file.exists()]
    if not there:
        return "absent"
    found = {raster: _made(raster, awaited.options) for raster in awaited.rasters}
    if not all(_is_own(awaited, raster, made) for raster, made in found.items()):
        return "foreign"
    if not any(made is not None for made in found.values()):
        return "own" if any(map(is_unfinished, awaited.rasters)) else "foreign"
    complete = len(there) == len(files) + len(awaited.others)
    return "finished" if complete and _is_same(awaited, found, there) else "own"


def _made(raster: Path, options: OutputOptions) -> CubeInfo | None:
    """What an output says of itself, if it can be read."""
    pixels = output_paths(raster, options)[0]
    if not pixels.exists():
        return None
    try:
        with open_cube(pixels) as cube:
            return cube.info
    except HsitoolError:
        return None


def _is_own(awaited: Awaited, raster: Path, made: CubeInfo | None) -> bool:
    """Whether an output may be made again: absent, unfinished, or made of the same input."""
    if made is None:
        pixels, *_ = output_paths(raster, awaited.options)
        return not pixels.exists() or is_unfinished(pixels)
    if not made.provenance:
        return False
    step, line = made.provenance[-1], awaited.options.lines[raster]
    arguments = step.get("arguments") or [None]
    return step.get("command") == awaited.command and arguments[0] == line[0]


def _is_same(
    awaited: Awaited, found: Mapping[Path, CubeInfo | None], files: Sequence[Path]
) -> bool:
    try:
        with open_cube(awaited.cube, data=awaited.data) as source:
            former, inputs = source.info.provenance, _inputs(awaited, source)
    except HsitoolError:
        return False  # it is told when the scene's turn comes
    for raster, made in found.items():
        if made is None or made.provenance[:-1] != former:
            return False
        if not _is_step(awaited, made.provenance[-1], awaited.options.lines[raster]):
            return False
    return not any(_is_newer(source, made) for made in files for source in inputs)


def _is_step(awaited: Awaited, step: Mapping[str, Any], line: Sequence[str]) -> bool:
    wanted = {
        "tool": f"hsitool {hsitool.__version__}",
        "command": awaited.command,
        "input": awaited.cube.name,
        "arguments": list(line),
    }
    return {key: step.get(key) for key in wanted} == wanted


def _inputs(awaited: Awaited, source: CubeReader) -> set[Path]:
    """The files of the cube and those that the options name, as `FILE` or `FILE:NAME`."""
    words = {word for line in awaited.options.lines.values() for word in line[1:]}
    named = {Path(text) for word in words for text in (word, word.rpartition(":")[0]) if text}
    return {*source.files, *(file for path in named if path.is_file() for file in _with_pair(path))}


def _with_pair(path: Path) -> Iterable[Path]:
    """A file and, of a cube, its other files."""
    try:
        with open_cube(path) as cube:
            return (path, *cube.files)
    except HsitoolError:
        return (path,)


def _is_newer(source: Path, made: Path) -> bool:
    """Whether a file was changed, or put in its place, after another was."""
    a, b = source.stat(), made.stat()
    return a.st_mtime_ns > b.st_mtime_ns or a.st_ctime_ns > b.st_ctime_ns
