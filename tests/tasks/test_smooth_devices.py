"""`smooth --device`: the same numbers from a GPU, and what is said where there is none."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import cubes
import numpy as np
import pytest
from command import done, run

from hsitool.device import Gpu

BANDS = 40
HEADER = {
    "wavelength units": "Nanometers",
    "wavelength": cubes.listed(cubes.wavelengths(BANDS)),
    "bbl": cubes.listed([int(band not in (11, 25)) for band in range(BANDS)]),
    "data ignore value": "-9999",
}
OPTIONS: dict[str, list[str]] = {
    "few fitted": ["--min-valid", "6"],
    "one band": ["--band", "14"],
    "filled": ["--fill-gaps", "--fill-bad"],
    "in nm": ["--window", "300nm", "--min-valid", "4"],
    **{mode: ["--spacing", "band", "--mode", mode] for mode in ("mirror", "constant", "wrap")},
}


def make(folder: Path, **kind: Any) -> Path:
    """A cube of more tiles than threads, some of whose samples are missing."""
    array = cubes.spectra(BANDS, 50, 23, dtype="int16")
    missing = np.random.default_rng(2).random(array.shape) < 0.05
    missing[:, :20, :4] = True
    return cubes.write_envi(folder / "in", np.where(missing, -9999, array), items=HEADER, **kind)


def pixels(path: Path) -> Any:
    with cubes.open_quietly(path) as dataset:
        return dataset.read()


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("layout", ["bsq", "bil", "bip", "big-endian"])
def test_a_gpu_writes_what_the_cpu_writes(
    gpu: Gpu, layout: str, options: list[str], tmp_path: Path
) -> None:
    interleave, byte_order = (layout, 0) if layout != "big-endian" else ("bip", 1)
    path = make(tmp_path, interleave=interleave, byte_order=byte_order)
    for word in ("cpu", f"cuda:{gpu.number}"):
        names = [tmp_path / f"{word}_{n}.img" for n in range(3)]
        outputs = ["--deriv", 0, "--deriv", 2, "-o", names[0], "-o", names[1]]
        words = ["-w7", "-d2", *outputs, "--residual", names[2], *options]
        done("smooth", path, *words, "--device", word, "--threads", 3, "--max-memory", "151MB")
    for n in range(3):
        expected, found = (pixels(tmp_path / f"{word}_{n}.img") for word in ("cpu", "cuda:0"))
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
        assert np.nanmax(np.abs(found - expected)) <= 1e-6 * np.nanmax(np.abs(expected))


def test_without_cupy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    path = make(tmp_path)
    answer = run("smooth", path, "-w7", "-d2", "-o", tmp_path / "a.tif", "--device", "cuda")
    assert (answer.code, answer.out) == (4, "")
    assert answer.err == (
        "hsitool: error: device cuda: CuPy is not installed: pip install 'hsitool[gpu]', "
        "or give --device cpu\n"
    )
    assert not (tmp_path / "a.tif").exists()
    done("smooth", path, "-w7", "-d2", "-o", tmp_path / "a.tif", "--device", "auto")


def test_no_such_word(tmp_path: Path) -> None:
    answer = run("smooth", make(tmp_path), "-w7", "-d2", "--device", "gpu")
    assert answer.code == 2
    assert answer.err.endswith("device gpu is unknown: give auto, cpu, cuda or cuda:N\n")
