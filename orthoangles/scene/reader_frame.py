"""The frame that a volume is measured in: what the reader chose, and what follows from it for given landmarks."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from orthoangles.measurement_frame import MeasurementFrame, frame_axes, ground_from_points
from orthoangles.protocols import Protocol
from orthoangles.scene.drawn_nodes import remove_with_display
from orthoangles.scene.frame_nodes import POINTS_MOVED, AxisLineNode, GroundPlaneNode
from orthoangles.scene.frame_settings import LANDMARKS, LINE, PLANE, SCANNER, FrameSettings
from orthoangles.scene.observing import Observers

_UP, _FORWARD = np.array([0.0, 0.0, 1.0]), np.array([0.0, -1.0, 0.0])
_MARGIN = 15.0  # mm of ground around the landmarks
_SMALLEST = 120.0  # mm


class FrameState(NamedTuple):
    """``frame`` to measure in; ``notes``: why it is not what the reader chose, one sentence each."""

    frame: MeasurementFrame
    notes: tuple[str, ...] = ()


class ReaderFrame:
    """Ground and axis of one session. ``changed()`` is called when the reader turns the plane or drags the line."""

    def __init__(self, parameter_node, protocol: Protocol, changed: Callable[[], None]) -> None:
        self._parameters, self._protocol, self._changed = parameter_node, protocol, changed
        self.settings = FrameSettings.read(parameter_node)
        self.ground, self.axis = GroundPlaneNode(parameter_node), AxisLineNode(parameter_node)
        self._observers = Observers()
        self._states: dict[tuple, FrameState] = {}
        self._follow()

    def choose(self, settings: FrameSettings, points: np.ndarray, centre: np.ndarray) -> None:
        """Take the reader's choice; a plane or line that is asked for and not there is laid along the present frame.

        ``points`` (n, 3) LPS mm are the landmarks, NaN where missing; ``centre`` (3,) that of the image.
        """
        before = self.state(points).frame
        if settings.ground == PLANE and self.ground.find() is None:
            self.ground.make()
            self.ground.place(*_patch(*self._layout(points, before, centre)))
        if settings.axis == LINE and self.axis.find() is None:
            self.axis.make()
            self.axis.place(*_middle_line(*self._layout(points, before, centre)))
        self.settings = settings
        settings.write(self._parameters)
        self._follow()

    def state(self, points: np.ndarray) -> FrameState:
        """The frame for (n, 3) LPS mm landmarks. What cannot be had is left out, and said."""
        up, ground, ground_note = self._up(points)
        forward, axis_note = self._forward()
        notes = tuple(note for note in (ground_note, axis_note) if note)
        key = (up.tobytes(), ground, None if forward is None else forward.tobytes(), notes)
        if key not in self._states:
            self._states = {key: _state(up, ground, forward, notes)}
        return self._states[key]

    def _up(self, points: np.ndarray) -> tuple[np.ndarray, str, str]:
        """(3,) LPS, where it comes from in the frame's words, and why it is not what was chosen."""
        if self.settings.ground == PLANE:
            up = None if self.ground.node is None else self.ground.up()
            if up is not None:
                return up, "reader", ""
            return _UP, SCANNER, "the ground plane is not placed: the scanner's vertical is taken"
        if self.settings.ground == LANDMARKS:
            up = ground_from_points(self._protocol, points)
            if isinstance(up, str):
                return _UP, SCANNER, f"{up}: the scanner's vertical is taken"
            return up, LANDMARKS, ""
        return _UP, SCANNER, ""

    def _forward(self) -> tuple[np.ndarray | None, str]:
        if self.settings.axis != LINE:
            return None, ""
        forward = None if self.axis.node is None else self.axis.forward()
        return forward, "the line of the axis is not placed: that of the landmarks is taken" if forward is None else ""

    def _layout(self, points: np.ndarray, frame: MeasurementFrame, centre: np.ndarray):
        """(origin (3,), axes (3, 3), points (k, 3)) to lay a plane or line by, also where landmarks are missing."""
        placed = points[~np.isnan(points[:, 0])]
        found = frame_axes(self._protocol, points, frame)
        if isinstance(found, str):
            up = np.array(frame.up)
            across = np.cross(_FORWARD, up)
            across /= np.linalg.norm(across)
            found = centre, np.array([across, np.cross(up, across), up])
        return *found, placed if len(placed) else centre[None]

    # Nodes that come, change and go

    def _follow(self) -> None:
        """Watch and show the nodes that are in use."""
        self._observers.remove_all()
        for each, used in self._use():
            if used and each.find() is not None:
                self._observers.add(each.node, POINTS_MOVED, self._on_moved)
            each.show(used and self.settings.shown)

    def _use(self) -> tuple[tuple, ...]:
        return (self.ground, self.settings.ground == PLANE), (self.axis, self.settings.axis == LINE)

    def _on_moved(self, _node, _event) -> None:
        self._changed()

    def forget(self, node) -> bool:
        """A node is being deleted: True where the frame stood on it, which then falls back to the landmarks'."""
        for each, used in self._use():
            if each.node is node:
                each.forget()
                if used:
                    self._fall_back(each)
                return used
        return False

    def _fall_back(self, gone) -> None:
        chosen = self.settings
        ground = chosen.ground if gone is self.axis else FrameSettings.ground
        axis = chosen.axis if gone is self.ground else FrameSettings.axis
        self.settings = FrameSettings(ground, axis, chosen.shown)
        self.settings.write(self._parameters)
        self._follow()

    def end(self) -> None:
        """Stop watching."""
        self._observers.remove_all()

    def remove(self) -> None:
        """Delete the nodes."""
        self.end()
        for each in (self.ground, self.axis):
            node, each.node = each.find(), None
            if node is not None and node.GetScene() is not None:
                remove_with_display(node)


def _state(up: np.ndarray, ground: str, forward: np.ndarray | None, notes: tuple[str, ...]) -> FrameState:
    try:
        return FrameState(MeasurementFrame(tuple(up), None if forward is None else tuple(forward), ground), notes)
    except ValueError:  # the line stands upright on the ground, or has no length
        note = "the line of the axis does not run along the ground: the axis of the landmarks is taken"
        return FrameState(MeasurementFrame(tuple(up), ground=ground), (*notes, note))


def ground_patch(origin: np.ndarray, axes: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(low, high), (3,) each: coordinates along ``axes`` from ``origin`` of the box around (k, 3) LPS mm points."""
    along = (points - origin) @ axes.T
    return along.min(axis=0), along.max(axis=0)


def _patch(origin: np.ndarray, axes: np.ndarray, points: np.ndarray):
    """Where to lay a plane: its middle, axes and size."""
    low, high = ground_patch(origin, axes, points)
    middle = (low + high) / 2
    middle[2] = low[2]
    width, length, _ = np.maximum(high - low + 2 * _MARGIN, _SMALLEST)
    return origin + middle @ axes, axes, (float(width), float(length))


def _middle_line(origin: np.ndarray, axes: np.ndarray, points: np.ndarray):
    """Where to lay a line: from behind the heel to before the toes, on the level of the origin."""
    low, high = ground_patch(origin, axes, points)
    start, end = low[1] - _MARGIN, max(high[1] + _MARGIN, low[1] - _MARGIN + _SMALLEST)
    return origin + start * axes[1], origin + end * axes[1]
