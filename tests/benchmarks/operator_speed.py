"""Speed of spectral operators, as ratios to copying the block with a thread a core.

    python tests/benchmarks/operator_speed.py [--mb 256] [--repeats 7]

Each figure is a median over interleaved rounds, all from one run of this script. The block is cut
into tiles of rows, as the engine does, and the tiles are shared by a thread a core.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: the threads are ours

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from hsitool.maths.spectra.savgol import savgol_operator

BANDS = 224
COLUMNS = 1000
TILE_ROWS = 16
ORDERS: dict[str, tuple[int, int, int]] = {
    "bsq": (0, 1, 2),
    "bil": (1, 0, 2),
    "bip": (1, 2, 0),
}


@dataclass(frozen=True)
class Case:
    """One line of the table: an operator on a block of one order and type."""

    order: str
    even: bool
    window: int
    degree: int
    deriv: int
    dtype: str = "f4"
    nodata: float | None = None
    missing: float = 0.0

    @property
    def name(self) -> str:
        spacing = "even" if self.even else "uneven"
        missing = f" {self.missing:.0%} missing" if self.missing else ""
        nodata = "" if self.nodata is None else f" nodata {self.nodata:g}"
        return (
            f"{self.order} {self.dtype} {spacing:6} window {self.window:2} degree {self.degree} "
            f"deriv {self.deriv}{nodata}{missing}"
        )


def cases() -> Iterator[Case]:
    """The table: the promised figures first, then longer windows, types and missing samples."""
    for even in (True, False):
        for order in ORDERS:
            for deriv in (0, 1, 2):
                yield Case(order, even, 5, 2, deriv)
    for order in ("bsq", "bip"):
        for even in (True, False):
            for window in (7, 15, 31):
                for deriv in (0, 2):
                    yield Case(order, even, window, 2, deriv)
        yield Case(order, False, 5, 2, 0, "u2", nodata=0)
        yield Case(order, False, 5, 2, 1, "u2", nodata=0)
        yield Case(order, False, 5, 2, 1, "f8")
        yield Case(order, False, 5, 2, 0, nodata=-9999)
        yield Case(order, False, 5, 2, 0, nodata=-9999, missing=0.4)
        yield Case(order, False, 5, 2, 1, nodata=-9999, missing=0.4)


def ordered(shape: tuple[int, int, int], dtype: Any, order: str) -> np.ndarray[Any, Any]:
    """An array (bands, rows, columns) in that memory order, its pages touched."""
    axes = ORDERS[order]
    memory = np.ones([shape[axis] for axis in axes], dtype)
    return memory.transpose(np.argsort(axes))


def block_of(case: Case, megabytes: float) -> np.ndarray[Any, Any]:
    """Random samples; the missing ones fill the left columns, as in a rotated swath."""
    columns = min(COLUMNS, max(1, int(megabytes * 2**20 / (4 * BANDS))))
    rows = max(1, int(megabytes * 2**20 / (4 * BANDS * columns)))
    block = ordered((BANDS, rows, columns), case.dtype, case.order)
    block[...] = np.random.default_rng(0).uniform(100, 10000, (BANDS, 1, columns))
    edges = np.linspace(0, 2 * case.missing * columns, rows).astype(int)
    for row, edge in enumerate(edges):
        block[:, row, :edge] = case.nodata
    return block


def in_tiles(
    pool: ThreadPoolExecutor, work: Callable[..., Any], *arrays: np.ndarray[Any, Any]
) -> float:
    """Seconds that `work(*tiles)` takes over all tiles of rows."""
    rows = arrays[0].shape[1]
    start = time.perf_counter()
    tiles = [slice(row, row + TILE_ROWS) for row in range(0, rows, TILE_ROWS)]
    list(pool.map(lambda tile: work(*(array[:, tile] for array in arrays)), tiles))
    return time.perf_counter() - start


def measure(case: Case, megabytes: float, repeats: int) -> tuple[float, float]:
    """Time of the operator over that of a copy: by as many threads, and by one."""
    rng = np.random.default_rng(1)
    steps = np.ones(BANDS) if case.even else rng.uniform(4, 6, BANDS)
    operator = savgol_operator(
        np.cumsum(steps), [range(BANDS)], case.window, case.degree, case.deriv
    )
    block = block_of(case, megabytes)
    kernel = operator.kernel(block.dtype, case.nodata)
    out = ordered(block.shape, kernel.output_dtype, case.order)
    copied = ordered(block.shape, block.dtype, case.order)
    times: dict[str, list[float]] = {"kernel": [], "copy": [], "one": []}
    with ThreadPoolExecutor(os.cpu_count()) as pool, ThreadPoolExecutor(1) as single:
        for _ in range(repeats + 1):
            times["kernel"].append(in_tiles(pool, lambda x, y: kernel(x, [y]), block, out))
            times["copy"].append(in_tiles(pool, lambda x, y: np.copyto(y, x), block, copied))
            times["one"].append(in_tiles(single, lambda x, y: np.copyto(y, x), block, copied))
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}
    return medians["kernel"] / medians["copy"], medians["kernel"] / medians["one"]


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mb", type=float, default=256, help="size of the block as float32")
    parser.add_argument("--repeats", type=int, default=7, help="rounds, after one to warm up")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    options = parser.parse_args(arguments)
    print(f"times the copy by {os.cpu_count()} threads, and by one thread; {BANDS} bands")
    for case in cases():
        if options.only in case.name:
            threaded, one = measure(case, options.mb, options.repeats)
            print(f"{case.name:60} {threaded:6.2f} {one:6.2f}", flush=True)


if __name__ == "__main__":
    main()
