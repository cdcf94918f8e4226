"""Laying a bone over the same bone of another person: size and pose first, then a smooth change of shape."""

from dataclasses import dataclass, replace

import numpy as np

from orthoangles.errors import SimulationError
from orthoangles.simulation.anatomy.bones import Bone
from orthoangles.simulation.anatomy.shape import principal_axes
from orthoangles.simulation.anatomy.smoothing import smoother

LEG_BONES = ("tibia", "fibula")

_LONG = 1.6
"""A bone this many times as long as wide has a long axis by which it can be laid down roughly."""
_LEG_LENGTH = 60.0
"""Of tibia and fibula only this much of the distal end is compared, mm: the scans end at different heights."""
_SAMPLES = 900
_ITERATIONS = 40
_WORST_FIT = 0.12
"""Two bones that lie further apart than this share of their size (RMS) were not laid over each other."""
_KEPT = 0.85
"""Share of nearest-point pairs that count: the rest have no counterpart."""


@dataclass(frozen=True, eq=False)
class Similarity:
    """p -> ``scale`` * ``rotation`` @ p + ``translation``, in mm; ``rms``: what remained between the surfaces, mm, of
    bones of ``size`` mm.
    """

    scale: float
    rotation: np.ndarray
    translation: np.ndarray
    rms: float
    size: float

    @property
    def fits(self) -> bool:
        """Whether the two surfaces came near enough to be compared."""
        return self.rms < _WORST_FIT * self.size

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Map ``points`` (n, 3)."""
        return self.scale * points @ self.rotation.T + self.translation

    def bone(self, bone: Bone) -> Bone:
        """``bone`` mapped, still its person's."""
        return bone.with_vertices(self(bone.vertices))


def register(bone: Bone, other: Bone) -> Similarity:
    """The similarity that lays ``other`` over ``bone``: equal size, then nearest points until they rest (ICP).

    Both lie in the foot frame, so they look roughly the same way. Raises SimulationError for bones of other names.
    """
    if bone.name != other.name:
        raise SimulationError(f"{other.name} cannot be laid over {bone.name}: they are different bones.")
    length = _leg_length(bone, other)
    target, normals = _surface(bone, length)
    source, _ = _surface(other, length)
    size = _size(bone, target)
    scale = size / _size(other, source)
    rotation = _first_rotation(bone, other)
    translation = target.mean(axis=0) - scale * rotation @ source.mean(axis=0)
    found = _closest_points(target, normals, source, Similarity(scale, rotation, translation, np.inf, size))
    return replace(found, rms=_remaining(bone, found(source)))


def displacement_towards(bone: Bone, other: Bone, similarity: Similarity) -> np.ndarray:
    """Displacement (n, 3) mm of the bone's vertices that gives it the other's shape, smooth over the surface.

    Each vertex moves to the nearest surface that looks the same way; where there is none (a cut end, a hole), it
    follows its neighbours.
    """
    from scipy.spatial import cKDTree

    goal = similarity.bone(other)
    tree, goal_normals = cKDTree(goal.vertices), goal.vertex_normals
    smooth = smoother(bone)
    moved, total = bone, np.zeros_like(bone.vertices)
    trusted = _comparable(bone, _leg_length(bone, other))
    for passes, reach in ((60, 8.0), (25, 5.0), (10, 3.0)):
        distance, row = tree.query(moved.vertices)
        normal = goal_normals[row]
        # To the tangent plane, so that the spacing of the other's vertices does not matter.
        along = np.einsum("ij,ij->i", goal.vertices[row] - moved.vertices, normal)
        agree = np.einsum("ij,ij->i", moved.vertex_normals, normal)
        weight = trusted * (distance < reach) * np.clip(agree, 0, 1) ** 2
        total = total + smooth(along[:, None] * normal, weight, passes)
        moved = bone.with_vertices(bone.vertices + total)
    return total


def _leg_length(bone: Bone, other: Bone) -> float:
    """How much of the distal end of a tibia or fibula both scans show, mm."""
    heights = [np.ptp(each.vertices @ _upward(each)) for each in (bone, other)]
    return min(_LEG_LENGTH, 0.9 * float(min(heights)))


def _surface(bone: Bone, length: float) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 3) spread evenly over the part of a bone that is compared, and their normals."""
    rows = np.flatnonzero(_comparable(bone, length) > 0)
    area = np.zeros(len(bone.vertices))
    share = np.linalg.norm(bone.face_normals, axis=1) / 6
    for corner in range(3):
        area += np.bincount(bone.faces[:, corner], share, len(area))
    at = np.cumsum(area[rows])
    wanted = (np.arange(_SAMPLES) + 0.5) * at[-1] / _SAMPLES
    chosen = np.unique(rows[np.searchsorted(at, wanted)])
    return bone.vertices[chosen], bone.vertex_normals[chosen]


def _comparable(bone: Bone, length: float) -> np.ndarray:
    """Weight (n,) of each vertex: 1, but 0 on tibia and fibula beyond ``length`` mm from their distal end."""
    if bone.name not in LEG_BONES:
        return np.ones(len(bone.vertices))
    height = bone.vertices @ _upward(bone)
    return np.clip((height.min() + length - height) / (0.2 * length), 0, 1)


def _upward(bone: Bone) -> np.ndarray:
    """Where the shaft of a leg bone goes; a stump too short to tell was scanned standing."""
    frame, extent = _extents(bone)
    if extent[0] < _LONG * extent[1]:
        return np.array([0.0, 0.0, 1.0])
    return frame[:, 0] if frame[2, 0] >= 0 else -frame[:, 0]


def _extents(bone: Bone) -> tuple[np.ndarray, np.ndarray]:
    frame = principal_axes(bone)
    return frame, np.ptp((bone.vertices - bone.centroid) @ frame, axis=0)


def _size(bone: Bone, points: np.ndarray) -> float:
    """A length in mm that grows with the bone and not with where the scan was cut."""
    if bone.name not in LEG_BONES:
        return float(np.cbrt(bone.volume))
    axis = _upward(bone)
    height = points @ axis - (points @ axis).min()
    size = 15.0
    for _ in range(20):
        # As much of the end as goes with its own width, whatever its size.
        ends = points[height < 2 * size]
        across = ends - ends.mean(axis=0)
        across = across - np.outer(across @ axis, axis)
        size = float(np.sqrt((across**2).sum(axis=1).mean()))
    return size


def _first_rotation(bone: Bone, other: Bone) -> np.ndarray:
    """The least rotation that makes long bones parallel; the foot frame is enough for short ones."""
    axes = []
    for each in (bone, other):
        frame, extent = _extents(each)
        if each.name in LEG_BONES:
            axes.append(_upward(each))
        elif extent[0] < _LONG * extent[1]:
            return np.eye(3)
        else:
            axes.append(frame[:, 0])
    end, start = axes[0], axes[1] if axes[0] @ axes[1] >= 0 else -axes[1]
    cross = np.cross(start, end)
    skew = np.array([[0, -cross[2], cross[1]], [cross[2], 0, -cross[0]], [-cross[1], cross[0], 0]])
    return np.eye(3) + skew + skew @ skew / (1 + start @ end)


def _closest_points(target: np.ndarray, normals: np.ndarray, source: np.ndarray, start: Similarity) -> Similarity:
    """Iterative closest points with size held: source points to their nearest target points, the worst left out."""
    from scipy.spatial import cKDTree

    tree = cKDTree(target)
    scale, rotation, translation = start.scale, start.rotation, start.translation
    rms = np.inf
    for _ in range(_ITERATIONS):
        moved = scale * source @ rotation.T + translation
        distance, row = tree.query(moved)
        kept = distance <= np.quantile(distance, _KEPT)
        turn, shift = _point_to_plane(moved[kept], target[row[kept]], normals[row[kept]])
        rotation, translation = turn @ rotation, turn @ translation + shift
        before, rms = rms, float(np.sqrt((distance[kept] ** 2).mean()))
        if before - rms < 1e-4 and np.isfinite(before):
            break
    return Similarity(float(scale), rotation, translation, rms, start.size)


def _remaining(bone: Bone, points: np.ndarray) -> float:
    """RMS distance in mm of ``points`` from the tangent planes of the bone's nearest vertices."""
    from scipy.spatial import cKDTree

    _, row = cKDTree(bone.vertices).query(points)
    distance = np.einsum("ij,ij->i", points - bone.vertices[row], bone.vertex_normals[row])
    return float(np.sqrt((distance**2).mean()))


def _point_to_plane(moved: np.ndarray, target: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation and translation that bring ``moved`` nearest to the tangent planes at ``target``, for small turns."""
    from scipy.spatial.transform import Rotation

    centre = moved.mean(axis=0)
    matrix = np.hstack([np.cross(moved - centre, normals), normals])
    residual = np.einsum("ij,ij->i", target - moved, normals)
    # A little of the point distance keeps bones of revolution from spinning or sliding along themselves.
    weak = 0.1
    lever = moved - centre
    zero = np.zeros(len(lever))
    x, y, z = lever.T
    rows = [np.column_stack(r) for r in ((zero, z, -y), (-z, zero, x), (y, -x, zero))]
    points = np.vstack([np.hstack([rows[axis], np.tile(np.eye(3)[axis], (len(lever), 1))]) for axis in range(3)])
    whole = np.vstack([matrix, weak * points])
    sought = np.concatenate([residual, weak * (target - moved).T.ravel()])
    step, *_ = np.linalg.lstsq(whole, sought, rcond=None)
    angle = np.linalg.norm(step[:3])
    turn = Rotation.from_rotvec(step[:3] * min(1, 0.35 / max(angle, 1e-12))).as_matrix()
    return turn, centre + step[3:] - turn @ centre
