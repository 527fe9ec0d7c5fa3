"""Mean and covariance of spectra as a fold: `a + b` are the moments of both.

Everything is float64 and centred before it is multiplied; sums of raw products lose what a scene
is told from (Chan, Golub and LeVeque 1983, Amer. Statist. 37, 242).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsitool.device import on_cpu

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """Of some spectra.

    Attributes:
        count: how many.
        mean: (bands,)
        scatter: (bands, bands) sum of the products of deviations from the mean.
    """

    count: int
    mean: Floats
    scatter: Floats

    @classmethod
    def none(cls, bands: int) -> Moments:
        """Of no spectra: what a sum begins with."""
        return cls(0, np.zeros(bands), np.zeros((bands, bands)))

    @classmethod
    def of(cls, spectra: Floats) -> Moments:
        """Of (bands, pixels) without missing samples, in either memory order, on any device."""
        bands, count = spectra.shape
        if count == 0:
            return cls.none(bands)
        mean = spectra.mean(axis=1)
        centred = spectra - mean[:, None]
        return cls(count, mean, centred @ centred.T)

    def __add__(self, other: Moments) -> Moments:
        """Of the spectra of both, which must not overlap."""
        count = self.count + other.count
        if self.count == 0 or other.count == 0:
            return self if other.count == 0 else other
        apart = other.mean - self.mean
        mean = self.mean + apart * (other.count / count)
        scatter = apart[:, None] * (apart * (self.count * other.count / count))
        scatter += self.scatter
        scatter += other.scatter
        return Moments(count, mean, scatter)

    def on_cpu(self) -> Moments:
        """The same in the memory of this machine."""
        return Moments(self.count, on_cpu(self.mean), on_cpu(self.scatter))

    @property
    def covariance(self) -> Floats:
        """(bands, bands), with the divisor count - 1; of two spectra or more."""
        covariance: Floats = self.scatter / (self.count - 1)
        return covariance
