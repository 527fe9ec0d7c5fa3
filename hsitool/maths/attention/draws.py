"""Elements drawn by their weights, some at a time: with or without putting them back.

The `count` largest of ln w + G, with G of Gumbel's distribution and independent, are a sample
without replacement (Efraimidis and Spirakis 2006; Kool, van Hoof and Welling 2019), of which only
those are kept that are the largest so far. Random numbers follow the order of the elements, so
that the pieces in which they come change nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsitool.errors import DataError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

Pieces = Callable[[], Iterable[Floats]]
"""The weights from the first on, piece by piece, in any shape; NaN, or 0, where none is."""


@dataclass(frozen=True, eq=False)
class Draws:
    """What was drawn, in the order of drawing.

    Attributes:
        index: (draws,) of the elements, counted in the order of the pieces.
        logp: (draws,) natural logarithm of the probability of each, given those before it.
    """

    index: Integers
    logp: Floats


def draw(pieces: Pieces, count: int, rng: np.random.Generator, *, replace: bool = False) -> Draws:
    """Draw `count` elements with probabilities that are their weights over the sum of all.

    Raises:
        DataError: a weight is negative or infinite, all are 0, or fewer than `count` are not.
    """
    return _with_replacement(pieces, count, rng) if replace else _without(pieces, count, rng)


def _without(pieces: Pieces, count: int, rng: np.random.Generator) -> Draws:
    keys, index, weight = np.empty(0), np.empty(0, np.int64), np.empty(0)
    first, there, totals = 0, 0, []
    for piece in pieces():
        weights = _checked(piece)
        drawn = rng.random(weights.size)
        own = np.flatnonzero(weights > 0)
        with np.errstate(divide="ignore"):  # a random number of 0 is never the largest
            gumbel = -np.log(-np.log(drawn[own]))
        keys = np.concatenate([keys, np.log(weights[own]) + gumbel])
        index = np.concatenate([index, first + own])
        weight = np.concatenate([weight, weights[own]])
        best = np.argsort(-keys, kind="stable")[:count]
        keys, index, weight = keys[best], index[best], weight[best]
        totals.append(float(weights[own].sum()))
        first, there = first + weights.size, there + own.size
    _refuse(there, count)
    return Draws(index, _ordered_logp(weight, math.fsum(totals)))


def _ordered_logp(weight: Floats, total: float) -> Floats:
    """ln w - ln of all that was left, for weights in the order of drawing."""
    taken = np.concatenate([[0.0], np.cumsum(weight)[:-1]])
    later = np.cumsum(weight[::-1])[::-1]  # no less than these was left
    logp: Floats = np.log(weight) - np.log(np.maximum(total - taken, later))
    return logp


def _with_replacement(pieces: Pieces, count: int, rng: np.random.Generator) -> Draws:
    sums = [float(_checked(piece).sum()) for piece in pieces()]
    ends = np.cumsum(sums)
    _refuse(int(ends.size and ends[-1] > 0), 1)
    at = rng.random(count) * ends[-1]
    owner = np.searchsorted(ends, at, side="right")
    index, weight, first = np.zeros(count, np.int64), np.zeros(count), 0
    for number, piece in enumerate(pieces()):
        weights = _checked(piece)
        own = np.flatnonzero(owner == number)
        if own.size:
            before = ends[number] - sums[number]
            there = np.flatnonzero(weights > 0)
            reached = np.searchsorted(np.cumsum(weights[there]), at[own] - before, side="right")
            found = there[np.minimum(reached, there.size - 1)]
            index[own], weight[own] = first + found, weights[found]
        first += weights.size
    return Draws(index, np.log(weight) - math.log(math.fsum(sums)))


def _checked(piece: Floats) -> Floats:
    """(elements,) weights, 0 where there is none."""
    weights = np.asarray(piece, np.float64).reshape(-1)
    weights = np.where(np.isnan(weights), 0.0, weights)
    if weights.size and not (weights.min() >= 0 and weights.max() < math.inf):
        odd = weights.min() if weights.min() < 0 else weights.max()
        raise DataError(
            f"a weight of {odd:g} cannot be drawn by: weights are 0 or more, and finite"
        )
    return weights


def _refuse(there: int, count: int) -> None:
    if not there:
        raise DataError("all weights are 0: nothing can be drawn")
    if there < count:
        raise DataError(f"only {there} have any weight, and {count} are to be drawn: ask for fewer")
