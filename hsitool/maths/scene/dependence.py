"""Which bands make a covariance singular: found by a Cholesky factorisation with pivots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular  # type: ignore[import-untyped]
from scipy.linalg.lapack import dpstrf  # type: ignore[import-untyped]

Floats = NDArray[np.float64]

ROUNDING = 1e-15
"""Of a variance, for each band: less than this left over by others is rounding."""

FEW = 4
"""Bands that a message names."""

PART = 1e-3
"""A coefficient, of standardised bands, that makes a band part of another."""


@dataclass(frozen=True)
class Dependence:
    """Why a covariance is singular, and the bands (from 0) that a message should name."""

    kind: str
    bands: tuple[int, ...]
    said: str

    def told(self, names: Sequence[str]) -> str:
        """One line for the user."""
        listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
        return self.said.format(bands=listed)


REMEDY = "give --shrink noise or oas"


def dependence(covariance: Floats, count: int, remedy: str = REMEDY) -> Dependence | None:
    """What makes the covariance of `count` pixels singular; None where nothing does.

    `remedy` is what a message advises.
    """
    variance = covariance.diagonal()
    largest = variance.max()
    if largest == 0:
        said = f"all {count} pixels are the same: there is nothing that scores could be relative to"
        return Dependence("same", (0,), said)
    if (constant := np.flatnonzero(variance <= ROUNDING**2 * largest)).size:
        said = "band {bands} is constant: leave it out with --bands, or " + remedy
        return Dependence("constant", (int(constant[0]),), said)
    scale = np.sqrt(variance)
    factor, pivots, rank, _ = dpstrf(
        covariance / np.outer(scale, scale), lower=1, tol=len(covariance) * ROUNDING
    )
    if rank == len(covariance):
        return None
    if rank == count - 1:
        said = f"{count} pixels cannot give the covariance of {len(variance)} bands: " + remedy
        return Dependence("few", (int(pivots[rank]) - 1,), said)
    return _combination(factor, pivots - 1, rank, remedy)


def _combination(factor: Floats, pivots: NDArray[np.intp], rank: int, remedy: str) -> Dependence:
    """The first band that is left over, and those that it is made of."""
    first = factor[:rank, :rank]
    parts = solve_triangular(first, factor[rank, :rank], lower=True, trans="T")
    members = [*pivots[:rank][np.abs(parts) > PART].tolist(), int(pivots[rank])]
    if len(members) > FEW:
        said = "band {bands} is a combination of others: leave it out with --bands, or " + remedy
        return Dependence("combination", (members[-1],), said)
    said = "bands {bands} are dependent: leave one out with --bands, or " + remedy
    return Dependence("dependent", tuple(sorted(members)), said)
