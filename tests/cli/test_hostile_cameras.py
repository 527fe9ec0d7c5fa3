"""Camera files made to harm: one line, exit code 3, in under a second, and nothing carried out."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import camera_samples as samples
import cubes
import numpy as np
import pytest
from command import run

BAD_DATA = 3
MRCAL = "{'lensmodel': 'LENSMODEL_PINHOLE', 'imagersize': [10, 10], 'intrinsics': "
CALL = "__import__('os').system('touch carried_out')"
BOMB = "".join(f"  <!ENTITY l{n} '{f'&l{n - 1};' * 10}'>\n" for n in range(1, 10))
MATRIX = "K: !!opencv-matrix\n"
JSON = '{"model": "k2", "camera_matrix": '

TEXTS = {
    "YAML object": f'camera_matrix: !!python/object/apply:os.system ["{CALL}"]\n',
    "YAML new": "camera_matrix: !!python/object/new:os.system [echo]\n",
    "YAML own tag": "camera_matrix: !Ruby/Object {}\n",
    "YAML aliases": "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "YAML merge": "a: &a {K: 1}\nb:\n  <<: *a\n",
    "YAML flow nesting": "a: " + "[" * 100_000,
    "YAML map nesting": "a: " + "{" * 100_000,
    "YAML block nesting": "- " * 100_000,
    "YAML entries": "a: [" + "0, " * 5_000_000 + "0]",
    "YAML key of list": "? [a, b]\n: 1\n",
    "YAML key twice": "K: 1\nK: 2\n",
    "YAML long number": "K: " + "9" * 200_000 + "x",
    "YAML long real": "K: [" + "9" * 200_000 + ", 0, 1, 0, 1, 1, 0, 0, 1]",
    "YAML broken": "a: [1, 2\nb: }",
    "YAML tabs": "a:\n\t- b",
    "OpenCV of no numbers": f"%YAML:1.0\n---\n{MATRIX}  rows: 3\n  cols: 3\n  data: ab\n",
    "OpenCV too few": f"{MATRIX}  rows: 1000000000\n  cols: 3\n  data: [ 1. ]\n",
    "OpenCV rows": f"{MATRIX}  rows: []\n  cols: 3\n  data: [ 1. ]\n",
    "XML entities": f"<!DOCTYPE l [<!ENTITY l0 'lol'>{BOMB}]><opencv_storage>&l9;</opencv_storage>",
    "XML external": "<!DOCTYPE l [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><opencv_storage>&x;"
    "</opencv_storage>",
    "XML undefined": "<opencv_storage>&x;</opencv_storage>",
    "XML nesting": "<a>" * 100_000,
    "XML elements": "<opencv_storage>" + "<a/>" * 3_000_000 + "</opencv_storage>",
    "XML attributes": "<calibration " + " ".join(f"a{n}='1'" for n in range(500_000)) + "/>",
    "XML numbers": "<opencv_storage><K><rows>3</rows><cols>3</cols><data>"
    + "1 " * 5_000_000
    + "</data></K></opencv_storage>",
    "XML long number": f"<calibration><width>{'9' * 10**6}</width></calibration>",
    "XML unfinished": "<opencv_storage><K>",
    "mrcal call": f"{MRCAL}{CALL}}}",
    "mrcal comprehension": f"{MRCAL}[{CALL} for _ in [1]]}}",
    "mrcal nesting": MRCAL + "[" * 100_000,
    "mrcal signs": MRCAL + "-" * 100_000 + "1}",
    "mrcal sums": MRCAL + "1" + "+1" * 90_000 + "}",
    "mrcal attributes": MRCAL + "a" + ".a" * 90_000 + "}",
    "mrcal calls": MRCAL + "a" + "()" * 90_000 + "}",
    "mrcal huge number": MRCAL + "[" + "9" * 150_000 + "]}",
    "mrcal long": MRCAL + "[" + "0," * 5_000_000 + "]}",
    "mrcal words": MRCAL + "'abcd'}",
    "JSON nesting": JSON + "[" * 100_000,
    "JSON huge number": JSON + "[[" + "9" * 5_000 + "]]}",
    "JSON large number": JSON + "[[" + "9" * 400 + ", 0, 1], [0, 1, 1], [0, 0, 1]]}",
    "JSON entries": JSON + "[" + "{}," * 5_000_000 + "0]}",
    "JSON infinite": JSON + "[[Infinity, 0, 1], [0, 1, 1], [0, 0, 1]]}",
    "JSON NaN": JSON + "[[NaN, 0, 1], [0, 1, 1], [0, 0, 1]]}",
    "JSON twice": '{"model": "k2", "model": "k3"}',
    "COLMAP cameras": "1 PINHOLE 1 1 1 1 1 1\n" * 500_000,
    "COLMAP line": "1 PINHOLE 1 1 " + "1 " * 5_000_000,
    "COLMAP size": f"1 PINHOLE {'9' * 4000} 1 1 1 1 1\n",
    "lines": "\n" * 15_000_000,
    "empty": "",
    "NUL": "camera_matrix: \0\n",
    "escape": "1 \x1b]0;title\x07 1 1\n",
}


def hostile(name: str) -> Callable[[Path], object]:
    def make(path: Path) -> object:
        return path.write_text(TEXTS[name])

    return make


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10**9)


OTHERS: dict[str, Callable[[Path], object]] = {
    "1 GB": sparse,
    "folder": Path.mkdir,
    "pipe": os.mkfifo,
    "nothing": lambda path: None,
    "Latin-1": lambda path: path.write_bytes(samples.ROS.replace("left", "ä").encode("latin-1")),
    "UTF-16": lambda path: path.write_bytes(samples.ROS.encode("utf-16")),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 1000),
    "link to itself": lambda path: path.symlink_to(path),
}
CASES = {**{name: hostile(name) for name in TEXTS}, **OTHERS}


SLOWEST = ("1 GB", "YAML aliases", "XML elements", "JSON entries", "COLMAP cameras", "lines")


@pytest.mark.parametrize("case", CASES)
def test_one_line_in_under_a_second(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    CASES[case](tmp_path / "camera")
    before = time.process_time()
    answer = run("camera", "convert", "camera", "-o", "out.json")
    took = time.process_time() - before
    print(f"{took:.2f} s  {answer.err.strip()}")
    assert answer.code == BAD_DATA, answer.err
    assert answer.err.startswith("hsitool: error: camera: ")
    assert answer.err.count("\n") == 1
    assert len(answer.err) < 400
    assert answer.err[:-1].isprintable()
    assert answer.out == ""
    assert took < 1
    assert not Path("carried_out").exists()
    assert not Path("out.json").exists()


@pytest.mark.parametrize("verb", ["explain", "diff", "undistort"])
def test_a_whole_process_takes_under_a_second(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a core, with the start of Python: no verb imports its work before it has read."""
    monkeypatch.chdir(tmp_path)
    cubes.write_geotiff(tmp_path / "cube.tif", np.ones((1, 4, 5), np.float32))
    words = {
        "explain": ["camera", "explain", "camera"],
        "diff": ["camera", "diff", "camera", "camera"],
        "undistort": ["undistort", "cube.tif", "--camera", "camera", "-o", "out.tif"],
    }[verb]
    for case in SLOWEST:
        Path("camera").unlink(missing_ok=True)
        CASES[case](tmp_path / "camera")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        answer = subprocess.run([sys.executable, "-m", "hsitool", *words],
                                capture_output=True, text=True, check=False)  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"{verb}, {case}: {took:.2f} s")
        assert (answer.returncode, answer.stdout) == (BAD_DATA, "")
        assert answer.stderr.count("\n") == 1
        assert took < 1
