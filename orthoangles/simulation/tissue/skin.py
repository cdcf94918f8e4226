"""The skin of a standing foot: a closed mesh that follows the bones and lies flat on the ground where it bears.

The soft tissue is a union of balls: one about every vertex of the bones, as thick as the tissue there, and strings of
balls for what has no bone (sole, heel pad, web between the toes, Achilles tendon, leg).
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from orthoangles.errors import SimulationError
from orthoangles.simulation.anatomy.bones import METATARSALS, BoneSet
from orthoangles.simulation.tissue.skin_field import CUT, LARGEST_BALL, Balls, ball_surface

_ARCH_RISE = (13.0, 9.0, 4.0, -1.0, -4.0)
"""Height in mm of the sole under the bases of the metatarsals, first to fifth, in a neutral foot (inferred)."""
_LEG_GIRTH = ((0.0, 45.0, 90.0, 150.0, 260.0), (235.0, 220.0, 228.0, 270.0, 345.0))
"""Girth in mm of an adult leg by height in mm above the ankle joint: least above the malleoli, most at the calf
(inferred)."""
_BEARS, _BEARS_TOE = 15.0, 9.0  # mm above the ground below which a plantar surface bears (inferred)
_PRESSED = 4.5  # mm that pads would reach below the ground if they were not pressed flat (inferred)


@dataclass(frozen=True)
class SkinStyle:
    """How much soft tissue a foot has, in mm; the defaults are the means of what :func:`random_skin_style` draws.

    Heel pad and sole follow from how high the bones stand; the others are inferred from what a weight-bearing CT of an
    ankle shows. They are those of an adult and grow with the foot.
    """

    dorsal: float = 6.0
    toe: float = 4.0
    sole: float = 7.0
    side: float = 5.0
    arch_fill: float = 1.0
    leg_scale: float = 1.0
    malleolus: float = 4.0


def random_skin_style(rng: np.random.Generator) -> SkinStyle:
    """A thin to plump foot (inferred ranges)."""
    plump = rng.uniform(0.75, 1.45)
    return SkinStyle(
        dorsal=6.0 * plump,
        toe=4.0 * rng.uniform(0.85, 1.25) * plump**0.5,
        sole=7.0 * rng.uniform(0.85, 1.2),
        side=5.0 * plump,
        arch_fill=rng.uniform(0.75, 1.25),
        leg_scale=rng.uniform(0.92, 1.1) * plump**0.3,
        malleolus=4.0 * plump,
    )


def leg_top(bones: BoneSet) -> float:
    """Height in mm up to which every bone of the leg is whole: the lowest vertex of their cut upper ends.

    Infinite where there is no tibia. Cameras and volumes must end below it.
    """
    tops = []
    for name in ("tibia", "fibula"):
        if name in bones:
            vertices = bones[name].vertices
            axis = _leg_axis(bones)
            along = vertices @ axis
            tops.append(vertices[along > along.max() - 4.0][:, 2].min())
    return float(min(tops, default=np.inf))


def skin_surface(bones: BoneSet, style: SkinStyle | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (n, 3) mm in the standing frame and faces (m, 3) int32, outward, closed, of the skin of a right foot.

    It ends above the bones of the leg. Raises SimulationError when the foot lacks the calcaneus or all metatarsals.
    """
    if "calcaneus" not in bones or not any(name in bones for name in METATARSALS):
        raise SimulationError("skin: a foot needs its calcaneus and a metatarsal; give a whole foot.")
    length = _foot_length(bones)
    style = _scaled(style or SkinStyle(), length)
    balls = _over_bones(bones, style) + _sole(bones, style, length) + _webs(bones, style) + _leg(bones, style, length)
    heads = [bones[name].vertices[:, 1].max() for name in METATARSALS if name in bones]
    points = np.vstack([bone.vertices for bone in bones.values()])
    return ball_surface(balls, points, float(np.mean(heads)))


def _scaled(style: SkinStyle, length: float) -> SkinStyle:
    """Thicknesses of a smaller or larger foot: they grow with its length (inferred)."""
    grown = {name: getattr(style, name) * length for name in ("dorsal", "toe", "sole", "side", "malleolus")}
    return replace(style, **grown)


def _foot_length(bones: BoneSet) -> float:
    """Heel to the head of the second metatarsal over that of a typical adult (172 mm in the library), 1 = typical."""
    front = bones[next(name for name in (METATARSALS[1], *METATARSALS) if name in bones)].vertices[:, 1].max()
    return float(front - bones["calcaneus"].vertices[:, 1].min()) / 172.0


def _leg_axis(bones: BoneSet) -> np.ndarray:
    """Unit vector up the tibia."""
    vertices = bones["tibia"].vertices
    centred = vertices - vertices.mean(axis=0)
    axis = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    return axis if axis[2] > 0 else -axis


def _over_bones(bones: BoneSet, style: SkinStyle) -> Balls:
    centres, radii = [], []
    for name, bone in bones.items():
        normals = bone.vertex_normals
        on_toe = "phalanx" in name or "toe" in name
        up, down = np.clip(normals[:, 2], 0, 1), np.clip(-normals[:, 2], 0, 1)
        if name in ("tibia", "fibula"):
            radius = np.full(len(normals), style.malleolus)
        elif on_toe:
            radius = style.toe + 0.8 * down + 0.3 * style.toe * name.endswith("_1") * down
        else:
            radius = style.side + (style.dorsal - style.side) * up + (style.sole - style.side) * down
            if name == "calcaneus":
                # Skin lies closer to the sides of the heel than the pad is thick under it.
                radius = np.where(down > 0.3, style.sole + 2.0, radius)
        # Pads that bear reach down to the ground and are pressed flat there.
        bears = (normals[:, 2] < -0.1) & (bone.vertices[:, 2] < (_BEARS_TOE if on_toe else _BEARS))
        pads = bone.vertices[bears].copy()
        pads[:, 2] = np.minimum(pads[:, 2], style.sole - _PRESSED)
        centres.append(pads)
        radii.append(np.full(len(pads), style.sole))
        centres.append(bone.vertices)
        radii.append(radius)
    return Balls(np.vstack(centres), np.concatenate(radii))


def _moved(point: np.ndarray, x: float, y: float, z: float) -> np.ndarray:
    return point + np.array([x, y, z])


def _string(start: np.ndarray, end: np.ndarray, radius: float | tuple[float, float], count: int = 24) -> Balls:
    """Balls on the straight line between two points, the radius going from the first to the second."""
    share = np.linspace(0, 1, count)[:, None]
    first, last = radius if isinstance(radius, tuple) else (radius, radius)
    return Balls(start + share * (end - start), first + share[:, 0] * (last - first))


def _sole(bones: BoneSet, style: SkinStyle, length: float) -> Balls:
    """Heel pad, the muscles of the sole between calcaneus and metatarsal heads, and the pads of the toes."""
    heel = bones["calcaneus"].vertices
    back = heel[heel[:, 1] < heel[:, 1].min() + 22 * length]
    lowest = back[np.argmin(back[:, 2])]
    pad = max(lowest[2], 6.0) + 6.5
    balls = _string(_moved(lowest, -4, -4, 4), _moved(lowest, 4, 8, 4), pad, 5)
    radius = 9.5 * length * style.arch_fill**0.5
    for name, rise in zip(METATARSALS, _ARCH_RISE, strict=True):
        if name not in bones:
            continue
        vertices = bones[name].vertices
        y = vertices[:, 1]
        front = vertices[y > y.max() - 14 * length].mean(axis=0)
        base = vertices[y < y.min() + 14 * length].mean(axis=0)
        # The muscles under the base reach down to the arch of the sole: medially off the ground, laterally on it.
        under = np.array([base[0], base[1], rise * length / style.arch_fill + radius])
        head = np.array([front[0], front[1], max(front[2] - 4.0, 8.0)])
        start = _moved(lowest, 0, 8 * length, 6)
        balls = balls + _string(start, under, (pad - 3, radius), 14) + _string(under, head, (radius, 8.5), 14)
        balls = balls + _string(under, base, radius, 8) + _string(0.5 * (start + under), base, (radius, 8.0), 10)
    return balls + _instep_hollow(bones, lowest, length) + _toe_pads(bones, style)


def _instep_hollow(bones: BoneSet, heel: np.ndarray, length: float) -> Balls:
    """What fills the hollow under the medial tarsus: muscles and tendons that pass below the malleolus to the sole."""
    balls = Balls(np.empty((0, 3)), np.empty(0))
    for name in ("talus", "navicular", "medial_cuneiform"):
        if name not in bones:
            continue
        middle = bones[name].centroid
        under = np.array([middle[0] + 4.0 * length, middle[1], 0.45 * middle[2] + 2.0])
        balls = balls + _string(middle, under, (11.0 * length, 12.0 * length), 10)
        balls = balls + _string(_moved(heel, 0, 10 * length, 8), under, 11.0 * length, 14)
    return balls


def _toe_pads(bones: BoneSet, style: SkinStyle) -> Balls:
    """The pulp under the tip of each toe, on the ground where the toe is low enough."""
    centres, radii = [], []
    for name, bone in bones.items():
        if not name.startswith(("distal_phalanx", "toe_fused")):
            continue
        tip = bone.vertices[bone.vertices[:, 1] > bone.vertices[:, 1].max() - 9.0].mean(axis=0)
        radius = float(np.clip(tip[2] - 1.0, style.toe + 1.5, style.toe + (5.0 if name.endswith("_1") else 3.0)))
        centres += [tip - (0, 1, 1.5), tip - (0, 6, 1.5)]
        radii += [radius, radius]
    return Balls(np.array(centres).reshape(-1, 3), np.array(radii))


def _webs(bones: BoneSet, style: SkinStyle) -> Balls:
    """Between neighbouring metatarsals, and the webs at the base of the toes."""
    balls = Balls(np.empty((0, 3)), np.empty(0))
    for first, second in pairwise(METATARSALS):
        if first not in bones or second not in bones:
            continue
        ends = []
        for name in (first, second):
            y = bones[name].vertices[:, 1]
            back = bones[name].vertices[y < y.min() + 12].mean(axis=0)
            front = bones[name].vertices[y > y.max() - 10].mean(axis=0)
            ends.append((back, front))
        middle_back = 0.5 * (ends[0][0] + ends[1][0])
        middle_front = 0.5 * (ends[0][1] + ends[1][1])
        beyond = middle_front + 0.16 * (middle_front - middle_back)
        balls = balls + _string(middle_back, middle_front, style.dorsal + 4.0) + _string(middle_front, beyond, 6.0, 8)
    return balls


def _leg(bones: BoneSet, style: SkinStyle, length: float) -> Balls:
    """Achilles tendon and the leg, up beyond the cut ends of its bones."""
    nothing = Balls(np.empty((0, 3)), np.empty(0))
    if "tibia" not in bones:
        return nothing
    axis = _leg_axis(bones)
    back = np.array([0.0, -1.0, 0.0]) + axis * axis[1]
    back /= np.linalg.norm(back)
    side = np.cross(axis, back)
    frame = np.column_stack([side, back, axis])
    tibia = bones["tibia"].vertices @ frame
    both = np.vstack([tibia, bones["fibula"].vertices @ frame]) if "fibula" in bones else tibia
    floor, scale = tibia[:, 2].min(), length * style.leg_scale
    heights = np.arange(15.0 * length, tibia[:, 2].max() - floor + CUT + 20.0, 5.0)
    heel_back = (bones["calcaneus"].vertices @ back).max()
    balls, sections = nothing, {}
    for height in heights:
        level = floor + min(height, tibia[:, 2].max() - floor - 6.0)
        within = [bone[np.abs(bone[:, 2] - level) < 6.0] for bone in (tibia, both)]
        if not len(within[0]):
            continue
        girth = np.interp(height / length, *_LEG_GIRTH) * scale
        depth, width = girth / np.pi * 1.08, girth / np.pi * 0.92
        front = within[0][:, 1].min() - style.malleolus - 1.0
        middle = 0.5 * (within[1][:, 0].min() + within[1][:, 0].max())
        # Above the heel the Achilles tendon lies before the back of the calcaneus, not behind it.
        room = heel_back - 5.0 - front + max(height / length - 45.0, 0.0) * 0.45
        depth = min(depth, max(room, 0.75 * depth))
        sections[height] = (middle, front, depth)
        balls = balls + _ellipse(frame, (middle, front + depth / 2, floor + height), width / 2, depth / 2)
    return balls + _tendons(bones, frame, floor, sections, length) if sections else nothing


def _ellipse(frame: np.ndarray, centre: tuple[float, float, float], width: float, depth: float) -> Balls:
    """Balls that fill a cross-section of the leg with these half axes in mm."""
    radius = min(0.75 * min(width, depth), LARGEST_BALL - 4.0)
    turn = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    spots = np.column_stack([np.cos(turn) * (width - radius), np.sin(turn) * (depth - radius), np.zeros(12)])
    return Balls((np.vstack([spots, np.zeros((1, 3))]) + centre) @ frame.T, np.full(13, radius))


def _tendons(bones: BoneSet, frame: np.ndarray, floor: float, sections: dict, length: float) -> Balls:
    """From the leg to the heel (Achilles tendon, Kager's fat before it) and to the instep (extensor tendons)."""
    heights = np.array(list(sections))
    middle, front, depth = sections[heights[np.argmin(np.abs(heights - 45 * length))]]
    level = floor + 45 * length
    heel = bones["calcaneus"].vertices
    insertion = heel[np.argmin(heel[:, 1] - 0.3 * heel[:, 2])]
    tendon = frame @ (middle, front + depth - 9 * length, level)
    balls = _string(_moved(insertion, 0, 5, 0), tendon, 8.5 * length)
    kager = frame @ (middle, front + depth - 24 * length, level)
    balls = balls + _string(_moved(insertion, 0, 18, 10), kager, 12.0 * length)
    instep = [bones[name].vertices for name in ("navicular", "intermediate_cuneiform", "talus") if name in bones]
    if not instep:
        return balls
    dorsum = instep[0][np.argmax(instep[0][:, 2])]
    shin = frame @ (middle, front + 10 * length, floor + 25 * length)
    return balls + _string(shin, _moved(dorsum, 0, 0, -2), (10 * length, 8 * length))
