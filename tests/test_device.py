from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from typing import Any

import cupy_on_cpu
import numpy as np
import pytest

from hsitool.device import CPU, Device, Gpu, choose_device, device_of
from hsitool.errors import DeviceError, UsageError


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The stand-in for CuPy, to be broken; nothing is compiled."""
    module = cupy_on_cpu.cupy_on_cpu()
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


def fails(error: Exception) -> Callable[..., Any]:
    def call(*_: object, **__: object) -> None:
        raise error

    return call


@pytest.mark.parametrize("word", ["gpu", "CUDA", "cuda:", "cuda:x", "cuda:-1", "cuda 0", ""])
def test_other_words_are_wrong_use(word: str) -> None:
    with pytest.raises(UsageError, match="is unknown: give auto, cpu, cuda or cuda:N") as caught:
        choose_device(word)
    assert caught.value.exit_code == 2


def test_the_cpu(cupy: Any) -> None:
    cupy.cuda.runtime.getDeviceCount = fails(AssertionError("CuPy was asked"))
    assert choose_device("cpu") is CPU
    assert CPU.name == "cpu"
    assert CPU.empty(5).shape == (5,)
    assert device_of(np.zeros(3)) == CPU


@pytest.mark.parametrize("word", ["auto", "cuda", "cuda:0"])
def test_a_gpu(cupy: Any, word: str) -> None:
    device = choose_device(word)
    assert device == Gpu(0)
    assert device != Device()
    assert device.name == "cuda:0 (this machine)"
    assert device_of(cupy.asarray(np.zeros(3))) == device
    assert device_of(np.zeros(3)) == CPU


def test_memory_of_a_gpu_stays_as_long_as_arrays_on_it(cupy: Any) -> None:
    array = choose_device("cuda").empty(24).view(np.float64)
    array[:] = 1, 2, 3
    assert array.tolist() == [1, 2, 3]
    assert choose_device("cuda").empty(0).size == 0


def refused(word: str) -> str:
    """What is said of a device; one line, exit code 4, while `auto` does without."""
    assert choose_device("auto") is CPU
    with pytest.raises(DeviceError) as caught:
        choose_device(word)
    assert caught.value.exit_code == 4
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 200
    return message


def test_no_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "cupy", None)  # importing it would fail
    assert refused("cuda") == (
        "device cuda: CuPy is not installed: pip install 'hsitool[gpu]', or give --device cpu"
    )


def test_a_broken_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True)
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert refused("cuda:1").startswith("device cuda:1: CuPy cannot be loaded (import of cupy")


def test_no_driver(cupy: Any) -> None:
    said = "cudaErrorInsufficientDriver: CUDA driver version is insufficient\nand more"
    cupy.cuda.runtime.getDeviceCount = fails(cupy_on_cpu.CUDARuntimeError(said))
    assert refused("cuda") == (
        "device cuda: CUDA finds no GPU (cudaErrorInsufficientDriver: CUDA driver version is "
        "insufficient): see to its driver, or give --device cpu"
    )


def test_no_gpu(cupy: Any) -> None:
    cupy.cuda.runtime.getDeviceCount = lambda: 0
    assert refused("cuda") == "device cuda: CUDA finds no GPU: give --device cpu"


def test_no_compiler(cupy: Any) -> None:
    cupy.cuda.nvrtc.getVersion = fails(RuntimeError("libnvrtc.so.13 not found"))
    assert "CuPy finds no compiler (libnvrtc.so.13 not found)" in refused("cuda")


@pytest.mark.parametrize(("count", "those"), [(1, "cuda:0"), (4, "cuda:0 to cuda:3")])
def test_a_gpu_that_is_not_there(cupy: Any, count: int, those: str) -> None:
    cupy.cuda.runtime.getDeviceCount = lambda: count
    with pytest.raises(DeviceError) as caught:
        choose_device("cuda:4")
    assert str(caught.value) == f"device cuda:4: no such GPU: give {those}"
    assert choose_device("auto") == Gpu(0)


@pytest.mark.parametrize(
    "error",
    [
        cupy_on_cpu.CUDARuntimeError("cudaErrorIllegalAddress: an illegal memory access"),
        cupy_on_cpu.CUDADriverError("CUDA_ERROR_LAUNCH_FAILED: unspecified launch failure"),
        cupy_on_cpu.OutOfMemoryError("Out of memory allocating 1,024 bytes"),
        cupy_on_cpu.CompileException("error: expected a declaration\n1 error detected"),
        cupy_on_cpu.NVRTCError("NVRTC_ERROR_COMPILATION (6)"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_fails_on_a_gpu_is_told_in_one_line(cupy: Any, error: Exception) -> None:
    gpu = choose_device("cuda")
    assert isinstance(gpu, Gpu)
    cupy.cuda.alloc = fails(error)
    with pytest.raises(DeviceError) as caught, gpu.lane():
        gpu.memory(1024)
    said = str(error).splitlines()[0]
    assert str(caught.value) == f"cuda:0: {said}: --device cpu does without the GPU"


def test_a_lane_is_empty_at_its_end_even_after_a_failure(cupy: Any) -> None:
    """What is on its way to memory that may be given up must have arrived."""
    gpu = choose_device("cuda")
    assert isinstance(gpu, Gpu)
    sent, back = np.arange(4.0), np.zeros(4)
    with pytest.raises(ZeroDivisionError), gpu.lane():
        gpu.download(gpu.upload(sent), back)
        assert not back.any()
        raise ZeroDivisionError
    assert back.tolist() == sent.tolist()
