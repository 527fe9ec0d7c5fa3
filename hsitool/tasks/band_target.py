"""What bands are to tell: a region of the cube with its two halves, or one spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsitool.maths.attention.band_scores import Deviations
from hsitool.storage.readers import CubeReader
from hsitool.storage.regions import Region, is_region, open_region
from hsitool.tasks.attend_query import Asked, Query, find_query, nothing_there, region_spectra

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BandTarget:
    """A target at some bands of a cube.

    Attributes:
        query: its name, its mean (bands,) and the bands (from 0).
        pixels: how many it was taken from; 0 for a spectrum from a file.
        variance: (bands,) of these pixels; 0 for a spectrum.
        halves: the means of the first and the second half of the pixels, in reading order, or None.
    """

    query: Query
    pixels: int
    variance: Floats
    halves: tuple[Floats, Floats] | None


def find_target(source: CubeReader, text: str, scale: float, used: Sequence[int]) -> BandTarget:
    """The target that a file, or FILE:NAME for one of several spectra, holds.

    Raises:
        DataError: it cannot be read, is not of the cube, or holds no pixel with data.
    """
    path = Path(text)
    if not path.is_file() or not is_region(path):
        query = find_query(source, Asked(spectrum=text, scale=scale), used)
        return BandTarget(query, 0, np.zeros(len(query.bands)), None)
    with open_region(path, source.info) as region:
        return _of_region(source, region, used)


def _of_region(source: CubeReader, region: Region, used: Sequence[int]) -> BandTarget:
    half = region.pixels // 2
    parts = [Deviations.of(np.zeros((len(used), 0))) for _ in range(2)]
    for spectra, numbers in region_spectra(source, region, used):
        early = numbers < half
        for number, inside in enumerate((early, ~early)):
            parts[number] = parts[number] + Deviations.of(spectra[:, inside])
    both = parts[0] + parts[1]
    if not both.count:
        raise nothing_there(region)
    query = Query(region.path.name, both.mean, list(used))
    halves = (parts[0].mean, parts[1].mean) if parts[0].count and parts[1].count else None
    return BandTarget(query, both.count, both.variance, halves)
