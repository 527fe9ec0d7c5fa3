"""Kernels of the GPU against those of the CPU and plain loops.

Each test runs on the stand-in, where the same source is built as C++ and runs on the CPU with the
launches that a GPU gets, and on a real GPU where there is one.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cupy_on_cpu
import numpy as np
import pytest
from blocks import ORDERS, Cube, arranged, by_loop

from hsitool.device import Gpu, device_of
from hsitool.maths.spectra.cuda import TYPES, source
from hsitool.maths.spectra.kernel import BandedKernel
from hsitool.maths.spectra.launch import Program
from hsitool.maths.spectra.operator import SpectralOperator
from hsitool.maths.spectra.refit import PartialRule
from hsitool.maths.spectra.savgol import savgol_operator
from hsitool.maths.spectra.spectral import spectral_kernel
from hsitool.maths.spectra.windows import Mode, Width

DTYPES = ["u1", "i1", "u2", "i2", ">u2", "u4", ">i4", "i8", "u8", "f2", "f4", ">f4", "f8", ">f8"]
RULES = [
    PartialRule(),
    PartialRule(fill_gaps=True),
    PartialRule(min_valid=5),
    PartialRule(min_valid=4, fill_gaps=True),
]


def wavelengths(bands: int) -> Cube:
    """Uneven steps of about 5 nm."""
    return 400 + np.cumsum(np.random.default_rng(bands).uniform(4, 6, bands))


def operators_on(
    bands: int,
    window: int | Width = 7,
    degree: int = 3,
    derivs: Sequence[int] = (0, 1, 2),
    **more: Any,
) -> list[SpectralOperator]:
    """One for each derivative, on two segments with a bad band between."""
    x = wavelengths(bands)
    if more.get("mode", "interp") != "interp":
        x = np.arange(bands) * 5.0
    segments = [range(bands // 2), range(bands // 2 + 1, bands)]
    return [savgol_operator(x, segments, window, degree, deriv, **more) for deriv in derivs]


def spectra(shape: tuple[int, int, int], dtype: str = "f4") -> Cube:
    """Smooth spectra with noise, from 0 to 120."""
    rng = np.random.default_rng(3)
    x = wavelengths(shape[0])[:, None, None]
    level = rng.uniform(40, 80, shape[1:]) + 30 * np.sin(x / rng.uniform(40, 400, shape[1:]))
    noisy: Cube = (level + rng.normal(0, 2, shape)).clip(0, 120).astype(dtype)
    return noisy


def with_gaps(cube: Cube, value: float, share: float = 0.08) -> Cube:
    """Samples missing here and there, in runs, in one band, and throughout some pixels."""
    rng = np.random.default_rng(5)
    missing = rng.random(cube.shape) < share
    missing[:, 0] = False
    runs = rng.integers(0, cube.shape[0] - 6, cube.shape[1:])
    for (row, column), start in np.ndenumerate(runs):
        missing[start : start + 4, row, column] |= row % 2 == 1
    missing[10, :, 0] = True
    missing[:, -1, -1] = True
    missing[: cube.shape[0] // 2, -1, 0] = True
    return np.where(missing, np.asarray(value, cube.dtype), cube)


def outputs(
    operators: Sequence[SpectralOperator], cube: Cube, order: str = "bsq", to: str = ""
) -> list[Cube]:
    """Arrays to be filled, of rubbish."""
    dtype = np.float64 if cube.dtype.newbyteorder("=") == np.float64 else np.float32
    shapes = [(operator.outputs, *cube.shape[1:]) for operator in operators]
    return [arranged(np.full(shape, 12345, dtype), to or order) for shape in shapes]


def on_cpu(
    operators: Sequence[SpectralOperator], cube: Cube, nodata: float | None = None
) -> list[Cube]:
    """What the CPU's kernel gives."""
    outs = outputs(operators, cube)
    BandedKernel(operators, cube.dtype, nodata)(cube, outs)
    return outs


def on_gpu(
    gpu: Gpu,
    operators: Sequence[SpectralOperator],
    cube: Cube,
    nodata: float | None = None,
    order: str = "bsq",
    to: str = "",
) -> list[Cube]:
    """What the GPU makes of a block of this machine in memory order `order`."""
    outs = outputs(operators, cube, order, to)
    spectral_kernel(operators, cube.dtype, nodata, gpu)(arranged(cube, order), outs)
    return outs


def assert_agree(found: Sequence[Cube], expected: Sequence[Cube], tolerance: float = 1e-6) -> None:
    """The same values missing, the others within a share of the largest one."""
    for values, truth in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.isnan(values), np.isnan(truth))
        if (there := ~np.isnan(truth)).any():
            error = np.abs(values.astype(np.float64) - truth)[there].max()
            assert error <= tolerance * np.abs(truth[there]).max()


def to_gpu(array: Cube) -> Any:
    """A CuPy array in the same memory order."""
    order = np.argsort([-abs(stride) for stride in array.strides], kind="stable")
    compact = np.ascontiguousarray(array.transpose(order))
    return sys.modules["cupy"].asarray(compact).transpose(*np.argsort(order))


def to_cpu(array: Any) -> Cube:
    return array.get() if hasattr(array, "get") else np.asarray(array)


def by_nvcc(macros: Sequence[str], generation: int, folder: Path) -> None:
    """Machine code for a generation of GPUs, for which no GPU is needed."""
    (folder / "spectral.cu").write_text(source(), "utf-8")
    options = ["-std=c++17", "-cubin", "-Werror=all-warnings", f"-arch=sm_{generation}"]
    command = ["nvcc", *options, *(f"-D{macro}" for macro in macros), "spectral.cu"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def by_nvrtc(macros: Sequence[str], generation: int, _: Path) -> None:
    """As CuPy does it."""
    nvrtc = importlib.import_module("cupy").cuda.nvrtc
    program = nvrtc.createProgram(source(), "spectral.cu", [], [])
    options = [f"-arch=sm_{generation}", "-std=c++17", *(f"-D{macro}" for macro in macros)]
    nvrtc.compileProgram(program, options)


def compiler() -> Callable[[Sequence[str], int, Path], None]:
    """What compiles CUDA here; the test is skipped where nothing does."""
    if shutil.which("nvcc"):
        return by_nvcc
    if importlib.util.find_spec("cupy"):
        return by_nvrtc
    pytest.skip("neither nvcc nor CuPy's NVRTC to compile with")


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_source_compiles_for_every_type(dtype: str, tmp_path: Path) -> None:
    operators, native = operators_on(224, partial=PartialRule()), np.dtype(dtype).newbyteorder("=")
    assert native.str[1:] in TYPES
    program = Program(operators, native, 0.0)
    compiler()(program.macros(not np.dtype(dtype).isnative), 80, tmp_path)


@pytest.mark.parametrize(
    ("operators", "dtype", "nodata"),
    [
        (operators_on(224, 5, 2, (1,)), "f4", None),
        (operators_on(224, 31, 2), "f8", None),
        (operators_on(224, 31, 2, partial=PartialRule()), "f4", -1.0),
        (operators_on(2000, 101, 4, partial=PartialRule()), "u2", None),
        (operators_on(12000, 3, 1, (0,)), "i4", None),
        (operators_on(224, Width(40.0), 2) * 5, "i2", -9999.0),
    ],
    ids=["one output", "long and wide", "long", "longest", "many bands", "many outputs"],
)
def test_the_source_compiles_for_every_shape(
    operators: list[SpectralOperator], dtype: str, nodata: float | None, tmp_path: Path
) -> None:
    compiler()(Program(operators, np.dtype(dtype), nodata).macros(False), 90, tmp_path)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_order_and_type(gpu: Gpu, dtype: str, order: str) -> None:
    operators, cube = operators_on(70), spectra((70, 4, 7), dtype)
    nodata = float(cube[5, 2, 3])
    exact = [by_loop(operator, cube, cube == nodata) for operator in operators]
    found = on_gpu(gpu, operators, cube, nodata, order)
    assert_agree(found, exact, 1e-12 if dtype[-2:] == "f8" else 1e-6)
    assert_agree(found, on_cpu(operators, cube, nodata))


@pytest.mark.parametrize("nodata", [np.nan, -9999.0, 1e30, 0.5, np.inf])
def test_a_nodata_that_the_type_cannot_hold_matches_nothing(gpu: Gpu, nodata: float) -> None:
    operators = operators_on(40, 5, 2)
    cube = np.random.default_rng(7).integers(0, 2, (40, 3, 3)).astype(np.uint16)
    assert_agree(on_gpu(gpu, operators, cube, nodata), on_cpu(operators, cube))


@pytest.mark.parametrize("order", ["bsq", "bip"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.9999])
def test_missing_samples_of_every_kind(gpu: Gpu, value: float, order: str) -> None:
    operators, cube = operators_on(60), with_gaps(spectra((60, 5, 6)), value)
    found = on_gpu(gpu, operators, cube, -0.9999, order)
    assert_agree(found, on_cpu(operators, cube, -0.9999))


def test_half_floats_of_every_size(gpu: Gpu) -> None:
    bits = np.arange(1 << 16, dtype=np.uint16).view(np.float16).reshape(64, 32, 32)
    copied = savgol_operator(np.arange(64.0), [], 3, 1)
    (found,) = on_gpu(gpu, [copied], bits)
    expected = np.where(np.isfinite(bits), bits.astype(np.float32), np.nan)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("order", ["bsq", "bip"])
@pytest.mark.parametrize(
    ("window", "degree"), [(1, 0), (3, 2), (9, 4), (25, 2), (31, 3), (41, 2), (Width(40.0), 2)]
)
def test_every_window(gpu: Gpu, window: int | Width, degree: int, order: str) -> None:
    derivs = range(min(degree, 2) + 1)
    operators = operators_on(100, window, degree, derivs, partial=PartialRule())
    cube = spectra((100, 3, 5))
    assert_agree(on_gpu(gpu, operators, cube, None, order), on_cpu(operators, cube))
    cube = with_gaps(cube, np.nan)
    assert_agree(on_gpu(gpu, operators, cube, None, order), on_cpu(operators, cube))


@pytest.mark.parametrize("order", ["bsq", "bil", "bip"])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("mode", ["interp", "mirror", "nearest", "constant", "wrap"])
def test_gaps_are_fitted(gpu: Gpu, mode: Mode, rule: PartialRule, order: str) -> None:
    operators = operators_on(60, 7, 2, mode=mode, partial=rule)
    cube = with_gaps(spectra((60, 8, 9), "i2"), -9999)
    found, expected = on_gpu(gpu, operators, cube, -9999, order), on_cpu(operators, cube, -9999)
    assert_agree(found, expected)
    blank = on_cpu(operators_on(60, 7, 2, mode=mode), cube, -9999)
    assert 0.02 < np.isnan(expected[0]).mean() < np.isnan(blank[0]).mean() - 0.1


@pytest.mark.parametrize("order", ["bsq", "bip"])
def test_fits_of_gaps_are_those_of_polyfit(gpu: Gpu, order: str) -> None:
    x, cube = wavelengths(40), spectra((40, 6, 5), "f8")
    cube[np.random.default_rng(8).random(cube.shape) < 0.1] = np.nan
    operators = [
        savgol_operator(x, [range(40)], 9, 2, deriv, partial=PartialRule(fill_gaps=True))
        for deriv in (0, 1)
    ]
    found = np.array(on_gpu(gpu, operators, cube, None, order))
    truth = np.empty_like(found)
    for band, row, column in np.ndindex(cube.shape):
        first = min(max(band - 4, 0), 31)
        there = first + np.flatnonzero(~np.isnan(cube[first : first + 9, row, column]))
        fitted = np.polyfit(x[there] - x[band], cube[there, row, column], 2)
        truth[:, band, row, column] = fitted[:0:-1]
    given = ~np.isnan(found)
    assert given.mean() > 0.9
    np.testing.assert_allclose(found[given], truth[given], rtol=0, atol=1e-9)


@pytest.mark.parametrize("order", ["bsq", "bip"])
@pytest.mark.parametrize("fill_gaps", [False, True])
def test_residuals(gpu: Gpu, fill_gaps: bool, order: str) -> None:
    smoothing = operators_on(60, 7, 2, (0,), partial=PartialRule(fill_gaps=fill_gaps))
    operators = [*smoothing, smoothing[0].residual()]
    cube = with_gaps(spectra((60, 6, 7)), np.nan)
    assert_agree(on_gpu(gpu, operators, cube, None, order), on_cpu(operators, cube))


@pytest.mark.parametrize("order", ["bsq", "bip"])
def test_bands_of_different_scale_and_offset(gpu: Gpu, order: str) -> None:
    rng = np.random.default_rng(9)
    scale, offset = rng.uniform(0.5, 2, 60), rng.uniform(-50, 50, 60)
    operators = operators_on(60, 7, 2, partial=PartialRule(fill_gaps=True))
    operators.append(operators[0].residual())
    operators = [operator.rescaled(scale, offset) for operator in operators]
    cube = with_gaps(spectra((60, 6, 7), "u2"), 65535)
    found = on_gpu(gpu, operators, cube, 65535, order)
    assert_agree(found, on_cpu(operators, cube, 65535))


@pytest.mark.parametrize("order", ["bsq", "bip"])
def test_bad_bands_are_filled_from_those_around(gpu: Gpu, order: str) -> None:
    """Their windows leave bands out in the middle."""
    x = wavelengths(60)
    segments, chain = [range(20), range(23, 60)], [*range(20), *range(23, 60)]
    operators = [
        savgol_operator(x, segments, 7, 2, deriv, chains=[chain], partial=PartialRule(0, True))
        for deriv in (0, 1)
    ]
    assert operators[0].skips.any()
    cube = with_gaps(spectra((60, 6, 7)), np.nan)
    cube[21] = np.nan
    assert_agree(on_gpu(gpu, operators, cube, None, order), on_cpu(operators, cube))


@pytest.mark.parametrize("order", ["bsq", "bip"])
def test_operators_that_share_few_windows(gpu: Gpu, order: str) -> None:
    x = wavelengths(60)
    whole, rule = [range(60)], PartialRule()
    operators = [
        savgol_operator(x, whole, 9, 2, partial=rule),
        savgol_operator(x, [range(2), range(2, 60)], 5, 2, 1),
        savgol_operator(x, whole, Width(33.0), 2, 2, partial=rule),
        savgol_operator(x, whole, 9, 2).select([50, 3, 7]),
        savgol_operator(x, whole, 9, 2, 1, partial=PartialRule(0, True)).select([11]),
    ]
    cube = with_gaps(spectra((60, 4, 5)), np.nan)
    assert_agree(on_gpu(gpu, operators, cube, None, order), on_cpu(operators, cube))


@pytest.mark.parametrize("bands", [5, 33, 301, 700])
@pytest.mark.parametrize("order", ["bsq", "bip"])
def test_any_number_of_bands(gpu: Gpu, bands: int, order: str) -> None:
    """Above 256 steps, several blocks of threads share the bands of a pixel."""
    operators = operators_on(bands, 3, 1, (0, 1), partial=PartialRule())
    rng = np.random.default_rng(10)
    cube = spectra((bands, 3, 50))
    cube[rng.integers(0, bands, 40), rng.integers(0, 3, 40), rng.integers(0, 50, 40)] = np.nan
    assert_agree(on_gpu(gpu, operators, cube, None, order), on_cpu(operators, cube))


@pytest.mark.parametrize("order", ["bsq", "bip"])
def test_pixels_with_few_samples_left(gpu: Gpu, order: str) -> None:
    """Those without any are passed over; none with some is, however many blocks count its gaps."""
    x, rule = wavelengths(301), PartialRule(fill_gaps=True)
    operators = [savgol_operator(x, [range(301)], 5, 1, deriv, partial=rule) for deriv in (0, 1)]
    rng = np.random.default_rng(11)
    cube = np.full((301, 4, 60), np.nan, np.float32)
    cube[:, ::2, ::7] = spectra(cube.shape)[:, ::2, ::7]
    for row, column in np.argwhere(rng.random(cube.shape[1:]) < 0.8):
        first = rng.integers(0, 298)
        cube[first : first + 3, row, column] = rng.random(3)
    expected = on_cpu(operators, cube)
    assert_agree(on_gpu(gpu, operators, cube, None, order), expected)
    assert np.isfinite(expected[0]).any(axis=0).mean() > 0.8


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (3, 129), (20, 17), (0, 4)])
@pytest.mark.parametrize("order", ["bsq", "bil", "bip", "bsq cropped", "bip cropped"])
def test_tiles_of_any_shape(gpu: Gpu, order: str, shape: tuple[int, int]) -> None:
    operators = operators_on(70, partial=PartialRule())
    cube = spectra((70, *shape))
    cube[::7, ::2, ::3] = np.nan
    assert_agree(on_gpu(gpu, operators, cube, None, order), on_cpu(operators, cube))


@pytest.mark.parametrize("to", ["bsq", "bil", "bip", "flipped"])
@pytest.mark.parametrize("order", ["bsq", "bil", "bip"])
def test_the_output_may_be_in_another_order(gpu: Gpu, order: str, to: str) -> None:
    operators, cube = operators_on(70), spectra((70, 4, 6))
    assert_agree(on_gpu(gpu, operators, cube, None, order, to), on_cpu(operators, cube))


def test_no_outputs(gpu: Gpu) -> None:
    (operator,) = operators_on(40, derivs=(0,))
    (found,) = on_gpu(gpu, [operator.select([])], spectra((40, 2, 3)))
    assert found.shape == (0, 2, 3)


def test_bands_that_pass_unchanged_keep_every_bit(gpu: Gpu) -> None:
    cube = spectra((41, 4, 5))
    for order in ("bsq", "bip"):
        (found,) = on_gpu(gpu, operators_on(41, 5, 2, (0,)), cube, order=order)
        np.testing.assert_array_equal(found[20], cube[20])


@pytest.mark.parametrize("order", ["bsq", "bip"])
def test_float32_keeps_the_digits_of_a_derivative(gpu: Gpu, order: str) -> None:
    """A small signal on a large level: a plain float32 sum is 1.2 % off here."""
    t = np.linspace(0, 1, 200)
    operator = savgol_operator(t, [range(200)], 11, 3, 2)
    cube = np.broadcast_to((1000 + np.sin(6 * t)).astype(np.float32)[:, None, None], (200, 3, 4))
    exact = by_loop(operator, cube, np.zeros(cube.shape, bool))
    assert_agree(on_gpu(gpu, [operator], cube, order=order), [exact], 5e-6)


@pytest.mark.parametrize("order", ["bsq", "bip"])
def test_huge_samples_disturb_no_bit_beyond_their_windows(gpu: Gpu, order: str) -> None:
    (operator,) = operators_on(80, 5, 2, (2,))
    cube = spectra((80, 5, 6))
    (clean,) = on_gpu(gpu, [operator], cube, order=order)
    cube[30] = -3.4e38
    (found,) = on_gpu(gpu, [operator], cube, order=order)
    beyond = [i for i in range(80) if not operator.first[i] <= 30 < operator.first[i] + 5]
    np.testing.assert_array_equal(found[beyond], clean[beyond])


def test_threads_share_a_kernel(gpu: Gpu) -> None:
    operators = operators_on(60, partial=PartialRule())
    kernel = spectral_kernel(operators, np.float32, None, gpu)
    cube = with_gaps(spectra((60, 32, 20)), np.nan)
    outs = outputs(operators, cube)

    def row(at: int) -> None:
        kernel(cube[:, at : at + 1], [out[:, at : at + 1] for out in outs])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(row, range(32)))
    assert_agree(outs, on_cpu(operators, cube))


def test_blocks_in_memory_of_the_device(gpu: Gpu) -> None:
    """Memory that the GPU copies from by itself, as the engine's slots are."""
    operators, cube = operators_on(60), spectra((60, 7, 9))
    block = gpu.empty(cube.nbytes).view(cube.dtype).reshape(cube.shape)
    out = gpu.empty(cube.nbytes).view(cube.dtype).reshape(cube.shape)
    block[...] = cube
    spectral_kernel(operators[:1], cube.dtype, None, gpu)(block, [out])
    assert_agree([out], on_cpu(operators[:1], cube))


@pytest.mark.parametrize("order", ["bsq", "bil", "bip"])
def test_a_cupy_array_gives_a_cupy_array(gpu: Gpu, order: str) -> None:
    (operator,) = operators_on(60, derivs=(1,), partial=PartialRule())
    cube = with_gaps(spectra((60, 6, 8)), np.nan)
    block = to_gpu(arranged(cube, order))
    out = operator.apply(block)
    assert device_of(out) == gpu
    assert out.strides == block.strides
    assert_agree([to_cpu(out)], on_cpu([operator], cube))


def test_views_of_cupy_arrays(gpu: Gpu) -> None:
    (operator,) = operators_on(60, derivs=(2,))
    cube = spectra((60, 6, 8))
    for view in (np.s_[:, ::-1, ::-1], np.s_[:, ::2, 1::3], np.s_[:, 1:5, 2:7]):
        found = to_cpu(operator.apply(to_gpu(cube)[view]))
        assert_agree([found], on_cpu([operator], cube[view]))


def test_arrays_here_and_there_are_refused(gpu: Gpu) -> None:
    operators, cube = operators_on(60, derivs=(0,)), spectra((60, 3, 4))
    kernel = spectral_kernel(operators, cube.dtype, None, gpu)
    with pytest.raises(ValueError, match=r"arrays live on cpu and cuda:0 .*, the kernel on cuda:0"):
        kernel(to_gpu(cube), outputs(operators, cube))


def test_refusals(gpu: Gpu) -> None:
    operators = operators_on(40, derivs=(0,))
    kernel = spectral_kernel(operators, np.uint16, None, gpu)
    block, out = np.zeros((40, 2, 3), np.uint16), np.zeros((40, 2, 3), np.float32)
    with pytest.raises(ValueError, match="shapes"):
        kernel(block[1:], [out])
    with pytest.raises(ValueError, match="types"):
        kernel(block.astype(np.int16), [out])
    with pytest.raises(TypeError, match="complex64 samples cannot"):
        spectral_kernel(operators, np.complex64, None, gpu)
    with pytest.raises(ValueError, match="31 operators at once"):
        spectral_kernel(operators * 31, np.float32, None, gpu)


@pytest.mark.parametrize(
    ("order", "kernel"),
    [("bsq", "sweep"), ("bil", "sweep"), ("bip", "strip"), ("flipped", "sweep_apart")],
)
def test_neighbouring_threads_find_neighbouring_samples(gpu: Gpu, order: str, kernel: str) -> None:
    """All outputs come from one launch; a second one fits gaps."""
    if "this machine" not in gpu.name:
        pytest.skip("a real GPU keeps no list of its launches")
    cube = spectra((60, 3, 4))
    for rule, kernels in ((None, [kernel]), (PartialRule(), [kernel, "refit"])):
        cupy_on_cpu.launched.clear()
        operators = operators_on(60, partial=rule)
        arrays = [arranged(cube, order), *outputs(operators, cube, order)]
        block, *outs = (cupy_on_cpu.asarray(array) for array in arrays)
        spectral_kernel(operators, cube.dtype, None, gpu)(block, outs)
        assert [name for name, _, _ in cupy_on_cpu.launched] == kernels
