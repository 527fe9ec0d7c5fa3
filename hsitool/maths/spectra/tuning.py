"""How far a linear filter along the bands is from the scene, without knowing the scene.

Stein's unbiased risk estimate (Stein 1981, Ann. Statist. 9, 1135) for a linear filter: what noise
of known covariance adds to the distance between output and input is taken off again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean (bands,) and covariance (bands, bands) of some spectra."""

    mean: Floats
    covariance: Floats


def moments(spectra: Floats) -> Moments:
    """The moments of (pixels, bands), divided by the number of pixels."""
    mean = spectra.mean(axis=0)
    centred = spectra - mean
    return Moments(mean, centred.T @ centred / len(spectra))


def estimated_risk(filtered: Floats, wanted: Floats, noise: Floats, seen: Moments) -> Floats:
    """(outputs,) estimates of the mean squared difference of `filtered @ y` and `wanted @ s`.

    y = s + e are spectra seen, of moments `seen`; the noise e has mean 0 and covariance `noise`
    (C). With F and T for the two operators it is, band by band, the mean of (F y - T y)^2 plus
    2 (F C T') - T C T'; T is the identity for smoothing. An estimate may come out negative.

    Args:
        filtered: (outputs, bands) the filter.
        wanted: (outputs, bands) what it should do to spectra without noise.
        noise: (bands, bands)
        seen: of the spectra with their noise.
    """
    apart = filtered - wanted
    distance = _diagonal(apart, seen.covariance) + (apart @ seen.mean) ** 2
    target_noise = wanted @ noise
    shared = np.sum(filtered * target_noise, axis=1)
    own = np.sum(wanted * target_noise, axis=1)
    risk: Floats = distance + 2 * shared - own
    return risk


def noise_share(operator: Floats, noise: Floats, seen: Moments) -> Floats:
    """(outputs,) standard deviation of the noise per that of all that `operator` makes of spectra.

    NaN where an output does not vary at all.
    """
    of_noise, of_all = _diagonal(operator, noise), _diagonal(operator, seen.covariance)
    blank = np.full_like(of_all, np.nan)
    share: Floats = np.sqrt(np.divide(of_noise, of_all, out=blank, where=of_all > 0))
    return share


def _diagonal(operator: Floats, covariance: Floats) -> Floats:
    """(outputs,) variances of the outputs: the diagonal of O C O'."""
    variances: Floats = np.sum((operator @ covariance) * operator, axis=1)
    return variances
