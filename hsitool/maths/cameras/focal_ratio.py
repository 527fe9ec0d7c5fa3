"""What the numbers of a camera say of fx against fy, without the images that they came from.

delta = ln(fx px) - ln(fy py), with px and py the pixel pitches (equal where they are not known);
its variance is that of ln fx - ln fy, which needs the correlation of both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hsitool.camera import CameraInfo

Source = Literal["covariance", "standard errors"]

TYPICAL_CORRELATION = 0.98
"""Of fx and fy in calibrations from pictures of a board; 0.977 to 0.998 were seen."""
NORMAL_95 = 1.959963984540054
SAME = 1e-12
"""Focal lengths that differ by less were held together, as were errors so near to one."""


@dataclass(frozen=True)
class FocalRatio:
    """fx against fy: relative difference, and its standard error as far as it is known."""

    delta: float
    source: Source | None
    """What the errors are from; None where the file says nothing of them."""
    one_f: bool
    """The calibration held fx and fy together: their difference is no finding."""
    se: float | None = None
    """From the covariance."""
    correlation: float | None = None
    """Of fx and fy, from the covariance."""
    se_range: tuple[float, float] | None = None
    """From standard errors alone: the least and the largest, over all correlations."""
    se_typical: float | None = None
    """From standard errors alone, at `TYPICAL_CORRELATION`."""

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 %, by the covariance."""
        if self.se is None:
            return None
        return self.delta - NORMAL_95 * self.se, self.delta + NORMAL_95 * self.se

    @property
    def z(self) -> float | None:
        """delta / se, by the covariance."""
        return None if self.se is None or self.se == 0 else self.delta / self.se

    @property
    def z_range(self) -> tuple[float, float] | None:
        """Least and largest |z| over all correlations; infinite where the least se is 0."""
        if self.se_range is None:
            return None
        low, high = self.se_range
        size = abs(self.delta)
        return size / high, (size / low if low > 0 else np.inf if size > 0 else 0.0)

    @property
    def z_typical(self) -> float | None:
        """|z| at the typical correlation."""
        return None if self.se_typical is None else abs(self.delta) / self.se_typical


def focal_ratio(info: CameraInfo) -> FocalRatio:
    """The difference of a camera's focal lengths, and how surely it is known."""
    across, down = info.pitch_mm or (1.0, 1.0)
    delta = float(np.log(info.fx * across) - np.log(info.fy * down))
    both = _covariance_of_both(info)
    if both is not None:
        return _by_covariance(info, delta, both)
    if abs(delta) < SAME:
        return FocalRatio(delta, None, one_f=True)
    if {"fx", "fy"} <= info.standard_errors.keys():
        return _by_errors(info, delta)
    return FocalRatio(delta, None, one_f=False)


def _covariance_of_both(info: CameraInfo) -> NDArray[np.float64] | None:
    """(2, 2) of fx and fy; None where it is not known, or both are said to have no error."""
    if info.covariance is None or not {"fx", "fy"} <= set(info.parameters):
        return None
    places = [info.parameters.index(name) for name in ("fx", "fy")]
    both = np.array(info.covariance)[np.ix_(places, places)]
    return both if both.any() else None


def _by_covariance(info: CameraInfo, delta: float, both: NDArray[np.float64]) -> FocalRatio:
    row = np.array([1 / info.fx, -1 / info.fy])
    sizes = float(np.sqrt(both[0, 0]) * np.sqrt(both[1, 1]))
    correlation = float(both[0, 1] / sizes) if sizes > 0 else None
    se = float(np.sqrt(max(row @ both @ row, 0.0)))
    together = correlation is not None and correlation > 1 - SAME
    return FocalRatio(delta, "covariance", together, se, correlation)


def _by_errors(info: CameraInfo, delta: float) -> FocalRatio:
    """Var = a^2 + b^2 - 2 r a b with a, b the relative errors and r their correlation."""
    a, b = info.standard_errors["fx"] / info.fx, info.standard_errors["fy"] / info.fy
    typical = float(np.sqrt(a * a + b * b - 2 * TYPICAL_CORRELATION * a * b))
    ends = abs(a - b), a + b
    return FocalRatio(delta, "standard errors", False, se_range=ends, se_typical=typical)
