"""What is looked for in a cube: a spectrum at its bands, from a file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hsitool.cube import CubeInfo
from hsitool.errors import DataError
from hsitool.maths.scene.model import LARGEST
from hsitool.maths.spectra.resample import probable_factor, resample, same_centres
from hsitool.storage.spectra import Spectrum
from hsitool.storage.wavelengths import warn

Floats = NDArray[np.float64]


def at_bands(spectrum: Spectrum, info: CubeInfo, used: Sequence[int]) -> Floats:
    """(bands,) a spectrum at all bands of a cube, NaN at those that it does not cover.

    By wavelength where both have some, through Gaussian bands of the cube's FWHM; band by band
    where the centres are the same or one has none: then all bands `used` (from 0) have to be there.

    Raises:
        DataError: of another sensor without wavelengths, a missing or endless sample, no band is
            covered, or it is 0 in all of them.
    """
    _refuse_rubbish(spectrum)
    values = _matched(spectrum, info, used)
    refuse_nothing(spectrum.name, values[list(used)])
    return values


def _refuse_rubbish(spectrum: Spectrum) -> None:
    beyond = np.flatnonzero(np.abs(spectrum.values) >= LARGEST)  # NaN is none of these
    if beyond.size:
        number = int(beyond[0])
        raise DataError(
            f"query '{spectrum.name}': {spectrum.values[number]:g} in sample {number + 1} is no "
            "measurement: leave it empty"
        )


def refuse_nothing(name: str, values: Floats) -> None:
    """Refuse a query of zeros, which has no angle to anything; missing samples do not count.

    Raises:
        DataError: naming it.
    """
    if not np.nan_to_num(values).any():
        raise DataError(f"query '{name}': is 0 in all bands that it covers: name another")


def _matched(spectrum: Spectrum, info: CubeInfo, used: Sequence[int]) -> Floats:
    own, centres = spectrum.wavelength_nm, info.wavelength_nm
    if own is None or centres is None or same_centres(own, centres):
        matched = own is not None and centres is not None
        values = spectrum.values if matched else _band_by_band(spectrum, info)
        _refuse_missing(spectrum.name, values, info, used)
        return values
    values = resample(spectrum.values, own, centres, info.fwhm_nm, spectrum.fwhm_nm)
    if np.isnan(values[list(used)]).all():
        raise DataError(
            f"query '{spectrum.name}': {_range(spectrum)} covers no band of the cube: are the "
            "wavelengths of both in the right unit?"
        )
    return values


def warn_of_scale(name: str, values: Floats, mean: Floats, option: str) -> None:
    """Tell of a factor that is probably missing between a query and the mean of a cube."""
    factor = probable_factor(values, mean)
    if factor is not None:
        warn(
            f"query '{name}' is about {1 / factor:g} times the cube's mean: is one in reflectance "
            f"and the other stored as whole numbers? {option} {factor:g} brings them together"
        )


def _refuse_missing(name: str, values: Floats, info: CubeInfo, used: Sequence[int]) -> None:
    if lacking := [band for band in used if np.isnan(values[band])]:
        raise DataError(
            f"query '{name}': has no value in {name_bands(lacking, info)}: fill it in, or "
            "leave these bands out (--bands, or the cube's list of bad bands)"
        )


def _band_by_band(spectrum: Spectrum, info: CubeInfo) -> Floats:
    bands = spectrum.band or tuple(range(len(spectrum.values)))
    if sorted(bands) != list(range(info.bands)):
        whose = "the query" if spectrum.wavelength_nm is None else "the cube"
        raise DataError(
            f"query '{spectrum.name}': has {len(bands)} bands, the cube {info.bands}, and {whose} "
            "no wavelengths to match them by: give wavelengths (a column wavelength_nm, or "
            "--wavelengths FILE for a cube)"
        )
    values = np.empty(info.bands)
    values[list(bands)] = spectrum.values
    return values


def _range(spectrum: Spectrum) -> str:
    known = spectrum.wavelength_nm or ()
    return f"{min(known):.6g} to {max(known):.6g} nm" if known else f"{len(spectrum.values)} bands"


def name_bands(bands: Sequence[int], info: CubeInfo) -> str:
    """Bands as a user counts them, in ranges: `bands 1-4, 131 (418-431, 945 nm)`."""
    runs = np.split(np.asarray(bands), np.flatnonzero(np.diff(bands) > 1) + 1)
    ends = [(int(run[0]), int(run[-1])) for run in runs]
    more = ", ..." if len(ends) > 4 else ""
    text = ", ".join(_pair(a + 1, b + 1) for a, b in ends[:4]) + more
    if (known := info.wavelength_nm) is not None:
        spans = ", ".join(_pair(round(known[a]), round(known[b])) for a, b in ends[:4])
        text += f" ({spans}{more} nm)"
    return f"band{'s' if len(bands) > 1 else ''} {text}"


def _pair(a: int, b: int) -> str:
    return str(a) if a == b else f"{a}-{b}"
