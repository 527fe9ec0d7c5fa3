"""A smooth curve of the focal length over wavelength, through bands whose errors are related.

Every band's difference holds the noise of the same reference corners. An error that all bands
share is an error of the reference alone, so the generalised least squares with that covariance is
the same as weighted least squares with a free constant, to which the reference band belongs as
one more point at 0 with a noise of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special  # type: ignore[import-untyped]

from hsitool.maths.cameras.camera import Floats

CurveKind = Literal["quadratic", "cauchy"]
FEWEST_BANDS = 5
"""The reference included: a curve of three numbers, and something to judge it by."""
LEAST_OWN = 0.05
"""Share of a band's variance that is its own at least."""
ALPHA = 0.05


@dataclass(frozen=True, eq=False)
class BandCurve:
    """e(wavelength) = c0 + c1 s + c2 s^2: s = (w - middle) / half of the range for "quadratic"; for
    "cauchy" s = (middle / w)^2 (Cauchy's index, 1 / f ~ n - 1)."""

    kind: CurveKind
    middle_nm: float
    half_nm: float
    coefficients: Floats
    """(3,)"""
    covariance: Floats
    """(3, 3) clustered by view."""
    dof: int
    """Of that covariance: views less 1."""
    chi2: float
    """Of the bands about the curve."""
    bands: int
    """With the reference."""
    common: float
    """Correlation of the errors of two bands by the reference's noise, as measured."""
    rms: float
    """Of the bands' e about the curve."""

    @property
    def p_fit(self) -> float:
        """Probability of such a chi2 if the curve is true; its variances come from few views."""
        freedom = self.bands - 3
        return float(special.fdtrc(freedom, self.dof, self.chi2 / freedom))

    def rows(self, wavelength_nm: Floats) -> Floats:
        """(n, 3) of the linear model."""
        w = np.asarray(wavelength_nm, np.float64)
        s = (w - self.middle_nm) / self.half_nm
        return powers((self.middle_nm / w) ** 2 if self.kind == "cauchy" else s)

    def relative(self, wavelength_nm: Floats, reference_nm: float) -> tuple[Floats, Floats]:
        """f / f at the reference's wavelength - 1, and half of its 95 % interval, (n,) each."""
        rows = self.rows(wavelength_nm) - self.rows(np.array([reference_nm]))
        variance = np.sum(rows @ self.covariance * rows, axis=1)
        critical = float(special.stdtrit(self.dof, 1 - ALPHA / 2))
        return rows @ self.coefficients, critical * np.sqrt(np.maximum(variance, 0))


def powers(s: Floats) -> Floats:
    """(n, 3) 1, s, s^2"""
    return np.column_stack([np.ones_like(s), s, s**2])


def fit_curve(
    wavelength_nm: Floats, e: Floats, scores: Floats, reference_nm: float
) -> BandCurve | None:
    """The better of a quadratic and Cauchy's formula; None with too few bands or one wavelength.

    Args:
        wavelength_nm: (bands,) without the reference.
        e: (bands,) relative changes of f.
        scores: (bands, views) what each view adds to the error of e.
        reference_nm: wavelength of the reference.
    """
    places = np.append(wavelength_nm, reference_nm)
    if len(np.unique(places)) < FEWEST_BANDS or places.min() <= 0:
        return None
    curves = [_curve(kind, places, e, scores) for kind in ("quadratic", "cauchy")]
    return min(curves, key=lambda curve: curve.chi2)


def _curve(kind: CurveKind, places: Floats, e: Floats, scores: Floats) -> BandCurve:
    common, own = noise_parts(scores)
    middle, half = (places.max() + places.min()) / 2, (places.max() - places.min()) / 2
    empty = BandCurve(
        kind, middle, half, np.zeros(3), np.zeros((3, 3)), 1, np.nan, len(places), np.nan, np.nan
    )
    rows, values = empty.rows(places), np.append(e, 0.0)
    weight = 1 / np.sqrt(np.append(own, common))
    gain = np.linalg.pinv(rows * weight[:, None]) * weight
    coefficients = gain @ values
    off = values - rows @ coefficients
    by_view = gain[:, :-1] @ scores
    return BandCurve(
        kind,
        middle,
        half,
        coefficients,
        by_view @ by_view.T,
        scores.shape[1] - 1,
        float(np.sum((off * weight) ** 2)),
        len(places),
        float(common / (common + np.median(own))),
        float(np.sqrt(np.mean(off**2))),
    )


def noise_parts(scores: Floats) -> tuple[float, Floats]:
    """The variance that all bands share, and what each (bands,) has of its own.

    By the mean covariance of two bands over views; kept within what leaves every band a share.
    """
    covariance = scores @ scores.T
    own = np.diag(covariance)
    bands = len(covariance)
    shared = (covariance.sum() - own.sum()) / max(bands * (bands - 1), 1)
    least = float(own.min())
    common = float(np.clip(shared, LEAST_OWN * least, (1 - LEAST_OWN) * least))
    return common, own - common
