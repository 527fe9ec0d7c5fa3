"""Blocks in any memory order, and operators carried out on them the slow way."""

from __future__ import annotations

from typing import Any

import numpy as np

from hsitool.maths.spectra.operator import SpectralOperator

Cube = np.ndarray[Any, Any]

ORDERS = ["bsq", "bil", "bip", "bsq cropped", "bil cropped", "bip cropped", "flipped", "sparse"]


def arranged(cube: Cube, order: str) -> Cube:
    """The cube in another memory order; cropped ones are views into a larger array."""
    bands, rows, columns = cube.shape
    pad = 3 if "cropped" in order else 0
    if order in ("flipped", "sparse"):
        step = -1 if order == "flipped" else 2
        memory = np.empty((bands, 2 * rows, 2 * columns), cube.dtype)
        view = memory[:, ::step, ::step][:, :rows, :columns]
    elif "bil" in order:
        memory = np.empty((rows, bands + pad, columns + pad), cube.dtype)
        view = memory[:, :bands, :columns].transpose(1, 0, 2)
    elif "bip" in order:
        memory = np.empty((rows, columns + pad, bands + pad), cube.dtype)
        view = memory[:, :columns, :bands].transpose(2, 0, 1)
    else:
        memory = np.empty((bands, rows + pad, columns + pad), cube.dtype)
        view = memory[:, :rows, :columns]
    view[...] = cube
    return view


def by_loop(operator: SpectralOperator, cube: Cube, missing: Cube) -> Cube:
    """What the operator promises, one output at a time in float64."""
    out = np.full((operator.outputs, *cube.shape[1:]), np.nan)
    for i in np.flatnonzero(operator.length):
        inside = slice(operator.first[i], operator.first[i] + operator.length[i])
        samples = np.where(missing[inside], 0, cube[inside].astype(np.float64))
        weights = operator.weights[i, : operator.length[i]]
        out[i] = np.tensordot(weights, samples, 1) + operator.bias[i]
        out[i][missing[inside].any(axis=0)] = np.nan
    return out
