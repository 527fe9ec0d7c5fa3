"""`hsitool calib` from the outside: answers, files, the report, gates and refusals."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import rendered
from command import done, run

from hsitool.maths.boards.board import Board

DONE, NO, WRONG_USE, BAD_DATA = 0, 1, 2, 3
DATA = Path(__file__).resolve().parents[2] / "data" / "corners.csv"
SAMPLE: tuple[object, ...] = ("--corners", DATA, "--board", "9x6", "--square", "25mm")
BOARD: tuple[object, ...] = ("--board", "9x6", "--square", "25mm")
LENS = rendered.Lens().scaled(0.5)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six rendered images: grey, colour, 16 bits; one with HTML and mathtext in its name."""
    folder = tmp_path_factory.mktemp("photos")
    shown = rendered.views(
        Board(9, 6, 25.0), LENS, rendered.Look(), 6, np.random.default_rng(3), roll="half"
    )
    images: list[Any] = [view.image for view in shown]
    images[1] = cv2.cvtColor(images[1], cv2.COLOR_GRAY2BGR)
    images[2] = images[2].astype(np.uint16) * 200
    names = ["grey.png", "colour.png", "deep.png", "<b>$x_1$ & co.png", "4.tif", "5.jpg"]
    for name, image in zip(names, images, strict=True):
        assert cv2.imwrite(str(folder / name), image)
    return folder


def error_of(*arguments: object) -> tuple[int, str]:
    """The exit code and the one line of a refusal."""
    answer = run("calib", *arguments)
    assert answer.out == ""
    lines = [line for line in answer.err.splitlines() if line.startswith("hsitool: error: ")]
    assert len(lines) == 1, answer.err
    return answer.code, lines[0]


def test_the_verdict_comes_first_then_a_table() -> None:
    answer = done("calib", *SAMPLE, "--pitch", "5.3um")
    first, blank, *table = answer.out.splitlines()
    assert first.startswith("fx and fy are equal within 0.1 %: ")
    assert blank == ""
    assert any(
        re.match(r"f +\d+\.\d+ \+- \d+\.\d+ px = 8\.\d+ \+- 0\.\d+ mm", row) for row in table
    )
    assert sum(row.startswith("view0") or row.startswith("view1") for row in table) == 12
    assert "hsitool: calibrated in" in answer.err


def test_quiet_leaves_the_answer_alone() -> None:
    answer = done("calib", *SAMPLE, "-q")
    assert answer.err == ""
    assert answer.out == done("calib", *SAMPLE).out


def test_json_is_one_object_with_the_keys_of_the_readme() -> None:
    found = done("calib", *SAMPLE, "--json").json()
    readme = (DATA.parents[1] / "README.md").read_text("utf-8")
    section = readme.partition("### calib")[2].partition("\n### ")[0]
    told = set(re.findall(r"`(\w+)`", section))
    assert set(found) <= told
    assert found["verdict"]["key"] == "equal"
    assert found["image_size"] == [1280, 1024]


def test_images_of_all_kinds_are_found_and_named(photos: Path) -> None:
    answer = done("calib", photos, *BOARD, "--tol", "1%")
    for path in photos.iterdir():
        assert f"hsitool: {path.name}: found" in answer.err
    assert "views" in answer.out


def test_corners_are_kept_and_serve_again(photos: Path, tmp_path: Path) -> None:
    for name in ("kept.csv", "kept.json"):
        first = done("calib", photos, *BOARD, "--corners", tmp_path / name, "-q").out
        assert done("calib", tmp_path / name, *BOARD, "-q").out == first
        assert done("calib", "--corners", tmp_path / name, *BOARD, "-q").out == first
        code, line = error_of(photos, *BOARD, "--corners", tmp_path / name)
        assert code == WRONG_USE
        assert "exists: choose another name or add --overwrite" in line


def test_opencv_reads_the_camera_that_was_written(tmp_path: Path) -> None:
    path = tmp_path / "camera.yaml"
    answer = done("calib", *SAMPLE, "--pitch", "5.3um", "-o", path, "--json")
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
    found = answer.json()
    assert storage.getNode("camera_matrix").mat().tolist() == found["camera_matrix"]
    lens = storage.getNode("distortion_coefficients").mat().ravel()
    assert lens.tolist() == [*found["distortion"], 0.0]
    assert storage.getNode("avg_reprojection_error").real() == found["rms_px"]
    assert "has no place for" in answer.err


def test_the_json_camera_is_the_json_answer(tmp_path: Path) -> None:
    path = tmp_path / "camera.json"
    answer = done("calib", *SAMPLE, "-o", path, "--json")
    assert json.loads(path.read_text("utf-8")) == answer.json()
    one = tmp_path / "one.json"
    done("calib", *SAMPLE, "-o", one, "--single-f")
    matrix = json.loads(one.read_text("utf-8"))["camera_matrix"]
    assert matrix[0][0] == matrix[1][1]


def test_the_same_corners_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        done(
            "calib", *SAMPLE, "-o", tmp_path / f"{name}.json", "--report", tmp_path / f"{name}.html"
        )
    for ending in ("json", "html"):
        assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()


def test_the_report_is_one_page_with_all_plots(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    done("calib", *SAMPLE, "--pitch", "5.3um", "--report", page)
    text = page.read_text("utf-8")
    tree = ElementTree.fromstring(text)
    assert [node.get("id") for node in tree.iter("h2") if node.get("id")] == [
        "focal",
        "views",
        "vectors",
        "radius",
        "coverage",
        "turns",
        "uncertainty",
        "board",
    ]
    images = [str(node.get("src")) for node in tree.iter("img")]
    assert len(images) == 8
    assert all(src.startswith("data:image/svg+xml;base64,") for src in images)
    assert all(node.get("alt") for node in tree.iter("img"))
    assert not re.search(r"https?:|<script|<link|@import|url\(", text)
    assert "fx and fy are equal within 0.1 %" in text


def test_names_in_the_report_are_text(photos: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    done("calib", photos, *BOARD, "--report", page)
    text = page.read_text("utf-8")
    assert "&lt;b&gt;$x_1$ &amp; co.png" in text
    assert "<b>" not in text
    ElementTree.fromstring(text)


def test_names_in_lists_cannot_command_a_terminal(tmp_path: Path) -> None:
    odd = DATA.read_text("utf-8").replace("view03", "\x1b[31m\x07odd")
    (tmp_path / "odd.csv").write_text(odd, "utf-8")
    page = tmp_path / "report.html"
    answer = done("calib", tmp_path / "odd.csv", *BOARD, "--report", page)
    assert not {"\x1b", "\x07"} & set(answer.out + answer.err + page.read_text("utf-8"))
    assert "?[31m?odd" in answer.out
    ElementTree.fromstring(page.read_text("utf-8"))


def test_a_report_without_matplotlib_is_refused_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("hsitool.drawing.find_spec", lambda _: None)
    code, line = error_of("no such folder", *BOARD, "--report", tmp_path / "r.html")
    assert code == WRONG_USE
    assert "needs Matplotlib" in line


def test_gates_answer_by_the_exit_code(tmp_path: Path) -> None:
    passed = run("calib", *SAMPLE, "--max-rms", 0.3, "--require", "equal")
    assert passed.code == DONE
    camera = tmp_path / "camera.yaml"
    failed = run("calib", *SAMPLE, "--max-rms", 0.01, "-o", camera)
    assert failed.code == NO
    assert failed.out == passed.out
    assert "hsitool: --max-rms 0.01: the RMS is 0.1" in failed.err
    assert camera.exists()
    assert run("calib", *SAMPLE, "--tol", "0.005%", "--require", "detectable").code == NO


def test_a_line_scanner_is_refused_with_what_can_be_had() -> None:
    code, line = error_of(*SAMPLE, "--scanner", "pushbroom")
    assert code == BAD_DATA
    assert "no focal length" in line
    assert "can be had instead" in line


def test_opencv_left_set_with_the_old_recipe(shared_data: Path) -> None:
    images = sorted((shared_data / "opencv_samples").glob("left*.jpg"))
    old = ("--subpix-window", 11, "--subpix-eps", 0.1, "--no-trim", "--model", "k3")
    found = done("calib", *images, *BOARD, *old, "--single-f", "--json").json()
    assert found["camera_matrix"][0][0] == pytest.approx(535.918, abs=0.01)
    assert found["camera_matrix"][0][0] == found["camera_matrix"][1][1]
    assert found["rms_px"] == pytest.approx(0.3929, abs=0.001)
    assert max(found["views"], key=lambda view: view["rms_px"])["name"] == "left02.jpg"


def test_opencv_left_set_by_default(shared_data: Path) -> None:
    images = sorted((shared_data / "opencv_samples").glob("left*.jpg"))
    found = done("calib", *images, *BOARD, "--model", "k3", "--json").json()
    fx, fy = found["camera_matrix"][0][0], found["camera_matrix"][1][1]
    assert (fx, fy) == (pytest.approx(533.1, abs=1), pytest.approx(533.1, abs=1))
    assert found["rms_px"] < 0.2
    assert found["verdict"]["key"] == "equal"


def test_zhang_by_point_files(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "zhang_calib"
    files = [folder / f"data{number}.txt" for number in range(1, 6)]
    how = ("--model", "k2", "--no-tangential", "--json")
    options = ("--points", folder / "Model.txt", "--size", "640x480", *how)
    found = done("calib", *files, *options, "--corners", tmp_path / "zhang.csv").json()
    assert found["camera_matrix"][0][0] == pytest.approx(832.50, abs=0.5)
    assert found["camera_matrix"][1][1] == pytest.approx(832.53, abs=0.5)
    assert found["verdict"]["key"] == "equal"
    again = done("calib", tmp_path / "zhang.csv", *how).json()
    assert again["camera_matrix"] == found["camera_matrix"]


def test_udacity_names_what_does_not_serve(shared_data: Path) -> None:
    folder = shared_data / "udacity_camera_cal"
    code, line = error_of(folder, "--board", "9x6")
    assert code == BAD_DATA
    assert re.search(r"calibration7\.jpg \(1281x721\), calibration15\.jpg \(1281x721\)", line)
    answer = done("calib", folder, "--board", "9x6", "--resize-ok", "--json")
    assert answer.json()["verdict"]["key"] == "not_separable"
    named = re.findall(
        r"^hsitool: (calibration\d+\.jpg): (?:not found|wrong size)", answer.err, re.M
    )
    shown = re.findall(r"(?:found$|shows the board)", answer.err, re.M)
    assert {"calibration7.jpg", "calibration15.jpg"} <= set(named)
    assert len(shown) >= 17


REFUSALS: dict[str, tuple[tuple[object, ...], int, str]] = {
    "nothing": ((), WRONG_USE, "nothing to calibrate from"),
    "empty folder": (("empty", *BOARD), BAD_DATA, "empty: no images in this folder"),
    "empty folder, no board": (("empty",), BAD_DATA, "empty: no images in this folder"),
    "no such image": (("none.png", *BOARD), BAD_DATA, "none.png"),
    "no board": (("photos/grey.png",), WRONG_USE, "--board is needed"),
    "one view": (("photos/grey.png", *BOARD), BAD_DATA, "1 view"),
    "wrong counts": (("photos/grey.png", "--board", "7x5"), BAD_DATA, "7x5"),
    "unreadable": (("text.png", *BOARD), BAD_DATA, "text.png"),
    "NaN": (("--corners", "nan.csv", *BOARD), BAD_DATA, "nan.csv"),
    "too many points": (("--corners", "huge.csv", *BOARD), BAD_DATA, "more points than"),
    "no list": (("--corners", "text.csv", *BOARD), BAD_DATA, "text.csv"),
    "list and image": (("photos/grey.png", DATA, *BOARD), WRONG_USE, "images or lists"),
    "list without board": (("--corners", DATA), WRONG_USE, "--board is needed"),
    "board too small": ((DATA, "--board", "2x6"), WRONG_USE, "too small"),
    "board no counts": ((DATA, "--board", "nine"), WRONG_USE, "--board 'nine'"),
    "other board": ((DATA, "--board", "4x3"), BAD_DATA, "not on a 4x3 board"),
    "square": ((DATA, "--board", "9x6", "--square", "wide"), WRONG_USE, "--square 'wide'"),
    "pitch": ((*SAMPLE, "--pitch", "3.45"), WRONG_USE, "--pitch '3.45' is no size of a pixel"),
    "two pitches": ((*SAMPLE, "--pitch", "5um", "--m", "200,200"), WRONG_USE, "give one of them"),
    "tolerance": ((*SAMPLE, "--tol", "-1%"), WRONG_USE, "--tol '-1%'"),
    "model": ((*SAMPLE, "--model", "k9"), WRONG_USE, "k9"),
    "camera file": ((*SAMPLE, "-o", "camera.xml"), WRONG_USE, "camera.xml: a camera file is"),
    "camera exists": ((*SAMPLE, "-o", "mine.yaml"), WRONG_USE, "mine.yaml exists"),
    "report file": ((*SAMPLE, "--report", "r.pdf"), WRONG_USE, "r.pdf: a report is a page"),
    "same outputs": (
        ("photos", *BOARD, "-o", "a.json", "--corners", "a.json"),
        WRONG_USE,
        "two outputs would be written to",
    ),
    "kept as text": (("photos", *BOARD, "--corners", "a.txt"), WRONG_USE, ".csv or .json: name"),
    "kept in a photo": (
        ("photos", *BOARD, "--corners", "photos/5.jpg", "--overwrite"),
        WRONG_USE,
        ".csv or .json: name",
    ),
    "list as text": (("--corners", "text.txt", *BOARD), WRONG_USE, ".csv or .json: name"),
    "camera over its list": (
        ("text.json", *BOARD, "-o", "./text.json", "--overwrite"),
        WRONG_USE,
        "text.json is an input",
    ),
    "report over an image": (
        ("photos", "page.html", *BOARD, "--report", "page.html", "--overwrite"),
        WRONG_USE,
        "page.html is an input",
    ),
    "camera over points": (
        ("text.txt", "--points", "text.json", "-o", "text.json", "--size", "9x9", "--overwrite"),
        WRONG_USE,
        "text.json is an input",
    ),
    "rms NaN": ((*SAMPLE, "--max-rms", "nan"), WRONG_USE, "--max-rms nan is no limit"),
    "rms infinite": ((*SAMPLE, "--max-rms", "inf"), WRONG_USE, "--max-rms inf is no limit"),
    "rms negative": ((*SAMPLE, "--max-rms", -1), WRONG_USE, "--max-rms -1 is no limit"),
    "pitch 0": ((*SAMPLE, "--pitch", "0"), WRONG_USE, "--pitch '0' is no size of a pixel"),
    "sensor half": ((*SAMPLE, "--sensor", "6x"), WRONG_USE, "--sensor '6x' is no WIDTHxHEIGHT"),
    "sensor huge": ((*SAMPLE, "--sensor", "1e300x5mm"), WRONG_USE, "--sensor '1e300x5mm' is"),
    "sensor in m": ((*SAMPLE, "--sensor", "6x5m"), WRONG_USE, "pixels of 4.69e+03 x 4.88e+03 um"),
    "m NaN": ((*SAMPLE, "--m", "nan"), WRONG_USE, "--m 'nan' is no number of pixels per mm"),
    "m huge": ((*SAMPLE, "--m", "1e300,200"), WRONG_USE, "--m '1e300,200' is no number"),
    "square huge": ((DATA, "--board", "9x6", "--square", "1e300mm"), WRONG_USE, "--square '1e300"),
    "tolerance huge": ((*SAMPLE, "--tol", "1e300px"), WRONG_USE, "more than half of an image"),
    "single p": ((*SAMPLE, "--model", "fisheye", "--no-tangential"), WRONG_USE, "no p1 and p2"),
    "size of images": (("photos", *BOARD, "--size", "9x9"), WRONG_USE, "--size has no effect"),
    "board and points": (
        ("text.txt", *BOARD, "--points", "text.txt", "--size", "9x9"),
        WRONG_USE,
        "--board has no effect here: the file of --points",
    ),
    "markers of a chessboard": (
        ("photos", *BOARD, "--dict", "DICT_4X4_50"),
        WRONG_USE,
        "--dict has no effect here: only a charuco board",
    ),
    "recipe for circles": (
        ("photos", *BOARD, "--target", "circles", "--subpix-window", 5),
        WRONG_USE,
        "--subpix-window has no effect here: only chessboards",
    ),
    "circles not found": (
        ("photos/grey.png", *BOARD, "--target", "circles"),
        BAD_DATA,
        "is --board the number of circles",
    ),
    "board of a placed list": (
        ("placed.csv", "--square", "5mm"),
        WRONG_USE,
        "leave out --board and --square",
    ),
    "two recipes": (
        ("photos", *BOARD, "--accurate", "--subpix-window", 5),
        WRONG_USE,
        "--accurate",
    ),
    "eps": (("photos", *BOARD, "--subpix-eps", 0), WRONG_USE, "--subpix-eps 0"),
    "points, no size": (("text.png", "--points", "text.csv"), WRONG_USE, "--size 640x480"),
    "marker alone": (
        ("photos", "--board", "9x6", "--target", "charuco", "--marker", "9mm"),
        WRONG_USE,
        "--square",
    ),
    "charuco, no marker": (("photos", *BOARD, "--target", "charuco"), WRONG_USE, "--marker"),
}


@pytest.fixture
def place(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of bad inputs to stand in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "photos").symlink_to(photos)
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "text.csv").write_text("no,list\n1,2\n")
    (tmp_path / "placed.csv").write_text("image,columns,rows,point,u,v,x,y,z\na,9,9,0,1,1,0,0,0\n")
    for name in ("text.txt", "text.json", "page.html"):
        (tmp_path / name).write_text("1 2")
    (tmp_path / "mine.yaml").write_text("mine")
    lines = DATA.read_text("utf-8").splitlines()
    lines[5] = re.sub(r"[\d.]+$", "nan", lines[5])
    (tmp_path / "nan.csv").write_text("\n".join(lines))
    with (tmp_path / "huge.csv").open("wb") as file:
        file.write(b"image,columns,rows,point,u,v\n")
        file.truncate(10**7 * 30)
    return tmp_path


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_done_is_refused_in_one_line(case: str, place: Path) -> None:
    arguments, code, said = REFUSALS[case]
    before = sorted(path.name for path in place.iterdir())
    found, line = error_of(*arguments)
    assert (found, said in line) == (code, True), line
    assert sorted(path.name for path in place.iterdir()) == before


@pytest.mark.parametrize(
    "option",
    [
        ("--accurate",),
        ("--subpix-window", 5),
        ("--subpix-eps", 0.1),
        ("--resize-ok",),
        ("--dict", "DICT_5X5_1000"),
        ("--marker", "5mm"),
        ("--target", "charuco"),
    ],
)
def test_options_of_detection_are_refused_with_lists(option: tuple[object, ...]) -> None:
    code, line = error_of(*SAMPLE, *option)
    assert code == WRONG_USE
    assert f"error: {option[0]} has no effect here: " in line


def test_what_was_seen_is_told_before_a_fit_that_fails(place: Path) -> None:
    """And what was detected is kept, which is told as well."""
    none = run("calib", "photos/grey.png", "text.png", "--board", "7x5")
    assert none.code == BAD_DATA
    grey, text, error = none.err.splitlines()
    assert grey.startswith("hsitool: grey.png: not found")
    assert text.startswith("hsitool: text.png: unreadable: ")
    assert error.startswith("hsitool: error: no 7x5 chess board found in 2 images")
    one = run("calib", "photos/grey.png", *BOARD, "--corners", "kept.csv")
    assert one.code == BAD_DATA
    *_, found, kept, error = one.err.splitlines()
    assert (found, kept) == (
        "hsitool: grey.png: found",
        "hsitool: kept.csv: holds the corners of 1 image",
    )
    assert error.startswith("hsitool: error: ")
    again = run("calib", "kept.csv", *BOARD)
    assert (again.code, again.err) == (BAD_DATA, f"{error}\n")


def test_a_damaged_image_is_named_once(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.jpg").write_bytes((photos / "5.jpg").read_bytes()[:5000])
    answer = done("calib", photos, tmp_path / "cut.jpg", *BOARD, "--tol", "1%")
    (line,) = (line for line in answer.err.splitlines() if "cut.jpg" in line)
    assert line.startswith("hsitool: cut.jpg: unreadable: ")
    assert line.count("cut.jpg") == 1


def test_one_focal_length_without_a_file_is_told() -> None:
    answer = done("calib", *SAMPLE, "--single-f")
    assert "hsitool: --single-f is for -o FILE and --json" in answer.err
    assert "--single-f" not in done("calib", *SAMPLE, "--single-f", "--json").err


def test_errors_and_notes_cannot_command_a_terminal(photos: Path, tmp_path: Path) -> None:
    odd = tmp_path / "\x1b[31m\x07.jpg"
    odd.write_bytes(b"no image")
    answer = done("calib", photos, odd, *BOARD, "--tol", "1%")
    assert "?[31m?.jpg: unreadable" in answer.err
    failed = run("calib", odd, *BOARD)
    assert failed.code == BAD_DATA
    assert failed.err.startswith("hsitool: error: ")
    assert not {"\x1b", "\x07"} & set(answer.err + failed.err)


def test_an_unreadable_image_among_others_is_named(place: Path) -> None:
    answer = done("calib", "photos", "text.png", *BOARD, "--tol", "1%")
    assert "hsitool: text.png: unreadable: " in answer.err
    assert "6 used" in answer.out


def test_a_photograph_turned_by_exif_is_used_upright(photos: Path, tmp_path: Path) -> None:
    """The camera's axes are then those of the upright image, and that is said."""
    stored = cv2.rotate(cv2.imread(str(photos / "5.jpg"), 0), cv2.ROTATE_90_COUNTERCLOCKWISE)
    content = cv2.imencode(".jpg", stored)[1].tobytes()
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    part = b"Exif\0\0" + tiff
    head = b"\xff\xe1" + (len(part) + 2).to_bytes(2, "big") + part
    (tmp_path / "turned.jpg").write_bytes(content[:2] + head + content[2:])
    others = [path for path in photos.iterdir() if path.suffix == ".png"]
    answer = done("calib", tmp_path / "turned.jpg", *others, *BOARD, "--tol", "1%")
    assert "hsitool: turned.jpg: found" in answer.err
    assert "EXIF" in answer.err
