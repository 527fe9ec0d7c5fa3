"""Options that several verbs share, each declared once, and what they mean."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hsitool.cli.telling import tell
from hsitool.errors import UsageError

if TYPE_CHECKING:
    from rich.progress import TaskID

    from hsitool.device import Device
    from hsitool.engine.blocks import Progress
    from hsitool.engine.plan import Budget
    from hsitool.storage.readers import CubeReader
    from hsitool.storage.writers import OutputOptions
    from hsitool.tasks.stats import Shrink


class FormatName(StrEnum):
    """Output formats."""

    gtiff = "gtiff"
    envi = "envi"


class CompressName(StrEnum):
    """Compressions of GeoTIFF outputs."""

    zstd = "zstd"
    deflate = "deflate"
    lzw = "lzw"


class NormName(StrEnum):
    """What turns scores into weights."""

    sparsemax = "sparsemax"
    softmax = "softmax"
    entmax15 = "entmax15"


CubePath = Annotated[
    Path,
    typer.Argument(
        metavar="CUBE",
        help="A GeoTIFF, an ENVI data file or .hdr, or any raster that GDAL reads; - is "
        "standard input.",
        show_default=False,
    ),
]
OutputPath = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Output file, - for standard output; the default is <CUBE's name>_<verb>.tif in the "
        "current folder.",
        show_default=False,
    ),
]
DataFile = Annotated[
    Path | None,
    typer.Option("--data", metavar="FILE", help="Data file of an ENVI header that lies elsewhere."),
]
WavelengthsFile = Annotated[
    Path | None,
    typer.Option(
        "--wavelengths",
        metavar="FILE",
        help="Wavelengths to use instead of the file's own: a list, a CSV or an ENVI header.",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an output that exists.")]
FormatOption = Annotated[
    FormatName | None,
    typer.Option("--format", "-f", help="Output format; the default goes by the file name."),
]
CompressOption = Annotated[
    CompressName | None, typer.Option("--compress", help="Compress a GeoTIFF output.")
]
CreationOptions = Annotated[
    list[str] | None,
    typer.Option("--co", metavar="KEY=VALUE", help="GDAL creation option of a GeoTIFF output."),
]
MaxMemory = Annotated[
    str,
    typer.Option("--max-memory", metavar="SIZE", help="Memory of the whole process, as 512MB."),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", metavar="N", min=1, help="Computing threads.  [default: all cores]"),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="auto|cpu|cuda[:N]",
        help="Where to compute; auto: on a GPU where there is one.",
    ),
]
BandsOption = Annotated[
    str | None,
    typer.Option(
        "--bands",
        metavar="LIST",
        help="Bands to use, as 10:50,680nm; by default all good ones that have data.",
        show_default=False,
    ),
]
BackgroundFile = Annotated[
    Path | None,
    typer.Option(
        "--background",
        metavar="ROI|MASK",
        help="Fit the model to these pixels: polygons (GeoJSON) or a mask raster.",
        show_default=False,
    ),
]
ModelFile = Annotated[
    Path | None,
    typer.Option(
        "--model",
        metavar="SCENE.npz",
        help="A model of hsitool stats; by default one is fitted to the cube.",
        show_default=False,
    ),
]
ShrinkOption = Annotated[
    str | None,
    typer.Option(
        "--shrink",
        metavar="noise[=K]|oas|none",
        help="What holds the covariance up: K noise variances, shrinkage, or nothing.",
        show_default=False,
    ),
]
FocusOption = Annotated[
    str | None,
    typer.Option(
        "--focus",
        metavar="1%|500",
        help="Effective number of pixels, or share of them.  [default: 1%]",
        show_default=False,
    ),
]
TemperatureOption = Annotated[
    float | None,
    typer.Option(
        "--temperature",
        metavar="T",
        help="Scores per unit of the exponent, instead of --focus.",
    ),
]
RgbOption = Annotated[
    str | None,
    typer.Option(
        "--rgb",
        metavar="R,G,B",
        help="Bands of the picture, as 30,20,10; by default true colour.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, warnings or notes.")]

DEFAULT_MEMORY = "512MB"
SIZE_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}


def budget_of(max_memory: str, threads: int | None) -> Budget:
    """The budget that `--max-memory` and `--threads` ask for.

    Raises:
        UsageError: not a size.
    """
    from hsitool.engine.plan import Budget

    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmg]i?|)b?\s*", max_memory.lower())
    if not match:
        raise UsageError(f"--max-memory '{max_memory}' is not a size: write it as 512MB or 2GB")
    memory = int(float(match[1]) * SIZE_UNITS[match[2]])
    return Budget(memory) if threads is None else Budget(memory, threads)


def device_of(word: str) -> Device:
    """The device of that name.

    Raises:
        UsageError: another word.
        DeviceError: the GPU cannot be used.
    """
    from hsitool.device import choose_device

    return choose_device(word)


def output_of(
    form: FormatName | None,
    compress: CompressName | None,
    creation: list[str] | None,
    overwrite: bool,
    budget: Budget,
) -> OutputOptions:
    """The output options of the command line.

    Raises:
        UsageError: a `--co` that is not KEY=VALUE.
    """
    from hsitool.storage.writers import OutputOptions

    pairs = dict(_pair(text) for text in creation or ())
    return OutputOptions(
        form.value if form else None,
        compress.value if compress else None,
        pairs,
        overwrite,
        budget.workers,
    )


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"--co '{text}' is not KEY=VALUE, as in --co TILED=YES")
    return key, value


def shrink_of(text: str) -> Shrink:
    """What `--shrink` asks for.

    Raises:
        UsageError: neither noise, noise=K with K above 0, oas nor none.
    """
    from hsitool.tasks.stats import Shrink

    kind, equals, ridge = text.partition("=")
    if text == "oas":
        return Shrink("oas")
    if text == "none":
        return Shrink("none")
    if kind == "noise" and (not equals or 0 < (number := _number(ridge)) < math.inf):
        return Shrink("noise", number) if equals else Shrink()
    raise UsageError(f"--shrink '{text}' is none of noise, noise=K (K above 0), oas and none")


def factor_of(number: float, option: str) -> float:
    """A factor for spectra.

    Raises:
        UsageError: not above 0.
    """
    if not 0 < number < math.inf:
        raise UsageError(f"{option} {number:g} is no factor: give a number above 0")
    return number


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


STANDARD = Path("-")
"""As an input or output: standard input or output."""


def open_source(
    cube: Path, data: Path | None, wavelengths: Path | None, *, once: bool = False
) -> CubeReader:
    """Open the input of a verb; `once`, where it is read in order and not again."""
    from hsitool.storage.readers import open_cube

    return open_cube(cube, data=data, wavelengths_file=wavelengths, once=once)


def target_of(output: Path | None, cube: Path, verb: str, form: FormatName | None) -> Path:
    """The output's path, or the default one in the current folder."""
    if output is not None:
        return output
    suffix = ".img" if form is FormatName.envi else ".tif"
    return Path(f"{stem_of(cube)}_{verb}{suffix}")


def stem_of(cube: Path) -> str:
    """What a scene is called; standard input has no name of its own."""
    return "stdin" if cube == STANDARD else cube.stem


def written(target: Path, output: OutputOptions) -> None:
    """Tell standard output what was written, if that did not go there itself."""
    from hsitool.storage.writers import output_paths

    for path in output_paths(target, output)[:1]:
        typer.echo(path)


def note(text: str, quiet: bool) -> None:
    """One line for the user on standard error."""
    if not quiet:
        tell(text)


@contextmanager
def progress_bar(verb: str, quiet: bool) -> Iterator[Progress | None]:
    """A progress bar on standard error, if that is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with ExitStack() as stack:
        bars: list[tuple[Bar, TaskID]] = []

        def show(done: int, total: int) -> None:
            if _is_handed_on():
                return  # one bar is enough: that of the last command
            if not bars:
                bar = stack.enter_context(Bar(console=Console(stderr=True), transient=True))
                bars.append((bar, bar.add_task(verb, total=None)))
            bars[0][0].update(bars[0][1], completed=done, total=total)

        yield show


def _is_handed_on() -> bool:
    """Whether the cube goes to another command, and messages to standard error therefore."""
    from hsitool.storage.ends import current

    chain = current()
    return sys.stdout is sys.stderr or (chain is not None and chain.sink is not None)


def numbers(text: str, count: int, option: str, form: str) -> list[float]:
    """The comma-separated finite numbers of an option.

    Raises:
        UsageError: not that many, or not numbers.
    """
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != count or not all(math.isfinite(v) for v in values):
        raise UsageError(f"{option} '{text}' is not {form}")
    return values
