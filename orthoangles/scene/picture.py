"""All nodes that show a session's result."""

import numpy as np

from orthoangles.protocols import Protocol
from orthoangles.results import MeasurementResult
from orthoangles.scene import look
from orthoangles.scene.drawing import AngleDrawing, Levels, Midline
from orthoangles.scene.drawn_nodes import DrawnNode
from orthoangles.scene.settings import DrawingSettings
from orthoangles.scene.table import MeasurementTable


class Picture:
    """Table, angles, midline and levels. ``update`` brings all of them up to a result."""

    def __init__(self, parameter_node, protocol: Protocol) -> None:
        self._parameters = parameter_node
        self.table = MeasurementTable(parameter_node, "table", f"{parameter_node.GetName()} table", protocol)
        colors = (look.ANGLES[i % len(look.ANGLES)] for i in _color_order(protocol))
        self.angles = {
            definition.id: AngleDrawing(parameter_node, protocol, definition, color)
            for definition, color in zip(protocol.measurements, colors, strict=True)
        }
        self.midline = Midline(parameter_node, protocol)
        self.levels = Levels(parameter_node, protocol)

    @property
    def line_nodes(self) -> tuple:
        """MRML nodes of the lines: of measurements, then the midline."""
        lines = [line for angle in self.angles.values() for line in angle.lines]
        return _existing(*lines, self.midline.node)

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
        for measurement in result.measurements:
            drawn = measurement if measurement.id in settings.measurements else None
            self.angles[measurement.id].update(drawn, left)
        self.midline.update(points, settings.midline)
        self.levels.update(points, settings.levels, left)

    def forget(self, node) -> None:
        """A node is being deleted: let go of it where it is one of these; the next update makes a new one."""
        for each in self._nodes():
            if each.node is node:
                each.forget()

    def remove(self) -> None:
        """Delete all of them."""
        for each in self._nodes():
            each.remove()

    def _nodes(self) -> tuple[DrawnNode, ...]:
        angles = [node for angle in self.angles.values() for node in angle.nodes]
        return (self.table, *angles, self.midline.node, self.levels.node)


def _color_order(protocol: Protocol) -> list[int]:
    """Measurements that are drawn by default have the first colours, so that these differ."""
    drawn = [definition.id for definition in protocol.measurements if definition.drawn]
    others = [definition.id for definition in protocol.measurements if not definition.drawn]
    order = [*drawn, *others]
    return [order.index(definition.id) for definition in protocol.measurements]


def _existing(*nodes: DrawnNode) -> tuple:
    return tuple(each.node for each in nodes if each.node is not None)
