"""What a calibration found, as typed results; `Calibration.to_dict()` is ready for JSON.

`delta` is ln(fx px) - ln(fy py), the relative difference of the two focal lengths in mm (px and
py the pixel pitches, equal where they are not known); exp(delta) is their ratio.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hsitool.maths.cameras.camera import BoardShape, Camera, FieldOfView, Floats, Model, Sensor
from hsitool.maths.cameras.plain_data import plain

Interval = tuple[float, float]
Flags = NDArray[np.bool_]
VerdictKey = Literal[
    "too_few_views", "different", "different_below_tolerance", "equal", "not_separable", "undecided"
]


@dataclass(frozen=True, eq=False)
class Fit:
    """One converged least-squares fit.

    Its parameters `names` are fx, fy (or f, in mm where the pitch is known, else px), cx, cy, the
    free distortion coefficients, then aspect, shear, bow_x, bow_y (mm) of a free board.
    """

    camera: Camera
    names: tuple[str, ...]
    values: Floats
    """(p,)"""
    covariance: Floats
    """(p, p) s^2 S^-1: errors taken as independent noise."""
    covariance_jackknife: Floats
    """(p, p) from leaving out each view; NaN where there are too few views."""
    poses: Floats
    """(views, 6) rotation vector and translation in mm, board to camera."""
    board: BoardShape
    sse_px2: float
    points: int
    dof: int

    @property
    def sigma_px(self) -> float:
        """Standard deviation of one coordinate, sqrt(SSE / degrees of freedom)."""
        return float(np.sqrt(self.sse_px2 / self.dof))

    @property
    def rms_px(self) -> float:
        """Root mean square per point as OpenCV reports it, sqrt(SSE / points)."""
        return float(np.sqrt(self.sse_px2 / self.points))

    def value(self, name: str) -> float:
        """A parameter by name."""
        return float(self.values[self.names.index(name)])

    def standard_error(self, name: str) -> float:
        """Of a parameter: the wider of least squares and jackknife."""
        place = self.names.index(name)
        variances = self.covariance[place, place], self.covariance_jackknife[place, place]
        return float(np.sqrt(np.nanmax(variances)))


@dataclass(frozen=True)
class Ratio:
    """What a fit with two focal lengths says of their ratio, against the one with a single one.

    Jackknife numbers are NaN below 3 views. Probabilities are two-sided, for equal focal lengths.
    """

    delta: float
    se: float
    """Least squares; the jackknife's is `jackknife_se`."""
    jackknife_se: float
    interval_ols: Interval
    interval_jackknife: Interval
    interval: Interval
    """The wider of the two, 95 % (or 1 - alpha)."""
    z: float
    """Wald: delta / se."""
    p_wald: float
    f_statistic: float
    p_f: float
    jackknife_t: float
    jackknife_critical: float
    bic_difference: float
    """BIC of a single f minus that of two; above 0 supports two."""
    correlation: float
    """Of fx and fy."""
    inflation: float
    """Jackknife / least-squares standard error; above 1.5 the errors are not independent noise."""
    detectable: float
    """Smallest difference found in 80 % of such calibrations, 2.8 times the wider error."""

    @property
    def wider_se(self) -> float:
        """The larger of the two standard errors."""
        return float(np.nanmax([self.se, self.jackknife_se]))


@dataclass(frozen=True)
class BoardFit:
    """Two-f and single-f fits with one model of the board, and what they say of the ratio."""

    two: Fit
    single: Fit
    ratio: Ratio


@dataclass(frozen=True, eq=False)
class ViewResult:
    """One view that was used. Residuals are projected minus observed, of the reported two-f fit."""

    name: str
    image_px: Floats
    """(n, 2) observed."""
    board_mm: Floats
    """(n, 3) where the points are on the board as drawn."""
    residual_px: Floats
    """(n, 2), of trimmed points too."""
    used: Flags
    """(n,) False where trimmed."""
    rms_px: float
    """Per point, used points only; of the single-f fit in `single_rms_px`."""
    single_rms_px: float
    corner_noise_px: float
    """Per coordinate, from the smoothness of the grid alone; NaN where it cannot be told."""
    spacing_px: float
    """Smallest distance between neighbouring points."""
    influence_delta: float
    """Change of delta when this view is left out."""
    influence_fx_px: float
    influence_fy_px: float
    tilt_deg: float
    """Between the board's normal and the optical axis."""
    roll_deg: float
    """Of the board's x axis in the image, in [-180, 180)."""

    @property
    def trimmed(self) -> int:
        """Points left out as outliers."""
        return int((~self.used).sum())


@dataclass(frozen=True)
class Refusal:
    """A view that was not used, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Coverage:
    """How well the views fill the frame and turn the board: the data of gates."""

    frame_share: float
    """Of the cells of an 8 x 8 grid over the frame that hold a point, 0 to 1."""
    tilt_max_deg: float
    tilt_spread_deg: float
    roll_spread_deg: float
    """Smallest arc that holds all rolls, modulo 180 degrees: 0 to 180."""
    roll_quadrature: float
    """0 where all rolls agree modulo 180 degrees, 1 where half of the views are turned by 90."""


@dataclass(frozen=True)
class HalfSplit:
    """Two calibrations of disjoint halves of the views: do they agree as well as predicted?"""

    difference_px: float
    """RMS difference of their projections over the frame, a common rotation taken off."""
    predicted_px: float
    """What the standard errors predict of it."""
    limit: float
    """99 % point of `ratio` were the prediction right."""
    optimistic: bool

    @property
    def ratio(self) -> float:
        """Found / predicted."""
        return self.difference_px / self.predicted_px


@dataclass(frozen=True)
class Finding:
    """Something that makes the fit bad (`severe`) or doubtful."""

    key: str
    severe: bool
    text: str


@dataclass(frozen=True)
class Verdict:
    """The answer: a key for programs, one sentence with numbers for people."""

    key: VerdictKey
    sentence: str
    causes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FocalLength:
    """The single f: in px along x and y, and in mm where the pitch is known."""

    fx_px: float
    fy_px: float
    se_fx_px: float
    f_mm: float | None
    se_mm: float | None
    implied_mx: float | None
    """fx of the two-f fit per mm of f, px/mm; the data sheet's is `sheet_mx`."""
    implied_my: float | None
    sheet_mx: float | None
    sheet_my: float | None


@dataclass(frozen=True, eq=False)
class Calibration:
    """A calibration with its verdict on fx = fy."""

    model: Model
    image_size: tuple[int, int]
    sensor: Sensor
    aspect: float
    """fx / fy of the single-f fits."""
    tol: float
    alpha: float
    rigid: BoardFit
    free: BoardFit | None
    """With aspect, shear and two bows of the board free; None where not fitted."""
    reported: BoardFit
    """The one whose cameras are given: the free board's where the full board model was asked for,
    else the rigid one's."""
    focal: FocalLength
    detectable: float
    """Smallest relative difference of fx and fy that these views would show."""
    edge_px: float
    """delta at the edge of the frame: half the width times delta."""
    field_of_view: FieldOfView
    field_of_view_pinhole: FieldOfView
    views: tuple[ViewResult, ...]
    refused: tuple[Refusal, ...]
    coverage: Coverage
    half_split: HalfSplit | None
    """None below 6 views."""
    findings: tuple[Finding, ...]
    verdict: Verdict
    warnings: tuple[str, ...]

    @property
    def camera(self) -> Camera:
        """With two focal lengths."""
        return self.reported.two.camera

    @property
    def single_camera(self) -> Camera:
        """With a single focal length."""
        return self.reported.single.camera

    @property
    def rms_px(self) -> float:
        """Per point, of the two-f fit, without trimmed points."""
        return self.reported.two.rms_px

    @property
    def trimmed(self) -> int:
        """Points left out as outliers, all views together."""
        return sum(view.trimmed for view in self.views)

    @property
    def points(self) -> int:
        """Points of the views that were used, trimmed ones included."""
        return sum(len(view.used) for view in self.views)

    @property
    def bad(self) -> bool:
        """Whether the fit is called bad."""
        return any(finding.severe for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """All but the coordinates and residuals of points, as plain Python; None for NaN."""
        found: dict[str, Any] = plain(self)
        found["rms_px"] = self.rms_px
        found["bad_fit"] = self.bad
        found["points"] = {"all": self.points, "trimmed": self.trimmed}
        found["reported"] = "free" if self.reported is self.free else "rigid"
        for entry, view in zip(found["views"], self.views, strict=True):
            for key in ("image_px", "board_mm", "residual_px", "used"):
                del entry[key]
            left_out = np.flatnonzero(~view.used).tolist()
            entry |= {"points": len(view.used), "trimmed": view.trimmed}
            entry["trimmed_points"] = left_out
        return found
