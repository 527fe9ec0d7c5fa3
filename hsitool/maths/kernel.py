"""A spectral operator carried out on blocks of pixels, in any memory order, by BLAS."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from hsitool.maths.even import EvenProduct
from hsitool.maths.missing import MissingRule, any_in_windows
from hsitool.maths.operator import SpectralOperator
from hsitool.maths.plan import BANDS, GROUP, PIXELS, Span, make_plan

Samples = NDArray[Any]
Flags = NDArray[np.bool_]

SMALL_PRODUCT = 1_000_000  # multiplications up to which OpenBLAS spares itself to pack operands
LONGEST_CHUNK = {PIXELS: 8192, BANDS: 1024}
SHORTEST_CHUNK = 256
EVEN_CHUNK = {PIXELS: 8192, BANDS: 4096}


def output_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """The type of the output of a block of `dtype`: float64 for float64, float32 for all else."""
    native = np.dtype(dtype).newbyteorder("=")
    return native if native == np.float64 else np.dtype(np.float32)


def work_dtype(operator: SpectralOperator, dtype: DTypeLike) -> np.dtype[Any]:
    """float64 for types that float32 cannot hold, and where large terms may cancel."""
    block = np.dtype(dtype)
    wide = block.itemsize > 4 or (block.kind in "iu" and block.itemsize == 4)
    cancels = (operator.deriv > 0) & (operator.level != 0)
    cancels |= operator.bias != 0
    return np.dtype(np.float64 if wide or cancels.any() else np.float32)


class BandedKernel:
    """`kernel(block, out)` carries an operator out; threads may call one kernel at the same time.

    Args:
        operator: what to compute.
        dtype: of the blocks.
        nodata: stored value that marks missing samples, beside NaN and infinities.
    """

    def __init__(
        self, operator: SpectralOperator, dtype: DTypeLike, nodata: float | None = None
    ) -> None:
        self.dtype = np.dtype(dtype).newbyteorder("=")
        self.output_dtype = output_dtype(dtype)
        self.shape = operator.outputs, operator.inputs
        self._work = work_dtype(operator, dtype)
        self._rule = MissingRule(self.dtype, nodata)
        self._plans = {axis: make_plan(operator, self._work, axis) for axis in (PIXELS, BANDS)}
        self._pixels = {
            axis: _pixels_a_chunk(operator, axis, plan) for axis, plan in self._plans.items()
        }
        self._nowhere = np.flatnonzero(operator.length == 0)

    def __call__(self, block: Samples, out: Samples) -> None:
        """Fill `out` (outputs, rows, columns) from `block` (bands, rows, columns).

        Both may be views of any memory order; it is fastest where they share one. Outputs are
        NaN where a sample of their window is missing.

        Raises:
            ValueError: shapes or types are not those of the kernel.
        """
        self._refuse_misfits(block, out)
        source, target = _lines(block.astype(self.dtype, copy=False), out)
        axis = PIXELS if _runs_along(source, PIXELS) else BANDS
        if not _runs_along(source, axis):
            axis, source = PIXELS, np.ascontiguousarray(source)
        with np.errstate(all="ignore"):
            if _runs_along(target, axis):
                self._fill(source, target, axis)
            else:
                ordered = _oriented(np.empty(target.size, target.dtype), target.shape, axis)
                self._fill(source, ordered, axis)
                np.copyto(target, ordered)

    def _refuse_misfits(self, block: Samples, out: Samples) -> None:
        shapes = (self.shape[1], *block.shape[1:]), (self.shape[0], *block.shape[1:])
        if (block.shape, out.shape) != shapes:
            raise ValueError(f"shapes {block.shape}, {out.shape} of block and out are not {shapes}")
        types = block.dtype.newbyteorder("="), out.dtype
        if types != (self.dtype, self.output_dtype):
            raise ValueError(f"types {types} are not {self.dtype} in and {self.output_dtype} out")

    def _fill(self, source: Samples, target: Samples, axis: int) -> None:
        """Carry out all spans, a chunk of pixels at a time, so that it stays in the cache."""
        target[:, self._nowhere] = np.nan
        for lines, samples in _chunks(source.shape, self._pixels[axis]):
            for span in self._plans[axis]:
                chunk = source[lines, span.bands, samples]
                self._carry_out(span, chunk, target[lines, span.outputs, samples], axis)

    def _carry_out(self, span: Span, chunk: Samples, result: Samples, axis: int) -> None:
        """Fill `result` with the outputs of a span; all arrays are (lines, bands, samples)."""
        if not _scratch.expects_missing and self._filled(span, chunk, result, axis):
            return
        missing = self._rule.mask(chunk) if self._rule.found(chunk) else None
        _scratch.expects_missing = missing is not None
        if missing is not None and missing.all():
            result[...] = np.nan
            return
        samples, operand = self._operands(span, chunk, missing, axis)
        for product in span.products:
            product(operand, result)
        _finish(span, samples, result)
        if missing is not None:
            blank = any_in_windows(missing, span.length)[:, span.starts]
            np.copyto(result, np.nan, where=blank)

    def _filled(self, span: Span, chunk: Samples, result: Samples, axis: int) -> bool:
        """Fill `result` if no sample is missing; False, and `result` is spoilt, where one is.

        Samples are looked at right after their use, since they are in the cache then: looking
        first would fetch all of them twice from the memory.
        """
        samples, operand = self._operands(span, chunk, None, axis)
        looked_at = 0
        for product in span.products:
            product(operand, result)
            reached = product.bands.stop + (1 if span.differences else 0)
            if axis == PIXELS and reached > looked_at:
                if self._rule.found(chunk[:, looked_at:reached]):
                    return False
                looked_at = reached
        if looked_at < chunk.shape[BANDS] and self._rule.found(chunk[:, looked_at:]):
            return False
        _finish(span, samples, result)
        return True

    def _operands(
        self, span: Span, chunk: Samples, missing: Flags | None, axis: int
    ) -> tuple[Samples, Samples]:
        """The samples in the type of the work, 0 where missing; what the products act on."""
        samples = chunk
        if missing is not None or chunk.dtype != self._work:
            samples = _scratch.like("samples", chunk, axis, self._work)
            np.copyto(samples, chunk)
        if missing is not None:
            np.copyto(samples, 0, where=missing)
        return samples, _differences(samples, axis) if span.differences else samples


def _finish(span: Span, samples: Samples, result: Samples) -> None:
    """Add to the products what is not one of them."""
    if span.anchors is not None:
        result += samples[:, span.anchors]
    if span.bias is not None:
        result += span.bias


def _differences(values: Samples, axis: int) -> Samples:
    """`values[:, 1:] - values[:, :-1]`"""
    pixels = values.swapaxes(BANDS, PIXELS)
    if axis == PIXELS or not pixels.flags.c_contiguous:
        steps = _scratch.like("steps", values[:, 1:], axis)
        return np.subtract(values[:, 1:], values[:, :-1], out=steps)
    # One long row is twice as fast; its differences from pixel to pixel are left out afterwards.
    steps = _scratch.like("steps", values, axis)
    row, out = pixels.reshape(-1), steps.swapaxes(BANDS, PIXELS).reshape(-1)
    np.subtract(row[1:], row[:-1], out=out[:-1])
    return steps[:, :-1]


class _Scratch(threading.local):
    """Working memory that each thread keeps from chunk to chunk, as fresh pages are slow."""

    def __init__(self) -> None:
        self.expects_missing = False  # as the last chunk had missing samples
        self._buffers: dict[str, NDArray[np.uint8]] = {}

    def like(
        self, use: str, samples: Samples, axis: int, dtype: np.dtype[Any] | None = None
    ) -> Samples:
        """An array of that shape, compact, with `axis` contiguous; its content is undefined."""
        kind = samples.dtype if dtype is None else dtype
        size = samples.size * kind.itemsize
        buffer = self._buffers.get(use)
        if buffer is None or buffer.size < size:
            buffer = self._buffers[use] = np.empty(size, np.uint8)
        return _oriented(buffer[:size].view(kind), samples.shape, axis)


_scratch = _Scratch()


def _lines(block: Samples, out: Samples) -> tuple[Samples, Samples]:
    """Views (lines, bands, samples) of (bands, rows, columns): one line where rows follow on."""
    if all(array.strides[1] == array.shape[2] * array.strides[2] for array in (block, out)):
        return block.reshape(1, len(block), -1), out.reshape(1, len(out), -1)
    return block.transpose(1, 0, 2), out.transpose(1, 0, 2)


def _runs_along(samples: Samples, axis: int) -> bool:
    """Whether `axis` of (lines, bands, samples) is contiguous and the other one steps over it."""
    other = BANDS + PIXELS - axis
    tight = samples.shape[axis] == 1 or samples.strides[axis] == samples.itemsize
    length = samples.shape[axis] * samples.itemsize
    return tight and (samples.shape[other] == 1 or samples.strides[other] >= length)


def _oriented(flat: Samples, shape: tuple[int, ...], axis: int) -> Samples:
    """`flat` seen as (lines, bands, samples), with `axis` contiguous."""
    lines, bands, samples = shape
    if axis == PIXELS:
        return flat.reshape(shape)
    return flat.reshape(lines, samples, bands).swapaxes(BANDS, PIXELS)


def _chunks(shape: tuple[int, ...], pixels: int) -> Iterator[tuple[slice, slice]]:
    """Slices of lines and samples that hold about so many pixels."""
    lines, _, samples = shape
    height = max(1, pixels // max(samples, 1))
    for line in range(0, lines, height):
        for sample in range(0, samples, pixels):
            yield slice(line, line + height), slice(sample, sample + pixels)


def _pixels_a_chunk(operator: SpectralOperator, axis: int, plan: tuple[Span, ...]) -> int:
    """Pixels whose products are small enough for BLAS's fast path; more for OpenCV's filter."""
    if any(isinstance(product, EvenProduct) for span in plan for product in span.products):
        return EVEN_CHUNK[axis]
    group = GROUP[axis]
    multiplications = group * (group + operator.weights.shape[1])
    return int(min(LONGEST_CHUNK[axis], max(SHORTEST_CHUNK, SMALL_PRODUCT // multiplications)))
