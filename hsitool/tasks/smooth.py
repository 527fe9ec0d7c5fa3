"""`hsitool smooth`: Savitzky-Golay smoothing and derivative cubes along the bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hsitool.cube import CubeInfo, Tile
from hsitool.engine.blocks import Progress, fold_blocks, map_blocks
from hsitool.engine.plan import Budget
from hsitool.errors import DataError
from hsitool.maths.kernel import output_dtype
from hsitool.maths.missing import MissingRule
from hsitool.maths.operator import SpectralOperator
from hsitool.maths.savgol import savgol_operator
from hsitool.maths.segments import SplitGap, segment_bands
from hsitool.storage.raw import Block
from hsitool.storage.readers import CubeReader
from hsitool.storage.wavelengths import warn
from hsitool.storage.writers import OutputOptions, create_cube
from hsitool.tasks.provenance import with_step


@dataclass(frozen=True)
class SmoothSettings:
    """What to fit: `spacing` is "auto" (the real wavelengths where they are known) or "band".

    `delta_nm` sets one step for all bands instead; see `maths.segments` for the splits.
    """

    window: int
    degree: int
    deriv: int = 0
    spacing: Literal["auto", "band"] = "auto"
    delta_nm: float | None = None
    split_gap: SplitGap = "auto"
    split_at_nm: tuple[float, ...] = ()


def smooth(
    source: CubeReader,
    target: Path,
    settings: SmoothSettings,
    *,
    band: int | None = None,
    output: OutputOptions | None = None,
    budget: Budget | None = None,
    progress: Progress | None = None,
) -> None:
    """Write the smoothed (or derivative) cube of `source`, or the image of one `band` of it.

    Raises:
        UsageError: settings that cannot be carried out on this cube.
        DataError: complex samples, or a file that fails.
    """
    budget = budget or Budget()
    if source.info.dtype.kind not in "iuf":
        raise DataError(f"{source.path}: {source.info.dtype} samples cannot be smoothed")
    near = None if band is None else range(band - settings.window, band + settings.window + 1)
    empty = empty_bands(source, budget, near)
    operator = spectral_operator(source.info, settings, empty)
    made = result_info(source.info, settings)
    bands: range | None = None
    if band is not None:
        operator, made = operator.select([band]), made.with_bands([band])
        bands = operator.support
        operator = operator.on_inputs(bands)
    steps = asdict(settings) | {"band": None if band is None else band + 1}
    made = with_step(made, "smooth", source.path, steps)
    kernel = operator.kernel(source.info.dtype, source.info.nodata)

    def filtered(block: Block, out: Block) -> Block:
        kernel(block, out)
        return out

    with create_cube(target, made, source.layout, output) as sink:
        map_blocks(source, filtered, sink, budget=budget, bands=bands, progress=progress)


def spectral_operator(
    info: CubeInfo, settings: SmoothSettings, empty: Sequence[int] = ()
) -> SpectralOperator:
    """The operator on the stored values of a cube; `empty` bands count as bad.

    Raises:
        UsageError: window, degree, derivative, gap or seam make no sense for this cube.
    """
    good = np.ones(info.bands, bool) if info.good is None else np.array(info.good)
    good[list(empty)] = False
    segments = segment_bands(
        info.bands, info.wavelength_nm, good.tolist(), settings.split_gap, settings.split_at_nm
    )
    operator = savgol_operator(
        positions(info, settings), segments, settings.window, settings.degree, settings.deriv
    )
    return operator.rescaled(
        1.0 if info.scale is None else info.scale, 0.0 if info.offset is None else info.offset
    )


def positions(info: CubeInfo, settings: SmoothSettings) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(bands,) where the bands lie on the axis of the fit: in nm, or by number."""
    index = np.arange(info.bands, dtype=np.float64)
    if settings.delta_nm is not None:
        return index * settings.delta_nm
    if settings.spacing == "band" or info.wavelength_nm is None:
        return index
    return np.array(info.wavelength_nm)


def result_info(info: CubeInfo, settings: SmoothSettings) -> CubeInfo:
    """The description of the result: what smoothing does not change stays."""
    changed = info.with_new_pixels().replace(
        dtype=output_dtype(info.dtype),
        nodata=float("nan"),
        former_nodata=info.nodata if info.nodata is not None else info.former_nodata,
    )
    if settings.deriv == 0:
        return changed
    per_nm = settings.delta_nm is not None or (
        settings.spacing == "auto" and info.wavelength_nm is not None
    )
    power = "" if settings.deriv == 1 else f"^{settings.deriv}"
    step = ("nm" if per_nm else "band") + power
    units = tuple(f"{unit or '1'}/{step}" for unit in info.units or ("",) * info.bands)
    return changed.replace(units=units, offset=None)


def empty_bands(source: CubeReader, budget: Budget, among: range | None = None) -> list[int]:
    """Good bands (`among` these only, if given) that hold no data at all.

    Bands are looked at in a few rows first, since most cubes show data in all of them there; only
    bands that were empty so far are looked for in the whole cube.
    """
    info = source.info
    if info.dtype.kind != "f" and info.nodata is None:
        return []
    rule = MissingRule(info.dtype, info.nodata)
    looked_at = [b for b in range(info.bands) if among is None or b in among]
    suspects = [b for b in looked_at if info.good is None or info.good[b]]
    for row in (info.rows // 2, info.rows // 4, 3 * info.rows // 4):
        if suspects:
            width = min(info.columns, 1024)
            tile = Tile(row, (info.columns - width) // 2, 1, width)
            block = source.read(tile, suspects)
            suspects = [
                b for b, samples in zip(suspects, block, strict=True) if _all(rule, samples)
            ]
    if not suspects:
        return []

    def measure(_: Tile, block: Block) -> list[bool]:
        return [_all(rule, samples) for samples in block]

    def merge(so_far: list[bool], found: list[bool]) -> list[bool]:
        return [a and b for a, b in zip(so_far, found, strict=True)]

    start = [True] * len(suspects)
    empty = fold_blocks(source, measure, merge, start, budget=budget, bands=suspects)
    bands = [b for b, is_empty in zip(suspects, empty, strict=True) if is_empty]
    if bands:
        listed = ", ".join(str(b + 1) for b in bands[:8]) + (", ..." if len(bands) > 8 else "")
        warn(f"{source.path}: no data at all in {len(bands)} bands ({listed}): taken as bad")
    return bands


def _all(rule: MissingRule, samples: Block) -> bool:
    return bool(rule.mask(samples).all())
