"""The four fits of a calibration: one and two focal lengths, each with a rigid and a free board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hsitool.errors import DataError
from hsitool.maths.cameras.bundle import Reduced, solve
from hsitool.maths.cameras.bundle_layout import Layout, PackedViews, State, residuals
from hsitool.maths.cameras.bundle_start import start
from hsitool.maths.cameras.calibration_result import Flags, Refusal
from hsitool.maths.cameras.camera import BoardView, Floats
from hsitool.maths.cameras.influence import Sureness, sureness

FEWEST_VIEWS = 3
FEWEST_POINTS = 6
TRIM_AT = 4.0
"""Robust standard deviations; 1 point in 8000 of Gaussian noise."""
MOST_TRIMMED = 0.08
"""Share of points from which they are no outliers but what the model misses; none is left out."""
MOST_ROUNDS = 10
SMALLEST_SIGMA_PX = 1e-4
"""Below, residuals are rounding and no outliers."""
PER_MAD = 1.4826
"""Standard deviation of Gaussian noise per median absolute deviation."""


@dataclass(frozen=True, eq=False)
class Solved:
    """One converged fit with what it was made of."""

    layout: Layout
    state: State
    reduced: Reduced
    sure: Sureness


@dataclass(frozen=True, eq=False)
class Pair:
    """Two focal lengths and one, with the same board and the same points."""

    two: Solved
    single: Solved


@dataclass(frozen=True, eq=False)
class Fits:
    """All fits, of the same points of the same views."""

    views: tuple[BoardView, ...]
    packed: PackedViews
    rigid: Pair
    free: Pair | None
    refused: tuple[Refusal, ...]
    """Views that turned out to be wrong on the way."""
    beyond: int = 0
    """Points beyond the limit of outliers, where they are too many to be outliers."""
    free_failed: str | None = None
    """Why there is no free board although one was asked for."""


@dataclass(frozen=True, eq=False)
class _Trimmed:
    views: tuple[BoardView, ...]
    packed: PackedViews
    state: State
    refused: tuple[Refusal, ...]
    beyond: int = 0


def fit_models(
    views: Sequence[BoardView],
    image_size: tuple[int, int],
    layout: Layout,
    focal: tuple[float, float],
    *,
    free_board: bool,
    trim: bool,
    begun: State | None = None,
) -> Fits:
    """Start, trim outliers with the freest model, fit all models to what is left.

    Args:
        views: at least 3.
        image_size: (width, height) in px.
        layout: two focal lengths and a rigid board.
        focal: (mx, my), px per unit of a single f.
        free_board: whether to fit a free board too.
        trim: whether to leave out points beyond 4 robust standard deviations.
        begun: where to start from; None: from OpenCV's calibration.

    Raises:
        DataError: too few views or points are left, or they do not determine the camera.
    """
    check_count(len(views), ())
    packed = PackedViews.of(views)
    begun, _ = solve(packed, layout, begun or start(packed, layout, image_size))
    freest, failed = layout, None
    if free_board:
        try:
            freest, begun = _freed(packed, layout, begun)
        except DataError as error:
            failed = str(error)
    first = _Trimmed(tuple(views), packed, begun, ())
    kept = _trimmed(first, freest) if trim else first
    rigid = _pair(kept.packed, layout, _converted(kept.state, freest, layout), focal)
    free = _pair(kept.packed, freest, kept.state, focal) if freest.free_board else None
    return Fits(kept.views, kept.packed, rigid, free, kept.refused, kept.beyond, failed)


def check_count(views: int, refused: Sequence[Refusal]) -> None:
    """Refuse too few views.

    Raises:
        DataError: fewer than 3.
    """
    if views < FEWEST_VIEWS:
        why = "; ".join(f"{refusal.name}: {refusal.reason}" for refusal in refused[:3])
        raise DataError(
            f"{views} view{'s' * (views != 1)} of the board cannot determine a camera: at least "
            f"{FEWEST_VIEWS} are needed, 10 to 20 are better" + (f" ({why})" if why else "")
        )


def _freed(packed: PackedViews, layout: Layout, state: State) -> tuple[Layout, State]:
    freest = Layout.two(layout.model, "p1" in layout.names or layout.model == "fisheye", True)
    found, reduced = solve(packed, freest, _converted(state, layout, freest))
    sureness(reduced, packed.points)
    return freest, found


def _converted(state: State, layout: Layout, other: Layout) -> State:
    """The same camera and poses in the parameters of another layout."""
    intrinsics, shape = layout.intrinsics(state.parameters), layout.shape(state.parameters)
    return State(other.parameters(intrinsics, shape), state.rotation, state.translation)


def _pair(packed: PackedViews, two: Layout, state: State, focal: tuple[float, float]) -> Pair:
    fitted = solved(packed, two, state)
    single = two.single(*focal)
    return Pair(fitted, solved(packed, single, _converted(fitted.state, two, single)))


def solved(packed: PackedViews, layout: Layout, state: State) -> Solved:
    """Converged from a state, with its covariances."""
    found, reduced = solve(packed, layout, state)
    return Solved(layout, found, reduced, sureness(reduced, packed.points))


def _trimmed(first: _Trimmed, layout: Layout) -> _Trimmed:
    """Leave out and refit until the set of points no longer changes."""
    now, here = first, first.packed.weight > 0
    for _ in range(MOST_ROUNDS):
        used = here & within_limit(residuals(now.packed, layout, now.state), here)
        if (used == (now.packed.weight > 0)).all():
            break
        lost = used.sum(axis=1) < FEWEST_POINTS
        now, here = _left_out(now, layout, used, lost, here), here[~lost]
    out = here & (now.packed.weight == 0)
    # A view that is mostly out was mis-detected; points all over the others are the model's fault.
    spread = out.sum(axis=1) <= here.sum(axis=1) / 2
    count = int(out[spread].sum())
    if count <= MOST_TRIMMED * here[spread].sum():
        return now
    packed = now.packed.weighted(here)
    state, _ = solve(packed, layout, now.state)
    return _Trimmed(now.views, packed, state, now.refused, count)


def _left_out(now: _Trimmed, layout: Layout, used: Flags, lost: Flags, here: Flags) -> _Trimmed:
    """Refitted with the points `used` of the views that are not `lost`, of all that are `here`."""
    kept = tuple(view for view, out in zip(now.views, lost, strict=True) if not out)
    refused = [
        Refusal(
            now.views[i].name,
            f"{(here[i] & ~used[i]).sum()} of {here[i].sum()} points are outliers: mis-detected, "
            "or the board has moved",
        )
        for i in np.flatnonzero(lost)
    ]
    check_count(len(kept), refused)
    packed = now.packed.weighted(used).without(lost)
    state, _ = solve(packed, layout, now.state.without(lost))
    return _Trimmed(kept, packed, state, (*now.refused, *refused))


def within_limit(residual: Floats, here: Flags) -> Flags:
    """(views, n) whether both coordinates are within 4 robust standard deviations."""
    size = np.abs(residual)
    sigma = max(PER_MAD * float(np.median(size[here])), SMALLEST_SIGMA_PX)
    good: Flags = size.max(axis=-1) < TRIM_AT * sigma
    return good
