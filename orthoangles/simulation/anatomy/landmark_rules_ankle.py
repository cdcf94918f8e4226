"""Landmarks of the tibia and the talus."""

from collections.abc import Callable

import numpy as np

from orthoangles.simulation.anatomy.bone_frames import (
    BoneFrame,
    LocalBone,
    bowed_frame,
    fade,
    inertia_frame,
    soft_extreme,
    volume_moments,
)
from orthoangles.simulation.anatomy.bones import Bone
from orthoangles.simulation.anatomy.landmark_rules_surfaces import Ball, edges, fit_ball

TIBIA_LEVEL = 95.0
"""Height of T1 above the plafond in mm: 85 to 100 mm is what a weight-bearing CT of the foot shows (contract)."""

TIBIA_CUT = 6.0
"""Distance in mm from the end of a shorter tibia: an oblique cut must not open the cross-section."""

SHORTEST_SHAFT = 30.0
"""Nearer to the plafond than this, mm, the tibia widens to the joint and has no shaft (inferred)."""

TALUS_ROLL = np.radians(20.0)
"""The talus' bow lies this much lateral of its trochlea's middle (measured: 22 on average, -2 to 41, in 12 feet)."""

INERTIA_ROLL = np.radians(10.0)
"""Its shortest axis of inertia lies this much medial of it (measured on 12 feet and 3 procedural ones)."""

FOOT_ROLL = np.radians(22.0)
"""What ``foot_axes`` calls dorsal leans this much lateral of a talus' dorsal (measured: 13 to 40 degrees)."""

TALUS_TURN = np.array(
    [[np.cos(TALUS_ROLL), 0, np.sin(TALUS_ROLL)], [0, 1, 0], [-np.sin(TALUS_ROLL), 0, np.cos(TALUS_ROLL)]]
)

DECLINATION = np.radians(20.0)
"""How far the talus points down in a standing foot (METHODS.md section 1: 21.8 degrees in S1's normal feet)."""

BODY = 3.0
"""How far the posterior body's centre (TA2) lies behind the apex of the dome, in mm of an average talus (inferred)."""

NECK = -0.7
"""Where the neck meets the body, just in front of the trochlea: radii of the head from its centre (inferred; chosen on
12 tali seen from above). The axis of head and neck is then 15 to 20 mm long."""

LATERAL, DISTAL, DORSAL = np.eye(3)
HEAD_BORDER = np.cos(np.radians(60.0)) * DISTAL + np.sin(np.radians(60.0)) * DORSAL
"""Which way the upper border of the head faces: 60 degrees up from the axis (inferred; the lower mirrors it, so that
the middle of both lies in the head's centre)."""
UPWARD = np.cos(DECLINATION) * DORSAL - np.sin(DECLINATION) * DISTAL
"""What is up for a talus that stands: its dome is read there, whatever pose it is in."""


def tibia(bone: Bone, foot: np.ndarray, up: np.ndarray) -> dict[str, np.ndarray]:
    """T1 and T2, world mm. The local "distal" axis runs up the shaft here."""
    shin = _shin(bone, foot)
    centre = _plafond(shin)
    level = min(centre[1] + TIBIA_LEVEL / shin.frame.scale, shin.y.max() - TIBIA_CUT)
    return _world(shin, {"T1": shin.section(level).centroid, "T2": centre})


def highest_shaft_centre(bone: Bone, foot: np.ndarray, shows: Callable[[np.ndarray], np.ndarray]) -> np.ndarray | None:
    """T1 (3,) as a scan shows it: at its level, or at the highest one below where the whole shaft is in view.

    ``shows`` tells of world points (n, 3) whether each is in view. None where the scan ends less than SHORTEST_SHAFT
    above the plafond.
    """
    shin = _shin(bone, foot)
    low = _plafond(shin)[1]
    highest = min(TIBIA_LEVEL, (shin.y.max() - TIBIA_CUT - low) * shin.frame.scale)
    for height in np.arange(highest, SHORTEST_SHAFT, -1.0):
        section = shin.section(low + height / shin.frame.scale)
        if shows(shin.frame.world(section.points)).all():
            return shin.frame.world(section.centroid)
    return None


def _shin(bone: Bone, foot: np.ndarray) -> LocalBone:
    return LocalBone(bone, inertia_frame(bone, foot[[0, 2, 1]] * np.array([[1], [1], [-1]]), (1, 0, 2)))


def _plafond(shin: LocalBone) -> np.ndarray:
    """T2, local: the middle of the joint surface for the talus."""
    low, high = shin.y.min(), shin.y.max()
    axis = shin.section(low + min(60.0, 0.7 * (high - low))).centroid
    around = np.exp(-(((shin.x - axis[0]) ** 2 + (shin.z - axis[2]) ** 2) / 16.0**2))
    plafond = fade(-(shin.y - low), -24, 4) * fade(-shin.normals[:, 1], 0.8, 0.2) * around
    return shin.snap(shin.centre(plafond))


def talus(bone: Bone, foot: np.ndarray, up: np.ndarray) -> dict[str, np.ndarray]:
    """TA1-TA5, A9, A10, A13, A14, L5, L6, L8, L9, world mm."""
    talus = local_talus(bone, foot)
    head = talar_head(talus)
    apex = dome_apex(talus)
    neck = _neck(talus, head)
    medial, lateral = edges(talus, head, DISTAL, LATERAL)
    front = fade(talus.y, head.centre[1], 3)
    below = np.exp(-(((talus.y - apex[1] + BODY) / 6.0) ** 2)) * fade(-talus.x, -apex[0] + 2, 4)
    local = {
        "TA1": apex,
        "TA2": talus.section(apex[1] - BODY).centroid,
        "TA3": head.centre,
        "TA4": medial,
        "TA5": lateral,
        "A9": medial,
        "A10": lateral,
        "A13": talus.snap(neck[0]),
        "A14": talus.snap(neck[1]),
        "L5": talus.snap(talus.support(HEAD_BORDER * (1, 1, 1), front)),
        "L6": talus.snap(talus.support(HEAD_BORDER * (1, 1, -1), front)),
        "L8": talus.snap(talus.support(UPWARD, trochlea(talus.vertices, talus.normals), 1.0)),
        "L9": talus.snap(talus.support(-UPWARD, below, 1.0)),
    }
    return _world(talus, local)


def local_talus(bone: Bone, foot: np.ndarray) -> LocalBone:
    """The talus along its longest axis of inertia, rolled about it until the axis of its trochlea lies level.

    Head and posterior process hang below the body, and it is less high than wide: together these tell up from down to
    some 30 degrees. Then the trochlea is the broadest surface on top, and its axis the direction in which its normals
    vary least (those of a cylinder are at right angles to it).
    """
    frame = bowed_frame(bone, foot, TALUS_TURN)
    talus = LocalBone(bone, _rolled(frame, _inertia_roll(frame, bone)))
    frame = _rolled(talus.frame, _broadest_roll(talus, foot[2]))
    for _ in range(5):
        talus = LocalBone(bone, frame)
        weights = trochlea(talus.vertices, talus.normals) * talus.weights
        x, _, z = np.linalg.eigh((talus.normals * weights[:, None]).T @ talus.normals)[1][:, 0]
        frame = _rolled(frame, -np.arctan(z / x))
    return LocalBone(bone, frame)


def _rolled(frame: BoneFrame, angle: float) -> BoneFrame:
    """Turned by ``angle`` radians about the distal axis, dorsal towards lateral."""
    lateral, distal, dorsal = frame.axes
    turned = np.cos(angle) * lateral - np.sin(angle) * dorsal
    return BoneFrame(frame.origin, np.array([turned, distal, np.cross(turned, distal)]), frame.scale)


def _inertia_roll(frame: BoneFrame, bone: Bone) -> float:
    """How far to roll ``frame`` in radians towards the shortest axis of inertia: less, the more they disagree."""
    x, _, z = frame.direction(np.linalg.eigh(volume_moments(bone))[1][:, 0])
    apart = (np.arctan2(x, z) + INERTIA_ROLL + np.pi / 2) % np.pi - np.pi / 2
    return float(0.6 * apart * np.cos(apart) ** 2)


def _broadest_roll(talus: LocalBone, dorsal: np.ndarray) -> float:
    """The roll in radians at which most surface looks up from the top, and most like a cylinder.

    A mean over rolls, so that it changes smoothly; the powers were found by stretching 15 tali by 2 to 9 % at random.
    What is ``dorsal`` (3,) in the foot helps to tell the trochlea from another broad side; it only weighs where to
    start from, so that the frame still turns with its bone.
    """
    rolls = np.radians(np.arange(-75.0, 76.0, 7.5))
    x, _, z = talus.frame.direction(dorsal)
    astray = (rolls - np.arctan2(x, z) + FOOT_ROLL + np.pi) % (2 * np.pi) - np.pi
    shares = []
    for roll in rolls:
        turn = np.array([[np.cos(roll), 0, -np.sin(roll)], [0, 1, 0], [np.sin(roll), 0, np.cos(roll)]])
        normals = talus.normals @ turn.T
        weights = trochlea(talus.vertices @ turn.T, normals) * talus.weights
        spread = np.linalg.eigvalsh((normals * weights[:, None]).T @ normals)
        shares.append(weights.sum() ** 10 * (spread[2] / spread[0]) ** 2)
    prior = (rolls / np.radians(35.0)) ** 2 + (astray / np.radians(35.0)) ** 2
    share = np.array(shares) / max(shares) * np.exp(-0.5 * prior)
    return float(share @ rolls / share.sum())


def trochlea(vertices: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """How much each vertex (n,) is part of the upper joint surface: high, facing up, behind the neck."""
    part = (vertices[:, 1] - vertices[:, 1].min()) / np.ptp(vertices[:, 1])
    return fade(vertices[:, 2], vertices[:, 2].max() - 7, 3) * fade(normals[:, 2], 0.6, 0.3) * fade(-part, -0.65, 0.1)


def dome_apex(talus: LocalBone) -> np.ndarray:
    """TA1: the top of the trochlea, midway between its medial and lateral shoulder."""
    surface = trochlea(talus.vertices, talus.normals)
    top = talus.support(UPWARD, surface, scale=1.0)
    slab = surface * np.exp(-(((talus.y - top[1]) / 3.0) ** 2))
    ends = [talus.support(side, slab)[0] for side in (-LATERAL, LATERAL)]
    return talus.snap(np.array([np.mean(ends), top[1], top[2]]))


def talar_head(talus: LocalBone) -> Ball:
    """The ball of the talar head."""
    front = talus.y.max()
    start = fade(talus.y, front - 9, 4) * np.clip(talus.normals[:, 1], 0, None)
    return fit_ball(talus, start, fade(talus.normals[:, 1], 0.1, 0.3) * fade(talus.y, front - 16, 4))


def _neck(talus: LocalBone, head: Ball) -> tuple[np.ndarray, np.ndarray]:
    """Medial and lateral points of the neck where it meets the body, just in front of the trochlea.

    Not where the neck is narrowest: that is within 1 cm of the ends of the head's surface, and an axis drawn between
    two middles so near to each other turned by 6 degrees for each mm.
    """
    parts = NECK + np.linspace(-0.25, 0.25, 11)
    sections = [talus.section(head.centre[1] + part * head.radius) for part in parts]
    # The front corners of the trochlea overhang the neck: only what lies lower counts.
    low = [s.lengths * fade(-s.points[:, 2], -head.centre[2] - 0.5 * head.radius, 3) for s in sections]
    pairs = np.array(
        [
            [soft_extreme(s.points, weights, side, 0.4) for side in (-LATERAL, LATERAL)]
            for s, weights in zip(sections, low, strict=True)
        ]
    )
    share = np.exp(-0.5 * ((parts - NECK) / 0.12) ** 2)
    share /= share.sum()
    return share @ pairs[:, 0], share @ pairs[:, 1]


def _world(bone: LocalBone, local: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: bone.frame.world(point) for name, point in local.items()}
