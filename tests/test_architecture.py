"""Which layer may import which, and which library has its only home where."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "hsitool"

GROUND = {"", "errors", "cube", "camera"}
"""The package itself (its version), and the three modules that all may use."""

LAYERS: dict[str, set[str]] = {
    "": set(),
    "errors": set(),
    "cube": {"errors"},
    "camera": {"errors"},
    "device": {"errors"},
    "storage": GROUND,
    "maths": {"errors", "camera", "device"},
    "engine": GROUND | {"device", "storage"},
    "tasks": GROUND | {"device", "storage", "maths", "engine"},
    "drawing": GROUND | {"maths", "storage", "tasks"},
    "cli": GROUND | {"device", "drawing", "engine", "storage", "tasks"},
    "__main__": {"cli"},
}
"""Layer -> the other layers that it may import."""

HOMES: dict[str, set[str]] = {
    "typer": {"cli"},
    "click": set(),
    "rich": {"cli"},
    "rasterio": {"storage"},
    "osgeo": set(),
    "affine": {"storage"},
    "cv2": {"maths", "storage"},
    "cupy": {"device"},
    "cupyx": {"device"},
    "yaml": {"storage"},
    "matplotlib": {"drawing"},
    "concurrent": {"engine"},
    "multiprocessing": {"engine"},
}
"""Library -> the only layers that may import it."""

LIBRARIES_OF_MATHS = {"numpy", "scipy", "cv2"}
HEAVY = {"numpy", "scipy", "rasterio", "cv2", "cupy", "cupyx", "matplotlib"}
"""Libraries that a page of help must not load."""


def layer_of(path: Path) -> str:
    """The folder, or the module at the top, that a file belongs to."""
    inside = path.relative_to(PACKAGE)
    first = inside.parts[0] if len(inside.parts) > 1 else inside.stem
    return "" if first == "__init__" else first


def imports(tree: ast.AST, package: str) -> Iterator[tuple[str, int]]:
    """Dotted names of all that is imported anywhere in a module, with the line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*(above if node.level else []), *([node.module] * bool(node.module))])
            yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)


def findings(path: Path, text: str) -> list[str]:
    """What a file imports against the tables."""
    layer, found = layer_of(path), []
    package = ".".join(("hsitool", *path.relative_to(PACKAGE).parts[:-1]))
    for name, line in imports(ast.parse(text), package):
        top, _, rest = name.partition(".")
        where = f"{path.relative_to(PACKAGE)}:{line} imports {name}"
        if top == "hsitool":
            used = rest.split(".")[0] if rest.split(".")[0] in LAYERS else ""
            if used != layer and used not in LAYERS[layer]:
                found.append(f"{where}: {layer or 'the package'} may not use {used or 'it'}")
        elif layer not in HOMES.get(top, {layer}):
            found.append(f"{where}: the home of {top} is {sorted(HOMES[top]) or 'nowhere'}")
    return found


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def test_every_module_keeps_to_its_layer() -> None:
    found = [line for path in modules() for line in findings(path, path.read_text("utf-8"))]
    assert found == []


def test_every_layer_has_its_row() -> None:
    assert {layer_of(path) for path in modules()} <= LAYERS.keys()
    assert len(modules()) > 30


def test_maths_needs_arrays_only() -> None:
    standard = {"__future__", "collections", "dataclasses", "functools", "itertools", "math"}
    standard |= {"threading", "typing", "fractions", "importlib"}
    for path in (path for path in modules() if layer_of(path) == "maths"):
        tops = {name.split(".")[0] for name, _ in imports(ast.parse(path.read_text("utf-8")), "")}
        assert tops <= standard | LIBRARIES_OF_MATHS | {"hsitool"}, path


def test_maths_prints_nothing_and_opens_no_file() -> None:
    for path in (path for path in modules() if layer_of(path) in ("maths", "engine", "tasks")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            called = node.func.id if isinstance(node, ast.Call) and _is_name(node.func) else ""
            assert called not in ("print", "open", "input"), f"{path}:{node.lineno}"


def _is_name(node: ast.expr) -> bool:
    return isinstance(node, ast.Name)


@pytest.mark.parametrize(
    "path", [p for p in modules() if layer_of(p) == "cli"], ids=lambda p: p.stem
)
def test_the_command_line_imports_heavy_layers_inside_functions(path: Path) -> None:
    outside = ast.parse(path.read_text("utf-8"))
    outside.body = [node for node in outside.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {name for name, _ in imports(outside, "hsitool.cli")}
    assert not {name for name in names if name.split(".")[0] in HEAVY}
    allowed = ("hsitool.cli", "hsitool.errors", "hsitool.__version__")
    ours = {name for name in names if name.startswith("hsitool.")}
    assert {name for name in ours if not name.startswith(allowed)} == set()


@pytest.mark.parametrize(
    ("file", "line", "said"),
    [
        ("maths/x.py", "from hsitool.storage.raw import Block", "maths may not use storage"),
        ("maths/x.py", "import rasterio.windows", "home of rasterio is ['storage']"),
        ("storage/x.py", "def f():\n    from hsitool.maths import kernel", "may not use maths"),
        ("storage/x.py", "from hsitool import tasks", "storage may not use tasks"),
        ("storage/x.py", "from ..engine.plan import Budget", "storage may not use engine"),
        ("engine/x.py", "import hsitool.maths.spectra.kernel", "engine may not use maths"),
        ("tasks/x.py", "from hsitool.cli.options import note", "tasks may not use cli"),
        ("tasks/x.py", "import cv2", "home of cv2 is ['maths', 'storage']"),
        ("cli/x.py", "import hsitool.maths", "cli may not use maths"),
        ("cli/x.py", "from matplotlib import pyplot", "home of matplotlib is ['drawing']"),
        ("cube.py", "from hsitool.storage import raw", "cube may not use storage"),
        ("engine/x.py", "import cupy as cp", "home of cupy is ['device']"),
    ],
)
def test_what_breaks_the_tables_is_found(file: str, line: str, said: str) -> None:
    (found,) = findings(PACKAGE / file, line)
    assert said in found


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("storage/x.py", "from . import raw\nfrom .raw import Block\nimport rasterio"),
        ("tasks/x.py", "from hsitool.maths.spectra.kernel import BandedKernel\nimport hsitool"),
        ("cli/x.py", "import typer\ndef f():\n    from hsitool.tasks import smooth"),
        ("maths/x.py", "import numpy as np\nimport cv2\nfrom hsitool.errors import UsageError"),
    ],
)
def test_what_keeps_to_the_tables_is_not(file: str, line: str) -> None:
    assert findings(PACKAGE / file, line) == []
