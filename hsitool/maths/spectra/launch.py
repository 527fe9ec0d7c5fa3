"""What is launched on a GPU: macros, tables, geometry and arguments for `spectral.cu`.

All of it is NumPy and needs no GPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsitool.maths.spectra.kernel import output_dtype, work_dtype
from hsitool.maths.spectra.missing import MissingRule
from hsitool.maths.spectra.operator import SpectralOperator
from hsitool.maths.spectra.steps import Records, make_fits, make_steps

Strides = tuple[int, int, int]
"""Samples from one band, row and column to the next."""

TYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8")
KERNELS = ("sweep", "sweep_apart", "strip", "refit")
SWEEP_THREADS = 128
REFIT_THREADS = 128
MOST_STRIP_THREADS = 256
STRIP_BLOCKS = 8  # for each processor; they go on from pixels to pixels
GROUP = 8  # pixels of a tile, where as many fit
TILE_BYTES = 40 * 1024
FEWEST_BANDS = 32  # below, neighbouring threads take neighbouring pixels in any memory order
LONGEST_WINDOW = 31  # differences, and coefficients of all operators, that fit the registers
WEIGHTS_BYTES = 384
TWO_PIXELS_BYTES = 192
MOST_OPERATORS = 30  # bits of a step's flags

LAYOUT = np.dtype([(name, np.int64) for name in ("band", "row", "column")])


def call_dtype(operators: int, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The structure `Call` of `spectral.cu`."""
    pointers = "steps bands weights chunks gaps counted fits fitted positions scales offsets"
    fields: list[Any] = [
        ("block", np.uint64),
        ("outs", np.uint64, (operators,)),
        ("from", LAYOUT),
        ("to", LAYOUT, (operators,)),
        *((name, np.uint64) for name in pointers.split()),
        ("rows", np.int64),
        ("columns", np.int64),
        ("parts", np.uint32),
        *((name, np.int32) for name in ("counted_bands", "inputs", "windows", "along_pixels")),
        ("nodata", dtype),
    ]
    return np.dtype(fields, align=True)


@dataclass(frozen=True, eq=False)
class Launch:
    """A kernel, its blocks of threads, the threads of each, and its argument."""

    kernel: str
    grid: tuple[int, int]
    threads: int
    call: Records


class Program:
    """What is launched to carry out operators on samples of one type.

    Args:
        operators: what to compute, one output each.
        dtype: of the blocks.
        nodata: stored value that marks missing samples.
    """

    def __init__(
        self, operators: Sequence[SpectralOperator], dtype: np.dtype[Any], nodata: float | None
    ) -> None:
        self.operators, self.inputs = len(operators), operators[0].inputs
        self.dtype, self.work = dtype, work_dtype(operators, dtype)
        self.rule = MissingRule(dtype, nodata)
        if self.operators > MOST_OPERATORS:
            raise ValueError(f"{self.operators} operators at once: give up to {MOST_OPERATORS}")
        tap = self.operators * self.work.itemsize  # bytes of coefficients of one sample
        self.steps = make_steps(operators, min(LONGEST_WINDOW, 1 + WEIGHTS_BYTES // tap))
        self.fits = make_fits(operators)
        count = max(1, len(self.steps.table))
        strip = -(-count // -(-count // MOST_STRIP_THREADS))
        self.chunks = {
            "sweep": self.steps.chunks(count),
            "strip": self.steps.chunks(strip),
        }
        self.strip_threads = -(-strip // 32) * 32
        reach = self.chunks["strip"]["high"] - self.chunks["strip"]["low"]
        self.span = int(reach.max(initial=1))
        self.group = min(GROUP, TILE_BYTES // (self.span * self.work.itemsize))
        self.pixels = 2 if self.steps.window * tap <= TWO_PIXELS_BYTES else 1  # in `sweep`

    @property
    def refits(self) -> bool:
        """Whether windows that miss samples are fitted anew."""
        return len(self.fits.table) > 0

    def macros(self, swapped: bool) -> list[str]:
        """What `spectral.cu` is compiled with; `swapped` for samples in the other byte order."""
        values = {
            "SAMPLE": self.dtype.str[1:],
            "WORK": self.work.str[1:],
            "RESULT": output_dtype(self.dtype).str[1:],
            "SWAPPED": int(swapped),
            "FLOATING": int(self.rule.floating),
            "HAS_NODATA": int(self.rule.nodata is not None),
            "OPERATORS": self.operators,
            "WINDOW": self.steps.window,
            "PIXELS": self.pixels,
            "SWEEP_THREADS": SWEEP_THREADS,
            "GROUP": max(1, self.group),
            "SPAN": self.span if self.group else 1,
            "STRIP_THREADS": self.strip_threads,
            "LONGEST": int(self.fits.table["count"].max(initial=1)),
            "DERIVATIVES": int(self.fits.table["deriv"].max(initial=0)) + 1,
            "REFIT_THREADS": REFIT_THREADS,
        }
        return [f"{name}={value}" for name, value in values.items()]

    def tables(self) -> dict[str, NDArray[Any]]:
        """What the pointers of a call point to."""
        return {
            "steps": self.steps.table,
            "bands": self.steps.bands,
            "weights": self.steps.weights.astype(self.work),
            **self.chunks,
            "counted": self.fits.counted.view(np.uint8),
            "fits": self.fits.table,
            "fitted": self.fits.bands,
            "positions": self.fits.positions,
            "scales": self.fits.scales,
            "offsets": self.fits.offsets,
        }

    def launches(
        self,
        tables: Mapping[str, int],
        gaps: int,
        shape: tuple[int, int],
        arrays: Sequence[tuple[int, Strides]],
        processors: int,
    ) -> Iterator[Launch]:
        """The launches that fill the outputs, one after the other.

        Args:
            tables: addresses of `tables`.
            gaps: address of a 32-bit 0 for every pixel; not used unless `refits`.
            shape: rows and columns.
            arrays: address and strides of the block and of each output.
            processors: of the GPU.
        """
        (rows, columns), strides = folded(shape, [strides for _, strides in arrays])
        kernel = self._kernel(strides)
        strip = kernel == "strip"
        parts = -(-columns // (self.group if strip else SWEEP_THREADS * self.pixels))
        layouts = np.array(strides, LAYOUT)
        call = self._call(tables, "strip" if strip else "sweep")
        call["block"], call["outs"] = arrays[0][0], [address for address, _ in arrays[1:]]
        call["from"], call["to"] = layouts[0], layouts[1:]
        call["rows"], call["columns"], call["parts"] = rows, columns, parts
        call["gaps"] = gaps if self.refits else 0
        if strip:
            grid = min(rows * parts, processors * STRIP_BLOCKS), len(self.chunks["strip"])
            yield Launch(kernel, grid, self.strip_threads, call)
        else:
            yield Launch(kernel, (rows * parts, 1), SWEEP_THREADS, call)
        if self.refits:
            yield Launch("refit", (-(-rows * columns // REFIT_THREADS), 1), REFIT_THREADS, call)

    def _call(self, tables: Mapping[str, int], way: str) -> Records:
        """What is the same for all blocks, by one of the two ways to walk through them."""
        call = np.zeros(1, call_dtype(self.operators, self.dtype))
        for name in tables.keys() - self.chunks.keys():
            call[name] = tables[name]
        call["chunks"] = tables[way]
        call["counted_bands"] = np.count_nonzero(self.fits.counted)
        call["inputs"], call["windows"] = self.inputs, len(self.fits.table)
        call["along_pixels"] = way == "sweep"
        call["nodata"] = 0 if self.rule.nodata is None else self.rule.nodata
        return call

    def _kernel(self, strides: Sequence[Strides]) -> str:
        """The kernel whose neighbouring threads find neighbouring samples."""
        if strides[0][0] == 1 and self.inputs >= FEWEST_BANDS and self.group > 0:
            return "strip"
        return "sweep" if all(column == 1 for _, _, column in strides) else "sweep_apart"


def folded(
    shape: tuple[int, int], strides: Sequence[Strides]
) -> tuple[tuple[int, int], list[Strides]]:
    """The same pixels as one row, where rows follow one another in all arrays."""
    rows, columns = shape
    if columns == 1:
        return (1, rows), [(band, 0, row) for band, row, _ in strides]
    if rows == 1 or all(row == columns * column for _, row, column in strides):
        return (1, rows * columns), [(band, 0, column) for band, _, column in strides]
    return shape, list(strides)
