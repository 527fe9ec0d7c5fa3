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

DETECTION = ("accurate", "subpix_window", "subpix_eps", "resize_ok", "dictionary", "marker")
RECIPE = DETECTION[:3]
MARKERS = DETECTION[4:]


@dataclass(frozen=True)
class Given:
    """What decides which options have an effect."""

    kind: Kind
    target: TargetName
    model: ModelName


@dataclass(frozen=True)
class Idle:
    """Parameters of the command that have no effect `when` so, and why."""

    parameters: tuple[str, ...]
    when: Callable[[Given], bool]
    why: str


IDLE = (
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
