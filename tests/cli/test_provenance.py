"""`hsitool provenance`: the lines that made a file make it again."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import cubes
import pytest
from command import done, run

from hsitool.storage.readers import open_cube
from hsitool.storage.writers import create_cube
from hsitool.tasks.convert import convert
from hsitool.tasks.history import line_of, quoted


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cube whose name a shell would take apart, in the current folder."""
    monkeypatch.chdir(tmp_path)
    array = cubes.spectra(12, 9, 11, "float32")
    cubes.write_geotiff(Path("a $(b) 'c'.tif"), array, wavelength_nm=cubes.wavelengths(12))
    return tmp_path


CUBE = "a $(b) 'c'.tif"


def lines(made: str) -> list[str]:
    return done("provenance", made).out.splitlines()


def carried_out(made: list[str], folder: Path) -> None:
    """Paste lines into a shell."""
    scripts = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{scripts}:{os.environ['PATH']}"}
    subprocess.run(
        ["bash", "-e"],
        input="\n".join(made),
        text=True,
        check=True,
        env=environment,
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    ("words", "option", "line"),
    [
        (("smooth", "-w5", "-d", 2), "-o", "--window 5 --deg 2 --output out.tif"),
        (
            ("smooth", "-w", "30nm", "-d1", "--fill-gaps", "--delta", "9nm", "--threads", 1),
            "-o",
            None,
        ),
        (
            ("smooth", "-w5", "-d2", "-o", "x.tif"),
            "--residual",
            "--window 5 --deg 2 --residual out.tif",
        ),
        (("convert", "--dtype", "float64", "--nodata", "-9999"), "-o", None),
        (("convert", "--bands", "500nm:600nm", "--co", "TILED=YES"), "-o", None),
        (("band", "-b", "600nm"), "-o", "--band 600nm --output out.tif"),
        (("anomaly", "--shrink", "oas", "-o", "x.tif"), "--hard", "--shrink oas --hard out.tif"),
        (("attend", "mask", "--at", "1,2", "--score", "sam"), "--masked", None),
    ],
)
def test_the_line_makes_the_same_bytes(
    folder: Path, words: tuple[object, ...], option: str, line: str | None
) -> None:
    done(*words, CUBE, option, "out.tif", "-q")
    (told,) = lines("out.tif")
    if line is not None:
        assert told.endswith(line)
    assert shlex.split(told)[len(words[:1]) :].count(CUBE) == 1
    made = Path("out.tif").read_bytes()
    for path in Path().glob("*.tif"):
        if path.name != CUBE:
            path.unlink()
    carried_out([told], folder)
    assert Path("out.tif").read_bytes() == made


def test_each_of_several_outputs_has_its_own_line(folder: Path) -> None:
    files = ("--deriv", 0, "--deriv", 1, "-o", "d0.tif", "-o", "d1.tif", "--residual", "r.tif")
    sigma = ("--sigma-out", "s0.tif", "--sigma-out", "s1.tif", "--sigma-out", "sr.tif")
    import numpy as np

    np.save("noise.npy", np.eye(12))
    done("smooth", CUBE, "-w5", "-d2", *files, *sigma, "--noise-cov", "noise.npy", "-q")
    made = {path.name: path.read_bytes() for path in Path().glob("??.tif")} | {
        "r.tif": Path("r.tif").read_bytes()
    }
    told = {name: lines(name) for name in made}
    assert "--deriv 1 --output d1.tif" in told["d1.tif"][0]
    assert "--deriv 0" not in told["d1.tif"][0]
    for name, content in made.items():
        again = folder / f"again_{name}"
        again.mkdir()
        shutil.copy(CUBE, again)
        shutil.copy("noise.npy", again)
        carried_out(told[name], again)
        assert (again / name).read_bytes() == content


def test_a_chain_has_one_line_a_step_in_order(folder: Path) -> None:
    done("smooth", CUBE, "-w5", "-d2", "-o", "one.tif", "-q")
    done("band", "one.tif", "-b3", "-o", "two.img", "-q")
    done("convert", "two.img", "-o", "./three.tif", "-q")
    told = lines("three.tif")
    assert [shlex.split(line)[-1] for line in told] == ["one.tif", "two.img", "three.tif"]
    made = Path("three.tif").read_bytes()
    for name in ("one.tif", "two.img", "two.hdr", "three.tif"):
        Path(name).unlink()
    carried_out(told, folder)
    assert Path("three.tif").read_bytes() == made


def test_a_scene_of_many_has_the_line_of_one(folder: Path) -> None:
    shutil.copy(CUBE, "b.tif")
    done("smooth", CUBE, "b.tif", "-w5", "-d2", "--out-dir", "out", "--jobs", 2, "-q")
    assert lines("out/b.tif") == ["hsitool smooth b.tif --window 5 --deg 2 --output out/b.tif"]


def test_scene_models_have_lines_too(folder: Path) -> None:
    shutil.copy(CUBE, "b.tif")
    done("stats", "b.tif", "--bands", "1:5", "-o", "m.npz", "-q")
    assert lines("m.npz") == ["hsitool stats b.tif --bands 1:5 --output m.npz"]


def test_for_programs(folder: Path) -> None:
    done("band", CUBE, "-b3", "-o", "one.tif", "-q")
    found = done("provenance", "one.tif", "--json").json()
    assert found["file"] == "one.tif"
    (step,) = found["steps"]
    assert step["command"] == "band"
    assert step["settings"] == {"band": 3}
    assert step["line"] == lines("one.tif")[0]
    assert shlex.split(step["line"]) == ["hsitool", "band", *step["arguments"], "one.tif"]


def test_steps_from_python_are_comments(folder: Path) -> None:
    with open_cube(CUBE) as source:
        convert(source, Path("one.tif"))
    done("band", "one.tif", "-b3", "-o", "two.tif", "-q")
    first, second = lines("two.tif")
    assert first.startswith("# convert of a $(b) 'c'.tif by hsitool ")
    assert second == "hsitool band one.tif --band 3 --output two.tif"
    carried_out([first], folder)


def test_a_file_of_another_program_is_refused(folder: Path) -> None:
    answer = run("provenance", CUBE)
    assert (answer.code, answer.out) == (3, "")
    assert "does not say what made it" in answer.err
    assert run("provenance", "absent.tif").code == 3
    Path("text").write_text("text")
    assert run("provenance", "text").code == 3


HOSTILE = [
    {
        "command": "band; touch owned",
        "arguments": ["$(touch owned)", "`touch owned`\n", "--output"],
    },
    {"command": "band\ntouch owned", "input": "x\ntouch owned"},
    {"command": ["touch owned"], "arguments": "touch owned", "tool": "\x1b[2J\ntouch owned"},
    {"command": "band", "arguments": [1, {"touch": "owned"}], "settings": "\ntouch owned"},
    {"command": "band", "arguments": ["-rf", "\x1b]0;owned\x07", "\ud83d\ude00", "--output"]},
    {},
]


@pytest.mark.parametrize("step", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_file_runs_nothing_and_controls_no_terminal(
    folder: Path, step: dict[str, object]
) -> None:
    step = json.loads(json.dumps(step))
    with open_cube(CUBE) as source:
        info = source.info.replace(provenance=(step,))
        with create_cube(Path("bad.tif"), info, source.layout) as sink:
            sink.write(source.info.whole, source.read(source.info.whole))
    told = done("provenance", "bad.tif").out
    assert told.count("\n") == 1
    assert told.rstrip("\n").isprintable()
    script = told.replace("hsitool", "true", 1)
    subprocess.run(["bash"], input=script, text=True, check=False, cwd=folder)
    assert not Path("owned").exists()


@pytest.mark.parametrize(
    "word", ["a b", "it's", "\n", "\x1b[31m", "é\n'\\", "-", "", "~", "$x", "\udcff"]
)
def test_a_shell_reads_words_back(word: str) -> None:
    script = f"printf %s {quoted(word)}"
    told = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout
    assert told == word.encode("utf-8", "surrogateescape")


def test_a_name_like_an_option_is_a_file() -> None:
    step = {"command": "band", "arguments": ["-x.tif", "--band", "1", "--output"]}
    assert line_of(step, "-y.tif") == "hsitool band ./-x.tif --band 1 --output ./-y.tif"
    assert line_of(step, "-") == "hsitool band ./-x.tif --band 1 --output - |"
