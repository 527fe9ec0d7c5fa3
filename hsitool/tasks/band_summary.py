"""What a calibration by band found: in words, as tables, and as one object for programs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from hsitool.maths.cameras.band_curve import BandCurve
from hsitool.maths.cameras.bands import NAMES, FittedShift
from hsitool.maths.cameras.calibration_result import Refusal
from hsitool.maths.cameras.plain_data import plain
from hsitool.maths.cameras.words import Row
from hsitool.tasks.calib_bands import ALPHA, BandResult, BandsRun
from hsitool.tasks.calib_record import calibration_record

LISTED = 3
"""Names that a note lists before it counts."""
CURVES = {"quadratic": "quadratic in wavelength", "cauchy": "Cauchy's formula"}


def bands_headline(found: BandsRun) -> str:
    """The answer in one sentence."""
    low = min(found.fitted, key=lambda pair: pair[1].e)
    high = max(found.fitted, key=lambda pair: pair[1].e)
    surely = [pair for pair in found.fitted if abs(pair[1].e) > pair[1].reach_e]
    against = f"of {_called(found, found.reference)}"
    if not surely:
        widest = max(shift.reach_e for _, shift in found.fitted)
        count = len(found.fitted)
        bands = "the other band" if count == 1 else f"all {count} other bands"
        return f"{bands} may have the focal length {against}: it is known to {_percent(widest)}"
    ends = [low] if low[0] is high[0] else [low, high]
    parts = [
        f"{100 * shift.e:+.4f} +- {_percent(shift.reach_e)} in {_called(found, result)}"
        for result, shift in ends
    ]
    return f"the focal length differs from that {against} by {' to '.join(parts)}"


def _percent(share: float) -> str:
    return f"{100 * share:.4f} %"


def _called(found: BandsRun, result: BandResult) -> str:
    return found.corners.called(found.results.index(result))


def bands_rows(found: BandsRun) -> Iterator[Row]:
    """Names and texts of what holds for all bands."""
    looks = found.reference.look
    why = f", corners {looks.scatter_px:.3f} px from a smooth grid" if looks.scatter_px >= 0 else ""
    yield "reference", f"{_called(found, found.reference)}{why}"
    fitted, refused = len(found.fitted), sum(bool(result.refused) for result in found.results)
    yield "bands", f"{fitted} compared with it" + (f", {refused} refused" if refused else "")
    yield "x against y", _apart(found)
    yield "dk1", _radial_words(found)
    if found.curve is not None:
        yield "curve", _curve_words(found.curve)
    if found.corners.mosaic is not None:
        across, down = found.corners.mosaic
        yield (
            "mosaic",
            f"{across}x{down} filters: pixels of a band are {across}x{down} of the sensor; where "
            "its filter lies in the pattern is taken off dcx, dcy",
        )
    yield "errors", "+- is half of a 95 % interval, of views whose errors are independent"


def _radial_words(found: BandsRun) -> str:
    """What became of the change of distortion."""
    if math.isnan(found.p_radial):
        return "fitted, as asked for" if found.radial else "held at 0, as asked for"
    told = f"(p {found.p_radial:.2g}, all bands together)"
    if found.radial:
        return f"fitted: distortion differs between bands {told}"
    return f"held at 0: no difference of distortion is seen {told}; --dk1 on allows for one"


def _apart(found: BandsRun) -> str:
    if math.isnan(found.p_apart):
        return "cannot be told"
    if found.one_focal_length:
        largest = max(abs(shift.anisotropy) for _, shift in found.fitted)
        return (
            f"f_b/f_ref is the same in x and y as far as can be told (largest e_x - e_y "
            f"{_percent(largest)}, p {found.p_apart:.2g}, all bands together)"
        )
    level = ALPHA / len(found.fitted)
    names = [_called(found, r) for r, shift in found.fitted if shift.p_anisotropy < level]
    return (
        f"f_b/f_ref differs between x and y in {_some(names)} (p {found.p_apart:.2g}): "
        "take e_x and e_y, not the one number"
    )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def _curve_words(curve: BandCurve) -> str:
    numbers = ", ".join(f"{1e4 * value:+.4g}" for value in curve.coefficients)
    variable = (
        f"({curve.middle_nm:g}/nm)^2"
        if curve.kind == "cauchy"
        else f"(nm - {curve.middle_nm:g})/{curve.half_nm:g}"
    )
    fits = "follows it" if curve.p_fit >= 0.01 else "departs from it by more than its noise"
    return (
        f"{CURVES[curve.kind]}: 1e-4 ({numbers}) of s^0, s^1, s^2, s = {variable}; f {fits} "
        f"(rms {1e4 * curve.rms:.2g}e-4, p {curve.p_fit:.2g})"
    )


def bands_table(found: BandsRun) -> list[list[str]]:
    """A head and a row for each band that was compared, in the order of the bands."""
    last = ["dk1"] if found.radial else []
    head = ["band", "nm", "f/f_ref", "+-", "e_x 1e-4", "e_y 1e-4", "dcx px", "dcy px", *last]
    head += ["edge px", "rms px", "views", "note"]
    return [head, *(_table_row(found, r) for r in found.results if not r.refused)]


def _table_row(found: BandsRun, result: BandResult) -> list[str]:
    nm = "" if result.wavelength_nm is None else f"{result.wavelength_nm:.6g}"
    shift = result.shift
    if shift is None:
        blank = [""] * (7 + found.radial)
        views = str(len(found.run.calibration.views))
        return [str(result.number), nm, "1", *blank, views, result.note]
    scales = (1e4, 1e4, 1.0, 1.0, 1.0)[: 4 + found.radial]
    cells = [
        _within(value * scale, reach * scale)
        for value, reach, scale in zip(shift.values, shift.reach, scales, strict=False)
    ]
    ratio = [f"{shift.f_ratio:.6f}", f"{shift.reach_e:.6f}"]
    quality = [f"{shift.edge_px:.3f}", f"{shift.rms_px:.3f}", str(shift.views)]
    return [str(result.number), nm, *ratio, *cells, *quality, result.note]


def _within(value: float, reach: float) -> str:
    """`+3.02 +- 0.61`"""
    places = min(max(1 - math.floor(math.log10(reach)), 0), 6) if reach > 0 else 4
    return f"{value:+.{places}f} +- {reach:.{places}f}"


def bands_notes(found: BandsRun) -> Iterator[str]:
    """What was refused, band by band, and what is doubtful."""
    for place, result in enumerate(found.results):
        called = found.corners.called(place)
        if result.refused:
            yield f"{called}: refused: {result.refused}"
        elif result.look.refused:
            yield f"{called}: not used in {_lost(result.look.refused)}"
        if result.note.startswith("focus"):
            yield f"{called}: {result.note}"


def _lost(refused: Sequence[Refusal]) -> str:
    return f"{_some([refusal.name for refusal in refused])}: {refused[0].reason}"


def shift_rows(found: BandsRun) -> list[dict[str, float | int | str | None]]:
    """A row for each band that was compared, by the columns of `storage.band_shifts`."""
    return [_shift_row(result) for result in found.results if not result.refused]


def _shift_row(result: BandResult) -> dict[str, float | int | str | None]:
    row: dict[str, float | int | str | None] = {
        "band": result.number,
        "wavelength_nm": result.wavelength_nm,
        "note": result.note,
        **dict.fromkeys(NAMES, 0.0),
    }
    if result.offset_px is not None:
        row |= {"offset_x_px": result.offset_px[0], "offset_y_px": result.offset_px[1]}
    shift = result.shift
    if shift is None:
        return row | {"f_ratio": 1.0}
    low, high = shift.f_interval
    return (
        row
        | dict(zip(NAMES, shift.values.tolist(), strict=True))
        | {f"se_{n}": e for n, e in zip(NAMES, shift.standard_errors.tolist(), strict=True)}
        | {"f_ratio": shift.f_ratio, "f_ratio_low": low, "f_ratio_high": high}
        | {"points": shift.points, "views": shift.views}
        | {"rms_px": shift.rms_px, "edge_px": shift.edge_px}
    )


def bands_record(found: BandsRun, *, single: bool = False) -> dict[str, Any]:
    """The reference band's record, and what the bands are against it."""
    corners = found.corners
    fit = {"dk1": found.radial, "p_dk1": found.p_radial, "p_x_against_y": found.p_apart}
    extra = {
        "reference_band": found.reference.number,
        "band_fit": fit | {"one_focal_length": found.one_focal_length, "mosaic": corners.mosaic},
        "bands": [_entry(result) for result in found.results],
        "band_curve": None if found.curve is None else _curve_entry(found.curve),
    }
    return calibration_record(found.run, single=single) | {k: plain(v) for k, v in extra.items()}


def _entry(result: BandResult) -> dict[str, Any]:
    look = result.look
    return {
        "band": result.number,
        "wavelength_nm": result.wavelength_nm,
        "reference": result.is_reference,
        "refused": result.refused or None,
        "note": result.note,
        "shift": None if result.shift is None else _shift_entry(result.shift),
        "offset_px": result.offset_px,
        "contrast": look.contrast,
        "blur_px": look.blur_px,
        "corner_scatter_px": look.scatter_px,
        "refused_views": [asdict(refusal) for refusal in look.refused],
    }


def _shift_entry(shift: FittedShift) -> dict[str, Any]:
    return {
        "f_ratio": shift.f_ratio,
        "f_ratio_interval": shift.f_interval,
        "se_f_ratio": shift.se_e,
        "values": dict(zip(NAMES, shift.values.tolist(), strict=True)),
        "standard_errors": dict(zip(NAMES, shift.standard_errors.tolist(), strict=True)),
        "intervals": {name: shift.interval(place) for place, name in enumerate(NAMES)},
        "x_against_y": {
            "difference": shift.anisotropy,
            "se": shift.se_anisotropy,
            "p": shift.p_anisotropy,
        },
        "edge_px": shift.edge_px,
        "rms_px": shift.rms_px,
        "points": shift.points,
        "trimmed": shift.trimmed,
        "views": shift.views,
    }


def _curve_entry(curve: BandCurve) -> dict[str, Any]:
    names = ("kind", "middle_nm", "half_nm", "coefficients", "covariance", "dof", "chi2", "bands")
    found = {name: getattr(curve, name) for name in names}
    errors = np.sqrt(np.diag(curve.covariance))
    return found | {
        "standard_errors": errors,
        "rms": curve.rms,
        "p_fit": curve.p_fit,
        "error_correlation": curve.common,
    }
