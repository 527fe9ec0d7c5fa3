"""Corners of one board in all bands of its views."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsitool.cube import CubeInfo
from hsitool.engine.plan import Budget
from hsitool.errors import UsageError
from hsitool.maths.boards.board import Board
from hsitool.maths.boards.detection import Recipe
from hsitool.maths.cameras.calibration_result import Refusal
from hsitool.maths.cameras.camera import Floats
from hsitool.storage.corners import CornerView
from hsitool.tasks.bands import describe_band, find_band, find_bands
from hsitool.tasks.calib_inputs import Corners, Size


@dataclass(frozen=True)
class BandsAsked:
    """Which bands, against which, and how their files are to be read.

    `bands` and `reference` as typed: "all" or a list as `--bands` of convert has; "auto" or a band.
    `mosaic` is (filters across, filters down) of raw frames. With `rig` every band has a lens of
    its own.
    """

    bands: str = "all"
    reference: str = "auto"
    mosaic: tuple[int, int] | None = None
    rig: bool = False
    wavelengths: Path | None = None
    budget: Budget = field(default_factory=Budget)


@dataclass(frozen=True, eq=False)
class BandView:
    """One view: `ids` (n,) points of the board, `uv` (bands, n, 2) px, NaN where not found."""

    name: str
    ids: NDArray[np.int64]
    uv: Floats
    xyz_mm: Floats | None = None


@dataclass(frozen=True)
class BandLook:
    """How a band looks, in its median view; NaN where unknown. `refused` are views without it."""

    contrast: float
    blur_px: float
    scatter_px: float
    refused: tuple[Refusal, ...] = ()


@dataclass(frozen=True, eq=False)
class BandCorners:
    """Corners of all views in all bands that were asked for; pixels as in `Corners`."""

    numbers: tuple[int, ...]
    """From 1."""
    wavelength_nm: tuple[float, ...] | None
    reference: int
    """Place of the reference band in `numbers`."""
    views: tuple[BandView, ...]
    looks: tuple[BandLook, ...]
    size: Size
    board: Board | None
    unit: str
    refused: tuple[Refusal, ...] = ()
    recipe: Recipe | None = None
    mosaic: tuple[int, int] | None = None
    offset_px: Floats | None = None
    """(bands, 2) of a mosaic's filters, taken off: `uv` are places on the whole sensor."""
    frame_size: Size | None = None
    """Of a mosaic's raw frames."""

    def called(self, place: int) -> str:
        """`band 7 (560 nm)`"""
        where = "" if self.wavelength_nm is None else f" ({self.wavelength_nm[place]:.10g} nm)"
        return f"band {self.numbers[place]}{where}"

    def corners_of(self, place: int) -> Corners:
        """Corners of one band, to calibrate it."""
        found = []
        for view in self.views:
            seen = np.isfinite(view.uv[place]).all(axis=1)
            if seen.any():
                xyz = None if view.xyz_mm is None else view.xyz_mm[seen]
                uv = np.ascontiguousarray(view.uv[place][seen])
                found.append(CornerView(view.name, self.size, view.ids[seen], uv, xyz))
        lost = self.looks[place].refused
        return Corners(
            tuple(found), self.size, self.board, self.unit, (*self.refused, *lost), self.recipe
        )

    def corner_views(self) -> Iterator[CornerView]:
        """All corners, as a list holds them."""
        for view in self.views:
            for place, number in enumerate(self.numbers):
                seen = np.isfinite(view.uv[place]).all(axis=1)
                if seen.any():
                    nm = None if self.wavelength_nm is None else self.wavelength_nm[place]
                    xyz = None if view.xyz_mm is None else view.xyz_mm[seen]
                    uv = view.uv[place][seen]
                    yield CornerView(view.name, self.size, view.ids[seen], uv, xyz, number, nm)


@dataclass(frozen=True)
class Chosen:
    """Bands (from 0) that were asked for."""

    bands: tuple[int, ...]
    reference: int | None
    """None where it is to be found."""
    notes: tuple[str, ...] = ()
    """On bands that were left out."""

    def place(self, views: Sequence[BandView], looks: Sequence[BandLook]) -> int:
        """Of the reference among the bands."""
        return surest(views, looks) if self.reference is None else self.bands.index(self.reference)


def choose_bands(info: CubeInfo, asked: BandsAsked) -> Chosen:
    """The bands of a cube that were asked for, with the reference; bad ones are not in "all".

    Raises:
        UsageError: no such bands, or fewer than two.
    """
    notes: tuple[str, ...] = ()
    if asked.bands.strip().lower() == "all":
        bands = {band for band in range(info.bands) if info.good is None or info.good[band]}
        bad = [band for band in range(info.bands) if band not in bands]
        notes = tuple(f"{describe_band(info, b)}: left out: flagged as bad" for b in bad)
    else:
        bands = set(find_bands(info, asked.bands))
    reference = None if asked.reference == "auto" else find_band(info, asked.reference)
    if reference is not None:
        bands.add(reference)
    if len(bands) < 2:
        raise UsageError(
            f"--bands {asked.bands}: {len(bands)} band{'s' * (len(bands) != 1)}: name two or more, "
            "or all, since bands are compared with each other"
        )
    return Chosen(tuple(sorted(bands)), reference, notes)


def median_known(values: Sequence[float]) -> float:
    """The median of those that are finite; NaN where none is."""
    known = [value for value in values if math.isfinite(value)]
    return float(np.median(known)) if known else math.nan


def surest(views: Sequence[BandView], looks: Sequence[BandLook]) -> int:
    """The place of the band that serves best as reference.

    Of those seen in most views, the one whose corners scatter least: sharpness, contrast and
    noise of a band all end in how surely its corners are found.
    """
    seen = np.sum([np.isfinite(view.uv[..., 0]).any(axis=1) for view in views], axis=0)
    best = [place for place in range(len(looks)) if seen[place] == seen.max()]
    return min(best, key=lambda p: looks[p].scatter_px if looks[p].scatter_px >= 0 else math.inf)
