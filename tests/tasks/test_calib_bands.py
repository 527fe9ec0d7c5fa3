"""Calibration by band from files: rendered cubes, mosaic frames, rigs, corner lists."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import band_views
import cubes
import cv2
import numpy as np
import pytest
import views as simulated
from band_views import BOARD, Change, relative, rendered_cubes
from numpy.typing import NDArray

from hsitool.engine.plan import Budget
from hsitool.errors import DataError, UsageError
from hsitool.storage.corners import CornerView, read_corners, write_corners
from hsitool.tasks.band_corners import BandsAsked
from hsitool.tasks.band_frames import ViewFile, offsets
from hsitool.tasks.band_summary import bands_headline, bands_notes, bands_rows, shift_rows
from hsitool.tasks.calib import CalibSettings
from hsitool.tasks.calib_bands import BandsRun, calibrate_bands, read_bands
from hsitool.tasks.calib_inputs import Source, read_source
from hsitool.tasks.calib_rig import RigRun, calibrate_rig_corners

Floats = NDArray[np.float64]
BANDS = 31


def source(paths: list[Path]) -> Source:
    return Source(tuple(paths), BOARD, 25.0)


def compared(paths: list[Path], **asked: Any) -> BandsRun:
    return calibrate_bands(read_bands(source(paths), BandsAsked(**asked)), CalibSettings())


def write(folder: Path, kind: str, pixels: NDArray[Any], nm: tuple[float, ...]) -> list[Path]:
    """A cube a view."""
    found = []
    for number, cube in enumerate(pixels):
        stem = folder / f"view{number}"
        if kind.startswith("envi"):
            items = {"wavelength": cubes.listed(nm), "wavelength units": "Nanometers"}
            found.append(cubes.write_envi(stem, cube, interleave=kind[-3:], items=items))
        else:
            path, how = stem.with_suffix(".tif"), kind.partition("-")[2]
            found.append(cubes.write_geotiff(path, cube, interleave=how, wavelength_nm=nm))
    return found


@pytest.mark.parametrize("kind", ["tif-pixel", pytest.param("envi-bil", marks=pytest.mark.slow)])
def test_rendered_cubes_give_their_lateral_chromatic_shift_back(kind: str, tmp_path: Path) -> None:
    made = rendered_cubes(BANDS)
    run = compared(write(tmp_path, kind, made.pixels, made.wavelength_nm))
    assert run.corners.numbers == tuple(range(1, BANDS + 1))
    assert run.corners.wavelength_nm == pytest.approx(made.wavelength_nm)
    true = relative(made.changes, run.corners.reference)
    held, single = [], []
    for place, result in enumerate(run.results):
        if result.shift is None:
            assert place == run.corners.reference
            continue
        off = np.abs(result.shift.values - true[place])[:4]
        held.append(off <= result.shift.reach[:4])
        single.append(abs(result.shift.e - true[place, 0]) <= result.shift.reach_e)
        assert off[:2].max() < 1e-4
        assert off[2:].max() < 0.03
    # Bands err together, so that a few of the 30 may be missed at once.
    print(f"{kind}: held {np.mean(held, axis=0)}, f ratio {np.mean(single):.2f}")
    assert np.mean(held) > 0.85
    assert np.mean(single) > 0.8
    assert run.curve is not None
    at = np.array(made.wavelength_nm)
    middle, _ = run.curve.relative(at, at[run.corners.reference])
    assert np.abs(middle - true[:, 0]).max() < 0.6e-4
    assert run.one_focal_length


@cache
def few() -> band_views.RenderedCubes:
    """Five bands only."""
    return rendered_cubes(5, 6, 2.0)


def test_the_reference_is_a_sharp_band_of_good_contrast(tmp_path: Path) -> None:
    made = few()
    run = compared(write(tmp_path, "tif-band", made.pixels, made.wavelength_nm))
    assert run.corners.reference in (0, 3)  # 0.7 px of blur, full contrast
    asked = compared(
        sorted(tmp_path.glob("*.tif")), bands="2:4,1000nm", reference=f"{made.wavelength_nm[1]}nm"
    )
    assert asked.corners.numbers == (2, 3, 4, 5)
    assert asked.reference.number == 2
    true = relative(made.changes, 1)
    for result in asked.results:
        if result.shift is not None:
            assert abs(result.shift.e - true[result.number - 1, 0]) < 1e-4


def test_the_memory_asked_for_changes_nothing(tmp_path: Path) -> None:
    made = few()
    paths = write(tmp_path, "envi-bip", made.pixels, made.wavelength_nm)
    wide = compared(paths)
    narrow = compared(paths, budget=Budget(300 * 10**6, 1))
    for one, other in zip(wide.fitted, narrow.fitted, strict=True):
        np.testing.assert_array_equal(one[1].values, other[1].values)


def test_frames_are_the_bands_of_the_file_with_nan_for_nodata(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    cube = rng.integers(0, 900, (7, 40, 30)).astype(np.int16)
    cube[2, 5, 6] = -9999
    for kind in ("bsq", "bil", "bip"):
        path = cubes.write_envi(
            tmp_path / kind, cube, interleave=kind, items={"data ignore value": "-9999"}
        )
        found = dict(ViewFile([path], kind).frames([0, 2, 5], 2**12))
        assert sorted(found) == [0, 2, 5]
        np.testing.assert_array_equal(found[5], cube[5])
        assert np.argwhere(np.isnan(found[2])).tolist() == [[5, 6]]


def test_bands_without_contrast_or_out_of_focus_are_named(tmp_path: Path) -> None:
    made = few()
    pixels, rng = made.pixels.copy(), np.random.default_rng(2)
    pixels[:, 1] = rng.normal(2000, 30, pixels[:, 1].shape)
    pixels[0, 2] = 2000
    blurred = [cv2.GaussianBlur(view, (0, 0), 2.0) for view in pixels[:, 4]]
    pixels[:, 4] = blurred
    run = compared(write(tmp_path, "tif-band", pixels, made.wavelength_nm))
    notes = list(bands_notes(run))
    (refused,) = [note for note in notes if "refused" in note]
    assert refused.startswith("band 2 (550 nm): refused: seen in 0 views")
    assert "times its noise" in refused
    assert "band 3 (700 nm): not used in view0.tif: all its pixels are missing or alike" in notes
    assert any(note.startswith("band 5 (1000 nm): focus differs") for note in notes)
    assert [row["band"] for row in shift_rows(run)] == [1, 3, 4, 5]
    assert "1 refused" in dict(bands_rows(run))["bands"]
    assert run.results[2].shift is not None
    assert run.results[2].shift.views == 5


def test_a_band_flagged_bad_is_left_out_of_all(tmp_path: Path) -> None:
    made = few()
    paths = [
        cubes.write_geotiff(
            tmp_path / f"v{n}.tif", cube, wavelength_nm=made.wavelength_nm, bbl=[1, 1, 0, 1, 1]
        )
        for n, cube in enumerate(made.pixels)
    ]
    told: list[str] = []
    corners = read_bands(source(paths), BandsAsked(), tell=told.append)
    assert corners.numbers == (1, 2, 4, 5)
    assert "band 3 (700 nm): left out: flagged as bad" in told


def test_a_view_without_board_is_named_and_the_others_serve(tmp_path: Path) -> None:
    made = few()
    pixels = made.pixels.copy()
    pixels[3] = np.random.default_rng(3).integers(0, 4000, pixels[3].shape)
    told: list[str] = []
    paths = write(tmp_path, "tif-band", pixels, made.wavelength_nm)
    run = calibrate_bands(
        read_bands(source(paths), BandsAsked(), tell=told.append), CalibSettings()
    )
    assert len(run.run.calibration.views) == 5
    assert [r.name for r in run.run.refused] == ["view3.tif"]
    assert [line.partition(":")[0] for line in told] == [path.name for path in paths]
    assert told[3].startswith("view3.tif: not found: no chessboard")


def test_without_wavelengths_bands_have_numbers_and_no_curve(tmp_path: Path) -> None:
    paths = [cubes.write_geotiff(tmp_path / f"v{n}.tif", c) for n, c in enumerate(few().pixels)]
    run = compared(paths)
    assert run.curve is None
    assert run.corners.wavelength_nm is None
    assert " in band " in bands_headline(run)


def test_views_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    made = few()
    paths = write(tmp_path, "tif-band", made.pixels[:2], made.wavelength_nm)
    other = tmp_path / "other.tif"
    cubes.write_geotiff(other, made.pixels[0, :4], wavelength_nm=made.wavelength_nm[:4])
    with pytest.raises(
        DataError, match=r"other.tif: 4 bands of 512x410 px, but .*has 5 of 512x410"
    ):
        compared([*paths, other])
    moved = tuple(nm + 3 for nm in made.wavelength_nm)
    cubes.write_geotiff(tmp_path / "moved.tif", made.pixels[0], wavelength_nm=moved)
    with pytest.raises(DataError, match=r"moved.tif: band 1 \(403 nm\), but .* band 1 \(400 nm\)"):
        compared([*paths, tmp_path / "moved.tif"])
    with pytest.raises(UsageError, match="--bands 3: 1 band: name two or more"):
        compared(paths, bands="3")
    with pytest.raises(UsageError, match="--target circles"):
        circles = replace(source(paths), board=replace(BOARD, target="circles"))
        read_bands(circles, BandsAsked())
    with pytest.raises(DataError, match="no 7x5 chess board found in 2 views"):
        read_bands(replace(source(paths), board=replace(BOARD, columns=7, rows=5)), BandsAsked())
    with pytest.raises(UsageError, match="--board is needed"):
        read_bands(replace(source(paths), board=None), BandsAsked())


# Mosaic sensors


def test_offsets_of_a_mosaic_are_those_of_its_filters() -> None:
    found = offsets((4, 4))
    n = 4
    for i in range(n):
        for j in range(n):
            assert found[j * n + i].tolist() == [(i - (n - 1) / 2) / n, (j - (n - 1) / 2) / n]
    assert offsets((3, 2))[1].tolist() == [0, -0.25]


def test_a_mosaic_sensor_shows_no_shift_but_that_of_its_lens(tmp_path: Path) -> None:
    changes = (Change(), Change(6e-4, 6e-4, 0.5, 0), Change(-9e-4, -9e-4, 0, 0.4), Change())
    paths = []
    for number, frame in enumerate(band_views.mosaic_frames(changes, 2, 2)):
        # An odd row and column beyond the last whole pattern.
        padded = np.pad(frame, ((0, 1), (0, 1)))
        paths.append(cubes.write_geotiff(tmp_path / f"raw{number}.tif", padded[None]))
    (tmp_path / "nm.csv").write_text("wavelength_nm\n500\n600\n700\n800\n")
    asked = {"mosaic": (2, 2), "wavelengths": tmp_path / "nm.csv", "reference": "1"}
    settings = CalibSettings(pitch_mm=(0.005, 0.005))
    run = calibrate_bands(read_bands(source(paths), BandsAsked(**asked)), settings)
    camera = run.run.calibration.camera
    assert camera.fx == pytest.approx(600, rel=3e-3)
    assert camera.cx == pytest.approx((487 - 0.5) / 2, abs=1.5)
    assert run.run.calibration.focal.f_mm == pytest.approx(1200 * 0.005, rel=3e-3)
    assert run.corners.size == (480, 384)
    assert run.corners.wavelength_nm == (500, 600, 700, 800)
    for place, (result, change) in enumerate(zip(run.results, changes, strict=True)):
        if result.shift is None:
            continue
        true = change.values[:4] * [1, 1, 0.5, 0.5]
        off = np.abs(result.shift.values[:4] - true)
        assert (off <= 1.6 * result.shift.reach[:4]).all()
        assert off[2:].max() < 0.03
        assert result.offset_px == tuple(offsets((2, 2))[place])
    row = shift_rows(run)[3]
    assert (row["offset_x_px"], row["offset_y_px"]) == (0.25, 0.25)


@pytest.mark.parametrize(
    ("given", "pitch"),
    [
        ({"pitch_mm": (0.005, 0.004)}, (0.01, 0.008)),
        ({"pixels_per_mm": (200.0, 250.0)}, (0.01, 0.008)),
        ({"sensor_mm": (961 * 0.005, 769 * 0.004)}, (0.01, 0.008)),
    ],
)
def test_pixels_of_a_mosaics_bands_are_whole_patterns(
    given: dict[str, Any], pitch: tuple[float, float], tmp_path: Path
) -> None:
    frames = band_views.mosaic_frames((Change(),) * 4, 2, 2, views=4)
    paths = [
        cubes.write_geotiff(tmp_path / f"{n}.tif", np.pad(frame, ((0, 1), (0, 1)))[None])
        for n, frame in enumerate(frames)
    ]
    corners = read_bands(source(paths), BandsAsked(mosaic=(2, 2)))
    found = calibrate_bands(corners, CalibSettings(**given)).run.calibration.sensor.pitch_mm
    assert found == pytest.approx(pitch)


def test_a_cube_is_no_mosaic_frame(tmp_path: Path) -> None:
    paths = write(tmp_path, "tif-band", few().pixels[:1], few().wavelength_nm)
    with pytest.raises(DataError, match="5 bands, but a mosaic sensor's raw frame has one"):
        compared(paths, mosaic=(2, 2))
    tiny = cubes.write_geotiff(tmp_path / "tiny.tif", np.ones((1, 1, 9), np.uint8))
    with pytest.raises(DataError, match="9x1 px hold no 2x2 pattern"):
        compared([tiny], mosaic=(2, 2))


# Rigs


def check_rig(run: RigRun) -> None:
    base = run.reference
    for place, camera in run.cameras:
        if place == base:
            continue
        true = band_views.RIG_FOCAL[place] / band_views.RIG_FOCAL[base]
        reach = camera.f_interval[1] - camera.f_ratio
        assert abs(camera.f_ratio - true) < 2 * reach
        assert reach < 2e-3
        shift = np.subtract(band_views.RIG_PLACES[place], band_views.RIG_PLACES[base])
        assert np.abs(camera.translation_mm - shift).max() < 0.5
        assert np.abs(camera.rotation_deg).max() < 0.2


def test_a_rig_as_cubes_and_as_single_images_gives_the_same(tmp_path: Path) -> None:
    images = band_views.rig_images()
    stacked, single = [], []
    for number, view in enumerate(images):
        stacked.append(cubes.write_geotiff(tmp_path / f"cube{number}.tif", np.array(view)))
        single += [
            cubes.write_geotiff(tmp_path / f"IMG_{number:04}_{lens}.tif", image[None])
            for lens, image in enumerate(view, 1)
        ]
    asked = BandsAsked(rig=True)
    found = [
        calibrate_rig_corners(read_bands(source(paths), asked), CalibSettings())
        for paths in (stacked, single)
    ]
    for run in found:
        check_rig(run)
    assert found[1].rig.views[0] == "IMG_0000"
    for one, other in zip(found[0].rig.cameras, found[1].rig.cameras, strict=True):
        assert one.f_ratio == other.f_ratio
    single[4].unlink()
    with pytest.raises(DataError, match="IMG_0001: has no image of lens 2"):
        read_bands(source([path for path in single if path.exists()]), asked)
    nameless = cubes.write_geotiff(tmp_path / "nameless.tif", images[0][0][None])
    with pytest.raises(DataError, match=r"nameless.tif: which lens of the rig took it"):
        read_bands(source([nameless]), asked)


def test_micasense_images_are_put_together_and_show_no_board(shared_data: Path) -> None:
    paths = sorted((shared_data / "micasense").glob("*.tif"))
    with pytest.raises(DataError, match=r"no 9x6 chess board found in 1 views \(IMG_0000: "):
        read_bands(source(paths), BandsAsked(rig=True))


# Corner lists


def listed(views: int = 8, bands: bool = True) -> list[CornerView]:
    scene = simulated.Scene(views=views, noise_px=0.1)
    changes = (Change(), *band_views.TRUTH)
    rng = np.random.default_rng(6)
    seen, others = band_views.simulate(scene, changes[1:], rng)
    found = []
    for number, view in enumerate(seen):
        own = slice(54 * number, 54 * (number + 1))
        for band, uv in enumerate([view.image_px, *others[:, own]], 1):
            nm = 400.0 + 50 * band if bands else None
            ids = np.arange(54)
            found.append(CornerView(view.name, simulated.SIZE, ids, uv, None, band, nm))
    return found


@pytest.mark.parametrize("name", ["bands.csv", "bands.json"])
def test_lists_with_bands_serve_as_cubes_do(name: str, tmp_path: Path) -> None:
    path, views = tmp_path / name, listed()
    write_corners(path, views)
    again = read_corners(path)
    assert [(v.name, v.band, v.wavelength_nm) for v in again] == [
        (v.name, v.band, v.wavelength_nm) for v in views
    ]
    run = compared([path], reference="450nm")
    assert run.reference.number == 1
    for (_, shift), change in zip(run.fitted, band_views.TRUTH, strict=True):
        assert abs(shift.e - change.e_x) <= 1.5 * shift.reach_e
    some = compared([path], bands="2,4:5")
    assert some.corners.numbers == (2, 4, 5)
    kept = tmp_path / f"kept-{name}"
    write_corners(kept, some.corners.corner_views())
    same = compared([kept], reference=str(some.reference.number))
    for one, other in zip(some.fitted, same.fitted, strict=True):
        np.testing.assert_array_equal(one[1].values, other[1].values)


def test_lists_that_contradict_themselves_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    plain = [replace(view, band=None, wavelength_nm=None) for view in listed()[::5]]
    write_corners(path, plain)
    with pytest.raises(UsageError, match="does not say in which band its points were seen"):
        compared([path])
    views = listed()
    write_corners(path, views, overwrite=True)
    with pytest.raises(UsageError, match="holds 5 bands: --bands all"):
        read_source(source([path]))
    with pytest.raises(UsageError, match="no points of band"):
        write_corners(tmp_path / "gap.csv", [v for v in views if v.band != 2])
        compared([tmp_path / "gap.csv"], bands="1:3")
    with pytest.raises(UsageError, match="images or lists, not both"):
        compared([path, tmp_path / "cube.tif"])
    with pytest.raises(UsageError, match="--points files hold one band"):
        read_bands(replace(source([path]), points=path), BandsAsked())
    other = [replace(views[0], wavelength_nm=460.0), *views[1:]]
    write_corners(path, other, overwrite=True)
    with pytest.raises(DataError, match="band 1 is at"):
        compared([path])
    with pytest.raises(DataError, match="occurs twice"):
        write_corners(tmp_path / "a.csv", views)
        write_corners(tmp_path / "b.csv", views)
        compared([tmp_path / "a.csv", tmp_path / "b.csv"])
    text = "image,columns,rows,point,u,v,band\na,640,480,0,1,2,0\n"
    path.write_text(text)
    with pytest.raises(DataError, match="band 0: bands count from 1"):
        compared([path])


def test_points_that_the_board_does_not_have_are_refused(tmp_path: Path) -> None:
    """In whatever band; a list that says itself where its points are takes no board."""
    views = listed()
    far = replace(views[2], ids=views[2].ids + 40)
    write_corners(tmp_path / "far.csv", [*views[:2], far, *views[3:]])
    for rig in (False, True):
        with pytest.raises(DataError, match="view00: point 93 is not on a 9x6 board"):
            read_bands(source([tmp_path / "far.csv"]), BandsAsked(rig=rig))
    placed = [replace(view, xyz_mm=np.zeros((54, 3))) for view in views]
    write_corners(tmp_path / "placed.csv", placed)
    with pytest.raises(UsageError, match="leave out --board and --square"):
        read_bands(source([tmp_path / "placed.csv"]), BandsAsked())


def test_bands_that_hardly_have_points_in_common_take_no_memory(tmp_path: Path) -> None:
    lines = (f"a,64,48,{number},1,1,{number + 1}" for number in range(5000))
    path = tmp_path / "sparse.csv"
    path.write_text("\n".join(["image,columns,rows,point,u,v,band", *lines]))
    with pytest.raises(DataError, match="5000 points in 5000 bands, hardly any in most"):
        read_bands(Source((path,)), BandsAsked())


def test_no_band_that_can_be_compared_is_told_with_a_reason(tmp_path: Path) -> None:
    views = [view for view in listed() if view.band == 1 or view.name < "view02"]
    write_corners(tmp_path / "few.csv", views)
    with pytest.raises(DataError, match=r"no band can be compared with band 1 .*seen in 2 views"):
        compared([tmp_path / "few.csv"])
