"""TIFF structure: where uncompressed pixels lie, and headers with the pixels laid out by us.

Formats: TIFF 6.0 (1992) and BigTIFF (https://www.awaresystems.be/imaging/tiff/bigtiff.html).
GDAL writes and reads all metadata; this module only moves the pixels' offsets.
"""

from __future__ import annotations

import dataclasses
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hsitool.errors import DataError, UsageError
from hsitool.storage.raw import Index, RawLayout

WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_COUNTS, PLANAR = 273, 277, 278, 279, 284
PREDICTOR, TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_COUNTS = 317, 322, 323, 324, 325
SAMPLE_FORMAT = 339

TYPE_CODES = {
    **{1: "u1", 2: "u1", 3: "u2", 4: "u4", 5: "u8", 6: "i1", 7: "u1", 8: "i2", 9: "i4"},
    **{10: "u8", 11: "f4", 12: "f8", 13: "u4", 16: "u8", 17: "i8", 18: "u8"},
}
"""NumPy codes of the TIFF field types (rationals as 8 bytes, never looked into)."""

SAMPLE_KINDS = {1: "u", 2: "i", 3: "f", 6: "c"}
PAGE = 4096
"""Pixels that we lay out begin at a memory page, so that whole pages are written."""

MAX_ENTRIES = 4096
MAX_CLASSIC_BYTES = 2**32 - 1


STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of a TIFF or BigTIFF, little- or big-endian."""


@dataclass(frozen=True)
class Directory:
    """The first image directory of a TIFF file: values by tag."""

    order: Literal["<", ">"]
    big: bool
    types: dict[int, int]
    values: dict[int, NDArray[Any]]

    def number(self, tag: int, default: int) -> int:
        """The first value of a tag."""
        value = self.values.get(tag)
        return default if value is None or value.size == 0 else int(value[0])


Read = Callable[[int, int], bytes]
"""(size, offset) to bytes, all of which are there."""


def is_tiff(start: bytes) -> bool:
    """Whether a file that begins with these bytes is a TIFF or BigTIFF."""
    return start.startswith(STARTS)


def read_directory(fd: int) -> Directory:
    """The first directory of an open TIFF file.

    Raises:
        DataError: not a TIFF file, or it ends inside its own directory.
    """
    return _directory(lambda size, offset: os.pread(fd, size, offset), os.fstat(fd).st_size)


def directory_of(read: Read) -> Directory:
    """The first directory of a TIFF whose bytes a function gives."""
    return _directory(read, 2**63)


def parse_directory(data: bytes) -> Directory:
    """The first directory of a TIFF file in memory."""
    return _directory(lambda size, offset: data[offset : offset + size], len(data))


def _directory(read_some: Read, file_size: int) -> Directory:
    def read(size: int, offset: int) -> bytes:
        if offset + size > file_size:
            raise DataError(
                f"{file_size} bytes, but its TIFF directory needs {offset + size}: "
                "the file is incomplete or damaged"
            )
        return read_some(size, offset)

    start = read_some(16, 0)
    if not is_tiff(start) or len(start) < 8:
        raise DataError("not a TIFF file")
    order: Literal["<", ">"] = "<" if start[:1] == b"I" else ">"
    big = start[2:4] in (b"+\0", b"\0+")
    if big:
        (where,) = struct.unpack_from(order + "Q", read(16, 0), 8)
        (count,) = struct.unpack(order + "Q", read(8, where))
        where, entry = where + 8, order + "HHQ8s"
    else:
        (where,) = struct.unpack_from(order + "I", start, 4)
        (count,) = struct.unpack(order + "H", read(2, where))
        where, entry = where + 2, order + "HHI4s"
    if count > MAX_ENTRIES:
        raise DataError(f"damaged TIFF directory ({count} entries)")
    table = read(count * struct.calcsize(entry), where)
    types: dict[int, int] = {}
    values: dict[int, NDArray[Any]] = {}
    for tag, kind, number, inline in struct.iter_unpack(entry, table):
        if kind in TYPE_CODES:
            types[tag] = kind
            values[tag] = _value(read, order, TYPE_CODES[kind], number, inline)
    return Directory(order, big, types, values)


def _value(read: Read, order: str, code: str, number: int, inline: bytes) -> NDArray[Any]:
    dtype = np.dtype(order + code)
    size = number * dtype.itemsize
    if size <= len(inline):
        return np.frombuffer(inline[:size], dtype)
    (offset,) = struct.unpack(order + ("Q" if len(inline) == 8 else "I"), inline)
    return np.frombuffer(read(size, offset), dtype)


def pixel_layout(directory: Directory) -> RawLayout | None:
    """The layout of uncompressed pixels, or None where they are packed, sparse or not plain."""
    layout = grid(directory)
    if layout is None:
        return None
    tiled = TILE_WIDTH in directory.values
    counts = directory.values.get(TILE_COUNTS if tiled else STRIP_COUNTS)
    plain = (
        directory.number(COMPRESSION, 1) == 1
        and directory.number(PREDICTOR, 1) == 1
        and directory.number(FILL_ORDER, 1) == 1
        and directory.number(PHOTOMETRIC, 1) in (0, 1, 2)
        and counts is not None
        and counts.size == layout.offsets.size
        and bool((layout.offsets > 0).all())
        and bool((counts > 0).all())
    )
    return layout if plain else None


def is_complete(path: Path) -> bool:
    """Whether every block of a TIFF file was written."""
    try:
        with path.open("rb") as file:
            directory = read_directory(file.fileno())
    except (DataError, OSError):
        return False
    tiled = TILE_WIDTH in directory.values
    offsets = directory.values[TILE_OFFSETS if tiled else STRIP_OFFSETS].astype(np.int64)
    counts = directory.values[TILE_COUNTS if tiled else STRIP_COUNTS].astype(np.int64)
    return bool((counts > 0).all()) and int((offsets + counts).max()) <= path.stat().st_size


def grid(directory: Directory) -> RawLayout | None:
    """The grid of strips or tiles with its recorded offsets, whatever the compression."""
    values, number = directory.values, directory.number
    bands, rows, columns = number(SAMPLES, 1), number(LENGTH, 0), number(WIDTH, 0)
    dtype = _sample_type(directory)
    if TILE_WIDTH in values:
        height, width, tag = number(TILE_LENGTH, 0), number(TILE_WIDTH, 0), TILE_OFFSETS
    else:
        height, width, tag = min(number(ROWS_PER_STRIP, rows), rows), columns, STRIP_OFFSETS
    if dtype is None or min(bands, rows, columns, height, width) < 1 or tag not in values:
        return None
    planar = number(PLANAR, 1) == 2
    shape = (bands if planar else 1, -(-rows // height), -(-columns // width))
    offsets = values[tag].astype(np.int64)
    if offsets.size != shape[0] * shape[1] * shape[2]:
        return None
    return RawLayout(
        (bands, rows, columns),
        dtype,
        "band" if planar else "pixel",
        height,
        width,
        offsets.reshape(shape),
    )


def _sample_type(directory: Directory) -> np.dtype[Any] | None:
    """The one type of all samples, or None where it is not one that NumPy has."""
    bits = {int(v) for v in directory.values.get(BITS, (1,))}
    kinds = {int(v) for v in directory.values.get(SAMPLE_FORMAT, (1,))}
    if len(bits) != 1 or len(kinds) != 1:
        return None
    kind, width = SAMPLE_KINDS.get(kinds.pop()), bits.pop()
    known = {"u": (8, 16, 32, 64), "i": (8, 16, 32, 64), "f": (32, 64), "c": (64, 128)}
    if kind is None or width not in known[kind]:
        return None
    return np.dtype(f"{directory.order}{kind}{width // 8}")


def laid_out(directory: Directory) -> tuple[bytes, RawLayout, int]:
    """A header for `directory` with all its blocks in order right behind it.

    The result is readable front to back (a streamable TIFF): header, directory, values, pixels.
    Returns the bytes before the pixels, the layout of the pixels, and the size of the file.

    Raises:
        UsageError: a classic TIFF cannot hold so much.
    """
    found = grid(directory)
    if found is None:
        raise ValueError("the directory describes no plain grid of samples")
    tiled = TILE_WIDTH in directory.values
    counts = _whole_blocks(found) if tiled else found.used
    relative = np.cumsum(counts.ravel()) - counts.ravel()
    where = TILE_OFFSETS if tiled else STRIP_OFFSETS
    entries = {tag: (directory.types[tag], v) for tag, v in directory.values.items()}
    kind = 16 if directory.big else 4
    entries[TILE_COUNTS if tiled else STRIP_COUNTS] = (kind, counts.ravel())
    entries[where] = (kind, relative)
    start = -(-len(_serialised(directory, entries)) // PAGE) * PAGE
    entries[where] = (kind, relative + start)
    size = start + int(counts.sum())
    if not directory.big and size > MAX_CLASSIC_BYTES:
        raise UsageError(f"a classic TIFF cannot hold {size / 1e9:.2f} GB: add --co BIGTIFF=YES")
    layout = dataclasses.replace(found, offsets=(relative + start).reshape(found.offsets.shape))
    head = _serialised(directory, entries).ljust(start, b"\0")
    return head, layout, size


def _whole_blocks(layout: RawLayout) -> Index:
    """The sizes of tiles, which are whole at the lower border as well."""
    depth = layout.shape[0] if layout.interleave == "pixel" else 1
    whole = layout.block_rows * layout.block_columns * depth * layout.dtype.itemsize
    return np.full(layout.offsets.shape, whole, np.int64)


def _serialised(directory: Directory, entries: dict[int, tuple[int, NDArray[Any]]]) -> bytes:
    """Header, directory and out-of-line values; their length does not depend on the offsets."""
    order, big = directory.order, directory.big
    if big:
        head = struct.pack(order + "2sHHHQ", b"II" if order == "<" else b"MM", 43, 8, 0, 16)
        head += struct.pack(order + "Q", len(entries))
        room, pointer, entry = 8, "Q", order + "HHQ8s"
    else:
        head = struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, 8)
        head += struct.pack(order + "H", len(entries))
        room, pointer, entry = 4, "I", order + "HHI4s"
    behind = len(head) + struct.calcsize(entry) * len(entries) + room
    table, values = b"", bytearray()
    for tag, (kind, value) in sorted(entries.items()):
        data = value.astype(np.dtype(order + TYPE_CODES[kind])).tobytes()
        if len(data) <= room:
            inline = data.ljust(room, b"\0")
        else:
            values += bytes(-(behind + len(values)) % 16)
            inline = struct.pack(order + pointer, behind + len(values))
            values += data
        table += struct.pack(entry, tag, kind, value.size, inline)
    return head + table + bytes(room) + bytes(values)
