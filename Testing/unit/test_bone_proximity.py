"""Following what of one bone is near another gives what comparing all samples with all gives."""

import numpy as np
import pytest
import trimesh
from scipy.spatial.distance import cdist
from support.posed import standing_foot

from orthoangles.simulation.anatomy.bones import Bone
from orthoangles.simulation.anatomy.joints import rotation_about
from orthoangles.simulation.pose.contacts import STILL, Near, SurfaceSamples, sampled
from orthoangles.simulation.pose.proximity import Proximity

pytestmark = pytest.mark.unit


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


def compared(first: SurfaceSamples, second: SurfaceSamples, at, reach: float) -> Near:
    """Each of the sparse samples of ``first``, placed ``at``, with every sample of ``second``, which is not moved."""
    turn, shift = at
    points, directions = first.points[first.sparse] @ turn.T + shift, first.normals[first.sparse] @ turn.T
    apart = cdist(points, second.points)
    nearest, distance = apart.argmin(axis=1), apart.min(axis=1)
    near = distance < reach
    points, directions, nearest, distance = points[near], directions[near], nearest[near], distance[near]
    normals = second.normals[nearest]
    height = ((points - second.points[nearest]) * normals).sum(axis=1)
    facing = (directions * normals).sum(axis=1) < -0.5
    return Near(points, np.where(facing, height, np.sign(height) * distance), normals, facing)


def ball():
    sphere = trimesh.creation.icosphere(subdivisions=4, radius=10)
    return SurfaceSamples(Bone("ball", np.asarray(sphere.vertices), np.asarray(sphere.faces, dtype=np.int32)))


def test_at_first_sight_it_is_what_a_comparison_gives(samples):
    first, second = samples["navicular"], samples["talus"]
    at = next(path(2.0, 1, seed=5))
    seen, expected = Proximity(first, second, 6.0).near(at, STILL), compared(first, second, at, 6.0)
    assert len(expected.points) > 50
    assert seen.points == pytest.approx(expected.points)
    assert seen.distances == pytest.approx(expected.distances)
    assert seen.normals == pytest.approx(expected.normals)
    assert (seen.facing == expected.facing).all()


def test_placed_balls_stand_apart_by_a_known_gap():
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    near = Proximity(ball(), ball(), 6.0).near((turn, np.array([0, 23.0, 0])), (turn.T, np.zeros(3)))
    nearest = near.distances.argmin()
    assert near.distances[nearest] == pytest.approx(3.0, abs=0.15)
    assert near.normals[nearest] == pytest.approx([0, 1, 0], abs=0.15)


@pytest.mark.parametrize("step", [0.03, 0.5, 6.0])
def test_the_same_points_at_the_same_distances_as_compared_anew(samples, step):
    first, second = samples["navicular"], samples["talus"]
    follower = Proximity(first, second, 6.0)
    for at in path(step, 12, seed=3):
        followed, asked = follower.near(at, STILL), compared(first, second, at, 6.0)
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
