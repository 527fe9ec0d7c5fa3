"""TIFF files: plain pixels read by position agree with GDAL; damaged files give one clear line."""

from __future__ import annotations

import struct
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cubes
import numpy as np
import pytest
from numpy.typing import NDArray

from hsitool.cube import CubeInfo, Tile
from hsitool.errors import DataError, HsitoolWarning, UsageError
from hsitool.storage.readers import RasterioReader, RawReader, open_cube
from hsitool.storage.tiff import (
    is_complete,
    laid_out,
    parse_directory,
    pixel_layout,
    read_directory,
)

TILES = [Tile(0, 0, 37, 45), Tile(5, 3, 17, 30), Tile(36, 44, 1, 1), Tile(0, 16, 37, 16)]
PICKS = [None, [0], [4, 1], [1, 2, 3]]


def check_reads(path: Path, array: NDArray[Any], kind: type) -> None:
    """Every tile and choice of bands, into memory of its own and into a given buffer."""
    with open_cube(path) as reader:
        assert isinstance(reader, kind)
        for tile in TILES:
            rows = slice(tile.row, tile.row + tile.height)
            columns = slice(tile.column, tile.column + tile.width)
            for bands in PICKS:
                expected = array[slice(None) if bands is None else bands, rows, columns]
                buffer = np.full(reader.buffer_bytes(tile, bands), 9, np.uint8)
                for block in (reader.read(tile, bands), reader.read(tile, bands, buffer)):
                    assert block.dtype == array.dtype
                    np.testing.assert_array_equal(block, expected)


@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize("blocks", [None, ("strip", 1), ("strip", 8), ("tile", 16)])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "complex64"])
@pytest.mark.parametrize("creation", [{}, {"ENDIANNESS": "BIG"}, {"BIGTIFF": "YES"}])
def test_plain_files_are_read_by_position(
    tmp_path: Path, interleave: str, blocks: Any, dtype: str, creation: dict[str, str]
) -> None:
    array = cubes.spectra(5, 37, 45, dtype)
    path = cubes.write_geotiff(
        tmp_path / "x.tif", array, interleave=interleave, blocks=blocks, creation=creation
    )
    check_reads(path, array, RawReader)


def test_band_strips_that_follow_each_other_row_by_row(tmp_path: Path) -> None:
    path = cubes.write_large(tmp_path / "x.tif", "tif-band-strip", 0.001, bands=5, columns=45)
    order = cubes.block_offsets(path)
    assert (np.diff(order.ravel()) < 0).any()
    with cubes.open_quietly(path) as dataset:
        array = dataset.read()
    check_reads(path, array[:, : array.shape[1]], RawReader)


@pytest.mark.parametrize(
    "creation",
    [
        {"compress": "deflate"},
        {"compress": "zstd", "predictor": 3},
        {"SPARSE_OK": "TRUE"},
    ],
)
def test_other_files_are_read_by_gdal(tmp_path: Path, creation: dict[str, Any]) -> None:
    array = cubes.spectra(5, 37, 45)
    if "SPARSE_OK" in creation:
        array[:, :20] = 0
    path = cubes.write_geotiff(
        tmp_path / "x.tif", array, blocks=("tile", 16), interleave="band", creation=creation
    )
    check_reads(path, array, RasterioReader)


def test_bits_in_another_order_and_palettes_are_read_by_gdal(tmp_path: Path) -> None:
    array = cubes.spectra(1, 4, 5, "uint8")
    path = cubes.write_geotiff(tmp_path / "x.tif", array, blocks=("strip", 4))
    data = bytearray(path.read_bytes())
    set_entry(data, 262, 266, 2)  # PhotometricInterpretation becomes FillOrder: reversed
    path.write_bytes(data)
    with cubes.open_quietly(path) as dataset:
        expected = dataset.read()
    with open_cube(path) as reader:
        np.testing.assert_array_equal(reader.read(reader.info.whole), expected)


@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize("blocks", [("strip", 8), ("tile", 16)])
@pytest.mark.parametrize("creation", [{}, {"BIGTIFF": "YES"}, {"ENDIANNESS": "BIG"}])
def test_written_layouts_are_read_by_gdal(
    tmp_path: Path,
    copy: Callable[..., CubeInfo],
    interleave: str,
    blocks: Any,
    creation: dict[str, str],
) -> None:
    """Tiles that reach over the border are whole in the file."""
    array = cubes.spectra(5, 37, 45)
    path = cubes.write_geotiff(tmp_path / "a.tif", array, interleave=interleave, blocks=blocks)
    copy(path, tmp_path / "b.tif", creation=creation)
    with cubes.open_quietly(tmp_path / "b.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(), array)
        assert dataset.interleaving.value.lower() == interleave
        assert dataset.profile["tiled"] == (blocks[0] == "tile")
    check_reads(tmp_path / "b.tif", array, RawReader)
    start = (tmp_path / "b.tif").read_bytes()[:4]
    known = {"BIGTIFF": b"II+\0", "ENDIANNESS": b"MM\0*"}
    assert start == next((known[key] for key in creation), b"II*\0")


# Hostile files, made from a sound one: little-endian classic TIFF with its directory at byte 8


def sound(tmp_path: Path) -> tuple[Path, bytearray]:
    path = cubes.write_geotiff(tmp_path / "x.tif", cubes.spectra(3, 8, 5), blocks=("strip", 2))
    return path, bytearray(path.read_bytes())


def entries(data: bytearray) -> tuple[int, int]:
    """Where the first entry of the directory lies, and how many there are."""
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    return start + 2, count


def place_of(data: bytearray, tag: int) -> int:
    first, count = entries(data)
    places = [first + 12 * k for k in range(count)]
    return next(p for p in places if struct.unpack_from("<H", data, p)[0] == tag)


def set_entry(data: bytearray, tag: int, new_tag: int, value: int, count: int = 1) -> None:
    struct.pack_into("<HHII", data, place_of(data, tag), new_tag, 4, count, value)


DAMAGE: list[tuple[str, Callable[[bytearray], bytes]]] = [
    ("only the magic bytes", lambda d: bytes(d[:4])),
    ("only the header", lambda d: bytes(d[:8])),
    ("cut in the directory", lambda d: bytes(d[:60])),
    ("cut in the pixels", lambda d: bytes(d[:-30])),
    ("directory beyond the end", lambda d: d[:4] + struct.pack("<I", 2**31) + d[8:]),
    ("directory of no entries", lambda d: _with(d, "<H", entries(d)[0] - 2, 0)),
    ("65535 entries", lambda d: _with(d, "<H", entries(d)[0] - 2, 65535)),
    ("absurdly many strips", lambda d: _entry(d, 273, 273, 8, 2**31)),
    ("strips beyond the end", lambda d: _entry(d, 273, 273, 2**31 - 9, 4)),
    ("absurd rows", lambda d: _entry(d, 257, 257, 2**31 - 1)),
    ("absurd columns", lambda d: _entry(d, 256, 256, 2**31 - 1)),
    ("no columns", lambda d: _entry(d, 256, 256, 0)),
    ("no strips", lambda d: _entry(d, 273, 40000, 0)),
    ("tiles of no size", lambda d: _entry(d, 278, 322, 0)),
    ("absurdly many samples", lambda d: _entry(d, 277, 277, 2**31 - 1)),
    ("absurd columns, packed", lambda d: _entry(_packed(d), 256, 256, 2**31 - 1)),
    ("NumPy header", lambda _: b"II*\0" + b"\x93NUMPY" + bytes(200)),
]


def _with(data: bytearray, code: str, place: int, value: int) -> bytes:
    struct.pack_into(code, data, place, value)
    return bytes(data)


def _packed(data: bytearray) -> bytearray:
    set_entry(data, 259, 259, 8)
    return data


def _entry(data: bytearray, tag: int, new_tag: int, value: int, count: int = 1) -> bytes:
    set_entry(data, tag, new_tag, value, count)
    return bytes(data)


@pytest.mark.parametrize(("name", "damage"), DAMAGE, ids=[name for name, _ in DAMAGE])
def test_damaged_files_give_one_line(
    tmp_path: Path, name: str, damage: Callable[[bytearray], bytes]
) -> None:
    path, data = sound(tmp_path)
    path.write_bytes(damage(data))
    start = time.process_time()
    with pytest.raises(DataError, match=r"x\.tif: ") as told, warnings.catch_warnings():
        warnings.simplefilter("ignore", HsitoolWarning)
        with open_cube(path) as reader:
            reader.read(Tile(0, 0, 1, 1))
    assert "\n" not in str(told.value)
    assert time.process_time() - start < 5


def test_directories_in_a_loop_are_read_once(tmp_path: Path) -> None:
    path, data = sound(tmp_path)
    first, count = entries(data)
    struct.pack_into("<I", data, first + 12 * count, first - 2)
    path.write_bytes(data)
    with open_cube(path) as reader:
        expected = cubes.spectra(3, 8, 5)
        np.testing.assert_array_equal(reader.read(reader.info.whole), expected)


def test_truncated_files_name_their_bytes(tmp_path: Path) -> None:
    path, data = sound(tmp_path)
    path.write_bytes(data[:-30])
    with pytest.raises(DataError, match=f"{len(data) - 30} bytes, but its pixels need {len(data)}"):
        open_cube(path)


def test_random_damage_never_ends_in_another_error(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    path, data = sound(tmp_path)
    head = entries(data)[0] + 12 * entries(data)[1]
    for _ in range(300):
        broken = bytearray(data)
        for place in rng.integers(4, head, 3):
            broken[place] = rng.integers(256)
        path.write_bytes(broken)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HsitoolWarning)
            try:
                with open_cube(path) as reader:
                    if reader.buffer_bytes(reader.info.whole) < 2**24:
                        reader.read(reader.info.whole)
            except DataError as error:
                assert "\n" not in str(error)


# An ENVI header beside a TIFF


def write_header(path: Path, array: NDArray[Any], **items: str) -> None:
    frame = cubes.envi_required(array.shape, array.dtype, "bsq", 0, 0) | items
    path.write_text(cubes.envi_header(list(frame.items())))


@pytest.mark.parametrize("name", ["x.hdr", "x.tif.hdr", "x.HDR"])
def test_a_header_beside_a_tiff_fills_what_it_lacks(tmp_path: Path, name: str) -> None:
    array = cubes.spectra(3, 8, 5)
    path = cubes.write_geotiff(tmp_path / "x.tif", array, nodata=-1)
    lists = {"wavelength": "{400.5, 500, 600}", "fwhm": "{1, 2, 3}", "bbl": "{1, 0, 1}"}
    more = {"wavelength units": "nm", "data ignore value": "7", "band names": "{a, b, c}"}
    write_header(tmp_path / name, array, sensor="S", **lists, **more)
    with open_cube(path) as reader:
        info = reader.info
    assert (info.wavelength_nm, info.fwhm_nm) == ((400.5, 500.0, 600.0), (1.0, 2.0, 3.0))
    assert (info.good, info.names) == ((True, False, True), ("a", "b", "c"))
    assert info.nodata == -1
    assert info.header["sensor"] == "S"


@pytest.mark.parametrize("other", ["lines", "samples", "bands", "data type", "data", "garbage"])
def test_headers_of_other_files_do_not_count(tmp_path: Path, other: str) -> None:
    array = cubes.spectra(3, 8, 5)
    path = cubes.write_geotiff(tmp_path / "x.tif", array)
    changed = {} if other in ("data", "garbage") else {other: "2"}
    write_header(tmp_path / "x.hdr", array, **changed, **{"band names": "{a, b, c}"})
    if other == "data":
        (tmp_path / "x.img").write_bytes(array.tobytes())
    if other == "garbage":
        (tmp_path / "x.hdr").write_text("ENVI\nlines = {")
    with open_cube(path) as reader:
        assert reader.info.names is None


def test_our_own_files_need_no_header_beside_them(
    tmp_path: Path, copy: Callable[..., CubeInfo]
) -> None:
    """What a command has taken away does not come back from a header that lies there."""
    array = cubes.spectra(3, 8, 5)
    cubes.write_envi(tmp_path / "a", array, items={"my key": "S"}, extension=".img")
    copy(tmp_path / "a.img", tmp_path / "x.tif")
    write_header(tmp_path / "x.hdr", array, **{"band names": "{a, b, c}"})
    with open_cube(tmp_path / "x.tif") as reader:
        assert reader.info.names is None


def test_runs_go_through_the_file_in_order(tmp_path: Path) -> None:
    path = cubes.write_large(tmp_path / "x.tif", "tif-band-strip", 0.001, bands=4, columns=512)
    with path.open("rb") as file:
        layout = pixel_layout(read_directory(file.fileno()))
    assert layout is not None
    runs = layout.runs(Tile(4, 0, 8, 512), range(4))
    assert (np.diff(runs.file) > 0).all()
    assert runs.length.tolist() == [8 * 512 * 4] * 4
    assert runs.buffer.tolist() == [k * 8 * 512 * 4 for k in range(4)]


@pytest.mark.parametrize("cut", [0, 1, 1000, 3000])
def test_packed_files_with_missing_blocks_are_not_complete(tmp_path: Path, cut: int) -> None:
    path = cubes.write_geotiff(
        tmp_path / "x.tif", cubes.spectra(3, 64, 45), compress="deflate", blocks=("strip", 4)
    )
    assert is_complete(path)
    data = bytearray(path.read_bytes())
    path.write_bytes(data[:-cut] if cut else _entry(data, 279, 279, 0))
    assert not is_complete(path)


def test_a_classic_file_stays_below_its_limit(tmp_path: Path) -> None:
    _, data = sound(tmp_path)
    directory = parse_directory(_entry(data, 277, 277, 2**28))
    with pytest.raises(UsageError, match=r"a classic TIFF cannot hold .* GB: add --co BIGTIFF=YES"):
        laid_out(directory)


def test_masks_and_mixed_nodata_are_told(tmp_path: Path) -> None:
    path = cubes.write_geotiff(tmp_path / "x.tif", cubes.spectra(2, 3, 4))
    with cubes.open_quietly(path, "r+") as dataset:
        dataset.write_mask(np.eye(3, 4, dtype=np.uint8) * 255)
    with pytest.warns(HsitoolWarning, match="its mask band is not read"):
        open_cube(path).close()
