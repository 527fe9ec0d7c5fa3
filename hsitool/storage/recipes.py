"""Recipes: chains of commands as data in YAML, of which nothing is ever carried out or expanded.

YAML is read by its events: no tag makes an object, no alias multiplies, and size, depth and number
of entries are bounded. Values are texts, as on a command line; each knows its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hsitool.errors import UsageError, printable
from hsitool.storage.texts import read_text

MOST_BYTES = 100_000
MOST_STEPS = 32
MOST_ENTRIES = 5_000
DEEPEST = 8
LONGEST = 4_096
"""Of a value, after variables have been put in."""

KEYS = ("variables", "input", "output", "steps")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
VARIABLE = re.compile(r"\$\$|\$\{([^{}]*)\}|\$")
PLAIN_TAGS = ("!", "tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


@dataclass(frozen=True)
class Text:
    """A scalar as it is written; `plain` without quotes."""

    line: int
    value: str
    plain: bool


@dataclass(frozen=True)
class List:
    """Entries in order."""

    line: int
    entries: tuple[Node, ...]


@dataclass(frozen=True)
class Table:
    """Entries by name, each with the line of the name."""

    line: int
    entries: Mapping[str, tuple[int, Node]]


Node = Text | List | Table


@dataclass(frozen=True)
class Setting:
    """An option of a step: texts, or whether a flag is set."""

    line: int
    values: tuple[str, ...]
    flag: bool | None = None


@dataclass(frozen=True)
class RecipeStep:
    """A verb and its options."""

    line: int
    verb: str
    settings: Mapping[str, Setting]


@dataclass(frozen=True)
class Recipe:
    """A chain with all variables put in; `text` is the file, `values` are those of variables."""

    path: Path
    text: str
    values: Mapping[str, str]
    input: Setting
    output: Setting | None
    steps: tuple[RecipeStep, ...]

    def refusal(self, line: int, why: str) -> UsageError:
        """What is wrong, and where."""
        return refusal(self.path, line, why)

    @property
    def record(self) -> dict[str, Any]:
        """All that it takes to make a result again, as data."""
        return {"name": self.path.name, "text": self.text, "values": dict(self.values)}


def refusal(path: Path, line: int, why: str) -> UsageError:
    """The one line for a recipe that cannot be carried out."""
    return UsageError(f"{path}, line {line}: {why}")


def read_recipe(path: Path, given: Mapping[str, str]) -> Recipe:
    """Read a recipe; `given` are values of variables.

    Raises:
        DataError: the file cannot be read.
        UsageError: it is no recipe, with the line; or a value is missing or not wanted.
    """
    text = read_text(path, MOST_BYTES, "are more than a recipe holds")
    return _Reading(path, given).recipe(text)


class _Reading:
    """Checks and puts together what the nodes say."""

    def __init__(self, path: Path, given: Mapping[str, str]) -> None:
        self._path, self._given = path, given
        self._values: dict[str, str] = {}
        self._declared: dict[str, int] = {}
        self._used: set[str] = set()

    def recipe(self, text: str) -> Recipe:
        top = _parsed(self._path, text)
        if not isinstance(top, Table):
            raise self._refusal(top.line, "a recipe is a table with input, output and steps")
        self._refuse_unknown(top)
        if "variables" in top.entries:
            self._declare(*top.entries["variables"])
        self._values |= self._given
        line, steps = self._wanted(top, "steps")
        chain = tuple(self._steps(line, steps))
        source = self._setting(*self._wanted(top, "input"))
        target = top.entries.get("output")
        made = None if target is None else self._setting(*target)
        self._refuse_unused()
        values = {name: self._values[name] for name in sorted(self._used)}
        return Recipe(self._path, text, values, source, made, chain)

    def _refusal(self, line: int, why: str) -> UsageError:
        return refusal(self._path, line, why)

    def _refuse_unknown(self, top: Table) -> None:
        for key, (line, _) in top.entries.items():
            if key not in KEYS:
                raise self._refusal(line, f"'{shown(key)}' is none of {', '.join(KEYS)}")

    def _wanted(self, top: Table, key: str) -> tuple[int, Node]:
        if key not in top.entries:
            raise self._refusal(top.line, f"the recipe has no {key}")
        return top.entries[key]

    def _declare(self, line: int, table: Node) -> None:
        """Variables with their defaults; an empty one has none."""
        if not isinstance(table, Table):
            raise self._refusal(line, "variables is a table of names and defaults")
        for name, (at, node) in table.entries.items():
            if not NAME.fullmatch(name):
                raise self._refusal(at, f"'{shown(name)}' is no name of letters, digits and _")
            if not isinstance(node, Text):
                raise self._refusal(at, f"the default of {name} is no single value")
            self._declared[name] = at
            if node.value or not node.plain:
                self._values[name] = node.value

    def _refuse_unused(self) -> None:
        for name, line in self._declared.items():
            if name not in self._used:
                raise self._refusal(line, f"the variable {name} is used nowhere: leave it out")
        if strange := [name for name in self._given if name not in self._used]:
            known = ", ".join(sorted(self._used)) or "none"
            raise UsageError(
                f"{self._path} uses no variable {shown(strange[0])}: its variables are {known}"
            )

    def _steps(self, line: int, node: Node) -> Iterator[RecipeStep]:
        if not isinstance(node, List) or not node.entries:
            raise self._refusal(line, "steps is a list: '- smooth: {window: 7, deg: 2}' and so on")
        if len(node.entries) > MOST_STEPS:
            raise self._refusal(line, f"more than {MOST_STEPS} steps")
        yield from map(self._step, node.entries)

    def _step(self, node: Node) -> RecipeStep:
        if isinstance(node, Text):
            return RecipeStep(node.line, node.value, {})
        if not isinstance(node, Table) or len(node.entries) != 1:
            raise self._refusal(node.line, "a step is one verb with its options")
        ((verb, (line, options)),) = node.entries.items()
        if isinstance(options, Text) and options.plain and not options.value:
            return RecipeStep(line, verb, {})
        if not isinstance(options, Table):
            raise self._refusal(line, f"the options of {shown(verb)} are no table of names, values")
        found = {key: self._setting(*entry) for key, entry in options.entries.items()}
        return RecipeStep(line, verb, found)

    def _setting(self, line: int, node: Node) -> Setting:
        nodes = node.entries if isinstance(node, List) else (node,)
        texts = []
        for one in nodes:
            if not isinstance(one, Text):
                raise self._refusal(one.line, "a table stands where a value is wanted")
            if one.plain and one.value in ("", "~", "null"):
                raise self._refusal(one.line, "no value is given")
            texts.append(self._filled(one))
        if not texts:
            raise self._refusal(line, "the list is empty")
        flag = None
        if isinstance(node, Text) and node.plain and node.value in ("true", "false"):
            flag = node.value == "true"
        return Setting(line, tuple(texts), flag)

    def _filled(self, text: Text) -> str:
        """The value with variables put in, once: what they hold is not looked at again."""

        def value(found: re.Match[str]) -> str:
            name = found[1]
            if found[0] == "$$":
                return "$"
            if name is None or not NAME.fullmatch(name):
                raise self._refusal(
                    text.line, f"'{shown(text.value)}': write ${{name}}, or $$ for a dollar sign"
                )
            if name not in self._values:
                raise self._refusal(text.line, f"${{{name}}} has no value: give {name}=VALUE")
            self._used.add(name)
            return self._values[name]

        filled = VARIABLE.sub(value, text.value)
        if len(filled) > LONGEST or not filled.isprintable():
            raise self._refusal(text.line, "the value is too long, or not on one line")
        return filled


def shown(text: str) -> str:
    """A text from a recipe, short and on one line."""
    clean = printable(text)
    return clean if len(clean) <= 60 else clean[:59] + "…"


def _parsed(path: Path, text: str) -> Node:
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _tree(path, yaml.parse(text, Loader=loader))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise refusal(path, line, f"is not YAML: {shown(str(error.problem))}") from error
    except yaml.YAMLError as error:
        raise refusal(path, 1, f"is not YAML: {shown(str(error))}") from error


@dataclass
class _Open:
    """A collection of which more entries come."""

    line: int
    is_table: bool
    parts: list[Node]


def _tree(path: Path, events: Iterator[Any]) -> Node:
    """The nodes of the one document, put together without recursion."""
    import yaml

    parts: list[_Open] = [_Open(1, False, [])]
    documents = 0
    for count, event in enumerate(events):
        line = event.start_mark.line + 1
        _refuse_event(path, line, event)
        if count > MOST_ENTRIES or len(parts) > DEEPEST:
            raise refusal(path, line, "more entries, or deeper ones, than a recipe holds")
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
        if documents > 1:
            raise refusal(path, line, "a second document begins: a recipe is one")
        if isinstance(event, yaml.CollectionStartEvent):
            parts.append(_Open(line, isinstance(event, yaml.MappingStartEvent), []))
        elif isinstance(event, yaml.CollectionEndEvent):
            closed = _closed(path, parts.pop())
            parts[-1].parts.append(closed)
        elif isinstance(event, yaml.ScalarEvent):
            parts[-1].parts.append(Text(line, event.value, bool(event.implicit[0])))
    if not parts[0].parts:
        raise refusal(path, 1, "the recipe is empty")
    return parts[0].parts[0]


def _refuse_event(path: Path, line: int, event: Any) -> None:
    """Refuse what could make objects or multiply."""
    import yaml

    if isinstance(event, yaml.AliasEvent):
        raise refusal(path, line, f"the alias *{shown(event.anchor)}: write the value itself")
    if getattr(event, "anchor", None):
        raise refusal(path, line, f"the anchor &{shown(event.anchor)}: leave it out")
    tag = getattr(event, "tag", None)
    if tag and tag not in PLAIN_TAGS:
        raise refusal(path, line, f"the tag {shown(tag)}: a recipe is plain data, leave it out")


def _closed(path: Path, done: _Open) -> Node:
    if not done.is_table:
        return List(done.line, tuple(done.parts))
    entries: dict[str, tuple[int, Node]] = {}
    for key, value in zip(done.parts[::2], done.parts[1::2], strict=True):
        if not isinstance(key, Text):
            raise refusal(path, key.line, "a name is a collection")
        if key.value in entries:
            raise refusal(path, key.line, f"'{shown(key.value)}' is given twice")
        entries[key.value] = key.line, value
    return Table(done.line, entries)
