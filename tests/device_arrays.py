"""Arrays that behave as CuPy's do where NumPy's would let mistakes pass, to test without a GPU.

They never become arrays of NumPy by themselves and never mix with them: both raise a TypeError.
What NumPy's functions make of them is of their kind, too.
"""

from __future__ import annotations

import importlib.machinery
from types import ModuleType
from typing import Any

import numpy as np
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
        return _hide(getattr(ufunc, method)(*_shown(inputs), **_shown(options)))

    def __array_function__(self, function: Any, _: Any, inputs: Any, options: Any) -> Any:
        return _hide(function(*_shown(inputs), **_shown(options)))

    def __getattr__(self, name: str) -> Any:
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
        hidden = array._hidden if isinstance(array, DeviceArray) else array
        return DeviceArray(np.asarray(hidden, dtype))

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
    return module
