"""Is a fit good? Corner noise told from smoothness alone, coverage, and what looks wrong.

Corner noise is what a quartic polynomial in the board's coordinates does not follow of a view's
residuals: errors of lens models and boards are smooth, so residuals far above it are theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special  # type: ignore[import-untyped]

from hsitool.maths.cameras.calibration_result import Coverage, Finding, ViewResult
from hsitool.maths.cameras.camera import Floats
from hsitool.maths.cameras.model_fits import PER_MAD

CELLS = 8
DEGREES = ((4, 40), (3, 24), (2, 14))
"""(degree, fewest points) of the polynomial that follows a view's smooth errors."""
MOST_PAIRED = 1500

FAR_ABOVE_NOISE = 3.0
"""Residuals per corner noise from which the lens model is wrong, doubtful from 2."""
TRUSTED_NOISE_PX = 0.02
EXACT_PX = 1e-3
"""Residuals below it are rounding, as of simulated corners: their pattern says nothing."""
LARGE_NOISE_PX = 0.7
LARGE_NOISE_SHARE = 0.03
"""Of the spacing of corners."""
SMALL_SPACING_PX = 8.0
LARGE_INFLATION = 1.5
BAD_INFLATION = 4.0
LARGE_TRIMMED = 0.02
BAD_TRIMMED = 0.1
STRUCTURE = 0.5
"""RMS of the mean radial residual over the radius, per residual, from which there is structure."""
RADIUS_BINS = 10
NO_PERSPECTIVE = 4.0
"""What is not affine along one axis per the same along the other, in a typical view."""


def corner_noise(residual_px: Floats, board: Floats) -> float:
    """Standard deviation in px of one coordinate, from one view; NaN where it cannot be told.

    Args:
        residual_px: (n, 2) of any fit, however bad, as long as it is smooth over the board.
        board: (n, 2 or more) where the points are on a flat board, in any unit.
    """
    degree = next((d for d, fewest in DEGREES if len(residual_px) >= fewest), None)
    if degree is None:
        return float("nan")
    x, y = _unit(board[:, :2]).T
    powers = [(i, j) for i in range(degree + 1) for j in range(degree + 1 - i)]
    basis, _ = np.linalg.qr(np.column_stack([x**i * y**j for i, j in powers]))
    left = residual_px - basis @ (basis.T @ residual_px)
    freedom = len(left) - len(powers)
    return float(PER_MAD * np.median(np.abs(left)) * np.sqrt(len(left) / freedom))


def _unit(flat: Floats) -> Floats:
    """Coordinates scaled to -1 .. 1."""
    low, high = flat.min(axis=0), flat.max(axis=0)
    scaled: Floats = (2 * flat - low - high) / (high - low).max()
    return scaled


def spacing(image_px: Floats) -> float:
    """Smallest distance in px between two points; of successive points where there are many."""
    if len(image_px) > MOST_PAIRED:
        return float(np.hypot(*np.diff(image_px, axis=0).T).min())
    apart = image_px[:, None] - image_px
    squared = np.sum(apart**2, axis=-1)
    np.fill_diagonal(squared, np.inf)
    return float(np.sqrt(squared.min()))


def tilt_deg(rotation: Floats) -> float:
    """Between a board's normal and the optical axis."""
    return float(np.degrees(np.arccos(np.clip(abs(rotation[2, 2]), 0, 1))))


def roll_deg(rotation: Floats) -> float:
    """Of a board's x axis in the image, in [-180, 180)."""
    angle = float(np.degrees(np.arctan2(rotation[1, 0], rotation[0, 0])))
    return (angle + 180) % 360 - 180


def coverage(views: tuple[ViewResult, ...], image_size: tuple[int, int]) -> Coverage:
    """Of the frame, of tilts and of rolls."""
    points = np.concatenate([view.image_px[view.used] for view in views])
    cells = (points + 0.5) / image_size * CELLS
    seen = np.unique(cells.astype(int).clip(0, CELLS - 1), axis=0)
    tilts = np.array([view.tilt_deg for view in views])
    rolls = np.array([view.roll_deg for view in views])
    turned = np.sort(rolls % 180)
    gaps = np.append(np.diff(turned), turned[0] + 180 - turned[-1])
    agreement = abs(np.exp(2j * np.radians(rolls)).mean())
    return Coverage(
        frame_share=len(seen) / CELLS**2,
        tilt_max_deg=float(tilts.max()),
        tilt_spread_deg=float(np.ptp(tilts)),
        roll_spread_deg=float(180 - gaps.max()),
        roll_quadrature=float(1 - agreement),
    )


@dataclass(frozen=True, eq=False)
class _Residuals:
    """Of all points that were used, put together."""

    along: Floats
    """(n, 2)"""
    from_centre: Floats
    """(n, 2) px"""

    @classmethod
    def of(cls, views: tuple[ViewResult, ...], centre: tuple[float, float]) -> _Residuals:
        along = np.concatenate([view.residual_px[view.used] for view in views])
        places = np.concatenate([view.image_px[view.used] for view in views])
        return cls(along, places - centre)


def findings(
    views: tuple[ViewResult, ...],
    centre: tuple[float, float],
    inflation: float,
    beyond: int,
) -> tuple[Finding, ...]:
    """What makes the fit bad or doubtful, the worst first.

    Args:
        views: with their residuals.
        centre: the principal point in px.
        inflation: jackknife per least-squares standard error.
        beyond: points beyond the limit of outliers that were too many to be left out.
    """
    misfit = _model_error(views)
    exact = _sigma(views) < EXACT_PX
    found = [
        pushbroom([(view.image_px[view.used], view.board_mm[view.used]) for view in views]),
        misfit,
        _small(views),
        None if misfit is not None and misfit.severe else _noisy(views),
        _trimmed(views),
        None if exact else _heavy_tail(views, beyond),
        None if exact else _inflated(inflation, len(views)),
        None if exact else _radial(_Residuals.of(views, centre)),
        _clustered(views, centre),
    ]
    return tuple(sorted(filter(None, found), key=lambda finding: not finding.severe))


def typical_noise(views: tuple[ViewResult, ...]) -> float:
    """Median corner noise of the views in px; NaN where none can be told."""
    noise = np.array([view.corner_noise_px for view in views])
    return float(np.median(noise[np.isfinite(noise)])) if np.isfinite(noise).any() else np.nan


def _sigma(views: tuple[ViewResult, ...]) -> float:
    """RMS of one coordinate of all points, trimmed ones included at most at 4 sigma."""
    along = np.concatenate([view.residual_px for view in views])
    bulk = PER_MAD * np.median(np.abs(along))
    return float(np.sqrt(np.mean(np.clip(np.abs(along), 0, 4 * bulk) ** 2)))


def _model_error(views: tuple[ViewResult, ...]) -> Finding | None:
    noise, sigma = typical_noise(views), _sigma(views)
    share = sigma / max(noise, TRUSTED_NOISE_PX)
    if not share > 2:
        return None
    text = (
        f"residuals of {sigma:.3g} px where the corners are good to {noise:.2g} px: the lens "
        "model does not describe these images (a wider lens needs --model rational or fisheye), "
        "or the board is not flat or moved during exposures"
    )
    return Finding("model", share > FAR_ABOVE_NOISE, text)


def _small(views: tuple[ViewResult, ...]) -> Finding | None:
    apart = _typical_spacing(views)
    if apart >= SMALL_SPACING_PX:
        return None
    text = f"corners are {apart:.1f} px apart: the images are too small (thumbnails?)"
    return Finding("small_images", True, text)


def _typical_spacing(views: tuple[ViewResult, ...]) -> float:
    return float(np.median([view.spacing_px for view in views]))


def _noisy(views: tuple[ViewResult, ...]) -> Finding | None:
    noise, apart = typical_noise(views), _typical_spacing(views)
    if not (noise > LARGE_NOISE_PX or noise > LARGE_NOISE_SHARE * apart):
        return None
    text = (
        f"corners scatter by {noise:.2f} px at a spacing of {apart:.0f} px: blurred, moved "
        "or badly compressed images"
    )
    return Finding("noisy_corners", True, text)


def _trimmed(views: tuple[ViewResult, ...]) -> Finding | None:
    count, points = sum(view.trimmed for view in views), sum(len(view.used) for view in views)
    if count <= LARGE_TRIMMED * points:
        return None
    text = f"{count} of {points} points left out as outliers: they hide what the model misses"
    return Finding("trimmed", count > BAD_TRIMMED * points, text)


def _heavy_tail(views: tuple[ViewResult, ...], beyond: int) -> Finding | None:
    if not beyond:
        return None
    text = (
        f"{beyond} of {sum(len(view.used) for view in views)} points lie beyond 4 robust standard "
        "deviations, too many for outliers, so none is left out: the model misses something (a "
        "board that is not flat, another lens model, motion)"
    )
    return Finding("heavy_tail", True, text)


def _inflated(inflation: float, views: int) -> Finding | None:
    # A jackknife of few views scatters: its square as chi-square per degree of freedom.
    freedom = views - 1
    chance = np.sqrt(2 * special.gammaincinv(freedom / 2, 0.99) / freedom)
    if not inflation > max(LARGE_INFLATION, chance):
        return None
    text = (
        f"views disagree {inflation:.1f} times more than noise makes them: their errors are not "
        "independent noise of corners (board, blur, motion, lens model)"
    )
    return Finding("inflation", inflation > BAD_INFLATION, text)


def _radial(residual: _Residuals) -> Finding | None:
    """Mean radial residuals of rings of equally many points."""
    radius = np.hypot(*residual.from_centre.T)
    outward = np.sum(residual.along * residual.from_centre, axis=1) / np.where(
        radius > 0, radius, 1
    )
    rings = np.array_split(outward[np.argsort(radius)], RADIUS_BINS)
    if len(rings[-1]) < 10:
        return None
    sigma = float(np.sqrt(np.mean(residual.along**2)))
    excess = np.mean([ring.mean() ** 2 - ring.var() / len(ring) for ring in rings])
    structure = float(np.sqrt(max(excess, 0.0)))
    if not structure > STRUCTURE * sigma:
        return None
    text = f"residuals follow the radius ({structure:.2g} of {sigma:.2g} px): another lens model"
    return Finding("radial_structure", structure > 0.8 * sigma, text)


def _clustered(views: tuple[ViewResult, ...], centre: tuple[float, float]) -> Finding | None:
    """Trimmed points that lie in one view, or far out."""
    out = [view.trimmed for view in views]
    if sum(out) < 10:
        return None
    worst = views[int(np.argmax(out))]
    if worst.trimmed > sum(out) / 2 and len(views) > 4:
        text = f"{worst.trimmed} of {sum(out)} points left out are in {worst.name}: look at it"
        return Finding("trimmed_view", False, text)
    radius = [np.hypot(*(view.image_px - centre).T) for view in views]
    third = np.quantile(np.concatenate(radius), 2 / 3)
    far = sum(int((r[~view.used] > third).sum()) for r, view in zip(radius, views, strict=True))
    if far / sum(out) < 1 / 3 + 3 * np.sqrt(2 / 9 / sum(out)):
        return None
    text = f"{far} of {sum(out)} points left out are far from the centre: another lens model"
    return Finding("trimmed_radius", False, text)


def pushbroom(views: Sequence[tuple[Floats, Floats]]) -> Finding | None:
    """Whether one image axis knows no perspective, from (n, 2) px and (n, 3) mm of each view.

    A line scanner moving at a constant speed sees a flat board's points in rows that are affine in
    the board's coordinates, while across its line there is perspective (Gupta and Hartley 1997,
    Linear Pushbroom Cameras); a frame camera has both or none.
    """
    beyond = np.array([_beyond_affine(image, board) for image, board in views])
    middle = float(np.median(beyond[:, 0] / np.maximum(beyond[:, 1], 1e-9)))
    if 1 / NO_PERSPECTIVE < middle < NO_PERSPECTIVE:
        return None
    axis, other = ("y", "x") if middle > 1 else ("x", "y")
    text = (
        f"{axis} shows no perspective and {other} does, as in a line scanner's images: is {axis} "
        "scan motion? Its scale is then no focal length (--scanner pushbroom)"
    )
    return Finding("pushbroom", True, text)


def _beyond_affine(image_px: Floats, board_mm: Floats) -> Floats:
    """RMS px along x and y of what no affine function of the board's coordinates explains."""
    basis, _ = np.linalg.qr(np.column_stack([board_mm[:, :2], np.ones(len(board_mm))]))
    left = image_px - basis @ (basis.T @ image_px)
    found: Floats = np.sqrt(np.mean(left**2, axis=0))
    return found
