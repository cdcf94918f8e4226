"""What a vertebra's mesh says about itself: where the body ends, how its endplates lie, and the body's four corners.

Found from the mesh alone, in the vertebra's own frame, so that it holds in any posture. The body is what lies in front
of the spinal canal, and the canal is the widest gap that the mid-sagittal slice leaves.
"""

from dataclasses import dataclass

import numpy as np

from orthoangles.errors import SimulationError
from orthoangles.simulation.anatomy.bones import Bone

_SLICE = 2.0
"""Half thickness in mm of the mid-sagittal slice."""
_FACING = 0.8
"""Cosine to the body's axis from which a face belongs to an endplate (inferred)."""
_FRONT = 0.25
"""Share of the body's depth left out at its back, where pedicles and rib facets begin (inferred)."""
_SOFTNESS = 0.3
"""Length in mm over which neighbouring vertices share a corner, so that it moves smoothly with the shape."""
NARROWEST_CANAL = 5.0
"""A smaller gap in mm is no canal: real ones are 12 mm and more from front to back (inferred)."""


@dataclass(frozen=True, eq=False)
class VertebralBody:
    """The body of one vertebra in its rest position, mm.

    ``axes`` (3, 3): columns are the subject's right, anterior and up along the body; ``centre`` (3,) between the
    endplate centres ``superior`` and ``inferior`` (3,); ``corners`` (4, n): weights of the n mesh vertices that make up
    superior right, superior left, inferior right and inferior left corner, the ends of the endplates where the body is
    widest; ``width`` between them.
    """

    axes: np.ndarray
    centre: np.ndarray
    superior: np.ndarray
    inferior: np.ndarray
    corners: np.ndarray
    width: float

    def local(self, vertices: np.ndarray) -> np.ndarray:
        """Vertices (n, 3) in the body's axes, from its centre."""
        return (vertices - self.centre) @ self.axes


def vertebral_body(bone: Bone) -> VertebralBody:
    """The body of ``bone``, which stands about upright with the subject's right at +x and anterior at +y.

    Raises SimulationError where the mesh shows no spinal canal or no endplates.
    """
    right, up = np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0])
    for _ in range(4):
        axes = _axes(right, up)
        local = (bone.vertices - bone.centroid) @ axes
        back = _posterior_wall(bone, local)
        front = local[:, 1].max()
        plates = [_endplate(bone, local, axes, back + _FRONT * (front - back), sign) for sign in (1, -1)]
        normal = plates[0][0] - plates[1][0]
        up = normal / np.linalg.norm(normal)
    axes = _axes(right, up)
    kept = local[:, 1] > back + _FRONT * (front - back)
    ends = [(side * axes[:, 0], plate) for plate, _ in plates for side in (1, -1)]
    corners = np.stack([_corner(bone.vertices, kept, outward, plate) for outward, plate in ends])
    (_, superior), (_, inferior) = plates
    at = corners @ bone.vertices
    width = float(np.linalg.norm(at[0] + at[2] - at[1] - at[3]) / 2)
    return VertebralBody(axes, (superior + inferior) / 2, superior, inferior, corners, width)


def _axes(right: np.ndarray, up: np.ndarray) -> np.ndarray:
    right = right - (right @ up) * up
    right = right / np.linalg.norm(right)
    return np.column_stack([right, np.cross(up, right), up])


def _posterior_wall(bone: Bone, local: np.ndarray) -> float:
    """How far back the body reaches in the midline: the front end of the canal."""
    depth = np.sort(local[np.abs(local[:, 0]) < _SLICE, 1])
    gaps = np.diff(depth)
    if not len(gaps) or gaps.max() < NARROWEST_CANAL:
        raise SimulationError(f"{bone.name}: no spinal canal is seen in its middle; is this mesh a whole vertebra?")
    return float(depth[gaps.argmax() + 1])


def _endplate(bone: Bone, local: np.ndarray, axes: np.ndarray, from_y: float, sign: int) -> tuple:
    """Outward normal and centre, both weighted by area, of the upper (+1) or lower (-1) endplate."""
    normals = bone.face_normals
    area = np.linalg.norm(normals, axis=1)
    centres = bone.vertices[bone.faces].mean(axis=1)
    place = local[bone.faces].mean(axis=1)
    facing = sign * (normals @ axes[:, 2]) > _FACING * area
    used = facing & (place[:, 1] > from_y) & (sign * place[:, 2] > sign * np.median(place[:, 2]))
    if used.sum() < 8:
        raise SimulationError(f"{bone.name}: no {'upper' if sign > 0 else 'lower'} endplate is found on its mesh.")
    normal = normals[used].sum(axis=0)
    return normal / np.linalg.norm(normal), np.average(centres[used], axis=0, weights=area[used])


def _corner(vertices: np.ndarray, kept: np.ndarray, outward: np.ndarray, plate: np.ndarray) -> np.ndarray:
    """Weights (n,) of the vertices farthest out half way between the endplate's normal ``plate`` and ``outward``."""
    across = outward - (outward @ plate) * plate
    reach = vertices @ (across / np.linalg.norm(across) + plate) / np.sqrt(2)
    reach = np.where(kept, reach, -np.inf)
    weights = np.exp((reach - reach.max()) / _SOFTNESS)
    return weights / weights.sum()
