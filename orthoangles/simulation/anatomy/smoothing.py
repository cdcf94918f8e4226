"""Displacements of a bone's surface: made smooth over the mesh, and kept from turning faces over."""

from collections.abc import Callable

import numpy as np

from orthoangles.errors import SimulationError
from orthoangles.simulation.anatomy.bones import Bone

_ROUNDS = 16
_FLAT = 0.01
"""A face counts as folded when less than this share of its area still looks where it looked."""

Smoother = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


def smoother(bone: Bone) -> Smoother:
    """``smooth(values, weight, passes)``: values (n, 3) at the vertices averaged with their neighbours, by weight (n,).

    Where no weight reaches, the result fades to 0.
    """
    from scipy.sparse import coo_matrix, diags

    count = len(bone.vertices)
    start = bone.faces[:, (0, 1, 2, 1, 2, 0)].ravel()
    end = bone.faces[:, (1, 2, 0, 0, 1, 2)].ravel()
    edges = coo_matrix((np.ones(len(start)), (start, end)), shape=(count, count)).tocsr()
    edges.data[:] = 1
    average = diags(1 / np.maximum(np.asarray(edges.sum(axis=1)).ravel(), 1)) @ edges

    def smooth(values: np.ndarray, weight: np.ndarray, passes: int) -> np.ndarray:
        table = np.column_stack([values * weight[:, None], weight])
        for _ in range(passes):
            table = 0.4 * table + 0.6 * (average @ table)
        return table[:, :3] / np.maximum(table[:, 3:], 0.02)

    return smooth


def deformed(bone: Bone, displacement: np.ndarray) -> Bone:
    """``bone`` with its vertices moved by ``displacement`` (n, 3) mm, eased where faces would turn over.

    Slivers of rough scans turn over at once when their corners part; there the corners are made to move together.
    Raises SimulationError where that does not help.
    """
    result = bone.with_vertices(bone.vertices + displacement)
    wrong = folded_faces(bone, result)
    if not wrong.any():
        return result
    smooth, move = smoother(bone), np.array(displacement, dtype=float)
    even = np.ones(len(move))
    reach = np.zeros_like(move)
    for _ in range(_ROUNDS):
        reach[bone.faces[wrong].ravel()] = 1
        # Some rings of neighbours round the fold go along, so that its rim stays smooth.
        share = np.clip(4 * smooth(reach, even, 6), 0, 1)
        move += share * (smooth(move, even, 8) - move)
        result = bone.with_vertices(bone.vertices + move)
        wrong = folded_faces(bone, result)
        if not wrong.any():
            return result
    raise SimulationError(f"{bone.name}: the deformation turns part of its surface over; ask for less.")


def folded(bone: Bone, result: Bone) -> bool:
    """Whether a face of ``result`` looks away from where it looked in ``bone``, or has lost its area."""
    return bool(folded_faces(bone, result).any())


def folded_faces(bone: Bone, result: Bone) -> np.ndarray:
    """Which faces (m,) have turned over or lost their area."""
    agreement = np.einsum("ij,ij->i", bone.face_normals, result.face_normals)
    square = np.einsum("ij,ij->i", bone.face_normals, bone.face_normals)
    return agreement < _FLAT * square
