"""The noise of a scene, from spectra and the spectra of their neighbours in the image.

Each band is regressed on its two spectral neighbours and on itself in the adjacent pixel, since a
scene can be told from these and noise cannot (spectral and spatial de-correlation, SSDC: Roger and
Arnold 1996, Int. J. Remote Sensing 17, 1951). The residuals hold the band's own noise and what the
regressors bring along; since the coefficients are known, that is solved for instead of neglected.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]
Flags = NDArray[np.bool_]

REGRESSORS = 4
"""Two spectral neighbours, the adjacent pixel and a constant."""

LAGS = (1, 2, 3)
"""Distances in bands at which the residuals tell how far the noise is correlated."""

ROUNDS = 25
"""After these the standard deviations change by less than 1 %, at the ends of segments too."""

LIMIT = 0.9
"""Noise of a higher correlation along the bands looks like signal."""


@dataclass(frozen=True)
class Correlation:
    """How noise is correlated along the bands: `first * decay**(k - 1)` between bands k apart.

    White noise has a `first` of 0; an autoregression has both equal; neighbouring bands that were
    mixed (as by resampling) have a `first` up to 1/2 and no decay to speak of, 0.
    """

    first: float = 0.0
    decay: float = 0.0

    def between(self, apart: Integers) -> Floats:
        """The correlation of bands some number of bands apart."""
        beyond: Floats = self.first * np.power(self.decay, np.maximum(apart - 1, 0))
        return np.where(apart == 0, 1.0, beyond)


@dataclass(frozen=True, eq=False)
class SceneNoise:
    """Noise as a strength for each band and one correlation for all, none between segments.

    Attributes:
        std: (bands,) standard deviation in each band.
        correlation: along the bands of a segment.
        segments: (bands,) the segment that each band belongs to.
    """

    std: Floats
    correlation: Correlation
    segments: Integers

    @property
    def covariance(self) -> Floats:
        """(bands, bands)"""
        band = np.arange(len(self.std))
        alike = self.correlation.between(np.abs(band[:, None] - band))
        alike[self.segments[:, None] != self.segments] = 0.0
        covariance: Floats = self.std[:, None] * alike * self.std
        return covariance


def estimate_noise(spectra: Floats, adjacent: Floats, segments: Sequence[range]) -> SceneNoise:
    """The noise of sampled spectra, given the spectrum beside each in the image.

    Estimated is what neither the two spectral neighbours nor the adjacent pixel foretell. For
    white noise, and noise correlated along the bands as `Correlation` can express, the median
    band is right to some 5 % (15 % for a correlation of 0.6, 30 % for 0.8). A scene that changes
    within three bands, as at narrow absorptions, counts as noise there. Noise that adjacent pixels
    share is misjudged (up to 25 % where half of it is shared), and not seen where it is nearly
    the same in all bands.

    Args:
        spectra: (pixels, bands) without missing samples, more than `REGRESSORS` pixels.
        adjacent: (pixels, bands) the spectra of the pixels beside them.
        segments: ranges of bands that follow each other; together they are all bands.
    """
    both = np.hstack([spectra, adjacent]).T
    both = both - both.mean(axis=1, keepdims=True)
    return noise_of_pairs(both @ both.T, len(spectra), segments)


def noise_of_pairs(scatter: Floats, pixels: int, segments: Sequence[range]) -> SceneNoise:
    """The same from sums, which can be had of any number of pixels.

    Args:
        scatter: (2 bands, 2 bands) sums of products of the deviations from their means, of the
            spectra stacked on those beside them.
        pixels: how many were added, more than `REGRESSORS`.
        segments: as in `estimate_noise`.
    """
    found = _regress(scatter, pixels, segments)
    best = Correlation()
    for step, reach in ((10, 9), (4, 2)):
        best = min(_near(best, step, reach), key=lambda tried: _misfit(found, tried))
    return SceneNoise(_std(found, best), best, found.segments)


def _near(middle: Correlation, step: int, reach: int) -> Iterator[Correlation]:
    """Possible correlations up to `reach` steps (in hundredths) from one of them.

    They fall with distance (else a part that is constant along the bands could not be told from
    white noise and scene), and no mixture of bands has noise of negative variance.
    """
    steps = [step * k for k in range(-reach, reach + 1)]
    for first in (round(100 * middle.first) + s for s in steps):
        for decay in (round(100 * middle.decay) + s for s in steps):
            if 0 <= decay <= first <= 100 * LIMIT and 2 * first <= 100 + decay:
                yield Correlation(first / 100, decay / 100)


@dataclass(frozen=True, eq=False)
class _Residuals:
    """Residuals as linear maps of two spectra, and their covariance at a few distances.

    Attributes:
        bands: (bands, 3) the band itself and its neighbours.
        weights: (bands, 3) what each contributes to the residual: 1, minus the coefficients.
        adjacent: (bands,) the coefficient of the adjacent pixel.
        covariance: (bands - lag,) of residuals of bands `lag` apart, for lag 0 and `LAGS`.
        segments: (bands,) the segment of each band.
    """

    bands: Integers
    weights: Floats
    adjacent: Floats
    covariance: tuple[Floats, ...]
    segments: Integers


def _regress(scatter: Floats, pixels: int, segments: Sequence[range]) -> _Residuals:
    """Least squares of every band, with a constant, by the normal equations."""
    count = len(scatter) // 2
    bands, own = np.repeat(np.arange(count)[:, None], 3, axis=1), np.zeros(count)
    weights, residual = np.zeros((count, 3)), np.eye(count, 2 * count)
    weights[:, 0] = 1.0
    for segment in segments:
        for band in segment:
            near = _neighbours(band, segment)
            fit = _fit(scatter, band, [*near, count + band])
            bands[band, 1 : 1 + len(near)], own[band] = near, fit[-1]
            weights[band, 1 : 1 + len(near)] = -fit[:-1]
            residual[band, [*near, count + band]] = -fit
    left = residual @ scatter @ residual.T / (pixels - REGRESSORS)
    covariance = tuple(np.diagonal(left, k).copy() for k in (0, *LAGS))
    np.maximum(covariance[0], 0.0, out=covariance[0])  # rounding, where nothing is left
    numbers = np.concatenate([np.full(len(s), k) for k, s in enumerate(segments)])
    return _Residuals(bands, weights, own, covariance, numbers)


def _fit(scatter: Floats, band: int, regressors: Sequence[int]) -> Floats:
    """The coefficients of the regressors, each scaled to 1 while they are solved for."""
    size: Floats = np.sqrt(scatter.diagonal()[list(regressors)])
    inverse: Floats = np.where(size > 0, 1 / np.where(size > 0, size, 1.0), 0.0)
    normal = inverse[:, None] * scatter[np.ix_(regressors, regressors)] * inverse
    right = inverse * scatter[regressors, band]
    fit: Floats = inverse * np.linalg.lstsq(normal, right, rcond=None)[0]
    return fit


def _lagged(values: Any, lag: int) -> tuple[Any, Any]:
    """The values of bands, and those of the bands `lag` further on."""
    return values[: max(len(values) - lag, 0)], values[lag:]


def _neighbours(band: int, segment: range) -> list[int]:
    """The two nearest bands of the segment; at its ends both lie on one side."""
    first = min(max(band - 1, segment.start), max(segment.stop - 3, segment.start))
    return [b for b in range(first, min(first + 3, segment.stop)) if b != band]


def _expected(found: _Residuals, std: Floats, correlation: Correlation, lag: int = 0) -> Floats:
    """(bands - lag,) the covariance of residuals `lag` apart that such noise would leave."""
    near, far = _lagged(found.bands, lag)
    alike = correlation.between(np.abs(near[:, :, None] - far[:, None, :]))
    loads = _lagged(found.weights * std[found.bands], lag)
    here, there = _lagged(found.adjacent * std, lag)
    expected: Floats = np.einsum("bi,bij,bj->b", loads[0], alike, loads[1])
    expected += here * there * correlation.between(np.array(lag))
    return expected


def _std(found: _Residuals, correlation: Correlation) -> Floats:
    """(bands,) the noise that explains the variance of every residual.

    Each round corrects a band by the ratio of the two variances, so that none turns negative.
    """
    variance = found.covariance[0]
    std = np.sqrt(variance)
    for _ in range(ROUNDS):
        expected = _expected(found, std, correlation)
        ratio = np.divide(variance, expected, out=np.zeros_like(std), where=expected > 0)
        std = std * np.sqrt(ratio)
    return std


def _misfit(found: _Residuals, correlation: Correlation) -> float:
    """How far expected and found correlations of the residuals differ, in the median band.

    The median, since a few bands where the scene itself is left over must not decide.
    """
    std, scale = _std(found, correlation), np.sqrt(found.covariance[0])
    total = 0.0
    for lag, covariance in zip(LAGS, found.covariance[1:], strict=True):
        here, there = _lagged(scale, lag)
        size = here * there
        paired = np.equal(*_lagged(found.segments, lag)) & (size > 0)
        if paired.any():
            apart = covariance - _expected(found, std, correlation, lag)
            total += float(np.median(np.abs(apart[paired] / size[paired])))
    return total
