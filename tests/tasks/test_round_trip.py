"""Nothing is lost between formats, nor by smoothing, and `diff` would tell if it were."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cubes
import numpy as np
import pytest
from command import done, run
from says import (
    assert_geotiff_says,
    assert_header_says,
    envi_pixels,
    header_texts,
    listed,
    pixels,
)

ENVI_CUBES = {
    "aviris": ("isofit/topoflux/ang20160910t185702_2rdn_img", ".hdr"),
    "fenix": ("napari_hippo/image.dat", ".hdr"),
    "corn": ("plantcv/corn-kernel-hyperspectral.raw", ".hdr"),
}
EPSG_4326 = "EPSG:4326"


def there_and_back(source: Path, folder: Path, between: str, ending: str) -> tuple[Path, Path]:
    """Convert to another format and back; `diff` has to say same of both."""
    middle, final = folder / f"middle.{between}", folder / f"final.{ending}"
    done("convert", source, "-o", middle)
    done("convert", middle, "-o", final)
    for path in (middle, final):
        answer = run("diff", source, path)
        assert (answer.code, answer.out.splitlines()[-1]) == (0, "same"), answer.out
    return middle, final


@pytest.mark.parametrize("name", ENVI_CUBES)
def test_real_envi_to_geotiff_and_back(name: str, shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / ENVI_CUBES[name][0]
    _, final = there_and_back(source, tmp_path, "tif", "img")
    before = header_texts(source.with_suffix(".hdr"))
    after = header_texts(final.with_suffix(".hdr"))
    del before["interleave"]  # a GeoTIFF has no line interleave
    assert {k: listed(v) for k, v in before.items()} == {k: listed(after[k]) for k in before}
    if name != "corn":
        assert final.read_bytes() == source.read_bytes()
    with cubes.open_quietly(source) as dataset:
        np.testing.assert_array_equal(envi_pixels(final), dataset.read())


def test_real_geotiff_to_envi_and_back(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "enmap-box/potsdam_tiles/images/enmap_potsdam_tile_128_32.tif"
    middle, final = there_and_back(source, tmp_path, "img", "tif")
    np.testing.assert_array_equal(envi_pixels(middle), pixels(source))
    with cubes.open_quietly(source) as a, cubes.open_quietly(final) as b:
        np.testing.assert_array_equal(b.read(), a.read())
        for name in ("crs", "transform", "nodata", "descriptions", "units", "scales", "offsets"):
            assert getattr(a, name) == getattr(b, name)
        for band in range(a.count + 1):
            assert a.tags(band).items() <= b.tags(band).items()


@pytest.mark.parametrize("reference", ["transform", "gcps"])
@pytest.mark.parametrize("interleave", ["band", "pixel"])
def test_rich_geotiff_to_envi_and_back(tmp_path: Path, interleave: str, reference: str) -> None:
    made = cubes.rich_geotiff(tmp_path / "in.tif", interleave, reference=reference)
    middle, final = there_and_back(made.path, tmp_path, "img", "tif")
    np.testing.assert_array_equal(envi_pixels(middle), made.array)
    assert_header_says(middle.with_suffix(".hdr"), made.items)
    with cubes.open_quietly(middle) as dataset:
        assert dataset.transform.is_identity  # shear has no place there: nothing beats wrong
    np.testing.assert_array_equal(pixels(final), made.array)
    assert_geotiff_says(final, made.items)


@pytest.mark.parametrize("reference", ["map info", "geo points"])
@pytest.mark.parametrize("interleave", ["bsq", "bil", "bip"])
def test_rich_envi_to_geotiff_and_back(tmp_path: Path, interleave: str, reference: str) -> None:
    made = cubes.rich_envi(tmp_path / "in", interleave, reference=reference, byte_order=1)
    middle, final = there_and_back(made.path, tmp_path, "tif", "img")
    np.testing.assert_array_equal(pixels(middle), made.array)
    plain = replace(made.items, header={})
    rpcs = made.items.rpcs if reference == "geo points" else plain.rpcs
    assert_geotiff_says(middle, replace(plain, rpcs=rpcs))
    np.testing.assert_array_equal(envi_pixels(final), made.array)
    before, after = header_texts(made.path.with_suffix(".hdr")), header_texts(_header(final))
    framed = ("interleave", "byte order")
    assert [(k, listed(v)) for k, v in before.items() if k not in framed] == [
        (k, listed(v)) for k, v in after.items() if k not in (*framed, "hsitool")
    ]
    text = _header(final).read_text(encoding="utf-8")
    for comment in ("a comment: with = and {braces", "a comment inside, key = value"):
        assert f"; {comment}" in text
    assert text.index("a comment inside") < text.index("band names")


def _header(path: Path) -> Path:
    return path.with_suffix(".hdr")


def test_a_north_up_geotiff_keeps_its_place_for_other_readers(tmp_path: Path) -> None:
    place = {"crs": "EPSG:32633", "transform": (30.0, 0.0, 412_000.0, 0.0, -30.0, 5_812_000.0)}
    source = cubes.write_geotiff(tmp_path / "in.tif", cubes.spectra(3, 4, 5), **place)
    middle, final = there_and_back(source, tmp_path, "img", "tif")
    assert_geotiff_says(final, cubes.Items(**place))
    with cubes.open_quietly(middle) as dataset:
        assert dataset.crs == place["crs"]
        assert dataset.transform[:6] == place["transform"]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "uint32", "int64", "uint64"])
def test_integers_of_all_widths(tmp_path: Path, dtype: str) -> None:
    nodata = 0 if dtype.startswith("u") else None
    array = cubes.spectra(3, 4, 5, dtype)
    array[0, 0, :3] = [0, np.iinfo(dtype).max, np.iinfo(dtype).min]
    source = cubes.write_geotiff(tmp_path / "in.tif", array, nodata=nodata)
    middle, final = there_and_back(source, tmp_path, "img", "tif")
    np.testing.assert_array_equal(envi_pixels(middle), array)
    np.testing.assert_array_equal(pixels(final), array)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_floats_with_nan_and_infinities(tmp_path: Path, dtype: str) -> None:
    array = cubes.spectra(3, 4, 5, dtype)
    array[0, 0, :3] = [np.nan, np.inf, -np.inf]
    source = cubes.write_geotiff(tmp_path / "in.tif", array)
    _, final = there_and_back(source, tmp_path, "img", "tif")
    np.testing.assert_array_equal(pixels(final), array)


# Smoothing


def smoothed_items(items: cubes.Items, deriv: int) -> cubes.Items:
    """What has to be said of a smoothed (or derivative) cube."""
    result = replace(items, nodata=float("nan"))
    if deriv == 0:
        return result
    return replace(result, offsets=None, units=[f"{u}/nm" for u in items.units or ["1"] * 7])


@pytest.mark.parametrize("deriv", [0, 1])
@pytest.mark.parametrize("ending", ["tif", "img"])
@pytest.mark.parametrize("kind", ["transform", "gcps", "map info", "geo points"])
def test_smoothing_keeps_all_that_it_does_not_change(
    tmp_path: Path, kind: str, ending: str, deriv: int
) -> None:
    if kind in ("transform", "gcps"):
        made = cubes.rich_geotiff(tmp_path / "in.tif", reference=kind)
    else:
        made = cubes.rich_envi(tmp_path / "in", reference=kind)
    target = tmp_path / f"out.{ending}"
    done("smooth", made.path, "-w3", "-d1", "--deriv", deriv, "-o", target)
    found = {d["item"] for d in differences(made.path, target)}
    changed = {"pixels", "dtype", "nodata", "former_nodata", "noise_correlated"}
    assert found == changed | ({"units", "offset"} if deriv else set())
    if ending == "img":
        items = smoothed_items(made.items, deriv)
        assert_header_says(_header(target), items)
        done("convert", target, "-o", tmp_path / "out.tif")
    items = smoothed_items(made.items, deriv)
    assert_geotiff_says(tmp_path / "out.tif", replace(items, header={}))
    about = done("info", target, "--json").json()
    assert about["former_nodata"] == -9999
    assert about["noise_correlated"] is True


# What `diff` tells


def differences(a: Path, b: Path, *options: object, aside: bool = False) -> list[dict[str, Any]]:
    """The differences that decide (or, `aside`, those that do not), in its JSON form."""
    answer = run("diff", a, b, "--json", *options)
    report = answer.json()
    assert set(report) == {"same", "differences"}
    assert answer.code == (0 if report["same"] else 1)
    for entry in report["differences"]:
        assert set(entry) == {"item", "first", "second", "decides"}
    return [entry for entry in report["differences"] if entry["decides"] is not aside]


def _second(values: Sequence[Any], value: Any) -> list[Any]:
    return [values[0], value, *values[2:]]


Change = Callable[[cubes.Items], dict[str, Any]]

CHANGES: dict[str, tuple[str, Change]] = {
    "wavelength": (
        "wavelength_nm",
        lambda i: {"wavelength_nm": _second(i.wavelength_nm, i.wavelength_nm[1] + 1e-5)},
    ),
    "wavelengths gone": ("wavelength_nm", lambda _: {"wavelength_nm": None}),
    "fwhm": ("fwhm_nm", lambda i: {"fwhm_nm": _second(i.fwhm_nm, 5.624)}),
    "flag": ("good", lambda i: {"bbl": _second(i.bbl, 0)}),
    "name": ("names", lambda i: {"names": _second(i.names, "Band 2")}),
    "unit": ("units", lambda i: {"units": _second(i.units, "1/um")}),
    "scale": ("scale", lambda i: {"scales": _second(i.scales, i.scales[1] * (1 + 1e-9))}),
    "offset": ("offset", lambda i: {"offsets": _second(i.offsets, -0.2000001)}),
    "crs": ("crs", lambda _: {"crs": "EPSG:32632"}),
    "pixel width": ("transform", lambda i: {"transform": _times(i.transform, 0, 1 + 1e-6)}),
    "shear": ("transform", lambda i: {"transform": _times(i.transform, 3, 1 + 1e-6)}),
    "origin": ("transform", lambda i: {"transform": _times(i.transform, 5, 1 + 1e-6)}),
    "rpc": ("rpcs", lambda i: {"rpcs": {**i.rpcs, "LAT_OFF": "52.2500001"}}),
    "color": ("color", lambda i: {"colors": ["blue", *i.colors[1:]]}),
    "tag": ("tags", lambda i: {"tags": {**i.tags, "": {**i.tags[""], "AUTHOR": "Zoe"}}}),
    "namespace": ("tags", lambda i: {"tags": {"": i.tags[""]}}),
    "band tag": ("band_tags", lambda i: {"band_tags": [{}, *i.band_tags[1:]]}),
}


def _times(transform: Any, index: int, factor: float) -> tuple[float, ...]:
    return tuple(v * factor if i == index else v for i, v in enumerate(transform))


@pytest.mark.parametrize("change", CHANGES)
def test_each_changed_item_is_told(change: str, tmp_path: Path) -> None:
    item, mutate = CHANGES[change]
    made = cubes.rich_geotiff(tmp_path / "a.tif")
    other = replace(made.items, **mutate(made.items))
    cubes.write_geotiff(tmp_path / "b.tif", made.array, dialects=("band",), **vars(other))
    told = differences(made.path, tmp_path / "b.tif")
    assert [entry["item"] for entry in told] == [item]
    assert told[0]["first"] != told[0]["second"]


@pytest.mark.parametrize(
    ("index", "place"), [(0, (1e-6, 0, 0, 0, 0)), (4, (0, 0, 0, 1e-6, 0)), (2, (0, 0, 0, 0, 1))]
)
def test_a_moved_control_point_is_told(
    index: int, place: tuple[float, ...], tmp_path: Path
) -> None:
    made = cubes.rich_geotiff(tmp_path / "a.tif", reference="gcps")
    gcps = list(made.items.gcps)
    gcps[index] = tuple(a + b for a, b in zip(gcps[index], place, strict=True))
    cubes.write_geotiff(tmp_path / "b.tif", made.array, **vars(replace(made.items, gcps=gcps)))
    assert [d["item"] for d in differences(made.path, tmp_path / "b.tif")] == ["gcps"]
    cubes.write_geotiff(
        tmp_path / "c.tif", made.array, **vars(replace(made.items, gcps_crs=EPSG_4326))
    )
    assert [d["item"] for d in differences(made.path, tmp_path / "c.tif")] == ["gcps_crs"]


def test_the_smallest_changes_of_a_transform_do_not_count(tmp_path: Path) -> None:
    made = cubes.rich_geotiff(tmp_path / "a.tif")
    moved = _times(made.items.transform, 0, 1 + 1e-11)
    items = replace(made.items, transform=moved)
    cubes.write_geotiff(tmp_path / "b.tif", made.array, **vars(items))
    assert differences(made.path, tmp_path / "b.tif") == []


@pytest.mark.parametrize("interleave", ["bsq", "bil", "bip"])
def test_changed_pixels_are_counted_and_placed(interleave: str, tmp_path: Path) -> None:
    array = cubes.spectra(7, 9, 11, "int16")
    other = array.copy()
    other[4, 5, 6] += 3
    a = cubes.write_envi(tmp_path / "a", array, interleave=interleave)
    b = cubes.write_envi(tmp_path / "b", other)
    (told,) = differences(a, b)
    assert told["item"] == "pixels"
    assert told["first"] == "1 of 693 samples"
    assert told["second"] == "by up to 3, first band 5, row 5, column 6"
    for options, same in (
        (["--atol", 3], True),
        (["--atol", 2.9], False),
        (["--rtol", 3 / other[4, 5, 6] * 1.001], True),
        (["--rtol", 3 / other[4, 5, 6] * 0.999], False),
    ):
        assert (differences(a, b, *options) == []) is same


def test_large_integers_are_compared_exactly(tmp_path: Path) -> None:
    for dtype in ("int64", "uint64"):
        array = np.full((2, 3, 4), 2**60, dtype)
        a = cubes.write_geotiff(tmp_path / f"a-{dtype}.tif", array)
        array[1, 2, 3] += 1
        b = cubes.write_geotiff(tmp_path / f"b-{dtype}.tif", array)
        assert [d["item"] for d in differences(a, b)] == ["pixels"]
        assert differences(a, b, "--atol", 1) == []


def test_nodata_and_nan_are_compared_by_meaning(tmp_path: Path) -> None:
    array = cubes.spectra(3, 4, 5)
    array[1, 2, 3] = -9999
    a = cubes.write_geotiff(tmp_path / "a.tif", array, nodata=-9999)
    as_nan = np.where(array == -9999, np.float32(np.nan), array)
    b = cubes.write_geotiff(tmp_path / "b.tif", as_nan, nodata=float("nan"))
    assert [d["item"] for d in differences(a, b)] == ["nodata"]
    as_nan[0, 0, 0] = np.nan
    c = cubes.write_geotiff(tmp_path / "c.tif", as_nan, nodata=float("nan"))
    assert [d["item"] for d in differences(b, c)] == ["pixels"]
    d = cubes.write_geotiff(tmp_path / "d.tif", array)
    assert [entry["item"] for entry in differences(a, d)] == ["pixels", "nodata"]


def test_shapes_and_types(tmp_path: Path) -> None:
    array = cubes.spectra(4, 4, 5, "int16")
    paths = [
        cubes.write_geotiff(tmp_path / f"{i}.tif", other)
        for i, other in enumerate((array, array[:3], array[:, :3], array.astype("int32")))
    ]
    told = [[d["item"] for d in differences(paths[0], other)] for other in paths[1:]]
    assert told == [["bands"], ["rows"], ["dtype"]]


@pytest.mark.parametrize(
    ("header", "item", "decides"),
    [
        ([("my key", "other")], "header item 'my key'", True),
        ([], "header item 'my key'", True),
        ([("my key", "value"), ("more", "1")], "header item 'more'", True),
        ([("my key", "  value ")], None, False),
        (["; a remark", ("my key", "value")], "header comments", False),
    ],
)
def test_header_items(header: list[Any], item: str | None, decides: bool, tmp_path: Path) -> None:
    array = cubes.spectra(3, 4, 5)
    a = cubes.write_envi(tmp_path / "a", array, items=[("my key", "value")])
    b = cubes.write_envi(tmp_path / "b", array, items=header)
    items = [item] if item else []
    assert [d["item"] for d in differences(a, b)] == (items if decides else [])
    assert [d["item"] for d in differences(a, b, aside=True)] == ([] if decides else items)
    assert run("diff", a, b, "--strict").code == (1 if item else 0)


def test_layouts_decide_only_under_strict(tmp_path: Path) -> None:
    array = cubes.spectra(3, 40, 50)
    layouts: dict[str, dict[str, Any]] = {
        "interleave": {"interleave": "band", "blocks": ("strip", 4)},
        "blocks": {"blocks": ("tile", 16)},
        "compression": {"blocks": ("strip", 4), "compress": "deflate"},
    }
    a = cubes.write_geotiff(tmp_path / "a.tif", array, blocks=("strip", 4))
    assert run("diff", a, a, "--strict").code == 0
    for item, layout in layouts.items():
        b = cubes.write_geotiff(tmp_path / f"{item}.tif", array, **layout)
        assert differences(a, b) == []
        assert [d["item"] for d in differences(a, b, aside=True)] == [item]
        assert run("diff", a, b, "--strict").code == 1


def test_byte_order_format_and_provenance_decide_only_under_strict(tmp_path: Path) -> None:
    array = cubes.spectra(3, 4, 5)
    a = cubes.write_envi(tmp_path / "a", array)
    b = cubes.write_envi(tmp_path / "b", array, byte_order=1)
    assert [d["item"] for d in differences(a, b, aside=True)] == ["byte order"]
    done("convert", a, "-o", tmp_path / "c.tif")
    aside = {d["item"] for d in differences(a, tmp_path / "c.tif", aside=True)}
    assert {"format", "provenance"} <= aside
    for other in (b, tmp_path / "c.tif"):
        assert run("diff", a, other).code == 0
        assert run("diff", a, other, "--strict").code == 1


def test_equal_commands_make_equal_bytes(tmp_path: Path) -> None:
    made = cubes.rich_geotiff(tmp_path / "in.tif")
    for verb in (["convert"], ["smooth", "-w3", "-d1"]):
        for ending in ("tif", "img"):
            first, second = tmp_path / f"1.{ending}", tmp_path / f"2.{ending}"
            for target in (first, second):
                done(*verb, made.path, "-o", target, "--overwrite")
            assert first.read_bytes() == second.read_bytes()
        assert (tmp_path / "1.hdr").read_bytes() == (tmp_path / "2.hdr").read_bytes()
