"""What a session draws of a foot in a volume: bone axes in 3D, and the chosen angle in the plane it was taken in."""

from typing import NamedTuple

import numpy as np

from orthoangles.geometry import cross_product, length
from orthoangles.measuring_case import plan_of
from orthoangles.protocol_checks import OFFSET
from orthoangles.protocols import MeasurementDefinition, Protocol
from orthoangles.results import AxisLine, Measurement
from orthoangles.scene import look
from orthoangles.scene.construction import AngleConstruction, construct_angle
from orthoangles.scene.drawing import AngleDrawing
from orthoangles.scene.drawn_nodes import CurveNode, SheetNode

_SHEET_MARGIN = 8.0  # mm of the angle's plane around its drawing
_LABEL_GAP = 4.0  # mm


class Place(NamedTuple):
    """Where a measurement was taken: the landmarks ``points`` (n, 3) LPS mm and the unit ``normal`` (3,) of its plane.

    ``normal`` is None for a measurement in space.
    """

    points: np.ndarray
    normal: np.ndarray | None


class AngleInSpace(AngleDrawing):
    """One measurement in a volume: as projected onto the plane that it was taken in, amid the bones.

    ``construction`` is what was drawn last, for whoever draws the plane around it.
    """

    def __init__(self, parameter_node, protocol: Protocol, definition: MeasurementDefinition, color) -> None:
        super().__init__(parameter_node, protocol, definition, color)
        self._place = Place(np.empty((0, 3)), None)
        self._weights = plan_of(protocol).points[definition.point] if definition.rule == OFFSET else None
        self.construction: AngleConstruction | None = None
        self.color = color

    def update_in(self, place: Place, measurement: Measurement | None, left: np.ndarray) -> None:
        """Draw the measurement taken there, or hide it where it is None or has no value."""
        self._place = place
        self.update(measurement, left)

    def _drawable(self, measurement: Measurement) -> bool:
        return len(measurement.axes) == (2 if self._weights is None else 1)

    def _ends(self, axes: tuple[AxisLine, ...]) -> np.ndarray:
        """(2, 2, 3) ends as projected; of an offset the line, and the way to the point."""
        lines = np.array([(axis.start, axis.end) for axis in axes])
        normal = self._place.normal
        if self._weights is None:
            return lines if normal is None else _flattened(lines, normal, lines.mean(axis=(0, 1)))
        start, end = lines[0]
        point = self._weights @ np.nan_to_num(self._place.points)
        if normal is not None:
            start, end, point = _flattened(np.array([start, end, point]), normal, (start + end) / 2)
        along = (end - start) / length(end - start)
        return np.array([[start, end], [start + (point - start) @ along * along, point]])

    def _construct(self, ends: np.ndarray, value: float) -> AngleConstruction:
        if self._weights is None:
            self.construction = construct_angle(ends, value, self._near)
        else:
            self.construction = _offset(ends)
        return self.construction


class BoneAxes:
    """The axes that measurements are taken between, as lines in the 3D views, each where it lies in its bone."""

    def __init__(self, parameter_node, protocol: Protocol) -> None:
        used = {axis for definition in protocol.measurements for axis in definition.axes}
        self.curves = {
            axis.id: CurveNode(
                parameter_node, f"axis.{axis.id}", axis.name, look.AXES, 4, opacity=1.0, listed=True, in_slices=False
            )
            for axis in protocol.axes
            if axis.id in used and axis.kind != "direction"
        }
        self._drawn: dict[str, bytes] = {}

    def update(self, measurements: tuple[Measurement, ...], wanted: bool) -> None:
        """Draw the axes of these measurements, or hide them."""
        found = {axis.id: axis for measurement in measurements for axis in measurement.axes} if wanted else {}
        for axis_id, curve in self.curves.items():
            axis = found.get(axis_id)
            if axis is not None:
                ends = np.array((axis.start, axis.end))
                key = ends.tobytes()
                if self._drawn.get(axis_id) != key or curve.node is None:
                    self._drawn[axis_id] = key
                    curve.write(ends)
            curve.show(axis is not None)


class AnglePlane:
    """A sheet in the plane of the chosen measurement, as wide as its drawing."""

    def __init__(self, parameter_node) -> None:
        self.sheet = SheetNode(parameter_node, "plane", "Plane of the angle", look.GROUND, opacity=0.22)
        self._drawn: AngleConstruction | None = None

    def hide(self) -> None:
        """Nothing is chosen, or it has no value."""
        self.sheet.show(False)

    def update(self, angle: AngleInSpace, normal: np.ndarray | None, name: str) -> None:
        """Lay the sheet through what was drawn of the angle, across ``normal`` (3,).

        Without a normal it is the plane in which the arc turns; parallel lines have none.
        """
        if angle.construction is not self._drawn or self.sheet.node is None:
            self._drawn, corners = angle.construction, _sheet(angle.construction, normal)
            if corners is None:
                self._drawn = None
                self.hide()
                return
            self.sheet.write(corners, name, angle.color)
        self.sheet.show(True)


def _flattened(points: np.ndarray, normal: np.ndarray, through: np.ndarray) -> np.ndarray:
    """(..., 3) points on the plane across ``normal`` that passes ``through``."""
    return points - ((points - through) @ normal)[..., None] * normal


def _offset(ends: np.ndarray) -> AngleConstruction:
    """The line, and as a leg the way from it to the point."""
    foot, point = ends[1]
    way = point - foot
    reach = length(way)
    outward = way / reach if reach > 0 else np.zeros(3)
    label = point + _LABEL_GAP * outward
    return AngleConstruction(lines=ends, legs=ends[1:], arc=np.array([foot, point]), label=label, outward=outward)


def _sheet(construction: AngleConstruction, normal: np.ndarray | None) -> np.ndarray | None:
    """Corners (4, 3) of the plane through the drawing; None where parallel lines name no plane."""
    first, second = construction.lines
    along = first[1] - first[0]
    if normal is None:
        normal = cross_product(along, second[1] - second[0])
    across = cross_product(normal, along)
    lengths = length(along), length(across)
    if min(lengths) < 1e-9:
        return None
    axes = np.array([along / lengths[0], across / lengths[1]])
    points = np.concatenate((construction.lines.reshape(-1, 3), construction.legs.reshape(-1, 3), construction.arc))
    places = (points - first[0]) @ axes.T
    low, high = places.min(axis=0) - _SHEET_MARGIN, places.max(axis=0) + _SHEET_MARGIN
    corners = np.array([low, (high[0], low[1]), high, (low[0], high[1])])
    return first[0] + corners @ axes
