"""What a calibration found, in words: rows for a terminal and for a page."""

from __future__ import annotations

import math
from collections.abc import Iterator

from hsitool.errors import printable
from hsitool.maths.cameras.calibration_result import BoardFit, Calibration, Fit, ViewResult
from hsitool.maths.cameras.words import Row, percent, with_error
from hsitool.tasks.calib import CalibrationRun


def summary_rows(run: CalibrationRun) -> list[Row]:
    """Names and texts; a row that continues the one above has no name."""
    found = run.calibration
    return [
        *_quality(found),
        *_camera(found),
        *_difference(found),
        *_sensor(found),
        *_optics(found),
        *_board(run),
        *_trust(found),
    ]


def _quality(found: Calibration) -> Iterator[Row]:
    left_out = f", {found.trimmed} left out as outliers" if found.trimmed else ""
    used = len(found.views)
    yield "views", f"{used} used, {found.points} corners{left_out}"
    noise = sorted(v.corner_noise_px for v in found.views if math.isfinite(v.corner_noise_px))
    told = f"; noise of the corners {math.sqrt(2) * noise[len(noise) // 2]:.3f} px" if noise else ""
    yield "RMS", f"{found.rms_px:.4f} px per corner{told}"
    for finding in found.findings:
        yield "bad fit" if finding.severe else "doubtful", finding.text


def _camera(found: Calibration) -> Iterator[Row]:
    two, focal = found.reported.two, found.focal
    single = f"{with_error(focal.fx_px, focal.se_fx_px)} px"
    if not math.isclose(focal.fx_px, focal.fy_px, rel_tol=1e-12):
        single += f" along x, {focal.fy_px:.2f} px along y"
    if focal.f_mm is not None and focal.se_mm is not None:
        single += f" = {with_error(focal.f_mm, focal.se_mm)} mm"
    yield "f", f"{single} (one focal length)"
    for name in ("fx", "fy", "cx", "cy"):
        yield name, f"{with_error(two.value(name), two.standard_error(name))} px"
    yield "distortion", _lens(found.model, two)


def _lens(model: str, fit: Fit) -> str:
    """The free coefficients with their errors."""
    names = [name for name in fit.names if name[0] in "kp"]
    parts = [f"{name} {with_error(fit.value(name), fit.standard_error(name))}" for name in names]
    return f"{model}: {', '.join(parts)}"


def _difference(found: Calibration) -> Iterator[Row]:
    level = f"{100 * (1 - found.alpha):g} %"
    for name, fit in (("board as drawn", found.rigid), ("board's shape free", found.free)):
        if fit is None:
            continue
        low, high = fit.ratio.interval
        first = "fx against fy" if fit is found.rigid else ""
        ends = f"{level} interval {percent(low)} to {percent(high)}"
        yield first, f"{percent(fit.ratio.delta)}, {ends}, {name}"
    yield from _tests(found.reported)
    tol = f"tolerance {100 * found.tol:.3g} %"
    yield "detectable", f"differences from {100 * found.detectable:.3g} % on; {tol}"
    yield "at the edge", f"{found.edge_px:+.2f} px, {found.image_size[0] / 2:g} px from the centre"


def _tests(fit: BoardFit) -> Iterator[Row]:
    ratio = fit.ratio
    parts = [f"z {ratio.z:.2f}", f"F {ratio.f_statistic:.2f} (p {ratio.p_f:.2g})"]
    if math.isfinite(ratio.jackknife_t):
        critical = f"(critical {ratio.jackknife_critical:.2f})"
        parts.append(f"jackknife t {ratio.jackknife_t:.2f} {critical}")
        parts.append(f"inflation {ratio.inflation:.1f}")
    yield "tests", ", ".join(parts)
    better = "two focal lengths" if ratio.bic_difference > 0 else "one focal length"
    prefers = f"BIC prefers {better} by {abs(ratio.bic_difference):.1f}"
    yield "", f"{prefers}, correlation of fx and fy {ratio.correlation:.3f}"


def _sensor(found: Calibration) -> Iterator[Row]:
    focal = found.focal
    if focal.implied_mx is None or focal.implied_my is None:
        yield "pixels", "square pixels assumed: --pitch, --m or --sensor gives f in mm"
        return
    implied = f"{focal.implied_mx:.4f}, {focal.implied_my:.4f}"
    sheet = f"{focal.sheet_mx:.4f}, {focal.sheet_my:.4f}"
    yield "mx, my", f"{implied} px/mm implied by fx, fy and f; data sheet {sheet}"


def _optics(found: Calibration) -> Iterator[Row]:
    lens, pinhole = found.field_of_view, found.field_of_view_pinhole
    diagonal = (
        f"diagonal {lens.diagonal:.2f}"
        if math.isfinite(lens.diagonal)
        else ("diagonal unknown: the distortion folds over before the corners")
    )
    yield (
        "field of view",
        f"{lens.horizontal:.2f} x {lens.vertical:.2f} degrees, {diagonal} "
        f"(without distortion {pinhole.horizontal:.2f} x {pinhole.vertical:.2f})",
    )


def _board(run: CalibrationRun) -> Iterator[Row]:
    free = run.calibration.free
    if free is None:
        return
    fit, shape = free.two, free.two.board
    errors = {name: fit.standard_error(name) for name in ("aspect", "shear", "bow_x", "bow_y")}
    aspect = with_error(shape.aspect, errors["aspect"])
    shear = with_error(shape.shear, errors["shear"], sign=True)
    yield "board", f"aspect {aspect}, shear {shear}"
    bow_x = with_error(shape.bow_x_mm, errors["bow_x"], sign=True)
    bow_y = with_error(shape.bow_y_mm, errors["bow_y"], sign=True)
    yield "", f"bow {bow_x} along its rows, {bow_y} along its columns, in {run.length_unit}"
    price = free.ratio.wider_se / run.calibration.rigid.ratio.wider_se
    yield "", f"a free shape makes the error of the difference {price:.1f} times what it was"
    if abs(shape.aspect - 1) > 3 * errors["aspect"]:
        (width, height), unit = run.board_size_mm, run.length_unit
        yield "", f"to check: measure {width:g} {unit} along its rows, {height:g} along its columns"


def _trust(found: Calibration) -> Iterator[Row]:
    half = found.half_split
    if half is not None:
        chance = f"chance explains up to {half.limit:.3f} px"
        says = f"the intervals are optimistic, {chance}" if half.optimistic else chance
        pair = f"{half.difference_px:.3f} px apart, {half.predicted_px:.3f} px predicted"
        yield "half-split", f"{pair}: {says}"
    cover = found.coverage
    yield (
        "coverage",
        f"{100 * cover.frame_share:.0f} % of the frame, tilt up to {cover.tilt_max_deg:.0f} "
        f"degrees, rolls within {cover.roll_spread_deg:.0f} of 180 degrees",
    )


def view_table(run: CalibrationRun) -> list[list[str]]:
    """A head and a row for each view that was used."""
    head = ["view", "corners", "left out", "RMS px", "noise px", "tilt", "roll", "influence %"]
    return [head, *(_view_row(view) for view in run.calibration.views)]


def _view_row(view: ViewResult) -> list[str]:
    noise = math.sqrt(2) * view.corner_noise_px
    return [
        printable(view.name),
        str(len(view.used)),
        str(view.trimmed),
        f"{view.rms_px:.3f}",
        f"{noise:.3f}" if math.isfinite(noise) else "",
        f"{view.tilt_deg:.1f}",
        f"{view.roll_deg:.1f}",
        f"{100 * view.influence_delta:+.4f}",
    ]
