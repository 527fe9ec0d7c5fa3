"""What the verbs of `attend` share: a query, its scores, and how far weights spread."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hsitool.cli.options import NormName, factor_of, numbers
from hsitool.errors import UsageError

if TYPE_CHECKING:
    from hsitool.storage.readers import CubeReader
    from hsitool.tasks.attend_query import Asked


QueryOption = Annotated[
    str | None,
    typer.Option(
        "--query",
        metavar="FILE[:NAME]",
        help="A spectrum: a table, a spectral library, an ASD file.",
    ),
]
RoiOption = Annotated[
    Path | None,
    typer.Option("--roi", metavar="FILE", help="The mean of polygons (GeoJSON) or of a mask."),
]
QueryScale = Annotated[
    float,
    typer.Option("--query-scale", metavar="N", help="Factor for the spectrum of --query."),
]
ScoreOption = Annotated[
    str,
    typer.Option(
        "--score",
        metavar="ace|mf|sam|sid|rx|edge|FILE",
        help="Likeness, or another score; a raster's.",
    ),
]
NormOption = Annotated[
    NormName,
    typer.Option("--norm", help="From scores to weights; softmax leaves a haze."),
]


def asked_of(
    source: CubeReader,
    query: str | None,
    scale: float,
    roi: Path | None,
    at: str | None = None,
    xy: str | None = None,
) -> Asked | None:
    """Where the query comes from.

    Raises:
        UsageError: more than one, or a factor without a spectrum.
    """
    from hsitool.tasks import spectrum as places
    from hsitool.tasks.attend_query import Asked

    given = [text for text in (query, at, xy, roi) if text is not None]
    if len(given) > 1:
        raise UsageError("more than one query: give one of --query, --at, --xy and --roi")
    if scale != 1 and query is None:
        raise UsageError("--query-scale goes with --query")
    if query is not None:
        return Asked(spectrum=query, scale=factor_of(scale, "--query-scale"))
    if at is not None:
        row, column = numbers(at, 2, "--at", "ROW,COL")
        return Asked(place=places.at(source.info, row, column))
    if xy is not None:
        x, y = numbers(xy, 2, "--xy", "X,Y")
        return Asked(place=places.at_xy(source.info, x, y))
    return None if roi is None else Asked(region=roi)


LARGEST_SIDE = 2**20


def size_of(text: str) -> tuple[int, int]:
    """Rows and columns, of `64` or `64x48`.

    Raises:
        UsageError: neither, or beyond any image.
    """
    match = re.fullmatch(r"\s*(\d{1,9})(?:\s*[x,]\s*(\d{1,9}))?\s*", text)
    sides = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not (min(sides) > 0 and max(sides) <= LARGEST_SIDE):
        raise UsageError(f"--size '{text}' is no size: write rows, or ROWSxCOLUMNS, as 64 or 64x48")
    return sides
