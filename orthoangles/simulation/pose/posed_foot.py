"""A foot that stands: its bones, its landmarks and how it was posed, in the standing frame.

The **standing frame** is that of a right foot in mm: +x lateral, +y anterior (heel to second metatarsal head), +z up;
z = 0 is the ground under the skin, x = y = 0 lies below the centroid of the talus. A left foot is kept as its mirror
image until the last step, so left and right are exact mirrors of each other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from orthoangles.simulation.anatomy.bones import BoneSet

PLANTAR_PAD = 9.0
"""Soft tissue in mm between the lowest bone and the ground: 8 to 10 mm under the loaded heel (inferred)."""


@dataclass(frozen=True, eq=False)
class PosedFoot:
    """``bones`` in the standing frame; ``landmarks`` id -> (3,) mm; ``side`` ("R" or "L") is what is rendered.

    ``parameters`` tell how the foot was posed (JSON types).
    """

    bones: BoneSet
    landmarks: Mapping[str, np.ndarray]
    side: str = "R"
    parameters: Mapping[str, Any] = field(default_factory=dict)


def rest_foot(bones: BoneSet, side: str = "R") -> PosedFoot:
    """The foot as it was scanned, put on the ground without posing."""
    from orthoangles.simulation.anatomy.landmarks import foot_landmarks

    lowest = min(bone.vertices[:, 2].min() for name, bone in bones.items() if name not in ("tibia", "fibula"))
    x, y, _ = bones["talus"].centroid
    shift = np.array([-x, -y, PLANTAR_PAD - lowest])
    placed = bones.with_bones({name: bone.moved(np.eye(3), shift) for name, bone in bones.items()})
    landmarks = {name: point.position for name, point in foot_landmarks(placed).items()}
    return PosedFoot(placed, landmarks, side, {"pose": "as scanned"})
