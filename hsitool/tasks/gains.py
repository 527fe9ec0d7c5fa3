"""The report of `hsitool smooth`: the window and the noise gain of every band."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import hsitool
from hsitool.cube import CubeInfo
from hsitool.errors import UsageError
from hsitool.maths.spectra.deviation import deviations
from hsitool.storage.readers import CubeReader
from hsitool.storage.texts import text_file
from hsitool.tasks.smooth import Fit, said

Floats = NDArray[np.float64]
Report = Mapping[str, Any]


@contextmanager
def report_file(path: Path, *, overwrite: bool = False) -> Iterator[Callable[[Report], None]]:
    """What takes a report and writes it at the end, as JSON or CSV, as the name says.

    Raises:
        UsageError: the name ends neither in .json nor in .csv, or the file exists.
        DataError: it cannot be written; that is looked at in the beginning, too.
    """
    writer = WRITERS.get(path.suffix.lower())
    if writer is None:
        raise UsageError(f"{path}: a report is JSON or CSV: name it .json or .csv")
    with text_file(path, overwrite=overwrite) as file:
        yield lambda report: file.writelines([writer(report)])


def gain_report(
    source: CubeReader, outputs: Mapping[Path, Fit], covariance: Floats | None = None
) -> dict[str, Any]:
    """What was fitted, for JSON.

    `noise_gain` is the standard deviation of an output per that of its bands, where their noise is
    independent and of one size; `sigma` is that of the output, for the noise of `covariance`.
    """
    parts = [
        {
            "file": str(path),
            "residual": False,
            **said(fit.settings),
            "bands": _bands(source.info, fit, covariance),
        }
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
    table = csv.DictWriter(text, ["file", "deriv", "residual", *first], lineterminator="\n")
    table.writeheader()
    for output in report["outputs"]:
        for band in output["bands"]:
            named = {key: output[key] for key in ("file", "deriv", "residual")}
            table.writerow({**named, **band})
    return text.getvalue()


WRITERS = {".json": as_json, ".csv": as_csv}
"""How a report is written, by the ending of its name."""
