"""Where the band axis is cut, so that no window mixes bands that do not belong together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hsitool.errors import UsageError

SplitGap = float | Literal["auto"] | None
"""A step in nm that no window crosses, "auto" for over 3x the local median, None for off."""

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]

AUTO_RATIO = 3.0
AUTO_REACH = 5
AUTO_MIN_BANDS = 20


def segment_bands(
    bands: int,
    wavelength_nm: Sequence[float] | None = None,
    good: Sequence[bool] | None = None,
    split_gap: SplitGap = "auto",
    split_at_nm: Sequence[float] = (),
) -> tuple[range, ...]:
    """Cut the bands into ranges of good neighbours; bad bands belong to no range.

    Cuts lie at bad bands, where wavelengths step back or repeat (against the sign of the median
    step), at steps over `split_gap`, and at the named seams `split_at_nm`: between the last band
    below the seam and the first at or beyond it. "auto" means a step over 3 times the median of
    the up to 10 steps around it; it is off below 20 bands, where a median says little.

    Raises:
        UsageError: a seam or gap is given without wavelengths, a seam lies outside of them, or a
            gap is not positive.
    """
    is_good = np.ones(bands, bool) if good is None else np.asarray(good, bool)
    cut = ~(is_good[1:] & is_good[:-1])
    if wavelength_nm is None:
        _refuse_without_wavelengths(split_gap, split_at_nm)
    else:
        if bands < AUTO_MIN_BANDS and split_gap == "auto":
            split_gap = None
        cut |= _cuts(np.asarray(wavelength_nm, np.float64), cut, split_gap, split_at_nm)
    edges = [0, *(np.flatnonzero(cut) + 1).tolist(), bands]
    return tuple(range(a, b) for a, b in pairwise(edges) if b > a and is_good[a])


def chain_bands(
    bands: int,
    wavelength_nm: Sequence[float] | None,
    good: Sequence[bool],
    split_gap: SplitGap = "auto",
    split_at_nm: Sequence[float] = (),
) -> tuple[tuple[int, ...], ...]:
    """The good bands, cut as `segment_bands` cuts, but not where bad bands lie between them."""
    whole = segment_bands(bands, wavelength_nm, None, split_gap, split_at_nm)
    chains = (tuple(band for band in segment if good[band]) for segment in whole)
    return tuple(chain for chain in chains if chain)


def _cuts(
    wavelengths: Floats, cut: Flags, split_gap: SplitGap, split_at_nm: Sequence[float]
) -> Flags:
    """Steps that no window crosses for the sake of the wavelengths; `cut` are cut already."""
    direction = _direction(wavelengths, cut)
    steps = direction * np.diff(wavelengths)
    back = ~(steps > 0)  # also where a wavelength is NaN
    gaps = _gaps(steps, cut | back, split_gap)
    return back | gaps | _seams(wavelengths, direction, split_at_nm)


def _refuse_without_wavelengths(split_gap: SplitGap, split_at_nm: Sequence[float]) -> None:
    if len(split_at_nm) > 0:
        option = f"seam at {split_at_nm[0]:g} nm"
    elif isinstance(split_gap, int | float):
        option = f"gap over {split_gap:g} nm"
    else:
        return
    raise UsageError(f"cannot split at a {option}: the cube has no known wavelengths; leave it out")


def _direction(wavelengths: Floats, cut: Flags) -> float:
    """1.0 where the cube counts its wavelengths upwards, -1.0 where downwards."""
    steps = np.diff(wavelengths)
    usable = steps[np.isfinite(steps) & ~cut]
    return -1.0 if usable.size and np.median(usable) < 0 else 1.0


def _gaps(steps: Floats, cut: Flags, split_gap: SplitGap) -> Flags:
    """Steps too long for a window; `cut` are those already cut (bad bands, steps back)."""
    if split_gap is None:
        return np.zeros_like(cut)
    if split_gap != "auto":
        if not split_gap > 0:
            raise UsageError(f"split gap of {split_gap:g} nm: give a step above 0 nm")
        return steps > split_gap
    gaps = np.zeros_like(cut)
    runs = np.split(np.arange(len(steps)), np.flatnonzero(~(steps > 0)))
    for run in runs:
        inside = run[~cut[run]]
        gaps[inside] = steps[inside] > AUTO_RATIO * _local_medians(steps[inside])
    return gaps


def _local_medians(steps: Floats) -> Floats:
    """The median of up to `AUTO_REACH` steps on either side of each step, without itself."""
    if len(steps) < 2:
        return np.full(len(steps), np.inf)
    padded = np.pad(steps, AUTO_REACH, constant_values=np.nan)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * AUTO_REACH + 1)
    ordered = np.sort(np.delete(around, AUTO_REACH, axis=1), axis=1)  # NaN at the end
    last = np.isfinite(ordered).sum(axis=1, keepdims=True) - 1
    middle = np.concatenate((last // 2, (last + 1) // 2), axis=1)
    medians: Floats = np.take_along_axis(ordered, middle, axis=1).mean(axis=1)
    return medians


def _seams(wavelengths: Floats, direction: float, split_at_nm: Sequence[float]) -> Flags:
    """Steps that cross a named seam, in the direction of the wavelengths."""
    cut = np.zeros(max(len(wavelengths) - 1, 0), bool)
    ahead = direction * wavelengths
    for seam in split_at_nm:
        low, high = np.nanmin(wavelengths), np.nanmax(wavelengths)
        if not low <= seam <= high:
            raise UsageError(
                f"seam at {seam:g} nm lies outside of the cube's {low:g} to {high:g} nm: "
                "name a wavelength inside"
            )
        cut |= (ahead[:-1] < direction * seam) & (ahead[1:] >= direction * seam)
    return cut
