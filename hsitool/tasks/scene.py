"""A sampled scene: its noise, and what operators do to its spectra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsitool.cube import CubeInfo
from hsitool.maths.spectra.noise import SceneNoise, estimate_noise
from hsitool.maths.spectra.operator import SpectralOperator
from hsitool.maths.spectra.segments import segment_bands
from hsitool.maths.spectra.tuning import Moments, moments, noise_share
from hsitool.storage.readers import CubeReader
from hsitool.tasks.sample import CELLS, draw_sample
from hsitool.tasks.smooth import SmoothSettings, fit_of

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SampledScene:
    """What is known of a cube from a sample, in physical values.

    Attributes:
        info: of the cube.
        bands: those that the sample holds, from 0; all others count as bad.
        segments: ranges of these bands that windows stay in.
        pixels: how many were sampled.
        noise: of these bands.
        seen: mean and covariance of the spectra with their noise.
    """

    info: CubeInfo
    bands: list[int]
    segments: list[range]
    pixels: int
    noise: SceneNoise
    seen: Moments

    def operator(self, settings: SmoothSettings) -> SpectralOperator:
        """What the settings ask for, on the physical values of all bands of the cube."""
        others = sorted(set(range(self.info.bands)) - set(self.bands))
        return fit_of(self.info, settings, others).operator

    def matrix(self, operator: SpectralOperator) -> Floats:
        """(bands, bands) what an operator does to the bands of the sample."""
        of_sample: Floats = operator.dense()[np.ix_(self.bands, self.bands)]
        return of_sample

    def noise_share(self, settings: SmoothSettings) -> float:
        """The part that noise has in the spread of a result, in the median band; else 0."""
        shares = noise_share(self.matrix(self.operator(settings)), self.noise.covariance, self.seen)
        known = shares[np.isfinite(shares)]
        return float(np.median(known)) if known.size else 0.0


def sample_scene(
    source: CubeReader,
    settings: SmoothSettings,
    empty: Sequence[int],
    pixels: int,
    seed: int,
    cells: int = CELLS,
) -> SampledScene:
    """Sample a cube and estimate its noise; `empty` bands count as bad.

    Raises:
        DataError: too few pixels or bands have data, or the file fails.
        UsageError: the settings cut the bands where they cannot be cut.
    """
    info = source.info
    good = [b for b in range(info.bands) if (info.good is None or info.good[b]) and b not in empty]
    sample = draw_sample(source, good, pixels, seed, cells)
    kept = [band in sample.bands for band in range(info.bands)]
    cuts = settings.split_gap, settings.split_at_nm
    lengths = [len(s) for s in segment_bands(info.bands, info.wavelength_nm, kept, *cuts)]
    ends = np.cumsum(lengths).tolist()
    segments = [range(end - length, end) for end, length in zip(ends, lengths, strict=True)]
    noise = estimate_noise(sample.spectra, sample.adjacent, segments)
    seen = moments(sample.spectra)
    return SampledScene(info, list(sample.bands), segments, len(sample.spectra), noise, seen)
