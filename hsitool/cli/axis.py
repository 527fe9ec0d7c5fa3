"""Options that say along which axis is fitted, and where it is cut."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hsitool.errors import UsageError

if TYPE_CHECKING:
    from hsitool.tasks.smooth import SmoothSettings


class SpacingName(StrEnum):
    """Axes of the fit."""

    auto = "auto"
    band = "band"


SpacingOption = Annotated[
    SpacingName,
    typer.Option(
        "--spacing", help="Fit at the real wavelengths where known (auto), or by band number."
    ),
]
DeltaOption = Annotated[
    str | None,
    typer.Option("--delta", metavar="5nm", help="Fit at one step between all bands."),
]
SplitGapOption = Annotated[
    str,
    typer.Option(
        "--split-gap",
        metavar="auto|off|40nm",
        help="No window crosses a longer step; auto: 3 times the local median.",
    ),
]
SplitAtOption = Annotated[
    str | None,
    typer.Option("--split-at", metavar="970nm,...", help="No window crosses these seams."),
]


def on_axis(
    settings: SmoothSettings,
    spacing: SpacingName,
    delta: str | None,
    split_gap: str,
    split_at: str | None,
) -> SmoothSettings:
    """The settings with what these options say.

    Raises:
        UsageError: they exclude each other, or a length is none.
    """
    from dataclasses import replace

    from hsitool.storage.wavelengths import length_nm

    if delta is not None and spacing is SpacingName.band:
        raise UsageError("--delta and --spacing band exclude each other: leave one out")
    seams = () if split_at is None else split_at.split(",")
    return replace(
        settings,
        spacing=spacing.value,
        delta_nm=None if delta is None else _positive(delta, "--delta"),
        split_gap=_gap(split_gap),
        split_at_nm=tuple(length_nm(seam, "--split-at") for seam in seams),
    )


def _gap(text: str) -> float | Literal["auto"] | None:
    if text == "auto":
        return "auto"
    return None if text == "off" else _positive(text, "--split-gap")


def _positive(text: str, option: str) -> float:
    from hsitool.storage.wavelengths import length_nm

    value = length_nm(text, option)
    if not value > 0:
        raise UsageError(f"{option} {value:g}nm: give a length above 0")
    return value
