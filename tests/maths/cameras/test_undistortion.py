"""New cameras and where their pixels come from, against OpenCV's own projection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from hsitool.camera import BandShift, CameraInfo
from hsitool.errors import DataError, UsageError
from hsitool.maths.cameras.undistortion import (
    Framing,
    Undistortion,
    border_pixels,
    framed,
    in_image,
    undistortion,
)

WIDTH, HEIGHT = 160, 120
LENS = {"k1": -0.25, "k2": 0.08, "p1": 0.002, "p2": -0.001}
CAMERA = CameraInfo("pinhole", 150.0, 150.0, 82.3, 57.1, LENS, (WIDTH, HEIGHT), name="nir")
FISHEYE = CameraInfo("fisheye", 90.0, 90.0, 80.2, 60.7, {"k1": -0.02, "k2": 0.003}, (WIDTH, HEIGHT))


def matrix(camera: CameraInfo) -> Any:
    return np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1.0]])


def projected(camera: CameraInfo, plane: Any) -> Any:
    """(n, 2) px by OpenCV of points (n, 2) on the plane at distance 1."""
    points = np.column_stack([plane, np.ones(len(plane))])[:, None]
    names = ("k1", "k2", "p1", "p2") if camera.lens == "pinhole" else ("k1", "k2", "k3", "k4")
    lens = np.array([camera.coefficient(name) for name in names])
    project = cv2.projectPoints if camera.lens == "pinhole" else cv2.fisheye.projectPoints
    zero = np.zeros(3)
    if camera.lens == "pinhole":
        return project(points, zero, zero, matrix(camera), lens)[0].reshape(-1, 2)
    return project(points, zero[:, None], zero[:, None], matrix(camera), lens)[0].reshape(-1, 2)


def all_places(task: Undistortion) -> Any:
    """(rows * columns, 2) px in the image taken."""
    return np.column_stack(in_image(task.places(np.arange(HEIGHT), np.arange(WIDTH)), task.took))


@pytest.mark.parametrize("camera", [CAMERA, FISHEYE], ids=["pinhole", "fisheye"])
@pytest.mark.parametrize("like", ["K", "fit"])
def test_places_are_those_of_opencv(camera: CameraInfo, like: Any) -> None:
    task = undistortion(camera, like)
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    pixels = np.column_stack([columns.ravel(), rows.ravel()])
    plane = (pixels - [task.made.cx, task.made.cy]) / [task.made.fx, task.made.fy]
    assert np.abs(all_places(task) - projected(camera, plane)).max() < 2**-17 + 1e-9


def test_without_distortion_every_pixel_is_itself() -> None:
    task = undistortion(replace(CAMERA, distortion={}), "K")
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    assert np.array_equal(all_places(task), np.column_stack([columns.ravel(), rows.ravel()]))


def test_the_new_camera_is_the_old_one_without_its_lens() -> None:
    made = undistortion(CAMERA, "K").made
    assert made == replace(CAMERA, distortion={})


@pytest.mark.parametrize("like", ["fit", "full"])
@pytest.mark.parametrize("camera", [CAMERA, FISHEYE], ids=["pinhole", "fisheye"])
def test_square_pixels_stay_square(camera: CameraInfo, like: Any) -> None:
    made = undistortion(camera, like).made
    assert made.fx == made.fy != camera.fx
    assert (made.cx, made.cy) == (camera.cx, camera.cy)
    wide = undistortion(replace(camera, fx=camera.fx * 1.25), like).made
    assert wide.fx / wide.fy == pytest.approx(1.25, rel=1e-14)


@pytest.mark.parametrize("margin", [0.0, 1.0, -0.5])
@pytest.mark.parametrize("lens", [LENS, {"k1": 0.2}], ids=["barrel", "pincushion"])
def test_fit_has_no_missing_edge_and_no_room_left(lens: Any, margin: float) -> None:
    task = undistortion(replace(CAMERA, distortion=lens), "fit", margin)
    places = all_places(task)
    low, high = places.min(axis=0), places.max(axis=0)
    room = np.array([*(low - margin), *([WIDTH - 1, HEIGHT - 1] - high - margin)])
    assert (room >= 0).all()
    assert room.min() < 1e-3


@pytest.mark.parametrize("camera", [CAMERA, FISHEYE], ids=["pinhole", "fisheye"])
def test_full_keeps_every_pixel_and_one_reaches_the_edge(camera: CameraInfo) -> None:
    task = undistortion(camera, "full")
    moved = task.moved(border_pixels((WIDTH, HEIGHT)))
    room = np.concatenate([moved.min(axis=0), [WIDTH - 1, HEIGHT - 1] - moved.max(axis=0)])
    assert (room > -1e-6).all()
    assert room.min() < 1e-6


def test_moved_is_the_inverse_of_the_places() -> None:
    task = undistortion(CAMERA, "fit")
    pixels = np.array([[3.0, 5.0], [80.0, 60.0], [150.0, 110.0]])
    plane = (pixels - [task.made.cx, task.made.cy]) / [task.made.fx, task.made.fy]
    assert np.abs(task.moved(projected(CAMERA, plane)) - pixels).max() < 1e-9


def test_a_lens_that_folds_in_the_frame_is_refused() -> None:
    bent = replace(CAMERA, distortion={"k1": -1.5})
    radius = 150 * (2 / 3) * np.sqrt(1 / 4.5)  # where 1 + 3 k1 r^2 = 0
    with pytest.raises(DataError, match=f"folds the image over {radius:.0f} px from the principal"):
        undistortion(bent, "K")


def test_beyond_a_fold_outside_of_the_frame_there_is_nothing() -> None:
    """The fold is seen at 0.735 f, the corners lie within 0.687 f; the new corners are beyond."""
    task = undistortion(replace(CAMERA, distortion={"k1": 2.0, "k2": -4.0}), "K")
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    radius = np.hypot(columns - 82.3, rows - 57.1).ravel() / 150
    fold = np.sqrt((6 + np.sqrt(116)) / 40)  # where 1 + 3 k1 r^2 + 5 k2 r^4 = 0
    beyond = np.isnan(all_places(task)[:, 0])
    assert beyond.any()
    assert not beyond[radius < fold - 1e-3].any()
    assert beyond[radius > fold + 1e-3].all()


def test_full_of_a_lens_that_sees_sideways_is_refused() -> None:
    wide = replace(FISHEYE, fx=50.0, fy=50.0, distortion={})
    with pytest.raises(UsageError, match="90 degrees or more from the axis"):
        undistortion(wide, "full")


@pytest.mark.parametrize(
    ("like", "said"), [("fit", "no part of the image"), ("full", "inside the frame")]
)
def test_a_principal_point_outside_is_refused(like: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        undistortion(replace(CAMERA, cx=-400.0, distortion={"k1": -0.001}), like)


def test_framing_follows_opencv_s_resizing_of_coordinates() -> None:
    """Images whose values are their coordinates, cropped, then halved by averages."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    part = np.stack([x, y])[:, 20:100, 10:130]
    halved = [cv2.resize(plane, (60, 40), interpolation=cv2.INTER_AREA) for plane in part]
    for framing in (Framing((10, 20, 120, 80), 2), Framing((10, 20, 120, 80), 1, 0.5)):
        made = framed(CAMERA, framing, (60, 40))
        at = np.array([(halved[0] - CAMERA.cx) / CAMERA.fx, (halved[1] - CAMERA.cy) / CAMERA.fy])
        row, column = np.mgrid[0:40, 0:60]
        assert np.abs(at[0] - (column - made.cx) / made.fx).max() < 1e-12
        assert np.abs(at[1] - (row - made.cy) / made.fy).max() < 1e-12
        assert made.image_size == (60, 40)


@pytest.mark.parametrize(
    ("framing", "size", "said"),
    [
        (Framing(), (80, 60), "was calibrated for 160 x 120 px.*--crop.*--bin N or --scale S"),
        (Framing(bin=2), (40, 30), "gives, framed so, 80 x 60"),
        (Framing((100, 0, 80, 60)), (80, 60), "leaves the calibrated frame of 160 x 120"),
    ],
)
def test_other_sizes_are_refused(framing: Framing, size: tuple[int, int], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        framed(CAMERA, framing, size)


def test_a_band_is_shifted_as_the_table_says() -> None:
    shift = BandShift(0, None, 1e-3, 2e-3, 0.5, -0.25, 0.01)
    task = undistortion(CAMERA, "K")
    places = task.places(np.arange(HEIGHT), np.arange(WIDTH))
    column, row = in_image(places, CAMERA, shift)
    square = places.x**2 + places.y**2
    expected = places.column + 1e-3 * (places.column - 82.3) + 0.5 + 150 * places.x * square * 0.01
    assert np.abs(column - expected).max() < 2**-16
    expected = places.row + 2e-3 * (places.row - 57.1) - 0.25 + 150 * places.y * square * 0.01
    assert np.abs(row - expected).max() < 2**-16
