"""Make `sample.tif`, a small made scene: vegetation, soil, a clay outcrop, a river and one roof.

Run `python data/make_sample.py [OUTPUT]`; the output defaults to `sample.tif` beside this script.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TypeVar

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine

Array = NDArray[np.float64]
Number = TypeVar("Number", float, Array)

ROWS, COLUMNS = 40, 48
SEED = 2200
NODATA = -9999
SCALE = 0.0001
TRANSFORM = Affine(30.0, 0.0, 412_000.0, 0.0, -30.0, 5_812_000.0)
WATER_VAPOUR = (1335.0, 1445.0)
BAD_BAND_NM = 1880.0


def band_step(wavelength: Number) -> Number:
    """Distance to the next band in nm: from 13 nm in the blue to 39 nm at the far end."""
    return 13.0 + 26.0 * (wavelength - 410.0) / 1990.0


def band_centres() -> Array:
    """Band centres in nm, unevenly spaced, with a gap where water vapour absorbs everything."""
    centres = [410.0]
    while centres[-1] < 2390.0:
        following = centres[-1] + band_step(centres[-1])
        inside_gap = WATER_VAPOUR[0] < following < WATER_VAPOUR[1]
        centres.append(WATER_VAPOUR[1] if inside_gap else following)
    return np.round(centres, 2)


def band_widths(wavelength: Array) -> Array:
    """Full widths at half maximum in nm, a tenth more than the step."""
    return np.round(1.1 * band_step(wavelength), 2)


def bump(wavelength: Array, centre: float, width: float) -> Array:
    """A Gaussian with a peak of 1."""
    return np.exp(-0.5 * ((wavelength - centre) / width) ** 2)


def rise(wavelength: Array, centre: float, width: float) -> Array:
    """A logistic step from 0 to 1."""
    return 1.0 / (1.0 + np.exp(-(wavelength - centre) / width))


def absorbed(wavelength: Array, *features: tuple[float, float, float]) -> Array:
    """What absorption features (centre, width, depth) leave of a spectrum."""
    left = np.ones_like(wavelength)
    for centre, width, depth in features:
        left *= 1.0 - depth * bump(wavelength, centre, width)
    return left


def vegetation(wl: Array) -> Array:
    """A green canopy: green peak, red edge at 718 nm, leaf water at 970, 1200, 1450, 1940 nm."""
    leaf = 0.03 + 0.05 * bump(wl, 552, 32) + 0.47 * rise(wl, 718, 14)
    water = absorbed(wl, (970, 30, 0.08), (1200, 40, 0.15), (1450, 65, 0.6), (1940, 75, 0.75))
    return leaf * water * (1.0 - 0.75 * rise(wl, 1700, 350))


def soil(wl: Array) -> Array:
    """A brown soil: rising, with iron at 870 nm, water at 1930 nm and a little clay at 2205 nm."""
    brown = 0.06 + 0.32 * (1.0 - np.exp(-(wl - 400.0) / 700.0))
    return brown * absorbed(wl, (870, 60, 0.06), (1930, 40, 0.15), (2205, 28, 0.06))


def clay(wl: Array) -> Array:
    """A kaolinite-like outcrop: bright, with the doublet at 2165 and 2207 nm."""
    bright = 0.24 + 0.36 * rise(wl, 600, 90)
    return bright * absorbed(
        wl, (1420, 40, 0.25), (1915, 35, 0.2), (2165, 18, 0.2), (2207, 24, 0.4)
    )


def water(wl: Array) -> Array:
    """A clear river: dark, and black beyond the visible."""
    return 0.004 + 0.06 * np.exp(-(wl - 410.0) / 160.0) + 0.02 * bump(wl, 560, 45)


def roof(wl: Array) -> Array:
    """Red paint with the hydrocarbon features at 1730 and 2310 nm: the rare target."""
    red = 0.07 + 0.45 * rise(wl, 600, 12)
    return red * absorbed(wl, (1210, 30, 0.1), (1730, 25, 0.3), (2310, 35, 0.4))


def texture(rng: np.random.Generator) -> Array:
    """A smooth random field (row, column) of about unit variance."""
    row, column = np.mgrid[:ROWS, :COLUMNS]
    field = np.zeros((ROWS, COLUMNS))
    for _ in range(12):
        y, x = rng.uniform(-0.35, 0.35, 2)
        field += np.cos(y * row + x * column + rng.uniform(0.0, 2.0 * np.pi))
    return np.asarray(field / np.sqrt(6.0))


def fractions(rng: np.random.Generator) -> Array:
    """How much of each pixel is vegetation, soil, clay, water and roof; sums to 1 over axis 0."""
    row, column = np.mgrid[:ROWS, :COLUMNS].astype(float)
    river = rise(1.8 - np.abs(column - 33.0 - 5.0 * np.sin(row / 7.0)), 0.0, 0.35)
    outcrop = 0.85 * np.exp(-(((row - 28.0) / 6.0) ** 2 + ((column - 12.0) / 8.0) ** 2))
    house = np.zeros_like(row)
    house[9:11, 21:24] = 0.9
    left = np.ones_like(row)
    shares = []
    for cover in (house, river, outcrop, rise(texture(rng), 0.0, 0.4)):
        shares.append(left * cover)
        left = left - shares[-1]
    of_house, of_river, of_outcrop, of_plants = shares
    return np.stack([of_plants, left, of_outcrop, of_river, of_house])


def noise_level(wavelength: Array) -> Array:
    """Standard deviation of the noise in reflectance: worst in the blue, in vapour, at the end."""
    level = 0.005 * (1.0 + 2.0 * rise(-wavelength, -440, 12) + 2.0 * rise(wavelength, 2330, 25))
    level += 0.006 * (bump(wavelength, 1390, 45) + bump(wavelength, 1880, 40))
    level[bad_band(wavelength)] = 0.05
    return level


def bad_band(wavelength: Array) -> int:
    """Index of the band that water vapour leaves without signal."""
    return int(np.argmin(np.abs(wavelength - BAD_BAND_NM)))


def missing(bands: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Where there is no data: a corner outside the swath, and a few values inside it."""
    row, column = np.mgrid[:ROWS, :COLUMNS]
    gone = np.broadcast_to(row + 0.6 * column > 60.0, (bands, ROWS, COLUMNS)).copy()
    for _ in range(5):
        band, line, sample = rng.integers((0, 0, 0), (bands - 3, 30, 40))
        gone[band : band + 3, line, sample] = True
    return gone


def scene(wavelength: Array) -> NDArray[np.int16]:
    """The stored values (band, row, column)."""
    rng = np.random.default_rng(SEED)
    materials = np.stack([make(wavelength) for make in (vegetation, soil, clay, water, roof)])
    light = 1.0 + 0.06 * texture(rng)
    reflectance = light * np.einsum("mb,mrc->brc", materials, fractions(rng))
    reflectance += noise_level(wavelength)[:, None, None] * rng.normal(size=reflectance.shape)
    stored: NDArray[np.int16] = np.round(reflectance / SCALE).astype(np.int16)
    stored[missing(len(wavelength), rng)] = NODATA
    return stored


def describe(dataset: rasterio.io.DatasetWriter, wavelength: Array) -> None:
    """Write scale, names and the spectral items of every band."""
    count = len(wavelength)
    dataset.scales = [SCALE] * count
    dataset.descriptions = [f"B{number:02d}" for number in range(1, count + 1)]
    dataset.update_tags(TITLE="made sample scene", QUANTITY="surface reflectance")
    bad = bad_band(wavelength)
    for index, (centre, width) in enumerate(zip(wavelength, band_widths(wavelength), strict=True)):
        dataset.update_tags(
            index + 1,
            wavelength=f"{centre:.2f}",
            wavelength_units="Nanometers",
            fwhm=f"{width:.2f}",
            bbl=str(int(index != bad)),
        )
        dataset.update_tags(
            index + 1,
            ns="IMAGERY",
            CENTRAL_WAVELENGTH_UM=f"{centre / 1000:.5f}",
            FWHM_UM=f"{width / 1000:.5f}",
        )


def make(path: Path) -> None:
    """Write the sample to `path`."""
    wavelength = band_centres()
    profile = {
        "driver": "GTiff",
        "width": COLUMNS,
        "height": ROWS,
        "count": len(wavelength),
        "dtype": "int16",
        "crs": "EPSG:32633",
        "transform": TRANSFORM,
        "nodata": NODATA,
        "interleave": "pixel",
        "compress": "deflate",
        "predictor": 2,
        "zlevel": 9,
        "blockysize": 8,
        "photometric": "MINISBLACK",
    }
    with rasterio.open(path, "w", **profile) as dataset:
        describe(dataset, wavelength)
        dataset.write(scene(wavelength))


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("sample.tif"))
