"""Datasets become samples of one protocol, and nobody is on both sides of a split."""

import numpy as np
import pytest
from PIL import Image as Picture

from orthoangles.annotation.dataset import Dataset
from orthoangles.errors import DatasetError
from orthoangles.protocols import load_protocol
from orthoangles.training.augmentation import Augmentation
from orthoangles.training.data import LandmarkData, held_out_cases
from orthoangles.training.held_out import held_out

pytestmark = pytest.mark.unit

AP, LATERAL = load_protocol("foot-ap"), load_protocol("foot-lateral")
STILL = Augmentation(rotation=0, zoom=(1, 1), stretch=0, shear=0, shift=0, bend=0, mirror=0)


def points_of(protocol, seed, absent=()):
    points = np.zeros((len(protocol.landmarks), 3))
    points[:, :2] = np.random.default_rng(seed).uniform(5, 40, (len(points), 2))
    points[list(absent)] = np.nan
    return points


@pytest.fixture
def dataset(tmp_path):
    """Six AP cases of three persons, the last to be held out, one with a landmark off the image; a lateral each."""
    store = Dataset(tmp_path / "feet")
    for k in range(6):
        pixels = np.random.default_rng(k).integers(0, 255, (64, 48), np.uint8)
        for protocol in (AP, LATERAL):
            store.add_case(
                f"case-{k}-{protocol.view}",
                image_suffix=".png",
                write_image=Picture.fromarray(pixels).save,
                protocol=protocol,
                points=points_of(protocol, k, absent=(3,) if k == 1 else ()),
                group=f"person {k // 2}",
                split="test" if k >= 4 else "train",
            )
    return store


def prepared(dataset, output, **options):
    data = LandmarkData((64, 32), (64, 64), STILL, **options)
    return data.prepare([dataset], output, AP)


def test_only_the_cases_of_the_protocol_are_taken_and_the_test_split_is_held_out(dataset, tmp_path):
    made = prepared(dataset, tmp_path)
    assert (len(made.training), len(made.validation)) == (4, 2)
    assert made.facts["groups"] == ["person 0", "person 1"]
    assert made.facts["cases"] == 4


def test_groups_can_be_held_out_by_name(dataset, tmp_path):
    made = prepared(dataset, tmp_path, held_out_groups=["person 1"])
    assert made.facts["groups"] == ["person 0"]
    assert len(made.validation) == 4


def test_a_rejected_image_is_not_learned_from(dataset, tmp_path):
    review = {"review": {"state": "rejected", "reason": "a hand"}}
    dataset.add_case(
        "case-9-AP",
        image_suffix=".png",
        write_image=Picture.fromarray(np.zeros((64, 48), np.uint8)).save,
        protocol=AP,
        points=points_of(AP, 9),
        group="person 0",
        provenance=review,
    )
    assert prepared(dataset, tmp_path).facts["cases"] == 4


def test_targets_follow_the_frame_and_what_is_off_the_image_is_missing(dataset, tmp_path):
    images, points = prepared(dataset, tmp_path).training.batch([0, 1])
    assert images.shape == (2, 1, 64, 32)
    assert points.shape == (2, 16, 2)
    wanted = points_of(AP, 0)[:, :2]
    # 48 x 64 pixels stand in the middle of the packed 64 x 64, whose width is then halved.
    assert points[0].numpy() == pytest.approx((wanted + np.array([8.5, 0.5])) * [0.5, 1] - 0.5, abs=0.01)
    assert points[1, 3].isnan().all()
    assert points[1, :3].isfinite().all()


def test_a_second_call_reads_the_packed_file(dataset, tmp_path):
    prepared(dataset, tmp_path)
    for file in dataset.folder.glob("*.png"):
        file.unlink()
    assert len(prepared(dataset, tmp_path).training) == 4


def test_only_groups_that_were_not_trained_on_are_evaluated(dataset, tmp_path):
    facts = prepared(dataset, tmp_path).facts
    assert [case.group for case in held_out_cases(dataset, facts, "foot-ap")] == ["person 2", "person 2"]
    assert len(held_out_cases(dataset, None, "foot-ap")) == 6
    laterals = held_out("foot-lateral", [dataset.folder], facts)
    assert [case.id for _, case in laterals] == ["case-4-lateral", "case-5-lateral"]


def test_one_known_person_in_a_group_of_two_makes_the_case_a_known_one(dataset, tmp_path):
    facts = {"folds": 1, "groups": ["person 2+somebody"]}
    assert {case.group for case in held_out_cases(dataset, facts, "foot-ap")} == {"person 0", "person 1"}
    made = prepared(dataset, tmp_path, held_out_groups=["person 0+nobody"])
    assert made.facts["groups"] == ["person 1"]


def test_folds_hold_out_one_part_of_the_dataset_that_was_trained_on(dataset, tmp_path):
    facts = prepared(dataset, tmp_path, folds=3, fold=1).facts
    chosen = held_out_cases(dataset, facts, "foot-ap")
    assert len({case.group for case in chosen}) == 1
    assert facts["cases"] == 4


def test_nothing_to_train_or_to_evaluate_on_is_said(dataset, tmp_path):
    with pytest.raises(DatasetError, match="no case of protocol 'foot-wbct'"):
        LandmarkData((64, 32), (64, 64)).prepare([dataset], tmp_path, load_protocol("foot-wbct"))
    everyone = [f"person {k}" for k in range(3)]
    with pytest.raises(DatasetError, match="nothing is left to train on"):
        prepared(dataset, tmp_path, held_out_groups=everyone)
    with pytest.raises(DatasetError, match="feet: has no case of protocol 'foot-ap' that the network was not trained"):
        held_out("foot-ap", [dataset.folder], {"folds": 1, "groups": everyone})
