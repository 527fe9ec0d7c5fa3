"""Corners of one band found again in another: rendered images with known corners."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import rendered
from numpy.typing import NDArray

from hsitool.maths.boards.board import Board
from hsitool.maths.boards.corners import same_way_round
from hsitool.maths.boards.follow import edge_score, follow

BOARD = Board(9, 6, 25.0)
LENS = rendered.Lens().scaled(0.5)
IDS = np.arange(BOARD.count)
Frame = NDArray[np.float32]


def view(blur: float = 0.7, noise: float = 2.0, dcx: float = 0.0) -> rendered.Rendered:
    rng = np.random.default_rng(4)
    pose = next(rendered.poses(BOARD, LENS, rng, width_share=(0.6, 0.8)))
    lens = replace(LENS, cx=LENS.cx + dcx)
    return rendered.render(BOARD, lens, pose, rendered.Look(blur, noise), rng)


def frame(seen: rendered.Rendered, contrast: float = 1.0) -> Frame:
    """As a sensor with 16 bits has it; less contrast leaves the noise as it is."""
    return (1000 + 20 * contrast * seen.image.astype(np.float32)).astype(np.float32)


def rms(off: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.sum(off**2, axis=1))))


@pytest.mark.parametrize("dcx", [0.0, 0.4, 3.0])
def test_corners_of_a_shifted_band_are_found_from_those_of_the_reference(dcx: float) -> None:
    found = follow(frame(view(dcx=dcx)), view().uv, BOARD, IDS)
    assert found.reason == ""
    assert rms(found.uv - view(dcx=dcx).uv) < 0.08
    assert found.scatter_px < 0.08


def test_blur_and_contrast_are_told() -> None:
    sharp, soft = (follow(frame(view(b)), view().uv, BOARD, IDS) for b in (0.7, 2.0))
    # The pixels themselves blur by sqrt(1 / 12).
    assert sharp.blur_px == pytest.approx(np.hypot(0.7, 0.29), abs=0.35)
    assert soft.blur_px == pytest.approx(np.hypot(2.0, 0.29), abs=0.35)
    # 175 grey levels in noise of 2, of which the edges in the window hide some.
    assert 0.6 * 175 / 2 < sharp.contrast < 1.1 * 175 / 2
    assert edge_score(frame(view(0.7))) > 1.3 * edge_score(frame(view(2.0)))
    assert edge_score(frame(view(noise=1.0))) > 1.3 * edge_score(frame(view(noise=4.0)))


def test_a_band_without_contrast_is_refused() -> None:
    dull = frame(view(noise=0), 0.01) + np.random.default_rng(1).normal(0, 40, (512, 640))
    found = follow(dull.astype(np.float32), view().uv, BOARD, IDS)
    assert "times its noise, below 5" in found.reason
    assert np.isnan(found.uv).all()
    for nothing in (np.full((512, 640), 7.0), np.full((512, 640), np.nan)):
        found = follow(nothing.astype(np.float32), view().uv, BOARD, IDS)
        assert found.reason == "all its pixels are missing or alike"
        assert edge_score(nothing.astype(np.float32)) == 0


def test_corners_beside_missing_pixels_are_lost_alone() -> None:
    seen = view()
    holed, hole = frame(seen), np.rint(seen.uv[20]).astype(int)
    holed[hole[1], hole[0] - 2] = np.nan
    found = follow(holed, seen.uv, BOARD, IDS)
    lost = np.flatnonzero(np.isnan(found.uv[:, 0]))
    assert lost.tolist() == [20]
    holed[:, : int(np.median(seen.uv[:, 0]))] = np.nan
    assert "missing pixels or beyond the frame" in follow(holed, seen.uv, BOARD, IDS).reason


def test_another_pattern_is_no_board() -> None:
    rng = np.random.default_rng(3)
    other = rng.normal(0, 1, (32, 40)).repeat(16, axis=0).repeat(16, axis=1).astype(np.float32)
    found = follow(other, view().uv, BOARD, IDS)
    assert "moved more than" in found.reason or "scatter by" in found.reason


def test_corners_where_they_were_are_not_taken_for_lost() -> None:
    first = follow(frame(view()), view().uv, BOARD, IDS)
    again = follow(frame(view()), first.uv, BOARD, IDS)
    assert np.isfinite(again.uv).all()
    np.testing.assert_allclose(again.uv, first.uv, atol=2e-3)


@pytest.mark.parametrize(("shape", "turns"), [((6, 9), (0, 2)), ((5, 5), (0, 1, 2, 3))])
def test_grids_are_counted_from_the_same_corner(
    shape: tuple[int, int], turns: tuple[int, ...]
) -> None:
    down, along = np.mgrid[: shape[0], : shape[1]].astype(float)
    grid = np.stack([20 * along + 2 * down, 21 * down - along], axis=-1)
    grids = np.array([np.rot90(grid, turn).reshape(-1, 2) + 30 * turn for turn in turns])
    found = same_way_round(grids, shape)
    for turn, uv in zip(turns, found, strict=True):
        np.testing.assert_array_equal(uv - 30 * turn, grids[0])
