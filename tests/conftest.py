"""Fixtures that all tests share."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

# As the command line does: BLAS threads would wait for each other in many small products.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import cupy_on_cpu
import device_arrays
import numpy as np
import pytest

from hsitool import device
from hsitool.device import Gpu
from hsitool.errors import DeviceError

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real cubes and photographs; the test is skipped where it is absent."""
    named = os.environ.get("HSITOOL_TEST_DATA")
    folder = Path(named) if named else CHECKOUT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real data absent: no folder {folder} (HSITOOL_TEST_DATA can name one)")
    return folder


@pytest.fixture(scope="session")
def sample() -> Path:
    """The sample scene that the project ships."""
    return CHECKOUT / "data" / "sample.tif"


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator of random numbers, the same for each test."""
    return np.random.default_rng(20240724)


@pytest.fixture(params=["stand-in", "cuda"])
def gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Gpu:
    """A GPU: the stand-in that runs its kernels on the CPU, and a real one where there is one."""
    if request.param == "stand-in":
        if cupy_on_cpu.COMPILER is None:
            pytest.skip("no C++ compiler to run the GPU's kernels on the CPU")
        monkeypatch.setitem(sys.modules, "cupy", cupy_on_cpu.cupy_on_cpu())
    return _first_gpu(monkeypatch)


@pytest.fixture(params=["stand-in", "cuda"])
def array_gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Gpu:
    """A GPU for arrays: the stand-in whose arrays never mix with NumPy's, and a real one if any."""
    if request.param == "stand-in":
        device_arrays.install(monkeypatch)
    return _first_gpu(monkeypatch)


def _first_gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    monkeypatch.setattr(device, "_thread", threading.local())  # streams of the one or the other
    try:
        chosen = device.choose_device("cuda")
    except DeviceError as error:
        pytest.skip(str(error))
    assert isinstance(chosen, Gpu)
    return chosen
