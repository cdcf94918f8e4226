"""Signed distances between bones, judged on shapes whose distances are known."""

import numpy as np
import pytest
import trimesh
from support.posed import standing_foot

from orthoangles.simulation.anatomy.bones import Bone
from orthoangles.simulation.anatomy.surface_distance import nearest_on_faces, winding_number
from orthoangles.simulation.pose.contacts import (
    STILL,
    JointGap,
    SurfaceSamples,
    exact_distances,
    joint_gaps,
    placed_gaps,
    sampled,
    unacceptable,
)

pytestmark = pytest.mark.unit


def ball(radius=10.0, centre=(0, 0, 0), name="ball"):
    sphere = trimesh.creation.icosphere(subdivisions=4, radius=radius)
    return Bone(name, np.asarray(sphere.vertices) + centre, np.asarray(sphere.faces, dtype=np.int32))


def spike():
    """A thin wedge: beside its edge neighbouring faces disagree about inside and outside."""
    vertices = np.array([[0.0, 0, 0], [30, 0, 0], [30, 1.0, 0], [0, 1.0, 0], [15, 0.5, 12]])
    faces = np.array([[0, 2, 1], [0, 3, 2], [0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]], dtype=np.int32)
    vertices, faces = trimesh.remesh.subdivide_to_size(vertices, faces, 1.5)
    return Bone("spike", vertices, faces.astype(np.int32))


def test_balls_apart_by_a_known_gap():
    one, other = SurfaceSamples(ball()), SurfaceSamples(ball(centre=(22.5, 0, 0)))
    distances, facing = exact_distances(one, other, STILL, STILL)
    assert distances.min() == pytest.approx(2.5, abs=0.05)
    assert facing[distances.argmin()]


def test_a_ball_inside_another_is_negative_by_its_depth():
    one, other = SurfaceSamples(ball(6)), SurfaceSamples(ball(10, (14, 0, 0)))
    distances, _ = exact_distances(one, other, STILL, STILL)
    assert distances.min() == pytest.approx(-2.0, abs=0.05)


def test_placements_count():
    one, other = SurfaceSamples(ball()), SurfaceSamples(ball())
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    distances, _ = exact_distances(one, other, (turn, np.array([0, 23.0, 0])), (turn.T, np.zeros(3)))
    assert distances.min() == pytest.approx(3.0, abs=0.05)


def test_the_nearest_point_of_a_face_lies_inside_it_on_its_edge_or_at_its_corner():
    corners = np.array([[0.0, 0, 0], [4, 0, 0], [0, 4, 0], [0, 0, 9], [4, 0, 9], [0, 4, 9]])
    bone = Bone("two", corners, np.array([[0, 1, 2], [3, 4, 5]], dtype=np.int32))
    points = np.array([[1.0, 1, 2], [2, -3, 0], [7, -4, 0]])
    nearest, distance = nearest_on_faces(bone, points, np.array([[0, 1]] * 3))
    assert nearest[:, 0] == pytest.approx(np.array([[1.0, 1, 0], [2, 0, 0], [4, 0, 0]]))
    assert nearest[:, 1] == pytest.approx(np.array([[1.0, 1, 9], [2, 0, 9], [4, 0, 9]]))
    assert distance == pytest.approx(np.array([[2, 7], [3, np.hypot(3, 9)], [5, np.hypot(5, 9)]]))


def test_winding_number_tells_inside_from_outside_near_an_edge():
    bone = spike()
    assert bone.volume > 0
    points = np.array([[15, 0.5, 0.5], [15, 0.5, 12.3], [15, -0.2, 3.0], [31, 0.5, 0.1], [15, 0.5, 11.5]])
    assert np.round(winding_number(bone, points)).tolist() == [1, 0, 0, 0, 1]


def test_beside_an_edge_the_sign_is_right():
    rng = np.random.default_rng(0)
    mesh = trimesh.Trimesh(spike().vertices, spike().faces)
    points = rng.uniform([-2, -2, -2], [32, 3, 14], (400, 3))
    cloud = SurfaceSamples(ball(1.0))
    cloud.points, cloud.normals = points, np.tile([0.0, 0, 1], (400, 1))
    cloud.sparse = cloud.cell = np.arange(400)
    distances, _ = exact_distances(cloud, SurfaceSamples(spike()), STILL, STILL)
    assert (distances < 0).sum() == mesh.contains(points).sum()


def test_gaps_of_a_standing_foot_are_acceptable_and_do_not_depend_on_where_it_stands():
    bones = standing_foot()
    gaps = joint_gaps(bones)
    assert unacceptable(gaps) == ()
    shift = (np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), np.array([50.0, -20, 7]))
    moved = placed_gaps(sampled(bones), dict.fromkeys(bones, shift))
    assert [g.closest for g in moved] == pytest.approx([g.closest for g in gaps], abs=1e-6)


def test_a_bone_pushed_into_its_neighbour_is_named():
    bones = dict(standing_foot())
    bones["navicular"] = bones["navicular"].moved(np.eye(3), np.array([0, -4.0, 0]))
    faults = {(gap.first, gap.second) for gap in unacceptable(joint_gaps(standing_foot().with_bones(bones)))}
    assert ("navicular", "talus") in faults


@pytest.mark.parametrize(
    ("gap", "closest", "fine"),
    [(0.5, 0.1, True), (6.0, 1.0, True), (0.4, 0.1, False), (6.1, 5.0, False), (2.0, -0.5, True), (2.0, -0.51, False)],
)
def test_what_is_acceptable(gap, closest, fine):
    assert JointGap("a", "b", True, gap, closest).acceptable == fine
