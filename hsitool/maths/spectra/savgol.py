"""Savitzky-Golay smoothing and derivatives on any band spacing, as a table of weights.

A polynomial is fitted to each window by least squares and evaluated, or differentiated, at the
output band (Savitzky and Golay 1964; on uneven spacing Gorry 1991). The weights depend on the
wavelengths alone, so they are solved once, in float64, and never per pixel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hsitool.errors import UsageError
from hsitool.maths.spectra.operator import SpectralOperator
from hsitool.maths.spectra.refit import PartialRule, partial_fits
from hsitool.maths.spectra.weights import window_weights
from hsitool.maths.spectra.windows import Mode, Width, Windows, make_windows

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]
Flags = NDArray[np.bool_]


def savgol_operator(
    positions: Sequence[float] | Floats,
    segments: Sequence[range],
    window: int | Width,
    degree: int,
    deriv: int = 0,
    *,
    mode: Mode = "interp",
    chains: Sequence[Sequence[int]] = (),
    partial: PartialRule | None = None,
) -> SpectralOperator:
    """The Savitzky-Golay operator of a cube.

    The windows are those of `make_windows`. Where no polynomial can be fitted, and in bands of no
    window, smoothing passes the band unchanged and a derivative is nodata.

    Args:
        positions: (bands,) in nm, or band numbers where no wavelengths are known.
        segments: ranges of bands that windows stay in (`segment_bands`).
        window: bands in a window, odd, or its width in nm.
        degree: of the polynomial.
        deriv: order of the derivative; 0 smooths.
        mode: what stands beyond the ends of a segment; the bands are evenly spaced for all
            but "interp".
        chains: bands that count as neighbours over the bad ones among them, which are filled.
        partial: how windows with missing samples are fitted; not at all where None.

    Raises:
        UsageError: window, degree and derivative do not fit together or the cube.
    """
    x = np.asarray(positions, np.float64)
    check_savgol(len(x), window, degree, deriv)
    windows = make_windows(x, segments, window, degree, mode, chains)
    weights = window_weights(windows, degree, deriv)
    refit = None
    if partial is not None:
        refit = partial_fits(windows, weights, np.arange(len(x)), degree, deriv, partial)
    first, table, inside = _ranges(windows, weights)
    length = np.where(inside.any(axis=1), inside.shape[1] - np.argmax(inside[:, ::-1], axis=1), 0)
    if deriv == 0:
        unfitted = length == 0
        table[unfitted, 0] = inside[unfitted, 0] = length[unfitted] = 1
    return SpectralOperator(
        inputs=len(x),
        band=np.arange(len(x)),
        first=first,
        length=length,
        weights=table,
        skips=~inside & (np.arange(table.shape[1]) < length[:, None]),
        smooths=np.full(len(x), deriv == 0),
        bias=np.zeros(len(x)),
        refit=refit,
    )


def _ranges(windows: Windows, weights: Floats) -> tuple[Integers, Floats, Flags]:
    """First bands of the ranges that windows reach over; weights in them; which bands are used.

    Weights of samples that are copies of one band add up; those of zeros beyond the end vanish.
    """
    bands, columns = len(windows.columns), windows.columns
    first = np.where(columns >= 0, columns, bands).min(axis=1, initial=bands)
    first = np.where(first < bands, first, np.arange(bands))
    rows, samples = np.nonzero(columns >= 0)
    places = columns[rows, samples] - first[rows]
    table = np.zeros((bands, places.max(initial=0) + 1))
    np.add.at(table, (rows, places), weights[rows, samples])
    inside = np.zeros(table.shape, bool)
    inside[rows, places] = True
    return first, table, inside


def check_savgol(bands: int, window: int | Width, degree: int, deriv: int) -> None:
    """Refuse settings that no cube, or not one of so many bands, can be smoothed with.

    Raises:
        UsageError: saying which value and what to do.
    """
    for refused, message in (
        *_window_refusals(bands, window, degree),
        (deriv < 0, f"derivative {deriv} is negative: 0 smooths, 1 and 2 differentiate"),
        (
            deriv > degree,
            f"derivative {deriv} of a polynomial of degree {degree} is 0 everywhere: "
            f"use a degree of {deriv} or more",
        ),
    ):
        if refused:
            raise UsageError(message)


def _window_refusals(bands: int, window: int | Width, degree: int) -> list[tuple[bool, str]]:
    """What may be wrong with a window, and what to say of it."""
    negative = degree < 0, f"degree {degree} is negative: give 0 or more, such as 2"
    if isinstance(window, Width):
        flat = not window.nm > 0
        return [(flat, f"window of {window.nm:g} nm: give a width above 0 nm"), negative]
    return [
        (window < 1, f"window {window} is too short: give an odd number of bands, such as 5"),
        (
            window % 2 == 0,
            f"window {window} is even and has no middle band: use {window - 1} or {window + 1}",
        ),
        negative,
        (
            degree >= window,
            f"degree {degree} needs a window of more than {degree} bands, not {window}: "
            "lower the degree or widen the window",
        ),
        (
            window > bands,
            f"window {window} is longer than the cube's {bands} bands: use a shorter one",
        ),
    ]
