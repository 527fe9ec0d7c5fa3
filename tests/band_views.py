"""A camera whose bands differ as they were told to: simulated corners and rendered cubes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import rendered
import views as simulated
from numpy.typing import NDArray

from hsitool.maths.boards.board import Board
from hsitool.maths.cameras.camera import BoardView

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Change:
    """What a band's camera is against the scene's: focal lengths, centre in px, k1."""

    e_x: float = 0.0
    e_y: float = 0.0
    dcx: float = 0.0
    dcy: float = 0.0
    dk1: float = 0.0

    @property
    def values(self) -> Floats:
        return np.array([self.e_x, self.e_y, self.dcx, self.dcy, self.dk1])


TRUTH = tuple(Change(e, e, 150 * e, -80 * e) for e in (-4e-4, -2e-4, 3e-4, 8e-4))
"""Four bands beside the reference."""
WAVELENGTHS = (450.0, 500.0, 700.0, 800.0)
REFERENCE_NM = 600.0


def simulate(
    scene: simulated.Scene, changes: Sequence[Change], rng: np.random.Generator
) -> tuple[list[BoardView], Floats]:
    """Views of the reference band, and (bands, n, 2) px of all points in the others.

    The projection is that of `views`; fx and fy of a band are scaled, not linearised.
    """
    board, drawn = simulated.printed(scene), simulated.grid(scene)
    found, others = [], []
    for index in range(scene.views):
        turn, shift = simulated.pose(scene, rng, index)
        points = board @ turn.T + shift
        seen = [simulated.projected(scene, points)]
        for change in changes:
            k1, *rest = scene.lens
            bent = replace(scene, lens=(k1 + change.dk1, *rest))
            plane = simulated.projected(bent, points) - scene.centre
            factor = [1 + change.e_x, 1 + change.e_y]
            seen.append(plane * factor + scene.centre + [change.dcx, change.dcy])
        noisy = np.array(seen) + rng.normal(0, scene.noise_px, (len(seen), len(points), 2))
        found.append(BoardView(f"view{index:02}", noisy[0], drawn))
        others.append(noisy[1:])
    return found, np.concatenate(others, axis=1)


# Rendered cubes

BOARD = Board(9, 6, 25.0)
LENS = rendered.Lens().scaled(0.4)
BLURS, CONTRASTS = (0.7, 1.3, 0.9), (1.0, 0.47, 0.42)
"""In turns from band to band."""


@dataclass(frozen=True)
class RenderedCubes:
    """Views (view, band, row, column) of a chessboard, and the true change of each band."""

    pixels: NDArray[np.uint16]
    wavelength_nm: tuple[float, ...]
    changes: tuple[Change, ...]


def chromatic(bands: int) -> tuple[tuple[float, ...], tuple[Change, ...]]:
    """Wavelengths from 400 to 1000 nm and a lens that is achromatic somewhere between."""
    nm = np.linspace(400, 1000, bands)
    s = (nm - 700) / 300
    e = 8e-4 * s - 5e-4 * s**2
    changes = tuple(Change(a, a, 0.15 * b, -0.3 * b) for a, b in zip(e, s, strict=True))
    return tuple(nm.tolist()), changes


@lru_cache(maxsize=2)
def rendered_cubes(bands: int = 31, views: int = 7, noise: float = 2.0) -> RenderedCubes:
    """Bands differ in blur and contrast, too; 12 bits."""
    rng = np.random.default_rng(11)
    places = rendered.poses(BOARD, LENS, rng, roll="half")
    poses = [next(places) for _ in range(views)]
    nm, changes = chromatic(bands)
    pixels = np.zeros((views, bands, LENS.rows, LENS.columns), np.uint16)
    for band, change in enumerate(changes):
        look = rendered.Look(blur_px=BLURS[band % 3], noise=0)
        for view, pose in enumerate(poses):
            grey = rendered.render(BOARD, changed(LENS, change), pose, look, rng).image
            seen = 1200 + CONTRASTS[band % 3] * 8.0 * grey
            noisy = seen + 8 * noise * rng.standard_normal(seen.shape) * CONTRASTS[0]
            pixels[view, band] = np.clip(np.rint(noisy), 0, 4095)
    return RenderedCubes(pixels, nm, changes)


def changed(lens: rendered.Lens, change: Change) -> rendered.Lens:
    """The camera of a band."""
    k1, *rest = lens.distortion
    return replace(
        lens,
        fx=lens.fx * (1 + change.e_x),
        fy=lens.fy * (1 + change.e_y),
        cx=lens.cx + change.dcx,
        cy=lens.cy + change.dcy,
        distortion=(k1 + change.dk1, *rest),
    )


def relative(changes: Sequence[Change], reference: int) -> Floats:
    """(bands, 5) true values against one of the bands."""
    base = changes[reference]
    found = np.array([change.values for change in changes]) - base.values
    for axis, name in enumerate(("e_x", "e_y")):
        own = np.array([getattr(change, name) for change in changes])
        found[:, axis] = (1 + own) / (1 + getattr(base, name)) - 1
    return found


def mosaic_frames(
    changes: Sequence[Change], across: int, down: int, views: int = 6
) -> list[NDArray[np.uint16]]:
    """Raw frames of a sensor whose filter (i, j) is band j * across + i: each has its own lens."""
    rng = np.random.default_rng(12)
    base = rendered.Lens(columns=960, rows=768, fx=1200, fy=1200, cx=487, cy=375)
    places = rendered.poses(BOARD, base, rng, roll="half")
    frames = []
    for _ in range(views):
        pose, frame = next(places), np.zeros((base.rows, base.columns), np.uint16)
        for band, change in enumerate(changes):
            j, i = divmod(band, across)
            seen = rendered.render(
                BOARD, _sampled(base, change, i, j, across, down), pose, LOOK, rng
            )
            frame[j::down, i::across] = 16 * seen.image.astype(np.uint16)
        frames.append(frame)
    return frames


LOOK = rendered.Look(0.7, 2.0)


def _sampled(
    base: rendered.Lens, change: Change, i: int, j: int, across: int, down: int
) -> rendered.Lens:
    """What the pixels of one filter see: every `across`th column from i on."""
    lens = changed(base, change)
    return replace(
        lens,
        columns=base.columns // across,
        rows=base.rows // down,
        fx=lens.fx / across,
        fy=lens.fy / down,
        cx=(lens.cx - i) / across,
        cy=(lens.cy - j) / down,
    )


RIG_FOCAL = (1.0, 1.006, 0.995)
RIG_PLACES = ((0.0, 0.0, 0.0), (-20.0, 1.0, 0.5), (2.0, -18.0, -0.5))


def rig_images(views: int = 8) -> list[list[NDArray[np.uint8]]]:
    """What three lenses side by side see, view after view."""
    rng = np.random.default_rng(13)
    places = rendered.poses(BOARD, LENS, rng, roll="half", width_share=(0.4, 0.65))
    found = []
    while len(found) < views:
        pose, images = next(places), []
        for factor, place in zip(RIG_FOCAL, RIG_PLACES, strict=True):
            lens = replace(LENS, fx=LENS.fx * factor, fy=LENS.fy * factor)
            own = rendered.Pose(pose.rotation, pose.translation + np.array(place))
            seen = rendered.render(BOARD, lens, own, LOOK, rng)
            inside = (seen.uv > 20).all() and (seen.uv < [lens.columns - 21, lens.rows - 21]).all()
            images += [seen.image] if inside else []
        if len(images) == len(RIG_FOCAL):
            found.append(images)
    return found
