"""Printed boards: real sizes, read back from the files by other means; and what detectors see."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from command import done, run
from numpy.typing import NDArray
from PIL import Image

from hsitool.maths.boards.board import Board
from hsitool.maths.boards.detection import detect

Floats = NDArray[np.float64]
PDF_MM = 25.4 / 72


def drawn(tmp_path: Path, *words: object, name: str = "board.png") -> Path:
    path = tmp_path / name
    assert done("camera", "board", "-o", path, *words).out == f"{path}\n"
    return path


def grey(path: Path) -> tuple[Any, float]:
    """The picture, and mm per pixel as the file itself says."""
    with Image.open(path) as picture:
        dpi = picture.info["dpi"]
    assert dpi[0] == dpi[1]
    return cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), 25.4 / dpi[0]


def apart_mm(uv: Floats, mm: float) -> Floats:
    """Places in mm from the first point; no turn and no shear is taken off."""
    return (uv - uv[0]) * mm


def test_a_chessboard_is_as_large_as_it_says(tmp_path: Path) -> None:
    """By OpenCV's own detectors, at the file's own resolution; the first corner is at the left."""
    path = drawn(tmp_path, "--board", "9x6", "--square", "25mm", "--dpi", "200")
    image, mm = grey(path)
    found, uv = cv2.findChessboardCorners(image, (9, 6), None)
    assert found
    y, x = np.mgrid[:6, :9] * 25.0
    drawn_mm = np.column_stack([x.ravel(), y.ravel()])
    assert np.abs(apart_mm(np.reshape(uv, (-1, 2)).astype(float), mm) - drawn_mm).max() < 0.2
    found, uv = cv2.findChessboardCornersSB(image, (9, 6), None)
    assert found
    seen = np.reshape(uv, (-1, 2)).astype(float)[::-1]  # it counts from the opposite corner
    np.testing.assert_allclose(apart_mm(seen, mm), drawn_mm, atol=0.015)
    assert image.shape == pytest.approx((210 / mm, 297 / mm), abs=1)


@pytest.mark.parametrize(
    ("words", "board"),
    [
        (("--board", "9x6"), Board(9, 6, 25)),
        (("--board", "7x10", "--square", "15mm"), Board(7, 10, 15)),
        (("--target", "charuco"), Board(9, 6, 25, "charuco", 18)),
        (
            (*("--target", "charuco", "--dict", "DICT_4X4_50", "--board", "6x5"),
             *("--square", "30mm", "--marker", "22.5mm")),
            Board(6, 5, 30, "charuco", 22.5, "DICT_4X4_50"),
        ),
        (
            (*("--target", "charuco", "--dict", "DICT_APRILTAG_36h11", "--square", "20mm"),
             *("--marker", "15mm", "--board", "7x7")),
            Board(7, 7, 20, "charuco", 15, "DICT_APRILTAG_36h11"),
        ),
        (("--target", "circles", "--board", "7x5", "--square", "30mm"), Board(7, 5, 30, "circles")),
        (("--target", "acircles", "--board", "4x11"), Board(4, 11, 20, "acircles")),
    ],
    ids=["chess", "tall", "charuco", "4x4", "apriltag", "circles", "acircles"],
)  # fmt: skip
def test_what_hsitool_calib_detects(words: tuple[str, ...], board: Board, tmp_path: Path) -> None:
    """Every point, in order, at its place to 0.03 mm, a sixth of a pixel."""
    image, mm = grey(drawn(tmp_path, *words, "--dpi", "150"))
    found = detect(cv2.GaussianBlur(image, (0, 0), 1.0), board)  # as a lens does
    assert found.found, found.reason
    assert list(found.ids) == list(range(board.count))
    seen = apart_mm(found.uv, mm)
    wrong = np.abs(seen - (board.points_mm - board.points_mm[0])[:, :2]).max()
    print(f"{board}: {wrong:.4f} mm")
    assert wrong < 0.03


def test_charuco_boards_are_opencvs(tmp_path: Path) -> None:
    """The picture is that of `CharucoBoard.generateImage`, but for grey edges of pixels."""
    words = ("--target", "charuco", "--square", "25.4mm", "--marker", "18.1428571428571mm")
    image, _ = grey(drawn(tmp_path, *words, "--page", "A3", "--dpi", "140"))
    markers = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_5X5_1000)
    pattern = cv2.aruco.CharucoBoard((10, 7), 25.4, 18.142857, markers)
    expected = pattern.generateImage((1400, 980))
    best = cv2.matchTemplate(image, expected, cv2.TM_SQDIFF_NORMED)
    _, _, (left, top), _ = cv2.minMaxLoc(best)
    part = image[top : top + 980, left : left + 1400].astype(float)
    differs = np.abs(part - expected) > 128
    print(f"{differs.mean():.5f} of the pixels differ")
    assert differs.mean() < 0.02
    assert not cv2.erode(differs.astype(np.uint8), np.ones((3, 3))).any()


def page_and_content(path: Path) -> tuple[list[float], str]:
    """A PDF's page in points and its drawing, by a plain look at the file."""
    data = path.read_bytes()
    box = re.search(rb"/MediaBox \[([^\]]+)\]", data)
    assert box
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL)
    texts = []
    for stream in streams:
        try:
            texts.append(zlib.decompress(stream).decode("latin-1"))
        except zlib.error:
            continue
    return [float(word) for word in box[1].split()], max(texts, key=len)


def test_the_pdf_is_at_true_size(tmp_path: Path) -> None:
    """Page and squares, in points: 1/72 inch; both rulers end to end."""
    path = drawn(tmp_path, "--board", "9x6", "--square", "25mm", name="board.pdf")
    page, content = page_and_content(path)
    assert np.array(page) * PDF_MM == pytest.approx([0, 0, 297, 210], abs=1e-4)
    number = r"(-?[\d.]+)"
    path_of_box = rf"{number} {number} m\n" + rf"{number} {number} l\n" * 3 + "h"
    boxes = np.array(re.findall(path_of_box, content), float).reshape(-1, 4, 2) * PDF_MM
    sizes = np.ptp(boxes, axis=1)
    squares = boxes[np.abs(sizes - 25).max(axis=1) < 1e-4]
    assert len(squares) == 35
    assert np.ptp(squares.reshape(-1, 2), axis=0) == pytest.approx([250, 175], abs=1e-4)
    lines = np.array(re.findall(rf"{number} {number} m\n{number} {number} l\n\s*S", content), float)
    ends = lines.reshape(-1, 2, 2) * PDF_MM
    spans = np.abs(np.diff(ends, axis=1)[:, 0])
    assert spans.max(axis=0) == pytest.approx([250, 170], abs=1e-4)
    assert len(lines) == 2 + 251 + 171
    left_top = squares[..., 0].min(), squares[..., 1].max()  # where both rulers begin
    across, down = ends[spans[:, 0].argmax()], ends[spans[:, 1].argmax()]
    assert (across[:, 0].min(), down[:, 1].max()) == pytest.approx(left_top, abs=1e-4)


def test_the_svg_is_at_true_size(tmp_path: Path) -> None:
    path = drawn(tmp_path, "--board", "5x4", "--square", "20mm", name="board.svg")
    root = ElementTree.parse(path).getroot()
    view = [float(word) for word in root.attrib["viewBox"].split()]
    size = [float(root.attrib[key].removesuffix("pt")) for key in ("width", "height")]
    assert size == view[2:] == pytest.approx([210 / PDF_MM, 297 / PDF_MM], abs=1e-4)
    (board,) = [item for item in root.iter() if item.attrib.get("id") == "board"]
    outline = board[0].attrib["d"]
    numbers = np.array(re.findall(r"-?[\d.]+", outline), float).reshape(-1, 2) * PDF_MM
    assert outline.count("z") == 15
    assert np.ptp(numbers, axis=0) == pytest.approx([120, 100], abs=1e-3)


def test_the_caption_says_how_to_calibrate(tmp_path: Path) -> None:
    """The command in it detects the very sheet."""
    from hsitool.tasks.camera_board import BoardSettings, sheet_of

    sheet = sheet_of(BoardSettings(target="charuco"))
    assert sheet.caption[2] == (
        "hsitool calib photos/ --board 9x6 --square 25mm --target charuco --dict DICT_5X5_1000 "
        "--marker 18mm"
    )
    assert "250 mm and 170 mm" in sheet.caption[1]
    assert "9x6 inner corners" in sheet.caption[0]


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ((), (297, 210)),
        (("--board", "6x9"), (210, 297)),
        (("--square", "40mm"), (594, 420)),
        (("--page", "letter", "--board", "8x6"), (279.4, 215.9)),
        (("--page", "300x400mm"), (400, 300)),
        (("--page", "30x40cm", "--square", "20mm", "--board", "6x9"), (300, 400)),
    ],
)
def test_pages_are_chosen_and_turned(
    words: tuple[str, ...], page: tuple[float, float], tmp_path: Path
) -> None:
    path = drawn(tmp_path, *words, name="board.pdf")
    size, _ = page_and_content(path)
    assert np.array(size[2:]) * PDF_MM == pytest.approx(page, abs=1e-3)


def test_the_same_sheet_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.pdf", "a.svg", "a.png"):
        first = drawn(tmp_path, "--dpi", "60", name=name).read_bytes()
        again = drawn(tmp_path, "--dpi", "60", "--overwrite", name=name).read_bytes()
        assert first == again


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--square", "-25mm"), "--square '-25mm' is not a length"),
        (("--square", "100mm", "--page", "A4"), "needs a page of 1053 x 762 mm with its rulers"),
        (("--square", "30mm", "--page", "A4"), "more than page A4: choose --page A3"),
        (("--square", "500mm"), "more than A0 or smaller: choose smaller squares"),
        (("--board", "200x40", "--page", "A5"), "a 200x40 board of 2 mm needs a page"),
        (("--board", "9"), "is not COLUMNSxROWS"),
        (("--board", "2x6"), "too small"),
        (("--page", "B4"), "--page 'B4' is none of A5, A4"),
        (("--page", "3x4mm"), "give sides of 50 to 5000 mm"),
        (("--margin", "300mm"), "give 0 to 200 mm"),
        (("--marker", "18mm"), "--marker belongs to --target charuco"),
        (("--target", "charuco", "--square", "20mm", "--marker", "20mm"), "does not fit"),
        (("--target", "charuco", "--dict", "DICT_9"), "--dict DICT_9 is none of"),
        (("--target", "charuco", "--dict", "DICT_4X4_50", "--board", "15x12"), "50 markers"),
        (("--dpi", "5"), "give 10 to 2400"),
        (("--dpi", "2400", "--page", "A0", "-o", "big.png"), "million pixels"),
        (("-o", "board.jpg"), "name it .png, .svg or .pdf"),
    ],
)  # fmt: skip
def test_nonsense_is_refused(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    answer = run("camera", "board", "-o", tmp_path / "board.pdf", *words)
    assert answer.code == 2
    assert said in answer.err
    assert answer.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_existing_files_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "board.svg"
    path.write_text("mine")
    answer = run("camera", "board", "-o", path)
    assert answer.code == 2
    assert path.read_text() == "mine"


def test_boards_that_look_the_same_turned_are_warned_of(tmp_path: Path) -> None:
    answer = done("camera", "board", "-o", tmp_path / "a.svg", "--board", "7x7")
    assert "warning: a 7x7 chess board looks the same turned by 90 degrees" in answer.err
    assert "as 7x6" in answer.err
    most = ("--board", "100x100")  # points that a board may have
    assert "as 100x99" in done("camera", "board", "-o", tmp_path / "c.svg", *most).err
    least = ("--board", "3x3")
    assert "as 3x4" in done("camera", "board", "-o", tmp_path / "d.svg", *least).err
    answer = done("camera", "board", "-o", tmp_path / "b.svg", "--board", "7x7", "--target",
                  "charuco", "-q")  # fmt: skip
    assert answer.err == ""
