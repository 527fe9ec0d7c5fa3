"""`smooth` on real cubes against least-squares fits written from its description alone."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import cubes
import numpy as np
import pytest
from command import done
from fits import Scene, assert_agrees, fitted, read, segments_of
from numpy.typing import NDArray
from says import header_texts, listed
from scipy.signal import savgol_filter

REAL = {
    "enmap": "enmap-box/potsdam_tiles/images/enmap_potsdam_tile_128_0.tif",
    "aviris": "isofit/topoflux/ang20160910t185702_2rdn_img",
    "fenix": "napari_hippo/image.hdr",
    "corn": "plantcv/corn-kernel-hyperspectral.raw",
}


@cache
def real_scene(name: str, folder: Path) -> Scene:
    """One of the real cubes: pixels by NumPy or rasterio, metadata from their plain texts."""
    path = folder / REAL[name]
    if name == "enmap":
        with cubes.open_quietly(path) as dataset:
            tags = [dataset.tags(band) for band in range(1, dataset.count + 1)]
            stored, nodata = dataset.read(), -32768.0
        centres = [float(t["wavelength"]) for t in tags]
        good = np.array([t["bbl"] == "1" for t in tags])
        return _scene(stored, nodata, centres, good)
    header = header_texts(path.with_name(path.stem + ".hdr"))
    shape = tuple(int(header[key]) for key in ("bands", "lines", "samples"))
    dtype = {"4": "<f4", "12": "<u2"}[header["data type"]]
    data = path.with_suffix(".dat") if name == "fenix" else path
    flat = np.fromfile(data, dtype)
    order = cubes.ENVI_AXES[header["interleave"]]
    stored = flat.reshape([shape[axis] for axis in order]).transpose(np.argsort(order))
    named = [text.split()[0] for text in listed(header.get("band names", ""))]
    centres = [float(text) for text in listed(header.get("wavelength", "")) or named]
    nodata = float(header["data ignore value"]) if "data ignore value" in header else None
    scale = 1 / float(header.get("reflectance scale factor", "1"))
    return _scene(stored, nodata, centres, np.ones(shape[0], bool), scale)


def _scene(
    stored: NDArray[Any],
    nodata: float | None,
    centres: list[float],
    good: NDArray[np.bool_],
    scale: float = 1.0,
) -> Scene:
    values = np.where(stored == nodata, np.nan, stored.astype(np.float64) * scale)
    good = good & ~np.isnan(values).all(axis=(1, 2))
    return Scene(values, np.array(centres), good, scale)


@pytest.mark.parametrize("name", REAL)
def test_gaps_of_real_cubes_do_not_hang_on_what_local_means(name: str, shared_data: Path) -> None:
    scene = real_scene(name, shared_data)
    for reach in (3, 4, 6, 8, 12):
        assert segments_of(scene, reach=reach) == segments_of(scene)


@pytest.mark.parametrize(("window", "degree"), [(5, 2), (7, 3)])
@pytest.mark.parametrize("name", REAL)
def test_real_cube_agrees_with_a_fit_of_every_window(
    name: str, window: int, degree: int, shared_data: Path, tmp_path: Path
) -> None:
    scene = real_scene(name, shared_data)
    expected = fitted(scene, segments_of(scene), scene.wavelength_nm, window, degree)
    for deriv in (0, 1, 2):
        target = tmp_path / f"{deriv}.tif"
        settings = ["-w", window, "-d", degree, "--deriv", deriv, "-o", target]
        done("smooth", shared_data / REAL[name], *settings)
        assert_agrees(read(target, scene.scale), expected[deriv], 1e-6)
    assert np.isnan(expected[2]).any() == (name in ("enmap", "fenix"))


@pytest.mark.parametrize(
    ("name", "option", "changed"),
    [
        ("fenix", ["--split-at", "970nm"], {"seams": (970.0,)}),
        ("fenix", ["--split-at", "0.97um,1500nm"], {"seams": (970.0, 1500.0)}),
        ("enmap", ["--split-gap", "off"], {"split_gap": np.inf}),
        ("enmap", ["--split-gap", "10.5nm"], {"split_gap": 10.5}),
        ("aviris", ["--split-gap", "off"], {"split_gap": np.inf}),
    ],
)
def test_splits_that_are_asked_for(
    name: str, option: list[str], changed: dict[str, Any], shared_data: Path, tmp_path: Path
) -> None:
    scene = real_scene(name, shared_data)
    segments = segments_of(scene, **changed)
    assert segments != segments_of(scene) or name == "aviris"
    expected = fitted(scene, segments, scene.wavelength_nm, 7, 2)
    target = tmp_path / "out.tif"
    done("smooth", shared_data / REAL[name], "-w", 7, "-d", 2, "--deriv", 1, *option, "-o", target)
    assert_agrees(read(target, scene.scale), expected[1], 1e-6)


@pytest.mark.parametrize(
    ("option", "step"), [(["--delta", "5nm"], 5.0), (["--spacing", "band"], 1.0)]
)
def test_one_step_between_all_bands(
    option: list[str], step: float, shared_data: Path, tmp_path: Path
) -> None:
    scene = real_scene("enmap", shared_data)
    x = step * np.arange(len(scene.good), dtype=np.float64)
    expected = fitted(scene, segments_of(scene), x, 5, 2)
    target = tmp_path / "out.tif"
    done("smooth", shared_data / REAL["enmap"], "-w5", "-d2", "--deriv", 2, *option, "-o", target)
    assert_agrees(read(target), expected[2], 1e-6)


@pytest.mark.parametrize(
    ("dtype", "tolerance", "window", "degree", "deriv"),
    [("float32", 1e-6, 5, 2, 2), ("float64", 1e-12, 7, 3, 1), ("float64", 1e-12, 5, 2, 0)],
)
@pytest.mark.parametrize("name", REAL)
def test_band_spacing_equals_scipy(
    name: str,
    dtype: str,
    tolerance: float,
    window: int,
    degree: int,
    deriv: int,
    shared_data: Path,
    tmp_path: Path,
) -> None:
    scene = real_scene(name, shared_data)
    source, target = tmp_path / "in.tif", tmp_path / "out.tif"
    stored = scene.values[:, :12, :12].astype(dtype)
    items = {"wavelength_nm": scene.wavelength_nm.tolist(), "bbl": scene.good.astype(int)}
    cubes.write_geotiff(source, stored, nodata=float("nan"), **items)
    settings = ["-w", window, "-d", degree, "--deriv", deriv, "--spacing", "band"]
    done("smooth", source, *settings, "-o", target)
    found = read(target)
    filled = np.where(np.isnan(stored), 0.0, stored.astype(np.float64))
    expected = np.full_like(found, np.nan)
    for segment in segments_of(scene):
        assert len(segment) >= window
        expected[segment] = savgol_filter(filled[segment], window, degree, deriv=deriv, axis=0)
        expected[:, np.isnan(stored[segment]).any(axis=0)] = np.nan
    there = ~np.isnan(found)
    largest = np.nanmax(np.abs(expected))
    assert there.mean() > 0.9
    assert np.abs(found - expected)[there & ~np.isnan(expected)].max() <= tolerance * largest
