"""Metal in a foot: screws, wires and plates as rods along or across bones."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from orthoangles.simulation.anatomy.bones import Bone
from orthoangles.simulation.tomography.hounsfield import VoxelGrid

METAL = 9000.0
"""HU of metal before the scanner's range ends: titanium attenuates about 10 times as water at 80 keV, steel more
(inferred from tables of attenuation; one value for all)."""


@dataclass(frozen=True)
class Rod:
    """A round rod between two points (3,) mm of the standing frame, ``radius`` mm."""

    start: tuple[float, float, float]
    end: tuple[float, float, float]
    radius: float
    bone: str

    def as_json(self) -> dict[str, Any]:
        """JSON types."""
        return asdict(self)


def random_implants(bones: Mapping[str, Bone], rng: np.random.Generator) -> tuple[Rod, ...]:
    """What a frequent operation leaves: osteotomy screws, a calcaneal screw, wires in a toe, or a fibular plate.

    Kinds and sizes are inferred (screws 2.5 to 6.5 mm, wires 1.6 mm, plates 2 to 3 mm thick).
    """
    kinds = [kind for kind in (_first_ray_screws, _heel_screws, _toe_wire, _fibular_plate) if kind(bones, rng)]
    return kinds[rng.integers(len(kinds))](bones, rng) if kinds else ()


def _axis(bone: Bone) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Middle of a bone and both ends of its long axis, the last farther forward or up: (3,) each."""
    middle = bone.vertices.mean(axis=0)
    direction = np.linalg.eigh(np.cov(bone.vertices.T))[1][:, -1]
    direction = direction if direction[1] + direction[2] > 0 else -direction
    along = (bone.vertices - middle) @ direction
    return middle, middle + direction * along.min(), middle + direction * along.max()


def _rod(start: np.ndarray, end: np.ndarray, radius: float, bone: str) -> Rod:
    return Rod(tuple(float(v) for v in start), tuple(float(v) for v in end), float(radius), bone)


def _first_ray_screws(bones: Mapping[str, Bone], rng: np.random.Generator) -> tuple[Rod, ...]:
    if "metatarsal_1" not in bones:
        return ()
    _, back, front = _axis(bones["metatarsal_1"])
    rods = []
    for share in rng.uniform(0.55, 0.85, rng.integers(1, 3)):
        place = back + share * (front - back)
        # From dorsal and medial to plantar and lateral, as after a chevron or scarf osteotomy.
        half = np.array([rng.uniform(1, 5), rng.uniform(-4, 4), -rng.uniform(6, 9)])
        rods.append(_rod(place - half, place + half, rng.uniform(1.25, 2.0), "metatarsal_1"))
    return tuple(rods)


def _heel_screws(bones: Mapping[str, Bone], rng: np.random.Generator) -> tuple[Rod, ...]:
    if "calcaneus" not in bones:
        return ()
    _, back, front = _axis(bones["calcaneus"])
    rods = []
    for side in rng.permutation([-5.0, 5.0])[: rng.integers(1, 3)]:
        shift = np.array([side, 0.0, rng.uniform(-3, 3)])
        reach = rng.uniform(0.6, 0.85)
        rods.append(_rod(back + shift, back + shift + reach * (front - back), rng.uniform(2.2, 3.25), "calcaneus"))
    return tuple(rods)


def _toe_wire(bones: Mapping[str, Bone], rng: np.random.Generator) -> tuple[Rod, ...]:
    if "proximal_phalanx_2" not in bones or "distal_phalanx_2" not in bones:
        return ()
    _, back, _ = _axis(bones["proximal_phalanx_2"])
    _, _, tip = _axis(bones["distal_phalanx_2"])
    return (_rod(back, tip + 0.08 * (tip - back), 0.8, "proximal_phalanx_2"),)


def _fibular_plate(bones: Mapping[str, Bone], rng: np.random.Generator) -> tuple[Rod, ...]:
    if "fibula" not in bones:
        return ()
    fibula = bones["fibula"].vertices
    low = fibula[:, 2].min()
    levels = np.arange(12.0, rng.uniform(60, 85), 12.0)
    sides = []
    for level in levels:
        part = fibula[np.abs(fibula[:, 2] - low - level) < 4.0]
        if len(part):
            sides.append((part[np.argmax(part[:, 0])], part.mean(axis=0)))
    rods = []
    for (outer, _), (following, _) in pairwise(sides):
        for across in (-3.0, 0.0, 3.0):
            shift = np.array([1.0, across, 0.0])
            rods.append(_rod(outer + shift, following + shift, 1.3, "fibula"))
    rods += [
        _rod(outer + np.array([1.0, 0.0, 0.0]), outer + 1.9 * (middle - outer), 1.6, "fibula")
        for outer, middle in sides
    ]
    return tuple(rods)


def paint_implants(hu: np.ndarray, grid: VoxelGrid, rods: Sequence[Rod]) -> None:
    """Put the rods into ``hu`` (nx, ny, nz) in place, in the grid's frame."""
    for rod in rods:
        ends = np.array([rod.start, rod.end])
        box = np.vstack([ends - rod.radius, ends + rod.radius])
        found = grid.around(box)
        if found is None:
            continue
        part, window = found
        along = ends[1] - ends[0]
        offset = part.nodes() - ends[0]
        share = np.clip(offset @ along / (along @ along), 0.0, 1.0)
        distance = np.linalg.norm(offset - share[..., None] * along, axis=-1)
        inside = np.clip((rod.radius - distance) / grid.spacing + 0.5, 0.0, 1.0).astype(np.float32)
        view = hu[window]
        view += inside * (np.float32(METAL) - view)
