"""ENVI header text: an order-preserving reader and writer that keeps unknown keys and comments.

Format: https://www.nv5geospatialsoftware.com/docs/enviheaderfiles.html
"""

from __future__ import annotations

import re
import warnings
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from hsitool.errors import DataError, HsitoolWarning

MAX_HEADER_BYTES = 64 * 2**20
COMMENT = ";"
"""Comment lines are items in their own place, with the keys `;1`, `;2` and so on."""


def read_header(path: Path) -> dict[str, str]:
    """The items of a header file; see `parse_header`.

    Raises:
        DataError: unreadable, absurdly large, or not an ENVI header.
    """
    try:
        if (size := path.stat().st_size) > MAX_HEADER_BYTES:
            raise DataError(f"{path}: {size} bytes is too large for an ENVI header")
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot read the header: {error.strerror}") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    try:
        return parse_header(text, str(path))
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def parse_header(text: str, where: str = "the header") -> dict[str, str]:
    """Header items in file order, values verbatim (braces included), keys in normal form.

    Raises:
        DataError: the first line is not `ENVI`, or a brace is never closed.
    """
    if "\0" in text.rstrip("\0"):
        _warn(f"{where}: NUL bytes between its characters are left out")
    lines = deque(re.split("\r\n|\r|\n", text.replace("\0", "")))
    if lines.popleft().strip() != "ENVI":
        raise DataError("not an ENVI header (its first line is not 'ENVI')")
    items: dict[str, str] = {}
    twice: list[str] = []
    comments = 0
    while lines:
        line = lines.popleft()
        key, equals, value = line.partition("=")
        if is_comment(line):
            comments += 1
            items[f"{COMMENT}{comments}"] = line.lstrip()[1:].strip()
        elif equals and (key := normal_key(key)):
            if key in items:
                twice.append(key)
            items[key] = _whole_value(value.strip(), lines)
    if twice:
        more = f" (and {len(twice) - 1} more)" if len(twice) > 1 else ""
        _warn(f"{where}: item '{twice[0][:40]}'{more} occurs twice: the last one is used")
    return items


def _warn(message: str) -> None:
    warnings.warn(message, HsitoolWarning, stacklevel=3)


def is_comment(line: str) -> bool:
    """Whether a header line, or the key of a header item, is a comment."""
    return line.lstrip().startswith(COMMENT)


def normal_key(key: str) -> str:
    """A known key in lower case with single blanks; an unknown one keeps its spelling."""
    plain = " ".join(key.split())
    return plain.lower() if plain.lower() in KNOWN_KEYS else plain


def _whole_value(value: str, lines: deque[str]) -> str:
    """The value with its continuation lines, up to the brace that closes the first one.

    Free text may hold a stray opening brace. Then the value ends with a line that ends in a
    closing brace, where another item or nothing follows.
    """
    if not value.startswith("{"):
        return value
    parts = [value]
    depth = value.count("{") - value.count("}")
    while depth > 0 and not (parts[-1].endswith("}") and _item_follows(lines)):
        if not lines:
            raise DataError(f"a brace is never closed: {value[:40]}")
        line = lines.popleft().rstrip()
        parts.append(line)
        if not is_comment(line):
            depth += line.count("{") - line.count("}")
    return "\n".join(parts)


def _item_follows(lines: deque[str]) -> bool:
    """Whether the next line that says something begins an item, or there is none."""
    line = next((line for line in lines if line.strip() and not is_comment(line)), None)
    if line is None:
        return True
    return normal_key(line.partition("=")[0]) in KNOWN_KEYS or bool(ITEM_START.match(line))


ITEM_START = re.compile(r"\w[\w .:-]* = ")
"""How an item begins that ENVI does not know."""


def list_of(value: str) -> list[str]:
    """The entries of a brace list, stripped; a trailing comma and comment lines do not count."""
    inner = value.strip()
    if inner.startswith("{"):
        inner = inner[1:].removesuffix("}")
    lines = [line for line in inner.split("\n") if not is_comment(line)]
    entries = [entry.strip() for entry in "\n".join(lines).split(",")]
    while entries and not entries[-1]:
        entries.pop()
    return entries


def brace_list(entries: Sequence[str], *, per_line: int = 8) -> str:
    """A brace list of text entries, broken into lines."""
    rows = [", ".join(entries[i : i + per_line]) for i in range(0, len(entries), per_line)]
    return "{\n " + ",\n ".join(rows) + "}"


def format_header(items: Mapping[str, str]) -> str:
    """The header text of `items`; what a header cannot hold is left out or put on one line."""
    lines = ["ENVI"]
    for key, value in items.items():
        if is_comment(key):
            lines.append(f"{COMMENT} {_one_line(value)}".rstrip())
        elif key.strip() and not re.search("[=\r\n]", key):
            lines.append(f"{key} = {value if value.startswith('{') else _one_line(value)}")
    return "\n".join(lines) + "\n"


def _one_line(text: str) -> str:
    return " ".join(re.split("[\r\n]+", text))


def whole_number(items: Mapping[str, str], key: str, default: int | None = None) -> int:
    """A required (or defaulted) non-negative integer item.

    Raises:
        DataError: missing or not a non-negative whole number.
    """
    text = items.get(key)
    if text is None:
        if default is None:
            raise DataError(f"the header has no '{key}'")
        return default
    if not re.fullmatch(r"\+?[0-9]{1,18}", text.strip()):
        raise DataError(f"header item '{key} = {_one_line(text)[:40]}' is not a whole number")
    return int(text)


KNOWN_KEYS = frozenset(
    " ".join(key.split())
    for key in re.split(
        r"\|",
        """samples|lines|bands|header offset|file type|data type|interleave|byte order
    |wavelength|wavelength units|fwhm|bbl|band names|data ignore value|data gain values
    |data offset values|reflectance scale factor|default bands|description|sensor type
    |acquisition time|map info|coordinate system string|projection info|geo points|rpc info
    |pixel size|x start|y start|z plot titles|z plot range|z plot average|data units
    |default stretch|cloud cover|class names|class lookup|classes|spectra names|file compression
    |solar irradiance|sun azimuth|sun elevation|security tag|timestamp|product type
    |major frame offsets|minor frame offsets|hsitool""",
    )
)
