"""Angles of the protocols as goals of a pose: their value on a posed foot, and how they follow each landmark."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from orthoangles.axis_angles import measure_angle, plane_normal, positive_turn
from orthoangles.errors import SimulationError
from orthoangles.measuring_case import Case
from orthoangles.protocols import MeasurementDefinition, Protocol, load_protocol

_STEP = 1e-3
"""mm: step of the numerical derivative of a projection."""


@dataclass(frozen=True, eq=False)
class AngleInView:
    """The signed angle ``measurement`` of ``protocol``; ``camera`` makes its 2D points (None for a 3D protocol)."""

    protocol: Protocol
    measurement: str
    camera: Any = None

    @classmethod
    def of(cls, protocol_id: str, measurement: str, cameras: Mapping[str, Any]) -> "AngleInView":
        """From ids; ``cameras``: view ("ap", "lateral") -> camera."""
        protocol = load_protocol(protocol_id)
        if protocol.dimension == 3:
            return cls(protocol, measurement)
        return cls(protocol, measurement, cameras["lateral" if "lateral" in protocol_id else "ap"])

    @cached_property
    def definition(self) -> MeasurementDefinition:
        """The measurement's definition."""
        return next(d for d in self.protocol.measurements if d.id == self.measurement)

    def value(self, landmarks: Mapping[str, np.ndarray]) -> float:
        """Degrees, on landmarks id -> (3,) mm in the standing frame of a right foot."""
        return self._measured(self._case(self._points(landmarks)))

    def gradient(self, landmarks: Mapping[str, np.ndarray]) -> tuple[float, dict[str, np.ndarray]]:
        """The value in degrees, and landmark id -> its derivative (3,) in degrees per mm.

        To first order and with the plane of projection held fixed, which is enough to step towards a goal. Raises
        SimulationError where the landmarks do not tell the angle's sign.
        """
        case = self._case(self._points(landmarks))
        value = self._measured(case)
        turning = self._turning(case)
        used = np.flatnonzero(np.abs(turning).sum(axis=1) > 0)
        ids = self.protocol.landmark_ids
        if self.camera is None:
            turning = turning * (-1.0, -1.0, 1.0)
            return value, {ids[i]: turning[i] for i in used}
        projected = self._projections(np.array([landmarks[ids[i]] for i in used]).reshape(-1, 3))
        return value, {ids[i]: turning[i, :2] @ each for i, each in zip(used, projected, strict=True)}

    def _points(self, landmarks: Mapping[str, np.ndarray]) -> np.ndarray:
        standing = np.array([landmarks.get(name, np.full(3, np.nan)) for name in self.protocol.landmark_ids])
        return lps(standing) if self.camera is None else in_image(standing, self.camera)

    def _case(self, points: np.ndarray) -> Case:
        """What value and derivative share: the axes, fitted once."""
        return Case(self.protocol, points, laterality="R")

    def _measured(self, case: Case) -> float:
        value = measure_angle(case, self.definition).value
        return np.nan if value is None else float(value)

    def _turning(self, case: Case) -> np.ndarray:
        """Degrees by which the angle grows when each point (n, 3) moves 1 mm along each axis."""
        first, second = (case.axis(axis) for axis in self.definition.axes)
        normal = self._normal(case)
        growth = np.zeros_like(case.points)
        for axis, sign in ((second, 1.0), (first, -1.0)):
            projected = axis.direction - (axis.direction @ normal) * normal
            length = np.linalg.norm(projected)
            growth += sign * axis.turn[:, None] / length * np.cross(normal, projected / length)
        return np.degrees(growth) * self._sign(case)

    def _sign(self, case: Case) -> int:
        """+1 or -1: whether the angle grows or falls where its second axis turns about the normal."""
        turn = positive_turn(case, self.definition)
        if isinstance(turn, str):
            raise SimulationError(f"{self.measurement}: {turn}")
        return turn

    def _normal(self, case: Case) -> np.ndarray:
        if self.definition.plane in ("image", None):
            return np.array([0.0, 0.0, 1.0])
        return plane_normal(case, self.definition.plane)

    def _projections(self, points: np.ndarray) -> np.ndarray:
        """Derivatives (n, 2, 3) of the places of points (n, 3) in the image."""
        steps = points[:, None] + _STEP * np.vstack([np.eye(3), -np.eye(3)])
        pixels = self.camera.project(steps)
        return (pixels[:, :3] - pixels[:, 3:]).swapaxes(1, 2) / (2 * _STEP)


def lps(standing: np.ndarray) -> np.ndarray:
    """Points of a right foot's standing frame (..., 3) in LPS: lateral is the patient's right, -x."""
    return standing * (-1.0, -1.0, 1.0)


def in_image(standing: np.ndarray, camera: Any) -> np.ndarray:
    """Points (n, 3) mm as (n, 3) points of the image: column, row, 0."""
    return np.column_stack([camera.project(standing), np.zeros(len(standing))])
