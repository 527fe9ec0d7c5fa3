"""Recipes: chains in one process that give what the commands give, or leave nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from command import done, run
from cubes import open_quietly, spectra, write_geotiff, write_large
from pipelines import SECONDS, words

CHAIN = """\
variables:
  cube:
  window: 7
input: ${cube}
output: ${out}
steps:
  - smooth: {window: "${window}", deg: 2}
  - smooth:
      window: 5
      deg: 2
      deriv: 1
      report: gains.csv
  - convert: {bands: "3:9"}
"""


@pytest.fixture
def cube(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_geotiff(tmp_path / "cube.tif", spectra(20, 60, 30), interleave="band")


def recipe(text: str) -> Path:
    """A recipe in the current folder."""
    path = Path("recipe.yaml")
    path.write_text(text)
    return path


def files() -> set[str]:
    """All that lies in the current folder, hidden or not."""
    return {path.name for path in Path().iterdir()}


def provenance(path: Path | str) -> list[dict[str, Any]]:
    """The steps that made a file."""
    found: list[dict[str, Any]] = done("info", path, "--json").json()["provenance"]
    return found


# What it makes


def test_a_chain_makes_what_its_commands_make(cube: Path) -> None:
    answer = done("run", recipe(CHAIN), f"cube={cube}", "out=made.tif")
    assert answer.out == "gains.csv\nmade.tif\n"
    report = Path("gains.csv").read_text()
    done("smooth", cube, "-w", 7, "-d", 2, "-o", "a.tif")
    slope = ("-w", 5, "-d", 2, "--deriv", 1, "--report", "gains.csv", "--overwrite")
    done("smooth", "a.tif", *slope, "-o", "b.tif")
    done("convert", "b.tif", "--bands", "3:9", "-o", "c.tif")
    assert done("diff", "made.tif", "c.tif").out.endswith("same\n")
    assert report == Path("gains.csv").read_text().replace("b.tif", "-")
    assert [s["command"] for s in provenance("made.tif")] == ["smooth", "smooth", "convert"]


def test_the_result_holds_the_recipe_and_can_be_made_again_from_it(cube: Path) -> None:
    done("run", recipe(CHAIN), f"cube={cube}", "out=made.tif", "window=9")
    first, *others = provenance("made.tif")
    held = first["recipe"]
    assert held["text"] == CHAIN
    assert held["values"] == {"cube": str(cube), "out": "made.tif", "window": "9"}
    assert not any("recipe" in step for step in others)
    Path("gains.csv").unlink()
    again = Path("again.yaml")
    again.write_text(held["text"])
    done("run", again, *(f"{k}={v}" for k, v in (held["values"] | {"out": "again.tif"}).items()))
    assert done("diff", "made.tif", "again.tif").code == 0


def test_each_output_of_a_chain_holds_the_recipe_once(cube: Path) -> None:
    steps = "steps:\n  - smooth: {w: 5, d: 2, residual: r.tif}\n  - band: {band: 4}\n"
    done("run", recipe(f"input: cube.tif\noutput: b.tif\n{steps}"))
    for name in ("r.tif", "b.tif"):
        assert ["recipe" in step for step in provenance(name)].count(True) == 1
    done("run", recipe("input: b.tif\noutput: c.tif\nsteps: [convert]\n"))
    texts = [step["recipe"]["text"] for step in provenance("c.tif") if "recipe" in step]
    assert len(texts) == 2
    assert texts[0] != texts[1]


@pytest.mark.parametrize(
    ("step", "command"),
    [
        ("attend mask: {at: '7,7', spectrum: s.csv}", ("attend", "mask", "--at", "7,7")),
        ("anomaly: {causal: 25}", ("anomaly", "--causal", "25")),
        ("anomaly: {hard: hard.tif}", ("anomaly",)),
        ("smooth: {w: auto, d: 2}", ("smooth", "-w", "auto", "-d", "2")),
        ("convert: {subset: '10,3,20,9'}", ("convert", "--subset", "10,3,20,9")),
        ("convert: {co: [TILED=YES], compress: deflate}", ("convert",)),
        ("smooth: {w: 5, d: 2, fill-gaps: true}", ("smooth", "-w", 5, "-d", 2, "--fill-gaps")),
        ("undistort: {camera: cameras.txt}", ("undistort", "--camera", "cameras.txt")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_last_steps_that_read_once_or_more_often(
    step: str, command: tuple[str, ...], cube: Path
) -> None:
    Path("cameras.txt").write_text("1 OPENCV 30 60 40 40 15 30 0.05 0 0 0\n")
    before = "  - smooth: {window: 5, deg: 2}\n"
    done("run", recipe(f"input: cube.tif\noutput: made.tif\nsteps:\n{before}  - {step}\n"))
    done("smooth", cube, "-w", 5, "-d", 2, "-o", "a.tif")
    at = 2 if command[0] == "attend" else 1
    done(*command[:at], "a.tif", *command[at:], "-o", "b.tif")
    assert done("diff", "made.tif", "b.tif").out.endswith("same\n")


@pytest.mark.parametrize(
    ("step", "command"),
    [
        ("spectrum: {at: ['3,4', '9,1']}", ("spectrum", "a.tif", "--at", "3,4", "--at", "9,1")),
        ("stats: {json: true}", ("stats", "a.tif", "--json")),
    ],
)
def test_the_last_step_may_be_a_table(step: str, command: tuple[str, ...], cube: Path) -> None:
    before = "  - smooth: {window: 5, deg: 2}\n"
    answer = done("run", recipe(f"input: cube.tif\nsteps:\n{before}  - {step}\n"))
    done("smooth", cube, "-w", 5, "-d", 2, "-o", "a.tif")
    assert answer.out == done(*command).out.replace("a.tif", "-")


def test_a_recipe_stands_in_a_pipe(cube: Path) -> None:
    path = recipe("input: '-'\noutput: '-'\nsteps:\n  - smooth: {w: 5, d: 2}\n  - convert:\n")
    done_ = subprocess.run(
        words(("run", path)), input=cube.read_bytes(), capture_output=True, check=False
    )
    assert done_.returncode == 0, done_.stderr
    Path("stream.tif").write_bytes(done_.stdout)
    done("smooth", cube, "-w", 5, "-d", 2, "-o", "a.tif")
    assert done("diff", "stream.tif", "a.tif").code == 0


def test_a_check_that_says_no_is_the_exit_code(cube: Path) -> None:
    step = "{at: '7,7', max-angle: 0, require: present}"
    answer = run(
        "run", recipe(f"input: cube.tif\noutput: m.tif\nsteps:\n  - attend mask: {step}\n")
    )
    assert answer.code == 1
    assert Path("m.tif").exists()


def test_provenance_tells_the_recipe_and_pipes_that_do_the_same(cube: Path) -> None:
    done("run", recipe(CHAIN), "cube=cube.tif", "out=made.tif")
    printed = done("provenance", "made.tif").out
    comments = [line for line in printed.splitlines() if line.startswith("# ")]
    said = ["hsitool run recipe.yaml cube=cube.tif out=made.tif window=7", *CHAIN.splitlines()]
    assert comments == [f"# {line}" for line in said]
    Path("made.tif").rename("former.tif")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    script = ["bash", "-e", "-o", "pipefail", "-c", printed]
    subprocess.run(script, check=True, env=os.environ | {"PATH": path})
    assert done("diff", "made.tif", "former.tif").code == 0


# What fails


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: the recipe is empty"),
        ("just words", "line 1: a recipe is a table"),
        ("input: a\nsteps: [smoth]\n", "line 2: there is no verb 'smoth': anomaly, attend"),
        ("input: a\ncolour: red\nsteps: [info]\n", "line 2: 'colour' is none of variables, input"),
        (
            "input: a\noutput: b\nsteps:\n- smooth:\n    widow: 7\n",
            "line 5: smooth has no option 'widow': ",
        ),
        ("input: a\nsteps:\n- smooth: {deg: 2}\n", "line 1: the recipe has no output"),
        ("input: a\noutput: b\nsteps:\n- smooth: {deg: 2}\n", "line 4: smooth: Missing option"),
        ("input: a\noutput: b\nsteps:\n- smooth:\n    w: 5\n    deg: two\n", "line 6: smooth: In"),
        ("input: a\noutput: b\nsteps:\n- smooth: {w: 5, d: 2, mode: x}\n", "line 4: smooth: Inval"),
        ("input: a\noutput: b\nsteps:\n- smooth: {w: [5, 7], d: 2}\n", "line 4: w takes one value"),
        ("input: a\noutput: b\nsteps:\n- smooth: {w: {a: 1}, d: 2}\n", "line 4: a table stands wh"),
        ("input: a\noutput: b\nsteps:\n- smooth: {w: 5, d: }\n", "line 4: no value is given"),
        ("input: a\noutput: b\nsteps:\n- smooth: {fill-gaps: 1}\n", "fill-gaps is true or false"),
        ("input: a\noutput: b\nsteps:\n- smooth: {w: 5, window: 7}\n", "given twice, by two names"),
        (
            "input: a\noutput: b\nsteps:\n- smooth: {w: 5,\n    w: 7}\n",
            "line 5: 'w' is given twice",
        ),
        ("input: a\noutput: b\nsteps:\n- convert: {output: c}\n", "output has no place in a step"),
        ("input: a\noutput: b\nsteps:\n- convert: {threads: 1}\n", "is an option of hsitool run"),
        ("input: a\noutput: b\nsteps:\n- info\n- convert\n", "line 4: info gives no cube"),
        ("input: a\noutput: b\nsteps:\n- camera diff\n", "line 4: camera diff does not take a cub"),
        ("input: a\noutput: b\nsteps:\n- convert\n- info\n", "line 2: info prints its answer"),
        ("input: a\noutput: b\nsteps:\n- convert\n- convert: {data: x}\n", "line 5: data belongs"),
        ("input: a\noutput: b\nsteps: convert\n", "line 3: steps is a list"),
        ("input: a\nsteps:\n- [info]\n", "line 3: a step is one verb"),
        ("steps: [info]\n", "line 1: the recipe has no input"),
        ("input: a\n", "line 1: the recipe has no steps"),
        (
            "input: !!python/object/apply:os.system ['touch hacked']\n",
            "line 1: the tag tag:yaml.org",
        ),
        ("input: !include other.yaml\nsteps: [info]\n", "line 1: the tag !include"),
        ("input: &a x\nsteps: [info]\n", "line 1: the anchor &a"),
        ("input: a\nsteps: *b\n", "line 2: the alias *b"),
        ("input: a\n---\ninput: b\n", "line 2: a second document"),
        ("input: a\nsteps: [\n", "line 3: is not YAML"),
        ("input: [[[[[[[[[[[[a]]]]]]]]]]]]\n", "line 1: more entries, or deeper ones"),
        ("[" * 50_000, "line 1: "),
        ("input: a\nsteps:\n" + "- info\n" * 33, "line 2: more than 32 steps"),
        ("input: ${cube}\nsteps: [info]\n", "line 1: ${cube} has no value: give cube=VALUE"),
        ("input: $(touch hacked)\nsteps: [info]\n", "line 1: '$(touch hacked)': write ${name}"),
        ("input: ${a b}\nsteps: [info]\n", "line 1: '${a b}': write ${name}"),
        ("variables:\n  a: 1\n  b: 2\ninput: ${a}\nsteps: [info]\n", "line 3: the variable b is"),
        ("variables: [a]\ninput: b\nsteps: [info]\n", "line 1: variables is a table"),
        ("variables:\n  a: [1]\ninput: b\nsteps: [info]\n", "line 2: the default of a is no singl"),
    ],
    ids=range(40),
)
def test_what_is_no_recipe_is_told_with_its_line(text: str, said: str, cube: Path) -> None:
    path, before = recipe(text), files()
    answer = run("run", path)
    assert answer.code == 2, answer.err
    assert answer.err.startswith("hsitool: error: recipe.yaml, line ")
    assert said in answer.err
    assert answer.err.count("\n") == 1
    assert files() == before


def test_nothing_in_a_recipe_reaches_a_shell(cube: Path) -> None:
    name = "`touch hacked`; $$(touch hacked) | x"
    answer = run("run", recipe(f"input: '{name}'\noutput: '~/x'\nsteps: [convert]\n"))
    assert answer.code == 3
    assert "`touch hacked`; $(touch hacked) | x: cannot be read" in answer.err
    assert "hacked" not in files()
    Path("~").mkdir()
    done("run", recipe("input: ${a}\noutput: '~/${b}'\nsteps: [convert]\n"), "a=cube.tif", "b=${a}")
    assert Path("~/${a}").exists()  # neither a home folder, nor a variable in a variable


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["cube"], "'cube' is not NAME=VALUE"),
        (["cube=a", "cube=b"], "cube is given twice"),
        (["cube=a", "out=b", "wndow=7"], "recipe.yaml uses no variable wndow: its variables are"),
    ],
)
def test_values_that_the_recipe_does_not_want(values: list[str], said: str, cube: Path) -> None:
    answer = run("run", recipe(CHAIN), *values)
    assert answer.code == 2
    assert said in answer.err


def test_a_recipe_that_is_too_large_is_not_read(cube: Path) -> None:
    answer = run("run", recipe("#" * 200_000))
    assert answer.code == 3
    assert "are more than a recipe holds" in answer.err


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("- smooth: {w: 6, d: 2}\n- convert", "line 4: smooth: window 6 is even"),
        (
            "- smooth: {w: 5, d: 2, report: g.csv}\n- convert: {subset: '0,0,99,9'}",
            "line 5: convert: subset 0,0,99,9",
        ),
        ("- smooth: {w: 5, d: 2, residual: r.tif}\n- band: {band: 99}", "line 5: band: "),
        ("- convert\n- detect: {target: absent.csv}\n- convert", "line 5: detect: absent.csv"),
        ("- smooth: {w: 5, d: 2, report: g.csv}\n- smooth: {w: 5, d: 2, report: g.csv}", "g.csv"),
    ],
)
def test_a_step_that_fails_leaves_no_file_of_any_step(steps: str, said: str, cube: Path) -> None:
    path = recipe(f"input: cube.tif\noutput: o.tif\nsteps:\n{steps}\n")
    before = files()
    answer = run("run", path)
    assert answer.code in (2, 3)
    assert said in answer.err
    assert answer.out == ""
    assert answer.err.count("\n") == 1
    assert files() == before


def test_a_failure_at_the_very_end_leaves_no_file_of_any_step(cube: Path) -> None:
    array = spectra(20, 60, 30)
    array[-1, -1, -1] = 9999  # fits no uint8
    write_geotiff(cube, array)
    steps = "- convert: {bands: '1:20'}\n- anomaly: {causal: 25, hard: hard.tif}\n"
    done("run", recipe(f"input: cube.tif\noutput: o.tif\nsteps:\n{steps}"))
    Path("o.tif").unlink()
    Path("hard.tif").unlink()
    steps = "- smooth: {w: 5, d: 2, residual: r.tif, report: g.csv}\n- convert: {dtype: uint8}\n"
    path = recipe(f"input: cube.tif\noutput: o.tif\nsteps:\n{steps}")
    before = files()
    answer = run("run", path, "--max-memory", "305MB")
    assert answer.code == 3
    assert "line 5: convert: a sample of " in answer.err
    assert (answer.out, files()) == ("", before)


def test_outputs_that_exist_are_kept(cube: Path) -> None:
    path = recipe("input: cube.tif\noutput: o.tif\nsteps:\n- smooth: {w: 5, d: 2}\n- convert\n")
    Path("o.tif").write_bytes(b"former")
    answer = run("run", path)
    assert (answer.code, Path("o.tif").read_bytes()) == (2, b"former")
    done("run", path, "--overwrite")
    with open_quietly("o.tif") as dataset:
        assert dataset.count == 20


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_steps_and_leaves_nothing(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_large(tmp_path / "cube.tif", "tif-pixel-strip", 0.1)
    steps = "- smooth: {w: 5, d: 2, residual: r.tif}\n- smooth: {w: 5, d: 2}\n- convert\n"
    path, before = recipe(f"input: cube.tif\noutput: o.tif\nsteps:\n{steps}"), files()
    process = subprocess.Popen(
        words(("run", path, "--threads", 1, "--max-memory", "250MB")),
        stderr=subprocess.PIPE,
        text=True,
    )
    while not list(tmp_path.glob(".o.tif*/pixels")) and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(number)
    _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 128 + number
    assert errors.count("\n") == 1
    assert "no unfinished file is left" in errors
    assert files() == before


def test_a_killed_run_leaves_parts_that_the_next_one_removes(cube: Path) -> None:
    steps = "- smooth: {w: 5, d: 2}\n- convert\n"
    path = recipe(f"input: cube.tif\noutput: o.tif\nsteps:\n{steps}")
    script = (
        "import os, signal, sys; from hsitool.storage.atomic import Postponed\n"
        "Postponed.appear = lambda self: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from hsitool.cli.main import main; sys.argv = ['hsitool', 'run', sys.argv[1]]; main()"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not Path("o.tif").exists()
    done("run", path)
    assert files() == {"cube.tif", "recipe.yaml", "o.tif"}


# The plan


def test_the_plan_says_sizes_and_makes_nothing(cube: Path) -> None:
    path, before = recipe(CHAIN), files()
    answer = done("run", path, "cube=cube.tif", "out=made.tif", "--dry-run")
    assert answer.out == (
        "input   cube.tif: 20 bands x 60 rows x 30 columns, float32, 0.144 MB\n"
        "step 1  smooth --window=7 --deg=2\n"
        "        handed on: 20 bands x 60 rows x 30 columns, float32, 0.144 MB\n"
        "step 2  smooth --window=5 --deg=2 --deriv=1 --report=gains.csv\n"
        "        handed on: 20 bands x 60 rows x 30 columns, float32, 0.144 MB\n"
        "step 3  convert --bands=3:9\n"
        "        to made.tif: 7 bands x 60 rows x 30 columns, float32, 0.050 MB\n"
        "memory  512 MB: 271 MB for each step, the process included\n"
    )
    assert files() == before


def test_the_plan_says_what_has_to_be_kept(cube: Path) -> None:
    steps = "- smooth: {w: 5, d: 2}\n- attend mask: {at: '1,1'}\n"
    text = f"input: cube.tif\noutput: m.tif\nsteps:\n{steps}"
    answer = done("run", recipe(text), "--dry-run")
    assert "reads its input more than once: a temporary file (0.144 MB)\n" in answer.out
    assert "what it makes is known only when its input has been read" in answer.out


def test_a_plan_refuses_what_the_run_would(cube: Path) -> None:
    text = "input: cube.tif\noutput: m.tif\nsteps:\n- convert\n- smooth: {w: 6, d: 2}\n"
    answer = run("run", recipe(text), "--dry-run")
    assert answer.code == 2
    assert "line 5: smooth: window 6 is even" in answer.err


# Memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measures as Linux does")
def test_memory_is_bounded_by_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_large(tmp_path / "cube.tif", "tif-pixel-strip", 0.3)
    steps = "- smooth: {w: 5, d: 2}\n" * 2 + "- convert\n"
    path = recipe(f"input: cube.tif\noutput: o.tif\nsteps:\n{steps}")
    script = (
        "import os, subprocess, sys; p = subprocess.Popen(sys.argv[1:])\n"
        "_, status, usage = os.wait4(p.pid, 0); assert status == 0; print(usage.ru_maxrss)"
    )
    command = [sys.executable, "-c", script, *words(("run", path, "--max-memory", "260MB", "-q"))]
    output = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    peak = int(output.stdout.split()[-1]) * 1024
    print(json.dumps({"peak_mb": peak / 1e6}))
    assert peak <= 260e6
