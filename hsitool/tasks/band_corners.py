"""Corners of one board in all bands of its views: followed in cubes, or read from lists."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsitool.cube import CubeInfo
from hsitool.engine.plan import PACKED_BYTES, PROCESS_BYTES, Budget
from hsitool.engine.pool import Progress, map_in_order
from hsitool.errors import DataError, UsageError
from hsitool.maths.boards.board import Board
from hsitool.maths.boards.corners import LEAST_FOR_MISFIT, departures
from hsitool.maths.boards.detection import Recipe, detect
from hsitool.maths.boards.follow import Followed, edge_score, follow
from hsitool.maths.cameras.calibration_result import Refusal
from hsitool.maths.cameras.camera import Floats
from hsitool.storage.corners import CornerView, read_corners
from hsitool.storage.images import list_images, stretched
from hsitool.tasks.band_frames import Frame, ViewFile, offsets
from hsitool.tasks.bands import describe_band, find_band, find_bands
from hsitool.tasks.boards import file_names
from hsitool.tasks.calib_inputs import LISTS, NO_BOARD, Corners, Size, Source, unit_of

SCOUTED = 3
"""Views in which all bands are looked at, and bands that may be tried in a view."""
SAME_NM = 0.01
COPIES = 6
"""Frames that a worker holds beside the group of bands that it reads."""
BYTES = 4
TARGETS = ("chess", "charuco")


@dataclass(frozen=True)
class BandsAsked:
    """Which bands, against which, and how their files are to be read.

    `bands` and `reference` as typed: "all" or a list as `--bands` of convert has; "auto" or a band.
    `mosaic` is (filters across, filters down) of raw frames.
    """

    bands: str = "all"
    reference: str = "auto"
    mosaic: tuple[int, int] | None = None
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
    notes: tuple[str, ...] = ()
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
            tuple(found), self.size, self.board, self.unit, (*self.refused, *lost), (), self.recipe
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


def read_bands(source: Source, asked: BandsAsked, progress: Progress | None = None) -> BandCorners:
    """Corners in all bands of a source.

    Raises:
        UsageError: no board, fewer than two bands, or options that do not go with the inputs.
        DataError: files that do not belong together, or no board in any.
    """
    if source.points is not None:
        raise UsageError("--points files hold one band: --bands needs cubes or a list with bands")
    lists = [path for path in source.inputs if path.suffix.lower() in LISTS]
    if lists and len(lists) < len(source.inputs):
        raise UsageError(f"{lists[0]} is a corner list: give cubes or lists, not both")
    return _listed(source, asked) if lists else _followed(source, asked, progress)


# Cubes


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


def _followed(source: Source, asked: BandsAsked, progress: Progress | None) -> BandCorners:
    if source.board is None:
        raise UsageError(NO_BOARD)
    if source.board.target not in TARGETS:
        raise UsageError(
            f"--target {source.board.target}: bands are compared by the corners of a chess or "
            "charuco board"
        )
    paths = list_images(source.inputs)
    files = [
        ViewFile(path, wavelengths_file=asked.wavelengths, mosaic=asked.mosaic) for path in paths
    ]
    _require_alike(files)
    info, names = files[0].info, file_names(paths)
    bands, left_out = _bands(info, asked.bands)
    given = None if asked.reference == "auto" else find_band(info, asked.reference)
    if given is not None and given not in bands:
        bands = sorted({*bands, given})
    _require_two(len(bands), asked.bands)
    workers, memory = _shares(files[0], asked.budget, source.workers)
    starts = _best_looking(files, bands, memory)
    if given is not None:
        starts = [given, *(band for band in starts if band != given)][:SCOUTED]
    shifts = np.zeros((info.bands, 2)) if asked.mosaic is None else offsets(asked.mosaic)
    job = _Job(source.board, source.recipe, tuple(bands), tuple(starts), shifts, memory)
    pieces = list(zip(files, names, strict=True))
    found = map_in_order(
        partial(_look, job=job), pieces, workers=workers, progress=progress, processes=False
    )
    _require_found(found, names, source.board)
    looks = _looks(found, len(bands))
    views = tuple(piece.view for piece in found if piece.view is not None)
    centres = info.wavelength_nm
    frame = files[0].frame_size
    return BandCorners(
        numbers=tuple(band + 1 for band in bands),
        wavelength_nm=None if centres is None else tuple(centres[band] for band in bands),
        reference=bands.index(given) if given is not None else _surest(views, looks),
        views=views,
        looks=looks,
        size=files[0].size,
        board=source.board,
        unit=unit_of(source),
        refused=tuple(
            Refusal(name, piece.reason)
            for name, piece in zip(names, found, strict=True)
            if piece.view is None
        ),
        notes=(
            *left_out,
            *(
                f"{name}: {piece.reason or 'found'}"
                for name, piece in zip(names, found, strict=True)
            ),
        ),
        recipe=source.recipe,
        mosaic=asked.mosaic,
        offset_px=None if asked.mosaic is None else shifts[bands],
        frame_size=frame if asked.mosaic is not None else None,
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


def _bands(info: CubeInfo, text: str) -> tuple[list[int], list[str]]:
    """The bands asked for, from 0, and notes on those left out."""
    if text.strip().lower() != "all":
        return sorted(set(find_bands(info, text))), []
    good = [band for band in range(info.bands) if info.good is None or info.good[band]]
    bad = [describe_band(info, band) for band in range(info.bands) if band not in good]
    return good, [f"{band}: left out: the file flags it as bad" for band in bad]


def _require_two(count: int, text: str) -> None:
    if count < 2:
        raise UsageError(
            f"--bands {text}: {count} band{'s' * (count != 1)}: name two or more, or all, since "
            "bands are compared with each other (hsitool band writes one as an image)"
        )


def _shares(file: ViewFile, budget: Budget, workers: int | None) -> tuple[int, int]:
    """How many views are worked on at once, and the memory of each for the bands that it reads."""
    room = max(budget.memory - PROCESS_BYTES - PACKED_BYTES, 0)
    columns, rows = file.frame_size
    copies = COPIES * columns * rows * BYTES
    count = max(1, min(workers or budget.workers, room // (2 * copies)))
    return count, max(room // count - copies, copies // COPIES)


def _best_looking(files: Sequence[ViewFile], bands: Sequence[int], memory: int) -> list[int]:
    """The bands with the clearest edges in some views, to begin with."""
    places = np.unique(np.linspace(0, len(files) - 1, SCOUTED).astype(int))
    scores = [
        [edge_score(frame) for _, frame in files[place].frames(bands, memory)] for place in places
    ]
    order = np.argsort(-np.median(scores, axis=0), kind="stable")
    return [bands[place] for place in order[:SCOUTED]]


def _look(piece: tuple[ViewFile, str], job: _Job) -> _Found:
    """One view: detect the board in one band, follow it in all."""
    file, name = piece
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
    return _Found(BandView(name, seen.ids, uv), tuple(followed))


def _follow(frame: Frame, places: Floats, job: _Job, ids: NDArray[np.int64], band: int) -> Followed:
    """In a band whose pixels are off the middle of a mosaic's pattern; 0 in other cubes."""
    shift = job.offset_px[band]
    found = follow(frame, places - shift, job.board, ids)
    return Followed(found.uv + shift, found.contrast, found.blur_px, found.scatter_px, found.reason)


def _require_found(found: Sequence[_Found], names: Sequence[str], board: Board) -> None:
    if all(piece.view is None for piece in found):
        raise DataError(
            f"no {board} {board.target} board found in {len(found)} views ({names[0]}: "
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
        _median([band.contrast for band in good]),
        _median([band.blur_px for band in good]),
        _median([band.scatter_px for band in good]),
        refused,
    )


def _median(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return float(np.median(known)) if known else math.nan


def _surest(views: Sequence[BandView], looks: Sequence[BandLook]) -> int:
    """The reference: of the bands seen in most views, that whose corners scatter least.

    Sharpness, contrast and noise of a band all end in how surely its corners are found.
    """
    seen = np.sum([np.isfinite(view.uv[..., 0]).any(axis=1) for view in views], axis=0)
    best = [place for place in range(len(looks)) if seen[place] == seen.max()]
    return min(best, key=lambda p: looks[p].scatter_px if looks[p].scatter_px >= 0 else math.inf)


# Lists


def _listed(source: Source, asked: BandsAsked) -> BandCorners:
    """Of CSV or JSON lists that say which band each point was seen in."""
    if asked.mosaic is not None or asked.wavelengths is not None:
        option = "--mosaic" if asked.mosaic is not None else "--wavelengths"
        raise UsageError(f"{option} goes with cubes: a corner list has its bands and wavelengths")
    read = [view for path in source.inputs for view in read_corners(path)]
    if any(view.band is None for view in read):
        raise UsageError(
            f"{source.inputs[0]} does not say in which band its points were seen: give cubes, or "
            "a list with the column band"
        )
    if len({view.size for view in read}) > 1:
        raise DataError("the lists are of images of several sizes: one camera has one")
    info = _info_of(read)
    listed = {view.band for view in read}
    chosen, _ = _bands(info, asked.bands)
    bands = [band for band in chosen if band + 1 in listed]
    given = None if asked.reference == "auto" else find_band(info, asked.reference)
    if given is not None and given + 1 not in listed:
        raise UsageError(f"--ref-band {asked.reference}: the lists have no {given + 1}. band")
    if given is not None and given not in bands:
        bands = sorted({*bands, given})
    _require_two(len(bands), asked.bands)
    views = _joined(read, bands)
    looks = tuple(_listed_look(views, place, source.board) for place in range(len(bands)))
    centres = info.wavelength_nm
    placed = all(view.xyz_mm is not None for view in read)
    return BandCorners(
        numbers=tuple(band + 1 for band in bands),
        wavelength_nm=None if centres is None else tuple(centres[band] for band in bands),
        reference=bands.index(given) if given is not None else _surest(views, looks),
        views=views,
        looks=looks,
        size=read[0].size,
        board=source.board,
        unit="mm" if placed else unit_of(source),
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


MOST_BANDS = 100_000


def _joined(read: Sequence[CornerView], bands: Sequence[int]) -> tuple[BandView, ...]:
    """The bands of each image side by side."""
    by_name: dict[str, list[CornerView]] = {}
    for view in read:
        if view.band is not None and view.band - 1 in bands:
            by_name.setdefault(view.name, []).append(view)
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


def _listed_look(views: Sequence[BandView], place: int, board: Board | None) -> BandLook:
    scatter = [_scatter(view, place, board) for view in views]
    return BandLook(math.nan, math.nan, _median(scatter))


def _scatter(view: BandView, place: int, board: Board | None) -> float:
    """RMS distance in px of a band's corners to a smooth surface; NaN where unknown."""
    seen = np.isfinite(view.uv[place]).all(axis=1)
    places = view.xyz_mm
    if places is None and board is not None and view.ids.max() < board.count:
        places = board.grid[view.ids]
    if places is None or seen.sum() < LEAST_FOR_MISFIT:
        return math.nan
    flat = np.ascontiguousarray(places[seen, :2])
    off = departures(np.ascontiguousarray(view.uv[place][seen]), flat)
    return float(np.sqrt(np.mean(np.sum(off**2, axis=1))))
