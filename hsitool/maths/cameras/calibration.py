"""Calibrate a camera from views of a board, and say whether fx and fy are one focal length."""

from __future__ import annotations

import numpy as np

from hsitool.errors import DataError
from hsitool.maths.cameras.bundle import rotation_vectors
from hsitool.maths.cameras.bundle_layout import BOARD, Layout, PackedViews, camera_of, residuals
from hsitool.maths.cameras.calibration_request import BoardModel, Request, usable_views
from hsitool.maths.cameras.calibration_result import (
    BoardFit,
    Calibration,
    Fit,
    Flags,
    FocalLength,
    Refusal,
    ViewResult,
)
from hsitool.maths.cameras.camera import BoardView, Floats, Model, Sensor, Views
from hsitool.maths.cameras.cautions import board_moves, cautions
from hsitool.maths.cameras.fit_quality import (
    corner_noise,
    coverage,
    findings,
    pushbroom,
    roll_deg,
    spacing,
    tilt_deg,
)
from hsitool.maths.cameras.half_split import half_split
from hsitool.maths.cameras.influence import contrast, ratio
from hsitool.maths.cameras.model_fits import Fits, Pair, Solved, check_count, fit_models
from hsitool.maths.cameras.verdict import BoardAspect, Evidence, detectable, judge, qualified
from hsitool.maths.cameras.words import with_error

ALPHA = 0.05


def calibrate(
    views: Views,
    image_size: tuple[int, int],
    *,
    sensor: Sensor | None = None,
    model: Model = "k2",
    tangential: bool = True,
    board_model: BoardModel = "auto",
    trim: bool = True,
    tol: float = 1e-3,
    unit: str = "mm",
) -> Calibration:
    """Fit one and two focal lengths, with a rigid and a free board, and judge.

    Args:
        views: of one board, in mm; in any other `unit` where its size is unknown, since only
            poses and bows are in that unit.
        image_size: (width, height) in px of all images.
        sensor: its pixel pitch; square pixels are assumed where None.
        model: of the lens.
        tangential: whether p1 and p2 are free.
        board_model: "auto" frees the board from 8 views on and reports the rigid board's camera;
            "full" frees it and reports that camera; "rigid" does not.
        trim: leave out points beyond 4 robust standard deviations.
        tol: relative difference of fx and fy that matters.
        unit: of the board, for texts.

    Raises:
        UsageError: settings that contradict each other or the views.
        DataError: too few views or points, or they do not determine the camera.
    """
    asked = Request(sensor or Sensor(), model, tangential, board_model, trim, tol, unit)
    kept, refused = usable_views(views, image_size)
    check_count(len(kept), refused)
    return _assembled(asked, image_size, _fitted(asked, image_size, kept), refused)


def _fitted(asked: Request, image_size: tuple[int, int], views: list[BoardView]) -> Fits:
    layout, free_board = Layout.two(asked.model, asked.tangential), asked.frees_board(views)
    try:
        return fit_models(
            views, image_size, layout, asked.focal, free_board=free_board, trim=asked.trim
        )
    except DataError as error:
        # A lens model that does not fit at all may be one for another kind of camera.
        scanner = pushbroom([(view.image_px, view.object_mm) for view in views])
        if scanner is None:
            raise
        raise DataError(f"{error}; {scanner.text}") from error


def _assembled(
    asked: Request, image_size: tuple[int, int], fits: Fits, refused: list[Refusal]
) -> Calibration:
    rigid = board_fit(fits.packed, fits.rigid, image_size, asked.expected)
    free = None
    if fits.free is not None:
        free = board_fit(fits.packed, fits.free, image_size, asked.expected)
    reported, pair = rigid, fits.rigid
    full = asked.board_model == "full" or (free is not None and board_moves(rigid, free))
    if full and free is not None and fits.free is not None:
        reported, pair = free, fits.free
    camera = reported.two.camera
    seen = _view_results(fits, pair)
    focal = _focal_length(reported, asked)
    split = half_split(fits.packed, pair.two.layout, pair.two.state, pair.two.sure, image_size)
    judged = free or rigid  # a board that is not as drawn makes no bad fit where its shape is free
    found = findings(seen, (camera.cx, camera.cy), judged.ratio.inflation, fits.beyond)
    evidence = Evidence(
        len(seen),
        asked.tol,
        rigid.ratio,
        free.ratio if free else None,
        board_aspect(fits, free, asked.unit),
        _focal_words(focal),
    )
    return Calibration(
        model=asked.model,
        image_size=image_size,
        sensor=asked.sensor,
        aspect=asked.focal[0] / asked.focal[1],
        tol=asked.tol,
        alpha=ALPHA,
        rigid=rigid,
        free=free,
        reported=reported,
        focal=focal,
        detectable=detectable(rigid.ratio, free.ratio if free else None),
        edge_px=image_size[0] / 2 * reported.ratio.delta,
        field_of_view=camera.field_of_view(),
        field_of_view_pinhole=camera.pinhole_field_of_view(),
        views=seen,
        refused=(*refused, *fits.refused),
        coverage=coverage(seen, image_size),
        half_split=split,
        findings=found,
        verdict=qualified(judge(evidence), found),
        warnings=cautions(not asked.sensor.known, fits, (rigid, free), split, camera, asked.unit),
    )


def board_fit(
    packed: PackedViews, pair: Pair, image_size: tuple[int, int], expected: float
) -> BoardFit:
    """Both fits of a board model as results; `expected` is ln(fx / fy) of one focal length."""
    two, single = (_fit(packed, solved, image_size) for solved in (pair.two, pair.single))
    return BoardFit(two, single, ratio(two, single, expected, ALPHA))


def _fit(packed: PackedViews, solved: Solved, image_size: tuple[int, int]) -> Fit:
    state, layout = solved.state, solved.layout
    moved = state.translation - state.rotation @ packed.centre
    return Fit(
        camera=camera_of(layout, state, image_size),
        names=layout.names,
        values=state.parameters,
        covariance=solved.sure.covariance,
        covariance_jackknife=solved.sure.jackknife,
        poses=np.column_stack([rotation_vectors(state.rotation), moved]),
        board=layout.shape(state.parameters),
        sse_px2=solved.reduced.cost,
        points=packed.points,
        dof=solved.sure.dof,
    )


def _view_results(fits: Fits, pair: Pair) -> tuple[ViewResult, ...]:
    two = residuals(fits.packed, pair.two.layout, pair.two.state)
    single = residuals(fits.packed, pair.single.layout, pair.single.state)
    return tuple(
        _view_result(view, i, pair.two, fits.packed.weight[i] > 0, (two[i], single[i]))
        for i, view in enumerate(fits.views)
    )


def _view_result(
    view: BoardView, i: int, solved: Solved, used: Flags, found: tuple[Floats, Floats]
) -> ViewResult:
    """Of view `i`, from the residuals `found` with two focal lengths and with one."""
    n = len(view.image_px)
    used, two, single = used[:n], found[0][:n], found[1][:n]
    influence, rotation = solved.sure.influence[i], solved.state.rotation[i]
    fx, fy = solved.state.parameters[:2]
    return ViewResult(
        name=view.name,
        image_px=view.image_px,
        board_mm=view.object_mm,
        residual_px=two,
        used=used,
        rms_px=_rms(two[used]),
        single_rms_px=_rms(single[used]),
        corner_noise_px=corner_noise(two[used], view.object_mm[used]),
        spacing_px=spacing(view.image_px),
        influence_delta=float(influence @ contrast(fx, fy, len(influence))),
        influence_fx_px=float(influence[0]),
        influence_fy_px=float(influence[1]),
        tilt_deg=tilt_deg(rotation),
        roll_deg=roll_deg(rotation),
    )


def _rms(residual: Floats) -> float:
    """Per point."""
    return float(np.sqrt(np.sum(residual**2) / len(residual)))


def _focal_length(reported: BoardFit, asked: Request) -> FocalLength:
    camera, two = reported.single.camera, reported.two.camera
    f, se = reported.single.value("f"), reported.single.standard_error("f")
    known = asked.sensor.known
    mx, my = asked.focal
    return FocalLength(
        fx_px=camera.fx,
        fy_px=camera.fy,
        se_fx_px=se * mx,
        f_mm=f if known else None,
        se_mm=se if known else None,
        implied_mx=two.fx / f if known else None,
        implied_my=two.fy / f if known else None,
        sheet_mx=mx if known else None,
        sheet_my=my if known else None,
    )


def _focal_words(focal: FocalLength) -> str:
    if focal.f_mm is not None and focal.se_mm is not None:
        return f"{with_error(focal.f_mm, focal.se_mm)} mm"
    single = f"{with_error(focal.fx_px, focal.se_fx_px)} px"
    if focal.fx_px == focal.fy_px:
        return single
    return f"{single} along x, {focal.fy_px:.2f} px along y"


def board_aspect(fits: Fits, free: BoardFit | None, unit: str = "mm") -> BoardAspect | None:
    """The shape and size of a free board, None where it was not freed."""
    if free is None:
        return None
    width, height = (2 * fits.packed.half).tolist()
    error = free.two.standard_error(BOARD[0])
    return BoardAspect(free.two.board, error, (width, height), unit)
