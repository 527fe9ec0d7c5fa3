"""`hsitool attend mask`: the files that a look leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsitool.cube import CubeInfo, Tile
from hsitool.engine.blocks import map_blocks
from hsitool.maths.attention.heaviest import Heaviest, heaviest
from hsitool.maths.spectra.missing import MissingRule
from hsitool.storage.computed import ComputedImage
from hsitool.storage.raw import Block
from hsitool.storage.readers import CubeReader
from hsitool.storage.texts import text_file
from hsitool.storage.wavelengths import warn
from hsitool.storage.writers import CubeWriter, OutputOptions, create_cube
from hsitool.tasks.attend_look import Look, MaskSettings
from hsitool.tasks.attend_report import spectrum_table
from hsitool.tasks.provenance import with_step
from hsitool.tasks.score_maps import NAMESPACE, map_info

Samples = NDArray[Any]

NO_DATA = 255  # of the hard mask


@dataclass(frozen=True)
class MaskOutputs:
    """What to write where; `hard` holds a share of the weight, or so many pixels."""

    mask: Path
    masked: Path | None = None
    score: Path | None = None
    spectrum: Path | None = None
    hard: Path | None = None
    hard_mass: float | None = 0.9
    hard_count: int | None = None
    overlay: Path | None = None

    @property
    def rasters(self) -> list[Path]:
        """Those that are rasters."""
        paths = (self.mask, self.masked, self.score, self.hard)
        return [path for path in paths if path is not None]

    @property
    def others(self) -> list[Path]:
        """Those that are none."""
        return [path for path in (self.spectrum, self.overlay) if path is not None]

    def named_after(self, cube: Path) -> MaskOutputs:
        """The same with the cube's name added to all names."""
        paths = {item.name: getattr(self, item.name) for item in fields(self)}
        named: dict[str, Any] = {
            name: path.with_stem(f"{path.stem}_{cube.stem}")
            for name, path in paths.items()
            if isinstance(path, Path)
        }
        return replace(self, **named)


def write_look(
    stack: ExitStack,
    look: Look,
    settings: MaskSettings,
    outputs: MaskOutputs,
    options: OutputOptions,
) -> None:
    """Write the files of a look; they appear as `stack` closes, all of them or none.

    Raises:
        UsageError: one exists and may not be overwritten.
        DataError: one cannot be written.
    """
    said = provenance(look, settings)

    def start(path: Path, info: CubeInfo) -> CubeWriter:
        made = with_step(info, "attend mask", look.frame.source.path, said)
        return stack.enter_context(create_cube(path, made, look.frame.source.layout, options))

    for path, image in _images(look, outputs):
        _copy(look, image, start(path, image.info))
    if outputs.masked is not None:
        _masked(look, start(outputs.masked, masked_info(look.frame.source.info)))
    if outputs.spectrum is not None:
        file = stack.enter_context(text_file(outputs.spectrum, overwrite=options.overwrite))
        file.write(spectrum_table(look))


def provenance(look: Look, settings: MaskSettings) -> dict[str, Any]:
    """The settings as they are said in the files."""
    query, attention = look.query, look.attention
    return {
        "query": None if query is None else query.name,
        "query_scale": None if query is None or query.scale == 1 else query.scale,
        "score": settings.score,
        "focus": settings.focus or (None if settings.temperature else "1%"),
        "temperature": settings.temperature,
        "norm": attention.norm,
        "bands": settings.bands,
        "background": None if settings.background is None else settings.background.name,
        "model": None if settings.model is None else settings.model.name,
        "shrink": None if look.shrink is None else str(look.shrink),
        "steps": len(look.stages) or None,
    }


def _images(look: Look, outputs: MaskOutputs) -> list[tuple[Path, ComputedImage]]:
    """The one-band outputs, computed from the scores as they are written."""
    scores, attention, info = look.frame.scores, look.attention, look.frame.source.info

    def score(tile: Tile) -> Samples:
        part = scores[tile.slices]
        return np.where(part == -np.inf, np.nan, part)

    said = {
        "BETA": repr(attention.beta),
        "ESS": repr(attention.ess),
        "N90": str(look.n90.count),
        "WSUM": repr(attention.total),
    }
    weights = map_info(info, ["attention"])
    weights = weights.replace(tags={**weights.tags, NAMESPACE: said})
    found = [(outputs.mask, mask_image(look, weights))]
    if outputs.score is not None:
        made = map_info(info, ["score"], np.float64)
        found.append((outputs.score, ComputedImage(made, score)))
    if outputs.hard is not None:
        made = map_info(info, ["heaviest"], np.uint8, NO_DATA)
        found.append((outputs.hard, ComputedImage(made, _hard(look, outputs))))
    return found


def mask_image(look: Look, info: CubeInfo) -> ComputedImage:
    """Weights over the largest of them; NaN where the cube has no data."""
    scores = look.frame.scores

    def mask(tile: Tile) -> Samples:
        part = scores[tile.slices]
        return np.where(np.isnan(part), np.nan, look.attention.shape(part))

    return ComputedImage(info, mask)


def _hard(look: Look, outputs: MaskOutputs) -> Callable[[Tile], Samples]:
    """1 for the heaviest pixels, 0 for others."""
    scores = look.frame.scores
    top = heaviest(scores, look.attention, mass=outputs.hard_mass, count=outputs.hard_count)
    last = _last_tie(scores, top)
    if outputs.hard_count is not None and top.count < outputs.hard_count:
        few = "has" if top.count == 1 else "have"
        warn(f"{outputs.hard}: only {top.count} of {outputs.hard_count} pixels {few} any weight")

    def hard(tile: Tile) -> Samples:
        part = scores[tile.slices]
        rows, columns = np.ogrid[tile.slices]
        early = rows * scores.shape[1] + columns <= last
        heavy = (part > top.score) | ((part == top.score) & early)
        return np.where(np.isnan(part), NO_DATA, heavy)

    return hard


def _last_tie(scores: Samples, top: Heaviest) -> int:
    """The number, row by row, of the last pixel of the least score that counts as heavy."""
    left = top.ties
    for row, part in enumerate(scores):
        ties = np.flatnonzero(part == top.score)
        if ties.size >= left:
            return int(row * scores.shape[1] + ties[left - 1])
        left -= int(ties.size)
    raise AssertionError("fewer ties than were counted")


def _copy(look: Look, image: ComputedImage, sink: CubeWriter) -> None:
    def same(blocks: Sequence[Block], _: Sequence[Block]) -> Sequence[Block]:
        return blocks

    map_blocks([image], same, [sink], budget=look.frame.budget)


def masked_info(info: CubeInfo) -> CubeInfo:
    """The description of a cube times its mask: an offset does not outlive a product."""
    kept = info.dtype == np.float64
    return info.with_new_pixels().replace(
        dtype=np.dtype(np.float64 if kept else np.float32),
        nodata=float("nan"),
        former_nodata=info.nodata if info.nodata is not None else info.former_nodata,
        scale=None if info.offset is not None else info.scale,
        offset=None,
    )


def _masked(look: Look, sink: CubeWriter) -> None:
    """Write the cube times its mask, in physical values where it has an offset."""
    source = look.frame.source
    info = source.info
    rule = MissingRule(info.dtype, info.nodata)

    def kernel(blocks: Sequence[Block], outs: Sequence[Block]) -> Sequence[Block]:
        stored, weights = blocks
        (out,) = outs
        for band, samples in enumerate(stored):
            values = samples.astype(np.float64)
            if info.offset is not None:
                values = values * (info.scale or ones)[band] + info.offset[band]
            out[band] = np.where(rule.mask(samples), np.nan, values * weights[0])
        return outs

    ones = (1.0,) * info.bands
    weights = mask_image(look, map_info(info, ["attention"], np.float64))
    readers: list[CubeReader] = [source, weights]
    map_blocks(readers, kernel, [sink], budget=look.frame.budget, progress=look.frame.progress)
