"""Time and memory of `hsitool undistort`, against `hsitool convert` of the same cube.

    python tests/benchmarks/undistort_speed.py [--gigabytes 4] [--runs 5] [--folder /dev/shm]

Seconds are medians of whole processes, start-up included, taken in turns after a round to warm
up, with fresh outputs on a RAM disk; the peak is the largest of a run. With `--cpu` seconds of all
cores are compared, which other work on the machine disturbs less. Exit code 1 where a limit is
not kept.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from processes import HSITOOL, large_cube, medians, remove, run, verdict, work_folder

LAYOUTS = ("tif-pixel-strip", "tif-band-strip", "envi-bsq", "envi-bil", "envi-bip")
PACKED = ("tif-band-tile256-deflate",)
LIMIT = 3.0
COLUMNS, ROW_BYTES = 1024, 1024 * 224 * 4
"""Of the cubes that `cubes.write_large` makes."""


def camera_file(folder: Path, gigabytes: float) -> Path:
    """A camera of the cube's size whose lens moves the corners by about 4 % of their distance."""
    rows = max(1, round(gigabytes * 1e9 / ROW_BYTES))
    f = 1.25 * max(rows, COLUMNS)
    record = {
        "model": "k2",
        "camera_matrix": [[f, 0, COLUMNS / 2 + 3.3], [0, f, rows / 2 - 4.1], [0, 0, 1]],
        "distortion": [-0.2, 0.08, 5e-4, -3e-4],
        "image_size": [COLUMNS, rows],
    }
    path = folder / "camera.json"
    path.write_text(json.dumps(record), encoding="utf-8")
    return path


def measured(folder: Path, layout: str, options: argparse.Namespace) -> tuple[list[str], bool]:
    """Cells of the table for a layout, and whether the limits were kept."""
    camera = camera_file(folder, options.gigabytes)
    with large_cube(folder, layout, options.gigabytes, placed=False) as cube:
        output = cube.with_name(f"output{cube.suffix}")
        memory = ("--max-memory", options.max_memory)
        undistort = [*HSITOOL, "undistort", cube, "--camera", camera, "-o", output, *memory]
        commands = {"convert": [*HSITOOL, "convert", cube, "-o", output], "undistort": undistort}
        seconds = medians(commands, [output], options.runs, cpu=options.cpu)
        peak = run(undistort).peak_bytes
        remove(output)
    camera.unlink()
    ratio = seconds["undistort"] / seconds["convert"]
    fast = ratio <= LIMIT
    small = peak <= float(options.max_memory.upper().removesuffix("MB")) * 1e6
    cells = [f"{seconds['convert']:.2f} s", f"{seconds['undistort']:.2f} s", f"{ratio:.2f}"]
    return [*cells, verdict(fast), f"{peak / 1e6:.0f}", verdict(small)], fast and small


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 if a limit was not kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where the cubes are made")
    parser.add_argument("--gigabytes", type=float, default=4, metavar="GB")
    parser.add_argument("--layouts", nargs="+", default=LAYOUTS, choices=[*LAYOUTS, *PACKED])
    parser.add_argument("--runs", type=int, default=5, help="rounds, after one to warm up")
    parser.add_argument("--max-memory", default="512MB", metavar="SIZE")
    parser.add_argument("--cpu", action="store_true", help="seconds of all cores")
    options = parser.parse_args(arguments)
    print(f"{options.gigabytes:g} GB, medians of {options.runs} runs")
    print()
    print(f"| layout | convert | undistort | / convert (limit {LIMIT:g}) | kept | peak MB | kept |")
    print("|---|---:|---:|---:|---|---:|---|")
    all_kept = True
    with work_folder(options.folder) as folder:
        for layout in options.layouts:
            row, kept = measured(folder, layout, options)
            print(f"| {layout} | {' | '.join(row)} |", flush=True)
            all_kept &= kept
    return 0 if all_kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
