"""What the options of `hsitool smooth` cost, as ratios of whole processes in the same run.

    python tests/benchmarks/smooth_speed.py [--gigabytes 1] [--runs 5] [--folder /dev/shm]

* three derivatives in one run against three runs: seconds of the cores;
* a cube in which 1 % of the pixels miss some samples against the complete one: seconds.

Exit code 1 where a limit is not kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from processes import HSITOOL, large_cube, medians, remove, verdict, work_folder

LAYOUTS = ("tif-pixel-strip", "tif-band-strip", "envi-bsq", "envi-bil", "envi-bip")
GAPS = {"envi-bsq": (1, 2, 0), "envi-bil": (0, 2, 1), "envi-bip": (0, 1, 2)}
"""Layouts in which gaps are cut, and how to reach (row, column, band) from the file's order."""

LIMITS = {"derivatives": 0.7, "gaps": 1.5}
SETTINGS = ("-w", 7, "-d", 3)
BANDS, COLUMNS = 224, 1024
SHARE_OF_PIXELS, SHARE_OF_BANDS = 0.01, 0.1


def derivatives(cube: Path, runs: int) -> float:
    """Core seconds of one run with three outputs over those of three runs."""
    outputs = [cube.with_name(f"output{n}{cube.suffix}") for n in range(3)]
    smooth = [*HSITOOL, "smooth", *SETTINGS, cube]
    each = {f"{n}": [*smooth, "--deriv", n, "-o", outputs[n]] for n in range(3)}
    joint = [word for n in range(3) for word in ("--deriv", n, "-o", outputs[n])]
    seconds = medians({**each, "joint": [*smooth, *joint]}, outputs, runs, cpu=True)
    return seconds.pop("joint") / sum(seconds.values())


def gaps(cube: Path, layout: str, runs: int) -> float:
    """Seconds on a cube with gaps over those on the complete one."""
    broken = cube.with_name(f"broken{cube.suffix}")
    cut_gaps(cube, broken, layout)
    output = cube.with_name(f"output{cube.suffix}")
    smooth = [*HSITOOL, "smooth", *SETTINGS, "-o", output]
    seconds = medians({"whole": [*smooth, cube], "broken": [*smooth, broken]}, [output], runs)
    remove(broken)
    return seconds["broken"] / seconds["whole"]


def cut_gaps(cube: Path, broken: Path, layout: str) -> None:
    """A copy in which some pixels miss some samples, at random."""
    broken.write_bytes(cube.read_bytes())
    header = cube.with_suffix(".hdr")
    broken.with_suffix(".hdr").write_bytes(header.read_bytes())
    rows = cube.stat().st_size // (4 * BANDS * COLUMNS)
    shape = np.array([rows, COLUMNS, BANDS])
    order = np.argsort(GAPS[layout])
    samples = np.memmap(broken, "f4", "r+", shape=tuple(shape[order])).transpose(GAPS[layout])
    rng = np.random.default_rng(0)
    row, column = np.nonzero(rng.random((rows, COLUMNS)) < SHARE_OF_PIXELS)
    spectra = samples[row, column]
    spectra[rng.random(spectra.shape) < SHARE_OF_BANDS] = -9999
    samples[row, column] = spectra


def table(options: argparse.Namespace, folder: Path) -> Iterator[tuple[str, str, float]]:
    """Layout, what is measured, and the ratio."""
    for layout in options.layouts:
        with large_cube(folder, layout, options.gigabytes) as cube:
            yield layout, "derivatives", derivatives(cube, options.runs)
            if layout in GAPS:
                yield layout, "gaps", gaps(cube, layout, options.runs)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 if a limit was not kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where the cubes are made")
    parser.add_argument("--gigabytes", type=float, default=1, metavar="GB")
    parser.add_argument("--layouts", nargs="+", default=LAYOUTS, choices=LAYOUTS)
    parser.add_argument("--runs", type=int, default=5, help="rounds, after one to warm up")
    options = parser.parse_args(arguments)
    print(f"{options.gigabytes:g} GB, medians of {options.runs} runs\n")
    print("| layout | what | ratio | limit | kept |\n|---|---|---:|---:|---|")
    all_kept = True
    with work_folder(options.folder) as folder:
        for layout, what, ratio in table(options, folder):
            kept = ratio <= LIMITS[what]
            print(f"| {layout} | {what} | {ratio:.2f} | {LIMITS[what]:g} | {verdict(kept)} |")
            all_kept &= kept
    return 0 if all_kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
