"""The training loop learns, stops by the clock, and goes on from its checkpoint."""

import numpy as np
import pytest
import torch

from orthoangles.losses.vertebrae import VertebraLoss
from orthoangles.networks.vertebrae import VertebraNet
from orthoangles.training.augmentation import Augmentation
from orthoangles.training.loop import Schedule, Trainer
from orthoangles.training.packing import (
    LabelledRadiograph,
    PackedCases,
    grouped_folds,
    in_anatomical_order,
    pack,
)
from orthoangles.training.samples import LandmarkSamples

SMALL = {"width": 8, "stem": 8, "bottlenecks": 1, "modules": (1, 1, 1), "blocks": 1}


def ladder(seed):
    """Bright boxes on black with exact corners: a spine that a tiny network can learn."""
    rng = np.random.default_rng(seed)
    pixels = rng.uniform(0, 30, (192, 96))
    corners = np.empty((4, 4, 2))
    for k in range(4):
        x, y = 48 + rng.uniform(-12, 12), 30 + 42 * k
        pixels[int(y - 10) : int(y + 10), int(x - 16) : int(x + 16)] = 200
        corners[k] = [[x - 16, y - 10], [x + 16, y - 10], [x - 16, y + 10], [x + 16, y + 10]]
    return LabelledRadiograph(pixels, corners.reshape(-1, 2), f"person {seed // 2}", f"case {seed}")


@pytest.fixture(scope="module")
def cases():
    return pack([ladder(seed) for seed in range(8)], (192, 96))


@pytest.fixture(scope="module")
def samples(cases):
    return LandmarkSamples(cases, (128, 64), Augmentation(mirror_order=(1, 0, 3, 2)))


def trainer(checkpoint, epochs):
    torch.manual_seed(0)
    net = VertebraNet(SMALL, hidden=8, corner_kernel=3)
    return Trainer(net, VertebraLoss(), Schedule(epochs, rate=3e-3), checkpoint)


def test_the_loss_falls_and_is_reported_each_epoch(samples, tmp_path):
    reports = []
    assert trainer(tmp_path / "state.pt", 12).run(samples, samples, report=reports.append)
    assert [r["epoch"] for r in reports] == list(range(1, 13))
    assert reports[-1]["validation loss"] < 0.7 * reports[0]["validation loss"]


def test_training_in_two_parts_equals_training_at_once(samples, tmp_path):
    trainer(tmp_path / "whole.pt", 3).run(samples)
    part = trainer(tmp_path / "parts.pt", 3)
    assert not part.run(samples, minutes=0)
    while not trainer(tmp_path / "parts.pt", 3).run(samples, minutes=0.02):
        pass
    whole, parts = (torch.load(tmp_path / f"{n}.pt", weights_only=True) for n in ("whole", "parts"))
    assert whole["step"] == parts["step"] == 6
    for name, value in whole["averaged"].items():
        assert torch.allclose(value.float(), parts["averaged"][name].float(), atol=1e-5), name


def test_packing_maps_corners_into_the_frame_and_back(cases, tmp_path):
    cases.save(tmp_path / "pack.npz")
    again = PackedCases.load(tmp_path / "pack.npz")
    assert (again.images == cases.images).all()
    assert list(again.ids) == [f"case {k}" for k in range(8)]
    case = ladder(3)
    affine = again.affines[3]
    back = (again.points[3][..., ::-1] @ affine[:2, :2].T + affine[:2, 2])[..., ::-1]
    assert back == pytest.approx(case.points, abs=1e-3)


def test_folds_keep_a_person_together_and_are_even():
    groups = [f"{k // 3}" for k in range(60)] + [f"single {k}" for k in range(40)]
    folds = grouped_folds(groups, 5)
    assert all(len({f for f, g in zip(folds, groups, strict=True) if g == name}) == 1 for name in set(groups))
    assert np.ptp(np.bincount(folds)) <= 1
    assert (folds == grouped_folds(groups, 5)).all()


def test_labels_out_of_order_are_put_in_anatomical_order():
    points = ladder(0).points
    shuffled = points.reshape(4, 4, 2)[[3, 0, 1, 2]].copy()
    shuffled[2] = shuffled[2][[1, 0, 3, 2]]
    assert in_anatomical_order(shuffled.reshape(16, 2)) == pytest.approx(points)
