"""Rasters of scores on the grid of a cube."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from hsitool.cube import CubeInfo, Tile
from hsitool.device import on_cpu
from hsitool.engine.blocks import Progress, map_blocks
from hsitool.engine.plan import Budget
from hsitool.errors import DataError
from hsitool.storage.atomic import refuse_existing
from hsitool.storage.raw import Block
from hsitool.storage.readers import CubeReader
from hsitool.storage.writers import (
    CubeWriter,
    OutputOptions,
    create_cube,
    output_paths,
    refuse_twins,
)
from hsitool.tasks.pixels import Pixels
from hsitool.tasks.provenance import with_step

Floats = NDArray[np.float64]

NAMESPACE = "HSITOOL"
"""Of the tags that say how scores were made."""


def map_info(
    info: CubeInfo,
    names: Sequence[str],
    dtype: DTypeLike = np.float32,
    nodata: float = float("nan"),
) -> CubeInfo:
    """The description of a raster on the grid of a cube, with a band for each name.

    What is said of the place and by the user stays; what is said of the cube's bands does not.
    """
    spectral = ("wavelength_nm", "fwhm_nm", "good", "units", "scale", "offset", "color")
    return (
        info.with_new_pixels()
        .with_bands([0] * len(names))
        .replace(
            **dict.fromkeys((*spectral, "band_tags", "former_nodata")),
            header={k: v for k, v in info.header.items() if k != "default bands"},
            names=tuple(names),
            dtype=np.dtype(dtype),
            nodata=nodata,
            noise_correlated=False,
        )
    )


def score_info(
    info: CubeInfo, names: Sequence[str], command: str, source: Path, settings: Mapping[str, Any]
) -> CubeInfo:
    """The description of scores; the settings become tags and the last step of the provenance."""
    made = with_step(map_info(info, names), command, source, settings)
    said = {key.upper(): str(value) for key, value in settings.items() if value is not None}
    return made.replace(tags={**made.tags, NAMESPACE: said})


def refuse_outputs(
    targets: Sequence[Path], output: OutputOptions | None, others: Sequence[Path] = ()
) -> None:
    """Refuse outputs before the work that a model takes, rather than after it.

    `others` are those that are no rasters.

    Raises:
        UsageError: two are the same file, or one exists and may not be overwritten.
    """
    output = output or OutputOptions()
    refuse_twins(targets, output, others)
    for target in targets:
        refuse_existing(output_paths(target, output), output.overwrite)
    refuse_existing(others, output.overwrite)


def write_scores(
    pixels: Pixels,
    target: Path,
    made: CubeInfo,
    score: Callable[[Floats], Floats],
    *,
    output: OutputOptions | None = None,
    budget: Budget,
    progress: Progress | None = None,
) -> None:
    """Write `score` of (bands, pixels) spectra: (maps, pixels), NaN where a pixel is not valid.

    Both are on the device of the pixels.

    Raises:
        DataError: no pixel is.
    """
    with create_cube(target, made, pixels.sources[0].layout, output) as sink:
        fill_scores(pixels, sink, score, budget=budget, progress=progress)


def fill_scores(
    pixels: Pixels,
    sink: CubeWriter,
    score: Callable[[Floats], Floats],
    *,
    budget: Budget,
    progress: Progress | None = None,
) -> None:
    """Write scores into an output that is open; arguments and errors as `write_scores`."""
    scored = list[int]()

    @pixels.device.work()
    def kernel(blocks: Sequence[Block], outs: Sequence[Block]) -> Sequence[Block]:
        (out,) = outs
        tile = Tile(0, 0, *out.shape[1:])
        for piece in pixels.pieces(tile, blocks):
            part = np.full((len(out), *piece.valid.shape), np.nan)
            if piece.valid.any():
                part[:, piece.valid] = on_cpu(score(piece.chosen))
                scored.append(1)
            out[:, piece.inside[0], piece.inside[1]] = part
        return outs

    map_blocks(
        pixels.sources,
        kernel,
        [sink],
        budget=pixels.within(budget),
        bands=pixels.read_bands,
        progress=progress,
    )
    if not scored:
        raise nothing_scored(pixels.sources[0])


class ScoreLines:
    """Takes lines of scores in their order, and writes them to a raster of one band."""

    def __init__(self, sink: CubeWriter) -> None:
        self._sink, self._any = sink, False

    def write(self, row: int, scores: Floats) -> None:
        """Write (lines, columns), from a row on."""
        tile = Tile(row, 0, *scores.shape)
        block = self._sink.block(tile)
        block[0] = scores
        self._sink.write(tile, block)
        self._any = self._any or bool(np.isfinite(scores).any())

    def finish(self, source: CubeReader) -> None:
        """Refuse a raster without any score.

        Raises:
            DataError: naming the cube.
        """
        if not self._any:
            raise nothing_scored(source)


def nothing_scored(source: CubeReader) -> DataError:
    """Why there is no output."""
    return DataError(f"{source.path}: no pixel with data in all used bands can be scored")
