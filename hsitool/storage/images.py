"""Photographs of calibration boards, read as 8-bit grey images.

GDAL tells what a file holds, before anything is unpacked; OpenCV unpacks the usual formats of
cameras, several times faster; GDAL reads all others, such as TIFF with floating point.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hsitool.errors import DataError
from hsitool.storage.gdal import GDAL_ERRORS, one_line, open_dataset

Grey = NDArray[np.uint8]

MOST_PIXELS = 2**28
MOST_BYTES = 2**30
"""Larger images and files are refused before they are read."""

BY_OPENCV = {"JPEG", "PNG", "BMP", "PNM", "WEBP", "JP2OpenJPEG"}
BANDS = (1, 2, 3, 4)
"""Grey, grey and alpha, colour, colour and alpha."""

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey (ITU-R BT.601), as OpenCV has them."""

DARKEST, BRIGHTEST = 2, 98
"""Percentiles that become 0 and 255 where samples have more than 8 bits."""

SAMPLED = 250_000
"""Pixels that the percentiles are taken from."""

SUFFIXES = {".bmp", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff"}
SUFFIXES |= {".webp"}
"""What counts as an image in a folder."""

EXIF_HEAD = 2**16
ORIENTATION = 0x0112
SILENT = 0
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class ImageHeader:
    """What is known of an image before its pixels are read.

    `columns` and `rows` are those of the image as it is read, which is upright: turned by 90
    degrees where EXIF says so. `orientation` is the EXIF number, 1 where nothing is to do.
    """

    path: Path
    columns: int
    rows: int
    bands: int
    dtype: str
    driver: str
    orientation: int = 1

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        return self.columns, self.rows


def list_images(inputs: Iterable[Path]) -> list[Path]:
    """The files named, and the images of the folders named: `img2` comes before `img10`.

    Raises:
        DataError: a folder without images.
    """
    found: list[Path] = []
    for path in inputs:
        if not path.is_dir():
            found.append(path)
            continue
        inside = [p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file()]
        if not inside:
            raise DataError(f"{path}: no images in this folder ({', '.join(sorted(SUFFIXES))})")
        found += sorted(inside, key=_natural)
    return list(dict.fromkeys(found))


def _natural(path: Path) -> list[tuple[int, str]]:
    parts = re.findall(r"\d+|\D+", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def read_header(path: Path) -> ImageHeader:
    """Size and type of an image.

    Raises:
        DataError: it is no image, or one that detection cannot use.
    """
    _require_file(path)
    with open_dataset(path) as dataset:
        bands, dtype = dataset.count, str(dataset.dtypes[0])
        columns, rows, driver = dataset.width, dataset.height, str(dataset.driver)
        paletted = bands == 1 and dataset.colorinterp[0].name == "palette"
    if columns * rows > MOST_PIXELS:
        raise DataError(
            f"{path}: {columns}x{rows} pixels are more than an image of a board has "
            f"(limit {MOST_PIXELS / 1e6:.0f} million): crop or bin it"
        )
    paletted &= driver not in BY_OPENCV  # which looks the colours up
    if bands not in BANDS or paletted or not dtype.startswith(("uint", "int", "float")):
        what = "a palette" if paletted else f"{bands} bands of {dtype}"
        raise DataError(f"{path}: {what}: give a grey or colour image (1 to 4 bands)")
    turned = orientation_of(path, driver)
    if turned >= 5:
        columns, rows = rows, columns
    return ImageHeader(path, columns, rows, bands, dtype, driver, turned)


def _require_file(path: Path) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if not path.is_file():
        raise DataError(f"{path}: is no plain file")
    if size == 0:
        raise DataError(f"{path}: is empty")
    if size > MOST_BYTES:
        raise DataError(f"{path}: {size / 1e9:.1f} GB are more than an image of a board has")


def read_grey(header: ImageHeader) -> Grey:
    """The image (rows, columns) as uint8, upright; more than 8 bits are stretched to percentiles.

    Raises:
        DataError: it cannot be read, or is incomplete.
    """
    if header.driver in BY_OPENCV and header.dtype in ("uint8", "uint16"):
        samples = _unpacked(header.path)
    else:
        samples = _upright(_grey(_by_gdal(header.path)), header.orientation)
    if samples.shape != (header.rows, header.columns):
        raise DataError(f"{header.path}: its pixels do not have the size that its header says")
    return samples if samples.dtype == np.uint8 else stretched(samples)


def _unpacked(path: Path) -> NDArray[Any]:
    """Grey samples, 8 or 16 bits, turned by OpenCV as EXIF says."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if _is_cut_off(content):
        raise DataError(f"{path}: is incomplete: the end of the file is missing")
    if content.startswith(PNG) and _has_bad_chunk(content):
        raise DataError(f"{path}: cannot be unpacked: its content is damaged")
    cv2.utils.logging.setLogLevel(SILENT)  # it would print what we say in one line
    flags = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH
    try:
        samples = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        samples = None
    if samples is None:
        raise DataError(f"{path}: cannot be unpacked: its content is damaged")
    return np.asarray(samples)


def _is_cut_off(content: bytes) -> bool:
    """Whether a JPEG or PNG lacks its end; the libraries would give a half-grey image."""
    if content.startswith(b"\xff\xd8") and not content.endswith(b"\xff\xd9"):
        # Something may follow the end, and a thumbnail inside has an end of its own.
        return content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda")
    return content.startswith(PNG[:4]) and b"IEND" not in content[-4096:]


def _has_bad_chunk(content: bytes) -> bool:
    """Whether a PNG's check sums are wrong; libpng would find that, too, but print it."""
    at = len(PNG)
    while at + 12 <= len(content):
        end = at + 8 + int.from_bytes(content[at : at + 4], "big")
        told = content[end : end + 4]
        if zlib.crc32(memoryview(content)[at + 4 : end]).to_bytes(4, "big") != told:
            return True
        if content[at + 4 : at + 8] == b"IEND":
            return False
        at = end + 4
    return True


def _by_gdal(path: Path) -> NDArray[Any]:
    with open_dataset(path) as dataset:
        try:
            return np.asarray(dataset.read())
        except GDAL_ERRORS as error:
            raise DataError(f"{path}: cannot be read: {one_line(error)}") from error


def _grey(bands: NDArray[Any]) -> NDArray[Any]:
    """One band of (band, row, column), in the type of the image."""
    if len(bands) < 3:
        return np.asarray(bands[0])
    grey = sum(weight * band for weight, band in zip(LUMA, bands[:3], strict=True))
    return np.asarray(grey if bands.dtype.kind == "f" else np.rint(grey)).astype(bands.dtype)


def stretched(samples: NDArray[Any]) -> Grey:
    """uint8 from samples of any type, by their percentiles; what is not finite becomes median."""
    step = max(1, int(np.sqrt(samples.size / SAMPLED)))
    some = samples[::step, ::step]
    some = some[np.isfinite(some)].astype(np.float64)
    if not some.size:
        return np.zeros(samples.shape, np.uint8)
    low, middle, high = np.percentile(some, (DARKEST, 50, BRIGHTEST))
    if high <= low:
        low, high = some.min(), max(some.max(), some.min() + 1)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = (samples.astype(np.float32) - np.float32(low)) * np.float32(255 / (high - low))
    if samples.dtype.kind == "f":
        scaled[~np.isfinite(samples)] = (middle - low) * 255 / (high - low)
    return np.asarray(np.rint(np.clip(scaled, 0, 255)), np.uint8)


def _upright(samples: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turned and mirrored as an EXIF orientation says."""
    if orientation >= 5:
        samples = samples.T
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    return np.ascontiguousarray(samples)


def orientation_of(path: Path, driver: str) -> int:
    """The EXIF orientation of a JPEG, PNG, WebP or TIFF: 1 (as stored) to 8."""
    try:
        with path.open("rb") as file:
            head = file.read(EXIF_HEAD)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if driver == "GTiff":
        return _tag_of_tiff(head)
    marker = {"JPEG": b"Exif\0\0", "PNG": b"eXIf", "WEBP": b"EXIF"}.get(driver)
    if marker is None or (at := head.find(marker)) < 0:
        return 1
    start = at + len(marker) + (4 if driver == "WEBP" else 0)
    return _tag_of_tiff(head[start:])


def _tag_of_tiff(head: bytes) -> int:
    """The orientation in the first directory of a TIFF, the form that EXIF has, too."""
    order: Any = {b"II*\0": "little", b"MM\0*": "big"}.get(head[:4])
    if order is None:
        return 1
    at = int.from_bytes(head[4:8], order)
    entries = _entries(head, at, int.from_bytes(head[at : at + 2], order))
    for entry in entries:
        if int.from_bytes(entry[:2], order) == ORIENTATION:
            value = int.from_bytes(entry[8:10], order)
            return value if 1 <= value <= 8 else 1
    return 1


def _entries(head: bytes, at: int, count: int) -> Sequence[bytes]:
    starts = range(at + 2, min(at + 2 + 12 * count, len(head) - 11), 12)
    return [head[start : start + 12] for start in starts]
