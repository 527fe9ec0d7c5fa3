"""What the outputs of each scene are called, and what is refused before the work."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hsitool.cli.options import stem_of
from hsitool.errors import DataError, UsageError

if TYPE_CHECKING:
    from hsitool.storage.writers import OutputOptions


@dataclass(frozen=True)
class Output:
    """A file that a verb writes of each scene: the option that names it, and the name given.

    Without a name it is the main output, called after the scene. `own` are options that hold for
    it alone, as `--deriv 1`; what is no raster carries no provenance.
    """

    option: str
    name: Path | None = None
    own: tuple[str, ...] = ()
    raster: bool = True


def wanted(option: str, name: Path | None, *, raster: bool = True) -> list[Output]:
    """An output that is written where a name is given."""
    return [] if name is None else [Output(option, name, raster=raster)]


@dataclass(frozen=True)
class Names:
    """How outputs are named: `suffix` and `verb` are for those without a name of their own."""

    out_dir: Path | None
    verb: str
    suffix: str

    def of(self, cube: Path, output: Output) -> Path:
        """The path of an output of a scene."""
        if self.out_dir is None:
            return output.name or Path(f"{stem_of(cube)}_{self.verb}{self.suffix}")
        if output.name is None:
            return self.out_dir / f"{stem_of(cube)}{self.suffix}"
        return self.out_dir / f"{stem_of(cube)}_{output.name.name}"


def refuse_names(cubes: Sequence[Path], outputs: Sequence[Output], out_dir: Path | None) -> None:
    """Refuse names that cannot be those of several scenes, and scenes of one name.

    Raises:
        UsageError: says which.
    """
    several = len(cubes) > 1
    for output in outputs:
        name = output.name
        if str(name) == "-" and (several or out_dir is not None):
            raise UsageError(f"{output.option} - is one cube: leave out --out-dir, and give one")
        if out_dir is None and several and name is not None:
            raise UsageError(
                f"{output.option} {name} is one file, and {len(cubes)} cubes are given: add "
                "--out-dir DIR, where each scene's name comes in front of it"
            )
        if out_dir is not None and name is not None and str(name) != name.name:
            raise UsageError(
                f"{output.option} {name}: with --out-dir give a name without a folder, as "
                f"{name.name or 'name.tif'}; each scene's name comes in front of it"
            )
    if several and Path("-") in cubes:
        raise UsageError("- is one cube: give it alone")
    _refuse_namesakes(cubes)


def _refuse_namesakes(cubes: Sequence[Path]) -> None:
    former: dict[str, Path] = {}
    for cube in cubes:
        if (other := former.setdefault(stem_of(cube), cube)) is not cube:
            raise UsageError(
                f"{other} and {cube} are both called {stem_of(cube)}: their outputs would have "
                "one name; give them in two runs, with an --out-dir each"
            )


def without_pairs(cubes: Sequence[Path]) -> list[Path]:
    """The cubes, each once: not the data file of a header that is given as well, and no twins."""
    if len(cubes) == 1:
        return list(cubes)
    given = {os.path.realpath(cube) for cube in cubes}
    kept: dict[str, Path] = {}
    for cube in cubes:
        header = _header_of(cube)
        own = os.path.realpath(cube if header is None else header)
        kept.setdefault(own if own in given else os.path.realpath(cube), cube)
    return list(kept.values())


def _header_of(cube: Path) -> Path | None:
    """The header of an ENVI data file."""
    from hsitool.storage.readers import header_beside

    try:
        return header_beside(cube)
    except DataError:
        return None  # it is told when its turn comes


def refuse_clashes(
    targets: Sequence[Sequence[Path]],
    outputs: Sequence[Output],
    inputs: Sequence[Path | None],
    options: OutputOptions,
) -> None:
    """Refuse outputs that would share a file, or lie over an input.

    Raises:
        UsageError: naming the file.
    """
    from hsitool.storage.writers import refuse_inputs, refuse_twins

    rasters = [p for paths in targets for p in rasters_of(paths, outputs)]
    others = [p for paths in targets for p in others_of(paths, outputs)]
    refuse_twins(rasters, options, others)
    refuse_inputs(rasters, inputs, options, others)


def rasters_of(paths: Sequence[Path], outputs: Sequence[Output]) -> list[Path]:
    """The outputs of a scene that are rasters."""
    return [path for path, output in zip(paths, outputs, strict=True) if output.raster]


def others_of(paths: Sequence[Path], outputs: Sequence[Output]) -> list[Path]:
    """The outputs of a scene that are none."""
    return [path for path, output in zip(paths, outputs, strict=True) if not output.raster]


def all_files(
    paths: Sequence[Path], outputs: Sequence[Output], options: OutputOptions
) -> list[Path]:
    """All files that the outputs of a scene consist of."""
    from hsitool.storage.writers import output_paths

    files = [file for path in rasters_of(paths, outputs) for file in output_paths(path, options)]
    return [*files, *others_of(paths, outputs)]
