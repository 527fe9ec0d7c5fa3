"""A GeoTIFF copied block by block through rasterio: what packing alone takes.

    python tests/benchmarks/copy_blocks.py FROM TO THREADS KEY=VALUE...

The copy has the layout, type and compression of the original; KEY=VALUE are further creation
options, such as the level of the compression, which a file does not tell.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator

os.environ.setdefault("GDAL_CACHEMAX", "64")  # MB: a copy in block order reads no block twice

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

WINDOW_BYTES = 32e6


def copy(source: str, target: str, threads: int, options: dict[str, str]) -> None:
    """Copy by windows of whole blocks, unpacked and packed by `threads` threads."""
    with rasterio.open(source, NUM_THREADS=threads) as cube:
        predictor = cube.tags(ns="IMAGE_STRUCTURE").get("PREDICTOR", "1")
        profile = cube.profile | {"PREDICTOR": predictor, "BIGTIFF": "IF_SAFER"}
        profile |= options | {"NUM_THREADS": threads}
        with rasterio.open(target, "w", **profile) as made:
            for window in windows(cube):
                made.write(cube.read(window=window), window=window)


def windows(cube: rasterio.DatasetReader) -> Iterator[Window]:
    """Windows of whole blocks and all bands, of about `WINDOW_BYTES` each."""
    height, columns = cube.block_shapes[0]
    pixel_bytes = cube.count * np.dtype(cube.dtypes[0]).itemsize
    rows = height * max(1, int(WINDOW_BYTES / (height * columns * pixel_bytes)))
    whole = Window(0, 0, cube.width, cube.height)
    for row in range(0, cube.height, rows):
        for column in range(0, cube.width, columns):
            yield Window(column, row, columns, rows).intersection(whole)


if __name__ == "__main__":
    warnings.simplefilter("ignore", NotGeoreferencedWarning)
    pairs = (text.partition("=") for text in sys.argv[4:])
    copy(sys.argv[1], sys.argv[2], int(sys.argv[3]), {key: value for key, _, value in pairs})
