"""`attend self --z`: Z = A V, the weighted means of values, of some pixels or of all."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsitool.cube import CubeInfo, Tile
from hsitool.device import CPU, Device, Gpu
from hsitool.engine.blocks import Progress, fold_blocks
from hsitool.engine.plan import PROCESS_BYTES, Budget
from hsitool.engine.pool import map_in_order
from hsitool.errors import DataError, UsageError
from hsitool.maths.attention.relation import Offer, attended, attended_in_window
from hsitool.storage.raw import Block
from hsitool.storage.readers import CubeReader
from hsitool.storage.scratch import forget, scratch_array
from hsitool.storage.writers import CubeWriter, OutputOptions, create_cube
from hsitool.tasks.attend_self import Related, SelfSettings, Space, said, space_of, temperature_of
from hsitool.tasks.provenance import with_step
from hsitool.tasks.score_maps import map_info

Floats = NDArray[np.float64]
Samples = NDArray[Any]

QUERIES, KEYS = 1024, 256
"""At once on the CPU: their products stay in a core's own cache."""

GPU_QUERIES, GPU_KEYS = 2**13, 2**14
"""On a GPU: all of it has work then."""


def _at_once(device: Device) -> tuple[int, int]:
    """Queries and keys of one product."""
    return (GPU_QUERIES, GPU_KEYS) if isinstance(device, Gpu) else (QUERIES, KEYS)


IN_MEMORY = 1 / 6
"""Part of the memory that queries, keys and values may take before they lie in files; what is made
of them for the products takes as much again."""


MAPPED_TOKENS = 2**15
"""Keys and values that are used before what is mapped from files is taken out of memory."""


# Of the query pixels


def values_of_rows(found: Related, progress: Progress | None = None) -> Floats:
    """(queries, v) Z of the query pixels, in one more pass.

    Raises:
        DataError: the file fails.
    """
    space, pixels = found.space, found.space.pixels
    width = len(space.embedding.value(np.zeros((pixels.count, 1))))

    def measure(tile: Tile, blocks: Sequence[Block]) -> Floats:
        total = np.zeros((len(found.rows), width))
        for piece in pixels.pieces(tile, blocks):
            if piece.valid.any():
                weights = [row.weights(piece.tile)[piece.valid] for row in found.rows]
                total += np.stack(weights) @ space.embedding.value(piece.chosen).T
        return total

    return fold_blocks(
        [space.source],
        measure,
        add,
        np.zeros((len(found.rows), width)),
        budget=pixels.within(found.budget),
        bands=pixels.read_bands,
        progress=progress,
    )


def values_table(found: Related, values: Floats) -> str:
    """A CSV with a column for each query: spectra where the values are, else features."""
    text, space = io.StringIO(), found.space
    table = csv.writer(text, lineterminator="\n")
    names, known = [row.query.name for row in found.rows], space.source.info.wavelength_nm
    if space.embedding.values is not None:
        table.writerow(["feature", *names])
        head: list[list[Any]] = [[number + 1] for number in range(values.shape[1])]
    else:
        bands = space.pixels.bands[0]
        table.writerow(["band", *(["wavelength_nm"] if known else []), *names])
        head = [[band + 1, *([repr(known[band])] if known else [])] for band in bands]
    for start, row in zip(head, values.T.tolist(), strict=True):
        table.writerow([*start, *(f"{value:.9g}" for value in row)])
    return text.getvalue()


# Of the whole cube


@dataclass(frozen=True, eq=False)
class Tokens:
    """All pixels of a cube in order: queries and keys (pixels, d), values (pixels, v), and which
    are valid."""

    queries: Samples
    keys: Samples
    values: Samples
    valid: NDArray[np.bool_]

    @property
    def in_memory(self) -> bool:
        """Whether they are not mapped from files."""
        return not isinstance(self.keys, np.memmap)

    def forget(self) -> None:
        """Take what is mapped from files out of memory, until it is used again."""
        for array in (self.queries, self.keys, self.values):
            forget(array)


def write_values(
    source: CubeReader,
    target: Path,
    settings: SelfSettings,
    *,
    window: int | None = None,
    device: Device = CPU,
    output: OutputOptions | None = None,
    budget: Budget | None = None,
    progress: Progress | None = None,
) -> None:
    """Write Z of all pixels, exactly: each attends to all, or to those in a window about it.

    Products are float32, of a float64 cube float64; sums are float64.

    Raises:
        UsageError: no single temperature for all pixels, or settings as of `space_of`.
        DataError: no pixel has data, there is no room, or a file fails.
        DeviceError: the device fails.
    """
    budget = budget or Budget()
    _refuse(settings, window)
    space = space_of(source, settings, budget, progress)
    beta = _one_beta(space, settings)
    dtype = np.dtype(np.float64 if source.info.dtype == np.float64 else np.float32)
    step = {**said(space, settings), "window": window}
    made = with_step(_values_info(space, dtype), "attend self", source.path, step)
    with ExitStack() as stack:
        sink = stack.enter_context(create_cube(target, made, source.layout, output))
        tokens = _tokens(stack, space, dtype, target, budget, progress)
        if not tokens.valid.any():
            raise DataError(f"{source.path}: no pixel has data in all bands in use")
        lines = _lines_at_once(source.info, tokens, budget, device, window)
        _carry_out(
            LineWork(tokens, source.info, beta, window, device), sink, lines, budget, progress
        )


def _refuse(settings: SelfSettings, window: int | None) -> None:
    if settings.norm != "softmax":
        raise UsageError(f"--z of a whole cube is a softmax: leave --norm {settings.norm} out")
    if window is not None and (window < 3 or window % 2 == 0):
        raise UsageError(f"--window {window} is no odd number from 3 on")


def _one_beta(space: Space, settings: SelfSettings) -> float:
    temperature = temperature_of(space, settings)
    if space.score == "gauss":
        raise UsageError("--z of a whole cube goes with --score cosine, dot or --qk")
    if temperature is None:
        raise UsageError(
            "--z of a whole cube needs one temperature for all pixels: give --temperature, as 0.05,"
            " instead of --focus (or --score dot or --qk, which have their own)"
        )
    return 1 / temperature


def _values_info(space: Space, dtype: np.dtype[Any]) -> CubeInfo:
    info, projected = space.source.info, space.embedding.values
    if projected is not None:
        return map_info(info, [f"z{n + 1}" for n in range(len(projected))], dtype)
    return (
        info.with_new_pixels()
        .with_bands(space.pixels.bands[0])
        .replace(dtype=dtype, nodata=math.nan, scale=None, offset=None, former_nodata=info.nodata)
    )


def _tokens(
    stack: ExitStack,
    space: Space,
    dtype: np.dtype[Any],
    target: Path,
    budget: Budget,
    progress: Progress | None,
) -> Tokens:
    """In memory, or in files beside the target while the stack is open."""
    info, embedding, pixels = space.source.info, space.embedding, space.pixels
    count, width = info.rows * info.columns, embedding.width
    deep = len(embedding.value(np.zeros((pixels.count, 1))))
    widths = [width, deep] if embedding.is_symmetric else [width, deep, width]
    small = count * sum(widths) * dtype.itemsize <= IN_MEMORY * budget.memory
    arrays = [
        np.empty((count, w), dtype)
        if small
        else stack.enter_context(scratch_array(target, (count, w), dtype))
        for w in widths
    ]
    valid = np.zeros((info.rows, info.columns), bool)
    images = [array.reshape(info.rows, info.columns, -1) for array in arrays]

    def measure(tile: Tile, blocks: Sequence[Block]) -> None:
        for piece in pixels.pieces(tile, blocks):
            valid[piece.tile.slices] = piece.valid
            spectra = piece.chosen
            found = [embedding.key(spectra), embedding.value(spectra), embedding.query(spectra)]
            if space.score == "cosine":
                found[0], found[2] = (_unit(part) for part in (found[0], found[2]))
            for image, features in zip(images, found, strict=False):
                part = np.zeros((*piece.valid.shape, image.shape[-1]), dtype)
                part[piece.valid] = features.T
                image[piece.tile.slices] = part

    def written(_: None, __: None) -> None:
        for array in arrays:
            forget(array)

    fold_blocks(
        [space.source],
        measure,
        written,
        None,
        budget=pixels.within(budget),
        bands=pixels.read_bands,
        progress=progress,
    )
    return Tokens(arrays[-1] if len(arrays) > 2 else arrays[0], arrays[0], arrays[1], valid)


def _unit(features: Floats) -> Floats:
    """Of length 1, so that products are cosines; 0 stays."""
    length = np.sqrt(np.sum(features**2, axis=0))
    return features / np.where(length > 0, length, 1.0)


def _lines_at_once(
    info: CubeInfo, tokens: Tokens, budget: Budget, device: Device, window: int | None
) -> int:
    """Lines of the image that a worker makes at once; they are kept until they are written."""
    pixel = tokens.values.shape[1] * (8 + tokens.values.itemsize) * (5 if window else 1)
    held = tokens.values.shape[1] + 2 * tokens.keys.shape[1]
    loaded = (1 - IN_MEMORY) * budget.memory - PROCESS_BYTES
    room = max(pixel, loaded / 2 / budget.workers - 2 * KEYS * held * tokens.values.itemsize)
    wanted = max(4 * QUERIES, _at_once(device)[0])
    pixels = min(wanted, room / pixel)
    return max(1, min(info.rows, int(pixels // info.columns)))


@dataclass(frozen=True, eq=False)
class LineWork:
    """What makes lines of Z; several threads may do it at once."""

    tokens: Tokens
    info: CubeInfo
    beta: float
    window: int | None
    device: Device

    @cached_property
    def _kept(self) -> list[Offer] | None:
        """What is offered to all queries, made once where there is memory for it."""
        return list(self._made()) if self.tokens.in_memory else None

    def tiles(self, height: int) -> Iterator[Tile]:
        """Whole lines, so many at once."""
        for row in range(0, self.info.rows, height):
            yield Tile(row, 0, min(height, self.info.rows - row), self.info.columns)

    def lines(self, tile: Tile) -> Samples:
        """(v, rows, columns) of whole lines; NaN where a pixel has no data."""
        made = self._all(tile) if self.window is None else self._windowed(tile, self.window)
        made[~self.tokens.valid[tile.row : tile.row + tile.height]] = np.nan
        return np.moveaxis(made, -1, 0)

    def _all(self, tile: Tile) -> Samples:
        step, _ = _at_once(self.device)
        first = tile.row * self.info.columns
        queries = self.tokens.queries[first : first + tile.pixels]
        made = np.empty((tile.pixels, self.tokens.values.shape[1]), self.tokens.values.dtype)
        for start in range(0, tile.pixels, step):
            with self.device.work():
                some = self.device.put(np.ascontiguousarray(queries[start : start + step]))
                offers = self._made() if self._kept is None else self._kept
                made[start : start + step] = self.device.get(attended(some, offers, self.beta))
        return made.reshape(tile.height, tile.width, -1)

    def _made(self) -> Iterator[Offer]:
        """Keys and values of valid pixels, on the device."""
        valid = self.tokens.valid.reshape(-1)
        _, step = _at_once(self.device)
        for start in range(0, len(valid), step):
            part = slice(start, start + step)
            there = valid[part]
            if start % MAPPED_TOKENS < step:
                self.tokens.forget()
            if not there.any():
                continue
            pair = self.tokens.keys[part], self.tokens.values[part]
            if not there.all():
                pair = pair[0][there], pair[1][there]
            yield Offer.of(self.device.put(pair[0]), self.device.put(pair[1]))

    def _windowed(self, tile: Tile, window: int) -> Samples:
        half, info = window // 2, self.info
        first, last = max(0, tile.row - half), min(info.rows, tile.row + tile.height + half)
        frame = (
            (half - (tile.row - first), half - (last - tile.row - tile.height)),
            (half, half),
        )

        def framed(array: Samples) -> Any:
            image = array.reshape(info.rows, info.columns, -1)[first:last]
            return self.device.put(np.pad(image, (*frame, (0, 0))))

        own = self.tokens.queries.reshape(info.rows, info.columns, -1)
        with self.device.work():
            made = attended_in_window(
                self.device.put(own[tile.row : tile.row + tile.height]),
                framed(self.tokens.keys),
                framed(self.tokens.values),
                framed(self.tokens.valid)[..., 0],
                window,
                self.beta,
            )
            return self.device.get(made).astype(self.tokens.values.dtype)


def _carry_out(
    work: LineWork, sink: CubeWriter, height: int, budget: Budget, progress: Progress | None
) -> None:
    """Lines by several workers (a GPU needs one), written in order."""
    tiles = list(work.tiles(height))
    workers = 1 if isinstance(work.device, Gpu) else budget.workers
    for start in range(0, len(tiles), workers):
        some = tiles[start : start + workers]
        made = map_in_order(work.lines, some, workers=workers, processes=False)
        for tile, part in zip(some, made, strict=True):
            block = sink.block(tile)
            block[:] = part
            sink.write(tile, block)
        work.tokens.forget()
        if progress is not None:
            progress(start + len(some), len(tiles))
