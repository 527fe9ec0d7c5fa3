"""Commands in a shell's pipeline: all stages end together, and none leaves half a file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command import run
from cubes import open_quietly, spectra, write_envi, write_geotiff, write_large
from pipelines import HSITOOL, SECONDS, fed, given, piped, start, words

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="looks at processes through /proc"
)

SMOOTH = ("smooth", "-", "-w", 5, "-d", 2, "-o", "-")
READ_BY_GDAL = """
import sys, warnings, numpy, rasterio
from rasterio.windows import Window
warnings.simplefilter("ignore")
with rasterio.open("/vsistdin/") as source:
    rows = [source.read(window=Window(0, r, source.width, 1)) for r in range(source.height)]
    print(source.driver, source.crs, source.nodata, source.descriptions[3], source.tags(4))
    print(source.transform)
numpy.save(sys.argv[1], numpy.concatenate(rows, axis=1))
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 MB: more than pipes and buffers hold."""
    return write_large(tmp_path_factory.mktemp("large") / "large.tif", "tif-pixel-strip", 0.1)


@pytest.fixture
def cube(tmp_path: Path) -> Path:
    return write_geotiff(tmp_path / "cube.tif", spectra(20, 60, 30))


def nothing_left(folder: Path, *known: Path) -> bool:
    """Whether a folder holds what was there before, hidden files included."""
    return sorted(folder.iterdir()) == sorted(known)


# What goes through


@pytest.mark.parametrize("form", ["pixel", "band", "envi-bil"])
def test_three_stages_give_what_three_files_give(form: str, tmp_path: Path) -> None:
    array = spectra(20, 60, 30)
    array[4, 10:20] = np.nan
    if form == "envi-bil":
        cube = write_envi(tmp_path / "cube", array, interleave="bil")
    else:
        cube = write_geotiff(tmp_path / "cube.tif", array, interleave=form)
    slope = ("-w", 7, "-d", 2, "--deriv", 1)
    stages = piped(
        ("smooth", cube, "-w", 5, "-d", 2, "-o", "-"),
        ("smooth", "-", *slope, "-o", "-"),
        ("convert", "-", "--bands", "3:9", "-o", tmp_path / "piped.tif"),
    )
    assert [(s.code, s.err) for s in stages] == [(0, "")] * 3
    run("smooth", cube, "-w", 5, "-d", 2, "-o", tmp_path / "a.tif")
    run("smooth", tmp_path / "a.tif", *slope, "-o", tmp_path / "b.tif")
    run("convert", tmp_path / "b.tif", "--bands", "3:9", "-o", tmp_path / "c.tif")
    with open_quietly(tmp_path / "c.tif") as a, open_quietly(tmp_path / "piped.tif") as b:
        np.testing.assert_array_equal(a.read(), b.read())
        assert [a.tags(n) for n in a.indexes] == [b.tags(n) for n in b.indexes]
    assert run("diff", tmp_path / "c.tif", tmp_path / "piped.tif").code == 0


def test_gdal_reads_the_stream_from_its_standard_input(sample: Path, tmp_path: Path) -> None:
    stream = given(b"", "smooth", sample, "-w", 5, "-d", 2, "-o", "-")
    assert int.from_bytes(stream[8:16], "little") == 16  # GDAL wants the directory there
    saved = tmp_path / "read.npy"
    found = given(stream, Path(sys.executable), "-c", READ_BY_GDAL, saved).decode()
    run("smooth", sample, "-w", 5, "-d", 2, "-o", tmp_path / "file.tif")
    with open_quietly(tmp_path / "file.tif") as file:
        np.testing.assert_array_equal(np.load(saved), file.read())
        assert found.splitlines()[0] == (
            f"{file.driver} {file.crs} {file.nodata} {file.descriptions[3]} {file.tags(4)}"
        )
        assert str(file.transform) == "\n".join(found.splitlines()[1:])


@pytest.mark.parametrize("rows", [30_000, 90_000])
def test_gdal_reads_streams_of_many_lines(rows: int, tmp_path: Path) -> None:
    array = np.arange(rows * 4, dtype=np.int16).reshape(2, rows, 2)
    cube = write_envi(tmp_path / "long", array)
    stream = given(b"", "convert", cube, "-o", "-")
    given(
        stream,
        Path(sys.executable),
        "-c",
        READ_BY_GDAL.replace("range(source.height)", "range(0, 9)")
        .replace("[3]", "[1]")
        .replace("(4)", "(2)"),
        tmp_path / "read.npy",
    )
    np.testing.assert_array_equal(np.load(tmp_path / "read.npy"), array[:, :9])


def test_what_else_is_printed_goes_to_standard_error(cube: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        words(("smooth", cube, "-w", 5, "-d", 2, "-o", "-", "--residual", tmp_path / "r.tif")),
        capture_output=True,
        check=True,
    )
    assert done.stderr.decode() == f"{tmp_path / 'r.tif'}\n"
    (tmp_path / "stream.tif").write_bytes(done.stdout)
    with open_quietly(tmp_path / "stream.tif") as file:
        assert file.count == 20


@pytest.mark.parametrize(
    "stage",
    [
        ("info", "-"),
        ("spectrum", "-", "--at", "3,4", "--at", "2,9", "--at", "3,1"),
        ("stats", "-"),
        ("tune", "-", "--deg", 2, "--pixels", 50),
        ("diff", "-", "-"),
    ],
    ids=lambda stage: str(stage[0]),
)
def test_tables_of_a_stream_are_those_of_the_file(
    stage: tuple[object, ...], cube: Path, tmp_path: Path
) -> None:
    if stage[0] == "diff":
        stage = ("diff", "-", cube)
    found = given(cube.read_bytes(), *stage, cwd=tmp_path).decode()
    of_file = run(*[cube if word == "-" else word for word in stage]).out
    if stage[0] == "info":
        assert found.splitlines()[2:] == of_file.splitlines()[2:]
    else:
        assert found == of_file.replace(str(cube), "-").replace(cube.name, "-")


@pytest.mark.parametrize(
    "verb",
    [
        ("band", "-b", 3),
        ("convert", "--subset", "10,3,20,9", "--bands", "2,5"),
        ("convert", "--co", "TILED=YES", "--dtype", "float64"),
        ("convert", "--compress", "deflate"),
        ("smooth", "-w", "auto", "-d", 2),
        ("smooth", "-w", 5, "-d", 2, "--band", 7),
        ("anomaly", "--causal", 25),
        ("anomaly",),
        ("anomaly", "--window", "3,9"),
        ("attend mask", "--at", "7,7"),
        ("attend self", "--at", "7,7"),
        ("attend warp", "--at", "30,15", "--rotate", "20", "--zoom", "1.5"),
        ("undistort", "--camera", "cameras.txt"),
    ],
    ids=lambda verb: " ".join(map(str, verb)),
)
def test_every_raster_verb_reads_a_stream(
    verb: tuple[str, ...], cube: Path, tmp_path: Path
) -> None:
    (tmp_path / "cameras.txt").write_text("1 OPENCV 30 60 40 40 15 30 0.05 0 0 0\n")
    name, options = verb[0].split(), [*verb[1:]]
    if name == ["undistort"]:
        options[1] = str(tmp_path / "cameras.txt")
    of_file = run(*name, cube, *options, "-o", tmp_path / "file.tif")
    assert of_file.code == 0, of_file.err
    made = fed(cube.read_bytes(), *name, "-", *options, "-o", tmp_path / "piped.tif")
    assert made.code == 0, made.err
    assert run("diff", tmp_path / "file.tif", tmp_path / "piped.tif").code == 0
    if not {"--co", "--compress"} & {*options}:
        stream = given(cube.read_bytes(), *name, "-", *options, "-o", "-")
        (tmp_path / "stream.tif").write_bytes(stream)
        assert run("diff", tmp_path / "file.tif", tmp_path / "stream.tif").code == 0


def test_a_band_that_is_empty_at_the_top_is_looked_for_further_down(tmp_path: Path) -> None:
    array = spectra(9, 50, 30)
    array[3, :40] = np.nan
    array[6] = np.nan
    cube = write_geotiff(tmp_path / "cube.tif", array)
    run("smooth", cube, "-w", 5, "-d", 2, "-o", tmp_path / "file.tif")
    made = fed(cube.read_bytes(), "smooth", "-", "-w", 5, "-d", 2, "-o", tmp_path / "piped.tif")
    assert "no data at all in 1 bands (7)" in made.err
    assert "is needed more than once: it is kept in" in made.err
    assert run("diff", tmp_path / "file.tif", tmp_path / "piped.tif").code == 0


def test_a_file_behind_standard_input_is_opened_directly(cube: Path, tmp_path: Path) -> None:
    envi = write_envi(tmp_path / "cube", spectra(20, 60, 30))
    for file in (cube, envi):
        with file.open("rb") as stdin:
            (stage,) = piped(("stats", "-"), stdin=stdin)
        assert (stage.code, stage.err) == (0, "")


def test_pixels_of_envi_come_through_a_pipe(tmp_path: Path) -> None:
    envi = write_envi(tmp_path / "cube", spectra(20, 60, 30), interleave="bip")
    header = envi.with_suffix(".hdr")
    out = tmp_path / "out.tif"
    made = fed(envi.read_bytes(), "convert", header, "--data", "-", "-o", out)
    assert (made.code, made.err) == (0, "")
    assert run("diff", envi, out).code == 0


def test_the_temporary_file_is_gone_even_while_it_is_in_use(cube: Path, tmp_path: Path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    out = tmp_path / "mask.tif"
    made = fed(
        cube.read_bytes(),
        *("attend", "mask", "-", "--at", "7,7", "-o", out),
        env=os.environ | {"TMPDIR": str(folder)},
    )
    assert made.code == 0
    assert f"is needed more than once: it is kept in {folder}" in made.err
    assert nothing_left(folder)


# What is refused


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "standard input is empty: what should have written to it has failed"),
        (b"garbage\n" * 99, "standard input: cannot be opened as a raster"),
        (b"II+\0\x08\0\0\0\x10", "the stream ended early after 9 bytes, inside its directory"),
        (b"II*\0\xff\xff\xff\xff", "standard input"),
        (b"\x89PNG\r\n\x1a\n", "standard input: cannot be opened as a raster"),
    ],
)
def test_rubbish_is_one_line(data: bytes, said: str, tmp_path: Path) -> None:
    stage = fed(data, "smooth", "-", "-w", 5, "-d", 2, "-o", tmp_path / "out.tif", "-q")
    assert stage.code == 3
    assert stage.err.startswith("hsitool: error: ")
    assert said in stage.err
    assert stage.err.count("\n") == 1
    assert nothing_left(tmp_path)


@pytest.mark.parametrize("compress", [None, "deflate"])
def test_a_stream_cut_short_leaves_no_file(compress: str | None, tmp_path: Path) -> None:
    cube = write_geotiff(tmp_path / "cube.tif", spectra(20, 60, 30), compress=compress)
    data = cube.read_bytes()
    stage = fed(data[: len(data) // 2], "convert", "-", "-o", tmp_path / "out.tif")
    assert stage.code == 3
    if compress is None:
        assert f"early after {len(data) // 2} of {len(data)} bytes" in stage.err
    assert nothing_left(tmp_path, cube)


@pytest.mark.parametrize("options", [("--format", "envi"), ("--compress", "zstd"), ("--co", "A=B")])
def test_streams_are_plain(options: tuple[str, ...], cube: Path) -> None:
    answer = run("convert", cube, "-o", "-", *options)
    assert answer.code == 2
    assert "-o - always writes a plain BigTIFF: leave out" in answer.err


def test_two_outputs_cannot_share_standard_output(cube: Path) -> None:
    answer = run("smooth", cube, "-w", 5, "-d", 2, "-o", "-", "--residual", "-")
    assert answer.code == 2
    assert "two outputs would be written to standard output" in answer.err


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        (("info", "-"), "standard input is a terminal: pipe a raster into it"),
        (("attend", "mask", "{cube}", "--at", "1,1", "-o", "-"), "would write a raster to the"),
        (("convert", "{cube}", "-o", "-"), "-o - would write a raster to the terminal"),
    ],
)
def test_rasters_never_come_from_or_go_to_a_terminal(
    stage: tuple[str, ...], said: str, cube: Path
) -> None:
    ours, theirs = os.openpty()
    command = words([word.format(cube=cube) for word in stage])
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, text=True
    )
    _, errors = process.communicate(timeout=SECONDS)
    os.close(theirs)
    os.close(ours)
    assert process.returncode == 2
    assert said in errors


def test_a_closed_standard_input_is_told(cube: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{' '.join(HSITOOL)} info - <&-"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert "standard input is closed" in done.stderr


# How chains end


def three(large: Path, out: Path) -> list[tuple[object, ...]]:
    """Three stages in small tiles."""
    small = ("--threads", 1, "--max-memory", "250MB")
    return [
        ("smooth", large, "-w", 5, "-d", 2, "-o", "-", *small),
        (*SMOOTH, *small),
        ("convert", "-", "-o", out, *small),
    ]


def test_a_reader_that_has_gone_ends_all_quietly(large: Path) -> None:
    stages = [*three(large, Path("-"))[:2], (Path("/usr/bin/head"), "-c", "100000")]
    found = piped(*stages)
    assert [(s.code, s.err) for s in found] == [(141, ""), (141, ""), (0, "")]


def test_a_full_disk_behind_standard_output_is_told(cube: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            words(("convert", cube, "-o", "-")), stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 3
    assert b"standard output: no space left" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_stage_that_is_killed_ends_all(
    position: int, number: signal.Signals, large: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.tif"
    chain = start(*three(large, out))
    while not list(tmp_path.glob(".*/pixels")) and chain.processes[-1].poll() is None:
        time.sleep(0.005)
    chain.processes[position].send_signal(number)
    begun = time.monotonic()
    found = chain.ended()
    assert time.monotonic() - begun < 20
    code = -number if number == signal.SIGKILL else 128 + number
    assert found[position].code == code
    assert all(stage.code == 141 and not stage.err for stage in found[:position])
    for stage in found[position + 1 :]:
        assert stage.code == 3
        assert "the stream ended early after" in stage.err
    assert not out.exists()
    if (position, number) != (2, signal.SIGKILL):
        assert nothing_left(tmp_path)


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_stage_that_fails_ends_all(position: int, large: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.tif"
    stages = three(large, out)
    stages[position] = (*stages[position], "--wavelengths", tmp_path / "absent.txt")
    found = piped(*stages)
    assert found[position].code == 3
    assert "absent.txt" in found[position].err
    assert all(stage.code == 141 and not stage.err for stage in found[:position])
    for stage in found[position + 1 :]:
        assert stage.code == 3
        assert "standard input is empty" in stage.err
    assert nothing_left(tmp_path)


def test_a_stage_that_waits_hears_a_signal(tmp_path: Path, large: Path) -> None:
    """Its reader waits for bytes that do not come."""
    head = large.read_bytes()[: 2**21]
    process = subprocess.Popen(
        words(("convert", "-", "-o", tmp_path / "out.tif")),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(head)
    process.stdin.flush()
    while not list(tmp_path.glob(".*/pixels")):
        time.sleep(0.005)
    process.terminate()
    assert process.wait(10) == 143
    process.stdin.close()
    assert process.stderr is not None
    assert b"terminated" in process.stderr.read()
    process.stderr.close()
    assert nothing_left(tmp_path)
