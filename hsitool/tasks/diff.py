"""`hsitool diff`: whether two cubes mean the same, item by item and sample by sample."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hsitool.cube import CubeInfo, Tile
from hsitool.engine.blocks import Progress, fold_blocks
from hsitool.engine.plan import Budget
from hsitool.storage import envi
from hsitool.storage.envi_header import is_comment, list_of
from hsitool.storage.raw import Block
from hsitool.storage.readers import CubeReader
from hsitool.tasks.convert import same_number

NM_TOLERANCE = 1e-9
TRANSFORM_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Difference:
    """One item that differs; `decides` is False for what only `--strict` counts."""

    item: str
    first: str
    second: str
    decides: bool = True


@dataclass(frozen=True)
class PixelDifference:
    """How samples differ: how many, by how much at most, and the first place (bands from 1)."""

    samples: int
    largest: float
    band: int
    row: int
    column: int

    def __add__(self, other: PixelDifference) -> PixelDifference:
        first = self if self.samples else other
        return PixelDifference(
            self.samples + other.samples,
            max(self.largest, other.largest),
            first.band,
            first.row,
            first.column,
        )


SAME_PIXELS = PixelDifference(0, 0.0, 0, 0, 0)


def compare(
    a: CubeReader,
    b: CubeReader,
    *,
    rtol: float = 0.0,
    atol: float = 0.0,
    budget: Budget | None = None,
    progress: Progress | None = None,
) -> list[Difference]:
    """All differences between two cubes; pixels are compared where the shapes are equal.

    Samples differ where |a - b| > atol + rtol * |b|; missing ones (nodata of their own file, or
    NaN) are equal to each other.
    """
    found = compare_info(a.info, b.info) + _compare_layouts(a, b)
    if a.info.shape == b.info.shape:
        pixels = _compare_pixels(a, b, rtol, atol, budget or Budget(), progress)
        if pixels.samples:
            where = f"band {pixels.band}, row {pixels.row}, column {pixels.column}"
            share = f"{pixels.samples} of {a.info.bands * a.info.whole.pixels} samples"
            found.insert(
                0, Difference("pixels", share, f"by up to {pixels.largest:g}, first {where}")
            )
    return found


def compare_info(a: CubeInfo, b: CubeInfo) -> list[Difference]:
    """Differences of all items that are not pixels or layout."""
    found = []
    for name, same in ITEMS.items():
        x, y = getattr(a, name), getattr(b, name)
        if not same(x, y):
            found.append(Difference(name, *_shortest_texts(x, y)))
    found += _compare_headers(a.header, b.header)
    if a.provenance != b.provenance:
        found.append(Difference("provenance", _steps(a), _steps(b), False))
    return found


def _equal(a: Any, b: Any) -> bool:
    return bool(a == b)


def _close(rtol: float) -> Callable[[Any, Any], bool]:
    def same(a: Any, b: Any) -> bool:
        if a is None or b is None or len(a) != len(b):
            return a is b
        return bool(np.allclose(a, b, rtol=rtol, atol=0, equal_nan=True))

    return same


def _same_transform(a: Any, b: Any) -> bool:
    """Equal to a billionth of each entry, or of a pixel."""
    if a is None or b is None:
        return a is b
    pixel = max(abs(v) for v in (*a[:2], *a[3:5]))
    return bool(np.allclose(a, b, rtol=TRANSFORM_TOLERANCE, atol=TRANSFORM_TOLERANCE * pixel))


def _same_flags(a: Any, b: Any) -> bool:
    """No list of bad bands means that all are good."""
    return (a is None or all(a)) if b is None else (all(b) if a is None else a == b)


def _same_crs(a: Any, b: Any) -> bool:
    if a == b:
        return True
    from hsitool.storage.gdal import same_crs

    return same_crs(a, b)


def _same_rpcs(a: Mapping[str, str], b: Mapping[str, str]) -> bool:
    """Coefficients are equal as numbers, whatever their texts."""
    return a.keys() == b.keys() and all(_numbers(a[key]) == _numbers(b[key]) for key in a)


def _numbers(text: str) -> list[float] | str:
    try:
        return [float(word) for word in text.split()]
    except ValueError:
        return text


def _same_tags(a: Any, b: Any) -> bool:
    return (a or None) == (b or None)


ITEMS: dict[str, Callable[[Any, Any], bool]] = {
    **dict.fromkeys(("bands", "rows", "columns", "dtype", "names", "units"), _equal),
    "noise_correlated": _equal,
    "wavelength_nm": _close(NM_TOLERANCE),
    "fwhm_nm": _close(NM_TOLERANCE),
    "good": _same_flags,
    **dict.fromkeys(("nodata", "former_nodata"), same_number),
    "scale": _close(1e-12),
    "offset": _close(1e-12),
    "crs": _same_crs,
    "transform": _same_transform,
    "gcps": _equal,
    "gcps_crs": _same_crs,
    "rpcs": _same_rpcs,
    "color": _equal,
    "tags": _same_tags,
    "band_tags": _same_tags,
}
"""When two values of an item mean the same."""


def _compare_headers(a: Mapping[str, str], b: Mapping[str, str]) -> list[Difference]:
    """Unknown ENVI header keys decide; comments and copies of other items do not."""
    found = []
    for key in (k for k in dict.fromkeys([*a, *b]) if not is_comment(k)):
        x, y = a.get(key), b.get(key)
        if x is not None and y is not None and _words(x) == _words(y):
            continue
        decides = key not in SHOWN_ELSEWHERE
        found.append(Difference(f"header item '{key}'", *_shortest_texts(x, y), decides))
    remarks = [[text for key, text in items.items() if is_comment(key)] for items in (a, b)]
    if remarks[0] != remarks[1]:
        found.append(Difference("header comments", *_shortest_texts(*remarks), False))
    return found


SHOWN_ELSEWHERE = envi.GENERATED.union(envi.FRAME)
"""Header items whose meaning other items hold."""


def _words(text: str) -> list[str]:
    return [" ".join(entry.split()) for entry in list_of(text)]


def _compare_layouts(a: CubeReader, b: CubeReader) -> list[Difference]:
    found = []
    for name in ("format", "interleave", "compression", "byte_order"):
        x, y = getattr(a.layout, name), getattr(b.layout, name)
        if x != y:
            found.append(Difference(name.replace("_", " "), str(x), str(y), False))
    x, y = (f"{r.layout.block_rows} x {r.layout.block_columns}" for r in (a, b))
    if x != y:
        found.append(Difference("blocks", x, y, False))
    return found


def _steps(info: CubeInfo) -> str:
    """The commands that made a cube, in order."""
    return ", ".join(str(step.get("command")) for step in info.provenance) or "none"


def _shortest_texts(a: Any, b: Any) -> tuple[str, str]:
    """Two values as short texts; of long lists the first entry that differs, or the lengths."""
    if isinstance(a, tuple) and isinstance(b, tuple) and max(len(a), len(b)) > 6:
        if len(a) != len(b):
            return f"{len(a)} values", f"{len(b)} values"
        index = next((i for i, (x, y) in enumerate(zip(a, b, strict=True)) if x != y), 0)
        return f"[{index + 1}] {_text(a[index])}", f"[{index + 1}] {_text(b[index])}"
    return _text(a), _text(b)


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, (dict, list, tuple)):
        value = json.dumps(value, default=str, ensure_ascii=False)
    text = " ".join(str(value).split())
    return text if len(text) <= 120 else text[:117] + "..."


def _compare_pixels(
    a: CubeReader,
    b: CubeReader,
    rtol: float,
    atol: float,
    budget: Budget,
    progress: Progress | None,
) -> PixelDifference:
    def measure(tile: Tile, blocks: Sequence[Block]) -> PixelDifference:
        x, y = blocks
        return _apart(tile, x, y, (a.info.nodata, b.info.nodata), rtol, atol)

    # Up to six arrays of differences at once.
    kind = np.result_type(a.info.dtype, b.info.dtype, np.float64)
    return fold_blocks(
        [a, b],
        measure,
        PixelDifference.__add__,
        SAME_PIXELS,
        budget=budget,
        extra_bytes_per_pixel=6 * kind.itemsize * a.info.bands,
        progress=progress,
    )


def _apart(
    tile: Tile,
    x: Block,
    y: Block,
    nodata: tuple[float | None, float | None],
    rtol: float,
    atol: float,
) -> PixelDifference:
    if x.dtype == y.dtype and np.array_equal(x, y) and same_number(*nodata):
        return SAME_PIXELS
    kind = np.result_type(x.dtype, y.dtype, np.float64)
    absent_x, absent_y = _absent(x, nodata[0]), _absent(y, nodata[1])
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(x.astype(kind) - y.astype(kind))
        differs = x != y  # exact, also for integers beyond the digits of a float64
        if rtol > 0 or atol > 0:
            differs &= ~(gap <= atol + rtol * np.abs(y.astype(kind)))
    differs = (differs & ~(absent_x & absent_y)) | (absent_x != absent_y)
    count = int(differs.sum())
    if not count:
        return SAME_PIXELS
    band, row, column = np.unravel_index(int(np.argmax(differs)), differs.shape)
    largest = float(np.nanmax(np.where(differs, gap, 0), initial=0.0))
    return PixelDifference(
        count, largest, int(band) + 1, tile.row + int(row), tile.column + int(column)
    )


def _absent(samples: Block, nodata: float | None) -> Block:
    absent = np.isnan(samples) if samples.dtype.kind in "fc" else np.zeros(samples.shape, bool)
    if nodata is not None and not np.isnan(nodata):
        with np.errstate(over="ignore"):
            absent |= samples == (np.float32(nodata) if samples.dtype == np.float32 else nodata)
    return absent
