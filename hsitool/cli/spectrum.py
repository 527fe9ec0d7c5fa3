"""`hsitool spectrum`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hsitool.cli.app import app
from hsitool.cli.options import (
    CubePath,
    DataFile,
    Json,
    Quiet,
    WavelengthsFile,
    numbers,
    open_source,
)
from hsitool.errors import UsageError

if TYPE_CHECKING:
    from hsitool.cube import CubeInfo
    from hsitool.tasks.spectrum import Place


@app.command(epilog="Example:  hsitool spectrum cube.tif --at 120,35 > leaf.csv")
def spectrum(
    cube: CubePath,
    at: Annotated[
        list[str] | None,
        typer.Option("--at", metavar="ROW,COL", help="A pixel, counted from 0; repeatable."),
    ] = None,
    xy: Annotated[
        list[str] | None,
        typer.Option("--xy", metavar="X,Y", help="A place in the cube's CRS; repeatable."),
    ] = None,
    lonlat: Annotated[
        list[str] | None,
        typer.Option("--lonlat", metavar="LON,LAT", help="A place in WGS 84; repeatable."),
    ] = None,
    points: Annotated[
        Path | None,
        typer.Option("--points", metavar="FILE", help="Places from a CSV or GeoJSON file."),
    ] = None,
    mean: Annotated[bool, typer.Option("--mean", help="Print the mean of all places.")] = False,
    data: DataFile = None,
    wavelengths: WavelengthsFile = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Print the spectra of places as CSV: band, wavelength_nm, one column a place."""
    from hsitool.tasks import spectrum as task

    with open_source(cube, data, wavelengths, once=True) as source:
        places = _places(source.info, at or [], xy or [], lonlat or [])
        if points is not None:
            places += task.places_of(source.info, points)
        if not places:
            raise UsageError("no place: give --at ROW,COL, --xy X,Y, --lonlat LON,LAT or --points")
        found = task.spectra(source, places)
    if mean:
        found = found.mean()
    typer.echo(task.as_json(found) + "\n" if as_json else task.as_csv(found), nl=False)


def _places(info: CubeInfo, at: list[str], xy: list[str], lonlat: list[str]) -> list[Place]:
    from hsitool.tasks import spectrum as task

    groups = (
        (at, "--at", "ROW,COL", task.at),
        (xy, "--xy", "X,Y", task.at_xy),
        (lonlat, "--lonlat", "LON,LAT", task.at_lonlat),
    )
    places = []
    for texts, option, form, find in groups:
        for text in texts:
            first, second = numbers(text, 2, option, form)
            places.append(find(info, first, second))
    return places
