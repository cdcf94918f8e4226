"""Landmarks of the tubular bones (metatarsals 1, 2 and 5, proximal phalanx of the hallux): shaft, outline, head.

The frame's distal axis is the shaft's own: a line through the centroids of its cross-sections from 20 to 80 % of the
length. Seen along the dorsal or the lateral axis the outline is concave along the shaft and turns convex where head
and base flare; the landmark is that turning point, where the outline is steepest.
"""

from dataclasses import dataclass

import numpy as np

from orthoangles.simulation.anatomy.bone_frames import BoneFrame, LocalBone, Section, inertia_frame, soft_extreme
from orthoangles.simulation.anatomy.bones import Bone
from orthoangles.simulation.anatomy.landmark_rules_surfaces import sphere

SECTIONS = 49
"""Cross-sections from 2 to 98 % of the length: about 1.2 mm apart in a first metatarsal."""

SHAFT = (0.2, 0.8)
"""The shaft as parts of the length, base to head (the issue's definition of its axis)."""

STEEP = 0.12
"""Outlines that flare less than this (mm per mm) have no clear inflection; the usual place counts instead."""

METATARSAL_HEAD, PHALANX_HEAD = 0.2, 0.15
"""Largest radius of the head as a part of the length (measured on 12 and 8 feet)."""

MEDIAL, LATERAL, DORSAL, PLANTAR = (-1.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, 0.0, -1.0)


@dataclass(frozen=True, eq=False)
class Shaft:
    """A tubular bone in the frame of its shaft; ``places`` (n,) local distal mm of its ``sections``."""

    bone: LocalBone
    places: np.ndarray
    sections: tuple[Section, ...]

    def place(self, part: float) -> float:
        """Distal coordinate in mm at ``part`` of the length."""
        low, high = self.bone.y.min(), self.bone.y.max()
        return float(low + part * (high - low))

    def centre_line(self, parts: np.ndarray) -> np.ndarray:
        """Centroids (n, 3) of the cross-sections at ``parts`` of the length, local mm."""
        centroids = np.array([section.centroid for section in self.sections])
        wanted = [self.place(part) for part in parts]
        return np.column_stack([np.interp(wanted, self.places, centroids[:, axis]) for axis in range(3)])


def shaft_of(bone: Bone, foot: np.ndarray) -> Shaft:
    """``bone`` in the frame of its shaft: wider across (x) or taller (z) by its inertia, see ``_ORDER``."""
    frame = inertia_frame(bone, foot, _ORDER[bone.name])
    for _ in range(2):
        shaft = _cut(LocalBone(bone, frame))
        line = shaft.centre_line(np.linspace(*SHAFT, 13))
        distal = frame.axes.T @ np.linalg.svd(line - line.mean(axis=0))[2][0]
        distal *= np.sign(distal @ frame.axes[1])
        lateral = frame.axes[0] - distal * (frame.axes[0] @ distal)
        lateral /= np.linalg.norm(lateral)
        frame = BoneFrame(
            frame.world(line.mean(axis=0)), np.array([lateral, distal, np.cross(lateral, distal)]), frame.scale
        )
    return _cut(LocalBone(bone, frame))


_ORDER = {
    "metatarsal_1": (2, 0, 1),
    "metatarsal_2": (2, 0, 1),
    "metatarsal_5": (2, 0, 1),
    "proximal_phalanx_1": (1, 0, 2),
}
"""Lateral, distal and dorsal axis of inertia: metatarsal bases are taller than wide, phalanges wider than tall."""


def _cut(bone: LocalBone) -> Shaft:
    low, high = bone.y.min(), bone.y.max()
    places = low + (high - low) * np.linspace(0.02, 0.98, SECTIONS)
    return Shaft(bone, places, tuple(bone.section(place) for place in places))


def inflection(shaft: Shaft, side: tuple[float, float, float], distal: bool, usual: float) -> np.ndarray:
    """Where the outline on ``side`` turns from shaft to head (``distal``) or base, on the surface (3,) local mm.

    The steepest place of the smoothed outline in the outer 45 % of the length, each place counting with the third
    power of its slope and by how near it is to the ``usual`` part of the length; without any flare it is that part.
    """
    step = shaft.places[1] - shaft.places[0]
    outline = np.array([soft_extreme(s.points, s.lengths, side, 0.4) for s in shaft.sections])
    reach = _smooth(outline @ np.asarray(side), 2.0)
    slope = np.gradient(reach, step) * (1 if distal else -1)
    parts = np.linspace(0.02, 0.98, len(shaft.places))
    prior = np.exp(-0.5 * ((parts - usual) / 0.07) ** 2)
    steep = np.clip(slope, 0, 1.2)
    weight = prior * (steep**3 + STEEP**3)
    weight[(parts < 0.55) if distal else (parts > 0.45)] = 0
    place = float(weight @ shaft.places / weight.sum())
    section = shaft.bone.section(place)
    return shaft.bone.snap(soft_extreme(section.points, section.lengths, side, 0.4))


def _smooth(values: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian over the index, the ends continued straight."""
    radius = int(4 * sigma)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    before = 2 * values[0] - values[radius:0:-1]
    after = 2 * values[-1] - values[-2 : -radius - 2 : -1]
    return np.convolve(np.concatenate([before, values, after]), kernel / kernel.sum(), mode="valid")


def head_centre(shaft: Shaft, depth: float) -> np.ndarray:
    """Centre (3,) of the head: of its cross-section one radius of its round end short of the tip.

    ``depth`` bounds the radius, as a part of the length: the end of a phalanx is a pulley, not a ball.
    """
    bone = shaft.bone
    length = shaft.place(1.0) - shaft.place(0.0)
    behind = shaft.place(1.0) - bone.y
    weights = bone.weights * np.clip(bone.normals[:, 1], 0, None) * np.exp(-((behind / (0.16 * length)) ** 2))
    radius = sphere(bone.vertices, weights)[1] / length
    radius = depth * np.tanh((radius / depth) ** 2) ** 0.5
    return bone.section(shaft.place(1.0 - radius)).centroid


def base_centre(shaft: Shaft) -> np.ndarray:
    """Centre (3,) of the proximal articular surface: mean of what faces proximally at the base."""
    bone = shaft.bone
    length = shaft.place(1.0) - shaft.place(0.0)
    facing = np.clip(-bone.normals[:, 1] - 0.3, 0, None) * np.exp(
        -(((bone.y - shaft.place(0.0)) / (0.15 * length)) ** 2)
    )
    return bone.snap(bone.centre(facing))


def metatarsal_1(bone: Bone, foot: np.ndarray, up: np.ndarray) -> dict[str, np.ndarray]:
    """A5-A8, L1-L4, M1a, M1b and the shaft handles MT1-1..5, world mm."""
    shaft = shaft_of(bone, foot)
    local = {
        "A5": inflection(shaft, MEDIAL, True, 0.78),
        "A6": inflection(shaft, MEDIAL, False, 0.2),
        "A7": inflection(shaft, LATERAL, True, 0.78),
        "A8": inflection(shaft, LATERAL, False, 0.2),
        "L1": inflection(shaft, DORSAL, True, 0.78),
        "L2": inflection(shaft, PLANTAR, True, 0.78),
        "L3": inflection(shaft, DORSAL, False, 0.2),
        "L4": inflection(shaft, PLANTAR, False, 0.2),
        "M1a": base_centre(shaft),
        "M1b": head_centre(shaft, METATARSAL_HEAD),
    }
    return _world(shaft, local | handles(shaft, "MT1"))


def metatarsal_2(bone: Bone, foot: np.ndarray, up: np.ndarray) -> dict[str, np.ndarray]:
    """M2a, M2b and the shaft handles MT2-1..5, world mm."""
    shaft = shaft_of(bone, foot)
    return _world(
        shaft, {"M2a": base_centre(shaft), "M2b": head_centre(shaft, METATARSAL_HEAD)} | handles(shaft, "MT2")
    )


def metatarsal_5(bone: Bone, foot: np.ndarray, up: np.ndarray) -> dict[str, np.ndarray]:
    """M5 and L7: the lowest point of the head."""
    shaft = shaft_of(bone, foot)
    length = shaft.place(1.0) - shaft.place(0.0)
    head = np.clip((shaft.bone.y - shaft.place(0.72)) / (0.08 * length), 0, 1)
    lowest = shaft.bone.snap(shaft.bone.support(-shaft.bone.frame.direction(up), head))
    return _world(shaft, {"M5": lowest, "L7": lowest})


def hallux(bone: Bone, foot: np.ndarray, up: np.ndarray) -> dict[str, np.ndarray]:
    """A1-A4, P1, P2 and the shaft handles PP1-1..5, world mm."""
    shaft = shaft_of(bone, foot)
    local = {
        "A1": inflection(shaft, MEDIAL, True, 0.75),
        "A2": inflection(shaft, MEDIAL, False, 0.28),
        "A3": inflection(shaft, LATERAL, True, 0.75),
        "A4": inflection(shaft, LATERAL, False, 0.28),
        "P1": base_centre(shaft),
        "P2": head_centre(shaft, PHALANX_HEAD),
    }
    return _world(shaft, local | handles(shaft, "PP1"))


def handles(shaft: Shaft, name: str) -> dict[str, np.ndarray]:
    """Five points of the centre line, proximal to distal."""
    points = shaft.centre_line(np.linspace(*SHAFT, 5))
    return {f"{name}-{number}": point for number, point in enumerate(points, 1)}


def _world(shaft: Shaft, local: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: shaft.bone.frame.world(point) for name, point in local.items()}
