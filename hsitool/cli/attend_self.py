"""`hsitool attend self`"""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hsitool.cli.app import attend
from hsitool.cli.options import (
    DEFAULT_MEMORY,
    BackgroundFile,
    BandsOption,
    CompressOption,
    CreationOptions,
    CubePath,
    DataFile,
    DeviceOption,
    FocusOption,
    FormatOption,
    Json,
    MaxMemory,
    ModelFile,
    NormName,
    Overwrite,
    Quiet,
    RgbOption,
    TemperatureOption,
    Threads,
    WavelengthsFile,
    budget_of,
    device_of,
    note,
    numbers,
    open_source,
    output_of,
    progress_bar,
    stem_of,
    target_of,
    written,
)
from hsitool.cli.said import said_options
from hsitool.errors import UsageError

if TYPE_CHECKING:
    from hsitool.device import Device
    from hsitool.engine.plan import Budget
    from hsitool.storage.readers import CubeReader
    from hsitool.storage.writers import OutputOptions
    from hsitool.tasks.attend_self import Related, SelfSettings
    from hsitool.tasks.spectrum import Place


class AxisName(StrEnum):
    """What relates."""

    pixels = "pixels"
    bands = "bands"


class ScoreName(StrEnum):
    """How alike two are."""

    cosine = "cosine"
    dot = "dot"
    gauss = "gauss"


@attend.command(
    name="self",
    epilog="Example:  hsitool attend self cube.tif --at 120,340 --at 88,15 -o relate.tif",
)
def relate(
    context: typer.Context,
    cube: CubePath,
    at: Annotated[
        list[str] | None,
        typer.Option("--at", metavar="ROW,COL", help="A query pixel, from 0; may be repeated."),
    ] = None,
    xy: Annotated[
        list[str] | None,
        typer.Option("--xy", metavar="X,Y", help="One by its place in the cube's CRS; likewise."),
    ] = None,
    axis: Annotated[
        AxisName, typer.Option(help="Relate pixels, or all bands with all (a CSV or picture).")
    ] = AxisName.pixels,
    score: Annotated[
        ScoreName, typer.Option(help="Of the components: angle, product, or distance.")
    ] = ScoreName.cosine,
    focus: FocusOption = None,
    temperature: TemperatureOption = None,
    norm: Annotated[
        NormName, typer.Option(help="From scores to weights; sparsemax leaves no haze.")
    ] = NormName.softmax,
    components: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Principal components to use; by default those above noise."
        ),
    ] = None,
    qk: Annotated[
        Path | None,
        typer.Option(metavar="W.npz", help="Your own W_Q, W_K and W_V (bands x d) instead."),
    ] = None,
    bands: BandsOption = None,
    background: BackgroundFile = None,
    model: ModelFile = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A band of weights for each query pixel; the default is <CUBE's name>_self.tif in "
            "the current folder. With --axis bands a .csv, .png, .svg or .pdf.",
            show_default=False,
        ),
    ] = None,
    z: Annotated[
        Path | None,
        typer.Option(
            "--z",
            metavar="FILE",
            help="Also write Z = A V: of the query pixels (.csv), or of the whole cube (a raster; "
            "all pairs, so mind the time).",
        ),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(metavar="W", help="For --z of a cube: attend to W x W pixels only."),
    ] = None,
    overlay: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Draw the weights over the scene (matplotlib)."),
    ] = None,
    rgb: RgbOption = None,
    device: DeviceOption = "auto",
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
    """Tell which pixels a pixel resembles: its row of the N x N attention weights, as an image.

    Which matrix to read? A = softmax(Q K' / sqrt(d)) relates: its row i says how much each pixel j
    contributes to pixel i, and sums to 1; that row is the map written here. Z = A V is what comes
    out of it: a new feature for each pixel, the mean of all values by these weights, and no table
    of relations. A is not symmetric: i may need j more than j needs i. And a weight says "alike
    under this score", not "caused by".

    A row is exact and takes one pass over the cube; all N x N are never held. --z writes Z.
    """
    from hsitool.tasks.attend_self import SelfSettings, refuse_settings

    settings = SelfSettings(
        score=score.value,
        focus=focus,
        temperature=temperature,
        norm=norm.value,
        components=components,
        bands=bands,
        model=model,
        background=background,
        qk=qk,
    )
    refuse_settings(settings)
    budget = budget_of(max_memory, threads)
    options = output_of(form, compress, creation, overwrite, budget)
    with ExitStack() as stack:
        source = stack.enter_context(open_source(cube, data, wavelengths))
        run = _Run(source, settings, options, budget, quiet)
        if axis is AxisName.bands:
            others = {"--at": at, "--xy": xy, "--z": z, "--window": window, "--overlay": overlay}
            run.bands(output or Path(f"{stem_of(cube)}_bands.csv"), others)
            return
        places = _places(source, at or [], xy or [])
        table = z if z is not None and z.suffix.lower() == ".csv" else None
        raster = None if table is not None else z
        _refuse(places, output, table, raster, window, overlay)
        where = device_of(device if raster is not None or device != "auto" else "cpu")
        target = target_of(output, cube, "self", form) if places else None
        options = replace(options, lines=_lines(context, cube, target, raster))
        run = _Run(source, settings, options, budget, quiet)
        _check_outputs(target, raster, [p for p in (table, overlay) if p is not None], options)
        if overlay is not None:
            from hsitool.drawing import check_plot

            check_plot(overlay, overwrite)
        if target is not None:
            said = run.rows(target, places, table, overlay, rgb)
            if as_json:
                typer.echo(json.dumps(said))
            else:
                written(target, options)
                for path in (table, overlay):
                    if path is not None:
                        typer.echo(path)
        if raster is not None:
            run.values(raster, window, where)
            if not as_json:
                written(raster, options)


def _lines(
    context: typer.Context, cube: Path, target: Path | None, raster: Path | None
) -> dict[Path, tuple[str, ...]]:
    """The command line that makes each output."""
    found = {}
    if target is not None:
        others = {"--output", "--z", "--window", "--overlay", "--rgb"}
        found[target] = (str(cube), *said_options(context, others), "--output")
    if raster is not None:
        others = {"--output", "--z", "--at", "--xy", "--overlay", "--rgb"}
        found[raster] = (str(cube), *said_options(context, others), "--z")
    return found


class _Run:
    """What the runs of a command share."""

    def __init__(
        self,
        source: CubeReader,
        settings: SelfSettings,
        options: OutputOptions,
        budget: Budget,
        quiet: bool,
    ) -> None:
        self.source, self.settings, self.options = source, settings, options
        self.budget, self.quiet = budget, quiet

    def rows(
        self,
        target: Path,
        places: list[Place],
        table: Path | None,
        overlay: Path | None,
        rgb: str | None,
    ) -> dict[str, Any]:
        """Write the rows of pixels, and what goes with them; the report."""
        from hsitool.storage.texts import text_file
        from hsitool.tasks import attend_self as task
        from hsitool.tasks import attend_self_report as reports
        from hsitool.tasks.attend_values import values_of_rows, values_table

        with progress_bar("attend self", self.quiet) as bar, ExitStack() as stack:
            options: dict[str, Any] = {"budget": self.budget, "progress": bar}
            found = stack.enter_context(
                task.related(self.source, places, self.settings, target, **options)
            )
            if table is not None:
                file = stack.enter_context(text_file(table, overwrite=self.options.overwrite))
                file.write(values_table(found, values_of_rows(found, bar)))
            if overlay is not None:
                self._draw(stack, found, overlay, rgb)
            reports.write_rows(found, target, self.settings, self.options)
            for line in reports.lines(found):
                note(line, self.quiet)
            return reports.report(found, self.settings)

    def _draw(self, stack: ExitStack, found: Related, overlay: Path, rgb: str | None) -> None:
        from hsitool.drawing import picture_file
        from hsitool.drawing.overlay import draw_overlay
        from hsitool.tasks.attend_view import Shown, views_of

        shown = [
            Shown(
                row.scores,
                row.attention,
                f"'{row.query.name}', {row.attention.norm}, {row.attention.ess:.4g} of "
                f"{found.pixels} pixels",
                row.place,
            )
            for row in found.rows
        ]
        save = stack.enter_context(picture_file(overlay, self.options.overwrite))
        used = found.space.pixels.bands[0]
        save(draw_overlay(*views_of(self.source, used, shown, rgb, found.budget)))

    def values(self, target: Path, window: int | None, device: Device) -> None:
        """Write Z of the whole cube."""
        from hsitool.tasks.attend_values import write_values

        with progress_bar("attend self --z", self.quiet) as bar:
            write_values(
                self.source,
                target,
                self.settings,
                window=window,
                device=device,
                output=self.options,
                budget=self.budget,
                progress=bar,
            )

    def bands(self, target: Path, others: dict[str, Any]) -> None:
        """Write the matrix of all bands."""
        from hsitool.drawing import check_plot, save_picture
        from hsitool.drawing.band_matrix import draw_band_matrix
        from hsitool.storage.atomic import refuse_existing
        from hsitool.storage.texts import write_text
        from hsitool.tasks.attend_band_matrix import band_matrix, matrix_table

        if strange := [name for name, value in others.items() if value]:
            raise UsageError(f"--axis bands has no pixels: leave {strange[0]} out")
        is_table, overwrite = target.suffix.lower() == ".csv", self.options.overwrite
        if is_table:
            refuse_existing([target], overwrite)
        else:
            check_plot(target, overwrite)
        with progress_bar("attend self", self.quiet) as bar:
            found = band_matrix(self.source, self.settings, budget=self.budget, progress=bar)
        if is_table:
            write_text(target, matrix_table(found), overwrite=overwrite)
        else:
            save_picture(draw_band_matrix(found), target, overwrite)
        typer.echo(target)


def _places(source: CubeReader, at: list[str], xy: list[str]) -> list[Place]:
    """The query pixels, each once."""
    from hsitool.tasks import spectrum as places

    found = []
    for text in at:
        row, column = numbers(text, 2, "--at", "ROW,COL")
        found.append(places.at(source.info, row, column))
    for text in xy:
        x, y = numbers(text, 2, "--xy", "X,Y")
        found.append(places.at_xy(source.info, x, y))
    pixels = [(place.row, place.column) for place in found]
    for number, pixel in enumerate(pixels):
        if pixel in pixels[:number]:
            raise UsageError(f"the pixel at row {pixel[0]}, column {pixel[1]} is asked for twice")
    return found


def _refuse(
    places: list[Place],
    output: Path | None,
    table: Path | None,
    raster: Path | None,
    window: int | None,
    overlay: Path | None,
) -> None:
    """Refuse what does not go together."""
    if not places and raster is None:
        raise UsageError("no query pixel: give --at or --xy (or --z z.tif for all of them)")
    for name, path in (("-o", output), ("--z FILE.csv", table), ("--overlay", overlay)):
        if path is not None and not places:
            raise UsageError(f"{name} is about query pixels: give --at or --xy")
    if window is not None and raster is None:
        raise UsageError("--window goes with --z of a whole cube: rows are exact without it")


def _check_outputs(
    target: Path | None, raster: Path | None, others: list[Path], options: OutputOptions
) -> None:
    """Refuse before the work what could not be written after it."""
    from hsitool.tasks.score_maps import refuse_outputs

    rasters = [path for path in (target, raster) if path is not None]
    refuse_outputs(rasters, options, others)
