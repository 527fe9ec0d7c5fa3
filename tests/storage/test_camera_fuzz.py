"""Camera files with parts exchanged at random: a camera or one line, never another exception."""

from __future__ import annotations

import json
import re
from pathlib import Path

import camera_samples as samples
import numpy as np
import pytest

from hsitool.camera import CameraInfo
from hsitool.errors import DataError
from hsitool.storage.cameras import FORMATS, read_cameras, write_cameras

WORD = re.compile(r"[\w.+-]+|[^\w\s]")
ODD = (
    *("", "0", "-1", "nan", "inf", "null", "true", "[]", "{}", "[1, 2]", "{a: 1}", "1e999", "''"),
    *('"x"', "x", ",", ":", "]", "}", "<a>", "</a>", "&", "9" * 50, "\n", "- ", "!!map {}", "b'a'"),
)
CHANGES = 300


def ours(key: str, tmp_path: Path) -> str:
    """A file of our own writing with all that it can hold."""
    form = next(known for known in FORMATS if known.key == key)
    info = CameraInfo(
        "pinhole", 900, 905, 650, 500, {"k1": -0.1}, (1280, 1024),
        name="left", pitch_mm=(0.005, 0.005), parameters=("fx", "fy"),
        covariance=((4.0, 3.9), (3.9, 4.1)), standard_errors={"fx": 2.0, "fy": 2.0},
    )  # fmt: skip
    path = tmp_path / f"ours{form.endings[0]}"
    write_cameras(path, [info], form)
    return path.read_text()


SAMPLES = {
    "ros": samples.ROS,
    "ros message": samples.ROS_MESSAGE,
    "kalibr": samples.KALIBR,
    "colmap": samples.COLMAP,
    "mrcal": samples.MRCAL,
    "metashape calibration": samples.METASHAPE_CALIBRATION,
    "metashape cameras": samples.METASHAPE_CAMERAS,
    "ours json": None,
    "ours opencv": None,
}


@pytest.mark.filterwarnings("ignore::hsitool.errors.HsitoolWarning")
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@pytest.mark.parametrize("name", SAMPLES)
def test_changed_words_give_a_camera_or_one_line(
    name: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    text = SAMPLES[name] or ours(name.split()[1], tmp_path)
    places = [match.span() for match in WORD.finditer(text)]
    path, refused = tmp_path / "changed", 0
    for _ in range(CHANGES):
        start, end = places[rng.integers(len(places))]
        path.write_text(text[:start] + str(rng.choice(ODD)) + text[end:])
        refused += not readable(path)
    print(f"{refused} of {CHANGES} refused")
    assert 0 < refused < CHANGES


def readable(path: Path) -> bool:
    try:
        found = read_cameras(path)
    except DataError as error:
        assert "\n" not in str(error), path.read_text()
        return False
    assert found
    return True


def test_changed_values_of_our_json(tmp_path: Path) -> None:
    record = json.loads(ours("json", tmp_path))
    path = tmp_path / "changed.json"
    odd = [None, True, 1, -1.5, "x", [], {}, [[]], [None], {"a": 1}, [1, 2], 10**400]
    for key in record:
        for value in odd:
            path.write_text(json.dumps(record | {key: value}))
            readable(path)
    for key in record["parameters"]:
        for value in odd:
            path.write_text(
                json.dumps(record | {"parameters": record["parameters"] | {key: value}})
            )
            readable(path)
