"""The ground plane and the foot axis that a reader sets: markups to turn and drag, part of undo and of the scene."""

import numpy as np
import slicer

from orthoangles.scene.coordinates import flip
from orthoangles.scene.folder import put_beside
from orthoangles.scene.look import style_own_axis, style_own_ground
from orthoangles.scene.session_nodes import landmarks_of

_OF_SESSION = "OrthoAngles.frame_of"


class FrameNode:
    """A markups node of ``class_name`` that belongs to the session of ``parameter_node`` by its ``role``.

    ``node`` is None until the reader asks for it. Undo may take it away and bring it back.
    """

    class_name = role = name = ""

    def __init__(self, parameter_node) -> None:
        self._parameters = parameter_node
        self.node = parameter_node.GetNodeReference(self.role)

    def find(self):
        """The node, also where undo brought it back; None where there is none."""
        if self.node is None:
            scene = self._parameters.GetScene()
            for k in range(scene.GetNumberOfNodesByClass(self.class_name)):
                node = scene.GetNthNodeByClass(k, self.class_name)
                if node.GetAttribute(_OF_SESSION) == self._parameters.GetID():
                    self._adopt(node)
        return self.node

    def make(self):
        """A new node, without any place yet; undo takes it back."""
        scene = self._parameters.GetScene()
        scene.SaveStateForUndo()
        node = scene.CreateNodeByClass(self.class_name)
        node.UnRegister(None)
        node.SetName(self.name)
        node.SetAttribute(_OF_SESSION, self._parameters.GetID())
        node.SetUndoEnabled(True)
        scene.AddNode(node)
        node.CreateDefaultDisplayNodes()
        self._style(node)
        self._adopt(node)
        put_beside(node, landmarks_of(self._parameters))
        return node

    def _style(self, node) -> None:
        """Look of a new node."""

    def _adopt(self, node) -> None:
        self.node = node
        self._parameters.SetNodeReferenceID(self.role, node.GetID())

    def show(self, visible: bool) -> None:
        """Show or hide it."""
        if self.node is not None:
            self.node.SetDisplayVisibility(visible)

    def forget(self) -> None:
        """The node was deleted by somebody else."""
        self.node = None


class GroundPlaneNode(FrameNode):
    """A plane whose normal points up."""

    class_name, role, name = "vtkMRMLMarkupsPlaneNode", "ground", "Ground"

    def _style(self, node) -> None:
        style_own_ground(node.GetDisplayNode())

    def place(self, origin: np.ndarray, axes: np.ndarray, size: tuple[float, float]) -> None:
        """Lay it at ``origin`` (3,) LPS mm with ``axes`` (3, 3), rows across, forward and up; ``size`` in mm."""
        _, forward, up = flip(axes)
        self.node.SetAxesWorld(np.cross(forward, up), forward, up)  # right-handed also where across is lateral
        self.node.SetOriginWorld(*flip(origin))
        self.node.SetSizeWorld(*size)

    def up(self) -> np.ndarray | None:
        """(3,) LPS unit normal; None while it is not placed."""
        if self.node.GetNumberOfDefinedControlPoints() == 0:
            return None
        return flip(np.array(self.node.GetNormalWorld()))


class AxisLineNode(FrameNode):
    """A line from the heel to the toes."""

    class_name, role, name = "vtkMRMLMarkupsLineNode", "axis", "Foot axis"

    def _style(self, node) -> None:
        style_own_axis(node.GetDisplayNode())

    def place(self, heel: np.ndarray, toes: np.ndarray) -> None:
        """Lay it from ``heel`` to ``toes``, (3,) LPS mm."""
        for end, label in ((heel, "heel"), (toes, "toes")):
            self.node.AddControlPointWorld(*flip(end), label)

    def forward(self) -> np.ndarray | None:
        """(3,) LPS from heel to toes; None while an end is not placed."""
        node = self.node
        ends = range(node.GetNumberOfControlPoints())
        if len(ends) < 2 or node.GetNumberOfDefinedControlPoints() < 2:
            return None
        heel, toes = (np.array(node.GetNthControlPointPositionWorld(k)) for k in (0, 1))
        return flip(toes - heel)


POINTS_MOVED = slicer.vtkMRMLMarkupsNode.PointModifiedEvent
