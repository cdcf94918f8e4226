"""The clinical Cobb angle: curves, end vertebrae, apex and side from endplate tilts. docs/COBB.md gives the
reasons.

Tilts are turned continuously from endplate to endplate, so a curve of 110 degrees is 110 and not 70, and only
differences of tilts are used, so a spine turned as a whole keeps its angles.
"""

import math
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

# A curve has two end vertebrae and something between them to be its apex.
_SPAN = 2

# Angles (degrees) and slopes (rise over run) nearer than this are equal, and the upper vertebra or curve is taken.
# Otherwise rounding would choose between the vertebrae of a plateau, and a turned image might have other curves.
_TIE_DEGREES = 1e-6
_TIE_SLOPE = 1e-9


class Curve(NamedTuple):
    """One curve of a column of vertebrae; vertebrae are row numbers of the column.

    ``degrees`` is the Cobb angle; ``convex`` is +1 where the convexity looks to the right of the image and -1
    to the left. ``apex`` counts levels: vertebra k is 2k, the disc below it 2k + 1.
    """

    degrees: float
    convex: int
    upper: int
    lower: int
    apex: int


class ClinicalCobb(NamedTuple):
    """Curves from top to bottom, and the largest angle found (``major``), which is a curve only from the
    minimum on.

    ``major`` is None where fewer than three vertebrae are given.
    """

    curves: tuple[Curve, ...]
    major: Curve | None


def cobb_clinical(corners: np.ndarray, minimum: float = 10.0, *, present: np.ndarray | None = None) -> ClinicalCobb:
    """Curves of a spine by the clinical rule.

    Args:
        corners: (n, 4, 2) image coordinates, x to the right and y down, equal units on both axes: top-left,
            top-right, bottom-left, bottom-right corner of each vertebra from top to bottom.
        minimum: degrees from which on a bend is a curve.
        present: (n,) bool, False for vertebrae to leave out; by default those with a corner that is not
        finite.

    Raises:
        ValueError: wrong shape.
    """
    corners = np.asarray(corners, dtype=np.float64)
    if corners.ndim != 3 or corners.shape[1:] != (4, 2):
        raise ValueError(f"corners have shape {corners.shape}, expected (vertebrae, 4, 2)")
    if present is None and math.isfinite(np.vdot(corners, corners)):
        rows = list(range(len(corners)))
    else:
        rows = np.flatnonzero(np.isfinite(corners).all(axis=(1, 2)) if present is None else present).tolist()
        corners = corners[rows]
    if len(rows) <= _SPAN:
        return ClinicalCobb((), None)
    superior, inferior = endplate_tilts(corners)
    pairs = _pair_angles(superior, inferior)
    found = _find_curves(superior, inferior, pairs, minimum)
    outline = _endplate_midpoints(corners)
    curves = tuple([_described(pair, outline, rows) for pair in found])
    if curves:
        return ClinicalCobb(curves, curves[_first_largest([curve.degrees for curve in curves], _TIE_DEGREES)])
    return ClinicalCobb((), _described(_largest(pairs, 0, len(rows) - 1, 0), outline, rows))


def endplate_tilts(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tilt in degrees of each superior and inferior endplate, (n,) each, clockwise positive as seen in the
    image.

    From one endplate to the next the tilt turns by less than half a turn, so no jump by 360 degrees stands in
    a row.
    """
    along = corners[:, 1::2] - corners[:, 0::2]
    tilts = np.degrees(np.arctan2(along[..., 1], along[..., 0])).reshape(-1)
    each = tilts.tolist()
    if max(each) - min(each) > 180.0:  # otherwise no step can be a jump
        tilts[1:] -= 360.0 * np.cumsum(np.round(np.diff(tilts) / 360.0))
    return tilts[0::2], tilts[1::2]


class _Pair(NamedTuple):
    degrees: float
    convex: int
    upper: int
    lower: int


def _pair_angles(superior: np.ndarray, inferior: np.ndarray) -> np.ndarray:
    """(n, n) signed angle from the superior endplate of the row's to the inferior of the column's vertebra.

    Positive: convex to the right of the image. NaN-free; pairs too close to be a curve hold 0.
    """
    pairs = inferior[None] - superior[:, None]
    pairs *= _far_apart(len(superior))
    return pairs


@lru_cache(maxsize=64)
def _far_apart(n: int) -> np.ndarray:
    """(n, n) 1 where the column's vertebra lies far enough below the row's, else 0."""
    return np.triu(np.ones((n, n)), _SPAN)


def _largest(pairs: np.ndarray, first: int, last: int, convex: int) -> _Pair:
    """Largest angle among vertebrae first..last, of one convexity or (0) of either; of equal ones the uppermost."""
    window = pairs[first : last + 1, first : last + 1]
    if convex == 0:
        window = np.abs(window)
    elif convex < 0:
        window = -window
    index = (window >= window.max() - _TIE_DEGREES).argmax()
    upper, lower = divmod(int(index), last - first + 1)
    signed = float(pairs[first + upper, first + lower])
    return _Pair(abs(signed), 1 if signed >= -_TIE_DEGREES else -1, first + upper, first + lower)


def _first_largest(values: list[float], tie: float) -> int:
    """Index of the largest value, of values that differ by no more than ``tie`` the first."""
    least = max(values) - tie
    return next(i for i, value in enumerate(values) if value >= least)


def _find_curves(superior: np.ndarray, inferior: np.ndarray, pairs: np.ndarray, minimum: float) -> list[_Pair]:
    """Curves from top to bottom: one for each stretch between turns of the tilt, then what is left outside."""
    minimum -= _TIE_DEGREES
    last = len(superior) - 1
    tilts = ((superior + inferior) / 2).tolist()
    turns = _sure_turns(tilts, _turning_points(tilts, minimum), minimum)
    if len(turns) > 1:
        found = _one_per_stretch(pairs, tilts, turns, minimum)
    else:
        found = [pair for pair in [_largest(pairs, 0, last, 0)] if pair.degrees >= minimum]
    while found and found[0].upper >= _SPAN:
        pair = _largest(pairs, 0, found[0].upper, -found[0].convex)
        if pair.degrees < minimum:
            break
        found.insert(0, pair)
    while found and last - found[-1].lower >= _SPAN:
        pair = _largest(pairs, found[-1].lower, last, -found[-1].convex)
        if pair.degrees < minimum:
            break
        found.append(pair)
    return found


def _turning_points(tilts: list[float], minimum: float) -> list[int]:
    """Vertebrae where the tilt turns back by ``minimum`` or more, with the first and last extreme; or none.

    Of a plateau the uppermost vertebra counts.
    """
    turns: list[int] = []
    low = high = direction = 0
    for k, tilt in enumerate(tilts):
        if direction >= 0 and tilt > tilts[high] + _TIE_DEGREES:
            high = k
        if direction <= 0 and tilt < tilts[low] - _TIE_DEGREES:
            low = k
        if direction <= 0 and tilt - tilts[low] >= minimum:
            turns.append(low)
            direction, high = 1, k
        elif direction >= 0 and tilts[high] - tilt >= minimum:
            turns.append(high)
            direction, low = -1, k
    if direction:
        turns.append(high if direction > 0 else low)
    return turns


def _sure_turns(tilts: list[float], turns: list[int], minimum: float) -> list[int]:
    """Turns without those that hang on one vertebra: a misplaced vertebra does not split a curve.

    A stretch between two turns stands where its swing reaches ``minimum`` without either of its two vertebrae.
    The smallest one that does not is dissolved into its neighbours, then the next; of equal ones the uppermost.
    """
    turns = list(turns)
    while len(turns) > 1:
        unsure = {
            i: -abs(tilts[b] - tilts[a])
            for i, (a, b) in enumerate(pairwise(turns))
            if _swing_without_one(tilts, a, b) < minimum
        }
        if not unsure:
            break
        i = list(unsure)[_first_largest(list(unsure.values()), _TIE_DEGREES)]
        if i == 0:
            del turns[0]
        elif i == len(turns) - 2:
            del turns[-1]
        else:
            del turns[i : i + 2]
    return turns


def _swing_without_one(tilts: list[float], a: int, b: int) -> float:
    """Swing of the tilt from vertebra a to b when the worse of the two to lose is replaced by a neighbour."""
    around_a = tilts[a - 1 : a + 2 : 2] if a else tilts[1:2]
    around_b = tilts[b - 1 : b + 2 : 2] if b else tilts[1:2]
    if tilts[b] > tilts[a]:
        return min(tilts[b] - min(around_a), max(around_b) - tilts[a])
    return min(max(around_a) - tilts[b], tilts[a] - min(around_b))


def _one_per_stretch(pairs: np.ndarray, tilts: list[float], turns: list[int], minimum: float) -> list[_Pair]:
    """The largest angle of each stretch between two turns; the larger one chooses its end vertebrae first.

    A stretch may reach half-way into its neighbours, since a turn is often a plateau of several vertebrae, but
    not beyond the end vertebra of a curve already chosen: neighbours share an end vertebra at most.
    """
    middles = [(a + b) // 2 for a, b in pairwise(turns)]
    firsts, lasts = [0, *middles[:-1]], [*middles[1:], len(tilts) - 1]
    best = [
        _largest(pairs, first, last, 1 if tilts[b] > tilts[a] else -1)
        for first, last, (a, b) in zip(firsts, lasts, pairwise(turns), strict=True)
    ]
    found: dict[int, _Pair] = {}
    waiting = list(range(len(best)))
    while waiting:
        i = waiting.pop(_first_largest([best[k].degrees for k in waiting], _TIE_DEGREES))
        pair = best[i]
        if pair.upper < firsts[i] or pair.lower > lasts[i]:
            pair = _largest(pairs, firsts[i], lasts[i], pair.convex)
        if pair.degrees < minimum:
            continue
        found[i] = pair
        if i > 0:
            lasts[i - 1] = min(lasts[i - 1], pair.upper)
        if i + 1 < len(best):
            firsts[i + 1] = max(firsts[i + 1], pair.lower)
    return [found[i] for i in sorted(found)]


def _endplate_midpoints(corners: np.ndarray) -> tuple[list[complex], list[complex]]:
    """Midpoints x + iy of superior and inferior endplates; plain numbers, since each is used once."""
    midpoints = corners[:, 0::2] + corners[:, 1::2]
    midpoints *= 0.5
    superior, inferior = midpoints.view(np.complex128)[..., 0].T.tolist()
    return superior, inferior


def _described(pair: _Pair, outline: tuple[list[complex], list[complex]], rows: list[int]) -> Curve:
    """The curve with its apex, in rows of the whole column."""
    return Curve(pair.degrees, pair.convex, rows[pair.upper], rows[pair.lower], _apex(pair, *outline, rows))


def _apex(pair: _Pair, superior: list[complex], inferior: list[complex], rows: list[int]) -> int:
    """Level farthest to the convex side of the line that joins the centres of the end vertebrae.

    A parabola through the farthest centre and its neighbours tells whether the farthest place lies in that
    vertebra or in the disc above or below it.
    """
    if pair.lower - pair.upper < 2:
        # Neighbours, as in a straight spine: the disc between them.
        return 2 * rows[pair.upper] + 1
    span = slice(pair.upper, pair.lower + 1)
    centres = [(a + b) / 2 for a, b in zip(superior[span], inferior[span], strict=True)]
    start = centres[0]
    # Times the conjugate chord: the real part runs along the chord, the imaginary part across, left positive.
    chord = (centres[-1] - start).conjugate()
    places = [(centre - start) * chord for centre in centres]
    across = [-pair.convex * place.imag for place in places]
    inner = 1 + _first_largest(across[1:-1], _TIE_SLOPE * places[-1].real)
    summit = _parabola_vertex(*((places[i].real, across[i]) for i in (inner - 1, inner, inner + 1)))
    k = pair.upper + inner
    if summit < ((superior[k] - start) * chord).real and rows[k] - rows[k - 1] == 1:
        return 2 * rows[k] - 1
    if summit > ((inferior[k] - start) * chord).real and rows[k + 1] - rows[k] == 1:
        return 2 * rows[k] + 1
    return 2 * rows[k]


def _parabola_vertex(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    """Abscissa of the vertex of the parabola through three (x, y); of the middle one where they are collinear."""
    u, v = b[0] - a[0], b[0] - c[0]
    p, q = u * (b[1] - c[1]), v * (b[1] - a[1])
    return b[0] if abs(p - q) <= _TIE_SLOPE * abs(u * v) else b[0] - (u * p - v * q) / (2 * (p - q))
