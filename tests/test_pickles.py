"""What a task needs can be sent to another process, and is small."""

from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path
from typing import Any

import cubes
import numpy as np
import pytest

from hsitool.cli import band
from hsitool.cli.attend_mask_scene import MaskScene, Where
from hsitool.cli.scenes import Scene
from hsitool.cli.smooth_scene import SmoothScene
from hsitool.cube import Tile
from hsitool.device import CPU
from hsitool.engine.plan import Budget, plan_tiles
from hsitool.errors import DataError, DeviceError, UsageError
from hsitool.maths.spectra.kernel import BandedKernel
from hsitool.storage.layout import Layout
from hsitool.storage.readers import open_cube
from hsitool.storage.writers import OutputOptions
from hsitool.tasks.anomaly import AnomalySettings
from hsitool.tasks.attend_look import MaskSettings
from hsitool.tasks.convert import ConvertSettings
from hsitool.tasks.detect import DetectSettings
from hsitool.tasks.smooth import SmoothSettings, fit_of
from hsitool.tasks.stats import Shrink
from hsitool.tasks.undistort import UndistortSettings

PATHS = (Path("a.tif"), None)
OPTIONS = OutputOptions(lines={Path("a"): ("b",)})
TASKS: list[Any] = [
    Tile(0, 1, 2, 3),
    Budget(),
    plan_tiles(Tile(0, 0, 9, 9), 4, [Layout("x", "band", 9, 9)], [], Budget()),
    OPTIONS,
    SmoothSettings(5, 2, split_at_nm=(1.0,)),
    ConvertSettings(bands=(1, 2), nodata="none"),
    DetectSettings(shrink=Shrink("oas")),
    AnomalySettings(window=(3, 9)),
    MaskSettings(shrink=Shrink()),
    UndistortSettings(),
    CPU,
    Scene(Path("a.tif"), (Path("b.tif"),), OPTIONS, Budget()),
    SmoothScene((SmoothSettings(5, 2),), 0, False, None, None, None, PATHS, CPU, False),
    MaskScene(
        MaskSettings(),
        Where("q.csv", 1, None, None, None),
        0.9,
        None,
        None,
        False,
        PATHS,
        CPU,
        True,
    ),
    UsageError("a"),
    DataError("b"),
    DeviceError("c"),
]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: type(task).__name__)
def test_what_a_task_needs_is_small_and_travels(task: Any) -> None:
    sent = pickle.dumps(task)
    assert len(sent) < 4096
    back = pickle.loads(sent)
    if isinstance(task, Exception):
        assert (type(back), str(back), back.exit_code) == (type(task), str(task), task.exit_code)
    else:
        assert back == task


def test_the_work_on_a_scene_travels() -> None:
    work = partial(band._one, name="3", data=None, wavelengths=None)
    assert pickle.loads(pickle.dumps(work)).keywords == work.keywords


def test_an_operator_and_its_kernel_travel(tmp_path: Path) -> None:
    array = cubes.spectra(30, 4, 5, "float32")
    path = cubes.write_geotiff(tmp_path / "a.tif", array, wavelength_nm=cubes.wavelengths(30))
    with open_cube(path) as source:
        operator = fit_of(source.info, SmoothSettings(5, 2)).operator
        assert pickle.loads(pickle.dumps(source.info)) == source.info
    sent = pickle.dumps(operator)
    assert len(sent) < 2**17
    kernels = [BandedKernel([o], "float32") for o in (operator, pickle.loads(sent))]
    kernels.append(pickle.loads(pickle.dumps(kernels[0])))
    made = [np.empty_like(array) for _ in kernels]
    for kernel, out in zip(kernels, made, strict=True):
        kernel(array, [out])
    assert made[0].tobytes() == made[1].tobytes() == made[2].tobytes()
