"""How telling single bands are, whatever the others tell: what soft attention over bands weighs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def fisher(difference: Floats, target_variance: Floats, variance: Floats) -> Floats:
    """(bands,) d^2 / (v_t + v), Fisher's contrast of a target and a background; NaN where v is 0.

    A target of one spectrum has no variance.
    """
    spread = target_variance + variance
    scores: Floats = np.divide(
        difference**2, spread, out=np.full(len(spread), np.nan), where=spread > 0
    )
    return scores


def signal_to_noise(mean: Floats, noise_std: Floats) -> Floats:
    """(bands,) |mean| / noise; NaN where no noise was seen."""
    ratio: Floats = np.divide(
        np.abs(mean), noise_std, out=np.full(len(mean), np.nan), where=noise_std > 0
    )
    return ratio


@dataclass(frozen=True, eq=False)
class Deviations:
    """Moments of rows of numbers, and of each row with the last one; those of pieces add up.

    Attributes:
        count: numbers in a row.
        mean: (rows,)
        squares: (rows,) sums of squares of deviations from it.
        crossed: (rows,) sums of products with the deviation of the last row.
    """

    count: int
    mean: Floats
    squares: Floats
    crossed: Floats

    @classmethod
    def of(cls, values: Floats) -> Deviations:
        """Of (rows, numbers)."""
        rows, count = values.shape
        if not count:
            return cls(0, *np.zeros((3, rows)))
        mean = values.mean(axis=1)
        apart = values - mean[:, None]
        squares: Floats = np.einsum("bn,bn->b", apart, apart)
        return cls(count, mean, squares, apart @ apart[-1])

    def __add__(self, other: Deviations) -> Deviations:
        if not (self.count and other.count):
            return self if self.count else other
        count = self.count + other.count
        apart, share = other.mean - self.mean, self.count * other.count / count
        return Deviations(
            count,
            self.mean + apart * (other.count / count),
            self.squares + other.squares + share * apart**2,
            self.crossed + other.crossed + share * apart * apart[-1],
        )

    @property
    def variance(self) -> Floats:
        """(rows,) with the divisor count - 1; 0 of one number."""
        return self.squares / max(1, self.count - 1)

    @property
    def correlation(self) -> Floats:
        """(rows - 1,) of each with the last one; NaN where one of them is constant."""
        size = np.sqrt(self.squares[:-1] * self.squares[-1])
        crossed = self.crossed[:-1]
        found: Floats = np.divide(crossed, size, out=np.full(len(size), np.nan), where=size > 0)
        return found
