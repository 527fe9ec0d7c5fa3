"""The files of glimpses: windows of a cube as they are in it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from hsitool.cube import CubeInfo, Tile
from hsitool.errors import UsageError
from hsitool.maths.spectra.missing import MissingRule
from hsitool.storage.readers import CubeReader
from hsitool.storage.writers import CubeWriter, OutputOptions, create_cube, output_paths
from hsitool.tasks.glimpse_places import GlimpseSettings
from hsitool.tasks.provenance import with_step

TABLE = "glimpses.csv"
CHIP_BYTES = 2**25
"""Of samples that are copied at a time."""


@dataclass(frozen=True)
class Glimpse:
    """One crop.

    Attributes:
        number: from 1.
        row: of its centre, a whole number in the middle of a pixel.
        column: likewise.
        x: in the cube's coordinates, or None.
        y: likewise.
        logp: natural logarithm of the density of the centre, given those before it.
        window: what it is of the cube; with "pad" it may leave it.
        share: the part of all weight in it, where it is one of the best boxes.
    """

    number: int
    row: float
    column: float
    x: float | None
    y: float | None
    logp: float
    window: Tile
    share: float | None = None


def chip_paths(folder: Path, count: int, output: OutputOptions) -> list[Path]:
    """The crops, by the file to tell the user of each."""
    digits = max(4, len(str(count)))
    suffix = ".img" if output.format == "envi" else ".tif"
    return [folder / f"glimpse_{number:0{digits}}{suffix}" for number in range(1, count + 1)]


def names_of(count: int, output: OutputOptions) -> list[str]:
    """Of all files, the table last."""
    paths = chip_paths(Path(), count, output)
    return [*(own.name for path in paths for own in output_paths(path, output)), TABLE]


CHIP = re.compile(r"glimpse_\d{4,}\.(tif|img|hdr)(\.aux\.xml)?")


def former_chips(folder: Path, names: Sequence[str]) -> list[str]:
    """Crops of a former run in the folder, which its new table does not speak of."""
    if not (folder / TABLE).is_file():
        return []
    present = sorted(path.name for path in folder.iterdir())
    return [name for name in present if CHIP.fullmatch(name) and name not in names]


def write_chip(
    source: CubeReader, one: Glimpse, settings: GlimpseSettings, part: Path, output: OutputOptions
) -> None:
    """Copy a window, row by row where it is large."""
    path = chip_paths(part, settings.count, output)[one.number - 1]
    made, fill = source.info.with_window(one.window), fill_of(source, settings)
    if not _holds(source.info, one.window) and source.info.nodata is None:
        made = made.replace(nodata=fill)
    said = {
        "window": list(vars(one.window).values()),
        "centre": [one.row, one.column],
        "sigma": settings.sigma,
        "edge": settings.edge,
        "seed": settings.seed,
    }
    made = with_step(made, "attend glimpse", source.path, said)
    with create_cube(path, made, source.layout, output) as sink:
        for strip in _strips(made, sink):
            block = sink.block(strip)
            _read_window(source, strip.moved(one.window.row, one.window.column), block, fill)
            sink.write(strip, block)


def _strips(made: CubeInfo, sink: CubeWriter) -> Iterator[Tile]:
    """All of a crop in whole blocks of the output."""
    rows = CHIP_BYTES // max(1, sink.buffer_bytes(Tile(0, 0, 1, made.columns)))
    height = max(1, rows // sink.layout.block_rows) * sink.layout.block_rows
    for row in range(0, made.rows, height):
        yield Tile(row, 0, min(height, made.rows - row), made.columns)


def _read_window(source: CubeReader, tile: Tile, block: NDArray[Any], fill: float | None) -> None:
    """A tile of the cube into a block; `fill` where it leaves the cube."""
    info = source.info
    row, column = max(tile.row, 0), max(tile.column, 0)
    height = min(tile.row + tile.height, info.rows) - row
    width = min(tile.column + tile.width, info.columns) - column
    if not _holds(info, tile):
        block[...] = fill
    if height > 0 and width > 0:
        own = Tile(row - tile.row, column - tile.column, height, width)
        block[:, *own.slices] = source.read(Tile(row, column, height, width))


def _holds(info: CubeInfo, tile: Tile) -> bool:
    last = tile.row + tile.height, tile.column + tile.width
    return min(tile.row, tile.column) >= 0 and last[0] <= info.rows and last[1] <= info.columns


def fill_of(source: CubeReader, settings: GlimpseSettings) -> float | None:
    """What stands for no data beyond the cube.

    Raises:
        UsageError: crops may leave the cube, and no sample of its type means that.
    """
    info = source.info
    if settings.edge != "pad":
        return None
    if MissingRule(info.dtype, info.nodata).nodata is not None:
        return info.nodata
    if info.dtype.kind in "fc":
        return math.nan
    raise UsageError(
        f"--edge pad: {source.path} has no nodata value to pad {info.dtype} samples with: declare "
        "one (hsitool convert --nodata), or give --edge shift"
    )
