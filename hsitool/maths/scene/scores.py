"""Scores of spectra: how far from a background, or how much like targets. More is more.

Spectra are (bands, pixels); targets (bands,) or (bands, targets); scores (pixels,) or
(targets, pixels). All are float64.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular  # type: ignore[import-untyped]

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
    weights = np.asarray(solve_triangular(background.factor, scaled, lower=True, trans="T"))
    return np.asarray(weights.T @ (spectra - background.mean[:, None]))


def ace(spectra: Floats, targets: Floats, background: Background) -> Floats:
    """The cosine of x and t in the whitened space, signed: -1 to 1 (Kraut and Scharf 1999).

    Its square is what others call ACE, which gives the anti-target 2 m - t the score of the target.
    NaN at the mean, which has no direction.
    """
    return _cosine(background.whitened(spectra), _whitened_targets(targets, background))


def sam(spectra: Floats, targets: Floats) -> Floats:
    """Minus the angle between x and t in radians (spectral angle mapper, Kruse et al. 1993)."""
    return -np.arccos(np.clip(_cosine(spectra, targets), -1.0, 1.0))


def sid(spectra: Floats, targets: Floats) -> Floats:
    """Minus the spectral information divergence of x and t (Chang 2000), in nats.

    Samples below `FLOOR` of their spectrum's sum count as that; NaN where the sum is not positive.
    """
    p, q = _shares(spectra), _shares(targets)
    log_p, log_q = np.log(p), np.log(q)
    own, wanted = np.einsum("bn,bn->n", p, log_p), np.sum(q * log_q, axis=0)
    return np.asarray(q.T @ log_p + log_q.T @ p - np.add.outer(wanted, own))


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
    columns = targets.reshape(len(targets), -1)
    return background.whitened(columns).reshape(targets.shape)


def _squares(spectra: Floats) -> Floats:
    """Of the lengths of vectors, which lie along the first axis."""
    return np.asarray(np.einsum("b...,b...->...", spectra, spectra))


def _cosine(spectra: Floats, targets: Floats) -> Floats:
    products = targets.T @ spectra
    size = np.sqrt(np.multiply.outer(_squares(targets), _squares(spectra)))
    return np.divide(products, size, out=np.full_like(products, np.nan), where=size > 0)


def _shares(spectra: Floats) -> Floats:
    total = spectra.sum(axis=0)
    total = np.where(total > 0, total, np.nan)
    return np.maximum(spectra / total, FLOOR)
