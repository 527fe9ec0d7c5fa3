"""Speed of spectral operators on a GPU, against its own memory and against CuPy.

    python tests/benchmarks/gpu_speed.py [--device cuda] [--mb 2048] [--repeats 9]

Each figure is a median over interleaved rounds, all from one run of this script; GB/s count bytes
read and written. The exit code is 1 where a limit is not kept: three outputs at 80 % of the speed
of a copy within the GPU's memory, and 5 times as fast as `cupyx.scipy.signal.savgol_filter`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from hsitool.device import Gpu, choose_device
from hsitool.errors import DeviceError
from hsitool.maths.spectra.operator import SpectralOperator
from hsitool.maths.spectra.refit import PartialRule
from hsitool.maths.spectra.savgol import savgol_operator
from hsitool.maths.spectra.spectral import spectral_kernel

BANDS, COLUMNS = 224, 1000
WINDOW, DEGREE, DERIVS = 7, 3, (0, 1, 2)
ORDERS = {"bsq": (0, 1, 2), "bil": (1, 0, 2), "bip": (1, 2, 0)}
OF_COPY, OF_CUPYX = 0.8, 5.0
FLAGGED = 0.01
TILE_BYTES = 24 * 2**20
LANES = 4

Work = Callable[[], Any]


def operators(partial: PartialRule | None = None) -> list[SpectralOperator]:
    """Smoothed values and two derivatives at uneven wavelengths."""
    x = 400 + np.cumsum(np.random.default_rng(1).uniform(4, 6, BANDS))
    return [
        savgol_operator(x, [range(BANDS)], WINDOW, DEGREE, deriv, partial=partial)
        for deriv in DERIVS
    ]


def ordered(array_module: Any, shape: Sequence[int], dtype: Any, order: str) -> Any:
    """An array (bands, rows, columns) in that memory order."""
    axes = ORDERS[order]
    memory = array_module.empty([shape[axis] for axis in axes], dtype)
    return memory.transpose(*(axes.index(axis) for axis in range(3)))


def medians(cupy: Any, works: Sequence[Work], repeats: int) -> list[float]:
    """Seconds on the GPU that each work takes, in interleaved rounds after one to warm up."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(repeats + 1):
        for work, taken in zip(works, times, strict=True):
            start, end = cupy.cuda.Event(), cupy.cuda.Event()
            start.record()
            work()
            end.record()
            end.synchronize()
            taken.append(cupy.cuda.get_elapsed_time(start, end) / 1000)
    return [statistics.median(taken[1:]) for taken in times]


def on_the_gpu(cupy: Any, gpu: Gpu, order: str, rows: int, repeats: int) -> list[bool]:
    """One line for a memory order; whether each limit is kept."""
    from cupyx.scipy.signal import savgol_filter

    block = ordered(cupy, (BANDS, rows, COLUMNS), "f4", order)
    block[...] = cupy.random.uniform(100, 10000, (BANDS, 1, COLUMNS), "f4")
    outs = [ordered(cupy, block.shape, "f4", order) for _ in DERIVS]
    gaps = ordered(cupy, block.shape, "f4", order)
    gaps[...] = block
    gaps[BANDS // 2, :, :: round(1 / FLAGGED)] = np.nan
    plain = spectral_kernel(operators(), block.dtype, None, gpu)
    fitting = spectral_kernel(operators(PartialRule(fill_gaps=True)), block.dtype, None, gpu)

    def three_times() -> None:
        for deriv in DERIVS:
            savgol_filter(block, WINDOW, DEGREE, deriv=deriv, axis=0, mode="interp")

    works: list[Work] = [
        lambda: plain(block, outs),
        lambda: fitting(gaps, outs),
        lambda: outs[0].data.copy_from_device_async(block.data, block.nbytes),
        three_times,
    ]
    fused, mended, copy, cupyx = medians(cupy, works, repeats)
    moved, copied = block.nbytes * (1 + len(DERIVS)) / 1e9, 2 * block.nbytes / 1e9
    share, times = moved / fused / (copied / copy), cupyx / fused
    figures = f"{moved / fused:9.0f} {copied / copy:9.0f} {share:9.0%} {times:9.1f}"
    print(f"{order} {figures} {moved / mended:9.0f}", flush=True)
    return [share >= OF_COPY, times >= OF_CUPYX]


def slots(gpu: Gpu, dtypes: Sequence[Any], height: int) -> list[list[np.ndarray[Any, Any]]]:
    """For each lane, a block of each type in memory that the GPU reaches by itself."""
    shape = BANDS, height, COLUMNS
    sizes = [np.dtype(dtype).itemsize * BANDS * height * COLUMNS for dtype in dtypes]
    blocks = [
        [
            gpu.empty(size).view(dtype).reshape(shape)
            for size, dtype in zip(sizes, dtypes, strict=True)
        ]
        for _ in range(LANES)
    ]
    for block, _ in blocks:
        block[...] = 1
    return blocks


def in_lanes(work: Callable[..., Any], blocks: Sequence[Any], tiles: int, repeats: int) -> float:
    """Seconds that `work(block, out)` takes for all tiles, shared by a thread a lane."""

    def lane(number: int) -> None:
        for _ in range(number, tiles, LANES):
            work(*blocks[number])

    times = []
    with ThreadPoolExecutor(LANES) as pool:
        for _ in range(repeats + 1):
            start = time.perf_counter()
            list(pool.map(lane, range(LANES)))
            times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def through_the_host(gpu: Gpu, dtype: str, rows: int, repeats: int) -> None:
    """One line: tiles sent, computed and fetched, against tiles sent and fetched alone."""
    height = max(1, TILE_BYTES // (4 * BANDS * COLUMNS))
    kernel = spectral_kernel(operators()[:1], dtype, None, gpu)
    blocks = slots(gpu, [dtype, kernel.output_dtype], height)

    def to_and_fro(block: np.ndarray[Any, Any], out: np.ndarray[Any, Any]) -> None:
        with gpu.lane():
            _, made = gpu.upload(block), gpu.memory(out.nbytes)
            gpu.download(made, out)

    tiles = max(LANES, rows // height)
    computed = in_lanes(lambda block, out: kernel(block, [out]), blocks, tiles, repeats)
    moved = in_lanes(to_and_fro, blocks, tiles, repeats)
    sent, fetched = (tiles * array.nbytes / computed / 1e9 for array in blocks[0])
    print(f"{dtype:3} {sent:9.1f} {fetched:9.1f} {moved / computed:9.0%}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Print the tables; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", help="cuda or cuda:N")
    parser.add_argument("--mb", type=float, default=2048, help="size of the block as float32")
    parser.add_argument("--repeats", type=int, default=9, help="rounds, after one to warm up")
    options = parser.parse_args(arguments)
    try:
        gpu = choose_device(options.device)
    except DeviceError as error:
        print(f"no figures: {error}")
        return error.exit_code
    assert isinstance(gpu, Gpu)
    cupy = sys.modules["cupy"]
    rows = max(1, int(options.mb * 2**20 / (4 * BANDS * COLUMNS)))
    print(f"{gpu.name}; {BANDS} bands, {rows} x {COLUMNS} pixels, window {WINDOW}, three outputs")
    print("    GB/s      of a copy share     x cupyx   1 % of pixels with gaps")
    kept: list[bool] = []
    with gpu.here():
        for order in ("bsq", "bip"):
            kept += on_the_gpu(cupy, gpu, order, rows, options.repeats)
            cupy.get_default_memory_pool().free_all_blocks()
    print(f"from this machine's memory and back, one output, {LANES} threads")
    print("    GB/s sent fetched   of the speed of the transfers alone")
    for dtype in ("i2", "f4"):
        through_the_host(gpu, dtype, rows, options.repeats)
    limits = f"{OF_COPY:.0%} of the copy and {OF_CUPYX:g} times cupyx"
    print(f"limits ({limits}): {'kept' if all(kept) else 'NOT kept'}")
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
