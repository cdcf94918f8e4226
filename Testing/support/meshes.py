"""What drawn model nodes hold, in LPS."""

import numpy as np
from vtk.util.numpy_support import vtk_to_numpy


def mesh_points(model_node) -> np.ndarray:
    """(n, 3) LPS mm."""
    return vtk_to_numpy(model_node.GetPolyData().GetPoints().GetData()) * (-1.0, -1.0, 1.0)


def sweep(arc: np.ndarray) -> float:
    """Degrees through which an arc (n, 3) turns."""
    steps = np.diff(arc, axis=0)
    turn = np.linalg.norm(np.cross(steps[:-1], steps[1:]), axis=1)
    angles = np.arctan2(turn, np.einsum("ij,ij->i", steps[:-1], steps[1:]))
    return float(np.degrees(angles.sum()) * len(steps) / (len(steps) - 1))


def normal_of(corners: np.ndarray) -> np.ndarray:
    """(3,) unit normal of a flat sheet with corners (4, 3) in order."""
    normal = np.cross(corners[1] - corners[0], corners[3] - corners[0])
    return normal / np.linalg.norm(normal)


def shown(node) -> bool:
    """Whether a node is there and visible."""
    return node is not None and bool(node.GetDisplayVisibility())
