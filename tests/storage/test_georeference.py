"""Georeference of ENVI headers: each group of items counts, whatever stands beside it."""

from __future__ import annotations

from pathlib import Path

import cubes
import numpy as np
import pytest
from rasterio.crs import CRS

from hsitool.cube import CubeInfo, GroundControlPoint
from hsitool.storage.envi import compose
from hsitool.storage.envi_header import parse_header
from hsitool.storage.georeference import KEYS, of_items, to_items

UTM = CRS.from_epsg(32633).to_wkt()
ESRI = CRS.from_epsg(32633).to_wkt(version="WKT1_ESRI")
NORTH_UP = (30.0, 0.0, 4e5, 0.0, -30.0, 5e6)
MAP = "{UTM, 1, 1, 400000, 5000000, 30, 30, 33, North, WGS-84, units=Meters}"
POINTS = "{1, 1, 52.5, 13.25, 5, 1, 52.5, 13.5, 1, 4, 52.25, 13.25, 5, 4, 52.25, 13.5}"
RPC = cubes._rpc_info({k: v for k, v in cubes.rich_rpcs().items() if not k.startswith("ERR")})
BLANK = CubeInfo(2, 3, 4, np.dtype("uint8"))


@pytest.mark.parametrize("points", [False, True])
@pytest.mark.parametrize("rpc", [False, True])
@pytest.mark.parametrize("place", [False, True])
def test_groups_do_not_hide_each_other(place: bool, points: bool, rpc: bool) -> None:
    given = {"map info": (place, MAP), "geo points": (points, POINTS), "rpc info": (rpc, RPC)}
    found = of_items({key: text for key, (wanted, text) in given.items() if wanted}, "here")
    assert found["transform"] == (NORTH_UP if place else None)
    assert found["crs"] is None or CRS.from_wkt(found["crs"]) == CRS.from_epsg(32633)
    corners = [(p.row, p.column, p.x, p.y) for p in found["gcps"]]
    expected = [(0, 0, 13.25, 52.5), (0, 4, 13.5, 52.5), (3, 0, 13.25, 52.25), (3, 4, 13.5, 52.25)]
    assert corners == (expected if points else [])
    assert (found["gcps_crs"] is not None) == points
    assert ("SAMP_DEN_COEFF" in found["rpcs"]) == rpc


def test_a_reference_system_without_a_place() -> None:
    found = of_items({"coordinate system string": f"{{{ESRI}}}"}, "here")
    assert CRS.from_wkt(found["crs"]) == CRS.from_epsg(32633)
    assert found["transform"] is None


@pytest.mark.parametrize("text", ["{}", "{nonsense}", "{" + "[" * 5000 + "}"])
def test_reference_systems_that_make_no_sense(text: str) -> None:
    assert of_items({"coordinate system string": text})["crs"] is None


def test_what_a_header_cannot_hold_is_not_written_wrong() -> None:
    sheared = BLANK.replace(crs=UTM, transform=cubes.RICH_TRANSFORM)
    assert "map info" not in to_items(sheared)
    gcps = tuple(GroundControlPoint(r, c, 4e5 + c, 5e6 - r) for r in (0, 3) for c in (0, 4))
    assert to_items(BLANK.replace(gcps=gcps, gcps_crs=UTM)) == {}
    assert to_items(BLANK) == {}


def test_items_are_written_for_gdal(tmp_path: Path) -> None:
    info = BLANK.replace(crs=UTM, transform=NORTH_UP, rpcs=cubes.rich_rpcs())
    (tmp_path / "x.img").write_bytes(bytes(24))
    (tmp_path / "x.hdr").write_text(compose(info, "band"), "utf-8")
    with cubes.open_quietly(tmp_path / "x.img") as dataset:
        assert tuple(dataset.transform)[:6] == NORTH_UP
        assert dataset.crs == CRS.from_epsg(32633)
    found = of_items(to_items(info), "here")
    assert found["transform"] == NORTH_UP
    for key, text in cubes.rich_rpcs().items():
        if not key.startswith("ERR"):
            assert [*map(float, found["rpcs"][key].split())] == [*map(float, text.split())]


def test_texts_are_kept_while_they_mean_the_same() -> None:
    header = {"map info": MAP, "rpc info": RPC}
    info = BLANK.replace(header=header, **of_items(header))
    assert to_items(info) == header
    moved = parse_header(compose(info.replace(transform=(30.0, 0.0, 5e5, 0.0, -30.0, 5e6)), "band"))
    assert "500000" in moved["map info"]
    bare = info.replace(crs=None, transform=None, rpcs={})
    assert not set(KEYS) & set(parse_header(compose(bare, "band")))
