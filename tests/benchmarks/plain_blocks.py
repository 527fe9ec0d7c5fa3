"""What many scenes cost without a start-up for each: the same reads, products and writes at once.

    python tests/benchmarks/plain_blocks.py FOLDER BANDS COLUMNS WINDOW DEGREE THREADS FILE...

Raw float32 scenes in BIL order without headers; wavelengths are those of `cubes.wavelengths`. The
operator is solved here by least squares, once. It is the yardstick of `many_scenes.py`.
"""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import rasterio  # noqa: F401  (both processes load the same libraries)
import scipy.linalg  # noqa: F401
from cubes import wavelengths
from numpy.typing import NDArray

AT_ONCE = 16
"""Bands of one product: its matrix has few zeros then."""


def weights(centres: NDArray[np.float64], window: int, degree: int) -> NDArray[np.float32]:
    """(bands, bands) what smooths: the fitted polynomial of each window, at its centre or ends."""
    bands = len(centres)
    table = np.zeros((bands, bands))
    for band in range(bands):
        first = min(max(band - window // 2, 0), bands - window)
        at = centres[first : first + window] - centres[band]
        powers = np.vander(at / np.ptp(at), degree + 1, increasing=True)
        table[band, first : first + window] = np.linalg.pinv(powers)[0]
    return table.astype(np.float32)


def main(words: list[str]) -> None:
    """Smooth all files into the folder."""
    folder, numbers, files = Path(words[0]), list(map(int, words[1:6])), words[6:]
    bands, columns, window, degree, threads = numbers
    table = weights(np.array(wavelengths(bands)), window, degree)
    groups = []
    for start in range(0, bands, AT_ONCE):
        used = np.flatnonzero(table[start : start + AT_ONCE].any(axis=0))
        inside = slice(int(used[0]), int(used[-1]) + 1)
        part = slice(start, min(start + AT_ONCE, bands))
        groups.append((part, inside, np.ascontiguousarray(table[part, inside])))
    memory = threading.local()

    def smooth(name: str) -> None:
        size = Path(name).stat().st_size
        if getattr(memory, "size", 0) != size:
            shape = size // (4 * bands * columns), bands, columns
            memory.size = size
            memory.read, memory.made = np.empty(shape, "f4"), np.empty(shape, "f4")
        with Path(name).open("rb", buffering=0) as file:
            file.readinto(memory.read)
        for part, inside, matrix in groups:
            np.matmul(matrix, memory.read[:, inside], out=memory.made[:, part])
        with (folder / Path(name).name).open("wb", buffering=0) as file:
            file.write(memory.made)

    with ThreadPoolExecutor(threads) as executor:
        list(executor.map(smooth, files))


if __name__ == "__main__":
    main(sys.argv[1:])
