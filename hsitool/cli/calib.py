"""`hsitool calib`"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from hsitool.cli import calib_bands as by_band
from hsitool.cli import calib_options as given
from hsitool.cli.app import app
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
    progress_bar,
)
from hsitool.errors import UsageError

if TYPE_CHECKING:
    from hsitool.tasks.calib import CalibrationRun, CalibSettings
    from hsitool.tasks.calib_inputs import Corners, Source

Outputs = tuple[Path | None, Path | None, Path | None, Path | None, Path | None]
"""Camera file, report, corners, table of bands, plot."""


@app.command(
    epilog="Example:  hsitool calib photos/ --board 9x6 --square 25mm --pitch 3.45um -o camera.yaml"
)
def calib(
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
    from hsitool.tasks.calib_inputs import Source, recipe_of

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
    options = by_band.BandOptions(
        bands, ref_band, dk1, mosaic, rig, wavelengths, band_shift, plot, max_memory
    )
    options.require_bands()
    _check_outputs((output, report, kept, band_shift, plot), overwrite)
    options.check_outputs(overwrite)
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
    by_bands: by_band.ByBand | None = None
    if bands is not None:
        by_bands = by_band.calibrate(
            source, settings, options, kept, quiet=quiet, overwrite=overwrite
        )
        run = by_bands.run
    else:
        run = _calibrated(source, settings, kept, quiet=quiet, overwrite=overwrite)
    record = _recorder(run, by_bands, single_f)
    _write(run, by_bands, output, report, record, overwrite=overwrite, quiet=quiet)
    _answer(run, by_bands, record if as_json else None)
    failed = task.failed_gates(run, max_rms, None if require is None else require.value)
    for line in failed:
        note(line, False)
    raise typer.Exit(1 if failed else 0)


def _inputs(images: list[Path] | None, corners: Path | None) -> tuple[list[Path], Path | None]:
    """What to calibrate from, and where to keep its corners."""
    if images:
        return images, corners
    if corners is None:
        raise UsageError("nothing to calibrate from: name images, a folder, or --corners FILE")
    return [corners], None


def _calibrated(
    source: Source, settings: CalibSettings, kept: Path | None, *, quiet: bool, overwrite: bool
) -> CalibrationRun:
    """The calibration of one camera, with its notes."""
    from hsitool.storage.corners import write_corners
    from hsitool.tasks import calib as task
    from hsitool.tasks.calib_inputs import read_source

    with progress_bar("calib", quiet) as progress:
        found = read_source(source, progress)
    if kept is not None:
        write_corners(kept, found.views, overwrite=overwrite)
    run = task.calibrate_corners(found, settings)
    _tell(run, found, quiet)
    return run


def _check_outputs(paths: Outputs, overwrite: bool) -> None:
    """Refuse before the work what could not be written after it."""
    from hsitool.storage.atomic import refuse_existing
    from hsitool.storage.camera_files import check_camera_file

    output, report, kept, *_ = paths
    if output is not None:
        check_camera_file(output, overwrite)
    if report is not None:
        from hsitool.drawing.calib_report import check_report

        check_report(report, overwrite)
    if kept is not None:
        refuse_existing([kept], overwrite)
    named = [path.resolve() for path in paths if path is not None]
    if len(set(named)) < len(named):
        raise UsageError("two outputs have the same name: give each its own")


def _tell(run: CalibrationRun, corners: Corners, quiet: bool) -> None:
    """Notes on standard error: every image, every view left out, what was assumed."""
    from hsitool.tasks.calib_summary import printable

    refused = (f"{view.name}: not used: {view.reason}" for view in run.calibration.refused)
    for line in (*corners.notes, *refused, *run.calibration.warnings):
        note(printable(line), quiet)
    note(f"calibrated in {run.seconds:.2f} s", quiet)


def _recorder(
    run: CalibrationRun, by_bands: by_band.ByBand | None, single: bool
) -> Callable[[], dict[str, Any]]:
    """What makes the object that `--json` prints and `-o camera.json` holds."""
    if by_bands is not None:
        return partial(by_band.record_of, by_bands, single)
    from hsitool.tasks.calib_record import calibration_record

    return partial(calibration_record, run, single=single)


def _write(
    run: CalibrationRun,
    by_bands: by_band.ByBand | None,
    output: Path | None,
    report: Path | None,
    record: Callable[[], dict[str, Any]],
    *,
    overwrite: bool,
    quiet: bool,
) -> None:
    """The camera file and the report."""
    if output is not None:
        from hsitool.storage.camera_files import left_out, write_camera

        write_camera(output, record(), overwrite=overwrite)
        if (told := left_out(output)) is not None:
            note(told, quiet)
    if report is not None:
        from hsitool.drawing.calib_report import write_report

        write_report(run, report, overwrite, by_bands)


def _answer(
    run: CalibrationRun,
    by_bands: by_band.ByBand | None,
    record: Callable[[], dict[str, Any]] | None,
) -> None:
    """The result on standard output: the `record`, or a table without one."""
    if record is not None:
        from hsitool.storage.camera_files import json_text

        typer.echo(json_text(record()))
        return
    from hsitool.cli.calib_table import band_lines, calibration_lines

    lines = calibration_lines(run) if by_bands is None else band_lines(by_bands)
    typer.echo("\n".join(lines))
