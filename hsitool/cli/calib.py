"""`hsitool calib`"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from hsitool.cli import calib_bands as by_band
from hsitool.cli import calib_options as given
from hsitool.cli.app import app
from hsitool.cli.calib_files import Outputs, reading
from hsitool.cli.calib_idle import Given, refuse_idle
from hsitool.cli.calib_options import (
    BoardModelName,
    ModelName,
    ScannerName,
    TargetName,
)
from hsitool.cli.options import (
    DEFAULT_MEMORY,
    Json,
    MaxMemory,
    Overwrite,
    Quiet,
    Threads,
    WavelengthsFile,
    note,
)
from hsitool.errors import UsageError

if TYPE_CHECKING:
    from hsitool.tasks.calib import CalibrationRun, CalibSettings
    from hsitool.tasks.calib_inputs import Source


@app.command(
    epilog="Example:  hsitool calib photos/ --board 9x6 --square 25mm --pitch 3.45um -o camera.yaml"
)
def calib(
    context: typer.Context,
    images: given.Images = None,
    board: given.BoardOption = None,
    square: given.SquareOption = None,
    target: given.TargetOption = TargetName.chess,
    dictionary: given.DictOption = "DICT_5X5_1000",
    marker: given.MarkerOption = None,
    pitch: given.PitchOption = None,
    pixels_per_mm: given.PixelsPerMm = None,
    sensor: given.SensorOption = None,
    model: given.ModelOption = ModelName.k2,
    no_tangential: given.NoTangential = False,
    board_model: given.BoardModelOption = BoardModelName.auto,
    tol: given.TolOption = "0.1%",
    no_trim: given.NoTrim = False,
    scanner: given.ScannerOption = ScannerName.frame,
    accurate: given.Accurate = False,
    subpix_window: given.SubpixWindow = None,
    subpix_eps: given.SubpixEps = None,
    resize_ok: given.ResizeOk = False,
    corners: given.CornersFile = None,
    points: given.PointsFile = None,
    size: given.SizeOption = None,
    bands: by_band.BandsOption = None,
    ref_band: by_band.RefBand = "auto",
    dk1: by_band.RadialOption = by_band.RadialName.auto,
    mosaic: by_band.MosaicOption = None,
    rig: by_band.RigOption = False,
    wavelengths: WavelengthsFile = None,
    band_shift: by_band.BandShiftFile = None,
    plot: by_band.PlotOption = None,
    output: given.CameraFile = None,
    single_f: given.SingleF = False,
    report: given.ReportOption = None,
    max_rms: given.MaxRms = None,
    require: given.RequireOption = None,
    as_json: Json = False,
    overwrite: Overwrite = False,
    max_memory: MaxMemory = DEFAULT_MEMORY,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Calibrate a camera, and tell whether fx and fy are one focal length or two.

    The answer is a verdict with its interval, then a table. The board can be freed of the
    assumption that it was printed to scale, which is the usual reason for two.
    """
    from hsitool.tasks import calib as task
    from hsitool.tasks import calib_words as words
    from hsitool.tasks.calib_inputs import Source, kind_of, recipe_of

    task.refuse_scanner(scanner.value)
    relative, edge_px = words.tolerance(tol)
    settings = task.CalibSettings(
        model=model.value,
        tangential=not no_tangential,
        board_model=board_model.value,
        trim=not no_trim,
        tol=relative,
        tol_edge_px=edge_px,
        pitch_mm=None if pitch is None else words.pitch_mm(pitch),
        pixels_per_mm=None if pixels_per_mm is None else words.pixels_per_mm(pixels_per_mm),
        sensor_mm=None if sensor is None else words.sensor_mm(sensor),
    )
    inputs, kept = _inputs(images, corners)
    kind = kind_of(inputs, points)
    refuse_idle(context, Given(kind, target, model, bands is not None, rig))
    gates = task.Gates(max_rms, None if require is None else require.value)
    outputs = Outputs(output, report, kept, band_shift, plot, overwrite, quiet)
    outputs.refuse([*inputs, points, wavelengths])
    square_mm = None if square is None else words.length_mm(square, "--square")
    source = Source(
        tuple(inputs),
        words.board(board, square_mm, target.value, dictionary, marker),
        square_mm,
        recipe_of(accurate, subpix_window, subpix_eps),
        resize_ok,
        points,
        None if size is None else words.image_size(size),
        threads,
    )
    if bands is None:
        found = _Found(_calibrated(source, settings, outputs))
    else:
        options = by_band.BandOptions(bands, ref_band, dk1, mosaic, rig, wavelengths, max_memory)
        compared = by_band.calibrate(source, settings, options, outputs)
        found = _Found(compared.run, compared)
    _tell(found, quiet)
    if single_f and not (output or as_json):
        note("--single-f is for -o FILE and --json: the table always has both", quiet)
    _write(found, outputs, single_f)
    _answer(found, single_f, as_json)
    failed = task.failed_gates(found.run, gates)
    for line in failed:
        note(line, False)
    raise typer.Exit(1 if failed else 0)


def _inputs(images: list[Path] | None, corners: Path | None) -> tuple[list[Path], Path | None]:
    """What to calibrate from, and where to keep its corners."""
    if images:
        return images, corners
    if corners is None:
        raise UsageError("nothing to calibrate from: name images, a folder, or --corners FILE")
    from hsitool.storage.corners import check_ending

    check_ending(corners)
    return [corners], None


def _calibrated(source: Source, settings: CalibSettings, outputs: Outputs) -> CalibrationRun:
    """The calibration of one camera, whose corners are kept where asked for."""
    from hsitool.tasks.calib import calibrate_corners
    from hsitool.tasks.calib_inputs import read_source

    with reading(outputs.quiet) as (progress, tell):
        corners = read_source(source, progress, tell)
    outputs.keep_corners(corners.views, len(corners.views))
    return calibrate_corners(corners, settings)


@dataclass(frozen=True)
class _Found:
    """A calibration, and the bands that it is the reference of."""

    run: CalibrationRun
    bands: by_band.ByBand | None = None

    def record(self, single: bool) -> dict[str, Any]:
        """What `--json` prints and `-o camera.json` holds."""
        if self.bands is not None:
            return by_band.band_record(self.bands, single)
        from hsitool.tasks.calib_record import calibration_record

        return calibration_record(self.run, single=single)


def _tell(found: _Found, quiet: bool) -> None:
    """Notes on standard error: every view and band left out, what was assumed."""
    reference, bands = found.run.calibration, found.bands
    refused = (f"{view.name}: not used: {view.reason}" for view in reference.refused)
    notes = () if bands is None else by_band.band_notes(bands)
    for line in (*refused, *notes, *reference.warnings):
        note(line, quiet)
    seconds = found.run.seconds if bands is None else bands.seconds
    note(f"calibrated in {seconds:.2f} s", quiet)


def _write(found: _Found, outputs: Outputs, single: bool) -> None:
    """The camera file, the report, and those about bands."""
    if outputs.camera is not None:
        from hsitool.storage.camera_files import left_out, write_camera

        write_camera(outputs.camera, found.record(single), overwrite=outputs.overwrite)
        if (told := left_out(outputs.camera)) is not None:
            note(told, outputs.quiet)
    if outputs.report is not None:
        from hsitool.drawing.calib_report import write_report

        write_report(found.run, outputs.report, outputs.overwrite, found.bands)
    if found.bands is not None:
        by_band.write_bands(found.bands, outputs)


def _answer(found: _Found, single: bool, as_json: bool) -> None:
    """The result on standard output."""
    if as_json:
        from hsitool.storage.camera_files import json_text

        typer.echo(json_text(found.record(single)))
        return
    from hsitool.cli.calib_table import calibration_lines

    bands = found.bands
    lines = calibration_lines(found.run) if bands is None else by_band.band_lines(bands)
    typer.echo("\n".join(lines))
