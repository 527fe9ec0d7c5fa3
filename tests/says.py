"""What rasterio, or a plain look at the text of a header, finds in a file: truth beside `diff`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cubes
import numpy as np
from rasterio.crs import CRS


def header_texts(path: Path) -> dict[str, str]:
    """The items of an ENVI header by key, read in the plainest way."""
    text, items = path.read_text(encoding="utf-8"), {}
    lines = [line for line in text.splitlines() if not line.startswith(";")]
    text = "\n".join(lines) + "\n"
    while "=" in text:
        head, _, text = text.partition("=")
        ended = text.find("}") + 1 if text.lstrip().startswith("{") else text.find("\n")
        key = head.splitlines()[-1].strip()
        items[key if key in cubes.RICH_HEADER else key.lower()] = text[:ended].strip()
        text = text[ended:]
    return items


def listed(text: str) -> list[str]:
    """The entries of an ENVI list, with single blanks."""
    return [" ".join(entry.split()) for entry in text.strip("{} \n").split(",") if entry.strip()]


def assert_geotiff_says(path: Path, items: cubes.Items) -> None:
    """As rasterio reads it, a GeoTIFF says at least what `items` do."""
    with cubes.open_quietly(path) as dataset:
        assert dataset.driver == "GTiff"
        assert dataset.crs == (CRS.from_string(items.crs) if items.crs else None)
        if items.transform is not None:
            np.testing.assert_allclose(dataset.transform[:6], items.transform, rtol=1e-12)
        points, points_crs = dataset.gcps
        assert [(p.row, p.col, p.x, p.y, p.z) for p in points] == list(items.gcps)
        assert not points or points_crs == CRS.from_string(items.gcps_crs or "")
        _assert_same_numbers(dataset.tags(ns="RPC"), items.rpcs)
        np.testing.assert_equal(dataset.nodata, items.nodata)
        for name, default in (("scales", 1.0), ("offsets", 0.0)):
            expected = getattr(items, name) or [default] * dataset.count
            assert list(getattr(dataset, name)) == list(expected)
        assert [n or "" for n in dataset.descriptions] == list(items.names or [""] * dataset.count)
        assert [u or "" for u in dataset.units] == list(items.units or [""] * dataset.count)
        if items.colors is not None:
            assert [c.name for c in dataset.colorinterp] == list(items.colors)
        for space, tags in items.tags.items():
            assert tags.items() <= dataset.tags(ns=space or None).items()
        for band in range(dataset.count):
            _assert_band_says(dataset, band, items)


def _assert_band_says(dataset: Any, band: int, items: cubes.Items) -> None:
    plain = dataset.tags(band + 1)
    for space, tags in (items.band_tags[band] if items.band_tags else {}).items():
        assert tags.items() <= dataset.tags(band + 1, ns=space or None).items()
    if items.wavelength_nm is not None:
        centre = items.wavelength_nm[band]
        assert float(plain["wavelength"]) == centre
        assert plain["wavelength_units"] == "Nanometers"
        rounded = float(dataset.tags(band + 1, ns="IMAGERY")["CENTRAL_WAVELENGTH_UM"])
        np.testing.assert_allclose(rounded * 1000, centre, rtol=1e-7)
    if items.fwhm_nm is not None:
        assert float(plain["fwhm"]) == items.fwhm_nm[band]
    if items.bbl is not None:
        assert plain["bbl"] == str(items.bbl[band])


def _assert_same_numbers(found: Mapping[str, str], expected: Mapping[str, str]) -> None:
    missing = {"ERR_BIAS", "ERR_RAND", "MIN_LAT", "MAX_LAT", "MIN_LONG", "MAX_LONG"}
    assert found.keys() - missing == expected.keys() - missing
    for key, text in expected.items():
        np.testing.assert_allclose(
            [float(word) for word in found[key].split()], [float(word) for word in text.split()]
        )


def assert_header_says(path: Path, items: cubes.Items) -> None:
    """As a text, an ENVI header says the band items of `items`, and its further items."""
    texts = header_texts(path)
    numbers = {
        "wavelength": items.wavelength_nm,
        "fwhm": items.fwhm_nm,
        "bbl": items.bbl,
        "data gain values": items.scales,
        "data offset values": items.offsets,
    }
    for key, values in numbers.items():
        if values is not None:
            assert [float(entry) for entry in listed(texts[key])] == list(values)
    if items.names is not None:
        assert listed(texts["band names"]) == list(items.names)
    if items.nodata is not None:
        np.testing.assert_equal(float(texts["data ignore value"]), items.nodata)
    for key, text in items.header.items():
        assert listed(texts[key]) == listed(text)


def envi_pixels(path: Path) -> Any:
    """The pixels of a little-endian ENVI file, (band, row, column)."""
    texts = header_texts(path.with_suffix(".hdr"))
    codes = {code: name for name, code in cubes.ENVI_TYPES.items()}
    shape = [int(texts[key]) for key in ("bands", "lines", "samples")]
    axes = cubes.ENVI_AXES[texts["interleave"].lower()]
    flat = np.fromfile(path, codes[int(texts["data type"])])
    return flat.reshape([shape[axis] for axis in axes]).transpose(np.argsort(axes))


def pixels(path: Path) -> Any:
    """The samples of a raster, (band, row, column)."""
    with cubes.open_quietly(path) as dataset:
        return dataset.read()
