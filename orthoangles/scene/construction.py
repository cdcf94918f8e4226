"""How an angle is drawn on an image: two lines, the perpendiculars where they are needed, an arc and its number.

Two lines that cross near their own ends carry the arc where they cross. Lines that cross far away, such as the
endplates of two end vertebrae, are extended towards the side on which they converge (the concave side) and carry
perpendiculars there: those cross midway between the lines, inside the image, at the same angle. This is Cobb's
construction.
"""

import cmath
import math
from dataclasses import dataclass

import numpy as np

# As shares of the shorter line (NEAR and LONG_BONES: of the longer), so that the drawing suits pixels as well as mm.
NEAR = 0.75  # a crossing this far beyond the lines' ends is still drawn as a crossing
LONG_BONES = 3.0  # the same for shafts: readers extend the axes of long bones until they cross
_REACH = (0.8, 2.5)  # how far, at least and at most, a line runs on towards the concave side
_CLEARANCE = 1.1  # how far from the chord between the lines the perpendiculars should cross: beside the bones
_OVERHANG = 0.15  # and towards the other
_LABEL = 0.12  # gap between the drawing and its number
_ARC = 1.1  # longest arc radius
_ARC_STEP = math.radians(3.0)
_PARALLEL = math.radians(0.5)  # below this no crossing is sought


@dataclass(frozen=True, eq=False)
class AngleConstruction:
    """A drawn angle: all arrays LPS mm.

    ``lines`` (2, 2, 3) are the measured lines, extended, the second end being the one nearer the arc; ``legs``
    (k, 2, 3) auxiliary lines; ``arc`` (n, 3), empty for parallel lines; ``label`` (3,) where the number goes and
    ``outward`` (3,) the direction in which it has room.
    """

    lines: np.ndarray
    legs: np.ndarray
    arc: np.ndarray
    label: np.ndarray
    outward: np.ndarray


def construct_angle(lines: np.ndarray, degrees: float, near: float = NEAR) -> AngleConstruction:
    """Drawing of the angle ``degrees`` (its sign is not drawn) between two directed lines (2, 2, 3), LPS mm.

    ``near``: how far beyond the lines' ends, as a share of the longer line, they may cross and still be drawn so.
    """
    plane = _Plane(lines)
    (a, b), (c, d) = plane.flatten(lines)
    if abs(_turn(b - a, d - c) - math.radians(abs(degrees))) > math.pi / 4:  # the angle of undirected lines
        c, d = d, c
    lines, legs, arc, label, outward = _crossing(a, b, c, d, near) or _perpendiculars(a, b, c, d)
    # All points are raised in one go: this runs in every move of the mouse.
    points = plane.raise_up([end for line in (*lines, *legs) for end in line] + [label, *arc])
    count = 2 * len(legs)
    return AngleConstruction(
        lines=points[:4].reshape(2, 2, 3),
        legs=points[4 : 4 + count].reshape(-1, 2, 3),
        label=points[4 + count],
        arc=points[5 + count :],
        outward=plane.direction(outward),
    )


class _Plane:
    """The plane of two lines; its points are complex numbers. Skew lines are seen along their common normal."""

    def __init__(self, lines: np.ndarray) -> None:
        (a, b), (c, d) = lines
        self._origin = (a + b + c + d) / 4
        first, second = (b - a).tolist(), (d - c).tolist()
        x = _scaled(first)
        y = _across(second, x)
        if math.hypot(*y) < 1e-6 * math.hypot(*second):  # parallel: the plane through both, or any for one line
            y = _across((c - a).tolist(), x)
        if math.hypot(*y) < 1e-9:
            y = _across([x[1], x[2], x[0]], x)
        self._axes = np.array([x, _scaled(y)])

    def flatten(self, points: np.ndarray) -> list:
        xy = ((points - self._origin) @ self._axes.T).tolist()
        return [[complex(*end) for end in line] for line in xy]

    def raise_up(self, points: list[complex]) -> np.ndarray:
        return np.array(points).view(np.float64).reshape(-1, 2) @ self._axes + self._origin

    def direction(self, flat: complex) -> np.ndarray:
        return flat.real * self._axes[0] + flat.imag * self._axes[1]


def _scaled(v: list[float]) -> list[float]:
    length = math.hypot(*v)
    return [each / length for each in v]


def _across(v: list[float], x: list[float]) -> list[float]:
    """The part of ``v`` at right angles to the unit vector ``x``."""
    along = v[0] * x[0] + v[1] * x[1] + v[2] * x[2]
    return [v[0] - along * x[0], v[1] - along * x[1], v[2] - along * x[2]]


def _turn(u: complex, v: complex) -> float:
    """Angle between two directions, 0..pi."""
    return abs(cmath.phase(v / u))


def _cross(u: complex, v: complex) -> float:
    return (u.conjugate() * v).imag


def _meet(p: complex, u: complex, q: complex, v: complex) -> complex:
    """Where the line through ``p`` along ``u`` crosses the line through ``q`` along ``v``."""
    return p + u * (_cross(q - p, v) / _cross(u, v))


def _unit(u: complex) -> complex:
    return u / abs(u)


def _arc(centre: complex, radius: float, start: complex, stop: complex) -> list[complex]:
    sweep = cmath.phase(stop / start)
    steps = max(2, math.ceil(abs(sweep) / _ARC_STEP))
    return [centre + radius * start * cmath.rect(1.0, sweep * k / steps) for k in range(steps + 1)]


def _beyond(point: complex, a: complex, b: complex) -> float:
    """How far a point on the line a-b lies beyond its ends; 0 between them."""
    along = ((point - a) * (b - a).conjugate()).real / abs(b - a)
    return max(-along, along - abs(b - a), 0.0)


def _crossing(a: complex, b: complex, c: complex, d: complex, near: float):
    """Arc where the lines themselves cross, or None where that is too far off."""
    u, v = _unit(b - a), _unit(d - c)
    size = min(abs(b - a), abs(d - c))
    if _turn(u, v) < _PARALLEL or _turn(u, v) > math.pi - _PARALLEL:
        return None
    vertex = _meet(a, u, c, v)
    if max(_beyond(vertex, a, b), _beyond(vertex, c, d)) > near * max(abs(b - a), abs(d - c)):
        return None
    radius = 0.5 * size
    legs = [_leg(vertex, 1.1 * radius, *line) for line in ((a, b), (c, d))]
    outward = _unit(u + v)
    return ((a, b), (c, d)), legs, _arc(vertex, radius, u, v), vertex + 1.25 * radius * outward, outward


def _leg(vertex: complex, reach: float, a: complex, b: complex) -> tuple[complex, complex]:
    """From the line a-b, or from the vertex on it, past the arc; a line ahead of the vertex is reached."""
    along = _unit(b - a)
    start, end = (((p - vertex) * along.conjugate()).real for p in (a, b))
    return vertex + min(end, 0.0) * along, vertex + max(start, reach) * along


def _perpendiculars(a: complex, b: complex, c: complex, d: complex):
    """Cobb's construction on the concave side."""
    u, v = _unit(b - a), _unit(d - c)
    size = min(abs(b - a), abs(d - c))
    if _concave(a, b, c, d, u, v):
        a, b, c, d, u, v = b, a, d, c, -u, -v
    # Now both lines converge behind their second ends, b and d.
    normal = 1j if (((c + d) - (a + b)) * (1j * u).conjugate()).real > 0 else -1j
    outward, parallel = _unit(u + v), _turn(u, v) < _PARALLEL
    middle = (a + b + c + d) / 4
    reach = size * (_REACH[0] if parallel else _reach((b, u), (d, v), normal, size, middle, outward))
    first, second = b + reach * u, d + reach * v
    lines = ((a - _OVERHANG * size * u, first), (c - _OVERHANG * size * v, second))
    if parallel:
        return lines, [(first, second)], [], (first + second) / 2 + _LABEL * size * outward, outward
    vertex = _meet(first, normal * u, second, normal * v)
    radius = min(_ARC * size, 0.7 * abs(second - vertex))
    legs = [(first, vertex + 1.15 * radius * normal * u), (vertex, second)]
    return lines, legs, _arc(vertex, radius, normal * u, normal * v), vertex + _LABEL * size * outward, outward


def _reach(
    first: tuple[complex, complex],
    second: tuple[complex, complex],
    normal: complex,
    size: float,
    middle: complex,
    outward: complex,
) -> float:
    """Reach, as a share of the shorter line, with which the perpendiculars cross clear of the bones between.

    ``first`` and ``second`` are the lines' inner ends and unit directions.
    """
    (b, u), (d, v) = first, second
    low, high = _REACH

    def clearance(reach: float) -> float:
        vertex = _meet(b + reach * size * u, normal * u, d + reach * size * v, normal * v)
        return ((vertex - middle) * outward.conjugate()).real / size

    # The crossing moves evenly with the reach.
    start, step = clearance(0.0), clearance(1.0) - clearance(0.0)
    return min(max((_CLEARANCE - start) / step, low), high) if step > 0 else high


def _concave(a: complex, b: complex, c: complex, d: complex, u: complex, v: complex) -> bool:
    """Whether the lines converge on the side of their first ends."""
    if _turn(u, v) < _PARALLEL:
        return False
    crossing = _meet(a, u, c, v)
    return abs(crossing - (a + c) / 2) < abs(crossing - (b + d) / 2)
