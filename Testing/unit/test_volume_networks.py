"""Landmarks in a CT volume: grid, heatmaps, loss and the search from coarse to fine agree on where a place is."""

import numpy as np
import pytest
import torch

from orthoangles.losses.volume_landmarks import VolumeLandmarkLoss
from orthoangles.networks.volumes.decoding import decode_places
from orthoangles.networks.volumes.finding import CoarseResult, VolumeLandmarkFinder, cut_cube, within
from orthoangles.networks.volumes.grid import (
    COARSE,
    FINE,
    POOLED,
    VolumeView,
    WorkingVolume,
    as_grey,
    coarse_grey,
    working_volume,
)
from orthoangles.networks.volumes.networks import STRIDE, FootVolumeNet, VolumeLandmarkNet, padded
from orthoangles.networks.volumes.shape import FootShape, laid_over

pytestmark = pytest.mark.unit

CPU = torch.device("cpu")
NAMES = ("a", "b", "c")


def gaussian_maps(points, shape, sigma=1.0):
    """Logits (k, *shape) that draw a Gaussian around each point (x, y, z) in input voxels."""
    cells = (torch.as_tensor(np.array(points), dtype=torch.float64) - (STRIDE - 1) / 2) / STRIDE
    z, y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in shape), indexing="ij")
    away = (torch.stack([x, y, z], -1) - cells[:, None, None, None]) ** 2
    return -away.sum(-1) / (2 * sigma**2)


# --- grid
def oblique():
    from scipy.spatial.transform import Rotation

    return Rotation.from_euler("zyx", (25, -15, 10), degrees=True).as_matrix()


@pytest.mark.parametrize("spacing", [(0.4, 0.4, 0.4), (0.3, 0.5, 1.2), (0.9, 0.9, 2.0)])
@pytest.mark.parametrize("turned", [False, True])
def test_a_ball_stays_where_it_is_whatever_the_voxels_of_the_volume(spacing, turned):
    rotation = oblique() if turned else np.eye(3)
    size = np.round(40 / np.array(spacing)).astype(int)
    k, j, i = np.meshgrid(*(np.arange(n) for n in size[::-1]), indexing="ij")
    index = np.stack([i, j, k], -1)
    origin = np.array([100.0, -50.0, 7.0])
    places = (index * spacing) @ rotation.T + origin
    centre = places[tuple(s // 2 for s in size[::-1])] + (0.7, -0.4, 0.3)
    distance = np.linalg.norm(places - centre, axis=-1)
    hu = (1600 * np.clip(8 - distance, 0, 1) - 400).astype(np.int16)
    to_index = np.eye(4)
    to_index[:3, :3] = np.diag(1 / np.array(spacing)) @ rotation.T
    to_index[:3, 3] = -to_index[:3, :3] @ origin
    volume = working_volume(VolumeView(hu, to_index, centre - 12.3, centre + 12.9))
    assert volume.grey.shape == (34, 34, 34)
    z, y, x = (np.arange(n) for n in volume.grey.shape)
    grey = volume.grey.double().numpy()
    found = np.array([(grey.sum((0, 1)) @ x), (grey.sum((0, 2)) @ y), (grey.sum((1, 2)) @ z)]) / grey.sum()
    assert volume.origin + FINE * found == pytest.approx(centre, abs=0.05)
    volume_mm3 = grey.sum() * FINE**3 / as_grey(torch.tensor(1200.0)).item()
    assert volume_mm3 == pytest.approx(4 / 3 * np.pi * 7.5**3, rel=0.05)


def test_beyond_the_volume_is_black_and_progress_is_told():
    told = []
    hu = np.full((20, 20, 20), 600, dtype=np.float32)
    view = VolumeView(hu, np.eye(4), np.array([-15.0, 0, 0]), np.array([19.0, 19.0, 60.0]))
    grey = working_volume(view, told.append).grey
    assert grey[2, 5, 30].item() == pytest.approx(0.5)
    assert grey[:, :, :15].max() == 0
    assert grey[40:].max() == 0
    assert told == sorted(told)
    assert 0 <= told[0] < told[-1] <= 1


def test_the_coarse_grid_is_the_mean_of_the_working_one_and_keeps_places():
    grey = torch.rand(13, 16, 20)
    coarse = coarse_grey(grey)
    assert coarse.shape == (3, 4, 5)
    assert coarse[1, 2, 3] == pytest.approx(grey[4:8, 8:12, 12:16].mean().item())
    assert COARSE == POOLED * FINE
    assert coarse_grey(torch.rand(2, 3, 9)).shape == (1, 1, 2)


def test_a_cube_may_hang_over_every_border():
    grey = torch.arange(60.0).reshape(3, 4, 5)
    cube = cut_cube(grey, np.array([-1, 2, 1]), 4)
    assert torch.equal(cube[:2, :2, 1:], grey[1:3, 2:4, 0:3])
    assert cube.sum() == grey[1:3, 2:4, 0:3].sum()
    assert cut_cube(grey, np.array([50, 0, 0]), 4).sum() == 0


# --- network, decoding, loss
@pytest.mark.parametrize("shape", [(32, 48, 32), (16, 16, 64)])
def test_the_network_gives_a_map_and_an_absence_for_each_landmark(shape):
    network = VolumeLandmarkNet(3, (4, 8, 12, 16), 8).eval()
    with torch.inference_mode():
        maps, absence = network(torch.zeros(2, 1, *shape))
    assert maps.shape == (2, 3, *(n // STRIDE for n in shape))
    assert absence.shape == (2, 3)


def test_padding_grows_only_the_ends():
    volume = torch.rand(1, 1, 17, 32, 5)
    grown = padded(volume, 16, -0.5)
    assert grown.shape == (1, 1, 32, 32, 16)
    assert torch.equal(grown[..., :17, :, :5], volume)
    assert grown[..., 17:, :, :].unique() == -0.5


def test_places_are_read_between_cells():
    points = np.array([[20.3, 31.8, 9.05], [40.0, 8.5, 16.7], [12.25, 12.25, 12.25]])
    places = decode_places(gaussian_maps(points, (16, 24, 30)), torch.full((3,), -50.0), sigma=1.0, reach=3)
    assert places.points.numpy() == pytest.approx(points, abs=0.06)
    assert places.present.numpy() == pytest.approx(1)
    assert places.excess.numpy() == pytest.approx(0, abs=0.1)


def test_a_wider_map_and_a_second_place_are_told_as_excess():
    wide = gaussian_maps([[30.5, 30.5, 30.5]], (30, 30, 30), sigma=2.0)
    places = decode_places(wide, torch.full((1,), -50.0), sigma=1.0)
    assert places.excess.item() == pytest.approx(STRIDE * np.sqrt(2.0**2 - 1), abs=0.05)
    two = torch.logaddexp(*gaussian_maps([[15.5, 30.5, 30.5], [45.5, 30.5, 30.5]], (30, 30, 30)))[None]
    assert decode_places(two, torch.full((1,), -50.0), sigma=1.0).excess.item() > 8


def test_absence_is_a_probability():
    maps = gaussian_maps([[20.0, 20.0, 20.0]], (20, 20, 20))
    total = maps.flatten().logsumexp(0)
    assert decode_places(maps, total[None], sigma=1.0).present.item() == pytest.approx(0.5, abs=1e-6)


def loss_of(points, labels, absence=-60.0):
    maps = gaussian_maps(points, (16, 16, 16)).float()[None]
    return VolumeLandmarkLoss()((maps, torch.full((1, len(points)), absence)), torch.as_tensor(labels)[None].float())


def test_a_perfect_map_has_no_loss_and_a_shifted_one_has():
    points = [[12.3, 20.1, 15.7], [20.0, 9.0, 13.5]]
    assert loss_of(points, points)[0].item() == pytest.approx(0, abs=1e-4)
    assert loss_of(points, [[14.3, 20.1, 15.7], [20.0, 9.0, 13.5]])[0] > 0.2


def test_a_missing_label_teaches_absence_and_one_at_the_border_nothing():
    points = [[12.0, 12.0, 12.0]]
    absent = [[np.nan] * 3]
    assert loss_of(points, absent, absence=-60.0)[0] > 50
    assert loss_of(points, absent, absence=60.0)[0] == pytest.approx(0, abs=1e-4)
    assert loss_of(points, [[60.0, 12.0, 12.0]], absence=60.0)[0] == pytest.approx(0, abs=1e-4)
    assert loss_of(points, [[33.0, 12.0, 12.0]], absence=60.0)[0] == 0


def test_only_the_part_that_learns_changes():
    parts = [VolumeLandmarkNet(2, (4, 8), 4) for _ in range(2)]
    network = FootVolumeNet(*parts, learns="coarse").train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    maps, absence = network(torch.rand(2, 1, 16, 16, 16))
    (maps.mean() + absence.mean()).backward()
    optimiser.step()
    changed = {
        name.split(".")[0] for name, value in network.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed == {"coarse"}
    with pytest.raises(ValueError, match="expected one of coarse, fine"):
        FootVolumeNet(*parts, learns="both")


# --- the search
BLOBS = np.array([[30.0, 22.0, 18.0], [75.0, 60.0, 40.0]])


class KnownPlaces(torch.nn.Module):
    """Draws the first two landmarks at ``BLOBS`` on the coarse grid, and says that the third is absent."""

    multiple = 16

    def forward(self, volume):
        points = (BLOBS / FINE - (POOLED - 1) / 2) / POOLED
        maps = gaussian_maps([*points, points[0]], [n // STRIDE for n in volume.shape[2:]])
        return maps.float()[None], torch.tensor([[-50.0, -50.0, 50.0]])


class BrightestPlace(torch.nn.Module):
    """Sees all landmarks but the third where it is brightest, and none in darkness."""

    def __init__(self, landmarks=3):
        super().__init__()
        self.absence = torch.full((1, landmarks), 20.0)
        self.absence[0, 2] = 60.0

    def forward(self, volume):
        maps = 40 * torch.nn.functional.avg_pool3d(volume + 0.5, STRIDE)
        return maps.expand(-1, self.absence.shape[1], -1, -1, -1), self.absence


@pytest.fixture
def two_blobs():
    """Two soft balls at ``BLOBS`` (mm) on the working grid."""
    z, y, x = torch.meshgrid(*(FINE * torch.arange(n).double() for n in (90, 120, 140)), indexing="ij")
    places = torch.stack([x, y, z], -1)
    away = [((places - torch.from_numpy(blob)) ** 2).sum(-1) for blob in BLOBS]
    return WorkingVolume(sum(torch.exp(-d / (2 * 6.0**2)) for d in away).float(), np.array([5.0, -7.0, 11.0]))


@pytest.fixture
def network():
    return FootVolumeNet(KnownPlaces(), BrightestPlace())


def finder(**options):
    return VolumeLandmarkFinder(NAMES, [["a"], ["b", "c"]], **options)


def test_landmarks_are_found_where_they_are_and_the_missing_one_is_not_invented(two_blobs, network):
    coarse = finder().looked_over(two_blobs, network, CPU)
    assert coarse.score > 0.9
    told = []
    found = finder().closely(coarse, network, CPU, lambda share, text: told.append((share, text)))
    assert found.points[:2] == pytest.approx(two_blobs.origin + BLOBS, abs=0.1)
    assert np.isnan(found.points[2]).all()
    assert found.confidence[2] == 0
    assert found.warnings[0] == "not found in the volume: c"
    assert len(told) == 2


def test_both_networks_have_a_say_in_whether_a_landmark_is_there(two_blobs, network):
    dark = two_blobs._replace(grey=two_blobs.grey * 0.3)
    coarse = CoarseResult(two_blobs.origin + BLOBS[[0, 1, 1]], np.array([0.95, 0.3, 0.05]), two_blobs, 1.0)
    seen = finder().closely(coarse, network, CPU)
    assert np.isfinite(seen.points).all(axis=1).tolist() == [True, True, False]
    assert np.isnan(finder().closely(coarse._replace(volume=dark), network, CPU).points).all()


# --- what a foot looks like
@pytest.fixture
def a_shape():
    return FootShape(50 * np.random.default_rng(4).standard_normal((12, 3)), np.full(12, 20.0))


def moved(points, degrees=(30, -10, 5), scale=1.2, shift=(40.0, -9.0, 300.0)):
    from scipy.spatial.transform import Rotation

    return scale * points @ Rotation.from_euler("zyx", degrees, degrees=True).as_matrix().T + shift


def test_a_similarity_is_found_exactly_and_never_mirrors():
    source = np.random.default_rng(1).standard_normal((8, 3))
    assert laid_over(source, moved(source), np.ones(8), source) == pytest.approx(moved(source))
    mirrored = source * (-1, 1, 1)
    assert np.abs(laid_over(source, mirrored, np.ones(8), source) - mirrored).max() > 0.1


def test_two_wrong_places_of_twelve_are_told_and_the_rest_is_not_disturbed(a_shape):
    rng = np.random.default_rng(2)
    points = moved(a_shape.mean) + rng.normal(0, 3, (12, 3))
    points[3] += (60.0, 0.0, 0.0)
    points[7] -= (0.0, 90.0, 40.0)
    points[9] = np.nan
    strays, placed = a_shape.strays(points)
    assert np.flatnonzero(strays).tolist() == [3, 7]
    assert np.linalg.norm(placed - moved(a_shape.mean), axis=1).max() < 9


def test_few_points_are_no_foot(a_shape):
    points = np.full((12, 3), np.nan)
    points[:5] = a_shape.mean[:5]
    strays, placed = a_shape.strays(points)
    assert not strays.any()
    assert np.isnan(placed).all()


def test_a_landmark_seen_in_a_wrong_place_is_looked_for_in_the_right_one_and_not_invented(two_blobs):
    """The coarse network takes the second ball for the first landmark; the other landmarks tell it is not."""
    names = tuple("abcdefgh")
    places = two_blobs.origin + BLOBS[0] + 10 * np.random.default_rng(0).standard_normal((8, 3))
    places[0] = two_blobs.origin + BLOBS[0]
    coarse = CoarseResult(places.copy(), np.ones(8), two_blobs, 1.0)
    coarse.points[0] = two_blobs.origin + BLOBS[1]
    shape = {"mean": places.tolist(), "reach": [15.0] * 8}
    crops = [["a"], list(names[1:])]
    network = FootVolumeNet(KnownPlaces(), BrightestPlace(landmarks=8))
    found = VolumeLandmarkFinder(names, crops, shape=shape).closely(coarse, network, CPU)
    assert found.points[0] == pytest.approx(places[0], abs=0.2)
    believed = VolumeLandmarkFinder(names, crops).closely(coarse, network, CPU)
    assert believed.points[0] == pytest.approx(two_blobs.origin + BLOBS[1], abs=0.2)


def test_spread_and_confidence_follow_the_fitted_numbers():
    search = finder(scale=[1.0, 2.0, 1.0], floor=[0.3, 0.4, 0.5], tolerance=2.0)
    found = search._decoded(np.zeros((3, 3)), np.array([1.0, 1.0, 0.9]), np.array([0.0, 1.0, 0.0]))
    assert found.spread == pytest.approx([0.3, np.hypot(2.0, 0.4), 0.5])
    assert found.confidence == pytest.approx([1.0, within(2.0 / found.spread[1]), 0.9 * within(4.0)], abs=1e-6)
    assert found.warnings == ("uncertain: b",)


def test_the_share_within_a_distance_is_that_of_normal_errors():
    errors = np.linalg.norm(np.random.default_rng(1).normal(0, 0.7, (200_000, 3)), axis=1)
    for limit in (0.5, 1.0, 2.0):
        assert within(limit / 0.7) == pytest.approx((errors < limit).mean(), abs=0.004)


def test_crops_must_name_each_landmark_once():
    with pytest.raises(ValueError, match="each landmark once"):
        VolumeLandmarkFinder(NAMES, [["a"], ["b"]])


def test_a_cancel_comes_through(two_blobs, network):
    class StopError(Exception):
        pass

    def stop(share, text):
        raise StopError

    coarse = CoarseResult(BLOBS[[0, 1, 1]], np.ones(3), two_blobs, 1.0)
    with pytest.raises(StopError):
        finder().closely(coarse, network, CPU, stop)
