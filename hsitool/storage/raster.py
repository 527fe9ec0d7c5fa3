"""Metadata of rasters that GDAL opens, and of the GeoTIFFs that we write.

Band metadata lie in band tags (full precision), in the IMAGERY domain and in an ENVI domain, so
that every common reader finds them; what has no place goes into the HSITOOL record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hsitool.cube import CubeInfo, Tags
from hsitool.errors import DataError
from hsitool.storage import envi, georeference, wavelengths
from hsitool.storage.envi_header import KNOWN_KEYS, is_comment, read_header
from hsitool.storage.layout import Layout
from hsitool.storage.raw import Interleave
from hsitool.storage.record import decode
from hsitool.storage.wavelengths import SpectralTexts, warn

RECORD_NAMESPACE, RECORD_KEY = "HSITOOL", "RECORD"
FOREIGN_NAMESPACES = frozenset(
    ("", "IMAGE_STRUCTURE", "DERIVED_SUBDATASETS", "SUBDATASETS", "RPC", "ENVI")
    + ("COLOR_PROFILE", "GEOLOCATION", "TIFF", RECORD_NAMESPACE)
)
"""Namespaces that GDAL makes, or that we read otherwise."""

SPECTRAL_TAGS = ("wavelength", "wavelength_units", "wavelength_unit", "fwhm", "bbl", "good_band")
IMAGERY_TAGS = ("CENTRAL_WAVELENGTH_UM", "FWHM_UM")


def describe(dataset: Any, path: Path, more: Sequence[SpectralTexts] = ()) -> CubeInfo:
    """The cube in an open rasterio dataset; `more` spectral sources override its own."""
    record = dataset.tags(ns=RECORD_NAMESPACE).get(RECORD_KEY)
    sidecar = _sidecar(dataset, path) if record is None else None
    found = decode(_plain(dataset, path, sidecar), record, str(path))
    return wavelengths.override(found, more, str(path))


def _plain(dataset: Any, path: Path, sidecar: CubeInfo | None = None) -> CubeInfo:
    bands, where = dataset.count, str(path)
    band_tags = [_namespaces(dataset, number) for number in range(1, bands + 1)]
    header = _envi_domain(dataset)
    first, imagery = wavelengths.of_band_tags([t.get("", {}) for t in band_tags], band_tags)
    names = tuple(name or "" for name in dataset.descriptions)
    beside = [] if sidecar is None else wavelengths.of_header(sidecar.header, "the .hdr beside it")
    sources = [first, *wavelengths.of_header(header, "the ENVI domain"), *beside]
    sources += [*wavelengths.of_names(names), imagery]
    spectral = wavelengths.choose(sources, bands, where)
    if spectral.unit is not None and first.wavelength is not None and "wavelength" not in header:
        header["wavelength units"] = spectral.unit
    info = CubeInfo(
        bands=bands,
        rows=dataset.height,
        columns=dataset.width,
        dtype=_one_type(dataset, path),
        wavelength_nm=spectral.wavelength_nm,
        fwhm_nm=spectral.fwhm_nm,
        good=spectral.good,
        names=names if any(names) else None,
        units=_unless(dataset.units, ""),
        nodata=_one_nodata(dataset, where),
        scale=_unless(dataset.scales, 1.0),
        offset=_unless(dataset.offsets, 0.0),
        color=_color(dataset),
        tags=_user_tags(_namespaces(dataset, 0)),
        band_tags=_user_band_tags(band_tags),
        header=header,
        **georeference.items_of_dataset(dataset),
    )
    return info if sidecar is None else _completed(info, sidecar)


def _one_type(dataset: Any, path: Path) -> np.dtype[Any]:
    types = set(dataset.dtypes)
    if len(types) > 1 or not types:
        raise DataError(f"{path}: its bands have different types ({', '.join(sorted(types))})")
    (name,) = types
    try:
        return np.dtype(str(name))
    except TypeError:
        raise DataError(f"{path}: samples of type {name} cannot be read") from None


def _one_nodata(dataset: Any, where: str) -> float | None:
    values = dataset.nodatavals
    if len({repr(v) for v in values}) > 1:
        warn(f"{where}: bands have different nodata values: that of band 1 ({values[0]}) is used")
    return None if values[0] is None else float(values[0])


def _unless(values: Sequence[Any], default: Any) -> tuple[Any, ...] | None:
    """The values, with None as the default; None where all are the default."""
    filled = tuple(default if v is None else v for v in values)
    return None if all(v == default for v in filled) else filled


def _color(dataset: Any) -> tuple[str, ...] | None:
    names = tuple(color.name for color in dataset.colorinterp)
    return None if set(names) <= {"gray", "undefined"} else names


def _namespaces(dataset: Any, band: int) -> dict[str, dict[str, str]]:
    """All tags of a band (or of the dataset, band 0) by namespace."""
    names = ("", *dataset.tag_namespaces(bidx=band))
    texts = [ns for ns in names if not ns.startswith(("xml:", "json:"))]
    found = {ns: dict(dataset.tags(bidx=band, ns=ns or None)) for ns in texts}
    return {ns: tags for ns, tags in found.items() if tags}


def _user_tags(spaces: Mapping[str, Mapping[str, str]]) -> Tags:
    plain = dict(spaces.get("", {}))
    if plain.get("AREA_OR_POINT") == "Area":
        del plain["AREA_OR_POINT"]  # GDAL's default: says nothing
    others = {ns: dict(t) for ns, t in spaces.items() if ns not in FOREIGN_NAMESPACES}
    return ({"": plain} if plain else {}) | others


def _user_band_tags(bands: Sequence[Mapping[str, Mapping[str, str]]]) -> tuple[Tags, ...] | None:
    """Band tags without the spectral ones, where every band has them."""
    known = {k for k in SPECTRAL_TAGS if all(k in band.get("", {}) for band in bands)}
    rounded = {k for k in IMAGERY_TAGS if all(k in band.get("IMAGERY", {}) for band in bands)}
    kept = []
    for band in bands:
        rest = {
            ns: {k: v for k, v in tags.items() if k not in (known if ns == "" else rounded)}
            for ns, tags in band.items()
            if ns in ("", "IMAGERY") or ns not in FOREIGN_NAMESPACES
        }
        kept.append({ns: tags for ns, tags in rest.items() if tags})
    return tuple(kept) if any(kept) else None


def _envi_domain(dataset: Any) -> dict[str, str]:
    """GDAL's ENVI domain as header items: blanks come back into the keys that ENVI knows."""
    items = dataset.tags(ns="ENVI")
    spaced = {key: key.replace("_", " ") for key in items}
    keys = {key: spaced[key] if spaced[key] in KNOWN_KEYS else key for key in items}
    return {keys[key]: value for key, value in items.items() if keys[key] not in envi.FRAME}


def _sidecar(dataset: Any, path: Path) -> CubeInfo | None:
    """An ENVI header beside another format counts where size, bands and type are the same.

    The header of an ENVI data file beside it is not its own.
    """
    header = envi.header_of(path)
    if header is None or not envi.is_header(header):
        return None
    try:
        items = read_header(header)
        layout = envi.layout_of(items, str(header))
    except DataError:
        return None  # of another file, or damaged: it was only a courtesy
    shape = (dataset.count, dataset.height, dataset.width)
    if layout.shape != shape or layout.dtype.newbyteorder("=") != _one_type(dataset, path):
        return None
    if any(data != path and data.stat().st_size >= layout.end for data in envi.data_beside(header)):
        return None
    return envi.describe(items, layout, str(header))


def _completed(info: CubeInfo, sidecar: CubeInfo) -> CubeInfo:
    """The file's own items win; the header beside it fills what it lacks."""
    names = ("names", "nodata", "scale", "offset")
    lacking = {n: getattr(sidecar, n) for n in names if getattr(info, n) is None}
    if info.crs is None and info.transform is None and not info.gcps:
        lacking |= {"crs": sidecar.crs, "transform": sidecar.transform}
    return info.replace(**lacking, header={**sidecar.header, **info.header})


def apply(dataset: Any, info: CubeInfo, record: str | None) -> None:
    """Write all items of `info` (but type, size and nodata) into an open rasterio dataset."""
    from rasterio.enums import ColorInterp

    georeference.apply(dataset, info)
    own = dict(info.tags.get(RECORD_NAMESPACE, {}))
    own |= {} if record is None else {RECORD_KEY: record}
    for space, tags in {**info.tags, "ENVI": _envi_items(info), RECORD_NAMESPACE: own}.items():
        dataset.update_tags(ns=space or None, **tags)
    color = info.color and [ColorInterp[name] for name in info.color]
    items: dict[str, Any] = {"descriptions": info.names, "units": info.units, "colorinterp": color}
    items |= {"scales": info.scale, "offsets": info.offset}
    for name, values in items.items():
        if values is not None:
            setattr(dataset, name, values)
    for band in range(info.bands):
        for space, tags in _band_items(info, band).items():
            dataset.update_tags(bidx=band + 1, ns=space or None, **tags)


def _envi_items(info: CubeInfo) -> dict[str, str]:
    """The items for GDAL's ENVI domain: one line each, no blanks in keys."""
    header = {k: v for k, v in info.header.items() if k not in envi.GENERATED and not is_comment(k)}
    items = {**header, **envi.spectral_items(info)}
    return {key.replace(" ", "_"): " ".join(text.split()) for key, text in items.items()}


def _band_items(info: CubeInfo, band: int) -> dict[str, dict[str, str]]:
    """The tags of one band: the user's, then its spectral items at full precision."""
    spaces = (
        {} if info.band_tags is None else {ns: dict(t) for ns, t in info.band_tags[band].items()}
    )
    plain, imagery = spaces.setdefault("", {}), spaces.setdefault("IMAGERY", {})
    unit = envi.length_unit(info)
    if info.wavelength_nm is not None:
        centre = info.wavelength_nm[band : band + 1]
        plain["wavelength"] = wavelengths.in_unit(centre, unit)[0]
        plain["wavelength_units"] = unit
        imagery["CENTRAL_WAVELENGTH_UM"] = wavelengths.in_unit(centre, "um")[0]
    if info.fwhm_nm is not None:
        width = info.fwhm_nm[band : band + 1]
        plain["fwhm"] = wavelengths.in_unit(width, unit)[0]
        imagery["FWHM_UM"] = wavelengths.in_unit(width, "um")[0]
    if info.good is not None:
        plain["bbl"] = str(int(info.good[band]))
    return {space: tags for space, tags in spaces.items() if tags}


def read_back(plain_dataset: Any, path: Path) -> CubeInfo:
    """What a dataset that was written without a record gives back."""
    return _plain(plain_dataset, path)


def layout_words(dataset: Any) -> Layout:
    """The layout in the words of `info`."""
    structure = dataset.tags(ns="IMAGE_STRUCTURE")
    height, width = dataset.block_shapes[0]
    interleave = INTERLEAVES.get(structure.get("INTERLEAVE", ""), "band")
    depth = dataset.count if interleave == "pixel" else 1
    return Layout(
        format={"GTiff": "GeoTIFF"}.get(dataset.driver, dataset.driver),
        interleave=interleave,
        block_rows=height,
        block_columns=width,
        compression=structure.get("COMPRESSION", "none").lower(),
        unpacked_bytes=height * width * depth * np.dtype(dataset.dtypes[0]).itemsize,
    )


INTERLEAVES: dict[str, Interleave] = {"PIXEL": "pixel", "LINE": "line"}
