"""`hsitool stats`: the scene model of one cube, or of several that lie on one another."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import hsitool
from hsitool.cube import CubeInfo, Tile
from hsitool.device import CPU, Device
from hsitool.engine.blocks import Progress, fold_blocks
from hsitool.engine.plan import Budget
from hsitool.errors import DataError, UsageError
from hsitool.maths.scene.model import BandBlock, SceneModel, SceneSums, Shrink, finished
from hsitool.maths.scene.noise import pair_step
from hsitool.maths.spectra.resample import same_centres
from hsitool.storage.raw import Block
from hsitool.storage.readers import CubeReader
from hsitool.storage.regions import Region, open_region
from hsitool.storage.scene_files import SceneFile, read_scene, write_scene
from hsitool.tasks.bands import find_bands
from hsitool.tasks.pixels import Pixels, in_region, refuse_other_grids, used_bands
from hsitool.tasks.provenance import current_recipe

__all__ = ["SceneModel", "Shrink", "load_model", "model_of", "save_model", "scene_stats"]

Floats = NDArray[np.float64]


def scene_stats(
    sources: Sequence[CubeReader],
    *,
    bands: str | None = None,
    background: Path | None = None,
    budget: Budget | None = None,
    device: Device = CPU,
    progress: Progress | None = None,
) -> SceneModel:
    """The model of cubes on one grid, their bands stacked in this order.

    Args:
        sources: the cubes.
        bands: of each cube, as `find_bands` reads it; by default the good ones.
        background: a region file; only its pixels count.
        budget: memory and threads.
        device: where to compute.
        progress: told of every tile.

    Raises:
        UsageError: no such bands.
        DataError: grids differ, too few pixels have data, or a file fails.
        DeviceError: the device fails.
    """
    budget = budget or Budget()
    refuse_other_grids(sources)
    used = [used_bands(source, bands, budget) for source in sources]
    pixels = Pixels(sources, used, device)
    return fit_scene(pixels, background, budget, progress)


def fit_scene(
    pixels: Pixels, background: Path | None, budget: Budget, progress: Progress | None = None
) -> SceneModel:
    """The model of some bands of cubes, over all valid pixels or those of a region file.

    Raises:
        DataError: as `scene_stats`.
    """
    with _region(background, pixels.sources[0].info) as region:
        sums = _sums(pixels, region, budget, progress)
    return finished(sums, pixels.segments, [band_block(*pair) for pair in _cubes(pixels)])


@contextmanager
def _region(path: Path | None, info: CubeInfo) -> Iterator[Region | None]:
    if path is None:
        yield None
        return
    with open_region(path, info) as region:
        yield region


def _sums(
    pixels: Pixels, region: Region | None, budget: Budget, progress: Progress | None
) -> SceneSums:
    info = pixels.sources[0].info
    step = pair_step(info.rows * info.columns if region is None else region.pixels)

    @pixels.device.work()
    def measure(tile: Tile, blocks: Sequence[Block]) -> SceneSums:
        total = SceneSums.none(pixels.count)
        with np.errstate(over="ignore", invalid="ignore"):  # rubbish is refused in the end
            for piece in pixels.pieces(tile, blocks):
                valid = in_region(region, piece)
                place = piece.tile.row, piece.tile.column
                total = total + SceneSums.of(piece.spectra, valid, *place, step)
        return total.on_cpu()

    start = SceneSums.none(pixels.count)
    left = pixels.within(budget)
    options: dict[str, Any] = {"budget": left, "bands": pixels.read_bands, "progress": progress}
    return fold_blocks(pixels.sources, measure, add, start, **options)


def _cubes(pixels: Pixels) -> Iterator[tuple[CubeReader, Sequence[int]]]:
    return zip(pixels.sources, pixels.bands, strict=True)


def band_block(source: CubeReader, bands: Sequence[int]) -> BandBlock:
    """What a model says of some bands of a cube."""
    info, centres = source.info, source.info.wavelength_nm
    known = None if centres is None else tuple(centres[b] for b in bands)
    return BandBlock(source.path.name, tuple(bands), info.bands, known)


# Files


def save_model(
    path: Path,
    model: SceneModel,
    settings: dict[str, Any],
    *,
    line: Sequence[str] = (),
    overwrite: bool = False,
) -> None:
    """Write a model; `settings` and the command line go into its provenance.

    Raises:
        UsageError: the file exists, or its folder does not.
        DataError: it cannot be written.
    """
    arrays = {"mean": model.mean, "cov": model.covariance}
    for name, values in (("noise_std", model.noise_std), ("difference_std", model.difference_std)):
        if values is not None:
            arrays[name] = values
    facts: dict[str, Any] = {
        "n": model.count,
        "blocks": [
            {
                "name": block.name,
                "bands": [band + 1 for band in block.bands],
                "cube_bands": block.cube_bands,
                "wavelength_nm": block.wavelength_nm,
            }
            for block in model.blocks
        ],
        "provenance": {
            "tool": f"hsitool {hsitool.__version__}",
            "command": "stats",
            "settings": {key: value for key, value in settings.items() if value is not None},
            **({"arguments": list(line)} if line else {}),
        },
    }
    if (recipe := current_recipe()) is not None:
        facts["provenance"] |= {"recipe": recipe}
    write_scene(path, SceneFile(arrays, facts), overwrite=overwrite)


def load_model(path: Path) -> SceneModel:
    """Read a model.

    Raises:
        DataError: the file cannot be read, or is no scene model.
    """
    scene = read_scene(path)
    blocks = [
        BandBlock(
            block["name"],
            tuple(band - 1 for band in block["bands"]),
            block["cube_bands"],
            None if block["wavelength_nm"] is None else tuple(map(float, block["wavelength_nm"])),
        )
        for block in scene.facts["blocks"]
    ]
    arrays = scene.arrays
    return SceneModel(
        scene.facts["n"],
        arrays["mean"],
        arrays["cov"],
        arrays.get("noise_std"),
        arrays.get("difference_std"),
        tuple(blocks),
    )


def model_of(
    source: CubeReader,
    *,
    bands: str | None = None,
    model: Path | None = None,
    background: Path | None = None,
    budget: Budget | None = None,
    device: Device = CPU,
    progress: Progress | None = None,
) -> SceneModel:
    """The model that scores of one cube are relative to: from a file, or fitted to the cube.

    It has the bands (of the cube) that are to be used.

    Raises:
        UsageError: no such bands.
        DataError: the file does not belong to such a cube, or as `scene_stats`.
    """
    if model is None:
        return scene_stats(
            [source],
            bands=bands,
            background=background,
            budget=budget,
            device=device,
            progress=progress,
        )
    return stored_model(model, source, bands)


def refuse_two_backgrounds(model: Path | None, background: Path | None) -> None:
    """Refuse a model beside a background to fit one to.

    Raises:
        UsageError: both are given.
    """
    if model is not None and background is not None:
        raise UsageError("--model and --background both say what the background is: give one")


def stored_model(path: Path, source: CubeReader, bands: str | None = None) -> SceneModel:
    """The model in a file, of one cube and some of its bands.

    Raises:
        UsageError: no such bands.
        DataError: the file cannot be read, does not belong to such a cube, or lacks a band.
    """
    model = load_model(path)
    number = _matching(model, source, path)
    if bands is None:
        return model.of_cube(number)
    wanted = sorted(set(find_bands(source.info, bands)))
    if strange := [band for band in wanted if band not in model.blocks[number].bands]:
        raise DataError(f"{path}: holds no band {strange[0] + 1}: leave it out of --bands")
    return model.of_cube(number, wanted)


def _matching(model: SceneModel, source: CubeReader, path: Path) -> int:
    """The number of the model's cube that the source is like; one of its name first."""
    like = [n for n, block in enumerate(model.blocks) if _is_like(block, source.info)]
    named = [n for n in like if model.blocks[n].name == source.path.name]
    if found := [*named, *like]:
        return found[0]
    known = ", ".join(f"{block.name} ({block.cube_bands} bands)" for block in model.blocks)
    raise DataError(
        f"{path}: is a model of {known}, and {source.path} ({source.info.bands} bands) has other "
        "bands or wavelengths: fit one with hsitool stats"
    )


def _is_like(block: BandBlock, info: CubeInfo) -> bool:
    if block.cube_bands != info.bands:
        return False
    if block.wavelength_nm is None or info.wavelength_nm is None:
        return True
    return same_centres(block.wavelength_nm, [info.wavelength_nm[b] for b in block.bands])


# Reports


def report(model: SceneModel) -> dict[str, Any]:
    """The model for people and programs, but for the covariance (see the README for the keys)."""
    std = np.sqrt(model.covariance.diagonal())
    blocks = []
    for block, inside in zip(model.blocks, model.ranges, strict=True):
        blocks.append(
            {
                "name": block.name,
                "bands": [band + 1 for band in block.bands],
                "wavelength_nm": block.wavelength_nm,
                "mean": model.mean[inside].tolist(),
                "std": std[inside].tolist(),
                "noise_std": _listed(model.noise_std, inside),
                "difference_std": _listed(model.difference_std, inside),
            }
        )
    return {"pixels": model.count, "bands": len(model.mean), "blocks": blocks}


def _listed(values: Floats | None, inside: slice) -> list[float] | None:
    return None if values is None else values[inside].tolist()


def as_json(model: SceneModel) -> str:
    """The report for programs."""
    return json.dumps(report(model))


def refuse_twice(sources: Sequence[CubeReader]) -> None:
    """Refuse a cube that is given twice: its bands would depend on themselves.

    Raises:
        DataError: naming it.
    """
    paths = [source.path.resolve() for source in sources]
    for number, path in enumerate(paths):
        if path in paths[:number]:
            raise DataError(f"{sources[number].path}: is given twice: its bands would be dependent")
