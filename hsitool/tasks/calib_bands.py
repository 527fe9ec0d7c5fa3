"""Calibrate one band of a camera, and every other band against it."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from hsitool.engine.pool import Progress
from hsitool.errors import DataError, UsageError
from hsitool.maths.cameras.band_curve import BandCurve, fit_curve
from hsitool.maths.cameras.bands import (
    BandFits,
    FittedShift,
    RadialChoice,
    apart_in_x_and_y,
    fit_bands,
    sight,
)
from hsitool.maths.cameras.camera import Floats
from hsitool.tasks.band_corners import BandCorners, BandLook, BandsAsked
from hsitool.tasks.band_lists import listed_bands
from hsitool.tasks.band_views import bands_of_views
from hsitool.tasks.calib import CalibrationRun, CalibSettings, calibrate_corners
from hsitool.tasks.calib_inputs import Source, Tell, kind_of

OTHER_FOCUS = 1.5
"""Ratio of blur to that of the reference from which on its focus is called different."""
LEAST_BLUR_PX = 0.3
"""Blur below is as sharp as pixels are."""
ALPHA = 0.05


@dataclass(frozen=True, eq=False)
class BandResult:
    """One band; `shift` is None for the reference, and where `refused` says why there is none."""

    number: int
    wavelength_nm: float | None
    is_reference: bool
    shift: FittedShift | None
    look: BandLook
    offset_px: tuple[float, float] | None
    """Of a mosaic's filter from the middle of the pattern, not in the shift."""
    refused: str = ""
    note: str = ""


@dataclass(frozen=True, eq=False)
class BandsRun:
    """The reference band's calibration, and what all bands are against it."""

    run: CalibrationRun
    corners: BandCorners
    results: tuple[BandResult, ...]
    radial: bool
    """Whether dk1 was fitted, `p_radial` by which test."""
    p_radial: float
    curve: BandCurve | None
    p_apart: float
    """Probability of the largest e_x - e_y were all 0, all bands together; NaN if unknown."""
    seconds: float

    @property
    def reference(self) -> BandResult:
        """The band that the others are compared with."""
        return self.results[self.corners.reference]

    @property
    def fitted(self) -> list[tuple[BandResult, FittedShift]]:
        """The bands that have a shift."""
        return [(result, result.shift) for result in self.results if result.shift is not None]

    @property
    def one_focal_length(self) -> bool:
        """Whether f_b / f_ref is the same along x and y, as far as can be told."""
        return not self.p_apart < ALPHA


def read_bands(
    source: Source,
    asked: BandsAsked,
    progress: Progress | None = None,
    tell: Tell | None = None,
) -> BandCorners:
    """Corners in all bands of a source; `tell` hears of each view as in `bands_of_views`.

    Raises:
        UsageError: no board, fewer than two bands, or files that hold only one.
        DataError: files that do not belong together, or no board in any.
    """
    kind = kind_of(source.inputs, source.points)
    if kind == "points":
        raise UsageError("--points files hold one band: --bands needs cubes or a list with bands")
    if kind == "lists":
        return listed_bands(source, asked)
    return bands_of_views(source, asked, progress, tell)


def calibrate_bands(
    corners: BandCorners, settings: CalibSettings, radial: RadialChoice = "auto"
) -> BandsRun:
    """The reference as any camera, then each band's differences.

    Raises:
        UsageError: settings that contradict each other or the views.
        DataError: too few views of the reference, or no other band can be compared with it.
    """
    began = time.perf_counter()
    settings = _for_mosaic(settings, corners)
    run = calibrate_corners(corners.corners_of(corners.reference), settings)
    others = [place for place in range(len(corners.numbers)) if place != corners.reference]
    fits = fit_bands(sight(run.calibration), _matched(run, corners)[others], radial, settings.trim)
    results = _results(corners, others, fits)
    shifts = [result.shift for result in results if result.shift is not None]
    if not shifts:
        first = next(result for result in results if result.refused)
        raise DataError(
            f"no band can be compared with {corners.called(corners.reference)}: "
            f"{corners.called(results.index(first))}: {first.refused}: "
            "choose another --ref-band, or other bands"
        )
    return BandsRun(
        run=run,
        corners=corners,
        results=results,
        radial=fits.radial,
        p_radial=fits.p_radial,
        curve=_curve(results, corners),
        p_apart=apart_in_x_and_y(shifts),
        seconds=time.perf_counter() - began,
    )


def _for_mosaic(settings: CalibSettings, corners: BandCorners) -> CalibSettings:
    """Pixels of a band are whole patterns of filters: so many pixels apart as it is wide."""
    if corners.mosaic is None:
        return settings
    across, down = corners.mosaic
    if settings.pitch_mm is not None:
        x, y = settings.pitch_mm
        return replace(settings, pitch_mm=(across * x, down * y))
    if settings.pixels_per_mm is not None:
        x, y = settings.pixels_per_mm
        return replace(settings, pixels_per_mm=(x / across, y / down))
    if settings.sensor_mm is not None and corners.frame_size is not None:
        width, height = corners.frame_size  # rows or columns beyond whole patterns are not used
        x, y = settings.sensor_mm
        used = (
            x * across * corners.size[0] / width,
            y * down * corners.size[1] / height,
        )
        return replace(settings, sensor_mm=used)
    return settings


def _matched(run: CalibrationRun, corners: BandCorners) -> Floats:
    """(bands, n, 2) px of the points that the reference's calibration used, in its order."""
    by_name = {view.name: view for view in corners.views}
    parts = []
    for used in run.calibration.views:
        view = by_name[used.name]
        seen = np.isfinite(view.uv[corners.reference]).all(axis=1)
        parts.append(view.uv[:, seen])
    return np.concatenate(parts, axis=1)


def _results(corners: BandCorners, others: list[int], fits: BandFits) -> tuple[BandResult, ...]:
    shifts = dict(zip(others, fits.shifts, strict=True))
    reasons = dict(zip(others, fits.reasons, strict=True))
    return tuple(
        _result(corners, place, shifts.get(place), reasons.get(place, ""))
        for place in range(len(corners.numbers))
    )


def _result(corners: BandCorners, place: int, shift: FittedShift | None, reason: str) -> BandResult:
    look = corners.looks[place]
    offset = None
    if corners.offset_px is not None:
        x, y = corners.offset_px[place].tolist()
        offset = (x, y)
    if reason and look.refused:
        often, _ = Counter(refusal.reason for refusal in look.refused).most_common(1)[0]
        reason = f"{reason}: {often}"
    return BandResult(
        number=corners.numbers[place],
        wavelength_nm=None if corners.wavelength_nm is None else corners.wavelength_nm[place],
        is_reference=place == corners.reference,
        shift=shift,
        look=look,
        offset_px=offset,
        refused=reason,
        note="; ".join(_remarks(corners, place, shift)),
    )


def _remarks(corners: BandCorners, place: int, shift: FittedShift | None) -> Iterator[str]:
    """What to know of a band that serves."""
    if place == corners.reference:
        yield "reference"
        return
    if shift is None:
        return
    own, other = (corners.looks[at].blur_px for at in (place, corners.reference))
    if math.isfinite(own) and math.isfinite(other):
        ratio = max(own, LEAST_BLUR_PX) / max(other, LEAST_BLUR_PX)
        if not 1 / OTHER_FOCUS < ratio < OTHER_FOCUS:
            yield f"focus differs: blur {own:.2g} px, {other:.2g} px in the reference"
    if corners.looks[place].refused:
        yield f"missing in {len(corners.looks[place].refused)} of {len(corners.views)} views"
    if shift.trimmed:
        yield f"{shift.trimmed} point{'s' * (shift.trimmed != 1)} left out"


def _curve(results: tuple[BandResult, ...], corners: BandCorners) -> BandCurve | None:
    """Of the bands whose wavelength is known."""
    if corners.wavelength_nm is None:
        return None
    known = [(result.wavelength_nm, result.shift) for result in results if result.shift]
    if not known:
        return None
    return fit_curve(
        np.array([nm for nm, _ in known], np.float64),
        np.array([shift.e for _, shift in known]),
        np.array([shift.scores for _, shift in known]),
        corners.wavelength_nm[corners.reference],
    )
