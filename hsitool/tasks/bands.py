"""Naming bands: by number (from 1), by wavelength, by ranges of either."""

from __future__ import annotations

import re

from hsitool.cube import CubeInfo
from hsitool.errors import UsageError
from hsitool.storage.wavelengths import length_nm


def find_band(info: CubeInfo, text: str) -> int:
    """The index (from 0) of the band `30` or `680nm`; a wavelength finds the nearest good band.

    Raises:
        UsageError: no such band, no wavelengths, or none within its FWHM (or the local step).
    """
    if re.fullmatch(r"\d+", text.strip()):
        number = int(text)
        if not 1 <= number <= info.bands:
            raise UsageError(f"band {number} does not exist: the cube has bands 1 to {info.bands}")
        return number - 1
    wanted = length_nm(text, "band")
    if info.wavelength_nm is None:
        raise UsageError(f"band '{text}': the cube has no wavelengths: name the band by its number")
    good = [b for b in range(info.bands) if info.good is None or info.good[b]]
    if not good:
        raise UsageError(f"band '{text}': all bands are flagged bad: name the band by its number")
    centres = info.wavelength_nm
    nearest = min(good, key=lambda b: abs(centres[b] - wanted))
    apart = abs(centres[nearest] - wanted)
    if apart > (reach := _reach_nm(info, nearest)):
        raise UsageError(
            f"band '{text}': the nearest good band, {nearest + 1} at {centres[nearest]:g} nm, is "
            f"{apart:.4g} nm away, more than its width of {reach:.4g} nm: name another"
        )
    return nearest


def _reach_nm(info: CubeInfo, band: int) -> float:
    """The FWHM of a band, or the longer step to its neighbours where it has none."""
    if info.fwhm_nm is not None and info.fwhm_nm[band] > 0:
        return info.fwhm_nm[band]
    centres = info.wavelength_nm or ()
    steps = [
        abs(centres[other] - centres[band])
        for other in (band - 1, band + 1)
        if 0 <= other < info.bands
    ]
    return max(steps, default=0.0)


def find_bands(info: CubeInfo, text: str) -> list[int]:
    """The indices of a list such as `10:50,680nm`; `10:50` includes both ends.

    A range of wavelengths, `500nm:600nm`, holds all bands between its ends.

    Raises:
        UsageError: as `find_band`, or a range that holds nothing.
    """
    indices: list[int] = []
    for part in text.split(","):
        first, colon, last = part.partition(":")
        indices += _range(info, part, first, last) if colon else [find_band(info, part)]
    return indices


def _range(info: CubeInfo, part: str, first: str, last: str) -> list[int]:
    if re.fullmatch(r"\s*\d*\s*", first) and re.fullmatch(r"\s*\d*\s*", last):
        start = find_band(info, first) if first.strip() else 0
        stop = find_band(info, last) if last.strip() else info.bands - 1
        found = list(range(start, stop + 1))
    elif info.wavelength_nm is None:
        raise UsageError(f"bands '{part}': the cube has no wavelengths: use numbers")
    else:
        low, high = length_nm(first, "band"), length_nm(last, "band")
        found = [b for b, centre in enumerate(info.wavelength_nm) if low <= centre <= high]
    if not found:
        raise UsageError(f"bands '{part}': the range holds no band")
    return found


def describe_band(info: CubeInfo, band: int) -> str:
    """`band 30 (680.2 nm)`, for the user."""
    where = "" if info.wavelength_nm is None else f" ({info.wavelength_nm[band]:.10g} nm)"
    return f"band {band + 1}{where}"
