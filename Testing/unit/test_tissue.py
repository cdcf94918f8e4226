"""Cortex and skin of a standing foot: thickness, closed surfaces, contact with the ground."""

from dataclasses import replace

import numpy as np
import pytest
from support.data import shared_data

from orthoangles.errors import SimulationError
from orthoangles.simulation.anatomy.bones import Bone, BoneLibrary
from orthoangles.simulation.anatomy.procedural_bones import procedural_foot
from orthoangles.simulation.pose.posed_foot import rest_foot
from orthoangles.simulation.tissue.cortex import endosteal_surface, inner_radius
from orthoangles.simulation.tissue.skin import SkinStyle, skin_surface
from orthoangles.simulation.tissue.tissue import foot_tissue
from orthoangles.simulation.tomography.hounsfield import VoxelGrid

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module", params=["procedural", "foot_staple_jia_mri_R", "foot_vsd_z027_R"])
def foot(request):
    if request.param == "procedural":
        return rest_foot(procedural_foot())
    return rest_foot(BoneLibrary(shared_data("bones")).subject(request.param))


@pytest.fixture(scope="module")
def tissue(foot):
    return foot_tissue(foot, np.random.default_rng(3))


def _sphere(radius, subdivisions=4):
    import trimesh

    mesh = trimesh.creation.icosphere(subdivisions, radius)
    return Bone("ball", np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces, dtype=np.int32))


class TestEndostealSurface:
    def test_of_a_ball_is_a_smaller_ball(self):
        ball = _sphere(20.0)
        inner, depth = endosteal_surface(ball, np.full(len(ball.vertices), 3.0))
        np.testing.assert_allclose(np.linalg.norm(inner, axis=1), 17.0, atol=0.05)
        np.testing.assert_allclose(depth, 3.0, atol=1e-6)

    def test_leaves_a_cavity_in_a_ball_thinner_than_the_wall(self):
        ball = _sphere(2.0)
        inner, depth = endosteal_surface(ball, np.full(len(ball.vertices), 3.0))
        assert depth.max() < 1.6
        assert 0 < ball.with_vertices(inner).volume < ball.volume

    def test_radius_of_a_flat_ellipsoid_is_limited_by_the_opposite_wall(self):
        ball = _sphere(10.0)
        slab = ball.with_vertices(ball.vertices * (2.0, 2.0, 0.3))
        top = np.argmax(slab.vertices[:, 2])
        radius = inner_radius(slab, -slab.vertex_normals, np.full(len(slab.vertices), 30.0))
        # Half of the slab's 6 mm: the ball touches both faces.
        assert radius[top] == pytest.approx(3.0, abs=0.3)

    def test_lies_inside_every_bone_and_faces_outward(self, foot, tissue):
        for name, bone in foot.bones.items():
            inner = bone.with_vertices(tissue.inner[name])
            assert 0.1 * bone.volume < inner.volume < 0.97 * bone.volume, name
            turned = np.einsum("ij,ij->i", inner.face_normals, bone.face_normals) < 0
            assert turned.mean() < 0.005, name

    def test_leaves_no_marrow_outside_the_bone(self, foot, tissue):
        for name in ("calcaneus", "metatarsal_2", "talus"):
            bone = foot.bones[name]
            low = bone.vertices.min(axis=0) - 1.0
            grid = VoxelGrid(low, 0.7, tuple(np.ceil((bone.vertices.max(axis=0) + 1.0 - low) / 0.7).astype(int)))
            outer, inner = (grid.occupancy(points, bone.faces) for points in (bone.vertices, tissue.inner[name]))
            assert (inner - outer).max() < 0.35, name
            assert np.maximum(inner - outer, 0).sum() < 0.001 * outer.sum(), name


class TestThickness:
    @pytest.mark.parametrize(
        ("name", "shaft"), [("metatarsal_2", (1.3, 3.3)), ("metatarsal_5", (1.2, 3.2)), ("tibia", (2.6, 5.6))]
    )
    def test_is_that_of_a_shaft_in_the_middle_and_a_shell_at_the_ends(self, foot, tissue, name, shaft):
        thickness = tissue.thickness[name]
        assert shaft[0] < np.percentile(thickness, 95) < shaft[1]
        assert np.percentile(thickness, 5) < 1.2

    def test_of_tarsals_is_thin(self, tissue):
        for name in ("calcaneus", "talus", "cuboid"):
            assert 0.3 < np.median(tissue.thickness[name]) < 1.3

    def test_is_more_under_a_joint_than_beside_it(self, tissue):
        gap, thickness = tissue.joint_gap["calcaneus"], tissue.thickness["calcaneus"]
        assert thickness[gap < 2.0].mean() > 1.15 * thickness[gap > 3.9].mean()


class TestSkin:
    def test_is_closed_and_faces_outward(self, tissue):
        vertices, faces = tissue.skin
        edges = np.sort(np.vstack([faces[:, (0, 1)], faces[:, (1, 2)], faces[:, (2, 0)]]), axis=1)
        _, counts = np.unique(edges, axis=0, return_counts=True)
        assert (counts == 2).all()
        assert 5e5 < Bone("skin", vertices, faces).volume < 4e6
        assert len(faces) < 30_000

    def test_stands_flat_on_the_ground(self, tissue):
        vertices, faces = tissue.skin
        assert vertices[:, 2].min() == 0.0
        flat = (vertices[faces][:, :, 2] == 0).all(axis=1)
        area = 0.5 * np.linalg.norm(Bone("skin", vertices, faces).face_normals[flat], axis=1).sum()
        # Posed feet bear on about 47 cm2; these are unposed and touch with less.
        assert 400 < area < 16_000

    def test_covers_every_bone_below_the_cut(self, foot, tissue):
        vertices, faces = tissue.skin
        low = vertices.min(axis=0) - 2.0
        shape = tuple(np.ceil((np.array([*vertices.max(axis=0)[:2], tissue.top]) - low) / 1.5).astype(int))
        grid = VoxelGrid(low, 1.5, shape)
        covered = grid.occupancy(vertices, faces)
        for name, bone in foot.bones.items():
            inside = grid.occupancy(bone.vertices, bone.faces) > 0.5
            assert (covered[inside] > 0.5).mean() > 0.999, name

    def test_goes_on_above_the_cut_ends_of_the_leg(self, foot, tissue):
        tops = [foot.bones[name].vertices[:, 2].max() for name in ("tibia", "fibula")]
        assert tissue.top <= min(tops)
        assert tissue.skin[0][:, 2].max() > tissue.top + 5.0

    def test_grows_with_the_soft_tissue(self, foot):
        thin = Bone("skin", *skin_surface(foot.bones, SkinStyle(dorsal=4.0, side=4.0, leg_scale=0.9)))
        plump = Bone("skin", *skin_surface(foot.bones, SkinStyle(dorsal=9.0, side=8.0, leg_scale=1.1)))
        assert plump.volume > 1.1 * thin.volume

    def test_needs_a_heel(self, foot):
        bones = {name: bone for name, bone in foot.bones.items() if name != "calcaneus"}
        with pytest.raises(SimulationError, match="calcaneus"):
            skin_surface(foot.bones.with_bones(bones))


def test_same_seed_gives_the_same_bytes_and_another_does_not(foot, tissue):
    again = foot_tissue(foot, np.random.default_rng(3))
    assert again.skin[0].tobytes() == tissue.skin[0].tobytes()
    assert all(again.inner[name].tobytes() == tissue.inner[name].tobytes() for name in tissue.inner)
    other = foot_tissue(foot, np.random.default_rng(4))
    assert other.inner["talus"].tobytes() != tissue.inner["talus"].tobytes()


def test_a_foot_without_a_leg_has_no_top(foot):
    bones = {name: bone for name, bone in foot.bones.items() if name not in ("tibia", "fibula")}
    tissue = foot_tissue(replace(foot, bones=foot.bones.with_bones(bones)), np.random.default_rng(0))
    assert tissue.top == np.inf
