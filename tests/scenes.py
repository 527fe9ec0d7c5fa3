"""Made scenes whose signal and noise are known, for tests of estimates."""

from __future__ import annotations

import cubes
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

STEP_NM = 8.0


def signal(bands: int = 64, rows: int = 96, columns: int = 96, seed: int = 0) -> Floats:
    """(band, row, column) smooth mixtures with absorptions a few bands wide."""
    smooth = cubes.spectra(bands, rows, columns, "float64", seed, noise=0.0)
    depth = cubes.spectra(4, rows, columns, "float64", seed + 1, noise=0.0)
    band = np.arange(bands)[:, None, None]
    for number, part in enumerate(depth):
        centre, width = bands * (number + 0.7) / 4.4, 2.0 + 0.7 * number
        smooth *= 1 - 0.5 * part * np.exp(-(((band - centre) / width) ** 2))
    return smooth


def noise(shape: tuple[int, ...], correlation: float, rng: np.random.Generator) -> Floats:
    """Noise of variance 1, as an autoregression along the first axis."""
    fresh = rng.standard_normal(shape)
    made = fresh.copy()
    for band in range(1, shape[0]):
        made[band] = correlation * made[band - 1] + np.sqrt(1 - correlation**2) * fresh[band]
    return made


def wavelengths(bands: int) -> list[float]:
    """Even steps, so that SciPy's filter is the truth."""
    return [400.0 + STEP_NM * band for band in range(bands)]


def pairs(cube: Floats) -> tuple[Floats, Floats]:
    """(pixels, bands) the pixels of every fourth row, and those to the left of them."""
    rows = np.moveaxis(cube, 0, -1)[::4]
    bands = len(cube)
    return rows[:, 1:].reshape(-1, bands), rows[:, :-1].reshape(-1, bands)
