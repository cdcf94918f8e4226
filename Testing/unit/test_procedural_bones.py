"""The foot built by code: closed bones, congruent joints, a standing pose."""

from collections import Counter

import numpy as np
import pytest

from orthoangles.simulation.anatomy import procedural_bones
from orthoangles.simulation.anatomy.bones import FOOT_BONES, METATARSALS, BoneSet
from orthoangles.simulation.anatomy.implicit import Solid, cone, ellipsoid, loft, mesh, union, without
from orthoangles.simulation.anatomy.joints import LOOSE, articulations, neighbours
from orthoangles.simulation.anatomy.procedural_bones import procedural_foot
from orthoangles.simulation.anatomy.surface_distance import gap, signed_distance

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def foot() -> BoneSet:
    return procedural_foot()


def open_edges(faces: np.ndarray) -> int:
    """Directed edges whose opposite is missing: none in a closed, consistently wound surface."""
    edges = Counter(map(tuple, np.concatenate([faces[:, (0, 1)], faces[:, (1, 2)], faces[:, (2, 0)]]).tolist()))
    return sum(count != 1 or (b, a) not in edges for (a, b), count in edges.items())


def line_through(bone, low: float, high: float) -> np.ndarray:
    """Direction of the line through the middles of two slices of a long bone, each as a share of its length."""
    points = bone.vertices - bone.centroid
    axis = np.linalg.svd(points, full_matrices=False)[2][0]
    axis = axis if axis[1] > 0 else -axis
    along = points @ axis
    share = (along - along.min()) / np.ptp(along)
    return points[abs(share - high) < 0.05].mean(axis=0) - points[abs(share - low) < 0.05].mean(axis=0)


def heading(direction: np.ndarray) -> float:
    """Degrees lateral of straight ahead."""
    return float(np.degrees(np.arctan2(direction[0], direction[1])))


def test_all_bones_are_there_and_small_enough_to_simulate_quickly(foot):
    assert tuple(foot) == FOOT_BONES
    assert sum(len(bone.faces) for bone in foot.values()) < 60_000


@pytest.mark.parametrize("name", FOOT_BONES)
def test_each_bone_is_one_closed_outward_surface_without_folds(foot, name):
    import trimesh

    bone = foot[name]
    assert open_edges(bone.faces) == 0
    assert bone.volume > 0
    surface = trimesh.Trimesh(bone.vertices, bone.faces, process=False)
    assert surface.body_count == 1
    # A sphere with dents has Euler number 2: no handle, no hole.
    assert surface.euler_number == 2
    first, second = (bone.face_normals[surface.face_adjacency[:, side]] for side in (0, 1))
    cosine = np.einsum("ij,ij->i", first, second)
    cosine /= np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    assert cosine.min() > -0.5


def test_joint_spaces_are_those_of_an_adult_foot(foot):
    for first, second in set(articulations()) - LOOSE:
        assert 0.9 < gap(foot[first], foot[second]) < 3.6, f"{first} and {second}"


def test_no_bone_enters_another(foot):
    for first, second in (*articulations(), *neighbours()):
        assert gap(foot[first], foot[second]) > 0.5, f"{first} and {second}"


def test_joints_are_congruent_over_their_surface(foot):
    # The navicular's cup follows the talar head: what faces it is equally far everywhere.
    for socket, ball in (("navicular", "talus"), ("tibia", "talus"), ("proximal_phalanx_1", "metatarsal_1")):
        distance = signed_distance(foot[ball], foot[socket].vertices)
        near = distance[distance < distance.min() + 0.6]
        assert len(near) > 60
        assert np.ptp(near) < 0.65


def test_it_stands_like_a_normal_foot(foot):
    first, second, hallux = (
        heading(line_through(foot[name], 0.3, 0.75)) for name in ("metatarsal_1", "metatarsal_2", "proximal_phalanx_1")
    )
    assert hallux - first == pytest.approx(12, abs=3)
    assert second - first == pytest.approx(9, abs=3)
    calcaneus = foot["calcaneus"].vertices
    lowest = calcaneus[calcaneus[:, 2].argmin()]
    front = calcaneus[calcaneus[:, 1] > calcaneus[:, 1].max() - 8]
    front = front[front[:, 2].argmin()]
    assert np.degrees(np.arctan2(front[2] - lowest[2], front[1] - lowest[1])) == pytest.approx(20, abs=3)
    leg = line_through(foot["tibia"].moved(np.eye(3)[[0, 2, 1]], np.zeros(3)), 0.6, 0.95)
    assert abs(heading(leg)) < 4


def test_it_has_the_size_of_an_adult_foot_and_stands_on_heel_and_ball(foot):
    heel = foot["calcaneus"].vertices
    assert foot["metatarsal_2"].vertices[:, 1].max() - heel[:, 1].min() == pytest.approx(168, abs=8)
    assert foot["tibia"].vertices[:, 2].max() - foot["talus"].vertices[:, 2].max() == pytest.approx(110, abs=10)
    assert np.allclose(foot["talus"].centroid, 0, atol=1e-9)
    lowest = {name: bone.vertices[:, 2].min() for name, bone in foot.items()}
    ground = lowest["calcaneus"]
    assert lowest["sesamoid_medial"] == pytest.approx(ground, abs=3)
    assert all(0 < lowest[name] - ground < 10 for name in METATARSALS)


@pytest.mark.parametrize("name", METATARSALS)
def test_metatarsal_heads_are_wider_than_their_shafts(foot, name):
    bone = foot[name]
    along = bone.vertices[:, 1]
    share = (along - along.min()) / np.ptp(along)
    middle, head = bone.vertices[abs(share - 0.6) < 0.05], bone.vertices[abs(share - 0.93) < 0.05]
    assert np.ptp(head[:, 0]) > 1.15 * np.ptp(middle[:, 0])


def test_the_same_foot_is_built_every_time(foot):
    again = procedural_bones._standard_foot.__wrapped__()
    assert all(again[name].vertices.tobytes() == bone.vertices.tobytes() for name, bone in foot.items())
    assert all(again[name].faces.tobytes() == bone.faces.tobytes() for name, bone in foot.items())


def test_a_generator_gives_another_foot_and_always_the_same(foot):
    first, second = (procedural_foot(np.random.default_rng(4)) for _ in range(2))
    other = procedural_foot(np.random.default_rng(5))
    assert np.array_equal(first["talus"].vertices, second["talus"].vertices)
    assert not np.allclose(first["talus"].vertices, other["talus"].vertices, atol=0.1)
    assert not np.allclose(first["talus"].vertices, foot["talus"].vertices, atol=0.1)


def solid(field, reach: float = 14.0) -> Solid:
    return Solid(field, np.zeros(3), np.eye(3), np.full(3, -reach), np.full(3, reach))


def test_a_meshed_ball_has_the_radius_it_was_given():
    vertices, faces = mesh(solid(ellipsoid((0, 0, 0), (10, 10, 10))), 1.7)
    assert np.linalg.norm(vertices, axis=1) == pytest.approx(np.full(len(vertices), 10.0), abs=1e-3)
    assert open_edges(faces) == 0


def test_a_solid_that_leaves_its_box_is_closed_there():
    _, faces = mesh(solid(cone((0, 0, 0), (0, 0, 40), 6, 6)), 2.0)
    assert open_edges(faces) == 0


def test_a_cut_keeps_its_distance_from_the_partner():
    ball = ellipsoid((0, 8, 0), (9, 9, 9))
    vertices, _ = mesh(solid(without(ellipsoid((0, -4, 0), (8, 8, 8)), [ball], 2.0)), 1.2)
    distance = np.linalg.norm(vertices - (0, 8, 0), axis=1) - 9
    assert distance.min() == pytest.approx(2.0, abs=0.05)


def test_a_loft_follows_its_sections():
    rod = loft([(-10, 4, 3, 0, 0), (0, 2, 2, 1, 0), (10, 4, 3, 0, 0)], (0, 0, 0), np.eye(3), 1.0)
    vertices, _ = mesh(solid(union(1.0, rod, rod)), 0.7)
    waist = vertices[abs(vertices[:, 1]) < 0.4]
    assert waist[:, 0].max() == pytest.approx(3.0, abs=0.35)
    assert waist[:, 0].min() == pytest.approx(-1.0, abs=0.35)
