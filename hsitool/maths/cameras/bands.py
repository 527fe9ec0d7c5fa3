"""Focal length and image centre of each band against a reference band seen in the same poses.

Corners of a band less those of the reference are, to first order, what changes of the camera do
to them, while poses, board and most of the distortion cancel:

    u_b - u_ref = e_x (u_ref - cx) + dcx + dk1 fx x r2,    v likewise,    e_x = fx_b / fx_ref - 1.

Errors are those of independent views (`clustered`). The reference's corners are in the
differences of every band, so bands err together; `band_curve` uses how much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special  # type: ignore[import-untyped]

from hsitool.errors import DataError, UsageError
from hsitool.maths.cameras.calibration_result import Calibration, Flags, Interval
from hsitool.maths.cameras.camera import Camera, Floats, project
from hsitool.maths.cameras.clustered import ClusteredFit, Ints, clustered_fit
from hsitool.maths.cameras.model_fits import within_limit

RadialChoice = Literal["auto", "on", "off"]
NAMES = ("e_x", "e_y", "dcx_px", "dcy_px", "dk1")
E_X, E_Y, DCX, DCY, DK1 = range(5)
ALPHA = 0.05
RADIAL_ALPHA = 0.01
"""Level of the test for dk1, since a false alarm costs half of the precision of all bands; with 7
views or fewer, the lowest probability that so many can give."""
FLIPS = 999
FLIP_SEED = 0
FEWEST_VIEWS = 3
FEWEST_POINTS = 6
"""Of a view; also where a band is trimmed to fewer, its view is left out."""
MOST_ROUNDS = 10


@dataclass(frozen=True, eq=False)
class Sight:
    """The points of the reference band, view after view."""

    view: Ints
    """(n,) number of the view."""
    uv: Floats
    """(n, 2) px, as detected."""
    columns: Floats
    """(n, 2, 5) derivatives of u and v by `NAMES`, px."""
    edges: Floats
    """(8, 2, 5) the same at the corners and the middles of the sides of the frame."""

    @property
    def views(self) -> int:
        """Their number."""
        return int(self.view.max()) + 1


@dataclass(frozen=True, eq=False)
class FittedShift:
    """One band against the reference; `values` and errors in the order of `NAMES`.

    An error is NaN where its value was held at 0, as dk1 may be.
    """

    values: Floats
    """(5,)"""
    standard_errors: Floats
    """(5,)"""
    reach: Floats
    """(5,) half of the 95 % intervals."""
    e: float
    """Relative change of one focal length, f_b / f_ref - 1."""
    se_e: float
    reach_e: float
    anisotropy: float
    """e_x - e_y, with its error and the probability of as much where they are equal."""
    se_anisotropy: float
    p_anisotropy: float
    edge_px: float
    """The longest shift against the reference along the frame's border."""
    rms_px: float
    """Of the residuals, per point that was used."""
    points: int
    trimmed: int
    views: int
    scores: Floats
    """(views of the reference,) what each view adds to the error of e; 0 without the band."""

    @property
    def f_ratio(self) -> float:
        """f_b / f_ref."""
        return 1 + self.e

    @property
    def f_interval(self) -> Interval:
        """95 % interval of f_b / f_ref."""
        return (1 + self.e - self.reach_e, 1 + self.e + self.reach_e)

    def interval(self, place: int) -> Interval:
        """95 % interval of a value."""
        middle, reach = float(self.values[place]), float(self.reach[place])
        return (middle - reach, middle + reach)


@dataclass(frozen=True, eq=False)
class BandFits:
    """All bands against the reference; a band is None where it could not be fitted."""

    shifts: tuple[FittedShift | None, ...]
    reasons: tuple[str, ...]
    """Why a band has none; empty where it has."""
    radial: bool
    """Whether dk1 was fitted."""
    p_radial: float
    """Probability of so large dk1 in all bands together, were there none; NaN where not tested."""


def sight(found: Calibration) -> Sight:
    """What the reference band's calibration gives for the differences.

    Derivatives are taken where the fit puts the points, so that noise of the reference's corners
    is not on both sides of the regression.
    """
    camera = found.camera
    fitted = [view.image_px + view.residual_px for view in found.views]
    counts = [len(view.image_px) for view in found.views]
    width, height = found.image_size
    across, down = np.array([0, width / 2, width]), np.array([0, height / 2, height])
    frame = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2) - 0.5
    return Sight(
        np.repeat(np.arange(len(counts)), counts),
        np.concatenate([view.image_px for view in found.views]),
        _derivatives(camera, np.concatenate(fitted)),
        _derivatives(camera, np.delete(frame, 4, axis=0)),
    )


def _derivatives(camera: Camera, pixels: Floats) -> Floats:
    """(n, 2, 5) of u and v by `NAMES`; NaN where the lens shows nothing."""
    rays = camera.unproject(pixels)
    _, by_lens, _ = project(camera.model, camera.intrinsics, np.nan_to_num(rays, nan=1.0))
    columns: Floats = by_lens[:, :, :5] * [camera.fx, camera.fy, 1, 1, 1]
    columns[~np.isfinite(rays).all(axis=1)] = np.nan
    return columns


def fit_bands(
    seen: Sight, uv: Floats, radial: RadialChoice = "auto", trim: bool = True
) -> BandFits:
    """Each band's differences.

    Args:
        seen: the reference band.
        uv: (bands, n, 2) px of its points in other bands, NaN where they were not found.
        radial: whether dk1 is free; "auto" tests all bands together, since one lens makes them.
        trim: leave out differences beyond 4 robust standard deviations.

    Raises:
        UsageError: another word for `radial`.
    """
    if radial not in ("auto", "on", "off"):
        raise UsageError(f"--dk1 '{radial}' is none of auto, on and off")
    p_radial = np.nan
    if radial == "auto":
        p_radial = _radial_probability(seen, uv, trim)
    free = radial == "on" or p_radial <= max(RADIAL_ALPHA, 2.0 ** (1 - seen.views))
    shifts: list[FittedShift | None] = []
    reasons = []
    for band in uv:
        try:
            shifts.append(_shift(seen, band, free, trim))
            reasons.append("")
        except DataError as error:
            shifts.append(None)
            reasons.append(str(error))
    return BandFits(tuple(shifts), tuple(reasons), free, float(p_radial))


@dataclass(frozen=True, eq=False)
class _Trimmed:
    """A fit of one band with what it used."""

    fit: ClusteredFit
    used: Flags
    """(n,)"""
    residual: Floats
    """(n, 2) px"""


def _shift(seen: Sight, uv: Floats, free: bool, trim: bool) -> FittedShift:
    table = np.eye(5)[:, : 5 if free else 4]
    found = _fitted(seen, uv, table, trim)
    single, e_alone = _single(seen, uv, table, found.used)
    values, errors, reach = _estimates(found.fit)
    difference, se, p_apart = _anisotropy(found.fit)
    views = np.unique(seen.view[found.used])
    scores = np.zeros(seen.views)
    scores[views] = single.scores @ e_alone
    at_edge = np.linalg.norm(seen.edges @ values, axis=1)
    here = np.isfinite(uv).all(axis=1)
    return FittedShift(
        values=values,
        standard_errors=errors,
        reach=reach,
        e=float(single.values @ e_alone),
        se_e=single.standard_error(e_alone),
        reach_e=single.reach(e_alone),
        anisotropy=difference,
        se_anisotropy=se,
        p_anisotropy=p_apart,
        edge_px=float(np.nanmax(at_edge)) if np.isfinite(at_edge).any() else np.nan,
        rms_px=float(np.sqrt(np.sum(found.residual[found.used] ** 2) / found.used.sum())),
        points=int(found.used.sum()),
        trimmed=int((here & ~found.used).sum()),
        views=len(views),
        scores=scores,
    )


def _estimates(fit: ClusteredFit) -> tuple[Floats, Floats, Floats]:
    """Values, standard errors and half intervals, (5,) each, by `NAMES`."""
    values, errors, reach = np.zeros(5), np.full(5, np.nan), np.full(5, np.nan)
    for place, row in enumerate(np.eye(len(fit.values))):
        values[place] = fit.values[place]
        errors[place], reach[place] = fit.standard_error(row), fit.reach(row)
    return values, errors, reach


def _anisotropy(fit: ClusteredFit) -> tuple[float, float, float]:
    """e_x - e_y, its error, and the probability of as much where they are equal."""
    rows = np.eye(len(fit.values))
    apart = rows[E_X] - rows[E_Y]
    difference, se = float(apart @ fit.values), fit.standard_error(apart)
    if not se > 0:
        return difference, se, np.nan
    return difference, se, float(2 * special.stdtr(fit.dof(apart), -abs(difference) / se))


def _single(seen: Sight, uv: Floats, table: Floats, used: Flags) -> tuple[ClusteredFit, Floats]:
    """The fit with e_x = e_y = e of the same points, and the contrast that is e."""
    joined = np.column_stack([table[:, E_X] + table[:, E_Y], table[:, DCX:]])
    columns, right, cluster = _system(seen, uv, joined, used)
    return clustered_fit(columns, right, cluster), np.eye(joined.shape[1])[0]


def _system(seen: Sight, uv: Floats, table: Floats, used: Flags) -> tuple[Floats, Floats, Ints]:
    columns = (seen.columns[used] @ table).reshape(-1, table.shape[1])
    return columns, (uv - seen.uv)[used].ravel(), np.repeat(seen.view[used], 2)


def _fitted(seen: Sight, uv: Floats, table: Floats, trim: bool) -> _Trimmed:
    """Leave out and refit until the set of points no longer changes."""
    here = np.asarray(
        np.isfinite(uv).all(axis=1) & np.isfinite(seen.columns).all(axis=(1, 2)), np.bool_
    )
    found = _solved(seen, uv, table, _enough(seen.view, here))
    for _ in range(MOST_ROUNDS if trim else 0):
        kept = _enough(seen.view, here & within_limit(found.residual, found.used))
        if (kept == found.used).all():
            break
        found = _solved(seen, uv, table, kept)
    return found


def _solved(seen: Sight, uv: Floats, table: Floats, used: Flags) -> _Trimmed:
    fit = clustered_fit(*_system(seen, uv, table, used))
    return _Trimmed(fit, used, uv - seen.uv - seen.columns @ table @ fit.values)


def _enough(view: Ints, used: Flags) -> Flags:
    """Points of views that have enough of them.

    Raises:
        DataError: too few views are left.
    """
    count = np.bincount(view[used], minlength=int(view.max()) + 1)
    views = int((count >= FEWEST_POINTS).sum())
    if views < FEWEST_VIEWS:
        raise DataError(f"seen in {views} view{'s' * (views != 1)}, fewer than {FEWEST_VIEWS}")
    kept: Flags = used & (count >= FEWEST_POINTS)[view]
    return kept


def _radial_probability(seen: Sight, uv: Floats, trim: bool) -> float:
    """That views whose signs are a matter of chance give as large dk1, in all bands together.

    The sum of squared t over bands, against what it is with the sign of each view flipped at
    random, the same for all bands: what they have in common stays so (a wild cluster bootstrap of
    scores, after Kline and Santos 2012).
    """
    scores = []
    for band in uv:
        try:
            found = _fitted(seen, band, np.eye(5), trim)
        except DataError:
            continue
        row = np.eye(5)[DK1]
        views = np.unique(seen.view[found.used])
        # About no dk1 at all: each view's score takes its share of the estimate along.
        own = np.zeros(seen.views)
        own[views] = found.fit.plain_scores @ row + found.fit.share(row) * found.fit.values[DK1]
        scores.append(own)
    return _flip_probability(np.array(scores)) if scores else np.nan


def _flip_probability(scores: Floats) -> float:
    """Of (bands, views) scores whose sum is each band's estimate."""
    views = scores.shape[1]
    if 2 ** (views - 1) <= FLIPS + 1:
        number = np.arange(2 ** (views - 1))
        signs = 1.0 - 2.0 * (number[:, None] >> np.arange(views) & 1)
    else:
        rng = np.random.default_rng(FLIP_SEED)
        signs = np.vstack([np.ones(views), rng.choice([-1.0, 1.0], (FLIPS, views))])
    size = np.maximum(np.sum(scores**2, axis=1), 1e-300)
    statistics = np.sum((signs @ scores.T) ** 2 / size, axis=1)
    return float(np.mean(statistics >= statistics[0] * (1 - 1e-12)))


def apart_in_x_and_y(shifts: Sequence[FittedShift]) -> float:
    """The probability of the largest e_x - e_y among the bands, were all 0 (Bonferroni)."""
    known = [s.p_anisotropy for s in shifts if np.isfinite(s.p_anisotropy)]
    return min(1.0, len(known) * min(known)) if known else np.nan
