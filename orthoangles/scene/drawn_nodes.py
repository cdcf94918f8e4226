"""Nodes that only show a result: locked, out of reach of the mouse, and re-created where a user deletes them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import vtk

from orthoangles.scene.coordinates import PointBuffer
from orthoangles.scene.folder import put_beside
from orthoangles.scene.look import (
    run_text,
    style_curve,
    style_in_space,
    style_surface,
    style_text,
    style_text_in_space,
)
from orthoangles.scene.session_nodes import landmarks_of

ROLE = "OrthoAngles.role"


def remove_with_display(node) -> None:
    """Delete a node and the display nodes that show nothing else: MRML keeps those."""
    scene = node.GetScene()
    count = node.GetNumberOfDisplayNodes() if node.IsA("vtkMRMLDisplayableNode") else 0
    displays = [node.GetNthDisplayNode(k) for k in range(count)]
    scene.RemoveNode(node)
    for display in displays:
        if display is not None and display.GetScene() is not None and display.GetDisplayableNode() is None:
            scene.RemoveNode(display)


class DrawnNode:
    """A node of ``class_name`` known by its ``role`` and referred to by the session's parameter node.

    ``listed`` nodes appear in Slicer's lists. ``get`` gives the node, making it where it is missing: a session keeps
    no node alive and no pointer to one deleted.
    """

    class_name = ""

    def __init__(self, parameter_node, role: str, name: str, listed: bool = False) -> None:
        self._parameters = parameter_node
        self._listed = listed
        self.role = role
        self.name = name
        self._visible: bool | None = None
        self.node = parameter_node.GetNodeReference(role)
        if self.node is not None:
            self._adopt()

    def get(self):
        """The node; a new one where there is none."""
        if self.node is None:
            self.node = self._make(self._parameters.GetScene())
            self._parameters.SetNodeReferenceID(self.role, self.node.GetID())
            self._style()
            self._adopt()
        return self.node

    def _make(self, scene):
        node = scene.CreateNodeByClass(self.class_name)
        node.UnRegister(None)
        node.SetName(self.name)
        node.SetAttribute(ROLE, self.role)
        node.SetHideFromEditors(not self._listed)
        scene.AddNode(node)
        if self._listed:
            put_beside(node, landmarks_of(self._parameters))
        return node

    def show(self, visible: bool) -> None:
        """Show or hide; never makes a node."""
        if self.node is not None and visible != self._visible:
            self._visible = visible
            self.node.SetDisplayVisibility(visible)

    def forget(self) -> None:
        """The node was deleted by somebody else."""
        self.node = self._visible = None

    def remove(self) -> None:
        """Delete the node."""
        node, self.node = self.node, None
        if node is not None and node.GetScene() is not None:
            remove_with_display(node)

    def _style(self) -> None:
        """Look of a new node."""

    def _adopt(self) -> None:
        """Take up a node, new or from a file."""


class TextNode(DrawnNode):
    """Words on the image; ``write`` takes their (n, 3) LPS anchors and texts."""

    class_name = "vtkMRMLMarkupsFiducialNode"

    def __init__(self, parameter_node, role: str, name: str, color, scale: float, *, on_all_slices=False) -> None:
        self._buffer = PointBuffer(1)
        self._color, self._scale, self._on_all_slices = color, scale, on_all_slices
        super().__init__(parameter_node, role, name)

    def _style(self) -> None:
        self.node.CreateDefaultDisplayNodes()
        style_text(self.node.GetDisplayNode(), self._color, self._scale)
        if self._on_all_slices:
            style_text_in_space(self.node.GetDisplayNode())
        self.node.SetLocked(True)

    def _adopt(self) -> None:
        self._texts: list[str] = []

    def write(self, anchors: np.ndarray, texts: list[str], to_the_left: bool) -> None:
        """Put the texts left or right of their anchors."""
        node = self.get()
        with _without_recomputing(node):
            node.SetControlPointPositionsWorld(self._buffer.fill(anchors).vtk_points)
            if texts != self._texts:
                self._texts = list(texts)
                for index, text in enumerate(texts):
                    node.SetNthControlPointLabel(index, text)
        run_text(node, to_the_left)

    def move(self, index: int, anchor: Sequence[float]) -> None:
        """Move one of the texts written before to (3,) LPS."""
        x, y, z = anchor
        with _without_recomputing(self.get()):
            self.node.SetNthControlPointPositionWorld(index, -x, -y, z)


@contextmanager
def _without_recomputing(node) -> Iterator[None]:
    """Move loose points: they have no curve for MRML to recompute, which is nine tenths of the cost of moving them.

    Only the event that makes the views draw them again is sent.
    """
    node.DisableModifiedEventOn()
    yield
    node.DisableModifiedEventOff()
    node.InvokeCustomModifiedEvent(node.PointModifiedEvent)


class CurveNode(DrawnNode):
    """Polylines as a model node: moving one costs 0.01 ms, a line markup 0.07 ms and a curve markup 0.2 ms.

    ``write`` takes (n, 3) LPS polylines.
    """

    class_name = "vtkMRMLModelNode"

    def __init__(
        self, parameter_node, role: str, name: str, color, thickness: int, *, opacity=1.0, listed=False, in_slices=True
    ) -> None:
        self._buffer = PointBuffer(0)
        self._look = (color, thickness, opacity)
        self._in_slices = in_slices
        super().__init__(parameter_node, role, name, listed)

    def _style(self) -> None:
        self.node.CreateDefaultDisplayNodes()
        style_curve(self.node.GetDisplayNode(), *self._look)
        if not self._in_slices:
            style_in_space(self.node.GetDisplayNode())

    def _adopt(self) -> None:
        self._mesh = vtk.vtkPolyData()
        self._mesh.SetPoints(self._buffer.vtk_points)
        self._sizes: list[int] = []
        self._name = ""
        self.node.SetAndObservePolyData(self._mesh)

    def write(self, *polylines: np.ndarray, name: str = "") -> None:
        """Draw them; ``name`` renames the node."""
        node = self.get()
        if name and name != self._name:
            self._name = name
            node.SetName(name)
        self._buffer.fill(polylines[0] if len(polylines) == 1 else np.concatenate(polylines))
        sizes = [len(line) for line in polylines]
        if sizes != self._sizes:
            self._sizes = sizes
            self._mesh.SetLines(_polyline_cells(sizes))
        self._mesh.Modified()


class SheetNode(DrawnNode):
    """A four-cornered sheet as a model node; ``write`` takes its (4, 3) LPS corners in order."""

    class_name = "vtkMRMLModelNode"

    def __init__(self, parameter_node, role: str, name: str, color, opacity: float) -> None:
        self._buffer = PointBuffer(4)
        self._look = (color, opacity)
        super().__init__(parameter_node, role, name, listed=True)

    def _style(self) -> None:
        self.node.CreateDefaultDisplayNodes()
        style_surface(self.node.GetDisplayNode(), *self._look)

    def _adopt(self) -> None:
        self._mesh = vtk.vtkPolyData()
        self._mesh.SetPoints(self._buffer.vtk_points)
        sheet = vtk.vtkCellArray()
        sheet.InsertNextCell(4, [0, 1, 2, 3])
        self._mesh.SetPolys(sheet)
        self.node.SetAndObservePolyData(self._mesh)

    def write(self, corners: np.ndarray, name: str = "", color: tuple[float, float, float] | None = None) -> None:
        """Draw it; ``name`` and ``color`` change the node's."""
        node = self.get()
        if color is not None and color != node.GetDisplayNode().GetColor():
            style_surface(node.GetDisplayNode(), color, self._look[1])
        if name and name != node.GetName():
            node.SetName(name)
        self._buffer.fill(corners)
        self._mesh.Modified()


def _polyline_cells(sizes: list[int]) -> vtk.vtkCellArray:
    cells = vtk.vtkCellArray()
    start = 0
    for size in sizes:
        cells.InsertNextCell(size, list(range(start, start + size)))
        start += size
    return cells
