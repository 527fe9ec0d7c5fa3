"""Corners of a board in several bands, from lists that say which band each was seen in."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hsitool.cube import CubeInfo
from hsitool.errors import DataError, UsageError
from hsitool.maths.boards.board import Board
from hsitool.maths.boards.corners import LEAST_FOR_MISFIT, departures
from hsitool.storage.corners import CornerView, read_corners
from hsitool.tasks.band_corners import (
    BandCorners,
    BandLook,
    BandsAsked,
    BandView,
    choose_bands,
    median_known,
)
from hsitool.tasks.boards import checked_against
from hsitool.tasks.calib_inputs import Source, listed_unit

MOST_BANDS = 100_000
MOST_PLACES = 10**7
"""Bands times points of all views, whether seen or not."""


def listed_bands(source: Source, asked: BandsAsked) -> BandCorners:
    """Of CSV or JSON lists with a band for each point.

    Raises:
        UsageError: lists without bands.
        DataError: lists that contradict each other, or are of another board.
    """
    read = [view for path in source.inputs for view in read_corners(path)]
    if any(view.band is None for view in read):
        raise UsageError(
            f"{source.inputs[0]} does not say in which band its points were seen: give cubes, or "
            "a list with the column band"
        )
    if len({view.size for view in read}) > 1:
        raise DataError("the lists are of images of several sizes: one camera has one")
    unit = listed_unit(source, read)
    if source.board is not None:
        checked_against(read, source.board)
    info = _info_of(read)
    chosen = choose_bands(info, asked)
    lacking = {band + 1 for band in chosen.bands} - {view.band for view in read}
    if lacking:
        raise UsageError(f"the lists have no points of band {min(lacking)}: name others")
    views = _joined(read, chosen.bands)
    looks = tuple(_look(views, place, source.board) for place in range(len(chosen.bands)))
    centres = info.wavelength_nm
    return BandCorners(
        numbers=tuple(band + 1 for band in chosen.bands),
        wavelength_nm=None if centres is None else tuple(centres[b] for b in chosen.bands),
        reference=chosen.place(views, looks),
        views=views,
        looks=looks,
        size=read[0].size,
        board=source.board,
        unit=unit,
    )


def _info_of(read: Sequence[CornerView]) -> CubeInfo:
    """The cube that lists are of, as far as they tell."""
    count = max(view.band or 0 for view in read)
    if count > MOST_BANDS:
        raise DataError(f"band {count} of a corner list is beyond {MOST_BANDS}")
    known = {view.band: view.wavelength_nm for view in read if view.wavelength_nm is not None}
    for view in read:
        if view.wavelength_nm is not None and known[view.band] != view.wavelength_nm:
            raise DataError(
                f"{view.name}: band {view.band} is at {view.wavelength_nm:g} nm here and at "
                f"{known[view.band]:g} nm elsewhere"
            )
    centres = None
    if {view.band for view in read} <= known.keys():
        centres = tuple(known.get(band + 1) or math.nan for band in range(count))
    columns, rows = read[0].size
    listed = {view.band for view in read}
    good = tuple(band + 1 in listed for band in range(count))
    return CubeInfo(count, rows, columns, np.dtype(float), wavelength_nm=centres, good=good)


def _joined(read: Sequence[CornerView], bands: Sequence[int]) -> tuple[BandView, ...]:
    """The bands of each image side by side."""
    by_name: dict[str, list[CornerView]] = {}
    for view in read:
        if view.band is not None and view.band - 1 in bands:
            by_name.setdefault(view.name, []).append(view)
    points = sum(len(np.unique(np.concatenate([v.ids for v in own]))) for own in by_name.values())
    if len(bands) * points > MOST_PLACES:
        raise DataError(
            f"{points} points in {len(bands)} bands, hardly any in most of them, are too many to "
            "compare: name fewer --bands"
        )
    return tuple(_side_by_side(name, views, bands) for name, views in by_name.items())


def _side_by_side(name: str, views: Sequence[CornerView], bands: Sequence[int]) -> BandView:
    ids = np.unique(np.concatenate([view.ids for view in views]))
    uv = np.full((len(bands), len(ids), 2), np.nan)
    xyz = np.full((len(ids), 3), np.nan)
    for view in views:
        place, at = bands.index((view.band or 0) - 1), np.searchsorted(ids, view.ids)
        if np.isfinite(uv[place]).any():
            raise DataError(f"{name}: band {view.band} occurs twice")
        uv[place, at] = view.uv
        if view.xyz_mm is not None:
            xyz[at] = view.xyz_mm
    return BandView(name, ids, uv, None if np.isnan(xyz).any() else xyz)


def _look(views: Sequence[BandView], place: int, board: Board | None) -> BandLook:
    scatter = [_scatter(view, place, board) for view in views]
    return BandLook(math.nan, math.nan, median_known(scatter))


def _scatter(view: BandView, place: int, board: Board | None) -> float:
    """RMS distance in px of a band's corners to a smooth surface; NaN where unknown."""
    seen = np.isfinite(view.uv[place]).all(axis=1)
    places = view.xyz_mm
    if places is None and board is not None:
        places = board.grid[view.ids]
    if places is None or seen.sum() < LEAST_FOR_MISFIT:
        return math.nan
    flat = np.ascontiguousarray(places[seen, :2])
    off = departures(np.ascontiguousarray(view.uv[place][seen]), flat)
    return float(np.sqrt(np.mean(np.sum(off**2, axis=1))))
