"""A foot that stands with the angles it was given: landmarks found, joints solved, gaps checked."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from orthoangles.errors import SimulationError
from orthoangles.simulation.anatomy.bones import BoneSet
from orthoangles.simulation.anatomy.landmarks import foot_landmarks
from orthoangles.simulation.pose.contacts import JointGap, summary, unacceptable
from orthoangles.simulation.pose.deformities import DEFORMITIES
from orthoangles.simulation.pose.pose_angles import AngleInView
from orthoangles.simulation.pose.posed_foot import PosedFoot
from orthoangles.simulation.pose.posing import Poser
from orthoangles.simulation.pose.stance import PLAIN_STANCE, Pose, Stance
from orthoangles.simulation.radiography.cameras import ap_camera, lateral_camera

ANGLE_TOLERANCE = 0.1
"""Degrees by which a named angle may miss what it was set to."""
_NEUTRAL = {"calcaneal_pitch": 20.0, "meary": 2.0, "hallux_valgus": 12.0, "intermetatarsal": 9.0}
_UNLOADED = 2.0
"""A scanned, unloaded foot may move its joints so many times further than a standing one (inferred)."""
_MORE_STEPS, _FIRMER = 12, 4.0
"""What is tried where bones still touch: more steps, in which they push each other away so many times as hard."""
_GROUND_LANDMARKS = ("C1", "M5", "L7")
"""Lowest points: they change with how the bone stands."""


def standard_cameras() -> dict[str, Any]:
    """The views in which angles are set where no others are given: source at 1 m, AP tube tilted 15 degrees."""
    return {"ap": ap_camera((0.0, 60.0, 0.0)), "lateral": lateral_camera((0.0, 60.0, 60.0))}


def stand_up(bones: BoneSet) -> BoneSet:
    """A scanned foot put on the ground in a straight, standing pose. Raises SimulationError where it will not stand."""
    poser = Poser(bones, _attached(bones), looseness=_UNLOADED)
    goals = _goals(_NEUTRAL, standard_cameras())
    pose = poser.pose(goals)
    gaps = poser.gaps_at(pose)
    if unacceptable(gaps):
        pose = poser.pose(goals, steps=_MORE_STEPS, firmness=_FIRMER, start=pose)
        gaps = poser.gaps_at(pose)
    _check({}, {}, gaps)
    return pose.placed(bones)


def pose_foot(
    bones: BoneSet,
    angles: Mapping[str, float],
    stance: Stance = PLAIN_STANCE,
    cameras: Mapping[str, Any] | None = None,
    side: str = "R",
) -> PosedFoot:
    """Pose a standing foot so that each named angle (see ``deformities``) is what the protocol measures.

    ``cameras``: "ap" and "lateral" view in which the radiographic angles are read. Raises SimulationError where the
    joints do not allow the angles within 0.1 degrees, or bones come too near, too far, or into each other.
    """
    cameras = cameras or standard_cameras()
    landmarks = _attached(bones)
    poser = Poser(bones, landmarks)
    goals = _goals(angles, cameras)

    def follow(pose: Pose) -> None:
        _reground(landmarks, pose, bones)

    pose = poser.pose(goals, stance, follow=follow)
    for _ in range(2):
        follow(pose)
        if _met(goals, _found(landmarks, pose)):
            break
        pose = poser.pose(goals, stance, steps=6, start=pose)
    gaps = poser.gaps_at(pose)
    if unacceptable(gaps) or not _met(goals, _found(landmarks, pose)):
        # Cheaper than another foot.
        pose = poser.pose(goals, stance, steps=_MORE_STEPS, firmness=_FIRMER, start=pose)
        gaps = poser.gaps_at(pose)
        follow(pose)
    placed = pose.placed(bones)
    found = _found(landmarks, pose)
    _check(goals, found, gaps)
    parameters = {
        "angles": dict(angles),
        "joints": pose.coordinates,
        "lean": list(stance.lean),
        "size": stance.size,
        "joint_gaps": summary(gaps),
    }
    return PosedFoot(placed, found, side, parameters)


def _attached(bones: BoneSet) -> dict[str, tuple[str, np.ndarray]]:
    return {name: (point.bone, point.position) for name, point in foot_landmarks(bones).items()}


def _goals(angles: Mapping[str, float], cameras: Mapping[str, Any]) -> dict[AngleInView, float]:
    known = {name: DEFORMITIES[name] for name in angles}
    return {AngleInView.of(d.protocol, d.measurement, cameras): angles[name] for name, d in known.items()}


def _found(landmarks: Mapping[str, tuple[str, np.ndarray]], pose: Pose) -> dict[str, np.ndarray]:
    return {name: pose.moved(bone, point) for name, (bone, point) in landmarks.items()}


def _met(goals: Mapping[AngleInView, float], landmarks: Mapping[str, np.ndarray]) -> bool:
    return all(abs(angle.value(landmarks) - goal) < ANGLE_TOLERANCE / 2 for angle, goal in goals.items())


def _reground(landmarks: dict[str, tuple[str, np.ndarray]], pose: Pose, bones: BoneSet) -> None:
    """Put lowest points where they are in this pose."""
    now = foot_landmarks(pose.placed(bones), only={landmarks[name][0] for name in _GROUND_LANDMARKS})
    for name in _GROUND_LANDMARKS:
        bone = landmarks[name][0]
        landmarks[name] = (bone, pose.before(bone, now[name].position))


def _check(goals: Mapping[AngleInView, float], landmarks: Mapping[str, np.ndarray], gaps: tuple[JointGap, ...]) -> None:
    faults = [
        f"{angle.measurement} is {angle.value(landmarks):.2f} and not {goal:.2f} degrees"
        for angle, goal in goals.items()
        if not abs(angle.value(landmarks) - goal) <= ANGLE_TOLERANCE
    ]
    faults += [
        f"{gap.first} and {gap.second} stand {gap.gap:.2f} mm apart, {gap.closest:.2f} at the closest"
        for gap in unacceptable(gaps)
    ]
    if faults:
        raise SimulationError("the foot cannot take this pose: " + "; ".join(faults))
