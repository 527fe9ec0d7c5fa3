"""ENVI files: all types and orders, odd names, damaged and hostile headers and data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cubes
import numpy as np
import pytest

from hsitool.cube import CubeInfo, Tile
from hsitool.errors import DataError, HsitoolWarning, UsageError
from hsitool.storage.envi import compose
from hsitool.storage.readers import open_cube

Look = Callable[[Path], tuple[CubeInfo, Any]]
SHAPE = (3, 5, 4)


@pytest.mark.parametrize("interleave", cubes.ENVI_AXES)
@pytest.mark.parametrize("byte_order", [0, 1])
@pytest.mark.parametrize("dtype", cubes.ENVI_TYPES)
def test_types_and_orders(tmp_path: Path, interleave: str, byte_order: int, dtype: str) -> None:
    array = cubes.spectra(*SHAPE, dtype)
    path = cubes.write_envi(
        tmp_path / "x", array, interleave=interleave, byte_order=byte_order, header_offset=13
    )
    with open_cube(path) as reader:
        whole = reader.read(reader.info.whole)
        assert whole.dtype == array.dtype
        np.testing.assert_array_equal(whole, array)
        part = reader.read(Tile(1, 2, 3, 2), [2, 0])
        np.testing.assert_array_equal(part, array[[2, 0], 1:4, 2:4])
        size = reader.buffer_bytes(Tile(1, 2, 3, 2), [1])
        buffer = np.full(size + 8, 7, np.uint8)
        block = reader.read(Tile(1, 2, 3, 2), [1], buffer)
        np.testing.assert_array_equal(block, array[1:2, 1:4, 2:4])
        assert np.shares_memory(block, buffer)
        assert (buffer[size:] == 7).all()
        word = "big" if byte_order and array.itemsize > 1 else "little"
        assert reader.layout.byte_order == word
        assert (
            reader.layout.interleave == {"bsq": "band", "bil": "line", "bip": "pixel"}[interleave]
        )


@pytest.mark.parametrize("extension", ["", ".dat", ".img", ".IMG", ".bsq", ".raw", ".sli"])
@pytest.mark.parametrize("style", ["x.hdr", "x.dat.hdr"])
def test_names(tmp_path: Path, look: Look, extension: str, style: str) -> None:
    array = cubes.spectra(*SHAPE)
    stem = tmp_path / "flight.1_img"
    path = cubes.write_envi(stem, array, extension=extension, header_style=style)
    header = cubes.envi_header_path(stem, extension, style)
    for name in (path, header):
        np.testing.assert_array_equal(look(name)[1], array)
    upper = header.with_suffix(".HDR")
    header.rename(upper)
    for name in (path, upper):
        np.testing.assert_array_equal(look(name)[1], array)


def test_data_elsewhere(tmp_path: Path, look: Look) -> None:
    array = cubes.spectra(*SHAPE)
    path = cubes.write_envi(tmp_path / "x", array)
    (tmp_path / "far").mkdir()
    path = path.rename(tmp_path / "far" / "pixels.bin")
    with open_cube(tmp_path / "x.hdr", data=path) as reader:
        np.testing.assert_array_equal(reader.read(reader.info.whole), array)
        assert reader.files == (path, tmp_path / "x.hdr")
    with pytest.raises(DataError, match=r"x\.hdr: no data file beside it .* --data FILE"):
        look(tmp_path / "x.hdr")
    with pytest.raises(DataError, match=r"none\.dat: cannot be read: No such file"):
        open_cube(tmp_path / "x.hdr", data=tmp_path / "none.dat")
    with pytest.raises(DataError, match="goes with an ENVI header"):
        open_cube(path, data=path)


def test_of_several_data_files_the_one_that_fits_is_taken(tmp_path: Path, look: Look) -> None:
    array = cubes.spectra(*SHAPE)
    path = cubes.write_envi(tmp_path / "x", array, extension=".raw")
    (tmp_path / "x").write_bytes(b"12")
    (tmp_path / "x.img").write_bytes(bytes(path.stat().st_size + 1))
    np.testing.assert_array_equal(look(tmp_path / "x.hdr")[1], array)


def test_spectral_library(tmp_path: Path, look: Look) -> None:
    spectra = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
    items = {
        "file type": "ENVI  Spectral Library",
        "wavelength units": "Micrometers",
        "wavelength": "{0.4, 0.5, 0.6, 0.7}",
        "spectra names": "{oak, asphalt, water}",
        "band names": "{Spectral Library}",
    }
    path = cubes.write_envi(tmp_path / "x", spectra, items=items, extension=".sli")
    info, pixels = look(path)
    assert info.shape == (4, 3, 1)
    np.testing.assert_array_equal(pixels[:, :, 0], spectra[0].T)
    assert info.wavelength_nm == (400.0, 500.0, 600.0, 700.0)
    assert info.header["spectra names"] == "{oak, asphalt, water}"
    assert info.names is None
    cubes.write_envi(tmp_path / "y", cubes.spectra(2, 3, 4), items=items)
    with pytest.raises(DataError, match="a spectral library of 2 bands: it has to have 1"):
        look(tmp_path / "y.hdr")


@pytest.mark.parametrize(
    ("items", "scale", "offset"),
    [
        ({"reflectance scale factor": "10000"}, (1e-4,) * 3, None),
        ({"reflectance scale factor": "1"}, None, None),
        (
            {"reflectance scale factor": "10", "data gain values": "{1, 2, 3}"},
            (1.0, 2.0, 3.0),
            None,
        ),
        ({"data offset values": "{1, 2, 3}"}, None, (1.0, 2.0, 3.0)),
    ],
)
def test_scaling(
    tmp_path: Path,
    look: Look,
    copy: Callable[..., CubeInfo],
    items: dict[str, str],
    scale: Any,
    offset: Any,
) -> None:
    path = cubes.write_envi(tmp_path / "x", cubes.spectra(*SHAPE), items=items)
    copy(path, tmp_path / "y.tif")
    copy(tmp_path / "y.tif", tmp_path / "z.img")
    for name in (path, tmp_path / "y.tif", tmp_path / "z.img"):
        info, _ = look(name)
        assert (info.scale, info.offset) == (scale, offset)
    for key, text in items.items():
        assert f"\n{key} = {text}\n" in (tmp_path / "z.hdr").read_text()


WARNED = [
    ({"byte order": "7"}, "has byte order '7': taken as 0"),
    ({"band names": "{a, b}"}, "2 band names for 3 bands: left out"),
    ({"data ignore value": "none"}, "'data ignore value = none' is not a number"),
    ({"data gain values": "{1, x, 3}"}, "'data gain values' does not hold one number for each"),
    ({"reflectance scale factor": "0"}, "makes no sense"),
    ({"reflectance scale factor": "nan"}, "makes no sense"),
    ({"map info": "{garbage}"}, "'map info' makes no sense"),
    ({"map info": "{UTM, 1, 1, 0, 0, 0, 0, 33, North, WGS-84}"}, "'map info' makes no sense"),
    ({"geo points": "{1, 2}"}, "'geo points' makes no sense"),
    ({"rpc info": "{1, 2, 3}"}, "'rpc info' makes no sense"),
    ({"wavelength": "{1, 2}"}, "2 values for 3 bands"),
    ({"hsitool": "{"}, None),
    ({"hsitool": '{"version": 1}'}, "record no longer fits"),
    ({"hsitool": "[" * 100_000}, "record no longer fits"),
]


@pytest.mark.parametrize(("items", "message"), WARNED)
def test_items_that_make_no_sense_are_told_and_left_out(
    tmp_path: Path, items: dict[str, str], message: str | None
) -> None:
    array = cubes.spectra(*SHAPE)
    path = cubes.write_envi(tmp_path / "x", array, items=items)
    if message is None:
        with pytest.raises(DataError, match="a brace is never closed"):
            open_cube(path)
        return
    with pytest.warns(HsitoolWarning, match=message) as told, open_cube(path) as reader:
        np.testing.assert_array_equal(reader.read(reader.info.whole), array)
        assert reader.info.transform is None
        assert not reader.info.gcps
    assert len(told) == 1


def test_byte_order_is_asked_for_only_where_it_matters(tmp_path: Path, look: Look) -> None:
    cubes.write_envi(tmp_path / "x", cubes.spectra(*SHAPE, "uint8"), without=["byte order"])
    look(tmp_path / "x.hdr")
    cubes.write_envi(tmp_path / "y", cubes.spectra(*SHAPE), without=["byte order"])
    with pytest.warns(HsitoolWarning, match=r"y\.hdr has no byte order: taken as 0"):
        look(tmp_path / "y.hdr")


REFUSED = [
    ({"samples": "-4"}, "'samples = -4' is not a whole number"),
    ({"bands": "3.5"}, "is not a whole number"),
    ({"lines": "99999999999999999999999"}, "is not a whole number"),
    ({"lines": "999999999999"}, "describe no cube"),
    ({"bands": "2000000000"}, "describe no cube"),
    ({"bands": "0"}, "describe no cube"),
    ({"lines": "2147483647", "samples": "2147483647"}, "describe no cube"),
    ({"header offset": "999999999999999999"}, r"x\.dat: 240 bytes, but its header .* needs 1"),
    ({"data type": "7"}, "data type 7 is not one of ENVI's"),
    ({"interleave": "bup"}, "interleave 'bup' is not bsq, bil or bip"),
    ({"file compression": "1"}, "uncompress it first"),
    ({"lines": "6"}, r"x\.dat: 240 bytes, but its header x\.hdr needs 288: the file is incomplete"),
]


@pytest.mark.parametrize(("items", "message"), REFUSED)
def test_headers_that_describe_no_file(tmp_path: Path, items: dict[str, str], message: str) -> None:
    path = cubes.write_envi(tmp_path / "x", cubes.spectra(*SHAPE), items=items)
    with pytest.raises(DataError, match=message) as told:
        open_cube(path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("key", ["samples", "lines", "bands", "data type", "interleave"])
def test_missing_items(tmp_path: Path, key: str) -> None:
    path = cubes.write_envi(tmp_path / "x", cubes.spectra(*SHAPE), without=[key])
    with pytest.raises(DataError, match=f"x.hdr: (the header has no '{key}'|interleave '')"):
        open_cube(path)


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "x.hdr").write_text("BYTEORDER I\n")
    (tmp_path / "folder.hdr").mkdir()
    for name, message in (
        ("none.dat", "none.dat: cannot be read: No such file"),
        ("empty", "empty: cannot be opened as a raster"),
        ("x.hdr", "x.hdr: not an ENVI header"),
        ("folder.hdr", "folder.hdr: cannot read the header: Is a directory"),
        (".", "cannot be opened as a raster"),
        ("/", "/: cannot be opened as a raster"),
    ):
        with pytest.raises(DataError, match=message) as told:
            open_cube(tmp_path / name)
        assert "\n" not in str(told.value)


def test_a_file_cut_while_open(tmp_path: Path) -> None:
    path = cubes.write_envi(tmp_path / "x", cubes.spectra(*SHAPE))
    with open_cube(path) as reader:
        with path.open("r+b") as file:
            file.truncate(200)
        with pytest.raises(DataError, match=r"x\.dat: the file ends 40 bytes early"):
            reader.read(reader.info.whole)


def test_other_formats_beside_a_header_are_not_taken_for_pixels(tmp_path: Path) -> None:
    path = cubes.write_envi(tmp_path / "x", cubes.spectra(*SHAPE), extension=".png")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(500))
    with pytest.raises(DataError, match=r"x\.png: cannot be opened as a raster"):
        open_cube(path)


def test_types_that_envi_lacks() -> None:
    info = CubeInfo(1, 1, 1, np.dtype("int8"))
    with pytest.raises(UsageError, match="ENVI has no data type for int8"):
        compose(info, "band")


REAL = [
    ("isofit/topoflux/ang20160910t185702_2rdn_img", (425, 25, 30), 376.44, 2500.12),
    ("napari_hippo/image.dat", (450, 38, 23), 378.2, 2503.7),
    ("enmap-box/berlin_lib/library_berlin.sli", (177, 75, 1), None, None),
]


@pytest.mark.parametrize(("name", "shape", "first", "last"), REAL)
def test_real_files(
    shared_data: Path, look: Look, name: str, shape: Any, first: float | None, last: float | None
) -> None:
    info, pixels = look(shared_data / name)
    assert info.shape == shape == pixels.shape
    assert info.wavelength_nm is not None
    if first is not None and last is not None:
        assert info.wavelength_nm[0] == pytest.approx(first, abs=0.05)
        assert info.wavelength_nm[-1] == pytest.approx(last, abs=0.05)


def test_deliberately_broken_headers(shared_data: Path) -> None:
    folder = shared_data / "plantcv"
    data = folder / "darkReference"
    for number, message in (("4", "interleave 'bup'"), ("_arcgis", "not an ENVI header")):
        found = [p for p in folder.glob("darkReference*.hdr") if number in p.name]
        for header in found:
            with pytest.raises(DataError, match=message):
                open_cube(header, data=data)
