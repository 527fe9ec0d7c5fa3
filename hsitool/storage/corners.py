"""Corner lists: points of a board seen in images, kept for later or made by another detector.

CSV, a line a point, columns in any order and others ignored:

    image,columns,rows,point,u,v
    left01.jpg,640,480,0,244.40,94.12

`columns`, `rows`: size of the image in px. `point`: its number on the board from 0, along the
board's rows. `u`, `v`: px, first pixel centre (0, 0). Where the board is no plain grid, `x,y,z`
give the point in mm. Where a camera has several bands, `band` (from 1) and `wavelength_nm` say
which one a point was seen in. JSON holds the same:

    {"format": "hsitool corners", "version": 1, "views": [{"image": "left01.jpg",
     "size": [640, 480], "points": [0, ...], "uv": [[244.40, 94.12], ...], "xyz_mm": null}]}

Point files, one for each view, as Zhang's published ones, hold numbers only, `u v u v ...`, with
one more file of the board, `x y x y ...`, in the same order.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsitool.errors import DataError, UsageError
from hsitool.storage.atomic import refuse_existing
from hsitool.storage.texts import read_text, write_text

FORMAT, VERSION = "hsitool corners", 1
CSV, JSON = ENDINGS = (".csv", ".json")

MOST_BYTES = 50_000_000
MOST_POINTS = 500_000
"""Files above are refused, the larger ones unread: a calibration never needs so much."""

NEEDED = ("image", "columns", "rows", "point", "u", "v")
PLACE = ("x", "y", "z")
BAND, WAVELENGTH = "band", "wavelength_nm"
MOST_SIDE = 10**6
COMMAS_A_POINT = 6
"""In JSON, at most: one in `points`, two in `uv`, three in `xyz_mm`."""

LARGEST = 1e9
LONGEST_NAME = 1000
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class CornerView:
    """The points of one image: `size` (columns, rows) in px, `ids` (n,), `uv` (n, 2) in px.

    `xyz_mm` (n, 3) are the points on the board where they do not follow from their numbers. `band`
    counts from 1; None where the list knows of no bands.
    """

    name: str
    size: tuple[int, int]
    ids: NDArray[np.int64]
    uv: Numbers
    xyz_mm: Numbers | None = None
    band: int | None = None
    wavelength_nm: float | None = None


def read_corners(path: Path) -> list[CornerView]:
    """The views of a CSV or JSON corner list, in the order of the file.

    Raises:
        DataError: it is too large, does not read so, or holds points that cannot be.
    """
    text = _text(path)
    is_json = path.suffix.lower() == JSON or text.lstrip()[:1] in ("{", "[")
    views = (_from_json if is_json else _from_csv)(text, path)
    if not views:
        raise DataError(f"{path}: holds no points")
    if len({view.size for view in views}) > 1:
        sizes = sorted({f"{v.size[0]}x{v.size[1]}" for v in views})
        raise DataError(f"{path}: images of several sizes ({', '.join(sizes)}): one camera has one")
    for view in views:
        _check(view, path)
    return views


def check_ending(path: Path) -> None:
    """Refuse a name that is no corner list's.

    Raises:
        UsageError: another ending than `.csv` and `.json`.
    """
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(f"{path}: a corner list is {' or '.join(ENDINGS)}: name it so")


def check_corner_list(path: Path, overwrite: bool = False) -> None:
    """Refuse a corner list that could not be written in the end.

    Raises:
        UsageError: an unknown ending, the file exists, or its folder is missing.
    """
    check_ending(path)
    refuse_existing([path], overwrite)


def write_corners(path: Path, views: Iterable[CornerView], *, overwrite: bool = False) -> None:
    """Write a corner list, as CSV or JSON by the name's ending; all digits are kept.

    Raises:
        UsageError: as `check_corner_list`.
        DataError: it cannot be written.
    """
    check_corner_list(path, overwrite)
    write = _as_json if path.suffix.lower() == JSON else _as_csv
    write_text(path, write(list(views)), overwrite=overwrite)


def read_point_files(
    paths: Sequence[Path], model: Path, size: tuple[int, int], unit_mm: float = 1.0
) -> list[CornerView]:
    """Views of point files (`u v ...`), one an image, and of the board's (`x y ...`).

    Raises:
        DataError: numbers are missing, or not as many as the board has.
    """
    flat = _plain_points(model) * unit_mm
    xyz = np.hstack([flat, np.zeros((len(flat), 1))])
    views = []
    for path in paths:
        uv = _plain_points(path)
        if len(uv) != len(xyz):
            raise DataError(
                f"{path}: {len(uv)} points, but {model} has {len(xyz)}: each view needs all "
                "points of the board, in the same order"
            )
        view = CornerView(path.name, size, np.arange(len(uv), dtype=np.int64), uv, xyz)
        _check(view, path)
        views.append(view)
    return views


def _plain_points(path: Path) -> Numbers:
    words = _text(path).replace(",", " ").split()
    _refuse_more(len(words) // 2, path)
    numbers = np.array([_number(word, float, str(path)) for word in words])
    if not len(numbers) or len(numbers) % 2:
        raise DataError(f"{path}: {len(numbers)} numbers are not pairs: points are `u v u v ...`")
    if not np.isfinite(numbers).all():
        raise DataError(f"{path}: holds NaN or infinite numbers")
    return numbers.reshape(-1, 2)


def _refuse_more(count: int, path: Path) -> None:
    if count > MOST_POINTS:
        raise DataError(
            f"{path}: holds more than the {MOST_POINTS} points that a calibration can use: "
            "keep fewer images or points"
        )


def _text(path: Path) -> str:
    return read_text(path, MOST_BYTES, "are more points than a calibration can use")


def _check(view: CornerView, path: Path) -> None:
    """Refuse numbers that no image and board can give."""
    where = f"{path}: {view.name}" if path.name != view.name else str(path)
    if len(view.name) > LONGEST_NAME:
        raise DataError(f"{path}: an image's name of {len(view.name)} letters cannot be")
    if view.band is not None:
        where += f", band {view.band}"
        if view.band < 1:
            raise DataError(f"{where}: bands count from 1")
    if not all(1 <= side <= MOST_SIDE for side in view.size):
        raise DataError(f"{where}: an image of {view.size[0]}x{view.size[1]} pixels cannot be")
    numbers = view.uv if view.xyz_mm is None else np.hstack([view.uv, view.xyz_mm])
    bad = ~(np.abs(numbers) < LARGEST).all(axis=1)
    if bad.any():
        raise DataError(f"{where}: point {view.ids[bad.argmax()]} is NaN, infinite or huge")
    ids, count = np.unique(view.ids, return_counts=True)
    if (count > 1).any():
        raise DataError(f"{where}: point {ids[count.argmax()]} occurs {count.max()} times")
    if ids[0] < 0:
        raise DataError(f"{where}: point {ids[0]} is negative: points count from 0")
    outside = ((view.uv < -np.array(view.size)) | (view.uv > 2 * np.array(view.size))).any(axis=1)
    if outside.any():
        at = outside.argmax()
        raise DataError(
            f"{where}: point {view.ids[at]} at ({view.uv[at, 0]:g}, {view.uv[at, 1]:g}) is far "
            f"outside of {view.size[0]}x{view.size[1]} pixels"
        )


def _from_csv(text: str, path: Path) -> list[CornerView]:
    _refuse_more(text.count("\n") - 1, path)
    rows = csv.reader(io.StringIO(text))
    try:
        header = [name.strip().lower() for name in next(rows, [])]
        lacking = [name for name in NEEDED if name not in header]
        if lacking:
            raise DataError(
                f"{path}: the first line names no {', '.join(lacking)}: a corner list begins "
                f"with {','.join(NEEDED)}"
            )
        known = (*NEEDED, *PLACE, BAND, WAVELENGTH)
        twice = [name for name in known if header.count(name) > 1]
        if twice:
            raise DataError(f"{path}: the first line names {twice[0]} twice")
        return _grouped(rows, header, path)
    except csv.Error as error:
        raise DataError(f"{path}: line {rows.line_num} is no CSV: {error}") from error


def _grouped(rows: Any, header: list[str], path: Path) -> list[CornerView]:
    """The views of CSV lines, which may come in any order."""
    placed = all(name in header for name in PLACE)
    whole = [header.index(name) for name in NEEDED[1:4]]
    real = [header.index(name) for name in (*NEEDED[4:], *(PLACE if placed else ()))]
    image, spectral = header.index("image"), _spectral_columns(header)
    found: dict[tuple[str, int | None], _Lines] = {}
    for row in rows:
        if not row:
            continue
        where = f"{path}: line {rows.line_num}"
        if len(row) != len(header):
            raise DataError(f"{where}: {len(row)} fields, but the first line has {len(header)}")
        columns, height, point = (_number(row[at], int, where) for at in whole)
        band, wavelength = _spectral(row, spectral, where)
        lines = _Lines((columns, height), wavelength, [], [])
        view = found.setdefault((row[image].strip(), band), lines)
        if view.size != lines.size:
            raise DataError(f"{where}: {row[image]} has another size than before")
        if view.wavelength_nm != lines.wavelength_nm:
            raise DataError(f"{where}: band {band} has another wavelength than before")
        view.points.append(point)
        view.numbers.append([_number(row[at], float, where) for at in real])
    return [_view(name, band, lines) for (name, band), lines in found.items()]


@dataclass(frozen=True)
class _Lines:
    """What the lines of a view say."""

    size: tuple[int, int]
    wavelength_nm: float | None
    points: list[int]
    numbers: list[list[float]]


def _spectral_columns(header: list[str]) -> tuple[int | None, int | None]:
    band, wavelength = (header.index(n) if n in header else None for n in (BAND, WAVELENGTH))
    return band, wavelength


def _spectral(
    row: list[str], columns: tuple[int | None, int | None], where: str
) -> tuple[int | None, float | None]:
    """Band and wavelength of a line; a wavelength may be empty."""
    band, wavelength = columns
    if band is None:
        return None, None
    number: int = _number(row[band], int, where)
    if wavelength is None or not row[wavelength].strip():
        return number, None
    nm: float = _number(row[wavelength], float, where)
    if not nm > 0:
        raise DataError(f"{where}: {nm:g} nm is no wavelength")
    return number, nm


def _number(text: str, kind: Callable[[str], Any], where: str) -> Any:
    try:
        if "_" in text or not text.isascii():
            raise ValueError  # Python would take 1_0 for 10
        value = kind(text)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise DataError(f"{where}: '{text[:40]}' is not {what}") from None
    if abs(value) > LARGEST:
        raise DataError(f"{where}: '{text[:40]}' is too large")
    return value


def _view(name: str, band: int | None, lines: _Lines) -> CornerView:
    table = np.array(lines.numbers, np.float64)
    xyz = table[:, 2:] if table.shape[1] == 5 else None
    ids = np.array(lines.points, np.int64)
    return CornerView(name, lines.size, ids, table[:, :2], xyz, band, lines.wavelength_nm)


def _from_json(text: str, path: Path) -> list[CornerView]:
    _refuse_more(text.count(",") // COMMAS_A_POINT, path)
    content = _parsed(text, path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError(f'{path}: is no corner list: it lacks "format": "{FORMAT}"')
    version = content.get("version")
    if version != VERSION:
        raise DataError(f"{path}: version {str(version)[:40]} is not known, only {VERSION}")
    views = content.get("views")
    if not isinstance(views, list):
        raise DataError(f"{path}: has no list of views")
    listed = [view.get("points") for view in views if isinstance(view, dict)]
    _refuse_more(sum(len(points) for points in listed if isinstance(points, list)), path)
    read = [_view_of_json(item, f"{path}: view {n}") for n, item in enumerate(views, 1)]
    names = Counter((view.name, view.band) for view in read)
    if len(names) < len(read):
        raise DataError(f"{path}: {names.most_common(1)[0][0][0][:LONGEST_NAME]} occurs twice")
    return [view for view in read if len(view.ids)]


def _parsed(text: str, path: Path) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: is not JSON: {error}") from error
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except RecursionError as error:
        raise DataError(f"{path}: is nested too deeply for a corner list") from error
    except ValueError as error:
        raise DataError(f"{path}: holds a number of thousands of digits") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; of a key that occurs twice, Python would keep the last value silently."""
    found = dict(pairs)
    if len(found) < len(pairs):
        key = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise DataError(f'an object has the key "{key[:40]}" twice')
    return found


def _view_of_json(item: Any, where: str) -> CornerView:
    if not isinstance(item, dict):
        raise DataError(f"{where}: is no object with image, size, points and uv")
    for key in ("image", "size", "points", "uv"):
        if key not in item:
            raise DataError(f'{where}: has no "{key}"')
    name = item["image"]
    if not isinstance(name, str):
        raise DataError(f'{where}: "image" is no text')
    size, points = _whole(item, "size", where), _whole(item, "points", where)
    if len(size) != 2:
        raise DataError(f'{where}: "size" is not [columns, rows]')
    uv = _table(item, "uv", 2, where)
    placed = item.get("xyz_mm") is not None
    xyz = _table(item, "xyz_mm", 3, where) if placed else None
    if len(uv) != len(points) or (xyz is not None and len(xyz) != len(points)):
        raise DataError(f"{where}: {len(points)} points, but {len(uv)} places uv or other xyz_mm")
    ids, (band, nm) = np.array(points, np.int64), _spectral_of_json(item, where)
    return CornerView(name, (size[0], size[1]), ids, uv, xyz, band, nm)


def _spectral_of_json(item: dict[str, Any], where: str) -> tuple[int | None, float | None]:
    """Band and wavelength of a view; it may have none."""
    band, nm = item.get(BAND), item.get(WAVELENGTH)
    if band is not None and (type(band) is not int or abs(band) > LARGEST):
        raise DataError(f'{where}: "{BAND}" is no number of a band')
    if nm is not None and (type(nm) not in (int, float) or not 0 < nm < LARGEST):
        raise DataError(f'{where}: "{WAVELENGTH}" is no wavelength in nm')
    return (None, None) if band is None else (band, None if nm is None else float(nm))


def _whole(item: dict[str, Any], key: str, where: str) -> list[int]:
    numbers = item[key]
    if not isinstance(numbers, list) or not all(type(n) is int for n in numbers):
        raise DataError(f'{where}: "{key}" is no list of whole numbers')
    if not all(abs(n) < LARGEST for n in numbers):
        raise DataError(f'{where}: "{key}" holds a number that is too large')
    return numbers


def _table(item: dict[str, Any], key: str, width: int, where: str) -> Numbers:
    """(n, width) numbers; NaN and infinite ones are found with those of CSV lists."""
    rows = item[key]
    if not isinstance(rows, list) or not all(_is_row(row, width) for row in rows):
        raise DataError(f'{where}: "{key}" is no list of rows of {width} numbers')
    try:
        return np.array(rows, np.float64).reshape(-1, width)
    except OverflowError as error:
        raise DataError(f'{where}: "{key}" holds a number that is too large') from error


def _is_row(row: Any, width: int) -> bool:
    return isinstance(row, list) and len(row) == width and {int, float} >= set(map(type, row))


def _as_csv(views: Sequence[CornerView]) -> str:
    placed = any(view.xyz_mm is not None for view in views)
    banded = any(view.band is not None for view in views)
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow([*NEEDED, *(PLACE if placed else ()), *((BAND, WAVELENGTH) if banded else ())])
    for view in views:
        table = view.uv if view.xyz_mm is None else np.hstack([view.uv, view.xyz_mm])
        name = view.name.encode("utf-8", "replace").decode()  # a file's may be no Unicode
        wavelength = "" if view.wavelength_nm is None else repr(view.wavelength_nm)
        spectral = [view.band, wavelength] if banded else []
        for point, numbers in zip(view.ids.tolist(), table.tolist(), strict=True):
            rows.writerow([name, *view.size, point, *map(repr, numbers), *spectral])
    return out.getvalue()


def _as_json(views: Sequence[CornerView]) -> str:
    listed = []
    for view in views:
        item = {
            "image": view.name,
            "size": list(view.size),
            "points": view.ids.tolist(),
            "uv": view.uv.tolist(),
            "xyz_mm": None if view.xyz_mm is None else view.xyz_mm.tolist(),
        }
        if view.band is not None:
            item |= {BAND: view.band, WAVELENGTH: view.wavelength_nm}
        listed.append(item)
    return json.dumps({"format": FORMAT, "version": VERSION, "views": listed}) + "\n"
