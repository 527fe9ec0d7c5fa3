"""Nothing is lost: cubes that carry everything, from format to format and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import cubes
import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS

from hsitool.cube import CubeInfo, GroundControlPoint
from hsitool.storage.layout import Layout
from hsitool.storage.readers import open_cube
from hsitool.storage.writers import create_cube

Copy = Callable[..., CubeInfo]
Look = Callable[[Path], tuple[CubeInfo, Any]]
HISTORY = ({"command": "hsitool x", "settings": {"window": 9, "µ": [1.5, None, "a=b;{c}"]}},)


def check_says(info: CubeInfo, made: cubes.Made) -> None:
    """Everything that the factory put into a file."""
    items = made.items
    assert info.shape == made.array.shape
    assert info.dtype == made.array.dtype
    assert info.wavelength_nm == tuple(items.wavelength_nm or ())
    assert info.fwhm_nm == tuple(items.fwhm_nm or ())
    assert info.good == tuple(map(bool, items.bbl or ()))
    assert info.nodata == items.nodata
    for name in ("names", "units"):
        expected = getattr(items, name)
        assert getattr(info, name) == (None if expected is None else tuple(expected))
    assert info.scale == tuple(items.scales or ())
    assert info.offset == tuple(items.offsets or ())
    assert info.color == (None if items.colors is None else tuple(items.colors))
    assert info.tags == items.tags
    assert info.band_tags == (tuple(items.band_tags) or None)
    for key, value in items.header.items():
        assert info.header[key] == value
    check_place(info, items)


def check_place(info: CubeInfo, items: cubes.Items) -> None:
    """CRS, transform, ground control points, and rational polynomials (as numbers)."""
    assert (info.crs is None) == (items.crs is None)
    assert items.crs is None or CRS.from_wkt(info.crs) == CRS.from_string(items.crs)
    if items.transform is None:
        assert info.transform is None
    else:
        np.testing.assert_allclose(info.transform, items.transform, rtol=1e-12)
    points = [(p.row, p.column, p.x, p.y, p.z) for p in info.gcps]
    np.testing.assert_allclose(points, list(items.gcps), rtol=1e-12)
    assert not points or CRS.from_wkt(info.gcps_crs) == CRS.from_string(items.gcps_crs)
    for key, text in items.rpcs.items():
        found = [float(word) for word in info.rpcs[key].split()]
        np.testing.assert_allclose(found, [float(word) for word in text.split()], rtol=1e-9)


def assert_same(a: CubeInfo, b: CubeInfo) -> None:
    """Every item, and the order of the header's."""
    for item in fields(CubeInfo):
        assert getattr(a, item.name) == getattr(b, item.name), item.name
    assert list(a.header) == list(b.header)


RICH = [
    (make, suffix, order, ref)
    for make, suffix, orders, refs in (
        (cubes.rich_geotiff, ".tif", ("pixel", "band"), ("transform", "gcps")),
        (cubes.rich_envi, "", ("bsq", "bil", "bip"), ("map info", "geo points")),
    )
    for order in orders
    for ref in refs
]


@pytest.mark.parametrize(("make", "suffix", "order", "reference"), RICH)
@pytest.mark.parametrize(
    "route",
    [["a.tif"], ["a.img"], ["a.img", "b.tif"], ["a.tif", "b.img"], ["z.tif", "b.dat", "c.tif"]],
)
def test_nothing_is_lost(
    tmp_path: Path,
    copy: Copy,
    look: Look,
    make: Callable[..., cubes.Made],
    suffix: str,
    order: str,
    reference: str,
    route: list[str],
) -> None:
    made = make(tmp_path / f"made{suffix}", order, reference=reference)
    first, pixels = look(made.path)
    check_says(first, made)
    np.testing.assert_array_equal(pixels, made.array)
    path = made.path
    for name in route:
        options = {"compress": "zstd"} if name.startswith("z") else {}
        copy(path, tmp_path / name, **options)
        path = tmp_path / name
    found, pixels = look(path)
    assert_same(found, first)
    check_says(found, made)
    np.testing.assert_array_equal(pixels, made.array)


def test_header_lines_come_back_in_order_and_verbatim(tmp_path: Path, copy: Copy) -> None:
    made = cubes.rich_envi(tmp_path / "made", "bsq")
    copy(made.path, tmp_path / "a.tif")
    copy(tmp_path / "a.tif", tmp_path / "b.img")
    old, new = ((tmp_path / n).read_text("utf-8").splitlines() for n in ("made.hdr", "b.hdr"))
    assert new == [line for line in old if line]


@pytest.mark.parametrize("first", ["a.tif", "a.img"])
@pytest.mark.parametrize("second", ["b.tif", "b.img"])
def test_provenance_and_odd_items(
    tmp_path: Path, copy: Copy, look: Look, first: str, second: str
) -> None:
    info = CubeInfo(
        3,
        4,
        5,
        np.dtype("uint16"),
        wavelength_nm=(0.1 + 0.2, 1e3 / 3, 400.0),
        names=("a, b", "", "{c}; d=\ne"),
        units=("", "x", ""),
        nodata=-9999.0,
        former_nodata=float("nan"),
        scale=(1.0, 1e-300, -2.5),
        tags={"": {"AREA_OR_POINT": "Point"}, "Ns 2": {"k": ' spaced {} = ; \\ " µ'}},
        transform=(2.0, 0.0, 500000.0, 0.0, -2.0, 4100000.0),
        crs=CRS.from_epsg(32611).to_wkt(),
        gcps=(GroundControlPoint(0.5, 1.5, 3.0, 4.0, 5.0, "p", "text"),),
        provenance=HISTORY,
    )
    like = Layout("GeoTIFF", "band", 4, 5)
    with create_cube(tmp_path / first, info, like) as out:
        out.write(info.whole, np.zeros(info.shape, info.dtype))
    copy(tmp_path / first, tmp_path / second)
    found, _ = look(tmp_path / second)
    with cubes.open_quietly(tmp_path / second) as dataset:
        assert tuple(dataset.transform)[:6] == info.transform
    for item in fields(CubeInfo):
        a, b = getattr(found, item.name), getattr(info, item.name)
        if item.name == "former_nodata":
            assert np.isnan(a)
        elif item.name == "crs":
            assert CRS.from_wkt(a) == CRS.from_wkt(b)
        elif item.name != "header":
            assert a == b, item.name


def test_point_rasters_keep_their_place(tmp_path: Path, copy: Copy) -> None:
    path = cubes.write_geotiff(
        tmp_path / "a.tif",
        cubes.spectra(2, 3, 4),
        crs="EPSG:32633",
        transform=(10.0, 0.0, 1000.0, 0.0, -10.0, 2000.0),
        tags={"": {"AREA_OR_POINT": "Point"}},
    )
    with cubes.open_quietly(path) as dataset:
        expected = tuple(dataset.transform)[:6]
    copy(path, tmp_path / "b.tif")
    copy(tmp_path / "b.tif", tmp_path / "c.img")
    copy(tmp_path / "c.img", tmp_path / "d.tif")
    for name in ("b.tif", "c.img", "d.tif"):
        with cubes.open_quietly(tmp_path / name) as dataset:
            assert tuple(dataset.transform)[:6] == expected
            if name != "c.img":
                assert dataset.tags()["AREA_OR_POINT"] == "Point"


@pytest.mark.parametrize("interleave", ["pixel", "band"])
def test_other_programs_find_everything_in_our_geotiffs(
    tmp_path: Path, copy: Copy, interleave: str
) -> None:
    made = cubes.rich_geotiff(tmp_path / "a.tif", interleave)
    copy(made.path, tmp_path / "b.tif")
    items = made.items
    with rasterio.open(tmp_path / "b.tif") as dataset, rasterio.open(made.path) as source:
        np.testing.assert_array_equal(dataset.read(), made.array)
        assert dataset.profile == {**source.profile, "blockysize": dataset.block_shapes[0][0]}
        assert dataset.tags() == source.tags()
        assert dataset.tags(ns="MISSION") == source.tags(ns="MISSION")
        assert dataset.tags(ns="ENVI")["bbl"] == "{ 1, 1, 0, 1, 1, 1, 1}"
        assert dataset.tags(ns="RPC") == source.tags(ns="RPC")
        assert dataset.descriptions == source.descriptions
        assert dataset.colorinterp == source.colorinterp
        assert (dataset.scales, dataset.offsets) == (source.scales, source.offsets)
        for band in range(1, 8):
            assert dataset.tags(band) == source.tags(band)
            assert dataset.tags(band, ns="LAB") == source.tags(band, ns="LAB")
            nm = float(dataset.tags(band, ns="IMAGERY")["CENTRAL_WAVELENGTH_UM"]) * 1000
            assert nm == pytest.approx((items.wavelength_nm or ())[band - 1], rel=1e-13)
    assert not (tmp_path / "b.tif.aux.xml").exists()


def test_gdal_opens_our_envi_files(tmp_path: Path, copy: Copy) -> None:
    """Also with a record longer than a buffer for lines."""
    bands = 425
    source = cubes.write_geotiff(
        tmp_path / "a.tif",
        cubes.spectra(bands, 3, 4),
        wavelength_nm=cubes.wavelengths(bands),
        band_tags=[{"LAB": {"note": "x" * 200}} for _ in range(bands)],
        nodata=-9999,
        transform=(30.0, 0.0, 4e5, 0.0, -30.0, 5e6),
        crs="EPSG:32633",
    )
    copy(source, tmp_path / "b.img")
    assert "\nhsitool = {" in (tmp_path / "b.hdr").read_text("utf-8")
    with cubes.open_quietly(tmp_path / "b.img") as dataset:
        assert dataset.driver == "ENVI"
        np.testing.assert_array_equal(dataset.read(), cubes.spectra(bands, 3, 4))
        assert float(dataset.tags(425)["wavelength"]) == cubes.wavelengths(bands)[-1]
        assert dataset.nodata == -9999
        assert dataset.crs == CRS.from_epsg(32633)


def test_statistics_stay_on_plain_copies(tmp_path: Path, copy: Copy, look: Look) -> None:
    tags = [
        {"": {"STATISTICS_MEAN": f"{band}.25", "STATISTICS_VALID_PERCENT": "100"}}
        for band in (0, 1)
    ]
    path = cubes.write_geotiff(tmp_path / "a.tif", cubes.spectra(2, 3, 4), band_tags=tags)
    copy(path, tmp_path / "b.img")
    copy(tmp_path / "b.img", tmp_path / "c.tif")
    assert look(tmp_path / "b.img")[0].band_tags == tuple(tags)
    with cubes.open_quietly(tmp_path / "c.tif") as dataset:
        assert dataset.tags(2) == tags[1][""]


def test_items_in_a_file_of_gdals_own_are_read(tmp_path: Path, look: Look) -> None:
    path = cubes.write_geotiff(tmp_path / "a.tif", cubes.spectra(2, 3, 4))
    path.with_name("a.tif.aux.xml").write_text(
        '<PAMDataset><PAMRasterBand band="1"><Metadata>'
        '<MDI key="STATISTICS_MEAN">0.5</MDI></Metadata></PAMRasterBand></PAMDataset>'
    )
    info, _ = look(path)
    assert info.band_tags == ({"": {"STATISTICS_MEAN": "0.5"}}, {})
    with open_cube(path) as reader:
        assert [file.name for file in reader.files] == ["a.tif", "a.tif.aux.xml"]


@pytest.mark.parametrize("nodata", [-9999.0, float("nan"), 0.5, 70000.0, float("inf")])
@pytest.mark.parametrize("dtype", ["uint16", "complex64"])
def test_nodata_that_the_type_cannot_hold(
    tmp_path: Path, copy: Copy, look: Look, nodata: float, dtype: str
) -> None:
    array = cubes.spectra(2, 3, 4, dtype)
    items = {"data ignore value": str(nodata)}
    path = cubes.write_envi(tmp_path / "a", array, items=items)
    copy(path, tmp_path / "b.tif")
    copy(tmp_path / "b.tif", tmp_path / "c.img")
    for name in ("b.tif", "c.img"):
        np.testing.assert_equal(look(tmp_path / name)[0].nodata, nodata)


def test_records_hold_only_while_the_items_beside_them_do(
    tmp_path: Path, copy: Copy, look: Look
) -> None:
    made = cubes.rich_envi(tmp_path / "made", "bip")
    copy(made.path, tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.tif") as dataset:
        cut = rasterio.windows.Window(2, 1, 5, 6)
        profile = dataset.profile | {"height": 6, "width": 5}
        a, b, c, d, e, f = tuple(dataset.transform)[:6]
        moved = (a, b, c + 2 * a + b, d, e, f + 2 * d + e)
        profile["transform"] = rasterio.Affine(*moved)
        with rasterio.open(tmp_path / "cut.tif", "w", **profile) as out:
            out.write(dataset.read(window=cut))
            for ns in ("", "ENVI", "HSITOOL"):
                out.update_tags(ns=ns or None, **dataset.tags(ns=ns or None))
            for band in range(1, 8):
                out.update_tags(band, **dataset.tags(band))
    info, _ = look(tmp_path / "cut.tif")
    assert info.transform == moved
    assert info.header["my key"] == "with space"


def test_an_edited_header_wins_over_its_record(tmp_path: Path, copy: Copy, look: Look) -> None:
    made = cubes.rich_geotiff(tmp_path / "made.tif")
    copy(made.path, tmp_path / "a.img")
    header = tmp_path / "a.hdr"
    text = header.read_text("utf-8").replace("data ignore value = -9999", "data ignore value = 0")
    header.write_text(
        text.replace("band names = {\n Bänd 1: é µ 波", "band names = {\n Mine"), "utf-8"
    )
    info, _ = look(tmp_path / "a.img")
    assert info.nodata == 0
    assert info.names is not None
    assert info.names[0] == "Mine"
    assert info.units == tuple(made.items.units or ())
