"""Samples at places between pixels: nearest, linear and cubic, as a sparse matrix.

A row of the matrix holds the weights of one new pixel, a column is a pixel in memory, so that the
same matrix serves any number of bands, in float32 or float64. On pixel-interleaved samples that is
five times as fast as band by band, which pays for turning other orders. The order of the sums is
fixed: equal places give equal bytes, whatever else is computed beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray

from hsitool.errors import DataError

Floats = NDArray[np.float64]
Index = NDArray[np.intp]
Interpolation = Literal["nearest", "linear", "cubic"]

MARGIN: dict[Interpolation, float] = {"nearest": -0.5, "linear": 0.0, "cubic": 1.0}
"""px from the outermost pixel centres within which all samples of the kernel are there."""

TAPS: dict[Interpolation, tuple[int, int]] = {"nearest": (0, 1), "linear": (0, 1), "cubic": (1, 2)}
"""How many samples before and after the whole part of a place the kernel may take."""


@dataclass(frozen=True)
class Gather:
    """What new pixels are made of: `index` (n, taps) into memory, and `weights` of that shape.

    Without weights, each pixel is a copy. `outside` (n,) marks pixels that lack a sample of their
    kernel; `size` is the length of the memory.
    """

    index: NDArray[Any]
    weights: NDArray[Any] | None
    outside: NDArray[np.bool_]
    size: int

    def of(self, samples: NDArray[Any], missing: Any) -> NDArray[Any]:
        """(n, bands) of samples (size, bands), `missing` where outside; (n,) of (size,)."""
        if self.weights is None:
            made = np.take(samples, self.index[:, 0], axis=0)
        else:
            made = self._matrix @ samples
        if self.outside.any():
            made[self.outside] = missing
        return made

    @cached_property
    def _matrix(self) -> Any:
        from scipy.sparse import csr_array  # type: ignore[import-untyped]

        assert self.weights is not None
        count, taps = self.index.shape
        ends = np.arange(0, count * taps + 1, taps, dtype=self.index.dtype)
        parts = self.weights.reshape(-1), self.index.reshape(-1), ends
        return csr_array(parts, shape=(count, self.size))


def gather(
    places: tuple[Floats, Floats],
    shape: tuple[int, int],
    kind: Interpolation,
    memory: tuple[NDArray[Any], int, int],
    dtype: DTypeLike,
) -> Gather:
    """The pixels at `places` (columns and rows, (n,) each; NaN is outside).

    `shape` is (rows, columns) of the image; `memory` where its rows begin, the step from column
    to column, and the size; `dtype` the type of the weights.
    """
    row_starts, step, size = memory
    columns, x_weights, x_inside = axis_taps(places[0], shape[1], kind)
    rows, y_weights, y_inside = axis_taps(places[1], shape[0], kind)
    taps = len(columns)
    columns = columns.astype(row_starts.dtype) * row_starts.dtype.type(step)
    index = np.empty((places[0].size, taps * taps), row_starts.dtype)
    for j in range(taps):
        start = row_starts[rows[j]]
        for i in range(taps):
            np.add(start, columns[i], out=index[:, j * taps + i])
    outside = ~(x_inside & y_inside)
    index[outside] = 0
    if kind == "nearest":
        return Gather(index, None, outside, size)
    weights = np.empty(index.shape, dtype)
    for j in range(taps):
        for i in range(taps):
            np.multiply(
                y_weights[j], x_weights[i], out=weights[:, j * taps + i], casting="same_kind"
            )
    return Gather(index, weights, outside, size)


def axis_taps(
    place: Floats, count: int, kind: Interpolation
) -> tuple[Index, Floats, NDArray[np.bool_]]:
    """Samples (taps, n) of an axis of `count` that each place takes, their weights, and whether
    all are there.

    Samples of weight 0 are never taken: on a sample itself, all taps are that sample. Cubic is
    the convolution of Keys (1981) with a = -1/2, which reproduces quadratic polynomials.
    """
    if kind == "nearest":
        inside = (place >= -0.5) & (place < count - 0.5)
        whole = np.floor(np.where(inside, place, 0.0) + 0.5)
        return whole.astype(np.intp)[None], np.ones((1, place.size)), inside
    inside = (place >= 0) & (place <= count - 1)
    held = np.where(inside, place, 0.0)
    whole = np.floor(held)
    first, part = whole.astype(np.intp), held - whole
    between = part > 0
    if kind == "linear":
        return np.stack([first, first + between]), np.stack([1 - part, part]), inside
    inside &= ~between | ((first >= 1) & (first <= count - 3))
    taps = np.stack([first + between * offset for offset in (-1, 0, 1, 2)])
    return np.where(inside, taps, 0), _keys(part), inside


def _keys(t: Floats) -> Floats:
    """Weights (4, n) of the samples at -1, 0, 1 and 2 for a place at t in [0, 1)."""
    return np.stack(
        [
            ((-0.5 * t + 1.0) * t - 0.5) * t,
            (1.5 * t - 2.5) * t * t + 1.0,
            ((-1.5 * t + 2.0) * t + 0.5) * t,
            (0.5 * t - 0.5) * t * t,
        ]
    )


def stored(
    values: NDArray[Any], dtype: np.dtype[Any], nodata: float | None, *, clips: bool = False
) -> NDArray[Any]:
    """`values` (NaN is missing; changed in place) as samples of a file with that nodata.

    Integers are rounded to the nearest one, and with `clips` kept in the range of the type. A
    value that would become nodata is moved to its neighbour.

    Raises:
        DataError: one is missing, and the type has no value for that.
    """
    if dtype.kind != "f":
        return _whole(values, dtype, nodata, clips)
    if nodata is None or np.isnan(nodata):
        return values
    mark = values.dtype.type(nodata)
    if (same := values == mark).any():
        values[same] = np.nextafter(mark, values.dtype.type(0 if mark else 1))
    if (missing := np.isnan(values)).any():
        values[missing] = mark
    return values


def _whole(
    values: NDArray[Any], dtype: np.dtype[Any], nodata: float | None, clips: bool
) -> NDArray[Any]:
    limits = np.iinfo(dtype)
    missing = np.isnan(values)
    some = bool(missing.any())
    if some and nodata is None:
        raise DataError(NO_VALUE.format(dtype))
    if some:
        values[missing] = 0
    np.rint(values, out=values)
    if clips:
        np.clip(values, limits.min, limits.max, out=values)
    made = values.astype(dtype)
    if nodata is not None:
        mark = int(nodata)
        made[made == mark] = mark - 1 if mark == limits.max else mark + 1
        made[missing] = mark
    return made


NO_VALUE = (
    "pixels without data have no value in {}: give one with --nodata VALUE, show only complete "
    "ones by --like fit, or convert to float32 first (hsitool convert --dtype float32)"
)


PLAIN = {1: np.uint8, 2: np.uint16, 4: np.float32, 8: np.float64}
"""Types that OpenCV moves, by their bytes."""


def turn(block: NDArray[Any], target: NDArray[Any]) -> None:
    """Copy (bands, rows, columns) to such a block of any memory order, and cast.

    Between pixel-interleaved and other ones OpenCV is five times as fast as NumPy.
    """
    by_pixel = target.strides[0] < target.strides[2]
    for row in range(block.shape[1]):
        source, out = block[:, row], target[:, row]
        _transpose(source, out.T) if by_pixel else _transpose(source.T, out)


def _transpose(source: NDArray[Any], out: NDArray[Any]) -> None:
    """`out` (a, b), compact along b, from `source` (b, a)."""
    plain = PLAIN.get(source.itemsize)
    if plain is None or 1 in source.shape or source.strides[-1] != source.itemsize:
        np.copyto(out, source.T, casting="unsafe")
    elif out.dtype == source.dtype:
        cv2.transpose(source.view(plain), dst=out.view(plain))
    else:
        np.copyto(out, cv2.transpose(source.view(plain)).view(source.dtype), casting="unsafe")
