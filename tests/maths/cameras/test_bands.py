"""Bands against a reference band: simulated cameras whose bands differ by known amounts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
import views as simulated
from band_views import REFERENCE_NM, TRUTH, WAVELENGTHS, Change, simulate
from numpy.typing import NDArray

from hsitool.errors import UsageError
from hsitool.maths.cameras.band_curve import fit_curve, noise_parts
from hsitool.maths.cameras.bands import (
    NAMES,
    BandFits,
    FittedShift,
    RadialChoice,
    apart_in_x_and_y,
    fit_bands,
    sight,
)
from hsitool.maths.cameras.calibration import calibrate
from hsitool.maths.cameras.camera import BoardView

Floats = NDArray[np.float64]
NOISE_PX = 0.2
ISSUE_SD, ISSUE_TIMES = 0.5e-4, 20
TRUE = np.array([change.values for change in TRUTH])


def fitted(
    views: int, seed: int, changes: tuple[Change, ...] = TRUTH, radial: RadialChoice = "auto"
) -> tuple[list[FittedShift], BandFits]:
    scene = simulated.Scene(views=views, noise_px=NOISE_PX)
    seen, uv = simulate(scene, changes, np.random.default_rng(seed))
    reference = calibrate(seen, simulated.SIZE, board_model="rigid")
    found = fit_bands(sight(reference), uv, radial)
    return [shift for shift in found.shifts if shift is not None], found


@dataclass(frozen=True)
class Sweep:
    """Of many trials: (trials, bands, 4) errors and whether the interval holds the truth."""

    errors: Floats
    held: NDArray[np.bool_]
    single_error: Floats
    single_held: NDArray[np.bool_]


@cache
def sweep(views: int, trials: int) -> Sweep:
    rows = [fitted(views, seed)[0] for seed in range(trials)]
    errors = np.array([[s.values[:4] for s in row] for row in rows]) - TRUE[:, :4]
    reach = np.array([[s.reach[:4] for s in row] for row in rows])
    single = np.array([[s.e for s in row] for row in rows]) - TRUE[:, 0]
    wide = np.array([[s.reach_e for s in row] for row in rows])
    return Sweep(errors, np.abs(errors) <= reach, single, np.abs(single) <= wide)


def check_sweep(views: int, trials: int) -> None:
    """Bands share the reference's noise: one band's share is binomial, that of all a bit surer."""
    found = sweep(views, trials)
    sd = found.errors.std(axis=(0, 1))
    print(f"{views} views: sd {sd[0] * 1e4:.2f}e-4, {sd[1] * 1e4:.2f}e-4, {sd[2]:.4f} px")
    held = found.held[..., :2].mean(), found.held[..., 2:].mean(), found.single_held.mean()
    print(f"coverage of e_x and e_y {held[0]:.3f}, of dcx and dcy {held[1]:.3f}, e {held[2]:.3f}")
    slack = 3 * np.sqrt(0.05 * 0.95 / trials)
    assert all(abs(share - 0.95) < slack for share in held)
    per_band = found.held.mean(axis=0)
    assert np.abs(per_band - 0.95).max() < slack + 0.02
    bias = np.abs(found.errors.mean(axis=0)) / (found.errors.std(axis=0) / np.sqrt(trials))
    assert bias.max() < 4


@pytest.mark.slow
def test_twenty_views_keep_the_promised_precision_and_coverage() -> None:
    check_sweep(20, 60)
    assert sweep(20, 60).errors[..., :2].std(axis=(0, 1)).max() <= ISSUE_SD


def test_five_views_keep_the_coverage() -> None:
    check_sweep(5, 80)


@pytest.mark.slow
@pytest.mark.parametrize(("views", "most"), [(20, ISSUE_SD), (5, 1.1e-4)])
def test_coverage_over_many_trials(views: int, most: float) -> None:
    check_sweep(views, 600)
    found = sweep(views, 600)
    assert found.errors[..., :2].std(axis=(0, 1)).max() <= most
    for held in (found.held[..., :2], found.held[..., 2:], found.single_held):
        assert 0.92 <= held.mean() <= 0.97


@pytest.mark.slow
def test_differences_are_far_better_than_separate_calibrations() -> None:
    separate, apart, together = [], [], []
    for seed in range(25):
        scene = simulated.Scene(views=20, noise_px=NOISE_PX)
        seen, uv = simulate(scene, TRUTH, np.random.default_rng(seed))
        found = calibrate(seen, simulated.SIZE, board_model="rigid")
        for change, band in zip(TRUTH, uv, strict=True):
            own = [
                BoardView(view.name, corners, view.object_mm)
                for view, corners in zip(seen, np.split(band, len(seen)), strict=True)
            ]
            alone = calibrate(own, simulated.SIZE, board_model="rigid").camera
            separate.append(alone.fx / found.camera.fx - 1 - change.e_x)
            apart.append(alone.fy / found.camera.fy - 1 - change.e_y)
        for shift, change in zip(fit_bands(sight(found), uv).shifts, TRUTH, strict=True):
            assert shift is not None
            together.append(shift.e - change.e_x)
    ratio = float(np.std(separate) / np.std(together))
    per_axis = float(np.std(separate + apart) / sweep(20, 60).errors[..., :2].std())
    print(f"times better than separate calibrations: f {ratio:.1f}, fx and fy {per_axis:.1f}")
    assert ratio >= ISSUE_TIMES
    assert per_axis >= ISSUE_TIMES


def test_a_change_of_distortion_is_seen_and_fitted() -> None:
    changes = tuple(replace(change, dk1=4e-3) for change in TRUTH)
    true = np.array([change.values for change in changes])
    wrong, held = [], []
    for seed in range(12):
        shifts, found = fitted(20, seed, changes)
        assert found.radial
        assert found.p_radial < 0.05
        values, reach = (np.array([getattr(s, n) for s in shifts]) for n in ("values", "reach"))
        held.append(np.abs(values - true) <= reach)
        blind, _ = fitted(20, seed, changes, "off")
        wrong.append([s.e - c.e_x for s, c in zip(blind, changes, strict=True)])
    assert np.mean(held) > 0.88
    assert np.abs(np.mean(wrong)) > 2e-4  # what the lack of dk1 would do
    assert abs(np.mean(held) - 0.95) < 3 * np.sqrt(0.05 * 0.95 / 12)


def test_no_change_of_distortion_is_seldom_fitted() -> None:
    chosen = [fitted(5, seed, TRUTH[:1])[1].radial for seed in range(60)]
    assert np.mean(chosen) <= 1 / 16 + 3 * np.sqrt(1 / 16 * 15 / 16 / 60)
    shifts, found = fitted(5, 0, TRUTH[:1], "off")
    assert not found.radial
    assert np.isnan(found.p_radial)
    assert shifts[0].values[NAMES.index("dk1")] == 0
    assert np.isnan(shifts[0].standard_errors[NAMES.index("dk1")])


def test_focal_lengths_that_differ_in_x_and_y_are_told_from_equal_ones() -> None:
    level = 0.05
    same = [apart_in_x_and_y(fitted(8, seed)[0]) for seed in range(40)]
    assert np.mean(np.array(same) < level) <= level + 3 * np.sqrt(level * (1 - level) / 40)
    odd = (*TRUTH[:3], Change(3e-4, 13e-4))
    found = [apart_in_x_and_y(fitted(8, seed, odd)[0]) for seed in range(5)]
    assert max(found) < 0.01


def test_wrong_corners_of_a_band_are_left_out() -> None:
    scene = simulated.Scene(views=12, noise_px=NOISE_PX)
    seen, uv = simulate(scene, TRUTH[:2], np.random.default_rng(3))
    reference = sight(calibrate(seen, simulated.SIZE, board_model="rigid"))
    uv[0, ::40] += 5.0
    uv[1, :54] = np.nan  # a view in which the second band was not seen
    first, second = fit_bands(reference, uv, "off").shifts
    assert first is not None
    assert second is not None
    assert first.trimmed >= len(uv[0, ::40])
    assert abs(first.e - TRUTH[0].e_x) <= 2 * first.reach_e
    assert (second.views, second.scores[0]) == (11, 0.0)
    kept = fit_bands(reference, uv, "off", trim=False).shifts[0]
    assert kept is not None
    assert kept.rms_px > 2 * first.rms_px
    assert kept.trimmed == 0


def test_a_band_seen_too_seldom_is_refused_with_the_reason() -> None:
    scene = simulated.Scene(views=6, noise_px=NOISE_PX)
    seen, uv = simulate(scene, TRUTH[:2], np.random.default_rng(3))
    uv[1, 2 * 54 :] = np.nan
    found = fit_bands(sight(calibrate(seen, simulated.SIZE)), uv)
    assert found.shifts[0] is not None
    assert found.shifts[1] is None
    assert found.reasons == ("", "seen in 2 views, fewer than 3")


def test_other_words_for_dk1_are_refused() -> None:
    scene = simulated.Scene(views=4, noise_px=NOISE_PX)
    seen, uv = simulate(scene, TRUTH[:1], np.random.default_rng(3))
    with pytest.raises(UsageError, match="--dk1 'maybe'"):
        fit_bands(sight(calibrate(seen, simulated.SIZE)), uv, "maybe")  # type: ignore[arg-type]


def test_the_edge_shift_is_the_longest_along_the_border() -> None:
    (shift,), _ = fitted(20, 1, (Change(8e-4, 8e-4, 0.2, 0.1),), "off")
    width, height = simulated.SIZE
    corner = 8e-4 * (np.array([-0.5, height - 0.5]) - (650, 500)) + (0.2, 0.1)
    others = [
        8e-4 * (np.array([u, v]) - (650, 500)) + (0.2, 0.1)
        for u in (-0.5, width - 0.5)
        for v in (-0.5, height - 0.5)
    ]
    longest = max(float(np.hypot(*one)) for one in (corner, *others))
    assert shift.edge_px == pytest.approx(longest, abs=0.03)


@pytest.mark.parametrize(("model", "fisheye"), [("rational", False), ("fisheye", True)])
def test_other_lens_models_have_bands_too(model: str, fisheye: bool) -> None:
    lens = (0.02, -0.01, 0.003, -0.002) if fisheye else (-0.2, 0.08, 5e-4, -3e-4)
    scene = simulated.Scene(views=12, noise_px=0.05, lens=lens, fisheye=fisheye)
    seen, uv = simulate(scene, TRUTH, np.random.default_rng(4))
    reference = calibrate(seen, simulated.SIZE, model=model, board_model="rigid")  # type: ignore[arg-type]
    found = fit_bands(sight(reference), uv, "off").shifts
    errors = [abs(s.e - c.e_x) for s, c in zip(found, TRUTH, strict=True) if s is not None]
    assert max(errors) < 0.5e-4


# The curve over wavelength


def cauchy(nm: Floats) -> Floats:
    return 1.5e-3 * (1 - (REFERENCE_NM / nm) ** 2)


def curve_case(rng: np.random.Generator, views: int = 20) -> tuple[Floats, Floats, Floats]:
    """Wavelengths, noisy e and the scores of each view, with a common part half of the variance."""
    nm = np.linspace(400, 1000, 12)
    nm = nm[nm != REFERENCE_NM]
    common = rng.normal(0, 1e-5, views)
    scores = common + rng.normal(0, 1e-5, (len(nm), views))
    return nm, cauchy(nm) + scores.sum(axis=1), scores - scores.mean(axis=1, keepdims=True)


def test_the_curve_is_generalised_least_squares_of_the_measured_covariance(
    rng: np.random.Generator,
) -> None:
    nm, e, scores = curve_case(rng)
    found = fit_curve(nm, e, scores, REFERENCE_NM)
    assert found is not None
    common, own = noise_parts(scores)
    inverse = np.linalg.inv(np.diag(own) + common)
    ours = found.rows(nm) - found.rows(np.array([REFERENCE_NM]))
    ours = ours[:, 1:]  # the constant falls out of differences with the reference
    plain = np.linalg.solve(ours.T @ inverse @ ours, ours.T @ inverse @ e)
    np.testing.assert_allclose(found.coefficients[1:], plain, rtol=1e-8)
    left = e - ours @ plain
    assert found.chi2 == pytest.approx(left @ inverse @ left, rel=1e-8)
    assert found.common == pytest.approx(0.5, abs=0.25)


def test_the_curve_holds_the_truth_in_its_interval() -> None:
    kinds, held, follows = [], [], []
    at = np.array([420.0, 550.0, 750.0, 950.0])
    for seed in range(200):
        nm, e, scores = curve_case(np.random.default_rng(seed))
        found = fit_curve(nm, e, scores, REFERENCE_NM)
        assert found is not None
        middle, reach = found.relative(at, REFERENCE_NM)
        held.append(np.abs(middle - cauchy(at)) <= reach)
        kinds.append(found.kind)
        follows.append(found.p_fit > 0.01)
    assert kinds.count("cauchy") > 180
    assert 0.95 - 3 * np.sqrt(0.05 * 0.95 / 200) < np.mean(held) < 0.99
    assert np.mean(follows) > 0.9


def test_too_few_bands_have_no_curve(rng: np.random.Generator) -> None:
    nm, e, scores = curve_case(rng)
    assert fit_curve(nm[:3], e[:3], scores[:3], REFERENCE_NM) is None
    assert fit_curve(np.full(8, 500.0), e[:8], scores[:8], REFERENCE_NM) is None


def test_bands_err_together_by_half() -> None:
    """The noise of the reference's corners is in all differences."""
    errors = sweep(20, 60).errors[..., 0]
    between = np.corrcoef(errors.T)[np.triu_indices(len(TRUTH), 1)]
    assert np.mean(between) == pytest.approx(0.5, abs=0.2)
    assert len(WAVELENGTHS) == len(TRUTH)
