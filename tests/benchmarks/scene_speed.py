"""Scene models and scores against a script that holds the cube in memory, as whole processes.

    python tests/benchmarks/scene_speed.py [--gigabytes 0.9] [--runs 3] [--folder /dev/shm]

The script reads the file with rasterio and does the same products in float64 with NumPy and SciPy,
BLAS with all cores. A run may take 1.5 times as long, and `--max-memory` at most. 0.9 GB are a
million pixels of 224 bands. Exit code 1 where a limit is not kept.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from processes import HSITOOL, Usage, large_cube, remove, run, verdict, work_folder

LAYOUTS = ("tif-pixel-strip", "envi-bsq", "envi-bil", "envi-bip")
LIMIT_SECONDS, LIMIT_BYTES = 1.5, 512 * 10**6
READ = """
import sys, numpy as np, rasterio, warnings
from scipy.linalg import cholesky, solve_triangular
warnings.simplefilter("ignore")
with rasterio.open(sys.argv[1]) as file:
    cube = file.read()
bands, rows, columns = cube.shape
x = cube.reshape(bands, -1).astype(np.float64)
mean = x.mean(axis=1, keepdims=True)
x -= mean
covariance = x @ x.T / (x.shape[1] - 1)
step = max(1, rows * columns // 40_000)
"""
PAIRS = """
lines = cube[:, ::step].astype(np.float64)
pairs = np.concatenate([lines[:, :, 1::2], lines[:, :, ::2]]).reshape(2 * bands, -1)
np.savez(sys.argv[2], covariance, mean, np.cov(pairs))
"""
WRITE = """
factor = cholesky(covariance + 1e-6 * np.trace(covariance) / bands * np.eye(bands), lower=True)
white = solve_triangular(factor, x, lower=True, overwrite_b=True, check_finite=False)
scores = (white**2).sum(axis=0).reshape(1, rows, columns).astype(np.float32)
options = dict(driver="GTiff", dtype="float32", count=1, height=rows, width=columns)
with rasterio.open(sys.argv[2], "w", **options) as file:
    file.write(scores)
"""
ATTEND = """
at = 2 * columns + 7
query = x[:, at] + mean[:, 0]
raw = cube.reshape(bands, -1)
angle = np.arccos(query @ raw / np.linalg.norm(query) / np.linalg.norm(raw, axis=0))
factor = cholesky(covariance + 1e-6 * np.trace(covariance) / bands * np.eye(bands), lower=True)
white = solve_triangular(factor, x, lower=True, check_finite=False)
wanted = white[:, at] / np.linalg.norm(white[:, at])
scores = wanted @ white / np.linalg.norm(white, axis=0)
scores[at] = -np.inf
low, high = scores[np.isfinite(scores)].min(), scores.max()
while high - low > 1e-12:
    middle = (low + high) / 2
    above = np.maximum(scores - middle, 0)
    ess = above.sum() ** 2 / (above**2).sum()
    low, high = (middle, high) if ess > 0.01 * (above.size - 1) else (low, middle)
weights = above / above.sum()
attended = x @ weights
spread = np.sqrt(np.square(x - attended[:, None]) @ weights)
options = dict(driver="GTiff", dtype="float32", count=1, height=rows, width=columns)
with rasterio.open(sys.argv[2], "w", **options) as file:
    file.write((weights / weights.max()).reshape(1, rows, columns).astype(np.float32))
"""
VERBS = {
    "stats": (READ + PAIRS, "npz", ()),
    "anomaly": (READ + WRITE, "tif", ()),
    "attend mask": (READ + ATTEND, "tif", ("--at", "2,7")),
}


def compared(cube: Path, verb: str, runs: int) -> tuple[Usage, Usage]:
    """The medians of the script and of hsitool, in turns."""
    script, suffix, options = VERBS[verb]
    output = cube.with_name(f"output.{suffix}")
    commands = {
        "script": [*HSITOOL[:1], "-c", script, cube, output],
        "hsitool": [*HSITOOL, *verb.split(), "-q", cube, *options, "-o", output],
    }
    usages: dict[str, list[Usage]] = {name: [] for name in commands}
    for _ in range(runs + 1):
        for name, words in commands.items():
            remove(output)
            usages[name].append(run(words))
    remove(output)
    kept = [taken[1:] for taken in usages.values()]
    first, second = (
        Usage(
            median(u.seconds for u in taken),
            median(u.cpu_seconds for u in taken),
            max(u.peak_bytes for u in taken),
        )
        for taken in kept
    )
    return first, second


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 if a limit was not kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where the cubes are made")
    parser.add_argument("--gigabytes", type=float, default=0.9, metavar="GB")
    parser.add_argument("--runs", type=int, default=3, metavar="N")
    parser.add_argument("--layouts", nargs="+", default=LAYOUTS, choices=LAYOUTS)
    parser.add_argument("--verbs", nargs="+", default=tuple(VERBS), choices=VERBS)
    options = parser.parse_args(arguments)
    print(f"{options.gigabytes:g} GB, medians of {options.runs}, {os.cpu_count()} cores\n")
    print("| layout | verb | script | hsitool | ratio | cores' time | script MB | MB | kept |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---|")
    all_kept = True
    with work_folder(options.folder) as folder:
        for layout in options.layouts:
            with large_cube(folder, layout, options.gigabytes) as cube:
                for verb in options.verbs:
                    script, own = compared(cube, verb, options.runs)
                    ratio = own.seconds / script.seconds
                    kept = ratio <= LIMIT_SECONDS and own.peak_bytes <= LIMIT_BYTES
                    all_kept &= kept
                    cells = [f"{script.seconds:.2f} s", f"{own.seconds:.2f} s", f"{ratio:.2f}"]
                    cells += [f"{own.cpu_seconds / script.cpu_seconds:.2f}"]
                    cells += [f"{u.peak_bytes / 1e6:.0f}" for u in (script, own)]
                    row = " | ".join([layout, verb, *cells, verdict(kept)])
                    print(f"| {row} |", flush=True)
    return 0 if all_kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
