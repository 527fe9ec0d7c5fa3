"""Cross-validation by halves: do two calibrations of disjoint views agree as well as predicted?

After the idea of mrcal's cross-validation: the difference of two projections over the frame, a
common rotation of the camera taken off, since poses absorb it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special  # type: ignore[import-untyped]

from hsitool.errors import DataError
from hsitool.maths.cameras.bundle import solve
from hsitool.maths.cameras.bundle_layout import Layout, PackedViews, State, camera_of
from hsitool.maths.cameras.calibration_result import Flags, HalfSplit
from hsitool.maths.cameras.camera import Camera, Floats
from hsitool.maths.cameras.influence import Sureness, sureness
from hsitool.maths.cameras.projection import project

FEWEST_VIEWS = 6
CELLS = (12, 9)
LEAST_FORWARD = 0.1
"""Cosine of the angle to the axis; no flat board is seen beyond, nor derivatives known."""
CONFIDENCE = 0.99
"""A true prediction is called wrong in 1 % of calibrations."""


@dataclass(frozen=True, eq=False)
class FrameSensitivity:
    """What changes of parameters do to projections over the frame, with poses free to turn."""

    columns: Floats
    """(2 rays, p) px per unit of each parameter, a common rotation taken off."""
    turns: Floats
    """(2 rays, 3) orthonormal columns of the rotation."""
    rays: Floats
    """(rays, 3)"""

    @classmethod
    def of(cls, layout: Layout, camera: Camera) -> FrameSensitivity:
        """On a grid of rays through the frame."""
        width, height = camera.image_size
        across, down = CELLS
        x, y = np.meshgrid(np.linspace(0, width - 1, across), np.linspace(0, height - 1, down))
        rays = camera.unproject(np.column_stack([x.ravel(), y.ravel()]))
        rays = rays[rays[:, 2] > LEAST_FORWARD]
        _, by_lens, by_ray = project(camera.model, camera.intrinsics, rays)
        turns, _ = np.linalg.qr(np.cross(rays[:, None], by_ray).reshape(-1, 3))
        table = (by_lens @ layout.table).reshape(2 * len(rays), -1)
        return cls(table - turns @ (turns.T @ table), turns, rays)

    def spread(self, covariance: Floats) -> Floats:
        """(p,) eigenvalues, px^2, of the mean squared difference per ray that errors make."""
        root = np.asarray(np.linalg.qr(self.columns, mode="r"), np.float64)
        values: Floats = np.linalg.eigvalsh(root @ covariance @ root.T).clip(0)
        return values / len(self.rays)

    def difference(self, one: Camera, other: Camera) -> float:
        """RMS px per ray."""
        apart = (one.project(self.rays) - other.project(self.rays)).ravel()
        apart -= self.turns @ (self.turns.T @ apart)
        return float(np.sqrt(np.sum(apart**2) / len(self.rays)))


def half_split(
    packed: PackedViews,
    layout: Layout,
    state: State,
    whole: Sureness,
    image_size: tuple[int, int],
) -> HalfSplit | None:
    """Fit every second view and the others; None where there are too few views for that.

    Args:
        packed: points of all views.
        layout: of the fit.
        state: its optimum.
        whole: its covariances.
        image_size: (width, height) in px.
    """
    if len(packed.image) < FEWEST_VIEWS:
        return None
    second = np.arange(len(packed.image)) % 2 == 1
    try:
        one, two = (_half(packed, layout, state, out, image_size) for out in (second, ~second))
    except DataError:
        return None
    frame = FrameSensitivity.of(layout, camera_of(layout, state, image_size))
    found = frame.difference(one[0], two[0])
    # Both halves have half of the views: twice the variance each.
    predictions = [one[1] + two[1], 4 * whole.jackknife]
    spread = max((frame.spread(c) for c in predictions if np.isfinite(c).all()), key=np.sum)
    predicted, limit = float(np.sqrt(spread.sum())), chance_limit(spread)
    return HalfSplit(found, predicted, limit, found > limit * predicted)


def _half(
    packed: PackedViews,
    layout: Layout,
    state: State,
    left_out: Flags,
    image_size: tuple[int, int],
) -> tuple[Camera, Floats]:
    views = packed.without(left_out)
    found, reduced = solve(views, layout, state.without(left_out))
    return camera_of(layout, found, image_size), sureness(reduced, views.points).covariance


def chance_limit(spread: Floats) -> float:
    """Quantile of the ratio of a found RMS to the predicted one, by chance (Satterthwaite).

    Its square is a sum of chi-squares weighted by `spread`, eigenvalues of the covariance.
    """
    freedom = spread.sum() ** 2 / np.sum(spread**2)
    return float(np.sqrt(2 * special.gammaincinv(freedom / 2, CONFIDENCE) / freedom))
