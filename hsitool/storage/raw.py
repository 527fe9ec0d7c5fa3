"""Uncompressed pixels by positioned reads and writes.

A `RawLayout` says where every sample of a file lies: ENVI files are one block, TIFF files a grid
of strips or tiles. A request becomes a short list of runs (file offset, buffer offset, length).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hsitool.cube import Tile

Interleave = Literal["band", "line", "pixel"]
Bytes = NDArray[np.uint8]
Block = NDArray[Any]
Index = NDArray[np.int64]

AXES = {"band": (0, 1, 2), "line": (1, 0, 2), "pixel": (1, 2, 0)}
"""How (band, row, column) is turned to reach each order."""

MAX_VECTORS = 1024
"""Most buffers that one preadv/pwritev takes (IOV_MAX on Linux)."""


@dataclass(frozen=True)
class Runs:
    """Stretches that are contiguous in the file and in the buffer, in file order (bytes)."""

    file: NDArray[np.int64]
    buffer: NDArray[np.int64]
    length: NDArray[np.int64]


@dataclass(frozen=True)
class RawLayout:
    """Where samples lie: blocks of `block_rows` x `block_columns` pixels at `offsets`.

    `offsets` has the shape (bands, block rows, block columns) for band-interleaved files, else
    (1, block rows, block columns). Blocks at the right and lower border are stored in full width.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    interleave: Interleave
    block_rows: int
    block_columns: int
    offsets: NDArray[np.int64]

    @property
    def used(self) -> Index:
        """Bytes of each block that hold rows of the cube, shaped like `offsets`."""
        bands, rows, _ = self.shape
        first_row = np.arange(self.offsets.shape[1]) * self.block_rows
        height = np.minimum(self.block_rows, rows - first_row)[None, :, None]
        depth = 1 if self.interleave == "band" else bands
        size = height * self.block_columns * depth * self.dtype.itemsize
        return np.broadcast_to(size, self.offsets.shape)

    @property
    def end(self) -> int:
        """The file size that the pixels need at least (TIFF tiles may be padded beyond it)."""
        return int((self.offsets + self.used).max())

    def runs(self, tile: Tile, bands: Sequence[int]) -> Runs:
        """The runs of a tile, for a contiguous buffer in the file's own order.

        Pixel-interleaved files are read with all their bands, whatever `bands` says.
        """
        if self._in_one_piece(tile, bands):
            start, size = self.offsets.ravel()[:1], self.used.sum().reshape(1)
            return Runs(start, np.zeros_like(start), size)
        file, buffer, length = self._run_arrays(tile, np.asarray(bands, np.int64))
        order = np.argsort(file, kind="stable")
        return _merged(Runs(file[order], buffer[order], length[order]))

    def _in_one_piece(self, tile: Tile, bands: Sequence[int]) -> bool:
        """Whether a tile is all of the cube, which lies in the file as it does in a buffer."""
        count, rows, columns = self.shape
        whole = tile == Tile(0, 0, rows, columns) and self.block_columns == columns
        if not whole or list(bands) != list(range(count)):
            return False
        starts, sizes = self.offsets.ravel(), self.used.ravel()
        return bool((starts[1:] == starts[:-1] + sizes[:-1]).all())

    def _pieces(self, tile: Tile) -> tuple[Index, Index]:
        """First rows and heights of the stretches of rows that lie in one piece in the file."""
        last = tile.row + tile.height
        whole_width = tile.column % self.block_columns == 0 and tile.width == self.block_columns
        if not whole_width or self.interleave == "line":
            rows = np.arange(tile.row, last)
            return rows, np.ones_like(rows)
        borders = np.arange(tile.row // self.block_rows + 1, -(-last // self.block_rows))
        rows = np.concatenate(([tile.row], borders * self.block_rows))
        return rows, np.diff(np.append(rows, last))

    def _run_arrays(self, tile: Tile, bands: Index) -> tuple[Index, Index, Index]:
        """File offset, buffer offset and length for each piece of rows, band and block column."""
        if self.interleave == "pixel":
            planes, depth = np.zeros(1, np.int64), self.shape[0]
        else:
            planes, depth = bands, 1
        pieces, heights = self._pieces(tile)
        row, height = pieces[:, None, None], heights[:, None, None]
        plane, slot = planes[None, :, None], np.arange(planes.size)[None, :, None]
        first, last = tile.column, tile.column + tile.width
        block = np.arange(first // self.block_columns, -(-last // self.block_columns))
        left = np.maximum(block * self.block_columns, first)
        right = np.minimum((block + 1) * self.block_columns, last)

        start = self.offsets[
            plane if self.interleave == "band" else 0, row // self.block_rows, block
        ]
        per_band, per_row, per_column = self._strides(self.block_rows, self.block_columns)
        if self.interleave == "band":
            per_band = 0  # every band has blocks of its own
        file = start + plane * per_band + (row % self.block_rows) * per_row
        file = file + (left - block * self.block_columns) * per_column
        per_band, per_row, per_column = self._strides(tile.height, tile.width, bands.size)
        buffer = slot * per_band + (row - tile.row) * per_row + (left - first) * per_column
        length = (right - left) * height * depth * self.dtype.itemsize
        runs = np.broadcast_arrays(file, buffer, length)
        return runs[0].ravel(), runs[1].ravel(), runs[2].ravel()

    def _strides(self, rows: int, columns: int, bands: int | None = None) -> tuple[int, int, int]:
        """Bytes from band to band, row to row and column to column of a contiguous array."""
        item = self.dtype.itemsize
        bands = self.shape[0] if bands is None else bands
        if self.interleave == "pixel":
            return item, columns * self.shape[0] * item, self.shape[0] * item
        if self.interleave == "line":
            return columns * item, bands * columns * item, item
        return rows * columns * item, columns * item, item


def contiguous(
    shape: tuple[int, int, int],
    dtype: np.dtype[Any],
    interleave: Interleave,
    start: int = 0,
) -> RawLayout:
    """The layout of one headerless array that begins at byte `start` (as in ENVI files)."""
    bands, rows, columns = shape
    planes = bands if interleave == "band" else 1
    offsets = start + np.arange(planes, dtype=np.int64) * (rows * columns * dtype.itemsize)
    return RawLayout(shape, dtype, interleave, rows, columns, offsets.reshape(planes, 1, 1))


def _merged(runs: Runs) -> Runs:
    """Runs that follow each other in the file and in the buffer become one."""
    joined = (runs.file[1:] == runs.file[:-1] + runs.length[:-1]) & (
        runs.buffer[1:] == runs.buffer[:-1] + runs.length[:-1]
    )
    first = np.flatnonzero(np.concatenate(([True], ~joined)))
    return Runs(runs.file[first], runs.buffer[first], np.add.reduceat(runs.length, first))


def read_runs(fd: int, runs: Runs, buffer: Bytes) -> int:
    """Fill `buffer`; returns the bytes that the file lacked (0 when all were there)."""
    return _transfer(os.preadv, fd, runs, buffer)


def write_runs(fd: int, runs: Runs, buffer: Bytes) -> None:
    """Write `buffer` to the file."""
    _transfer(os.pwritev, fd, runs, buffer)


def _transfer(
    call: Callable[[int, Sequence[memoryview], int], int], fd: int, runs: Runs, buffer: Bytes
) -> int:
    """Move all runs, those that follow each other in the file by one system call."""
    memory = buffer.data
    views = [
        memory[start : start + length]
        for start, length in zip(runs.buffer.tolist(), runs.length.tolist(), strict=True)
    ]
    gaps = np.flatnonzero(runs.file[1:] != runs.file[:-1] + runs.length[:-1]) + 1
    bounds = [0, *gaps.tolist(), len(views)]
    missing = 0
    for begin, end in pairwise(bounds):
        missing += _move_all(call, fd, views[begin:end], int(runs.file[begin]))
    return missing


def _move_all(
    call: Callable[[int, Sequence[memoryview], int], int],
    fd: int,
    views: list[memoryview],
    offset: int,
) -> int:
    """One contiguous stretch of the file; a call may move less than asked. Returns what is left."""
    done = 0
    while done < len(views):
        moved = call(fd, views[done : done + MAX_VECTORS], offset)
        if moved == 0:
            return sum(view.nbytes for view in views[done:])
        offset += moved
        while done < len(views) and moved >= views[done].nbytes:
            moved -= views[done].nbytes
            done += 1
        if moved:
            views[done] = views[done][moved:]
    return 0


def byte_order(dtype: np.dtype[Any]) -> Literal["little", "big"]:
    """The order of the bytes of a sample, in the words of `Layout`."""
    return "big" if dtype.str[0] == ">" else "little"


def as_bytes(block: Block, interleave: Interleave) -> Bytes:
    """The samples of a block in an order, as bytes; no copy where they lie so."""
    samples: Bytes = np.ascontiguousarray(block.transpose(AXES[interleave]))
    return samples.reshape(-1).view(np.uint8)


def as_block(
    buffer: Bytes, interleave: Interleave, shape: tuple[int, int, int], dtype: np.dtype[Any]
) -> Block:
    """A contiguous byte buffer seen as (band, row, column)."""
    bands, rows, columns = shape
    samples = buffer[: bands * rows * columns * dtype.itemsize].view(dtype)
    if interleave == "pixel":
        return samples.reshape(rows, columns, bands).transpose(2, 0, 1)
    if interleave == "line":
        return samples.reshape(rows, bands, columns).transpose(1, 0, 2)
    return samples.reshape(bands, rows, columns)
