"""`hsitool convert`: a copy that loses nothing, in another format, type, or part of a cube."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hsitool.cube import CubeInfo, Tile
from hsitool.engine.blocks import Progress, map_blocks
from hsitool.engine.plan import Budget
from hsitool.errors import DataError, UsageError
from hsitool.maths.spectra.missing import MissingRule
from hsitool.storage.raw import Block
from hsitool.storage.readers import CubeReader
from hsitool.storage.writers import OutputOptions, create_cube
from hsitool.tasks.provenance import with_step


@dataclass(frozen=True)
class ConvertSettings:
    """What to change: nothing by default.

    `nodata` is a number, or "none" to declare none; missing samples stay missing: they are
    rewritten to the new value. `bands` counts from 0.
    """

    dtype: str | None = None
    nodata: float | str | None = None
    bands: tuple[int, ...] | None = None
    subset: Tile | None = None


def convert(
    source: CubeReader,
    target: Path,
    settings: ConvertSettings | None = None,
    *,
    output: OutputOptions | None = None,
    budget: Budget | None = None,
    progress: Progress | None = None,
) -> None:
    """Copy `source` to `target` with all its metadata.

    Raises:
        UsageError: a subset outside the cube, or a nodata value that the type cannot hold.
        DataError: a sample does not fit the new type, or equals the new nodata value.
    """
    settings = settings or ConvertSettings()
    made = result_info(source.info, settings)
    said = {
        "dtype": settings.dtype,
        "nodata": settings.nodata,
        "bands": None if settings.bands is None else [b + 1 for b in settings.bands],
        "subset": None if settings.subset is None else list(vars(settings.subset).values()),
    }
    made = with_step(made, "convert", source.path, said)
    kernel = recoding(source.info, made)
    with create_cube(target, made, source.layout, output) as sink:
        map_blocks(
            [source],
            kernel,
            [sink],
            budget=budget or Budget(),
            bands=settings.bands,
            window=settings.subset,
            progress=progress,
        )


def result_info(info: CubeInfo, settings: ConvertSettings) -> CubeInfo:
    """The description of the copy.

    Raises:
        UsageError: as `convert`.
    """
    made = info
    if settings.subset is not None:
        made = made.with_tile(settings.subset)
    if settings.bands is not None:
        made = made.with_bands(settings.bands)
    if settings.dtype is not None:
        made = made.replace(dtype=_type(settings.dtype))
    if settings.nodata is not None:
        value = None if settings.nodata == "none" else float(settings.nodata)
        made = made.replace(nodata=value)
        if value is not None and not fits(made.dtype, value):
            raise UsageError(f"nodata {settings.nodata} does not fit {made.dtype}: choose another")
    if made.dtype != info.dtype or not same_number(made.nodata, info.nodata):
        made = made.with_new_pixels()
    return made


def _type(name: str) -> np.dtype[Any]:
    if name not in TYPES:
        raise UsageError(f"--dtype {name} is none of {', '.join(TYPES)}")
    return np.dtype(name)


TYPES = (
    *("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"),
    *("float32", "float64", "complex64", "complex128"),
)
"""Types of samples that GeoTIFF holds."""


def fits(dtype: np.dtype[Any], value: float) -> bool:
    """Whether a type can hold a number (rounded, for floats)."""
    if dtype.kind in "fc":
        return True
    limits = np.iinfo(dtype)
    return float(value).is_integer() and limits.min <= value <= limits.max


def same_number(a: float | None, b: float | None) -> bool:
    """Equality in which None equals None and NaN equals NaN."""
    if a is None or b is None:
        return a is b
    return a == b or (math.isnan(a) and math.isnan(b))


Kernel = Callable[[Sequence[Block], Sequence[Block]], Sequence[Block]]


def recoding(info: CubeInfo, made: CubeInfo) -> Kernel:
    """The kernel: the block itself where nothing changes, else its samples in type and nodata."""
    renamed = made.nodata is not None and not same_number(info.nodata, made.nodata)
    if made.dtype == info.dtype and not renamed:
        return unchanged
    missing = MissingRule(info.dtype, info.nodata)
    marks = renamed or made.dtype.kind in "iu"  # other types hold NaN and the former nodata
    nodata = info.nodata if made.nodata is None else made.nodata

    def recode(blocks: Sequence[Block], outs: Sequence[Block]) -> Sequence[Block]:
        block, out = blocks[0], outs[0]
        absent = missing.mask(block)
        _refuse_unfit(block, absent, made.dtype)
        rounded = np.rint(block) if block.dtype.kind == "f" and out.dtype.kind in "iu" else block
        with np.errstate(invalid="ignore"):
            np.copyto(out, rounded, casting="unsafe")
        if marks and absent.any():
            _mark(out, absent, nodata)
        if renamed and info.nodata is not None:
            _refuse_collision(out, absent, made)
        return outs

    return recode


def unchanged(blocks: Sequence[Block], _: Sequence[Block]) -> Sequence[Block]:
    """The kernel of a plain copy."""
    return blocks


def _mark(out: Block, absent: Block, nodata: float | None) -> None:
    if nodata is None or not fits(out.dtype, nodata):
        raise DataError(
            f"missing samples have no value in {out.dtype}: give one with --nodata VALUE"
        )
    out[absent] = nodata


def _refuse_unfit(block: Block, absent: Block, dtype: np.dtype[Any]) -> None:
    if block.dtype.kind == "c" and dtype.kind != "c":
        raise DataError(f"complex samples do not fit {dtype}: use complex64 or complex128")
    if dtype.kind == "c" or np.can_cast(block.dtype, dtype, "safe"):
        return
    low, end = _limits(dtype, whole=block.dtype.kind in "iu")
    values = block[~absent]
    odd = values[(values < low) | (values >= end)]
    if odd.size:
        raise DataError(f"a sample of {odd[0]} does not fit {dtype}: choose a wider --dtype")


def _limits(dtype: np.dtype[Any], *, whole: bool) -> tuple[float, float]:
    """The least number that becomes one of the type, and the first that is too large."""
    if dtype.kind == "f":
        largest = float(np.finfo(dtype).max)
        return -largest, math.nextafter(largest, math.inf)
    limits = np.iinfo(dtype)
    # Halves are rounded to even numbers: the largest one is odd, the least one even.
    return (limits.min, limits.max + 1) if whole else (limits.min - 0.5, limits.max + 0.5)


def _refuse_collision(out: Block, absent: Block, made: CubeInfo) -> None:
    taken = out == np.asarray(made.nodata).astype(out.dtype)
    if (taken & ~absent).any():
        raise DataError(
            f"a sample that is there equals the new nodata {made.nodata}: choose another"
        )


def band_image(
    source: CubeReader,
    target: Path,
    band: int,
    *,
    output: OutputOptions | None = None,
    budget: Budget | None = None,
    progress: Progress | None = None,
) -> None:
    """`hsitool band`: one band as an image, as H[:, :, b] of a cube; `band` counts from 0."""
    made = with_step(source.info.with_bands([band]), "band", source.path, {"band": band + 1})
    bands: Sequence[int] = [band]
    with create_cube(target, made, source.layout, output) as sink:
        map_blocks(
            [source], unchanged, [sink], budget=budget or Budget(), bands=bands, progress=progress
        )
