"""Savitzky-Golay by `numpy.polyfit`, window by window: the truth that `smooth` is held against.

Written from the description of the command alone; nothing of the code under test is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial
from pathlib import Path

import cubes
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """A cube as an independent reader sees it: stored values times `scale`, NaN where missing."""

    values: Floats
    wavelength_nm: Floats
    good: NDArray[np.bool_]
    scale: float = 1.0


def segments_of(
    scene: Scene,
    split_gap: float | str = "auto",
    seams: tuple[float, ...] = (),
    reach: int = 5,
) -> list[list[int]]:
    """Runs of good bands that no window crosses, band by band."""
    centres = scene.wavelength_nm
    usable = [i for i in range(1, len(centres)) if scene.good[i] and scene.good[i - 1]]
    step = {i: float(centres[i] - centres[i - 1]) for i in range(1, len(centres))}
    bounds = {i for i in step if step[i] <= 0}
    runs = np.split(usable, np.searchsorted(usable, sorted(bounds)))
    for run in ([i for i in run if i not in bounds] for run in runs):
        if split_gap == "auto" and len(centres) >= 20:
            sizes = [step[i] for i in run]
            bounds |= {i for k, i in enumerate(run) if step[i] > 3 * _median_near(sizes, k, reach)}
        elif not isinstance(split_gap, str):
            bounds |= {i for i in run if step[i] > split_gap}
    bounds |= {i for i in usable for seam in seams if centres[i - 1] < seam <= centres[i]}
    segments: list[list[int]] = [[]]
    for band, is_good in enumerate(scene.good):
        if band in bounds or not is_good:
            segments.append([])
        if is_good:
            segments[-1].append(band)
    return [segment for segment in segments if segment]


def _median_near(sizes: list[float], k: int, reach: int) -> float:
    """The median of the steps around step `k`, without itself."""
    near = sizes[max(k - reach, 0) : k] + sizes[k + 1 : k + 1 + reach]
    return float(np.median(near)) if near else np.inf


def fitted(scene: Scene, segments: list[list[int]], x: Floats, window: int, degree: int) -> Floats:
    """Smoothed values and two derivatives, (3, band, row, column): a float64 fit per window.

    Where samples of a window are missing, the others are fitted, unless the noise gain is too high.
    """
    out = np.full((3, *scene.values.shape), np.nan)
    out[0] = scene.values
    for segment in segments:
        size = min(window, len(segment))
        odd = size - 1 + size % 2
        size = odd if odd > degree else size
        if size <= degree:
            continue
        for place, band in enumerate(segment):
            first = min(max(place - size // 2, 0), len(segment) - size)
            inside = segment[first : first + size]
            values = scene.values[inside]
            out[:, band] = _fit(x[inside] - x[band], values, degree)
            _fit_others(out[:, band], x[inside] - x[band], values, degree)
            out[:, band, np.isnan(scene.values[band])] = np.nan
    return out


def _fit_others(out: Floats, x: Floats, values: Floats, degree: int) -> None:
    """Fill in the pixels that miss some samples of a window, each pattern of them by itself."""
    missing = np.isnan(values)
    patterns = np.unique(missing.reshape(len(x), -1), axis=1).T
    for pattern in patterns[patterns.any(axis=1) & ((~patterns).sum(axis=1) > degree)]:
        pixels = (missing == pattern[:, None, None]).all(axis=0)
        found = _fit(x[~pattern], values[~pattern][:, pixels][:, None], degree)[:, 0]
        full, part = gains(x, degree), gains(x[~pattern], degree)
        limits = [1.0, *(3 * gain for gain in full[1:])]
        for order, (gain, limit) in enumerate(zip(part, limits, strict=True)):
            if gain <= limit * (1 + 1e-8):
                out[order, pixels] = found[order]


def gains(x: Floats, degree: int) -> list[float]:
    """sqrt(sum w^2) of the weights of the value and two derivatives at 0, by the pseudo-inverse."""
    reach = np.abs(x).max()
    inverse = np.linalg.pinv(np.vander(x / reach, degree + 1, increasing=True))
    rows = [factorial(k) / reach**k * inverse[k] for k in range(min(degree, 2) + 1)]
    return [float(np.sqrt(np.sum(row**2))) for row in rows]


def _fit(x: Floats, values: Floats, degree: int) -> Floats:
    """The polynomial through every pixel's samples, and its derivatives, at x = 0."""
    reach = np.abs(x).max()
    missing = np.isnan(values).any(axis=0)
    columns = np.where(missing, 0.0, values).reshape(len(x), -1)
    coefficients = np.polyfit(x / reach, columns, degree)[::-1][:3]
    factors = np.array([factorial(k) / reach**k for k in range(len(coefficients))])
    results = np.zeros((3, *missing.shape))
    results[: len(factors)] = (factors[:, None] * coefficients).reshape(-1, *missing.shape)
    return np.where(missing, np.nan, results)


def read(path: Path, scale: float = 1.0) -> Floats:
    """A result in physical values, NaN where it says there is no data."""
    with cubes.open_quietly(path) as dataset:
        assert dataset.nodata is not None
        assert np.isnan(dataset.nodata)
        return dataset.read().astype(np.float64) * scale


def assert_agrees(found: Floats, expected: Floats, tolerance: float) -> None:
    """The same samples missing, the others within a share of the largest one."""
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    largest = np.nanmax(np.abs(expected))
    assert np.nanmax(np.abs(found - expected)) <= tolerance * largest
