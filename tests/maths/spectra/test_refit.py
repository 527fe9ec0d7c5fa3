"""Windows that miss samples: every value and every gap against fits of single pixels."""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial

import numpy as np
import pytest
from numpy.typing import NDArray

from hsitool.maths.spectra.operator import SpectralOperator
from hsitool.maths.spectra.refit import PartialRule
from hsitool.maths.spectra.savgol import savgol_operator
from hsitool.maths.spectra.windows import Width

Floats = NDArray[np.float64]
BANDS = 40
SEGMENTS = [range(18), range(19, 22), range(22, 40)]
X = np.cumsum(np.random.default_rng(1).uniform(4, 9, BANDS))
ROUNDING = 1e-6  # gains this close to their limit may fall on either side


@dataclass(frozen=True)
class Case:
    """What is fitted; `fits` says which samples (position, band) a window holds."""

    window: int | Width
    degree: int
    deriv: int
    min_valid: int = 0
    fill_gaps: bool = False
    mode: str = "interp"
    residual: bool = False

    def operator(self) -> SpectralOperator:
        rule = PartialRule(self.min_valid, self.fill_gaps)
        x = X if self.mode == "interp" else np.arange(float(BANDS))
        made = savgol_operator(
            x, SEGMENTS, self.window, self.degree, self.deriv, mode=self.mode, partial=rule
        )
        return made.residual() if self.residual else made

    def samples(self, segment: range, band: int) -> tuple[Floats, list[int]]:
        """Positions from the band, and the bands whose values stand there (-1: a zero)."""
        members = list(segment)
        if isinstance(self.window, Width):
            low = X[band] - self.window.nm / 2
            low = max(min(low, X[members[-1]] - self.window.nm), X[members[0]])
            inside = [b for b in members if low <= X[b] <= low + self.window.nm]
            if len(inside) <= self.degree:
                near = sorted(members, key=lambda b: abs(X[b] - X[band]))
                inside = sorted(near[: self.degree + 1])
            return X[inside] - X[band], inside
        size = min(self.window, len(members))
        odd = size - 1 + size % 2
        size = odd if odd > self.degree else size
        place = band - members[0]
        if self.mode == "interp":
            first = min(max(place - size // 2, 0), len(members) - size)
            inside = members[first : first + size]
            return X[inside] - X[band], inside
        places = np.arange(size) + place - size // 2
        pads = {"mirror": "reflect", "nearest": "edge", "wrap": "wrap", "constant": "constant"}
        more = {"constant_values": -1} if self.mode == "constant" else {}
        padded = np.pad(members, size, mode=pads[self.mode], **more)
        return (places - place).astype(float), padded[places + size].tolist()


def weights_of(x: Floats, bands: list[int], degree: int, deriv: int) -> Floats:
    """Weights on all bands, by the pseudo-inverse; those of copies of a band add up."""
    reach = np.abs(x).max() or 1.0
    rows = np.linalg.pinv(np.vander(x / reach, degree + 1, increasing=True))
    weights = np.zeros(BANDS)
    for band, weight in zip(bands, factorial(deriv) / reach**deriv * rows[deriv], strict=True):
        if band >= 0:
            weights[band] += weight
    return weights


def expected(case: Case, spectrum: Floats) -> tuple[Floats, Floats]:
    """The outputs of one pixel, and how far each gain is from its limit (as a share)."""
    out, margin = np.full(BANDS, np.nan), np.full(BANDS, np.inf)
    for segment in SEGMENTS:
        for band in segment if len(segment) > case.degree else ():
            x, bands = case.samples(segment, band)
            there = np.array([b < 0 or not np.isnan(spectrum[b]) for b in bands])
            gone = np.isnan(spectrum[band]) and (case.residual or not case.fill_gaps)
            if gone or there.sum() < max(case.degree + 1, case.min_valid if not there.all() else 0):
                continue
            left = [b for b, t in zip(bands, there, strict=True) if t]
            weights = weights_of(x[there], left, case.degree, case.deriv)
            full = weights_of(x, bands, case.degree, case.deriv)
            limit = 1.0 if case.deriv == 0 else 3 * np.linalg.norm(full)
            limit = max(limit, 1e-12)  # 0 where weights of copies cancel
            gain = np.linalg.norm(weights)
            if not there.all():
                margin[band] = abs(gain / limit - 1)
            if there.all() or gain <= limit * (1 + 1e-9):
                value = weights @ np.nan_to_num(spectrum)
                out[band] = spectrum[band] - value if case.residual else value
    return out, margin


def gappy(share: float, pixels: int, rng: np.random.Generator) -> Floats:
    """Smooth spectra with random gaps; some lose a run of bands, some everything."""
    cube = np.sin(X[:, None] / 40 + rng.uniform(0, 6, pixels)) + rng.normal(0, 0.1, (BANDS, pixels))
    cube[rng.random(cube.shape) < share] = np.nan
    for pixel in range(0, pixels, 5):
        start = rng.integers(0, BANDS - 8)
        cube[start : start + 8, pixel] = np.nan
    cube[:, 3] = np.nan
    cube[:, 4] = rng.random(BANDS)
    return cube


CASES = [
    Case(5, 2, 0),
    Case(5, 2, 1),
    Case(5, 2, 2),
    Case(7, 3, 0, min_valid=6),
    Case(7, 3, 2, fill_gaps=True),
    Case(9, 2, 0, fill_gaps=True),
    Case(11, 4, 1, min_valid=8, fill_gaps=True),
    Case(35, 3, 1),
    Case(Width(40.0), 2, 0),
    Case(Width(40.0), 2, 1, fill_gaps=True),
    Case(7, 2, 0, residual=True),
    *(Case(7, 2, deriv, mode=m) for deriv in (0, 1) for m in ("mirror", "nearest")),
    *(Case(7, 2, deriv, mode=m) for deriv in (0, 1) for m in ("constant", "wrap")),
]


@pytest.mark.parametrize("share", [0.02, 0.15, 0.4])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_and_gaps_are_those_of_single_fits(
    case: Case, share: float, rng: np.random.Generator
) -> None:
    cube = gappy(share, 60, rng)
    operator = case.operator()
    out = operator.apply(cube.reshape(BANDS, 6, 10)).reshape(BANDS, 60)
    fitted = [band for segment in SEGMENTS if len(segment) > case.degree for band in segment]
    given = 0
    for pixel in range(60):
        truth, margin = expected(case, cube[:, pixel])
        clear = [band for band in fitted if margin[band] > ROUNDING]
        np.testing.assert_array_equal(np.isnan(out[clear, pixel]), np.isnan(truth[clear]))
        both = ~np.isnan(out[:, pixel]) & ~np.isnan(truth)
        error = np.abs(out[both, pixel] - truth[both])
        if both.any():
            scale = np.abs(operator.weights).sum(axis=1).max()
            assert error.max() <= 1e-9 * max(scale, 1)
        given += int((both & np.isin(np.arange(BANDS), clear)).sum())
    assert given > 0


@pytest.mark.parametrize("dtype", ["u2", "i2", "f4", "f8"])
@pytest.mark.parametrize("order", ["bsq", "bil", "bip"])
@pytest.mark.parametrize("deriv", [0, 1])
def test_stored_values_of_every_type_and_order(
    dtype: str, order: str, deriv: int, rng: np.random.Generator
) -> None:
    """With scales and offsets of the bands, against the fit of physical values."""
    scale, offset = rng.uniform(0.5, 1.5, BANDS), rng.uniform(0, 20, BANDS)
    operator = Case(5, 2, deriv).operator().rescaled(scale, offset)
    stored = rng.integers(100, 2000, (BANDS, 8, 9)).astype(dtype)
    stored[rng.random(stored.shape) < 0.1] = 7
    axes = {"bsq": (0, 1, 2), "bil": (1, 0, 2), "bip": (1, 2, 0)}[order]
    block = np.ascontiguousarray(stored.transpose(axes)).transpose(np.argsort(axes))
    out = operator.apply(block, nodata=7)
    assert out.dtype == (np.float64 if dtype == "f8" else np.float32)
    shift = offset if deriv == 0 else np.zeros(BANDS)
    physical = np.where(stored == 7, np.nan, stored * scale[:, None, None] + offset[:, None, None])
    truth = np.stack(
        [expected(Case(5, 2, deriv), s)[0] for s in physical.reshape(BANDS, -1).T], axis=1
    ).reshape(stored.shape)
    found = out * scale[:, None, None] + shift[:, None, None]
    inside = [band for segment in SEGMENTS for band in segment]
    np.testing.assert_array_equal(np.isnan(found[inside]), np.isnan(truth[inside]))
    assert np.nanmax(np.abs(found - truth)[inside]) < 1e-6 * np.nanmax(np.abs(truth))


def test_complete_pixels_are_not_touched(rng: np.random.Generator) -> None:
    cube = rng.random((BANDS, 20, 30)).astype(np.float32)
    operator = Case(5, 2, 1).operator()
    clean = operator.apply(cube)
    cube[7, 3, 5] = cube[30, 11, 2] = np.nan
    out = operator.apply(cube)
    same = np.ones((20, 30), bool)
    same[3, 5] = same[11, 2] = False
    np.testing.assert_array_equal(out[:, same], clean[:, same])
    same_value = np.isclose(out[:, 3, 5], clean[:, 3, 5], rtol=0, atol=1e-6, equal_nan=True)
    touched = np.flatnonzero(~same_value)
    assert set(touched) <= set(range(5, 10))
    assert 7 in touched


def test_weights_are_remembered_and_still_right(rng: np.random.Generator) -> None:
    """The second time patterns come from the store; a mixture of old and new ones, too."""
    operator = Case(7, 2, 0).operator()
    cubes = [gappy(0.1, 200, np.random.default_rng(seed)).reshape(BANDS, 10, 20) for seed in (1, 2)]
    both = np.concatenate(cubes, axis=1)
    first = [operator.apply(cube) for cube in cubes]
    np.testing.assert_array_equal(operator.apply(both), np.concatenate(first, axis=1))
    fresh = Case(7, 2, 0).operator().apply(both)
    np.testing.assert_array_equal(operator.apply(both), fresh)


def test_a_lone_gap_in_a_smoothing_window_keeps_its_neighbours() -> None:
    """By hand: five even points, the last one missing; a parabola through the four others."""
    rule = PartialRule()
    operator = savgol_operator(np.arange(5.0), [range(5)], 5, 2, partial=rule)
    spectrum = np.array([1.0, 4.0, 9.0, 16.0, np.nan])[:, None, None]
    np.testing.assert_allclose(operator.apply(spectrum)[:4, 0, 0], [1, 4, 9, 16], atol=1e-12)
    assert np.isnan(operator.apply(spectrum)[4, 0, 0])
    filled = savgol_operator(
        np.arange(5.0), [range(5)], 5, 2, partial=PartialRule(fill_gaps=True)
    ).apply(spectrum)
    assert np.isnan(filled[4, 0, 0])  # an extrapolation with a gain above 1
