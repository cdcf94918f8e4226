"""Everything a session draws on the image: measured lines, arcs with numbers, the midline and the names of levels."""

import math

import numpy as np

from orthoangles.protocol_checks import ANGLE
from orthoangles.protocols import MeasurementDefinition, Protocol
from orthoangles.results import AxisLine, Measurement
from orthoangles.scene import look
from orthoangles.scene.construction import LONG_BONES, NEAR, AngleConstruction, construct_angle
from orthoangles.scene.drawn_nodes import CurveNode, DrawnNode, TextNode
from orthoangles.scene.table import UNITS


class AngleDrawing:
    """One measurement on the image: two lines, an arc and the number."""

    def __init__(self, parameter_node, protocol: Protocol, definition: MeasurementDefinition, color) -> None:
        self._protocol = protocol
        self._short = definition.abbreviation or definition.name
        self._near = LONG_BONES if definition.rule == ANGLE else NEAR
        key, short = definition.id, self._short
        self.lines = [
            CurveNode(parameter_node, f"{key}.line{i}", f"{short} line {i}", color, thickness=2, listed=True)
            for i in (1, 2)
        ]
        self.legs = CurveNode(parameter_node, f"{key}.legs", f"{short} legs", color, thickness=1, opacity=0.8)
        self.arc = CurveNode(parameter_node, f"{key}.arc", f"{short} arc", color, thickness=3, listed=True)
        self.label = TextNode(
            parameter_node, f"{key}.label", f"{short} value", color, scale=3.6, on_all_slices=protocol.dimension == 3
        )
        self.nodes: tuple[DrawnNode, ...] = (*self.lines, self.legs, self.arc, self.label)
        self._bones: dict[tuple[str, ...], str] = {}
        self._shown = True
        self._drawn: tuple[bytes, float] | None = None
        self._ends_drawn: np.ndarray | None = None

    @property
    def place(self) -> np.ndarray | None:
        """(3,) LPS mm amid the lines; None while the measurement is not drawn."""
        return self._ends_drawn.mean(axis=(0, 1)) if self._shown and self._ends_drawn is not None else None

    def update(self, measurement: Measurement | None, left: np.ndarray) -> None:
        """Draw the measurement, or hide everything where it is None or has no lines.

        ``left`` (3,) is the LPS direction to the left of the image.
        """
        visible = measurement is not None and measurement.value is not None and self._drawable(measurement)
        if visible:
            self._draw(measurement, left)
        if visible or self._shown:
            for each in self.nodes:
                each.show(visible)
        self._shown = visible

    def _drawable(self, measurement: Measurement) -> bool:
        return len(measurement.axes) == 2

    def _ends(self, axes: tuple[AxisLine, ...]) -> np.ndarray:
        """(2, 2, 3) LPS ends of the two lines to draw."""
        first, second = axes
        return np.concatenate((first.start, first.end, second.start, second.end)).reshape(2, 2, 3)

    def _construct(self, ends: np.ndarray, value: float) -> AngleConstruction:
        return construct_angle(ends, value, self._near)

    def _draw(self, measurement: Measurement, left: np.ndarray) -> None:
        ends = self._ends(measurement.axes)
        wanted = (ends.tobytes(), measurement.value)
        if wanted == self._drawn and all(each.node is not None for each in self.nodes):
            return
        self._drawn = wanted
        self._ends_drawn = ends
        drawing = self._construct(ends, measurement.value)
        names = [axis.name for axis in measurement.axes] + [measurement.name]
        for node, line, name in zip(self.lines, drawing.lines, names, strict=False):
            node.write(line, name=f"{self._short}: {name}")
        self.legs.write(*drawing.legs)
        self.arc.write(drawing.arc)
        unit = UNITS.get(measurement.unit, f" {measurement.unit}")
        text = f"{self._short} {measurement.value:.1f}{unit}{self._bones_of(measurement.axes)}"
        self.label.write(drawing.label[None], [text], to_the_left=bool(drawing.outward @ left > 0))

    def _bones_of(self, axes: tuple[AxisLine, ...]) -> str:
        """Between which vertebrae the angle lies, for example T5-T12; empty where an axis belongs to several."""
        if not self._protocol.columns:
            return ""
        key = tuple(axis.id for axis in axes)
        if key not in self._bones:
            names = [self._bone_of(axis) for axis in axes]
            self._bones[key] = "\n" + "–".join(names) if all(names) else ""
        return self._bones[key]

    def _bone_of(self, axis: AxisLine) -> str:
        definition = self._protocol.axis_by_id.get(axis.id)
        names = () if definition is None else (*definition.start, *definition.end, *definition.points)
        landmarks = self._protocol.landmark_ids
        bones = {self._protocol.landmark(name).group for name in names if name in landmarks}
        return bones.pop() if len(bones) == 1 else ""


class Midline:
    """The line through the centres of each column's vertebrae; a vertebra with a missing corner is left out."""

    def __init__(self, parameter_node, protocol: Protocol) -> None:
        self._columns = [
            np.array([[protocol.index(corner) for corner in vertebra.corners] for vertebra in column.vertebrae])
            for column in protocol.columns
        ]
        self.node = CurveNode(parameter_node, "midline", "Midline", look.MIDLINE, thickness=1, opacity=0.6)

    def update(self, points: np.ndarray, wanted: bool) -> None:
        """Draw it through the (n, 3) LPS landmarks, or hide it."""
        lines = [self._centres(points.take(rows, axis=0)) for rows in self._columns] if wanted else []
        lines = [line for line in lines if len(line) > 1]
        if lines:
            self.node.write(*lines)
        self.node.show(bool(lines))

    @staticmethod
    def _centres(corners: np.ndarray) -> np.ndarray:
        tl, tr, bl, br = corners.transpose(1, 0, 2)
        centres = (tl + tr + bl + br) / 4
        placed = [x == x for x in centres[:, 0].tolist()]  # NaN equals nothing
        return centres if all(placed) else centres[placed]


class Levels:
    """The names of the bones, each once, at the left of its landmarks as seen in the image."""

    _GAP = 0.62  # from the bone's middle to the end of its name, in bone widths

    def __init__(self, parameter_node, protocol: Protocol) -> None:
        members = {group.id: [] for group in protocol.groups}
        for index, landmark in enumerate(protocol.landmarks):
            members[landmark.group].append(index)
        self._names = np.array(list(members))
        widest = max(map(len, members.values()))
        # Groups of unequal size are padded by their own first landmark: that changes neither minimum nor maximum.
        self._rows = np.array([rows + rows[:1] * (widest - len(rows)) for rows in members.values()])
        self.node = TextNode(parameter_node, "levels", "Levels", look.LEVELS, scale=2.4)
        self._bone = {row: bone for bone, rows in enumerate(self._rows.tolist()) for row in rows}
        self._drawn: np.ndarray | None = None
        self._all_placed = False

    def update(self, points: np.ndarray, wanted: bool, left: np.ndarray) -> None:
        """Write the names beside the (n, 3) LPS landmarks; ``left`` is the unit vector to the left of the image."""
        if wanted:
            wanted = self._draw(points, left)
        self.node.show(wanted)

    def _draw(self, points: np.ndarray, left: np.ndarray) -> bool:
        """Bring the node up to the landmarks; False where no bone has all of its own."""
        before, self._drawn = self._drawn, points
        if before is not None and self.node.node is not None and self._all_placed:
            bones = {self._bone[i // 3] for i in np.flatnonzero(points != before).tolist()}
            if not bones:
                return True
            if len(bones) == 1:
                bone = bones.pop()
                anchor = self._anchor(points[self._rows[bone]], left)
                if not math.isnan(anchor[0]):
                    self.node.move(bone, anchor)
                    return True
        anchors = np.array([self._anchor(corners, left) for corners in points[self._rows]])
        placed = ~np.isnan(anchors[:, 0])
        self._all_placed = bool(placed.all())
        if placed.any():
            self.node.write(anchors[placed], self._names[placed].tolist(), to_the_left=True)
        return bool(placed.any())

    def _anchor(self, corners: np.ndarray, left: np.ndarray) -> list[float]:
        """End [x, y, z] of the name of a bone with the landmarks ``corners`` (k, 3); NaN where one is missing."""
        across = (corners @ left).tolist()
        if any(map(math.isnan, across)):
            return [math.nan] * 3
        gap = self._GAP * (max(across) - min(across))
        axes = zip(corners.T.tolist(), left.tolist(), strict=True)
        return [(min(places) + max(places)) / 2 + gap * to_the_left for places, to_the_left in axes]
