"""Corner lists come back as they were written; what cannot be is one clear line."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from hsitool.errors import DataError, UsageError
from hsitool.storage import corners
from hsitool.storage.corners import CornerView, read_corners, read_point_files, write_corners

WORDS_OF_PYTHON = ("NoneType", "'NoneType'", "dtype", "float", "int", "float()")
HEAD = "image,columns,rows,point,u,v"


def views(rng: np.random.Generator, placed: bool) -> list[CornerView]:
    made = []
    for name, count in (("a, b.jpg", 12), ('"c".jpg', 7)):
        ids = rng.permutation(30)[:count].astype(np.int64)
        xyz = rng.normal(size=(count, 3)) * 100 if placed else None
        made.append(CornerView(name, (640, 480), ids, rng.uniform(0, 480, (count, 2)), xyz))
    return made


@pytest.mark.parametrize("suffix", [".csv", ".json"])
@pytest.mark.parametrize("placed", [False, True])
def test_round_trips_keep_all_digits(
    suffix: str, placed: bool, rng: np.random.Generator, tmp_path: Path
) -> None:
    path, made = tmp_path / f"corners{suffix}", views(rng, placed)
    write_corners(path, made)
    for view, back in zip(made, read_corners(path), strict=True):
        assert (back.name, back.size) == (view.name, view.size)
        np.testing.assert_array_equal(back.ids, view.ids)
        np.testing.assert_array_equal(back.uv, view.uv)
        np.testing.assert_equal(back.xyz_mm, view.xyz_mm)
    with pytest.raises(UsageError, match="--overwrite"):
        write_corners(path, made)


def test_a_list_by_another_program(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text(
        "\ufeffpoint, V ,u,image,rows,columns,score\r\n"
        "3,1.5,2.5,a,48,64,9\r\n\r\n1,5,6,a,48,64,9\r\n"
    )
    (view,) = read_corners(path)
    assert (view.name, view.size, view.ids.tolist()) == ("a", (64, 48), [3, 1])
    assert view.uv.tolist() == [[2.5, 1.5], [6, 5]]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "names no image, columns"),
        ("image,columns,rows,point,u", "names no v"),
        (HEAD, "holds no points"),
        (f"{HEAD}\na,64,48,0,1", "line 2: 5 fields"),
        (f"{HEAD}\na,64,48,0,1,nan", "point 0 is NaN"),
        (f"{HEAD}\na,64,48,0,1,inf", "too large"),
        (f"{HEAD}\na,64,48,0,1,x", "'x' is not a number"),
        (f"{HEAD}\na,64,48,0.5,1,1", "'0.5' is not a whole number"),
        (f"{HEAD}\na,64,48,{'9' * 5000},1,1", "is not a whole number"),
        (f"{HEAD}\na,64,48,-1,1,1", "negative"),
        (f"{HEAD}\na,64,48,7,1,1\na,64,48,7,2,2", "point 7 occurs 2 times"),
        (f"{HEAD}\na,64,48,7,1,1\na,64,49,8,2,2", "another size than before"),
        (f"{HEAD}\na,64,48,7,1,1\nb,48,64,8,2,2", "several sizes"),
        (f"{HEAD}\na,0,48,7,1,1", "cannot be"),
        (f"{HEAD}\na,64,48,7,1,500", "far outside of 64x48"),
        (f"{HEAD}\na,64,48,1_0,1,1", "'1_0' is not a whole number"),
        (f"{HEAD}\na,64,48,0,1_0,1", "'1_0' is not a number"),
        (f"{HEAD}\na,64,48,\u0663,1,1", "is not a whole number"),
        (f"{HEAD},u\na,64,48,0,1,1,1", "names u twice"),
        (f'{HEAD}\n"' + "a" * 200_000, "line 2 is no CSV"),
        (f"{HEAD}\n" + "a,64,48,0,1,1\n" * 500_001, "more than the 500000 points"),
        (f"{HEAD}\n{'a' * 2000},64,48,0,1,1", "name of 2000 letters"),
        (f"{HEAD},x,y,z\na,64,48,7,1,5,1,nan,0", "NaN"),
        (f"{HEAD},band\na,64,48,7,1,5,0", "a, band 0: bands count from 1"),
        (f"{HEAD},band\na,64,48,7,1,5,1.5", "'1.5' is not a whole number"),
        (f"{HEAD},band\na,64,48,7,1,5,", "'' is not a whole number"),
        (f"{HEAD},band,band\na,64,48,7,1,5,1,1", "names band twice"),
        (f"{HEAD},band,wavelength_nm\na,64,48,7,1,5,1,nan", "nan nm is no wavelength"),
        (f"{HEAD},band,wavelength_nm\na,64,48,7,1,5,1,-5", "-5 nm is no wavelength"),
        (f"{HEAD},band,wavelength_nm\na,64,48,7,1,5,1,1e10", "'1e10' is too large"),
        (
            f"{HEAD},band,wavelength_nm\na,64,48,7,1,5,1,500\na,64,48,8,1,5,1,501",
            "line 3: band 1 has another wavelength than before",
        ),
        (f"{HEAD},band\na,64,48,7,1,5,2\na,64,48,7,1,5,2", "band 2: point 7 occurs 2 times"),
        ("{", "is not JSON"),
        ("[" * 10**6, "nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "thousands of digits"),
        ('{"version": 1, "version": 1}', 'the key "version" twice'),
        ("[1]", "is no corner list"),
        ('{"format": "hsitool corners", "version": 9}', "version 9"),
        ('{"format": "hsitool corners", "version": 1}', "no list of views"),
    ],
)
def test_lists_that_cannot_serve(lines: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "corners.csv"
    path.write_text(lines)
    with pytest.raises(DataError, match=said) as caught:
        read_corners(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"points": [0]}, "1 points, but 2"),
        ({"points": [0, 0]}, "occurs 2 times"),
        ({"points": [0, 1.5]}, '"points" is no list of whole numbers'),
        ({"points": [0, True]}, '"points" is no list of whole numbers'),
        ({"points": None}, '"points" is no list of whole numbers'),
        ({"points": [0, 10**30]}, '"points" holds a number that is too large'),
        ({"image": None}, '"image" is no text'),
        ({"size": [64]}, '"size" is not'),
        ({"size": [64, float("nan")]}, '"size" is no list of whole numbers'),
        ({"uv": [[1, 2], ["3", 3]]}, '"uv" is no list of rows of 2 numbers'),
        ({"uv": [[1, 2], [10**400, 3]]}, '"uv" holds a number that is too large'),
        ({"uv": [1, 2, 3, 4]}, '"uv" is no list of rows of 2 numbers'),
        ({"xyz_mm": [[0, 0], [1, 1]]}, '"xyz_mm" is no list of rows of 3 numbers'),
        ({"uv": [[1, 2], [float("nan"), 3]]}, "point 1 is NaN"),
        ({"uv": [[1, 2], [3]]}, "view 1"),
        ({"uv": "x"}, "view 1"),
        ({"size": 5}, "view 1"),
        ({"xyz_mm": [[0, 0, 0]]}, "other xyz_mm"),
        ({"uv": None}, "view 1"),
        ({"band": 0}, "band 0: bands count from 1"),
        ({"band": True}, '"band" is no number of a band'),
        ({"band": 1.0}, '"band" is no number of a band'),
        ({"band": "1"}, '"band" is no number of a band'),
        ({"band": 10**400}, '"band" is no number of a band'),
        ({"band": 1, "wavelength_nm": 10**400}, '"wavelength_nm" is no wavelength in nm'),
        ({"band": 1, "wavelength_nm": float("nan")}, '"wavelength_nm" is no wavelength in nm'),
        ({"band": 1, "wavelength_nm": 0}, '"wavelength_nm" is no wavelength in nm'),
        ({"band": 1, "wavelength_nm": "500"}, '"wavelength_nm" is no wavelength in nm'),
    ],
)
def test_json_views_that_cannot_be(change: dict[str, object], said: str, tmp_path: Path) -> None:
    view = {"image": "a", "size": [64, 48], "points": [0, 1], "uv": [[1, 2], [3, 4]]} | change
    path = tmp_path / "corners.json"
    path.write_text(json.dumps({"format": "hsitool corners", "version": 1, "views": [view]}))
    with pytest.raises(DataError, match=said) as caught:
        read_corners(path)
    assert not set(WORDS_OF_PYTHON) & set(str(caught.value).split())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("null", "is no corner list"),
        ("", "is not JSON"),
        ("image,columns", "is not JSON"),
        ('{"format": "hsitool corners", "version": 1, "views": [null]}', "view 1: is no object"),
        ('{"format": "hsitool corners", "version": 1, "views": [{}]}', 'view 1: has no "image"'),
    ],
)
def test_a_json_list_is_told_by_its_name(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "corners.json"
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        read_corners(path)


def test_json_lists_of_many_points_are_refused(tmp_path: Path) -> None:
    view = {"image": "a", "size": [1, 1], "points": [0] * 500_001, "uv": []}
    path = tmp_path / "corners.json"
    path.write_text(json.dumps({"format": "hsitool corners", "version": 1, "views": [view]}))
    with pytest.raises(DataError, match="more than the 500000 points that a calibration can use"):
        read_corners(path)


def test_json_lists_of_ten_million_points_are_refused_unparsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "corners.json"
    path.write_text("[" + "[0,0]," * (10**7 // 2) + "0]")
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("it was parsed"))
    with pytest.raises(DataError, match="more than the 500000 points"):
        read_corners(path)


@pytest.mark.parametrize("name", ["corners.txt", "corners", "photo.jpg", "corners.csv.gz"])
def test_lists_that_could_not_be_read_are_not_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a corner list is \.csv or \.json"):
        write_corners(tmp_path / name, [], overwrite=True)
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_no_unicode_are_written(tmp_path: Path) -> None:
    view = CornerView("\udcff.jpg", (64, 48), np.arange(1), np.ones((1, 2)))
    for name, back in (("a.csv", "?.jpg"), ("a.json", "\udcff.jpg")):
        write_corners(tmp_path / name, [view])
        assert read_corners(tmp_path / name)[0].name == back


def test_json_views_of_one_name(tmp_path: Path) -> None:
    view = {"image": "a", "size": [64, 48], "points": [0], "uv": [[1, 2]]}
    path = tmp_path / "corners.json"
    path.write_text(json.dumps({"format": "hsitool corners", "version": 1, "views": [view] * 2}))
    with pytest.raises(DataError, match="a occurs twice"):
        read_corners(path)


def test_ten_million_points_are_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "corners.csv"
    with path.open("wb") as file:
        file.truncate(10**7 * len("a,1,1,0,1,1\n"))  # takes no room on the disk
    monkeypatch.setattr(Path, "read_text", lambda *_: pytest.fail("it was read"))
    with pytest.raises(DataError, match="120 MB are more points than a calibration can use"):
        read_corners(path)
    assert path.stat().st_size > corners.MOST_BYTES


def test_files_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "corners.csv"
    with pytest.raises(DataError, match="no such file"):
        read_corners(path)
    with pytest.raises(DataError, match="is no plain file"):
        read_corners(tmp_path)
    path.write_bytes(b"\xff\xfe\x80")
    with pytest.raises(DataError, match="no text in UTF-8"):
        read_corners(path)


def test_zhangs_files_give_his_camera(shared_data: Path) -> None:
    folder = shared_data / "zhang_calib"
    files = sorted(folder.glob("data?.txt"))
    read = read_point_files(files, folder / "Model.txt", (640, 480), 25.4)
    assert [len(view.ids) for view in read] == [256] * 5
    points = [view.xyz_mm.astype(np.float32) for view in read if view.xyz_mm is not None]
    seen = [view.uv.astype(np.float32) for view in read]
    flags, none = cv2.CALIB_ZERO_TANGENT_DIST | cv2.CALIB_FIX_K3, np.empty(0)
    _, matrix, *_ = cv2.calibrateCamera(points, seen, (640, 480), none, none, flags=flags)
    found = np.asarray(matrix)[[0, 1, 0, 1], [0, 1, 2, 2]]
    np.testing.assert_allclose(found, [832.5, 832.53, 303.96, 206.59], atol=0.5)


@pytest.mark.parametrize(
    ("text", "said"),
    [("1 2 3", "3 numbers"), ("", "0 numbers"), ("1 2 x 4", "'x' is not"), ("1 nan 3 4", "NaN"),
     ("1 2", "1 points, but"), ("1 2 3 900", "far outside")],
)  # fmt: skip
def test_point_files_that_cannot_serve(text: str, said: str, tmp_path: Path) -> None:
    model, data = tmp_path / "model.txt", tmp_path / "data.txt"
    model.write_text("0 0\n1 0\n")
    data.write_text(text)
    with pytest.raises(DataError, match=said):
        read_point_files([data], model, (64, 48))
