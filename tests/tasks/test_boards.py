"""Images in, boards out: each image is accounted for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rendered
from numpy.typing import NDArray
from rendered import Lens, Look, Rendered

from hsitool.errors import DataError, HsitoolWarning
from hsitool.maths.boards.board import Board
from hsitool.maths.boards.detection import Recipe
from hsitool.storage.corners import CornerView, read_corners, write_corners
from hsitool.tasks.boards import checked_against, find_boards
from hsitool.tasks.calib import EQUAL, CalibSettings, calibrate_corners
from hsitool.tasks.calib_inputs import Source, read_source

BOARD = Board(9, 6, 25.0)
SMALL = Lens(640, 512, 800, 800, 325, 250)


@pytest.fixture(scope="module")
def shown() -> list[Rendered]:
    return rendered.views(BOARD, SMALL, Look(), 3, np.random.default_rng(5))


@pytest.fixture
def folder(shown: list[Rendered], tmp_path: Path) -> Path:
    """Images of all kinds: three boards, and one without."""
    write(tmp_path / "a2.png", shown[0].image)
    write(tmp_path / "a10.tif", shown[1].image.astype(np.uint16) * 100)
    colour = np.repeat(shown[2].image[..., None], 3, axis=-1)
    write(tmp_path / "b.png", colour)
    write(tmp_path / "c.png", np.full((512, 640), 90, np.uint8))
    return tmp_path


def write(path: Path, samples: NDArray[np.generic]) -> None:
    assert cv2.imwrite(str(path), samples)


@pytest.mark.parametrize("processes", [False, True])
def test_each_image_is_accounted_for(processes: bool, folder: Path, shown: list[Rendered]) -> None:
    (folder / "d.png").write_bytes(b"\x89PNG")
    steps: list[tuple[int, int]] = []
    found = find_boards(
        [folder],
        BOARD,
        workers=2,
        processes=processes,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert found.size == (640, 512)
    assert steps == [(n, 5) for n in range(1, 6)]
    assert [(view.name, view.status) for view in found.views] == [
        ("a2.png", "found"),
        ("a10.tif", "found"),
        ("b.png", "found"),
        ("c.png", "not found"),
        ("d.png", "unreadable"),
    ]
    assert str(found.others[0]) == "c.png: not found: no chessboard of 9x6 inner corners"
    for view, true in zip(found.found, shown, strict=True):
        off = min(np.abs(view.uv - uv).max() for uv in (true.uv, true.uv[::-1]))
        assert off < 0.15


def test_detections_can_be_kept(folder: Path, tmp_path: Path) -> None:
    found = find_boards([folder], BOARD)
    write_corners(tmp_path / "corners.csv", found.corner_views())
    back = read_corners(tmp_path / "corners.csv")
    checked_against(back, BOARD)
    for view, kept in zip(found.found, back, strict=True):
        assert (kept.name, kept.size) == (view.name, (640, 512))
        np.testing.assert_array_equal(kept.uv, view.uv)
    with pytest.raises(DataError, match="point 53 is not on a 9x5 board"):
        checked_against(back, Board(9, 5))


def test_lists_with_places_of_their_own_need_no_board() -> None:
    ids, flat = np.array([900]), np.zeros((1, 2))
    checked_against([CornerView("a", (64, 48), ids, flat, np.zeros((1, 3)))], BOARD)


def test_other_sizes_are_refused_or_left_out(folder: Path, shown: list[Rendered]) -> None:
    write(folder / "z.png", shown[0].image[:-1])
    with pytest.raises(DataError, match=r"1 image of another size than 640x512: z.png \(640x511\)"):
        find_boards([folder], BOARD)
    found = find_boards([folder], BOARD, resize_ok=True)
    last = found.views[-1]
    assert (last.name, last.status, last.size) == ("z.png", "wrong size", (640, 511))
    assert last.reason == "shows the board, but has 640x511 pixels, not 640x512"
    assert len(found.found) == 3


def test_a_folder_in_which_nothing_can_be_read(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError, match=r"a.png: is empty \(and 1 more\)"):
        find_boards([tmp_path], BOARD)
    with pytest.raises(DataError, match="no images: name some"):
        find_boards([], BOARD)


def test_images_of_which_none_can_be_read_say_nothing_of_the_board(
    shown: list[Rendered], tmp_path: Path
) -> None:
    write(tmp_path / "cut.jpg", shown[0].image)
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:3000])
    with pytest.raises(DataError, match=r"end of the file is missing\): none can be read$"):
        find_boards([tmp_path], BOARD).require_found()


def test_the_wrong_board_is_said(folder: Path) -> None:
    found = find_boards([folder], Board(10, 7, 25.0))
    with pytest.raises(DataError, match=r"no 10x7 chess board found in 4 images .*inner corners"):
        found.require_found()
    find_boards([folder], BOARD).require_found()


def test_names_of_two_folders(folder: Path, shown: list[Rendered], tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    write(other / "b.png", shown[0].image)
    found = find_boards([folder / "b.png", other / "b.png", folder / "a2.png"], BOARD)
    assert [view.name for view in found.views] == [
        str(folder / "b.png"),
        str(other / "b.png"),
        "a2.png",
    ]


def test_images_turned_by_exif_are_said(shown: list[Rendered], tmp_path: Path) -> None:
    for name, orientation in (("a.jpg", 1), ("b.jpg", 3)):
        turned(tmp_path / name, shown[0].image, orientation)
    with pytest.warns(HsitoolWarning, match="1 by 1, 1 by 3"):
        found = find_boards([tmp_path], BOARD)
    assert [view.turned for view in found.views] == [False, True]
    first, second = (view.uv for view in found.found)
    opposite = np.array([639, 511]) - second
    assert min(np.abs(first - uv).max() for uv in (opposite, opposite[::-1])) < 0.2
    with pytest.warns(HsitoolWarning, match="orientation 3 was applied"):
        find_boards([tmp_path / "b.jpg"], BOARD)
    turned(tmp_path / "c.jpg", shown[0].image, 6)
    with pytest.raises(DataError, match=r"c.jpg \(512x640, turned by EXIF\)"):
        find_boards([tmp_path], BOARD)


def test_images_turned_by_90_degrees_swap_the_sensors_axes(
    shown: list[Rendered], tmp_path: Path
) -> None:
    for number, view in enumerate(shown):
        turned(tmp_path / f"{number}.jpg", view.image, 6)
    said: list[str] = []
    with pytest.warns(HsitoolWarning, match="orientation 6 was applied"):
        found = read_source(Source((tmp_path,), BOARD), tell=said.append)
    assert (found.size, found.axes_swapped) == ((512, 640), True)
    assert "EXIF turns the images by 90 degrees" in said[-1]
    pitch = CalibSettings(pitch_mm=(0.003, 0.004)).sensor(found.size, found.axes_swapped)
    area = CalibSettings(sensor_mm=(6.4, 2.56)).sensor(found.size, found.axes_swapped)
    assert pitch.pitch_mm == (0.004, 0.003)
    assert area.pitch_mm == pytest.approx((0.005, 0.01))


def test_some_turned_by_90_degrees_and_others_not(shown: list[Rendered], tmp_path: Path) -> None:
    for name, orientation in (("a.jpg", 1), ("b.jpg", 6)):
        square = cv2.copyMakeBorder(shown[0].image, 0, 128, 0, 0, cv2.BORDER_CONSTANT, value=90)
        turned(tmp_path / name, np.asarray(square, np.uint8), orientation)
    with pytest.warns(HsitoolWarning, match="turned differently"):
        found = read_source(Source((tmp_path,), BOARD))
    assert found.axes_swapped is None
    assert CalibSettings(pitch_mm=(0.003, 0.003)).sensor(found.size, None).pitch_mm == (0.003,) * 2
    with pytest.raises(DataError, match="by 90 degrees and others not"):
        CalibSettings(pitch_mm=(0.003, 0.004)).sensor(found.size, None)


@pytest.mark.parametrize(
    ("board", "focal_px"),
    [
        (Board(8, 5, 25.0, "charuco", 18.0), 3.0),
        (Board(9, 6, 25.0, "circles"), 0.8),
        (Board(4, 9, 12.5, "acircles"), 0.8),
    ],
)
def test_other_targets_give_the_camera(board: Board, focal_px: float, tmp_path: Path) -> None:
    spread: dict[str, Any] = {"roll": "half", "tilt_degrees": (5.0, 35.0)}
    views = rendered.views(board, SMALL, Look(noise=1.5), 8, np.random.default_rng(4), **spread)
    for number, view in enumerate(views):
        write(tmp_path / f"{number}.png", view.image)
    run = calibrate_corners(read_source(Source((tmp_path,), board, 25.0)))
    assert len(run.calibration.views) == 8
    assert run.calibration.verdict.key in EQUAL
    assert run.calibration.focal.fx_px == pytest.approx(800, abs=focal_px)


def turned(path: Path, image: NDArray[np.uint8], orientation: int) -> None:
    """A JPEG with an EXIF orientation."""
    write(path, image)
    content = path.read_bytes()
    tag = b"\x12\x01\x03\x00\x01\x00\x00\x00" + bytes([orientation, 0, 0, 0])
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + tag
    head = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big")
    path.write_bytes(content[:2] + head + exif + content[2:])


def test_udacitys_photographs(shared_data: Path) -> None:
    folder = shared_data / "udacity_camera_cal"
    with pytest.raises(
        DataError, match=r"2 images .* calibration7.jpg \(1281x721\), calibration15"
    ):
        find_boards([folder], BOARD)
    found = find_boards([folder], BOARD, resize_ok=True)
    assert [view.name for view in found.views[:3]] == [f"calibration{n}.jpg" for n in (1, 2, 3)]
    assert {v.name for v in found.others if v.status == "not found"} <= {
        f"calibration{n}.jpg" for n in (1, 4, 5)
    }
    assert sum(view.detection.found for view in found.views) >= 17
    assert [v.name for v in found.others if v.status == "wrong size"] == [
        "calibration7.jpg",
        "calibration15.jpg",
    ]
    classic = find_boards([folder], BOARD, Recipe("classic"), resize_ok=True)
    assert sum(view.detection.found for view in classic.views) == 17


def test_the_left_set(shared_data: Path) -> None:
    found = find_boards([shared_data / "opencv_samples"], BOARD)
    assert len(found.found) == len(found.views) == 13
