"""Each benchmark runs: tiny, so that it keeps working, and in full size (`-m slow`) for limits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TINY = ("--gigabytes", "0.005", "--runs", "1")
PLAIN = ("tif-pixel-strip", "tif-band-strip", "envi-bsq", "envi-bil", "envi-bip")


def benchmark(name: str, *options: object, limits: bool = False) -> list[list[str]]:
    """The cells of the table that a benchmark prints; with `limits` it has to keep them."""
    words = [sys.executable, str(HERE / f"{name}.py"), *map(str, options)]
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    assert result.returncode in ((0,) if limits else (0, 1)), result.stdout + result.stderr
    assert "Traceback" not in result.stderr, result.stderr
    lines = [line for line in result.stdout.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_cube_speed_against_cp(tmp_path: Path) -> None:
    layouts = ("tif-pixel-strip", "envi-bil")
    table = benchmark("cube_speed", *TINY, "--folder", tmp_path, "--layouts", *layouts)
    assert [row[0] for row in table] == list(layouts)
    assert all(len(row) == 8 and row[1].endswith(" s") and float(row[3]) > 0 for row in table)
    assert not list(tmp_path.iterdir())


def test_cube_speed_against_a_copy_by_blocks(tmp_path: Path) -> None:
    options = ("--packed", *TINY, "--folder", tmp_path, "--layouts", "tif-pixel-strip-zstd")
    table = benchmark("cube_speed", *options)
    assert [row[0] for row in table] == ["tif-pixel-strip-zstd"]
    assert all(float(row[3]) > 0 for row in table)
    assert not list(tmp_path.iterdir())


def test_cube_speed_against_the_usual_script(tmp_path: Path) -> None:
    options = ("--script", *TINY, "--folder", tmp_path, "--layouts", "tif-band-strip")
    ((layout, *cells),) = benchmark("cube_speed", *options)
    assert layout == "tif-band-strip"
    assert float(cells[2]) > 0


def test_smooth_speed(tmp_path: Path) -> None:
    table = benchmark("smooth_speed", *TINY, "--folder", tmp_path, "--layouts", "envi-bip")
    assert [row[:2] for row in table] == [["envi-bip", "derivatives"], ["envi-bip", "gaps"]]
    assert all(float(row[2]) > 0 for row in table)
    assert not list(tmp_path.iterdir())


def test_many_scenes(tmp_path: Path) -> None:
    options = ("--scenes", 4, "--gigabytes", 0.004, "--runs", 1, "--folder", tmp_path)
    table = benchmark("many_scenes", *options)
    assert [row[0] for row in table] == ["envi", "gtiff"]
    assert all(float(row[3]) > 0 for row in table)
    assert not list(tmp_path.iterdir())


def test_undistort_speed(tmp_path: Path) -> None:
    options = (*TINY, "--folder", tmp_path, "--layouts", "envi-bil")
    ((layout, *cells),) = benchmark("undistort_speed", *options)
    assert layout == "envi-bil"
    assert float(cells[2]) > 0
    assert cells[-1] == "yes"
    assert not list(tmp_path.iterdir())


def test_undistort_stays_within_a_small_budget(tmp_path: Path) -> None:
    options = ("--gigabytes", 0.2, "--runs", 1, "--max-memory", "230MB", "--folder", tmp_path)
    (row,) = benchmark("undistort_speed", *options, "--layouts", "envi-bsq")
    assert 0 < float(row[-2]) <= 230


def test_scene_speed(tmp_path: Path) -> None:
    table = benchmark("scene_speed", *TINY, "--folder", tmp_path, "--layouts", "envi-bip")
    assert [row[:2] for row in table] == [
        ["envi-bip", v] for v in ("stats", "anomaly", "attend mask")
    ]
    assert all(float(row[4]) > 0 and float(row[7]) > 0 for row in table)
    assert not list(tmp_path.iterdir())


def test_chain_speed(tmp_path: Path) -> None:
    options = (*TINY, "--folder", tmp_path, "--layouts", "envi-bil")
    ((layout, *cells),) = benchmark("chain_speed", *options)
    assert layout == "envi-bil"
    assert 0 < float(cells[5]) <= 512
    assert float(cells[8]) > 0
    assert not list(tmp_path.iterdir())


def test_attend_speed(tmp_path: Path) -> None:
    small = ("--rows-gigabytes", 0.005, "--tokens", 900, "--layouts", "envi-bip")
    table = benchmark("attend_speed", *TINY, *small, "--folder", tmp_path)
    assert [row[0].split(",")[0].split()[0] for row in table] == ["Z", "self", *["warp"] * 4]
    assert all(float(row[3]) > 0 for row in table)
    assert all(row[-1] == "yes" for row in table[1:])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("layout", "verbs", "gigabytes", "budget"),
    [
        ("tif-pixel-strip", ["smooth", "convert"], 0.3, 200),
        ("envi-bsq", ["smooth"], 0.3, 200),
        ("tif-band-tile256-deflate", ["smooth-deflate"], 0.05, 300),
    ],
)
def test_memory_stays_within_a_small_budget(
    tmp_path: Path, layout: str, verbs: list[str], gigabytes: float, budget: int
) -> None:
    options = ("--gigabytes", gigabytes, "--max-memory", f"{budget}MB", "--verbs", *verbs)
    table = benchmark("memory", *options, "--folder", tmp_path, "--layouts", layout, limits=True)
    assert [row[:2] for row in table] == [[layout, verb] for verb in verbs]
    assert all(0 < float(row[2]) <= budget for row in table)


@pytest.mark.slow
@pytest.mark.parametrize("layout", PLAIN)
def test_plain_cubes_of_4_gb_keep_their_limits(layout: str) -> None:
    assert benchmark("cube_speed", "--layouts", layout, limits=True)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["tif-band-tile256-deflate", "tif-pixel-strip-zstd"])
def test_packed_cubes_of_4_gb_keep_their_limit(layout: str) -> None:
    assert benchmark("cube_speed", "--packed", "--layouts", layout, limits=True)


@pytest.mark.slow
@pytest.mark.parametrize("layout", PLAIN)
def test_the_usual_script_is_slower_by_the_promised_factor(layout: str) -> None:
    assert benchmark("cube_speed", "--script", "--layouts", layout, limits=True)


@pytest.mark.slow
@pytest.mark.parametrize("layout", [*PLAIN, "tif-band-tile256-deflate"])
def test_memory_is_the_same_at_1_and_4_gb(layout: str) -> None:
    verbs = ("smooth", "convert", "smooth-deflate")
    assert benchmark("memory", "--layouts", layout, "--verbs", *verbs, limits=True)


@pytest.mark.slow
@pytest.mark.parametrize("layout", PLAIN)
def test_several_outputs_and_gaps_keep_their_limits(layout: str) -> None:
    assert benchmark("smooth_speed", "--layouts", layout, limits=True)


@pytest.mark.slow
@pytest.mark.parametrize("layout", PLAIN)
def test_undistort_of_4_gb_keeps_its_limits(layout: str) -> None:
    assert benchmark("undistort_speed", "--layouts", layout, limits=True)


@pytest.mark.slow
def test_scene_models_keep_pace_with_a_script_in_memory() -> None:
    assert benchmark("scene_speed", limits=True)


@pytest.mark.slow
@pytest.mark.parametrize("layout", PLAIN)
def test_chains_of_4_gb_keep_their_limits(layout: str) -> None:
    assert benchmark("chain_speed", "--layouts", layout, limits=True)


@pytest.mark.slow
def test_attention_keeps_its_limits() -> None:
    assert benchmark("attend_speed", limits=True)
