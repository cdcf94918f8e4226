"""How far the bones of a foot stand from each other, and whether one has entered another.

A distance is signed: positive outside a bone, negative inside it. While a pose is sought it is measured to the tangent
plane of the nearest surface sample (about 1 mm apart); a pose that was found is checked against the triangles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

from orthoangles.simulation.anatomy.bones import Bone, BoneSet
from orthoangles.simulation.anatomy.joints import LOOSE, articulations, neighbours
from orthoangles.simulation.anatomy.surface_distance import nearest_on_faces, winding_number

REACH = 6.0
"""Distances in mm beyond this are not looked at."""
SMALLEST_GAP, LARGEST_GAP, LARGEST_PENETRATION = 0.5, 6.0, 0.5
"""Bounds in mm on a joint's gap, and on how deep a point of one bone may lie in another."""
_QUERY_SPACING = (1.2, 2.5)
_FACING_DEPTH = 2.0
"""mm beyond the closest approach in which surfaces that face each other count as the joint."""


class SurfaceSamples:
    """Points on a bone's surface: ``points`` (n, 3) mm, outward unit ``normals`` (n, 3), ``faces`` (n,) they lie on.

    ``low``, ``high`` (3,) and ``corners`` (8, 3) of the box about them. ``sparse``: rows of samples 1.2 (small bones)
    to 2.5 mm apart, enough to ask how near this bone is to another; ``cell`` (n,): which of them stands for a sample,
    no further from it than ``cell_size`` mm.
    """

    def __init__(self, bone: Bone, near: np.ndarray | None = None) -> None:
        """Sample ``bone``; where ``near`` (k, 3) is given, only the part within 45 mm of one of its points' centre."""
        from scipy.spatial import cKDTree

        self.bone = bone
        corners, normals = bone.vertices[bone.faces], bone.vertex_normals[bone.faces]
        share = _barycentric(corners)
        self.points = np.matmul(share, corners).swapaxes(0, 1).reshape(-1, 3)
        blended = np.matmul(share, normals).swapaxes(0, 1).reshape(-1, 3)
        self.normals = blended / np.maximum(np.sqrt(np.einsum("ij,ij->i", blended, blended)), 1e-12)[:, None]
        self.faces = np.tile(np.arange(len(bone.faces)), len(share))
        if near is not None:
            kept = np.linalg.norm(self.points - near.mean(axis=0), axis=1) < 45
            self.points, self.normals, self.faces = self.points[kept], self.normals[kept], self.faces[kept]
        self.tree = cKDTree(self.points, balanced_tree=False)
        self.centre = self.points.mean(axis=0)
        self.radius = float(np.linalg.norm(self.points - self.centre, axis=1).max())
        self.low, self.high = self.points.min(axis=0), self.points.max(axis=0)
        self.corners = np.array(list(product(*zip(self.low, self.high, strict=True))))
        self.sparse, self.cell, self.cell_size = _thinned(self.points)


def _barycentric(corners: np.ndarray) -> np.ndarray:
    """Weights of the samples on each face: its centre, and on a coarse mesh three more towards the corners."""
    edge = np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1).mean()
    centre = np.full((1, 3), 1 / 3)
    return np.vstack([centre, np.full((3, 3), 1 / 8) + np.eye(3) * 5 / 8]) if edge > 1.3 else centre


def _thinned(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Rows of the first point in each cell of a grid, in order; which of them is in each point's cell; its diagonal."""
    finest, coarsest = _QUERY_SPACING
    size = np.ptp(points, axis=0)
    spacing = np.clip(0.06 * np.linalg.norm(size), finest, coarsest)
    cells = np.floor((points - points.min(axis=0)) / spacing).astype(np.int64)
    counts = cells.max(axis=0) + 1
    _, first, member = np.unique(np.ravel_multi_index(cells.T, counts), return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return first[order], place[member], float(spacing * np.sqrt(3))


def sampled(bones: BoneSet) -> dict[str, SurfaceSamples]:
    """Samples of every bone; of the leg only what is near the ankle."""
    talus = bones["talus"].vertices
    return {name: SurfaceSamples(bone, talus if name in ("tibia", "fibula") else None) for name, bone in bones.items()}


@dataclass(frozen=True)
class Pair:
    """Two bones by name: ``touching`` where a joint keeps them together."""

    first: str
    second: str
    touching: bool


def pairs_of(names: Sequence[str]) -> tuple[Pair, ...]:
    """All pairs of these bones that may touch: the child's surface is asked about its distance to the parent."""
    present = set(names)
    joined = [(b, a, (a, b) not in LOOSE) for a, b in articulations()]
    apart = [(a, b, False) for a, b in neighbours()]
    return tuple(Pair(*each) for each in (*joined, *apart) if {each[0], each[1]} <= present)


class Near(NamedTuple):
    """Points of one bone near another: ``points`` (n, 3), signed ``distances`` (n,), surface ``normals`` (n, 3) of the
    other bone, ``facing`` (n,): whether the two surfaces look at each other.
    """

    points: np.ndarray
    distances: np.ndarray
    normals: np.ndarray
    facing: np.ndarray


Placement = tuple[np.ndarray, np.ndarray]
"""Rotation (3, 3) and translation (3,) that take a bone from where it was sampled to where it is."""
STILL: Placement = (np.eye(3), np.zeros(3))
"""Where a bone was sampled."""

NOTHING_NEAR = Near(np.empty((0, 3)), np.empty(0), np.empty((0, 3)), np.empty(0, dtype=bool))


def _seen_from(points: np.ndarray, at_first: Placement, at_second: Placement) -> np.ndarray:
    """Points of one placed bone in the frame in which the other was sampled."""
    (r1, t1), (r2, t2) = at_first, at_second
    return points @ (r2.T @ r1).T + (t1 - t2) @ r2


@dataclass(frozen=True)
class JointGap:
    """What stands between two bones in mm: ``gap`` is the median distance where they face each other (NaN where they do
    not), ``closest`` the smallest signed distance of either bone's surface to the other.
    """

    first: str
    second: str
    touching: bool
    gap: float
    closest: float

    @property
    def acceptable(self) -> bool:
        """Whether the gap is within bounds and nothing has entered."""
        if self.closest < -LARGEST_PENETRATION:
            return False
        return not self.touching or SMALLEST_GAP <= self.gap <= LARGEST_GAP


def joint_gaps(bones: BoneSet) -> tuple[JointGap, ...]:
    """The gap of every pair of bones that articulate or could run into each other, against the triangles."""
    return placed_gaps(sampled(bones), dict.fromkeys(bones, STILL))


def placed_gaps(samples: Mapping[str, SurfaceSamples], at: Mapping[str, Placement]) -> tuple[JointGap, ...]:
    """As :func:`joint_gaps`, of bones that were sampled before they were placed."""
    gaps = (_gap(samples, at, pair) for pair in pairs_of(tuple(samples)))
    return tuple(gap for gap in gaps if gap is not None)


def _gap(samples: Mapping[str, SurfaceSamples], at: Mapping[str, Placement], pair: Pair) -> JointGap | None:
    # Bones without a joint matter only where they almost touch.
    reach = REACH if pair.touching else _FACING_DEPTH
    one, other = (
        exact_distances(samples[a], samples[b], at[a], at[b], reach)
        for a, b in ((pair.first, pair.second), (pair.second, pair.first))
    )
    if not len(one[0]) and not len(other[0]):
        return JointGap(pair.first, pair.second, True, np.nan, np.inf) if pair.touching else None
    closest = min(distances.min(initial=np.inf) for distances, _ in (one, other))
    opposed = np.concatenate([distances[facing] for distances, facing in (one, other)])
    opposed = opposed[opposed < max(closest, 0) + _FACING_DEPTH]
    gap = float(np.median(opposed)) if len(opposed) else np.nan
    return JointGap(pair.first, pair.second, pair.touching, gap, float(closest))


def exact_distances(
    first: SurfaceSamples,
    second: SurfaceSamples,
    at_first: Placement,
    at_second: Placement,
    reach: float = REACH,
) -> tuple[np.ndarray, np.ndarray]:
    """Signed distances (n,) mm of those samples of ``first`` that come nearest to the surface of ``second``, and
    ``facing`` (n,); none where all are further than ``reach``.

    The nearest of the triangles around the four nearest samples, which a triangle much larger than the samples' 1 mm
    could escape; where these disagree about the side, the winding number of the whole surface tells it. Points more
    than 3 mm from the surface are left out, so that a deeper one counts as 3 mm deep.
    """
    rows, points = _closest_samples(first, second, at_first, at_second, reach)
    if not len(rows):
        return np.empty(0), np.empty(0, bool)
    index = second.tree.query(points, k=4)[1]
    distances, best = _signed(second.bone, points, second.faces[index])
    (r1, _), (r2, _) = at_first, at_second
    normals = first.normals[rows] @ (r2.T @ r1).T
    along = np.einsum("ij,ij->i", normals, second.normals[index[np.arange(len(rows)), best]])
    return distances, along < -0.5


def _closest_samples(
    first: SurfaceSamples, second: SurfaceSamples, at_first: Placement, at_second: Placement, reach: float
) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n,) of those samples of ``first`` that tell the gap and the closest approach, and where (n, 3) ``second``
    sees them.
    """
    rows, some = _box_within(first.sparse, first, second, at_first, at_second, reach + first.cell_size)
    if not len(rows):
        return rows, some
    sparse = second.tree.query(some, distance_upper_bound=reach + first.cell_size)[0]
    # What lies further than this tells neither the gap nor the closest approach. Few samples tell it nearly.
    reach = min(sparse.min() + _FACING_DEPTH + 1.0, reach)
    chosen = np.zeros(len(first.points), bool)
    chosen[rows[sparse < reach + first.cell_size]] = True
    close, points = _box_within(
        np.flatnonzero(chosen[first.sparse][first.cell]), first, second, at_first, at_second, reach
    )
    near = second.tree.query(points, distance_upper_bound=reach)[0]
    kept = near < min(near.min(initial=np.inf) + _FACING_DEPTH + 1.0, reach)
    return close[kept], points[kept]


def _signed(bone: Bone, points: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances (n,) mm of ``points`` (n, 3) to the nearest of their ``faces`` (n, k), and which (n,) of them it is."""
    nearest, distances = nearest_on_faces(bone, points, faces)
    best, rows = distances.argmin(axis=1), np.arange(len(points))
    inside = np.einsum("ijk,ijk->ij", points[:, None] - nearest, bone.face_normals[faces]) < 0
    sign = np.where(inside[rows, best], -1.0, 1.0)
    doubtful = np.flatnonzero(inside.any(axis=1) & ~inside.all(axis=1))
    sign[doubtful] = np.where(winding_number(bone, points[doubtful]) > 0.5, -1.0, 1.0)
    return sign * distances[rows, best], best


def _box_within(
    rows: np.ndarray,
    first: SurfaceSamples,
    second: SurfaceSamples,
    at_first: Placement,
    at_second: Placement,
    reach: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Those of the samples that lie within ``reach`` mm of the box about ``second``, and where (n, 3) it sees them."""
    seen = _seen_from(first.points[rows], at_first, at_second)
    within_box = ((seen > second.low - reach) & (seen < second.high + reach)).all(axis=1)
    return rows[within_box], seen[within_box]


def unacceptable(gaps: Sequence[JointGap]) -> tuple[JointGap, ...]:
    """Those that are out of bounds."""
    return tuple(gap for gap in gaps if not gap.acceptable)


def summary(gaps: Sequence[JointGap]) -> Mapping[str, float]:
    """Smallest and largest gap of the joints and the deepest penetration in mm, for the manifest."""
    joints = [gap.gap for gap in gaps if gap.touching]
    deepest = max(0.0, -min(gap.closest for gap in gaps))
    return {
        "smallest_gap_mm": round(float(np.min(joints)), 3),
        "largest_gap_mm": round(float(np.max(joints)), 3),
        "deepest_penetration_mm": round(float(deepest), 3),
    }
