"""Boards found in images: which image shows one, where its points are, and why others do not."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hsitool.engine.pool import Progress, map_in_order
from hsitool.errors import DataError, HsitoolWarning
from hsitool.maths.boards.board import Board, Target
from hsitool.maths.boards.detection import Detection, Recipe, detect, missing
from hsitool.storage.corners import CornerView
from hsitool.storage.images import ImageHeader, list_images, read_grey, read_header

HINTS: dict[Target, str] = {
    "chess": "is --board the number of inner corners, not of squares?",
    "charuco": "is --board the number of inner corners, and --dict what was printed?",
    "circles": "is --board the number of circles along a row and down a column, and are they dark?",
    "acircles": "is --board the circles of one row and the number of rows, and are they dark?",
}
"""What is most often wrong where no board is found."""

Status = Literal["found", "not found", "wrong size", "unreadable"]
Size = tuple[int, int]


@dataclass(frozen=True)
class BoardView:
    """What became of an image: `reason` says in words why it does not serve.

    `size` is (columns, rows) of the image, None where it could not be read. An image of wrong size
    is searched as well, so `detection` may hold points. `orientation` is the EXIF number that was
    applied: where it is not 1, u and v are not the sensor's columns and rows.
    """

    name: str
    status: Status
    size: Size | None
    detection: Detection
    reason: str = ""
    orientation: int = 1

    @property
    def turned(self) -> bool:
        """Whether u and v are not the sensor's columns and rows."""
        return self.orientation != 1

    @property
    def uv(self) -> NDArray[np.float64]:
        """Points (n, 2) in px."""
        return self.detection.uv

    @property
    def ids(self) -> NDArray[np.int64]:
        """Their numbers (n,) on the board."""
        return self.detection.ids

    def __str__(self) -> str:
        reason = f": {self.reason}" if self.reason else ""
        return f"{self.name}: {self.status}{reason}"


@dataclass(frozen=True)
class Detections:
    """All images in the order given; `size` is (columns, rows) of those that were searched."""

    board: Board
    size: Size
    views: tuple[BoardView, ...]

    @property
    def found(self) -> tuple[BoardView, ...]:
        """The images that show the board and are of the right size."""
        return tuple(view for view in self.views if view.status == "found")

    @property
    def others(self) -> tuple[BoardView, ...]:
        """The images that do not serve."""
        return tuple(view for view in self.views if view.status != "found")

    @property
    def axes_swapped(self) -> bool | None:
        """Whether x of the images is y of the sensor, by EXIF; None: of some, but not of others."""
        ways = {view.orientation >= 5 for view in self.found}
        return None if len(ways) > 1 else ways == {True}

    def require_found(self) -> None:
        """Refuse to go on without any board.

        Raises:
            DataError: none was found.
        """
        if not self.found:
            looked = [view for view in self.views if view.status != "unreadable"]
            shown = looked[0] if looked else self.views[0]
            hint = HINTS[self.board.target] if looked else "none can be read"
            raise DataError(
                f"no {self.board} {self.board.target} board found in "
                f"{_count(len(self.views), 'image')} ({shown}): {hint}"
            )

    def corner_views(self) -> list[CornerView]:
        """The points found, as a corner list holds them."""
        return [CornerView(view.name, self.size, view.ids, view.uv) for view in self.found]


def find_boards(
    images: Sequence[Path],
    board: Board,
    recipe: Recipe | None = None,
    *,
    resize_ok: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
    processes: bool | None = None,
) -> Detections:
    """Look for a board in images or folders of images.

    All must be of one size, the most frequent; `resize_ok` drops others instead of refusing them.
    `processes` as for `map_in_order`.

    Raises:
        DataError: no image, none that can be read, or other sizes.
    """
    paths = list_images(images)
    if not paths:
        raise DataError("no images: name some, or a folder of them")
    workers = workers or os.cpu_count() or 1
    headers = map_in_order(_header, paths, workers=workers, processes=False)
    size = _common_size(headers)
    if not resize_ok:
        _refuse_sizes(headers, size)
    _warn_of_turned(headers, size)
    names = file_names(paths)
    views = map_in_order(
        partial(_look, board=board, recipe=recipe or Recipe(), size=size),
        list(zip(names, headers, strict=True)),
        workers=workers,
        progress=progress,
        processes=processes,
    )
    return Detections(board, size, tuple(views))


def checked_against(views: Sequence[CornerView], board: Board) -> None:
    """Refuse a corner list that cannot be of this board.

    Raises:
        DataError: a point that the board does not have.
    """
    for view in views:
        if view.xyz_mm is None and len(view.ids) and view.ids.max() >= board.count:
            raise DataError(
                f"{view.name}: point {view.ids.max()} is not on a {board} board, whose points "
                f"count from 0 to {board.count - 1}: was the list made with another --board?"
            )


def _header(path: Path) -> ImageHeader | DataError:
    try:
        return read_header(path)
    except DataError as error:
        return error


def _look(
    piece: tuple[str, ImageHeader | DataError], board: Board, recipe: Recipe, size: Size
) -> BoardView:
    name, header = piece
    if isinstance(header, DataError):
        return BoardView(name, "unreadable", None, missing(""), _why(header, name))
    turned = header.orientation
    try:
        seen = detect(read_grey(header), board, recipe)
    except DataError as error:
        return BoardView(name, "unreadable", header.size, missing(""), _why(error, name), turned)
    status: Status = "found" if seen.found else "not found"
    reason = seen.reason
    if header.size != size:
        what = "shows the board, but has" if seen.found else "has"
        status, reason = "wrong size", f"{what} {_times(header.size)} pixels, not {_times(size)}"
    return BoardView(name, status, header.size, seen, reason, turned)


def _why(error: DataError, name: str) -> str:
    """Without the name that goes before."""
    return str(error).partition(f"{name}: ")[2] or str(error)


def _common_size(headers: Sequence[ImageHeader | DataError]) -> Size:
    """The most frequent size, the first of equally frequent ones."""
    sizes = [header.size for header in headers if isinstance(header, ImageHeader)]
    if not sizes:
        more = f" (and {len(headers) - 1} more)" if len(headers) > 1 else ""
        raise DataError(f"{headers[0]}{more}")
    return Counter(sizes).most_common(1)[0][0]


def _refuse_sizes(headers: Sequence[ImageHeader | DataError], size: Size) -> None:
    read = [header for header in headers if isinstance(header, ImageHeader)]
    other = [header for header in read if header.size != size]
    if not other:
        return
    listed = ", ".join(
        f"{h.path.name} ({_times(h.size)}{', turned by EXIF' if h.orientation >= 5 else ''})"
        for h in other
    )
    raise DataError(
        f"{_count(len(other), 'image')} of another size than {_times(size)}: {listed}: "
        "one camera has one size; --resize-ok leaves them out"
    )


def _warn_of_turned(headers: Sequence[ImageHeader | DataError], size: Size) -> None:
    """K belongs to the sensor: images that EXIF turns differently have no common K."""
    used = [h for h in headers if isinstance(h, ImageHeader) and h.size == size]
    ways = Counter(h.orientation for h in used)
    if len(ways) > 1:
        said = ", ".join(f"{count} by {way}" for way, count in sorted(ways.items()))
        warnings.warn(
            f"images are turned differently by EXIF orientation ({said}; 1 is upright): "
            "the camera's axes differ among them, so one calibration cannot hold for all",
            HsitoolWarning,
            stacklevel=3,
        )
    elif ways and set(ways) != {1}:
        warnings.warn(
            f"EXIF orientation {next(iter(ways))} was applied: fx and fy belong to the upright "
            "images, not to the sensor's columns and rows",
            HsitoolWarning,
            stacklevel=3,
        )


def file_names(paths: Sequence[Path]) -> list[str]:
    """File names, with their folders where one occurs twice."""
    count = Counter(path.name for path in paths)
    return [path.name if count[path.name] == 1 else str(path) for path in paths]


def _times(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
