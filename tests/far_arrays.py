"""Arrays that live elsewhere, as CuPy's do: NumPy's functions and arrays do not mix with them.

Their module does on the CPU what CuPy does on a GPU, and refuses what CuPy refuses, so that what
computes with arrays wherever they live can be tested without a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import cupy_on_cpu
import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin


class FarArray(NDArrayOperatorsMixin):
    """An array that NumPy cannot reach."""

    device = property(lambda self: SimpleNamespace(id=0))

    def __init__(self, own: Any) -> None:
        self._own = np.asarray(own)

    def __array__(self, *_: object, **__: object) -> Any:
        raise TypeError("implicit conversion to a NumPy array is not allowed")

    def __array_function__(self, function: Callable[..., Any], *_: object) -> Any:
        raise TypeError(f"{function.__name__} of NumPy was given an array that lives elsewhere")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **more: Any) -> Any:
        return far(getattr(ufunc, method)(*map(near, inputs), **more))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(self._own, name)
        return reached(found) if callable(found) else far(found)

    def __getitem__(self, key: Any) -> Any:
        return far(self._own[near(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self._own[near(key)] = near(value)

    def __len__(self) -> int:
        return len(self._own)

    def __float__(self) -> float:
        return float(self._own)

    def __int__(self) -> int:
        return int(self._own)

    def __index__(self) -> int:
        return int(self._own)

    def __bool__(self) -> bool:
        return bool(self._own)


def far(value: Any) -> Any:
    """What a computation gives, moved away: numbers, too, as CuPy's are arrays."""
    return FarArray(value) if isinstance(value, np.ndarray | np.generic) else value


def near(value: Any) -> Any:
    """What a computation is given; arrays of NumPy do not get there by themselves."""
    if isinstance(value, FarArray):
        return value._own
    if isinstance(value, np.ndarray) and value.ndim:
        raise TypeError("unsupported type <class 'numpy.ndarray'>")
    if isinstance(value, tuple | list):
        return type(value)(map(near, value))
    return value


def reached(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of NumPy for arrays that live elsewhere."""

    def call(*values: Any, **more: Any) -> Any:
        return far(function(*map(near, values), **{k: near(v) for k, v in more.items()}))

    return call


def far_cupy() -> ModuleType:
    """A module to be put in CuPy's place."""
    cupy: Any = cupy_on_cpu.cupy_on_cpu()
    cupy.ndarray = FarArray
    cupy.asarray = lambda value: value if isinstance(value, FarArray) else FarArray(value)
    cupy.asnumpy = lambda value: np.array(near(value))

    def function(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(np, name)
        return reached(found) if callable(found) and not isinstance(found, type) else found

    cupy.__getattr__ = function
    module: ModuleType = cupy
    return module
