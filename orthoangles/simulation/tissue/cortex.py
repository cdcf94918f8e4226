"""The inner (endosteal) surface of a bone: the same faces over vertices moved inward by the thickness of the cortex.

The library's bones are solid outer surfaces, so where cortex ends and marrow begins is modelled: thick in the middle
of a shaft, a thin shell at its ends and on the tarsals, a plate of its own under joint cartilage.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from orthoangles.simulation.anatomy.bones import Bone, BoneSet

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class CorticalThickness:
    """Thickness in mm of the cortex of one bone: in mid ``shaft`` (None where it has none), and at its ``ends``."""

    ends: float
    shaft: float | None = None


# All inferred: 4 to 5 mm for the tibia's and 2 to 3 mm for metatarsals' shafts are what anatomists state, 0.4 to 1.0 mm
# for ends and tarsals is what the real scan's shells look like; each bone's place within these ranges is a guess.
_THICKNESS = {
    "tibia": CorticalThickness(0.8, 4.5),
    "fibula": CorticalThickness(0.7, 2.8),
    "talus": CorticalThickness(0.55),
    "calcaneus": CorticalThickness(0.55),
    "navicular": CorticalThickness(0.55),
    "cuboid": CorticalThickness(0.5),
    "medial_cuneiform": CorticalThickness(0.5),
    "intermediate_cuneiform": CorticalThickness(0.5),
    "lateral_cuneiform": CorticalThickness(0.5),
    "metatarsal_1": CorticalThickness(0.7, 2.4),
    "metatarsal_2": CorticalThickness(0.6, 2.7),
    "metatarsal_3": CorticalThickness(0.6, 2.4),
    "metatarsal_4": CorticalThickness(0.6, 2.2),
    "metatarsal_5": CorticalThickness(0.7, 2.3),
    "proximal_phalanx_1": CorticalThickness(0.7, 1.8),
    "distal_phalanx_1": CorticalThickness(0.6, 1.1),
}
_PROXIMAL_PHALANX = CorticalThickness(0.5, 1.2)
_OTHER_PHALANX = CorticalThickness(0.45, 0.8)
_SMALL_BONE = CorticalThickness(0.5)

SUBCHONDRAL_PLATE = (0.7, 1.3)
"""Thinnest and thickest subchondral plate in mm (inferred: the bright line of the real scan; one value a foot)."""
_TOE_PLATE = 0.65  # of the plate elsewhere: little load (inferred)
_JOINT_REACH = 4.0
"""Bone this close in mm to another bone bears joint cartilage (gaps of 1 to 3 mm on radiographs: inferred)."""

_WALL_SHARE = 0.55
"""The cortex fills at most this share of the radius of the ball inside the bone that touches a vertex (inferred)."""
_SHAFT_RISE = (0.10, 0.36)
"""Where along a tubular bone (0 to 1) the cortex starts to thicken and is at its thickest (inferred)."""
_LEG_RISE = (12.0, 90.0)
"""The same for tibia and fibula, in mm from the distal end: they are cut, so their length says nothing (inferred)."""


def cortical_thickness(name: str) -> CorticalThickness:
    """Typical thickness for the bone of this name; a fused toe counts as a proximal phalanx."""
    if name in _THICKNESS:
        return _THICKNESS[name]
    if name.startswith(("proximal_phalanx", "toe_fused")):
        return _PROXIMAL_PHALANX
    return _OTHER_PHALANX if "phalanx" in name else _SMALL_BONE


def joint_gaps(bones: BoneSet, reach: float = _JOINT_REACH) -> dict[str, np.ndarray]:
    """Distance in mm of every vertex to the nearest vertex of another bone, ``reach`` where none is nearer."""
    from scipy.spatial import cKDTree

    gaps = {name: np.full(len(bone.vertices), reach) for name, bone in bones.items()}
    boxes = {name: (bone.vertices.min(axis=0), bone.vertices.max(axis=0)) for name, bone in bones.items()}
    trees = {name: cKDTree(bone.vertices) for name, bone in bones.items()}
    for name, bone in bones.items():
        for other, (low, high) in boxes.items():
            if other == name or (boxes[name][0] > high + reach).any() or (boxes[name][1] < low - reach).any():
                continue
            near = np.flatnonzero(((bone.vertices > low - reach) & (bone.vertices < high + reach)).all(axis=1))
            distance, _ = trees[other].query(bone.vertices[near], distance_upper_bound=reach)
            gaps[name][near] = np.minimum(gaps[name][near], distance)
    return gaps


def wanted_thickness(bone: Bone, gap: np.ndarray, distal_end: np.ndarray, factor: float, plate: float) -> np.ndarray:
    """Thickness (n,) in mm that the cortex of each vertex should have, before the bone's own width limits it.

    ``gap`` (n,) as of :func:`joint_gaps`; ``distal_end`` (3,) a point beyond the bone's distal end; ``factor``
    multiplies all but the subchondral ``plate``.
    """
    typical = cortical_thickness(bone.name)
    thickness = np.full(len(bone.vertices), typical.ends)
    if typical.shaft is not None:
        thickness += (typical.shaft - typical.ends) * _shaft_share(bone, distal_end)
    thickness *= factor
    joint = np.clip((_JOINT_REACH - gap) / 1.5, 0.0, 1.0)
    if "phalanx" in bone.name or "toe" in bone.name or "sesamoid" in bone.name:
        plate = plate * _TOE_PLATE
    return thickness + joint * np.maximum(plate - thickness, 0.0)


def _shaft_share(bone: Bone, distal_end: np.ndarray) -> np.ndarray:
    """0 at the ends of a tubular bone, 1 in the middle of its shaft (n,)."""
    centred = bone.vertices - bone.vertices.mean(axis=0)
    along = centred @ np.linalg.eigh(centred.T @ centred)[1][:, -1]
    if along[np.argmin(np.linalg.norm(bone.vertices - distal_end, axis=1))] > 0:
        along = -along
    from_end = along - along.min()
    if bone.name in ("tibia", "fibula"):
        return _smooth_step(from_end, *_LEG_RISE)
    share = from_end / max(from_end.max(), 1e-6)
    return _smooth_step(np.minimum(share, 1.0 - share), *_SHAFT_RISE)


def _smooth_step(value: np.ndarray, low: float, high: float) -> np.ndarray:
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def endosteal_surface(bone: Bone, thickness: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (n, 3) of the endosteal surface over the bone's own faces, and the thickness (n,) that was possible.

    Each vertex moves inward along the smoothed normal, less where the bone is thin, so that no wall meets the opposite
    one and no face turns over.
    """
    neighbours = _averaging(bone)
    normals = bone.vertex_normals
    for _ in range(3):
        normals = neighbours @ normals
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    room = _WALL_SHARE * inner_radius(bone, -normals, thickness / _WALL_SHARE)
    depth = np.minimum(thickness, room)
    for _ in range(4):
        depth = np.minimum(neighbours @ depth, 1.2 * room)
    inner = bone.vertices - normals * depth[:, None]
    for _ in range(8):
        flipped = _flipped_faces(bone, inner)
        if not flipped.any():
            break
        share = np.ones(len(depth))
        share[np.unique(bone.faces[flipped])] = 0.5
        depth = depth * np.minimum(share, neighbours @ share)
        inner = bone.vertices - normals * depth[:, None]
    return inner, depth


def _flipped_faces(bone: Bone, inner: np.ndarray) -> np.ndarray:
    """Faces (m,) that no longer face the way they did."""
    a, b, c = (inner[bone.faces[:, corner]] for corner in range(3))
    return np.einsum("ij,ij->i", np.cross(b - a, c - a), bone.face_normals) < 0


def _averaging(bone: Bone) -> "csr_array":
    """Sparse (n, n) matrix that takes the mean of each vertex and its neighbours."""
    from scipy.sparse import coo_array, eye_array

    n = len(bone.vertices)
    a = bone.faces.ravel()
    b = bone.faces[:, (1, 2, 0)].ravel()
    links = coo_array((np.ones(len(a)), (a, b)), shape=(n, n)).tocsr()
    links = ((links + links.T) > 0).astype(np.float64) + eye_array(n, format="csr")
    return links.multiply(1.0 / links.sum(axis=1)[:, None]).tocsr()


def inner_radius(bone: Bone, inward: np.ndarray, limit: np.ndarray, rounds: int = 4) -> np.ndarray:
    """Radius (n,) in mm of the ball inside the bone that touches each vertex, at most ``limit`` (n,).

    The shrinking ball of Ma, Bae and Choi (2012, 3D medial axis point approximation): start with the limit and shrink
    onto the nearest vertex that the ball holds.
    """
    from scipy.spatial import cKDTree

    points = bone.vertices
    tree = cKDTree(points)
    radius = np.array(limit, dtype=np.float64)
    active = np.arange(len(points))
    for _ in range(rounds):
        centres = points[active] + inward[active] * radius[active, None]
        distance, nearest = tree.query(centres)
        held = distance < radius[active] * 0.97
        active, nearest = active[held], nearest[held]
        if not len(active):
            break
        offset = points[nearest] - points[active]
        along = np.einsum("ij,ij->i", offset, inward[active])
        squared = np.einsum("ij,ij->i", offset, offset)
        # Neighbours that lie sideways belong to the same wall: they say nothing about the opposite one.
        opposite = along > 0.5 * np.sqrt(squared)
        active, along, squared = active[opposite], along[opposite], squared[opposite]
        radius[active] = np.minimum(radius[active], squared / (2 * along))
    return radius


def inner_surfaces(
    bones: BoneSet, factor: float, plate: float
) -> tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray], Mapping[str, np.ndarray]]:
    """Endosteal vertices, thickness and joint gap of every bone, by name: (n, 3), (n,) and (n,) mm."""
    gaps = joint_gaps(bones)
    inner, depth = {}, {}
    for name, bone in bones.items():
        wanted = wanted_thickness(bone, gaps[name], _beyond_distal_end(bones, name), factor, plate)
        inner[name], depth[name] = endosteal_surface(bone, wanted)
    return inner, depth, gaps


def _beyond_distal_end(bones: BoneSet, name: str) -> np.ndarray:
    """A point beyond the distal end: the talus for the bones of the leg, far ahead for the others."""
    if name in ("tibia", "fibula"):
        return bones["talus"].centroid if "talus" in bones else np.array([0.0, 0.0, -1e4])
    return np.array([0.0, 1e4, 0.0])
