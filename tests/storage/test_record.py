"""The record: believed only while it fits, and never the cause of an error."""

from __future__ import annotations

import json
import re
import warnings
from typing import Any

import numpy as np
import pytest

from hsitool.cube import PER_BAND_ITEMS, CubeInfo, GroundControlPoint
from hsitool.errors import HsitoolWarning
from hsitool.storage.record import ITEMS, decode, encode

PLAIN = CubeInfo(2, 3, 4, np.dtype("int16"), wavelength_nm=(400.0, 500.0), nodata=-1.0)
FULL = PLAIN.replace(
    fwhm_nm=(1.5, 2.5),
    good=(True, False),
    names=("a", 'b "{=;}" \\ µ\n'),
    units=("", "1/nm"),
    nodata=float("nan"),
    former_nodata=float("-inf"),
    scale=(0.1, 1e-300),
    offset=(float("nan"), 0.0),
    crs="LOCAL_CS[]",
    transform=(1.0, 0.25, 3.0, 4.0, 5.0, 6.0),
    gcps=(GroundControlPoint(1.0, 2.0, 3.0, 4.0, 5.0, "n", "t"),),
    gcps_crs="X",
    rpcs={"LINE_OFF": "1"},
    color=("gray", "red"),
    tags={"": {"a": "b"}, "NS": {"c": "d"}},
    band_tags=({}, {"": {"e": "f"}}),
    header={"z": "{1}", "a": "2", ";1": "c"},
    provenance=({"command": "x", "n": 1, "list": [1, None, True]}, {}),
)


def record() -> dict[str, Any]:
    return dict(json.loads(encode(FULL, PLAIN) or ""))


def test_every_item_comes_back() -> None:
    text = encode(FULL, PLAIN)
    assert text is not None
    found = decode(PLAIN, text, "here")
    assert repr(found) == repr(FULL)
    assert list(found.header) == list(FULL.header)
    assert text.isascii()
    assert not set("=;\n") & set(text)
    strings = re.findall(r'"((?:[^"\\]|\\.)*)"', text)
    assert any("a" in string for string in strings)
    assert not set("{}") & set("".join(strings))


def test_nothing_is_recorded_where_nothing_is_missing() -> None:
    assert encode(FULL, FULL) is None
    assert encode(PLAIN.replace(nodata=float("nan")), PLAIN.replace(nodata=float("nan"))) is None
    assert encode(PLAIN.replace(header={"a": "1", "b": "2"}), PLAIN) is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"bands": 3},
        {"wavelength_nm": [400.0, 500.1]},
        {"wavelength_nm": None},
        {"wavelength_nm": [400.0]},
        {"wavelength_nm": ["a", "b"]},
        {"wavelength_nm": {}},
        {"version": 2},
        {"instead_of": None},
        {"instead_of": {"names": "x", "missing": 1}, "names": 3},
        {"size": 5, "instead_of": 7},
    ],
)
def test_records_of_other_bands_are_left_out(changes: dict[str, Any]) -> None:
    with pytest.warns(HsitoolWarning, match="here: the hsitool record no longer fits"):
        if "names" in changes:
            changes["instead_of"]["names"] = record()["instead_of"]["names"]
        assert decode(PLAIN, json.dumps(record() | changes), "here") is PLAIN


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "null", '"x"', "[" * 10**5, "{}", "NaN"])
def test_texts_that_are_no_record(text: str) -> None:
    with pytest.warns(HsitoolWarning, match="no longer fits"):
        assert decode(PLAIN, text, "here") is PLAIN


@pytest.mark.parametrize("name", ITEMS)
@pytest.mark.parametrize("value", [7, "text", [1], [[]], {"a": 1}, [None, None], [{}, {"x": "y"}]])
def test_items_of_another_type_never_get_in(name: str, value: Any) -> None:
    """A record of another hand is left out whole, or its value has the item's own type."""
    text = json.dumps(record() | {name: value})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HsitoolWarning)
        found = getattr(decode(PLAIN, text, "here"), name)
    expected = getattr(FULL, name)
    assert type(found) in (type(expected), type(None))
    if name in PER_BAND_ITEMS and found is not None:
        assert len(found) == PLAIN.bands
    if isinstance(found, tuple) and found:
        assert {type(entry) for entry in found} <= {type(entry) for entry in expected}


def test_items_that_changed_since_win() -> None:
    changed = PLAIN.replace(nodata=5.0, names=("x", "y"))
    found = decode(changed, encode(FULL, PLAIN), "here")
    assert (found.nodata, found.names, found.units) == (5.0, ("x", "y"), FULL.units)


def test_a_cropped_or_converted_file_keeps_what_still_holds() -> None:
    cropped = decode(PLAIN.replace(rows=2), encode(FULL, PLAIN), "here")
    assert (cropped.transform, cropped.gcps, cropped.crs) == (None, (), None)
    assert cropped.units == FULL.units
    other = decode(PLAIN.replace(dtype=np.dtype("float32")), encode(FULL, PLAIN), "here")
    assert (other.nodata, other.scale) == (PLAIN.nodata, None)
    assert other.units == FULL.units


def test_numpy_numbers_are_recorded_as_numbers() -> None:
    step = {"a": np.float32(0.5), "b": np.int64(3), "c": np.bool_(True), "d": (1, 2)}
    found = decode(PLAIN, encode(PLAIN.replace(provenance=(step,)), PLAIN), "here")
    assert found.provenance == ({"a": 0.5, "b": 3, "c": True, "d": [1, 2]},)
