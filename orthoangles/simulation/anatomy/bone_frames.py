"""A frame of its own for each bone, so that a landmark can be found in any pose: inertia, signs, shaft.

The axes of inertia of the enclosed volume turn with the bone and change smoothly with its shape; only their signs are
open, and those are chosen so that the bone points as it does in a foot (the directions of the foot come from where the
bones lie, so a joint may be turned by anything short of a right angle). Local coordinates are those of a right foot:
x lateral, y distal (anterior), z dorsal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from orthoangles.errors import SimulationError
from orthoangles.simulation.anatomy.bones import METATARSALS, Bone

HINDFOOT = ("talus", "calcaneus")


GIRTHS = {
    "tibia": 7.64,
    "talus": 7.76,
    "calcaneus": 8.83,
    "navicular": 4.96,
    "metatarsal_1": 4.70,
    "metatarsal_2": 3.22,
    "metatarsal_5": 3.24,
    "proximal_phalanx_1": 3.64,
}
"""Standard deviation in mm of a bone's volume across its longest axis: mean over the 12 feet of the library (measured).

It tells how large a bone is: the rules' lengths in mm are meant for a bone of this girth and grow and shrink with it.
"""


@dataclass(frozen=True, eq=False)
class BoneFrame:
    """``origin`` (3,) mm and ``axes`` (3, 3), whose rows are the lateral, distal and dorsal unit vectors.

    Local coordinates are mm of a bone of average girth: ``scale`` times as many mm in the world.
    """

    origin: np.ndarray
    axes: np.ndarray
    scale: float = 1.0

    def local(self, points: np.ndarray) -> np.ndarray:
        """World points (..., 3) in this frame."""
        return (points - self.origin) @ self.axes.T / self.scale

    def world(self, points: np.ndarray) -> np.ndarray:
        """Local points (..., 3) in the world."""
        return np.asarray(points) @ self.axes * self.scale + self.origin

    def direction(self, vector: Sequence[float]) -> np.ndarray:
        """A world direction (3,) in this frame."""
        return self.axes @ np.asarray(vector, dtype=np.float64)


def volume_moments(bone: Bone) -> np.ndarray:
    """Covariance (3, 3) in mm2 of the solid that ``bone`` encloses, about its centroid: exact over tetrahedra."""
    corners = (bone.vertices - bone.centroid)[bone.faces]
    volumes = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
    total = corners.sum(axis=1)
    squares = np.einsum("m,mki,mkj->ij", volumes, corners, corners) + np.einsum("m,mi,mj->ij", volumes, total, total)
    return squares / (20 * volumes.sum())


def foot_axes(bones: Mapping[str, Bone]) -> np.ndarray:
    """Rows lateral, distal and dorsal (3, 3) of the whole foot, from where its bones lie; good to about 20 degrees.

    Distal is from the hindfoot to the metatarsals, lateral from the first to the fifth metatarsal. A set without them
    (an ankle) is taken to lie in the frame of the library: x lateral, y anterior, z dorsal.
    """
    if not all(name in bones for name in METATARSALS) or not any(name in bones for name in HINDFOOT):
        return np.eye(3)
    hind = np.mean([bones[name].centroid for name in HINDFOOT if name in bones], axis=0)
    fore = np.mean([bones[name].centroid for name in METATARSALS], axis=0)
    return _orthonormal(bones["metatarsal_5"].centroid - bones["metatarsal_1"].centroid, fore - hind)


def leg_axes(bones: Mapping[str, Bone], foot: np.ndarray) -> np.ndarray:
    """The axes of the ``foot`` tilted so that dorsal runs up the leg, from talus to tibia; as they are without both."""
    if not all(name in bones for name in ("talus", "tibia")):
        return foot
    upward = bones["tibia"].centroid - bones["talus"].centroid
    lateral, upward, backward = _orthonormal(foot[0], upward)
    return np.array([lateral, -backward, upward])


def inertia_frame(bone: Bone, foot: np.ndarray, order: Sequence[int], turn: np.ndarray | None = None) -> BoneFrame:
    """The axes of inertia of ``bone`` as lateral, distal, dorsal, signed so that they lie nearest to those of the foot.

    ``order``: which axis of inertia (0 the longest) is lateral, distal and dorsal. ``turn`` (3, 3): a fixed rotation
    from those axes to the anatomical ones, for bones whose inertia does not lie along their anatomy; its rows are the
    anatomical axes in terms of the axes of inertia. Raises SimulationError for a bone as round as a ball.
    """
    values, vectors = np.linalg.eigh(volume_moments(bone))
    if not np.isfinite(values).all() or values[0] <= 0 or values[2] / values[0] < 1.05:
        raise SimulationError(f"{bone.name}: its shape shows no direction, so its landmarks cannot be found.")
    axes = vectors.T[::-1][list(order)]
    turn = np.eye(3) if turn is None else turn
    candidates = [turn @ (axes * np.array(signs)[:, None]) for signs in product((1.0, -1.0), repeat=3)]
    best = max((c for c in candidates if np.linalg.det(c) > 0), key=lambda c: float(np.sum(c * foot)))
    return BoneFrame(bone.centroid, _orthonormal(best[0], best[1]), _scale(bone))


def lopsided_frame(bone: Bone, foot: np.ndarray, turn: np.ndarray) -> BoneFrame:
    """For a bone that is nearly as wide as high, whose shorter axes of inertia are anyone's guess: where it bulges.

    The longest axis of inertia is distal; against lateral points the third moment of the volume across it (the side to
    which a process sticks out). ``turn`` (3, 3) rotates from these axes to the anatomical ones, as in
    ``inertia_frame``.
    """
    distal, bulge, _ = _third_moments(bone, foot)
    axes = turn @ np.array([-bulge, distal, np.cross(-bulge, distal)])
    return BoneFrame(bone.centroid, _orthonormal(axes[0], axes[1]), _scale(bone))


def bowed_frame(bone: Bone, foot: np.ndarray, turn: np.ndarray) -> BoneFrame:
    """The same for a bone whose two ends hang below its middle: the longest axis is distal, against the bow dorsal."""
    distal, _, bow = _third_moments(bone, foot)
    axes = turn @ np.array([np.cross(distal, -bow), distal, -bow])
    return BoneFrame(bone.centroid, _orthonormal(axes[0], axes[1]), _scale(bone))


def _third_moments(bone: Bone, foot: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The longest axis y of inertia, and two unit vectors r across it: along the integrals of |r|^2 r and of y^2 r."""
    distal = np.linalg.eigh(volume_moments(bone))[1][:, 2]
    distal = distal * np.sign(distal @ foot[1])
    corners = (bone.vertices - bone.centroid)[bone.faces]
    volumes = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2]))
    along = corners @ distal
    across = corners - along[..., None] * distal
    total, length = across.sum(axis=1), along.sum(axis=1)
    # Exact over a tetrahedron with one corner at the origin, but for a constant factor.
    squares = (across**2).sum(axis=2)
    mixed = 2 * (np.einsum("mki,mi->mk", across, total) + squares)
    whole = (total**2).sum(axis=1) + squares.sum(axis=1)
    bulge = volumes @ (whole[:, None] * total + np.einsum("mk,mki->mi", mixed, across))
    ends = length**2 + (along**2).sum(axis=1)
    bow = volumes @ (ends[:, None] * total + np.einsum("mk,mki->mi", 2 * along * (length[:, None] + along), across))
    sizes = np.linalg.norm(bulge), np.linalg.norm(bow)
    if min(sizes) < 1e-3 * abs(volumes.sum()):
        raise SimulationError(f"{bone.name}: its shape shows no direction, so its landmarks cannot be found.")
    return distal, bulge / sizes[0], bow / sizes[1]


def _scale(bone: Bone) -> float:
    values = np.linalg.eigvalsh(volume_moments(bone))
    girth = float((values[0] * values[1]) ** 0.25)
    return girth / GIRTHS.get(bone.name, girth)


def _orthonormal(lateral: np.ndarray, distal: np.ndarray) -> np.ndarray:
    distal = distal / np.linalg.norm(distal)
    dorsal = np.cross(lateral, distal)
    dorsal = dorsal / np.linalg.norm(dorsal)
    return np.array([np.cross(distal, dorsal), distal, dorsal])


@dataclass(frozen=True, eq=False)
class Section:
    """A plane cut at one distal coordinate: ``starts`` and ``ends`` (n, 3) of its segments, local mm."""

    starts: np.ndarray
    ends: np.ndarray

    @property
    def points(self) -> np.ndarray:
        """Middles of the segments (n, 3)."""
        return (self.starts + self.ends) / 2

    @property
    def lengths(self) -> np.ndarray:
        """Lengths of the segments (n,) mm."""
        return np.linalg.norm(self.ends - self.starts, axis=1)

    @cached_property
    def centroid(self) -> np.ndarray:
        """Centre of the enclosed area (3,)."""
        doubled = self.starts[:, 0] * self.ends[:, 2] - self.starts[:, 2] * self.ends[:, 0]
        x, _, z = (doubled[:, None] * (self.starts + self.ends)).sum(axis=0) / (3 * doubled.sum())
        return np.array([x, self.starts[0, 1], z])


class LocalBone:
    """A bone in its own frame: ``vertices`` (n, 3) local mm, ``weights`` (n,) mm2 of surface, ``normals`` (n, 3)."""

    def __init__(self, bone: Bone, frame: BoneFrame) -> None:
        self.name = bone.name
        self.frame = frame
        self.faces = bone.faces
        self.vertices = frame.local(bone.vertices)
        self.normals = bone.vertex_normals @ frame.axes.T
        areas = np.linalg.norm(bone.face_normals, axis=1) / 6
        self.weights = sum(np.bincount(bone.faces[:, c], weights=areas, minlength=len(bone.vertices)) for c in range(3))
        self._span = np.sort(self.vertices[bone.faces, 1], axis=1)[:, (0, 2)]

    @property
    def x(self) -> np.ndarray:
        """Lateral coordinate of the vertices (n,)."""
        return self.vertices[:, 0]

    @property
    def y(self) -> np.ndarray:
        """Distal coordinate of the vertices (n,)."""
        return self.vertices[:, 1]

    @property
    def z(self) -> np.ndarray:
        """Dorsal coordinate of the vertices (n,)."""
        return self.vertices[:, 2]

    def section(self, distal: float) -> Section:
        """Cut across the distal axis. Raises SimulationError where the plane misses the bone."""
        faces = self.faces[(self._span[:, 0] < distal) & (self._span[:, 1] >= distal)]
        if len(faces) < 3:
            raise SimulationError(f"{self.name}: has no cross-section where one is needed; is the mesh whole?")
        corners = self.vertices[faces]
        height = corners[..., 1] - distal
        above = height >= 0
        after = np.roll(above, -1, axis=1)
        rows = np.arange(len(faces))

        def crossing(edge: np.ndarray) -> np.ndarray:
            start, end = rows, (edge + 1) % 3
            a, b = height[start, edge], height[start, end]
            share = (a / (a - b))[:, None]
            return corners[start, edge] * (1 - share) + corners[start, end] * share

        up, down = np.argmax(~above & after, axis=1), np.argmax(above & ~after, axis=1)
        return Section(crossing(down), crossing(up))

    def support(self, direction: Sequence[float], weights: np.ndarray | None = None, scale: float = 0.7) -> np.ndarray:
        """The farthest point (3,) along ``direction``, softly over the last ``scale`` mm so that it moves smoothly.

        ``weights`` (n,) restrict it to a region; they may fade towards its edge.
        """
        weights = self.weights if weights is None else weights * self.weights
        return soft_extreme(self.vertices, weights, direction, scale)

    def centre(self, weights: np.ndarray) -> np.ndarray:
        """Mean (3,) of the surface with ``weights`` (n,)."""
        weights = weights * self.weights
        return weights @ self.vertices / weights.sum()

    def snap(self, point: np.ndarray, near: int = 60) -> np.ndarray:
        """The nearest point (3,) on the surface."""
        middles = self.vertices[self.faces].mean(axis=1)
        distance = ((middles - point) ** 2).sum(axis=1)
        picked = np.argpartition(distance, min(near, len(distance) - 1))[:near]
        return nearest_on_triangles(point, self.vertices[self.faces[picked]])


def soft_extreme(points: np.ndarray, weights: np.ndarray, direction: Sequence[float], scale: float) -> np.ndarray:
    """Mean (d,) of ``points`` (n, d), each counting e-fold less for every ``scale`` mm behind the farthest."""
    reach = points @ np.asarray(direction, dtype=np.float64)
    inside = weights > 1e-3 * weights.max()
    share = weights * np.exp(np.minimum((reach - reach[inside].max()) / scale, 0))
    return share @ points / share.sum()


def fade(values: np.ndarray, edge: float, width: float) -> np.ndarray:
    """0 far below ``edge``, 1 far above it, over about ``width``: a region with a soft border."""
    return 0.5 * (1 + np.tanh(np.clip(2 * (np.asarray(values) - edge) / width, -20, 20)))


def nearest_on_triangles(point: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """The point (3,) on ``triangles`` (n, 3, 3) that is nearest to ``point`` (3,)."""
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    normal = np.cross(b - a, c - a)
    normal = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    flat = point - np.einsum("ij,ij->i", point - a, normal)[:, None] * normal
    inside = np.ones(len(triangles), dtype=bool)
    found = []
    for start, end in ((a, b), (b, c), (c, a)):
        inside &= np.einsum("ij,ij->i", np.cross(end - start, flat - start), normal) >= 0
        edge = end - start
        share = np.einsum("ij,ij->i", point - start, edge) / np.maximum(np.einsum("ij,ij->i", edge, edge), 1e-12)
        found.append(start + np.clip(share, 0, 1)[:, None] * edge)
    found.append(np.where(inside[:, None], flat, a))
    found = np.concatenate(found)
    return found[np.argmin(((found - point) ** 2).sum(axis=1))]
