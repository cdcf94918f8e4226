"""CT volumes become samples: sides, hidden landmarks and random views keep every label on its bone; networks learn."""

import numpy as np
import pytest
import SimpleITK
import torch

from orthoangles.annotation.dataset import Dataset
from orthoangles.errors import DatasetError
from orthoangles.losses.volume_landmarks import VolumeLandmarkLoss
from orthoangles.networks.volumes.decoding import decode_places
from orthoangles.networks.volumes.grid import FINE, POOLED
from orthoangles.networks.volumes.networks import VolumeLandmarkNet
from orthoangles.protocols import load_protocol
from orthoangles.training.loop import Schedule, Trainer
from orthoangles.training.volume_augmentation import VolumeAugmentation, plain_window
from orthoangles.training.volume_data import CoarseSamples, FineSamples, VolumeData
from orthoangles.training.volume_packing import PackedVolume, packed_volumes

pytestmark = pytest.mark.unit

WBCT = load_protocol("foot-wbct")
COUNT = len(WBCT.landmarks)
PLACE = np.array([-21.0, 14.0, 9.0])
"""Of landmark T2 in LPS mm, a bright ball of a right foot."""
STILL = VolumeAugmentation(
    turn=0, tilt=0, zoom=0, stretch=0, warp=0, shift=0, cut=0, gain=0, offset=0, gamma=0, noise=0
)


def write_ball(path, side):
    """Volume of 1 mm with a ball of 6 mm at ``PLACE``, mirrored for a left foot."""
    image = SimpleITK.Image([50, 60, 40], SimpleITK.sitkInt16)
    z, y, x = np.meshgrid(*(np.arange(n) for n in (40, 60, 50)), indexing="ij")
    origin = np.array([-48.0, -20.0, -10.0])
    place = PLACE
    if side == "L":
        origin, place = np.array([-1.0, -20.0, -10.0]), PLACE * (-1, 1, 1)
    away = np.linalg.norm(np.stack([x, y, z], -1) + origin - place, axis=-1)
    image = SimpleITK.GetImageFromArray((1500 * np.clip(6.5 - away, 0, 1) - 400).astype(np.int16))
    image.SetOrigin(origin.tolist())
    SimpleITK.WriteImage(image, str(path))


def points_of(side):
    points = np.full((COUNT, 3), np.nan)
    points[1] = PLACE
    points[2] = PLACE + 5.0
    return points * (-1.0, 1.0, 1.0) if side == "L" else points


@pytest.fixture
def feet(tmp_path):
    """A right foot of one person, a left one of another, and a right one of both, whose second landmark is hidden."""
    store = Dataset(tmp_path / "feet")
    for name, side, group, hidden in (("a", "R", "p", []), ("b", "L", "q", []), ("c", "R", "p+q", ["TA1"])):
        store.add_case(
            name,
            image_suffix=".nrrd",
            write_image=lambda path, side=side: write_ball(path, side),
            protocol=WBCT,
            points=points_of(side),
            group=group,
            provenance={"image": {"laterality": side}, "parameters": {"hidden": hidden}},
        )
    return store


def test_both_sides_are_packed_alike_and_hidden_landmarks_are_missing(feet, tmp_path):
    right, left, hidden = packed_volumes(feet, WBCT, tmp_path / "packed")
    for case in (right, left):
        grey, (x, y, z) = case.read(), np.rint(case.points[1]).astype(int)
        assert grey[z, y, x] > 130
        assert grey[z, y, x + round(8 / FINE)] == 0
    weights = [case.read().astype(float) for case in (right, left)]
    centres = [
        np.array([np.average(axis, weights=w) for axis in np.indices(w.shape)])[::-1] - case.points[1]
        for case, w in zip((right, left), weights, strict=True)
    ]
    assert centres[0] == pytest.approx(np.zeros(3), abs=0.1)
    assert centres[1] == pytest.approx(np.zeros(3), abs=0.1)
    assert right.points[2] - right.points[1] == pytest.approx(5 / FINE * np.ones(3))
    assert left.points[2] - left.points[1] == pytest.approx(5 / FINE * np.ones(3))
    assert np.isnan(hidden.points[2]).all()


def test_what_is_packed_already_is_not_packed_again(feet, tmp_path):
    first = packed_volumes(feet, WBCT, tmp_path / "packed")
    stamps = [case.file.stat().st_mtime_ns for case in first]
    assert [case.file.stat().st_mtime_ns for case in packed_volumes(feet, WBCT, tmp_path / "packed")] == stamps


def test_a_foot_of_unknown_side_is_named(tmp_path):
    store = Dataset(tmp_path / "feet")
    store.add_case(
        "odd",
        image_suffix=".nrrd",
        write_image=lambda path: write_ball(path, "R"),
        protocol=WBCT,
        points=points_of("R"),
        group="p",
    )
    with pytest.raises(DatasetError, match="odd: its side"):
        packed_volumes(store, WBCT, tmp_path / "packed")
    with pytest.raises(DatasetError, match="no case of protocol"):
        packed_volumes(store, load_protocol("foot-ap"), tmp_path / "packed")


@pytest.mark.parametrize("part", ["coarse", "fine"])
def test_a_person_held_out_takes_every_foot_with_a_bone_of_theirs_along(feet, tmp_path, part):
    data = VolumeData(part, (32, 32, 32), [["T2", "TA1"]], STILL, held_out_groups=["q"])
    made = data.prepare([feet], tmp_path / "run", WBCT)
    assert made.facts["groups"] == ["p"]
    assert (len(made.training), len(made.validation)) == (1, 2)
    images, points = made.training.batch([0], seed=1)
    assert images.shape == (1, 1, 32, 32, 32)
    assert points.shape == (1, COUNT, 3)
    with pytest.raises(DatasetError, match="all 3 cases are held out"):
        VolumeData(part, (32, 32, 32), (), STILL, held_out_groups=["p", "q"]).prepare([feet], tmp_path / "run", WBCT)


# --- random views
@pytest.fixture
def bright_points():
    """A volume (z, y, x) with three soft spots of different brightness, and where they are (x, y, z)."""
    points = np.array([[30.0, 40.0, 25.0], [50.0, 28.0, 38.0], [38.0, 60.0, 44.0], [np.nan] * 3])
    z, y, x = np.meshgrid(*(np.arange(n) for n in (64, 80, 72)), indexing="ij")
    volume = np.zeros(z.shape)
    for k, (i, j, m) in enumerate(points[:3]):
        volume += (255 - 60 * k) * np.exp(-((x - i) ** 2 + (y - j) ** 2 + (z - m) ** 2) / (2 * 2.0**2))
    return np.minimum(volume, 255).astype(np.uint8), points


def spot_near(grey, place, reach=4):
    """Centre of brightness (x, y, z) about a place."""
    first = [max(0, round(float(c)) - reach) for c in place]
    part = grey[first[2] :, first[1] :, first[0] :][tuple(slice(0, 2 * reach + 1) for _ in range(3))].double().numpy()
    return np.array([np.average(axis, weights=part) for axis in np.indices(part.shape)])[::-1] + first


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("warp", "tolerance"), [(0.0, 0.2), (1.5, 0.5)])
def test_labels_move_with_what_they_mark(bright_points, seed, warp, tolerance):
    """A warp stretches one side of a spot more than the other: its middle is a little off its mark then."""
    volume, points = bright_points
    strong = VolumeAugmentation(
        turn=25, tilt=20, zoom=0.2, stretch=0.15, warp=warp, shift=4, cut=0, noise=0, blur=0, offset=0
    )
    grey, places = strong(volume, np.array([40.0, 42.0, 36.0]), points, (64, 64, 64), seed)
    assert torch.isnan(places[3]).all()
    inside = [place for place in places[:3] if place.min() > 5 and place.max() < 58]
    assert len(inside) >= 2
    for place in inside:
        assert spot_near(grey[0], place) == pytest.approx(place.numpy(), abs=tolerance)


def test_a_plain_window_changes_nothing(bright_points):
    volume, points = bright_points
    grey, places = plain_window(volume, np.array([40.0, 42.0, 36.0]), points, (40, 44, 48))
    first = (points - places.double().numpy())[0]
    assert first == pytest.approx(np.rint(first), abs=1e-5)
    i, j, k = np.rint(first).astype(int)
    assert (255 * grey[0]).numpy() == pytest.approx(volume[k : k + 40, j : j + 44, i : i + 48], abs=0.01)


def test_a_cut_takes_labels_and_grey_away_together(bright_points):
    volume, points = bright_points
    lost = 0
    for seed in range(30):
        grey, places = VolumeAugmentation(cut=1, shift=0, noise=0, offset=0)(
            volume, points[0], points, (48, 48, 48), seed
        )
        for place in places[:3]:
            if torch.isnan(place).any():
                lost += 1
            elif place.min() > 3 and place.max() < 44:
                assert spot_near(grey[0], place, 2) == pytest.approx(place.numpy(), abs=1.2)
    assert lost > 5


def test_a_window_beside_the_volume_is_black(bright_points):
    volume, points = bright_points
    grey, places = plain_window(volume, np.array([500.0, 40.0, 30.0]), points, (16, 16, 16))
    assert grey.max() == 0
    assert (places[:3, 0] < 0).all()


# --- learning
def packed(tmp_path, count):
    """Feet with a bright and a dim spot at random places: landmarks 0 and 1 of three."""
    rng, cases = np.random.default_rng(0), []
    for k in range(count):
        volume, points = np.zeros((48, 56, 52)), np.full((3, 3), np.nan)
        z, y, x = np.meshgrid(*(np.arange(n) for n in volume.shape), indexing="ij")
        for n, value in enumerate((220.0, 90.0)):
            points[n] = rng.uniform(14, 34, 3)
            i, j, m = points[n]
            volume = np.maximum(volume, value * (((x - i) ** 2 + (y - j) ** 2 + (z - m) ** 2) < 4.5**2))
        np.save(tmp_path / f"{k}.npy", volume.astype(np.uint8))
        cases.append(PackedVolume(tmp_path / f"{k}.npy", points, f"p{k}", f"c{k}"))
    return cases


def test_the_fine_network_learns_to_find_spots_between_voxels(tmp_path):
    torch.manual_seed(0)
    cases = packed(tmp_path, 9)
    mild = VolumeAugmentation(turn=5, tilt=5, zoom=0.05, stretch=0.0, warp=0.3, shift=3, cut=0, gain=0.05, gamma=0.05)
    samples = FineSamples(cases[:8], (32, 32, 32), [[0], [1]], mild)
    network = VolumeLandmarkNet(3, (8, 16, 16), 12)
    schedule = Schedule(epochs=60, batch=4, rate=5e-3, average=0.9, warmup=1)
    Trainer(network, VolumeLandmarkLoss(), schedule, tmp_path / "checkpoint.pt").run(samples)
    images, points = FineSamples(cases[8:], (32, 32, 32), [[0], [1]], mild).batch([0, 1])
    with torch.inference_mode():
        maps, absence = network.eval()(images)
    for k in range(2):
        found = decode_places(maps[k], absence[k], sigma=1.0)
        assert found.points[k].numpy() == pytest.approx(points[k, k].numpy(), abs=2.0)
        assert found.present[k] > 0.5
        assert found.present[2] < 0.5


def test_coarse_samples_are_pooled_feet_with_their_labels(tmp_path):
    cases = packed(tmp_path, 2)
    samples = CoarseSamples(cases, (16, 16, 16), STILL)
    images, points = samples.batch([0, 1])
    for k, case in enumerate(cases):
        apart = case.points[1] - case.points[0]
        assert (points[k, 1] - points[k, 0]).numpy() == pytest.approx(apart / POOLED, abs=1e-4)
        x, y, z = np.rint(points[k, 0].numpy()).astype(int)
        assert images[k, 0, z, y, x] > 0
