"""Where spectral operators are carried out: the only place that chooses between CPU and GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from hsitool.device import CPU, Device, Gpu
from hsitool.maths.spectra.kernel import BandedKernel
from hsitool.maths.spectra.operator import SpectralOperator

Samples = NDArray[Any]


class SpectralKernel(Protocol):
    """Carries operators out on blocks of pixels; threads may call it at the same time."""

    dtype: np.dtype[Any]
    output_dtype: np.dtype[Any]
    operators: tuple[SpectralOperator, ...]

    def __call__(self, block: Samples, outs: Sequence[Samples]) -> None:
        """Fill `outs` (outputs, rows, columns), one an operator, from `block` (bands, ...)."""


def spectral_kernel(
    operators: Sequence[SpectralOperator],
    dtype: DTypeLike,
    nodata: float | None = None,
    device: Device = CPU,
) -> SpectralKernel:
    """What carries operators out on blocks of `dtype`, all in one pass, on a device.

    Args:
        operators: what to compute, one output block each.
        dtype: of the blocks.
        nodata: stored value that marks missing samples, beside NaN and infinities.
        device: where to compute; a GPU takes blocks of this machine and CuPy arrays.

    Raises:
        TypeError: samples of this type cannot be computed with.
        DeviceError: the device fails.
    """
    if isinstance(device, Gpu):
        from hsitool.maths.spectra.cuda import CudaKernel

        return CudaKernel(operators, dtype, nodata, device)
    return BandedKernel(operators, dtype, nodata)
