"""Rasters that come through pipes: which of them in order, which from a temporary file."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from cubes import open_quietly, spectra, write_envi, write_geotiff

from hsitool.cube import Tile
from hsitool.errors import DataError, HsitoolWarning
from hsitool.storage.pipes import MOST_HEAD
from hsitool.storage.readers import CubeReader, open_cube

ARRAY = spectra(5, 40, 12)


@contextmanager
def piped(data: bytes, path: Path) -> Iterator[Path]:
    """A named pipe into which a thread writes."""
    os.mkfifo(path)

    def feed() -> None:
        try:
            with path.open("wb") as pipe:
                pipe.write(data)
        except BrokenPipeError:
            pass

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        yield path
    finally:
        thread.join(30)
        assert not thread.is_alive()


def lines(reader: CubeReader, height: int = 7) -> np.ndarray:
    """All samples, by whole lines in order."""
    info = reader.info
    rows = range(0, info.rows, height)
    tiles = [Tile(row, 0, min(height, info.rows - row), info.columns) for row in rows]
    return np.concatenate([reader.read(tile).copy() for tile in tiles], axis=1)


def grown(path: Path, **profile: object) -> Path:
    """The array in a GeoTIFF that rasterio writes."""
    shape = {"count": 5, "height": 40, "width": 12, "dtype": profile.pop("dtype", "float32")}
    with open_quietly(path, "w", driver="GTiff", **shape, **profile) as dataset:
        dataset.write(ARRAY.astype(shape["dtype"]))
    return path


IN_ORDER = {
    "pixel strips": {"INTERLEAVE": "PIXEL", "BLOCKYSIZE": 7},
    "classic": {"INTERLEAVE": "PIXEL", "BIGTIFF": "NO"},
    "BigTIFF": {"INTERLEAVE": "PIXEL", "BIGTIFF": "YES"},
    "one strip": {"INTERLEAVE": "PIXEL", "BLOCKYSIZE": 40},
    "big-endian": {"INTERLEAVE": "PIXEL", "ENDIANNESS": "BIG", "dtype": "int16"},
    "big-endian BigTIFF": {"INTERLEAVE": "PIXEL", "ENDIANNESS": "BIG", "BIGTIFF": "YES"},
}
FROM_A_FILE = {
    "bands apart": {"INTERLEAVE": "BAND"},
    "compressed": {"INTERLEAVE": "PIXEL", "COMPRESS": "deflate"},
    "tiled": {"INTERLEAVE": "PIXEL", "TILED": "YES", "BLOCKXSIZE": 16, "BLOCKYSIZE": 16},
}


@pytest.mark.parametrize("kind", IN_ORDER)
def test_plain_lines_come_in_order_without_a_file(kind: str, tmp_path: Path) -> None:
    profile = dict(IN_ORDER[kind])
    data = grown(tmp_path / "made.tif", **profile).read_bytes()
    with piped(data, tmp_path / "pipe") as pipe, open_cube(pipe, once=True) as reader:
        assert reader.layout.in_order
        np.testing.assert_array_equal(lines(reader), ARRAY.astype(profile.get("dtype", "float32")))


@pytest.mark.parametrize("kind", FROM_A_FILE)
def test_other_layouts_are_kept_in_a_file(kind: str, tmp_path: Path) -> None:
    data = grown(tmp_path / "made.tif", **FROM_A_FILE[kind]).read_bytes()
    with (
        piped(data, tmp_path / "pipe") as pipe,
        pytest.warns(HsitoolWarning, match="cannot be read in order: it is kept in"),
        open_cube(pipe, once=True) as reader,
    ):
        assert not reader.layout.in_order
        np.testing.assert_array_equal(reader.read(reader.info.whole), ARRAY)


@pytest.mark.parametrize("order", ["bsq", "bil", "bip"])
def test_envi_pixels_come_through_a_pipe_beside_their_header(order: str, tmp_path: Path) -> None:
    made = write_envi(tmp_path / "made", ARRAY, interleave=order)
    data = made.read_bytes()
    made.unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HsitoolWarning)
        with (
            piped(data, tmp_path / "pipe") as pipe,
            open_cube(made.with_suffix(".hdr"), data=pipe, once=True) as reader,
        ):
            assert reader.layout.in_order == (order != "bsq")
            np.testing.assert_array_equal(lines(reader), ARRAY)


def test_a_tiff_whose_directory_comes_last_is_kept(tmp_path: Path) -> None:
    made = grown(tmp_path / "made.tif", INTERLEAVE="PIXEL", BIGTIFF="NO")
    with open_quietly(made, "r+") as dataset:
        dataset.update_tags(more="words" * 100)  # GDAL writes the directory anew, at the end
    head = made.read_bytes()
    assert int.from_bytes(head[4:8], "little") > 8
    with (
        warnings.catch_warnings(),
        piped(head, tmp_path / "pipe") as pipe,
        open_cube(pipe, once=True) as reader,
    ):
        np.testing.assert_array_equal(lines(reader), ARRAY)
    far = bytearray(head)
    far[4:8] = (MOST_HEAD + 8).to_bytes(4, "little")
    far += bytes(MOST_HEAD + 8 - len(far)) + head[int.from_bytes(head[4:8], "little") :]
    (tmp_path / "pipe").unlink()
    with (
        piped(bytes(far), tmp_path / "pipe") as pipe,
        pytest.warns(HsitoolWarning, match="kept"),
        open_cube(pipe, once=True) as reader,
    ):
        assert not reader.layout.in_order


def test_any_place_can_be_read_after_keep(tmp_path: Path) -> None:
    data = grown(tmp_path / "made.tif", INTERLEAVE="PIXEL").read_bytes()
    with (
        piped(data, tmp_path / "pipe") as pipe,
        pytest.warns(HsitoolWarning, match="is needed more than once"),
        open_cube(pipe) as reader,
    ):
        for _ in range(2):
            tile = Tile(30, 3, 5, 4)
            np.testing.assert_array_equal(reader.read(tile, [4, 1]), ARRAY[[4, 1], 30:35, 3:7])


def test_lines_that_were_looked_at_are_read_nevertheless(tmp_path: Path) -> None:
    data = grown(tmp_path / "made.tif", INTERLEAVE="PIXEL").read_bytes()
    line = 5 * 12 * 4
    with piped(data, tmp_path / "pipe") as pipe, open_cube(pipe, once=True) as reader:
        seen = list(reader.glimpses(10 * line))
        assert reader.held_bytes == 10 * line
        np.testing.assert_array_equal(np.concatenate(seen, axis=1), ARRAY[:, :10])
        np.testing.assert_array_equal(lines(reader), ARRAY)
        assert reader.held_bytes == 0


def test_parts_of_lines_and_gaps_between_them(tmp_path: Path) -> None:
    data = grown(tmp_path / "made.tif", INTERLEAVE="PIXEL").read_bytes()
    with piped(data, tmp_path / "pipe") as pipe, open_cube(pipe, once=True) as reader:
        found = reader.read(Tile(3, 2, 4, 5), [0, 3])
        np.testing.assert_array_equal(found, ARRAY[[0, 3], 3:7, 2:7])
        np.testing.assert_array_equal(reader.read(Tile(20, 0, 20, 12)), ARRAY[:, 20:])
        with pytest.raises(RuntimeError, match=r"line 20 of .*pipe was read already"):
            reader.read(Tile(20, 0, 1, 12))


@pytest.mark.parametrize("missing", [1, 2000])
def test_a_stream_that_ends_early_is_told_with_its_bytes(missing: int, tmp_path: Path) -> None:
    data = grown(tmp_path / "made.tif", INTERLEAVE="PIXEL").read_bytes()
    said = f"ended early after {len(data) - missing} of {len(data)} bytes"
    with (
        piped(data[:-missing], tmp_path / "pipe") as pipe,
        open_cube(pipe, once=True) as reader,
        pytest.raises(DataError, match=said),
    ):
        lines(reader)


def test_abandoning_ends_the_waiting_of_a_reader(tmp_path: Path) -> None:
    data = grown(tmp_path / "made.tif", INTERLEAVE="PIXEL").read_bytes()
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR)  # stays open, so that no end comes
    os.write(writer, data[:2000])
    reader = open_cube(path, once=True)
    errors: list[Exception] = []

    def wait() -> None:
        try:
            lines(reader)
        except DataError as error:
            errors.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    reader.abandon()
    thread.join(10)
    assert not thread.is_alive()
    assert len(errors) == 1
    reader.close()
    os.close(writer)


def test_metadata_come_with_the_stream(sample: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain.tif"
    with open_quietly(sample) as source:
        profile = source.profile | {"compress": "none", "interleave": "pixel"}
        with open_quietly(plain, "w", **profile) as target:
            target.write(source.read())
            target.descriptions = source.descriptions
    with (
        piped(plain.read_bytes(), tmp_path / "pipe") as pipe,
        open_cube(pipe, once=True) as reader,
        open_cube(plain) as file,
    ):
        assert reader.layout.in_order
        assert reader.info == file.info


def test_a_small_geotiff_of_one_band_is_in_order_either_way(tmp_path: Path) -> None:
    path = write_geotiff(tmp_path / "one.tif", ARRAY[:1], interleave="band")
    with piped(path.read_bytes(), tmp_path / "pipe") as pipe, open_cube(pipe, once=True) as reader:
        assert reader.layout.in_order
        np.testing.assert_array_equal(lines(reader), ARRAY[:1])
