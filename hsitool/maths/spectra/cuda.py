"""Spectral operators carried out on a GPU: transfers and launches."""

from __future__ import annotations

import importlib.resources
import threading
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from hsitool.device import CPU, Gpu, device_of
from hsitool.maths.spectra.kernel import output_dtype, refuse_misfits
from hsitool.maths.spectra.launch import KERNELS, Program, Strides
from hsitool.maths.spectra.operator import SpectralOperator

Samples = NDArray[Any]

TYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8")


class CudaKernel:
    """`kernel(block, outs)` carries out operators on the same cube, all in one pass.

    Blocks and outputs are arrays of this machine or of the GPU (CuPy's). Those of this machine are
    sent there as they are stored and back; threads may call one kernel at the same time, and what
    one sends, computes and fetches overlaps with what the others do. Arrays of the GPU are worked
    on in the current stream, without waiting for the end.

    Args:
        operators: what to compute, one output block each.
        dtype: of the blocks.
        nodata: stored value that marks missing samples, beside NaN and infinities.
        device: the GPU.

    Raises:
        TypeError: samples of this type cannot be computed with.
        DeviceError: the kernels cannot be compiled there.
    """

    def __init__(
        self,
        operators: Sequence[SpectralOperator],
        dtype: DTypeLike,
        nodata: float | None,
        device: Gpu,
    ) -> None:
        self.dtype = np.dtype(dtype).newbyteorder("=")
        if self.dtype.str[1:] not in TYPES:
            raise TypeError(f"{self.dtype} samples cannot be computed with on a GPU")
        self.output_dtype = output_dtype(dtype)
        self.operators = tuple(operators)
        self.device = device
        self._program = Program(operators, self.dtype, nodata)
        self._compiled: dict[bool, Any] = {}
        self._compiling = threading.Lock()
        tables = self._program.tables()
        # In the current stream, not a lane: what it makes of arrays of the GPU may still be under
        # way when this kernel is gone, and only that stream then reuses the memory in due order.
        with device.here():
            self._tables = {name: device.upload(table) for name, table in tables.items()}
            self._kernels(not np.dtype(dtype).isnative)
            device.finish()

    def __call__(self, block: Samples, outs: Sequence[Samples]) -> None:
        """Fill `outs` (outputs, rows, columns), one an operator, from `block` (bands, ...).

        All may be views of any memory order; it is fastest where they share one. Outputs are NaN
        where a sample of their window is missing, unless the operator says how to do without.

        Raises:
            ValueError: shapes or types are not those of the kernel, or arrays live elsewhere.
            DeviceError: the GPU fails.
        """
        refuse_misfits(self.operators, self.dtype, block, outs)
        if block[0].size == 0 or not any(out.size for out in outs):
            return
        arrays: list[Any] = [block, *outs]
        places = {device_of(array) for array in arrays}
        if places == {CPU}:
            self._send(block, outs)
        elif places == {self.device}:
            with self.device.here():
                self._launch(block, [(array.data.ptr, _strides(array)) for array in arrays])
        else:
            names = " and ".join(sorted(place.name for place in places))
            raise ValueError(f"arrays live on {names}, the kernel on {self.device.name}")

    def _send(self, block: Samples, outs: Sequence[Samples]) -> None:
        """The same for arrays of this machine."""
        device = self.device
        source = _compact(block, copied=True)
        targets = [_compact(out, copied=False) for out in outs]
        with device.lane():
            memory = device.upload(source)
            results = [device.memory(target.nbytes) for target in targets]
            there = zip((memory, *results), (source, *targets), strict=True)
            self._launch(block, [(place.ptr, _strides(array)) for place, array in there])
            for result, target in zip(results, targets, strict=True):
                device.download(result, target)
        for target, out in zip(targets, outs, strict=True):
            if not np.may_share_memory(target, out):
                np.copyto(out, target)

    def _launch(self, block: Samples, arrays: Sequence[tuple[int, Strides]]) -> None:
        """Launch all in the current stream; the arrays live on the GPU."""
        rows, columns = block.shape[1:]
        device, kernels = self.device, self._kernels(not block.dtype.isnative)
        gaps = device.zeros(4 * rows * columns) if self._program.refits else None
        for launch in self._program.launches(
            {name: table.ptr for name, table in self._tables.items()},
            0 if gaps is None else gaps.ptr,
            (rows, columns),
            arrays,
            device.processors,
        ):
            kernels[launch.kernel](launch.grid, launch.threads, launch.call)

    def _kernels(self, swapped: bool) -> dict[str, Any]:
        """The kernels for samples in this machine's byte order, or the other one."""
        with self._compiling:
            if swapped not in self._compiled:
                macros = self._program.macros(swapped)
                self._compiled[swapped] = self.device.compile(source(), macros, KERNELS)
            kernels: dict[str, Any] = self._compiled[swapped]
        return kernels


@cache
def source() -> str:
    """The text of `spectral.cu`."""
    folder = importlib.resources.files("hsitool.maths.spectra")
    return folder.joinpath("spectral.cu").read_text("utf-8")


def _strides(array: Samples) -> Strides:
    band, row, column = (stride // array.itemsize for stride in array.strides)
    return band, row, column


def _compact(array: Samples, *, copied: bool) -> Samples:
    """The array, if its samples fill a stretch of memory; else one in the same order that does.

    It has the same content only if `copied`.
    """
    order = np.argsort([-abs(stride) for stride in array.strides], kind="stable")
    moved = array.transpose(order)
    if not moved.flags.c_contiguous:
        moved = np.ascontiguousarray(moved) if copied else np.empty(moved.shape, moved.dtype)
    return moved.transpose(np.argsort(order))
