"""Corners of rendered boards are found where the camera puts them, and those of photographs."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rendered
from numpy.typing import NDArray
from rendered import Lens, Look, Rendered

from hsitool.errors import UsageError
from hsitool.maths.boards import chessboard, gate, patterns
from hsitool.maths.boards.board import Board
from hsitool.maths.boards.corners import departures, refine, right_handed, window_of
from hsitool.maths.boards.detection import Detection, Recipe, detect
from hsitool.maths.boards.gate import may_hold_chessboard

BOARD = Board(9, 6, 25.0)
CHARUCO = Board(8, 5, 25.0, "charuco", 18.0)
LENS = Lens()
Floats = NDArray[np.float64]


def errors(view: Rendered, found: Detection) -> Floats:
    """Distances (n,) to the true corners; a board may be counted from either end."""
    true = view.uv[found.ids]
    off = min(found.uv - true, found.uv - true[::-1], key=lambda e: float(np.abs(e).max()))
    return np.linalg.norm(off, axis=1)


def no_board(kind: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Images of 1920x1080 pixels without a board."""
    shape = 1080, 1920
    if kind == "flat":
        return np.full(shape, 128, np.uint8)
    if kind == "noise":
        return rng.integers(0, 256, shape, np.uint8)
    if kind == "tiles":
        tiles = rng.integers(0, 2, (27, 48), np.uint8) * 200 + 20
        return np.asarray(cv2.resize(tiles, shape[::-1], interpolation=cv2.INTER_NEAREST), np.uint8)
    scales = {"blobs": [8], "scene": [1, 2, 4, 8, 16, 32, 64]}[kind]
    grey = sum(s * cv2.GaussianBlur(rng.standard_normal(shape), (0, 0), s) for s in scales)
    low, high = np.percentile(grey, (2, 98))
    return np.clip((grey - low) / (high - low) * 255, 0, 255).astype(np.uint8)


def test_the_renderer_is_right_by_opencv(rng: np.random.Generator) -> None:
    for view in rendered.views(BOARD, LENS, Look(noise=0.0), 4, rng):
        start = view.uv + rng.uniform(-0.5, 0.5, view.uv.shape)
        found = refine(view.image, start, window_of(view.uv, (6, 9)), 100, 1e-4)
        off = found - view.uv
        assert np.abs(off).max() < 0.05
        assert np.abs(off.mean(axis=0)).max() < 0.01
        assert off.std() < 0.02


@pytest.mark.parametrize(
    ("lens", "look", "roll", "limit"),
    [
        (LENS, Look(noise=0.0), "any", 0.05),
        (LENS, Look(), "any", 0.08),
        (LENS, Look(blur_px=1.5, noise=5.0), "any", 0.3),
        (replace(LENS, fx=1603.2), Look(), "half", 0.08),
        (LENS, Look(stretch=1.02), "none", 0.08),
        (Lens(1920, 1080, 2000, 2000, 960, 540), Look(), "any", 0.08),
    ],
)
def test_corners_of_rendered_boards(
    lens: Lens, look: Look, roll: str, limit: float, rng: np.random.Generator
) -> None:
    for view in rendered.views(BOARD, lens, look, 5, rng, roll=roll):
        found = detect(view.image, BOARD)
        assert found.ids.tolist() == list(range(54))
        assert errors(view, found).max() < limit
        assert found.misfit_px < 0.5


@pytest.mark.parametrize("method", ["accurate", "classic"])
def test_other_recipes(method: Any, rng: np.random.Generator) -> None:
    (view,) = rendered.views(BOARD, LENS, Look(), 1, rng)
    assert errors(view, detect(view.image, BOARD, Recipe(method))).max() < 0.15


@pytest.mark.parametrize("shape", [(3, 4), (7, 7), (20, 14)])
def test_other_chessboards(shape: tuple[int, int], rng: np.random.Generator) -> None:
    board = Board(*shape, 25.0)
    for view in rendered.views(board, LENS, Look(), 3, rng):
        found = detect(view.image, board)
        assert found.found
        distance = np.linalg.norm(found.uv[:, None] - view.uv, axis=-1).min(axis=1)
        assert distance.max() < 0.12  # a square board may be turned by 90 degrees, too


def test_small_and_slanted_boards_pass_the_quick_rejection(rng: np.random.Generator) -> None:
    spread: dict[str, Any] = {"width_share": (0.15, 0.3), "tilt_degrees": (40.0, 60.0)}
    views = rendered.views(BOARD, LENS, Look(blur_px=1.0, noise=6.0), 12, rng, **spread)
    halves = [
        cv2.resize(v.image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for v in views
    ]
    held = [
        may_hold_chessboard(view.image, np.asarray(half, np.uint8), (6, 9))
        for view, half in zip(views, halves, strict=True)
    ]
    assert held == [True] * 12


@pytest.mark.parametrize("kind", ["flat", "noise", "tiles", "blobs", "scene"])
def test_images_without_a_board_are_rejected_quickly(kind: str, rng: np.random.Generator) -> None:
    image = no_board(kind, rng)
    start = time.thread_time()
    found = detect(image, BOARD)
    seconds = time.thread_time() - start
    assert not found.found
    assert found.reason == "no chessboard of 9x6 inner corners"
    assert seconds < 0.05 * image.size / 1e6  # the benchmark asks for half of it


def test_boards_that_are_not_seen_wholly_are_rejected_quickly(rng: np.random.Generator) -> None:
    (view,) = rendered.views(BOARD, LENS, Look(), 1, rng, tilt_degrees=(5.0, 20.0))
    u, v = np.rint(view.uv).astype(int).T
    hidden, cut, covered = view.image.copy(), view.image[:, : np.median(u).astype(int)], view.image
    hidden[:, : np.median(u).astype(int)] = 120
    covered = cv2.circle(view.image.copy(), (int(u[22]), int(v[22])), 40, 120, -1)
    for image in (hidden, cut, np.asarray(covered, np.uint8)):
        start = time.thread_time()
        assert not detect(image, BOARD).found
        assert time.thread_time() - start < 0.05 * image.size / 1e6  # half of it is the limit


@pytest.mark.parametrize("other", [Board(8, 6, 25.0), Board(10, 6, 25.0), Board(11, 8, 25.0)])
def test_boards_of_other_counts_are_rejected_quickly(
    other: Board, rng: np.random.Generator
) -> None:
    for view in rendered.views(other, LENS, Look(), 2, rng):
        start = time.thread_time()
        assert not detect(view.image, BOARD).found
        assert time.thread_time() - start < 0.05 * view.image.size / 1e6


@pytest.mark.parametrize("kind", ["noise", "cut", "other"])
def test_small_images_are_rejected_quickly(kind: str, rng: np.random.Generator) -> None:
    """640x480: what does not depend on the size of an image counts most there."""
    lens = Lens(640, 480, 600, 600, 320, 240)
    (view,) = rendered.views(BOARD, lens, Look(), 1, rng, width_share=(0.6, 0.8))
    noise = rng.integers(0, 256, view.image.shape, np.uint8)
    cut = np.ascontiguousarray(view.image[:, : int(np.median(view.uv[:, 0]))])
    image = {"noise": noise, "cut": cut, "other": view.image}[kind]
    board, taken = (Board(8, 6, 25.0) if kind == "other" else BOARD), [np.inf]
    while min(taken) >= 0.016 and len(taken) < 30:  # half of it where nothing else runs
        start = time.thread_time()
        assert not detect(image, board).found
        taken.append(time.thread_time() - start)
    assert min(taken) < 0.016


@pytest.mark.parametrize("other", [Board(9, 7, 25.0), Board(8, 6, 25.0), Board(11, 8, 25.0)])
def test_another_board_is_not_found(other: Board, rng: np.random.Generator) -> None:
    (view,) = rendered.views(BOARD, LENS, Look(), 1, rng)
    assert not detect(view.image, other).found


def test_any_part_of_a_charuco_board(rng: np.random.Generator) -> None:
    for view in rendered.views(CHARUCO, LENS, Look(), 2, rng):
        found = detect(view.image, CHARUCO)
        assert len(found.ids) >= 36
        assert np.linalg.norm(found.uv - view.uv[found.ids], axis=1).max() < 0.25
        hidden = view.image.copy()
        hidden[:, : int(np.median(view.uv[:, 0]))] = 120
        part = detect(hidden, CHARUCO)
        assert 6 <= len(part.ids) < 36
        assert np.linalg.norm(part.uv - view.uv[part.ids], axis=1).max() < 0.25


def test_a_charuco_board_without_a_marker_at_half_size(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its corners alone pass the quick rejection."""
    (view,) = rendered.views(CHARUCO, LENS, Look(), 1, rng)
    expected = detect(view.image, CHARUCO)
    monkeypatch.setattr(patterns, "_shows_marker", lambda half, board: False)
    assert len(expected.ids) >= 36
    assert (detect(view.image, CHARUCO).uv == expected.uv).all()


@pytest.mark.parametrize("kind", ["noise", "scene"])
def test_textures_are_not_searched_for_markers(
    kind: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenCV finds outlines everywhere in them, which takes 150 ms per megapixel."""
    monkeypatch.setattr(patterns, "_charuco_detector", lambda board: pytest.fail("searched"))
    assert not detect(no_board(kind, rng), CHARUCO).found


@pytest.mark.parametrize("printed", [False, True])
@pytest.mark.parametrize("asked", [False, True])
def test_either_pattern_of_charuco(printed: bool, asked: bool, rng: np.random.Generator) -> None:
    (view,) = rendered.views(replace(CHARUCO, legacy=printed), LENS, Look(), 1, rng)
    found = detect(view.image, replace(CHARUCO, legacy=asked))
    assert len(found.ids) >= 36
    assert np.linalg.norm(found.uv - view.uv[found.ids], axis=1).max() < 0.25


@pytest.mark.parametrize("target", ["circles", "acircles"])
def test_images_without_circles_are_rejected_quickly(target: Any, rng: np.random.Generator) -> None:
    board = Board(9, 6, 25.0, target)
    for image in (no_board(kind, rng) for kind in ("noise", "scene", "tiles", "blobs")):
        start = time.thread_time()
        assert not detect(image, board).found
        assert time.thread_time() - start < 0.05 * image.size / 1e6  # half of it is the limit


@pytest.mark.parametrize("counts", [(8, 6), (9, 7), (11, 8)])
def test_circles_of_other_counts_are_not_found(
    counts: tuple[int, int], rng: np.random.Generator
) -> None:
    (view,) = rendered.views(Board(*counts, 25.0, "circles"), LENS, Look(), 1, rng)
    assert not detect(view.image, Board(9, 6, 25.0, "circles")).found


def test_no_charuco_board(rng: np.random.Generator) -> None:
    found = detect(no_board("flat", rng), CHARUCO)
    assert found.reason == "too few corners of the 8x5 charuco board: 0 found"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dictionary": "DICT_X"}, "DICT_4X4_50"),
        ({"dictionary": "DICT_4X4_50", "columns": 20}, "50 markers"),
    ],
)
def test_dictionaries_that_cannot_be(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        detect(np.zeros((100, 100), np.uint8), replace(CHARUCO, **change))


@pytest.mark.parametrize("board", [Board(9, 6, 25.0, "circles"), Board(4, 9, 25.0, "acircles")])
def test_circles(board: Board, rng: np.random.Generator) -> None:
    for view in rendered.views(board, LENS, Look(noise=1.0), 3, rng, tilt_degrees=(5.0, 30.0)):
        found = detect(view.image, board)
        assert found.found
        assert errors(view, found).max() < 0.35  # an ellipse's centre is not the circle's
    assert detect(no_board("flat", rng), board).reason == f"no grid of {board} circles"


def test_the_left_set_by_the_old_recipe_is_the_published_one(shared_data: Path) -> None:
    found = photographs(shared_data / "opencv_samples", "left*.jpg", Recipe("classic", 11, 0.1))
    assert len(found) == 13
    rms, matrix, per_view = calibrated(found, cv2.CALIB_FIX_ASPECT_RATIO)
    assert rms == pytest.approx(0.39259, abs=0.001)
    assert matrix[0, 0] == pytest.approx(535.9157, abs=0.01)
    published = [0.193, 1.182, 0.173, 0.193, 0.160, 0.180, 0.231, 0.242, 0.296, 0.167, 0.202]
    np.testing.assert_allclose(per_view[:11], published, atol=0.005)


def test_the_left_set_by_the_own_recipe(shared_data: Path) -> None:
    found = photographs(shared_data / "opencv_samples", "left*.jpg", Recipe())
    assert len(found) == 13
    assert max(view.misfit_px for view in found.values()) < 0.4
    rms, matrix, _ = calibrated(found, 0)
    assert rms < 0.18
    assert matrix[0, 0] == pytest.approx(533.1, abs=0.3)
    assert matrix[1, 1] == pytest.approx(533.1, abs=0.3)


def photographs(folder: Path, pattern: str, recipe: Recipe) -> dict[str, Detection]:
    """What is found in the images of a folder."""
    images = {
        path.name: cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        for path in sorted(folder.glob(pattern))
    }
    found = {
        name: detect(np.asarray(image, np.uint8), BOARD, recipe) for name, image in images.items()
    }
    return {name: view for name, view in found.items() if view.found}


def calibrated(found: dict[str, Detection], flags: int) -> tuple[float, Floats, Floats]:
    """RMS, camera matrix and RMS of each view, by OpenCV."""
    points = [BOARD.points_mm[view.ids].astype(np.float32) for view in found.values()]
    seen = [view.uv.astype(np.float32) for view in found.values()]
    size, none = (640, 480), np.empty(0)
    result = cv2.calibrateCameraExtended(points, seen, size, none, none, flags=flags)
    return result[0], np.asarray(result[1]), np.asarray(result[7]).ravel()


def test_a_wrong_corner_at_half_size_is_noticed(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    (view,) = rendered.views(BOARD, LENS, Look(), 1, rng)
    standard = chessboard._standard

    def wrong(image: Any, shape: tuple[int, int]) -> Any:
        start = standard(image, shape)
        start[20] += (0.0, 6.0 * (image.shape != view.image.shape))
        return start

    monkeypatch.setattr(chessboard, "_standard", wrong)
    found = detect(view.image, BOARD)
    assert found.detector == "full size"
    assert errors(view, found).max() < 0.08


def test_corners_at_half_size_are_placed_right_at_full_size(rng: np.random.Generator) -> None:
    (view,) = rendered.views(BOARD, LENS, Look(noise=0.5), 1, rng)
    first = next(chessboard._candidates(view.image, gate.reduced(view.image, 2), (6, 9)))
    assert first.detector == "half size"
    assert first.moved_px < 0.6  # half a pixel off each way would be 0.7


def test_a_bent_board_is_kept_without_further_search(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chessboard, "_by_sectors", lambda *_: pytest.fail("it was searched"))
    (view,) = rendered.views(BOARD, LENS, Look(noise=0.5), 1, rng, tilt_degrees=(5.0, 20.0))
    rows, columns = (np.indices(view.image.shape)).astype(np.float32)
    wavy = (columns + 4 * np.sin(rows / 25), rows + 4 * np.sin(columns / 30))
    image = np.asarray(cv2.remap(view.image, *wavy, cv2.INTER_LINEAR), np.uint8)
    found = detect(image, BOARD)
    assert found.misfit_px > chessboard.SMOOTH_PX
    assert found.detector in ("half size", "full size")


def test_a_smooth_surface_has_no_misfit(rng: np.random.Generator) -> None:
    places, (x, y) = BOARD.grid, BOARD.grid.T / 9
    homography = np.array([[40.0, 3, 100], [-2, 38, 80], [1e-2, 4e-3, 1]])
    seen = np.hstack([places, np.ones((54, 1))]) @ homography.T
    uv = seen[:, :2] / seen[:, 2:] + np.stack([x**4 - x * y, y**3 + x**2 * y**2], axis=1)
    assert np.abs(departures(uv, places)).max() < 0.02
    uv[17] += 3.0
    off = np.linalg.norm(departures(uv, places), axis=1)
    assert off.argmax() == 17
    assert off[17] > 2
    assert (departures(uv[:4], places[:4]) == 0).all()


def test_grids_are_never_as_in_a_mirror() -> None:
    uv = BOARD.grid * 10
    np.testing.assert_array_equal(right_handed(uv, (6, 9)), uv)
    np.testing.assert_array_equal(right_handed(uv[::-1], (6, 9)), uv[::-1])
    mirrored = right_handed(uv * [-1, 1], (6, 9))
    np.testing.assert_array_equal(mirrored, (uv * [-1, 1]).reshape(6, 9, 2)[:, ::-1].reshape(-1, 2))


def test_the_window_follows_the_smallest_spacing() -> None:
    uv = BOARD.grid * [30, 21]
    assert window_of(uv, (6, 9)) == 6
    assert window_of(uv / 10, (6, 9)) == 2


def test_opencv_uses_one_thread(rng: np.random.Generator) -> None:
    cv2.setNumThreads(2)
    assert detect(np.zeros((10, 4000), np.uint8), BOARD).reason == (
        "an image of 4000x10 pixels is too small"
    )
    assert cv2.getNumThreads() == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"method": "best"}, "best is none of"),
        ({"window": 0}, "--subpix-window 0"),
        ({"eps_px": float("nan")}, "--subpix-eps nan"),
        ({"eps_px": 0.0}, "--subpix-eps 0"),
    ],
)
def test_recipes_that_cannot_be(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Recipe(**options)
