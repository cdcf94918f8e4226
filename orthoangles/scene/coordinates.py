"""LPS millimetres, used everywhere else, to and from the RAS millimetres of MRML nodes."""

import numpy as np
import vtk
from vtk.util.numpy_support import vtk_to_numpy

_FLIP = np.array([-1.0, -1.0, 1.0])


def flip(points: np.ndarray) -> np.ndarray:
    """LPS (..., 3) to RAS or back: the same change of sign both ways."""
    return points * _FLIP


class PointBuffer:
    """A ``vtkPoints`` whose memory is the numpy array ``ras`` (n, 3) float64: filled in place, handed over whole."""

    def __init__(self, count: int) -> None:
        self.vtk_points = vtk.vtkPoints()
        self.vtk_points.SetDataTypeToDouble()
        self.resize(count)

    def resize(self, count: int) -> None:
        """Make room for ``count`` points; their values are then undefined."""
        self.vtk_points.SetNumberOfPoints(count)
        self.ras = vtk_to_numpy(self.vtk_points.GetData())

    def fill(self, lps: np.ndarray) -> "PointBuffer":
        """Store LPS points (n, 3), resizing if there are more or fewer than before."""
        if len(lps) != len(self.ras):
            self.resize(len(lps))
        np.multiply(lps, _FLIP, out=self.ras)
        self.vtk_points.Modified()
        return self
