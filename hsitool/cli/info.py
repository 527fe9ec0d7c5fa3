"""`hsitool info`"""

from __future__ import annotations

import json
from typing import Any

import typer

from hsitool.cli.app import app
from hsitool.cli.options import CubePath, DataFile, Json, Quiet, WavelengthsFile, open_source


@app.command(epilog="Example:  hsitool info cube.tif --json | jq .spacing")
def info(
    cube: CubePath,
    data: DataFile = None,
    wavelengths: WavelengthsFile = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what a cube is: shape, type, layout, georeference, bands, provenance."""
    from hsitool.tasks.info import describe

    with open_source(cube, data, wavelengths, once=True) as source:
        found = describe(source)
    typer.echo(json.dumps(found, ensure_ascii=False) if as_json else "\n".join(_lines(found)))


def _lines(found: dict[str, Any]) -> list[str]:
    """The report for people."""
    layout, rows = found["layout"], [("file", found["path"])]
    rows += [("size on disk", f"{found['size_bytes'] / 1e6:.3f} MB")]
    rows += [("shape", "{bands} bands x {rows} rows x {columns} columns".format(**found))]
    rows += [("type", found["dtype"])]
    block = "{} x {}".format(*layout["block"])
    words = f"{layout['format']}, {layout['interleave']}-interleaved, blocks of {block} pixels"
    rows += [("layout", f"{words}, compression {layout['compression']}")]
    rows += [("nodata", _or_none(found["nodata"]))]
    if found["former_nodata"] is not None:
        rows += [("former nodata", str(found["former_nodata"]))]
    rows += [("CRS", _crs_name(found["crs"])), ("transform", _transform(found["transform"]))]
    if found["gcps"]:
        rows += [("GCPs", f"{len(found['gcps'])} in {_crs_name(found['gcps_crs'])}")]
    if found["rpcs"]:
        rows += [("RPCs", f"{len(found['rpcs'])} items")]
    rows += _spacing(found["spacing"])
    if found["noise_correlated"]:
        rows += [("noise", "correlated between bands")]
    for step in found["provenance"]:
        settings = " ".join(f"{k}={v}" for k, v in step.get("settings", {}).items())
        made = f"{step.get('tool')}: {step.get('command')} {step.get('input')} {settings}"
        rows += [("made by", made.strip())]
    width = max(len(name) for name, _ in rows) + 2
    return [f"{name:<{width}}{text}" for name, text in rows] + ["", *_table(found["band_table"])]


def _or_none(value: Any) -> str:
    return "none" if value is None else str(value)


def _crs_name(wkt: str | None) -> str:
    """The name in a WKT text."""
    return "none" if wkt is None else wkt.split('"')[1] if '"' in wkt else wkt


def _transform(values: list[float] | None) -> str:
    return "none" if values is None else ", ".join(f"{v:.10g}" for v in values)


def _spacing(found: dict[str, Any] | None) -> list[tuple[str, str]]:
    if found is None:
        return [("wavelengths", "none")]
    ends = f"{found['first_nm']:g} to {found['last_nm']:g} nm"
    steps = "min {min_step_nm:.4g}, median {median_step_nm:.4g}, max {max_step_nm:.4g} nm"
    rows = [("wavelengths", ends)]
    if found["median_step_nm"] is not None:
        rows += [("steps", steps.format(**found))]
    for name, key in (("step back", "step_backs"), ("gap", "gaps")):
        rows += [
            (name, f"{g['step_nm']:.4g} nm after band {g['after_band']}") for g in found[key][:8]
        ]
    return rows


def _table(bands: list[dict[str, Any]]) -> list[str]:
    """Numbers to the right, words to the left; columns that say nothing are left out."""
    columns = [
        ("band", [str(b["band"]) for b in bands], True),
        ("wavelength_nm", [_cell(b["wavelength_nm"]) for b in bands], True),
        ("fwhm_nm", [_cell(b["fwhm_nm"]) for b in bands], True),
        ("good", ["good" if b["good"] else "bad" for b in bands], False),
        ("unit", [b["unit"] or "" for b in bands], False),
        ("name", [b["name"] or "" for b in bands], False),
    ]
    kept = [(name, cells, right) for name, cells, right in columns if any(cells)]
    padded = []
    for name, cells, right in kept:
        width = max(len(name), *(len(c) for c in cells))
        padded.append([c.rjust(width) if right else c.ljust(width) for c in (name, *cells)])
    return ["  ".join(row).rstrip() for row in zip(*padded, strict=True)]


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"
