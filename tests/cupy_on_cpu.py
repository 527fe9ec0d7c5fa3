"""A stand-in for CuPy that runs kernels on the CPU, to test what uses it without a GPU.

Kernels are compiled by a C++ compiler (`cuda_on_cpu.h`). Work in a stream is put off until the
stream is waited for, and memory is filled with rubbish and fenced, so that what only works by
chance on a GPU fails here.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.machinery
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

COMPILER = next(filter(None, map(shutil.which, ("g++", "c++", "clang++"))), None)
HERE = Path(__file__).parent
FENCE = 64
RUBBISH = 0xCD


class CUDARuntimeError(RuntimeError):
    pass


class CUDADriverError(RuntimeError):
    pass


class OutOfMemoryError(MemoryError):
    pass


class CompileException(Exception):  # noqa: N818
    pass


class NVRTCError(RuntimeError):
    pass


class CUBLASError(RuntimeError):
    pass


class ndarray(np.ndarray):  # type: ignore[type-arg]  # noqa: N801
    """An array that says where it lies as CuPy's do."""

    data = property(lambda self: SimpleNamespace(ptr=self.ctypes.data))
    device = property(lambda self: SimpleNamespace(id=0))


def asarray(array: np.ndarray[Any, Any]) -> ndarray:
    return array.view(ndarray)


class Stream:
    """Work to be done in order, once it is waited for."""

    def __init__(self, non_blocking: bool = False) -> None:
        assert non_blocking
        self.waiting: list[Callable[[], None]] = []

    def __enter__(self) -> None:
        _current.stream = self

    def __exit__(self, *_: object) -> None:
        _current.stream = None

    def synchronize(self) -> None:
        for work in self.waiting:
            work()
        self.waiting.clear()


_current = threading.local()
_default = Stream(non_blocking=True)


def get_current_stream() -> Stream:
    return getattr(_current, "stream", None) or _default


def _do(work: Callable[[], None]) -> None:
    """In the current stream; at once in the one that is always there."""
    stream = get_current_stream()
    stream.waiting.append(work)
    if stream is _default:
        stream.synchronize()


class Memory:
    """Memory that nothing may be written beside."""

    def __init__(self, nbytes: int) -> None:
        self._bytes = np.full(nbytes + 3 * FENCE, RUBBISH, np.uint8)
        self._start = FENCE + -self._bytes.ctypes.data % FENCE
        self._nbytes = nbytes
        self.ptr = self._bytes.ctypes.data + self._start

    def check(self) -> None:
        fences = self._bytes[: self._start], self._bytes[self._start + self._nbytes :]
        assert all((fence == RUBBISH).all() for fence in fences), "written beside memory"

    def copy_from_host_async(self, address: int, nbytes: int) -> None:
        assert nbytes <= self._nbytes
        _do(lambda: ctypes.memmove(self.ptr, address, nbytes))

    def copy_to_host_async(self, address: int, nbytes: int) -> None:
        assert nbytes <= self._nbytes
        _do(self.check)
        _do(lambda: ctypes.memmove(address, self.ptr, nbytes))

    def memset_async(self, value: int, nbytes: int) -> None:
        assert nbytes <= self._nbytes
        _do(lambda: ctypes.memset(self.ptr, value, nbytes))


class RawModule:
    """Compiles at once; a kernel is called with the structure that is its only parameter."""

    def __init__(self, code: str, options: tuple[str, ...]) -> None:
        self._library = _compiled(code, options)

    def get_function(self, name: str) -> Callable[..., None]:
        launch = getattr(self._library, f"launch_{name}")

        def run(grid: tuple[int, int], block: tuple[int], args: tuple[Any]) -> None:
            call = args[0].copy()
            launched.append((name, grid, block))

            def work() -> None:
                failure = launch(*grid, *block, call.ctypes.data_as(ctypes.c_void_p), call.nbytes)
                assert failure == 0, "parameters of another size" if failure == 1 else "barrier"

            _do(work)

        return run


launched: list[tuple[str, tuple[int, int], tuple[int]]] = []
"""Kernels launched so far, with their geometry."""


@functools.cache
def _compiled(code: str, options: tuple[str, ...]) -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "kernels.cpp"), Path(folder, "kernels.so")
        launchers = "\n".join(f"LAUNCHER({name})" for name in _kernels(code))
        source.write_text(f'#include "cuda_on_cpu.h"\n{code}\n{launchers}\n', "utf-8")
        flags = ["-std=c++17", "-O1", "-fPIC", "-shared", "-fno-strict-aliasing", "-w"]
        command = [COMPILER, *flags, *options, f"-I{HERE}", str(source), "-o", str(library)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CompileException(done.stderr)
        return ctypes.CDLL(str(library))


def _kernels(code: str) -> list[str]:
    """Names of the functions that the GPU is called for."""
    heads = [part.partition("(const Call")[0] for part in code.split('extern "C" __global__')[1:]]
    return [head.split()[-1] for head in heads]


class _Device:
    def __init__(self, number: int) -> None:
        self.attributes = {"MultiProcessorCount": 2}
        if number:
            raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def cupy_on_cpu() -> ModuleType:
    """A module to be put in CuPy's place, with one GPU."""
    cupy: Any = ModuleType("cupy")
    cupy.__spec__ = importlib.machinery.ModuleSpec("cupy", None)
    cupy.ndarray, cupy.asarray, cupy.RawModule = ndarray, asarray, RawModule
    cupy.cuda = SimpleNamespace(
        Device=_Device,
        Stream=Stream,
        get_current_stream=get_current_stream,
        alloc=Memory,
        PinnedMemory=lambda nbytes, flags: bytearray(nbytes),
        PinnedMemoryPointer=lambda memory, offset: memory,
        runtime=SimpleNamespace(
            CUDARuntimeError=CUDARuntimeError,
            getDeviceCount=lambda: 1,
            getDeviceProperties=lambda number: {"name": b"this machine"},
        ),
        cublas=SimpleNamespace(CUBLASError=CUBLASError),
        driver=SimpleNamespace(CUDADriverError=CUDADriverError),
        memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
        compiler=SimpleNamespace(CompileException=CompileException),
        nvrtc=SimpleNamespace(NVRTCError=NVRTCError, getVersion=lambda: (13, 0)),
    )
    module: ModuleType = cupy
    return module
