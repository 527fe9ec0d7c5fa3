"""The benchmark of detection runs: tiny, and in full size (`-m slow`) for its limits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("detection_speed.py")


def table(*options: str, limits: bool = False) -> dict[str, list[str]]:
    """The rows that it prints, by their first cell."""
    words = [sys.executable, str(SCRIPT), *options]
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    assert result.returncode in ((0,) if limits else (0, 1)), result.stdout + result.stderr
    assert "Traceback" not in result.stderr, result.stderr
    lines = [line for line in result.stdout.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    return {row[0]: row[1:] for row in rows}


def test_a_tiny_run() -> None:
    rows = table("--images", "2", "--megapixels", "0.6", "--runs", "1")
    assert len(rows) == 26
    assert all(float(cells[0]) > 0 for cells in rows.values())


@pytest.mark.slow
def test_the_limits_are_kept() -> None:
    assert table(limits=True)
