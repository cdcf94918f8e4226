"""Nearest points of triangle meshes, signed distances to them, and on which side of them a point lies."""

import numpy as np

from orthoangles.simulation.anatomy.bones import Bone

_CANDIDATES = 16
"""Triangles looked at for each point: those with the nearest centres."""
_SAME = 1e-5
"""Points nearer than this are one, mm."""


def nearest_on_surface(bone: Bone, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest points (n, 3) mm on the bone's surface of each of ``points`` (n, 3), and outward normals (n, 3) there.

    On an edge or a corner the normal is the mean of all triangles that meet there, by the angle they fill.
    """
    from scipy.spatial import cKDTree

    triangles = bone.vertices[bone.faces]
    count = min(_CANDIDATES, len(triangles))
    _, candidates = cKDTree(triangles.mean(axis=1)).query(points, k=count)
    candidates = candidates.reshape(len(points), count)
    found, distance = nearest_on_faces(bone, points, candidates)
    shortest = distance.min(axis=1, keepdims=True)
    normals = bone.face_normals[candidates]
    normals = normals / np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-12)
    share = np.where(distance <= shortest + _SAME, _angles(triangles[candidates], found), 0)
    normal = (normals * share[..., None]).sum(axis=1)
    return found[np.arange(len(points)), distance.argmin(axis=1)], normal


def nearest_on_faces(bone: Bone, points: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest points (n, k, 3) mm to each of ``points`` (n, 3) on each of its ``faces`` (n, k): rows of ``bone.faces``.

    And how far (n, k) mm they are.
    """
    from trimesh.triangles import closest_point

    triangles = bone.vertices[bone.faces[faces.ravel()]]
    found = closest_point(triangles, np.repeat(points, faces.shape[1], axis=0)).reshape(*faces.shape, 3)
    return found, np.linalg.norm(points[:, None] - found, axis=2)


def _angles(triangles: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Angle (n, k) that each triangle fills round a point of it: that of its corner there, else 1 for all.

    Weighted so, the normals' sum tells inside from outside at corners too (Baerentzen and Aanaes 2005).
    """
    at_corner = np.linalg.norm(triangles - points[:, :, None], axis=3) < _SAME
    ahead = np.roll(triangles, -1, axis=2) - triangles
    behind = np.roll(triangles, 1, axis=2) - triangles
    lengths = np.linalg.norm(ahead, axis=3) * np.linalg.norm(behind, axis=3)
    angle = np.arccos(np.clip((ahead * behind).sum(axis=3) / np.maximum(lengths, 1e-12), -1, 1))
    return np.where(at_corner.any(axis=2), (angle * at_corner).sum(axis=2), 1.0)


def signed_distance(bone: Bone, points: np.ndarray) -> np.ndarray:
    """Distance (n,) mm of ``points`` (n, 3) from the bone's surface, negative inside."""
    nearest, normal = nearest_on_surface(bone, points)
    offset = points - nearest
    distance = np.linalg.norm(offset, axis=1)
    return np.where(np.einsum("ij,ij->i", offset, normal) < 0, -distance, distance)


def gap(first: Bone, second: Bone, reach: float = 8.0) -> float:
    """Least distance in mm between two surfaces, negative by the depth of penetration; inf where beyond ``reach``."""
    from scipy.spatial import cKDTree

    least = np.inf
    for bone, other in ((first, second), (second, first)):
        distance, _ = cKDTree(other.vertices).query(bone.vertices, distance_upper_bound=reach)
        near = bone.vertices[np.isfinite(distance)]
        if len(near):
            least = min(least, float(signed_distance(other, near).min()))
    return least


def winding_number(bone: Bone, points: np.ndarray) -> np.ndarray:
    """How often the surface goes round each of ``points`` (n, 3): 1 inside, 0 outside (n,).

    The solid angles of all triangles summed (van Oosterom and Strackee 1983).
    """
    total = np.zeros(len(points))
    for rows in np.array_split(np.arange(len(points)), max(1, len(points) * len(bone.faces) // 500_000)):
        a, b, c = (bone.vertices[bone.faces[:, k]][None] - points[rows][:, None] for k in range(3))
        la, lb, lc = (np.linalg.norm(v, axis=2) for v in (a, b, c))
        triple = np.einsum("ijk,ijk->ij", a, np.cross(b, c))
        dots = [np.einsum("ijk,ijk->ij", u, v) for u, v in ((a, b), (b, c), (c, a))]
        below = la * lb * lc + dots[0] * lc + dots[1] * la + dots[2] * lb
        total[rows] = np.arctan2(triple, below).sum(axis=1) / (2 * np.pi)
    return total
