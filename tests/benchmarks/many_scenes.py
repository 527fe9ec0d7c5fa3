"""What many small scenes cost in one `hsitool smooth`, against the same work without start-ups.

    python tests/benchmarks/many_scenes.py [--scenes 200] [--gigabytes 1] [--jobs 2] [--runs 5]

The limit holds against `hsitool smooth` of one cube with the lines of all scenes: one process that
works on the same blocks without a start-up for each scene. `plain_blocks.py` is a stricter
yardstick from outside: it reads, multiplies and writes the same samples on as many threads, and
opens, describes, looks for missing samples and plans nothing. Scenes are ENVI files in BIL order,
outputs ENVI files or GeoTIFFs. Exit code 1 where the limit is not kept.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from processes import HSITOOL, TESTS, run, touch_memory, verdict, work_folder

sys.path.insert(0, str(TESTS))
from cubes import wavelengths

LIMIT = 1.2
BANDS, WINDOW, DEGREE = 224, 7, 2
ALL = Path("all.hdr")
"""One cube with the lines of all scenes."""

KINDS = {"envi": ("--format", "envi"), "gtiff": ()}


def make_scenes(folder: Path, count: int, nbytes: float) -> tuple[list[Path], int]:
    """The headers of square scenes, and their columns."""
    side = max(8, round((nbytes / (4 * BANDS)) ** 0.5))
    rng, centres = np.random.default_rng(0), ", ".join(map(repr, wavelengths(BANDS)))
    text = (
        f"ENVI\nsamples = {side}\nlines = {side}\nbands = {BANDS}\nheader offset = 0\n"
        "file type = ENVI Standard\ndata type = 4\ninterleave = bil\nbyte order = 0\n"
        f"wavelength units = Nanometers\nwavelength = {{{centres}}}\n"
    )
    headers = [folder / f"scene{number:03}.hdr" for number in range(count)]
    with (folder / ALL.with_suffix(".img")).open("wb") as together:
        for header in headers:
            samples = rng.random((side, BANDS, side), np.float32)
            samples.tofile(header.with_suffix(".img"))
            samples.tofile(together)
            header.write_text(text)
    lines = f"lines = {side}\n", f"lines = {side * count}\n"
    (folder / ALL).write_text(text.replace(*lines))
    return headers, side


def commands(
    headers: Sequence[Path], side: int, made: Path, jobs: int, kinds: Sequence[str]
) -> dict[str, list[object]]:
    """The yardsticks, and `hsitool` for each kind of output."""
    pixels = [header.with_suffix(".img") for header in headers]
    script = Path(__file__).with_name("plain_blocks.py")
    plain = [sys.executable, script, made, BANDS, side, WINDOW, DEGREE, jobs, *pixels]
    settings = ["-w", WINDOW, "-d", DEGREE, "--device", "cpu", "-q", "--out-dir", made]
    whole = [*HSITOOL, "smooth", headers[0].with_name(ALL.name), *settings, "--threads", jobs]
    smooth = [*HSITOOL, "smooth", *headers, *settings, "--jobs", jobs]
    words: dict[str, list[object]] = {"plain": plain}
    for kind in kinds:
        words |= {kind: [*smooth, *KINDS[kind]], f"{kind}, one cube": [*whole, *KINDS[kind]]}
    return words


def same_samples(made: Path, first: Path, header: Path) -> bool:
    """Whether `hsitool` wrote what the yardstick did, but for rounding."""
    a, b = np.fromfile(first, "f4"), np.fromfile(made / f"{header.stem}.img", "f4")
    return bool(np.allclose(a, b, rtol=0, atol=1e-5))


def measured(options: argparse.Namespace, folder: Path) -> dict[str, tuple[float, float]]:
    """Median seconds by the clock and of the cores."""
    headers, side = make_scenes(folder, options.scenes, options.gigabytes * 1e9 / options.scenes)
    made, first = folder / "made", folder / "first.img"
    words = commands(headers, side, made, options.jobs, options.kinds)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in words}
    for _ in range(options.runs + 1):
        for name, command in words.items():
            made.mkdir()
            touch_memory(folder / "touched", int(options.gigabytes * 1e9))
            usage = run(command)
            taken[name].append((usage.seconds, usage.cpu_seconds))
            if name == "plain":
                (made / f"{headers[-1].stem}.img").rename(first)
            elif name == "envi" and not same_samples(made, first, headers[-1]):
                raise SystemExit("the yardstick and hsitool disagree")
            shutil.rmtree(made)
    return {
        name: (
            statistics.median(clock for clock, _ in times[1:]),
            statistics.median(cores for _, cores in times[1:]),
        )
        for name, times in taken.items()
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 if the limit was not kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where the scenes are made")
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--gigabytes", type=float, default=1, metavar="GB", help="of all scenes")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--runs", type=int, default=5, help="rounds, after one to warm up")
    options = parser.parse_args(arguments)
    with work_folder(options.folder) as folder:
        os.environ["PYTHONPATH"] = str(TESTS)
        found = measured(options, folder)
    print(f"{options.scenes} scenes, {options.gigabytes:g} GB in all, {options.jobs} jobs\n")
    print("| output | one cube | scenes | ratio | limit | kept | of core seconds | plain blocks |")
    print("|---|---:|---:|---:|---:|---|---:|---:|")
    kept = [_row(kind, found) for kind in options.kinds]
    return 0 if all(kept) else 1


def _row(kind: str, found: dict[str, tuple[float, float]]) -> bool:
    """Print a row; whether the limit was kept."""
    (seconds, cores), (whole, its), (plain, _) = (
        found[name] for name in (kind, f"{kind}, one cube", "plain")
    )
    kept = seconds <= LIMIT * whole
    print(
        f"| {kind} | {whole:.2f} s | {seconds:.2f} s | {seconds / whole:.2f} | {LIMIT:g} | "
        f"{verdict(kept)} | {cores / its:.2f} | {plain:.2f} s, {seconds / plain:.2f} |"
    )
    return kept


if __name__ == "__main__":
    raise SystemExit(main())
