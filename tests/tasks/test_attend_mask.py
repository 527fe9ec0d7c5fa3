"""`attend mask` against plain NumPy in memory, from a made scene with everything in it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cubes
import numpy as np
import pytest
from command import done, run
from numpy.typing import NDArray
from scipy.special import softmax

Array = NDArray[Any]
BANDS, ROWS, COLUMNS = 24, 50, 44
ITEMS: dict[str, Any] = {
    "wavelength_nm": cubes.wavelengths(BANDS),
    "fwhm_nm": [90.0] * BANDS,
    "crs": "EPSG:32633",
    "transform": (30.0, 0.0, 400_000.0, 0.0, -30.0, 5_800_000.0),
    "nodata": -9999,
}


@dataclass(frozen=True)
class Scene:
    """A cube file, its physical values (NaN where missing), its target and who has any of it."""

    path: Path
    physical: Array
    target: Array
    share: Array

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Pixels without a missing sample in a good band."""
        return np.asarray(np.isfinite(self.physical[GOOD]).all(axis=0))


GOOD = [b for b in range(BANDS) if b not in (5, 17)]


def scene(tmp_path: Path, rng: np.random.Generator, name: str = "scene.tif", **more: Any) -> Scene:
    """Three materials and a rare fourth, with a flagged band, an empty one, and holes."""
    basis = np.cumsum(rng.normal(size=(4, BANDS)), axis=1) * 200 + 3000
    mixed = rng.dirichlet([1, 1, 1], (ROWS, COLUMNS))
    share = np.zeros((ROWS, COLUMNS))
    for row, column in ((6, 7), (30, 31), (41, 10)):
        share[row : row + 3, column : column + 4] = rng.uniform(0.6, 1, (3, 4))
    pixels = (1 - share) * np.moveaxis(mixed @ basis[:3], -1, 0) + share * basis[3][:, None, None]
    stored = np.rint(pixels + rng.normal(0, 12, pixels.shape)).astype(np.int16)
    stored[17] = -9999
    stored[:, 20:23, 20:25], stored[3, 8, 9], stored[5, 2, 2] = -9999, -9999, -9999
    bbl = [int(b != 5) for b in range(BANDS)]
    scales = {"scales": [0.5] * BANDS, "offsets": [100.0] * BANDS}
    path = tmp_path / name
    cubes.write_geotiff(path, stored, bbl=bbl, **{**ITEMS, **scales, **more})
    physical = np.where(stored == -9999, np.nan, stored * 0.5 + 100)
    return Scene(path, physical, basis[3] * 0.5 + 100, share)


def query_file(path: Path, values: Array) -> Path:
    rows = zip(cubes.wavelengths(BANDS), values, strict=True)
    path.write_text("wavelength_nm,target\n" + "".join(f"{nm},{float(v)!r}\n" for nm, v in rows))
    return path


def read(path: Path, band: int = 1) -> Array:
    with cubes.open_quietly(path) as dataset:
        return dataset.read(band)


def tags(path: Path) -> dict[str, str]:
    with cubes.open_quietly(path) as dataset:
        return dict(dataset.tags(ns="HSITOOL"))


def background(made: Scene, ridge: float = 0.0) -> tuple[Array, Array]:
    x = made.physical[GOOD][:, made.valid]
    covariance = np.cov(x) + ridge * np.eye(len(GOOD))
    return x.mean(axis=1), covariance


def expected_scores(made: Scene, method: str, query: Array) -> Array:
    """(rows, columns), NaN where not valid: the textbook formulas."""
    x = made.physical[GOOD][:, made.valid]
    q = query[GOOD]
    mean, covariance = background(made)
    d, t = x - mean[:, None], q - mean
    inverse = np.linalg.inv(covariance)
    if method == "mf":
        values = t @ inverse @ d / (t @ inverse @ t)
    elif method == "ace":
        values = t @ inverse @ d / np.sqrt((t @ inverse @ t) * np.sum(d * (inverse @ d), axis=0))
    elif method == "rx":
        values = np.sum(d * (inverse @ d), axis=0)
    elif method == "sam":
        values = -np.arccos(q @ x / np.linalg.norm(q) / np.linalg.norm(x, axis=0))
    else:
        p, s = x / x.sum(axis=0), (q / q.sum())[:, None]
        values = -np.sum(p * np.log(p / s) + s * np.log(s / p), axis=0)
    found = np.full(made.valid.shape, np.nan)
    found[made.valid] = values
    return found


@pytest.mark.parametrize("method", ["ace", "mf", "sam", "sid", "rx"])
def test_scores_weights_and_spectrum_are_those_of_numpy(
    method: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    made = scene(tmp_path, rng)
    query = made.target * rng.uniform(0.97, 1.03, BANDS)
    warmth = {"rx": 20.0, "sid": 0.001}.get(method, 0.02)
    asked = () if method == "rx" else ("--query", query_file(tmp_path / "q.csv", query))
    said = done(
        *("attend", "mask", made.path, *asked, "--score", method, "--shrink", "none"),
        *("--temperature", warmth, "--norm", "softmax", "-o", tmp_path / "m.tif", "--json"),
        *("--score-out", tmp_path / "s.tif", "--spectrum", tmp_path / "c.csv"),
    ).json()
    truth = expected_scores(made, method, query)
    np.testing.assert_allclose(read(tmp_path / "s.tif"), truth, rtol=1e-8, atol=1e-12)
    alpha = np.zeros(truth.shape)
    alpha[made.valid] = softmax(truth[made.valid] / warmth)
    mask = read(tmp_path / "m.tif")
    np.testing.assert_array_equal(np.isnan(mask), ~made.valid)
    np.testing.assert_allclose(
        mask[made.valid], (alpha / alpha.max())[made.valid], rtol=1e-5, atol=1e-30
    )
    x, weights = made.physical[GOOD][:, made.valid], alpha[made.valid]
    mean = x @ weights
    found = said["spectrum"]
    np.testing.assert_allclose(found["attended"], mean, rtol=1e-9)
    sd = np.sqrt(((x - mean[:, None]) ** 2) @ weights)
    np.testing.assert_allclose(found["sd"], sd, rtol=1e-6)
    np.testing.assert_allclose(found["mean"], x.mean(axis=1), rtol=1e-12)
    assert said["ess"] == pytest.approx(1 / np.sum(weights**2), rel=1e-9)
    assert said["largest_weight"] == pytest.approx(weights.max(), rel=1e-9)
    ranked = np.cumsum(np.sort(weights)[::-1])
    assert said["n90"] == np.searchsorted(ranked, 0.9) + 1
    core = ranked[max(1, round(said["ess"])) - 1]
    assert said["background_mass"] == pytest.approx(1 - core, abs=1e-9)
    assert said["pixels"] == made.valid.sum()
    assert said["bands"] == [b + 1 for b in GOOD]
    with (tmp_path / "c.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == BANDS
    assert [row["attended"] for row in rows if row["band"] in ("6", "18")] == ["", ""]
    written = [float(row["attended"]) for row in rows if row["attended"]]
    np.testing.assert_allclose(written, mean, rtol=1e-8)


def test_tags_make_weights_of_the_mask(tmp_path: Path, rng: np.random.Generator) -> None:
    made = scene(tmp_path, rng)
    query = query_file(tmp_path / "q.csv", made.target)
    said = done("attend", "mask", made.path, "--query", query, "-o", tmp_path / "m.tif", "--json")
    found, mask = tags(tmp_path / "m.tif"), read(tmp_path / "m.tif")
    alpha = np.nan_to_num(mask) / float(found["WSUM"])
    assert alpha.sum() == pytest.approx(1, abs=1e-6)
    assert np.nanmax(mask) == 1
    assert 1 / np.sum(alpha**2) == pytest.approx(float(found["ESS"]), rel=1e-5)
    assert float(found["ESS"]) == pytest.approx(made.valid.sum() / 100, rel=1e-9)
    assert float(found["BETA"]) == said.json()["beta"]
    assert int(found["N90"]) == said.json()["n90"]
    with cubes.open_quietly(tmp_path / "m.tif") as dataset:
        assert dataset.dtypes == ("float32",)
        assert np.isnan(dataset.nodata)
        assert dataset.transform[:6] == ITEMS["transform"]
    steps = done("info", tmp_path / "m.tif", "--json").json()["provenance"]
    assert [step["command"] for step in steps] == ["attend mask"]
    assert alpha[made.share > 0].sum() > 0.8


LAYOUTS: list[dict[str, Any]] = [
    {"interleave": "band"},
    {"interleave": "pixel", "blocks": ("tile", 16), "compress": "deflate"},
    {"interleave": "band", "blocks": ("tile", 16), "compress": "deflate"},
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=["band", "pixel-tiles", "band-tiles"])
@pytest.mark.parametrize("piece", [2**23, 8 * BANDS * 7])
def test_blocks_do_not_matter(
    layout: dict[str, Any],
    piece: int,
    tmp_path: Path,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = scene(tmp_path, rng)
    (tmp_path / "b").mkdir()
    again = scene(tmp_path / "b", np.random.default_rng(20240724), **layout)
    np.testing.assert_array_equal(again.physical, made.physical)
    query = query_file(tmp_path / "q.csv", made.target * 1.1)

    def look(path: Path, name: str) -> Any:
        options = ("--json", "--norm", "softmax", "--shrink", "none")
        return done(
            "attend", "mask", path, "--query", query, *options, "-o", tmp_path / name
        ).json()

    first = look(made.path, "a.tif")
    monkeypatch.setattr("hsitool.tasks.pixels.PIECE_BYTES", piece)
    monkeypatch.setattr("hsitool.engine.plan.TILE_BYTES", 40_000)
    second = look(again.path, "b.tif")
    for name in ("attended", "sd", "se", "mean"):
        np.testing.assert_allclose(second["spectrum"][name], first["spectrum"][name], rtol=1e-10)
    np.testing.assert_allclose(read(tmp_path / "b.tif"), read(tmp_path / "a.tif"), rtol=1e-6)
    assert second["beta"] == pytest.approx(first["beta"], rel=1e-9)
    assert second["best_angle_at"] == first["best_angle_at"]


def test_scores_beyond_the_memory_lie_in_a_file_for_a_while(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = scene(tmp_path, rng)
    query = ("--query", query_file(tmp_path / "q.csv", made.target))
    out = tmp_path / "out"
    out.mkdir()
    first = done("attend", "mask", made.path, *query, "-o", out / "a.tif", "--json").out
    monkeypatch.setattr("hsitool.tasks.attend_frame.IN_MEMORY", 0.0)
    second = done("attend", "mask", made.path, *query, "-o", out / "b.tif", "--json").out
    assert second == first
    assert (out / "a.tif").read_bytes() == (out / "b.tif").read_bytes()
    assert sorted(path.name for path in out.iterdir()) == ["a.tif", "b.tif"]
    failed = run(
        "attend",
        "mask",
        made.path,
        *query,
        "-o",
        out / "c.tif",
        "--rgb",
        "1,2",
        "--overlay",
        out / "c.png",
    )
    assert failed.code == 2
    assert sorted(path.name for path in out.iterdir()) == ["a.tif", "b.tif"]


def test_a_pixel_of_the_cube_as_query_has_no_weight(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    made = scene(tmp_path, rng)
    row, column = 31, 32
    by_place = ("--at", f"{row},{column}")
    x, y = 400_000 + 30 * (column + 0.5), 5_800_000 - 30 * (row + 0.5)
    spectrum = tmp_path / "p.csv"
    spectrum.write_text(done("spectrum", made.path, *by_place).out)
    for number, asked in enumerate((by_place, ("--xy", f"{x},{y}"), ("--query", spectrum))):
        out = tmp_path / f"m{number}.tif"
        said = done("attend", "mask", made.path, *asked, "-o", out, "--json").json()
        mask = read(out)
        assert mask[row, column] == 0
        assert said["dropped_pixel"] == [row, column]
        assert said["best_angle_deg"] > 0.01
        assert said["pixels"] == made.valid.sum()
        assert (mask[made.share > 0] > 0).sum() > 5


def test_the_mean_of_a_region_is_the_query(tmp_path: Path, rng: np.random.Generator) -> None:
    made = scene(tmp_path, rng)
    region = np.zeros((1, ROWS, COLUMNS), np.uint8)
    region[0, 6:11, 7:11] = 1  # with one pixel that misses a sample
    cubes.write_geotiff(
        tmp_path / "r.tif",
        region,
        **{**ITEMS, "wavelength_nm": None, "fwhm_nm": None, "nodata": None},
    )
    inside = (region[0] > 0) & made.valid
    assert inside.sum() == (region > 0).sum() - 1
    mean = np.full(BANDS, 1.0)
    mean[GOOD] = made.physical[GOOD][:, inside].mean(axis=1)
    query = query_file(tmp_path / "q.csv", mean)
    a = done("attend", "mask", made.path, "--roi", tmp_path / "r.tif", "-o", tmp_path / "a.tif")
    b = done("attend", "mask", made.path, "--query", query, "-o", tmp_path / "b.tif")
    assert a.code == b.code
    np.testing.assert_allclose(read(tmp_path / "a.tif"), read(tmp_path / "b.tif"), rtol=1e-4)
    other = query_file(tmp_path / "o.csv", made.target * 0.9)
    said = done(
        *("attend", "mask", made.path, "--query", other, "-o", tmp_path / "c.tif", "--json"),
        *("--background", tmp_path / "r.tif", "--shrink", "oas"),
    ).json()
    alpha = np.nan_to_num(read(tmp_path / "c.tif").astype(float))
    alpha /= alpha.sum()
    assert said["mass_in_background"] == pytest.approx(alpha[inside].sum(), abs=1e-6)


@pytest.mark.parametrize("how", [(), ("--mass", 0.5), ("--top", 7), ("--top", 99_999)])
def test_the_hard_mask_holds_the_heaviest(
    how: tuple[Any, ...], tmp_path: Path, rng: np.random.Generator
) -> None:
    made = scene(tmp_path, rng)
    query = query_file(tmp_path / "q.csv", made.target)
    said = done(
        *("attend", "mask", made.path, "--query", query, "-o", tmp_path / "m.tif"),
        *("--hard", tmp_path / "h.tif", *how),
    ).err
    mask, hard = read(tmp_path / "m.tif"), read(tmp_path / "h.tif")
    np.testing.assert_array_equal(hard == 255, ~made.valid)
    ranked = np.sort(mask[made.valid])[::-1].astype(float)
    if how[:1] == ("--top",):
        count = min(how[1], np.count_nonzero(ranked))
        assert (f"only {count} of {how[1]} pixels have any weight" in said) == (count < how[1])
    else:
        share = how[1] if how else 0.9
        count = int(np.searchsorted(np.cumsum(ranked) / ranked.sum(), share)) + 1
    assert (hard == 1).sum() == count
    assert mask[hard == 1].min() >= ranked[count - 1]


def test_the_masked_cube_is_the_cube_times_the_mask(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    for name, more in (
        ("offset", {}),
        ("scale", {"offsets": None}),
        ("float", {"scales": None, "offsets": None}),
    ):
        folder = tmp_path / name
        folder.mkdir()
        made = scene(folder, rng, **more)
        physical = made.physical - (0 if name == "offset" else 100)
        physical = physical * 2 if name == "float" else physical
        query = query_file(folder / "q.csv", physical[:, 31, 32] * 0 + made.target)
        done(
            *("attend", "mask", made.path, "--query", query, "-o", folder / "m.tif"),
            *("--masked", folder / "c.tif"),
        )
        mask = read(folder / "m.tif")
        with cubes.open_quietly(folder / "c.tif") as dataset:
            scale, offset = np.array(dataset.scales), np.array(dataset.offsets)
            found = dataset.read() * scale[:, None, None] + offset[:, None, None]
            wavelengths = [float(dataset.tags(b + 1)["wavelength"]) for b in range(BANDS)]
        np.testing.assert_allclose(found, physical * mask, rtol=1e-5, atol=1e-3)
        assert wavelengths == cubes.wavelengths(BANDS)


def test_scores_of_a_file(tmp_path: Path, rng: np.random.Generator) -> None:
    made = scene(tmp_path, rng)
    scores = rng.normal(size=(1, ROWS, COLUMNS))
    scores[0, 0, 0] = np.nan
    place = {key: ITEMS[key] for key in ("crs", "transform")}
    cubes.write_geotiff(tmp_path / "s.tif", scores, **place)
    said = done(
        *("attend", "mask", made.path, "--score", tmp_path / "s.tif", "--temperature", 1),
        *("--norm", "softmax", "-o", tmp_path / "m.tif", "--json"),
    ).json()
    there = made.valid.copy()
    there[0, 0] = False
    alpha = np.zeros(there.shape)
    alpha[there] = softmax(scores[0][there])
    mask = read(tmp_path / "m.tif")
    np.testing.assert_allclose(np.nan_to_num(mask), alpha / alpha.max(), rtol=1e-6)
    np.testing.assert_allclose(
        said["spectrum"]["attended"],
        np.sum(np.nan_to_num(made.physical[GOOD]) * alpha, axis=(1, 2)),
        rtol=1e-9,
    )
    assert said["query"] is None and said["present"] is None and said["best_angle_deg"] is None


def test_edges_need_no_query(tmp_path: Path) -> None:
    array = np.ones((BANDS, ROWS, COLUMNS), np.float32)
    array[:, :, 20:] = np.linspace(2, 5, BANDS)[:, None, None]
    array[:, 30, 5] = np.nan
    cubes.write_geotiff(tmp_path / "e.tif", array)
    done(
        "attend",
        "mask",
        tmp_path / "e.tif",
        "--score",
        "edge",
        "--focus",
        100,
        "-o",
        tmp_path / "m.tif",
    )
    mask = read(tmp_path / "m.tif")
    np.testing.assert_allclose(mask[:, 19:21], 1, rtol=1e-6)
    others = np.delete(mask, (19, 20), axis=1)
    assert np.nanmax(others) == 0 and np.isnan(others).sum() == 1


def test_a_query_is_made_better_by_what_it_sees(tmp_path: Path, rng: np.random.Generator) -> None:
    made = scene(tmp_path, rng)
    ripple = made.target * (1 + 0.02 * np.sin(np.arange(BANDS)))
    query = ("--query", query_file(tmp_path / "q.csv", ripple))
    angles = []
    for steps in (1, 8):
        answer = done(
            *("attend", "mask", made.path, *query, "--steps", steps, "--focus", 30, "--json"),
            *("--overwrite", "-o", tmp_path / "m.tif"),
        )
        said = answer.json()
        found = np.array(said["spectrum"]["attended"])
        q = made.physical[GOOD][:, made.valid & (made.share > 0)].mean(axis=1)
        angles.append(np.arccos(found @ q / np.linalg.norm(found) / np.linalg.norm(q)))
    assert len(said["steps"]) <= 8
    told = [line for line in answer.err.splitlines() if "degrees from the first one" in line]
    assert [line.split()[1:3] for line in told] == [
        ["step", f"{number + 1}:"] for number in range(len(said["steps"]))
    ]
    rests = said["steps"][-1]["change"] < 1e-6
    assert ("the query still moves" in answer.err) == (not rests)
    assert said["steps"][-1]["change"] < said["steps"][0]["change"]
    asked = ripple[GOOD] @ q / np.linalg.norm(ripple[GOOD]) / np.linalg.norm(q)
    assert max(angles) < 0.3 * np.arccos(asked)
    astray = run(
        "attend",
        "mask",
        made.path,
        *query,
        "--steps",
        8,
        "--max-drift",
        0.01,
        "-o",
        tmp_path / "n.tif",
    )
    assert astray.code == 3 and "more than --max-drift 0.01" in astray.err
    assert not (tmp_path / "n.tif").exists()


def test_a_query_is_carried_through_frames(tmp_path: Path, rng: np.random.Generator) -> None:
    """The material darkens from frame to frame; in one frame it is not there."""
    made = scene(tmp_path, rng)
    with cubes.open_quietly(made.path) as dataset:
        stored = dataset.read().astype(np.int32)
    paths = []
    other = np.rint((made.physical[:, 45, 40] - 100) * 2)
    for number in range(4):
        frame = stored.copy()
        if number == 2:
            frame[:, made.share > 0] = np.nan_to_num(other, nan=-9999)[:, None]
        paths.append(tmp_path / f"t{number}.tif")
        cubes.write_geotiff(
            paths[-1], frame.astype(np.int16), bbl=[int(b != 5) for b in range(BANDS)], **ITEMS
        )
    out = tmp_path / "m.tif"
    query = query_file(tmp_path / "q.csv", (made.target - 100) * 2)
    answer = done(
        *("attend", "mask", *paths, "--track", "--query", query, "--focus", 30, "-o", out),
        *("--max-angle", 3, "--json", "--spectrum", tmp_path / "c.csv"),
    )
    said = answer.json()
    assert "t2.tif: 30 pixels, query" in answer.err
    assert answer.err.count("it is not carried on, since the query may be absent") == 1
    assert [stage["name"] for stage in said["track"]] == [path.name for path in paths]
    assert [stage["held"] is None for stage in said["track"]] == [True, True, False, True]
    assert [frame["present"] for frame in said["frames"]] == [True, True, False, True]
    for number in (0, 1, 3):
        mask = np.nan_to_num(read(tmp_path / f"m_t{number}.tif"))
        assert mask[made.share > 0].sum() > 0.8 * mask.sum()
        assert (tmp_path / f"c_t{number}.csv").is_file()
    # The second frame is asked for what was seen in the first one.
    alone = done(
        "attend",
        "mask",
        paths[1],
        "--query",
        f"{tmp_path / 'c_t0.csv'}:attended",
        "--focus",
        30,
        "-o",
        tmp_path / "alone.tif",
        "--json",
    ).json()
    np.testing.assert_allclose(
        alone["spectrum"]["attended"], said["frames"][1]["spectrum"]["attended"], rtol=1e-6
    )


def test_a_model_file_serves_as_well(tmp_path: Path, rng: np.random.Generator) -> None:
    made = scene(tmp_path, rng)
    query = ("--query", query_file(tmp_path / "q.csv", made.target))
    done("stats", made.path, "-o", tmp_path / "scene.npz", "-q")
    done("attend", "mask", made.path, *query, "-o", tmp_path / "a.tif")
    done(
        "attend",
        "mask",
        made.path,
        *query,
        "--model",
        tmp_path / "scene.npz",
        "-o",
        tmp_path / "b.tif",
    )
    np.testing.assert_allclose(read(tmp_path / "b.tif"), read(tmp_path / "a.tif"), atol=1e-6)


def test_outputs_appear_all_together_or_not_at_all(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    made = scene(tmp_path, rng)
    query = ("--query", query_file(tmp_path / "q.csv", made.target))
    out = tmp_path / "out"
    out.mkdir()
    (out / "c.csv").write_text("mine")
    names = ("-o", out / "m.tif", "--masked", out / "c.tif", "--spectrum", out / "c.csv")
    answer = run("attend", "mask", made.path, *query, *names)
    assert answer.code == 2 and "c.csv exists" in answer.err
    assert [path.name for path in out.iterdir()] == ["c.csv"]
    again = done("attend", "mask", made.path, *query, *names, "--overwrite")
    assert again.out.split() == [str(out / name) for name in ("m.tif", "c.tif", "c.csv")]


def test_the_picture_says_what_it_shows(tmp_path: Path, rng: np.random.Generator) -> None:
    pytest.importorskip("matplotlib")
    made = scene(tmp_path, rng)
    query = ("--query", query_file(tmp_path / "q.csv", made.target))
    done(
        "attend",
        "mask",
        made.path,
        *query,
        "-o",
        tmp_path / "m.tif",
        "--overlay",
        tmp_path / "look.png",
    )
    with cubes.open_quietly(tmp_path / "look.png") as dataset:
        assert dataset.width > 1200 and dataset.height > 500
        pixels = dataset.read()
        assert len(np.unique(pixels.reshape(len(pixels), -1), axis=1).T) > 200
    from hsitool.drawing.overlay import draw_overlay
    from hsitool.tasks.attend_view import View

    view = View(np.zeros((20, 30, 3)), np.eye(20, 30), 4, ("a", "b", "c"), 30.0, "leaf")
    figure = draw_overlay(view)
    texts = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert texts == {"500 m"}  # 120 columns of 30 m: a quarter is 900 m
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:2] == ["R a, G b, B c", "leaf"]
    assert "weight / largest weight" in [axes.get_ylabel() for axes in figure.axes]
