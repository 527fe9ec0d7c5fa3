"""A spectral operator carried out on blocks of pixels, in any memory order, by BLAS."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from hsitool.maths.spectra.even import EvenProduct
from hsitool.maths.spectra.missing import MissingRule
from hsitool.maths.spectra.operator import SpectralOperator
from hsitool.maths.spectra.plan import BANDS, GROUP, PIXELS, Part, Span, make_plan

Samples = NDArray[Any]
Flags = NDArray[np.bool_]

SMALL_PRODUCT = 1_000_000  # multiplications up to which OpenBLAS spares itself to pack operands
LONGEST_CHUNK = {PIXELS: 8192, BANDS: 1024}
SHORTEST_CHUNK = 256
MENDED = 1 << 19  # samples of pixels that are computed anew at the same time
EVEN_CHUNK = {PIXELS: 8192, BANDS: 4096}


def output_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """The type of the output of a block of `dtype`: float64 for float64, float32 for all else."""
    native = np.dtype(dtype).newbyteorder("=")
    return native if native == np.float64 else np.dtype(np.float32)


def work_dtype(operators: Sequence[SpectralOperator], dtype: DTypeLike) -> np.dtype[Any]:
    """float64 for types that float32 cannot hold, and where large terms may cancel."""
    block = np.dtype(dtype)
    wide = block.itemsize > 4 or (block.kind in "iu" and block.itemsize == 4)
    for operator in operators:
        wide |= bool((~operator.smooths & (operator.level != 0)).any())
        wide |= bool((operator.bias != 0).any())
    return np.dtype(np.float64 if wide else np.float32)


def refuse_misfits(
    operators: Sequence[SpectralOperator],
    dtype: np.dtype[Any],
    block: Samples,
    outs: Sequence[Samples],
) -> None:
    """Refuse arrays that operators cannot be carried out on.

    Raises:
        ValueError: shapes or types are not those of operators on blocks of `dtype`.
    """
    found = [array.shape for array in (block, *outs)]
    counts = operators[0].inputs, *(operator.outputs for operator in operators)
    wanted = [(count, *block.shape[1:]) for count in counts]
    if found != wanted:
        raise ValueError(f"shapes {found} of block and outs are not {wanted}")
    types = {block.dtype.newbyteorder("=")}, {out.dtype for out in outs}
    if types != ({dtype}, {output_dtype(dtype)}):
        raise ValueError(f"types {types} are not {dtype} in and {output_dtype(dtype)} out")


class BandedKernel:
    """`kernel(block, outs)` carries out operators on the same cube, all in one pass.

    Threads may call one kernel at the same time.

    Args:
        operators: what to compute, one output block each.
        dtype: of the blocks.
        nodata: stored value that marks missing samples, beside NaN and infinities.
    """

    def __init__(
        self,
        operators: Sequence[SpectralOperator],
        dtype: DTypeLike,
        nodata: float | None = None,
    ) -> None:
        self.dtype = np.dtype(dtype).newbyteorder("=")
        self.output_dtype = output_dtype(dtype)
        self.operators = tuple(operators)
        self._work = work_dtype(operators, dtype)
        self._rule = MissingRule(self.dtype, nodata)
        self._plans = {axis: make_plan(operators, self._work, axis) for axis in (PIXELS, BANDS)}
        self._pixels = {
            axis: _pixels_a_chunk(operators, axis, plan) for axis, plan in self._plans.items()
        }
        self._nowhere = [np.flatnonzero(operator.length == 0) for operator in operators]

    def __call__(self, block: Samples, outs: Sequence[Samples]) -> None:
        """Fill `outs` (outputs, rows, columns) from `block` (bands, rows, columns).

        There is one of them for each operator. All may be views of any memory order; it is fastest
        where they share one. Outputs are NaN where a sample of their window is missing, unless the
        operator says how to do without.

        Raises:
            ValueError: shapes or types are not those of the kernel.
        """
        refuse_misfits(self.operators, self.dtype, block, outs)
        block = block.astype(self.dtype, copy=False)
        source, *targets = _lines(block, *outs)
        axis = PIXELS if _runs_along(source, PIXELS) else BANDS
        if not _runs_along(source, axis):
            axis, source = PIXELS, np.ascontiguousarray(source)
        ordered = [
            target
            if _runs_along(target, axis)
            else _oriented(np.empty(target.size, target.dtype), target.shape, axis)
            for target in targets
        ]
        with np.errstate(all="ignore"):
            self._fill(source, ordered, axis)
        for target, filled in zip(targets, ordered, strict=True):
            if filled is not target:
                np.copyto(target, filled)

    def _fill(self, source: Samples, targets: Sequence[Samples], axis: int) -> None:
        """Carry out all spans, a chunk of pixels at a time, so that it stays in the cache."""
        for target, nowhere in zip(targets, self._nowhere, strict=True):
            target[:, nowhere] = np.nan
        broken = np.zeros((source.shape[0], source.shape[PIXELS]), bool)
        for lines, samples in _chunks(source.shape, self._pixels[axis]):
            results = [target[lines, :, samples] for target in targets]
            chunk = source[lines, :, samples]
            for span in self._plans[axis]:
                outs = [results[part.operator][:, part.outputs] for part in span.parts]
                self._carry_out(span, chunk[:, span.bands], outs, broken[lines, samples], axis)
        if broken.any():
            self._mend(source, broken, targets)

    def _carry_out(
        self, span: Span, chunk: Samples, results: Sequence[Samples], broken: Flags, axis: int
    ) -> None:
        """Fill `results`, one a part of the span; all arrays are (lines, bands, samples).

        A pixel never changes another one, so those that miss samples are mended afterwards.
        `broken` (lines, samples) tells where some samples of windows are missing, but not all.
        """
        if self._filled(span, chunk, results, axis):
            return
        if span.lengths.max() == 1:
            blank = self._rule.mask(chunk)[:, span.starts]
            for result in results:
                np.copyto(result, np.nan, where=blank)
            return
        lines, samples = np.nonzero(self._rule.suspects(chunk))
        missing = self._rule.mask(chunk[lines, :, samples])
        some, every = missing.any(axis=1), missing.all(axis=1)
        for result in results:
            result[lines[every], :, samples[every]] = np.nan
        part = some & ~every
        broken[lines[part], samples[part]] = True

    def _filled(self, span: Span, chunk: Samples, results: Sequence[Samples], axis: int) -> bool:
        """Fill `results`; False where samples are missing, as pixels with them are wrong then.

        Samples are looked at right after their use, since they are in the cache then: looking
        first would fetch all of them twice from the memory.
        """
        samples = self._samples(chunk, axis)
        steps = _differences(samples, axis) if span.differences else samples
        looked_at, found = 0, False
        for part, result in zip(span.parts, results, strict=True):
            for product in part.products:
                product(steps if part.differences else samples, result)
                reached = product.bands.stop + (1 if part.differences else 0)
                if axis == PIXELS and reached > looked_at:
                    found = found or self._rule.found(chunk[:, looked_at:reached])
                    looked_at = reached
            _finish(part, samples, result)
        return not (found or self._rule.found(chunk[:, looked_at:]))

    def _samples(self, chunk: Samples, axis: int) -> Samples:
        """The samples in the type of the work."""
        if chunk.dtype == self._work:
            return chunk
        samples = _scratch.like("samples", chunk, axis, self._work)
        np.copyto(samples, chunk)
        return samples

    def _mend(self, source: Samples, broken: Flags, targets: Sequence[Samples]) -> None:
        """Compute the outputs anew of pixels that miss some samples, a number of them at a time."""
        lines, samples = np.nonzero(broken)
        size = max(1, MENDED // source.shape[BANDS])
        for start in range(0, lines.size, size):
            line, sample = lines[start : start + size], samples[start : start + size]
            spectra = source[line, :, sample].T
            missing = self._rule.mask(spectra)
            clean = np.where(missing, 0.0, spectra)
            for number, target in enumerate(targets):
                outputs = self._mended(number, clean, missing)
                target[line, :, sample] = outputs.T

    def _mended(self, number: int, samples: Samples, missing: Flags) -> Samples:
        """(outputs, pixels) of one operator from (bands, pixels): fits, else NaN by windows."""
        operator, (rows, table, uses, bias) = self.operators[number], self._unfitted[number]
        outputs = np.empty((operator.outputs, samples.shape[1]))
        outputs[rows] = table @ samples + bias
        outputs[rows] = np.where(uses @ missing.astype(np.float32) > 0, np.nan, outputs[rows])
        if operator.refit is not None:
            operator.refit(samples, missing, outputs)
        return outputs

    @cached_property
    def _unfitted(self) -> list[tuple[Samples, Samples, Samples, Samples]]:
        """Outputs that are not fitted to what is there: which, their weights, bands and bias."""
        found = []
        for operator in self.operators:
            fits = operator.refit
            fitted = np.zeros(operator.outputs, bool) if fits is None else fits.windows.length > 0
            rows = np.flatnonzero(~fitted)
            part = operator.select(rows)
            bias = np.where(part.length > 0, part.bias, np.nan)[:, None]
            found.append((rows, part.dense(), part.uses().astype(np.float32), bias))
        return found


def _finish(part: Part, samples: Samples, result: Samples) -> None:
    """Add to the products what is not one of them."""
    if part.anchors is not None:
        result += samples[:, part.anchors]
    if part.bias is not None:
        result += part.bias


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


def _lines(*blocks: Samples) -> list[Samples]:
    """Views (lines, bands, samples) of (bands, rows, columns): one line where rows follow on."""
    if all(block.strides[1] == block.shape[2] * block.strides[2] for block in blocks):
        return [block.reshape(1, len(block), -1) for block in blocks]
    return [block.transpose(1, 0, 2) for block in blocks]


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


def _pixels_a_chunk(
    operators: Sequence[SpectralOperator], axis: int, plan: tuple[Span, ...]
) -> int:
    """Pixels whose products are small enough for BLAS's fast path; more for OpenCV's filter."""
    products = (product for span in plan for part in span.parts for product in part.products)
    if any(isinstance(product, EvenProduct) for product in products):
        return EVEN_CHUNK[axis]
    longest = max(operator.weights.shape[1] for operator in operators)
    multiplications = GROUP[axis] * (GROUP[axis] + longest)
    return int(min(LONGEST_CHUNK[axis], max(SHORTEST_CHUNK, SMALL_PRODUCT // multiplications)))
