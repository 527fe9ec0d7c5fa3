"""`hsitool calib --bands` from the outside: the table, files, the plot, the report, refusals."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import band_views
import cubes
import numpy as np
import pytest
from command import done, run

NO, WRONG_USE, BAD_DATA = 1, 2, 3
DATA = Path(__file__).resolve().parents[2] / "data"
LIST = DATA / "band_corners.csv"
BOARD: tuple[object, ...] = ("--board", "7x5", "--square", "25mm")
SAMPLE: tuple[object, ...] = (LIST, *BOARD, "--bands", "all")
NM = (450.0, 500.0, 560.0, 650.0, 750.0, 850.0)


def true_e(nm: float, reference_nm: float) -> float:
    """As data/make_corners.py makes the bands."""
    one, base = (1 - 1.5e-3 * ((560 / w) ** 2 - 1) for w in (nm, reference_nm))
    return one / base - 1


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_answer_is_a_sentence_and_a_table_of_bands() -> None:
    answer = done("calib", *SAMPLE, "--ref-band", "560nm")
    first, blank, *table = answer.out.splitlines()
    assert first.startswith("the focal length differs from that of band 3 (560 nm) by -0.0")
    assert blank == ""
    named = dict(line.split(maxsplit=1) for line in table[:6] if " " in line)
    assert named["reference"].startswith("band 3 (560 nm), corners 0.")
    assert "Cauchy's formula" in named["curve"]
    start = next(n for n, line in enumerate(table) if line.startswith("band ")) + 1
    shown = [line.split() for line in table[start : start + 6]]
    assert [float(row[1]) for row in shown] == list(NM)
    for nm, row in zip(NM, shown, strict=True):
        if nm == 560:
            assert row[2:] == ["1", "8", "reference"]
        else:
            assert abs(float(row[2]) - 1 - true_e(nm, 560)) <= 1.5 * float(row[3])
    assert any(line.startswith("reference: ") for line in table)
    assert "hsitool: calibrated in" in answer.err


def test_the_table_of_bands_has_a_row_for_each_and_zeros_for_the_reference(tmp_path: Path) -> None:
    path = tmp_path / "shift.csv"
    done("calib", *SAMPLE, "--ref-band", "2", "--band-shift", path)
    head = path.read_text("utf-8").splitlines()[0]
    assert head.startswith("band,wavelength_nm,e_x,e_y,dcx_px,dcy_px,dk1,se_e_x")
    rows = rows_of(path)
    assert [row["band"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    assert [float(row["wavelength_nm"]) for row in rows] == list(NM)
    base = rows[1]
    assert {base[name] for name in ("e_x", "e_y", "dcx_px", "dcy_px", "dk1")} == {"0.0"}
    assert (base["note"], base["f_ratio"], base["se_e_x"]) == ("reference", "1.0", "")
    for row, nm in zip(rows, NM, strict=True):
        if row is not base:
            low, high = float(row["f_ratio_low"]), float(row["f_ratio_high"])
            assert low < float(row["f_ratio"]) < high
            assert abs(float(row["e_x"]) - true_e(nm, 500)) < 4 * float(row["se_e_x"])
    code, line = error_of(*SAMPLE, "--band-shift", path)
    assert (code, "exists" in line) == (WRONG_USE, True)


def test_json_holds_what_the_camera_file_holds(tmp_path: Path) -> None:
    camera = tmp_path / "camera.json"
    found = done("calib", *SAMPLE, "--dk1", "on", "--json", "-o", camera).json()
    assert json.loads(camera.read_text("utf-8")) == found
    readme = (DATA.parent / "README.md").read_text("utf-8")
    section = readme.partition("### calib")[2].partition("\n### ")[0]
    assert set(found) <= set(re.findall(r"`(\w+)`", section))
    reference = found["bands"][found["reference_band"] - 1]
    assert reference["reference"]
    assert reference["shift"] is None
    other = next(band for band in found["bands"] if not band["reference"])
    low, high = other["shift"]["intervals"]["e_x"]
    assert low < other["shift"]["values"]["e_x"] < high
    assert other["shift"]["standard_errors"]["dk1"] > 0
    assert found["band_curve"]["kind"] == "cauchy"
    assert found["band_fit"]["dk1"]
    alone = done("calib", "--json", *kept_reference(tmp_path, found["reference_band"])).json()
    for one, other in zip(alone["camera_matrix"], found["camera_matrix"], strict=True):
        assert one == pytest.approx(other, rel=1e-9)


def kept_reference(folder: Path, band: int) -> tuple[object, ...]:
    """The corners of one band alone, as a plain list."""
    lines = LIST.read_text("utf-8").splitlines()
    own = [line for line in lines[1:] if line.split(",")[6] == str(band)]
    path = folder / "one.csv"
    path.write_text("\n".join([lines[0], *own]))
    return (path, *BOARD)


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_plot_over_wavelength_is_drawn(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"bands.{ending}"
    done("calib", *SAMPLE, "--dk1", "on", "--plot", path)
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending]
    assert path.read_bytes().startswith(start)
    if ending == "svg":
        text = path.read_text("utf-8")
        assert "wavelength" in text or len(text) > 20_000


def test_the_report_begins_with_the_bands(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    answer = done("calib", *SAMPLE, "--report", page)
    tree = ElementTree.fromstring(page.read_text("utf-8"))
    named = [node.get("id") for node in tree.iter("h2") if node.get("id")]
    assert named[:2] == ["bands", "focal"]
    assert answer.out.splitlines()[0] in page.read_text("utf-8")


def test_two_bands_without_wavelengths_have_a_plot_over_band_numbers(tmp_path: Path) -> None:
    text = LIST.read_text("utf-8").replace("wavelength_nm", "nothing")
    (tmp_path / "plain.csv").write_text(text, "utf-8")
    plot = tmp_path / "p.png"
    arguments = (tmp_path / "plain.csv", *BOARD, "--bands", "1,4", "--plot", plot)
    answer = done("calib", *arguments)
    assert "curve" not in answer.out
    assert plot.exists()


def test_cubes_keep_their_corners_and_give_the_same_from_them(tmp_path: Path) -> None:
    made = band_views.rendered_cubes(5, 6, 2.0)
    paths = [
        cubes.write_geotiff(tmp_path / f"v{n}.tif", cube, wavelength_nm=made.wavelength_nm)
        for n, cube in enumerate(made.pixels)
    ]
    board = ("--board", "9x6", "--square", "25mm", "--bands", "all", "--ref-band", "4")
    kept = tmp_path / "kept.csv"
    first = done("calib", *paths, *board, "--corners", kept, "--json")
    assert "hsitool: v0.tif: found" in first.err
    again = done("calib", "--corners", kept, *board, "--json")
    shifts = [
        [band["shift"] and band["shift"]["values"] for band in answer.json()["bands"]]
        for answer in (first, again)
    ]
    assert shifts[0] == shifts[1]
    assert done("calib", *paths, *board, "-q").err == ""


def test_what_was_seen_is_told_before_a_comparison_that_fails(tmp_path: Path) -> None:
    """And what was detected is kept, which is told as well."""
    made = band_views.rendered_cubes(5, 1, 2.0)
    shown = cubes.write_geotiff(tmp_path / "shown.tif", made.pixels[0])
    empty = cubes.write_geotiff(tmp_path / "empty.tif", made.pixels[0] * 0)
    kept = tmp_path / "kept.csv"
    board = ("--board", "9x6", "--square", "25mm", "--bands", "all")
    answer = run("calib", shown, empty, *board, "--corners", kept)
    found, lacking, holds, error = answer.err.splitlines()
    assert answer.code == BAD_DATA
    assert found == "hsitool: shown.tif: found"
    assert lacking.startswith("hsitool: empty.tif: not found: ")
    assert holds == f"hsitool: {kept}: holds the corners of 1 image"
    assert error.startswith("hsitool: error: ")
    again = run("calib", kept, *board)
    assert (again.code, again.err.splitlines()[-1]) == (BAD_DATA, error)
    nothing = run("calib", empty, *board)
    assert [line.partition(":")[2][:10] for line in nothing.err.splitlines()] == [
        " empty.tif",
        " error: no",
    ]


def test_gates_hold_the_reference_to_what_was_asked_for(tmp_path: Path) -> None:
    passed = done("calib", *SAMPLE, "--max-rms", 0.5, "--tol", "1%", "--require", "equal")
    table = tmp_path / "shift.csv"
    failed = run("calib", *SAMPLE, "--tol", "1%", "--max-rms", 0.01, "--band-shift", table)
    assert (failed.code, failed.out) == (NO, passed.out)
    assert "hsitool: --max-rms 0.01: the RMS is 0." in failed.err
    assert table.exists()
    assert run("calib", *SAMPLE, "--tol", "0.0001%", "--require", "equal").code == NO


def test_undistort_reads_what_is_kept(tmp_path: Path) -> None:
    """A cube of columns becomes, in each band, where that band sees what the reference sees."""
    table, camera = tmp_path / "shift.csv", tmp_path / "camera.json"
    found = done("calib", *SAMPLE, "--dk1", "on", "--band-shift", table, "-o", camera, "--json")
    width, height = found.json()["image_size"]
    columns = np.tile(np.arange(width, dtype=np.float64), (len(NM), height, 1))
    cube = cubes.write_geotiff(tmp_path / "cube.tif", columns, wavelength_nm=NM)
    made = tmp_path / "straight.tif"
    done("undistort", cube, "--camera", camera, "--band-shift", table, "-o", made)
    with cubes.open_quietly(made) as file:
        straight = file.read()
    (fx, _, cx), (_, fy, cy), _ = found.json()["camera_matrix"]
    row, column = np.mgrid[0:height, 0:width]
    x, y = (column - cx) / fx, (row - cy) / fy
    reference = straight[found.json()["reference_band"] - 1]
    for band, seen in zip(found.json()["bands"], straight, strict=True):
        if (shift := band["shift"]) is not None:
            e_x, _, dcx, _, dk1 = shift["values"].values()
            moved = e_x * (reference - cx) + dcx + dk1 * fx * x * (x**2 + y**2)
            assert np.isfinite(seen).mean() > 0.8
            assert np.nanmax(np.abs(seen - reference - moved)) < 1e-3
            assert np.nanmax(np.abs(moved)) > 0.1


def test_a_rig_has_its_own_table(tmp_path: Path) -> None:
    for number, view in enumerate(band_views.rig_images(5)):
        for lens, image in enumerate(view, 1):
            cubes.write_geotiff(tmp_path / f"IMG_{number:04}_{lens}.tif", image[None])
    rig = (tmp_path, "--board", "9x6", "--square", "25mm", "--bands", "all", "--rig")
    page, plot = tmp_path / "rig.html", tmp_path / "rig.pdf"
    answer = done("calib", *rig, "--report", page, "--plot", plot)
    assert answer.out.startswith("3 lenses, up to ")
    assert "X_b = R X_ref + t" in answer.out
    found = done("calib", *rig, "--json").json()
    assert [camera["band"] for camera in found["rig"]["cameras"]] == [1, 2, 3]
    assert sum(camera["reference"] for camera in found["rig"]["cameras"]) == 1
    ElementTree.fromstring(page.read_text("utf-8"))
    assert plot.read_bytes().startswith(b"%PDF")


def error_of(*arguments: object) -> tuple[int, str]:
    """The exit code and the one line of a refusal."""
    answer = run("calib", *arguments)
    assert answer.out == ""
    lines = [line for line in answer.err.splitlines() if line.startswith("hsitool: error: ")]
    assert len(lines) == 1, answer.err
    return answer.code, lines[0]


CUBE: tuple[object, ...] = ("none.tif", *BOARD, "--bands", "all")
REFUSALS: dict[str, tuple[tuple[object, ...], int, str]] = {
    "one band": ((LIST, *BOARD, "--bands", "3"), WRONG_USE, "--bands 3: 1 band: name two or more"),
    "no such band": ((LIST, *BOARD, "--bands", "3,9"), WRONG_USE, "band 9 does not exist"),
    "no such reference": ((*SAMPLE, "--ref-band", "2um"), WRONG_USE, "band '2um'"),
    "list of one band": (
        (DATA / "corners.csv", "--board", "9x6", "--bands", "all"),
        WRONG_USE,
        "does not say in which band",
    ),
    "list of bands": ((LIST, *BOARD), WRONG_USE, "holds 6 bands: --bands all"),
    "mosaic": ((*CUBE, "--mosaic", "4"), WRONG_USE, "--mosaic '4' is not ACROSSxDOWN"),
    "large mosaic": ((*CUBE, "--mosaic", "99x1"), WRONG_USE, "2 to 32x32 filters"),
    "mosaic of a list": ((*SAMPLE, "--mosaic", "3x2"), WRONG_USE, "no effect here: it goes with"),
    "wavelengths of a list": ((*SAMPLE, "--wavelengths", "w"), WRONG_USE, "--wavelengths has no"),
    "memory of a list": ((*SAMPLE, "--max-memory", "1GB"), WRONG_USE, "--max-memory has no effect"),
    "mosaic and rig": ((*CUBE, "--mosaic", "3x2", "--rig"), WRONG_USE, "a mosaic have one lens"),
    "dk1 of a rig": (
        (*SAMPLE, "--rig", "--dk1", "on"),
        WRONG_USE,
        "--dk1 has no effect here: every lens of a rig",
    ),
    "points": (
        ("a.txt", "--points", "b.txt", "--size", "9x9", "--bands", "all"),
        WRONG_USE,
        "--points files hold one band",
    ),
    "a window": (
        (*CUBE, "--subpix-window", 5),
        WRONG_USE,
        "--subpix-window has no effect here: corners are refined anew",
    ),
    "a point off the board": (
        (LIST, "--board", "3x3", "--bands", "all", "--rig"),
        BAD_DATA,
        "is not on a 3x3 board",
    ),
    "shift of a rig": (
        (*SAMPLE, "--rig", "--band-shift", "a.csv"),
        WRONG_USE,
        "no shift of one against the other holds",
    ),
    "table's name": ((*SAMPLE, "--band-shift", "a.txt"), WRONG_USE, "a.txt: a table of bands is"),
    "plot's name": ((*SAMPLE, "--plot", "a.txt"), WRONG_USE, "a.txt: a plot is a picture"),
    "same outputs": (
        (*SAMPLE, "--band-shift", "a.csv", "--corners", "./a.csv"),
        WRONG_USE,
        "two outputs would be written to",
    ),
    "plot over a view": (
        ("view.png", *BOARD, "--bands", "all", "--plot", "view.png", "--overwrite"),
        WRONG_USE,
        "view.png is an input",
    ),
    "no folder": ((*SAMPLE, "--band-shift", "none/a.csv"), WRONG_USE, "folder of none/a.csv does"),
    "other sizes": ((*CUBE, "--resize-ok"), WRONG_USE, "--resize-ok has no effect here: views of"),
    "no cube": (CUBE, BAD_DATA, "none.tif"),
    "a line scanner": ((*SAMPLE, "--scanner", "pushbroom"), BAD_DATA, "no focal length"),
    "little memory": ((*CUBE, "--max-memory", "much"), WRONG_USE, "--max-memory 'much'"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_done_is_refused_in_one_line(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, code, said = REFUSALS[case]
    found, line = error_of(*arguments)
    assert (found, said in line) == (code, True), line
    assert list(tmp_path.iterdir()) == []


def test_inputs_are_not_written_over(tmp_path: Path) -> None:
    own = tmp_path / "own.csv"
    own.write_bytes(LIST.read_bytes())
    over = ("--band-shift", own, "--overwrite")
    for inputs in ((own, *BOARD, "--bands", "all"), (*CUBE, "--wavelengths", own)):
        code, line = error_of(*inputs, *over)
        assert (code, "own.csv is an input" in line) == (WRONG_USE, True)
    assert own.read_bytes() == LIST.read_bytes()


@pytest.mark.parametrize(
    "option",
    [
        ("--ref-band", "auto"),
        ("--dk1", "on"),
        ("--mosaic", "4x4"),
        ("--rig",),
        ("--wavelengths", "a.csv"),
        ("--band-shift", "a.csv"),
        ("--plot", "a.png"),
        ("--max-memory", "1GB"),
    ],
)
def test_options_about_bands_are_refused_without_them(option: tuple[object, ...]) -> None:
    code, line = error_of(LIST, *BOARD, *option)
    assert code == WRONG_USE
    assert f"error: {option[0]} has no effect here: it is about bands" in line
