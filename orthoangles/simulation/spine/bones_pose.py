"""Bones of a trunk posed along a scoliotic curve: the vertebrae tilt, turn and wedge, ribs go along, the pelvis stands.

The curve is that of the drawn spine (:mod:`orthoangles.simulation.spine.pose`), so that the tilt of a vertebra in the
frontal plane is the curve's to rounding. Frame as in the bone library: +x the subject's right, +y anterior, +z up. The
image shows the subject face to face: its right is the subject's left.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from orthoangles.errors import SimulationError
from orthoangles.simulation.anatomy.bones import BoneSet
from orthoangles.simulation.spine.bones_shape import VertebralBody, vertebral_body
from orthoangles.simulation.spine.pose import LEVELS, SpinePose
from orthoangles.simulation.tissue.cortex import endosteal_surface

VERTEBRAE = tuple(level.lower() for level in LEVELS)
RIBS = tuple(f"rib_{number}_{side}" for number in range(1, 13) for side in "lr")
PELVIS = ("sacrum", "hip_l", "hip_r")

_CORTEX = {"rib": 1.4, "hip": 1.3, "sacrum": 1.0, "sternum": 1.0}
_VERTEBRAL_CORTEX = 0.7
"""Cortex in mm: vertebral shell and endplates 0.4 to 1, ribs and pelvis about 1 (inferred)."""
TURN_PER_SHARE = 50.0
"""Degrees of axial rotation where the drawn spine shifts its pedicles by the whole half width (inferred)."""
_CARRIER_OF_STERNUM = "t6"
_TILT_OF_RIBS, _RIB_BEND = 0.4, (30.0, 140.0)
"""The front ends of the ribs share this much of the tilt of their vertebrae; where in mm from the vertebra the bend
begins and ends (inferred).
"""
_NECK_WIDTHS = (0.92, 0.80, 0.76, 0.74)
"""Width of C7 to C4 as a share of T1's: those of the drawn spine."""


@dataclass(frozen=True, eq=False)
class SpineBones:
    """The bones of a trunk, their endosteal surfaces by name (n, 3), and the bodies of T1..L5 at rest."""

    bones: BoneSet
    inner: Mapping[str, np.ndarray]
    bodies: Mapping[str, VertebralBody]

    @property
    def length(self) -> float:
        """From the centre of T1 to that of L5 along the bodies' centres, mm."""
        centres = np.array([self.bodies[name].centre for name in VERTEBRAE])
        return float(np.linalg.norm(np.diff(centres, axis=0), axis=1).sum())


@dataclass(frozen=True)
class Posture:
    """What the AP curve does not say, in degrees: ``kyphosis`` and ``lordosis`` are added to the bones' own, over
    T1-T12 and T12-L5; ``pelvic_tilt`` leans the pelvis forward, ``obliquity`` lifts its left side. ``scale`` is the
    body's size to the library's.
    """

    kyphosis: float = 0.0
    lordosis: float = 0.0
    pelvic_tilt: float = 0.0
    obliquity: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True, eq=False)
class PosedTrunk:
    """``outer`` and ``inner`` surfaces (vertices, faces) by bone; ``corners`` (17, 4, 3) mm of the bodies as the image
    shows them (top left is the subject's right). ``neck_1`` to ``neck_4`` stand for C7 to C4.
    """

    outer: Mapping[str, tuple[np.ndarray, np.ndarray]]
    inner: Mapping[str, tuple[np.ndarray, np.ndarray]]
    corners: np.ndarray


def spine_bones(bones: BoneSet) -> SpineBones:
    """Prepare a trunk. Raises SimulationError where a vertebra, rib or pelvic bone is missing or not recognised."""
    missing = [name for name in (*VERTEBRAE, *RIBS, *PELVIS) if name not in bones]
    if missing:
        raise SimulationError(f"{bones.id}: has no {', '.join(missing[:4])}; a spine needs T1 to L5, ribs and pelvis.")
    inner = {
        name: endosteal_surface(bone, np.full(len(bone.vertices), _cortex(name)))[0] for name, bone in bones.items()
    }
    return SpineBones(bones, inner, {name: vertebral_body(bones[name]) for name in VERTEBRAE})


def pose_trunk(trunk: SpineBones, pose: SpinePose, posture: Posture) -> PosedTrunk:
    """The trunk along the curve of ``pose``; the sacrum's endplate stays at the origin of the library's spine frame."""
    placed = _Placed(trunk)
    stand = _frontal(np.deg2rad(posture.obliquity)) @ _sagittal(-np.deg2rad(posture.pelvic_tilt))
    for name in PELVIS:
        placed.add(name, name, lambda points: points * posture.scale @ stand.T)
    shape, turns = _Shaping(trunk, pose, posture.scale), _orientations(pose, posture)
    turn_below, end_below, rest_end = stand, np.zeros(3), np.zeros(3)
    movers, corners = {}, []
    for level in reversed(range(len(VERTEBRAE))):
        name, body = VERTEBRAE[level], trunk.bodies[VERTEBRAE[level]]
        disc = (body.inferior - rest_end) * posture.scale
        move = shape.mover(level, turns[level], end_below + disc @ _between(turn_below, turns[level]).T)
        placed.add(name, name, move)
        corners.insert(0, body.corners @ placed.outer[name][0])
        turn_below, end_below, rest_end = turns[level], move(body.superior[None])[0], body.superior
        movers[name] = move
    held = _orientations(pose, posture, _TILT_OF_RIBS)
    for name in (*RIBS, *(name for name in ("sternum_cartilage",) if name in trunk.bones)):
        carrier = f"t{name.split('_')[1]}" if name in RIBS else _CARRIER_OF_STERNUM
        placed.add(name, name, _bent(shape, VERTEBRAE.index(carrier), trunk, movers[carrier], held))
    for above, width in enumerate(_NECK_WIDTHS, start=1):
        placed.add("t1", f"neck_{above}", _neck(trunk.bodies["t1"], movers["t1"], above, width))
    return PosedTrunk(placed.outer, placed.inner, np.array(corners))


def _bent(shape: "_Shaping", level: int, trunk: SpineBones, move, held: np.ndarray):
    """A rib leaves its vertebra as that lies, and bends towards where the front of the chest holds it."""
    body = trunk.bodies[VERTEBRAE[level]]
    front = shape.mover(level, held[level], move(body.inferior[None])[0])

    def bent(points: np.ndarray) -> np.ndarray:
        away = np.linalg.norm(points - body.centre, axis=1)[:, None]
        share = np.clip((away - _RIB_BEND[0]) / (_RIB_BEND[1] - _RIB_BEND[0]), 0, 1)
        return (1 - share) * move(points) + share * front(points)

    return bent


def _neck(body: VertebralBody, move, above: int, width: float):
    """A smaller T1 stands for each cervical vertebra: hints only, no landmark lies on them."""
    step = 1.12 * float(np.linalg.norm(body.superior - body.inferior))

    def moved(points: np.ndarray) -> np.ndarray:
        local = body.local(points) * (width, 0.8, 0.9) + (0, 0, above * step)
        return move(local @ body.axes.T + body.centre)

    return moved


class _Placed:
    """Where the bones have come to be."""

    def __init__(self, trunk: SpineBones) -> None:
        self._trunk = trunk
        self.outer: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self.inner: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def add(self, source: str, name: str, move) -> None:
        bone = self._trunk.bones[source]
        self.outer[name] = (move(bone.vertices), bone.faces)
        self.inner[name] = (move(self._trunk.inner[source]), bone.faces)


class _Shaping:
    """Size, width and wedging of each vertebra, then its place."""

    def __init__(self, trunk: SpineBones, pose: SpinePose, scale: float) -> None:
        self._trunk, self._pose, self._scale = trunk, pose, scale
        steps = np.linalg.norm(np.diff(pose.centres, axis=0), axis=1).sum()
        # The thoracic bodies of the library are generic and too wide: the widths follow the drawn spine's proportions.
        wanted = pose.width / steps * trunk.length
        self._widening = wanted / [trunk.bodies[name].width for name in VERTEBRAE]

    def mover(self, level: int, turn: np.ndarray, lower_end: np.ndarray):
        """Function that takes rest points (n, 3) of the vertebra, or of its ribs, to where they are."""
        body = self._trunk.bodies[VERTEBRAE[level]]
        top, bottom = (body.local(end[None])[0, 2] for end in (body.superior, body.inferior))
        slopes = np.tan(self._pose.wedge[level])
        half = body.width / 2

        def shaped(points: np.ndarray) -> np.ndarray:
            local = body.local(points)
            across = np.clip(local[:, 0], -half, half)
            share = np.clip((local[:, 2] - bottom) / (top - bottom), 0, 1)
            slope = slopes[1] + (slopes[0] - slopes[1]) * share
            # Beyond the body the change of width is a shift, so that ribs and processes keep their size.
            x = local[:, 0] + across * (self._widening[level] - 1)
            moved = np.column_stack([x, local[:, 1], local[:, 2] + slope * across * self._widening[level]])
            return moved @ body.axes.T * self._scale

        anchor = shaped(body.inferior[None])[0]
        return lambda points: (shaped(points) - anchor) @ turn.T + lower_end


def _cortex(name: str) -> float:
    return _CORTEX.get(name.split("_")[0], _VERTEBRAL_CORTEX)


def _orientations(pose: SpinePose, posture: Posture, tilted: float = 1.0) -> np.ndarray:
    """Rotation (17, 3, 3) of each vertebra: sagittal, then axial, then in the frontal plane, so that the last is the
    curve's tilt as the film shows it, or ``tilted`` times that.
    """
    level = np.arange(len(VERTEBRAE))
    # Lordosis grows from L5 to T12 (leaning back), kyphosis from T12 to T1 (leaning forward); positive leans back.
    lumbar = posture.lordosis * (np.clip((16 - level) / 5, 0, 1) - 0.5)
    thoracic = -posture.kyphosis * (np.clip((11 - level) / 11, 0, 1) - 0.5)
    lean = np.deg2rad(lumbar - lumbar[11] + thoracic - thoracic[11])
    turn = np.deg2rad(TURN_PER_SHARE * pose.rotation)
    return np.array(
        [_frontal(-tilted * t) @ _axial(-a) @ _sagittal(s) for t, a, s in zip(pose.tilt, turn, lean, strict=True)]
    )


def _between(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The rotation half way between two."""
    u, _, v = np.linalg.svd(first + second)
    return u @ v


def _frontal(angle: float) -> np.ndarray:
    """About +y: positive lowers the subject's right."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def _axial(angle: float) -> np.ndarray:
    """About +z: positive turns the front to the subject's left."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def _sagittal(angle: float) -> np.ndarray:
    """About +x: positive leans back."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
