"""The reduced system against finite differences, a dense solution and OpenCV's own numbers."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import views

from hsitool.errors import DataError
from hsitool.maths.cameras.bundle import reduce_views, rotation_matrices, rotation_vectors, solve
from hsitool.maths.cameras.bundle_layout import Layout, PackedViews, State, residuals
from hsitool.maths.cameras.bundle_start import start
from hsitool.maths.cameras.camera import BoardShape, BoardView, Model
from hsitool.maths.cameras.influence import left_out, sureness

CONVERGED = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 1000, 1e-15)
BOARD = BoardShape(1.002, 0.001, 0.5, -0.3)


def scene(count: int = 4, seed: int = 1) -> list[BoardView]:
    return views.simulate(views.Scene(views=count), seed)


def state_of(packed: PackedViews, layout: Layout) -> State:
    two = Layout.two(layout.model, True)
    begun = start(packed, two, views.SIZE)
    parameters = layout.parameters(two.intrinsics(begun.parameters), BOARD)
    return State(parameters, begun.rotation, begun.translation)


@pytest.mark.parametrize("model", ["k2", "rational"])
@pytest.mark.parametrize("single", [False, True])
def test_columns_are_finite_differences(model: Model, single: bool) -> None:
    """All shared parameters, the board's four among them, and poses by left turns and moves."""
    packed = PackedViews.of(scene())
    layout = Layout.two(model, True, True)
    layout = layout.single(1.0, 1.25) if single else layout
    state = state_of(packed, layout)
    reduced = reduce_views(packed, layout, state)
    pose = reduced.pose_q @ reduced.pose_r
    for column in range(len(state.parameters)):
        step = 1e-6 * max(abs(state.parameters[column]), 1e-1)
        shift = np.eye(len(state.parameters))[column] * step
        ends = [
            residuals(
                packed,
                layout,
                State(state.parameters + s * shift, state.rotation, state.translation),
            )
            for s in (1, -1)
        ]
        assert_close(reduced.shared[:, :, column], ends, step)
    for column in range(6):
        step = np.eye(6)[column] * (1e-6 if column < 3 else 1e-3)
        ends = []
        for sign in (1, -1):
            turn = rotation_matrices(sign * step[None, :3])
            moved = state.translation + sign * step[3:]
            ends.append(
                residuals(packed, layout, State(state.parameters, turn @ state.rotation, moved))
            )
        assert_close(pose[:, :, column], ends, step.max())


def assert_close(analytic: np.ndarray, ends: list[np.ndarray], step: float) -> None:
    numeric = ((ends[0] - ends[1]) / (2 * step)).reshape(analytic.shape)
    assert np.abs(analytic - numeric).max() <= 1e-4 * np.abs(numeric).max()


def test_the_reduced_covariance_is_the_block_of_the_dense_one() -> None:
    packed, layout = PackedViews.of(scene()), Layout.two("k2", True)
    _, reduced = solve(packed, layout, state_of(packed, layout))
    count, rows, p = reduced.shared.shape
    pose = reduced.pose_q @ reduced.pose_r
    dense = np.zeros((count * rows, p + 6 * count))
    for i in range(count):
        at = slice(i * rows, (i + 1) * rows)
        dense[at, :p], dense[at, p + 6 * i : p + 6 * i + 6] = reduced.shared[i], pose[i]
    scale = np.linalg.norm(dense, axis=0)
    inverse = np.linalg.pinv(dense / scale) / scale[:, None]
    expected = (inverse @ inverse.T)[:p, :p] * reduced.cost / (dense.shape[0] - dense.shape[1])
    found = sureness(reduced, packed.points).covariance
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("case", ["left", "zhang", "udacity", "simulated"])
def test_standard_errors_are_opencvs(case: str, shared_data: Path) -> None:
    """To 1e-5 relative; the corners as OpenCV takes them, in float32."""
    seen, size, tangential = real(case, shared_data)
    flags = cv2.CALIB_FIX_K3 | (0 if tangential else cv2.CALIB_ZERO_TANGENT_DIST)
    board = [view.object_mm.astype(np.float32) for view in seen]
    image = [view.image_px.astype(np.float32) for view in seen]
    rms, matrix, _, _, _, deviations, *_ = cv2.calibrateCameraExtended(
        board, image, size, None, None, flags=flags, criteria=CONVERGED
    )
    exact = [BoardView(v.name, i, b) for v, i, b in zip(seen, image, board, strict=True)]
    packed, layout = PackedViews.of(exact), Layout.two("k2", tangential)
    found, reduced = solve(packed, layout, start(packed, layout, size))
    errors = np.sqrt(np.diag(sureness(reduced, packed.points).covariance))
    share = errors / np.ravel(deviations)[: len(errors)] - 1
    print(f"{case}: standard errors off by at most {np.abs(share).max():.1e}")
    assert np.abs(share).max() < 1e-5
    assert found.parameters[:2] == pytest.approx([matrix[0, 0], matrix[1, 1]], rel=1e-6)
    assert np.sqrt(reduced.cost / packed.points) == pytest.approx(rms, rel=1e-7)


def real(case: str, folder: Path) -> tuple[list[BoardView], tuple[int, int], bool]:
    """Corner lists of a published set: views, image size, whether tangential terms are free."""
    if case == "simulated":
        return views.simulate(views.Scene(), 1), views.SIZE, True
    if case == "zhang":
        return views.zhang(folder / "zhang_calib"), (640, 480), False
    name = {"left": "opencv_samples/left*.jpg", "udacity": "udacity_camera_cal/*[3689].jpg"}[case]
    found = views.photographed(sorted(folder.glob(name)))
    return [view for view, _ in found.values()], next(iter(found.values()))[1], True


@pytest.mark.parametrize("ratio", [1.0, 1.25])
def test_a_single_f_is_opencvs_fixed_aspect_ratio(ratio: float) -> None:
    """With the right start matrix: fx / fy = 1 / ratio, to 1e-6 relative."""
    simulated = views.Scene(ratio=ratio, focal_px=1600 if ratio == 1 else 1300)
    seen = views.simulate(simulated, 3)
    board = [view.object_mm.astype(np.float32) for view in seen]
    image = [view.image_px.astype(np.float32) for view in seen]
    first = np.array([[1000.0, 0, 640], [0, 1000.0 * ratio, 512], [0, 0, 1]])
    flags = cv2.CALIB_FIX_K3 | cv2.CALIB_FIX_ASPECT_RATIO
    _, matrix, *_ = cv2.calibrateCamera(
        board, image, views.SIZE, first, None, flags=flags, criteria=CONVERGED
    )
    packed, two = PackedViews.of(seen), Layout.two("k2", True)
    begun = start(packed, two, views.SIZE)
    single = two.single(1.0, ratio)
    found, _ = solve(
        packed,
        single,
        State(
            single.parameters(two.intrinsics(begun.parameters), BoardShape()),
            begun.rotation,
            begun.translation,
        ),
    )
    focal = single.intrinsics(found.parameters)[:2]
    print(f"ratio {ratio}: f off by {np.abs(focal / [matrix[0, 0], matrix[1, 1]] - 1).max():.1e}")
    assert focal == pytest.approx([matrix[0, 0], matrix[1, 1]], rel=1e-6)


def test_leaving_a_view_out_moves_the_optimum_as_foretold() -> None:
    """One step, so within a tenth of the refitted change of the most influential view."""
    packed, layout = PackedViews.of(scene(20)), Layout.two("k2", True)
    state, reduced = solve(packed, layout, state_of(packed, layout))
    foretold = left_out(reduced)[:, 0] - left_out(reduced)[:, 1]
    refitted = []
    for i in range(20):
        out = np.arange(20) == i
        found, _ = solve(packed.without(out), layout, state.without(out))
        change = found.parameters - state.parameters
        refitted.append(change[0] - change[1])
    worst = np.abs(foretold - refitted).max() / np.abs(refitted).max()
    print(f"foretold against refitted change of fx - fy: off by {worst:.3f} of the largest")
    assert worst < 0.1


def test_views_of_different_lengths_fit_as_by_themselves() -> None:
    """Padding changes nothing: the same corners, some views cut short, cost what OpenCV says."""
    seen = [
        BoardView(v.name, v.image_px[: 54 - 9 * (i % 3)], v.object_mm[: 54 - 9 * (i % 3)])
        for i, v in enumerate(scene(8))
    ]
    board = [view.object_mm.astype(np.float32) for view in seen]
    image = [view.image_px.astype(np.float32) for view in seen]
    rms, *_ = cv2.calibrateCamera(
        board, image, views.SIZE, None, None, flags=cv2.CALIB_FIX_K3, criteria=CONVERGED
    )
    exact = [BoardView(v.name, i, v.object_mm) for v, i in zip(seen, image, strict=True)]
    packed, layout = PackedViews.of(exact), Layout.two("k2", True)
    _, reduced = solve(packed, layout, start(packed, layout, views.SIZE))
    assert np.sqrt(reduced.cost / packed.points) == pytest.approx(rms, rel=1e-6)


def test_turns_there_and_back(rng: np.random.Generator) -> None:
    vectors = rng.normal(size=(20, 3))
    vectors *= rng.uniform(1e-9, 3, (20, 1)) / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(rotation_vectors(rotation_matrices(vectors)), vectors, atol=1e-9)


def test_boards_without_tilt_do_not_determine_a_camera() -> None:
    """Parallel to the image, focal length and distance are one number."""
    flat = views.simulate(views.Scene(views=6, tilt_deg=(0, 0), noise_px=0), 1)
    packed, layout = PackedViews.of(flat), Layout.two("k2", False)
    with pytest.raises(DataError, match=r"tilt the board|no start|not converge"):
        _, reduced = solve(packed, layout, start(packed, layout, views.SIZE))
        sureness(reduced, packed.points)
