"""One pose being sought: what is asked of the bones is weighed, one damped Gauss-Newton step at a time."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from orthoangles.simulation.anatomy.bones import METATARSALS, BoneSet
from orthoangles.simulation.anatomy.joints import ROOT
from orthoangles.simulation.pose.contacts import REACH, Near, Pair
from orthoangles.simulation.pose.normal_equations import NormalEquations, along
from orthoangles.simulation.pose.pose_angles import AngleInView
from orthoangles.simulation.pose.proximity import Proximity
from orthoangles.simulation.pose.stance import Pose, Stance

if TYPE_CHECKING:
    from orthoangles.simulation.pose.posing import Poser

HEEL_PAD, SESAMOID_PAD, FIFTH_HEAD_PAD, TOE_PAD = 12.0, 7.0, 8.0, 6.0
"""Soft tissue in mm between bone and ground under a loaded adult foot (inferred; about 10 to 15 under the heel)."""
CLEARANCE = 4.0
"""No other bone comes nearer to the ground than this, in mm (inferred)."""
_STEP_ANGLE, _STEP_SHIFT = np.deg2rad(7.0), 2.5
_TOUCHING_REACH = 4.0
"""Between bones that no joint draws together only surfaces this near are looked at, mm."""
_RESTING_TURN, _RESTING_SHIFT = np.deg2rad(0.5), 0.15
_MARGIN = 0.55
"""mm: surfaces nearer than this push each other away while a pose is sought."""


class Search:
    """One pose being sought."""

    def __init__(
        self, poser: "Poser", goals: Mapping[AngleInView, float], stance: Stance, start: Pose | None = None
    ) -> None:
        self.poser, self.goals, self.stance = poser, goals, stance
        self.chain = poser.chain
        self.firmness = 1.0
        self.q = np.zeros(self.chain.size)
        self.q[5] = -self._lowest_at_rest()
        if start is not None:
            self.q = start.q.copy()
        self.limits = self.chain.ranges * poser.looseness
        self.middle = self._middle()
        self.rotations, self.translations, self.twists = self.chain.place(self.q)
        self.errors: dict[AngleInView, float] = {}
        if start is None:
            poser.followers.clear()
        self.followers = poser.followers
        self.steps = start.steps if start else 0
        lesser_toes = [name for name in self.chain.bones if "phalanx" in name and not name.endswith("_1")]
        self.leading = [i for i, name in enumerate(self.chain.bones) if name not in lesser_toes]
        self.tibia = shaft_direction(poser.bones["tibia"].vertices) if "tibia" in poser.bones else None
        self.plantar = _lowest_candidates(poser.bones)
        self.ends = {name: _end(poser.bones[name].vertices, name) for name in (ROOT, *METATARSALS)}
        self.head_distances = {
            ray: float(np.linalg.norm(self.ends[f"metatarsal_{ray}"] - self.ends[f"metatarsal_{ray + 1}"]))
            for ray in (2, 3, 4)
        }

    def _lowest_at_rest(self) -> float:
        return min(bone.vertices[:, 2].min() for name, bone in self.poser.bones.items() if name == ROOT) - HEEL_PAD

    def _middle(self) -> np.ndarray:
        middle = np.zeros(self.chain.size)
        for i, joint in enumerate(self.chain.joints, start=1):
            middle[6 * i : 6 * i + 3] = np.deg2rad(self.stance.bias.get(joint.name, (0.0, 0.0, 0.0)))
        return np.clip(middle, -0.9 * self.limits, 0.9 * self.limits)

    def advance(self) -> bool:
        """One step; true when nothing moves any more and every angle is met."""
        sharpness = min(1.0, 0.15 + self.steps / 14)
        self.steps += 1
        system = NormalEquations(self.twists)
        self._add_contacts(system, sharpness)
        self._add_ground(system, sharpness)
        self._add_stance(system)
        self._add_ligaments(system)
        self._add_angles(system, sharpness)
        self._add_ranges(system)
        self._add_damping(system)
        step = system.step(self.q, self.limits)
        turns = np.abs(step.reshape(-1, 2, 3)[:, 0]).max()
        shifts = np.abs(step.reshape(-1, 2, 3)[1:, 1]).max()
        step *= min(1.0, _STEP_ANGLE / max(turns, 1e-12), _STEP_SHIFT / max(shifts, 1e-12))
        before = self.q
        # Rounded, so that the last bits of a linear solver, which differ between machines, do not add up.
        self.q = np.round(np.clip(self.q + step, -self.limits, self.limits), 10)
        self.rotations, self.translations, self.twists = self.chain.place(self.q)
        return self._rests(self.q - before)

    def _rests(self, moved: np.ndarray) -> bool:
        """Whether every angle is met and nothing moves any more, save toes that jostle."""
        met = all(abs(error) < 0.01 for error in self.errors.values())
        own = np.abs(moved.reshape(-1, 2, 3)[self.leading]).max(axis=(0, 2))
        return bool(met and own[0] < _RESTING_TURN and own[1] < _RESTING_SHIFT)

    # --- what is asked
    def _at(self, bone: str) -> tuple[np.ndarray, np.ndarray]:
        i = self.chain.row[bone]
        return self.rotations[i], self.translations[i]

    def _twist(self, bone: str) -> np.ndarray:
        return self.twists[self.chain.row[bone]]

    def _rows(self, *bones: str) -> tuple[int, ...]:
        return tuple(self.chain.row[bone] for bone in bones)

    def _add_contacts(self, system: NormalEquations, sharpness: float) -> None:
        for pair in self.poser.pairs:
            near = self._near(pair, pair.first, pair.second)
            if not len(near.points):
                continue
            self._part(system, pair, pair.first, pair.second, near, sharpness)
            if pair.touching:
                self._join(system, pair, near)
            if near.distances.min() < 1.5:
                back = self._near(pair, pair.second, pair.first)
                self._part(system, pair, pair.second, pair.first, back, sharpness)

    def _near(self, pair: Pair, first: str, second: str) -> Near:
        """Points of ``first`` near ``second``."""
        follower = self.followers.get((first, second))
        if follower is None:
            samples = self.poser.samples
            # Only a joint draws its bones together; all others matter when they touch, or have run into each other.
            reach = REACH if pair.touching and first == pair.first else _TOUCHING_REACH
            follower = self.followers[first, second] = Proximity(samples[first], samples[second], reach)
        return follower.near(self._at(first), self._at(second))

    def _part(self, system: NormalEquations, pair: Pair, first: str, second: str, near: Near, sharpness: float) -> None:
        """What has come too near, or entered, is pushed out."""
        inside = near.distances < _MARGIN
        if not inside.any():
            return
        points, directions = near.points[inside], near.normals[inside]
        if "phalanx" in first and "phalanx" in second and not pair.touching:
            # Toes that cross part sideways: the nearest way out of a thin bone may lead through it.
            directions = np.tile(self._sideways(first, second), (len(points), 1))
        weight = self.firmness * (sharpness / 0.08) ** 2 / max(1.0, len(points) / 12)
        system.add(self._rows(first, second), along(points, directions), near.distances[inside] - _MARGIN, weight)

    @staticmethod
    def _sideways(first: str, second: str) -> np.ndarray:
        """Medially for the toe nearer to the hallux."""
        return np.array([1.0 if first[-1] > second[-1] else -1.0, 0.0, 0.0])

    def _join(self, system: NormalEquations, pair: Pair, near: Near) -> None:
        """Surfaces that face each other are drawn to the joint's gap, those far apart less."""
        gap = self.poser.gaps[pair]
        use = near.facing & (near.distances > -3.0) & (near.distances < gap + 3.5)
        if not use.any():
            return
        residuals = near.distances[use] - gap
        weights = 1 / (1 + (residuals / 0.8) ** 2) ** 2
        weights *= (1 / 0.35) ** 2 / max(1.0, weights.sum() / 14)
        system.add(self._rows(pair.first, pair.second), along(near.points[use], near.normals[use]), residuals, weights)

    def _add_ground(self, system: NormalEquations, sharpness: float) -> None:
        size = self.stance.size
        pads = {ROOT: HEEL_PAD, "metatarsal_5": FIFTH_HEAD_PAD}
        pads |= {name: SESAMOID_PAD for name in ("sesamoid_medial", "sesamoid_lateral") if name in self.chain.row}
        for name, vertices in self.plantar.items():
            r, t = self._at(name)
            placed = vertices @ r.T + t
            lowest = placed[[placed[:, 2].argmin()]]
            if name in pads:
                residual, weight = lowest[0, 2] - pads[name] * size, (1 / 0.25) ** 2
            elif name.startswith("distal"):
                residual, weight = lowest[0, 2] - TOE_PAD * size, (1 / 2.0) ** 2
            elif lowest[0, 2] < CLEARANCE * size:
                residual, weight = lowest[0, 2] - CLEARANCE * size, (1 / 0.5) ** 2
            elif name in ("metatarsal_2", "metatarsal_3", "metatarsal_4"):
                residual, weight = lowest[0, 2] - (FIFTH_HEAD_PAD + 2) * size, (1 / 1.5) ** 2
            else:
                continue
            row = along(lowest, np.array([[0.0, 0, 1]]))
            system.add(self._rows(name), row, np.array([residual]), weight * sharpness)

    def _add_stance(self, system: NormalEquations) -> None:
        """The leg's direction, and the foot's place: the talus at the origin, heel to second ray straight ahead."""
        if self.tibia is not None:
            r, _ = self._at("tibia")
            direction = r @ self.tibia
            lean = np.tan(np.deg2rad(self.stance.lean))
            for axis, goal in enumerate(lean):
                row = np.zeros((1, 6))
                row[0, :3] = np.cross(direction, np.eye(3)[axis])
                residual = np.array([direction[axis] - goal])
                system.add(self._rows("tibia"), row, residual, (1 / np.deg2rad(1.0)) ** 2)
        r, t = self._at("talus")
        talus = (r @ self.poser.bones["talus"].centroid + t)[None]
        for axis in range(2):
            system.add(self._rows("talus"), along(talus, np.eye(3)[[axis]]), talus[:, axis], (1 / 0.1) ** 2)
        heel, head = (self._end(name) for name in (ROOT, "metatarsal_2"))
        across = np.eye(3)[[0]]
        row = along(head, across) @ self._twist("metatarsal_2") - along(heel, across) @ self._twist(ROOT)
        system.add_direct(row[0], float(head[0, 0] - heel[0, 0]), (1 / 0.2) ** 2)

    def _add_ligaments(self, system: NormalEquations) -> None:
        """The deep transverse ligament holds the lesser metatarsals' heads together; the first may drift."""
        for ray in (2, 3, 4):
            first, second = f"metatarsal_{ray}", f"metatarsal_{ray + 1}"
            apart = self._end(second) - self._end(first)
            distance = float(np.linalg.norm(apart))
            direction = apart / distance
            row = along(self._end(second), direction) @ self._twist(second)
            row -= along(self._end(first), direction) @ self._twist(first)
            system.add_direct(row[0], distance - self.head_distances[ray], (1 / 0.5) ** 2)

    def _end(self, name: str) -> np.ndarray:
        """(1, 3): the middle of the back of the heel, or of a metatarsal's head."""
        r, t = self._at(name)
        return (r @ self.ends[name] + t)[None]

    def _add_angles(self, system: NormalEquations, sharpness: float) -> None:
        landmarks = self.landmarks()
        for angle, goal in self.goals.items():
            value, gradient = angle.gradient(landmarks)
            self.errors[angle] = value - goal
            row = np.zeros(self.chain.size)
            for name, direction in gradient.items():
                bone = self.poser.landmarks[name][0]
                row += (along(landmarks[name][None], direction[None]) @ self._twist(bone))[0]
            residual = float(np.clip(value - goal, -8, 8))
            system.add_direct(row, residual, (sharpness / 0.01) ** 2)

    def _add_ranges(self, system: NormalEquations) -> None:
        spread = np.where(np.isfinite(self.limits), self.chain.ranges / 2.5, 1e3)
        weights = 1 / spread**2
        weights[:6] = 1e-6
        system.diagonal += weights
        system.vector += weights * (self.q - self.middle)

    def _add_damping(self, system: NormalEquations) -> None:
        """Ever smaller steps: contacts come and go, and an undamped step jumps between them."""
        calm = 1 + self.steps / 6
        weights = np.tile(np.repeat([calm / np.deg2rad(10), calm / 3.0], 3) ** 2, len(self.chain.bones))
        system.diagonal += weights

    def landmarks(self) -> dict[str, np.ndarray]:
        """Every landmark where its bone now is."""
        return {
            name: self.rotations[self.chain.row[bone]] @ point + self.translations[self.chain.row[bone]]
            for name, (bone, point) in self.poser.landmarks.items()
        }

    def result(self) -> Pose:
        """The pose reached."""
        landmarks = self.landmarks()
        values = {f"{a.protocol.id}/{a.measurement}": a.value(landmarks) for a in self.goals}
        told = self.chain.coordinates(self.q)
        return Pose(self.chain.bones, self.rotations, self.translations, told, values, self.q, self.steps)


def shaft_direction(vertices: np.ndarray) -> np.ndarray:
    """Unit vector (3,) up a tibia or fibula: through the middles of its cross-sections, from above the malleolus."""
    upward = np.linalg.svd(vertices - vertices.mean(axis=0), full_matrices=False)[2][0]
    upward = upward if upward[2] > 0 else -upward
    height = vertices @ upward
    low, high = height.min() + 0.45 * np.ptp(height), height.max() - 0.08 * np.ptp(height)
    slab = 0.05 * np.ptp(height)
    lower, upper = (vertices[np.abs(height - level) < slab].mean(axis=0) for level in (low, high))
    return (upper - lower) / np.linalg.norm(upper - lower)


def _end(vertices: np.ndarray, name: str) -> np.ndarray:
    """(3,): the middle of the last 15 mm of the heel, or of the last 12 mm of a metatarsal."""
    y = vertices[:, 1]
    return (vertices[y < y.min() + 15] if name == ROOT else vertices[y > y.max() - 12]).mean(axis=0)


def _lowest_candidates(bones: BoneSet) -> dict[str, np.ndarray]:
    """Vertices of each bone that can become its lowest point: what faces down at rest; of the fifth ray the head."""
    candidates = {}
    for name, bone in bones.items():
        if name in ("tibia", "fibula"):
            continue
        vertices = bone.vertices[bone.vertex_normals[:, 2] < 0.3]
        if name == "metatarsal_5":
            y = vertices[:, 1]
            vertices = vertices[y > y.max() - 0.3 * np.ptp(y)]
        candidates[name] = vertices
    return candidates
