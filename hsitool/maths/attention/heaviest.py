"""The pixels of most weight, found without sorting all of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsitool.maths.attention.weights import Attention, pieces

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Heaviest:
    """The pixels of greatest score: all above `score`, and the first `ties` of those equal to it.

    Attributes:
        score: of the last one.
        ties: how many of that score belong to them, in order.
        count: of all.
        mass: weight of all.
    """

    score: float
    ties: int
    count: int
    mass: float


MOST_SORTED = 2**22


def heaviest(
    scores: Floats, found: Attention, *, mass: float | None = None, count: int | None = None
) -> Heaviest:
    """The fewest pixels that hold a share of the weight, or the `count` heaviest (all, if fewer).

    Pixels without any weight never count.
    """
    goal = (math.inf if count is None else count), (math.inf if mass is None else mass)
    low, high = max(found.floor, _least(scores)), found.top
    done = (0, 0.0)  # pixels above `high`, and their weight
    while sum(piece.size for piece in _inside(scores, low, high)) > MOST_SORTED:
        middle = low + (high - low) / 2
        if not low < middle < high:
            break  # more pixels than that share one score
        more = _held(scores, found, middle, high)
        if done[0] + more[0] >= goal[0] or done[1] + more[1] >= goal[1]:
            low = middle
        else:
            high, done = middle, (done[0] + more[0], done[1] + more[1])
    values = np.sort(np.concatenate(list(_inside(scores, low, high))))[::-1]
    masses = np.cumsum(found.weights(values)) + done[1]
    enough = (masses >= goal[1] * (1 - 1e-15)) | (np.arange(len(values)) + 1 + done[0] >= goal[0])
    last = int(np.argmax(enough)) if enough.any() else len(values) - 1
    score = float(values[last])
    first = int(np.searchsorted(-values, -score))
    return Heaviest(score, last - first + 1, done[0] + last + 1, float(masses[last]))


def _least(scores: Floats) -> float:
    """A number just below the least score."""
    return math.nextafter(min(float(piece.min()) for piece in pieces(scores)), -math.inf)


def _inside(scores: Floats, low: float, high: float) -> Iterator[Floats]:
    """Scores above `low`, up to `high`."""
    return (piece[piece <= high] for piece in pieces(scores, low))


def _held(scores: Floats, found: Attention, low: float, high: float) -> tuple[int, float]:
    """How many scores are in there, and their weight."""
    inside = [(p.size, float(found.weights(p).sum())) for p in _inside(scores, low, high)]
    return sum(size for size, _ in inside), math.fsum(weight for _, weight in inside)
