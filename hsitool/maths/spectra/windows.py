"""Which samples each output's polynomial is fitted to, on any grid and at the ends of segments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]

Mode = Literal["interp", "mirror", "nearest", "constant", "wrap"]
"""What stands beyond the ends of a segment: nothing, so that the end window stays inside (interp),
or copies of its samples, or zeros; the words of `scipy.signal.savgol_filter`."""

NONE, ZERO = -1, -2
"""In `Windows.columns`: no sample (a shorter window); a sample of value 0 beyond the end."""

TOLERANCE_NM = 1e-6  # a band at the very end of a window in nm belongs to it


@dataclass(frozen=True)
class Width:
    """The width of a window in nm, where it is not a number of bands."""

    nm: float


@dataclass(frozen=True, eq=False)
class Windows:
    """The samples of the windows of all outputs.

    Attributes:
        columns: (outputs, longest window) the band of each sample, or `NONE` or `ZERO`.
        positions: (outputs, longest window) where it lies, counted from the output's own place, in
            nm or in bands; 0 where there is no sample.
    """

    columns: Integers
    positions: Floats

    @property
    def length(self) -> Integers:
        """(outputs,) samples in each window; 0 where no polynomial can be fitted."""
        length: Integers = np.count_nonzero(self.columns != NONE, axis=1)
        return length

    def select(self, rows: Integers) -> Windows:
        """The windows of these outputs, no longer than they need."""
        longest = int(self.length[rows].max(initial=1))  # an empty axis has no argmax
        return Windows(self.columns[rows, :longest], self.positions[rows, :longest])

    def without(self, outputs: NDArray[np.bool_]) -> Windows:
        """The same windows, but none for these outputs."""
        return replace(self, columns=np.where(outputs[:, None], NONE, self.columns))

    def on_inputs(self, first: int) -> Windows:
        """The same windows for cubes that begin with band `first`."""
        return replace(self, columns=np.where(self.columns < 0, self.columns, self.columns - first))


def make_windows(
    positions: Floats,
    segments: Sequence[range],
    window: int | Width,
    degree: int,
    mode: Mode = "interp",
    chains: Sequence[Sequence[int]] = (),
) -> Windows:
    """The window of every band.

    In bands: so many neighbours with the band in the middle; at the ends of a segment `mode`
    decides. A segment shorter than the window takes the largest odd window that it holds, or all
    its bands where no odd window exceeds the degree. In nm: the bands within half the width of the
    band, at the ends the same width moved inwards, and never fewer than `degree` + 1.

    Bands of no segment have an empty window, but for those between the bands of one of the
    `chains` (bands that count as neighbours over the bad ones among them): they take the window - 1
    neighbours around them, without themselves.

    Args:
        positions: (bands,) in nm or by number; evenly spaced unless `mode` is "interp".
        segments: ranges of bands that windows stay in.
        window: bands, odd, or a width.
        degree: of the polynomial.
        mode: what stands beyond the ends.
        chains: ascending bands on either side of bands to fill.
    """
    longest = len(positions) if isinstance(window, Width) else max(window, degree + 1)
    draft = _Draft(positions, mode, longest)
    for segment in segments:
        members = np.asarray(segment, np.intp)
        x = positions[members]
        draft.enter(members, members, *_within_segment(x, window, degree, mode))
    for chain, beside in _fillable(chains, positions, draft.columns):
        spans = _beside(positions[chain], positions[beside], window, degree)
        draft.enter(beside, chain, *spans)
    return Windows(draft.columns, draft.positions).select(np.arange(len(positions)))


class _Draft:
    """Windows in the making: one row a band, wide enough for any."""

    def __init__(self, x: Floats, mode: Mode, longest: int) -> None:
        self._x, self._mode = x, mode
        self.columns = np.full((len(x), longest), NONE, np.intp)
        self.positions = np.zeros((len(x), longest))

    def enter(self, bands: Integers, members: Integers, first: Integers, length: Integers) -> None:
        """Give `bands` the windows of `length` places among `members`, from `first` on."""
        steps = np.arange(length.max(initial=0))
        places = first[:, None] + steps
        columns, x = self._samples(members, places)
        used = steps < length[:, None]
        self.columns[bands, : steps.size] = np.where(used, columns, NONE)
        self.positions[bands, : steps.size] = np.where(used, x - self._x[bands, None], 0)

    def _samples(self, members: Integers, places: Integers) -> tuple[Integers, Floats]:
        """Bands and positions at places of a segment, which may lie beyond its ends."""
        x = self._x[members]
        last = members.size - 1
        step = x[1] - x[0] if last > 0 else 1.0
        inside = places.clip(0, last)
        at = np.where(places == inside, x[inside], x[0] + places * step)
        columns = members[_folded(places, members.size, self._mode)]
        if self._mode == "constant":
            columns = np.where(places == inside, columns, ZERO)
        return columns, at


def _folded(places: Integers, count: int, mode: Mode) -> Integers:
    """The sample, from 0 to `count` - 1, whose copy stands at each place."""
    if mode == "wrap":
        return places % count
    if mode == "mirror":
        period = max(2 * count - 2, 1)
        return np.minimum(places % period, -places % period)
    return places.clip(0, count - 1)


def _within_segment(
    x: Floats, window: int | Width, degree: int, mode: Mode
) -> tuple[Integers, Integers]:
    """First place and length of the window of every band of a segment."""
    if isinstance(window, Width):
        return _reach(x, x, window.nm, degree + 1)
    size = _window_within(x.size, window, degree)
    first = np.arange(x.size) - size // 2
    if mode == "interp":
        first = first.clip(0, x.size - size)
    return first, np.full(x.size, size)


def _window_within(bands: int, window: int, degree: int) -> int:
    """The window length in a segment of some bands; 0 where the degree cannot be fitted."""
    if bands <= degree:
        return 0
    largest_odd = min(window, bands - 1 + bands % 2)
    return largest_odd if largest_odd > degree else bands


def _beside(x: Floats, at: Floats, window: int | Width, degree: int) -> tuple[Integers, Integers]:
    """First place and length of the windows at positions `at` between those of a chain."""
    place = np.searchsorted(x, at) if x[-1] > x[0] else np.searchsorted(-x, -at)
    fewest = degree + 1 + (degree + 1) % 2
    size = max(window - 1, degree + 1) if isinstance(window, int) else fewest
    size = size if size <= x.size else _window_within(x.size, size, degree)
    first, length = (place - size // 2).clip(0, x.size - size), np.full(at.size, size)
    if isinstance(window, Width) and size > 0:
        start, count = _reach(x, at, window.nm, degree + 1)
        both = (start < place) & (place < start + count)  # an extrapolation has no end of noise
        first, length = np.where(both, start, first), np.where(both, count, length)
    return first, length


def _reach(x: Floats, at: Floats, width: float, fewest: int) -> tuple[Integers, Integers]:
    """The bands within half of `width` of each place, moved inwards at the ends."""
    if x.size < fewest:
        return np.zeros(at.size, np.intp), np.zeros(at.size, np.intp)
    if x[-1] < x[0]:
        x, at = -x, -at
    low = (at - width / 2).clip(x[0], max(x[0], x[-1] - width))
    first = np.searchsorted(x, low - TOLERANCE_NM, "left")
    stop = np.searchsorted(x, low + width + TOLERANCE_NM, "right")
    for i in np.flatnonzero(stop - first < fewest):
        nearest = np.sort(np.argsort(np.abs(x - at[i]), kind="stable")[:fewest])
        first[i], stop[i] = nearest[0], nearest[-1] + 1
    return first, stop - first


def _fillable(
    chains: Sequence[Sequence[int]], x: Floats, columns: Integers
) -> Iterator[tuple[Integers, Integers]]:
    """Each chain with the bands to fill: without a window, and between two bands of the chain."""
    for chain in (np.asarray(chain, np.intp) for chain in chains):
        gaps = np.setdiff1d(np.arange(chain[0], chain[-1]), chain)
        right = np.searchsorted(chain, gaps)
        between = (x[gaps] - x[chain[right - 1]]) * (x[chain[right]] - x[gaps]) > 0
        unfitted = (columns[gaps] == NONE).all(axis=1)
        if (beside := gaps[between & unfitted]).size:
            yield chain, beside
