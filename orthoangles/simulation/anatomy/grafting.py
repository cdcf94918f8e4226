"""Whole feet out of incomplete ones: toes and sesamoids of one person set upon the metatarsals of another.

Some scans show each toe as one fused piece and no sesamoids. Their metatarsals are laid over those of a whole foot,
which brings the donor's toes to the right place and size; each toe is then turned the way the fused toe points and
set at a joint's distance from the metatarsal head.
"""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from orthoangles.errors import SimulationError
from orthoangles.simulation.anatomy.bones import FOOT_BONES, PHALANGES, SESAMOIDS, Bone, BoneSet
from orthoangles.simulation.anatomy.registration import register
from orthoangles.simulation.anatomy.surface_distance import gap, signed_distance

TOE_GAP = 1.5
SESAMOID_GAP = 1.0
"""Joint spaces in mm that a grafted bone is set to (inferred: 1 to 2 mm between phalanx and head on radiographs)."""
NARROWEST = 0.6
"""Joint space in mm that grafted phalanges keep between each other at least (inferred)."""
_STEPS = 12


def complete_foot(bones: BoneSet, donor: BoneSet) -> BoneSet:
    """``bones`` with all 30 bones of a foot: what is missing of toes and sesamoids comes from ``donor``.

    Grafted bones stay their donor's (`Bone.person`); fused toes are left out. A foot that lacks nothing comes back as
    it is. Raises SimulationError where the donor lacks a bone too, or where one outside the toes is missing.
    """
    missing = [name for name in FOOT_BONES if name not in bones]
    if not missing:
        return bones.with_bones({name: bones[name] for name in FOOT_BONES})
    _check(bones, donor, missing)
    result = {name: bone for name, bone in bones.items() if name in FOOT_BONES}
    for ray in range(1, 6):
        wanted = [name for name in _toe(ray) if name in missing]
        if wanted:
            # A toe is taken whole: two halves of different people would not meet.
            result |= _grafted_toe(bones, donor, ray)
    if any(name in missing for name in SESAMOIDS):
        result |= _grafted_sesamoids(bones, donor, result)
    _apart(result)
    return bones.with_bones({name: result[name] for name in FOOT_BONES})


def _check(bones: BoneSet, donor: BoneSet, missing: list[str]) -> None:
    outside = [name for name in missing if name not in (*PHALANGES, *SESAMOIDS)]
    if outside:
        raise SimulationError(f"{bones.id}: lacks {', '.join(outside)}; only toes and sesamoids can be grafted.")
    needed = {*missing, *(f"metatarsal_{ray}" for ray in range(1, 6))}
    lacking = sorted(needed - set(donor))
    if lacking:
        raise SimulationError(f"{donor.id}: lacks {', '.join(lacking)}; choose a donor with whole toes.")


def _toe(ray: int) -> tuple[str, ...]:
    return tuple(name for name in PHALANGES if name.endswith(f"_{ray}"))


def _grafted_toe(bones: BoneSet, donor: BoneSet, ray: int) -> dict[str, Bone]:
    metatarsal = bones[f"metatarsal_{ray}"]
    similarity = register(metatarsal, donor[f"metatarsal_{ray}"])
    toe = _opened({name: similarity.bone(donor[name]) for name in _toe(ray)})
    fused = bones.get(f"toe_fused_{ray}")
    head = _head_centre(metatarsal, toe[f"proximal_phalanx_{ray}"])
    if fused is not None:
        toe = _turned(toe, head, fused)
    direction = toe[f"proximal_phalanx_{ray}"].centroid - head
    return _at_distance(toe, f"proximal_phalanx_{ray}", metatarsal, direction, TOE_GAP)


def _opened(toe: dict[str, Bone]) -> dict[str, Bone]:
    """The toe with its joints no narrower than `NARROWEST`: in some scans the phalanges overlap."""
    names = list(toe)
    for nearer, further in pairwise(names):
        for _ in range(_STEPS):
            distance = gap(toe[nearer], toe[further])
            if distance >= NARROWEST:
                break
            outward = toe[further].centroid - toe[nearer].centroid
            shift = (NARROWEST + 0.1 - distance) * outward / np.linalg.norm(outward)
            for name in names[names.index(further) :]:
                toe[name] = toe[name].moved(np.eye(3), shift)
    return toe


def _head_centre(metatarsal: Bone, phalanx: Bone) -> np.ndarray:
    """Centre of the metatarsal head: of what lies within 14 mm of the metatarsal's end that faces the toe."""
    offset = phalanx.centroid - metatarsal.centroid
    along = metatarsal.vertices @ (offset / np.linalg.norm(offset))
    return metatarsal.vertices[along > along.max() - 14].mean(axis=0)


def _turned(toe: Mapping[str, Bone], head: np.ndarray, fused: Bone) -> dict[str, Bone]:
    """The toe turned about the metatarsal head so that its middle lies where the fused toe's does, seen from there."""
    volume = sum(bone.volume for bone in toe.values())
    middle = sum(bone.volume * bone.centroid for bone in toe.values()) / volume
    start, end = middle - head, fused.centroid - head
    start, end = start / np.linalg.norm(start), end / np.linalg.norm(end)
    cross = np.cross(start, end)
    skew = np.array([[0, -cross[2], cross[1]], [cross[2], 0, -cross[0]], [-cross[1], cross[0], 0]])
    rotation = np.eye(3) + skew + skew @ skew / (1 + start @ end)
    return {name: bone.moved(rotation, head - rotation @ head) for name, bone in toe.items()}


def _grafted_sesamoids(bones: BoneSet, donor: BoneSet, toe: Mapping[str, Bone]) -> dict[str, Bone]:
    metatarsal = bones["metatarsal_1"]
    similarity = register(metatarsal, donor["metatarsal_1"])
    phalanx = toe["proximal_phalanx_1"]
    backward = metatarsal.centroid - phalanx.centroid
    backward /= np.linalg.norm(backward)
    grafted = {}
    for name in SESAMOIDS:
        bone = _seated(similarity.bone(donor[name]), metatarsal)
        for _ in range(_STEPS):
            distance = gap(bone, phalanx)
            if distance >= SESAMOID_GAP:
                break
            # Where the hallux now lies the sesamoid has to stay behind its base.
            bone = _seated(bone.moved(np.eye(3), (SESAMOID_GAP + 0.3 - distance) * backward), metatarsal)
        grafted[name] = bone
    return grafted


def _seated(sesamoid: Bone, metatarsal: Bone) -> Bone:
    """The sesamoid at a joint's distance from the metatarsal head it lies under."""
    nearest = metatarsal.vertices[np.linalg.norm(metatarsal.vertices - sesamoid.centroid, axis=1).argsort()[:60]]
    direction = sesamoid.centroid - nearest.mean(axis=0)
    return _at_distance({sesamoid.name: sesamoid}, sesamoid.name, metatarsal, direction, SESAMOID_GAP)[sesamoid.name]


def _at_distance(
    group: Mapping[str, Bone], name: str, fixed: Bone, direction: np.ndarray, wanted: float
) -> dict[str, Bone]:
    """All of ``group`` shifted along ``direction`` until bone ``name`` lies ``wanted`` mm from ``fixed``."""
    direction = direction / np.linalg.norm(direction)
    moved = dict(group)
    for _ in range(_STEPS):
        distance = float(signed_distance(fixed, moved[name].vertices).min())
        if abs(distance - wanted) < 0.02:
            break
        moved = {key: bone.moved(np.eye(3), (wanted - distance) * direction) for key, bone in moved.items()}
    return moved


def _apart(bones: dict[str, Bone]) -> None:
    """Turns neighbouring toes away from each other until none is in another, the outer one giving way."""
    for ray in range(2, 6):
        head = _head_centre(bones[f"metatarsal_{ray}"], bones[f"proximal_phalanx_{ray}"])
        for _ in range(_STEPS):
            pairs = ((bones[a], bones[b]) for a in _toe(ray - 1) for b in _toe(ray))
            if min(gap(first, second, 3.0) for first, second in pairs) >= 0.5:
                break
            turn = np.radians(-1.0)
            rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1.0]])
            for name in _toe(ray):
                bones[name] = bones[name].moved(rotation, head - rotation @ head)
