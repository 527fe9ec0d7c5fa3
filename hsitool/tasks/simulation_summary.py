"""A simulation in words and as one object for programs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import hsitool
from hsitool.maths.cameras.simulation import Shoot
from hsitool.tasks.camera_simulate import Coverage, Forecast, PowerRow, Share, Simulation

Row = tuple[str, str]

CANNOT_KNOW = (
    "noise is taken as Gaussian and independent; errors that a whole view shares (blur, motion, "
    "a soft board) come on top, and only the shoot itself shows them"
)


AS_DRAWN, SHAPE_FREE = "as drawn", "shape free"


def percent(value: float, digits: int = 2) -> str:
    """A relative difference to so many digits."""
    return f"{100 * value:.{digits}g} %"


def share_words(share: Share) -> str:
    """`94 % (90 to 97)`: a share in per cent with its 95 % interval."""
    low, high = (100 * end for end in share.interval)
    return f"{100 * share.value:.0f} % ({low:.0f} to {high:.0f})"


def summary_rows(found: Simulation) -> list[Row]:
    """Names and texts; a row that continues the one above has no name."""
    return [
        *_plan(found),
        *_detectable(found),
        *_errors(found),
        *_counted(found),
        *_needed(found),
        *(("advice" if i == 0 else "", text) for i, text in enumerate(found.advice)),
        ("not in it", CANNOT_KNOW),
    ]


def _plan(found: Simulation) -> Iterator[Row]:
    shoot, (width, height) = found.plan.shoot, found.plan.shoot.camera.image_size
    yield (
        "shoot",
        f"{shoot.views} views, {len(shoot.board_mm)} corners each, noise {shoot.noise_px:g} px",
    )
    low, high = shoot.tilt_deg
    mean = f"{100 * found.fill_seen[1]:.0f} % of the width on average"
    yield "", f"tilt {low:g} to {high:g} degrees, roll {shoot.roll}, the board over {mean}"
    yield "camera", f"{width} x {height} px, f {_focal(found)}, distortion {_lens(shoot)}"
    yield (
        "simulated",
        f"{found.geometries} shoots foretold, {found.plan.trials} of them calibrated, "
        f"seed {found.plan.seed}",
    )


def _focal(found: Simulation) -> str:
    camera, sensor = found.plan.shoot.camera, found.plan.asked.sensor
    px = f"{camera.fx:.6g} px"
    if not math.isclose(camera.fx, camera.fy, rel_tol=1e-9):
        px = f"{camera.fx:.6g} px along x, {camera.fy:.6g} px along y"
    return px if sensor.pitch_mm is None else f"{px} ({camera.fy * sensor.pitch_mm[1]:.5g} mm)"


def _lens(shoot: Shoot) -> str:
    return " ".join(f"{number:g}" for number in shoot.camera.distortion)


def _detectable(found: Simulation) -> Iterator[Row]:
    said = f"{percent(found.judged.detectable_reported)} on, in 80 % of such shoots"
    yield "detectable", f"fx and fy that differ by {said}, by the interval that calib reports"
    for name, forecast in _models(found):
        yield "", f"{percent(forecast.detectable)} on by the F test, {name}"


def _errors(found: Simulation) -> Iterator[Row]:
    mx, known = found.plan.asked.focal[0], found.plan.asked.sensor.known
    for name, forecast in _models(found):
        mm = f" = {forecast.se_single_px / mx:.2g} mm" if known else ""
        low, high = forecast.se_delta_range
        yield (
            name,
            f"f +- {forecast.se_single_px:.2g} px{mm}, fx {forecast.se_fx_px:.2g} px, "
            f"fy {forecast.se_fy_px:.2g} px, fx/fy {percent(forecast.se_delta)} "
            f"({percent(low)} to {percent(high)})",
        )
        if abs(forecast.bias_delta) > 0.1 * forecast.se_delta:
            yield "", f"the print's errors move fx/fy by {100 * forecast.bias_delta:+.3f} %"


def _models(found: Simulation) -> Iterator[tuple[str, Forecast]]:
    yield AS_DRAWN, found.rigid
    if found.free is not None:
        yield SHAPE_FREE, found.free


def _counted(found: Simulation) -> Iterator[Row]:
    pairs = ((AS_DRAWN, found.coverage_rigid), (SHAPE_FREE, found.coverage_free))
    first = "coverage"
    for name, cover in pairs:
        if cover is not None:
            yield (
                first,
                f"{name}: {share_words(cover.ols)} by least squares, "
                f"{share_words(cover.jackknife)} by jackknife, "
                f"{share_words(cover.reported)} as reported",
            )
            first = ""
    said = [f"{key.replace('_', ' ')} {share_words(s)}" for key, s in found.verdicts.items()]
    if said:
        yield "verdicts", ", ".join(said)
    if found.failed is not None and found.failed.count:
        yield "failed", f"{found.failed.count} of {found.failed.of} calibrations"


def _needed(found: Simulation) -> Iterator[Row]:
    tol = f"a difference of {percent(found.plan.asked.tol, 3)} in 80 % of such shoots"
    if found.views_needed is None:
        yield "views", f"no number of such views shows {tol}"
    else:
        yield "views", f"about {found.views_needed} views like these show {tol}"


def power_table(found: Simulation) -> list[list[str]]:
    """A head, and a row for each difference."""
    free = [f"F test, {SHAPE_FREE}"] if found.free is not None else []
    counted = ["the same, counted"] if found.plan.trials else []
    head = ["fx/fy - 1", f"F test, {AS_DRAWN}", *free, "calib's interval", *counted]
    return [head, *(_power_cells(row) for row in found.power)]


def _power_cells(row: PowerRow) -> list[str]:
    predicted = [
        f"{100 * value:.0f} %" for value in (row.rigid, row.free, row.reported) if value is not None
    ]
    counted = [] if row.counted is None else [share_words(row.counted)]
    return [f"{100 * row.difference:.3g} %", *predicted, *counted]


def simulation_record(found: Simulation) -> dict[str, Any]:
    """Numbers, texts, lists and objects; None for what was not simulated."""
    plan, shoot, camera = found.plan, found.plan.shoot, found.plan.shoot.camera
    mx = plan.asked.focal[0]
    return {
        "tool": f"hsitool {hsitool.__version__}",
        "views": shoot.views,
        "corners": len(shoot.board_mm),
        "noise_px": shoot.noise_px,
        "image_size": list(camera.image_size),
        "model": camera.model,
        "camera_matrix": camera.matrix.tolist(),
        "distortion": list(camera.distortion),
        "pixel_pitch_mm": list(pitch) if (pitch := plan.asked.sensor.pitch_mm) else None,
        "true_difference": float(camera.fx / camera.fy / (mx / plan.asked.focal[1]) - 1),
        "tilt_deg": list(shoot.tilt_deg),
        "roll": shoot.roll,
        "fill": dict(zip(("least", "mean", "largest"), found.fill_seen, strict=True)),
        "printed": {
            "aspect": shoot.printed.aspect,
            "bow_mm": [shoot.printed.bow_x_mm, shoot.printed.bow_y_mm],
        },
        "outliers": shoot.outliers,
        "geometries": found.geometries,
        "trials": plan.trials,
        "seed": plan.seed,
        "rigid": _forecast(found.rigid, mx, plan.asked.sensor.known),
        "free": found.free and _forecast(found.free, mx, plan.asked.sensor.known),
        "detectable": found.judged.detectable_reported,
        "coverage": {
            "rigid": _coverage(found.coverage_rigid),
            "free": _coverage(found.coverage_free),
        },
        "verdicts": {key: _share(share) for key, share in found.verdicts.items()},
        "failed": _share(found.failed),
        "power": [_power(row) for row in found.power],
        "tol": plan.asked.tol,
        "views_needed": found.views_needed,
        "advice": list(found.advice),
        "assumes": CANNOT_KNOW,
    }


def _forecast(forecast: Forecast, mx: float, known: bool) -> dict[str, Any]:
    return {
        "detectable": forecast.detectable,
        "detectable_reported": forecast.detectable_reported,
        "se_fx_px": forecast.se_fx_px,
        "se_fy_px": forecast.se_fy_px,
        "se_f_px": forecast.se_single_px,
        "se_f_mm": forecast.se_single_px / mx if known else None,
        "se_delta": forecast.se_delta,
        "se_delta_range": list(forecast.se_delta_range),
        "bias_delta": forecast.bias_delta,
        "correlation": forecast.correlation,
    }


def _coverage(cover: Coverage | None) -> dict[str, Any] | None:
    if cover is None:
        return None
    return {name: _share(getattr(cover, name)) for name in ("ols", "jackknife", "reported")}


def _share(share: Share | None) -> dict[str, Any] | None:
    if share is None:
        return None
    return {
        "share": share.value,
        "count": share.count,
        "of": share.of,
        "interval": list(share.interval),
    }


def _power(row: PowerRow) -> dict[str, Any]:
    return {
        "difference": row.difference,
        "rigid": row.rigid,
        "free": row.free,
        "reported": row.reported,
        "counted": _share(row.counted),
    }
