"""How far a point lies from a line, in percent of the line's length, in a plane."""

from typing import TYPE_CHECKING

import numpy as np

from orthoangles.axes import ends_of
from orthoangles.axis_angles import NORMAL_95, in_plane
from orthoangles.outcomes import with_value, without_value
from orthoangles.protocols import MeasurementDefinition
from orthoangles.results import Measurement

if TYPE_CHECKING:
    from orthoangles.measuring_case import Case


def measure_offset(case: "Case", definition: MeasurementDefinition) -> Measurement:
    """The rule ``offset``: distance of ``point`` from the first axis, as projected, in percent of that axis's length.

    Positive on the side to which the second axis points.
    """
    solved = [case.axis(axis_id) for axis_id in definition.axes]
    reasons = [part for part in solved if isinstance(part, str)]
    row = case.plan.points[definition.point]
    absent = [case.protocol.landmark_ids[i] for i in np.flatnonzero((row != 0) & case.missing)]
    reasons += [f"{', '.join(absent)} not placed"] if absent else []
    if reasons:
        return without_value(definition, "; ".join(dict.fromkeys(reasons)))
    projected = in_plane(case, definition, solved)
    if isinstance(projected, str):
        return without_value(definition, projected)
    flat = _Flat(case, definition, normal=projected[2])
    if not flat.sided(solved[1].direction):
        return without_value(definition, f"{solved[1].line.name} runs along {solved[0].line.name}: no side is positive")
    value = 100 * flat.offset
    half = None if case.variance is None else 100 * NORMAL_95 * flat.variance(case.variance) ** 0.5
    interval = None if half is None or np.isnan(half) else (value - half, value + half)
    return with_value(case, definition, value, interval, axes=(solved[0].line,))


class _Flat:
    """Line and point as projected: along the line, and across it."""

    def __init__(self, case: "Case", definition: MeasurementDefinition, normal: np.ndarray | None) -> None:
        axis = case.protocol.axis_by_id[definition.axes[0]]
        self._rows = np.array([*ends_of(case, axis), case.plan.points[definition.point]])
        self._matrix = case.plane.matrix if normal is None else np.eye(3) - np.outer(normal, normal)
        used = (self._rows != 0).any(axis=0)
        start, end, point = self._rows[:, used] @ case.points[used] @ self._matrix
        self._length = float(np.linalg.norm(end - start))
        self._along = (end - start) / self._length
        self._across = (point - start) - (point - start) @ self._along * self._along
        self._part = float((point - start) @ self._along) / self._length
        self.offset = float(np.linalg.norm(self._across)) / self._length

    def sided(self, direction: np.ndarray) -> bool:
        """Give the offset its sign by the side to which ``direction`` (3,) points; False where that names no side."""
        side = direction @ self._matrix
        side = side - side @ self._along * self._along
        if np.linalg.norm(side) < 1e-9:
            return False
        self.offset = float(self._across @ side / np.linalg.norm(side)) / self._length
        return True

    def variance(self, variance: np.ndarray) -> float:
        """Of the offset, to first order; ``variance`` (n,) mm^2 of each landmark in each direction."""
        start, end, point = self._rows
        across = (point - (1 - self._part) * start - self._part * end) / self._length
        along = self.offset * (end - start) / self._length
        effect = across**2 + along**2
        used = effect > 0
        return float(effect[used] @ variance[used])
