"""Memory and time of `hsitool attend warp` and `attend self`, as whole processes and as products.

    python tests/benchmarks/attend_speed.py [--gigabytes 4] [--runs 3] [--folder /dev/shm]

Views of a cube, turned and coarser, against `hsitool convert` of it; rows of 4 query pixels of a
million pixels of 224 bands (0.9 GB), against `hsitool stats` and one more reading; and Z of 20 000
pixels with 16 features against PyTorch's scaled_dot_product_attention, by the time of all cores:
live where PyTorch is installed, else against the time that was stored with the machine's name.
Limits: `--max-memory` (512 MB), and twice PyTorch's time. Exit code 1 where one is not kept.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):  # as the command line does
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402
from processes import HSITOOL, large_cube, remove, run, verdict, work_folder  # noqa: E402

LIMIT_BYTES, LIMIT_TORCH = 512 * 10**6, 2.0
TURNED = {
    "turned 17": ("--rotate", 17),
    "turned 45": ("--rotate", 45),
    "turned 90": ("--rotate", 90),
    "4 times coarser, turned 45": ("--zoom", 0.25, "--rotate", 45),
}
TOKENS, WIDTH = 20_000, 16
STORED = {"machine": "Intel Xeon (Sapphire Rapids), 2 cores, PyTorch 2.13.0", "cpu_seconds": 0.43}
"""Seconds of both cores that PyTorch took for it there, the least of five."""

Row = tuple[list[str], bool]


def views(folder: Path, layout: str, gigabytes: float, runs: int) -> Iterator[Row]:
    """Views of one cube: seconds, those of `convert`, and memory."""
    with large_cube(folder, layout, gigabytes) as cube:
        output = cube.with_name(f"output{cube.suffix}")
        for name, words in TURNED.items():
            seconds: dict[str, list[float]] = {"convert": [], "warp": []}
            peak = 0
            for _ in range(runs):
                for verb, command in (
                    ("convert", ("convert", cube)),
                    ("warp", ("attend", "warp", cube, *words)),
                ):
                    used = run([*HSITOOL, *command, "-q", "-o", output])
                    seconds[verb].append(used.cpu_seconds)
                    peak = max(peak, used.peak_bytes)
                    remove(output)
            first, second = (statistics.median(seconds[verb]) for verb in ("convert", "warp"))
            kept = peak <= LIMIT_BYTES
            cells = [f"{first:.2f} s", f"{second:.2f} s", f"{second / first:.2f}"]
            yield [f"warp, {name}, {layout}", *cells, f"{peak / 1e6:.0f} MB", verdict(kept)], kept


def rows(folder: Path, layout: str, gigabytes: float, runs: int) -> Iterator[Row]:
    """Rows of four pixels, against a model of the scene."""
    with large_cube(folder, layout, gigabytes) as cube:
        output, model = cube.with_name("output.tif"), cube.with_name("scene.npz")
        places = [word for at in ("1,2", "2,7", "3,900", "0,30") for word in ("--at", at)]
        seconds: dict[str, list[float]] = {"stats": [], "self": []}
        peak = 0
        for _ in range(runs):
            remove(output, model)
            seconds["stats"].append(run([*HSITOOL, "stats", cube, "-q", "-o", model]).cpu_seconds)
            used = run([*HSITOOL, "attend", "self", cube, *places, "-q", "-o", output])
            seconds["self"].append(used.cpu_seconds)
            peak = max(peak, used.peak_bytes)
        remove(output, model)
        first, second = (statistics.median(seconds[verb]) for verb in ("stats", "self"))
        kept = peak <= LIMIT_BYTES
        cells = [f"{first:.2f} s", f"{second:.2f} s", f"{second / first:.2f}"]
        yield [f"self, 4 rows, {layout}", *cells, f"{peak / 1e6:.0f} MB", verdict(kept)], kept


def least(works: Sequence[Callable[[], Any]], runs: int) -> list[float]:
    """Seconds of all cores, the least of some runs of each, in turns."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(runs + 3):
        for work, own in zip(works, taken, strict=True):
            start = time.process_time()
            work()
            own.append(time.process_time() - start)
    return list(map(min, taken))


def products(tokens: int, runs: int) -> Row:
    """Z of all tokens against PyTorch."""
    from hsitool.cube import CubeInfo
    from hsitool.device import CPU
    from hsitool.engine.pool import map_in_order
    from hsitool.tasks.attend_values import QUERIES, LineWork, Tokens

    rng = np.random.default_rng(0)
    query, key, value = (rng.normal(size=(tokens, WIDTH)).astype(np.float32) for _ in range(3))
    info = CubeInfo(WIDTH, tokens, 1, np.dtype(np.float32))
    found = Tokens(query, key, value, np.ones((tokens, 1), bool))
    work = LineWork(found, info, WIDTH**-0.5, None, CPU)
    tiles = list(work.tiles(QUERIES))

    def own() -> Any:
        return map_in_order(work.lines, tiles, workers=2, processes=False)

    reference = float(STORED["cpu_seconds"]) * (tokens / TOKENS) ** 2
    if (other := torch_attention(query, key, value)) is None:
        (seconds,), name = least([own], runs), "stored"
    else:
        (seconds, reference), name = least([own, other], runs), "live"
    kept = seconds <= LIMIT_TORCH * reference
    cells = [f"{reference:.2f} s", f"{seconds:.2f} s", f"{seconds / reference:.2f}", ""]
    return [f"Z of {tokens} pixels, PyTorch {name}", *cells, verdict(kept)], kept


def torch_attention(query: Any, key: Any, value: Any) -> Callable[[], Any] | None:
    """The same by PyTorch, or None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    given = [torch.tensor(array)[None, None] for array in (query, key, value)]
    attend = torch.nn.functional.scaled_dot_product_attention
    return lambda: attend(*given)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 if a limit was not kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where the cubes are made")
    parser.add_argument("--gigabytes", type=float, default=4, metavar="GB")
    parser.add_argument("--rows-gigabytes", type=float, default=0.9, metavar="GB")
    parser.add_argument("--tokens", type=int, default=TOKENS, metavar="N")
    parser.add_argument("--runs", type=int, default=3, metavar="N")
    parser.add_argument("--layouts", nargs="+", default=("tif-pixel-strip", "envi-bsq"))
    options = parser.parse_args(arguments)
    print(f"stored: {STORED['machine']}; here {os.cpu_count()} cores; seconds of all cores\n")
    print("| what | reference | hsitool | ratio | peak | kept |")
    print("|---|---:|---:|---:|---:|---|")
    all_kept = True

    def tell(row: Row) -> None:
        nonlocal all_kept
        print(f"| {' | '.join(row[0])} |", flush=True)
        all_kept &= row[1]

    tell(products(options.tokens, options.runs))
    with work_folder(options.folder) as folder:
        for layout in options.layouts:
            for row in rows(folder, layout, options.rows_gigabytes, options.runs):
                tell(row)
            for row in views(folder, layout, options.gigabytes, options.runs):
                tell(row)
    return 0 if all_kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
