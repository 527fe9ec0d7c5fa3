"""Spectra at the bands of another instrument."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr  # type: ignore[import-untyped]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

SIGMA_PER_FWHM = 1 / (2 * np.sqrt(2 * np.log(2)))
SAME_CENTRE = 0.01
"""Centres closer than this part of a band's width are the same."""

GAP = 3.0
"""A step of more than so many median steps, and wider than the band, holds no samples."""

REACH = 9  # standard deviations, beyond which a Gaussian holds nothing that float64 could tell

FACTORS = (1e2, 1e3, 1e4, 1e5)
"""What reflectances are multiplied by to be stored as whole numbers, and percent."""


def resample(
    values: Floats,
    at_nm: Sequence[float],
    centre_nm: Sequence[float],
    fwhm_nm: Sequence[float] | None = None,
    own_fwhm_nm: Sequence[float] | None = None,
) -> Floats:
    """(bands,) a spectrum seen through Gaussian bands; NaN where it does not cover them.

    `values` (samples,) at the wavelengths `at_nm`, in any order, are joined by straight lines, and
    each band is the exact integral of these under its Gaussian. Where `fwhm_nm` is None a band is
    as wide as its local step. Samples that were themselves seen with `own_fwhm_nm` are widened
    only by what is missing: widths of Gaussians add in squares. At the same centres the samples
    are what they are. A band is covered where half its FWHM on both sides lies between samples, in
    no gap; samples of NaN leave a gap.
    """
    centres = np.asarray(centre_nm, np.float64)
    widths = local_steps(centres) if fwhm_nm is None else np.asarray(fwhm_nm, np.float64)
    if same_centres(at_nm, centres, widths):
        return np.array(values, np.float64)
    there = np.isfinite(values)
    at, samples = _sorted(np.asarray(at_nm, np.float64)[there], np.asarray(values)[there])
    if len(at) < 2:
        return np.full(len(centres), np.nan)
    sigma = SIGMA_PER_FWHM * widths
    if own_fwhm_nm is not None:
        own = SIGMA_PER_FWHM * np.interp(centres, *_sorted(np.asarray(at_nm), own_fwhm_nm))
        sigma = np.sqrt(np.maximum(sigma**2 - own**2, 0.0))
    seen = np.array([_through(at, samples, c, s) for c, s in zip(centres, sigma, strict=True)])
    return np.where(covered(at, centres, widths), seen, np.nan)


def same_centres(
    at_nm: Sequence[float], centre_nm: Sequence[float] | Floats, fwhm_nm: Floats | None = None
) -> bool:
    """Whether samples are at the bands' own centres, in their order."""
    if len(at_nm) != len(centre_nm):
        return False
    centres = np.asarray(centre_nm, np.float64)
    widths = local_steps(centres) if fwhm_nm is None else fwhm_nm
    return bool(np.all(np.abs(np.asarray(at_nm) - centres) <= SAME_CENTRE * widths))


def covered(at_nm: Floats, centre_nm: Floats, fwhm_nm: Floats) -> Flags:
    """Whether samples at sorted wavelengths lie around each band."""
    inside = (centre_nm - fwhm_nm / 2 >= at_nm[0]) & (centre_nm + fwhm_nm / 2 <= at_nm[-1])
    steps = np.diff(at_nm)
    step = steps[np.clip(np.searchsorted(at_nm, centre_nm) - 1, 0, len(steps) - 1)]
    gap = (step > GAP * np.median(steps)) & (step > fwhm_nm)
    there: Flags = inside & ~gap
    return there


def local_steps(centre_nm: Floats) -> Floats:
    """The smaller step to a neighbour of each band: seams of detectors are no steps of bands."""
    steps = np.abs(np.diff(centre_nm))
    steps[steps == 0] = np.inf
    around = np.minimum(np.append(steps, np.inf), np.append(np.inf, steps))
    return np.where(np.isfinite(around), around, 0.0)


def probable_factor(query: Floats, scene: Floats) -> float | None:
    """The factor that `query` probably lacks to be in the scene's units; None where none is likely.

    Sizes are compared by their medians; within a factor of 3 of a usual one is likely.
    """
    own, other = (float(np.median(np.abs(v[np.isfinite(v)]))) for v in (query, scene))
    if not (own > 0 and other > 0):
        return None
    for factor in (*FACTORS, *(1 / f for f in FACTORS)):
        if abs(np.log(other / own / factor)) < np.log(np.sqrt(10)):
            return factor
    return None


def _sorted(at: Floats, values: Sequence[float] | Floats) -> tuple[Floats, Floats]:
    """Samples in order of wavelength, those at the same one as their mean."""
    places, inverse, counts = np.unique(at, return_inverse=True, return_counts=True)
    return places, np.bincount(inverse, np.asarray(values, np.float64)) / counts


def _through(at: Floats, values: Floats, centre: float, sigma: float) -> float:
    """The mean of a piecewise linear function under a Gaussian, as far as it reaches.

    On a piece f(x) = f(c) + m (x - c), and the integral of (x - c) g is -sigma^2 times the rise
    of g.
    """
    if sigma <= 0:
        return float(np.interp(centre, at, values, np.nan, np.nan))
    reach = np.searchsorted(at, [centre - REACH * sigma, centre + REACH * sigma])
    part = slice(max(int(reach[0]) - 1, 0), int(reach[1]) + 1)
    x, f = (at[part] - centre) / sigma, values[part]
    share = np.diff(ndtr(x))
    rise = np.diff(np.exp(-x * x / 2)) / np.sqrt(2 * np.pi)
    slope = np.diff(f) / np.diff(x)
    total = np.sum((f[:-1] - slope * x[:-1]) * share - slope * rise)
    return float(total / np.sum(share)) if np.sum(share) > 0 else float("nan")
