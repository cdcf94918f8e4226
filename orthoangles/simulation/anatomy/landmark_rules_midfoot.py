"""Landmarks of the navicular: the edge of its dish for the head of the talus."""

import numpy as np

from orthoangles.simulation.anatomy.bone_frames import LocalBone, inertia_frame
from orthoangles.simulation.anatomy.bones import Bone
from orthoangles.simulation.anatomy.landmark_rules_surfaces import Ball, edges, fit_ball

ROLL = np.radians(27.0)
"""The navicular's longest axis rises laterally by this much over the horizontal (measured: mean over 12 feet)."""

NAVICULAR_TURN = np.array([[np.cos(ROLL), 0, -np.sin(ROLL)], [0, 1, 0], [np.sin(ROLL), 0, np.cos(ROLL)]])


def navicular(bone: Bone, foot: np.ndarray, up: np.ndarray) -> dict[str, np.ndarray]:
    """N1, N2, A11, A12, world mm: medial and lateral edge of the dish."""
    boat = LocalBone(bone, inertia_frame(bone, foot, (0, 2, 1), NAVICULAR_TURN))
    ball = dish(boat)
    middle = boat.centre(ball.member) - ball.centre
    pole = middle * (0, 1, 1) / np.linalg.norm(middle * (0, 1, 1))
    medial, lateral = (boat.frame.world(end) for end in edges(boat, ball, pole, np.array([1.0, 0, 0])))
    return {"N1": medial, "N2": lateral, "A11": medial, "A12": lateral}


def dish(boat: LocalBone) -> Ball:
    """The hollow of the proximal articular surface."""
    proximal = -boat.normals[:, 1]
    start = np.clip(proximal - 0.3, 0, None) * np.exp(-((boat.x / (0.25 * np.ptp(boat.x))) ** 2))
    return fit_ball(boat, start, np.ones(len(boat.x)), hollow=True)
