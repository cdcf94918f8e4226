"""All nodes that show a session's result: on a radiograph, and in a volume."""

import numpy as np

from orthoangles.measurement_frame import frame_axes
from orthoangles.measuring_case import Case
from orthoangles.protocols import Protocol
from orthoangles.results import MeasurementResult
from orthoangles.scene import look
from orthoangles.scene.drawing import AngleDrawing, Levels, Midline
from orthoangles.scene.drawn_nodes import DrawnNode
from orthoangles.scene.frame_drawing import FrameDrawing
from orthoangles.scene.frame_settings import PLANE
from orthoangles.scene.reader_frame import ReaderFrame
from orthoangles.scene.settings import DrawingSettings
from orthoangles.scene.space_drawing import AngleInSpace, AnglePlane, BoneAxes, Place
from orthoangles.scene.table import MeasurementTable


class Picture:
    """Table and angles on a radiograph, midline and levels. ``update`` brings all of them up to a result."""

    angle_drawing = AngleDrawing

    def __init__(self, parameter_node, protocol: Protocol) -> None:
        self._parameters = parameter_node
        self.table = MeasurementTable(parameter_node, "table", f"{parameter_node.GetName()} table", protocol)
        self.angles = {
            definition.id: self.angle_drawing(parameter_node, protocol, definition, color)
            for definition, color in zip(protocol.measurements, look.colors_of(protocol), strict=True)
        }
        self.midline = Midline(parameter_node, protocol)
        self.levels = Levels(parameter_node, protocol)

    @property
    def line_nodes(self) -> tuple:
        """MRML nodes of the lines: of measurements, then the midline or the axes of the bones."""
        lines = [line for angle in self.angles.values() for line in angle.lines]
        return _existing(*lines, *self._other_lines())

    @property
    def arc_nodes(self) -> tuple:
        """MRML nodes of the arcs."""
        return _existing(*(angle.arc for angle in self.angles.values()))

    @property
    def label_nodes(self) -> tuple:
        """MRML nodes of the numbers."""
        return _existing(*(angle.label for angle in self.angles.values()))

    def update(self, points: np.ndarray, result: MeasurementResult, settings: DrawingSettings, left) -> None:
        """Show a result for the (n, 3) LPS landmarks; ``left`` is the LPS unit vector to the left of the image."""
        self.table.write(result)
        self._show_angles(points, result, settings, left)
        self.midline.update(points, settings.midline)
        self.levels.update(points, settings.levels, left)

    def _show_angles(self, _points, result, settings, left) -> None:
        for measurement in result.measurements:
            drawn = measurement if measurement.id in settings.measurements else None
            self.angles[measurement.id].update(drawn, left)

    def forget(self, node) -> None:
        """A node is being deleted: let go of it where it is one of these; the next update makes a new one."""
        for each in self._nodes():
            if each.node is node:
                each.forget()

    def remove(self) -> None:
        """Delete all of them."""
        for each in self._nodes():
            each.remove()

    def _other_lines(self) -> tuple[DrawnNode, ...]:
        return (self.midline.node,)

    def _nodes(self) -> tuple[DrawnNode, ...]:
        angles = [node for angle in self.angles.values() for node in angle.nodes]
        return (self.table, *angles, self.midline.node, self.levels.node)


class SpacePicture(Picture):
    """The same in a volume, with the axes of the bones, the plane of the chosen angle and the frame of measurement."""

    angle_drawing = AngleInSpace

    def __init__(self, parameter_node, protocol: Protocol, reader_frame: ReaderFrame) -> None:
        super().__init__(parameter_node, protocol)
        self._protocol, self._reader_frame = protocol, reader_frame
        self.axes = BoneAxes(parameter_node, protocol)
        self.plane = AnglePlane(parameter_node)
        self.frame = FrameDrawing(parameter_node)

    def update(self, points: np.ndarray, result: MeasurementResult, settings: DrawingSettings, left) -> None:
        """Show a result, measured in ``result.frame``."""
        super().update(points, result, settings, left)
        self.axes.update(result.measurements, settings.axes)
        chosen = self._reader_frame.settings
        layout = frame_axes(self._protocol, points, result.frame) if chosen.shown else ""
        self.frame.update(None if isinstance(layout, str) else layout, points, chosen.ground == PLANE)

    def _show_angles(self, points, result, settings, left) -> None:
        case = Case(self._protocol, points, frame=result.frame)
        chosen_has_value = False
        for measurement in result.measurements:
            chosen = measurement.id == settings.chosen
            known = measurement.value is not None and (chosen or measurement.id in settings.measurements)
            angle = self.angles[measurement.id]
            if not known:
                angle.update(None, left)
                continue
            normal = case.normal(measurement.plane) if measurement.plane is not None else None
            angle.update_in(Place(points, normal), measurement, left)
            if chosen:
                chosen_has_value = True
                self.plane.update(angle, normal, f"{measurement.name}: {measurement.plane or 'in space'}")
        if not chosen_has_value:
            self.plane.hide()

    def _other_lines(self) -> tuple[DrawnNode, ...]:
        return tuple(self.axes.curves.values())

    def _nodes(self) -> tuple[DrawnNode, ...]:
        return (*super()._nodes(), *self.axes.curves.values(), self.plane.sheet, *self.frame.nodes)


def _existing(*nodes: DrawnNode) -> tuple:
    return tuple(each.node for each in nodes if each.node is not None)
