"""`hsitool attend glimpse`: crops of a cube around places, and a table of their centres."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsitool.cube import CubeInfo, Tile
from hsitool.engine.blocks import Progress
from hsitool.engine.plan import Budget
from hsitool.errors import UsageError
from hsitool.maths.attention.around import SUPPORT, Valid, check_sigma
from hsitool.maths.attention.crops import Crops, Place
from hsitool.maths.attention.glimpses import around
from hsitool.storage.folders import files_of_folder, refuse_folder
from hsitool.storage.readers import CubeReader
from hsitool.storage.writers import OutputOptions, refuse_inputs
from hsitool.tasks import spectrum
from hsitool.tasks.attend_look import MaskSettings, look_at, refuse_settings
from hsitool.tasks.attend_query import Asked
from hsitool.tasks.glimpse_chips import (
    TABLE,
    Glimpse,
    fill_of,
    former_chips,
    names_of,
    write_chip,
)
from hsitool.tasks.glimpse_places import (
    AttentionMap,
    GlimpseSettings,
    Places,
    best_places,
    drawn_places,
    map_of_file,
    map_of_look,
    validity,
    validity_of_look,
)
from hsitool.tasks.presence import presence

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class GlimpseSource:
    """Where glimpses come from: a place, a raster of weights, or a look at the cube."""

    place: Place | None = None
    mask: Path | None = None
    look: MaskSettings | None = None
    asked: Asked | None = None


def place_at(info: CubeInfo, row: float, column: float) -> Place:
    """A place by its row and column, which are whole numbers in the middle of pixels.

    Raises:
        UsageError: outside the cube.
    """
    spectrum.at(info, row, column)
    return row, column


def place_at_xy(info: CubeInfo, x: float, y: float) -> Place:
    """A place in the cube's coordinates, between pixels where it is.

    Raises:
        UsageError: outside the cube, or the cube has no transform.
    """
    column, row = spectrum.place_of_xy(info, x, y)
    return row - 0.5, column - 0.5


def refuse_glimpses(source: CubeReader, where: GlimpseSource, settings: GlimpseSettings) -> None:
    """Refuse what cannot be carried out, before the work.

    Raises:
        UsageError: says what.
    """
    if settings.count < 1:
        raise UsageError(f"--count {settings.count}: ask for 1 glimpse or more")
    if settings.sigma is not None:
        check_sigma(settings.sigma)
    settings.crops(source.info)
    fill_of(source, settings)
    if settings.best and settings.replace:
        raise UsageError("--replace goes with pixels that are drawn, not with --best")
    if where.look is not None:
        refuse_settings(where.look, where.asked)


def glimpse(
    source: CubeReader,
    where: GlimpseSource,
    settings: GlimpseSettings,
    folder: Path,
    *,
    output: OutputOptions | None = None,
    budget: Budget | None = None,
    progress: Progress | None = None,
) -> list[Glimpse]:
    """Draw glimpses, and write them and their table into a folder.

    Args:
        source: the cube.
        where: what they are drawn around.
        settings: how many, how large and how.
        folder: where files go; it is made where it is missing.
        output: format and compression of the crops, and whether files may be replaced.
        budget: memory and threads.
        progress: told of every tile of every pass over the cube.

    Raises:
        UsageError: settings that cannot be carried out, or files that may not be replaced.
        DataError: too few pixels have data or weight, or a file fails.
    """
    output, budget = output or OutputOptions(), budget or Budget()
    refuse_glimpses(source, where, settings)
    names = names_of(settings.count, output)
    refuse_folder(folder, names, output.overwrite)
    refuse_inputs((), _inputs(source, where), others=[folder / name for name in names])
    rng, crops = np.random.default_rng(settings.seed), settings.crops(source.info)
    with _places(source, where, settings, folder, rng, budget, progress) as (places, valid):
        centres, logp = around(places.places, settings.sigma, crops, valid, rng)
    found = _found(source.info, crops, centres, places, places.logp + logp)
    with files_of_folder(folder, names, former_chips(folder, names)) as part:
        for one in found:
            write_chip(source, one, settings, part, output)
        (part / TABLE).write_text(table(found), "utf-8")
    return found


def _inputs(source: CubeReader, where: GlimpseSource) -> list[Path | None]:
    """All files that are read."""
    look, asked = where.look, where.asked
    read = [*source.files, where.mask]
    if look is not None:
        read += [look.background, look.model, Path(look.score) if look.is_file else None]
    return read if asked is None else [*read, asked.region, asked.file]


@contextmanager
def _places(
    source: CubeReader,
    where: GlimpseSource,
    settings: GlimpseSettings,
    folder: Path,
    rng: np.random.Generator,
    budget: Budget,
    progress: Progress | None,
) -> Iterator[tuple[Places, Valid | None]]:
    """What glimpses are drawn around, and which pixels may be their centres."""

    def of(found: AttentionMap) -> Places:
        if settings.best:
            return best_places(found, settings)
        return drawn_places(found, settings, rng)

    with ExitStack() as stack:
        if where.look is not None:
            look = stack.enter_context(
                look_at(source, where.look, where.asked, folder, budget=budget, progress=progress)
            )
            yield of(map_of_look(look)), validity_of_look(look)
            return
        near = None if where.place is None else _near(where.place, settings.sigma)
        there = stack.enter_context(presence(source, folder, budget, near, progress))
        if where.place is not None:
            places = Places([where.place] * settings.count, np.zeros(settings.count))
        else:
            assert where.mask is not None
            places = of(stack.enter_context(map_of_file(where.mask, source.info, there)))
        yield places, validity(there)


def _near(place: Place, sigma: float | None) -> Callable[[Tile], bool]:
    """Whether a tile holds pixels that may become centres."""
    reach = SUPPORT * (sigma or 0.0) + 1

    def near(tile: Tile) -> bool:
        first, last = (tile.row, tile.column), (tile.row + tile.height, tile.column + tile.width)
        return all(
            a - reach <= at <= b + reach for a, at, b in zip(first, place, last, strict=True)
        )

    return near


def _found(
    info: CubeInfo, crops: Crops, centres: Sequence[Place], places: Places, logp: Floats
) -> list[Glimpse]:
    shares = places.shares or (None,) * len(centres)
    found = []
    for number, (centre, own, share) in enumerate(
        zip(centres, logp.tolist(), shares, strict=True), 1
    ):
        window = Tile(*crops.corner(*centre), crops.height, crops.width)
        row, column = map(float, centre)
        x, y = _on_map(info, row, column)
        found.append(Glimpse(number, row, column, x, y, own, window, share))
    return found


def _on_map(info: CubeInfo, row: float, column: float) -> tuple[float | None, float | None]:
    if info.transform is None:
        return None, None
    a, b, c, d, e, f = info.transform
    right, down = column + 0.5, row + 0.5
    return a * right + b * down + c, d * right + e * down + f


def table(found: Sequence[Glimpse]) -> str:
    """A CSV with a line for each glimpse."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["id", "row", "col", "x", "y", "logp"])
    for one in found:
        values = (one.row, one.column, one.x, one.y, one.logp)
        lines.writerow([one.number, *map(_cell, values)])
    return text.getvalue()


def _cell(value: float | None) -> str:
    """All digits; whole numbers as such."""
    return "" if value is None else repr(value).removesuffix(".0")


def report(
    source: CubeReader, found: Sequence[Glimpse], settings: GlimpseSettings, paths: Sequence[Path]
) -> dict[str, Any]:
    """One object for programs."""
    listed = [
        {
            "id": one.number,
            "file": str(path),
            "row": one.row,
            "col": one.column,
            "x": one.x,
            "y": one.y,
            "logp": one.logp,
            "window": list(vars(one.window).values()),
            "share": one.share,
        }
        for one, path in zip(found, paths, strict=True)
    ]
    return {
        "cube": str(source.path),
        "size": list(settings.size),
        "sigma": settings.sigma,
        "edge": settings.edge,
        "seed": settings.seed,
        "glimpses": listed,
    }
