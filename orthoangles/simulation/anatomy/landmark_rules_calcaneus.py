"""Landmarks of the calcaneus."""

import numpy as np

from orthoangles.simulation.anatomy.bone_frames import LocalBone, fade, lopsided_frame, soft_extreme
from orthoangles.simulation.anatomy.bones import Bone

CALCANEUS_TURN = np.array([[0.908, 0.176, 0.381], [-0.004, 0.912, -0.411], [-0.419, 0.371, 0.828]])
"""Lateral, distal and dorsal in the axes of ``lopsided_frame``, where the sustentaculum is the bulge.

Mean over the 12 feet of the library, which differ from it by 2 to 16 degrees (measured).
"""

LATERAL, DISTAL, DORSAL = np.eye(3)


def calcaneus(bone: Bone, foot: np.ndarray, up: np.ndarray) -> dict[str, np.ndarray]:
    """C1-C6, L10, L11, A15, A16, world mm."""
    heel = LocalBone(bone, lopsided_frame(bone, foot, CALCANEUS_TURN))
    part = (heel.y - heel.y.min()) / np.ptp(heel.y)
    upward = heel.frame.direction(up)
    back = fade(-part, -0.42, 0.1)
    lateral_half = fade(heel.x, np.median(heel.x), 5)
    plantar_back = heel.support(-DORSAL, fade(-part, -0.38, 0.1), 1.5)
    plantar_front = tangent(heel, -DORSAL, plantar_back, fade(part, 0.75, 0.1))
    facet = heel.support(DORSAL, _bump(part, 0.55, 0.1) * lateral_half)
    process = heel.support((0, 0.4, 0.9), fade(part, 0.85, 0.08) * lateral_half)
    local = {
        "C1": heel.support(-upward, back, 1.0),
        "C2": plantar_front,
        "C3": tangent(heel, DORSAL, facet, fade(-part, -0.25, 0.1)),
        "C4": facet,
        "C5": process,
        "C6": _sulcus(heel, facet, process),
        "L10": plantar_front,
        "L11": plantar_back,
        "A15": heel.support((0.95, 0.3, 0), fade(part, 0.75, 0.1)),
        "A16": _lateral_border(heel, 0.30),
    }
    return {name: heel.frame.world(heel.snap(point)) for name, point in local.items()}


def tangent(heel: LocalBone, side: np.ndarray, start: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Where the line from ``start`` (3,) that leans on the sagittal outline on ``side`` touches ``region`` (n,).

    That is the point that is seen highest from ``start``: softly, over 0.7 mm.
    """
    arm = heel.vertices - start
    distance = np.maximum(np.abs(arm[:, 1]), 5.0)
    rise = arm @ side / distance * np.median(distance[region > 0.5])
    weights = region * heel.weights
    share = weights * np.exp(np.minimum((rise - rise[region > 0.5].max()) / 0.7, 0))
    return share @ heel.vertices / share.sum()


def _bump(part: np.ndarray, middle: float, width: float) -> np.ndarray:
    return np.exp(-(((part - middle) / width) ** 2))


def _lateral_border(heel: LocalBone, part: float) -> np.ndarray:
    section = heel.section(heel.y.min() + part * np.ptp(heel.y))
    return soft_extreme(section.points, section.lengths, LATERAL, 0.5)


def _sulcus(heel: LocalBone, facet: np.ndarray, process: np.ndarray) -> np.ndarray:
    """C6: where the dorsal outline of the lateral half lies deepest below the line from ``facet`` to ``process``."""
    along = (process - facet) * (0, 1, 1)
    dip = np.cross(along, LATERAL) / np.linalg.norm(along)
    dip *= -np.sign(dip[2])
    tops = []
    for place in np.linspace(facet[1] + 0.15 * along[1], facet[1] + 0.85 * along[1], 21):
        section = heel.section(place)
        weights = section.lengths * fade(section.points[:, 0], np.median(heel.x), 4)
        tops.append(soft_extreme(section.points, weights, DORSAL, 0.4))
    depth = (np.array(tops) - facet) @ dip
    share = np.exp((depth - depth.max()) / 0.6)
    return share @ np.array(tops) / share.sum()
