"""Axes from landmarks, and the angle between two of them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from orthoangles.geometry import angle_between, project, signed_angle, welsch_line_fit
from orthoangles.outcomes import with_value, without_value
from orthoangles.protocols import Axis, MeasurementDefinition, Protocol
from orthoangles.results import AxisLine, Measurement

if TYPE_CHECKING:
    from orthoangles.measuring_case import Case

NORMAL_95 = 1.959963984540054

_NOISE = 0.03
"""Noise of a point as a share of its axis' length where millimetres are not known: 1 mm on a metatarsal (inferred)."""

_PARALLEL = 0.02
"""Sine, about 1 degree: axes nearer to parallel than that do not tell which way round an image is."""


class SolvedAxis(NamedTuple):
    """An axis found: its line, its unit direction (3,) LPS, and how it turns with the landmarks.

    ``turn`` (n,) per mm: the angle in rad by which the axis turns when landmark i moves 1 mm across it; None
    where that is not known (the axis leans on foreground points).
    """

    line: AxisLine
    direction: np.ndarray
    turn: np.ndarray | None


def point_rows(protocol: Protocol) -> Mapping[str, np.ndarray]:
    """Weights (n,) over the landmarks that make each landmark and derived point."""
    n = len(protocol.landmarks)
    rows = dict(zip(protocol.landmark_ids, np.eye(n), strict=True))
    derived = {point.id: point for point in protocol.points}

    def row(point_id: str) -> np.ndarray:
        if point_id not in rows:
            rows[point_id] = np.mean([row(part) for part in derived[point_id].mean_of], axis=0)
        return rows[point_id]

    for point_id in derived:
        row(point_id)
    return rows


def solve_axis(case: "Case", axis: Axis) -> SolvedAxis | str:
    """The axis, or the reason why it cannot be had."""
    if axis.kind == "direction":
        return _fixed(case, axis)
    if axis.kind == "bisector":
        return _bisector(case, axis)
    used = axis.points if axis.kind == "fit" else (*axis.start, *axis.end)
    rows = np.array([case.plan.points[point_id] for point_id in used])
    needed = (rows != 0).any(axis=0)
    if (needed & case.missing).any():
        absent = [case.protocol.landmark_ids[i] for i in np.flatnonzero(needed & case.missing)]
        return f"{', '.join(absent)} not placed"
    # Landmarks that are not needed have weight 0, but 0 * NaN is NaN.
    places = rows[:, needed] @ case.points[needed]
    if axis.kind == "fit":
        return _fitted(case, axis, rows, places)
    start, end = _mean_ends(rows, places, len(axis.start))
    return _line(axis, start, end)


def ends_of(case: "Case", axis: Axis) -> tuple[np.ndarray, np.ndarray]:
    """Weights (n,) over the landmarks that make the start and the end of an axis of kind ``line``."""
    start, end = (np.mean([case.plan.points[name] for name in names], axis=0) for names in (axis.start, axis.end))
    return start, end


def _mean_ends(rows: np.ndarray, places: np.ndarray, k: int) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """(weights, place) of the mean of the first k points and of the others."""
    return (rows[:k].mean(axis=0), places[:k].mean(axis=0)), (rows[k:].mean(axis=0), places[k:].mean(axis=0))


def _line(axis: Axis, start: tuple[np.ndarray, np.ndarray], end: tuple[np.ndarray, np.ndarray]) -> SolvedAxis | str:
    along = end[1] - start[1]
    length = float(np.linalg.norm(along))
    if length == 0:
        return f"the ends of {axis.name} coincide"
    line = AxisLine(axis.id, axis.name, start[1], end[1])
    return SolvedAxis(line, along / length, (end[0] - start[0]) / length)


def _fitted(case: "Case", axis: Axis, rows: np.ndarray, handles: np.ndarray) -> SolvedAxis | str:
    extra = np.asarray(case.foreground.get(axis.id, np.empty((0, 3))), dtype=np.float64)
    points = np.vstack([handles, extra])
    if not np.ptp(points, axis=0).any():
        return f"the points of {axis.name} coincide"
    length = float(np.linalg.norm(handles[-1] - handles[0]))
    fit = welsch_line_fit(points, scale=axis.scale if case.in_mm or not length else _NOISE * length)
    direction = fit.direction if (handles[-1] - handles[0]) @ fit.direction >= 0 else -fit.direction
    along = (handles - fit.centre) @ direction
    line = AxisLine(axis.id, axis.name, fit.centre + along.min() * direction, fit.centre + along.max() * direction)
    if len(extra):
        return SolvedAxis(line, direction, None)
    centred = along - (fit.weights @ along) / fit.weights.sum()
    turn = (fit.weights * centred) @ rows / (fit.weights @ centred**2)
    return SolvedAxis(line, direction, turn)


def _fixed(case: "Case", axis: Axis) -> SolvedAxis | str:
    vector = np.asarray(axis.vector, dtype=np.float64)
    if case.protocol.dimension == 2:
        vector = case.plane.matrix @ vector[:2]
    length = np.linalg.norm(vector)
    if length == 0:
        return f"{axis.name} has no direction in the image plane"
    if axis.towards:
        return _towards(case, axis, vector / length)
    placed = case.points[~case.missing]
    centre = placed.mean(axis=0) if len(placed) else np.zeros(3)
    reach = np.abs((placed - centre) @ vector).max(initial=length) / length
    direction = vector / length
    line = AxisLine(axis.id, axis.name, centre - reach * direction, centre + reach * direction)
    return SolvedAxis(line, direction, np.zeros(len(case.points)))


def _towards(case: "Case", axis: Axis, direction: np.ndarray) -> SolvedAxis | str:
    """The fixed direction or its opposite, whichever runs with the other axis; drawn from where that one starts."""
    other = case.axis(axis.towards)
    if isinstance(other, str):
        return other
    along = float(direction @ other.direction)
    if abs(along) < 1e-9:
        return f"{axis.name} stands perpendicular to {other.line.name}"
    direction = direction if along > 0 else -direction
    end = other.line.start + np.linalg.norm(other.line.end - other.line.start) * direction
    return SolvedAxis(AxisLine(axis.id, axis.name, other.line.start, end), direction, np.zeros(len(case.points)))


def _bisector(case: "Case", axis: Axis) -> SolvedAxis | str:
    a, b = (case.axis(axis_id) for axis_id in axis.axes)
    for part in (a, b):
        if isinstance(part, str):
            return part
    direction = a.direction + b.direction
    length = np.linalg.norm(direction)
    if length < 1e-9:
        return f"the axes of {axis.name} point opposite ways"
    direction = direction / length
    centre = (a.line.start + a.line.end + b.line.start + b.line.end) / 4
    half = (np.linalg.norm(a.line.end - a.line.start) + np.linalg.norm(b.line.end - b.line.start)) / 4
    turn = None if a.turn is None or b.turn is None else (a.turn + b.turn) / 2
    line = AxisLine(axis.id, axis.name, centre - half * direction, centre + half * direction)
    return SolvedAxis(line, direction, turn)


def measure_angle(case: "Case", definition: MeasurementDefinition) -> Measurement:
    """The rule ``angle``: between two axes, in a plane or in space, signed or not, folded or not."""
    solved = [case.axis(axis_id) for axis_id in definition.axes]
    reasons = list(dict.fromkeys(part for part in solved if isinstance(part, str)))
    if definition.signed and definition.mirrored and case.side is None:
        reasons.append("the side (left or right) is not known, and the sign depends on it")
    if reasons:
        return without_value(definition, "; ".join(reasons))
    projected = in_plane(case, definition, solved)
    if isinstance(projected, str):
        return without_value(definition, projected)
    u, v, normal = projected
    turn = positive_turn(case, definition)
    if isinstance(turn, str):
        return without_value(definition, turn)
    cosine_angle, value = _value(definition, turn, u, v, normal)
    variance = _variance(case, solved, u, v, cosine_angle)
    interval = None if variance is None else _interval(value, variance, definition.signed or definition.complement)
    details = {"side": case.side} if definition.mirrored else {}
    return with_value(case, definition, value, interval, _lines(definition, solved), details)


def _lines(definition: MeasurementDefinition, solved: list[SolvedAxis]) -> tuple[AxisLine, ...]:
    """The two lines; an angle with a plane lies between the second line and its foot in that plane."""
    first, second = (axis.line for axis in solved)
    if definition.complement:
        foot = project(second.end - second.start, solved[0].direction)
        if np.linalg.norm(foot) > 0:
            first = AxisLine(first.id, f"perpendicular to {first.name}", second.start, second.start + foot)
    return first, second


def _value(
    definition: MeasurementDefinition, turn: int, u: np.ndarray, v: np.ndarray, normal: np.ndarray | None
) -> tuple[float, float]:
    """The unfolded, unsigned angle, and the value as the definition wants it; degrees."""
    angle = float(angle_between(u, v))
    if definition.signed:
        return angle, turn * float(signed_angle(u, v, normal))
    if definition.complement:
        return angle, 90.0 - angle
    return angle, min(angle, 180.0 - angle) if definition.folded else angle


def positive_turn(case: "Case", definition: MeasurementDefinition) -> int | str:
    """Of a signed angle: 1 where a clockwise turn in the image (right-handed about a plane's normal) is positive, -1
    where the other is. With ``sense`` the landmarks tell; or why they do not.
    """
    if not (definition.signed and definition.sense):
        turned = (definition.positive == "counterclockwise") != (definition.mirrored and case.side == "left")
        return -1 if turned else 1
    solved = [case.axis(axis_id) for axis_id in definition.sense]
    reasons = list(dict.fromkeys(part for part in solved if isinstance(part, str)))
    if reasons:
        return f"{'; '.join(reasons)}, and the sign depends on it"
    projected = in_plane(case, definition, solved)
    if isinstance(projected, str):
        return f"{projected}, and the sign depends on it"
    sine = _sine(*projected)
    if abs(sine) < _PARALLEL:
        first, second = (axis.line.name for axis in solved)
        return f"{first} and {second} are parallel, and the sign depends on how they turn"
    return 1 if sine > 0 else -1


def _sine(u: np.ndarray, v: np.ndarray, normal: np.ndarray | None) -> float:
    """Of the turn from ``u`` to ``v``, clockwise in the image or right-handed about the normal."""
    across = u[0] * v[1] - u[1] * v[0] if normal is None else np.cross(u, v) @ normal
    return float(across / (np.linalg.norm(u) * np.linalg.norm(v)))


def in_plane(
    case: "Case", definition: MeasurementDefinition, axes: list[SolvedAxis]
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None] | str:
    """Directions as projected (not of unit length any more) and the plane's normal; or why there are none."""
    u, v = (axis.direction for axis in axes)
    normal = None
    if definition.plane == "image":
        u, v = u @ case.plane.matrix, v @ case.plane.matrix
    elif definition.plane is not None:
        normal = case.normal(definition.plane)
        if isinstance(normal, str):
            return normal
        u, v = project(u, normal), project(v, normal)
    for axis, direction in zip(axes, (u, v), strict=True):
        if np.linalg.norm(direction) < 1e-9:
            return f"{axis.line.name} stands perpendicular to the plane"
    return u, v, normal


def plane_normal(case: "Case", plane_id: str) -> np.ndarray | str:
    """Unit normal (3,) LPS of a plane of projection, or why there is none."""
    plane = next(plane for plane in case.protocol.planes if plane.id == plane_id)
    vector = np.asarray(plane.vector, dtype=np.float64)
    if plane.axis:
        axis = case.axis(plane.axis)
        if isinstance(axis, str):
            return axis
        if plane.cross:
            normal = np.cross(vector, axis.direction)
        else:
            normal = project(axis.direction, vector / np.linalg.norm(vector)) if len(vector) else axis.direction
    else:
        normal = vector
    length = np.linalg.norm(normal)
    return (
        normal / length
        if length > 1e-9
        else f"the plane {plane.name} is not defined: its axis is parallel to its vector"
    )


def _variance(case: "Case", axes: list[SolvedAxis], u: np.ndarray, v: np.ndarray, angle: float) -> float | None:
    """Variance of the angle in degrees^2, to first order in the landmarks' spread; None where not known.

    A landmark that turns both axes counts once, with the cosine of the angle between its two effects. The
    plane is taken as fixed.
    """
    if case.variance is None or any(axis.turn is None for axis in axes):
        return None
    a, b = axes[0].turn / np.linalg.norm(u), axes[1].turn / np.linalg.norm(v)
    squared = a**2 + b**2 - 2 * a * b * np.cos(np.radians(angle))
    used = squared > 0
    variance = float(squared[used] @ case.variance[used])
    return None if np.isnan(variance) else variance * np.degrees(1.0) ** 2


def _interval(value: float, variance: float, signed: bool) -> tuple[float, float]:
    half = NORMAL_95 * variance**0.5
    return (value - half if signed else max(value - half, 0.0)), value + half
