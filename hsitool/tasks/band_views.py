"""Corners of a board in all bands of cubes: detected in one, followed in the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hsitool.engine.plan import PACKED_BYTES, PROCESS_BYTES, Budget
from hsitool.engine.pool import Progress, map_in_order
from hsitool.errors import DataError, UsageError
from hsitool.maths.boards.board import Board
from hsitool.maths.boards.corners import departures, same_way_round
from hsitool.maths.boards.detection import Detection, Recipe, detect
from hsitool.maths.boards.follow import Followed, edge_score, follow
from hsitool.maths.cameras.calibration_result import Refusal
from hsitool.maths.cameras.camera import Floats
from hsitool.storage.images import list_images, stretched
from hsitool.tasks.band_corners import (
    BandCorners,
    BandLook,
    BandsAsked,
    BandView,
    Chosen,
    choose_bands,
    median_known,
)
from hsitool.tasks.band_frames import Frame, ViewFile, offsets, view_files
from hsitool.tasks.bands import describe_band
from hsitool.tasks.calib_inputs import NO_BOARD, Source, Tell, unit_of

SCOUTED = 3
"""Views in which all bands are looked at, and bands that may be tried in a view."""
SAME_NM = 0.01
COPIES = 6
"""Frames that a worker holds beside the group of bands that it reads."""
BYTES = 4
TARGETS = ("chess", "charuco")


@dataclass(frozen=True, eq=False)
class _Job:
    """What every view is searched for."""

    board: Board
    recipe: Recipe
    bands: tuple[int, ...]
    starts: tuple[int, ...]
    """Bands (from 0) to detect the board in, the first that shows it."""
    offset_px: Floats
    """(bands of the file, 2)"""
    memory: int


@dataclass(frozen=True, eq=False)
class _Found:
    """One view; `view` is None where `reason` says why it does not serve."""

    view: BandView | None
    followed: tuple[Followed, ...] = ()
    reason: str = ""


def bands_of_views(
    source: Source,
    asked: BandsAsked,
    progress: Progress | None = None,
    tell: Tell | None = None,
) -> BandCorners:
    """Of cubes, of raw frames of a mosaic sensor, or of the images of a rig.

    `tell` hears a line for each band that is left out, and for each view: found, or why not.

    Raises:
        UsageError: no board is named, or fewer than two bands.
        DataError: files that do not belong together, or no board in any.
    """
    if source.board is None:
        raise UsageError(NO_BOARD)
    if source.board.target not in TARGETS and not asked.rig:
        raise UsageError(
            f"--target {source.board.target}: bands are compared by the corners of a chess or "
            "charuco board"
        )
    files = view_files(list_images(source.inputs), asked)
    _require_alike(files)
    chosen = choose_bands(files[0].info, asked)
    workers, _ = _shares(files[0], asked.budget, source.workers)
    job = _job(source, source.board, asked, files, chosen)
    found = map_in_order(
        partial(_look_apart if asked.rig else _look, job=job),
        files,
        workers=workers,
        progress=progress,
        processes=False,
    )
    if tell is not None:
        for line in (*chosen.notes, *map(_line, files, found)):
            tell(line)  # before all that may fail, as it is the reason
    _require_found(found, files, source.board)
    return _joined(source, asked, files, chosen, found)


def _job(
    source: Source, board: Board, asked: BandsAsked, files: Sequence[ViewFile], chosen: Chosen
) -> _Job:
    """What the views are searched for, after a look at some of them."""
    workers, memory = _shares(files[0], asked.budget, source.workers)
    starts = () if asked.rig else _best_looking(files, chosen.bands, memory * workers)
    if chosen.reference is not None:
        starts = (chosen.reference, *(band for band in starts if band != chosen.reference))
    bands = files[0].info.bands
    shifts = np.zeros((bands, 2)) if asked.mosaic is None else offsets(asked.mosaic)
    return _Job(board, source.recipe, chosen.bands, starts[:SCOUTED], shifts, memory)


def _line(file: ViewFile, found: _Found) -> str:
    return f"{file.name}: {found.reason or 'found'}"


def _joined(
    source: Source,
    asked: BandsAsked,
    files: Sequence[ViewFile],
    chosen: Chosen,
    found: Sequence[_Found],
) -> BandCorners:
    centres = files[0].info.wavelength_nm
    views = tuple(piece.view for piece in found if piece.view is not None)
    looks = _looks(found, len(chosen.bands))
    named = list(zip((file.name for file in files), found, strict=True))
    is_mosaic = asked.mosaic is not None
    return BandCorners(
        numbers=tuple(band + 1 for band in chosen.bands),
        wavelength_nm=None if centres is None else tuple(centres[b] for b in chosen.bands),
        reference=chosen.place(views, looks),
        views=views,
        looks=looks,
        size=files[0].size,
        board=source.board,
        unit=unit_of(source),
        refused=tuple(Refusal(name, piece.reason) for name, piece in named if piece.reason),
        recipe=source.recipe,
        mosaic=asked.mosaic,
        offset_px=offsets(asked.mosaic)[list(chosen.bands)] if asked.mosaic is not None else None,
        frame_size=files[0].frame_size if is_mosaic else None,
    )


def _require_alike(files: Sequence[ViewFile]) -> None:
    """Views of one camera have the same size and the same bands."""
    first = files[0]
    for file in files[1:]:
        one, other = first.info, file.info
        if file.size != first.size or other.bands != one.bands:
            raise DataError(
                f"{file.path}: {other.bands} bands of {other.columns}x{other.rows} px, but "
                f"{first.path} has {one.bands} of {one.columns}x{one.rows}: views of one camera "
                "have the same"
            )
        if one.wavelength_nm is None or other.wavelength_nm is None:
            continue
        apart = np.abs(np.subtract(one.wavelength_nm, other.wavelength_nm))
        if apart.max() > SAME_NM:
            band = int(apart.argmax())
            raise DataError(
                f"{file.path}: {describe_band(other, band)}, but in {first.path} "
                f"{describe_band(one, band)}: views of one camera have the same bands "
                "(--wavelengths FILE overrides them)"
            )


def _shares(file: ViewFile, budget: Budget, workers: int | None) -> tuple[int, int]:
    """How many views are worked on at once, and the memory of each for the bands that it reads."""
    room = max(budget.memory - PROCESS_BYTES - PACKED_BYTES, 0)
    columns, rows = file.frame_size
    copies = COPIES * columns * rows * BYTES
    count = max(1, min(workers or budget.workers, room // (2 * copies)))
    return count, max(room // count - copies, copies // COPIES)


def _best_looking(files: Sequence[ViewFile], bands: Sequence[int], memory: int) -> tuple[int, ...]:
    """The bands with the clearest edges in some views, to begin with."""
    places = np.unique(np.linspace(0, len(files) - 1, SCOUTED).astype(int))
    scores = [
        [edge_score(frame) for _, frame in files[place].frames(bands, memory)] for place in places
    ]
    order = np.argsort(-np.median(scores, axis=0), kind="stable")
    return tuple(bands[place] for place in order[:SCOUTED])


def _look(file: ViewFile, job: _Job) -> _Found:
    """One view: detect the board in one band, follow it in all."""
    reason = ""
    for start in job.starts:
        _, frame = next(file.frames([start], job.memory))
        seen = detect(stretched(frame), job.board, job.recipe)
        if seen.found:
            break
        reason = reason or f"not found: {seen.reason} in {describe_band(file.info, start)}"
    else:
        return _Found(None, reason=reason)
    places = seen.uv + job.offset_px[start]
    followed = [
        _follow(frame, places, job, seen.ids, band)
        for band, frame in file.frames(job.bands, job.memory)
    ]
    uv = np.array([band.uv for band in followed])
    return _Found(BandView(file.name, seen.ids, uv), tuple(followed))


def _look_apart(file: ViewFile, job: _Job) -> _Found:
    """One view of a rig: detect the board in every band, since each sees it from elsewhere."""
    board = job.board
    uv = np.full((len(job.bands), board.count, 2), np.nan)
    found = []
    for place, (_, frame) in enumerate(file.frames(job.bands, job.memory)):
        seen = detect(stretched(frame), board, job.recipe)
        uv[place, seen.ids] = seen.uv
        found.append(Followed(seen.uv, scatter_px=_scatter(seen, board), reason=seen.reason))
    if all(band.reason for band in found):
        return _Found(None, reason=f"not found: {found[0].reason} in any band")
    if board.target != "charuco":
        uv = same_way_round(uv, (board.rows, board.columns))
    shown = np.isfinite(uv[..., 0]).any(axis=0)
    return _Found(BandView(file.name, np.flatnonzero(shown), uv[:, shown]), tuple(found))


def _scatter(seen: Detection, board: Board) -> float:
    """RMS distance in px of corners to a smooth surface; NaN without any."""
    if not seen.found:
        return np.nan
    off = departures(seen.uv, board.grid[seen.ids])
    return float(np.sqrt(np.mean(np.sum(off**2, axis=1))))


def _follow(frame: Frame, places: Floats, job: _Job, ids: NDArray[np.int64], band: int) -> Followed:
    """In a band whose pixels are off the middle of a mosaic's pattern; 0 in other cubes."""
    shift = job.offset_px[band]
    found = follow(frame, places - shift, job.board, ids)
    return replace(found, uv=found.uv + shift)


def _require_found(found: Sequence[_Found], files: Sequence[ViewFile], board: Board) -> None:
    if all(piece.view is None for piece in found):
        raise DataError(
            f"no {board} {board.target} board found in {len(found)} views ({files[0].name}: "
            f"{found[0].reason}): is --board the number of inner corners, not of squares?"
        )


def _looks(found: Sequence[_Found], bands: int) -> tuple[BandLook, ...]:
    seen = [piece for piece in found if piece.view is not None]
    return tuple(_look_of(seen, place) for place in range(bands))


def _look_of(seen: Sequence[_Found], place: int) -> BandLook:
    followed = [piece.followed[place] for piece in seen]
    good = [band for band in followed if not band.reason] or followed
    refused = tuple(
        Refusal(piece.view.name, piece.followed[place].reason)
        for piece in seen
        if piece.view is not None and piece.followed[place].reason
    )
    return BandLook(
        median_known([band.contrast for band in good]),
        median_known([band.blur_px for band in good]),
        median_known([band.scatter_px for band in good]),
        refused,
    )
