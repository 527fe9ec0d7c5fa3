"""A camera file as plain data, whatever it is written in; nothing in it is ever carried out.

YAML is read by its events: no tag makes an object, no alias multiplies, and depth and number of
entries are bounded. XML may have no document type, hence no entities. Both are bounded in size.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from hsitool.errors import DataError, printable
from hsitool.storage.texts import read_text

MOST_BYTES = 16_000_000
MOST_ENTRIES = 200_000
"""Of one file: a calibration with all its corners has some thousands."""
DEEPEST = 32
LONGEST_TAG = 20_000
LONGEST_NUMBER = 60
LONGEST_SHOWN = 60

TAGS = (
    *("!!opencv-matrix", "!!opencv-nd-matrix", "!!map", "!!seq", "!!str", "!!int", "!!float"),
    *("!!null", "!!bool", "!"),
)
"""Of YAML: kinds of plain data, without effect."""
STANDARD_TAG = "tag:yaml.org,2002:"
BEGINNING = re.compile(r"\s*+(?:#[^\n]*+\s*+)*+(?=\S)")
INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
REAL = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,5})?")
WORDS: dict[str, Any] = {
    **{"": None, "~": None, "null": None, "true": True, "false": False},
    **{".nan": float("nan"), ".inf": float("inf"), "+.inf": float("inf"), "-.inf": -float("inf")},
}


@dataclass(frozen=True)
class Document:
    """The text of a file, and the data in it, parsed when they are asked for."""

    path: Path
    text: str

    @classmethod
    def read(cls, path: Path) -> Document:
        """Read a file of bounded size.

        Raises:
            DataError: it cannot be read, or is too large or no text.
        """
        return cls(path, read_text(path, MOST_BYTES, "are more than a camera file holds"))

    @cached_property
    def beginning(self) -> int:
        """Where the text begins, behind blank lines and comments."""
        found = BEGINNING.match(self.text)
        if found is None:
            raise DataError("holds nothing")
        return found.end()

    @property
    def first(self) -> str:
        """The first character that matters: of JSON, XML or a Python literal, else of YAML."""
        return self.text[self.beginning]

    @cached_property
    def data(self) -> Any:
        """What JSON or YAML says: dictionaries, lists, numbers, texts."""
        return load_json(self.text) if self.first in "{[" else load_yaml(self.text)

    @cached_property
    def root(self) -> Element:
        """The root of XML."""
        return load_xml(self.text)


def shown(text: str) -> str:
    """A text from a file, short and on one line, without what a terminal obeys."""
    clean = printable(text)
    return clean if len(clean) <= LONGEST_SHOWN else clean[: LONGEST_SHOWN - 1] + "…"


def load_json(text: str) -> Any:
    """Data of JSON.

    Raises:
        DataError: it is none, nests too deeply or names a key twice.
    """
    _check_bounds(0, sum(map(text.count, ",[{")))
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except RecursionError as error:
        raise DataError("is JSON that nests too deeply for a camera") from error
    except ValueError as error:
        raise DataError(f"is not JSON: {shown(str(error))}") from error


def load_xml(text: str) -> Element:
    """The root element of XML without a document type.

    Raises:
        DataError: it is none, has a document type, or is too deep or long.
    """
    return _XmlTree().read(text)


def load_yaml(text: str) -> Any:
    """Data of the first document of YAML, OpenCV's dialect too.

    Raises:
        DataError: it is none, has aliases or foreign tags, or is too deep or long.
    """
    import yaml

    first, _, rest = text.partition("\n")
    body = "\n" + rest if first.startswith("%YAML") else text  # OpenCV's %YAML:1.0 is no directive
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _from_events(yaml.parse(body, Loader=loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" in line {mark.line + 1}" if mark else ""
        raise DataError(f"is not YAML{where}: {shown(str(error.problem))}") from error
    except yaml.YAMLError as error:
        raise DataError(f"is not YAML: {shown(str(error))}") from error


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise DataError(f"names {shown(key)} twice")
        found[key] = value
    return found


class _XmlTree:
    """Elements as they come, in bounds."""

    def __init__(self) -> None:
        self._builder = TreeBuilder()
        self._depth = self._count = 0

    def read(self, text: str) -> Element:
        _check_bounds(0, text.count("<") // 2)  # an element has one or two
        if re.search(f"<[^<>]{{{LONGEST_TAG},}}", text):
            raise DataError(f"has an XML tag of more than {LONGEST_TAG} letters")
        parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = self._refuse_type
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._builder.data
        parser.buffer_text = True
        try:
            parser.Parse(text, True)
        except expat.ExpatError as error:
            raise DataError(f"is not XML: {shown(str(error))}") from error
        return self._builder.close()

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth, self._count = self._depth + 1, self._count + 1
        _check_bounds(self._depth, self._count)
        self._builder.start(tag, attributes)

    def _end(self, tag: str) -> None:
        self._depth -= 1
        self._builder.end(tag)

    def _refuse_type(self, *_: object) -> None:
        raise DataError("is XML with a document type, whose entities no camera file needs")


def _check_bounds(depth: int, count: int) -> None:
    if depth > DEEPEST:
        raise DataError(f"nests more than {DEEPEST} levels deep, as no camera file does")
    if count > MOST_ENTRIES:
        raise DataError(f"has more than {MOST_ENTRIES} entries, as no camera file has")


def _from_events(events: Iterable[Any]) -> Any:
    """Data of the first document, put together without recursion."""
    import yaml

    open_parts: list[tuple[bool, list[Any]]] = []
    whole: list[Any] = []
    for count, event in enumerate(events):
        _check_bounds(len(open_parts), count)
        _refuse_effects(event)
        if isinstance(event, yaml.CollectionStartEvent):
            open_parts.append((isinstance(event, yaml.MappingStartEvent), []))
            continue
        if isinstance(event, yaml.DocumentEndEvent):
            break
        if isinstance(event, yaml.CollectionEndEvent):
            value = _closed(*open_parts.pop())
        elif isinstance(event, yaml.ScalarEvent):
            value = _scalar(event.value) if event.implicit[0] else event.value
        else:
            continue  # the stream's and the document's start
        (open_parts[-1][1] if open_parts else whole).append(value)
    return whole[0] if whole else None


def _refuse_effects(event: Any) -> None:
    """Refuse tags that would make objects, and aliases, which can multiply without end."""
    import yaml

    if isinstance(event, yaml.AliasEvent):
        raise DataError(f"has the YAML alias *{shown(event.anchor)}, which no camera file needs")
    tag = (getattr(event, "tag", None) or "").replace(STANDARD_TAG, "!!")
    if tag and tag not in TAGS:
        raise DataError(f"has the YAML tag {shown(tag)}: nothing in a camera file is carried out")


def _closed(is_mapping: bool, parts: list[Any]) -> Any:
    if not is_mapping:
        return parts
    keys = parts[::2]
    if any(isinstance(key, dict | list) for key in keys):
        raise DataError("has a YAML key that is a collection")
    return _unique(zip(map(str, keys), parts[1::2], strict=True))


def _scalar(text: str) -> Any:
    """The value of a plain scalar; YAML 1.1 would take 1e-3 for a text."""
    if len(text) > LONGEST_NUMBER:
        return text
    if INTEGER.fullmatch(text):
        return int(text)
    if REAL.fullmatch(text):
        return float(text)
    return WORDS.get(text.lower(), text)
