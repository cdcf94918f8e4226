"""The landmarks of a foot, found on its bones by geometric rules that hold in any pose.

Every rule works in the bone's own frame (``bone_frames``), so a landmark moves with its bone and never with a joint;
only the lowest points (C1, M5, L7) also ask which way is up. The ids are those of the protocols:
A1-A16 (AP radiograph), L1-L11 (lateral radiograph), the 22 of weight-bearing CT, and five handles on each of the
shafts PP1, MT1 and MT2.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from orthoangles.simulation.anatomy import landmark_rules_ankle as ankle
from orthoangles.simulation.anatomy import landmark_rules_calcaneus as hindfoot
from orthoangles.simulation.anatomy import landmark_rules_midfoot as midfoot
from orthoangles.simulation.anatomy import landmark_rules_rays as rays
from orthoangles.simulation.anatomy.bone_frames import foot_axes, leg_axes
from orthoangles.simulation.anatomy.bones import Bone, BoneSet

Rule = Callable[[Bone, np.ndarray, np.ndarray], dict[str, np.ndarray]]

RULES: Mapping[str, Rule] = {
    "tibia": ankle.tibia,
    "talus": ankle.talus,
    "calcaneus": hindfoot.calcaneus,
    "navicular": midfoot.navicular,
    "metatarsal_1": rays.metatarsal_1,
    "metatarsal_2": rays.metatarsal_2,
    "metatarsal_5": rays.metatarsal_5,
    "proximal_phalanx_1": rays.hallux,
}
"""Which rule finds the landmarks of which bone."""


@dataclass(frozen=True, eq=False)
class BonePoint:
    """A landmark: the ``bone`` it belongs to and its ``position`` (3,) mm in the frame of the bones."""

    bone: str
    position: np.ndarray


def foot_landmarks(
    bones: BoneSet | Mapping[str, Bone], up: Sequence[float] = (0, 0, 1), *, only: Collection[str] = tuple(RULES)
) -> dict[str, BonePoint]:
    """Every landmark of the bones that are there, by id; those of missing bones are left out.

    ``up`` (3,) tells which points are lowest (C1, M5, L7). Raises SimulationError for a bone whose shape
    shows no direction. ``only``: the bones whose landmarks are asked for.
    """
    foot = foot_axes(bones)
    leg = leg_axes(bones, foot)
    upward = np.asarray(up, dtype=np.float64)
    upward = upward / np.linalg.norm(upward)
    return {
        name: BonePoint(bone, position)
        for bone, rule in RULES.items()
        if bone in bones and bone in only
        for name, position in rule(bones[bone], leg if bone == "tibia" else foot, upward).items()
    }
