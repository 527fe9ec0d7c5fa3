"""What `attend mask` tells of a look: as an object for programs, lines for people, a table."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from hsitool.maths.attention.recurrence import SETTLED, Stage
from hsitool.tasks.attend_frame import Seen
from hsitool.tasks.attend_look import Look, MaskSettings


def report(look: Look, settings: MaskSettings) -> dict[str, Any]:
    """One object; its keys are listed in the README and stay as they are."""
    attention, seen, query = look.attention, look.seen, look.query
    place = look.best_score_place
    return {
        "cube": str(look.frame.source.path),
        "score": settings.score,
        "norm": attention.norm,
        "query": None if query is None else query.name,
        "dropped_pixel": None if look.frame.without is None else list(look.frame.without),
        "bands": [band + 1 for band in look.frame.pixels.bands[0]],
        "pixels": seen.count,
        "beta": _number(attention.beta),
        "ess": attention.ess,
        "perplexity": math.exp(attention.entropy),
        "n90": look.n90.count,
        "largest_weight": attention.largest,
        "background_mass": look.background_mass,
        "mass_in_background": look.in_background,
        "best_score": attention.top,
        "best_score_at": list(place),
        "best_angle_deg": _number(seen.angle_deg),
        "best_angle_at": None if math.isinf(seen.angle_deg) else list(seen.place),
        "max_angle_deg": look.max_angle_deg,
        "present": look.present,
        "note": attention.note,
        "steps": stages(look.stages),
        "blocks": look.context.blocks,
        "spectrum": _spectrum(look),
    }


def stages(found: Sequence[Stage]) -> list[dict[str, Any]]:
    """The turns of a recurrence."""
    return [vars(stage) for stage in found]


def _spectrum(look: Look) -> dict[str, Any]:
    info, bands = look.frame.source.info, look.frame.pixels.bands[0]
    known = info.wavelength_nm
    context = look.context
    return {
        "wavelength_nm": None if known is None else [known[band] for band in bands],
        "attended": context.mean.tolist(),
        "sd": context.sd.tolist(),
        "se": [_number(value) for value in context.error.tolist()],
        "mean": look.seen.mean.tolist(),
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def spectrum_table(look: Look) -> str:
    """A CSV with a line for each band of the cube; `FILE:attended` is a query for other cubes."""
    found, text, info = _spectrum(look), io.StringIO(), look.frame.source.info
    table = csv.writer(text, lineterminator="\n")
    known, rows = info.wavelength_nm, {b: n for n, b in enumerate(look.frame.pixels.bands[0])}
    names = ("attended", "sd", "se", "mean")
    table.writerow(["band", *(["wavelength_nm"] if known else []), *names])
    for band in range(info.bands):
        values = [found[name][rows[band]] if band in rows else None for name in names]
        cells = ["" if value is None else f"{value:.9g}" for value in values]
        table.writerow([band + 1, *([repr(known[band])] if known else []), *cells])
    return text.getvalue()


def _nearest(name: str, seen: Seen) -> str:
    if math.isinf(seen.angle_deg):
        return f"all pixels that '{name}' could be like are 0"
    row, column = seen.place
    return f"most like '{name}' is row {row}, column {column}, {seen.angle_deg:.2g} degrees away"


def lines(look: Look) -> list[str]:
    """For people."""
    attention, seen, n90 = look.attention, look.seen, look.n90
    found = [
        f"{attention.ess:.4g} of {seen.count} pixels by effective size; {n90.count} hold 90 % of "
        f"the weight, the heaviest {100 * attention.largest:.3g} %; "
        f"{100 * look.background_mass:.3g} % is background"
    ]
    if look.query is not None:
        found.append(f"best score {attention.top:.4g}; {_nearest(look.query.name, seen)}")
    error = look.context.error
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = error * math.sqrt(attention.ess) / look.context.sd
    if (known := ratio[np.isfinite(ratio)]).size:
        found.append(
            f"standard error of the attended spectrum: {np.median(known):.2g} times sd/sqrt(ESS) "
            f"in the median band, from {look.context.blocks} blocks"
        )
    found += map(turn_line, look.stages)
    if look.stages and look.stages[-1].change >= SETTLED:
        found.append(f"the query still moves after {len(look.stages)} of these: see --steps")
    return found


def turn_line(stage: Stage) -> str:
    """One turn of a recurrence, for people."""
    held = "" if stage.held is None else f"; it is not carried on, since {stage.held}"
    return (
        f"{stage.name}: {stage.ess:.4g} pixels, query {stage.drift_deg:.2g} degrees from the first "
        f"one, changed by {100 * stage.change:.2g} %{held}"
    )
