"""Projection, its derivatives and its inverse, against formulas written out and differences."""

from __future__ import annotations

import numpy as np
import pytest
import views

from hsitool.errors import DataError, UsageError
from hsitool.maths.cameras.camera import BoardView, Camera, Model, Sensor, grid_mm, project

LENSES: dict[Model, tuple[float, ...]] = {
    "k2": (-0.2, 0.08, 5e-4, -3e-4),
    "k3": (-0.2, 0.08, 5e-4, -3e-4, 0.01),
    "rational": (-0.2, 0.08, 5e-4, -3e-4, 0.01, 0.02, -0.03, 0.005),
    "fisheye": (0.05, -0.01, 0.003, -0.001),
}


def camera(model: Model = "k2", **changed: float) -> Camera:
    numbers = {"fx": 1600.0, "fy": 1603.0, "cx": 650.0, "cy": 500.0} | changed
    return Camera(model, **numbers, distortion=LENSES[model], image_size=views.SIZE)


def points(rng: np.random.Generator) -> np.ndarray:
    return np.column_stack([rng.uniform(-150, 150, (40, 2)), rng.uniform(350, 500, 40)])


@pytest.mark.parametrize("model", ["k2", "fisheye"])
def test_projection_follows_the_published_formulas(model: Model, rng: np.random.Generator) -> None:
    scene = views.Scene(ratio=1603 / 1600, lens=LENSES[model], fisheye=model == "fisheye")
    seen = points(rng)
    np.testing.assert_allclose(camera(model).project(seen), views.projected(scene, seen), atol=1e-9)


@pytest.mark.parametrize("model", LENSES)
def test_derivatives_are_finite_differences(model: Model, rng: np.random.Generator) -> None:
    seen, known = points(rng), camera(model).intrinsics
    _, by_lens, by_point = project(model, known, seen)
    for column in range(len(known)):
        step = 1e-6 * max(abs(known[column]), 1e-2)
        shift = np.eye(len(known))[column] * step
        up, down = (project(model, known + s * shift, seen)[0] for s in (1, -1))
        assert_close(by_lens[:, :, column], (up - down) / (2 * step))
    for axis in range(3):
        shift = np.eye(3)[axis] * 1e-3
        up, down = (project(model, known, seen + s * shift)[0] for s in (1, -1))
        assert_close(by_point[:, :, axis], (up - down) / 2e-3)


def assert_close(analytic: np.ndarray, numeric: np.ndarray) -> None:
    assert np.abs(analytic - numeric).max() <= 1e-4 * np.abs(numeric).max()


@pytest.mark.parametrize("model", LENSES)
def test_rays_come_back_to_their_pixels(model: Model, rng: np.random.Generator) -> None:
    pixels = rng.uniform(0, 1, (200, 2)) * views.SIZE
    known = camera(model)
    error = np.abs(known.project(known.unproject(pixels)) - pixels).max()
    print(f"{model}: {error:.1e} px")
    assert error < 1e-6


def test_field_of_view_knows_the_distortion() -> None:
    """44.89 against 43.60 degrees for this lens, published; through the principal point."""
    known = camera(fy=1600.0)
    wide, straight = known.field_of_view(), known.pinhole_field_of_view()
    print(f"{wide.horizontal:.2f} against {straight.horizontal:.2f} degrees")
    assert wide.horizontal == pytest.approx(44.89, abs=0.02)
    assert straight.horizontal == pytest.approx(43.60, abs=0.01)


def test_a_fisheye_may_see_more_than_180_degrees() -> None:
    known = Camera("fisheye", 300, 300, 639.5, 511.5, (0.0,) * 4, views.SIZE)
    assert known.field_of_view().horizontal == pytest.approx(np.degrees(1280 / 300))


def test_folding_is_found_where_the_slope_vanishes() -> None:
    """k1 = -0.35 alone folds at r = 0.976: 1 + 3 k1 r^2 = 0."""
    folded = Camera("k2", 500, 500, 319.5, 239.5, (-0.35, 0, 0, 0), (1000, 1000))
    radius = 0.976
    assert folded.folds_at() == pytest.approx(500 * radius * (1 - 0.35 * radius**2), rel=1e-3)
    assert np.isnan(folded.unproject(np.array([[999.0, 999.0]]))).all()
    assert camera().folds_at() is None


def test_nothing_is_seen_behind_a_pinhole() -> None:
    assert np.isnan(camera().project(np.array([[0, 0, -100.0]]))).all()


def test_sensors_from_their_data_sheets() -> None:
    pitch = (6.78 / 1280, 5.43 / 1024)
    assert Sensor.from_size(6.78, 5.43, (1280, 1024)).pitch_mm == pytest.approx(pitch)
    assert Sensor.from_pixels_per_mm(200, 250).pixels_per_mm == pytest.approx((200, 250))
    assert Sensor().pixels_per_mm == (1, 1)
    with pytest.raises(UsageError, match="above 0 mm"):
        Sensor((0.0, 1.0))
    with pytest.raises(UsageError, match="above 0"):
        Sensor.from_pixels_per_mm(-1, 1)


@pytest.mark.parametrize(
    ("image", "board", "said"),
    [
        (np.zeros((54, 3)), grid_mm(9, 6, 25), r"image_px has shape \(54, 3\)"),
        (np.zeros((53, 2)), grid_mm(9, 6, 25), "53 image points for 54"),
        (np.full((54, 2), np.nan), grid_mm(9, 6, 25), "54 of 54 points are not finite"),
    ],
)
def test_views_that_make_no_sense_are_refused(
    image: np.ndarray, board: np.ndarray, said: str
) -> None:
    with pytest.raises(DataError, match=f"view left01: .*{said}|{said}"):
        BoardView("left01", image, board)


def test_models_and_their_coefficients() -> None:
    with pytest.raises(UsageError, match="no lens model 'k9'"):
        Camera("k9", 1, 1, 0, 0, (), (1, 1))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="k3 has 5 distortion coefficients, not 1"):
        Camera("k3", 1, 1, 0, 0, (0.0,), (1, 1))
