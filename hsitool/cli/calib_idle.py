"""Options of `hsitool calib` that would have no effect: refused, lest one believes in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from hsitool.cli.calib_options import ModelName, TargetName
from hsitool.errors import UsageError

if TYPE_CHECKING:
    from hsitool.tasks.calib_inputs import Kind

BANDS = (
    *("ref_band", "dk1", "mosaic", "rig", "wavelengths"),
    *("band_shift", "plot", "max_memory"),
)
DETECTION = ("accurate", "subpix_window", "subpix_eps", "resize_ok", "dictionary", "marker")
RECIPE = DETECTION[:3]
MARKERS = DETECTION[4:]


@dataclass(frozen=True)
class Given:
    """What decides which options have an effect."""

    kind: Kind
    target: TargetName
    model: ModelName
    bands: bool
    rig: bool


@dataclass(frozen=True)
class Idle:
    """Parameters of the command that have no effect `when` so, and why."""

    parameters: tuple[str, ...]
    when: Callable[[Given], bool]
    why: str


IDLE = (
    Idle(
        BANDS,
        lambda given: not given.bands,
        "it is about bands: leave it out, or add --bands all",
    ),
    Idle(
        DETECTION,
        lambda given: given.kind == "lists",
        "corner lists hold what was detected before: leave it out",
    ),
    Idle(
        ("target",),
        lambda given: given.kind == "lists" and given.target is TargetName.charuco,
        "in a corner list it is a plain grid, as a chessboard's: leave it out",
    ),
    Idle(
        ("board", "target", *DETECTION),
        lambda given: given.kind == "points",
        "the file of --points is the board: leave it out",
    ),
    Idle(
        ("size",),
        lambda given: given.kind != "points",
        "images and corner lists tell their size: leave it out, or name --points",
    ),
    Idle(
        ("mosaic", "wavelengths", "max_memory"),
        lambda given: given.kind == "lists",
        "it goes with cubes, a corner list has its bands and wavelengths: leave it out",
    ),
    Idle(
        ("resize_ok",),
        lambda given: given.bands,
        "views of one camera's bands have one size: leave out other cubes",
    ),
    Idle(
        ("subpix_window", "subpix_eps"),
        lambda given: given.bands and not given.rig,
        "corners are refined anew in every band: leave it out",
    ),
    Idle(
        ("mosaic",),
        lambda given: given.rig,
        "filters of a mosaic have one lens, bands of a rig one each: leave out one",
    ),
    Idle(
        ("dk1",),
        lambda given: given.rig,
        "every lens of a rig has a distortion of its own: leave it out",
    ),
    Idle(
        ("band_shift",),
        lambda given: given.rig,
        "lenses of a rig see from different places, so that no shift of one against the other "
        "holds at all distances: leave it out, -o camera.json keeps every lens",
    ),
    Idle(
        RECIPE,
        lambda given: given.target is not TargetName.chess,
        "only chessboards are detected in several ways: leave it out",
    ),
    Idle(
        MARKERS,
        lambda given: given.target is not TargetName.charuco,
        "only a charuco board has markers: leave it out, or add --target charuco",
    ),
    Idle(
        ("no_tangential",),
        lambda given: given.model is ModelName.fisheye,
        "a fisheye has no p1 and p2: leave it out",
    ),
)
"""The first that holds is told."""


def refuse_idle(context: typer.Context, given: Given) -> None:
    """Refuse options that were typed and have no effect.

    Raises:
        UsageError: naming the option and the reason.
    """
    typed = [name for name in context.params if _is_typed(context, name)]
    for rule in IDLE:
        for name in rule.parameters:
            if name in typed and rule.when(given):
                option = _option(context, name)
                raise UsageError(f"{option} has no effect here: {rule.why}")


def _is_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _option(context: typer.Context, name: str) -> str:
    """`--subpix-window` of `subpix_window`."""
    named: Iterable[str] = next(p.opts for p in context.command.params if p.name == name)
    return max(named, key=len)
