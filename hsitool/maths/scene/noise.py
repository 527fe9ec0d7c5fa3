"""The noise of a scene from the moments of pairs: pixels stacked on the pixels beside them.

Pairs are taken from some lines of the image, at even columns: which they are does not hang on the
blocks in which the image is read, as long as these begin at even columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hsitool.device import array_module, device_of
from hsitool.maths.scene.moments import Moments
from hsitool.maths.spectra.noise import REGRESSORS, noise_of_pairs

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

PAIRS = 20_000
"""About as many are taken from a large scene: the noise is known to 1 % or so then."""

FEWEST = 4 * REGRESSORS
"""Pairs below which nothing is said about noise."""


def pair_step(pixels: int) -> int:
    """Every how many lines pairs are taken, in a scene of so many pixels."""
    return max(1, pixels // (2 * PAIRS))


def pair_moments(spectra: Floats, valid: Flags, row: int, column: int, step: int) -> Moments:
    """The moments of the pairs in a rectangle of the image.

    Args:
        spectra: (bands, rows, columns), on any device.
        valid: (rows, columns) pixels without missing samples, on the CPU.
        row: of the image, where the rectangle begins.
        column: likewise.
        step: as of `pair_step`.
    """
    here, odd = slice(-row % step, None, step), column % 2
    count = (valid.shape[1] - odd) // 2
    left, right = (slice(odd + k, odd + k + 2 * count, 2) for k in (0, 1))
    both = device_of(spectra).put(valid[here, left] & valid[here, right])
    sides = [spectra[:, here, right][:, both], spectra[:, here, left][:, both]]
    return Moments.of(array_module(spectra).concatenate(sides))


def regressed_noise(pairs: Moments, segments: Sequence[range]) -> Floats | None:
    """(bands,) what neither the spectral neighbours nor the adjacent pixel foretell of a band.

    None where there are too few pairs. `segments` are ranges of bands that follow each other.
    """
    if pairs.count < FEWEST:
        return None
    return noise_of_pairs(pairs.scatter, pairs.count, segments).std


def difference_noise(pairs: Moments) -> Floats | None:
    """(bands,) standard deviation of the difference of neighbours over sqrt(2).

    It holds the texture of the scene: on real ones it is 10 to 25 times the noise.
    """
    if pairs.count < FEWEST:
        return None
    bands = len(pairs.mean) // 2
    own, beside = np.split(pairs.scatter.diagonal(), 2)
    shared = pairs.scatter.diagonal(bands)
    variance: Floats = np.maximum(own + beside - 2 * shared, 0.0) / (2 * (pairs.count - 1))
    return np.sqrt(variance)
