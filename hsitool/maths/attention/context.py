"""What attention sees: the weighted mean of spectra, their spread, and how sure the mean is.

The standard error is that of a delete-one-block jackknife (Kunsch 1989): neighbours are alike, so
that sd / sqrt(ESS), which takes pixels as independent, is too small.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsitool.device import device_of, on_cpu

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]

BLOCKS = 12
"""Blocks of the jackknife along the longer side of a scene, at most."""


@dataclass(frozen=True)
class Blocks:
    """Squares of `side` pixels that cover a scene of (rows, columns)."""

    rows: int
    columns: int

    @property
    def side(self) -> int:
        """In pixels."""
        return max(1, -(-max(self.rows, self.columns) // BLOCKS))

    @property
    def across(self) -> int:
        """Blocks in a row of them."""
        return -(-self.columns // self.side)

    @property
    def count(self) -> int:
        """All of them."""
        return self.across * -(-self.rows // self.side)

    def of(self, row: Integers, column: Integers) -> Integers:
        """The block of each pixel."""
        return row // self.side * self.across + column // self.side


@dataclass(frozen=True, eq=False)
class Gathered:
    """Weighted sums of spectra about a fixed one; those of several tiles add up.

    Attributes:
        weight: (blocks,) of the pixels in each block.
        first: (blocks, bands) weighted sums of the differences.
        second: (bands,) of their squares.
    """

    weight: Floats
    first: Floats
    second: Floats

    def __add__(self, other: Gathered) -> Gathered:
        return Gathered(
            self.weight + other.weight, self.first + other.first, self.second + other.second
        )


def nothing(blocks: int, bands: int) -> Gathered:
    """The sums of no pixel."""
    return Gathered(np.zeros(blocks), np.zeros((blocks, bands)), np.zeros(bands))


def gather(spectra: Floats, weights: Floats, block: Integers, blocks: int) -> Gathered:
    """The sums of some pixels.

    `spectra` (pixels, bands) are differences from the fixed spectrum, `weights` and `block`
    (pixels,); of `blocks` there are so many in the scene. The spectra may be on any device; all
    else is on the CPU.
    """
    put = device_of(spectra).put
    found = nothing(blocks, spectra.shape[1])
    order = np.argsort(block, kind="stable")
    starts = np.flatnonzero(np.diff(block[order], prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(order)], strict=True):
        own = order[start:stop]
        number = block[own[0]]
        found.weight[number] = weights[own].sum()
        found.first[number] = on_cpu(put(weights[own]) @ spectra[put(own)])
    found.second[:] = on_cpu(put(weights) @ spectra**2)
    return found


@dataclass(frozen=True, eq=False)
class Context:
    """(bands,) the attended spectrum.

    Attributes:
        mean: weighted mean.
        sd: weighted standard deviation.
        error: jackknife standard error of the mean; NaN where all weight lies in one block.
        blocks: how many hold any weight.
    """

    mean: Floats
    sd: Floats
    error: Floats
    blocks: int


def context(gathered: Gathered, fixed: Floats) -> Context:
    """Mean, spread and error from the sums about the spectrum `fixed`.

    With W_k the share of block k and c_k its own mean, leaving it out moves the mean c by
    W_k / (1 - W_k) (c - c_k); the variance is (K - 1) / K times the sum of these squares.
    """
    total = gathered.weight.sum()
    apart = gathered.first.sum(axis=0) / total
    sd = np.sqrt(np.maximum(gathered.second / total - apart**2, 0.0))
    there = gathered.weight > 0
    blocks = int(there.sum())
    error = np.full(len(fixed), np.nan)
    if blocks > 1:
        share = gathered.weight[there, None] / total
        moved = (share * apart - gathered.first[there] / total) / (1 - share)
        error = np.sqrt((blocks - 1) / blocks * np.sum(moved**2, axis=0))
    return Context(fixed + apart, sd, error, blocks)
