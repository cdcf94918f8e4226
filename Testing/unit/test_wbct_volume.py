"""A simulated WBCT against its meshes, its landmarks, its mirror image and what a scanner's errors must do."""

from dataclasses import replace

import numpy as np
import pytest
from support.data import shared_data
from support.feet import RIGHT_LPS

from orthoangles.errors import SimulationError
from orthoangles.images import read_image
from orthoangles.simulation.anatomy.bones import BoneLibrary
from orthoangles.simulation.anatomy.procedural_bones import procedural_foot
from orthoangles.simulation.pose.posed_foot import rest_foot
from orthoangles.simulation.tissue.tissue import foot_tissue
from orthoangles.simulation.tomography import ct_artefacts as scanner
from orthoangles.simulation.tomography.hounsfield import TrabecularTexture, VoxelGrid, refine
from orthoangles.simulation.tomography.implants import random_implants
from orthoangles.simulation.tomography.volume import simulate_wbct
from orthoangles.simulation.tomography.volume_style import VolumeStyle, plain, random_volume_style

pytestmark = pytest.mark.unit

SPACING = 1.2
NOISY = VolumeStyle(
    height=70.0, turn=9.0, blur=0.4, edge=0.3, noise=8.0, detector=scanner.Detector(0.02, 0.1, 0.003, 24), rings=5.0
)


@pytest.fixture(scope="module")
def foot():
    return rest_foot(procedural_foot())


@pytest.fixture(scope="module")
def tissue(foot):
    return foot_tissue(foot, np.random.default_rng(3))


@pytest.fixture(scope="module")
def a_plain_volume(foot, tissue):
    return simulate_wbct(foot, tissue, np.random.default_rng(5), spacing=SPACING, style=plain)


@pytest.fixture(scope="module")
def a_noisy_volume(foot, tissue):
    return simulate_wbct(foot, tissue, np.random.default_rng(5), spacing=1.5, style=NOISY)


def _at(volume, point_lps):
    """HU of the voxel nearest to an LPS point."""
    i, j, k = np.rint((point_lps - volume.origin) / volume.spacing).astype(int)
    return int(volume.array[k, j, i])


def _grid_about(bone):
    return VoxelGrid(bone.vertices.min(axis=0) - 1.3, 0.5, tuple((np.ptp(bone.vertices, axis=0) / 0.5 + 7).astype(int)))


class TestOccupancy:
    def test_of_each_bone_adds_up_to_its_volume(self, foot):
        for name in ("calcaneus", "talus", "metatarsal_2", "sesamoid_medial", "distal_phalanx_5"):
            bone = foot.bones[name]
            grid = _grid_about(bone)
            assert grid.occupancy(bone.vertices, bone.faces).sum() * 0.5**3 == pytest.approx(bone.volume, rel=0.005), (
                name
            )

    def test_of_real_bones_adds_up_to_their_volume(self):
        bones = BoneLibrary(shared_data("bones")).subject("foot_vsd_z027_R")
        for bone in bones.values():
            grid = _grid_about(bone)
            # A phalanx of 45 mm3 has but 360 voxels.
            tolerance = 0.005 if bone.volume > 400 else 0.02
            assert grid.occupancy(bone.vertices, bone.faces).sum() * 0.5**3 == pytest.approx(bone.volume, rel=tolerance)

    def test_in_slabs_is_the_same(self, tissue):
        vertices, faces = tissue.skin
        grid = VoxelGrid(vertices.min(axis=0) - 2, 3.0, (45, 80, 50))
        np.testing.assert_array_equal(grid.occupancy(vertices, faces), grid.occupancy(vertices, faces, slabs=4))


def test_refining_keeps_a_linear_field():
    grid = VoxelGrid(np.array([-3.0, 2.0, 5.0]), 0.4, (23, 31, 18))
    coarse = grid.coarse(2.0)
    slope = np.array([1.0, -2.0, 0.5])
    np.testing.assert_allclose(refine(coarse.nodes() @ slope, grid, coarse), grid.nodes() @ slope, atol=1e-4)


class TestPlainVolume:
    def test_bones_flesh_and_air_have_published_values(self, foot, tissue, a_plain_volume):
        volume = a_plain_volume
        assert volume.array.dtype == np.int16
        assert volume.array.min() == -1000
        assert 900 < volume.array.max() < 2300
        corner = volume.array[:4, :4, :4]
        assert (corner == -1000).all()
        flesh = volume.array[(volume.array > -200) & (volume.array < 150)]
        assert -110 < np.percentile(flesh, 10) < 0
        assert 0 < np.percentile(flesh, 80) < 100

    def test_shafts_are_walls_about_marrow(self, foot, a_plain_volume):
        volume, bone = a_plain_volume, foot.bones["metatarsal_2"]
        middle = bone.vertices.mean(axis=0)
        near = bone.vertices[np.abs(bone.vertices[:, 1] - middle[1]) < 3.0]
        canal = _at(volume, near.mean(axis=0) * RIGHT_LPS)
        walls = [_at(volume, (near.mean(axis=0) + 0.8 * (p - near.mean(axis=0))) * RIGHT_LPS) for p in near]
        assert canal < 350
        assert np.median(walls) > 600

    def test_landmarks_lie_on_their_bones(self, foot, a_plain_volume):
        volume = a_plain_volume
        assert set(volume.points) == set(foot.landmarks)
        for name in ("C1", "C2", "C5", "TA4", "N1", "A9", "L11"):
            i, j, k = np.rint((volume.points[name] - volume.origin) / volume.spacing).astype(int)
            around = volume.array[k - 1 : k + 2, j - 1 : j + 2, i - 1 : i + 2]
            assert around.max() > 250, name
            # Points of the surface have flesh beside them.
            assert around.min() < 250, name

    def test_lowest_point_of_the_calcaneus_is_where_its_lowest_voxel_is(self, foot, a_plain_volume):
        volume = a_plain_volume
        heel = foot.bones["calcaneus"].vertices * RIGHT_LPS
        index = np.argwhere(volume.array > 220)[:, ::-1]
        points = index * volume.spacing + volume.origin
        inside = (points > heel.min(axis=0) - 1).all(axis=1) & (points < heel.max(axis=0) + 1).all(axis=1)
        lowest = points[inside][np.argmin(points[inside][:, 2])]
        assert abs(lowest[2] - volume.points["C1"][2]) <= 1.5 * SPACING

    def test_landmarks_are_the_posed_ones_in_lps(self, foot, a_plain_volume):
        for name, point in foot.landmarks.items():
            np.testing.assert_allclose(a_plain_volume.points[name], point * RIGHT_LPS, atol=1e-9)

    def test_whole_foot_sees_all_that_is_below_its_upper_end(self, foot, a_plain_volume):
        top = a_plain_volume.origin[2] + (len(a_plain_volume.array) - 1) * SPACING
        for name, point in foot.landmarks.items():
            assert a_plain_volume.visible[name] == (point[2] <= top), name


class TestSymmetryAndSeeds:
    def test_left_is_the_exact_mirror_of_right(self, foot, tissue, a_noisy_volume):
        left = simulate_wbct(replace(foot, side="L"), tissue, np.random.default_rng(5), spacing=1.5, style=NOISY)
        right = a_noisy_volume
        np.testing.assert_array_equal(left.array, right.array[:, :, ::-1])
        for name, point in right.points.items():
            np.testing.assert_array_equal(left.points[name], point * (-1, 1, 1))
        far = right.origin[0] + (right.array.shape[2] - 1) * right.spacing[0]
        assert left.origin[0] == pytest.approx(-far)
        assert left.visible == right.visible

    def test_same_seed_same_bytes(self, foot, tissue, a_noisy_volume):
        again = simulate_wbct(foot, tissue, np.random.default_rng(5), spacing=1.5, style=NOISY)
        assert again.array.tobytes() == a_noisy_volume.array.tobytes()

    def test_other_seed_other_volume(self, foot, tissue, a_noisy_volume):
        other = simulate_wbct(foot, tissue, np.random.default_rng(6), spacing=1.5, style=NOISY)
        assert other.array.tobytes() != a_noisy_volume.array.tobytes()

    def test_turning_the_foot_turns_its_landmarks(self, foot, a_noisy_volume):
        heel, toe = (a_noisy_volume.points[name] * RIGHT_LPS for name in ("C1", "M2b"))
        before = foot.landmarks["M2b"] - foot.landmarks["C1"]
        turned = np.degrees(np.arctan2(*(toe - heel)[:2]) - np.arctan2(*before[:2]))
        assert turned == pytest.approx(NOISY.turn, abs=1e-6)

    def test_random_styles_are_drawn_from_the_generator_alone(self, foot, tissue):
        assert random_volume_style(np.random.default_rng(2)) == random_volume_style(np.random.default_rng(2))
        assert random_volume_style(np.random.default_rng(2)) != random_volume_style(np.random.default_rng(3))


class TestFieldOfView:
    def test_ankle_cuts_the_toes_off(self, foot, tissue):
        volume = simulate_wbct(foot, tissue, np.random.default_rng(1), spacing=2.0, style=VolumeStyle(view="ankle"))
        assert volume.visible["C1"]
        assert volume.visible["TA1"]
        assert not volume.visible["P2"]
        assert not volume.visible["M1b"]

    def test_forefoot_cuts_the_heel_off(self, foot, tissue):
        volume = simulate_wbct(foot, tissue, np.random.default_rng(1), spacing=2.0, style=VolumeStyle(view="forefoot"))
        assert volume.visible["M1b"]
        assert not volume.visible["C1"]

    def test_cylinder_hides_what_lies_outside(self, foot, tissue):
        style = VolumeStyle(cylinder=0.5, fill=-1024.0, cone_slope=0.1)
        volume = simulate_wbct(foot, tissue, np.random.default_rng(1), spacing=2.0, style=style)
        assert volume.array[0, 0, 0] == -1024
        assert volume.array[:, 0, :].max() == -1024
        hidden = [name for name, seen in volume.visible.items() if not seen]
        assert "P2" in hidden
        for name, seen in volume.visible.items():
            if seen:
                assert _at(volume, volume.points[name]) > -1024, name

    def test_floor_lies_below_the_sole(self, foot, tissue):
        style = VolumeStyle(floor=((6.0, 120.0), (8.0, -800.0)), height=60.0)
        volume = simulate_wbct(foot, tissue, np.random.default_rng(1), spacing=1.0, style=style)
        column = volume.array[:, 2, 2]
        z = volume.origin[2] + np.arange(len(column))
        assert (column[(z < -0.6) & (z > -5.4)] == 120).all()
        assert (column[(z < -6.6) & (z > -13.4)] == -800).all()
        assert (column[z > 0.6] == -1000).all()

    def test_other_foot_stands_beside(self, foot, tissue):
        style = VolumeStyle(view="both", neighbour=150.0, height=60.0)
        volume = simulate_wbct(foot, tissue, np.random.default_rng(1), spacing=2.0, style=style)
        middle = (75.0 - volume.origin[0]) / 2.0
        bone = volume.array > 300
        own, other = bone[:, :, : int(middle)].sum(), bone[:, :, int(middle) + 1 :].sum()
        assert own == pytest.approx(other, rel=0.05)

    def test_nothing_in_view_is_refused(self, foot, tissue):
        with pytest.raises(SimulationError, match="nothing of the foot"):
            simulate_wbct(foot, tissue, np.random.default_rng(1), style=VolumeStyle(height=-5.0))

    def test_volume_too_large_for_memory_is_refused(self, foot, tissue):
        with pytest.raises(SimulationError, match="larger spacing"):
            simulate_wbct(foot, tissue, np.random.default_rng(1), spacing=0.1)


class TestScanner:
    @staticmethod
    def _cylinder(hu=0.0):
        x, y = np.meshgrid(np.arange(61) - 30, np.arange(61) - 30, indexing="ij")
        disc = np.where(np.hypot(x, y) < 20, hu, -1000.0)
        return np.repeat(disc[:, :, None], 3, axis=2).astype(np.float32)

    def _errors(self, volume, detector):
        return scanner.reconstructed_errors(volume, 2.0, (30.0, 30.0), detector, np.random.default_rng(0))

    def test_perfect_detector_makes_no_error(self):
        errors, growth = self._errors(self._cylinder(), scanner.Detector(0.0, 0.0))
        assert np.abs(errors).max() < 1.0
        assert growth[30, 30, 1] > growth[2, 2, 1] >= 1.0

    def test_scatter_makes_a_cup(self):
        errors, _ = self._errors(self._cylinder(), scanner.Detector(0.03, 0.0))
        assert errors[30, 30, 1] < -20
        assert errors[30, 30, 1] < errors[30, 46, 1] - 5

    def test_error_is_what_analysis_says(self):
        # A detector that reads a share less of every ray shows all of water that much less dense.
        water = self._cylinder(0.0)
        detector = scanner.Detector(0.0, 0.0)
        read = scanner.Detector(0.4, 0.0)
        weak, _ = self._errors(self._cylinder(-990.0), read)
        # For thin objects log((exp(-p) + s) / (1 + s)) is -p / (1 + s): 0.4 / 1.4 is lost of their 10 HU.
        assert weak[30, 30, 1] == pytest.approx(-10.0 * 0.4 / 1.4, rel=0.06)
        assert np.abs(self._errors(water, detector)[0]).max() < 1.0

    def test_bones_darken_what_lies_between_them(self):
        volume = self._cylinder(0.0)
        volume[22:39, 13:24] = volume[22:39, 37:48] = 700.0
        errors, _ = self._errors(volume, scanner.Detector(0.0, 0.4))
        assert errors[30, 30, 1] < errors[15, 30, 1] - 10

    def test_noise_has_the_spectrum_of_filtered_back_projection(self):
        block = scanner.noise_block(np.random.default_rng(1), 0.5, 0.25, shape=(96, 96, 48))
        assert block.std() == pytest.approx(1.0, rel=1e-3)
        power = (np.abs(np.fft.fft2(block, axes=(0, 1))) ** 2).mean(axis=2)
        f = np.hypot(np.fft.fftfreq(96, 0.5)[:, None], np.fft.fftfreq(96, 0.5)[None, :])
        low, middle, high = (power[(f > a) & (f < b)].mean() for a, b in ((0, 0.04), (0.12, 0.25), (0.8, 1.0)))
        assert middle > 1.1 * low
        assert middle > 4 * high

    def test_noise_is_stronger_in_the_foot_than_in_air(self, foot, tissue):
        quiet = VolumeStyle(height=60.0)
        noisy = replace(quiet, noise=10.0)
        volumes = [simulate_wbct(foot, tissue, np.random.default_rng(2), spacing=1.5, style=s) for s in (quiet, noisy)]
        difference = volumes[1].array.astype(float) - volumes[0].array
        flesh = (volumes[0].array > -150) & (volumes[0].array < 100)
        air = volumes[0].array == -1000
        assert difference[flesh].std() > 1.3 * 10.0
        # Half of the noise in air is cut off at -1000.
        assert 3.0 < difference[air].std() < difference[flesh].std()

    def test_blur_keeps_the_sum_and_widens_an_edge(self):
        volume = np.zeros((40, 8, 8), dtype=np.float32)
        volume[20:] = 1000.0
        scanner.blur(volume, 1.5)
        edge = volume[:, 4, 4]
        assert volume.mean() == pytest.approx(500.0, rel=1e-3)
        assert np.interp((100.0, 900.0), edge, np.arange(40)) @ (-1, 1) == pytest.approx(2.56 * 1.5, rel=0.1)


class TestMetal:
    def test_is_bright_where_the_manifest_says(self, foot, tissue):
        style = VolumeStyle(metal=True, height=110.0, detector=scanner.Detector(0.01, 0.1, 0.0, 24))
        volume = simulate_wbct(foot, tissue, np.random.default_rng(8), spacing=1.0, style=style)
        assert volume.parameters["metal"]
        for rod in volume.parameters["metal"]:
            middle = 0.5 * (np.array(rod["start"]) + rod["end"])
            if middle[2] < 105:
                assert _at(volume, middle * RIGHT_LPS) > 2000

    def test_lies_in_its_bone(self, foot):
        seen = set()
        for seed in range(12):
            for rod in random_implants(foot.bones, np.random.default_rng(seed)):
                bone = foot.bones[rod.bone].vertices
                middle = 0.5 * (np.array(rod.start) + rod.end)
                seen.add(rod.bone)
                assert np.linalg.norm(bone - middle, axis=1).min() < 25, rod
        assert len(seen) >= 3


@pytest.mark.parametrize("height", [150.0, 125.0])
def test_a_short_scan_has_t1_where_the_whole_shaft_is_still_seen(foot, tissue, height):
    volume = simulate_wbct(foot, tissue, np.random.default_rng(5), spacing=2.0, style=replace(plain, height=height))
    assert volume.visible["T1"]
    top = volume.origin[2] + 2.0 * (volume.array.shape[0] - 1)
    t1, t2 = volume.points["T1"], volume.points["T2"]
    whole = foot.landmarks["T1"] - foot.landmarks["T2"]
    assert 0 < top - t1[2] < 6.0
    # The shaft is nearly straight: the axis hardly changes with the level at which it is read.
    cosine = (t1 - t2) @ (whole * RIGHT_LPS) / np.linalg.norm(t1 - t2) / np.linalg.norm(whole)
    assert np.degrees(np.arccos(cosine)) < 4.0


def test_a_scan_that_ends_at_the_ankle_shows_no_t1(foot, tissue):
    volume = simulate_wbct(foot, tissue, np.random.default_rng(5), spacing=2.0, style=replace(plain, height=95.0))
    assert not volume.visible["T1"]
    assert volume.visible["TA1"]


def test_texture_keeps_the_mean_density():
    texture = TrabecularTexture(np.random.default_rng(0), 0.5)
    points = np.random.default_rng(1).uniform(-80, 80, (40_000, 3))
    values = texture.at(points)
    assert values.mean() == pytest.approx(1.0, abs=0.02)
    assert 0.15 < values.std() < 1.0


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz"])
def test_written_file_reads_back_in_place(a_plain_volume, tmp_path, suffix):
    a_plain_volume.write(tmp_path / f"foot{suffix}")
    image = read_image(tmp_path / f"foot{suffix}")
    place = image.index_points([a_plain_volume.points["C1"]])[0]
    expected = (a_plain_volume.points["C1"] - a_plain_volume.origin) / a_plain_volume.spacing
    i, j, k = np.rint(place).astype(int)
    np.testing.assert_allclose(place, expected, atol=1e-3)
    assert image.array[k, j, i] == a_plain_volume.array[k, j, i]


def test_unwritable_path_is_named(a_plain_volume, tmp_path):
    with pytest.raises(SimulationError, match=r"foot\.nrrd"):
        a_plain_volume.write(tmp_path / "missing" / "foot.nrrd")
