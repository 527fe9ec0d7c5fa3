"""Scores into attention weights: non-negative, of sum 1, spread over as many pixels as asked for.

A weight is a shape of the score s, the greatest score being 0, over the sum of all shapes:

    softmax    exp(beta s)
    sparsemax  max(1 + s / r, 0)      beta = 1 / (r sum)          (Martins and Astudillo 2016)
    entmax15   max(1 + s / r, 0)^2    beta = 2 / (r sqrt(sum))    (Peters, Niculae, Martins 2019)

so that each has one parameter: beta, or the reach r below which scores have no weight. The greatest
score has the shape 1. The spread is the effective sample size ESS = 1 / sum of weights^2
(Kish 1965), which bounds the largest weight by 1 / sqrt(ESS), as perplexity does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hsitool.device import array_module
from hsitool.errors import DataError, UsageError

Floats = NDArray[np.float64]
Norm = Literal["sparsemax", "softmax", "entmax15"]
NORMS: tuple[Norm, ...] = get_args(Norm)
POWER = {"sparsemax": 1, "entmax15": 2}

PIECE = 2**19
"""Scores worked on at a time, whatever their number: results do not hang on it, memory does."""

ESS_TOLERANCE = 1e-10
LARGEST_STEP = 2.0  # of Newton, in logarithms
MOST_STEPS = 200


def attention_weights(
    scores: ArrayLike,
    *,
    focus: float | str | None = None,
    temperature: float | None = None,
    norm: Norm = "sparsemax",
) -> Floats:
    """The weights of scores of any shape; 0 where a score is NaN or -inf, which are left out.

    An array of CuPy gives one. `focus` is the effective sample size, as a number of pixels or as a
    share, "1%" or 0.01, of those with a score (the default is 1%); `temperature` is 1 / beta, in
    the scores' own unit, and takes its place.

    Raises:
        UsageError: no such norm, focus or temperature, or both of these.
        DataError: no score is a number.
    """
    array = array_module(scores).asarray(scores, dtype=np.float64)
    return focus_on(array, focus=focus, temperature=temperature, norm=norm).weights(array)


@dataclass(frozen=True)
class Attention:
    """What turns a score into its weight.

    Attributes:
        norm: the normaliser.
        count: scores that are numbers.
        top: the greatest of them.
        beta: inverse temperature; 0 spreads evenly, infinity takes the greatest scores only.
        reach: r of the sparse norms.
        total: sum of all shapes.
        ess: effective sample size.
        entropy: of the weights, in nats; its exponential is the perplexity.
        note: what could not be had, or None.
    """

    norm: Norm
    count: int
    top: float
    beta: float
    reach: float
    total: float = 1.0
    ess: float = 1.0
    entropy: float = 0.0
    note: str | None = None

    def weights(self, scores: Floats) -> Floats:
        """The weights of scores, in the same shape."""
        return self.shape(scores) / self.total

    @property
    def largest(self) -> float:
        """The largest weight."""
        return 1 / self.total

    @property
    def floor(self) -> float:
        """Scores up to here have no weight."""
        if self.beta == math.inf:
            return math.nextafter(self.top, -math.inf)
        sparse = self.norm in POWER and self.beta > 0
        return _below(self.top, self.reach) if sparse else -math.inf

    def shape(self, scores: Floats) -> Floats:
        """The weights over the largest one; 0 for scores that are no numbers."""
        with np.errstate(invalid="ignore", over="ignore"):  # beyond all numbers is no weight
            known = scores > -np.inf  # False for NaN
            if self.beta == 0:
                return known.astype(np.float64)
            if self.beta == math.inf:
                return (scores >= self.top).astype(np.float64)
            shifted = np.where(known, scores - self.top, -np.inf)
            if self.norm in POWER:
                found: Floats = np.maximum(1 + shifted / self.reach, 0.0) ** POWER[self.norm]
                return found
            return np.exp(self.beta * shifted)


def focus_on(
    scores: Floats,
    *,
    focus: float | str | None = None,
    temperature: float | None = None,
    norm: Norm = "sparsemax",
) -> Attention:
    """Solve for the weights' parameter; arguments and errors as `attention_weights`.

    `scores` may be mapped from a file: they are read piece by piece.
    """
    if norm not in NORMS:
        raise UsageError(f"norm {norm} is none of {', '.join(NORMS)}")
    if focus is not None and temperature is not None:
        raise UsageError("focus and temperature say the same in two ways: give one of them")
    seen = look(scores)
    if not seen.count:
        raise DataError("no score is a number: nothing can be attended to")
    if temperature is not None:
        return _totalled(scores, _at_temperature(scores, seen, temperature, norm))
    target = pixels_of("1%" if focus is None else focus, seen.count)
    return _totalled(scores, _at_size(scores, seen, target, norm))


def pixels_of(focus: float | str, count: int) -> float:
    """The number of pixels, at least 1, that a focus such as `1%`, `0.01` or `500` means.

    Raises:
        UsageError: no such focus.
    """
    text = str(focus).strip()
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        number = math.nan
    if not (0 < number < math.inf) or (text.endswith("%") and number > 100):
        raise UsageError(f"focus '{text}' is no number of pixels and no percentage, as 500 or 1%")
    share = number / 100 if text.endswith("%") else number if number < 1 else None
    return number if share is None else max(1.0, share * count)


@dataclass(frozen=True)
class Seen:
    """Count, greatest, mean and standard deviation of scores, and how many are the greatest."""

    count: int = 0
    top: float = -math.inf
    ties: int = 0
    mean: float = 0.0
    spread: float = 0.0


def look(scores: Floats) -> Seen:
    """What the solution starts from.

    Raises:
        DataError: a score is infinite, or too large to be squared.
    """
    count, top, ties, mean, squares = 0, -math.inf, 0, 0.0, 0.0
    for piece in pieces(scores):
        own, new = float(np.max(piece)), int(piece.size)
        if own == math.inf:
            raise DataError("a score is infinite: no weight can be given to it")
        if own >= top:
            ties = int(np.count_nonzero(piece == own)) + (ties if own == top else 0)
        top = max(top, own)
        middle = float(np.mean(piece))
        apart, count = middle - mean, count + new
        mean += apart * new / count
        with np.errstate(over="ignore"):
            own_squares = float(np.sum((piece - middle) ** 2))
        squares += own_squares + apart * apart * new * (count - new) / count
    if not math.isfinite(squares):
        raise DataError(f"scores as far apart as {top:g} are beyond measure: scale them down")
    return Seen(count, top, ties, mean, math.sqrt(squares / count) if count else 0.0)


def pieces(scores: Floats, above: float = -math.inf) -> Iterator[Floats]:
    """The scores greater than `above`, some at a time, in order."""
    flat = scores.reshape(-1)
    for start in range(0, flat.shape[0], PIECE):
        piece = flat[start : start + PIECE]
        with np.errstate(invalid="ignore"):
            kept = piece[piece > above]
        if kept.size:
            yield kept


def _at_size(scores: Floats, seen: Seen, target: float, norm: Norm) -> Attention:
    """The attention of that effective sample size."""
    found = Attention(norm, seen.count, seen.top, 0.0, math.inf)
    if target >= seen.count:
        return _noted(found, f"{target:g} pixels are all there are: the weights are even")
    if seen.ties == seen.count or seen.spread == 0:
        return _noted(found, "all scores are the same: the weights are even")
    if target <= seen.ties:
        alone = f"{seen.ties} pixels share the greatest score: they have all the weight"
        return _noted(found, alone if seen.ties > 1 else None, math.inf)
    if norm == "softmax":
        start = math.sqrt(math.log(seen.count / target)) / seen.spread
        beta = _solve(lambda b: _softmax_excess(scores, seen.top, b, target), start, rising=False)
        return Attention(norm, seen.count, seen.top, beta, math.inf)
    power = POWER[norm]
    reach = _solve(
        lambda r: _sparse_excess(scores, seen.top, r, power, target), seen.spread, rising=True
    )
    return Attention(norm, seen.count, seen.top, 1.0, reach)


def _noted(found: Attention, note: str | None, beta: float = 0.0) -> Attention:
    return Attention(found.norm, found.count, found.top, beta, found.reach, note=note)


def _at_temperature(scores: Floats, seen: Seen, temperature: float, norm: Norm) -> Attention:
    """The attention of inverse temperature 1 / `temperature`."""
    if not 0 < temperature < math.inf:
        raise UsageError(f"temperature {temperature:g} is not a number above 0")
    beta = 1 / temperature
    if norm == "softmax" or beta == math.inf:  # of a temperature beyond all numbers
        return Attention(norm, seen.count, seen.top, beta, math.inf)
    power = POWER[norm]
    # A weight is at most 1 and all together are: so far the weights reach, and so near.
    furthest = power / beta
    if seen.ties == seen.count or seen.spread == 0:
        return Attention(norm, seen.count, seen.top, 0.0, math.inf)
    nearest = furthest / seen.count ** (1 / power)
    reach = _solve(
        lambda r: _sum_excess(scores, seen.top, r, power, furthest),
        math.sqrt(nearest) * math.sqrt(furthest),
        rising=True,
        ends=(nearest * (1 - 1e-9), furthest * (1 + 1e-9)),
    )
    return Attention(norm, seen.count, seen.top, beta, reach)


Excess = Callable[[float], tuple[float, float]]
"""A monotone function of x that is 0 at the solution, and its derivative by ln x."""


def _softmax_excess(scores: Floats, top: float, beta: float, target: float) -> tuple[float, float]:
    """ln(ESS / target) = 2 ln Z(beta) - ln Z(2 beta) - ln target."""
    sums = np.zeros(4)
    for piece in pieces(scores):
        shifted = piece - top
        once = np.exp(beta * shifted)
        twice = once * once
        sums += [float(v) for v in (once.sum(), twice.sum(), once @ shifted, twice @ shifted)]
    once_, twice_, first, second = sums.tolist()
    value = 2 * math.log(once_) - math.log(twice_) - math.log(target)
    return value, 2 * beta * (first / once_ - second / twice_)


def _sparse_excess(
    scores: Floats, top: float, reach: float, power: int, target: float
) -> tuple[float, float]:
    """ln(ESS / target): with p the power and S_k = sum (1 + s / r)^k, ESS = S_p^2 / S_2p."""
    powers = power - 1, power, 2 * power - 1, 2 * power
    before, own, middle, twice = _power_sums(scores, top, reach, powers)
    value = 2 * math.log(own) - math.log(twice) - math.log(target)
    return value, 2 * power * (before / own - middle / twice)


def _sum_excess(
    scores: Floats, top: float, reach: float, power: int, furthest: float
) -> tuple[float, float]:
    """ln of the sum of weights, which are (r (1 + s / r) beta / p)^p."""
    before, own = _power_sums(scores, top, reach, (power - 1, power))
    return math.log(own) + power * math.log(reach / furthest), power * before / own


def _below(top: float, reach: float) -> float:
    """A number `reach` below the greatest score; just below it where that rounds to itself."""
    return min(top - reach, math.nextafter(top, -math.inf))


def _power_sums(scores: Floats, top: float, reach: float, powers: tuple[int, ...]) -> list[float]:
    sums = np.zeros(len(powers))
    for piece in pieces(scores, _below(top, reach)):
        height = 1 + (piece - top) / reach
        sums += [float(np.sum(height**power)) for power in powers]
    return [float(v) for v in sums]


def _solve(
    excess: Excess, start: float, *, rising: bool, ends: tuple[float, float] = (0.0, math.inf)
) -> float:
    """Newton in ln x, halving where a step is too long or leaves what is known to hold the root."""
    low, high = ends
    x = start
    for _ in range(MOST_STEPS):
        value, slope = excess(x)
        if (value < 0) == rising:
            low = x
        else:
            high = x
        if abs(value) <= ESS_TOLERANCE * 1e-3 or high <= low * (1 + 4e-16):
            return x
        step = -value / slope if slope else math.inf
        following = x * math.exp(step) if abs(step) <= LARGEST_STEP else math.nan
        if low < following < high:
            if abs(following - x) <= 1e-15 * x:
                return following
            x = following
        else:
            x = _between(low, high, x, rising=(value < 0) == rising)
    return x


def _between(low: float, high: float, x: float, *, rising: bool) -> float:
    """A place inside the bracket; `e^2` further on where it has no end yet."""
    if low == 0 or high == math.inf:
        return x * math.exp(LARGEST_STEP if rising else -LARGEST_STEP)
    return math.sqrt(low) * math.sqrt(high)


def _totalled(scores: Floats, found: Attention) -> Attention:
    """The same with the sums of its shapes, of their squares and of shape times logarithm."""
    parts = []
    for piece in pieces(scores, found.floor):
        shape = found.shape(piece)
        some = shape[shape > 0]
        parts.append([float(some.sum()), float(some @ some), float(some @ np.log(some))])
    total, squares, logs = (math.fsum(column) for column in zip(*parts, strict=True))
    beta = found.beta
    if found.norm in POWER and 0 < beta < math.inf:
        power = POWER[found.norm]
        beta = power / (found.reach * total ** (1 / power))
    entropy = math.log(total) - logs / total
    return replace(found, beta=beta, total=total, ess=total**2 / squares, entropy=entropy)
