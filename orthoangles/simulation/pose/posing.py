"""A scanned foot made to stand: the pose that fits the named angles, the ground and the joints best.

The kinematic chain (``anatomy.joints``) is moved by damped Gauss-Newton steps that weigh what is asked: angles as the
protocols measure them, bones on the ground, a tibia that stands, joint surfaces at their gap, no bone inside another,
and each joint near the middle of its range. Angles count so much that they are met to a hundredth of a degree; the rest
shares what remains.
"""

from collections.abc import Callable, Mapping

import numpy as np

from orthoangles.simulation.anatomy.bones import BoneSet
from orthoangles.simulation.anatomy.joints import JOINTS, Chain
from orthoangles.simulation.pose.contacts import REACH, STILL, JointGap, Near, Pair, pairs_of, placed_gaps, sampled
from orthoangles.simulation.pose.pose_angles import AngleInView
from orthoangles.simulation.pose.proximity import Proximity
from orthoangles.simulation.pose.search import Search
from orthoangles.simulation.pose.stance import PLAIN_STANCE, Pose, Stance

_FOLLOWED_STEP = 11
"""By then the foot stands nearly as it will."""


class Poser:
    """Poses one foot. ``landmarks``: id -> (bone, (3,) mm) in the frame of ``bones``, which need a talus and a root.

    Making one costs about half a second (surfaces are sampled); each pose one to two.
    """

    def __init__(self, bones: BoneSet, landmarks: Mapping[str, tuple[str, np.ndarray]], looseness: float = 1.0) -> None:
        """``looseness`` widens every range: a scanned, unloaded foot has further to go than a standing one."""
        self.bones, self.landmarks = bones, landmarks
        self.samples = sampled(bones)
        self.pairs = pairs_of(tuple(bones))
        self.gaps = {pair: self._rest_gap(pair) for pair in self.pairs if pair.touching}
        self.chain = Chain(bones, {name: self._centre(*pair) for name, pair in _joint_pairs(bones).items()})
        self.looseness = looseness
        self.followers: dict[tuple[str, str], Proximity] = {}

    def _rest_gap(self, pair: Pair) -> float:
        """The gap that a joint keeps: as scanned, within what cartilage leaves."""
        near = self._near_at_rest(pair.first, pair.second)
        facing = near.distances[near.facing]
        if not len(facing):
            return 1.5
        return float(np.clip(np.median(facing[facing < facing.min() + 2.0]), 1.0, 2.8))

    def _near_at_rest(self, first: str, second: str) -> Near:
        """Points of ``first`` near ``second``, both where they were sampled."""
        return Proximity(self.samples[first], self.samples[second], REACH).near(STILL, STILL)

    def _centre(self, parent: str, child: str) -> np.ndarray:
        """Where the normals of the joint's surface meet, but no further from it than a joint's curvature allows."""
        near = self._near_at_rest(child, parent)
        use = near.facing & (near.distances < near.distances.min(initial=np.inf) + 2.5)
        if use.sum() < 4:
            return (self.samples[child].centre + self.samples[parent].centre) / 2
        points, normals = near.points[use], near.normals[use]
        middle = points.mean(axis=0)
        across = np.eye(3)[None] - normals[:, :, None] * normals[:, None, :]
        # A flat joint has no such point: 0.1 keeps it at the surface.
        matrix = across.sum(axis=0) + 0.1 * len(points) * np.eye(3)
        vector = np.einsum("nij,nj->i", across, points) + 0.1 * len(points) * middle
        return np.linalg.solve(matrix, vector)

    def pose(
        self,
        goals: Mapping[AngleInView, float],
        stance: Stance = PLAIN_STANCE,
        *,
        steps: int = 45,
        firmness: float = 1.0,
        start: Pose | None = None,
        follow: Callable[[Pose], None] | None = None,
    ) -> Pose:
        """The pose in which each angle has its value in degrees, to a few hundredths where the joints allow it.

        ``start``: a pose of the same foot to go on from. ``firmness`` multiplies how strongly bones push apart.
        ``follow`` is called with the pose of a step on the way, to correct landmarks that depend on how the foot
        stands. Returns the best pose found: whether its angles and gaps are good enough is the caller's to check.
        """
        search = Search(self, goals, stance, start)
        search.firmness = firmness
        while search.steps < steps + (start.steps if start else 0):
            if search.advance() and search.steps > (start.steps + 2 if start else 14):
                break
            if follow and search.steps == _FOLLOWED_STEP:
                follow(search.result())
        return search.result()

    def gaps_at(self, pose: Pose) -> tuple[JointGap, ...]:
        """The gaps between the bones in a pose, against the triangles."""
        at = {name: (r, t) for name, r, t in zip(pose.names, pose.rotations, pose.translations, strict=True)}
        return placed_gaps(self.samples, at)


def _joint_pairs(bones: BoneSet) -> dict[str, tuple[str, str]]:
    return {joint.name: (joint.parent, joint.child) for joint in JOINTS if {joint.parent, joint.child} <= set(bones)}
