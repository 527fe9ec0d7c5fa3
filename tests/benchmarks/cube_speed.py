"""Speed of whole runs on large cubes, as ratios to a reference measured in the same run.

    python tests/benchmarks/cube_speed.py [--gigabytes 4] [--runs 5] [--folder /dev/shm]
    python tests/benchmarks/cube_speed.py --packed [--gigabytes 4]
    python tests/benchmarks/cube_speed.py --script [--gigabytes 1]

Seconds are medians of whole processes, start-up included, taken in turns after a round to warm
up, with fresh outputs on a RAM disk. Three tables:

* plain layouts: `hsitool convert` and `hsitool smooth` against `cp` of the file;
* `--packed`: `hsitool smooth --compress` against a copy of its own output, block by block through
  rasterio (`copy_blocks.py`), with the same creation options and as many threads;
* `--script`: `hsitool smooth` against the script that everyone writes.

Exit code 1 where a limit is not kept.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from processes import (
    HSITOOL,
    large_cube,
    medians,
    remove,
    run,
    verdict,
    work_folder,
)

PLAIN = ("tif-pixel-strip", "tif-band-strip", "envi-bsq", "envi-bil", "envi-bip")
PACKED = {
    "tif-band-tile256-deflate": ("deflate", "ZLEVEL=6"),
    "tif-pixel-strip-zstd": ("zstd", "ZSTD_LEVEL=1"),
}
"""Layouts, each with its compression and the level of it that hsitool asks for."""

SMOOTH = ("smooth", "-w", 5, "-d", 2)
VERBS: dict[str, tuple[object, ...]] = {"convert": ("convert",), "smooth": SMOOTH}
LIMITS = {"convert": 1.5, "smooth": 2.0, "packed": 1.3, "script": 6.0}
COPY_BLOCKS = Path(__file__).with_name("copy_blocks.py")
SCRIPT = """
import sys
import rasterio
from scipy.signal import savgol_filter

with rasterio.open(sys.argv[1]) as source:
    cube, profile = source.read(), source.profile
smooth = savgol_filter(cube, 5, 2, axis=0)
with rasterio.open(sys.argv[2], "w", **profile) as target:
    target.write(smooth)
"""
"""What everyone writes."""


def threads() -> int:
    """As many as hsitool takes."""
    return len(os.sched_getaffinity(0))


def plain(cube: Path, verbs: Sequence[str], runs: int) -> tuple[list[str], bool]:
    """Cells of the table for a plain cube, and whether all limits were kept."""
    output = cube.with_name(f"output{cube.suffix}")
    commands = {"cp": ["cp", cube, output]}
    for verb in verbs:
        commands[verb] = [*HSITOOL, *VERBS[verb], cube, "-o", output]
    seconds = medians(commands, [output], runs)
    cells, all_kept = [f"{seconds['cp']:.2f} s"], True
    for verb in verbs:
        ratio = seconds[verb] / seconds["cp"]
        kept = ratio <= LIMITS[verb]
        cells += [f"{seconds[verb]:.2f} s", f"{ratio:.2f}", verdict(kept)]
        all_kept &= kept
    return cells, all_kept


def packed(cube: Path, compression: str, level: str, runs: int) -> tuple[list[str], bool]:
    """Cells of the table for a compressed cube, and whether the limit was kept."""
    made, output, copied = (cube.with_name(f"{n}.tif") for n in ("made", "output", "copied"))
    smooth = [*HSITOOL, *SMOOTH, cube, "--compress", compression, "-o"]
    run([*smooth, made])
    copy = [sys.executable, COPY_BLOCKS, made, copied, threads(), level]
    seconds = medians({"copy": copy, "smooth": [*smooth, output]}, [output, copied], runs)
    remove(made)
    ratio = seconds["smooth"] / seconds["copy"]
    kept = ratio <= LIMITS["packed"]
    cells = [f"{seconds['copy']:.2f} s", f"{seconds['smooth']:.2f} s", f"{ratio:.2f}"]
    return [*cells, verdict(kept)], kept


def script(cube: Path, runs: int) -> tuple[list[str], bool]:
    """Cells of the table against the script, and whether the limit was kept."""
    output = cube.with_name(f"output{cube.suffix}")
    commands = {
        "script": [sys.executable, "-W", "ignore", "-c", SCRIPT, cube, output],
        "smooth": [*HSITOOL, *SMOOTH, cube, "-o", output],
    }
    seconds = medians(commands, [output], runs)
    times = seconds["script"] / seconds["smooth"]
    kept = times >= LIMITS["script"]
    cells = [f"{seconds['script']:.2f} s", f"{seconds['smooth']:.2f} s", f"{times:.1f}"]
    return [*cells, verdict(kept)], kept


@contextmanager
def packed_cube(folder: Path, layout: str, gigabytes: float) -> Iterator[Path]:
    """A compressed cube; where there is no maker of the layout, a plain one is converted."""
    if not layout.endswith("-zstd"):
        with large_cube(folder, layout, gigabytes) as cube:
            yield cube
        return
    cube = folder / "packed.tif"
    with large_cube(folder, layout.removesuffix("-zstd"), gigabytes) as bare:
        run([*HSITOOL, "convert", bare, "--compress", "zstd", "-o", cube])
    try:
        yield cube
    finally:
        remove(cube)


def rows(options: argparse.Namespace, folder: Path) -> Iterator[tuple[str, list[str], bool]]:
    """Layout, cells and whether the limits were kept; one cube lies on the disk at a time."""
    for layout in options.layouts:
        if options.packed:
            with packed_cube(folder, layout, options.gigabytes) as cube:
                yield layout, *packed(cube, *PACKED[layout], options.runs)
        else:
            with large_cube(folder, layout, options.gigabytes) as cube:
                if options.script:
                    yield layout, *script(cube, options.runs)
                else:
                    yield layout, *plain(cube, options.verbs, options.runs)


def heading(options: argparse.Namespace) -> list[str]:
    """The cells above the table."""
    if options.packed:
        return ["copy by blocks", "smooth", f"ratio (limit {LIMITS['packed']:g})", "kept"]
    if options.script:
        return ["script", "smooth", f"times faster (at least {LIMITS['script']:g})", "kept"]
    cells = ["cp"]
    for verb in options.verbs:
        cells += [verb, f"/ cp (limit {LIMITS[verb]:g})", "kept"]
    return cells


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options, with the defaults that depend on the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    table = parser.add_mutually_exclusive_group()
    table.add_argument("--packed", action="store_true", help="compressed cubes")
    table.add_argument("--script", action="store_true", help="against the usual script")
    parser.add_argument("--folder", type=Path, help="where the cubes are made")
    parser.add_argument("--gigabytes", type=float, metavar="GB", help="4, with --script 1")
    parser.add_argument("--layouts", nargs="+", choices=[*PLAIN, *PACKED])
    parser.add_argument("--runs", type=int, default=5, help="rounds, after one to warm up")
    parser.add_argument("--verbs", nargs="+", default=list(VERBS), choices=VERBS)
    options = parser.parse_args(arguments)
    options.layouts = options.layouts or (PACKED if options.packed else PLAIN)
    if not set(options.layouts) <= set(PACKED if options.packed else PLAIN):
        parser.error("--packed goes with compressed layouts, and they with --packed")
    options.gigabytes = options.gigabytes or (1 if options.script else 4)
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 if a limit was not kept."""
    options = parse(arguments)
    cells = heading(options)
    print(f"{options.gigabytes:g} GB, {threads()} cores, medians of {options.runs} runs")
    print()
    print(f"| layout | {' | '.join(cells)} |")
    print("|---|" + "".join("---|" if c == "kept" else "---:|" for c in cells))
    all_kept = True
    with work_folder(options.folder) as folder:
        for layout, row, kept in rows(options, folder):
            print(f"| {layout} | {' | '.join(row)} |", flush=True)
            all_kept &= kept
    return 0 if all_kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
