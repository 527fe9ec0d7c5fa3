"""`smooth` on made cubes: known answers, units, types, nodata, scales, and single bands."""

from __future__ import annotations

from math import factorial
from pathlib import Path
from typing import Any

import cubes
import numpy as np
import pytest
import rasterio
from command import done
from fits import Scene, assert_agrees, fitted, read, segments_of

from hsitool.storage.readers import RasterioReader, RawReader

BANDS = 24
CENTRES = cubes.wavelengths(BANDS)
HEADER = {"wavelength units": "Nanometers", "wavelength": cubes.listed(CENTRES)}

LAYOUTS = ("pixel", "band", "tile", "packed", "bsq", "bil", "bip", "big-endian")


def make(folder: Path, array: Any, layout: str, **items: Any) -> Path:
    """A cube in one of `LAYOUTS`, with wavelengths."""
    if layout in ("bsq", "bil", "bip", "big-endian"):
        header = dict(HEADER)
        if items.get("nodata") is not None:
            header["data ignore value"] = str(items["nodata"])
        if "bbl" in items:
            header["bbl"] = cubes.listed(items["bbl"])
        order, byte_order = (layout, 0) if layout != "big-endian" else ("bil", 1)
        kind = {"interleave": order, "byte_order": byte_order}
        return cubes.write_envi(folder / layout, array, items=header, **kind)
    more = {
        "pixel": {"interleave": "pixel"},
        "band": {"interleave": "band"},
        "tile": {"interleave": "band", "blocks": ("tile", 16)},
        "packed": {"interleave": "pixel", "blocks": ("tile", 16), "compress": "deflate"},
    }[layout]
    items = {"wavelength_nm": CENTRES, **items}
    return cubes.write_geotiff(folder / f"{layout}.tif", array, **more, **items)


def pixels(path: Path) -> Any:
    with cubes.open_quietly(path) as dataset:
        return dataset.read()


@pytest.mark.parametrize("deriv", [0, 1, 2, 3])
def test_polynomials_are_reproduced_at_every_band(
    deriv: int, tmp_path: Path, rng: np.random.Generator
) -> None:
    x = np.sort(rng.uniform(400, 700, BANDS))
    roots = rng.uniform(400, 700, (3, 4, 5))
    factors = x[:, None, None, None] - roots
    cube = factors.prod(axis=1)
    a, b, c = roots
    truth = {
        0: cube,
        1: 3 * x[:, None, None] ** 2 - 2 * (a + b + c) * x[:, None, None] + a * b + b * c + a * c,
        2: 6 * x[:, None, None] - 2 * (a + b + c),
        3: np.full_like(cube, factorial(3)),
    }[deriv]
    cubes.write_geotiff(tmp_path / "in.tif", cube, wavelength_nm=x.tolist())
    settings = ["-w", 7, "-d", 3, "--deriv", deriv, "--split-gap", "off"]
    done("smooth", tmp_path / "in.tif", *settings, "-o", tmp_path / "out.tif")
    assert_agrees(read(tmp_path / "out.tif"), truth, 1e-9)


def test_five_even_points_of_degree_2(tmp_path: Path) -> None:
    cube = np.eye(5)[:, None, :]  # every column is 1 in one band
    centres = [500.0 + 4.0 * band for band in range(5)]
    cubes.write_geotiff(tmp_path / "in.tif", cube, wavelength_nm=centres)
    for deriv, weights in ((0, np.array([-3, 12, 17, 12, -3]) / 35), (2, _second(4.0))):
        target = tmp_path / f"{deriv}.tif"
        done("smooth", tmp_path / "in.tif", "-w5", "-d2", "--deriv", deriv, "-o", target)
        np.testing.assert_allclose(pixels(target)[2, 0], weights, rtol=0, atol=1e-12)


def _second(step: float) -> Any:
    return np.array([2, -1, -2, -1, 2]) / (7 * step**2)


@pytest.mark.parametrize("deriv", [0, 1, 2])
def test_the_order_of_the_bands_makes_no_difference(deriv: int, tmp_path: Path) -> None:
    centres = sorted([*cubes.wavelengths(26), 2600.0, 2610.0, 2625.0])
    array = cubes.spectra(len(centres), 3, 4, "float64")
    results = []
    for name, step in (("up", 1), ("down", -1)):
        path, target = tmp_path / f"{name}.tif", tmp_path / f"{name}-out.tif"
        cubes.write_geotiff(path, array[::step], wavelength_nm=centres[::step])
        done("smooth", path, "-w5", "-d2", "--deriv", deriv, "-o", target)
        results.append(read(target)[::step])
    assert_agrees(results[1], results[0], 1e-12)


@pytest.mark.parametrize("window_degree", [(7, 2), (7, 3), (5, 4)])
def test_short_segments_take_a_shorter_window_or_are_copied(
    window_degree: tuple[int, int], tmp_path: Path
) -> None:
    window, degree = window_degree
    bbl = np.ones(30, int)
    bbl[[1, 4, 8, 13, 14, 21]] = 0  # segments of 1, 2, 3, 4, 6 and 8 bands
    array = cubes.spectra(30, 3, 4)
    centres = cubes.wavelengths(30)
    path = cubes.write_geotiff(tmp_path / "in.tif", array, wavelength_nm=centres, bbl=bbl.tolist())
    scene = Scene(array.astype(np.float64), np.array(centres), bbl == 1)
    expected = fitted(scene, segments_of(scene), scene.wavelength_nm, window, degree)
    for deriv in (0, 1, 2):
        target = tmp_path / f"{deriv}.tif"
        done("smooth", path, "-w", window, "-d", degree, "--deriv", deriv, "-o", target)
        assert_agrees(read(target), expected[deriv], 1e-6)
    np.testing.assert_array_equal(pixels(tmp_path / "0.tif")[bbl == 0], array[bbl == 0])


@pytest.mark.parametrize(
    ("options", "known", "unit", "expected"),
    [
        (["--deriv", 0], True, "W", "W"),
        (["--deriv", 0], True, None, None),
        (["--deriv", 1], True, "W", "W/nm"),
        (["--deriv", 2], True, None, "1/nm^2"),
        (["--deriv", 1], False, None, "1/band"),
        (["--deriv", 2], False, "DN", "DN/band^2"),
        (["--deriv", 2, "--spacing", "band"], True, None, "1/band^2"),
        (["--deriv", 1, "--delta", "5nm"], False, None, "1/nm"),
    ],
)
@pytest.mark.parametrize("ending", ["tif", "img"])
def test_units_of_derivatives(
    options: list[Any],
    known: bool,
    unit: str | None,
    expected: str | None,
    ending: str,
    tmp_path: Path,
) -> None:
    items: dict[str, Any] = {"wavelength_nm": CENTRES} if known else {}
    items |= {} if unit is None else {"units": [unit] * BANDS}
    path = cubes.write_geotiff(tmp_path / "in.tif", cubes.spectra(BANDS, 3, 4), **items)
    target = tmp_path / f"out.{ending}"
    done("smooth", path, "-w5", "-d2", *options, "-o", target)
    table = done("info", target, "--json").json()["band_table"]
    assert {band["unit"] for band in table} == {expected}
    if ending == "tif":
        with cubes.open_quietly(target) as dataset:
            assert {u or None for u in dataset.units} == {expected}


@pytest.mark.parametrize(
    ("dtype", "layout"),
    [
        *((dtype, layout) for dtype in ("int16", "float32", "float64") for layout in LAYOUTS),
        *(("uint8", "pixel"), ("int32", "bil"), ("uint32", "packed")),
    ],
)
def test_types_and_nodata_in_every_layout(dtype: str, layout: str, tmp_path: Path) -> None:
    array = cubes.spectra(BANDS, 19, 18, dtype)
    made = "float64" if dtype == "float64" else "float32"
    nodata = 7
    array[array == nodata] += 1
    array[:, 2, 3] = nodata
    array[9, 4, 5] = nodata
    bbl = [int(band != 15) for band in range(BANDS)]
    path = make(tmp_path, array, layout, nodata=nodata, bbl=bbl)
    values = np.where(array == nodata, np.nan, array.astype(np.float64))
    scene = Scene(values, np.array(CENTRES), np.array(bbl) == 1)
    expected = fitted(scene, segments_of(scene), scene.wavelength_nm, 5, 2)
    for deriv in (0, 1):
        target = tmp_path / f"out{deriv}.tif"
        done("smooth", path, "-w5", "-d2", "--deriv", deriv, "-o", target)
        assert pixels(target).dtype == made
        assert_agrees(read(target), expected[deriv], 1e-6 if made == "float32" else 1e-13)
    found = done("info", target, "--json").json()
    assert (found["nodata"], found["former_nodata"]) == ("nan", nodata)


def test_a_large_offset_costs_no_digits(tmp_path: Path) -> None:
    t = np.linspace(0, 1, 200)
    array = (1000 + np.sin(6 * t)).astype(np.float32)[:, None, None] * np.ones((1, 2, 3), "f4")
    path = cubes.write_geotiff(tmp_path / "in.tif", array)
    done("smooth", path, "-w", 11, "-d", 3, "--deriv", 2, "-o", tmp_path / "out.tif")
    x = np.arange(200.0)
    scene = Scene(array.astype(np.float64), x, np.ones(200, bool))
    expected = fitted(scene, [list(range(200))], x, 11, 3)
    assert_agrees(read(tmp_path / "out.tif"), expected[2], 2e-6)


@pytest.mark.parametrize("ending", ["tif", "img"])
@pytest.mark.parametrize("deriv", [0, 1])
def test_scales_and_offsets_of_bands_are_fitted_as_physical_values(
    deriv: int, ending: str, tmp_path: Path
) -> None:
    numbers = range(BANDS)
    scales = [0.0001 * (1 + band / 7) for band in numbers]
    offsets = [0.1 * band - 0.3 for band in numbers]
    array = cubes.spectra(BANDS, 5, 6, "int16")
    items = {"wavelength_nm": CENTRES, "scales": scales, "offsets": offsets}
    path = cubes.write_geotiff(tmp_path / "in.tif", array, **items)
    target = tmp_path / f"out.{ending}"
    done("smooth", path, "-w5", "-d2", "--deriv", deriv, "-o", target)
    with cubes.open_quietly(target) as dataset:
        found = dataset.read().astype(np.float64)
        np.testing.assert_allclose(dataset.scales, scales, rtol=1e-15)
        np.testing.assert_allclose(dataset.offsets, offsets if deriv == 0 else [0] * BANDS)
    by_band = (slice(None), None, None)
    kept = np.array(offsets if deriv == 0 else [0.0] * BANDS)
    physical = found * np.array(scales)[by_band] + kept[by_band]
    values = array * np.array(scales)[by_band] + np.array(offsets)[by_band]
    scene = Scene(values, np.array(CENTRES), np.ones(BANDS, bool))
    expected = fitted(scene, segments_of(scene), scene.wavelength_nm, 5, 2)
    assert_agrees(physical, expected[deriv], 1e-6)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_wholly_empty_bands_count_as_bad(layout: str, tmp_path: Path) -> None:
    array = cubes.spectra(BANDS, 33, 18)
    array[[6, 7]] = -9999
    array[12] = -9999
    array[12, 31, 17] = 0.5  # a single sample: not empty
    path = make(tmp_path, array, layout, nodata=-9999)
    values = np.where(array == -9999, np.nan, array.astype(np.float64))
    good = np.isin(np.arange(BANDS), [6, 7], invert=True)
    scene = Scene(values, np.array(CENTRES), good)
    expected = fitted(scene, segments_of(scene), scene.wavelength_nm, 5, 2)
    answer = done("smooth", path, "-w5", "-d2", "-o", tmp_path / "out.tif")
    assert_agrees(read(tmp_path / "out.tif"), expected[0], 1e-6)
    assert answer.err.count("warning") == 1
    assert "(7, 8)" in answer.err


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_band_is_that_band_of_the_whole(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = cubes.spectra(BANDS, 19, 18, "int16")
    array[10, 3, 4] = 0
    bbl = [int(b != 7) for b in range(BANDS)]
    path = make(tmp_path, array, layout, nodata=0, bbl=bbl)
    settings = ["-w5", "-d2", "--deriv", 1]
    done("smooth", path, *settings, "-o", tmp_path / "whole.tif")
    whole = read(tmp_path / "whole.tif")
    asked = _watch_reads(monkeypatch)
    for band in (1, 4, 8, 9, 24):
        asked.clear()
        named = f"{CENTRES[band - 1]}nm" if band != 8 else band
        target = tmp_path / f"{band}.tif"
        done("smooth", path, *settings, "--band", named, "-o", target)
        found = read(target)[0]
        # A matrix product may add up in another order: equal but for the last digit.
        np.testing.assert_allclose(found, whole[band - 1], rtol=0, atol=1e-6 * np.nanmax(whole))
        # Up to three single rows are looked at to find bands without data.
        needed = set(range(max(band - 5, 0), band + 4))
        assert {b for rows, bands in asked if rows > 1 for b in bands} <= needed
        assert sum(rows for rows, bands in asked if len(bands) > 5) <= 3


def _watch_reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, list[int]]]:
    """The (rows, bands) of every block that is read from now on."""
    asked: list[tuple[int, list[int]]] = []

    def watched(read: Any) -> Any:
        def instead(self: Any, tile: Any, bands: Any = None, buffer: Any = None) -> Any:
            asked.append((tile.height, list(range(self.info.bands) if bands is None else bands)))
            return read(self, tile, bands, buffer)

        return instead

    for reader in (RawReader, RasterioReader):
        monkeypatch.setattr(reader, "read", watched(reader.read))
    return asked


def test_one_band_of_a_real_cube(shared_data: Path, tmp_path: Path) -> None:
    tile = shared_data / "enmap-box/potsdam_tiles/images/enmap_potsdam_tile_128_0.tif"
    done("smooth", tile, "-w5", "-d2", "-o", tmp_path / "whole.tif")
    answer = done("smooth", tile, "-w5", "-d2", "--band", "680nm", "-o", tmp_path / "one.tif")
    with rasterio.open(tile) as dataset:
        centres = [float(dataset.tags(b)["wavelength"]) for b in range(1, 225)]
    nearest = int(np.argmin(np.abs(np.array(centres) - 680)))
    assert f"band {nearest + 1} ({centres[nearest]:.10g} nm)" in answer.err
    assert_agrees(read(tmp_path / "one.tif"), read(tmp_path / "whole.tif")[[nearest]], 1e-6)
