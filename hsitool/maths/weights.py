"""Least-squares weights: what a fitted polynomial, or its derivative, makes of each sample."""

from __future__ import annotations

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from hsitool.maths.windows import Windows

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def savgol_weights(
    windows: Floats, at: Floats, degree: int, deriv: int = 0, used: Flags | None = None
) -> Floats:
    """Weights of the fitted polynomial's derivative, for many windows of one length.

    Args:
        windows: (n, W) positions of the samples of each window, in nm or in bands.
        at: (n,) positions at which the polynomials are evaluated.
        degree: of the polynomial, below the number of samples used.
        deriv: order of the derivative; 0 smooths.
        used: (n, W) which samples are fitted; the others get a weight of 0. All where None.

    Returns:
        (n, W) weights, to be multiplied with the samples and summed; per nm^deriv.
    """
    low, high = windows.min(axis=1), windows.max(axis=1)
    centre = (low + high) / 2
    half = np.where(high > low, (high - low) / 2, 1.0)
    # Legendre polynomials on [-1, 1] keep the least squares well conditioned where powers do not.
    basis = legendre.legvander((windows - centre[:, None]) / half[:, None], degree)
    if used is not None:
        basis *= used[..., None]
    wanted = _derivatives((at - centre) / half, degree, deriv) / half[:, None] ** deriv
    q, r = np.linalg.qr(basis)
    coefficients = np.linalg.solve(np.swapaxes(r, 1, 2), wanted[..., None])
    weights: Floats = (q @ coefficients)[..., 0]
    return weights


def _derivatives(at: Floats, degree: int, deriv: int) -> Floats:
    """(n, degree + 1): the derivative of every Legendre polynomial at every position."""
    series = legendre.legder(np.eye(degree + 1), deriv)  # one column a polynomial
    values: Floats = legendre.legvander(at, len(series) - 1) @ series
    return values


def window_weights(windows: Windows, degree: int, deriv: int) -> Floats:
    """(outputs, longest window) the weights of the samples of every window."""
    weights, length = np.zeros(windows.positions.shape), windows.length
    for size in sorted(set(length[length > 0].tolist())):
        rows = np.flatnonzero(length == size)
        inside = windows.positions[rows, :size]
        weights[rows, :size] = savgol_weights(inside, np.zeros(rows.size), degree, deriv)
    return weights
