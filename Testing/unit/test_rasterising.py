"""Path lengths and occupancy against what geometry says, and against another ray caster."""

from dataclasses import replace

import numpy as np
import pytest
from support.data import shared_data

from orthoangles.errors import SimulationError
from orthoangles.simulation.anatomy.bones import BoneLibrary
from orthoangles.simulation.anatomy.procedural_bones import procedural_foot
from orthoangles.simulation.radiography.cameras import ap_camera, lateral_camera
from orthoangles.simulation.radiography.rasterising import column_occupancy, path_crops, path_lengths

pytestmark = pytest.mark.unit


def _rays(camera):
    rows, columns = camera.shape
    pixels = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1)
    way = camera.position(pixels) - camera.source
    return way / np.linalg.norm(way, axis=-1, keepdims=True)


def _box(low, high):
    import trimesh

    mesh = trimesh.creation.box(bounds=[low, high])
    return np.asarray(mesh.vertices), np.asarray(mesh.faces)


def _sphere(centre, radius, subdivisions=5):
    import trimesh

    mesh = trimesh.creation.icosphere(subdivisions, radius)
    return np.asarray(mesh.vertices) + centre, np.asarray(mesh.faces)


@pytest.fixture(params=["ap", "lateral", "left"])
def camera(request):
    ap = ap_camera((0.0, 50.0, 20.0), shape=(320, 200), pixel=0.8, turn=5.0)
    lateral = lateral_camera((0.0, 50.0, 40.0), shape=(200, 320), pixel=0.8, turn=-4.0)
    return {"ap": ap, "lateral": lateral, "left": ap.mirrored()}[request.param]


def test_a_box_is_as_long_as_the_slabs_say(camera):
    low, high = np.array([-20.0, 30.0, 15.0]), np.array([18.0, 90.0, 44.0])
    rays = _rays(camera)
    with np.errstate(divide="ignore"):
        first, second = (low - camera.source) / rays, (high - camera.source) / rays
    expected = np.minimum.reduce(np.maximum(first, second), axis=-1)
    expected = np.clip(expected - np.maximum.reduce(np.minimum(first, second), axis=-1), 0, None)
    measured = path_lengths([_box(low, high)], camera)[0]
    assert measured.max() > 25
    assert np.abs(measured - expected).max() < 1e-5


def test_a_fine_sphere_is_as_long_as_its_chords(camera):
    centre, radius = np.array([4.0, 45.0, 40.0]), 25.0
    along = _rays(camera) @ (centre - camera.source)
    away = ((centre - camera.source) ** 2).sum() - along**2
    expected = 2 * np.sqrt(np.clip(radius**2 - away, 0, None))
    measured = path_lengths([_sphere(centre, radius)], camera)[0]
    # The facets lie up to 0.008 mm inside the sphere; near the rim that shortens grazing chords more.
    deep = expected > 10
    assert np.abs(measured - expected)[deep].max() < 0.1
    assert np.abs(measured - expected).mean() < 0.01
    assert (measured[away > radius**2] == 0).all()


def test_no_pixel_falls_through_an_edge_or_is_met_twice():
    """Vertices and edges exactly on pixel centres: the case in which cracks and double hits come about."""
    camera = ap_camera((0.0, 0.0, 0.0), shape=(64, 64), pixel=1.0, tilt=0.0, detector_depth=100.0)
    # In pixels on the detector, a prism over a fan of triangles around a pixel centre, corners on pixel centres.
    ring = np.array([[30, 10], [40, 20], [50, 30], [40, 40], [30, 50], [20, 40], [10, 30], [20, 20]], dtype=float)
    flat = camera.position(np.vstack([ring, [[30.0, 30.0]]]))
    lid = camera.source + (flat - camera.source) * 0.9
    base = camera.source + (flat - camera.source) * 0.95
    k = np.arange(8)
    j = (k + 1) % 8
    centre = np.full(8, 8)
    top, bottom = np.column_stack([k, centre, j]), np.column_stack([j + 9, centre + 9, k + 9])
    wall = np.vstack([np.column_stack([k, j, j + 9]), np.column_stack([k, j + 9, k + 9])])
    measured = path_lengths([(np.vstack([lid, base]), np.vstack([top, bottom, wall]))], camera)[0]
    expected = 0.05 * camera.ray_lengths()
    rows, columns = np.mgrid[:64, :64]
    distance = np.abs(rows - 30) + np.abs(columns - 30)
    assert np.allclose(measured[distance < 20], expected[distance < 20], rtol=1e-6)
    assert not measured[distance > 20].any()
    # On the silhouette itself rounding may put a pixel in or out, never beyond the thickness.
    assert (measured[distance == 20] <= expected[distance == 20] * (1 + 1e-6)).all()


@pytest.mark.parametrize("source", ["real", "procedural"])
def test_bones_are_as_long_as_embree_finds(source):
    pytest.importorskip("embreex", reason="the other ray caster is not installed: pip install embreex")
    from trimesh import Trimesh
    from trimesh.ray.ray_pyembree import RayMeshIntersector

    bones = BoneLibrary(shared_data("bones")).subject("foot_vsd_z027_R") if source == "real" else procedural_foot()
    names = ("talus", "calcaneus", "metatarsal_1", "distal_phalanx_2")
    camera = ap_camera((0.0, 40.0, 0.0), shape=(512, 300), pixel=0.6, detector_depth=120.0)
    rng = np.random.default_rng(0)
    for name, crop in zip(names, path_crops([(bones[n].vertices, bones[n].faces) for n in names], camera), strict=True):
        rows, columns = np.nonzero(crop.values)
        chosen = rng.choice(len(rows), min(400, len(rows)), replace=False)
        rows, columns = rows[chosen], columns[chosen]
        way = camera.position(np.stack([columns + crop.column, rows + crop.row], axis=1)) - camera.source
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        # Embree counts in float32: start near the bone.
        start = camera.source + way * (np.linalg.norm(camera.source - bones[name].centroid) - 100)
        mesh = Trimesh(bones[name].vertices, bones[name].faces, process=False)
        face, ray, place = RayMeshIntersector(mesh).intersects_id(start, way, return_locations=True, multiple_hits=True)
        sign = np.sign(np.einsum("ij,ij->i", mesh.face_normals[face], way[ray]))
        distance = np.einsum("ij,ij->i", place - start[ray], way[ray])
        expected = np.bincount(ray, sign * distance, len(rows))
        difference = np.abs(crop.values[rows, columns] - expected)
        # Embree itself now and then misses a hit at an edge: that may not hide a fault of more than one ray in 200.
        assert np.quantile(difference, 0.995) < 1e-3, name
        assert (crop.values >= -1e-6).all()


def test_the_volume_of_a_bone_comes_back_from_its_paths():
    """Parallel enough rays: sum of path x pixel area at the bone equals its volume."""
    bone = procedural_foot()["calcaneus"]
    camera = ap_camera(
        bone.centroid, shape=(700, 500), pixel=0.25, tilt=0.0, source_distance=100_000.0, detector_depth=60.0
    )
    crop = path_crops([(bone.vertices, bone.faces)], camera)[0]
    assert crop.values.sum(dtype=np.float64) * 0.25**2 == pytest.approx(bone.volume, rel=0.004)


def test_the_same_mesh_gives_the_same_bytes(camera):
    mesh = _sphere((4.0, 45.0, 40.0), 20.0)
    assert path_lengths([mesh], camera).tobytes() == path_lengths([mesh], camera).tobytes()


def test_a_mirrored_mesh_gives_the_mirrored_image(camera):
    bone = procedural_foot()["talus"]
    image = path_lengths([(bone.vertices, bone.faces)], camera)[0]
    other = bone.mirrored()
    mirrored = path_lengths([(other.vertices, other.faces)], camera.mirrored())[0]
    assert image.max() > 5
    # A pixel centre on the silhouette may fall to either side.
    assert (np.abs(mirrored[:, ::-1] - image) > 1e-3).sum() <= 2


def test_meshes_outside_of_the_image_leave_it_empty(camera):
    assert not path_lengths([_sphere((0.0, 700.0, 20.0), 10.0, 2)], camera).any()


def test_a_mesh_that_is_cut_by_the_image_matches_the_whole_one():
    camera = ap_camera((0.0, 50.0, 20.0), shape=(320, 200), pixel=0.8)
    mesh = _sphere((4.0, 45.0, 40.0), 25.0)
    whole = path_lengths([mesh], camera)[0]
    cut = replace(camera, origin=camera.position(np.array([100, 150])), shape=(60, 40))
    part = path_lengths([mesh], cut)[0]
    assert part.max() > 10
    assert np.abs(part - whole[150:210, 100:140]).max() < 1e-5


def test_a_mesh_behind_the_source_is_refused(camera):
    with pytest.raises(SimulationError, match="behind the X-ray source"):
        path_lengths([_sphere(camera.source, 30.0, 2)], camera)


def test_broken_meshes_are_named(camera):
    vertices, faces = _sphere((4.0, 45.0, 40.0), 20.0, 2)
    with pytest.raises(SimulationError, match="mesh 1 has faces"):
        path_lengths([(vertices, faces), (vertices, faces + 1)], camera)
    with pytest.raises(SimulationError, match="mesh 0 has vertices"):
        path_lengths([(vertices * np.nan, faces)], camera)


def test_a_box_fills_its_voxels_in_part():
    vertices, faces = _box((0.0, 0.0, 0.0), (10.0, 8.0, 6.2))
    occupancy = column_occupancy(vertices, faces, (-0.75, -0.75, -0.4), (0.5, 0.5, 0.5), (30, 30, 20))
    # Voxel centres at x = -0.25 + ... : 0.25 to 9.75 are inside.
    assert occupancy.sum(axis=(1, 2)).astype(bool).sum() == 20
    assert occupancy[5, 5, 0] == 0  # reaches from -0.65 to -0.15
    assert occupancy[5, 5, 1] == pytest.approx(0.35 / 0.5)  # from -0.15 to 0.35
    assert occupancy[5, 5, 5] == 1
    assert occupancy.sum(dtype=np.float64) * 0.125 == pytest.approx(10 * 8 * 6.2)


def test_occupancy_beyond_the_grid_is_cut_off():
    vertices, faces = _box((-50.0, -50.0, -50.0), (50.0, 50.0, 50.0))
    assert (column_occupancy(vertices, faces, (0, 0, 0), (1.0, 1.0, 1.0), (4, 5, 6)) == 1).all()
    assert not column_occupancy(vertices, faces, (60, 0, 0), (1.0, 1.0, 1.0), (4, 5, 6)).any()
    assert not column_occupancy(vertices, faces, (0, 0, 51), (1.0, 1.0, 1.0), (4, 5, 6)).any()
    assert not column_occupancy(vertices, faces, (0, 0, -60), (1.0, 1.0, 1.0), (4, 5, 6)).any()


@pytest.mark.parametrize(("supersample", "tolerance"), [(1, 2e-3), (3, 1e-3)])
def test_occupancy_sums_to_the_volume_of_a_bone(supersample, tolerance):
    bone = procedural_foot()["calcaneus"]
    low = bone.vertices.min(axis=0) - 2
    shape = tuple(np.ceil((bone.vertices.max(axis=0) + 2 - low) / 0.6).astype(int))
    occupancy = column_occupancy(bone.vertices, bone.faces, low, (0.6, 0.6, 0.6), shape, supersample)
    assert occupancy.min() > -1e-6
    assert occupancy.max() < 1 + 1e-6
    assert occupancy.sum(dtype=np.float64) * 0.6**3 == pytest.approx(bone.volume, rel=tolerance)
