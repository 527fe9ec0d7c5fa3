"""A view of an image by an affine map, as a spatial transformer sees it (Jaderberg et al. 2015).

Normalised coordinates run from -1 to 1 between the outer edges of an image (`align_corners=False`
of PyTorch, and GDAL's own), so that theta, which takes those of the view to those of the image, is
an affine map between pixel corners, too. Places count from the upper left corner; a pixel's centre
is at a half. Arrays may be CuPy's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hsitool.device import array_module
from hsitool.errors import UsageError

Floats = NDArray[np.float64]
Outside = Literal["missing", "zero"]

LEAST_WEIGHT = 0.5
"""Of the samples that are there, for a pixel to have a value."""

DIGIT = 2.0**-38
"""px that places are rounded to, so that a shift by whole pixels copies them."""

SINGULAR = 1e-12
"""The least singular value over the greatest one."""


def affine_grid(theta: Any, size: tuple[int, int]) -> Any:
    """(rows, columns, 2) where in an image each pixel of a view lies, as normalised x and y.

    Args:
        theta: (2, 3) from normalised x, y and 1 of the view to those of the image.
        size: rows and columns of the view.

    Raises:
        UsageError: theta is not of that shape.
    """
    xp = array_module(theta)
    matrix = xp.asarray(theta, dtype=np.float64)
    if matrix.shape != (2, 3):
        raise UsageError(f"theta has the shape {tuple(matrix.shape)}: give 2 rows of 3 numbers")
    y, x = ((2 * xp.arange(count, dtype=np.float64) + 1) / count - 1 for count in size)
    across = x[:, None] * matrix[:, 0]
    down = y[:, None] * matrix[:, 1] + matrix[:, 2]
    return across[None] + down[:, None]


def grid_sample(image: Any, grid: Any, *, outside: Outside = "missing") -> Any:
    """(bands, h, w) an image as seen at the places of a grid, between its samples linearly.

    A pixel is the weighted mean of the up to four samples around its place that are there; NaN
    where they have less than half of the weight. Samples that are NaN or infinite are missing.

    Args:
        image: (bands, rows, columns); float32 stays that, all else is computed as float64.
        grid: (h, w, 2) normalised x and y, as of `affine_grid`.
        outside: "missing", or "zero": samples beyond the edges are 0 and there, as PyTorch's
            `grid_sample(mode="bilinear", padding_mode="zeros", align_corners=False)` has it.

    Raises:
        UsageError: shapes that are not these, or another word.
    """
    xp = array_module(image)
    if image.ndim != 3 or grid.ndim != 3 or grid.shape[-1] != 2:
        raise UsageError(
            f"an image of shape {tuple(image.shape)} and a grid of {tuple(grid.shape)}: give "
            "(bands, rows, columns) and (rows, columns, 2)"
        )
    if outside not in ("missing", "zero"):
        raise UsageError(f"outside '{outside}' is neither missing nor zero")
    bands, rows, columns = image.shape
    dtype = np.float32 if image.dtype == np.float32 else np.float64
    x, y = ((grid[..., i].reshape(-1) + 1) * (n / 2) - 0.5 for i, n in ((0, columns), (1, rows)))
    total = xp.zeros((bands, x.size), dtype)
    weight = xp.zeros((bands, x.size), dtype)
    flat = image.reshape(bands, -1)
    for row, column, share, inside in _corners(x, y, rows, columns):
        taken = flat[:, row * columns + column].astype(dtype)
        there = inside & xp.isfinite(taken)
        part = share.astype(dtype)
        total += xp.where(there, taken, dtype(0)) * part
        weight += (there | ~inside if outside == "zero" else there) * part
    enough = weight >= LEAST_WEIGHT
    seen = xp.where(enough, total, dtype(np.nan)) / xp.where(enough, weight, dtype(1))
    return seen.reshape(bands, *grid.shape[:2])


def _corners(x: Any, y: Any, rows: int, columns: int) -> Iterator[tuple[Any, Any, Any, Any]]:
    """Row, column (of some sample where outside), weight and being inside, for each of the four
    samples around places (n,), which count from the centre of the first sample."""
    xp = array_module(x)
    known = xp.isfinite(x) & xp.isfinite(y)
    x, y = xp.where(known, x, -9.0), xp.where(known, y, -9.0)
    left, above = xp.floor(x), xp.floor(y)
    for row, down in ((above, above + 1 - y), (above + 1, y - above)):
        for column, across in ((left, left + 1 - x), (left + 1, x - left)):
            inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
            places = (xp.where(inside, place, 0.0).astype(np.int64) for place in (row, column))
            yield *places, down * across, inside


@dataclass(frozen=True)
class View:
    """A view of an image.

    Attributes:
        matrix: ((a, b, c), (d, e, f)): the place x = a u + b v + c, y = d u + e v + f in the image
            (column and row, px, from its corner) of a place u, v in the view.
        size: rows and columns of the view.
    """

    matrix: tuple[tuple[float, float, float], tuple[float, float, float]]
    size: tuple[int, int]

    @property
    def linear(self) -> Floats:
        """(2, 2) px of the image for one of the view."""
        return np.array(self.matrix)[:, :2]

    @property
    def scales(self) -> tuple[float, float]:
        """The singular values of that, the greatest first: above 1 the view is coarser."""
        first, second = np.linalg.svd(self.linear, compute_uv=False).tolist()
        return first, second

    def centres(self, rows: NDArray[Any], columns: NDArray[Any]) -> tuple[Floats, Floats]:
        """Columns and rows, (rows * columns,), where centres of pixels of the view lie, counted
        from the centre of the image's first pixel: the same whatever else is asked for."""
        u, v = columns[None, :] + 0.5, rows[:, None] + 0.5
        x, y = ((a * u + (b * v + c)) - 0.5 for a, b, c in self.matrix)
        return rounded(x).reshape(-1), rounded(y).reshape(-1)

    def placed(self, transform: tuple[float, ...]) -> tuple[float, ...]:
        """The transform of the view of an image that lies on a map by `transform`."""
        a, b, c, d, e, f = transform
        (p, q, r), (s, t, w) = self.matrix
        return (
            *(a * p + b * s, a * q + b * t, a * r + b * w + c),
            *(d * p + e * s, d * q + e * t, d * r + e * w + f),
        )

    def seen(self, column: float, row: float) -> tuple[float, float]:
        """Where a place of the image lies in the view."""
        u, v = np.linalg.solve(self.linear, np.array([column, row]) - np.array(self.matrix)[:, 2])
        return float(u), float(v)

    def theta(self, image: tuple[int, int]) -> Floats:
        """(2, 3) the same between normalised coordinates, of an image of (rows, columns)."""
        return (_normal(image) @ self._square @ _pixel(self.size))[:2]

    @property
    def _square(self) -> Floats:
        return np.array([*self.matrix, (0.0, 0.0, 1.0)])


def view_of_theta(theta: ArrayLike, image: tuple[int, int], size: tuple[int, int]) -> View:
    """The view by theta (2, 3) of an image of (rows, columns).

    Raises:
        UsageError: theta is singular.
    """
    square = np.array([*np.asarray(theta, np.float64).tolist(), [0.0, 0.0, 1.0]])
    return _regular((_pixel(image) @ square @ _normal(size))[:2], size)


def view_about(
    place: tuple[float, float],
    anchor: tuple[float, float],
    linear: Floats,
    size: tuple[int, int],
) -> View:
    """The view in which `place` (column, row) of the image lies at `anchor`; px from corners.

    `linear` (2, 2) is px of the image for one of the view.

    Raises:
        UsageError: that is singular.
    """
    shift = np.array(place) - linear @ np.array(anchor)
    return _regular(np.column_stack([linear, shift]), size)


def turned(degrees: float) -> Floats:
    """(2, 2) exact at multiples of 90 degrees: a view turned clockwise on the image."""
    quarter, rest = divmod(degrees, 90.0)
    cosine, sine = math.cos(math.radians(rest)), math.sin(math.radians(rest))
    for _ in range(int(quarter) % 4):
        cosine, sine = -sine, cosine
    return np.array([[cosine, -sine], [sine, cosine]])


def _regular(matrix: Floats, size: tuple[int, int]) -> View:
    scales = np.linalg.svd(matrix[:, :2], compute_uv=False)
    if not scales[1] > SINGULAR * scales[0]:
        raise UsageError(
            f"theta is singular (its image of a square is a line): {matrix[:, :2].tolist()} px"
        )
    first, second = (tuple(map(float, row)) for row in matrix)
    return View((first, second), size)  # type: ignore[arg-type]


def _pixel(size: tuple[int, int]) -> Floats:
    """(3, 3) from normalised coordinates to px."""
    rows, columns = size
    return np.array([[columns / 2, 0, columns / 2], [0, rows / 2, rows / 2], [0, 0, 1.0]])


def _normal(size: tuple[int, int]) -> Floats:
    """(3, 3) from px to normalised coordinates."""
    rows, columns = size
    return np.array([[2 / columns, 0, -1.0], [0, 2 / rows, -1.0], [0, 0, 1.0]])


def rounded(places: Floats) -> Floats:
    """To `DIGIT`."""
    return np.rint(places / DIGIT) * DIGIT
