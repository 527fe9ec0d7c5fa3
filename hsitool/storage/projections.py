"""Projections to queries, keys and values, of a network that a user trained, in an .npz file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsitool.errors import DataError
from hsitool.storage.npz import read_arrays

Floats = NDArray[np.float64]

NAMES = ("W_Q", "W_K", "W_V")
MOST_BYTES = 2**28
WHAT = "a file of W_Q, W_K and W_V"


@dataclass(frozen=True, eq=False)
class Projections:
    """Matrices from spectra: `query` and `key` (bands, d), `value` (bands, v) or None."""

    query: Floats
    key: Floats
    value: Floats | None


def read_projections(path: Path, bands: int) -> Projections:
    """The projections in a file, for spectra of so many bands.

    Raises:
        DataError: it cannot be read, lacks one, or they are of another shape.
    """
    found = read_arrays(path, NAMES, "fiu", MOST_BYTES, WHAT)
    if lacking := [name for name in NAMES[:2] if name not in found]:
        raise DataError(f"{path}: not {WHAT}: holds no {lacking[0]}")
    for name, array in found.items():
        if array.ndim != 2 or 0 in array.shape:
            raise DataError(f"{path}: {name} has the shape {array.shape}: give (bands, d)")
        if len(array) != bands:
            raise DataError(
                f"{path}: {name} is for {len(array)} bands, and {bands} are in use: choose those "
                "that it was made for with --bands"
            )
        if not np.isfinite(array).all():
            raise DataError(f"{path}: {name} holds NaN or infinities")
    query, key = found["W_Q"], found["W_K"]
    if query.shape != key.shape:
        raise DataError(
            f"{path}: W_Q gives {query.shape[1]} features and W_K {key.shape[1]}: their products "
            "need as many"
        )
    value = found.get("W_V")
    return Projections(
        query.astype(np.float64),
        key.astype(np.float64),
        None if value is None else value.astype(np.float64),
    )
