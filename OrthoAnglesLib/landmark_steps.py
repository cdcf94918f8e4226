"""How far a key moves a landmark, and how closely one is looked at."""

import numpy as np

_CLOSE_UP = 0.25
_LEAST_MM = 16.0


def pixelSteps(session, steps: tuple[int, int, int]) -> np.ndarray:
    """(3,) LPS mm of whole pixels to the right, down and back as the image stands in the views.

    On a radiograph along its columns and rows. In a volume, whose views cut it along the patient's axes: left, down
    and back, by the smallest side of a voxel.
    """
    from orthoangles.scene.volumes import volume_geometry

    geometry = volume_geometry(session.volume_node)
    if session.protocol.dimension == 2:
        return geometry.affine[:3, :2] @ np.array(steps[:2], dtype=np.float64)
    right, down, back = steps
    return float(geometry.spacing.min()) * np.array([right, back, -down], dtype=np.float64)


def closeUp(points: np.ndarray) -> float:
    """Millimetres around a landmark that show it with its neighbours: a part of what all (n, 3) points cover."""
    placed = points[np.isfinite(points).all(axis=1)]
    if not len(placed):
        return np.inf
    return max(float(np.ptp(placed, axis=0).max()) * _CLOSE_UP, _LEAST_MM)
