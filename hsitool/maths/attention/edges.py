"""Edges of an image with holes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hsitool.device import array_module

Floats = NDArray[np.float64]

ROWS = 256  # worked on at a time


def edge_strength(image: Floats) -> None:
    """Put the length of Sobel's gradient in the place of an image (rows, columns) of float64.

    It may be an array of CuPy.

    Beyond the border the image is continued by its last pixels. NaN stays; a pixel beside NaN
    becomes -inf, as its gradient is not known and a hole has no edge of its own.
    """
    rows, xp = len(image), array_module(image)
    above = image[:1].copy()
    for start in range(0, rows, ROWS):
        stop = min(start + ROWS, rows)
        below = image[stop : stop + 1] if stop < rows else image[rows - 1 :]
        part = xp.concatenate([above, image[start:stop], below])
        above = image[stop - 1 : stop].copy()
        image[start:stop] = _gradient(xp.pad(part, ((0, 0), (1, 1)), mode="edge"))


def _gradient(padded: Floats) -> Floats:
    """Of an image with a frame of one pixel, without the frame."""
    across = padded[:, 2:] - padded[:, :-2]
    down = padded[2:] - padded[:-2]
    x = across[:-2] + 2 * across[1:-1] + across[2:]
    y = down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]
    xp = array_module(padded)
    found = xp.hypot(x, y)
    own = padded[1:-1, 1:-1]
    strength: Floats = xp.where(xp.isnan(own), np.nan, xp.where(xp.isnan(found), -np.inf, found))
    return strength
