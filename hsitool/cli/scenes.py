"""One verb over one cube or many: names, jobs, failures, what is finished already, progress.

A verb says which files it writes of a scene (`Output`) and what it does with one (a function of
`Scene`, which is best a partial one of a function at the top of its module); all else is here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hsitool.cli.options import FormatName, note, progress_bar, written
from hsitool.cli.said import said_options
from hsitool.cli.scene_bars import Bars, scene_bars
from hsitool.cli.scene_names import (
    Names,
    Output,
    all_files,
    others_of,
    rasters_of,
    refuse_clashes,
    refuse_names,
    without_pairs,
)
from hsitool.cli.telling import tell, told
from hsitool.errors import DataError, HsitoolError, UsageError

if TYPE_CHECKING:
    from hsitool.engine.blocks import Progress
    from hsitool.engine.plan import Budget
    from hsitool.storage.writers import OutputOptions

CubePaths = Annotated[
    list[Path],
    typer.Argument(
        metavar="CUBE...",
        help="GeoTIFFs, ENVI data files or .hdr, or any rasters that GDAL reads; several are "
        "scenes of their own.",
        show_default=False,
    ),
]
OutDir = Annotated[
    Path | None,
    typer.Option(
        "--out-dir",
        metavar="DIR",
        help="Folder for the outputs, made if absent: DIR/<CUBE's name>.tif, and for each FILE "
        "that is named DIR/<CUBE's name>_FILE.",
        show_default=False,
    ),
]
Jobs = Annotated[
    int,
    typer.Option(
        "--jobs", "-j", metavar="N", min=1, help="Scenes at a time; they share memory and threads."
    ),
]
KeepGoing = Annotated[
    bool,
    typer.Option("--keep-going", help="Do the other scenes where one fails; exit code 3 then."),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Leave out scenes whose outputs are there, newer than the inputs and made by the same "
        "command; make others again.",
    ),
]


@dataclass(frozen=True)
class Many:
    """How the scenes are gone through."""

    out_dir: Path | None = None
    jobs: int = 1
    keep_going: bool = False
    resume: bool = False


@dataclass(frozen=True)
class Scene:
    """One cube, where its outputs go (in the order of the verb's), and with what means."""

    cube: Path
    targets: tuple[Path, ...]
    options: OutputOptions
    budget: Budget
    alone: bool = True
    quiet: bool = False
    progress: Progress | None = field(default=None, compare=False)

    def note(self, text: str) -> None:
        """One line for the user on standard error, with the scene's name where there are others."""
        note(text if self.alone else f"{self.cube}: {text}", self.quiet)


Work = Callable[[Scene], "dict[str, Any] | None"]
"""Carries out a verb on one scene; gives what `--json` shows."""


@dataclass(frozen=True)
class Run:
    """A verb as it was called: `command` is its name in provenances, `verb` that in default names.

    `unsaid` are options that are no part of an output's command line unless they are its own;
    `inputs` are further files that no output may replace, and then not the cubes either (of several
    cubes, outputs never do).
    """

    command: str
    cubes: Sequence[Path]
    outputs: Sequence[Output]
    many: Many
    options: OutputOptions
    budget: Budget
    form: FormatName | None = None
    as_json: bool = False
    quiet: bool = False
    unsaid: tuple[str, ...] = ()
    inputs: tuple[Path | None, ...] = ()

    @property
    def verb(self) -> str:
        """The last word of the command."""
        return self.command.rpartition(" ")[2]


def run_scenes(context: typer.Context, run: Run, work: Work) -> list[dict[str, Any]]:
    """Carry out a verb on each cube, and tell standard output what was written.

    Returns:
        What the work gave, of the scenes that were done.

    Raises:
        UsageError: names that clash, or outputs that exist; nothing has been done then.
        HsitoolError: what a scene failed of, or, with `--keep-going`, how many did.
    """
    scenes = _planned(context, run)
    waiting = _waiting(context, run, scenes) if run.many.resume else scenes
    if run.many.out_dir is not None and waiting:
        _make_folder(run.many.out_dir)
    if scenes[0].alone:
        return [_alone(run, scene, work) for scene in waiting]
    return _all(run, len(scenes), waiting, work)


def _planned(context: typer.Context, run: Run) -> list[Scene]:
    """The scenes with their outputs, none of which may be there unless it may be replaced."""
    from hsitool.storage.atomic import refuse_existing

    many, cubes = run.many, without_pairs(run.cubes)
    if twins := len(run.cubes) - len(cubes):
        note(f"{twins} files belong to cubes that are given already: taken once", run.quiet)
    refuse_names(cubes, run.outputs, many.out_dir)
    suffix = ".img" if run.form is FormatName.envi else ".tif"
    names = Names(many.out_dir, run.verb, suffix)
    targets = [tuple(names.of(cube, output) for output in run.outputs) for cube in cubes]
    named = {output.option for output in run.outputs}
    said = said_options(context, {"--output", *named, *run.unsaid})
    read = [path for path in map(Path, said) if path.is_file()]
    inputs = [*cubes, *run.inputs, *read] if run.inputs or len(cubes) > 1 else []
    refuse_clashes(targets, run.outputs, inputs, run.options)
    if many.out_dir.is_dir() if many.out_dir is not None else len(cubes) > 1:
        files = [f for paths in targets for f in all_files(paths, run.outputs, run.options)]
        refuse_existing(files, run.options.overwrite or many.resume)
    budget = run.budget.divided(many.jobs)
    scenes = []
    for cube, paths in zip(cubes, targets, strict=True):
        lines = {
            path: (str(cube), *said, *output.own, output.option)
            for path, output in zip(paths, run.outputs, strict=True)
        }
        options = replace(run.options, lines=lines, threads=budget.workers)
        scenes.append(Scene(cube, paths, options, budget, len(cubes) == 1, run.quiet))
    return scenes


def _waiting(context: typer.Context, run: Run, scenes: Sequence[Scene]) -> list[Scene]:
    """The scenes that are not finished; their outputs may be replaced where they are our own.

    Raises:
        UsageError: files that this command did not make of these cubes are in the way.
    """
    from hsitool.tasks.finished import Awaited, state_of

    data, waiting = context.params.get("data"), []
    for scene in scenes:
        again = scene
        rasters, others = (of(scene.targets, run.outputs) for of in (rasters_of, others_of))
        awaited = Awaited(run.command, scene.cube, data, rasters, others, scene.options)
        state = state_of(awaited)
        if state == "foreign" and not run.options.overwrite:
            raise UsageError(
                f"{scene.targets[0]} or what goes with it is there, and not made of {scene.cube} "
                f"by {run.command}: choose another --out-dir, or add --overwrite to replace it"
            )
        if state == "own":
            again = replace(scene, options=replace(scene.options, overwrite=True))
        if state != "finished":
            waiting.append(again)
    if skipped := len(scenes) - len(waiting):
        note(f"finished already: {skipped} of {len(scenes)} scenes", run.quiet)
    return waiting


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        reason = "is no folder" if folder.exists() else f"cannot be made: {error.strerror}"
        raise UsageError(f"--out-dir {folder} {reason}") from error


def _alone(run: Run, scene: Scene, work: Work) -> dict[str, Any]:
    """Carry out a verb on the only cube."""
    with progress_bar(run.command, run.quiet) as progress:
        found = work(replace(scene, progress=progress)) or {}
    if run.as_json:
        typer.echo(json.dumps(found))
    else:
        _tell_written(run, scene)
    return found


def _all(run: Run, count: int, waiting: Sequence[Scene], work: Work) -> list[dict[str, Any]]:
    """Carry out a verb on several cubes."""
    from hsitool.engine.scenes import outcomes

    many = run.many
    with (
        scene_bars(run.command, len(waiting), run.quiet) as bars,
        outcomes(
            _Watched(work, bars), waiting, jobs=many.jobs, keep_going=many.keep_going
        ) as found,
    ):
        ends = []
        for scene, outcome in zip(waiting, found, strict=True):
            ends.append(outcome)
            if outcome.result is not None and not run.as_json:
                _tell_written(run, scene)
    reports = [outcome.result for outcome in ends if outcome.result is not None]
    failed = [(scene, end.error) for scene, end in zip(waiting, ends, strict=True) if end.error]
    if run.as_json:
        _tell_reports(count, waiting, reports, failed)
    if failed:
        raise _failure(failed, count, many.keep_going)
    return reports


@dataclass(frozen=True)
class _Watched:
    """The work on a scene, with its bar."""

    work: Work
    bars: Bars

    def __call__(self, scene: Scene) -> dict[str, Any]:
        with self.bars(scene.cube.name) as progress:
            return self.work(replace(scene, progress=progress)) or {}


def _tell_written(run: Run, scene: Scene) -> None:
    for path in rasters_of(scene.targets, run.outputs):
        written(path, run.options)
    for path in others_of(scene.targets, run.outputs):
        typer.echo(path)


Failed = Sequence[tuple[Scene, Exception]]


def _tell_reports(
    count: int, waiting: Sequence[Scene], reports: Sequence[dict[str, Any]], failed: Failed
) -> None:
    """One JSON document of all scenes."""
    errors = [{"cube": str(scene.cube), "error": told(error)[0]} for scene, error in failed]
    finished = count - len(waiting)
    typer.echo(json.dumps({"scenes": reports, "failed": errors, "finished_already": finished}))


def _failure(failed: Failed, count: int, keep_going: bool) -> Exception:
    """What to end with: the failure that ended the run, or the number of them, each told."""
    if not keep_going:
        scene, error = failed[0]
        message, code = told(error)
        if not isinstance(error, HsitoolError) or str(scene.cube) in message:
            return error
        named = type(error)(f"{scene.cube}: {message}")
        named.exit_code = code
        return named
    for scene, error in failed:
        message = told(error)[0]
        name = "" if str(scene.cube) in message else f"{scene.cube}: "
        tell(f"failed: {name}{message}")
    return DataError(f"{len(failed)} of {count} scenes failed; the others are done")
