"""Regions: truth from point-in-polygon tests on pixel centres by plain arithmetic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cubes
import numpy as np
import pytest

from hsitool.cube import CubeInfo, Tile
from hsitool.errors import DataError
from hsitool.storage.readers import open_cube
from hsitool.storage.regions import open_region

UTM = {"crs": "EPSG:32633", "transform": (30.0, 0.0, 400_000.0, 0.0, -30.0, 5_800_000.0)}
ROTATED = {"crs": "EPSG:32633", "transform": cubes.RICH_TRANSFORM}


def cube(tmp_path: Path, **items: Any) -> CubeInfo:
    path = tmp_path / "cube.tif"
    cubes.write_geotiff(path, np.ones((2, 20, 30), np.float32), **items)
    with open_cube(path) as reader:
        return reader.info


def geojson(path: Path, *rings: list[tuple[float, float]], **more: Any) -> Path:
    shapes = [{"type": "Polygon", "coordinates": [[*ring, ring[0]]]} for ring in rings]
    features = [{"type": "Feature", "geometry": shape, "properties": {}} for shape in shapes]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features, **more}))
    return path


def in_triangle(corners: list[tuple[float, float]], info: CubeInfo) -> np.ndarray[Any, Any]:
    """Whether the centre of each pixel is on one side of all edges."""
    a, b, c, d, e, f = info.transform or (1, 0, 0, 0, 1, 0)
    row, column = np.mgrid[: info.rows, : info.columns] + 0.5
    x, y = a * column + b * row + c, d * column + e * row + f
    sides = [
        (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) > 0
        for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True)
    ]
    return np.all(sides, axis=0) | ~np.any(sides, axis=0)


@pytest.mark.parametrize("place", [UTM, ROTATED, {}], ids=["utm", "rotated", "pixels"])
def test_polygons_hold_the_pixels_whose_centres_they_hold(
    tmp_path: Path, place: dict[str, Any]
) -> None:
    info = cube(tmp_path, **place)
    a, b, c, d, e, f = info.transform or (1, 0, 0, 0, 1, 0)
    pixels = [(3.2, 2.1), (27.7, 5.3), (9.9, 18.4)]  # column, row
    corners = [(a * u + b * v + c, d * u + e * v + f) for u, v in pixels]
    truth = in_triangle(corners, info)
    with open_region(geojson(tmp_path / "r.json", corners), info) as region:
        np.testing.assert_array_equal(region.mask(info.whole), truth)
        part = Tile(4, 6, 9, 11)
        np.testing.assert_array_equal(region.mask(part), truth[4:13, 6:17])
        assert region.pixels == truth.sum() > 100
        box = region.bounds
        assert truth[box.row : box.row + box.height, box.column : box.column + box.width].sum() == (
            truth.sum()
        )


def test_longitudes_and_latitudes_and_a_named_system(tmp_path: Path) -> None:
    from rasterio.warp import transform

    info = cube(tmp_path, **UTM)
    corners = [(400_100.0, 5_799_950.0), (400_700.0, 5_799_900.0), (400_300.0, 5_799_500.0)]
    truth = in_triangle(corners, info)
    degrees = list(
        zip(*transform("EPSG:32633", "EPSG:4326", *zip(*corners, strict=True)), strict=True)
    )
    web = list(zip(*transform("EPSG:32633", "EPSG:3857", *zip(*corners, strict=True)), strict=True))
    named = {"crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3857"}}}
    paths = geojson(tmp_path / "d.json", degrees), geojson(tmp_path / "w.json", web, **named)
    for path in paths:
        with open_region(path, info) as region:
            assert (region.mask(info.whole) != truth).sum() <= 2  # straight lines bend a little
    nowhere = {"crs": {"type": "name", "properties": {"name": "MOON:1"}}}
    with (
        pytest.raises(DataError, match="its CRS MOON:1 cannot serve"),
        open_region(geojson(tmp_path / "n.json", corners, **nowhere), info),
    ):
        pass
    with (
        pytest.raises(DataError, match="the cube has no CRS"),
        open_region(paths[1], cube(tmp_path / ".." / tmp_path.name, transform=UTM["transform"])),
    ):
        pass


SQUARE = [(0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read as GeoJSON"),
        ("{}", "not a GeoJSON of polygons: KeyError"),
        ('{"type": "Point", "coordinates": [1, 2]}', "a Point: only polygons are read"),
        ('{"type": "FeatureCollection", "features": []}', "holds no polygon"),
        ('{"type": "Polygon", "coordinates": [[[0, NaN], [1, 1], [0, 1], [0, 0]]]}', "a corner"),
        ('{"type": "Polygon", "coordinates": [[["a", 0]]]}', "not a GeoJSON of polygons"),
        ('{"type": "Polygon", "coordinates": [[[40, 1], [50, 1], [40, 9], [40, 1]]]}', "outside"),
        (
            '{"type":"Polygon", "coordinates": [[[1.6, 1.6], [1.9, 1.6], [1.6, 1.9], [1.6, 1.6]]]}',
            "marks no pixel of the cube: draw it around",
        ),
        ('{"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}', "r.json: "),
        ('{"a":' * 5000, "r.json: "),
    ],
)
def test_geojson_that_cannot_serve(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(DataError, match=said), open_region(path, cube(tmp_path)):
        pass


def mask(path: Path, array: np.ndarray[Any, Any], **items: Any) -> Path:
    cubes.write_geotiff(path, array[None], **items)
    return path


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_masks_hold_what_is_not_zero(tmp_path: Path, dtype: str) -> None:
    info = cube(tmp_path, **UTM)
    array = np.zeros((20, 30), dtype)
    array[3:5, 4:9], array[0] = 1, 77
    if dtype == "float32":
        array[7] = np.nan
    with open_region(mask(tmp_path / "m.tif", array, nodata=77, **UTM), info) as region:
        truth = np.zeros((20, 30), bool)
        truth[3:5, 4:9] = True
        np.testing.assert_array_equal(region.mask(info.whole), truth)
        np.testing.assert_array_equal(region.mask(Tile(4, 5, 2, 3)), truth[4:6, 5:8])
        assert region.pixels == 10


def test_masks_of_another_grid(tmp_path: Path) -> None:
    info, ones = cube(tmp_path, **UTM), np.ones((20, 30), np.uint8)
    moved = {**UTM, "transform": (30.0, 0.0, 400_030.0, 0.0, -30.0, 5_800_000.0)}
    other = {**UTM, "crs": "EPSG:32632"}
    for path, said in (
        (mask(tmp_path / "a.tif", ones[:19], **UTM), "19 x 30 pixels, and the cube has 20 x 30"),
        (mask(tmp_path / "b.tif", ones, **moved), "it lies elsewhere than the cube"),
        (mask(tmp_path / "c.tif", ones, **other), "it lies elsewhere than the cube"),
        (mask(tmp_path / "d.tif", 0 * ones, **UTM), "marks no pixel of the cube: all of it is 0"),
        (tmp_path / "cube.tif", "has 2 bands: a mask has 1"),
        (tmp_path / "none.tif", "cannot be read"),
    ):
        with pytest.raises(DataError, match=said), open_region(path, info):
            pass
    with open_region(mask(tmp_path / "e.tif", ones), info) as region:  # it says no place
        assert region.pixels == 600
