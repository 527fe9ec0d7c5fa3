"""A query carried through several cubes in the order of time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from hsitool.cube import CubeInfo
from hsitool.device import CPU, Device
from hsitool.engine.blocks import Progress
from hsitool.engine.plan import Budget
from hsitool.errors import DataError
from hsitool.maths.attention.recurrence import Recurrence, Stage
from hsitool.maths.spectra.resample import same_centres
from hsitool.storage.readers import CubeReader
from hsitool.tasks.attend_look import Look, MaskSettings, look_at
from hsitool.tasks.attend_query import Asked

__all__ = ["Stage", "track"]

Use = Callable[[int, Look], None]
"""What to do with the look at each cube, by its number, while its scores are there."""


def track(
    sources: Sequence[CubeReader],
    settings: MaskSettings,
    asked: Asked,
    target: Path,
    use: Use,
    *,
    budget: Budget | None = None,
    device: Device = CPU,
    progress: Progress | None = None,
) -> list[Stage]:
    """Look at each cube for what was seen in the one before; the way of the query.

    The query stays as it is where the material may be absent, the attended spectrum is too far
    from the first query, or hangs on a single pixel. Arguments and errors as `look_at`.

    Raises:
        DataError: cubes have other bands than the first one.
    """
    state: Recurrence | None = None
    carried = None
    for number, source in enumerate(sources):
        _refuse_other_bands(sources[0].info, source)
        with ExitStack() as stack:
            look = stack.enter_context(
                look_at(
                    source,
                    settings,
                    asked,
                    target,
                    carried=carried,
                    budget=budget,
                    device=device,
                    progress=progress,
                )
            )
            assert look.query is not None
            state = state or Recurrence(look.query.values, settings.max_drift_deg)
            doubt = "the query may be absent" if look.present is False else None
            state.carry(
                source.path.name,
                look.context.mean,
                look.attention.ess,
                look.drift_deg(state.origin),
                doubt,
            )
            carried = replace(look.query, values=state.query, pixel=None)
            use(number, look)
    return [] if state is None else state.stages


def _refuse_other_bands(first: CubeInfo, source: CubeReader) -> None:
    info = source.info
    same = info.bands == first.bands
    if same and first.wavelength_nm is not None and info.wavelength_nm is not None:
        same = same_centres(info.wavelength_nm, first.wavelength_nm)
    if not same:
        raise DataError(
            f"{source.path}: has other bands than the first cube: a query is carried between cubes "
            "of one sensor (take the spectrum of one with --spectrum as --query of the next)"
        )
