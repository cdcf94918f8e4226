"""The angle between two axes."""

import math
from typing import TYPE_CHECKING

import numpy as np

from orthoangles.axes import SolvedAxis
from orthoangles.geometry import angle_between, cross_product, length, project, triple_product
from orthoangles.outcomes import with_value, without_value
from orthoangles.protocols import MeasurementDefinition
from orthoangles.results import AxisLine, Measurement

if TYPE_CHECKING:
    from orthoangles.measuring_case import Case

NORMAL_95 = 1.959963984540054

_PARALLEL = 0.02
"""Sine, about 1 degree: axes nearer to parallel than that do not tell which way round an image is."""


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
    if definition.signed:
        signed = math.degrees(math.atan2(_across(u, v, normal), u @ v))
        return abs(signed), turn * signed
    angle = float(angle_between(u, v))
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
    key = (definition.sense, definition.plane)
    if key not in case.turns:
        case.turns[key] = _turn_by_landmarks(case, definition)
    return case.turns[key]


def _turn_by_landmarks(case: "Case", definition: MeasurementDefinition) -> int | str:
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
    return _across(u, v, normal) / (length(u) * length(v))


def _across(u: np.ndarray, v: np.ndarray, normal: np.ndarray | None) -> float:
    """The sine of that turn, times both lengths."""
    return float(u[0] * v[1] - u[1] * v[0]) if normal is None else triple_product(u, v, normal)


def in_plane(
    case: "Case", definition: MeasurementDefinition, axes: list[SolvedAxis]
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None] | str:
    """Directions as projected (not of unit length any more) and the plane's normal; or why there are none."""
    if definition.plane is None:
        return axes[0].direction, axes[1].direction, None
    normal = None if definition.plane == "image" else case.normal(definition.plane)
    if isinstance(normal, str):
        return normal
    projected = [_projected(case, definition.plane, normal, axis) for axis in axes]
    for direction in projected:
        if isinstance(direction, str):
            return direction
    return projected[0], projected[1], normal


def _projected(case: "Case", plane_id: str, normal: np.ndarray | None, axis: SolvedAxis) -> np.ndarray | str:
    """Direction of an axis on the image (2,) or on a plane (3,), or why it has none there; many angles share it."""
    key = (plane_id, axis.line.id)
    if key not in case.projected:
        found = axis.direction @ case.plane.matrix if normal is None else project(axis.direction, normal)
        upright = length(found) < 1e-9
        case.projected[key] = f"{axis.line.name} stands perpendicular to the plane" if upright else found
    return case.projected[key]


def plane_normal(case: "Case", plane_id: str) -> np.ndarray | str:
    """Unit normal (3,) LPS of a plane of projection, or why there is none."""
    plane = next(plane for plane in case.protocol.planes if plane.id == plane_id)
    vector = case.turned(np.asarray(plane.vector, dtype=np.float64)) if plane.vector else np.empty(0)
    if plane.axis:
        axis = case.axis(plane.axis)
        if isinstance(axis, str):
            return axis
        if plane.cross:
            normal = cross_product(vector, axis.direction)
        else:
            normal = project(axis.direction, vector / length(vector)) if len(vector) else axis.direction
    else:
        normal = vector
    size = length(normal)
    return (
        normal / size if size > 1e-9 else f"the plane {plane.name} is not defined: its axis is parallel to its vector"
    )


def _variance(case: "Case", axes: list[SolvedAxis], u: np.ndarray, v: np.ndarray, angle: float) -> float | None:
    """Variance of the angle in degrees^2, to first order in the landmarks' spread; None where not known.

    A landmark that turns both axes counts once, with the cosine of the angle between its two effects. The
    plane is taken as fixed.
    """
    if case.variance is None or any(axis.turn is None for axis in axes):
        return None
    a, b = axes[0].turn / length(u), axes[1].turn / length(v)
    squared = a * a + b * b - (2 * math.cos(math.radians(angle))) * a * b
    used = squared.nonzero()[0]
    variance = float(squared.take(used) @ case.variance.take(used))
    return None if math.isnan(variance) else variance * math.degrees(1.0) ** 2


def _interval(value: float, variance: float, signed: bool) -> tuple[float, float]:
    half = NORMAL_95 * variance**0.5
    return (value - half if signed else max(value - half, 0.0)), value + half
