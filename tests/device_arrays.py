"""Arrays that behave as CuPy's do where NumPy's would let mistakes pass, to test without a GPU.

They never become arrays of NumPy by themselves and never mix with them: both raise a TypeError.
What NumPy's functions make of them is of their kind, too. Their memory is their own: what comes
from this machine is copied, and what may be written over is.
"""

from __future__ import annotations

import importlib.machinery
import sys
from types import ModuleType
from typing import Any

import cupy_on_cpu
import numpy as np
import pytest
import scipy.linalg
from numpy.lib.mixins import NDArrayOperatorsMixin


class DeviceArray(NDArrayOperatorsMixin):
    """An array that hides where it lies."""

    device = property(lambda self: type("Number", (), {"id": 0})())

    def __init__(self, hidden: Any) -> None:
        self._hidden = hidden

    def get(self) -> Any:
        """As an array of NumPy, on purpose."""
        return np.array(self._hidden)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("implicit conversion to a NumPy array is not allowed")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if "where" in options:
            raise TypeError("ufuncs of CuPy take no `where`")
        return _hide(getattr(ufunc, method)(*_shown(inputs), **_shown(options)))

    def __array_function__(self, function: Any, _: Any, inputs: Any, options: Any) -> Any:
        return _hide(function(*_shown(inputs), **_shown(options)))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # no way around `__array__`
            raise AttributeError(name)
        found = getattr(self._hidden, name)
        if not callable(found):
            return _hide(found)
        return lambda *inputs, **options: _hide(found(*_shown(inputs), **_shown(options)))

    def __getitem__(self, key: Any) -> Any:
        return _hide(self._hidden[_shown(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self._hidden[_shown(key)] = _shown(value)

    def __len__(self) -> int:
        return len(self._hidden)

    def __float__(self) -> float:
        return float(self._hidden)

    def __int__(self) -> int:
        return int(self._hidden)

    def __bool__(self) -> bool:
        return bool(self._hidden)

    def __index__(self) -> int:
        return int(self._hidden)


def _hide(found: Any) -> Any:
    if isinstance(found, tuple | list):
        return type(found)(map(_hide, found))
    return DeviceArray(found) if isinstance(found, np.ndarray | np.generic) else found


def _shown(given: Any) -> Any:
    if isinstance(given, DeviceArray):
        return given._hidden
    if isinstance(given, np.ndarray) and given.ndim:
        raise TypeError("an array of NumPy among those of a device")
    if isinstance(given, tuple | list):
        return type(given)(map(_shown, given))
    if isinstance(given, dict):
        return {key: _shown(value) for key, value in given.items()}
    return given


class _Module(ModuleType):
    """NumPy's functions, on arrays of the device."""

    ndarray = DeviceArray

    def asarray(self, array: Any, dtype: Any = None) -> DeviceArray:
        if isinstance(array, DeviceArray):
            return DeviceArray(np.asarray(array._hidden, dtype))
        copied = np.array(array, dtype)
        if not copied.dtype.isnative:
            raise TypeError(f"unsupported dtype {copied.dtype}")
        return DeviceArray(copied)

    @staticmethod
    def asnumpy(array: Any) -> Any:
        return array.get() if isinstance(array, DeviceArray) else np.asarray(array)

    def __getattr__(self, name: str) -> Any:
        function = getattr(np, name)
        return lambda *inputs, **options: _hide(function(*_shown(inputs), **_shown(options)))


def device_module() -> Any:
    """A module to be put in CuPy's place."""
    module = _Module("cupy")
    module.__spec__ = importlib.machinery.ModuleSpec("cupy", None)
    module.cuda = cupy_on_cpu.cupy_on_cpu().cuda
    return module


def _solve_triangular(
    a: Any, b: Any, *, lower: bool = False, overwrite_b: bool = False, check_finite: bool = False
) -> DeviceArray:
    if not (isinstance(a, DeviceArray) and isinstance(b, DeviceArray)):
        raise TypeError("CuPy solves for its own arrays only")
    found = scipy.linalg.solve_triangular(a.get(), b.get(), lower=lower, check_finite=check_finite)
    if overwrite_b:
        b._hidden[:] = np.nan
    return DeviceArray(np.asfortranarray(found))


def install(patch: pytest.MonkeyPatch) -> Any:
    """Put such modules in the place of CuPy and its part for SciPy."""
    module, linalg = device_module(), ModuleType("cupyx.scipy.linalg")
    vars(linalg)["solve_triangular"] = _solve_triangular
    for name in ("cupyx", "cupyx.scipy"):
        patch.setitem(sys.modules, name, ModuleType(name))
    patch.setitem(sys.modules, "cupyx.scipy.linalg", linalg)
    patch.setitem(sys.modules, "cupy", module)
    return module
