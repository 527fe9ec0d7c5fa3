"""Savitzky-Golay smoothing and derivatives on any band spacing, as a table of weights.

A polynomial is fitted to each window by least squares and evaluated, or differentiated, at the
output band (Savitzky and Golay 1964; on uneven spacing Gorry 1991). The weights depend on the
wavelengths alone, so they are solved once, in float64, and never per pixel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from hsitool.errors import UsageError
from hsitool.maths.operator import SpectralOperator

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]


def savgol_weights(windows: Floats, at: Floats, degree: int, deriv: int = 0) -> Floats:
    """Weights of the fitted polynomial's derivative, for many windows of one length.

    Args:
        windows: (n, W) positions of the bands of each window, in nm or in bands.
        at: (n,) positions at which the polynomials are evaluated.
        degree: of the polynomial, below W.
        deriv: order of the derivative; 0 smooths.

    Returns:
        (n, W) weights, to be multiplied with the samples and summed; per nm^deriv.
    """
    low, high = windows.min(axis=1), windows.max(axis=1)
    centre = (low + high) / 2
    half = np.where(high > low, (high - low) / 2, 1.0)
    # Legendre polynomials on [-1, 1] keep the least squares well conditioned where powers do not.
    basis = legendre.legvander((windows - centre[:, None]) / half[:, None], degree)
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


def savgol_operator(
    positions: Sequence[float] | Floats,
    segments: Sequence[range],
    window: int,
    degree: int,
    deriv: int = 0,
) -> SpectralOperator:
    """The Savitzky-Golay operator of a cube.

    Near the ends of a segment the polynomial of its end window is used. A segment shorter than
    the window takes the largest odd window that it holds, or all its bands where no odd window
    exceeds the degree. Where even that cannot be fitted, and in bands of no segment, smoothing
    passes the band unchanged and a derivative is nodata.

    Args:
        positions: (bands,) in nm, or band numbers where no wavelengths are known.
        segments: ranges of bands that windows stay in (`segment_bands`).
        window: bands in a window, odd.
        degree: of the polynomial.
        deriv: order of the derivative; 0 smooths.

    Raises:
        UsageError: window, degree and derivative do not fit together or the cube.
    """
    x = np.asarray(positions, np.float64)
    check_savgol(len(x), window, degree, deriv)
    first, length = _windows(len(x), segments, window, degree)
    weights = np.zeros((len(x), window))
    for size in sorted(set(length[length > 0].tolist())):
        rows = np.flatnonzero(length == size)
        windows = x[first[rows, None] + np.arange(size)]
        weights[rows, :size] = savgol_weights(windows, x[rows], degree, deriv)
    if deriv == 0:
        unfitted = length == 0
        weights[unfitted, 0] = length[unfitted] = 1
    return SpectralOperator(
        inputs=len(x),
        band=np.arange(len(x)),
        first=first,
        length=length,
        weights=weights,
        deriv=np.full(len(x), deriv),
        bias=np.zeros(len(x)),
    )


def _windows(
    bands: int, segments: Sequence[range], window: int, degree: int
) -> tuple[Integers, Integers]:
    """First band and length of every band's window; length 0 where no polynomial can be fitted."""
    first, length = np.arange(bands), np.zeros(bands, np.intp)
    for segment in segments:
        size = _window_within(len(segment), window, degree)
        if size > 0:
            bands_inside = np.asarray(segment)
            ends = segment.start, segment.stop - size
            first[bands_inside] = np.clip(bands_inside - size // 2, *ends)
            length[bands_inside] = size
    return first, length


def _window_within(bands: int, window: int, degree: int) -> int:
    """The window length in a segment of some bands; 0 where the degree cannot be fitted."""
    if bands <= degree:
        return 0
    largest_odd = min(window, bands - 1 + bands % 2)
    return largest_odd if largest_odd > degree else bands


def check_savgol(bands: int, window: int, degree: int, deriv: int) -> None:
    """Refuse settings that no cube, or not one of so many bands, can be smoothed with.

    Raises:
        UsageError: saying which value and what to do.
    """
    refusals = (
        (window < 1, f"window {window} is too short: give an odd number of bands, such as 5"),
        (
            window % 2 == 0,
            f"window {window} is even and has no middle band: use {window - 1} or {window + 1}",
        ),
        (degree < 0, f"degree {degree} is negative: give 0 or more, such as 2"),
        (
            degree >= window,
            f"degree {degree} needs a window of more than {degree} bands, not {window}: "
            "lower the degree or widen the window",
        ),
        (deriv < 0, f"derivative {deriv} is negative: 0 smooths, 1 and 2 differentiate"),
        (
            deriv > degree,
            f"derivative {deriv} of a polynomial of degree {degree} is 0 everywhere: "
            f"use a degree of {deriv} or more",
        ),
        (
            window > bands,
            f"window {window} is longer than the cube's {bands} bands: use a shorter one",
        ),
    )
    for refused, message in refusals:
        if refused:
            raise UsageError(message)
