"""`hsitool info`: what a cube file says about itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from hsitool.cube import CubeInfo
from hsitool.maths.spectra.segments import segment_bands
from hsitool.storage.readers import CubeReader


def describe(source: CubeReader) -> dict[str, Any]:
    """Everything that `info` shows, as JSON values (see the README for the keys)."""
    info, layout = source.info, source.layout
    return {
        "path": str(source.path),
        "files": [str(file) for file in source.files],
        "size_bytes": source.size_on_disk,
        "bands": info.bands,
        "rows": info.rows,
        "columns": info.columns,
        "dtype": info.dtype.name,
        "layout": {
            "format": layout.format,
            "interleave": layout.interleave,
            "block": [layout.block_rows, layout.block_columns],
            "compression": layout.compression,
            "byte_order": layout.byte_order,
        },
        "nodata": _number(info.nodata),
        "former_nodata": _number(info.former_nodata),
        "crs": info.crs,
        "transform": None if info.transform is None else list(info.transform),
        "gcps": [vars(point) for point in info.gcps],
        "gcps_crs": info.gcps_crs,
        "rpcs": dict(info.rpcs),
        "spacing": spacing(info),
        "band_table": [_band(info, b) for b in range(info.bands)],
        "tags": {space: dict(tags) for space, tags in info.tags.items()},
        "header": dict(info.header),
        "noise_correlated": info.noise_correlated,
        "provenance": [dict(step) for step in info.provenance],
    }


def _number(value: float | None) -> float | str | None:
    """JSON has no NaN and no infinities: they are given as texts."""
    if value is None or np.isfinite(value):
        return value
    return repr(float(value))


def _band(info: CubeInfo, band: int) -> dict[str, Any]:
    def item(values: tuple[Any, ...] | None, default: Any = None) -> Any:
        return default if values is None else values[band]

    return {
        "band": band + 1,
        "wavelength_nm": item(info.wavelength_nm),
        "fwhm_nm": item(info.fwhm_nm),
        "good": item(info.good, True),
        "name": item(info.names) or None,
        "unit": item(info.units) or None,
        "scale": item(info.scale, 1.0),
        "offset": item(info.offset, 0.0),
    }


def spacing(info: CubeInfo) -> dict[str, Any] | None:
    """Steps between neighbouring bands: their size, and where a window would not cross.

    `step_backs` and `gaps` name the band (from 1) before the step; gaps are those that
    `hsitool smooth` finds by itself.
    """
    if info.wavelength_nm is None or info.bands < 2:
        return None
    centres = np.array(info.wavelength_nm)
    steps = np.diff(centres)
    along = steps if np.median(steps) >= 0 else -steps
    forward = along[along > 0]
    good = None if info.good is None else list(info.good)
    whole = segment_bands(info.bands, info.wavelength_nm, good, split_gap=None)
    split = segment_bands(info.bands, info.wavelength_nm, good, split_gap="auto")
    ends = {s.stop for s in split} - {s.stop for s in whole}
    return {
        "first_nm": float(centres[0]),
        "last_nm": float(centres[-1]),
        "min_step_nm": float(forward.min()) if forward.size else None,
        "median_step_nm": float(np.median(forward)) if forward.size else None,
        "max_step_nm": float(forward.max()) if forward.size else None,
        "descending": bool(np.median(steps) < 0),
        "step_backs": [
            {"after_band": int(b) + 1, "step_nm": float(steps[b])}
            for b in np.flatnonzero(along <= 0)
        ],
        "gaps": [{"after_band": int(e), "step_nm": float(steps[e - 1])} for e in sorted(ends)],
    }
