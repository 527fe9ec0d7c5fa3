"""What the scores of `hsitool anomaly` are like, and the mask of the highest ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import gammaincinv  # type: ignore[import-untyped]

from hsitool.cube import Tile
from hsitool.engine.blocks import fold_blocks, map_blocks
from hsitool.engine.plan import Budget
from hsitool.errors import DataError
from hsitool.maths.scene.ranks import Counts, high_counts, low_counts, places, values_of
from hsitool.storage.raw import Block
from hsitool.storage.readers import CubeReader
from hsitool.storage.writers import OutputOptions, create_cube
from hsitool.tasks.score_maps import map_info

QUANTILES = (0.5, 0.9, 0.99, 0.999)
NO_SCORE = 255


@dataclass(frozen=True)
class Top:
    """The highest scores: how many pixels reach the threshold, ties included."""

    pixels: int
    threshold: float


@dataclass(frozen=True)
class ScoreReport:
    """The scores of the `pixels` that have one.

    `quantiles` are (share of the pixels, score), `chi_square` the same of the distribution that
    they would have if the scene were Gaussian, with `degrees` of freedom: a reference only.
    """

    pixels: int
    mean: float
    quantiles: tuple[tuple[float, float], ...]
    degrees: int
    chi_square: tuple[tuple[float, float], ...]
    top: Top | None


def score_report(
    scores: CubeReader, degrees: int, top: float | None, budget: Budget
) -> ScoreReport:
    """Read the scores twice; `top` is a share of the pixels, or a number of them from 1 on.

    Raises:
        DataError: no pixel has a score, or the file fails.
    """
    count, total, high = _counted(scores, budget)
    if count == 0:
        raise DataError(f"{scores.path}: no pixel has a score: no data in all used bands")
    ranks = [max(math.ceil(q * count) - 1, 0) for q in QUANTILES]
    if top is not None:
        ranks.append(count - _top_count(top, count))
    *found, threshold = [*_values(scores, high, ranks, budget), math.nan][: len(QUANTILES) + 1]
    reached = None if top is None else Top(_reaching(scores, threshold, budget), threshold)
    chi_square = tuple((q, 2 * float(gammaincinv(degrees / 2, q))) for q in QUANTILES)
    pairs = tuple(zip(QUANTILES, found, strict=True))
    return ScoreReport(count, total / count, pairs, degrees, chi_square, reached)


def _top_count(top: float, count: int) -> int:
    wanted = round(top * count) if top < 1 else int(top)
    return min(max(wanted, 1), count)


def _counted(scores: CubeReader, budget: Budget) -> tuple[int, float, Counts]:
    """Pixels, the sum of their scores, and the counts of the upper halves."""

    def measure(_: Tile, blocks: Sequence[Block]) -> tuple[int, float, Counts]:
        values = blocks[0][~np.isnan(blocks[0])]
        return values.size, float(values.sum(dtype=np.float64)), high_counts(values)

    def merge(
        a: tuple[int, float, Counts], b: tuple[int, float, Counts]
    ) -> tuple[int, float, Counts]:
        return a[0] + b[0], a[1] + b[1], a[2] + b[2]

    start = 0, 0.0, high_counts(np.empty(0, np.float32))
    return fold_blocks([scores], measure, merge, start, budget=budget, extra_bytes_per_pixel=24)


def _values(scores: CubeReader, high: Counts, ranks: Sequence[int], budget: Budget) -> list[float]:
    """The scores of some ranks, from 0."""
    found = [places(high, [rank])[0] for rank in ranks]
    bins = sorted({place for place, _ in found})

    def measure(_: Tile, blocks: Sequence[Block]) -> dict[int, Counts]:
        return low_counts(blocks[0][~np.isnan(blocks[0])], bins)

    def merge(a: dict[int, Counts], b: dict[int, Counts]) -> dict[int, Counts]:
        return {place: a[place] + b[place] for place in bins}

    start = low_counts(np.empty(0, np.float32), bins)
    low = fold_blocks([scores], measure, merge, start, budget=budget, extra_bytes_per_pixel=24)
    return values_of(found, low)


def _reaching(scores: CubeReader, threshold: float, budget: Budget) -> int:
    def measure(_: Tile, blocks: Sequence[Block]) -> int:
        return int(np.count_nonzero(blocks[0] >= threshold))

    def merge(a: int, b: int) -> int:
        return a + b

    return fold_blocks([scores], measure, merge, 0, budget=budget)


def write_mask(
    scores: CubeReader,
    path: Path,
    threshold: float,
    *,
    output: OutputOptions | None = None,
    budget: Budget,
) -> None:
    """Write 1 where a score reaches the threshold, 0 where not, `NO_SCORE` where there is none."""
    made = map_info(scores.info, ["anomalies"], np.uint8, NO_SCORE)
    *before, step = made.provenance
    said = {**step["settings"], "threshold": threshold}
    kept = {key: step[key] for key in ("tool", "command", "input")}
    made = made.replace(provenance=(*before, {**kept, "settings": said}))

    def kernel(blocks: Sequence[Block], outs: Sequence[Block]) -> Sequence[Block]:
        outs[0][...] = blocks[0] >= threshold
        outs[0][np.isnan(blocks[0])] = NO_SCORE
        return outs

    with create_cube(path, made, scores.layout, output) as sink:
        map_blocks([scores], kernel, [sink], budget=budget)
