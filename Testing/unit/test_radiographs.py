"""Simulated radiographs: landmarks where the camera puts them, physics in order, one seed one image, left and right."""

import json
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from support.data import shared_data

from orthoangles.errors import SimulationError
from orthoangles.simulation.anatomy.bones import BoneLibrary
from orthoangles.simulation.anatomy.procedural_bones import procedural_foot
from orthoangles.simulation.pose.posed_foot import PosedFoot, rest_foot
from orthoangles.simulation.radiography.materials import ENERGIES, MATERIALS, spectrum, transmitted
from orthoangles.simulation.radiography.projection import foot_paths, slab_path, view_camera
from orthoangles.simulation.radiography.radiograph import RadiographStyle, random_style, render_radiograph
from orthoangles.simulation.radiography.rasterising import path_lengths
from orthoangles.simulation.tissue.tissue import foot_tissue

pytestmark = pytest.mark.unit

SHAPES = {"ap": (256, 128), "lateral": (192, 256)}


@lru_cache(maxsize=2)
def _foot(kind: str):
    if kind == "procedural":
        foot = rest_foot(procedural_foot())
    else:
        foot = rest_foot(BoneLibrary(shared_data("bones")).subject("foot_staple_jia_mri_R"))
    return foot, foot_tissue(foot, np.random.default_rng(0))


@pytest.fixture(params=["procedural", "real"])
def standing(request):
    return _foot(request.param)


def _rendered(standing, view, seed=0, style=None, side="R"):
    foot, tissue = standing
    foot = replace(foot, side=side)
    rng = np.random.default_rng(seed)
    camera = view_camera(foot, tissue, view, rng, SHAPES[view])
    return render_radiograph(foot, tissue, camera, rng, style), camera


@pytest.mark.parametrize("view", ["ap", "lateral"])
def test_landmarks_lie_where_rays_from_the_source_meet_the_detector(standing, view):
    """Worked out from the camera in the manifest alone: plane through the pixels, ray through the landmark."""
    radiograph, _ = _rendered(standing, view)
    camera = json.loads(json.dumps(radiograph.parameters["camera"]))
    source, origin, across, down = (np.array(camera[k]) for k in ("source", "origin", "column_step", "row_step"))
    normal = np.cross(across, down)
    assert len(radiograph.points) > 10
    for name, point in standing[0].landmarks.items():
        ray = point - source
        met = source + ray * ((origin - source) @ normal) / (ray @ normal)
        pixel = np.linalg.lstsq(np.column_stack([across, down]), met - origin, rcond=None)[0]
        assert np.abs(radiograph.points[name] - pixel).max() < 0.01, name


@pytest.mark.parametrize("view", ["ap", "lateral"])
def test_the_image_shows_the_bone_where_its_landmarks_are(view):
    """A ball of metal put around a landmark appears at its pixel: the image and the points share one camera."""
    import trimesh

    foot, tissue = _foot("procedural")
    camera = view_camera(foot, tissue, view, None, (1024, 512) if view == "ap" else (768, 1024))
    limit = np.array(camera.shape)[::-1] - 30
    inside = [
        at for at in foot.landmarks.values() if (camera.project(at) > 30).all() and (camera.project(at) < limit).all()
    ]
    assert len(inside) > 10
    for position in inside[:6]:
        ball = trimesh.creation.icosphere(3, 2.0)
        path = path_lengths([(np.asarray(ball.vertices) + position, np.asarray(ball.faces))], camera)[0]
        rows, columns = np.mgrid[: path.shape[0], : path.shape[1]]
        seen = np.array([(columns * path).sum(), (rows * path).sum()]) / path.sum()
        assert np.abs(seen - camera.project(position)).max() < 0.05


@pytest.mark.parametrize("view", ["ap", "lateral"])
def test_a_left_foot_is_the_mirror_image(view):
    standing = _foot("procedural")
    style = replace(random_style(np.random.default_rng(4), view), marker=False, text="", ball=False)
    right, _ = _rendered(standing, view, 3, style, "R")
    left, _ = _rendered(standing, view, 3, style, "L")
    assert (left.image[:, ::-1] == right.image).all()
    columns = right.image.shape[1]
    for name, (x, y) in right.points.items():
        assert left.points[name] == pytest.approx((columns - 1 - x, y))
        assert left.visible[name] == right.visible[name]
        mirrored = standing[0].landmarks[name] * (-1, 1, 1)
        camera = left.parameters["camera"]
        assert _camera(camera).project(mirrored) == pytest.approx(left.points[name], abs=1e-6)


def _camera(values):
    from orthoangles.simulation.radiography.cameras import Camera

    return Camera.from_json(values)


@pytest.mark.parametrize("view", ["ap", "lateral"])
def test_the_same_seed_gives_the_same_bytes_and_another_does_not(view):
    standing = _foot("procedural")
    first, _ = _rendered(standing, view, 7)
    again, _ = _rendered(standing, view, 7)
    other, _ = _rendered(standing, view, 8)
    assert first.image.tobytes() == again.image.tobytes()
    assert json.dumps(first.parameters) == json.dumps(again.parameters)
    assert first.image.tobytes() != other.image.tobytes()


def test_bone_is_brighter_than_flesh_and_flesh_than_air(standing):
    foot, tissue = standing
    for view in ("ap", "lateral"):
        camera = view_camera(foot, tissue, view, None, SHAPES[view])
        image = render_radiograph(foot, tissue, camera, np.random.default_rng(0), RadiographStyle()).image.astype(float)
        paths = foot_paths(foot, tissue, camera)
        bone = paths.cortex > 2.5
        flesh = (paths.flesh > 15) & (paths.cortex == 0)
        air = (paths.flesh == 0) & (paths.skin == 0)
        assert np.median(image[bone]) > np.median(image[flesh]) + 15
        assert np.median(image[flesh]) > np.median(image[air]) + 5


def test_inverted_is_the_negative():
    standing = _foot("procedural")
    plain, _ = _rendered(standing, "ap", 0, RadiographStyle())
    negative, _ = _rendered(standing, "ap", 0, RadiographStyle(inverted=True))
    assert (255 - negative.image.astype(int) == plain.image).all()


def test_what_lies_outside_of_the_field_or_image_is_not_visible():
    standing = _foot("procedural")
    style = RadiographStyle(collimation="black", field=(0.0, 0.35, 1.0, 1.0))
    radiograph, camera = _rendered(standing, "ap", 0, style)
    rows, columns = camera.shape
    hidden = [name for name, (_, row) in radiograph.points.items() if row < 0.35 * rows - 2]
    assert hidden
    assert not any(radiograph.visible[name] for name in hidden)
    assert any(radiograph.visible.values())
    inside = [0 <= x <= columns - 1 and 0 <= y <= rows - 1 for x, y in radiograph.points.values()]
    assert all(ok for ok, seen in zip(inside, radiograph.visible.values(), strict=True) if seen)


def test_landmarks_that_the_window_burns_out_are_not_visible():
    standing = _foot("procedural")
    dark, _ = _rendered(standing, "ap", 0, RadiographStyle(window_shift=5.0))
    normal, _ = _rendered(standing, "ap", 0, RadiographStyle())
    assert not any(dark.visible.values())
    assert normal.visible["MT2-3"]


def test_landmarks_cut_off_by_the_image_are_not_visible():
    foot, tissue = _foot("procedural")
    camera = view_camera(foot, tissue, "ap", None, SHAPES["ap"])
    cut = replace(camera, shape=(camera.shape[0] // 2, camera.shape[1]))
    radiograph = render_radiograph(foot, tissue, cut, np.random.default_rng(0), RadiographStyle())
    below = [name for name, (_, row) in radiograph.points.items() if row >= cut.shape[0]]
    assert below
    assert not any(radiograph.visible[name] for name in below)


def test_tissues_share_the_foot_without_overlap(standing):
    """Skin, flesh, cortex and trabecular inside add up to the path through the whole skin."""
    foot, tissue = standing
    camera = view_camera(foot, tissue, "lateral", None, SHAPES["lateral"])
    paths = foot_paths(foot, tissue, camera)
    whole = path_lengths([tissue.skin], camera)[0]
    total = paths.skin + paths.flesh + paths.cortex + paths.trabecular
    difference = np.abs(total - whole)
    assert np.quantile(difference[whole > 1], 0.99) < 0.5
    assert paths.cortex.max() > 4


def test_a_second_foot_stands_beside_the_first():
    foot, tissue = _foot("procedural")
    camera = view_camera(foot, tissue, "ap", None, (200, 400))
    one, two = (foot_paths(foot, tissue, camera, other_foot=gap) for gap in (None, 20.0))
    assert two.cortex.sum() > one.cortex.sum() * 1.3
    # It stands medially, at the left of the image, and leaves the first one as it was.
    right = slice(int(camera.project(np.array([0.0, 60.0, 20.0]))[0]), None)
    assert np.allclose(one.cortex[:, right], two.cortex[:, right], atol=1e-4)


@pytest.mark.parametrize("view", ["ap", "lateral"])
def test_the_plain_view_shows_all_of_the_foot(standing, view):
    foot, tissue = standing
    camera = view_camera(foot, tissue, view, None)
    for name, bone in foot.bones.items():
        if name in ("tibia", "fibula"):
            continue
        seen = camera.project(bone.vertices)
        assert seen.min() > 0, name
        assert (seen < np.array(camera.shape)[::-1] - 1).all(), name


def test_lateral_views_end_below_the_cut_of_the_leg():
    foot, tissue = _foot("procedural")
    for seed in range(10):
        camera = view_camera(foot, tissue, "lateral", np.random.default_rng(seed))
        assert camera.project(np.array([0.0, 0.0, tissue.top]))[1] < 0


def test_random_styles_are_written_as_json_and_differ():
    styles = [random_style(np.random.default_rng(seed), "lateral") for seed in range(200)]
    assert len({json.dumps(style.as_json()) for style in styles}) == 200
    assert 2 < sum(style.inverted for style in styles) < 40
    assert any(style.plate == "wood" for style in styles)
    assert all(random_style(np.random.default_rng(seed), "ap").plate == "" for seed in range(50))


def test_every_piece_of_furniture_can_be_drawn():
    style = RadiographStyle(
        photons=5000.0, scatter=0.2, blur=0.3, heel=(0.1, -0.1), trabecular_contrast=0.05, fat_patches=0.2,
        plate="wood", plate_cover=2.0, screws=2,
        clothes=0.1, compression=0.4, detail=0.5, shoulder=True, black=0.1, white=0.9,
        collimation="white", field=(0.05, 0.02, 0.97, 0.99), field_angle=2.0, marker=True, text="WB", ball=True,
        cassette=True, grain=0.03, scratches=3, fog=0.05,
    )  # fmt: skip
    standing = _foot("procedural")
    plain, _ = _rendered(standing, "lateral", 1, RadiographStyle())
    full, _ = _rendered(standing, "lateral", 1, style)
    assert full.image.dtype == np.uint8
    assert full.image.shape == plain.image.shape
    assert full.image.std() > 10
    assert (full.image != plain.image).mean() > 0.5


def test_an_unknown_view_is_refused():
    foot, tissue = _foot("procedural")
    with pytest.raises(SimulationError, match="'oblique' is not one of"):
        view_camera(foot, tissue, "oblique")


def test_a_camera_inside_of_the_foot_is_refused():
    foot, tissue = _foot("procedural")
    camera = replace(view_camera(foot, tissue, "ap", None, SHAPES["ap"]), source=np.array([0.0, 40.0, 40.0]))
    with pytest.raises(SimulationError, match="behind the X-ray source"):
        render_radiograph(foot, tissue, camera, np.random.default_rng(0), RadiographStyle())


def test_materials_attenuate_in_the_order_of_their_density():
    order = ("fat", "soft", "cortex", "aluminium", "titanium", "steel")
    attenuation = np.array([MATERIALS[name].attenuation for name in order])
    # Cortical bone and aluminium are near each other, as step wedges of aluminium in densitometry use.
    assert (np.diff(attenuation, axis=0) > 0).all()
    assert (np.diff(attenuation, axis=1) < 0).all()


def test_thin_layers_follow_beer_and_lambert_and_thick_ones_harden_the_beam():
    share = spectrum(60.0)
    assert share.sum() == pytest.approx(1)
    assert (share[ENERGIES >= 60] == 0).all()
    thickness = np.array([[0.01, 0.02, 20.0, 40.0]], dtype=np.float32)
    logs = -np.log(transmitted({"cortex": thickness}, share))[0]
    mean = share @ MATERIALS["cortex"].attenuation
    assert logs[0] == pytest.approx(0.01 * mean, rel=0.01)
    assert logs[3] < 2 * logs[2] * 0.97


def test_a_slab_is_as_long_as_its_mesh():
    import trimesh

    foot, tissue = _foot("procedural")
    camera = view_camera(foot, tissue, "lateral", np.random.default_rng(5), SHAPES["lateral"])
    low, high = np.array([-100.0, -150.0, -25.0]), np.array([50.0, 250.0, 0.0])
    mesh = trimesh.creation.box(bounds=[low, high])
    expected = path_lengths([(np.asarray(mesh.vertices), np.asarray(mesh.faces))], camera)[0]
    assert expected.max() > 100
    assert np.abs(slab_path(camera, low, high) - expected).max() < 1e-3


def test_a_foot_without_landmarks_is_drawn_all_the_same():
    foot, tissue = _foot("procedural")
    bare = PosedFoot(foot.bones, {}, "R", {})
    camera = view_camera(bare, tissue, "ap", None, SHAPES["ap"])
    assert render_radiograph(bare, tissue, camera, np.random.default_rng(0)).points == {}
