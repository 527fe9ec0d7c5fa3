"""What it costs to find boards, against bare OpenCV calls in the same run.

    python tests/benchmarks/detection_speed.py [--images 20] [--megapixels 2] [--runs 5]

* 20 rendered images end to end (files in, corners out) against reading, halving, detection and
  refinement of the same corners by plain calls, on as many threads;
* images without a board, or with a part of it: milliseconds of CPU per megapixel on one thread.

Exit code 1 where a limit is not kept.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from processes import TESTS, verdict

sys.path.insert(0, str(TESTS))

import rendered

from hsitool.maths.boards.board import Board
from hsitool.maths.boards.detection import detect
from hsitool.tasks.boards import find_boards

BOARD = Board(9, 6, 25.0)
LIMIT_RATIO, LIMIT_MS = 1.2, 25.0
QUICK = cv2.CALIB_CB_ADAPTIVE_THRESH | cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_FAST_CHECK
STOP = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 40, 0.001)


def bare(path: Path) -> NDArray[np.float32]:
    """The same corners by plain calls: what nobody can save."""
    image = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8)
    half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    found, corners = cv2.findChessboardCorners(half, (9, 6), flags=QUICK)
    if not found:
        raise SystemExit(f"{path.name}: not found at half size: choose another --seed")
    start = ((np.asarray(corners).reshape(-1, 1, 2) + 0.5) * 2 - 0.5).astype(np.float32)
    steps = np.linalg.norm(np.diff(start.reshape(6, 9, 2), axis=1), axis=-1)
    window = max(2, int(0.3 * float(steps.min())))
    return np.asarray(cv2.cornerSubPix(image, start, (window, window), (-1, -1), STOP))


def fastest(work: Sequence[Callable[[], object]], runs: int) -> list[float]:
    """Least seconds of each, in turns after a round to warm up."""
    seconds = [[] for _ in work]  # type: list[list[float]]
    for _ in range(runs + 1):
        for taken, call in zip(seconds, work, strict=True):
            start = time.perf_counter()
            call()
            taken.append(time.perf_counter() - start)
    return [min(taken[1:]) for taken in seconds]


def end_to_end(folder: Path, lens: rendered.Lens, options: argparse.Namespace) -> float:
    """Seconds of `find_boards` over those of plain calls."""
    rng, threads = np.random.default_rng(options.seed), os.cpu_count() or 1
    paths = [folder / f"board{n}.{options.suffix}" for n in range(options.images)]
    shown = rendered.views(BOARD, lens, rendered.Look(), options.images, rng)
    for path, view in zip(paths, shown, strict=True):
        cv2.imwrite(str(path), view.image)

    def plain() -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(bare, paths))

    def ours() -> None:
        found = find_boards(paths, BOARD, workers=threads)
        if len(found.found) != len(paths):
            raise SystemExit(f"only {len(found.found)} boards found")

    bare_seconds, seconds = fastest([plain, ours], options.runs)
    return seconds / bare_seconds


def without_board(lens: rendered.Lens) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Images of which detectors may be afraid."""
    rng, shape = np.random.default_rng(0), (lens.rows, lens.columns)
    yield "flat", np.full(shape, 128, np.uint8)
    yield "noise", rng.integers(0, 256, shape, np.uint8)
    tiles = rng.integers(0, 2, (shape[0] // 40, shape[1] // 40), np.uint8) * 200 + 20
    tiled = cv2.resize(tiles, shape[::-1], interpolation=cv2.INTER_NEAREST)
    yield "random tiles", np.asarray(tiled, np.uint8)
    for name, scales in (("blobs", [8]), ("scene", [1, 2, 4, 8, 16, 32, 64])):
        grey = sum(s * cv2.GaussianBlur(rng.standard_normal(shape), (0, 0), s) for s in scales)
        low, high = np.percentile(grey, (2, 98))
        yield name, np.clip((grey - low) / (high - low) * 255, 0, 255).astype(np.uint8)


def partly(lens: rendered.Lens) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Images of a part of the board, and of boards with other counts."""
    rng = np.random.default_rng(3)
    (view,) = rendered.views(BOARD, lens, rendered.Look(), 1, rng, tilt_degrees=(5.0, 20.0))
    u, v = np.rint(view.uv).astype(int).T
    hidden, covered = view.image.copy(), view.image.copy()
    hidden[:, : int(np.median(u))] = 120
    yield "half of the board hidden", hidden
    yield "board cut off", np.ascontiguousarray(view.image[:, int(np.percentile(u, 20)) :])
    cv2.circle(covered, (int(u[22]), int(v[22])), 40, 120, -1)
    yield "inside of the board covered", covered
    for counts in ((8, 6), (11, 7)):
        board = Board(*counts, 25.0)
        (other,) = rendered.views(board, lens, rendered.Look(), 1, rng)
        yield f"board of {board}", other.image


def rejection(lens: rendered.Lens, runs: int) -> Iterator[tuple[str, float]]:
    """Milliseconds per megapixel of images without a board."""
    empty = list(without_board(lens))
    others = [Board(8, 5, 25.0, "charuco", 18.0)]
    others += [Board(9, 6, 25.0, "circles"), Board(4, 9, 25.0, "acircles")]
    work = [("", BOARD, *case) for case in (*empty, *partly(lens))]
    work += [(f"{board.target}: ", board, *case) for board in others for case in empty]
    for target, board, name, image in work:
        seconds = least_cpu(image, board, runs)
        yield f"{target}no board: {name}, ms/MP", seconds * 1e3 / (image.size / 1e6)


def least_cpu(image: NDArray[np.uint8], board: Board, runs: int) -> float:
    """Least CPU seconds of this thread for one detection, after one to warm up."""
    taken = []
    for _ in range(runs + 1):
        start = time.thread_time()
        if detect(image, board).found:
            raise SystemExit(f"a {board.target} board was found where there is none")
        taken.append(time.thread_time() - start)
    return min(taken[1:])


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 if a limit was not kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--megapixels", type=float, default=2.0)
    parser.add_argument("--runs", type=int, default=5, help="rounds, after one to warm up")
    parser.add_argument("--suffix", default="png", help="format of the images")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    lens = rendered.Lens(1920, 1080, 2000, 2000, 960, 540)
    lens = lens.scaled((options.megapixels / 2.0736) ** 0.5)
    print(f"{options.images} images of {lens.columns}x{lens.rows}, best of {options.runs} runs\n")
    print("| what | measured | limit | kept |\n|---|---:|---:|---|")
    with tempfile.TemporaryDirectory() as folder:
        ratio = end_to_end(Path(folder), lens, options)
    rows = [("end to end / bare detection", ratio, LIMIT_RATIO)]
    rows += [(what, taken, LIMIT_MS) for what, taken in rejection(lens, options.runs)]
    for what, measured, limit in rows:
        print(f"| {what} | {measured:.2f} | {limit:g} | {verdict(measured <= limit)} |")
    return 0 if all(measured <= limit for _, measured, limit in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
