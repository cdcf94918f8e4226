"""The detector of FlatNet: anchors, assignment, loss, and that it learns to find what was drawn."""

import numpy as np
import pytest
import torch

from orthoangles.losses.flatnet import DetectorLoss
from orthoangles.networks.retinanet import (
    BoxDetector,
    ResNetPyramid,
    best_centres,
    box_deltas,
    grid_anchors,
    scaled_anchors,
)

pytestmark = pytest.mark.unit

TINY = {"depth": 18, "levels": (3,), "width": 16, "widen": 0.25, "sizes": (16,), "scales": (1,), "ratios": (1,)}


def blobs(count, seed=0, size=64):
    """Two round spots a picture, a bright and a dark one, at exact places; images and points (count, 2, 2)."""
    rng = np.random.default_rng(seed)
    points = torch.from_numpy(rng.uniform([[8, 8], [8, 38]], [[56, 26], [56, 56]], (count, 2, 2))).float()
    place = torch.arange(size).float()
    dx, dy = (place - points[..., axis, None] for axis in (0, 1))
    spots = torch.exp(-(dx[..., None, :] ** 2 + dy[..., None] ** 2) / 18)
    return (spots[:, :1] - spots[:, 1:]) / 2, points


def test_the_body_is_the_published_resnet_101_for_one_grey_channel():
    body = ResNetPyramid(101).body
    assert sum(p.numel() for p in body.parameters()) == 42_500_160 - 2 * 64 * 7 * 7


def test_the_paper_anchors_are_nine_at_each_cell_of_five_levels():
    net = BoxDetector(3, depth=18, width=16, widen=0.125).eval()
    with torch.inference_mode():
        logits, deltas, anchors = net(torch.zeros(2, 1, 128, 64))
    count = 9 * (16 * 8 + 8 * 4 + 4 * 2 + 2 * 1 + 1 * 1)
    assert logits.shape == (2, count, 3)
    assert deltas.shape == (2, count, 4)
    assert anchors.shape == (count, 4)
    assert anchors[0].tolist() == pytest.approx([3.5, 3.5, 32 * 2**0.5, 32 / 2**0.5])
    assert anchors[-1, 2:].prod() == pytest.approx((512 * 2 ** (2 / 3)) ** 2, rel=1e-5)


def test_the_network_starts_out_sure_that_nothing_is_there():
    with torch.inference_mode():
        logits, _, _ = BoxDetector(2, **TINY).eval()(torch.randn(1, 1, 64, 64))
    assert float(logits.sigmoid().mean()) == pytest.approx(0.01, abs=0.003)


def test_anchors_stand_at_the_true_centres_of_their_cells():
    anchors = grid_anchors((2, 3), 8, torch.tensor([[16.0, 20.0]]))
    assert anchors[:, :2].tolist() == [[3.5, 3.5], [11.5, 3.5], [19.5, 3.5], [3.5, 11.5], [11.5, 11.5], [19.5, 11.5]]
    assert anchors[4, 2:].tolist() == [16, 20]
    assert scaled_anchors(anchors, (2.0, 4.0))[0].tolist() == [7.5, 15.5, 32, 80]


def test_deltas_lead_from_an_anchor_to_its_point():
    anchors = grid_anchors((4, 4), 8, torch.tensor([[16.0, 16.0]]))
    point = torch.tensor([13.25, 21.75])
    logits = torch.full((1, 16, 1), -5.0)
    logits[0, 6] = 2.0
    deltas = torch.zeros(1, 16, 4)
    deltas[0, 6] = box_deltas(anchors[6], point, 32.0)
    assert deltas[0, 6, 2:].tolist() == pytest.approx([np.log(2) / 0.2] * 2)
    found = best_centres(logits, deltas, anchors)
    assert found[0, 0].tolist() == pytest.approx([13.25, 21.75, torch.tensor(2.0).sigmoid().item()], abs=1e-4)


def assigned(points, published=False):
    anchors = grid_anchors((8, 8), 8, torch.tensor([[16.0, 16.0]]))
    points = torch.tensor([points])
    return anchors, *(part[0] for part in DetectorLoss(16.0, published=published).assigned(anchors, points))


def test_the_nearest_anchor_stands_for_a_landmark_and_a_missing_one_has_none():
    anchors, wanted, learns, label = assigned([[20.0, 27.0], [float("nan"), 3.0]])
    assert anchors[wanted[:, 0], :2].tolist() == [[19.5, 27.5]]
    assert not wanted[:, 1].any()
    assert learns[:, 1].all()
    assert (label[wanted[:, 0]] == 0).all()


def test_a_landmark_between_the_anchors_has_one_all_the_same():
    _, wanted, _, _ = assigned([[31.5, 31.5], [7.4, 7.4]])
    assert wanted.sum(0).tolist() == [1, 1]


def test_an_anchor_that_overlaps_a_little_less_than_half_learns_nothing():
    anchors, wanted, learns, _ = assigned([[19.5, 33.5]])
    column = anchors[:, 0] == 19.5
    rows = dict(zip(anchors[column, 1].tolist(), zip(wanted[column, 0], learns[column, 0], strict=True), strict=True))
    assert rows[35.5] == (True, True)
    assert rows[27.5] == (False, False)
    assert rows[43.5] == (False, True)


def test_two_landmarks_across_a_joint_both_learn_unless_as_published():
    close = [[19.5, 27.5], [20.5, 27.5]]
    _, wanted, _, _ = assigned(close)
    assert wanted.any(0).all()
    _, wanted, _, _ = assigned(close, published=True)
    assert wanted.any(0).sum() == 1
    assert (wanted.sum(-1) <= 1).all()


def test_a_perfect_output_has_no_loss_and_a_missing_landmark_no_say():
    anchors, wanted, _, label = assigned([[20.0, 27.0], [50.0, 9.0]])
    points = torch.tensor([[[20.0, 27.0], [50.0, 9.0]]])
    logits = torch.where(wanted, 20.0, -20.0)[None]
    deltas = box_deltas(anchors, points[0][label], 16.0)[None]
    loss, terms = DetectorLoss(16.0)((logits, deltas, anchors), points)
    assert float(loss) < 1e-4
    assert set(terms) == {"classes", "boxes"}
    nothing = torch.full_like(points, torch.nan)
    loss, terms = DetectorLoss(16.0)((torch.full_like(logits, -20.0), deltas, anchors), nothing)
    assert float(loss) < 1e-4


def test_the_loss_of_points_is_their_mean_distance():
    found = torch.tensor([[[3.0, 4.0, 0.9], [8.0, 8.0, 0.1], [1.0, 1.0, 0.5]]])
    points = torch.tensor([[[0.0, 0.0], [8.0, 7.0], [torch.nan, 1.0]]])
    assert float(DetectorLoss()(found, points)[0]) == pytest.approx(3.0)


def test_the_detector_learns_to_find_spots_it_has_not_seen():
    torch.manual_seed(0)
    net, loss = BoxDetector(2, **TINY), DetectorLoss(16.0)
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3)
    losses = []
    for step in range(45):
        images, points = blobs(6, seed=step)
        total, _ = loss(net.train()(images), points)
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        losses.append(float(total.detach()))
    assert np.mean(losses[-5:]) < 0.3 * np.mean(losses[:5])
    images, points = blobs(16, seed=1000)
    with torch.inference_mode():
        found = best_centres(*net.eval()(images))
    distance = (found[..., :2] - points).norm(dim=-1)
    assert float(distance.median()) < 2
    assert float(found[..., 2].median()) > 0.2
