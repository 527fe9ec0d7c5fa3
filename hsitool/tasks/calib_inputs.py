"""Corners to calibrate from: detected in images, or read from lists of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from hsitool.engine.pool import Progress
from hsitool.errors import DataError, UsageError
from hsitool.maths.boards.board import Board
from hsitool.maths.boards.detection import Method, Recipe
from hsitool.maths.cameras.calibration_result import Refusal
from hsitool.maths.cameras.camera import BoardView, Floats
from hsitool.storage.corners import ENDINGS, CornerView, read_corners, read_point_files
from hsitool.storage.images import list_images
from hsitool.tasks.boards import checked_against, find_boards

Kind = Literal["images", "lists", "points"]
Tell = Callable[[str], None]
NO_BOARD = "--board is needed: count inner corners, not squares, as in --board 9x6"
PLACED = "leave out --board and --square"
SWAPPED = (
    "EXIF turns the images by 90 degrees: pixel sizes are taken as given along the sensor's x and "
    "y, fx and fy are along those of the upright images"
)
Size = tuple[int, int]


@dataclass(frozen=True)
class Source:
    """What to calibrate from.

    `inputs` are images and folders of them, or corner lists, or point files of the board's
    points in the file `points`. `square_mm` is None where the board's size is not known; `board`
    then has squares of 1. `size` is that of the images of point files, in px.
    """

    inputs: tuple[Path, ...]
    board: Board | None = None
    square_mm: float | None = None
    recipe: Recipe = field(default_factory=Recipe)
    resize_ok: bool = False
    points: Path | None = None
    size: Size | None = None
    workers: int | None = None


@dataclass(frozen=True, eq=False)
class Corners:
    """Corners of all views, and what was not used and why; lengths are in `unit`.

    `board` is None where the lists say themselves where their points are.
    """

    views: tuple[CornerView, ...]
    size: Size
    board: Board | None
    unit: str
    refused: tuple[Refusal, ...] = ()
    recipe: Recipe | None = None
    """How they were detected, None where they were read."""
    axes_swapped: bool | None = False
    """Whether x of the images is y of the sensor, as EXIF turned them by 90 degrees; None: some."""

    def board_views(self) -> list[BoardView]:
        """With the places on the board, by the list itself or by the points' numbers.

        Raises:
            UsageError: neither is known.
            DataError: a point that the board does not have.
        """
        if self.board is not None:
            checked_against(self.views, self.board)
        return [BoardView(view.name, view.uv, self._places(view)) for view in self.views]

    def _places(self, view: CornerView) -> Floats:
        if view.xyz_mm is not None:
            return view.xyz_mm
        if self.board is None:
            raise UsageError(NO_BOARD)
        places: Floats = self.board.points_mm[view.ids]
        return places


def kind_of(inputs: Sequence[Path], points: Path | None) -> Kind:
    """What the inputs are: corner lists by their endings, all other files images.

    Raises:
        UsageError: images and lists are mixed.
    """
    if points is not None:
        return "points"
    lists = [path for path in inputs if path.suffix.lower() in ENDINGS]
    if lists and len(lists) < len(inputs):
        other = next(path for path in inputs if path not in lists)
        raise UsageError(
            f"{lists[0]} is a corner list, {other} is none: give images or lists, not both"
        )
    return "lists" if lists else "images"


def read_source(
    source: Source, progress: Progress | None = None, tell: Tell | None = None
) -> Corners:
    """Corners of a source; `tell` hears a line for each image: found, not found, wrong size.

    Raises:
        UsageError: no board is named, or images and lists are mixed.
        DataError: nothing can be read or found, or images differ in size.
    """
    kind = kind_of(source.inputs, source.points)
    if source.points is not None:
        return _from_point_files(source, source.points)
    return _listed(source) if kind == "lists" else _detected(source, progress, tell)


def recipe_of(accurate: bool, window: int | None, eps_px: float | None) -> Recipe:
    """How to look for chessboards, by what was asked for.

    Raises:
        UsageError: two recipes at once.
    """
    old = window is not None or eps_px is not None
    if accurate and old:
        raise UsageError("--accurate chooses its own windows: leave out --subpix-window and -eps")
    method: Method = "accurate" if accurate else "classic" if old else "fast"
    chosen = Recipe(method)
    if window is not None:
        chosen = replace(chosen, window=window)
    return chosen if eps_px is None else replace(chosen, eps_px=eps_px)


def _detected(source: Source, progress: Progress | None, tell: Tell | None) -> Corners:
    if source.board is None:
        list_images(source.inputs)  # an empty folder is the more useful thing to say
        raise UsageError(NO_BOARD)
    found = find_boards(
        source.inputs,
        source.board,
        source.recipe,
        resize_ok=source.resize_ok,
        workers=source.workers,
        progress=progress,
    )
    if tell is not None:
        for view in found.views:
            tell(str(view))  # before all that may fail, as it is the reason
    found.require_found()
    refused = tuple(Refusal(v.name, f"{v.status}: {v.reason}") for v in found.others)
    views = tuple(found.corner_views())
    swapped = found.axes_swapped
    if swapped and tell is not None:
        tell(SWAPPED)
    unit = unit_of(source)
    return Corners(views, found.size, source.board, unit, refused, source.recipe, swapped)


def unit_of(source: Source) -> str:
    """What lengths on the board are in."""
    return "squares" if source.square_mm is None else "mm"


def _listed(source: Source) -> Corners:
    """Of CSV or JSON lists; several are joined."""
    read = [(path, view) for path in source.inputs for view in read_corners(path)]
    if len(bands := sorted({view.band for _, view in read if view.band is not None})) > 1:
        raise UsageError(
            f"{source.inputs[0]} holds {len(bands)} bands: --bands all calibrates each against "
            "one of them"
        )
    sizes = {view.size: path for path, view in read}
    if len(sizes) > 1:
        (one, first), (other, second), *_ = sizes.items()
        raise DataError(
            f"{second} is of images of {other[0]}x{other[1]} px, {first} of {one[0]}x{one[1]} px: "
            "one camera has one size"
        )
    count = Counter(view.name for _, view in read)
    views = tuple(
        view if count[view.name] == 1 else replace(view, name=f"{path}:{view.name}")
        for path, view in read
    )
    unit = listed_unit(source, views)
    return Corners(views, next(iter(sizes)), source.board, unit)


def listed_unit(source: Source, views: Sequence[CornerView]) -> str:
    """What lengths are in that lists tell.

    Raises:
        UsageError: a board is named, too, although they say themselves where their points are.
    """
    if not all(view.xyz_mm is not None for view in views):
        return unit_of(source)
    if not (source.board is None and source.square_mm is None):
        raise UsageError(f"{source.inputs[0]} says itself where its points are: {PLACED}")
    return "mm"


def _from_point_files(source: Source, model: Path) -> Corners:
    if source.size is None:
        raise UsageError("--points needs the image size in px, as --size 640x480")
    unit_mm = 1.0 if source.square_mm is None else source.square_mm
    views = read_point_files(source.inputs, model, source.size, unit_mm)
    unit = "units" if source.square_mm is None else "mm"
    return Corners(tuple(views), source.size, None, unit)
