"""`attend self` against plain NumPy in memory, on a made cube with a flagged band and holes."""

from __future__ import annotations

import csv
import math
import pickle
import sys
import zipfile
from pathlib import Path
from typing import Any

import cubes
import numpy as np
import pytest
from command import done, run
from device_arrays import DeviceArray, device_module
from numpy.typing import NDArray
from scipy.special import softmax

from hsitool import device
from hsitool.storage.readers import open_cube
from hsitool.tasks.attend_self import SelfSettings
from hsitool.tasks.attend_values import write_values

Array = NDArray[Any]
BANDS, ROWS, COLUMNS = 14, 30, 26
GOOD = [b for b in range(BANDS) if b != 4]


@pytest.fixture
def cube(tmp_path: Path, rng: np.random.Generator) -> Path:
    stored = np.rint(cubes.spectra(BANDS, ROWS, COLUMNS, "float64", 3) * 10_000).astype(np.int16)
    stored[:, 12:15, 5:9], stored[2, 20, 20] = -9999, -9999
    return cubes.write_geotiff(
        tmp_path / "cube.tif",
        stored,
        nodata=-9999,
        scales=[1e-4] * BANDS,
        offsets=[0.01] * BANDS,
        wavelength_nm=cubes.wavelengths(BANDS),
        bbl=[int(b != 4) for b in range(BANDS)],
        crs="EPSG:32633",
        transform=(30.0, 0.0, 400_000.0, 0.0, -30.0, 5_800_000.0),
    )


def read(path: Path) -> Array:
    with cubes.open_quietly(path) as dataset:
        return dataset.read()


def table_of(path: Path) -> list[list[str]]:
    return list(csv.reader(path.read_text().splitlines()))


def physical(cube: Path) -> tuple[Array, Array]:
    """(bands in use, rows, columns), NaN where missing; and which pixels are valid."""
    stored = read(cube)[GOOD]
    values = np.where(stored == -9999, np.nan, stored * 1e-4 + 0.01)
    return values, np.isfinite(values).all(axis=0)


def projections(path: Path, rng: np.random.Generator, d: int = 5, v: int = 7) -> dict[str, Array]:
    made = {name: rng.normal(size=(len(GOOD), n)) for name, n in zip(NAMES, (d, d, v), strict=True)}
    np.savez(path, **made)
    return made


NAMES = ("W_Q", "W_K", "W_V")


def test_rows_of_projections_are_softmax(
    cube: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    made = projections(tmp_path / "w.npz", rng)
    out = tmp_path / "rows.tif"
    words = ("--at", "3,4", "--at", "25,11", "--qk", tmp_path / "w.npz", "-o", out, "--json")
    said = done("attend", "self", cube, *words, "--z", tmp_path / "z.csv").json()
    values, valid = physical(cube)
    x = values[:, valid].T
    rows, z = read(out), []
    assert rows.dtype == np.float64
    for band, (row, column) in enumerate(((3, 4), (25, 11))):
        scores = (values[:, row, column] @ made["W_Q"]) @ (x @ made["W_K"]).T / math.sqrt(5)
        expected = softmax(scores)
        assert np.abs(rows[band][valid] - expected).max() <= 1e-10
        assert np.isnan(rows[band][~valid]).all()
        assert abs(np.nansum(rows[band]) - 1) <= 1e-9
        z.append(expected @ (x @ made["W_V"]))
        assert said["rows"][band]["query"] == [row, column]
        assert said["rows"][band]["ess"] == pytest.approx(1 / np.sum(expected**2))
        with cubes.open_quietly(out) as dataset:
            tags = dataset.tags(band + 1, ns="HSITOOL")
        assert float(tags["LOG_SUM"]) == pytest.approx(np.log(np.exp(scores).sum()))
    table = table_of(tmp_path / "z.csv")
    assert table[0] == ["feature", "r3_c4", "r25_c11"]
    assert np.allclose(np.array(table[1:], float)[:, 1:], np.transpose(z), rtol=1e-8)
    assert said["score"] == "qk" and said["features"] == 5


@pytest.mark.parametrize("score", ["cosine", "dot", "gauss"])
def test_rows_of_components(score: str, cube: Path, tmp_path: Path) -> None:
    """Made again from the scene model: bands over their noise, their principal components."""
    done("stats", cube, "-o", tmp_path / "scene.npz")
    scene = np.load(tmp_path / "scene.npz")
    values, valid = physical(cube)
    whitened = scene["cov"] / np.outer(scene["noise_std"], scene["noise_std"])
    axes = np.linalg.eigh(whitened)[1][:, ::-1][:, :3]
    x = axes.T @ ((values[:, valid] - scene["mean"][:, None]) / scene["noise_std"][:, None])
    words = ("--components", 3, "--score", score, "--at", "7,7", "-o", tmp_path / "r.tif", "--json")
    said = done("attend", "self", cube, *words).json()["rows"][0]
    number = np.flatnonzero(np.flatnonzero(valid.reshape(-1)) == 7 * COLUMNS + 7)[0]
    query = x[:, number]
    scores = {
        "dot": query @ x,
        "cosine": query @ x / np.linalg.norm(query) / np.linalg.norm(x, axis=0),
        "gauss": -np.sum((x - query[:, None]) ** 2, axis=0) / 2,
    }[score]
    row = read(tmp_path / "r.tif")[0][valid]
    expected = softmax(said["beta"] * scores)
    assert np.abs(row - expected).max() <= 1e-10
    assert abs(row.sum() - 1) <= 1e-9
    assert said["own_weight"] == pytest.approx(row[number])
    if score == "dot":
        assert said["beta"] == pytest.approx(1 / math.sqrt(3))
    else:
        assert row.argmax() == number
        assert said["ess"] == pytest.approx(0.01 * valid.sum(), rel=1e-6)
    strongest = said["strongest"][0]
    others = np.delete(row, number)
    assert strongest["weight"] == pytest.approx(others.max())


def test_a_model_of_a_file_is_the_same(cube: Path, tmp_path: Path) -> None:
    done("stats", cube, "-o", tmp_path / "scene.npz")
    for name, more in (("a.tif", ()), ("b.tif", ("--model", tmp_path / "scene.npz"))):
        done("attend", "self", cube, "--at", "7,7", "-o", tmp_path / name, *more, "-q")
    assert np.array_equal(read(tmp_path / "a.tif"), read(tmp_path / "b.tif"), equal_nan=True)


def test_memory_and_threads_change_nothing(tmp_path: Path) -> None:
    """Also where scores do not fit and lie in a file."""
    array = cubes.spectra(40, 900, 700, "float32", 1)
    cube = cubes.write_geotiff(tmp_path / "cube.tif", array)
    words = ("--at", "1,2", "--at", "800,600", "--at", "400,1", "-q", "--bands", "1:20")
    for name, more in (("a.tif", ()), ("b.tif", ("--max-memory", "220MB", "--threads", 1))):
        done("attend", "self", cube, *words, "-o", tmp_path / name, *more)
    first, second = read(tmp_path / "a.tif"), read(tmp_path / "b.tif")
    assert np.abs(first - second).max() <= 1e-10 * first.max()
    some = second > 1e-12 * first.max()
    assert np.abs(first[some] / second[some] - 1).max() <= 1e-9
    assert np.abs(first.sum(axis=(1, 2)) - 1).max() <= 1e-9
    assert [sorted(map(str, p.name.split())) for p in tmp_path.iterdir() if p.is_dir()] == []


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("qk", [True, False], ids=["qk", "dot"])
def test_z_of_all_pixels(
    dtype: str, qk: bool, cube: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    values, valid = physical(cube)
    path = tmp_path / "f.tif"
    cubes.write_geotiff(
        path, values.astype(dtype), wavelength_nm=cubes.wavelengths(BANDS)[: len(GOOD)],
        nodata=float("nan"),
    )  # fmt: skip
    x = values.astype(dtype).astype(float)[:, valid].T
    if qk:
        made = projections(tmp_path / "w.npz", rng)
        words: tuple[object, ...] = ("--qk", tmp_path / "w.npz")
        q, k, v = (x @ made[name] for name in NAMES)
    else:
        done("stats", path, "-o", tmp_path / "scene.npz", "-q")
        scene = np.load(tmp_path / "scene.npz")
        whitened = scene["cov"] / np.outer(scene["noise_std"], scene["noise_std"])
        axes = np.linalg.eigh(whitened)[1][:, ::-1][:, :5]
        q = k = (x - scene["mean"]) / scene["noise_std"] @ axes
        v = x
        words = ("--score", "dot", "--components", 5)
    expected = softmax(q @ k.T / math.sqrt(5), axis=1) @ v
    done("attend", "self", path, *words, "--z", tmp_path / "z.tif", "-q")
    z = read(tmp_path / "z.tif")
    assert z.dtype == dtype
    limit = 1e-9 if dtype == "float64" else 1e-5
    size = np.abs(expected).max()
    assert np.abs(z[:, valid].T - expected).max() <= limit * size
    assert np.isnan(z[:, ~valid]).all()
    more = ("--max-memory", "200MB", "--threads", 1)
    done("attend", "self", path, *words, "--z", tmp_path / "y.tif", "-q", *more)
    assert np.nanmax(np.abs(read(tmp_path / "y.tif") - z)) <= limit * size
    info = done("info", tmp_path / "z.tif", "--json").json()
    assert (info["band_table"][0]["wavelength_nm"] is None) is qk


def test_z_in_a_window(cube: Path, tmp_path: Path) -> None:
    words = ("--score", "cosine", "--temperature", 0.1, "--window", 5, "--components", 4)
    done("attend", "self", cube, *words, "--z", tmp_path / "z.tif", "-q")
    done("stats", cube, "-o", tmp_path / "scene.npz", "-q")
    scene = np.load(tmp_path / "scene.npz")
    whitened = scene["cov"] / np.outer(scene["noise_std"], scene["noise_std"])
    axes = np.linalg.eigh(whitened)[1][:, ::-1][:, :4]
    values, valid = physical(cube)
    x = (values - scene["mean"][:, None, None]) / scene["noise_std"][:, None, None]
    f = np.einsum("bf,brc->frc", axes, x)
    f /= np.linalg.norm(f, axis=0)
    z = read(tmp_path / "z.tif")
    for row, column in ((0, 0), (11, 6), (29, 25), (17, 17)):
        near = slice(max(0, row - 2), row + 3), slice(max(0, column - 2), column + 3)
        inside = valid[near]
        weights = softmax(f[:, *near][:, inside].T @ f[:, row, column] / 0.1)
        assert np.abs(z[:, row, column] - values[:, *near][:, inside] @ weights).max() < 1e-5
    assert np.isnan(z[:, 13, 6]).all()


def test_z_on_a_gpu(
    cube: Path, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The arrays of a device, which mix with none of NumPy's, give what the CPU gives."""
    projections(tmp_path / "w.npz", rng)
    settings = SelfSettings(qk=tmp_path / "w.npz")
    with open_cube(cube) as source:
        write_values(source, tmp_path / "cpu.tif", settings)
        monkeypatch.setitem(sys.modules, "cupy", device_module())
        monkeypatch.setattr(device.Gpu, "here", device.CPU.__class__.work)
        puts: list[Any] = []
        put = device.Gpu.put
        monkeypatch.setattr(device.Gpu, "put", lambda g, a: puts.append(a) or put(g, a))
        for window in (None, 3):
            gpu = device.Gpu(0)
            write_values(source, tmp_path / f"{window}.tif", settings, device=gpu, window=window)
        write_values(source, tmp_path / "near.tif", settings, window=3)
    assert len(puts) > 2 and isinstance(put(device.Gpu(0), np.zeros(2)), DeviceArray)
    for first, second in (("cpu.tif", "None.tif"), ("near.tif", "3.tif")):
        a, b = read(tmp_path / first), read(tmp_path / second)
        assert np.nanmax(np.abs(a - b)) <= 3e-6 * np.nanmax(np.abs(a))


def test_the_matrix_of_bands(cube: Path, tmp_path: Path) -> None:
    done("attend", "self", cube, "--axis", "bands", "-o", tmp_path / "b.csv")
    table = table_of(tmp_path / "b.csv")
    assert table[0] == ["band", "wavelength_nm", *(str(b + 1) for b in GOOD)]
    values, valid = physical(cube)
    made = np.array(table[1:], float)
    assert np.allclose(made[:, 2:], np.corrcoef(values[:, valid]), atol=1e-8)
    assert np.allclose(made[:, 1], np.array(cubes.wavelengths(BANDS))[GOOD])
    done("attend", "self", cube, "--axis", "bands", "--temperature", 0.1, "-o", tmp_path / "w.csv")
    weights = np.array(table_of(tmp_path / "w.csv")[1:], float)[:, 2:]
    assert np.allclose(weights, softmax(np.corrcoef(values[:, valid]) / 0.1, axis=1), atol=1e-8)
    done("attend", "self", cube, "--axis", "bands", "--score", "dot", "-o", tmp_path / "d.csv")
    picture = tmp_path / "b.png"
    assert done("attend", "self", cube, "--axis", "bands", "-o", picture).out == f"{picture}\n"
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_overlay_and_the_default_name(
    cube: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = done("attend", "self", cube, "--xy", "400210,5799790", "--overlay", "look.png")
    assert said.out == "cube_self.tif\nlook.png\n"
    assert "pixels by effective size" in said.err
    assert Path("look.png").read_bytes()[:4] == b"\x89PNG"
    with cubes.open_quietly("cube_self.tif") as dataset:
        assert dataset.tags(1, ns="HSITOOL")["ROW"] == "7"
        assert dataset.crs.to_epsg() == 32633


def test_help_says_which_matrix_to_read() -> None:
    text = " ".join(done("attend", "self", "--help").out.split())
    assert "Which matrix to read?" in text
    assert "its row i says how much each pixel j contributes to pixel i, and sums to 1" in text
    assert "Z = A V" in text


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        ((), 2, "no query pixel: give --at or --xy"),
        (("--at", "13,6"), 3, "the pixel at row 13, column 6 has no data"),
        (("--at", "20,20"), 3, "the pixel at row 20, column 20 has no data in band 3"),
        (("--at", "99,1"), 2, "outside the cube"),
        (("--at", "1,1", "--at", "1,1"), 2, "is asked for twice"),
        (("--at", "1,1", "--focus", "1%", "--temperature", "1"), 2, "say the same in two ways"),
        (("--at", "1,1", "--temperature", "0"), 2, "--temperature 0 is not a number above 0"),
        (("--at", "1,1", "--focus", "many"), 2, "focus 'many'"),
        (("--at", "1,1", "--components", "99"), 2, "99 components of 13 bands"),
        (("--at", "1,1", "--window", "3"), 2, "--window goes with --z of a whole cube"),
        (("--z", "z.tif", "--window", "4", "--temperature", "1"), 2, "--window 4 is no odd"),
        (("--z", "z.tif"), 2, "needs one temperature for all pixels"),
        (("--z", "z.tif", "--score", "gauss"), 2, "goes with --score cosine, dot or --qk"),
        (("--z", "z.tif", "--score", "dot", "--norm", "sparsemax"), 2, "is a softmax"),
        (("--z", "z.csv"), 2, "no query pixel"),
        (("--axis", "bands", "--at", "1,1"), 2, "--axis bands has no pixels: leave --at out"),
        (("--axis", "bands", "-o", "x.tif"), 2, "a plot is a picture"),
        (("--axis", "bands", "--score", "gauss"), 2, "goes with --score cosine or dot"),
        (("--at", "1,1", "--qk", "w.npz", "--score", "dot"), 2, "--qk says the score itself"),
        (("--at", "1,1", "--qk", "absent.npz"), 3, "absent.npz: cannot be read: No such file"),
        (("--at", "1,1", "--device", "gpu"), 2, "device gpu is unknown"),
    ],
)
def test_what_cannot_be_related_is_told_in_one_line(
    words: tuple[str, ...],
    code: int,
    line: str,
    cube: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    said = run("attend", "self", cube, *words)
    assert (said.code, said.out) == (code, ""), said.err
    assert said.err.startswith("hsitool: error: ") and said.err.count("\n") == 1, said.err
    assert line in said.err
    assert set(tmp_path.iterdir()) == before


def bad_projections(kind: str, path: Path, rng: np.random.Generator) -> None:
    good = {name: rng.normal(size=(len(GOOD), 4)) for name in NAMES}
    changes: dict[str, Any] = {
        "rows": {"W_K": np.ones((5, 4))},
        "widths": {"W_K": np.ones((len(GOOD), 3))},
        "flat": {"W_Q": np.ones(len(GOOD))},
        "nan": {"W_V": np.full((len(GOOD), 2), np.nan)},
        "text": {"W_Q": np.array(["a", "b"])},
    }
    if kind == "pickled":
        np.savez(path, **good | {"W_Q": np.array([Trap()], dtype=object)}, allow_pickle=True)
    elif kind == "no archive":
        path.write_bytes(pickle.dumps(Trap()))
    elif kind == "lacking":
        np.savez(path, W_Q=good["W_Q"])
    elif kind == "bomb":
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open("W_Q.npy", "w", force_zip64=True) as file,
        ):
            for _ in range(300):
                file.write(bytes(2**20))
    else:
        np.savez(path, **good | changes[kind])


class Trap:
    """Raises the moment it is unpickled."""

    def __reduce__(self) -> Any:
        return exec, ("raise SystemError('a pickle was opened')",)


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("pickled", "it holds pickled objects"),
        ("no archive", "not a file of W_Q, W_K and W_V: File is not a zip file"),
        ("lacking", "holds no W_K"),
        ("rows", "W_K is for 5 bands, and 13 are in use"),
        ("widths", "W_Q gives 4 features and W_K 3"),
        ("flat", "W_Q has the shape (13,)"),
        ("nan", "W_V holds NaN"),
        ("text", "W_Q.npy is no plain array"),
        ("bomb", "W_Q.npy has 314572800 bytes"),
    ],
)
def test_projections_from_anywhere(
    kind: str, line: str, cube: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    bad_projections(kind, tmp_path / "w.npz", rng)
    said = run("attend", "self", cube, "--at", "1,1", "--qk", tmp_path / "w.npz", "-o",
               tmp_path / "r.tif")  # fmt: skip
    assert (said.code, said.out) == (3, "")
    assert said.err.count("\n") == 1 and line in said.err, said.err
    assert not (tmp_path / "r.tif").exists()


def test_no_projection_of_values(cube: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    """Rows need none; Z is then of the spectra themselves."""
    made = projections(tmp_path / "all.npz", rng)
    np.savez(tmp_path / "w.npz", W_Q=made["W_Q"], W_K=made["W_K"])
    words = ("--at", "3,3", "--qk", tmp_path / "w.npz", "-o", tmp_path / "r.tif", "-q")
    done("attend", "self", cube, *words, "--z", tmp_path / "z.csv")
    values, valid = physical(cube)
    row = read(tmp_path / "r.tif")[0]
    table = table_of(tmp_path / "z.csv")
    assert table[0] == ["band", "wavelength_nm", "r3_c3"]
    expected = values[:, valid] @ row[valid]
    assert np.allclose(np.array(table[1:], float)[:, 2], expected, rtol=1e-8)


def test_the_lines_that_made_the_files_make_them_again(
    cube: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("--at", "1,2", "--score", "dot", "--window", 3, "--z", "z.tif", "-o", "r.tif", "-q")
    done("attend", "self", cube, *words)
    first = {name: read(Path(name)) for name in ("r.tif", "z.tif")}
    for name, old in first.items():
        line = done("provenance", name).out.split()
        assert ("--window" in line) is (name == "z.tif")
        done(*line[1:], "--overwrite", "-q")
        assert np.array_equal(read(Path(name)), old, equal_nan=True)
