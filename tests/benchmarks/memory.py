"""Peak resident memory of whole runs, for each layout and for cubes of two sizes.

    python tests/benchmarks/memory.py [--gigabytes 1 4] [--folder /dev/shm] [--max-memory 512MB]

A run may take as much as `--max-memory` says, and as much for the large cube as for the small one,
within 10 %. Exit code 1 where it does not.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from processes import HSITOOL, large_cube, remove, run, suffix_of, verdict, work_folder

LAYOUTS = (
    "tif-pixel-strip",
    "tif-band-strip",
    "tif-band-tile256-deflate",
    "envi-bsq",
    "envi-bil",
    "envi-bip",
)
VERBS = {
    "smooth": ("smooth", "-w", 5, "-d", 2),
    "convert": ("convert",),
    "smooth-deflate": ("smooth", "-w", 5, "-d", 2, "--compress", "deflate", "--format", "gtiff"),
}
GROWTH = 1.1


@dataclass(frozen=True)
class Peaks:
    """Peak memory in bytes of one verb on one layout, by the size of the cube."""

    layout: str
    verb: str
    by_gigabytes: dict[float, int]

    @property
    def growth(self) -> float:
        """The largest peak over the smallest."""
        return max(self.by_gigabytes.values()) / min(self.by_gigabytes.values())

    def kept(self, limit: int) -> bool:
        """Whether the run stays below the limit, whatever the size of the cube."""
        return max(self.by_gigabytes.values()) <= limit and self.growth <= GROWTH


def measure(
    layouts: Sequence[str], verbs: Sequence[str], sizes: Sequence[float], limit: str, folder: Path
) -> Iterator[Peaks]:
    """The peaks of each layout and verb; one cube lies on the disk at a time."""
    for layout in layouts:
        peaks: dict[str, dict[float, int]] = {verb: {} for verb in verbs}
        for size in sizes:
            with large_cube(folder, layout, size) as cube:
                for verb in verbs:
                    output = cube.with_name(f"output{suffix_of(layout)}")
                    words = [*HSITOOL, *VERBS[verb], cube, "-o", output, "--max-memory", limit]
                    peaks[verb][size] = run(words).peak_bytes
                    remove(output)
        for verb in verbs:
            yield Peaks(layout, verb, peaks[verb])


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 if a limit was not kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where the cubes are made")
    parser.add_argument("--gigabytes", type=float, nargs="+", default=[1, 4], metavar="GB")
    parser.add_argument("--layouts", nargs="+", default=LAYOUTS, choices=LAYOUTS)
    parser.add_argument("--verbs", nargs="+", default=["smooth"], choices=VERBS)
    parser.add_argument("--max-memory", default="512MB", metavar="SIZE")
    options = parser.parse_args(arguments)
    limit = int(float(options.max_memory.upper().removesuffix("MB")) * 1e6)
    sizes = sorted(options.gigabytes)
    print(f"Peak resident memory in MB, --max-memory {options.max_memory}, {os.cpu_count()} cores")
    print()
    print(f"| layout | verb | {' | '.join(f'{s:g} GB' for s in sizes)} | growth | kept |")
    print("|---|---|" + len(sizes) * "---:|" + "---:|---|")
    all_kept = True
    with work_folder(options.folder) as folder:
        for peaks in measure(options.layouts, options.verbs, sizes, options.max_memory, folder):
            kept = peaks.kept(limit)
            all_kept &= kept
            cells = [f"{peaks.by_gigabytes[s] / 1e6:.0f}" for s in sizes]
            cells += [f"{peaks.growth:.2f}", verdict(kept)]
            print(f"| {peaks.layout} | {peaks.verb} | {' | '.join(cells)} |", flush=True)
    return 0 if all_kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
