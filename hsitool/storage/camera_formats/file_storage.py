"""What OpenCV's FileStorage writes and reads: named values as YAML, XML or JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from hsitool.errors import DataError
from hsitool.storage.camera_formats.document import Document, shown
from hsitool.storage.camera_formats.values import Record, record

Matrix = Sequence[Sequence[float]]
Items = Mapping[str, Any]
"""Numbers, texts, lists of texts, or matrices as lists of rows, by name."""

XML_ROOT = "opencv_storage"
NUMBERS_A_LINE = 4


def items_of(document: Document) -> Record:
    """The values of a file in any of the three dialects.

    Raises:
        DataError: it is in none of them.
    """
    if document.first != "<":
        return record(document.data)
    if document.root.tag != XML_ROOT:
        raise DataError(f"is XML of <{shown(document.root.tag)}>, which holds no camera")
    return {child.tag: _of_xml(child) for child in document.root}


def as_yaml(items: Items) -> str:
    """YAML as OpenCV writes it."""
    lines = ["%YAML:1.0", "---"]
    for key, value in items.items():
        if _is_matrix(value):
            lines += _yaml_matrix(key, value)
        elif isinstance(value, str):
            lines.append(f"{key}: {_quoted(value)}")
        elif isinstance(value, Sequence):
            lines.append(f"{key}: [ {', '.join(map(_quoted, value))} ]")
        else:
            lines.append(f"{key}: {_number(value)}")
    return "\n".join(lines) + "\n"


def as_xml(items: Items) -> str:
    """XML as OpenCV writes it."""
    lines = ['<?xml version="1.0"?>', f"<{XML_ROOT}>"]
    for key, value in items.items():
        if _is_matrix(value):
            lines += _xml_matrix(key, value)
        elif isinstance(value, str):
            lines.append(f"<{key}>{escape(_quoted(value))}</{key}>")
        elif isinstance(value, Sequence):
            lines.append(f"<{key}>{escape(' '.join(map(_quoted, value)))}</{key}>")
        else:
            lines.append(f"<{key}>{_number(value)}</{key}>")
    return "\n".join([*lines, f"</{XML_ROOT}>"]) + "\n"


def as_json(items: Items) -> str:
    """JSON as OpenCV writes it."""
    found = {key: _json_matrix(v) if _is_matrix(v) else v for key, v in items.items()}
    return json.dumps(found, indent=4) + "\n"


def _is_matrix(value: Any) -> bool:
    return isinstance(value, Sequence) and bool(value) and not isinstance(value[0], str)


def _yaml_matrix(key: str, rows: Matrix) -> list[str]:
    values = _values(rows)
    parts = [
        ", ".join(values[start : start + NUMBERS_A_LINE])
        for start in range(0, len(values), NUMBERS_A_LINE)
    ]
    head = [f"{key}: !!opencv-matrix", f"   rows: {len(rows)}", f"   cols: {len(rows[0])}"]
    return [*head, "   dt: d", "   data: [ " + ",\n       ".join(parts) + " ]"]


def _xml_matrix(key: str, rows: Matrix) -> list[str]:
    head = f'<{key} type_id="opencv-matrix">'
    shape = [f"  <rows>{len(rows)}</rows>", f"  <cols>{len(rows[0])}</cols>", "  <dt>d</dt>"]
    return [head, *shape, f"  <data>{' '.join(_values(rows))}</data></{key}>"]


def _json_matrix(rows: Matrix) -> dict[str, Any]:
    values = [float(value) for row in rows for value in row]
    shape = {"rows": len(rows), "cols": len(rows[0]), "dt": "d"}
    return {"type_id": "opencv-matrix", **shape, "data": values}


def _values(rows: Matrix) -> list[str]:
    return [_number(float(value)) for row in rows for value in row]


def _number(value: float | None) -> str:
    """As OpenCV writes it; all digits of a float64."""
    if isinstance(value, int):
        return str(int(value))
    if value is None or math.isnan(value):
        return ".Nan"
    if math.isinf(value):
        return ".Inf" if value > 0 else "-.Inf"
    return repr(float(value))


def _quoted(text: str) -> str:
    """A text on one line, in double quotes; what YAML has an escape for is escaped."""
    clean = "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))
    plain = clean.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{plain}"'


def _of_xml(element: Element) -> Any:
    """A mapping of an element with others in it, a list of nameless ones, else its text."""
    if len(element) and all(child.tag == "_" for child in element):
        return [_of_xml(child) for child in element]
    if len(element):
        return {child.tag: _of_xml(child) for child in element}
    return (element.text or "").strip().strip('"')
