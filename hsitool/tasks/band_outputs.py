"""What `attend bands` leaves: a table, the composite, a cube of the chosen bands."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hsitool.cube import CubeInfo
from hsitool.engine.blocks import Progress, map_blocks
from hsitool.engine.plan import Budget
from hsitool.storage.texts import text_file
from hsitool.storage.writers import CubeWriter, OutputOptions, create_cube
from hsitool.tasks.band_choice import DEFAULT_PICKS, BandChoice, BandSettings
from hsitool.tasks.convert import unchanged
from hsitool.tasks.pixels import Pixels
from hsitool.tasks.provenance import with_step
from hsitool.tasks.score_maps import fill_scores, score_info

COMMAND = "attend bands"


@dataclass(frozen=True)
class BandOutputs:
    """What to write where."""

    table: Path
    composite: Path | None = None
    cube: Path | None = None
    plot: Path | None = None

    @property
    def rasters(self) -> list[Path]:
        """Those that are rasters."""
        return [path for path in (self.composite, self.cube) if path is not None]

    @property
    def others(self) -> list[Path]:
        """Those that are none."""
        return [path for path in (self.table, self.plot) if path is not None]


def write_choice(
    stack: ExitStack,
    choice: BandChoice,
    settings: BandSettings,
    outputs: BandOutputs,
    options: OutputOptions,
    *,
    budget: Budget,
    progress: Progress | None = None,
) -> None:
    """Write the files of a choice; they appear as `stack` closes, all of them or none.

    Raises:
        UsageError: one exists and may not be overwritten.
        DataError: one cannot be written, or no pixel has data.
    """
    source, said = choice.source, provenance(choice, settings)
    file = stack.enter_context(text_file(outputs.table, overwrite=options.overwrite))
    file.write(table(choice))

    def start(path: Path, info: CubeInfo) -> CubeWriter:
        return stack.enter_context(create_cube(path, info, source.layout, options))

    if outputs.cube is not None:
        bands = sorted(choice.bands[place] for place in choice.chosen)
        made = with_step(source.info.with_bands(bands), COMMAND, source.path, said)
        sink = start(outputs.cube, made)
        map_blocks([source], unchanged, [sink], budget=budget, bands=bands, progress=progress)
    if outputs.composite is not None:
        made = score_info(source.info, ["composite"], COMMAND, source.path, said)
        _composite(choice, start(outputs.composite, made), budget, progress)


def _composite(
    choice: BandChoice, sink: CubeWriter, budget: Budget, progress: Progress | None
) -> None:
    """The weighted sum of the bands that have any weight, in physical values."""
    there = np.flatnonzero(choice.weights)
    weights = choice.weights[there]
    pixels = Pixels([choice.source], [[choice.bands[place] for place in there.tolist()]])
    fill_scores(
        pixels, sink, lambda spectra: (weights @ spectra)[None], budget=budget, progress=progress
    )


def provenance(choice: BandChoice, settings: BandSettings) -> dict[str, Any]:
    """The settings as they are said in the files."""
    way, weighs = settings.way, settings.way != "pick"
    return {
        "way": way,
        "target": None if choice.target is None else choice.target.query.name,
        "pick": (settings.pick or DEFAULT_PICKS) if way == "pick" else None,
        "min_gap_nm": settings.min_gap_nm,
        "sample": settings.sample,
        "seed": settings.seed if way == "sample" else None,
        "score": (settings.score or "fisher") if weighs else None,
        "focus": settings.focus,
        "temperature": settings.temperature,
        "norm": settings.norm if weighs else None,
        "bands": settings.bands,
        "background": None if settings.background is None else settings.background.name,
        "model": None if settings.model is None else settings.model.name,
        "shrink": None if settings.shrink is None else str(settings.shrink),
    }


# Tables and reports


def rows(choice: BandChoice) -> list[dict[str, Any]]:
    """A row for each band chosen, in the order of choosing, or for all bands in use."""
    info = choice.source.info
    listed = choice.chosen or range(len(choice.bands))
    found, total = [], 0.0
    for number, place in enumerate(listed):
        band = choice.bands[place]
        row: dict[str, Any] = {"order": number + 1} if choice.chosen else {}
        row["band"] = band + 1
        if info.wavelength_nm is not None:
            row["wavelength_nm"] = info.wavelength_nm[band]
        if info.fwhm_nm is not None:
            row["fwhm_nm"] = info.fwhm_nm[band]
        if choice.gains is not None:
            total += choice.gains[number]
            row |= {"gain": choice.gains[number]}
            row |= {} if choice.target is None else {"total": total}
        if choice.weighed is not None:
            row["score"] = _number(choice.weighed.scores[place])
        row["weight"] = float(choice.weights[place])
        if choice.logp is not None:
            row["logp"] = float(choice.logp[number])
        found.append(row)
    return found


def table(choice: BandChoice) -> str:
    """The rows as CSV."""
    text, listed = io.StringIO(), rows(choice)
    lines = csv.DictWriter(text, listed[0], lineterminator="\n")
    lines.writeheader()
    lines.writerows({key: _cell(value) for key, value in row.items()} for row in listed)
    return text.getvalue()


def _cell(value: float | None) -> str:
    return "" if value is None else repr(value)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def report(choice: BandChoice, settings: BandSettings) -> dict[str, Any]:
    """One object; its keys are listed in the README and stay as they are."""
    target, weighed, halves = choice.target, choice.weighed, choice.halves
    gap = choice.gap_nm
    return {
        "cube": str(choice.source.path),
        "way": settings.way,
        "target": None if target is None else target.query.name,
        "target_pixels": None if target is None else target.pixels,
        "bands_in_use": [band + 1 for band in choice.bands],
        "bands": rows(choice),
        "min_gap": None if gap is None else _gap(gap, choice.chosen),
        "halves": None if halves is None else _halves(choice),
        "score": None if weighed is None else settings.score or "fisher",
        "norm": None if weighed is None else settings.norm,
        "beta": None if weighed is None else _number(weighed.attention.beta),
        "ess": None if weighed is None else weighed.attention.ess,
    }


def _gap(gap: Sequence[float] | Any, chosen: Sequence[int]) -> list[float]:
    return [float(gap[place]) for place in chosen]


def _halves(choice: BandChoice) -> Mapping[str, Any]:
    halves = choice.halves
    assert halves is not None
    listed = ([choice.bands[p] + 1 for p in picks] for picks in (halves.first, halves.second))
    first, second = listed
    return {"first": first, "second": second, "agree": halves.agree, "of": len(first)}


def lines(choice: BandChoice) -> list[str]:
    """For people."""
    found = []
    if choice.chosen:
        found.append(f"chosen: {_named(choice, choice.chosen)}")
    if choice.weighed is not None:
        attention, heaviest = choice.weighed.attention, int(np.argmax(choice.weighed.weights))
        found.append(
            f"{attention.ess:.4g} of {attention.count} bands by effective size; the heaviest, "
            f"{_named(choice, [heaviest])}, has {attention.largest:.3g} of the weight"
        )
    if choice.halves is not None and choice.target is not None:
        halves, count = choice.halves, len(choice.halves.first)
        said = "" if 2 * halves.agree > count else ": the picks are not stable"
        found.append(
            f"halves of the target's {choice.target.pixels} pixels agree on {halves.agree} of "
            f"{count} bands ({_numbers(choice, halves.first)} and "
            f"{_numbers(choice, halves.second)}){said}"
        )
    elif choice.gains is not None and choice.target is not None:
        found.append(
            "the target has no two halves to compare the picks of: how stable they are is not known"
        )
    return found


def _named(choice: BandChoice, places: Sequence[int]) -> str:
    """Bands by number, and where they lie."""
    known = choice.source.info.wavelength_nm
    text = f"band{'s' if len(places) > 1 else ''} {_numbers(choice, places)}"
    if known is None:
        return text
    return f"{text} ({', '.join(f'{known[choice.bands[p]]:.5g}' for p in places)} nm)"


def _numbers(choice: BandChoice, places: Sequence[int]) -> str:
    return ",".join(str(choice.bands[place] + 1) for place in places)
