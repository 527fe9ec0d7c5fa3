"""Derivatives on a real sensor's uneven wavelengths, against analytic ones."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.signal import savgol_filter

from hsitool.maths.spectra.savgol import savgol_operator
from hsitool.maths.spectra.segments import segment_bands

Floats = NDArray[np.float64]

# A straight line less five Gaussian absorptions: centre and standard deviation in nm, depth.
ABSORPTIONS = np.array(
    [(680, 30, 0.3), (970, 40, 0.15), (1200, 60, 0.2), (2200, 35, 0.05), (2330, 40, 0.2)]
)
LINE = 0.2, 1e-4

# Errors (rms over the largest true value, in %) that these fits are known to reach on this grid.
LIMITS = {
    (5, 2, 1): 2.0,
    (5, 2, 2): 1.6,
    (7, 3, 1): 0.26,
    (7, 3, 2): 2.9,
    (9, 4, 1): 0.56,
    (9, 4, 2): 0.66,
}


@pytest.fixture(scope="module")
def centres(shared_data: Path) -> Floats:
    """177 bands of a simulated EnMAP, 460 to 2409 nm, in steps of 4 to 14 nm and gaps."""
    text = (shared_data / "enmap-box/berlin_lib/library_berlin.hdr").read_text("latin-1")
    listed = re.search(r"wavelength\s*=\s*\{([^}]*)\}", text)
    assert listed is not None
    return 1000 * np.array([float(word) for word in listed[1].split(",")])


def signal(x: Floats, deriv: int) -> Floats:
    """The spectrum, or its exact derivative."""
    centre, width, depth = ABSORPTIONS.T
    u = (x[:, None] - centre) / width
    line = (LINE[0] + LINE[1] * x, LINE[1], 0.0)[deriv]
    shape = (1.0, -u / width, (u**2 - 1) / width**2)[deriv]
    return line - np.sum(depth * np.exp(-(u**2) / 2) * shape, axis=1)


@pytest.mark.parametrize(("window", "degree", "deriv"), LIMITS)
def test_derivatives_of_absorptions(window: int, degree: int, deriv: int, centres: Floats) -> None:
    segments = segment_bands(len(centres), centres.tolist(), split_gap=25.0)
    operator = savgol_operator(centres, segments, window, degree, deriv)
    spectrum, truth = signal(centres, 0), signal(centres, deriv)
    found = operator.apply(spectrum[:, None, None])[:, 0, 0]
    error = 100 * np.sqrt(np.mean((found - truth) ** 2)) / np.abs(truth).max()
    step = float(np.median(np.diff(centres)))
    even = savgol_filter(spectrum, window, degree, deriv=deriv, delta=step)
    usual = 100 * np.sqrt(np.mean((even - truth) ** 2)) / np.abs(truth).max()
    print(f"{window}/{degree} d{deriv}: rms {error:.2f} %, with the median step {usual:.1f} %")
    assert error <= LIMITS[window, degree, deriv]
    assert usual > 1.5 * error


@pytest.mark.parametrize("doublet", [(2200.0, 2350.0), (2255.0, 2335.0)], ids=["mica", "carbonate"])
@pytest.mark.parametrize(("window", "degree"), [(5, 2), (7, 3)])
def test_the_minima_of_a_doublet_stay_in_place(
    window: int, degree: int, doublet: tuple[float, float], centres: Floats
) -> None:
    """In absorbance a mineral's bands are peaks, and minima of the second derivative."""
    segments = segment_bands(len(centres), centres.tolist(), split_gap=25.0)
    operator = savgol_operator(centres, segments, window, degree, 2)
    peaks = ((0.3, doublet[0], 18.0), (0.2, doublet[1], 22.0))

    def second(x: Floats) -> Floats:
        return sum(
            height * ((x - c) ** 2 / w**2 - 1) / w**2 * np.exp(-((x - c) ** 2) / (2 * w**2))
            for height, c, w in peaks
        )

    spectrum = 0.1 + sum(h * np.exp(-((centres - c) ** 2) / (2 * w**2)) for h, c, w in peaks)
    found = operator.apply(spectrum[:, None, None])[:, 0, 0]
    inside = centres > 2050
    between = CubicSpline(centres[inside], found[inside])
    for _, centre, _ in peaks:
        near = np.arange(centre - 15, centre + 15, 0.005)
        moved = near[between(near).argmin()] - near[second(near).argmin()]
        print(f"{window}/{degree}, {centre:g} nm: moved by {moved:+.2f} nm")
        assert abs(moved) < 1
