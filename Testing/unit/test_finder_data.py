"""Pictures for the foot finder: what their targets say is what they show."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image as Picture
from support.feet import ap_foot, hallux_foot, lateral_foot

from orthoangles.annotation.dataset import Dataset
from orthoangles.errors import DatasetError
from orthoangles.protocols import load_protocol
from orthoangles.training.finder_data import FinderData, FinderSamples, target_rows
from orthoangles.training.finder_films import Films, feet
from orthoangles.training.finder_scenes import (
    NO_FOOT,
    Foot,
    Scene,
    around_the_foot,
    blanked,
    nothing,
    placed,
    shuffled,
    side_by_side,
    two_films,
)
from orthoangles.training.foot_outlines import ap_outline, lateral_outline, up_vector

pytestmark = pytest.mark.unit

ROWS, COLUMNS = 260, 180
SCALES = {"foot-ap": 1, "foot-ap-hallux": 1, "foot-lateral": 0.7}


def pixels_of(protocol_id, side):
    """Landmarks (n, 2) in pixels of an upright foot, in the protocol's order."""
    if protocol_id == "foot-lateral":
        points = lateral_foot(meary=5, pitch=20)
    elif protocol_id == "foot-ap":
        points = ap_foot(hva=20, talocalcaneal=20, coverage=5, mt1_talar=-5)
    else:
        points = hallux_foot(hva=20, ima=10)
    listed = np.array([points[name] for name in load_protocol(protocol_id).landmark_ids])
    return np.array([90.0, 140.0]) + listed * [side, -1] * SCALES[protocol_id]


def a_dataset(folder, persons=3, inverted=()):
    """Both AP protocols and the lateral one of a few persons; the landmarks are bright dots on grey."""
    dataset = Dataset(folder)
    for person in range(persons):
        for protocols in (("foot-ap", "foot-ap-hallux"), ("foot-lateral",)):
            places = {name: pixels_of(name, -1 if person % 2 else 1) for name in protocols}
            pixels = np.full((ROWS, COLUMNS), 60 + person, dtype=np.uint8)
            for x, y in np.rint(np.concatenate(list(places.values()))).astype(int):
                pixels[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3] = 220
            dark = person in inverted
            for name, points in places.items():
                dataset.add_case(
                    f"{name}-{person}",
                    image_suffix=".png",
                    write_image=lambda path, p=pixels, d=dark: Picture.fromarray(255 - p if d else p).save(path, "PNG"),
                    protocol=load_protocol(name),
                    points=np.column_stack([points, np.zeros(len(points))]),
                    group=f"person {person}",
                    provenance={"parameters": {"view": {"style": {"inverted": dark}}}},
                )
    return dataset


@pytest.mark.parametrize("side", [1, -1])
def test_outlines_hold_every_landmark_and_know_which_way_is_up(side):
    ap = {
        name: place
        for protocol in ("foot-ap", "foot-ap-hallux")
        for name, place in zip(load_protocol(protocol).landmark_ids, pixels_of(protocol, side), strict=True)
    }
    ids = load_protocol("foot-lateral").landmark_ids
    lateral = dict(zip(ids, pixels_of("foot-lateral", side), strict=True))
    for points, outline, needed in ((ap, ap_outline, "MT2-5"), (lateral, lateral_outline, "L7")):
        octagon = outline(points)
        assert (octagon.min(0) < np.min(list(points.values()), 0)).all()
        assert (octagon.max(0) > np.max(list(points.values()), 0)).all()
        assert up_vector(octagon) @ [0, -1] > 0.9
        assert outline({**points, needed: np.full(2, np.nan)}) is None
        assert outline({name: place for name, place in points.items() if name != needed}) is None


def test_both_ap_protocols_of_an_image_make_one_film_with_bright_bone(tmp_path):
    films = list(feet(a_dataset(tmp_path, 2, inverted={1})))
    assert sorted(kind for _, kind in films) == [0, 0, 1, 1]
    for film, _ in films:
        assert film.points.shape == (8, 2)
        assert np.median(film.pixels) < film.pixels.max() / 2


def dotted(seed=0, shape=(240, 150), kind=0):
    """A dim film with a bright dot at the middle of its foot's outline and a smaller one towards the toes."""
    octagon = np.array([[-25, -70], [25, -70], [40, -55], [40, 55], [25, 70], [-25, 70], [-40, 55], [-40, -55]])
    middle = np.array([75.0, 120.0]) + np.random.default_rng(seed).integers(-8, 9, 2)
    pixels = np.full(shape, 0.2, dtype=np.float32)
    for place, radius in ((middle, 5), (middle - np.array([0, 50]), 4)):
        x, y = place.astype(int)
        pixels[y - radius : y + radius + 1, x - radius : x + radius + 1] = 1 if radius == 5 else 0.7
    return Scene(pixels, (Foot(kind, octagon + middle, np.array([0.0, -1.0])),))


def centre(mask):
    return np.median(np.argwhere(mask), axis=0)[::-1]


@pytest.mark.parametrize("seed", range(12))
def test_targets_follow_the_foot_wherever_it_is_placed(seed):
    rng = np.random.default_rng(seed)
    scene = dotted(seed)
    scene = around_the_foot(scene, rng, (0.02, 0.5)) if seed % 2 else scene.mirrored()
    shown = placed(blanked(scene, rng) if seed % 3 else scene, rng, (256, 256))
    (foot,) = shown.feet
    distance = np.linalg.norm(np.indices((256, 256)).transpose(1, 2, 0)[..., ::-1] - foot.outline.mean(0), axis=-1)
    middle = centre((distance < 16) & (shown.pixels > 0.9))
    toe = centre((distance < 75) & (abs(shown.pixels - 0.7) < 0.02))
    assert foot.outline.mean(0) == pytest.approx(middle, abs=1.5)
    assert foot.up @ (toe - middle) / np.linalg.norm(toe - middle) > 0.97
    row = target_rows(shown, True)[0]
    assert (row[0], row[7]) == (0, 1)
    assert row[1:5] == pytest.approx(np.clip([*foot.outline.min(0), *foot.outline.max(0)], 0, 255))


@pytest.mark.parametrize("join", [side_by_side, two_films], ids=lambda f: f.__name__)
@pytest.mark.parametrize("seed", range(4))
def test_two_feet_keep_their_own_places(join, seed):
    rng = np.random.default_rng(seed)
    both = join(dotted(seed), dotted(seed + 50, kind=1), rng)
    assert sorted(foot.kind for foot in both.feet) == [0, 1]
    for foot in both.feet:
        x, y = np.rint(foot.outline.mean(0)).astype(int)
        assert both.pixels[y, x] > 0.9


def test_a_foot_that_is_mostly_outside_is_not_asked_for():
    scene = dotted()
    (foot,) = scene.feet
    gone = replace(foot, outline=foot.outline - [90, 0])
    assert np.isnan(target_rows(replace(scene, feet=(gone,)), False)).all()
    assert np.isfinite(target_rows(scene, False)[0]).all()


@pytest.mark.parametrize("seed", range(6))
def test_what_is_no_foot_has_no_targets_and_is_a_picture(seed):
    for scene in (nothing(np.random.default_rng(seed)), shuffled(dotted(), np.random.default_rng(seed))):
        shown = placed(scene, np.random.default_rng(seed), (64, 64))
        assert shown.feet == ()
        assert np.isfinite(shown.pixels).all()
        assert shown.pixels.shape == (64, 64)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finder")
    real = folder / "real"
    real.mkdir()
    rng = np.random.default_rng(0)
    for name in ("1a", "1b", "2a", "3a"):
        Picture.fromarray(rng.integers(0, 255, (60, 50)).astype(np.uint8)).save(real / f"{name}.jpg")
    labels = [{"image": f"{name}.jpg", "patient": name[0]} for name in ("1a", "1b", "2a", "3a")]
    (real / "labels.json").write_text(json.dumps(labels))
    data = FinderData((64, 64), 96, folds=3, fold=0, spines=3, no_feet=str(real), laterals=str(real), pictures=40)
    return data.prepare([a_dataset(folder / "data")], folder)


def test_persons_are_held_out_of_every_source(prepared):
    training, held_out = (set(part.films.cases.groups) for part in (prepared.training, prepared.validation))
    assert training.isdisjoint(held_out)
    assert (
        {name.split()[0] for name in training} == {name.split()[0] for name in held_out} == {"person", "spine", "real"}
    )
    assert prepared.facts["films"] == {"feet": 4, "spines": 2, "no-feet": 2, "laterals": 2}
    assert set(prepared.facts["groups"]) < {"person 0", "person 1", "person 2"}


def test_batches_are_pictures_with_targets_and_only_validation_repeats(prepared):
    images, targets = prepared.training.batch(range(12), seed=1)
    assert images.shape == (12, 1, 64, 64)
    assert images.min() >= -0.5
    assert images.max() <= 0.5
    assert targets.shape == (12, 2, 8)
    assert not torch.equal(images, prepared.training.batch(range(12), seed=2)[0])
    assert torch.equal(images, prepared.training.batch(range(12), seed=1)[0])
    assert torch.equal(prepared.validation.batch([3, 4])[0][1], prepared.validation.batch([4])[0][0])


def test_pictures_show_both_kinds_pairs_and_no_foot(prepared):
    _, targets = prepared.training.batch(range(150), seed=3)
    kinds = targets[..., 0].numpy()
    counts = np.isfinite(kinds).sum(1)
    assert set(np.unique(counts)) == {0, 1, 2}
    assert {0, 1} == set(kinds[np.isfinite(kinds)])
    assert np.isnan(targets.numpy()[counts == 1][:, 0, 1]).any(), "a real foot without a box"
    assert 0.05 < np.nanmean(targets[..., 7]) < 0.4
    ups = targets[..., 5:7].numpy()[np.isfinite(kinds)]
    assert np.linalg.norm(ups, axis=1) == pytest.approx(1, abs=1e-5)


def test_sources_that_are_not_there_are_left_out_but_feet_must_be(tmp_path):
    data = FinderData((64, 64), 96, spines=2, no_feet=str(tmp_path / "absent"), laterals=None, folds=2, fold=0)
    prepared = data.prepare([a_dataset(tmp_path / "data", 2)], tmp_path)
    assert set(prepared.facts["films"]) == {"feet", "spines"}
    other = Dataset(tmp_path / "spine")
    other.folder.mkdir()
    (other.folder / "dataset.json").write_text('{"format": "orthoangles-dataset", "version": 1, "cases": []}')
    with pytest.raises(DatasetError, match="no foot"):
        data.prepare([other], tmp_path)


def test_films_without_a_frame_have_the_shape_of_the_image(prepared):
    films = prepared.training.films
    scene = films.scene(int(np.flatnonzero(films.placed)[0]))
    assert scene.pixels.shape == (96, round(96 * COLUMNS / ROWS))
    low, high = scene.feet[0].outline.min(0), scene.feet[0].outline.max(0)
    assert (low > -30).all()
    assert (high < np.array(scene.pixels.shape[::-1]) + 30).all()
    assert films.scene(int(np.flatnonzero(films.kinds == NO_FOOT)[0])).feet == ()
    assert isinstance(films, Films)
    assert isinstance(prepared.training, FinderSamples)
