"""The kinematic chain of the foot: which bone hangs on which, about which axes it turns, and how far.

The calcaneus is the root and stands on the ground. Each other bone hangs on its parent by a joint of six coordinates:
three rotations about the joint's anatomical axes and three small displacements ("play"), by which joint surfaces that
are not exactly spherical stay on each other. Rotations are relative to the pose in which the bones were scanned.

Axes (right foot, +x lateral, +y anterior, +z up), each rotation right-handed about its axis:

- ``flexion``: about the mediolateral axis; positive dorsiflexes what lies distal of the joint.
- ``abduction``: about the dorsal axis; positive moves the distal part medially (adducts it), negative laterally.
- ``rotation``: about the long axis; positive inverts (supinates: the medial border rises).

For rays the axes follow the ray, not the room. The subtalar joint's first axis is oblique: 42 degrees up from the
ground and 16 degrees medial of the foot's axis, forwards (Manter 1941, Anat Rec 80:397; Inman 1976 reports 42 and 23).

The ranges bound how far the chain may move a scanned, unloaded foot to reach a named deformity; they are larger than
the motion in a healthy step. The ankle hardly tilts in its mortise, so that a heel's valgus comes from the subtalar
joint. Their order follows Lundgren et al. 2008 (Gait Posture 28:93): more motion in the
talonavicular than the talocalcaneal joint, much in the naviculocuneiform, more in the fifth ray than in the first. The
numbers themselves are inferred.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from orthoangles.simulation.anatomy.bones import BoneSet

ROTATIONS = ("flexion", "abduction", "rotation")
ROOT = "calcaneus"


@dataclass(frozen=True)
class Joint:
    """``child`` hangs on ``parent``. ``ranges``: largest rotation in degrees about each of :data:`ROTATIONS`, to both
    sides; ``play``: largest displacement in mm. ``kind`` tells how the axes lie: ``tarsal`` (foot's axes), ``ray``
    (along the child's long axis), ``subtalar`` (oblique first axis).
    """

    name: str
    parent: str
    child: str
    ranges: tuple[float, float, float]
    play: float = 2.5
    kind: str = "tarsal"


def _rays() -> list[Joint]:
    joints = []
    base = ("medial_cuneiform", "intermediate_cuneiform", "lateral_cuneiform", "cuboid", "cuboid")
    hallux, toe = (45.0, 75.0, 30.0), (45.0, 22.0, 15.0)
    sagittal, across = (25.0, 15.0, 15.0, 22.0, 25.0), (14.0, 8.0, 8.0, 9.0, 12.0)
    for ray in range(1, 6):
        metatarsal, proximal = f"metatarsal_{ray}", f"proximal_phalanx_{ray}"
        middle, distal = f"middle_phalanx_{ray}", f"distal_phalanx_{ray}"
        joints += [
            Joint(
                f"tarsometatarsal_{ray}",
                base[ray - 1],
                metatarsal,
                (sagittal[ray - 1], across[ray - 1], 20.0),
                kind="ray",
            ),
            Joint(f"metatarsophalangeal_{ray}", metatarsal, proximal, hallux if ray == 1 else toe, 4.0, "ray"),
        ]
        if ray == 1:
            joints.append(Joint("interphalangeal_1", proximal, distal, (35.0, 20.0, 15.0), kind="ray"))
        else:
            joints.append(Joint(f"proximal_interphalangeal_{ray}", proximal, middle, (60.0, 15.0, 15.0), kind="ray"))
            joints.append(Joint(f"distal_interphalangeal_{ray}", middle, distal, (45.0, 15.0, 15.0), kind="ray"))
    return joints


JOINTS = (
    Joint("subtalar", "calcaneus", "talus", (40.0, 8.0, 6.0), 3.0, "subtalar"),
    Joint("ankle", "talus", "tibia", (60.0, 8.0, 3.0), 4.0),
    Joint("tibiofibular", "tibia", "fibula", (8.0, 8.0, 8.0)),
    Joint("talonavicular", "talus", "navicular", (35.0, 40.0, 40.0), 3.0),
    Joint("calcaneocuboid", "calcaneus", "cuboid", (28.0, 25.0, 30.0), 3.0),
    Joint("naviculocuneiform_1", "navicular", "medial_cuneiform", (22.0, 14.0, 18.0)),
    Joint("naviculocuneiform_2", "navicular", "intermediate_cuneiform", (22.0, 14.0, 18.0)),
    Joint("naviculocuneiform_3", "navicular", "lateral_cuneiform", (22.0, 14.0, 18.0)),
    *_rays(),
    Joint("sesamoid_medial", "metatarsal_1", "sesamoid_medial", (50.0, 40.0, 40.0), 12.0),
    Joint("sesamoid_lateral", "metatarsal_1", "sesamoid_lateral", (50.0, 40.0, 40.0), 12.0),
)
"""From the root outwards: a parent stands before its children."""


def rotation_about(axis: np.ndarray, angle: float) -> np.ndarray:
    """Rotation matrix (3, 3) about the unit vector ``axis`` by ``angle`` rad, right-handed."""
    cross = _cross_matrix(axis)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)


def _cross_matrix(vector: np.ndarray) -> np.ndarray:
    """The matrix (3, 3) that multiplies by the cross product with ``vector`` from the left."""
    x, y, z = vector
    return np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])


class Chain:
    """The joints of one foot with their centres and axes, in the frame in which the bones lie.

    ``centres`` (j, 3) mm and ``axes`` (j, 3, 3): row k of ``axes[i]`` is the k-th rotation axis of joint i.
    """

    def __init__(self, bones: BoneSet, centres: Mapping[str, np.ndarray]) -> None:
        self.joints = tuple(joint for joint in JOINTS if joint.child in bones and joint.parent in bones)
        self.bones = (ROOT, *(joint.child for joint in self.joints))
        self.centres = np.array([centres[joint.name] for joint in self.joints])
        self.axes = np.array([_axes(joint, bones) for joint in self.joints])
        self.root_centre = bones[ROOT].centroid

    @cached_property
    def row(self) -> Mapping[str, int]:
        """Bone name -> its row in what :meth:`place` returns."""
        return {name: i for i, name in enumerate(self.bones)}

    @property
    def size(self) -> int:
        """Number of coordinates: six for the root and six for each joint (three rotations, three displacements)."""
        return 6 * len(self.bones)

    @cached_property
    def ranges(self) -> np.ndarray:
        """Largest value (size,) of each coordinate in rad and mm; infinite for the root."""
        free = [np.inf] * 6
        return np.array([*free, *(v for j in self.joints for v in (*np.deg2rad(j.ranges), j.play, j.play, j.play))])

    def place(self, q: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rotations (b, 3, 3) and translations (b, 3) that move each bone from where it was scanned, and the twists.

        ``twists`` (b, 6, size): how bone b moves with each coordinate, as (angular, linear velocity at the origin).
        """
        n = len(self.bones)
        rotations, translations = np.empty((n, 3, 3)), np.empty((n, 3))
        twists = np.zeros((n, 6, self.size))
        identity, origin = np.eye(3), np.zeros(3)
        for i in range(n):
            if i == 0:
                parent_r, parent_t, centre, axes = identity, origin, self.root_centre, identity
            else:
                parent = self.row[self.joints[i - 1].parent]
                parent_r, parent_t = rotations[parent], translations[parent]
                twists[i] = twists[parent]
                centre, axes = self.centres[i - 1], self.axes[i - 1]
            local = q[6 * i : 6 * i + 6]
            first, second = rotation_about(axes[0], local[0]), rotation_about(axes[1], local[1])
            both = first @ second
            turn = both @ rotation_about(axes[2], local[2])
            shift = axes.T @ local[3:]
            rotations[i] = parent_r @ turn
            translations[i] = parent_r @ (centre + shift - turn @ centre) + parent_t
            at = parent_r @ (centre + shift) + parent_t
            turning = np.array([axes[0], first @ axes[1], both @ axes[2]]) @ parent_r.T
            sliding = axes @ parent_r.T
            columns = slice(6 * i, 6 * i + 3)
            twists[i, :3, columns] = turning.T
            twists[i, 3:, columns] = _cross_matrix(at) @ turning.T
            twists[i, 3:, 6 * i + 3 : 6 * i + 6] = sliding.T
        return rotations, translations, twists

    def coordinates(self, q: np.ndarray) -> dict[str, dict[str, float]]:
        """Joint name -> its rotations in degrees and its displacement in mm, for the manifest."""
        told = {}
        for i, joint in enumerate(self.joints, start=1):
            turns, shift = np.rad2deg(q[6 * i : 6 * i + 3]), q[6 * i + 3 : 6 * i + 6]
            told[joint.name] = {name: round(float(v), 3) for name, v in zip(ROTATIONS, turns, strict=True)} | {
                "displacement_mm": round(float(np.linalg.norm(shift)), 3)
            }
        return told


def _axes(joint: Joint, bones: BoneSet) -> np.ndarray:
    """Rows: flexion, abduction and rotation axis."""
    if joint.kind == "subtalar":
        return _subtalar_axes()
    along = _ray_direction(bones, joint.child) if joint.kind == "ray" else np.array([0.0, 1.0, 0.0])
    dorsal = np.array([0.0, 0.0, 1.0]) - along[2] * along
    dorsal /= np.linalg.norm(dorsal)
    return np.array([np.cross(along, dorsal), dorsal, along])


def _subtalar_axes() -> np.ndarray:
    up, medial = np.deg2rad(42.0), np.deg2rad(16.0)
    main = np.array([-np.sin(medial) * np.cos(up), np.cos(medial) * np.cos(up), np.sin(up)])
    second = np.array([-main[2], 0.0, main[0]])
    second /= -np.linalg.norm(second)
    return np.array([main, second, np.cross(main, second)])


def _ray_direction(bones: BoneSet, name: str) -> np.ndarray:
    """Unit vector along a tubular bone, distally."""
    vertices = bones[name].vertices
    centred = vertices - vertices.mean(axis=0)
    along = np.linalg.svd(centred, full_matrices=False)[2][0]
    # In the scanned foot every ray points forwards.
    along = along if along[1] >= 0 else -along
    # A short phalanx can be wider than long: then it goes where the toe goes.
    if abs(along[1]) < 0.6:
        along = np.array([0.0, 1.0, 0.0])
    return along


def articulations() -> Sequence[tuple[str, str]]:
    """Pairs of bones with a joint between them: those of the chain and the closed loops beside it."""
    across = [
        ("tibia", "talus"),
        ("fibula", "talus"),
        ("tibia", "fibula"),
        ("navicular", "cuboid"),
        ("medial_cuneiform", "intermediate_cuneiform"),
        ("intermediate_cuneiform", "lateral_cuneiform"),
        ("lateral_cuneiform", "cuboid"),
        ("medial_cuneiform", "metatarsal_2"),
        ("lateral_cuneiform", "metatarsal_2"),
        ("lateral_cuneiform", "metatarsal_4"),
        *((f"metatarsal_{ray}", f"metatarsal_{ray + 1}") for ray in range(1, 5)),
    ]
    chain = [(joint.parent, joint.child) for joint in JOINTS if joint.name not in ("ankle", "tibiofibular")]
    return (*chain, *across)


LOOSE = {
    ("fibula", "talus"),
    ("navicular", "cuboid"),
    ("lateral_cuneiform", "metatarsal_4"),
    *((f"metatarsal_{ray}", f"metatarsal_{ray + 1}") for ray in range(1, 5)),
}
"""Articulations that may open: their bones do not always touch, or, as metatarsals, touch at their bases only."""


def neighbours() -> Sequence[tuple[str, str]]:
    """Pairs of bones without a joint that could still run into each other."""
    pairs = [("calcaneus", "navicular"), ("fibula", "calcaneus"), ("tibia", "calcaneus"), ("talus", "cuboid")]
    pairs += [("tibia", "navicular"), ("sesamoid_medial", "sesamoid_lateral"), ("sesamoid_lateral", "metatarsal_2")]
    pairs += [("sesamoid_medial", "proximal_phalanx_1"), ("sesamoid_lateral", "proximal_phalanx_1")]
    pairs += [("lateral_cuneiform", "metatarsal_5"), ("navicular", "metatarsal_2"), ("medial_cuneiform", "cuboid")]
    rows = ("proximal", "middle", "distal")
    for ray in range(1, 5):
        pairs.append((f"proximal_phalanx_{ray}", f"metatarsal_{ray + 1}"))
        pairs.append((f"metatarsal_{ray}", f"proximal_phalanx_{ray + 1}"))
        pairs += [(f"{a}_phalanx_{ray}", f"{b}_phalanx_{ray + 1}") for a in rows for b in rows]
    return [pair for pair in pairs if "middle_phalanx_1" not in pair]
