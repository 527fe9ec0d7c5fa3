"""The README's examples are real: each is run, and prints what the README shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
CONSOLES = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
OMITTED = "..."
"""A line in an example that stands for any number of lines."""


def steps(console: str) -> list[tuple[str, str]]:
    """(command, output) pairs of an example."""
    parts = re.split(r"^\$ (.*)\n", console, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def run(command: str, folder: Path) -> str:
    """What a shell in `folder` prints, both streams in order."""
    scripts = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{scripts}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sample data, in which the examples follow one another."""
    made = tmp_path_factory.mktemp("readme")
    (made / "data").symlink_to(CHECKOUT / "data")
    return made


@pytest.mark.parametrize("console", CONSOLES, ids=range(len(CONSOLES)))
def test_examples_print_what_the_readme_shows(console: str, folder: Path) -> None:
    assert steps(console), "an example without a command"
    for command, expected in steps(console):
        pattern = ".*".join(re.escape(part) for part in expected.split(OMITTED + "\n"))
        printed = run(command, folder)
        assert re.fullmatch(pattern, printed, re.DOTALL), f"$ {command}\n{printed}"


def test_every_verb_has_an_example(folder: Path) -> None:
    commands = " ".join(command for console in CONSOLES for command, _ in steps(console))
    listed = run("hsitool --help", folder).partition("Commands:")[2].partition("Example:")[0]
    verbs = re.findall(r"^  (\w+)", listed, re.MULTILINE)
    assert "smooth" in verbs
    assert all(f"hsitool {verb}" in commands for verb in verbs)
