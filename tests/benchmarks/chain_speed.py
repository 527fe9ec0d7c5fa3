"""Three commands in a chain, through pipes and in a recipe, against the same through files.

    python tests/benchmarks/chain_speed.py [--gigabytes 4] [--runs 3] [--folder /dev/shm]

A pipe may take 1.5 times as long as its slowest stage does alone, and one `cp` of the cube; that is
for as many cores as stages: with fewer of them, the first part of the limit is scaled by stages per
core. No stage may exceed 512 MB. A recipe may take 0.6 times as long as the three commands one
after the other. Results have to be the same. Exit code 1 where a limit is not kept.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from processes import (
    HSITOOL,
    Usage,
    large_cube,
    remove,
    run,
    run_piped,
    touch_memory,
    verdict,
    work_folder,
)

LAYOUTS = ("tif-pixel-strip", "tif-band-strip", "envi-bsq", "envi-bil", "envi-bip")
STEPS: tuple[tuple[object, ...], ...] = (
    ("smooth", "-w", 7, "-d", 2, "-q"),
    ("smooth", "-w", 5, "-d", 2, "--deriv", 1, "-q"),
    ("convert", "-q"),
)
RECIPE = """\
input: {cube}
output: {output}
steps:
  - smooth: {{window: 7, deg: 2}}
  - smooth: {{window: 5, deg: 2, deriv: 1}}
  - convert:
"""
MOST_BYTES = 512e6
PIPE_LIMIT, RECIPE_LIMIT = 1.5, 0.6


@dataclass
class Taken:
    """Seconds of each way, round by round, and the largest memory of any stage and of a recipe."""

    cp: list[float] = field(default_factory=list)
    alone: list[list[float]] = field(default_factory=list)
    piped: list[float] = field(default_factory=list)
    recipe: list[float] = field(default_factory=list)
    stage_bytes: int = 0
    recipe_bytes: int = 0

    @property
    def slowest(self) -> float:
        """The median of the slowest stage."""
        return max(statistics.median(stage) for stage in zip(*self.alone, strict=True))

    @property
    def files(self) -> float:
        """The median of all stages, one after the other."""
        return statistics.median(map(sum, self.alone))

    @property
    def pipe_limit(self) -> float:
        """Seconds that a pipe may take on this machine."""
        per_core = max(1.0, len(STEPS) / len(os.sched_getaffinity(0)))
        return PIPE_LIMIT * self.slowest * per_core + statistics.median(self.cp)


def measure(cube: Path, runs: int) -> Taken:
    """All ways in turns, after a round to warm up."""
    taken, size = Taken(), cube.stat().st_size
    names = [cube.with_name(f"{name}.tif") for name in ("a", "b", "c", "piped", "chained")]
    a, b, c, piped, chained = names
    text = cube.with_name("recipe.yaml")
    text.write_text(RECIPE.format(cube=cube, output=chained))

    def fresh(*command: object) -> Usage:
        touch_memory(cube.with_name("touched"), size)
        return run(command)

    for number in range(runs + 1):
        cp = fresh("cp", cube, a).seconds
        remove(a)
        alone = []
        for step, source, target in zip(STEPS, (cube, a, b), (a, b, c), strict=True):
            words = (*HSITOOL, step[0], source, *step[1:], "-o", target)
            alone.append(fresh(*words).seconds)
            if source != cube:
                remove(source)
        touch_memory(cube.with_name("touched"), size)
        stages = run_piped(
            [
                (*HSITOOL, step[0], source, *step[1:], "-o", target)
                for step, source, target in zip(
                    STEPS, (cube, "-", "-"), ("-", "-", piped), strict=True
                )
            ]
        )
        if number == 0:
            run([*HSITOOL, "diff", c, piped])
        remove(piped)
        recipe = fresh(*HSITOOL, "run", text, "-q")
        if number == 0:
            run([*HSITOOL, "diff", c, chained])
        else:
            taken.cp.append(cp)
            taken.alone.append(alone)
            taken.piped.append(max(stage.seconds for stage in stages))
            taken.recipe.append(recipe.seconds)
        taken.stage_bytes = max(taken.stage_bytes, *(stage.peak_bytes for stage in stages))
        taken.recipe_bytes = max(taken.recipe_bytes, recipe.peak_bytes)
        remove(c, chained)
    remove(text)
    return taken


def cells(taken: Taken) -> tuple[list[str], bool]:
    """Cells of the table, and whether all limits were kept."""
    piped, recipe = statistics.median(taken.piped), statistics.median(taken.recipe)
    pipe_kept = piped <= taken.pipe_limit and taken.stage_bytes <= MOST_BYTES
    recipe_kept = recipe / taken.files <= RECIPE_LIMIT and taken.recipe_bytes <= MOST_BYTES
    row = [
        f"{statistics.median(taken.cp):.2f} s",
        f"{taken.slowest:.2f} s",
        f"{taken.files:.2f} s",
        f"{piped:.2f} s",
        f"{taken.pipe_limit:.2f} s",
        f"{taken.stage_bytes / 1e6:.0f}",
        verdict(pipe_kept),
        f"{recipe:.2f} s",
        f"{recipe / taken.files:.2f}",
        f"{taken.recipe_bytes / 1e6:.0f}",
        verdict(recipe_kept),
    ]
    return row, pipe_kept and recipe_kept


HEADING = (
    *("cp", "slowest alone", "by files", "pipe", "limit", "largest stage, MB", "kept"),
    *("recipe", f"/ by files (limit {RECIPE_LIMIT:g})", "MB", "kept"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 if a limit was not kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where the cubes are made")
    parser.add_argument("--gigabytes", type=float, default=4.0, metavar="GB")
    parser.add_argument("--layouts", nargs="+", default=LAYOUTS, choices=LAYOUTS)
    parser.add_argument("--runs", type=int, default=3, help="rounds, after one to warm up")
    options = parser.parse_args(arguments)
    cores = len(os.sched_getaffinity(0))
    print(f"{options.gigabytes:g} GB, {cores} cores, medians of {options.runs} runs")
    print()
    print(f"| layout | {' | '.join(HEADING)} |")
    print("|---|" + "".join("---|" if cell == "kept" else "---:|" for cell in HEADING))
    all_kept = True
    with work_folder(options.folder) as folder:
        for layout in options.layouts:
            with large_cube(folder, layout, options.gigabytes) as cube:
                row, kept = cells(measure(cube, options.runs))
            print(f"| {layout} | {' | '.join(row)} |", flush=True)
            all_kept &= kept
    return 0 if all_kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
