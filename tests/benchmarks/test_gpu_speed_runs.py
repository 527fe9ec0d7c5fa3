from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from hsitool.device import choose_device
from hsitool.errors import DeviceError


@pytest.fixture
def script() -> dict[str, Any]:
    return runpy.run_path(str(Path(__file__).with_name("gpu_speed.py")))


def test_gpu_speed_prints_its_tables(
    script: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        choose_device("cuda")
    except DeviceError as error:
        pytest.skip(str(error))
    assert script["main"](["--mb", "4", "--repeats", "1"]) in (0, 1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("cuda:0")
    assert [line.split()[0] for line in lines if line[:3] in ("bsq", "bip")] == ["bsq", "bip"]


def test_without_a_gpu_it_says_so_in_one_line(
    script: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert script["main"](["--device", "cuda:99"]) == 4
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("no figures: device cuda:99: ")
