"""Centres of glimpses, drawn around a place from a normal distribution that is cut off.

Of the pixels only some may be centres (Mnih et al. 2014 clamp instead, which piles centres up at
a border). A centre (y, x) around (Y, X) has the density

    ln p = -((y - Y)^2 + (x - X)^2) / (2 sigma^2) - ln(2 pi sigma^2) - ln P

where P is what the uncut distribution holds in those pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri  # type: ignore[import-untyped]

from hsitool.errors import DataError, UsageError
from hsitool.maths.attention.crops import REACH, Crops, Place, pixel_of

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

Valid = Callable[[range, range], Flags]
"""Whether each pixel of some rows and columns may be a centre."""

SUPPORT = 12.0
"""Standard deviations beyond which a normal distribution holds nothing that float64 could tell."""

FLAGS = 2**20
"""Pixels looked at together when those that may be centres are weighed."""


class Around:
    """The normal distribution around a place, cut off to the pixels that may be centres.

    Args:
        place: row and column.
        sigma: standard deviation along rows and along columns, in pixels.
        crops: says which pixels may be centres.
        valid: leaves some of them out; all may be where None.

    Raises:
        UsageError: `sigma` is no number above 0.
        DataError: hardly any centre can be had there.
    """

    def __init__(self, place: Place, sigma: float, crops: Crops, valid: Valid | None) -> None:
        check_sigma(sigma)
        self.place, self.sigma, self._valid = place, sigma, valid
        near = [_within(part, at, sigma) for part, at in zip(crops.centres, place, strict=True)]
        self._rows, self._columns = near
        self._along = [_masses(part, at, sigma) for part, at in zip(near, place, strict=True)]
        self._of_rows = self._along[0] * self._beside()
        self.mass = float(math.fsum(self._of_rows))
        if self.mass < float(ndtr(-REACH)) ** 2:
            raise DataError(
                f"no glimpse can be drawn around row {place[0]:g}, column {place[1]:g} with sigma "
                f"{sigma:g}: hardly any centre there has its crop inside the image, or data: give "
                "another place, --edge shift or pad"
            )

    def _beside(self) -> Floats:
        """(rows,) what the pixels of each row hold of the distribution along columns."""
        if self._valid is None:
            return np.full(len(self._rows), math.fsum(self._along[1]))
        step = max(1, FLAGS // max(1, len(self._columns)))
        parts = [self._rows[n : n + step] for n in range(0, len(self._rows), step)]
        sums = [self._valid(part, self._columns) @ self._along[1] for part in parts]
        return np.concatenate([np.zeros(0), *sums])

    def draw(self, rng: np.random.Generator) -> Place:
        """A centre: its row, then its column, then where in that pixel."""
        chosen, place = rng.random(4).tolist(), []
        row = _pick(self._of_rows, chosen[0])
        of_columns = self._along[1]
        if self._valid is not None:
            of_columns = of_columns * self._valid(self._rows[row : row + 1], self._columns)[0]
        pixel = self._rows[row], self._columns[_pick(of_columns, chosen[1])]
        for at, mean, share in zip(pixel, self.place, chosen[2:], strict=True):
            place.append(_in_pixel(at, mean, self.sigma, share))
        return place[0], place[1]

    def logp(self, centre: Place) -> float:
        """The natural logarithm of the density of a centre, per square pixel."""
        apart = sum((a - b) ** 2 for a, b in zip(centre, self.place, strict=True))
        log_norm = math.log(2 * math.pi) + 2 * math.log(self.sigma) + math.log(self.mass)
        return -apart / (2 * self.sigma**2) - log_norm


def check_sigma(sigma: float) -> None:
    """Refuse a standard deviation that gives no density.

    Raises:
        UsageError: it is no number above 0.
    """
    if not 0 < sigma < math.inf:
        raise UsageError(
            f"sigma {sigma:g} gives no density: give pixels above 0, or leave it out for crops at "
            "the places themselves"
        )


def _within(part: range, at: float, sigma: float) -> range:
    """What `SUPPORT` leaves of a range."""
    low, high = (at + sign * SUPPORT * sigma for sign in (-1, 1))
    first = part.start if low <= part.start else min(pixel_of(low), part.stop)
    stop = part.stop if high >= part.stop else max(pixel_of(high) + 1, part.start)
    return range(first, max(first, stop))


def _masses(part: range, mean: float, sigma: float) -> Floats:
    """(pixels,) what each holds of a normal distribution."""
    edges = (np.arange(part.start, part.stop + 1) - 0.5 - mean) / sigma
    low, high = edges[:-1], edges[1:]
    upper = low > 0  # the nearer tail keeps the digits
    masses: Floats = np.where(upper, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low))
    return masses


def _pick(masses: Floats, share: float) -> int:
    """The number of the element in which a share of all lies."""
    ends = np.cumsum(masses)
    found = int(np.searchsorted(ends, share * ends[-1], side="right"))
    return min(found, int(np.flatnonzero(masses)[-1]))


def _in_pixel(pixel: int, mean: float, sigma: float, share: float) -> float:
    """A place in a pixel, by a share of what it holds of a normal distribution."""
    low, high = ((pixel + half - mean) / sigma for half in (-0.5, 0.5))
    if low > 0:
        z = -float(ndtri(ndtr(-low) - share * (ndtr(-low) - ndtr(-high))))
    else:
        z = float(ndtri(ndtr(low) + share * (ndtr(high) - ndtr(low))))
    last = math.nextafter(pixel + 0.5, -math.inf)
    return min(max(mean + sigma * z, pixel - 0.5), last)
