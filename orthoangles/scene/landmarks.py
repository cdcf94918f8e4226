"""The fiducial node that holds a protocol's landmarks: one control point each, unset instead of deleted."""

import numpy as np
import slicer
import vtk

from orthoangles.protocols import Protocol
from orthoangles.scene.coordinates import PointBuffer, flip
from orthoangles.scene.errors import SceneError
from orthoangles.scene.look import style_landmarks, style_landmarks_in_space

_DEFINED = slicer.vtkMRMLMarkupsNode.PositionDefined


class LandmarkNode:
    """Reads and writes the control points of ``node`` as an (n, 3) LPS array in the order of the protocol."""

    def __init__(self, node, protocol: Protocol) -> None:
        labels = tuple(node.GetNthControlPointLabel(i) for i in range(node.GetNumberOfControlPoints()))
        if labels != protocol.landmark_ids:
            raise SceneError(
                f"{node.GetName()}: its control points are not the landmarks of protocol '{protocol.id}' "
                f"{protocol.version}; start a new measurement of this image."
            )
        self.node = node
        self.count = len(labels)
        self._buffer = PointBuffer(self.count)

    @classmethod
    def create(cls, scene, protocol: Protocol, name: str) -> "LandmarkNode":
        """A new node with every landmark labelled, described and unset."""
        node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
        node.CreateDefaultDisplayNodes()
        style = style_landmarks if protocol.dimension == 2 else style_landmarks_in_space
        style(node.GetDisplayNode())
        changing = node.StartModify()
        for index, landmark in enumerate(protocol.landmarks):
            node.AddControlPoint(vtk.vtkVector3d(0.0, 0.0, 0.0), landmark.id)
            node.SetNthControlPointDescription(index, f"{landmark.name}. {landmark.description}")
        node.UnsetAllControlPoints()
        node.SetFixedNumberOfControlPoints(True)
        node.EndModify(changing)
        node.SetUndoEnabled(True)
        return cls(node, protocol)

    def read(self) -> np.ndarray:
        """A fresh (n, 3) float64 array, LPS mm, NaN where a landmark is unset or still follows the mouse."""
        node = self.node
        defined = node.GetNumberOfDefinedControlPoints()
        if defined == 0:
            return np.full((self.count, 3), np.nan)
        node.GetControlPointPositionsWorld(self._buffer.vtk_points)
        points = flip(self._buffer.ras)
        if defined < self.count:
            status = node.GetNthControlPointPositionStatus
            points[[status(i) != _DEFINED for i in range(self.count)]] = np.nan
        return points

    def write(self, points: np.ndarray) -> None:
        """Set every landmark: one event for all. NaN rows are unset."""
        changing = self.node.StartModify()
        for index, position in enumerate(points):
            self.set(index, position)
        self.node.EndModify(changing)

    def set(self, index: int, position: np.ndarray) -> None:
        """Set one landmark, or unset it where ``position`` is NaN."""
        if np.isnan(position).any():
            self.node.UnsetNthControlPointPosition(index)
        else:
            self.node.SetNthControlPointPositionWorld(index, *flip(np.asarray(position, dtype=np.float64)))

    def mark(self, seen: np.ndarray) -> None:
        """Colour the landmarks that a reader has moved or confirmed (``seen``, n booleans) unlike the proposed ones."""
        for index, is_seen in enumerate(seen.tolist()):
            if self.node.GetNthControlPointSelected(index) == is_seen:
                self.node.SetNthControlPointSelected(index, not is_seen)
