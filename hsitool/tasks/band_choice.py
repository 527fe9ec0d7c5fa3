"""How bands are to be chosen, and what was chosen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsitool.errors import UsageError
from hsitool.maths.attention.weights import Attention, Norm
from hsitool.maths.scene.model import Shrink
from hsitool.storage.readers import CubeReader
from hsitool.tasks.band_target import BandTarget
from hsitool.tasks.stats import refuse_two_backgrounds

Floats = NDArray[np.float64]

SCORES = ("fisher", "snr")
"""How telling single bands are; another name is a raster's, for the correlation with it."""

DEFAULT_PICKS = 5
DEFAULT_FOCUS = "10%"


@dataclass(frozen=True)
class BandSettings:
    """How to choose: `pick` bands one after the other, `sample` some by weight, or weigh all.

    `pick` is `DEFAULT_PICKS` where nothing else is asked for. `bands` is text as `find_bands`
    reads it; `model` and `background` are files; `score` that is no name is a raster's path.
    """

    pick: int | None = None
    min_gap_nm: float | None = None
    soft: bool = False
    sample: int | None = None
    seed: int = 0
    score: str | None = None
    focus: str | None = None
    temperature: float | None = None
    norm: Norm = "softmax"
    bands: str | None = None
    background: Path | None = None
    model: Path | None = None
    shrink: Shrink | None = None

    @property
    def way(self) -> str:
        """`pick`, `soft` or `sample`.

        Raises:
            UsageError: more than one.
        """
        given = [
            name
            for name, asked in (
                ("pick", self.pick is not None),
                ("soft", self.soft),
                ("sample", self.sample is not None),
            )
            if asked
        ]
        if len(given) > 1:
            raise UsageError(f"--{given[0]} and --{given[1]}: bands are chosen one way: give one")
        return given[0] if given else "pick"


@dataclass(frozen=True, eq=False)
class Weighed:
    """Weights of all bands in use: (bands,) scores, NaN where there is none, and weights."""

    scores: Floats
    weights: Floats
    attention: Attention


@dataclass(frozen=True, eq=False)
class Halves:
    """What the two halves of the target's pixels pick, as places among the bands in use."""

    first: tuple[int, ...]
    second: tuple[int, ...]
    agree: int


@dataclass(frozen=True, eq=False)
class BandChoice:
    """What was chosen.

    Attributes:
        source: the cube.
        bands: of the cube, from 0, that were in use.
        target: what they tell, or None.
        mean: (bands,) of the background.
        std: (bands,) its standard deviation.
        chosen: places among the bands in use, in the order of choosing; none when all are weighed.
        weights: (bands,) of the composite: not negative, of sum 1.
        gains: of each pick, or None.
        weighed: scores and weights, or None for picks.
        logp: (chosen,) of each draw, given those before it, or None.
        halves: of the target, or None.
        gap_nm: (bands,) how far others have to be from each pick; in bands without wavelengths.
    """

    source: CubeReader
    bands: list[int]
    target: BandTarget | None
    mean: Floats
    std: Floats
    chosen: tuple[int, ...]
    weights: Floats
    gains: tuple[float, ...] | None = None
    weighed: Weighed | None = None
    logp: Floats | None = None
    halves: Halves | None = None
    gap_nm: Floats | None = None


def refuse_band_settings(settings: BandSettings, target: str | None) -> None:
    """Refuse what cannot be carried out on any cube.

    Raises:
        UsageError: says what.
    """
    way = settings.way
    refuse_two_backgrounds(settings.model, settings.background)
    weighing = (settings.score, settings.focus, settings.temperature)
    if way == "pick":
        if any(asked is not None for asked in weighing) or settings.norm != "softmax":
            raise UsageError(
                "--score, --focus, --temperature and --norm weigh single bands: they go with "
                "--soft or --sample"
            )
        return
    if settings.min_gap_nm is not None or settings.shrink is not None:
        raise UsageError("--min-gap and --shrink go with --pick")
    score = settings.score or "fisher"
    if score == "fisher" and target is None:
        raise UsageError("--score fisher needs --target; --score snr or a raster does without")
    if score not in SCORES and not Path(score).is_file():
        raise UsageError(f"--score {score} is no file and none of {' '.join(SCORES)}")
