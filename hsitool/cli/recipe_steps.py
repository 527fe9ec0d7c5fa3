"""The steps of a recipe as command lines, so that both have one grammar."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from hsitool.storage.recipes import Recipe, RecipeStep, Setting

OF_THE_RUN = {
    "--output": "the recipe's output says it, of the last step",
    "--overwrite": "it is an option of hsitool run",
    "--max-memory": "it is an option of hsitool run",
    "--threads": "it is an option of hsitool run",
    "--quiet": "it is an option of hsitool run",
    **dict.fromkeys(
        ("--out-dir", "--jobs", "--keep-going", "--resume"), "a recipe is of one scene"
    ),
}
"""Options that no step may have, and why."""


@dataclass(frozen=True)
class Shared:
    """What all steps share: `memory` in bytes, of the whole process."""

    memory: int
    threads: int | None
    overwrite: bool
    quiet: bool


@dataclass(frozen=True)
class Command:
    """A step that can be carried out: the verb's own command with its parsed line."""

    step: RecipeStep
    words: tuple[str, ...]
    command: Any
    context: Any
    memory: int

    def invoke(self) -> None:
        """Carry it out."""
        with self.context:
            self.command.invoke(self.context)


def commands_of(recipe: Recipe, shared: Shared, application: Any) -> list[Command]:
    """The commands of all steps, among those of the application.

    Raises:
        UsageError: a verb or option that there is not, or a value that it cannot have, with the
            line.
    """
    from hsitool.engine.plan import PROCESS_BYTES, Budget

    verbs = dict(_verbs(application, ""))
    memory = Budget(max(shared.memory, PROCESS_BYTES)).divided(len(recipe.steps)).memory
    found = []
    for number, step in enumerate(recipe.steps):
        if step.verb not in verbs:
            known = ", ".join(sorted(name for name in verbs if _takes_cube(verbs[name])))
            raise recipe.refusal(step.line, f"there is no verb '{_short(step.verb)}': {known}")
        command = verbs[step.verb]
        _refuse_place(recipe, number, command)
        options = list(_options(recipe, number, step, command, shared, memory))
        source = recipe.input.values if number == 0 else ("-",)
        context = _parsed(recipe, step, command, [*options, "--", *source])
        found.append(Command(step, tuple(_shown(recipe, step, command)), command, context, memory))
    return found


def _verbs(group: Any, above: str) -> Iterator[tuple[str, Any]]:
    """All commands by name, those of groups as `attend mask`."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _verbs(command, f"{above}{name} ")
        else:
            yield above + name, command


def _takes_cube(command: Any) -> bool:
    first = command.params[0] if command.params else None
    return first is not None and first.name in ("cube", "cubes")


def _writes_rasters(command: Any) -> bool:
    """Whether it does: then it has creation options."""
    return any("--co" in param.opts for param in command.params)


def _gives_cube(command: Any) -> bool:
    """Whether its output is a raster, not a table or a folder."""
    outputs = [param for param in command.params if "--output" in param.opts]
    return _writes_rasters(command) and any(output.metavar == "FILE" for output in outputs)


def _refuse_place(recipe: Recipe, number: int, command: Any) -> None:
    """Refuse verbs that cannot stand there, and a recipe without output where it has one."""
    step, is_last = recipe.steps[number], number == len(recipe.steps) - 1
    if not _takes_cube(command):
        raise recipe.refusal(step.line, f"{step.verb} does not take a cube: it is no step")
    if not is_last and not _gives_cube(command):
        raise recipe.refusal(step.line, f"{step.verb} gives no cube: it can only be the last step")
    has_output = any("--output" in param.opts for param in command.params)
    if is_last and has_output and _writes_rasters(command) and recipe.output is None:
        raise recipe.refusal(1, f"the recipe has no output, and {step.verb} makes one")
    if is_last and not has_output and recipe.output is not None:
        raise recipe.refusal(
            recipe.output.line, f"{step.verb} prints its answer: leave out the output"
        )
    if len(recipe.input.values) > 1:
        raise recipe.refusal(recipe.input.line, "a recipe is of one scene: give one input")


def _options(
    recipe: Recipe, number: int, step: RecipeStep, command: Any, shared: Shared, memory: int
) -> Iterator[str]:
    """The words of the step's options, and of those that all steps share."""
    known = {opt: param for param in command.params for opt in param.opts if opt[:1] == "-"}
    given: set[str] = set()
    for name, setting in step.settings.items():
        param = _param(recipe, step, name, setting, known)
        if param.name in given:
            raise recipe.refusal(setting.line, f"{name} is given twice, by two names")
        given.add(param.name)
        yield from _words(recipe, name, setting, param)
    if number > 0 and "data" in given:
        raise recipe.refusal(step.settings["data"].line, "data belongs to the first step's input")
    is_last = number == len(recipe.steps) - 1
    targets = ("-",) if not is_last else () if recipe.output is None else recipe.output.values
    yield from (f"--output={target}" for target in targets)
    values = {"--max-memory": f"{memory}", "--threads": shared.threads}
    yield from (f"{o}={v}" for o, v in values.items() if o in known and v is not None)
    flags = {"--overwrite": shared.overwrite, "--quiet": shared.quiet}
    yield from (o for o, is_set in flags.items() if o in known and is_set)


def _param(
    recipe: Recipe, step: RecipeStep, name: str, setting: Setting, known: Mapping[str, Any]
) -> Any:
    """The option of that name, written with or without the dashes inside."""
    spelled = name.replace("_", "-")
    param = known.get(f"--{spelled}") or known.get(f"-{spelled}")
    if param is None:
        names = sorted({max(p.opts, key=len).lstrip("-") for p in known.values()})
        names = [n for n in names if f"--{n}" not in OF_THE_RUN]
        raise recipe.refusal(
            setting.line, f"{step.verb} has no option '{_short(name)}': {', '.join(names)}"
        )
    for opt in param.opts:
        if opt in OF_THE_RUN:
            raise recipe.refusal(setting.line, f"{name} has no place in a step: {OF_THE_RUN[opt]}")
    return param


def _words(recipe: Recipe, name: str, setting: Setting, param: Any) -> Iterator[str]:
    """One option as a command line has it."""
    opt = max(param.opts, key=len)
    if param.is_flag:
        if setting.flag is None:
            raise recipe.refusal(setting.line, f"{name} is true or false")
        if setting.flag:
            yield opt
        elif param.secondary_opts:
            yield param.secondary_opts[0]
        return
    if len(setting.values) > 1 and not param.multiple:
        raise recipe.refusal(setting.line, f"{name} takes one value, not a list")
    for value in setting.values:
        yield from ((f"{opt}={value}",) if opt.startswith("--") else (opt, value))


def _parsed(recipe: Recipe, step: RecipeStep, command: Any, words: list[str]) -> Any:
    """The context in which the command runs, its options parsed and checked."""
    try:
        return command.make_context(f"hsitool {step.verb}", words)
    except typer.TyperException as error:
        line = step.line
        wrong = getattr(getattr(error, "param", None), "opts", ())
        for name, setting in step.settings.items():
            if {f"--{name.replace('_', '-')}", f"-{name}"} & {*wrong}:
                line = setting.line
        raise recipe.refusal(line, f"{step.verb}: {error.format_message()}") from error


def _shown(recipe: Recipe, step: RecipeStep, command: Any) -> Iterator[str]:
    """The step's own options, for the plan."""
    known = {opt: param for param in command.params for opt in param.opts if opt[:1] == "-"}
    for name, setting in step.settings.items():
        yield from _words(recipe, name, setting, _param(recipe, step, name, setting, known))


def _short(text: str) -> str:
    from hsitool.storage.recipes import shown

    return shown(text)
