"""Views that a planned shoot would bring, and what a calibration would make of them.

How sure a calibration will be needs no fit: with the views' geometry known, the reduced normal
equations at the truth give the covariance, and with noise the estimate and its jackknife
(`foretell`). Coverage and verdicts are counted in real fits (`carry_out`).
Noise is Gaussian and independent from corner to corner, which that of photographs is not quite.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Literal, get_args

import numpy as np
from scipy import special  # type: ignore[import-untyped]

from hsitool.errors import DataError, UsageError
from hsitool.maths.cameras.bundle import (
    UNDETERMINED,
    Reduced,
    reduce_views,
    rotation_matrices,
    scaled_inverse,
)
from hsitool.maths.cameras.bundle_layout import (
    Layout,
    PackedViews,
    State,
    in_camera_axes,
    shaped_board,
)
from hsitool.maths.cameras.calibration import ALPHA, board_aspect, board_fit
from hsitool.maths.cameras.calibration_request import Request
from hsitool.maths.cameras.calibration_result import Flags, Ratio, VerdictKey
from hsitool.maths.cameras.camera import BoardShape, BoardView, Camera, Floats
from hsitool.maths.cameras.influence import contrast
from hsitool.maths.cameras.lens import fold_radius
from hsitool.maths.cameras.model_fits import fit_models
from hsitool.maths.cameras.verdict import Evidence, judge

Roll = Literal["any", "none", "half"]
ROLLS: tuple[Roll, ...] = get_args(Roll)
Range = tuple[float, float]

MARGIN_PX = 8.0
"""Every point is at least so far inside the frame."""
UNROLLED_DEG = 1.0
"""Standard deviation of the roll of a board that is held straight."""
OUTLIER_PX = 3.0
MOST_DRAWS = 10_000
"""Poses tried for each view before it is said that none shows the whole board."""
POINTS_AT_ONCE = 20_000
NOISE_DRAWS = 10
"""Of noise for each geometry."""
STEEPEST_DEG = 85.0
CERTAIN = 10.0
"""Standard errors at which a difference is noticed for sure; the function is NaN far beyond."""
WIDEST = 10.0
"""Tangent of the angle to the axis up to which a lens is looked at."""


@dataclass(frozen=True, eq=False)
class Shoot:
    """A plan: the true camera, the board as drawn and as printed, and how it is shown.

    `fill` is the width of the board per that of the frame, were it not tilted; `depth_mm`, where
    given, replaces it by the distance of the board's centre. `outliers` is the share of points that
    are 3 px off.
    """

    camera: Camera
    board_mm: Floats
    """(n, 3), flat."""
    views: int
    noise_px: float
    tilt_deg: Range = (5.0, 40.0)
    roll: Roll = "any"
    fill: Range = (0.35, 0.9)
    depth_mm: Range | None = None
    printed: BoardShape = field(default_factory=BoardShape)
    outliers: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.noise_px < 100:
            raise UsageError(f"noise of {self.noise_px:g} px: give 0 to 100 px, as 0.2px")
        if not 0 <= self.outliers < 0.5:
            raise UsageError(f"outliers of {100 * self.outliers:g} %: give less than 50 %")
        if self.roll not in ROLLS:
            raise UsageError(f"roll '{self.roll}' is none of {', '.join(ROLLS)}")
        _require_range("tilt", self.tilt_deg, STEEPEST_DEG, " degrees")
        _require_range("fill", self.fill, 10.0, "", above=0.0)
        if self.depth_mm is not None:
            _require_range("distance", self.depth_mm, 1e9, " mm", above=0.0)

    @property
    def packed(self) -> PackedViews:
        """The board once for each view, its image still unknown."""
        unseen = np.zeros((len(self.board_mm), 2))
        return PackedViews.of([BoardView("", unseen, self.board_mm)] * self.views)


def _require_range(
    what: str, ends: Range, most: float, unit: str, above: float | None = None
) -> None:
    low, high = ends
    if not (low <= high <= most and (low >= 0 if above is None else low > above)):
        raise UsageError(
            f"{what} from {low:g} to {high:g}{unit}: give the smaller end first, "
            f"{'from' if above is None else 'above'} 0 to {most:g}{unit}"
        )


@dataclass(frozen=True, eq=False)
class Foretold:
    """What the geometry of one shoot says of a calibration with one model of the board.

    Standard errors of independent noise; `bias_delta` is what the print's errors do to the
    difference where the model of the board does not know them. `error` and `reach` (draws,) are
    the error of delta, less that bias, and half of its interval for some draws of noise.
    """

    se_fx_px: float
    se_fy_px: float
    se_single_px: float
    """Of fx in the fit of one focal length."""
    se_delta: float
    bias_delta: float
    correlation: float
    dof: int
    error: Floats
    reach: Floats


@dataclass(frozen=True)
class Outcome:
    """What the calibration of one simulated shoot found."""

    rigid: Ratio
    free: Ratio | None
    verdict: VerdictKey


@dataclass(frozen=True, eq=False)
class Scene:
    """One shoot: poses, and what a camera without noise sees of the board as printed."""

    shoot: Shoot
    state: State
    """Rotations, and translations of the board's centre; no parameters."""
    packed: PackedViews

    @property
    def fill(self) -> Floats:
        """(views,) width of the board per that of the frame, at the distance of its centre."""
        camera, width = self.shoot.camera, np.ptp(self.shoot.board_mm[:, 0])
        found: Floats = camera.fx * width / self.state.translation[:, 2] / camera.image_size[0]
        return found

    def at_truth(self, layout: Layout) -> State:
        """The state of a fit that has found the truth."""
        parameters = layout.parameters(self.shoot.camera.intrinsics, self.shoot.printed)
        return replace(self.state, parameters=parameters)


def draw_scene(shoot: Shoot, rng: np.random.Generator) -> Scene:
    """Poses at random, all of which show the whole board.

    Raises:
        UsageError: hardly any pose does.
    """
    packed = shoot.packed
    shaped = shaped_board(packed, shoot.printed)
    state = _poses(shoot, shaped[0], rng)
    seen = shoot.camera.project(in_camera_axes(shaped, state))
    return Scene(shoot, state, replace(packed, image=seen.reshape(packed.image.shape)))


def _poses(shoot: Shoot, board: Floats, rng: np.random.Generator) -> State:
    """For roll half, every second view is turned by 90 degrees."""
    turned = shoot.views // 2 if shoot.roll == "half" else 0
    straight = list(islice(_fitting(shoot, board, 0.0, rng), shoot.views - turned))
    across = list(islice(_fitting(shoot, board, np.pi / 2, rng), turned))
    ordered = [*straight]
    for place, pose in enumerate(across):
        ordered.insert(2 * place + 1, pose)
    rotation, translation = (np.array(part) for part in zip(*ordered, strict=True))
    return State(np.empty(0), rotation, translation)


def _fitting(
    shoot: Shoot, board: Floats, quarter: float, rng: np.random.Generator
) -> Iterator[tuple[Floats, Floats]]:
    """Poses drawn at random, those left out that do not show the whole board."""
    batch = int(np.clip(POINTS_AT_ONCE // len(board), 4, 400))
    in_vain = 0
    while in_vain < MOST_DRAWS:
        rotation, translation = _drawn(shoot, board, quarter, batch, rng)
        points = board @ np.swapaxes(rotation, 1, 2) + translation[:, None]
        fits = np.flatnonzero(_in_sight(shoot.camera, points))
        in_vain = 0 if len(fits) else in_vain + batch
        for place in fits:
            yield rotation[place], translation[place]
    raise UsageError(
        f"of {MOST_DRAWS} poses none shows the whole board {MARGIN_PX:g} px inside the frame: "
        "show it smaller (--fill or --distance) or tilt it less"
    )


def _drawn(
    shoot: Shoot, board: Floats, quarter: float, count: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """(count, 3, 3) and (count, 3): a roll, then a tilt towards any side, anywhere in the frame."""
    camera = shoot.camera
    width, height = camera.image_size
    roll = quarter + np.radians(UNROLLED_DEG) * rng.normal(size=count)
    if shoot.roll == "any":
        roll = rng.uniform(-np.pi, np.pi, count)
    tilt = np.radians(rng.uniform(*shoot.tilt_deg, count))
    side = rng.uniform(-np.pi, np.pi, count)
    zero = np.zeros(count)
    tilted = rotation_matrices(np.column_stack([tilt * np.cos(side), tilt * np.sin(side), zero]))
    rotation = tilted @ rotation_matrices(np.column_stack([zero, zero, roll]))
    if shoot.depth_mm is None:
        depth = camera.fx * np.ptp(board[:, 0]) / (rng.uniform(*shoot.fill, count) * width)
    else:
        depth = rng.uniform(*shoot.depth_mm, count)
    x = (rng.uniform(0, width, count) - camera.cx) / camera.fx
    y = (rng.uniform(0, height, count) - camera.cy) / camera.fy
    return rotation, np.column_stack([x, y, np.ones(count)]) * depth[:, None]


def _in_sight(camera: Camera, points: Floats) -> Flags:
    """(poses,) whether all points (poses, n, 3) are seen, with the margin."""
    with np.errstate(invalid="ignore"):
        seen = camera.project(points.reshape(-1, 3)).reshape(*points.shape[:2], 2)
        inside = (seen >= MARGIN_PX) & (seen <= np.array(camera.image_size) - 1 - MARGIN_PX)
    found: Flags = np.asarray(inside.all(axis=(1, 2)), np.bool_)
    if camera.model != "fisheye" and (fold := fold_radius(camera.info, WIDEST)) is not None:
        # Beyond, the lens model would bring points back into the frame.
        radius = np.hypot(points[..., 0], points[..., 1]) / points[..., 2]
        found &= np.asarray((radius < fold).all(axis=1), np.bool_)
    return found


def foretell(
    scene: Scene, asked: Request, rng: np.random.Generator, *, free_board: bool
) -> Foretold:
    """Standard errors without a fit, by the covariance at the truth; intervals for drawn noise.

    Raises:
        DataError: such views do not determine the camera.
    """
    layout = Layout.two(asked.model, asked.tangential, free_board)
    shoot = scene.shoot
    reduced = reduce_views(scene.packed, layout, scene.at_truth(layout))
    information = reduced.information.sum(axis=0)
    inverse = scaled_inverse(information)
    covariance = shoot.noise_px**2 * inverse
    row = contrast(shoot.camera.fx, shoot.camera.fy, len(inverse))
    bias = -inverse @ reduced.gradient.sum(axis=0)
    se_fx, se_fy = np.sqrt(np.diag(covariance)[:2])
    single = layout.single(*asked.focal)
    both = np.linalg.pinv(layout.table) @ single.table
    if free_board:
        both[-4:, -4:] = np.eye(4)
    se_f = shoot.noise_px * np.sqrt(scaled_inverse(both.T @ information @ both)[0, 0])
    dof = 2 * scene.packed.points - len(inverse) - 6 * shoot.views
    error, reach = _intervals(reduced, inverse, row, dof, rng)
    return Foretold(
        se_fx_px=float(se_fx),
        se_fy_px=float(se_fy),
        se_single_px=float(se_f * asked.focal[0]),
        se_delta=float(np.sqrt(row @ covariance @ row)),
        bias_delta=float(row @ bias),
        correlation=float(covariance[0, 1] / (se_fx * se_fy)),
        dof=dof,
        error=shoot.noise_px * error,
        reach=shoot.noise_px * reach,
    )


def _intervals(
    reduced: Reduced, inverse: Floats, row: Floats, dof: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Errors of delta and half-widths of its interval, (draws,) each, for noise of 1 px.

    The fit linearised at the truth: a gradient g of noise moves the parameters by -S^-1 g, and the
    jackknife is as in `influence`. The interval is the wider of the two, as calib reports it.
    """
    views, rows, _ = reduced.shared.shape
    across = np.swapaxes(reduced.pose_q, 1, 2)
    left = reduced.shared - reduced.pose_q @ (across @ reduced.shared)
    gradient = np.swapaxes(left, 1, 2) @ rng.normal(size=(views, rows, NOISE_DRAWS))
    step = -inverse @ gradient.sum(axis=0)
    there = gradient + reduced.information @ step
    total = reduced.information.sum(axis=0)
    scale = 1 / np.sqrt(np.diag(total))
    others = (total - reduced.information) * np.outer(scale, scale)
    try:
        moved = np.linalg.solve(others, scale[:, None] * there)
    except np.linalg.LinAlgError as error:
        raise DataError(UNDETERMINED) from error
    influence = np.einsum("p,vpd->vd", row * scale, moved)
    jackknife = np.sqrt((views - 1) * influence.var(axis=0))
    ols = np.sqrt(row @ inverse @ row * rng.chisquare(dof, NOISE_DRAWS) / dof)
    ends = special.stdtrit([dof, views - 1], 1 - ALPHA / 2)
    reach: Floats = np.maximum(ends[0] * ols, ends[1] * jackknife)
    return row @ step, reach


def carry_out(scene: Scene, asked: Request, rng: np.random.Generator) -> Outcome:
    """Add noise, calibrate as `calibrate` does (from the truth, which saves time), and judge.

    Raises:
        DataError: the fit fails.
    """
    shoot = scene.shoot
    seen = _noisy(scene, rng)
    views = [BoardView(f"view{i:02}", image, shoot.board_mm) for i, image in enumerate(seen)]
    layout = Layout.two(asked.model, asked.tangential)
    fits = fit_models(
        views,
        shoot.camera.image_size,
        layout,
        asked.focal,
        free_board=asked.frees_board(views),
        trim=asked.trim,
        begun=scene.at_truth(layout),
    )
    size, expected = shoot.camera.image_size, asked.expected
    rigid = board_fit(fits.packed, fits.rigid, size, expected)
    free = None if fits.free is None else board_fit(fits.packed, fits.free, size, expected)
    aspect = board_aspect(fits, free)
    free_ratio = None if free is None else free.ratio
    evidence = Evidence(len(fits.views), asked.tol, rigid.ratio, free_ratio, aspect, "")
    return Outcome(rigid.ratio, free_ratio, judge(evidence).key)


def _noisy(scene: Scene, rng: np.random.Generator) -> Floats:
    """(views, n, 2) px"""
    shoot, exact = scene.shoot, scene.packed.image
    seen: Floats = exact + shoot.noise_px * rng.normal(size=exact.shape)
    wrong = rng.random(exact.shape[:2]) < shoot.outliers
    angle = rng.uniform(-np.pi, np.pi, int(wrong.sum()))
    seen[wrong] += OUTLIER_PX * np.column_stack([np.cos(angle), np.sin(angle)])
    return seen


def power(se: Floats, dof: Floats, difference: Floats) -> Floats:
    """Probability that the F test at 5 % notices a difference (of any sign), by the noncentral F.

    `difference` includes any bias; arrays of one shape.
    """
    critical = special.fdtri(1, dof, 1 - ALPHA)
    standard_errors = np.minimum(np.abs(difference) / se, CERTAIN)
    found: Floats = 1 - special.ncfdtr(1, dof, standard_errors**2, critical)
    return found
