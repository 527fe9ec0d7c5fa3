"""Self-attention: how much each pixel says about one of them, exactly, without all pairs at once.

A = softmax(beta Q K') has a row for each query; row i says how much each j contributes to i and
sums to 1. Z = A V are new features, weighted means of the values (Vaswani et al. 2017). Arrays may
be CuPy's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hsitool.device import array_module
from hsitool.errors import DataError, UsageError
from hsitool.maths.attention.weights import Norm, attention_weights
from hsitool.maths.scene.model import SceneModel

Floats = NDArray[np.float64]
Score = Literal["cosine", "dot", "gauss"]

SIGNAL = 2.0
"""Variance of a component, over that of its noise, from which on it is mostly signal."""

FEWEST = 2
"""Components that are kept, if there are as many."""

QUIET = 1e-3
"""Of the median band's noise: bands with less count as having that."""


def self_attention_row(
    query: Any,
    keys: Any,
    *,
    score: Score = "cosine",
    focus: float | str | None = None,
    temperature: float | None = None,
    norm: Norm = "softmax",
) -> Any:
    """One row of the matrix of attention weights, of sum 1: what a query attends to.

    Args:
        query: (d,) features.
        keys: (d, ...) features of all that it may attend to; where one is NaN the weight is 0.
        score: "cosine" of the angle between query and key, "dot" product, or "gauss", minus half
            the squared distance.
        focus: effective number of keys, or share of them, as of `attention_weights`; "1%" where
            neither it nor a temperature is given, but the textbook's sqrt(d) for "dot".
        temperature: of the softmax, instead.
        norm: as of `attention_weights`.

    Returns:
        (...) float64

    Raises:
        UsageError: shapes that do not match, or a word that is none of these.
        DataError: nothing can be attended to.
    """
    if query.ndim != 1 or keys.shape[:1] != query.shape:
        raise UsageError(
            f"a query of shape {tuple(query.shape)} and keys of {tuple(keys.shape)}: give (d,) and "
            "(d, ...)"
        )
    flat = keys.reshape(len(query), -1)
    scores = relatedness(score, query[:, None], flat)[0].reshape(keys.shape[1:])
    if score == "dot" and focus is None and temperature is None:
        temperature = math.sqrt(len(query))
    return attention_weights(scores, focus=focus, temperature=temperature, norm=norm)


def relatedness(score: Score, queries: Any, keys: Any) -> Any:
    """(queries, n) float64 scores of (d, queries) and (d, n) features.

    Raises:
        UsageError: no such score.
    """
    xp = array_module(keys)
    queries, keys = queries.astype(np.float64), keys.astype(np.float64)
    if score == "dot":
        return queries.T @ keys
    if score == "gauss":
        return xp.stack([-xp.sum((keys - query[:, None]) ** 2, axis=0) / 2 for query in queries.T])
    if score != "cosine":
        raise UsageError(f"score {score} is none of cosine, dot and gauss")
    lengths = [xp.sqrt(xp.sum(some**2, axis=0)) for some in (queries, keys)]
    size = lengths[0][:, None] * lengths[1]
    cosine = (queries.T @ keys) / xp.where(size > 0, size, np.nan)
    return xp.clip(cosine, -1.0, 1.0)


@dataclass(frozen=True, eq=False)
class Embedding:
    """What makes features of spectra: queries (d, bands), keys (d, bands), values (v, bands).

    They are applied to the difference from `mean` (bands,), values to the spectra themselves;
    without `values` these are the spectra.
    """

    mean: Floats
    queries: Floats
    keys: Floats
    values: Floats | None = None

    @property
    def width(self) -> int:
        """d"""
        return len(self.keys)

    @property
    def is_symmetric(self) -> bool:
        """Whether queries are keys."""
        return self.queries is self.keys

    def query(self, spectra: Floats) -> Floats:
        """(d, n) of (bands, n)."""
        return self.queries @ (spectra - self.mean[:, None])

    def key(self, spectra: Floats) -> Floats:
        """(d, n) of (bands, n)."""
        return self.keys @ (spectra - self.mean[:, None])

    def value(self, spectra: Floats) -> Floats:
        """(v, n) of (bands, n)."""
        return spectra if self.values is None else self.values @ spectra


def quiet_bands(model: SceneModel) -> Floats:
    """(bands,) standard deviation of the noise, above 0.

    Raises:
        DataError: it is not known, or is 0.
    """
    noise = model.noise_std
    if noise is None:
        raise DataError(
            "too few pixels lie side by side to tell the noise: give the --model of a larger scene"
        )
    middle = float(np.median(noise))
    if not middle > 0:
        raise DataError("the scene has no noise: give projections of your own (--qk)")
    return np.asarray(np.maximum(noise, QUIET * middle))


def noise_whitened_components(model: SceneModel, count: int | None = None) -> Embedding:
    """Principal components of a scene whose bands have noise of 1 each.

    `count` is how many; by default those that are more signal than noise.

    Raises:
        DataError: as `quiet_bands`.
        UsageError: more components than bands.
    """
    noise = quiet_bands(model)
    if count is not None and count > len(noise):
        raise UsageError(f"{count} components of {len(noise)} bands: give fewer")
    variances, axes = np.linalg.eigh(model.covariance / np.outer(noise, noise))
    kept = count or max(FEWEST, int(np.count_nonzero(variances > SIGNAL)))
    matrix = np.ascontiguousarray((axes[:, ::-1][:, :kept] / noise[:, None]).T)
    return Embedding(model.mean, matrix, matrix)


SAFE = 80.0
"""How far scores may exceed those that powers of 2 are taken about: float32 holds 2^127."""

LOG2_E = 1 / math.log(2)


@dataclass(frozen=True, eq=False)
class Offer:
    """Some keys and their values: (m, d + 1) and (m, v + 1) with a column of ones each.

    So the sum of weights is one more value, and what exponents are taken about one more feature:
    two passes less over all pairs. `longest` is the length of the longest key.
    """

    keys: Any
    values: Any
    longest: float

    @classmethod
    def of(cls, keys: Any, values: Any) -> Offer:
        """Of keys (m, d) and values (m, v)."""
        xp = array_module(keys)
        longest = xp.sqrt(xp.sum(keys.astype(np.float64) ** 2, axis=1).max())
        return cls(_with_ones(xp, keys), _with_ones(xp, values), float(longest))


def attended(queries: Any, offers: Iterable[Offer], beta: float) -> Any:
    """(n, v) Z = softmax(beta Q K') V of queries (n, d), the keys in blocks of any number.

    Products are made in the type of queries, keys and values, sums from block to block in float64.
    Exponents are taken about the greatest score of the first block, and anew only where a later one
    may be far above (after Milakov and Gimelshein 2018): so no block is needed twice. Powers of 2
    are twice as fast as exponentials.

    Raises:
        DataError: no block has a key.
    """
    xp = array_module(queries)
    dtype = queries.dtype
    scaled = queries * dtype.type(beta * LOG2_E)
    asked = xp.concatenate([scaled, xp.zeros((len(queries), 1), dtype)], axis=1)
    length = xp.sqrt(xp.sum(asked.astype(np.float64) ** 2, axis=1))
    top, room = None, xp.empty(0, dtype)
    total = xp.zeros((len(queries), 1))
    for offer in offers:
        if top is None or float((length * offer.longest - top).max()) > SAFE:
            top, kept = _raised(xp, asked, offer.keys, top)
            total = total * kept
        size = len(queries) * len(offer.keys)
        room = room if room.size >= size else xp.empty(size, dtype)  # new memory costs as much
        weights = xp.matmul(asked, offer.keys.T, out=room[:size].reshape(len(queries), -1))
        xp.exp2(weights, out=weights)
        total = total + weights @ offer.values
    if top is None:
        raise DataError("there is no key: nothing can be attended to")
    return total[:, :-1] / total[:, -1:]


def _raised(xp: Any, asked: Any, offered: Any, top: Any) -> tuple[Any, Any]:
    """What exponents are taken about, at least the greatest score of a block; and the factor of
    what was summed before. The last column of `asked` is minus that."""
    asked[:, -1] = 0
    own = (asked @ offered.T).max(axis=1).astype(np.float64)
    higher = own if top is None else xp.maximum(top, own)
    asked[:, -1] = -higher
    higher = -asked[:, -1].astype(np.float64)  # as it is rounded
    kept = xp.zeros_like(higher) if top is None else xp.exp2(top - higher)
    return higher, kept[:, None]


def _with_ones(xp: Any, rows: Any) -> Any:
    return xp.concatenate([rows, xp.ones((len(rows), 1), rows.dtype)], axis=1)


def attended_in_window(
    queries: Any, keys: Any, values: Any, there: Any, window: int, beta: float
) -> Any:
    """(rows, columns, v) the same with the keys of a square about each query only.

    Args:
        queries: (rows, columns, d)
        keys: (rows + window - 1, columns + window - 1, d), half a window more on all sides.
        values: of such rows and columns, (..., v).
        there: of such rows and columns: False where there is no key; at least one in each window.
        window: odd.
        beta: inverse temperature.
    """
    xp = array_module(queries)
    rows, columns, _ = queries.shape
    top = xp.full((rows, columns, 1), -np.inf)
    weight, total = xp.zeros((rows, columns, 1)), xp.zeros((rows, columns, values.shape[-1]))
    for down in range(window):
        for right in range(window):
            part = slice(down, down + rows), slice(right, right + columns)
            scores = xp.sum(queries * keys[part], axis=-1, dtype=np.float64)[..., None] * beta
            scores = xp.where(there[part][..., None], scores, -np.inf)
            higher = xp.maximum(top, scores)
            base = xp.where(higher > -np.inf, higher, 0.0)
            kept, share = xp.exp(top - base), xp.exp(scores - base)
            weight = weight * kept + share
            total = total * kept + share * xp.where(there[part][..., None], values[part], 0)
            top = higher
    return total / xp.where(weight > 0, weight, np.nan)
