import runpy
from pathlib import Path

import pytest


def test_operator_speed_prints_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    script = runpy.run_path(str(Path(__file__).with_name("operator_speed.py")))
    script["main"](["--mb", "0.2", "--repeats", "1", "--only", "deriv 1"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 6
    assert all(float(line.split()[-1]) > 0 for line in lines[1:])
