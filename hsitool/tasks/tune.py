"""`hsitool tune`: the window that serves a cube best, by what it does to sampled spectra."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil, sqrt

import numpy as np

from hsitool.engine.plan import PACKED_BYTES, PROCESS_BYTES, Budget
from hsitool.errors import DataError, UsageError
from hsitool.maths.spectra.noise import Correlation
from hsitool.maths.spectra.savgol import check_savgol
from hsitool.maths.spectra.tuning import estimated_risk
from hsitool.storage.readers import CubeReader
from hsitool.tasks.empty import empty_bands
from hsitool.tasks.sample import FEWEST
from hsitool.tasks.scene import SampledScene, sample_scene
from hsitool.tasks.smooth import Fit, SmoothSettings, result_info

PIXELS = 2000
"""How many are sampled unless told."""

LONGEST = 31
"""The longest window that is tried unless told."""

SAME = 1e-9
"""Scores that differ by less, relatively, are equal: then the shorter window is the better."""

MOSTLY = 0.5
"""A derivative with more noise than this, as a part of its spread, is worth a word."""

FEW_PIXELS, FEW_CELLS = 300, 6
"""A smaller sample, for that word."""

NOISE_METHOD = "regression of each band on its two neighbours and the adjacent pixel"


@dataclass(frozen=True)
class Candidate:
    """A window and degree: estimated mean squared error, and noise gain, of the mean band.

    `better` counts the bands with a lower estimated error than without smoothing (or than the
    derivative that all are held against): it tells whether the score is that of a few bands.
    """

    window: int
    degree: int
    score: float
    noise_gain: float
    better: int

    @property
    def rms(self) -> float:
        """The estimated error; 0 where the score came out negative."""
        return sqrt(max(self.score, 0.0))


@dataclass(frozen=True)
class TuneReport:
    """What was tried on which sample.

    `bands` is how many count in the scores, `unit` that of the output and of `rms`; `noise_std` has
    one number a band of the cube, None where the band was left out, in `noise_unit`.
    """

    criterion: str
    noise_method: str
    deriv: int
    pixels: int
    seed: int
    bands: int
    unit: str
    noise_unit: str
    wavelength_nm: tuple[float, ...] | None
    noise_std: tuple[float | None, ...]
    noise_correlation: Correlation
    candidates: tuple[Candidate, ...]

    @property
    def best(self) -> Candidate:
        """The lowest score; of equal ones the shortest window, then the lowest degree."""
        lowest = min(candidate.score for candidate in self.candidates)
        limit = lowest + SAME * abs(lowest)
        equal = [candidate for candidate in self.candidates if candidate.score <= limit]
        return min(equal, key=lambda candidate: (candidate.window, candidate.degree))

    @property
    def changes_nothing(self) -> bool:
        """Whether the best choice is a polynomial through all samples of its window."""
        return self.deriv == 0 and self.best.window == self.best.degree + 1


def tune(
    source: CubeReader,
    settings: SmoothSettings,
    windows: Sequence[int] | None = None,
    degrees: Sequence[int] | None = None,
    *,
    pixels: int = PIXELS,
    seed: int = 0,
    budget: Budget | None = None,
) -> TuneReport:
    """Score windows and degrees for smoothing, or for the derivative that `settings` ask for.

    A derivative is held against that by the shortest window of the lowest degree, the least biased.

    Args:
        source: the cube.
        settings: all but window and degree count.
        windows: odd; by default from the shortest for the degree to `LONGEST`.
        degrees: by default that of the settings; each takes the windows that are long enough.
        pixels: at most so many are sampled.
        seed: of the sample.
        budget: the memory to keep within.

    Raises:
        UsageError: windows, degrees and derivative do not fit together or the cube.
        DataError: too few pixels or bands have data.
    """
    info, budget = source.info, budget or Budget()
    settings = replace(settings, residual=False)
    degrees = sorted(set(degrees or [settings.degree]))
    tried = [
        (window, degree)
        for degree in degrees
        for window in _windows(info.bands, windows, degree, settings.deriv)
    ]
    target = replace(settings, window=_shortest(degrees[0]), degree=degrees[0])
    _refuse(source, pixels, budget)
    scene = sample_scene(source, settings, empty_bands(source, budget), pixels, seed)
    candidates, bands = _scored(scene, tried, target)
    if bands == 0:
        raise DataError(f"{source.path}: has too few bands in a row for degree {degrees[-1]}")
    std = dict(zip(scene.bands, scene.noise.std.tolist(), strict=True))
    return TuneReport(
        criterion=_criterion(target),
        noise_method=NOISE_METHOD,
        deriv=settings.deriv,
        pixels=scene.pixels,
        seed=seed,
        bands=bands,
        unit=_same(result_info(info, target).units),
        noise_unit=_same(info.units),
        wavelength_nm=info.wavelength_nm,
        noise_std=tuple(std.get(band) for band in range(info.bands)),
        noise_correlation=scene.noise.correlation,
        candidates=candidates,
    )


def as_json(report: TuneReport) -> str:
    """The report for programs (see the README for the keys)."""
    candidates = [asdict(candidate) | {"rms": candidate.rms} for candidate in report.candidates]
    best = {"window": report.best.window, "degree": report.best.degree}
    return json.dumps(asdict(report) | {"candidates": candidates, "best": best})


def _windows(bands: int, windows: Sequence[int] | None, degree: int, deriv: int) -> list[int]:
    """The windows to try for a degree: those given that are long enough, or the usual ones."""
    if windows is None:
        shortest = _shortest(degree)
        windows = range(shortest, max(min(LONGEST, bands), shortest) + 1, 2)
    fitting = sorted({window for window in windows if window > degree}) or [max(windows)]
    for window in fitting:
        check_savgol(bands, window, degree, deriv)
    return fitting


def _shortest(degree: int) -> int:
    """The shortest odd window for a degree, but no single band."""
    return max(degree + 1 + degree % 2, 3)


def _refuse(source: CubeReader, pixels: int, budget: Budget) -> None:
    if source.info.dtype.kind not in "iuf":
        raise DataError(f"{source.path}: {source.info.dtype} samples cannot be smoothed")
    if pixels < FEWEST:
        raise UsageError(f"{pixels} pixels are too few to tell noise from scene: {FEWEST} or more")
    bands = source.info.bands
    unpacking = 0 if source.layout.raw else PACKED_BYTES
    needed = PROCESS_BYTES + unpacking + 8 * bands * (8 * pixels + 8 * bands)
    if needed > budget.memory:
        megabytes = ceil(needed / 1e6)
        raise UsageError(
            f"{pixels} pixels of {bands} bands need {megabytes} MB: take fewer pixels, or "
            f"--max-memory {megabytes}MB or more"
        )


def _criterion(target: SmoothSettings) -> str:
    if target.deriv == 0:
        return "SURE: mean squared error per band against spectra without noise"
    return (
        f"SURE: mean squared error per band of derivative {target.deriv} against that of spectra "
        f"without noise by window {target.window}, degree {target.degree}"
    )


def _same(units: Sequence[str] | None) -> str:
    """The unit of all bands, or none where they differ."""
    found = set(units or ())
    return found.pop() if len(found) == 1 else ""


def _scored(
    scene: SampledScene, tried: Sequence[tuple[int, int]], target: SmoothSettings
) -> tuple[tuple[Candidate, ...], int]:
    """The windows and degrees with their scores, and how many bands have a result in all."""
    operators = [scene.operator(replace(target, window=w, degree=d)) for w, d in tried]
    shortest = scene.operator(target)
    lengths = [operator.length[scene.bands] for operator in (shortest, *operators)]
    counted = np.min(lengths, axis=0) > 0
    if not counted.any():
        return (), 0
    wanted = scene.matrix(shortest) if target.deriv > 0 else np.eye(len(scene.bands))
    noise = scene.noise.covariance
    without = estimated_risk(wanted, wanted, noise, scene.seen)[counted]
    found = []
    for (window, degree), operator in zip(tried, operators, strict=True):
        risk = estimated_risk(scene.matrix(operator), wanted, noise, scene.seen)[counted]
        gain = operator.noise_gain[scene.bands][counted]
        better = int(np.sum(risk < (1 - SAME) * without))
        found.append(Candidate(window, degree, float(risk.mean()), float(gain.mean()), better))
    return tuple(found), int(counted.sum())


def noisy_derivatives(source: CubeReader, fits: Sequence[Fit], seed: int = 0) -> list[str]:
    """A line of advice for each derivative of whose spread noise makes more than half.

    The spread is the standard deviation over a few sampled pixels; the median band counts. There
    is none where all is well, and where too little can be sampled.
    """
    derivatives = [fit for fit in fits if fit.settings.deriv > 0]
    if not derivatives:
        return []
    fitted = {band for segment in derivatives[0].segments for band in segment}
    left_out = sorted(set(range(source.info.bands)) - fitted)
    settings = derivatives[0].settings
    try:
        scene = sample_scene(source, settings, left_out, FEW_PIXELS, seed, FEW_CELLS)
    except DataError:
        return []
    advice = (_advice(scene, fit.settings) for fit in derivatives)
    return [line for line in advice if line is not None]


def _advice(scene: SampledScene, settings: SmoothSettings) -> str | None:
    share = scene.noise_share(settings)
    if share <= MOSTLY:
        return None
    length = int(scene.operator(settings).length[scene.bands].max())
    limit = min(4 * length, max(map(len, scene.segments)))
    wider = range(length + 1 + length % 2, limit + 1, 2)
    # The share falls with the window: the first that serves is found by halving.
    place = bisect_left(wider, True, key=lambda w: _quiet(scene, replace(settings, window=w)))
    better = wider[place] if place < len(wider) else None
    advice = f"window {better} would do" if better else f"no window up to {limit} would do"
    return (
        f"noise makes {min(share, 1.0):.0%} of the spread of derivative {settings.deriv} in the "
        f"median band, more than half: {advice}"
    )


def _quiet(scene: SampledScene, settings: SmoothSettings) -> bool:
    return scene.noise_share(settings) <= MOSTLY
