"""Axes of a protocol, found from landmarks."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from orthoangles.geometry import length, welsch_line_fit
from orthoangles.protocols import Axis, Protocol
from orthoangles.results import AxisLine

if TYPE_CHECKING:
    from orthoangles.measuring_case import Case

_NOISE = 0.03
"""Noise of a point as a share of its axis' length where millimetres are not known: 1 mm on a metatarsal (inferred)."""


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


class LinePlan(NamedTuple):
    """What is fixed of the k axes of kind ``line``.

    ``order``: place of each axis id. ``ends`` (2k, n): weights over the landmarks that make all starts, then all ends.
    ``used`` (k, n): landmarks that an axis needs.
    """

    order: Mapping[str, int]
    ends: np.ndarray
    used: np.ndarray


def line_plan(protocol: Protocol, rows: Mapping[str, np.ndarray]) -> LinePlan:
    """The plan of a protocol; ``rows`` as :func:`point_rows` gives them."""
    axes = [axis for axis in protocol.axes if axis.kind == "line"]
    sides = [
        np.array([_mean(rows, getattr(axis, side)) for axis in axes]).reshape(-1, len(protocol.landmarks))
        for side in ("start", "end")
    ]
    # An end made from several points needs each of them, also where their weights cancel at the other end.
    used = (sides[0] != 0) | (sides[1] != 0)
    return LinePlan({axis.id: k for k, axis in enumerate(axes)}, np.concatenate(sides), used)


def _mean(rows: Mapping[str, np.ndarray], point_ids: tuple[str, ...]) -> np.ndarray:
    return np.mean([rows[point_id] for point_id in point_ids], axis=0)


class SolvedLines:
    """The axes of kind ``line`` of one call, all at once."""

    def __init__(self, plan: LinePlan, points: np.ndarray, missing: np.ndarray) -> None:
        """``points`` (n, 3) LPS mm and which of them are ``missing`` (n,)."""
        self._plan = plan
        self._missing = missing if missing.any() else None
        # Landmarks that an axis does not need have weight 0, but 0 * NaN is NaN.
        placed = points if self._missing is None else np.where(missing[:, None], 0.0, points)
        k = len(plan.order)
        places = plan.ends @ placed
        self._starts, self._ends = places[:k], places[k:]
        along = self._ends - self._starts
        self._lengths = np.sqrt((along * along).sum(axis=1))
        divisors = np.where(self._lengths > 0, self._lengths, 1.0)[:, None]
        self._directions = along / divisors
        self._turns = (plan.ends[k:] - plan.ends[:k]) / divisors

    def solve(self, axis: Axis, landmark_ids: tuple[str, ...]) -> SolvedAxis | str:
        """One of them, or the reason why it cannot be had."""
        k = self._plan.order[axis.id]
        if self._missing is not None:
            absent = np.flatnonzero(self._plan.used[k] & self._missing)
            if len(absent):
                return f"{', '.join(landmark_ids[i] for i in absent)} not placed"
        if self._lengths[k] == 0:
            return f"the ends of {axis.name} coincide"
        line = AxisLine(axis.id, axis.name, self._starts[k], self._ends[k])
        return SolvedAxis(line, self._directions[k], self._turns[k])


def solve_axis(case: "Case", axis: Axis) -> SolvedAxis | str:
    """The axis, or the reason why it cannot be had."""
    if axis.id in case.plan.planes_axes and case.frame is not None and case.frame.ahead is not None:
        return _across_all(case, axis, case.frame.ahead, "axis of the foot, as set")
    return _SOLVERS[axis.kind](case, axis)


def _line(case: "Case", axis: Axis) -> SolvedAxis | str:
    return case.lines.solve(axis, case.protocol.landmark_ids)


def ends_of(case: "Case", axis: Axis) -> tuple[np.ndarray, np.ndarray]:
    """Weights (n,) over the landmarks that make the start and the end of an axis of kind ``line``."""
    plan = case.plan.lines
    k = plan.order[axis.id]
    return plan.ends[k], plan.ends[k + len(plan.order)]


def _fitted(case: "Case", axis: Axis) -> SolvedAxis | str:
    rows = np.array([case.plan.points[point_id] for point_id in axis.points])
    used = (rows != 0).any(axis=0)
    absent = np.flatnonzero(used & case.missing)
    if len(absent):
        return f"{', '.join(case.protocol.landmark_ids[i] for i in absent)} not placed"
    handles = rows[:, used] @ case.points[used]
    extra = np.asarray(case.foreground.get(axis.id, np.empty((0, 3))), dtype=np.float64)
    points = np.vstack([handles, extra])
    if not np.ptp(points, axis=0).any():
        return f"the points of {axis.name} coincide"
    size = length(handles[-1] - handles[0])
    fit = welsch_line_fit(points, scale=axis.scale if case.in_mm or not size else _NOISE * size)
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
    vector = case.plane.matrix @ vector[:2] if case.protocol.dimension == 2 else case.turned(vector)
    size = length(vector)
    if size == 0:
        return f"{axis.name} has no direction in the image plane"
    if axis.towards:
        return _towards(case, axis, vector / size)
    return _across_all(case, axis, vector / size, axis.name)


def _across_all(case: "Case", axis: Axis, direction: np.ndarray, name: str) -> SolvedAxis:
    """An axis of that unit direction (3,), which no landmark turns, drawn through the middle of all that are placed."""
    placed = case.points[~case.missing]
    centre = placed.mean(axis=0) if len(placed) else np.zeros(3)
    reach = np.abs((placed - centre) @ direction).max(initial=1.0)
    line = AxisLine(axis.id, name, centre - reach * direction, centre + reach * direction)
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
    size = length(direction)
    if size < 1e-9:
        return f"the axes of {axis.name} point opposite ways"
    direction = direction / size
    centre = (a.line.start + a.line.end + b.line.start + b.line.end) / 4
    half = (np.linalg.norm(a.line.end - a.line.start) + np.linalg.norm(b.line.end - b.line.start)) / 4
    turn = None if a.turn is None or b.turn is None else (a.turn + b.turn) / 2
    line = AxisLine(axis.id, axis.name, centre - half * direction, centre + half * direction)
    return SolvedAxis(line, direction, turn)


_SOLVERS = {"line": _line, "fit": _fitted, "direction": _fixed, "bisector": _bisector}
