"""`stats`, `detect`, `anomaly` and `attend mask` with `--device`: the same numbers from a GPU."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cubes
import cupy_on_cpu
import device_arrays
import numpy as np
import pytest
from command import done, run

from hsitool.device import Gpu

BANDS, ROWS, COLUMNS = 20, 70, 46
LAYOUTS: dict[str, dict[str, Any]] = {
    "bsq": {"interleave": "bsq"},
    "bil": {"interleave": "bil"},
    "bip": {"interleave": "bip"},
    "big-endian": {"interleave": "bip", "byte_order": 1},
    "scaled": {"gain": 0.25},
}
SCORES: dict[str, list[Any]] = {
    "rx": ["anomaly", "--shrink", "none"],
    "rings": ["anomaly", "--window", "3,9", "--rank", 4],
    "lines": ["anomaly", "--causal", 20],
    **{m: ["detect", "-t", "a.csv", "-t", "b.csv", "--method", m] for m in ("ace", "mf")},
    **{m: ["detect", "-t", "a.csv", "--method", m] for m in ("sam", "sid")},
}
MASKS: dict[str, list[Any]] = {
    **{m: ["--query", "a.csv", "--score", m] for m in ("ace", "mf", "sam", "sid")},
    "rx": ["--score", "rx", "--norm", "entmax15"],
    "edge": ["--score", "edge"],
    "file": ["--score", "given.tif", "--focus", 40],
    "pixel": ["--at", "33,20", "--steps", 3, "--norm", "softmax"],
    "region": ["--roi", "marked.tif", "--background", "ground.tif"],
}
MEMORY = ["--max-memory", "157MB", "--threads", 3]


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> dict[str, Any]:
    return LAYOUTS[request.param]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes a cube of more tiles than threads that misses samples, and what can be asked of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hsitool.tasks.pixels.PIECE_BYTES", 8 * BANDS * 100)

    def write(name: str = "cube", dtype: str = "int16", gain: float = 0, **kind: Any) -> Path:
        array = cubes.spectra(BANDS, ROWS, COLUMNS, dtype=dtype)
        missing = np.random.default_rng(2).random(array.shape) < 0.002
        missing[:, :20, :4] = True
        missing[11] = True
        header = {
            "wavelength units": "Nanometers",
            "wavelength": cubes.listed(cubes.wavelengths(BANDS)),
            "bbl": cubes.listed([int(band != 3) for band in range(BANDS)]),
            "data ignore value": "-9999",
        }
        if gain:
            gains = [gain + band / 10 for band in range(BANDS)]
            header["data gain values"] = cubes.listed(gains)
            header["data offset values"] = cubes.listed([30 * gain] * BANDS)
        made = np.where(missing, -9999, array).astype(array.dtype)
        for query, (row, column) in {"a": (30, 30), "b": (60, 9)}.items():
            values = enumerate(array[:, row, column].tolist(), 1)
            lines = ["band,value", *(f"{band},{value}" for band, value in values)]
            Path(f"{query}.csv").write_text("\n".join(lines) + "\n", "utf-8")
        marked = np.zeros((1, ROWS, COLUMNS), np.uint8)
        marked[0, 25:31, 10:16] = 1
        cubes.write_geotiff(Path("marked.tif"), marked)
        cubes.write_geotiff(Path("ground.tif"), 1 - marked)
        given = np.random.default_rng(4).normal(size=(1, ROWS, COLUMNS)).astype(np.float32)
        cubes.write_geotiff(Path("given.tif"), given)
        return cubes.write_envi(Path(name), made, items=header, **kind)

    return write


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes of every array that went to a GPU."""
    sizes: list[int] = []
    put = Gpu.put

    def counted(self: Gpu, array: Any) -> Any:
        sizes.append(array.nbytes)
        return put(self, array)

    monkeypatch.setattr(Gpu, "put", counted)
    return sizes


def pixels(path: str) -> Any:
    with cubes.open_quietly(path) as dataset:
        return dataset.read()


def near(found: Any, expected: Any, tolerance: float) -> None:
    found, expected = np.asarray(found), np.asarray(expected)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    scale = np.nanmax(np.abs(expected))
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


def test_stats(
    array_gpu: Gpu, make: Callable[..., Path], layout: dict[str, Any], sent: list[int]
) -> None:
    cube, other = make(**layout), make("other", "float32")
    for word in ("cpu", f"cuda:{array_gpu.number}"):
        words = ["--background", "ground.tif", "-o", f"{word[:4]}.npz"]
        done("stats", cube, other, *words, "--device", word, *MEMORY)
    with np.load("cpu.npz") as expected, np.load("cuda.npz") as found:
        for name in ("mean", "cov"):
            near(found[name], expected[name], 1e-12)
        for name in ("noise_std", "difference_std"):
            near(found[name], expected[name], 1e-9)
    used = BANDS - 2
    assert sum(sent) >= used * ROWS * COLUMNS * (2 + 4), "the cubes went to the GPU"


@pytest.mark.parametrize("words", SCORES.values(), ids=SCORES)
def test_scores(
    array_gpu: Gpu,
    make: Callable[..., Path],
    layout: dict[str, Any],
    sent: list[int],
    words: list[Any],
) -> None:
    verb, *options = words
    cube = make(**layout)
    for word in ("cpu", "cuda"):
        done(verb, cube, *options, "-o", f"{word}.tif", "--device", word, *MEMORY)
    assert np.isfinite(pixels("cpu.tif")).any()
    near(pixels("cuda.tif"), pixels("cpu.tif"), 2e-7)  # of float32
    assert sum(sent) >= (BANDS - 2) * ROWS * COLUMNS * 2, "the cube went to the GPU"


@pytest.mark.parametrize("words", MASKS.values(), ids=MASKS)
def test_masks(
    array_gpu: Gpu, make: Callable[..., Path], sent: list[int], words: list[Any]
) -> None:
    cube = make()
    reports = {}
    for word in ("cpu", "cuda"):
        outputs = ["-o", f"{word}.tif", "--score-out", f"{word}_s.tif", "--spectrum", f"{word}.csv"]
        options = [*outputs, "--device", word, *MEMORY, "--json", "-q"]
        reports[word] = json.loads(done("attend", "mask", cube, *words, *options).out)
    near(pixels("cuda_s.tif"), pixels("cpu_s.tif"), 1e-7 if "sam" in words else 1e-11)
    near(pixels("cuda.tif"), pixels("cpu.tif"), 1e-6)
    found, expected = (
        np.genfromtxt(f"{word}.csv", delimiter=",", skip_header=1) for word in ("cuda", "cpu")
    )
    near(found, expected, 1e-8)
    for key in ("ess", "beta", "n90"):
        assert reports["cuda"][key] == pytest.approx(reports["cpu"][key], rel=1e-6), key
    assert sum(sent) >= (BANDS - 2) * ROWS * COLUMNS * 2, "the cube went to the GPU"


def test_frames_in_time(array_gpu: Gpu, make: Callable[..., Path]) -> None:
    frames = [make("one"), make("two", "float32")]
    found = {}
    for word in ("cpu", "cuda"):
        options = ["-o", f"{word}.tif", "--device", word, "--json", "-q"]
        words = ["--query", "a.csv", "--track", *options]
        found[word] = json.loads(done("attend", "mask", *frames, *words).out)["track"]
    for own, expected in zip(found["cuda"], found["cpu"], strict=True):
        assert own["ess"] == pytest.approx(expected["ess"], rel=1e-9)
        assert own["drift_deg"] == pytest.approx(expected["drift_deg"], rel=1e-6)


VERBS: dict[str, list[Any]] = {
    "stats": ["stats", "-o", "out.npz"],
    "detect": ["detect", "-t", "a.csv", "-o", "out.tif"],
    "anomaly": ["anomaly", "-o", "out.tif"],
    "attend mask": ["attend", "mask", "--at", "30,30", "-o", "out.tif"],
}


@pytest.mark.parametrize("words", VERBS.values(), ids=VERBS)
def test_without_cupy(
    make: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, words: list[Any]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    cube = make()
    answer = run(*words, cube, "--device", "cuda")
    assert (answer.code, answer.out) == (4, "")
    assert answer.err == (
        "hsitool: error: device cuda: CuPy is not installed: pip install 'hsitool[gpu]', "
        "or give --device cpu\n"
    )
    assert not list(Path.cwd().glob("out.*"))
    told = done(*words, cube, "-q")  # auto
    assert "device" not in told.err and list(Path.cwd().glob("out.*"))
    assert run(*words, cube, "--overwrite", "--device", "gpu").code == 2


@pytest.mark.parametrize("kind", ["OutOfMemoryError", "CUBLASError"])
@pytest.mark.parametrize("words", VERBS.values(), ids=VERBS)
def test_a_gpu_that_fails(
    make: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, words: list[Any], kind: str
) -> None:
    device_arrays.install(monkeypatch)

    def fail(*_: object) -> None:
        raise getattr(cupy_on_cpu, kind)("it fails")

    monkeypatch.setattr(Gpu, "put", fail)
    answer = run(*words, make(), "--device", "cuda", "-q")
    assert (answer.code, answer.out) == (4, "")
    assert answer.err == "hsitool: error: cuda:0: it fails: --device cpu does without the GPU\n"
    assert not list(Path.cwd().glob("out.*"))
