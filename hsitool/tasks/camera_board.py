"""`hsitool camera board`: a calibration board on a sheet of paper, with rulers both ways."""

from __future__ import annotations

import math
import re
import shlex
import warnings
from dataclasses import dataclass, replace

from hsitool.errors import HsitoolWarning, UsageError
from hsitool.maths.boards.board import Board, Target, parse_counts, parse_length_mm
from hsitool.maths.boards.ink import Ink, ink_of

PAGES_MM: dict[str, tuple[float, float]] = {
    "A5": (148, 210),
    "A4": (210, 297),
    "A3": (297, 420),
    "A2": (420, 594),
    "A1": (594, 841),
    "A0": (841, 1189),
    "letter": (215.9, 279.4),
}
"""Short side, long side."""
TO_CHOOSE_FROM = ("A4", "A3", "A2", "A1", "A0")
"""Where no page is named: the first that fits."""
ROUND_MM = (
    *(100, 90, 80, 75, 70, 60, 50, 45, 40, 35, 30, 25, 20, 18, 16, 15, 14, 12, 10),
    *(9, 8, 7, 6, 5, 4, 3, 2.5, 2),
)
"""Squares that a board gets where none is asked for, largest first."""
MARKER_SHARE = 0.72
"""Of a square: 18 mm in 25 mm."""
RULER_MM, CAPTION_MM, QUIET_MM = 8.0, 8.5, 5.0
QUIET_SHARE = 0.2
"""White around the pattern, of a square."""
SMALLEST_PAGE_MM, LARGEST_PAGE_MM = 50.0, 5000.0
SHORTEST_RULER_MM = 10.0
NAMES: dict[Target, str] = {
    "chess": "Chessboard",
    "charuco": "ChArUco board",
    "circles": "Grid of circles",
    "acircles": "Asymmetric grid of circles",
}


@dataclass(frozen=True, eq=False)
class Sheet:
    """A board on a page, in mm from the page's upper left corner, x to the right, y down."""

    board: Board
    ink: Ink
    page_mm: tuple[float, float]
    origin_mm: tuple[float, float]
    """Of the board's first point."""
    rulers_mm: tuple[float, float]
    """Lengths of the rulers along x and along y, both from the pattern's corner."""
    caption: tuple[str, ...]

    @property
    def quiet_mm(self) -> float:
        """White between the pattern and its rulers."""
        return _quiet(self.board)

    @property
    def extent_mm(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of the pattern on the page."""
        (x, y), (left, top, right, bottom) = self.origin_mm, self.ink.extent
        return x + left, y + top, x + right, y + bottom


@dataclass(frozen=True)
class BoardSettings:
    """What is to be drawn; lengths in mm. `page` is (width, height) as named, None to choose."""

    counts: tuple[int, int] = (9, 6)
    square_mm: float | None = None
    target: Target = "chess"
    dictionary: str = "DICT_5X5_1000"
    marker_mm: float | None = None
    page: str | None = None
    margin_mm: float = 5.0

    def board(self, square_mm: float) -> Board:
        """With squares of that side."""
        marker = self.marker_mm
        if self.target == "charuco" and marker is None:
            marker = float(f"{MARKER_SHARE * square_mm:.3g}")
        marker = marker if self.target == "charuco" else None
        return Board(*self.counts, square_mm, self.target, marker, self.dictionary)


def sheet_of(settings: BoardSettings) -> Sheet:
    """Choose the page and the square where they are not given, and place the board.

    Raises:
        UsageError: no such board, or it does not fit the page: the size that it needs is told.
    """
    if not 0 <= settings.margin_mm < 200:
        raise UsageError(f"--margin {settings.margin_mm:g}mm: give 0 to 200 mm")
    if settings.marker_mm is not None and settings.target != "charuco":
        raise UsageError("--marker belongs to --target charuco: leave it out")
    pages = [page_mm(name) for name in ([settings.page] if settings.page else TO_CHOOSE_FROM)]
    if settings.square_mm is None:
        board = _largest(settings, pages[0])
    else:
        board = settings.board(settings.square_mm)
    _warn_of_ambiguity(board)
    ink = ink_of(board)
    needed = _needed(board, ink, settings.margin_mm)
    for page in pages:
        for turned in (page, page[::-1]):
            if _fits(needed, turned):
                return _placed(board, ink, turned, needed, settings.margin_mm)
    raise UsageError(_too_large(board, needed, settings))


def page_mm(text: str) -> tuple[float, float]:
    """(width, height) of `A4`, `letter` or `300x400mm`.

    Raises:
        UsageError: none of these.
    """
    named = {name.lower(): size for name, size in PAGES_MM.items()}
    plain = text.strip().lower().replace("×", "x")
    if plain in named:
        return named[plain]
    parts = re.fullmatch(r"([\d.]+)\s*(mm|cm|m|in)?\s*x\s*([\d.]+)\s*(mm|cm|m|in)?", plain)
    if not parts:
        known = ", ".join(PAGES_MM)
        raise UsageError(f"--page '{text}' is none of {known}, and no WxH, as 300x400mm")
    unit = parts[4] or parts[2] or "mm"
    width = parse_length_mm(parts[1] + (parts[2] or unit), "--page")
    height = parse_length_mm(parts[3] + unit, "--page")
    if not SMALLEST_PAGE_MM <= min(width, height) <= max(width, height) <= LARGEST_PAGE_MM:
        raise UsageError(
            f"--page '{text}': give sides of {SMALLEST_PAGE_MM:g} to {LARGEST_PAGE_MM:g} mm"
        )
    return width, height


def parse_board(counts: str) -> tuple[int, int]:
    """Columns and rows of `9x6`.

    Raises:
        UsageError: it does not read so.
    """
    return parse_counts(counts)


def _largest(settings: BoardSettings, page: tuple[float, float]) -> Board:
    """Of a round size that fits; the smallest where none does, to be refused with its page."""
    for side in ROUND_MM:
        if settings.marker_mm is not None and settings.marker_mm >= side:
            break
        board = settings.board(float(side))
        needed = _needed(board, ink_of(board), settings.margin_mm)
        if _fits(needed, page) or _fits(needed, page[::-1]):
            return board
    smallest = ROUND_MM[-1] if settings.marker_mm is None else settings.marker_mm / MARKER_SHARE
    return settings.board(float(smallest))


def _quiet(board: Board) -> float:
    return max(QUIET_MM, QUIET_SHARE * board.square_mm)


def _needed(board: Board, ink: Ink, margin: float) -> tuple[float, float]:
    """mm of the page, with rulers, caption, white around the pattern and margins."""
    left, top, right, bottom = ink.extent
    quiet = _quiet(board)
    beyond = max(margin, quiet)  # a margin is white, too
    width = margin + RULER_MM + quiet + (right - left) + beyond
    height = beyond + (bottom - top) + quiet + RULER_MM + CAPTION_MM + margin
    return width, height


def _fits(needed: tuple[float, float], page: tuple[float, float]) -> bool:
    return needed[0] <= page[0] + 1e-9 and needed[1] <= page[1] + 1e-9


def _placed(
    board: Board, ink: Ink, page: tuple[float, float], needed: tuple[float, float], margin: float
) -> Sheet:
    """In the middle of the page."""
    left, top, right, bottom = ink.extent
    spare_x, spare_y = (page[0] - needed[0]) / 2, (page[1] - needed[1]) / 2
    quiet = _quiet(board)
    origin = (
        spare_x + margin + RULER_MM + quiet - left,
        spare_y + max(margin, quiet) - top,
    )
    rulers = _ruler(right - left), _ruler(bottom - top)
    return Sheet(board, ink, page, origin, rulers, _caption(board, rulers))


def _ruler(length: float) -> float:
    """Whole centimetres, whole millimetres of a short one."""
    step = 10.0 if length >= 30 else 1.0
    return max(math.floor(length / step + 1e-9) * step, SHORTEST_RULER_MM)


def _caption(board: Board, rulers: tuple[float, float]) -> tuple[str, ...]:
    points = "circles" if board.target in ("circles", "acircles") else "inner corners"
    sides = {
        "circles": f"{board.square_mm:g} mm apart",
        "acircles": f"{2 * board.square_mm:g} mm apart along a row (--square is half of it)",
        "charuco": f"squares of {board.square_mm:g} mm, markers of {board.marker_mm or 0:g} mm "
        f"({board.dictionary})",
        "chess": f"squares of {board.square_mm:g} mm",
    }
    return (
        f"{NAMES[board.target]}, {board} {points}, {sides[board.target]}. "
        "x runs to the right along its rows, y down.",
        f"Print at 100 %. Measure both rulers: {rulers[0]:g} mm and {rulers[1]:g} mm end to end. "
        "Glue it to something flat.",
        calib_command(board),
    )


def calib_command(board: Board) -> str:
    """The line that calibrates from photographs of the board."""
    words = ["hsitool", "calib", "photos/", "--board", str(board)]
    words += ["--square", f"{board.square_mm:g}mm"]
    if board.target != "chess":
        words += ["--target", board.target]
    if board.target == "charuco":
        words += ["--dict", board.dictionary, "--marker", f"{board.marker_mm:g}mm"]
    return shlex.join(words)


def _warn_of_ambiguity(board: Board) -> None:
    if board.columns == board.rows and board.target in ("chess", "circles"):
        other = replace(board, rows=board.rows - 1 if board.rows > 3 else 4)
        warnings.warn(
            f"a {board} {board.target} board looks the same turned by 90 degrees, so its aspect "
            f"cannot be told from fx/fy: prefer different counts, as {other}, or charuco",
            HsitoolWarning,
            stacklevel=3,
        )


def _too_large(board: Board, needed: tuple[float, float], settings: BoardSettings) -> str:
    fitting = [
        name
        for name in TO_CHOOSE_FROM
        if _fits(needed, PAGES_MM[name]) or _fits(needed, PAGES_MM[name][::-1])
    ]
    page = f"page {settings.page}" if settings.page else f"{TO_CHOOSE_FROM[-1]} or smaller"
    ways = f"--page {fitting[0]}" if fitting else "smaller squares or fewer of them"
    wide, high = (math.ceil(side) for side in needed)
    return (
        f"a {board} board of {board.square_mm:g} mm needs a page of {wide} x {high} mm with its "
        f"rulers, more than {page}: choose {ways}"
    )
