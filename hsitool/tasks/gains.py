"""The report of `hsitool smooth`: the window and the noise gain of every band."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import hsitool
from hsitool.cube import CubeInfo
from hsitool.errors import UsageError
from hsitool.maths.deviation import deviations
from hsitool.storage.atomic import refuse_existing
from hsitool.storage.readers import CubeReader
from hsitool.storage.texts import write_text
from hsitool.tasks.smooth import Fit, said

Floats = NDArray[np.float64]


def check_report(path: Path, overwrite: bool = False) -> None:
    """Refuse a report that could not be written in the end.

    Raises:
        UsageError: the name ends neither in .json nor in .csv, or the file exists.
    """
    if path.suffix.lower() not in WRITERS:
        raise UsageError(f"{path}: a report is JSON or CSV: name it .json or .csv")
    refuse_existing([path], overwrite)


def write_report(path: Path, report: Mapping[str, Any], overwrite: bool = False) -> None:
    """Write a report as JSON or CSV, as the name says.

    Raises:
        UsageError: as `check_report`.
        DataError: it cannot be written.
    """
    check_report(path, overwrite)
    write_text(path, WRITERS[path.suffix.lower()](report), overwrite=overwrite)


def gain_report(
    source: CubeReader, outputs: Mapping[Path, Fit], covariance: Floats | None = None
) -> dict[str, Any]:
    """What was fitted, for JSON.

    `noise_gain` is the standard deviation of an output per that of its bands, where their noise is
    independent and of one size; `sigma` is that of the output, for the noise of `covariance`.
    """
    parts = [
        {"file": str(path), **said(fit.settings), "bands": _bands(source.info, fit, covariance)}
        for path, fit in outputs.items()
    ]
    return {"tool": f"hsitool {hsitool.__version__}", "input": str(source.path), "outputs": parts}


def _bands(info: CubeInfo, fit: Fit, covariance: Floats | None) -> list[dict[str, Any]]:
    operator, rows = fit.operator, []
    gains = operator.noise_gain
    sigma = None if covariance is None else deviations(operator, covariance)
    for i, band in enumerate(operator.band.tolist()):
        inside = operator.members(i)
        numbers = (n for n, segment in enumerate(fit.segments, 1) if band in segment)
        row = {
            "band": band + 1,
            "wavelength_nm": None if info.wavelength_nm is None else info.wavelength_nm[band],
            "segment": next(numbers, None),
            "window_first": inside[0] + 1 if inside else None,
            "window_last": inside[-1] + 1 if inside else None,
            "window_bands": len(inside),
            "noise_gain": _number(gains[i]),
        }
        rows.append(row if sigma is None else row | {"sigma": _number(sigma[i])})
    return rows


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def as_json(report: Mapping[str, Any]) -> str:
    """The report as JSON."""
    return json.dumps(report, indent=1, ensure_ascii=False) + "\n"


def as_csv(report: Mapping[str, Any]) -> str:
    """The report as CSV: a row for each output and band."""
    text = io.StringIO()
    first = report["outputs"][0]["bands"][0]
    table = csv.DictWriter(text, ["file", "deriv", *first], lineterminator="\n")
    table.writeheader()
    for output in report["outputs"]:
        for band in output["bands"]:
            table.writerow({"file": output["file"], "deriv": output["deriv"], **band})
    return text.getvalue()


WRITERS = {".json": as_json, ".csv": as_csv}
"""How a report is written, by the ending of its name."""
