"""Scores of spectra: how far from a background, or how much like a target. More is more.

Spectra are (bands, pixels), targets (bands,), scores (pixels,), all float64.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hsitool.maths.scene.model import Background

Floats = NDArray[np.float64]
Method = Literal["ace", "mf", "sam", "sid"]

FLOOR = 1e-6
"""The least share that a band has in the sum of a spectrum, where logarithms are taken."""


def rx(spectra: Floats, background: Background) -> Floats:
    """(x - m)' S^-1 (x - m), the squared Mahalanobis distance (Reed and Yu 1990).

    Its mean over the n pixels that an unregularised background was fitted to is B (n - 1) / n.
    """
    return _squares(background.whitened(spectra))


def matched_filter(spectra: Floats, target: Floats, background: Background) -> Floats:
    """d' S^-1 (x - m) / d' S^-1 d with d = t - m: 1 at the target, 0 at the mean."""
    weights = _whitened_target(target, background)
    weights = weights / (weights @ weights)
    return _projected(weights, background) @ (spectra - background.mean[:, None])


def ace(spectra: Floats, target: Floats, background: Background) -> Floats:
    """The cosine of x and t in the whitened space, signed: -1 to 1 (Kraut and Scharf 1999).

    Its square is what others call ACE, which gives the anti-target 2 m - t the score of the target.
    NaN at the mean, which has no direction.
    """
    white, wanted = background.whitened(spectra), _whitened_target(target, background)
    return _cosine(wanted @ white, _squares(white), wanted)


def sam(spectra: Floats, target: Floats) -> Floats:
    """Minus the angle between x and t in radians (spectral angle mapper, Kruse et al. 1993)."""
    cosine = _cosine(target @ spectra, _squares(spectra), target)
    return -np.arccos(np.clip(cosine, -1.0, 1.0))


def sid(spectra: Floats, target: Floats) -> Floats:
    """Minus the spectral information divergence of x and t (Chang 2000), in nats.

    Samples below `FLOOR` of their spectrum's sum count as that; NaN where the sum is not positive.
    """
    p, q = _shares(spectra), _shares(target[:, None])
    apart = p - q
    return -np.asarray(np.einsum("bn,bn->n", apart, np.log(p) - np.log(q)))


def score(method: Method, spectra: Floats, target: Floats, background: Background | None) -> Floats:
    """By the name of the method; `ace` and `mf` need the background."""
    if method == "sam":
        return sam(spectra, target)
    if method == "sid":
        return sid(spectra, target)
    assert background is not None
    return (ace if method == "ace" else matched_filter)(spectra, target, background)


def distance2(target: Floats, background: Background) -> float:
    """d' S^-1 d, the squared distance of a target from the background."""
    wanted = _whitened_target(target, background)
    return float(wanted @ wanted)


def _whitened_target(target: Floats, background: Background) -> Floats:
    return background.whitened(target[:, None])[:, 0]


def _projected(weights: Floats, background: Background) -> Floats:
    """L'^-1 w: weights on spectra instead of whitened ones."""
    from scipy.linalg import solve_triangular  # type: ignore[import-untyped]

    return np.asarray(solve_triangular(background.factor, weights, lower=True, trans="T"))


def _squares(spectra: Floats) -> Floats:
    return np.asarray(np.einsum("bn,bn->n", spectra, spectra))


def _cosine(products: Floats, squares: Floats, target: Floats) -> Floats:
    size = np.sqrt(squares * (target @ target))
    return np.divide(products, size, out=np.full_like(products, np.nan), where=size > 0)


def _shares(spectra: Floats) -> Floats:
    total = spectra.sum(axis=0)
    total = np.where(total > 0, total, np.nan)
    return np.maximum(spectra / total, FLOOR)
