"""Scene models come back as they were written, and nothing else is believed."""

from __future__ import annotations

import json
import pickle
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hsitool.errors import DataError, UsageError
from hsitool.storage.scene_files import SceneFile, read_scene, write_scene

BLOCKS = [
    {"name": "a.tif", "bands": [1, 3], "cube_bands": 3, "wavelength_nm": [400.5, 500.0]},
    {"name": "b.tif", "bands": [2], "cube_bands": 2, "wavelength_nm": None},
]


def arrays() -> dict[str, Any]:
    root = np.array([[1.0, 0.0, 0.0], [0.3, 0.8, 0.0], [0.1, -0.2, 0.5]])
    return {"mean": np.arange(3.0), "cov": root @ root.T, "noise_std": np.full(3, 0.1)}


def facts(**changes: Any) -> dict[str, Any]:
    return {"n": 9, "blocks": BLOCKS, **changes}


def test_a_model_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "scene.npz"
    write_scene(path, SceneFile(arrays(), facts()))
    found = read_scene(path)
    assert found.facts["blocks"] == BLOCKS
    assert found.arrays.keys() == arrays().keys()
    for name, values in arrays().items():
        np.testing.assert_array_equal(found.arrays[name], values)
    first = path.read_bytes()
    with pytest.raises(UsageError, match="exists"):
        write_scene(path, SceneFile(arrays(), facts()))
    write_scene(path, SceneFile(arrays(), facts()), overwrite=True)
    assert path.read_bytes() == first
    assert [p.name for p in tmp_path.iterdir()] == ["scene.npz"]


def test_every_program_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "scene.npz"
    write_scene(path, SceneFile(arrays(), facts()))
    with np.load(path, allow_pickle=False) as plain:
        np.testing.assert_array_equal(plain["cov"], arrays()["cov"])
        assert json.loads(str(plain["scene"]))["n"] == 9


def altered(path: Path, text: str | None = None, **changes: Any) -> Path:
    content = {"format": "hsitool scene", "version": 1, **facts()}
    members = {**arrays(), "scene": np.array(text or json.dumps(content)), **changes}
    np.savez(path, **{k: v for k, v in members.items() if v is not None})
    return path


def described(**changes: Any) -> str:
    return json.dumps({"format": "hsitool scene", "version": 1, **facts(**changes)})


SKEW = np.eye(3) + np.triu(np.full((3, 3), 0.1), 1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cov": np.eye(4)}, r"cov is float64 \(4, 4\)"),
        ({"cov": SKEW}, "not symmetric"),
        ({"cov": -np.eye(3)}, "variance is negative"),
        ({"cov": None}, "KeyError"),
        ({"mean": None}, "no mean"),
        ({"mean": np.array([0.0, np.nan, 1.0])}, "NaN"),
        ({"mean": np.zeros(3, np.float32)}, "float32"),
        ({"mean": np.array([1, "a", None], object)}, "no plain array"),
        ({"noise_std": np.array([-1.0, 0, 0])}, "negative"),
        ({"scene": None}, "KeyError"),
        ({"text": "{"}, "JSONDecodeError"),
        ({"text": "[]"}, "TypeError"),
        ({"text": described(n=1)}, "1 pixels"),
        ({"text": described(n="9")}, "TypeError|9 pixels"),
        ({"text": described(version=2)}, "version"),
        ({"text": described(blocks=[])}, "0 bands"),
        ({"text": described(blocks=[{**BLOCKS[0], "bands": [1, 2, 4]}])}, "beyond"),
        ({"text": described(blocks=[{**BLOCKS[0], "bands": [1, 1, 2]}])}, "twice"),
        ({"text": described(blocks=[{**BLOCKS[0], "name": 3}])}, "not described"),
        ({"text": described(blocks=[{**BLOCKS[0], "wavelength_nm": [1.0]}])}, "wavelengths"),
    ],
)
def test_what_is_no_model_is_refused(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = altered(tmp_path / "scene.npz", **changes)
    with pytest.raises(DataError, match=said) as error:
        read_scene(path)
    assert "\n" not in str(error.value)


def test_files_of_other_kinds_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "scene.npz"
    with pytest.raises(DataError, match="cannot be read"):
        read_scene(path)
    path.write_bytes(b"not a zip")
    with pytest.raises(DataError, match="not a scene model"):
        read_scene(path)
    whole = altered(path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="not a scene model"):
        read_scene(path)


class Trap:
    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('executed')",)


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    path = altered(tmp_path / "scene.npz")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("more.npy", pickle.dumps(Trap()))
    assert read_scene(path).facts["n"] == 9
    with pytest.raises(DataError, match="no plain array"):
        read_scene(altered(path, mean=np.array([Trap()] * 3)))


def test_a_header_that_promises_more_than_there_is(tmp_path: Path) -> None:
    path, head = tmp_path / "scene.npz", BytesIO()
    shape = {"descr": "<f8", "fortran_order": False, "shape": (2**40, 2**20)}
    np.lib.format.write_array_header_1_0(head, shape)
    altered(path, mean=None)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("mean.npy", head.getvalue())
    with pytest.raises(DataError, match="no plain array"):
        read_scene(path)


def test_a_small_file_that_unpacks_to_a_large_one(tmp_path: Path) -> None:
    path = altered(tmp_path / "scene.npz", cov=None)
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("cov.npy", "w", force_zip64=True) as file,
    ):
        for _ in range(900):
            file.write(bytes(2**20))
    with pytest.raises(DataError, match="bytes"):
        read_scene(path)
