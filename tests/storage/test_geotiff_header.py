"""The directory that serves several scenes is the one that GDAL makes for each."""

from __future__ import annotations

from pathlib import Path

import cubes
import pytest

from hsitool.storage import geotiff_header
from hsitool.storage.alike import MOST, OnceForAlike
from hsitool.storage.geotiff_header import geotiff_header as header_of
from hsitool.storage.readers import open_cube
from hsitool.storage.writers import OutputOptions, _profile, create_cube

STEPS = [
    ({"command": "a & b < \"c\" > 'd' =;{}\\ é \n", "input": "x"},),
    ({"command": "short"}, {"command": "two", "settings": {"n": [1, None, float("nan")]}}),
    (),
]


@pytest.mark.parametrize("interleave", ["band", "pixel"])
def test_it_is_byte_for_byte_what_gdal_makes(tmp_path: Path, interleave: str) -> None:
    made = cubes.rich_geotiff(tmp_path / "rich.tif")
    for steps in (*STEPS, *STEPS):
        with open_cube(made.path) as source:
            info = source.info.replace(provenance=steps, nodata=float("nan"))
            profile = _profile(info, source.layout, OutputOptions()) | {"INTERLEAVE": interleave}
        ours, record = header_of(info, profile, tmp_path / "x.tif")
        own, _ = geotiff_header._made(info, profile, record, tmp_path / "x.tif")
        assert ours.values.keys() == own.values.keys()
        for tag, values in own.values.items():
            assert ours.values[tag].tobytes() == values.tobytes(), tag


def test_scenes_that_differ_do_not_share(tmp_path: Path) -> None:
    array = cubes.spectra(3, 4, 5, "float32")
    for number in range(3):
        path = cubes.write_geotiff(
            tmp_path / f"{number}.tif", array, transform=(1, 0, number, 0, -1, 0), crs="EPSG:32632"
        )
        with open_cube(path) as source:
            info = source.info.replace(provenance=({"command": f"{number}"},))
            with create_cube(tmp_path / f"out{number}.tif", info, source.layout) as sink:
                sink.write(info.whole, source.read(info.whole))
    for number in range(3):
        with open_cube(tmp_path / f"out{number}.tif") as made:
            assert made.info.transform is not None
            assert made.info.transform[2] == number
            assert made.info.provenance == ({"command": f"{number}"},)


def test_few_are_kept(tmp_path: Path) -> None:
    with open_cube(cubes.write_geotiff(tmp_path / "a.tif", cubes.spectra(3, 4, 5))) as source:
        info = source.info
    kept: OnceForAlike[int] = OnceForAlike()
    asked: list[int] = []

    def ask(number: int) -> int:
        def make(_: object) -> int:
            asked.append(number)
            return number

        return kept.get(info.replace(provenance=({"n": len(asked)},)), number, make)

    assert [ask(n) for n in (1, 1, 2, 1)] == [1, 1, 2, 1]
    assert asked == [1, 2]
    assert [ask(n) for n in range(2 * MOST)] == list(range(2 * MOST))
    assert len(kept._kept) <= MOST
