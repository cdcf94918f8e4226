"""Following what of one bone is near another gives what asking anew gives."""

import numpy as np
import pytest
from support.posed import standing_foot

from orthoangles.simulation.anatomy.joints import rotation_about
from orthoangles.simulation.pose.contacts import nearby, sampled
from orthoangles.simulation.pose.proximity import Proximity

pytestmark = pytest.mark.unit
STILL = (np.eye(3), np.zeros(3))


@pytest.fixture(scope="module")
def samples():
    return sampled(standing_foot())


def path(step, count, seed):
    """Placements along a way: turns about a drifting axis, and shifts, of about ``step`` mm and ``step`` degrees."""
    rng = np.random.default_rng(seed)
    turn, shift = np.eye(3), np.zeros(3)
    for _ in range(count):
        axis = rng.standard_normal(3)
        turn = rotation_about(axis / np.linalg.norm(axis), np.deg2rad(step)) @ turn
        shift = shift + step * rng.standard_normal(3) / 2
        yield turn, shift


@pytest.mark.parametrize("step", [0.03, 0.5, 6.0])
def test_the_same_points_at_the_same_distances_as_asked_anew(samples, step):
    first, second = samples["navicular"], samples["talus"]
    follower = Proximity(first, second, 6.0)
    for at in path(step, 12, seed=3):
        followed, asked = follower.near(at, STILL), nearby(first, second, at, STILL)
        # At the rim of the reach a point may be in for one and out for the other.
        assert abs(len(followed.points) - len(asked.points)) <= max(3, 0.02 * len(asked.points))
        if not len(asked.points):
            continue
        gaps = np.sort(followed.distances)[:20], np.sort(asked.distances)[:20]
        assert gaps[0] == pytest.approx(gaps[1], abs=0.1)
        assert followed.facing.sum() == pytest.approx(asked.facing.sum(), abs=max(3, 0.05 * asked.facing.sum()))


def test_bones_that_part_and_meet_again_are_found_again(samples):
    first, second = samples["proximal_phalanx_1"], samples["metatarsal_1"]
    follower = Proximity(first, second, 4.0)
    far = (np.eye(3), np.array([0.0, 80.0, 0.0]))
    before = follower.near(STILL, STILL)
    assert not len(follower.near(far, STILL).points)
    after = follower.near(STILL, STILL)
    assert len(before.points)
    assert after.points == pytest.approx(before.points)
    assert after.distances == pytest.approx(before.distances)


def test_placing_both_alike_changes_no_distance(samples):
    first, second = samples["cuboid"], samples["calcaneus"]
    turn = rotation_about(np.array([0.0, 0, 1]), 0.7)
    both = (turn, np.array([5.0, -20, 3]))
    still, moved = (Proximity(first, second, 6.0).near(at, at) for at in (STILL, both))
    assert moved.distances == pytest.approx(still.distances)
    assert moved.normals == pytest.approx(still.normals @ turn.T)
