"""ENVI header text: order, comments, braces, odd bytes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from hsitool.errors import DataError, HsitoolWarning
from hsitool.storage.envi_header import (
    MAX_HEADER_BYTES,
    format_header,
    list_of,
    parse_header,
    read_header,
    whole_number,
)

FRAME = "ENVI\nsamples = 2\n"


def test_items_come_back_as_the_text_was() -> None:
    text = (
        "ENVI\n; first { brace\nsamples = 2\nunknown Key = a = b; c\n; inner = }\n"
        "description = {\n  two {nested}\n  lines, gain=2}\nmy_key = 1\nmy key = 2\n; last\n"
    )
    items = parse_header(text)
    assert list(items) == [";1", "samples", "unknown Key", ";2", "description", "my_key"] + [
        "my key",
        ";3",
    ]
    assert items["description"] == "{\n  two {nested}\n  lines, gain=2}"
    assert format_header(items) == text


@pytest.mark.parametrize(
    ("value", "first"),
    [
        ("{a}", "{a}"),
        ("{\n {1, 2}\n {3, 4}\n}", "{\n {1, 2}\n {3, 4}\n}"),
        ("{free { text}", "{free { text}"),
        ("{1,\n; a comment with {\n 2}", "{1,\n; a comment with {\n 2}"),
        ("{1,\n; a comment with }\n 2}", "{1,\n; a comment with }\n 2}"),
        ("{stray { and\n more}", "{stray { and\n more}"),
        ("{stray { and\n more}\n\n; comment\nunknown = 1", "{stray { and\n more}"),
        ("{", None),
        ("{never closed\n at all", None),
    ],
)
def test_braces(value: str, first: str | None) -> None:
    text = f"{FRAME}thing = {value}\nlines = 7\n"
    if first is None:
        with pytest.raises(DataError, match="never closed"):
            parse_header(text)
        return
    items = parse_header(text)
    assert items["thing"] == first
    assert items["lines"] == "7"


def test_known_keys_in_any_case_and_line_ends_of_all_systems() -> None:
    for end in ("\n", "\r\n", "\r"):
        text = "ENVI|Wavelength  Units = nm|Sensor Name = X|no item|= no key|".replace("|", end)
        assert parse_header(text) == {"wavelength units": "nm", "Sensor Name": "X"}


def test_characters_that_only_python_takes_for_line_ends_are_kept() -> None:
    items = parse_header(FRAME + "note = a\x85b\u2028c\x0cd\n")
    assert items["note"] == "a\x85b\u2028c\x0cd"


def test_items_given_twice_and_nul_bytes_are_told_once() -> None:
    with pytest.warns(HsitoolWarning, match=r"here: item 'a' \(and 1 more\) occurs twice") as told:
        items = parse_header("ENVI\na = 1\nb = 1\na = 2\nb = 3\n", "here")
    assert items == {"a": "2", "b": "3"}
    assert len(told) == 1
    with pytest.warns(HsitoolWarning, match="NUL bytes"):
        assert parse_header("ENVI\na = x\0y\n") == {"a": "xy"}
    assert parse_header("ENVI\na = 1\n" + "\0" * 9) == {"a": "1"}


def test_bytes_that_are_no_utf8_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "x.hdr"
    path.write_bytes("ENVI\nunit = µm é\n".encode("latin-1"))
    assert read_header(path) == {"unit": "µm é"}
    path.write_bytes(b"\xef\xbb\xbf" + "ENVI\nunit = µm\n".encode())
    assert read_header(path) == {"unit": "µm"}


@pytest.mark.parametrize("text", [b"", b"\n", b"envi\n", b"BYTEORDER I\n", b"\0" * 40, b"\xff\xfe"])
def test_what_is_no_header(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "x.hdr"
    path.write_bytes(text)
    with pytest.raises(DataError, match=r"x\.hdr: not an ENVI header"):
        read_header(path)


def test_absurdly_large_headers_are_refused_and_large_ones_read_fast(tmp_path: Path) -> None:
    path = tmp_path / "x.hdr"
    with path.open("wb") as file:
        file.write(b"ENVI\n")
        file.truncate(MAX_HEADER_BYTES + 1)
    with pytest.raises(DataError, match="too large for an ENVI header"):
        read_header(path)
    path.write_text("ENVI\n" + "a = {{}\n" * 200_000)
    start = time.process_time()
    with pytest.warns(HsitoolWarning, match="occurs twice"):
        assert list(read_header(path)) == ["a"]
    assert time.process_time() - start < 5


def test_list_entries() -> None:
    assert list_of("{1,\n; 5, 6\n 2, }") == ["1", "2"]
    assert list_of("1, 2") == ["1", "2"]
    assert list_of("{}") == []


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "9" * 19, "1e3", "٣"])
def test_whole_numbers(text: str) -> None:
    with pytest.raises(DataError, match="is not a whole number"):
        whole_number({"lines": text}, "lines")
    with pytest.raises(DataError, match="has no 'lines'"):
        whole_number({}, "lines")
    assert whole_number({"lines": " +12 "}, "lines") == 12


def test_what_a_header_cannot_hold_stays_out_of_its_way() -> None:
    text = format_header({"a": "one\ntwo", "b=c": "1", "": "2", ";1": "x\ny", "d": "{1,\n2}"})
    assert text == "ENVI\na = one two\n; x y\nd = {1,\n2}\n"
