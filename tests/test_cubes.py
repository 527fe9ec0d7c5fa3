"""The made cubes are what the factory says, as GDAL reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cubes
import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS

BLOCKS = [None, ("strip", 4), ("tile", 16)]


@pytest.mark.parametrize("interleave", ["band", "pixel"])
@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "complex64"])
def test_geotiff_holds_the_pixels_in_the_layout_asked_for(
    tmp_path: Path, interleave: str, blocks: tuple[str, int] | None, dtype: str
) -> None:
    array = cubes.spectra(3, 21, 18, dtype)
    path = cubes.write_geotiff(tmp_path / "x.tif", array, interleave=interleave, blocks=blocks)
    with cubes.open_quietly(path) as dataset:
        np.testing.assert_array_equal(dataset.read(), array)
        assert dataset.interleaving.value.lower() == interleave
        assert dataset.dtypes[0] == dtype
        if blocks is not None:
            width = 18 if blocks[0] == "strip" else blocks[1]
            assert dataset.block_shapes[0] == (blocks[1], width)


def test_geotiff_compression_predictor_and_size_of_offsets(tmp_path: Path) -> None:
    array = cubes.spectra(3, 21, 18)
    path = tmp_path / "x.tif"
    cubes.write_geotiff(path, array, compress="zstd", predictor=3, bigtiff="YES")
    with cubes.open_quietly(path) as dataset:
        assert dataset.compression.value == "ZSTD"
        assert dataset.tags(ns="IMAGE_STRUCTURE")["PREDICTOR"] == "3"
        np.testing.assert_array_equal(dataset.read(), array)
    assert path.read_bytes()[:4] == b"II\x2b\x00"


@pytest.mark.parametrize("interleave", ["band", "pixel"])
def test_block_offsets_find_the_pixels(tmp_path: Path, interleave: str) -> None:
    array = cubes.spectra(3, 8, 5)
    path = tmp_path / "x.tif"
    cubes.write_geotiff(path, array, interleave=interleave, blocks=("strip", 4))
    offsets = cubes.block_offsets(path)
    assert offsets.shape == ((3, 2, 1) if interleave == "band" else (1, 2, 1))
    second = array[2, 4:] if interleave == "band" else array[:, 4:].transpose(1, 2, 0)
    start = int(offsets[-1, 1, 0])
    assert path.read_bytes()[start : start + second.nbytes] == second.tobytes()


@pytest.mark.parametrize("reference", ["transform", "gcps"])
@pytest.mark.parametrize("interleave", ["band", "pixel"])
def test_rich_geotiff_says_everything(tmp_path: Path, interleave: str, reference: str) -> None:
    made = cubes.rich_geotiff(tmp_path / "x.tif", interleave, reference=reference)
    items = made.items
    with cubes.open_quietly(made.path) as dataset:
        np.testing.assert_array_equal(dataset.read(), made.array)
        assert dataset.nodata == items.nodata
        assert dataset.scales == tuple(items.scales or ())
        assert dataset.offsets == tuple(items.offsets or ())
        assert dataset.units == tuple(items.units or ())
        assert dataset.descriptions == tuple(items.names or ())
        assert [color.name for color in dataset.colorinterp] == items.colors
        assert dataset.tags(ns="RPC") == items.rpcs
        assert dataset.tags() == {"AREA_OR_POINT": "Area", **items.tags[""]}
        assert dataset.tags(ns="MISSION") == items.tags["MISSION"]
        check_bands(dataset, items)
        check_reference(dataset, items)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.tif"]


def check_bands(dataset: Any, items: cubes.Items) -> None:
    """The spectral and other tags of every band."""
    assert items.wavelength_nm and items.fwhm_nm and items.bbl
    for band in range(dataset.count):
        assert dataset.tags(band + 1, ns="LAB") == items.band_tags[band]["LAB"]
        tags = dataset.tags(band + 1)
        assert float(tags["wavelength"]) == items.wavelength_nm[band]
        assert float(tags["fwhm"]) == items.fwhm_nm[band]
        assert tags["bbl"] == str(items.bbl[band])
        assert tags["gain"] == items.band_tags[band][""]["gain"]
        imagery = dataset.tags(band + 1, ns="IMAGERY")
        micrometres = float(imagery["CENTRAL_WAVELENGTH_UM"])
        assert micrometres == pytest.approx(items.wavelength_nm[band] / 1000, rel=1e-11)


def check_reference(dataset: Any, items: cubes.Items) -> None:
    """The transform, or the ground control points."""
    if items.transform is not None:
        assert tuple(dataset.transform)[:6] == items.transform
        assert dataset.crs == CRS.from_string(items.crs)
        return
    points, crs = dataset.gcps
    assert [(p.row, p.col, p.x, p.y, p.z) for p in points] == items.gcps
    assert crs == CRS.from_string(items.gcps_crs)


def test_wavelengths_can_go_to_one_dialect_only(tmp_path: Path) -> None:
    array = cubes.spectra(2, 3, 4)
    path = tmp_path / "x.tif"
    cubes.write_geotiff(path, array, dialects=["envi"], wavelength_nm=[400.5, 410.25], bbl=[1, 0])
    with cubes.open_quietly(path) as dataset:
        assert dataset.tags(ns="ENVI")["wavelength"] == "{400.5, 410.25}"
        assert dataset.tags(ns="ENVI")["bbl"] == "{1, 0}"
        assert dataset.tags(1) == dataset.tags(1, ns="IMAGERY") == {}


@pytest.mark.parametrize("interleave", ["bsq", "bil", "bip"])
@pytest.mark.parametrize("byte_order", [0, 1])
@pytest.mark.parametrize("dtype", cubes.ENVI_TYPES)
def test_envi_holds_the_pixels(
    tmp_path: Path, interleave: str, byte_order: int, dtype: str
) -> None:
    array = cubes.spectra(3, 5, 4, dtype)
    path = cubes.write_envi(
        tmp_path / "x", array, interleave=interleave, byte_order=byte_order, header_offset=13
    )
    with cubes.open_quietly(path) as dataset:
        assert dataset.dtypes[0] == dtype
        np.testing.assert_array_equal(dataset.read(), array)


@pytest.mark.parametrize("extension", [".dat", ".img", ""])
@pytest.mark.parametrize("style", ["x.hdr", "x.dat.hdr"])
def test_envi_names_of_data_and_header(tmp_path: Path, extension: str, style: str) -> None:
    array = cubes.spectra(2, 3, 4)
    stem = tmp_path / "flight.1_img"
    path = cubes.write_envi(stem, array, extension=extension, header_style=style)
    header = f"flight.1_img{extension if style == 'x.dat.hdr' else ''}.hdr"
    assert {p.name for p in tmp_path.iterdir()} == {f"flight.1_img{extension}", header}
    with cubes.open_quietly(path) as dataset:
        assert dataset.driver == "ENVI"


def test_envi_items_keep_their_order_and_replace_required_ones(tmp_path: Path) -> None:
    items: list[tuple[str, str] | str] = [
        ("zeta", "1"),
        "; a comment",
        ("lines", "2"),
        ("alpha", "{a=b}"),
    ]
    array = cubes.spectra(1, 3, 4)
    cubes.write_envi(tmp_path / "x", array, items=items, without=["byte order"])
    lines = (tmp_path / "x.hdr").read_text().splitlines()
    assert lines[0] == "ENVI"
    assert lines[-4:] == ["zeta = 1", "; a comment", "lines = 2", "alpha = {a=b}"]
    assert not {"lines = 3", "byte order = 0"} & set(lines)


@pytest.mark.parametrize("reference", ["map info", "geo points"])
@pytest.mark.parametrize("interleave", ["bsq", "bil", "bip"])
def test_rich_envi_is_read_by_gdal(tmp_path: Path, interleave: str, reference: str) -> None:
    made = cubes.rich_envi(tmp_path / "x", interleave, reference=reference)
    items = made.items
    with cubes.open_quietly(made.path) as dataset:
        np.testing.assert_array_equal(dataset.read(), made.array)
        assert dataset.nodata == items.nodata
        assert dataset.scales == tuple(items.scales or ())
        assert dataset.offsets == tuple(items.offsets or ())
        assert dataset.tags(3)["wavelength"] == str((items.wavelength_nm or ())[2])
        assert dataset.descriptions[1].startswith("Bänd 2: é µ 波")
        if reference == "map info":
            assert dataset.crs == CRS.from_string(items.crs)
            np.testing.assert_allclose(
                tuple(dataset.transform)[:6], items.transform or (), rtol=1e-12
            )
        else:
            points = [(p.row, p.col, p.x, p.y, p.z) for p in dataset.gcps[0]]
            np.testing.assert_allclose(points, items.gcps, rtol=1e-12)
            assert dataset.rpcs.samp_den_coeff[1] == 0.004


def test_rich_envi_header_has_the_unknown_items_as_they_are(tmp_path: Path) -> None:
    made = cubes.rich_envi(tmp_path / "x")
    text = (tmp_path / "x.hdr").read_text(encoding="utf-8")
    for key, value in made.items.header.items():
        assert f"\n{key} = {value}\n" in text


def test_wavelength_steps_all_differ() -> None:
    steps = np.diff(cubes.wavelengths(224))
    assert len(set(np.round(steps, 3))) == 223
    assert steps.min() > 0


def test_spectra_depend_on_the_seed_alone() -> None:
    first, again, other = (cubes.spectra(9, 4, 5, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.shape == (9, 4, 5)
    assert 0 < first.min() < first.max() < 1


def test_large_cubes_hold_the_same_in_every_layout(tmp_path: Path) -> None:
    former = None
    for layout in cubes.LARGE_LAYOUTS:
        path = tmp_path / f"{layout}.dat"
        cubes.write_large(path, layout, 0.007, bands=5, columns=300)
        with cubes.open_quietly(path) as dataset:
            array = dataset.read()
            assert dataset.count == 5
            assert dataset.nodata == -9999
            assert dataset.crs == CRS.from_epsg(32633)
            assert float(dataset.tags(3)["wavelength"]) == cubes.wavelengths(5)[2]
        assert array.nbytes == pytest.approx(7e6, rel=0.01)
        assert array.min() > 0
        former = array if former is None else former
        np.testing.assert_array_equal(array, former)


def test_large_band_strips_go_band_by_band_inside_a_window(tmp_path: Path) -> None:
    path = cubes.write_large(tmp_path / "x.tif", "tif-band-strip", 0.001, bands=4, columns=512)
    order = cubes.block_offsets(path)[:, :, 0]
    strips = 64 // 4
    assert (np.diff(order, axis=1)[:, : strips - 1] == 4 * 512 * 4).all()
    assert (order[1:, 0] > order[:-1, strips - 1]).all()
    assert order[0, strips] > order[3, strips - 1]


def test_sample_scene(sample: Path) -> None:
    assert sample.stat().st_size < 300_000
    with rasterio.open(sample) as dataset:
        array = dataset.read()
        flags = [dataset.tags(band)["bbl"] for band in dataset.indexes]
        assert dataset.crs == CRS.from_epsg(32633)
        assert dataset.scales[0] == 0.0001
    assert array.shape == (82, 40, 48)
    assert flags.count("0") == 1
    absent = array == -9999
    assert absent.all(axis=0).sum() == 52
    assert (absent.any(axis=0) & ~absent.all(axis=0)).sum() == 5


def test_shared_data(shared_data: Path) -> None:
    assert (shared_data / "CATALOG.md").is_file()
