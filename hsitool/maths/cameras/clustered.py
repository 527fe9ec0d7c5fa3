"""Linear least squares with errors that may agree within a view: bias-reduced cluster errors.

The sandwich of Bell and McCaffrey (2002, Bias Reduction in Standard Errors for Linear Regression
with Multi-Stage Samples; "CR2") with their degrees of freedom. The plain sandwich is far too
sure with 5 to 20 views; this one is exact where the errors are independent after all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special  # type: ignore[import-untyped]

from hsitool.errors import DataError
from hsitool.maths.cameras.bundle import scaled_inverse
from hsitool.maths.cameras.camera import Floats

Ints = NDArray[np.int64]

LEAST_LEFT = 1e-9
"""Share of a direction that is left without a view; below, that view alone determines it."""


@dataclass(frozen=True, eq=False)
class ClusteredFit:
    """Values of a linear fit and how sure they are."""

    values: Floats
    """(p,)"""
    scores: Floats
    """(views, p) what each view adds to the error; their squares sum to the variance."""
    plain_scores: Floats
    """(views, p) the same without the correction for few views; their sum is 0."""
    spread: Floats
    """(p, p) L with L L' = (X'X)^-1."""
    shares: Floats
    """(views, p, p) of the information, in coordinates of L."""
    adjusted: Floats
    """(views, p, p) (1 - share)^(-1/2)"""

    @property
    def covariance(self) -> Floats:
        """(p, p)"""
        found: Floats = self.scores.T @ self.scores
        return found

    def standard_error(self, contrast: Floats) -> float:
        """Of `contrast` (p,) times the values."""
        return float(np.sqrt(np.sum((self.scores @ contrast) ** 2)))

    def dof(self, contrast: Floats) -> float:
        """Degrees of freedom of that error, by Satterthwaite for errors that are independent."""
        toward = self.adjusted @ (self.spread.T @ contrast)
        pulled = np.einsum("vij,vj->vi", self.shares, toward)
        omega = np.diag(np.sum(toward * pulled, axis=1)) - pulled @ pulled.T
        return float(np.trace(omega) ** 2 / np.sum(omega**2))

    def share(self, contrast: Floats) -> Floats:
        """(views,) how much of what is known of that contrast each view brings; the sum is 1."""
        toward = self.spread.T @ contrast
        found: Floats = np.einsum("i,vij,j->v", toward, self.shares, toward) / (toward @ toward)
        return found

    def reach(self, contrast: Floats, alpha: float = 0.05) -> float:
        """Half of the interval of `contrast` times the values."""
        critical = float(special.stdtrit(self.dof(contrast), 1 - alpha / 2))
        return critical * self.standard_error(contrast)


def clustered_fit(columns: Floats, right: Floats, cluster: Ints) -> ClusteredFit:
    """Least squares of `right` (n,) on `columns` (n, p); rows of one `cluster` (n,) go together.

    Raises:
        DataError: the rows do not determine the values, or those of one cluster alone do.
    """
    names, number = np.unique(cluster, return_inverse=True)
    count, p = len(names), columns.shape[1]
    grams = np.zeros((count, p, p))
    np.add.at(grams, number, columns[:, :, None] * columns[:, None, :])
    inverse = scaled_inverse(grams.sum(axis=0))
    values: Floats = inverse @ (columns.T @ right)
    pulls = np.zeros((count, p))
    np.add.at(pulls, number, columns * (right - columns @ values)[:, None])
    spread = np.linalg.cholesky(inverse).astype(np.float64)
    shares = spread.T @ grams @ spread
    sizes, axes = np.linalg.eigh(shares)
    if not (sizes < 1 - LEAST_LEFT).all():
        raise DataError("one view alone determines a band's difference: more views are needed")
    adjusted: Floats = (axes / np.sqrt(1 - sizes)[:, None, :]) @ np.swapaxes(axes, 1, 2)
    scores: Floats = np.einsum("ij,vjk,vk->vi", spread, adjusted, pulls @ spread)
    return ClusteredFit(values, scores, pulls @ inverse, spread, shares, adjusted)
