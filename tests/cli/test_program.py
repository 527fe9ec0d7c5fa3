"""The program as a process: help, version, start-up, completion, pipes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cubes
import pytest

import hsitool

VERBS = ("info", "convert", "diff", "band", "spectrum", "smooth", "tune", "calib", "attend mask")
HELP_SECONDS = 0.25
"""CPU time that a page of help may take."""


def start(
    *words: object, folder: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run `python -m hsitool` as a user does."""
    plain = {"COLUMNS": "100", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
    environment = {k: v for k, v in os.environ.items() if k != "_HSITOOL_COMPLETE"}
    return subprocess.run(
        [sys.executable, "-m", "hsitool", *map(str, words)],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
        cwd=folder,
        env=environment | plain | variables,
    )


def cpu_seconds(*words: str) -> float:
    """CPU time of a process, in the kernel's count."""
    before = os.times()
    assert start(*words).returncode == 0
    after = os.times()
    used = after.children_user + after.children_system
    return used - before.children_user - before.children_system


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_answers_quickly(verb: str) -> None:
    words = [*verb.split(), "--help"]
    seconds = [cpu_seconds(*words)]
    while min(seconds) > HELP_SECONDS and len(seconds) < 5:
        seconds.append(cpu_seconds(*words))
    assert min(seconds) <= HELP_SECONDS


def test_lists_of_verbs_say_what_their_help_says() -> None:
    from typer.main import get_command

    from hsitool.cli.verbs import VERBS, every_verb

    found = {}
    for name, command in get_command(every_verb()).commands.items():
        members = {f"{name} {n}": c for n, c in getattr(command, "commands", {}).items()}
        found |= members or {name: command}
    assert {n: " ".join(c.help.split("\n\n")[0].split()) for n, c in found.items()} == VERBS


def test_a_verb_is_found_behind_dashes() -> None:
    assert start("--", "info", "absent.tif").stderr.startswith("hsitool: error: absent.tif")


@pytest.mark.parametrize("verb", VERBS)
def test_help_says_what_a_verb_does_and_shows_an_example(verb: str) -> None:
    answer = start(*verb.split(), "--help")
    assert answer.stderr == ""
    lines = answer.stdout.splitlines()
    assert any(line.strip().startswith(f"Example:  hsitool {verb} ") for line in lines)
    assert f"Usage: hsitool {verb} [OPTIONS]" in answer.stdout
    assert max(map(len, lines)) <= 100
    options = [line.split()[0] for line in lines if line.startswith("  -")]
    assert len(options) >= 4
    described = [line for line in lines if line.startswith("  -") and len(line.split("  ")) > 1]
    assert described


def test_help_lists_all_verbs_with_a_line_each() -> None:
    answer = start("--help")
    assert "Example:  hsitool smooth" in answer.stdout
    for verb in (verb for verb in VERBS if " " not in verb):
        (line,) = (line for line in answer.stdout.splitlines() if line.startswith(f"  {verb} "))
        assert len(line.split()) > 3
    assert start("-h").stdout == answer.stdout


def test_without_a_verb_help_goes_to_standard_error() -> None:
    answer = start()
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "Usage: hsitool" in answer.stderr


@pytest.mark.parametrize("words", [["smoothe"], ["info"], ["info", "a", "b"], ["--odd"]])
def test_wrong_words_are_refused_in_one_line(words: list[str]) -> None:
    answer = start(*words)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith("hsitool: error: ")
    assert answer.stderr.count("\n") == 1


def test_version() -> None:
    answer = start("--version")
    assert (answer.returncode, answer.stdout) == (0, f"hsitool {hsitool.__version__}\n")
    script = Path(sys.executable).with_name("hsitool")
    if script.exists():
        found = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
        assert found.stdout == answer.stdout


def test_the_command_line_loads_no_heavy_library() -> None:
    heavy = ("numpy", "scipy", "rasterio", "cv2", "cupy", "matplotlib")
    code = (
        "import sys, hsitool.cli.main as main\n"
        "sys.argv = ['hsitool', 'smooth', '--help']\n"
        "try:\n    main.main()\nexcept SystemExit:\n    pass\n"
        f"sys.stderr.write(' '.join(m for m in {heavy!r} if m in sys.modules))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "--window" in answer.stdout
    assert answer.stderr == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_shown(shell: str, tmp_path: Path) -> None:
    answer = start("--show-completion", shell, HOME=str(tmp_path))
    assert answer.returncode == 0
    assert "_HSITOOL_COMPLETE" in answer.stdout


def test_completion_is_installed(tmp_path: Path) -> None:
    answer = start("--install-completion", "bash", HOME=str(tmp_path))
    assert answer.returncode == 0, answer.stderr
    scripts = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any("_HSITOOL_COMPLETE" in path.read_text() for path in scripts)
    assert (tmp_path / ".bashrc").is_file()


def test_completion_completes() -> None:
    code = "from hsitool.cli.main import main; import sys; sys.argv = ['hsitool']; main()"
    variables = {
        "_HSITOOL_COMPLETE": "complete_bash",
        "COMP_WORDS": "hsitool sm",
        "COMP_CWORD": "1",
    }
    answer = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | variables,
    )
    assert answer.stdout.split() == ["smooth"], answer.stderr


SWALLOWS = """
import os, signal, sys, time
import hsitool.cli.main as program

def swallow(*_):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
    except BaseException:
        {then}
    try:
        time.sleep(10)
    finally:
        time.sleep(0.2)
        print("cleared away")
    return 0

program._carry_out = swallow
program.main()
"""


@pytest.mark.parametrize(
    ("then", "cleared"), [("pass", "cleared away\n"), ("raise ImportError from None", "")]
)
def test_a_stop_that_a_library_swallows_stops_all_the_same(then: str, cleared: str) -> None:
    words = [sys.executable, "-c", SWALLOWS.format(then=then)]
    answer = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
    assert (answer.returncode, answer.stdout) == (143, cleared)
    assert answer.stderr == "hsitool: error: terminated: no unfinished file is left\n"


@pytest.fixture
def many_bands(tmp_path: Path) -> Path:
    """A cube whose report is longer than a pipe holds."""
    array = cubes.spectra(3000, 1, 1, "uint8")
    return cubes.write_envi(tmp_path / "many", array, items={"band names": _names(3000)})


def _names(bands: int) -> str:
    return cubes.listed(
        [f"a band with a long name, number {b}".replace(",", "") for b in range(bands)]
    )


@pytest.mark.parametrize("words", [["info"], ["info", "--json"], ["spectrum", "--at", "0,0"]])
def test_a_reader_that_goes_ends_the_program_quietly(words: list[str], many_bands: Path) -> None:
    # Through bash: its PIPESTATUS tells the exit code of the first program.
    line = f"'{sys.executable}' -m hsitool {words[0]} '{many_bands}' {' '.join(words[1:])}"
    script = f"{line} | head -c 10 >/dev/null; echo ${{PIPESTATUS[0]}}"
    answer = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert answer.stderr == ""
    assert answer.stdout in ("141\n", "0\n")


def test_a_full_standard_output_is_an_error(many_bands: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    with full.open("w") as out:
        answer = subprocess.run(
            [sys.executable, "-m", "hsitool", "info", many_bands],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert answer.returncode == 3
    assert "No space left" in answer.stderr
    assert answer.stderr.count("\n") == 1


@pytest.mark.parametrize("closing", ["2>&-", "2>/dev/full"])
def test_an_answer_needs_no_standard_error(closing: str) -> None:
    list_ = Path(__file__).resolve().parents[2] / "data" / "corners.csv"
    line = f"'{sys.executable}' -m hsitool calib '{list_}' --board 9x6 {closing}"
    answer = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.startswith("fx and fy are equal")


def test_a_gate_needs_no_standard_output() -> None:
    list_ = Path(__file__).resolve().parents[2] / "data" / "corners.csv"
    line = f"'{sys.executable}' -m hsitool calib '{list_}' --board 9x6 -q --max-rms 0.1 >&-"
    answer = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert answer.stderr.startswith("hsitool: --max-rms 0.1: the RMS is")


def test_standard_error_holds_one_line_and_no_words_of_gdal(tmp_path: Path) -> None:
    path = tmp_path / "cut.tif"
    cubes.write_geotiff(path, cubes.spectra(12, 64, 64), compress="deflate", blocks=("tile", 16))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    answer = start("smooth", path, "-w5", "-d2", folder=tmp_path)
    assert answer.returncode == 3
    assert answer.stdout == ""
    assert answer.stderr.startswith("hsitool: error: ")
    assert answer.stderr.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cut.tif"]


@pytest.mark.parametrize("quiet", [True, False])
def test_progress_shows_on_a_terminal_unless_quiet(quiet: bool, tmp_path: Path) -> None:
    path = cubes.write_geotiff(tmp_path / "in.tif", cubes.spectra(12, 64, 64))
    words = ["smooth", path, "-w5", "-d2", "-o", tmp_path / "out.tif", *["--quiet"] * quiet]
    ours, theirs = os.openpty()
    answer = subprocess.run(
        [sys.executable, "-m", "hsitool", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        check=True,
        timeout=60,
    )
    os.write(theirs, b"the end\n")
    os.close(theirs)
    said = os.read(ours, 65536)
    os.close(ours)
    assert answer.stdout == f"{tmp_path / 'out.tif'}\n"
    assert (b"100%" in said) is not quiet
    assert said.startswith(b"the end") is quiet
