"""What a bundle adjustment works on: packed points, the parameters that are free, and a state."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hsitool.maths.cameras.calibration_result import Flags
from hsitool.maths.cameras.camera import BoardShape, Camera, Floats, Model, Views
from hsitool.maths.cameras.projection import intrinsic_names, project

BOARD = ("aspect", "shear", "bow_x", "bow_y")


@dataclass(frozen=True, eq=False)
class PackedViews:
    """Points of all views in arrays of one length, filled up with points of no weight."""

    board: Floats
    """(views, n, 3) mm from the board's centre."""
    image: Floats
    """(views, n, 2) px"""
    weight: Floats
    """(views, n) 1 where a point counts, else 0."""
    centre: Floats
    """(3,) mm"""
    half: Floats
    """(2,) mm, half the size of the board."""

    @classmethod
    def of(cls, views: Views) -> PackedViews:
        """Of views of one board."""
        longest = max(len(view.image_px) for view in views)
        board, image = np.zeros((len(views), longest, 3)), np.zeros((len(views), longest, 2))
        weight = np.zeros((len(views), longest))
        for i, view in enumerate(views):
            n = len(view.image_px)
            board[i, :n], image[i, :n], weight[i, :n] = view.object_mm, view.image_px, 1
            board[i, n:] = view.object_mm[0]  # projected with the others, so it must be in sight
        low, high = board.min(axis=(0, 1)), board.max(axis=(0, 1))
        centre = (low + high) / 2
        return cls(board - centre, image, weight, centre, np.maximum(high - low, 1e-300)[:2] / 2)

    def without(self, views: Flags) -> PackedViews:
        """The other views alone."""
        kept = ~views
        return replace(
            self, board=self.board[kept], image=self.image[kept], weight=self.weight[kept]
        )

    def weighted(self, used: Flags) -> PackedViews:
        """With only the points (views, n) that are used."""
        return replace(self, weight=used.astype(np.float64))

    @property
    def points(self) -> int:
        """Points that count."""
        return int(self.weight.sum())


@dataclass(frozen=True, eq=False)
class Layout:
    """Which numbers are free: intrinsics = `table` @ parameters, then a free board's four."""

    model: Model
    names: tuple[str, ...]
    table: Floats
    """(intrinsics, p)"""
    free_board: bool

    @classmethod
    def two(cls, model: Model, tangential: bool, free_board: bool = False) -> Layout:
        """fx and fy apart."""
        names = intrinsic_names(model)
        kept = [i for i, name in enumerate(names) if tangential or name not in ("p1", "p2")]
        return cls._made(model, [names[i] for i in kept], np.eye(len(names))[:, kept], free_board)

    def single(self, mx: float, my: float) -> Layout:
        """One f, in the unit that mx and my are pixels per."""
        focal = np.zeros(len(self.table))
        focal[:2] = mx, my
        lens = self.table.shape[1] - 4 * self.free_board
        table = np.column_stack([focal, self.table[:, 2:lens]])
        return self._made(self.model, ["f", *self.names[2:lens]], table, self.free_board)

    @classmethod
    def _made(cls, model: Model, names: list[str], table: Floats, free_board: bool) -> Layout:
        if free_board:
            names = [*names, *BOARD]
            table = np.column_stack([table, np.zeros((len(table), len(BOARD)))])
        return cls(model, tuple(names), table, free_board)

    def parameters(self, intrinsics: Floats, shape: BoardShape) -> Floats:
        """(p,) that come nearest to some intrinsics and a board."""
        found = np.asarray(np.linalg.lstsq(self.table, intrinsics, rcond=None)[0], np.float64)
        if self.free_board:
            found[-4:] = shape.aspect, shape.shear, shape.bow_x_mm, shape.bow_y_mm
        return found

    def intrinsics(self, parameters: Floats) -> Floats:
        """In the order of `intrinsic_names`."""
        found: Floats = self.table @ parameters
        return found

    def shape(self, parameters: Floats) -> BoardShape:
        """The board."""
        return BoardShape(*map(float, parameters[-4:])) if self.free_board else BoardShape()


@dataclass(frozen=True, eq=False)
class State:
    """Where a fit is."""

    parameters: Floats
    rotation: Floats
    """(views, 3, 3) board to camera."""
    translation: Floats
    """(views, 3) mm, of the board's centre."""

    def without(self, views: Flags) -> State:
        """For the other views alone."""
        return replace(self, rotation=self.rotation[~views], translation=self.translation[~views])


def residuals(packed: PackedViews, layout: Layout, state: State) -> Floats:
    """(views, n, 2) px, projected minus observed, of points without weight too."""
    shaped = shaped_board(packed, layout.shape(state.parameters))
    points = in_camera_axes(shaped, state)
    pixels, _, _ = project(layout.model, layout.intrinsics(state.parameters), points)
    found: Floats = pixels.reshape(packed.image.shape) - packed.image
    return found


def shaped_board(packed: PackedViews, shape: BoardShape) -> Floats:
    """The board's points as its shape has them, mm from its centre."""
    x, y, z = np.moveaxis(packed.board, -1, 0)
    bend_x, bend_y = bends(packed)
    return np.stack(
        [
            x + shape.shear * y,
            shape.aspect * y,
            z + shape.bow_x_mm * bend_x + shape.bow_y_mm * bend_y,
        ],
        axis=-1,
    )


def bends(packed: PackedViews) -> tuple[Floats, Floats]:
    """1 - a^2 and 1 - b^2 of every point."""
    share = packed.board[..., :2] / packed.half
    return 1 - share[..., 0] ** 2, 1 - share[..., 1] ** 2


def in_camera_axes(shaped: Floats, state: State) -> Floats:
    """(views * n, 3) in camera axes."""
    turned = np.einsum("vij,vnj->vni", state.rotation, shaped)
    points: Floats = (turned + state.translation[:, None]).reshape(-1, 3)
    return points


def camera_of(layout: Layout, state: State, image_size: tuple[int, int]) -> Camera:
    """The camera of a state."""
    return Camera.from_intrinsics(layout.model, layout.intrinsics(state.parameters), image_size)
