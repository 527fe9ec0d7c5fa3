"""`hsitool attend glimpse`"""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hsitool.cli.app import attend
from hsitool.cli.attend_options import (
    NormOption,
    QueryOption,
    QueryScale,
    RoiOption,
    asked_of,
    size_of,
)
from hsitool.cli.options import (
    DEFAULT_MEMORY,
    BackgroundFile,
    BandsOption,
    CompressOption,
    CreationOptions,
    CubePath,
    DataFile,
    FocusOption,
    FormatOption,
    Json,
    MaxMemory,
    ModelFile,
    NormName,
    Overwrite,
    Quiet,
    ShrinkOption,
    Threads,
    WavelengthsFile,
    budget_of,
    note,
    numbers,
    open_source,
    output_of,
    progress_bar,
    shrink_of,
    stem_of,
)
from hsitool.errors import UsageError

if TYPE_CHECKING:
    from hsitool.storage.readers import CubeReader
    from hsitool.tasks.attend_glimpse import GlimpseSource
    from hsitool.tasks.attend_look import MaskSettings
    from hsitool.tasks.attend_query import Asked
    from hsitool.tasks.glimpse_chips import Glimpse


class EdgeName(StrEnum):
    """What becomes of crops that would leave the cube."""

    reject = "reject"
    shift = "shift"
    pad = "pad"


@attend.command(
    epilog="Example:  hsitool attend glimpse cube.tif --from mask.tif --size 64 --count 20 -o chips"
)
def glimpse(
    cube: CubePath,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="ROW,COL", help="Around a pixel, counted from 0."),
    ] = None,
    xy: Annotated[
        str | None,
        typer.Option("--xy", metavar="X,Y", help="Around a place in the cube's CRS."),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="MASK.tif",
            help="Around pixels drawn by their weight in a raster, as that of attend mask.",
        ),
    ] = None,
    best: Annotated[
        bool,
        typer.Option("--best", help="The boxes that hold most weight and do not overlap."),
    ] = False,
    query: QueryOption = None,
    query_scale: QueryScale = 1.0,
    roi: RoiOption = None,
    score: Annotated[
        str | None,
        typer.Option(
            "--score",
            metavar="ace|mf|sam|sid|rx|edge|FILE",
            help="Weigh pixels as attend mask does.  [default: ace; rx without a query]",
            show_default=False,
        ),
    ] = None,
    focus: FocusOption = None,
    norm: NormOption = NormName.sparsemax,
    bands: BandsOption = None,
    background: BackgroundFile = None,
    model: ModelFile = None,
    shrink: ShrinkOption = None,
    size: Annotated[
        str, typer.Option("--size", metavar="H[xW]", help="Rows and columns of the crops.")
    ] = "64",
    sigma: Annotated[
        float | None,
        typer.Option(
            "--sigma",
            metavar="S",
            help="Draw centres from a normal distribution of S pixels around the places.",
        ),
    ] = None,
    count: Annotated[int, typer.Option("--count", metavar="N", help="How many crops.")] = 1,
    replace: Annotated[
        bool, typer.Option("--replace", help="A pixel may be drawn by its weight again.")
    ] = False,
    edge: Annotated[
        EdgeName,
        typer.Option(
            help="Draw only crops inside the cube, shift others into it, or pad with nodata."
        ),
    ] = EdgeName.reject,
    seed: Annotated[
        int, typer.Option("--seed", metavar="K", min=0, help="Of the random numbers.")
    ] = 0,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Folder of the crops and of glimpses.csv; it is made where it is missing. The "
            "default is <CUBE's name>_glimpses in the current folder.",
            show_default=False,
        ),
    ] = None,
    form: FormatOption = None,
    compress: CompressOption = None,
    creation: CreationOptions = None,
    data: DataFile = None,
    wavelengths: WavelengthsFile = None,
    overwrite: Overwrite = False,
    max_memory: MaxMemory = DEFAULT_MEMORY,
    threads: Threads = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Crop a cube around a place, around pixels drawn by attention, or where it is densest.

    Crops hold the cube's samples as they are, with their place on the map and all that the cube
    says. glimpses.csv holds the centre of each and the logarithm of its density.
    """
    from hsitool.tasks import attend_glimpse as task
    from hsitool.tasks.attend_look import MaskSettings
    from hsitool.tasks.glimpse_chips import chip_paths
    from hsitool.tasks.glimpse_places import GlimpseSettings

    budget = budget_of(max_memory, threads)
    options = output_of(form, compress, creation, overwrite, budget)
    settings = GlimpseSettings(size_of(size), sigma, count, seed, edge.value, best, replace)
    look = MaskSettings(
        score=score or ("ace" if query or roi else "rx"),
        focus=focus,
        norm=norm.value,
        bands=bands,
        background=background,
        model=model,
        shrink=None if shrink is None else shrink_of(shrink),
    )
    folder = output or Path(f"{stem_of(cube)}_glimpses")
    with open_source(cube, data, wavelengths) as source:
        asked = asked_of(source, query, query_scale, roi)
        where = _where(source, at, xy, mask, best, asked, look if score or asked else None)
        if where.look is None and look != MaskSettings(score="rx"):
            raise UsageError(
                "--focus, --norm, --bands, --background, --model and --shrink say how pixels are "
                "weighed: they go with --query, --roi or --score"
            )
        if where.look is not None and not (score or asked):
            note("--best without a query: weights by what is odd (--score rx)", quiet)
        with progress_bar("attend glimpse", quiet) as progress:
            found = task.glimpse(
                source, where, settings, folder, output=options, budget=budget, progress=progress
            )
        paths = chip_paths(folder, count, options)
        if as_json:
            typer.echo(json.dumps(task.report(source, found, settings, paths)))
            return
    _tell(found, quiet)
    for path in (*paths, folder / "glimpses.csv"):
        typer.echo(path)


def _where(
    source: CubeReader,
    at: str | None,
    xy: str | None,
    mask: Path | None,
    best: bool,
    asked: Asked | None,
    look: MaskSettings | None,
) -> GlimpseSource:
    """What crops are around: one thing, or what is odd where only the best boxes are asked for."""
    from hsitool.tasks.attend_glimpse import GlimpseSource, place_at, place_at_xy
    from hsitool.tasks.attend_look import MaskSettings

    given = [thing for thing in (at, xy, mask, look) if thing is not None]
    if len(given) > 1:
        raise UsageError(
            "crops are around one thing: give one of --at, --xy, --from, and --query, --roi or "
            "--score"
        )
    if not given and not best:
        raise UsageError(
            "crops around what? give --at, --xy, --from MASK, --query, --roi, --score or --best"
        )
    if (at or xy) and best:
        raise UsageError("--best finds places, --at and --xy name one: leave one out")
    if at is not None:
        row, column = numbers(at, 2, "--at", "ROW,COL")
        return GlimpseSource(place=place_at(source.info, row, column))
    if xy is not None:
        x, y = numbers(xy, 2, "--xy", "X,Y")
        return GlimpseSource(place=place_at_xy(source.info, x, y))
    if mask is not None:
        return GlimpseSource(mask=mask)
    return GlimpseSource(look=look or MaskSettings(score="rx"), asked=asked)


def _tell(found: Sequence[Glimpse], quiet: bool) -> None:
    """How much of the weight the best boxes hold."""
    shares = [one.share for one in found if one.share is not None]
    if shares:
        listed = ", ".join(f"{share:.1%}" for share in shares[:8])
        more = ", ..." if len(shares) > 8 else ""
        note(f"the best boxes hold {listed}{more} of the weight", quiet)
