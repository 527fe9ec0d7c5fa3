"""`attend self --axis bands`: how the bands of a cube relate, all with all."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hsitool.engine.blocks import Progress
from hsitool.engine.plan import Budget
from hsitool.errors import DataError, UsageError
from hsitool.maths.attention.relation import quiet_bands
from hsitool.maths.attention.weights import focus_on
from hsitool.maths.scene.model import SceneModel
from hsitool.storage.readers import CubeReader
from hsitool.tasks.attend_self import SelfSettings, refuse_settings
from hsitool.tasks.stats import model_of

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BandMatrix:
    """(bands, bands) what a band (row) has to do with each (column).

    Attributes:
        values: scores, or weights of which each row sums to 1.
        bands: numbers from 1.
        wavelength_nm: of the bands, or None.
        what: what the values are, for people.
    """

    values: Floats
    bands: tuple[int, ...]
    wavelength_nm: tuple[float, ...] | None
    what: str

    @property
    def is_correlation(self) -> bool:
        """Whether values lie between -1 and 1."""
        return self.what == CORRELATION


CORRELATION = "correlation"


def band_matrix(
    source: CubeReader,
    settings: SelfSettings,
    *,
    budget: Budget | None = None,
    progress: Progress | None = None,
) -> BandMatrix:
    """How bands relate over all valid pixels.

    The score "cosine" is their correlation (dividing each band by its noise does not change it),
    "dot" the covariance of bands divided by their noise. With a focus or a temperature each row
    becomes weights.

    Raises:
        UsageError: settings that do not go with bands.
        DataError: a band is constant, the noise is not known, or a file fails.
    """
    refuse_settings(settings)
    if settings.qk is not None or settings.components is not None:
        raise UsageError("--axis bands relates bands as they are: leave --qk and --components out")
    model = model_of(
        source,
        bands=settings.bands,
        model=settings.model,
        background=settings.background,
        budget=budget,
        progress=progress,
    )
    what, scores = _scores(model, settings.score)
    if settings.focus is not None or settings.temperature is not None:
        what = f"{settings.norm} weight"
        scores = np.stack([_weights(row, settings) for row in scores])
    block = model.blocks[0]
    numbers = tuple(band + 1 for band in block.bands)
    return BandMatrix(scores, numbers, block.wavelength_nm, what)


def _scores(model: SceneModel, score: str) -> tuple[str, Floats]:
    if score == "dot":
        noise = quiet_bands(model)
        return "covariance over noise", model.covariance / np.outer(noise, noise)
    if score != "cosine":
        raise UsageError("--axis bands goes with --score cosine or dot")
    std = np.sqrt(model.covariance.diagonal())
    if (still := np.flatnonzero(std == 0)).size:
        number = model.blocks[0].bands[still[0]] + 1
        raise DataError(f"band {number} is constant: leave it out with --bands")
    found = model.covariance / np.outer(std, std)
    found[np.diag_indices(len(found))] = 1.0
    return CORRELATION, np.clip(found, -1.0, 1.0)


def _weights(row: Floats, settings: SelfSettings) -> Floats:
    how = {"focus": settings.focus, "temperature": settings.temperature}
    return focus_on(row, norm=settings.norm, **how).weights(row)  # type: ignore[arg-type]


def matrix_table(found: BandMatrix) -> str:
    """A CSV with a row and a column for each band."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    known = found.wavelength_nm
    table.writerow(["band", *(["wavelength_nm"] if known else []), *found.bands])
    for number, (band, row) in enumerate(zip(found.bands, found.values.tolist(), strict=True)):
        cells = ["" if math.isnan(value) else f"{value:.9g}" for value in row]
        table.writerow([band, *([repr(known[number])] if known else []), *cells])
    return text.getvalue()
