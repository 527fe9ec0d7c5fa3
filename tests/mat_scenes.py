"""Real scenes that come as MATLAB files, written as GeoTIFFs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cubes
import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

Array = NDArray[Any]


@dataclass(frozen=True)
class Marked:
    """A cube and the pixels (rows, columns) that its makers marked; `mask` is these as a raster."""

    path: Path
    mask: Path
    array: Array
    marked: NDArray[np.bool_]


def abu(folder: Path, tmp_path: Path, name: str) -> Marked:
    """A scene of the Airport-Beach-Urban benchmark."""
    found = loadmat(folder / "abu" / f"{name}.mat")
    array = found["data"].transpose(2, 0, 1)
    marked = found["map"] > 0
    path, mask = tmp_path / f"{name}.tif", tmp_path / f"{name}_map.tif"
    cubes.write_geotiff(path, array)
    cubes.write_geotiff(mask, marked[None].astype(np.uint8))
    return Marked(path, mask, array, marked)


JASPER_MATERIALS = ("tree", "water", "dirt", "road")


def jasper(folder: Path) -> tuple[Array, Array, Array]:
    """Jasper Ridge (bands, rows, columns), shares (4, rows, columns), spectra (bands, 4)."""
    found = loadmat(folder / "jasper_ridge" / "jasperRidge2_R198.mat")
    array = found["Y"].reshape(-1, 100, 100).transpose(0, 2, 1)
    shares = found["A"].reshape(4, 100, 100).transpose(0, 2, 1)
    return array, shares, found["M"] * 5437.0
