"""`hsitool attend warp`: a view of a cube, zoomed, rotated or sheared, and where it lies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsitool.cube import CubeInfo, Tile
from hsitool.engine.blocks import Progress
from hsitool.engine.plan import Budget
from hsitool.engine.sliding import Held, slide_blocks
from hsitool.engine.strips import BLOCK, NOTHING, Needs
from hsitool.errors import DataError, UsageError
from hsitool.maths.attention.footprint import POINT, Footprint, footprint, gathered
from hsitool.maths.attention.warp import (
    LEAST_WEIGHT,
    View,
    turned,
    view_about,
    view_of_theta,
)
from hsitool.maths.resampling import stored, turn
from hsitool.maths.spectra.missing import MissingRule
from hsitool.storage.raw import Block
from hsitool.storage.readers import CubeReader
from hsitool.storage.wavelengths import warn
from hsitool.storage.writers import OutputOptions, create_cube
from hsitool.tasks.attend_warp_info import view_info
from hsitool.tasks.convert import fits
from hsitool.tasks.provenance import with_step
from hsitool.tasks.spectrum import at, place_of_xy
from hsitool.tasks.undistort import usual_interpolation
from hsitool.tasks.warp import hold, nodata_of, part_of, tile_parts, working_type

Floats = NDArray[np.float64]

PIXELS, SAMPLES, WEIGHTS = 2**14, 2**19, 2**18
"""What a thread computes at once, at most: pixels, samples that they come from, and weights."""

WORKING_BYTES = 48 * 2**20
"""What that takes."""

CHECKED = 200
"""Pixels along an axis of a view that are looked at to tell how much lies outside."""


@dataclass(frozen=True)
class WarpSettings:
    """Which view: by `theta`, row by row, or about a place and so much nearer and turned.

    `at` is row and column of a pixel, `xy` a point in the cube's CRS; without a place the view is
    about the middle of the cube. `size` is rows and columns; None is that of the cube, or with
    neither theta nor a place that of the whole cube at this zoom.
    """

    theta: tuple[float, ...] | None = None
    at: tuple[float, float] | None = None
    xy: tuple[float, float] | None = None
    zoom: float = 1.0
    rotate_deg: float = 0.0
    size: tuple[int, int] | None = None
    north_up: bool = False
    antialias: bool = True
    nodata: float | None = None


@dataclass(frozen=True, eq=False)
class Warped:
    """What was made: the view, what its pixels gather, and the output's description."""

    view: View
    foot: Footprint
    info: CubeInfo
    theta: Floats


def warp(
    source: CubeReader,
    target: Path,
    settings: WarpSettings | None = None,
    *,
    output: OutputOptions | None = None,
    budget: Budget | None = None,
    progress: Progress | None = None,
) -> Warped:
    """Write a view of `source`.

    A sample is the weighted mean of those that are there about its place, and missing where they
    have less than half of the weight.

    Raises:
        UsageError: settings that contradict each other or the cube, a singular map, a view outside.
        DataError: the cube cannot be interpolated, nothing in the view has data, or a file fails.
    """
    settings, budget = settings or WarpSettings(), budget or Budget()
    info = source.info
    if usual_interpolation(info) == "nearest":
        raise DataError(f"{source.path}: holds classes or a palette, which cannot be blended")
    view = view_of(info, settings)
    foot = footprint(view.linear) if settings.antialias else POINT
    theta = view.theta((info.rows, info.columns))
    kernel = ViewKernel(info, view_info(info, view, nodata_of(info, settings.nodata)), view, foot)
    needs = kernel.needs()
    _tell_outside(kernel)
    made = with_step(kernel.made, "attend warp", source.path, _said(settings, view, theta))
    with create_cube(target, made, source.layout, output) as sink:
        slide_blocks(
            source,
            needs,
            kernel,
            sink,
            dtype=kernel.working,
            prepare=kernel.prepare,
            budget=budget,
            working_bytes=WORKING_BYTES,
            progress=progress,
        )
        if not kernel.found:
            raise DataError(f"{source.path}: nothing in the view has data")
    return Warped(view, foot, made, theta)


def _said(settings: WarpSettings, view: View, theta: Floats) -> dict[str, Any]:
    return {
        "theta": theta.reshape(-1).tolist(),
        "size": list(view.size),
        "antialias": settings.antialias,
        "nodata": settings.nodata,
    }


# Which view


def view_of(info: CubeInfo, settings: WarpSettings) -> View:
    """The view that the settings ask for.

    Raises:
        UsageError: as `warp`.
    """
    _refuse_contradictions(info, settings)
    if settings.theta is not None:
        size = settings.size or (info.rows, info.columns)
        theta = np.reshape(settings.theta, (2, 3))
        return view_of_theta(theta, (info.rows, info.columns), size)
    linear = _upright(info) if settings.north_up else turned(settings.rotate_deg)
    place, size = _place(info, settings), _size(info, settings)
    # A pixel lies on a pixel, so that a view at zoom 1 copies; a point lies in the very middle.
    middle = [n // 2 + 0.5 if settings.at is not None else n / 2 for n in size]
    return view_about(place, (middle[1], middle[0]), linear / settings.zoom, size)


def _refuse_contradictions(info: CubeInfo, settings: WarpSettings) -> None:
    if settings.theta is not None:
        others = settings.at or settings.xy or settings.zoom != 1 or settings.rotate_deg != 0
        if others or settings.north_up:
            raise UsageError(
                "--theta says the whole view: leave --at, --xy, --zoom, --rotate and --north-up out"
            )
    if settings.at is not None and settings.xy is not None:
        raise UsageError("--at and --xy both say where: give one")
    if not 0 < settings.zoom < math.inf:
        raise UsageError(f"--zoom {settings.zoom:g} is no factor above 0")
    if not math.isfinite(settings.rotate_deg):
        raise UsageError(f"--rotate {settings.rotate_deg:g} is no angle")
    if settings.north_up and settings.rotate_deg:
        raise UsageError("--rotate turns the view, --north-up does not: give one")
    if settings.north_up and info.transform is None:
        raise UsageError("--north-up: the cube has no georeference")


def _upright(info: CubeInfo) -> Floats:
    """(2, 2) px of the cube for one of its size that lies with north up and east to the right."""
    assert info.transform is not None
    a, b, _, d, e, _ = info.transform
    size = np.diag([math.hypot(a, d), -math.hypot(b, e)])
    return np.asarray(np.linalg.solve([[a, b], [d, e]], size))


def _place(info: CubeInfo, settings: WarpSettings) -> tuple[float, float]:
    """Column and row, from the corner, of what the view is about."""
    if settings.at is not None:
        pixel = at(info, *settings.at)
        return pixel.column + 0.5, pixel.row + 0.5
    if settings.xy is not None:
        return place_of_xy(info, *settings.xy)
    return info.columns / 2, info.rows / 2


def _size(info: CubeInfo, settings: WarpSettings) -> tuple[int, int]:
    if settings.size is not None:
        return settings.size
    whole = settings.at is None and settings.xy is None
    zoom = settings.zoom if whole else 1.0
    return max(1, round(info.rows * zoom)), max(1, round(info.columns * zoom))


# What its pixels are made of


class ViewKernel:
    """What each tile of the view is made of."""

    def __init__(self, info: CubeInfo, made: CubeInfo, view: View, foot: Footprint) -> None:
        self.info, self.made, self.view, self.foot = info, made, view, foot
        self.working = working_type(info.dtype)
        self.found = False
        self._rule = MissingRule(info.dtype, info.nodata)
        # What stands for missing samples; None where the type has no value for them.
        known = made.nodata is not None and fits(made.dtype, made.nodata)
        self.nodata = made.nodata if known else None
        if self.nodata is None:
            self._refuse_outside()

    def prepare(self, block: Block, held: Block) -> None:
        """Samples as they are computed with."""
        hold(block, held, self._rule)

    def __call__(self, tile: Tile, held: Held, out: Block) -> None:
        gathers = abs(float(np.linalg.det(self.view.linear))) if len(self.foot.shares) > 1 else 1.0
        weights = max(len(self.foot.shares), (2 * self.foot.reach + 2) ** 2)
        pixels = min(PIXELS, SAMPLES / (self.info.bands * max(gathers, 1.0)), WEIGHTS / weights)
        pixels = max(1, int(pixels))
        for part in tile_parts(tile, pixels, max(1, math.isqrt(pixels) * 4)):
            places = self.places(part)
            shape = self.info.rows, self.info.columns
            memory = held.starts, len(held.samples)
            made = gathered(places, shape, self.foot, memory, self.working).of(held.samples)
            self.found = self.found or bool(np.isfinite(made).any())
            made = stored(made, self.made.dtype, self.nodata).T
            made = made.reshape(-1, part.height, part.width)
            turn(made, part_of(out, part.moved(-tile.row, -tile.column)))

    def places(self, part: Tile) -> tuple[Floats, Floats]:
        """Columns and rows of the cube where pixels of a part lie."""
        rows = np.arange(part.row, part.row + part.height)
        return self.view.centres(rows, np.arange(part.column, part.column + part.width))

    def inside(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Floats:
        """(rows * columns,) the part of the footprint of pixels that lies in the cube."""
        info = self.info
        places = self.view.centres(rows, columns)
        memory = np.zeros(info.rows, np.int64), info.columns
        return gathered(places, (info.rows, info.columns), self.foot, memory, np.float64).inside

    def _refuse_outside(self) -> None:
        """All of a view is inside where its corners are: the weights inside are log-concave."""
        rows, columns = self.view.size
        corners = np.array([0, rows - 1]), np.array([0, columns - 1])
        if (self.inside(*corners) < LEAST_WEIGHT).any():
            raise UsageError(
                f"a part of the view lies outside the cube, and {self.info.dtype} has no value for "
                "that: give one with --nodata VALUE, or convert first "
                "(hsitool convert --dtype float32)"
            )

    def needs(self) -> Needs:
        """What blocks of pixels need of the cube.

        Raises:
            UsageError: nothing.
        """
        block = max(1, min(BLOCK, int(BLOCK / self.view.scales[0])))
        rows, columns = self.view.size
        first = np.arange(0, columns, block)
        ends = np.stack([first, np.minimum(first + block, columns) - 1])
        found = [self.view.centres(np.arange(rows), end) for end in ends]
        reach = self.foot.reach
        tables = []
        for axis, count in ((1, self.info.rows), (0, self.info.columns)):
            places = np.stack([end[axis].reshape(rows, -1) for end in found])
            low = np.floor(places.min(axis=0)) - reach
            high = np.floor(places.max(axis=0)) + 1 + reach
            there = (high >= 0) & (low < count)
            tables += [
                np.where(there, np.maximum(low, 0), NOTHING).astype(np.int32),
                np.where(there, np.minimum(high, count - 1), -1).astype(np.int32),
            ]
        if not ((tables[1] >= 0) & (tables[3] >= 0)).any():
            raise UsageError("the view lies outside the cube")
        return Needs(tables[0], tables[1], tables[2], tables[3], block)


def _tell_outside(kernel: ViewKernel) -> None:
    rows, columns = (
        np.unique(np.linspace(0, count - 1, CHECKED).round().astype(np.intp))
        for count in kernel.view.size
    )
    x, y = kernel.view.centres(rows, columns)
    inside = (x > -0.5) & (x < kernel.info.columns - 0.5)
    inside &= (y > -0.5) & (y < kernel.info.rows - 0.5)
    share = 1 - inside.mean()
    if share > 0:
        warn(
            f"about {max(100 * share, 0.1):.2g} % of the view lies outside the cube: no data there"
        )
