"""Least-squares weights: what a fitted polynomial, or its derivative, makes of each sample."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from hsitool.maths.spectra.windows import Windows

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]


def savgol_weights(windows: Floats, at: Floats, degree: int, deriv: int = 0) -> Floats:
    """Weights of the fitted polynomial's derivative, for many windows of one length.

    Args:
        windows: (n, W) positions of the samples of each window, in nm or in bands.
        at: (n,) positions at which the polynomials are evaluated.
        degree: of the polynomial, below W.
        deriv: order of the derivative; 0 smooths.

    Returns:
        (n, W) weights, to be multiplied with the samples and summed; per nm^deriv.
    """
    basis, wanted = _orthonormal(windows, at, degree, deriv)
    weights: Floats = (basis @ wanted[..., None])[..., 0]
    return weights


def _orthonormal(windows: Floats, at: Floats, degree: int, deriv: int) -> tuple[Floats, Floats]:
    """Polynomials that are orthonormal on each window.

    Returns:
        (n, W, degree + 1) their values, and (n, degree + 1) their derivatives at `at`.
    """
    low, high = windows.min(axis=1), windows.max(axis=1)
    centre = (low + high) / 2
    half = np.where(high > low, (high - low) / 2, 1.0)
    # Legendre polynomials on [-1, 1] keep the least squares well conditioned where powers do not.
    basis = legendre.legvander((windows - centre[:, None]) / half[:, None], degree)
    wanted = _derivatives((at - centre) / half, degree, deriv) / half[:, None] ** deriv
    q, r = np.linalg.qr(basis)
    return q, np.linalg.solve(np.swapaxes(r, 1, 2), wanted[..., None])[..., 0]


def _derivatives(at: Floats, degree: int, deriv: int) -> Floats:
    """(n, degree + 1): the derivative of every Legendre polynomial at every position."""
    series = legendre.legder(np.eye(degree + 1), deriv)  # one column a polynomial
    values: Floats = legendre.legvander(at, len(series) - 1) @ series
    return values


def orthonormal(windows: Windows, degree: int, deriv: int) -> tuple[Floats, Floats]:
    """Polynomials that are orthonormal on each output's window; 0 where there is no sample.

    Returns:
        (outputs, longest window, degree + 1) their values, and (outputs, degree + 1) their
        derivatives at the output's place.
    """
    outputs, longest = windows.positions.shape
    basis = np.zeros((outputs, longest, degree + 1))
    wanted = np.zeros((outputs, degree + 1))
    for rows, size in _by_length(windows):
        places, here = windows.positions[rows, :size], np.zeros(rows.size)
        basis[rows, :size], wanted[rows] = _orthonormal(places, here, degree, deriv)
    return basis, wanted


def window_weights(windows: Windows, degree: int, deriv: int) -> Floats:
    """(outputs, longest window) the weights of the samples of every window."""
    weights = np.zeros(windows.positions.shape)
    for rows, size in _by_length(windows):
        places, here = windows.positions[rows, :size], np.zeros(rows.size)
        weights[rows, :size] = savgol_weights(places, here, degree, deriv)
    return weights


def _by_length(windows: Windows) -> Iterator[tuple[Integers, int]]:
    """The outputs whose windows have samples, those of one length together, and that length."""
    length = windows.length
    for size in sorted(set(length[length > 0].tolist())):
        yield np.flatnonzero(length == size), size
