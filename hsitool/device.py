"""Where arrays live: in the memory of this machine, or on a GPU. The only home of CuPy.

CuPy is imported when a GPU is asked for, and not at all where it is not installed.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hsitool.errors import DeviceError, UsageError

Bytes = NDArray[np.uint8]
Memory = Any
"""Memory of a GPU that lives as long as this object; `ptr` is its address."""

WORDS = re.compile(r"auto|cpu|cuda(:\d+)?")
PINNED = 1  # cudaHostAllocPortable: for all GPUs


@dataclass(frozen=True)
class Device:
    """The processor of this machine.

    What is computed at once stays near the processor, or keeps all of it busy: `batch` is how much
    more a device wants of it than the processor of this machine.
    """

    batch: ClassVar[int] = 1

    @property
    def name(self) -> str:
        """What to call it in a message."""
        return "cpu"

    def empty(self, nbytes: int) -> Bytes:
        """Memory of this machine for blocks that are sent to the device and back."""
        return np.empty(nbytes, np.uint8)

    def put(self, array: NDArray[Any]) -> Any:
        """The array on the device."""
        return array

    def get(self, array: Any) -> NDArray[Any]:
        """The array in the memory of this machine."""
        return np.asarray(array)

    @contextmanager
    def work(self) -> Iterator[None]:
        """What is computed with arrays on the device is computed within."""
        yield

    def solve_lower(self, factor: Any, columns: Any) -> Any:
        """L^-1 C of a lower triangular factor (n, n) in Fortran order and columns (n, m).

        Both are on the device, in float64; the columns may be written over.
        """
        from scipy.linalg.blas import dtrsm  # type: ignore[import-untyped]

        if columns.flags.f_contiguous:
            return dtrsm(1.0, factor, columns, lower=1, overwrite_b=1)
        return dtrsm(1.0, factor, columns.T, side=1, lower=1, trans_a=1, overwrite_b=1).T


CPU = Device()


@dataclass(frozen=True)
class Gpu(Device):
    """A GPU, by its number in CUDA.

    All but `name` and `empty` is called within `here`, `work` or `lane`, which tell what fails on
    the GPU as a DeviceError.
    """

    number: int = 0
    batch: ClassVar[int] = 4

    @property
    def name(self) -> str:
        """Number and model."""
        model = _cupy().cuda.runtime.getDeviceProperties(self.number)["name"]
        return f"cuda:{self.number} ({model.decode()})"

    @cached_property
    def processors(self) -> int:
        """Multiprocessors, which blocks of threads are spread over."""
        return int(_cupy().cuda.Device(self.number).attributes["MultiProcessorCount"])

    def empty(self, nbytes: int) -> Bytes:
        """Memory that stays in place, so that copies run while other work goes on."""
        if nbytes == 0:
            return super().empty(0)
        with self.here():
            cuda = _cupy().cuda
            memory = cuda.PinnedMemoryPointer(cuda.PinnedMemory(nbytes, PINNED), 0)
            return np.frombuffer(memory, np.uint8, nbytes)

    def put(self, array: NDArray[Any]) -> Any:
        """The array on the GPU, within `work`."""
        return _cupy().asarray(array)

    def get(self, array: Any) -> NDArray[Any]:
        """The array in the memory of this machine, within `work`."""
        return np.asarray(_cupy().asnumpy(array))

    @contextmanager
    def work(self) -> Iterator[None]:
        """What is computed with arrays on the GPU is computed within."""
        with self.here():
            try:
                yield
            except _cupy().cuda.cublas.CUBLASError as error:
                raise self._failed(error) from error

    def solve_lower(self, factor: Any, columns: Any) -> Any:
        """L^-1 C, as on the CPU, within `work`."""
        from cupyx.scipy.linalg import solve_triangular

        return solve_triangular(factor, columns, lower=True, overwrite_b=True)

    @contextmanager
    def here(self) -> Iterator[None]:
        """Work on this GPU, in the current stream."""
        cuda = _cupy().cuda
        failures = (
            cuda.runtime.CUDARuntimeError,
            cuda.driver.CUDADriverError,
            cuda.memory.OutOfMemoryError,
            cuda.compiler.CompileException,
            cuda.nvrtc.NVRTCError,
        )
        try:
            with cuda.Device(self.number):
                yield
        except failures as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> DeviceError:
        said = _first_line(error)
        return DeviceError(f"cuda:{self.number}: {said}: --device cpu does without the GPU")

    @contextmanager
    def lane(self) -> Iterator[None]:
        """Work on this GPU beside what other threads do there; all is done at the end."""
        with self.here():
            stream = self._own_stream()
            with stream:
                try:
                    yield
                finally:
                    stream.synchronize()

    def _own_stream(self) -> Any:
        """The stream of this thread."""
        streams: dict[int, Any] = _thread.__dict__.setdefault("streams", {})
        if self.number not in streams:
            streams[self.number] = _cupy().cuda.Stream(non_blocking=True)
        return streams[self.number]

    def finish(self) -> None:
        """Wait for all work in the current stream."""
        _cupy().cuda.get_current_stream().synchronize()

    def compile(self, source: str, macros: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
        """The kernels of that name; each is called as `kernel(grid, threads, call)`.

        `call` is a structured array of one element, what the kernel's only parameter is made of.
        """
        module = _cupy().RawModule(code=source, options=tuple(f"-D{macro}" for macro in macros))
        return {name: _launcher(module.get_function(name)) for name in names}

    def memory(self, nbytes: int) -> Memory:
        """Memory of the GPU; its content is undefined."""
        return _cupy().cuda.alloc(nbytes)

    def upload(self, array: NDArray[Any]) -> Memory:
        """The bytes of a compact array, on their way; it must stay until they have arrived."""
        memory = self.memory(array.nbytes)
        if array.nbytes:
            memory.copy_from_host_async(array.ctypes.data, array.nbytes)
        return memory

    def zeros(self, nbytes: int) -> Memory:
        """Memory of the GPU, filled with 0."""
        memory = self.memory(nbytes)
        memory.memset_async(0, nbytes)
        return memory

    def download(self, memory: Memory, array: NDArray[Any]) -> None:
        """Send bytes of the GPU's memory to a compact array."""
        memory.copy_to_host_async(array.ctypes.data, array.nbytes)


_thread = threading.local()


def _launcher(function: Any) -> Any:
    def launch(grid: tuple[int, ...], threads: int, call: NDArray[Any]) -> None:
        function(grid, (threads,), (call,))

    return launch


def choose_device(word: str = "auto") -> Device:
    """The device that a user names: auto, cpu, cuda or cuda:N.

    `auto` is the first GPU that can be used, and else the CPU.

    Raises:
        UsageError: another word.
        DeviceError: the GPU cannot be used.
    """
    if not WORDS.fullmatch(word):
        raise UsageError(f"device {word} is unknown: give auto, cpu, cuda or cuda:N")
    if word == "cpu":
        return CPU
    count, trouble = _gpus()
    number = int(word.partition(":")[2] or 0)
    if number < count:
        return Gpu(number)
    if word == "auto":
        return CPU
    known = f"cuda:0 to cuda:{count - 1}" if count > 1 else "cuda:0"
    raise DeviceError(f"device {word}: {trouble or f'no such GPU: give {known}'}")


def on_cpu(array: Any) -> NDArray[Any]:
    """An array in the memory of this machine: itself, or a copy of what is on a GPU."""
    return device_of(array).get(array)


def device_of(array: Any) -> Device:
    """Where an array lives."""
    cupy = sys.modules.get("cupy")
    if cupy is not None and isinstance(array, cupy.ndarray):
        return Gpu(array.device.id)
    return CPU


def array_module(array: Any) -> Any:
    """NumPy, or CuPy for an array on a GPU: what else is computed beside it belongs there."""
    return np if device_of(array) == CPU else _cupy()


def _gpus() -> tuple[int, str]:
    """How many GPUs can be used; if none, why not and what to do."""
    if importlib.util.find_spec("cupy") is None:
        return 0, "CuPy is not installed: pip install 'hsitool[gpu]', or give --device cpu"
    try:
        cuda = _cupy().cuda
    except Exception as error:  # a broken installation may raise anything
        return 0, f"CuPy cannot be loaded ({_first_line(error)}): pip install 'hsitool[gpu]'"
    try:
        count = int(cuda.runtime.getDeviceCount())
    except cuda.runtime.CUDARuntimeError as error:
        said = f"CUDA finds no GPU ({_first_line(error)})"
        return 0, f"{said}: see to its driver, or give --device cpu"
    try:
        cuda.nvrtc.getVersion()
    except Exception as error:  # as above: its library is loaded only now
        return 0, f"CuPy finds no compiler ({_first_line(error)}): pip install 'hsitool[gpu]'"
    return count, "" if count else "CUDA finds no GPU: give --device cpu"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _cupy() -> Any:
    if (loaded := sys.modules.get("cupy")) is not None:
        return loaded
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about its surroundings: what matters fails later
        import cupy
    return cupy
