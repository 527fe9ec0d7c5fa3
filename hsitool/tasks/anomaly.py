"""`hsitool anomaly`: how far a pixel is from the scene, its surroundings, or the lines before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from hsitool.cube import CubeInfo
from hsitool.device import CPU, Device
from hsitool.engine.blocks import Progress
from hsitool.engine.plan import Budget
from hsitool.errors import UsageError
from hsitool.maths.scene.local_rx import components
from hsitool.maths.scene.model import Shrink
from hsitool.maths.scene.scores import rx
from hsitool.storage.readers import CubeReader
from hsitool.storage.writers import OutputOptions, create_cube
from hsitool.tasks.anomaly_lines import causal_scores, local_scores
from hsitool.tasks.pixels import Pixels, used_bands
from hsitool.tasks.score_maps import ScoreLines, refuse_outputs, score_info, write_scores
from hsitool.tasks.stats import model_of


@dataclass(frozen=True)
class AnomalySettings:
    """What to score.

    `window` is (guard, outer) in pixels, with `rank` components; `causal` is how many lines are
    only learned from. `bands` is text as `find_bands` reads it; `model`, `background` are files.
    """

    shrink: Shrink = field(default_factory=Shrink)
    bands: str | None = None
    model: Path | None = None
    background: Path | None = None
    window: tuple[int, int] | None = None
    rank: int = 10
    causal: int | None = None


def anomaly(
    source: CubeReader,
    path: Path,
    settings: AnomalySettings,
    *,
    others: Sequence[Path] = (),
    output: OutputOptions | None = None,
    budget: Budget | None = None,
    device: Device = CPU,
    progress: Progress | None = None,
) -> int:
    """Write RX scores to `path`; gives the degrees of freedom that they would have if Gaussian.

    `others` are outputs that will be written of them; `device` is where to compute.

    Raises:
        UsageError: a window, rank or number of lines that does not fit the cube.
        DataError: a model or background that does not belong to the cube, or a singular covariance.
        DeviceError: the device fails.
    """
    budget = budget or Budget()
    _refuse(source.info, settings)
    refuse_outputs([path, *others], output)
    said = _said(settings)
    made = score_info(source.info, [method_of(settings)], "anomaly", source.path, said)
    if settings.causal is not None:
        pixels = Pixels([source], [used_bands(source, settings.bands, budget)], device)
        with create_cube(path, made, source.layout, output) as sink:
            causal_scores(
                pixels, settings.causal, settings.shrink, ScoreLines(sink), budget, progress
            )
        return pixels.count
    model = model_of(
        source,
        bands=settings.bands,
        model=settings.model,
        background=settings.background,
        budget=budget,
        device=device,
        progress=progress,
    )
    pixels = Pixels([source], [model.blocks[0].bands], device)
    if settings.window is not None:
        parts = components(model, settings.rank, settings.shrink)
        with create_cube(path, made, source.layout, output) as sink:
            local_scores(pixels, parts, settings.window, ScoreLines(sink), budget, progress)
        return settings.rank
    background = model.background(settings.shrink)
    score = partial(rx, background=background)
    write_scores(pixels, path, made, score, output=output, budget=budget, progress=progress)
    return pixels.count


def method_of(settings: AnomalySettings) -> str:
    """What to call the scores."""
    if settings.causal is not None:
        return "causal RX"
    return "RX" if settings.window is None else "local RX"


def _said(settings: AnomalySettings) -> dict[str, str | int | None]:
    """For tags and provenance."""
    own = "the lines before" if settings.causal is not None else "fitted to the cube"
    window = settings.window
    return {
        "method": method_of(settings),
        "window": None if window is None else f"{window[0]},{window[1]}",
        "rank": None if window is None else settings.rank,
        "lines": settings.causal,
        "model": own if settings.model is None else settings.model.name,
        "background": None if settings.background is None else settings.background.name,
        "shrink": str(settings.shrink),
        "bands": settings.bands,
    }


def _refuse(info: CubeInfo, settings: AnomalySettings) -> None:
    """Refuse settings that do not fit together or the cube.

    Raises:
        UsageError: says which.
    """
    if settings.window is not None:
        _refuse_window(info, settings.window, settings.rank, settings.shrink)
    if settings.causal is not None and not 0 < settings.causal < info.rows:
        fits = f": give 1 to {info.rows - 1}" if info.rows > 1 else ", and none before it"
        lines = "lines" if info.rows > 1 else "line"
        raise UsageError(f"--causal {settings.causal}: the cube has {info.rows} {lines}{fits}")


def _refuse_window(info: CubeInfo, window: tuple[int, int], rank: int, shrink: Shrink) -> None:
    guard, outer = window
    if not (0 < guard < outer and guard % 2 and outer % 2):
        raise UsageError(
            f"--window {guard},{outer}: give two odd numbers of pixels, the guard and the larger "
            "outer window, as 5,21"
        )
    if outer > min(info.rows, info.columns):
        raise UsageError(
            f"--window {guard},{outer}: the cube has {info.rows} rows and {info.columns} columns: "
            "give a smaller window"
        )
    ring = outer**2 - guard**2
    if not 0 < rank < ring:
        raise UsageError(
            f"--rank {rank}: give 1 to {ring - 1}, fewer than the {ring} pixels of the ring"
        )
    if shrink.kind == "oas":
        raise UsageError("--shrink oas is for a whole scene: with --window give noise or none")
