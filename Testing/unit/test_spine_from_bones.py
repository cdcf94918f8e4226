"""Spines of bone meshes: corners lie on the bodies, the curve is the asked one, the picture shows what is said."""

from dataclasses import replace

import numpy as np
import pytest
from support.block_spine import DEPTH, HEIGHT, NAMES, ROUNDING, WIDTH, block_trunk, block_vertebra
from support.data import shared_data

from orthoangles.errors import SimulationError
from orthoangles.simulation.anatomy.bones import BoneLibrary
from orthoangles.simulation.radiography.cameras import Camera
from orthoangles.simulation.radiography.rasterising import path_lengths
from orthoangles.simulation.spine.bones_pose import Posture, pose_trunk, spine_bones
from orthoangles.simulation.spine.bones_shape import vertebral_body
from orthoangles.simulation.spine.from_bones import simulate_spine_from_bones
from orthoangles.simulation.spine.pose import random_pose

pytestmark = pytest.mark.unit
REAL = "spine_composite_opensim_artisynth"


@pytest.fixture(scope="module", params=["blocks", "real"])
def trunk(request):
    if request.param == "blocks":
        return spine_bones(block_trunk())
    return spine_bones(BoneLibrary(shared_data("bones")).subject(REAL))


@pytest.fixture(scope="module")
def blocks():
    return spine_bones(block_trunk())


def lean(degrees):
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


@pytest.mark.parametrize("degrees", [-25, 0, 12, 25])
def test_the_corners_of_a_body_of_known_size_are_found_however_it_leans(degrees):
    turned = block_vertebra().moved(lean(degrees), np.array([3.0, -7.0, 100.0]))
    body = vertebral_body(turned)
    corners = body.corners @ turned.vertices
    back = (corners - [3.0, -7.0, 100.0]) @ lean(degrees)
    # The rounded edge is met 45 degrees up: inward of the sharp corner by this much along each axis.
    inset = ROUNDING * (1 - np.sqrt(0.5))
    expected = np.array([(x, z) for z in (1, -1) for x in (1, -1)]) * [WIDTH / 2 - inset, HEIGHT / 2 - inset]
    assert np.allclose(back[:, [0, 2]], expected, atol=0.5)
    assert (np.abs(back[:, 1]) < DEPTH / 2).all()


def test_a_mesh_without_a_canal_is_refused():
    body = block_vertebra()
    front = body.with_vertices(np.column_stack([body.vertices[:, 0], body.vertices[:, 1] * 0.1, body.vertices[:, 2]]))
    with pytest.raises(SimulationError, match="no spinal canal"):
        vertebral_body(front)


def test_missing_bones_are_named():
    bones = block_trunk()
    without = bones.with_bones({name: bone for name, bone in bones.items() if name not in ("t4", "rib_2_l")})
    with pytest.raises(SimulationError, match="has no t4, rib_2_l"):
        spine_bones(without)


def test_real_corners_lie_on_the_body_and_mirror_each_other():
    bones = BoneLibrary(shared_data("bones")).subject(REAL)
    for name in NAMES:
        bone = bones[name]
        body = vertebral_body(bone)
        at = body.corners @ bone.vertices
        corners = body.local(at)
        nearest = np.linalg.norm(bone.vertices[:, None] - at, axis=2).min(axis=0)
        assert (nearest < 1.5).all(), name
        assert np.allclose(corners[0::2, 0], -corners[1::2, 0], atol=0.8), name
        assert np.allclose(corners[0::2, 2], corners[1::2, 2], atol=0.5), name
        # Thoracic bodies are 15 to 28 mm high and lumbar ones up to 35; processes stand behind.
        assert 14 < np.ptp(corners[:, 2]) < 35, name
        assert (corners[:, 1] > -0.45 * np.ptp(body.local(bone.vertices)[:, 1])).all(), name


def test_the_vertebrae_tilt_as_the_curve_says(trunk):
    for seed in range(3):
        pose = random_pose(np.random.default_rng(seed), curve_angle=45.0)
        posed = pose_trunk(trunk, pose, Posture(kyphosis=8.0, lordosis=-6.0, obliquity=2.0, scale=0.9))
        right, left = posed.corners[:, 0::2].mean(axis=1), posed.corners[:, 1::2].mean(axis=1)
        across = left - right
        # The image shows the subject face to face: its right is the subject's left (-x), down is -z.
        tilt = np.arctan2(-across[:, 2], -across[:, 0])
        assert np.rad2deg(tilt) == pytest.approx(np.rad2deg(pose.tilt), abs=1.0)


def test_vertebrae_follow_each_other_without_gaps_or_overlap(trunk):
    pose = random_pose(np.random.default_rng(4), curve_angle=50.0)
    posed = pose_trunk(trunk, pose, Posture())
    lower = posed.corners[:-1, 2:].mean(axis=1)
    upper = posed.corners[1:, :2].mean(axis=1)
    down = lower - posed.corners[:-1, :2].mean(axis=1)
    disc = np.einsum("ij,ij->i", upper - lower, down / np.linalg.norm(down, axis=1)[:, None])
    assert (disc > 0.5).all()
    assert (disc < 16).all()


def test_vertebral_bodies_turn_to_the_convex_side(trunk):
    """Spinous processes point to the concavity in scoliosis."""
    pose = random_pose(np.random.default_rng(11), curve_angle=55.0, curve_count=1)
    posed = pose_trunk(trunk, pose, Posture())
    centres = posed.corners.mean(axis=1)
    chord = np.interp(centres[:, 2], centres[[-1, 0], 2], centres[[-1, 0], 0])
    apex = np.abs(centres[:, 0] - chord).argmax()
    name = NAMES[apex]
    rest = trunk.bones[name].vertices
    moved = posed.outer[name][0]
    tip = moved[rest[:, 1].argmin()]
    towards_convexity = np.sign(centres[apex, 0] - chord[apex])
    assert towards_convexity * (centres[apex, 0] - tip[0]) > 2.0


def test_the_same_seed_gives_the_same_bytes(blocks):
    first, second = (simulate_spine_from_bones(blocks, 5, (256, 120)) for _ in range(2))
    assert first.image.tobytes() == second.image.tobytes()
    assert first.corners.tobytes() == second.corners.tobytes()
    assert first.parameters == second.parameters
    assert np.abs(simulate_spine_from_bones(blocks, 6, (256, 120)).corners - first.corners).max() > 1


def test_corners_agree_with_rays_traced_through_the_camera(blocks):
    """The camera in the parameters, the detector's plane and a line: no projection code of ours."""
    spine = simulate_spine_from_bones(blocks, 8, (512, 220))
    camera = Camera.from_json(spine.parameters["camera"])
    normal = np.cross(camera.column_step, camera.row_step)
    pose, posture = spine_pose_of(8), Posture(**spine.parameters["posture"])
    corners = pose_trunk(blocks, pose, posture).corners
    ray = corners - camera.source
    share = ((camera.origin - camera.source) @ normal) / (ray @ normal)
    met = camera.source + share[..., None] * ray - camera.origin
    pixels = np.stack(
        [met @ step / (step @ step) for step in (camera.column_step, camera.row_step)],
        axis=-1,
    )
    assert np.abs(pixels - spine.corners).max() < 0.01


def spine_pose_of(seed):
    return random_pose(np.random.default_rng(seed), None, None)


@pytest.mark.parametrize("size", [(300, 90), (128, 400)])
def test_corners_lie_inside_in_image_order(trunk, size):
    for seed in range(2):
        spine = simulate_spine_from_bones(trunk, seed, size)
        assert spine.image.shape == size
        assert spine.image.dtype == np.uint8
        corners = spine.corners
        assert corners.min() >= 0
        assert (corners <= np.array(size[::-1]) - 1).all()
        assert (corners[:, 1::2, 0] > corners[:, 0::2, 0]).all()
        assert (corners[:, 2:, 1].mean(axis=1) > corners[:, :2, 1].mean(axis=1)).all()
        assert (np.diff(corners.mean(axis=1)[:, 1]) > 0).all()


def test_the_lower_corners_stand_on_the_edge_of_the_vertebras_own_shadow(trunk):
    """Bone just inside, none just beside, by ray lengths through that vertebra alone. Below a leaning endplate its
    front or back edge still shows, above it the processes, and beside a turned body its flank.
    """
    pose = replace(spine_pose_of(12), rotation=np.zeros(17))
    posed = pose_trunk(trunk, pose, Posture())
    top, bottom = posed.corners[..., 2].max() + 40, posed.corners[..., 2].min() - 40
    shape = (int((top - bottom) / 0.5), 500)
    camera = Camera((0, 1800, (top + bottom) / 2), (125, -100, top), (-0.5, 0, 0), (0, 0, -0.5), shape)
    lengths = path_lengths([posed.outer[name] for name in NAMES], camera)
    for level, name in enumerate(NAMES):
        corners = camera.project(posed.corners[level])
        for corner, other in (corners[2:], corners[:1:-1]):
            inward = (other - corner) / np.linalg.norm(other - corner)
            inside, outside = np.rint(corner + 3 * inward).astype(int), np.rint(corner - 3 * inward).astype(int)
            assert lengths[level, inside[1], inside[0]] > 1, name
            assert lengths[level, outside[1], outside[0]] < 1e-3, name


def test_bodies_are_brighter_than_discs_in_the_picture(blocks):
    brighter = []
    for seed in range(3):
        spine = simulate_spine_from_bones(blocks, seed, (700, 320))
        image = spine.image.astype(float)

        def grey(points, image=image):
            columns, rows = np.rint(points).astype(int).T
            return image[rows, columns]

        bottom, top = spine.corners[:-1, 2:].mean(axis=1), spine.corners[1:, :2].mean(axis=1)
        across = np.linspace(-0.25, 0.25, 9)[:, None, None] * (spine.corners[:-1, 3] - spine.corners[:-1, 2])
        disc = np.mean([grey((bottom + top) / 2 + offset) for offset in across], axis=0)
        plate = np.mean([grey(bottom + offset) for offset in across], axis=0)
        brighter.append((plate[8:] > disc[8:]).mean())
    assert np.mean(brighter) > 0.85


def test_a_size_too_small_is_refused(blocks):
    with pytest.raises(ValueError, match="at least 128 rows and 48 columns"):
        simulate_spine_from_bones(blocks, 0, (127, 100))


def test_a_bigger_body_is_a_bigger_body(blocks):
    pose = random_pose(np.random.default_rng(1))
    small, large = (pose_trunk(blocks, pose, replace(Posture(), scale=scale)).corners for scale in (0.8, 1.0))
    assert np.linalg.norm(large[0] - large[-1]) == pytest.approx(np.linalg.norm(small[0] - small[-1]) / 0.8, rel=1e-9)
