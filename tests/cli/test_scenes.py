"""Many scenes in one run: names, failures, what is finished already, and what is refused."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import cubes
import numpy as np
import pytest
from command import Answer, done, run

SMOOTH = ("-w", 5, "-d", 2)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five small scenes of different pixels in `in`: GeoTIFFs and ENVI files."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for number in range(5):
        array = cubes.spectra(12, 9, 11, "float32", seed=number)
        centres = cubes.wavelengths(12)
        if number % 2:
            items = {"wavelength": f"{{{', '.join(map(repr, centres))}}}"}
            items["wavelength units"] = "Nanometers"
            stem = Path(f"in/s{number}")
            cubes.write_envi(stem, array, interleave="bil", items=items, extension=".img")
        else:
            cubes.write_geotiff(Path(f"in/s{number}.tif"), array, wavelength_nm=centres)
    return tmp_path


def scenes() -> list[Path]:
    """What a user's pattern `in/s?.{tif,hdr}` gives, in order."""
    return sorted(path for path in Path("in").iterdir() if path.suffix in (".tif", ".hdr"))


def contents(folder: str) -> dict[str, bytes]:
    """All files, hidden ones too."""
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


VERBS: dict[str, tuple[object, ...]] = {
    "smooth": ("smooth", *SMOOTH),
    "convert": ("convert", "--dtype", "float64"),
    "band": ("band", "-b", 3),
    "attend warp": ("attend", "warp", "--at", "3,3", "--zoom", 2, "--rotate", 17, "--size", 6),
    "detect": ("detect", "--target", "query.csv", "--method", "sam"),
    "anomaly": ("anomaly", "--hard", "odd.tif"),
    "attend mask": ("attend", "mask", "--at", "1,2", "--score", "sam", "--hard", "top.tif"),
}
MORE = {"anomaly": ["odd.tif"], "attend mask": ["top.tif"]}


def query() -> None:
    rows = "".join(f"{w},{0.3 + 0.01 * n}\n" for n, w in enumerate(cubes.wavelengths(12)))
    Path("query.csv").write_text("wavelength_nm,reflectance\n" + rows)


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_does_to_many_what_it_does_to_one(folder: Path, verb: str) -> None:
    query()
    words = (*VERBS[verb], "-q")
    told = done(*words, *scenes(), "--out-dir", "out", "--jobs", 2).out.splitlines()
    names = ["", *(f"_{name.removesuffix('.tif')}" for name in MORE.get(verb, []))]
    assert told == [f"out/s{number}{name}.tif" for number in range(5) for name in names]
    for number, scene in enumerate(scenes()):
        options = [f"single{name}.tif" for name in names]
        named = {"odd.tif": options[-1], "top.tif": options[-1]}
        again = [named.get(str(word), word) for word in words]
        done(*again, scene, "-o", options[0], "--overwrite")
        for name, option in zip(names, options, strict=True):
            made = Path(f"out/s{number}{name}.tif").read_bytes()
            assert made == Path(option).read_bytes()


def test_undistort_writes_a_camera_for_each(folder: Path) -> None:
    camera = Path("pinhole.yaml")
    camera.write_text(
        "image_width: 11\nimage_height: 9\ncamera_name: a\n"
        "camera_matrix: {rows: 3, cols: 3, data: [20, 0, 5, 0, 20, 4, 0, 0, 1]}\n"
        "distortion_model: plumb_bob\n"
        "distortion_coefficients: {rows: 1, cols: 5, data: [0.01, 0, 0, 0, 0]}\n"
    )
    words = ("undistort", *scenes()[:2], "--camera", camera, "--camera-out", "new.yaml", "-q")
    told = done(*words, "--out-dir", "out").out.splitlines()
    assert told == ["out/s0.tif", "out/s0_new.yaml", "out/s1.tif", "out/s1_new.yaml"]


def test_several_outputs_have_the_scene_in_front(folder: Path) -> None:
    words = ("smooth", *scenes()[:2], *SMOOTH, "--deriv", 0, "--deriv", 1, "-q")
    files = ("-o", "d0.tif", "-o", "d1.img", "--residual", "rest.tif", "--report", "gain.csv")
    told = done(*words, *files, "--out-dir", "out").out.splitlines()
    kinds = ("d0.tif", "d1.img", "rest.tif", "gain.csv")
    assert told == [f"out/s{n}_{kind}" for n in (0, 1) for kind in kinds]
    assert all(Path(name).is_file() for name in told)


def test_one_cube_may_have_a_folder_and_many_may_have_none(folder: Path) -> None:
    assert done("band", scenes()[0], "-b1", "--out-dir", "out", "-q").out == "out/s0.tif\n"
    told = done("band", *scenes()[:2], "-b1", "-q", "--format", "envi").out
    assert told == "s0_band.img\ns1_band.img\n"


def test_pairs_that_a_pattern_gives_twice_are_taken_once(folder: Path) -> None:
    both = sorted(Path("in").iterdir())
    answer = done("band", *both, "-b1", "--out-dir", "out")
    assert answer.out.splitlines() == [f"out/s{n}.tif" for n in range(5)]
    assert "2 files belong to cubes that are given already: taken once" in answer.err


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_bad_scene_changes_nothing_for_the_others(folder: Path, jobs: int) -> None:
    words = ("smooth", *scenes(), *SMOOTH, "-j", jobs)
    done(*words, "--out-dir", "whole")
    expected = contents("whole")
    Path("in/s2.tif").write_bytes(Path("in/s2.tif").read_bytes()[:2000])
    answer = run(*words, "--out-dir", "out", "--keep-going")
    assert answer.code == 3
    assert answer.out.splitlines() == [f"out/s{n}.tif" for n in (0, 1, 3, 4)]
    *_, failed, last = answer.err.splitlines()
    assert failed.startswith("hsitool: failed: in/s2.tif: ")
    assert last == "hsitool: error: 1 of 5 scenes failed; the others are done"
    del expected["s2.tif"]
    assert contents("out") == expected


@pytest.mark.parametrize("jobs", [1, 3])
def test_the_first_failure_ends_the_run(folder: Path, jobs: int) -> None:
    Path("in/s0.tif").write_text("no cube")
    answer = run("smooth", *scenes(), *SMOOTH, "--out-dir", "out", "--jobs", jobs)
    assert answer.code == 3
    assert "error: in/s0.tif: " in answer.err.splitlines()[-1]
    made = contents("out")
    assert sorted(f"out/{name}" for name in made) == answer.out.splitlines()
    assert len(made) <= jobs - 1
    assert not any(name.startswith(".") for name in made)


def test_a_failure_keeps_its_exit_code_and_names_its_scene(folder: Path) -> None:
    array = cubes.spectra(2, 9, 11, "float32")
    cubes.write_geotiff(Path("in/s2.tif"), array)
    answer = run("band", *scenes(), "-b", 7, "--out-dir", "out", "-q")
    assert answer.code == 2
    assert answer.err.startswith("hsitool: error: in/s2.tif: band 7 does not exist")


def test_reports_of_many_are_one_document(folder: Path) -> None:
    Path("in/s4.tif").write_text("no cube")
    words = ("anomaly", *scenes(), "--json", "--out-dir", "out", "-q", "--keep-going")
    answer = run(*words)
    found = answer.json()
    assert answer.code == 3
    assert [one["output"] for one in found["scenes"]] == [f"out/s{n}.tif" for n in range(4)]
    assert [one["cube"] for one in found["failed"]] == ["in/s4.tif"]
    assert found["finished_already"] == 0
    assert run(*words, "--resume").json()["finished_already"] == 4


def test_a_query_that_may_be_absent_from_one_scene(folder: Path) -> None:
    query()
    words = ("attend", "mask", *scenes(), "--query", "query.csv", "--score", "sam", "-q")
    more = ("--max-angle", 0, "--require", "present", "--out-dir", "out")
    answer = run(*words, *more)
    assert answer.code == 1
    assert "may be absent from in/s0.tif, in/s1.hdr" in answer.err
    assert len(answer.out.splitlines()) == 5


# Resume


def resume(*words: object) -> Answer:
    return done("smooth", *scenes(), *SMOOTH, "--out-dir", "out", "--resume", *words)


def test_finished_scenes_are_left_out(folder: Path) -> None:
    assert len(resume().out.splitlines()) == 5
    before = {path: path.stat().st_mtime_ns for path in Path("out").iterdir()}
    answer = resume()
    assert answer.out == ""
    assert "finished already: 5 of 5 scenes" in answer.err
    assert {path: path.stat().st_mtime_ns for path in Path("out").iterdir()} == before


def test_what_is_missing_or_was_made_otherwise_is_made_again(folder: Path) -> None:
    resume()
    Path("out/s1.tif").unlink()
    assert resume().out == "out/s1.tif\n"
    Path("out/s2.tif").unlink()
    done("smooth", "in/s2.tif", "-w7", "-d2", "-o", "out/s2.tif")
    assert resume().out == "out/s2.tif\n"
    assert len(resume("--min-valid", 3).out.splitlines()) == 5


def test_changed_inputs_are_done_again(folder: Path) -> None:
    resume()
    os.utime("in/s1.img")  # the data file of s1.hdr
    assert resume().out == "out/s1.tif\n"
    shutil.copy2("in/s0.tif", "other.tif")
    os.utime("other.tif", (0, 0))
    Path("other.tif").replace("in/s0.tif")  # an old file in its place
    assert resume().out == "out/s0.tif\n"
    assert resume().out == ""


def test_changed_files_of_options_count(folder: Path) -> None:
    query()
    words = ("detect", *scenes(), "-t", "query.csv:reflectance", "--method", "sam", "-q")
    words += ("--out-dir", "out", "--resume")
    assert len(done(*words).out.splitlines()) == 5
    assert done(*words).out == ""
    os.utime("query.csv")
    assert len(done(*words).out.splitlines()) == 5


@pytest.mark.parametrize("lost", ["s1_rest.tif", "s1_gain.csv", "s1_d.hdr"])
def test_all_outputs_of_a_scene_count(folder: Path, lost: str) -> None:
    files = ("-o", "d.img", "--residual", "rest.tif", "--report", "gain.csv")
    assert len(resume(*files).out.splitlines()) == 15
    expected = contents("out")
    Path("out", lost).unlink()
    if lost.endswith(".hdr"):  # as a kill between two renames leaves it
        (Path("out") / ".s1_d.img.0123abcd.hsitool-part").mkdir()
        os.utime("out/.s1_d.img.0123abcd.hsitool-part", (0, 0))
    assert resume(*files).out.splitlines() == ["out/s1_d.img", "out/s1_rest.tif", "out/s1_gain.csv"]
    assert contents("out") == expected


@pytest.mark.parametrize("foreign", ["text", "raster", "other cube", "other verb", "report"])
def test_resume_replaces_only_its_own(folder: Path, foreign: str) -> None:
    Path("out").mkdir()
    target = Path("out/s3.tif")
    words: tuple[object, ...] = ()
    if foreign == "text":
        target.write_text("mine")
    elif foreign == "raster":
        shutil.copy("in/s0.tif", target)
    elif foreign == "other cube":
        shutil.copytree("in", "elsewhere")
        done("smooth", "elsewhere/s3.hdr", *SMOOTH, "-o", target)
    elif foreign == "other verb":
        done("band", "in/s3.hdr", "-b1", "-o", target)
    else:
        words, target = ("--report", "r.csv"), Path("out/s3_r.csv")
        target.write_text("mine")
    before = contents("out")
    line = ("smooth", *scenes(), *SMOOTH, "--out-dir", "out", "--resume", *words)
    answer = run(*line)
    assert answer.code == 2
    assert "not made of in/s3.hdr by smooth" in answer.err
    assert contents("out") == before
    assert len(done(*line, "--overwrite").out.splitlines()) >= 5
    assert done(*line).out == ""


def test_another_version_of_the_tool_makes_them_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resume()
    monkeypatch.setattr("hsitool.__version__", "99.0")
    assert len(resume().out.splitlines()) == 5


def test_former_steps_of_the_input_count(folder: Path) -> None:
    done("convert", "in/s0.tif", "-o", "step.tif")
    words = ("band", "step.tif", "-b1", "--out-dir", "out", "--resume", "-q")
    assert done(*words).out == "out/step.tif\n"
    made = Path("out/step.tif").stat()
    done("convert", "in/s0.tif", "--nodata", "-1", "-o", "step.tif", "--overwrite")
    os.utime("out/step.tif", ns=(made.st_atime_ns + 10**12, made.st_mtime_ns + 10**12))
    assert done(*words).out == "out/step.tif\n"


# Refusals


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-o", "one.tif"), "--output one.tif is one file, and 5 cubes are given"),
        (("--residual", "r.tif"), "--residual r.tif is one file"),
        (("--residual", "sub/r.tif", "--out-dir", "out"), "give a name without a folder, as r.tif"),
        (("--out-dir", "in", "--overwrite"), "in/s0.tif is an input"),
        (("--out-dir", "in/s0.tif"), "--out-dir in/s0.tif is no folder"),
        (("--out-dir", "absent/out"), "--out-dir absent/out cannot be made"),
        (("--out-dir", "out", "--jobs", "0"), "--jobs"),
        (("--out-dir", "out", "in/sub/s0.tif"), "are both called s0"),
        (("--out-dir", "out", "-"), "- is one cube"),
        (
            ("--out-dir", "out", "in/s0_r.tif", "--residual", "r.tif"),
            "two outputs would be written",
        ),
    ],
)
def test_refusals_come_before_the_work(folder: Path, words: tuple[str, ...], said: str) -> None:
    Path("in/sub").mkdir()
    shutil.copy("in/s0.tif", "in/sub/s0.tif")
    shutil.copy("in/s0.tif", "in/s0_r.tif")
    cubes_in = [scene for scene in scenes() if scene.stem != "s0_r"]
    before = sorted(Path().rglob("*"))
    answer = run("smooth", *cubes_in, *SMOOTH, *words)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
    assert sorted(Path().rglob("*")) == before


def test_outputs_that_exist_are_refused_before_the_work(folder: Path) -> None:
    Path("out").mkdir()
    Path("out/s4.tif").write_text("mine")
    answer = run("smooth", *scenes(), *SMOOTH, "--out-dir", "out")
    assert answer.code == 2
    assert "out/s4.tif exists: choose another name or add --overwrite" in answer.err
    assert contents("out") == {"s4.tif": b"mine"}


def test_track_goes_its_own_way(folder: Path) -> None:
    query()
    words = ("attend", "mask", *scenes(), "--query", "query.csv", "--track")
    for more in (("--out-dir", "out"), ("--jobs", 2), ("--keep-going",), ("--resume",)):
        answer = run(*words, *more)
        assert answer.code == 2
        assert "--track goes from cube to cube in order" in answer.err


def test_scenes_have_one_budget(folder: Path) -> None:
    words = ("smooth", *scenes(), *SMOOTH, "--max-memory", "151MB", "--out-dir", "out")
    assert done(*words).out
    answer = run(*words, "--overwrite", "--jobs", 5000)
    assert answer.code == 2
    assert "give --max-memory" in answer.err


def test_products_are_right(folder: Path) -> None:
    done("smooth", *scenes(), "-w", 5, "-d", 4, "--out-dir", "out", "-j", 2)  # passes all points
    for number in range(5):
        with cubes.open_quietly(f"out/s{number}.tif") as made:
            array = cubes.spectra(12, 9, 11, "float32", seed=number)
            np.testing.assert_allclose(made.read(), array, atol=1e-4)
