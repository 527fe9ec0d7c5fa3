"""`hsitool calib`"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hsitool.cli import calib_options as given
from hsitool.cli.app import app
from hsitool.cli.calib_idle import Given, refuse_idle
from hsitool.cli.calib_options import (
    BoardModelName,
    ModelName,
    ScannerName,
    TargetName,
)
from hsitool.cli.options import Json, Overwrite, Quiet, Threads, note, progress_bar
from hsitool.errors import UsageError

if TYPE_CHECKING:
    from hsitool.tasks.calib import CalibrationRun
    from hsitool.tasks.calib_inputs import Corners


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
    output: given.CameraFile = None,
    single_f: given.SingleF = False,
    report: given.ReportOption = None,
    max_rms: given.MaxRms = None,
    require: given.RequireOption = None,
    as_json: Json = False,
    overwrite: Overwrite = False,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Calibrate a camera, and tell whether fx and fy are one focal length or two.

    The answer is a verdict with its interval, then a table. The board can be freed of the
    assumption that it was printed to scale, which is the usual reason for two.
    """
    from hsitool.tasks import calib as task
    from hsitool.tasks import calib_words as words
    from hsitool.tasks.calib_inputs import Source, kind_of, read_source, recipe_of

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
    refuse_idle(context, Given(kind_of(inputs, points), target, model))
    gates = task.Gates(max_rms, None if require is None else require.value)
    _check_outputs(output, report, kept, overwrite)
    _refuse_inputs((output, report, kept), [*inputs, *([points] if points else [])])
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
    told: list[str] = []
    try:
        with progress_bar("calib", quiet) as progress:
            found = read_source(source, progress, told.append)
    finally:
        for line in told:  # when the bar is gone; if nothing was found, they are the reason
            note(line, quiet)
    if kept is not None:
        _keep(kept, found, overwrite, quiet)
    run = task.calibrate_corners(found, settings)
    _tell(run, quiet)
    if single_f and not (output or as_json):
        note("--single-f is for -o FILE and --json: the table always has both", quiet)
    _write(run, output, report, single=single_f, overwrite=overwrite, quiet=quiet)
    _answer(run, single_f, as_json)
    failed = task.failed_gates(run, gates)
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


def _check_outputs(
    output: Path | None, report: Path | None, kept: Path | None, overwrite: bool
) -> None:
    """Refuse before the work what could not be written after it."""
    from hsitool.storage.camera_files import check_camera_file
    from hsitool.storage.corners import check_corner_list
    from hsitool.storage.writers import refuse_twins

    if output is not None:
        check_camera_file(output, overwrite)
    if report is not None:
        from hsitool.drawing.calib_report import check_report

        check_report(report, overwrite)
    if kept is not None:
        check_corner_list(kept, overwrite)
    refuse_twins((), others=[path for path in (output, report, kept) if path is not None])


def _refuse_inputs(outputs: Iterable[Path | None], inputs: Iterable[Path]) -> None:
    """Refuse to write over what is read, whatever `--overwrite` says."""
    from hsitool.storage.images import list_images

    read = {os.path.realpath(path) for path in list_images(inputs)}
    for path in outputs:
        if path is not None and os.path.realpath(path) in read:
            raise UsageError(f"{path} is an input: give the output another name")


def _keep(path: Path, corners: Corners, overwrite: bool, quiet: bool) -> None:
    """Write the corner list before the fit, so that a fit that fails does not cost detections."""
    from hsitool.storage.corners import write_corners

    write_corners(path, corners.views, overwrite=overwrite)
    count = len(corners.views)
    note(f"{path}: holds the corners of {count} image{'' if count == 1 else 's'}", quiet)


def _tell(run: CalibrationRun, quiet: bool) -> None:
    """Notes on standard error: every view left out, what was assumed."""
    refused = (f"{view.name}: not used: {view.reason}" for view in run.calibration.refused)
    for line in (*refused, *run.calibration.warnings):
        note(line, quiet)
    note(f"calibrated in {run.seconds:.2f} s", quiet)


def _write(
    run: CalibrationRun,
    output: Path | None,
    report: Path | None,
    *,
    single: bool,
    overwrite: bool,
    quiet: bool,
) -> None:
    """The camera file and the report."""
    if output is not None:
        from hsitool.storage.camera_files import left_out, write_camera
        from hsitool.tasks.calib_record import calibration_record

        write_camera(output, calibration_record(run, single=single), overwrite=overwrite)
        if (told := left_out(output)) is not None:
            note(told, quiet)
    if report is not None:
        from hsitool.drawing.calib_report import write_report

        write_report(run, report, overwrite)


def _answer(run: CalibrationRun, single: bool, as_json: bool) -> None:
    """The result on standard output."""
    if as_json:
        from hsitool.storage.camera_files import json_text
        from hsitool.tasks.calib_record import calibration_record

        typer.echo(json_text(calibration_record(run, single=single)))
        return
    from hsitool.cli.calib_table import calibration_lines

    typer.echo("\n".join(calibration_lines(run)))
