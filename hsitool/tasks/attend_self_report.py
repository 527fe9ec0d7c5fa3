"""What `attend self` writes of rows and tells of them: a raster, an object, lines for people."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from hsitool.cube import CubeInfo
from hsitool.maths.attention.heaviest import heaviest
from hsitool.storage.layout import Layout
from hsitool.storage.regions import strips
from hsitool.storage.writers import OutputOptions, create_cube
from hsitool.tasks.attend_self import Related, Row, SelfSettings, said
from hsitool.tasks.provenance import with_step
from hsitool.tasks.score_maps import NAMESPACE, map_info

STRONGEST = 5
"""Pixels that a report names, beside the query itself."""


def write_rows(
    found: Related, target: Path, settings: SelfSettings, options: OutputOptions | None = None
) -> None:
    """Write the weights of all rows, a float64 band each, of sum 1; NaN where there is no data.

    Raises:
        UsageError: the file exists and may not be overwritten.
        DataError: it cannot be written.
    """
    source = found.space.source
    made = with_step(_rows_info(found), "attend self", source.path, said(found.space, settings))
    layout = Layout("made", "band", 1, made.columns, raw=True)
    with create_cube(target, made, layout, options) as sink:
        for strip in strips(made.whole):
            block = sink.block(strip)
            for band, row in enumerate(found.rows):
                block[band] = row.weights(strip)
            sink.write(strip, block)


def _rows_info(found: Related) -> CubeInfo:
    """With the query, beta, ESS and log-sum of each row as tags of its band."""
    names = [row.query.name for row in found.rows]
    made = map_info(found.space.source.info, names, np.float64)
    tags = [
        {
            "ROW": str(row.place[0]),
            "COLUMN": str(row.place[1]),
            "BETA": repr(row.attention.beta),
            "ESS": repr(row.attention.ess),
            "LOG_SUM": repr(row.log_sum),
        }
        for row in found.rows
    ]
    return made.replace(band_tags=tuple({NAMESPACE: items} for items in tags))


def report(found: Related, settings: SelfSettings) -> dict[str, Any]:
    """One object; its keys are listed in the README and stay as they are."""
    return {
        "cube": str(found.space.source.path),
        "score": "qk" if settings.qk is not None else settings.score,
        "norm": settings.norm,
        "features": found.space.embedding.width,
        "bands": [band + 1 for band in found.space.pixels.bands[0]],
        "pixels": found.pixels,
        "rows": [_row_report(row) for row in found.rows],
    }


def _row_report(row: Row) -> dict[str, Any]:
    attention = row.attention
    own = row.scores[row.place]
    return {
        "query": list(row.place),
        "name": row.query.name,
        "beta": attention.beta if math.isfinite(attention.beta) else None,
        "ess": attention.ess,
        "perplexity": math.exp(attention.entropy),
        "largest_weight": attention.largest,
        "own_weight": float(attention.weights(np.array([own]))[0]),
        "n90": heaviest(row.scores, attention, mass=0.9).count,
        "strongest": _strongest(row),
        "note": attention.note,
    }


def _strongest(row: Row) -> list[dict[str, Any]]:
    """The heaviest pixels beside the query itself."""
    least = heaviest(row.scores, row.attention, count=STRONGEST + 1).score
    found = []
    for number, scores in enumerate(row.scores):
        for column in np.flatnonzero(scores >= least).tolist():
            if (number, column) != row.place:
                found.append((-float(scores[column]), number, column))
    found.sort()
    return [
        {"at": [number, column], "weight": float(row.attention.weights(np.array([-score]))[0])}
        for score, number, column in found[:STRONGEST]
    ]


def lines(found: Related) -> list[str]:
    """For people."""
    told = []
    for row in found.rows:
        said_of = _row_report(row)
        text = (
            f"{row.query.name}: {said_of['ess']:.4g} of {found.pixels} pixels by effective size; "
            f"its own weight is {100 * said_of['own_weight']:.3g} %"
        )
        if said_of["strongest"]:
            (number, column), weight = said_of["strongest"][0].values()
            text += f", row {number}, column {column} has {100 * weight:.3g} %"
        told.append(text)
    return told
