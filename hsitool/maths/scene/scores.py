"""Scores of spectra: how far from a background, or how much like targets. More is more.

Spectra are (bands, pixels); targets (bands,) or (bands, targets); scores (pixels,) or
(targets, pixels). All are float64. Spectra may be arrays of CuPy, and the scores are then;
backgrounds are on the CPU, and sent to where the spectra are.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular  # type: ignore[import-untyped]

from hsitool.device import array_module, device_of, on_cpu
from hsitool.maths.scene.model import Background, Shrink

Floats = NDArray[np.float64]
Method = Literal["ace", "mf", "sam", "sid"]

FLOOR = 1e-6
"""The least share that a band has in the sum of a spectrum, where logarithms are taken."""

WIDE = Shrink("noise", 3000.0)
"""For a target that may fill much of the scene."""

ALIKE = 0.7
"""Pixels of at least this ACE, by the wide ridge, count as filled by the target."""

MUCH = 1 / 30
"""Of the scene: a target that fills more is scored by the wide ridge."""


def rx(spectra: Floats, background: Background) -> Floats:
    """(x - m)' S^-1 (x - m), the squared Mahalanobis distance (Reed and Yu 1990).

    Its mean over the n pixels that an unregularised background was fitted to is B (n - 1) / n.
    """
    return _squares(background.whitened(spectra))


def matched_filter(spectra: Floats, targets: Floats, background: Background) -> Floats:
    """d' S^-1 (x - m) / d' S^-1 d with d = t - m: 1 at the target, 0 at the mean."""
    wanted = _whitened_targets(targets, background)
    scaled = wanted / _squares(wanted)
    weights = solve_triangular(background.factor, scaled, lower=True, trans="T")
    put = device_of(spectra).put
    found: Floats = put(weights).T @ (spectra - put(background.mean)[:, None])
    return found


def ace(spectra: Floats, targets: Floats, background: Background) -> Floats:
    """The cosine of x and t in the whitened space, signed: -1 to 1 (Kraut and Scharf 1999).

    Its square is what others call ACE, which gives the anti-target 2 m - t the score of the target.
    NaN at the mean, which has no direction.
    """
    wanted = device_of(spectra).put(_whitened_targets(targets, background))
    return _cosine(background.whitened(spectra), wanted)


def sam(spectra: Floats, targets: Floats) -> Floats:
    """Minus the angle between x and t in radians (spectral angle mapper, Kruse et al. 1993)."""
    xp = array_module(spectra)
    cosine = _cosine(spectra, device_of(spectra).put(targets))
    angle: Floats = xp.arccos(xp.clip(cosine, -1.0, 1.0))
    return -angle


def sid(spectra: Floats, targets: Floats) -> Floats:
    """Minus the spectral information divergence of x and t (Chang 2000), in nats.

    Samples below `FLOOR` of their spectrum's sum count as that; NaN where the sum is not positive.
    """
    xp = array_module(spectra)
    p, q = _shares(spectra), _shares(device_of(spectra).put(targets))
    log_p, log_q = xp.log(p), xp.log(q)
    own, wanted = xp.einsum("bn,bn->n", p, log_p), (q * log_q).sum(axis=0)
    found: Floats = q.T @ log_p + log_q.T @ p - (wanted[..., None] + own)
    return found


def score(method: Method, spectra: Floats, targets: Floats, background: Background) -> Floats:
    """By the name of the method; `sam` and `sid` are not relative to the background."""
    if method == "sam":
        return sam(spectra, targets)
    if method == "sid":
        return sid(spectra, targets)
    return (ace if method == "ace" else matched_filter)(spectra, targets, background)


def largest_share(target: Floats, background: Background) -> float:
    """The largest share f of the scene that a target (bands,) may fill.

    Pixels that are the target put f (1 - f) dd' into the covariance, where d leads to it from the
    mean of the others; so its squared distance from the mean of all is (1 - f) / f at most.
    """
    return float(1 / (1 + _squares(_whitened_targets(target, background))))


def shrink_for(share: float) -> Shrink:
    """How to shrink for a target that fills that share of the scene.

    Where a target fills much of the scene, its own variation is what the covariance holds, and a
    small ridge takes it away; a rare one stands out better by a small ridge (see the README).
    """
    return WIDE if share > MUCH else Shrink()


def _whitened_targets(targets: Floats, background: Background) -> Floats:
    """On the CPU, as targets are few."""
    targets = on_cpu(targets)
    columns = targets.reshape(len(targets), -1)
    return background.whitened(columns).reshape(targets.shape)


def _squares(spectra: Floats) -> Floats:
    """Of the lengths of vectors, which lie along the first axis."""
    squares: Floats = array_module(spectra).einsum("b...,b...->...", spectra, spectra)
    return squares


def _cosine(spectra: Floats, targets: Floats) -> Floats:
    """NaN where one of the two is 0; both are on one device."""
    xp = array_module(spectra)
    size = xp.sqrt(_squares(targets)[..., None] * _squares(spectra))
    cosine: Floats = (targets.T @ spectra) / xp.where(size > 0, size, np.nan)
    return cosine


def _shares(spectra: Floats) -> Floats:
    xp = array_module(spectra)
    total = spectra.sum(axis=0)
    shares: Floats = xp.maximum(spectra / xp.where(total > 0, total, np.nan), FLOOR)
    return shares
