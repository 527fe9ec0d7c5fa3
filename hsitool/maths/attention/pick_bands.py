"""Few bands that together tell a target from a background, or hold most of what varies.

With S the bands picked so far, C their covariance and d the difference of target and background, a
band j adds to d' C_SS^-1 d, the squared distance by which a matched filter on S tells the two apart

    (d_j - C_jS C_SS^-1 d_S)^2 / (C_jj - C_jS C_SS^-1 C_Sj)

and the one that adds most comes next: what the picked ones foretell of a neighbour adds nothing.
Without a target the one of the largest conditional variance does, of bands of variance 1: the
pivots of a Cholesky factorisation of the correlation matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hsitool.device import array_module
from hsitool.errors import DataError, HsitoolError, UsageError

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

ROUNDING = 1e-13
"""Of a variance, for each band: less than this left over by others is rounding."""


@dataclass(frozen=True)
class Picks:
    """Bands in the order of picking, from 0.

    Attributes:
        bands: which.
        gains: what each added: to the squared distance, or the variance that was left to it.
    """

    bands: tuple[int, ...]
    gains: tuple[float, ...]

    @property
    def total(self) -> float:
        """The squared distance d' C_SS^-1 d of all picks."""
        return float(sum(self.gains))


def pick_bands(
    covariance: Any,
    difference: Any = None,
    *,
    count: int = 5,
    at_nm: ArrayLike | None = None,
    gap_nm: ArrayLike = 0.0,
) -> Picks:
    """Pick bands one after the other.

    Args:
        covariance: (bands, bands), a NumPy or CuPy array: it is worked on where it lives.
        difference: (bands,) of target and background there, or None for what varies most.
        count: how many.
        at_nm: (bands,) where they lie; by default at 0, 1, 2, ...
        gap_nm: picks lie at least so far apart; of two bands with gaps of their own the larger one
            holds.

    Raises:
        UsageError: `count` is below 1, or not so many bands are apart.
        DataError: not finite, or the difference is 0 where anything varies.
    """
    module = array_module(covariance)
    bands = len(covariance)
    _refuse(module, covariance, difference, count, bands)
    apart = far_apart(np.arange(bands) if at_nm is None else at_nm, gap_nm)
    rest, free = _Rest(module, covariance, difference), np.ones(bands, bool)
    picked: list[int] = []
    gains: list[float] = []
    while len(picked) < count:
        gain = module.where(module.asarray(free), rest.gain(), 0.0)
        best = int(module.argmax(gain))
        if not float(gain[best]) > 0:
            raise _nothing_more(picked, count, free, difference is not None)
        picked.append(best)
        gains.append(float(gain[best]))
        rest.take(best)
        free &= apart[best]
    return Picks(tuple(picked), tuple(gains))


class _Rest:
    """What the picked bands do not foretell: of bands of variance 1, and of the difference."""

    def __init__(self, module: Any, covariance: Any, difference: Any) -> None:
        self._module = module
        variance = module.maximum(covariance.diagonal(), 0.0)
        scale = module.sqrt(module.where(variance > 0, variance, 1.0))
        self._correlation = covariance / scale[:, None] / scale[None, :]
        self._factor = module.zeros((len(covariance), 0))
        self._variance = module.where(variance > 0, 1.0, 0.0)
        self._lean = None if difference is None else difference / scale

    def gain(self) -> Any:
        """(bands,) what each would add; 0 where what is left of it is rounding."""
        telling = self._variance > ROUNDING * len(self._variance)
        added = self._variance
        if self._lean is not None:
            added = self._lean**2 / self._module.where(telling, self._variance, 1.0)
        return self._module.where(telling, added, 0.0)

    def take(self, band: int) -> None:
        """Leave out what a band foretells."""
        root = self._module.sqrt(self._variance[band])
        column = (self._correlation[:, band] - self._factor @ self._factor[band]) / root
        if self._lean is not None:
            self._lean = self._lean - column * (self._lean[band] / root)
        self._variance = self._module.maximum(self._variance - column**2, 0.0)
        self._factor = self._module.concatenate([self._factor, column[:, None]], axis=1)


def far_apart(at_nm: ArrayLike, gap_nm: ArrayLike) -> Flags:
    """(bands, bands) whether two bands may both be picked; never a band and itself."""
    at = np.asarray(at_nm, np.float64)
    gap = np.broadcast_to(np.asarray(gap_nm, np.float64), at.shape)
    distance = np.abs(at[:, None] - at[None, :])
    apart: Flags = distance >= np.maximum(gap[:, None], gap[None, :]) * (1 - 1e-9)
    np.fill_diagonal(apart, False)
    return apart


def agreement(first: Sequence[int], second: Sequence[int], apart: Flags) -> int:
    """How many picks of one list have a partner in the other that is not apart from it.

    `apart` is that of `far_apart`. Each has one partner at most, and the nearest find theirs first.
    """
    pairs = [(a, b) for a in first for b in second if not apart[a, b]]
    found: list[tuple[int, int]] = []
    for a, b in sorted(pairs, key=lambda pair: abs(pair[0] - pair[1])):
        if all(a != own and b != other for own, other in found):
            found.append((a, b))
    return len(found)


def _refuse(module: Any, covariance: Any, difference: Any, count: int, bands: int) -> None:
    if count < 1:
        raise UsageError(f"{count} bands cannot be picked: ask for 1 or more")
    if count > bands:
        raise UsageError(f"{count} bands cannot be picked: only {bands} are in use")
    arrays = [covariance] if difference is None else [covariance, difference]
    if not all(bool(module.isfinite(array).all()) for array in arrays):
        raise DataError("a covariance or difference of bands is not finite: nothing can be picked")


def _nothing_more(picked: Sequence[int], count: int, free: Flags, told: bool) -> HsitoolError:
    """Why no band can be picked any more."""
    if not picked:
        same = "no band tells the target from the background: they are the same there"
        return DataError(same if told else "no band varies: none can be picked")
    if not free.any():
        return UsageError(
            f"only {len(picked)} bands lie so far apart, not {count}: ask for fewer, or give a "
            "smaller --min-gap"
        )
    return DataError(
        f"{len(picked)} bands tell all that the others could, and {count} were asked for: ask for "
        "fewer"
    )
