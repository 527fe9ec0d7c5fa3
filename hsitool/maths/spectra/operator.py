"""Everything linear along the bands: a small table of weights per output band."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from hsitool.device import device_of

if TYPE_CHECKING:
    from hsitool.maths.spectra.kernel import BandedKernel
    from hsitool.maths.spectra.refit import PartialFits

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class SpectralOperator:
    """A banded linear map from the bands of a cube to output bands, in float64.

    Output i is `bias[i] + sum(weights[i, j] * x[first[i] + j] for j < length[i])`; with length 0 it
    is nodata everywhere. Where a sample of its window is missing, even one of weight 0, it is what
    `refit` makes of the others, or missing too.

    Attributes:
        inputs: number of input bands.
        band: (outputs,) the input band that each output stands for.
        first: (outputs,) the first band of each window.
        length: (outputs,) the number of bands in each window.
        weights: (outputs, longest window), 0 beyond `length`.
        skips: (outputs, longest window) bands in the middle of a window that are no part of it.
        smooths: (outputs,) whether the output is a smoothed value of its band, not a derivative or
            a residual.
        bias: (outputs,) constant terms.
        refit: how windows with missing samples are fitted.
    """

    inputs: int
    band: Integers
    first: Integers
    length: Integers
    weights: Floats
    skips: Flags
    smooths: Flags
    bias: Floats
    refit: PartialFits | None = None

    @property
    def outputs(self) -> int:
        return len(self.band)

    @property
    def noise_gain(self) -> Floats:
        """(outputs,) standard deviation of an output per that of white noise; NaN for nodata."""
        gain = np.sqrt(np.sum(self.weights**2, axis=1))
        return np.where(self.length > 0, gain, np.nan)

    def members(self, output: int) -> list[int]:
        """The bands of an output's window."""
        length = int(self.length[output])
        there = np.flatnonzero(~self.skips[output, :length])
        members: list[int] = (self.first[output] + there).tolist()
        return members

    @property
    def support(self) -> range:
        """The input bands that the outputs stand for or reach."""
        low = np.minimum(self.first, self.band).min(initial=self.inputs)
        high = np.maximum(self.first + self.length, self.band + 1).max(initial=0)
        return range(int(low), max(int(low), int(high)))

    def select(self, outputs: Sequence[int] | NDArray[Any]) -> SpectralOperator:
        """The operator of these output bands alone, in this order, on the same inputs."""
        rows = np.asarray(outputs, np.intp)
        length = self.length[rows]
        longest = length.max(initial=1)
        return replace(
            self,
            band=self.band[rows],
            first=self.first[rows],
            length=length,
            weights=self.weights[rows, :longest],
            skips=self.skips[rows, :longest],
            smooths=self.smooths[rows],
            bias=self.bias[rows],
            refit=None if self.refit is None else self.refit.select(rows),
        )

    def on_inputs(self, bands: range) -> SpectralOperator:
        """The same operator for cubes that hold `bands` alone, which must contain `support`."""
        support = self.support
        if bands.step != 1 or support.start < bands.start or support.stop > bands.stop:
            raise ValueError(f"bands {bands} do not hold the operator's support {support}")
        return replace(
            self,
            inputs=len(bands),
            band=self.band - bands.start,
            first=self.first - bands.start,
            refit=None if self.refit is None else self.refit.on_inputs(bands),
        )

    def residual(self) -> SpectralOperator:
        """What smoothing takes away: samples minus outputs; nodata for bands that it fills."""
        rows, own = np.arange(self.outputs), self.band - self.first
        weights, fills = -self.weights, self.skips[rows, own]
        weights[rows, own] += 1
        refit = self.refit
        if refit is not None:
            refit = replace(refit, windows=refit.windows.without(fills), residual=True)
        return replace(
            self,
            length=np.where(fills, 0, self.length),
            weights=weights,
            smooths=np.zeros_like(self.smooths),
            bias=-self.bias,
            refit=refit,
        )

    def squared(self) -> SpectralOperator:
        """What makes variances of outputs from variances of samples that are independent."""
        return replace(
            self,
            weights=self.weights**2,
            smooths=np.zeros_like(self.smooths),
            bias=np.zeros_like(self.bias),
            refit=None,
        )

    def rescaled(self, scale: ArrayLike, offset: ArrayLike = 0.0) -> SpectralOperator:
        """The operator on stored values, where physical = scale * stored + offset.

        Its output, read with the same scales and, for smoothing, the same offsets (0 for a
        derivative or a residual), is what this operator makes of physical values.

        Args:
            scale: (inputs,) or one number; not 0.
            offset: (inputs,) or one number.
        """
        scales = np.broadcast_to(np.asarray(scale, np.float64), self.inputs)
        offsets = np.broadcast_to(np.asarray(offset, np.float64), self.inputs)
        columns = self._columns()
        own_scale, own_offset = scales[self.band], offsets[self.band]
        # Offsets count from the output band's own: where all are equal, no bias remains, exactly.
        moved = np.sum(self.weights * (offsets[columns] - own_offset[:, None]), axis=1)
        kept = np.where(self.smooths, self.level - 1.0, self.level) * own_offset
        return replace(
            self,
            weights=self.weights * (scales[columns] / own_scale[:, None]),
            bias=np.where(self.length > 0, self.bias + moved + kept, 0.0) / own_scale,
            refit=None if self.refit is None else replace(self.refit, scale=scales, offset=offsets),
        )

    @property
    def level(self) -> Floats:
        """(outputs,) sums of the weights, what 1 becomes; exactly 0 or 1 where meant so."""
        sums = self.weights.sum(axis=1)
        whole = np.round(sums).clip(0.0, 1.0)
        close = np.abs(sums - whole) <= 1e-9 * np.abs(self.weights).sum(axis=1)
        level: Floats = np.where(close, whole, sums)
        return level

    def kernel(self, dtype: DTypeLike, nodata: float | None = None) -> BandedKernel:
        """What carries the operator out on blocks of stored samples of `dtype`."""
        from hsitool.maths.spectra.kernel import BandedKernel

        return BandedKernel([self], dtype, nodata)

    def apply(self, block: NDArray[Any], nodata: float | None = None) -> NDArray[Any]:
        """The output (outputs, rows, columns) of a block (bands, rows, columns), in its order.

        A CuPy array is worked on by its GPU and gives a CuPy array.
        """
        from hsitool.maths.spectra.spectral import spectral_kernel

        kernel = spectral_kernel([self], block.dtype, nodata, device_of(block))
        out = np.empty_like(block, kernel.output_dtype, shape=(self.outputs, *block.shape[1:]))
        kernel(block, [out])
        return out

    def _columns(self) -> Integers:
        """(outputs, longest window) the input band of each weight; any band beyond `length`."""
        columns = self.first[:, None] + np.arange(self.weights.shape[1])
        return columns.clip(0, self.inputs - 1)

    def uses(self) -> Flags:
        """(outputs, inputs) the bands of each window."""
        uses = np.zeros((self.outputs, self.inputs), bool)
        for output in range(self.outputs):
            uses[output, self.members(output)] = True
        return uses

    def dense(self) -> Floats:
        """(outputs, inputs) the same map as a full matrix, without the bias."""
        matrix = np.zeros((self.outputs, self.inputs))
        for i, (first, length) in enumerate(zip(self.first, self.length, strict=True)):
            matrix[i, first : first + length] = self.weights[i, :length]
        return matrix
