"""FlatNet's second stage, both stages in one network, and what its ``published`` options do."""

import numpy as np
import pytest
import torch
from torch import nn

from orthoangles.losses.flatnet import DetectorLoss, DiskLoss, disks
from orthoangles.networks.flatnet import (
    FlatNet,
    PatchSegmenter,
    SpatialChannelGate,
    UNet,
    cut_patches,
    disk_centres,
)
from orthoangles.networks.flatnet_decoding import FlatNetDecoder
from orthoangles.networks.retinanet import BoxDetector
from orthoangles.training.data import Prepared
from orthoangles.training.flatnet_data import PatchData, PatchSamples
from orthoangles.training.loop import Schedule, Trainer

pytestmark = pytest.mark.unit

THIN = {"variant": "lite0", "decoder": (16, 16, 8, 8, 8)}
BOXES = {"depth": 18, "levels": (3,), "width": 16, "widen": 0.25, "sizes": (16,), "scales": (1,), "ratios": (1,)}


class Spots:
    """Pictures of a bright and a dark spot at exact places, the two landmarks."""

    def __init__(self, count=12):
        self.count = count

    def __len__(self):
        return self.count

    def batch(self, indices, seed=None):
        views = [self._view(k, 0 if seed is None else seed + 1) for k in indices]
        return torch.stack([image for image, _ in views]), torch.stack([points for _, points in views])

    def _view(self, k, seed):
        rng = np.random.default_rng([int(k), seed])
        points = torch.from_numpy(rng.uniform([[10, 10], [32, 10]], [[32, 54], [54, 54]])).float()
        dx, dy = (torch.arange(64) - points[:, axis, None] for axis in (0, 1))
        spots = torch.exp(-(dx[:, None] ** 2 + dy[..., None] ** 2) / 18)
        return (spots[:1] - spots[1:]) / 2, points


class Pointer(nn.Module):
    """Stands in for the detector: one anchor, whose box is ``miss`` pixels beside (40.3, 30.8) of the image."""

    def __init__(self, miss=(0.0, 0.0)):
        super().__init__()
        self.landmarks, self.miss = 1, torch.tensor(miss)

    def forward(self, image):
        at = torch.cat([torch.tensor([40.3, 30.8]) + self.miss, torch.tensor([16.0, 16.0])])[None]
        return torch.full((len(image), 1, 1), 3.0), torch.zeros(len(image), 1, 4), at


class Painter(nn.Module):
    """Stands in for the segmenter: draws whatever is brighter than the middle grey."""

    def forward(self, patches):
        return 40 * patches


def disk_image(point=(40.3, 30.8), radius=5.0, size=(64, 96)):
    place = (torch.arange(size[0])[:, None] - point[1]) ** 2 + (torch.arange(size[1]) - point[0]) ** 2
    return (radius + 0.5 - place.sqrt()).clamp(0, 1)[None, None] - 0.5


def stand_in(published=False, miss=(0.0, 0.0), **options):
    return FlatNet(Pointer(miss), Painter(), patch=32, radius=5.0, view=1.0, published=published, **options).eval()


def test_the_gate_weighs_channels_and_places_and_keeps_the_shape():
    gate, x = SpatialChannelGate(32), torch.rand(2, 32, 8, 12)
    with torch.no_grad():
        y = gate(x)
        assert y.shape == x.shape
        gate.channel[-2].weight.zero_()
        gate.channel[-2].bias.fill_(-99)
        ratio = gate(x) / x
    assert torch.allclose(ratio, ratio[:, :1].expand_as(ratio), atol=1e-5)
    assert ratio.std() > 1e-3


def test_the_unet_gives_logits_at_full_size():
    with torch.inference_mode():
        assert UNet(3, **THIN).eval()(torch.zeros(2, 1, 64, 96)).shape == (2, 3, 64, 96)


def test_the_full_network_has_as_many_weights_as_its_parts_should():
    with torch.device("meta"):
        net = FlatNet(BoxDetector(16), PatchSegmenter(16))
    millions = [sum(p.numel() for p in part.parameters()) / 1e6 for part in (net.detector, net.segmenter)]
    assert millions == pytest.approx([55.6, 222.3], abs=0.1)


@pytest.mark.parametrize("shared", [False, True])
def test_a_patch_answers_for_its_own_landmark_and_nan_patches_for_nothing(shared):
    segmenter = PatchSegmenter(2, shared, **THIN).eval()
    patches = torch.rand(2, 2, 32, 32) - 0.5
    with torch.inference_mode():
        whole = segmenter(patches)
        patches[1, 0] = torch.nan
        part = segmenter(patches)
    assert whole.shape == (2, 2, 32, 32)
    assert (part[1, 0] == 0).all()
    assert torch.allclose(part[0], whole[0], atol=1e-5)
    assert torch.allclose(part[1, 1], whole[1, 1], atol=1e-5)


def test_a_patch_shows_the_image_around_its_centre():
    image = torch.rand(1, 1, 40, 50) - 0.5
    patches = cut_patches(image, torch.tensor([[[20.5, 10.5], [0.5, 0.5], [torch.nan, 3.0]]]), 8, 1.0)
    assert torch.allclose(patches[0, 0], image[0, 0, 7:15, 17:25], atol=1e-5)
    assert torch.allclose(patches[0, 1, 3:, 3:], image[0, 0, :5, :5], atol=1e-5)
    assert torch.allclose(patches[0, 1, :3], torch.tensor(-0.5), atol=1e-6)
    assert patches[0, 2].isnan().all()


def test_zoom_is_patch_pixels_per_image_pixel():
    columns = torch.arange(50.0).expand(1, 1, 40, 50) / 100
    patch = cut_patches(columns, torch.tensor([[[20.0, 10.0]]]), 8, 2.0)[0, 0]
    assert (100 * patch[4]).tolist() == pytest.approx([20 + (k - 3.5) / 2 for k in range(8)], abs=1e-3)


def test_the_centre_of_a_disk_is_exact_and_published_in_whole_pixels():
    drawn = (disk_image((20.3, 11.8), size=(32, 32))[0] + 0.5).clamp(0, 1)
    assert disk_centres(drawn)[0].tolist() == pytest.approx([20.3, 11.8], abs=0.1)
    assert disk_centres(drawn, published=True)[0].tolist() == [20, 11]
    assert disk_centres(torch.full((1, 32, 32), 0.4)).tolist() == [[15.5, 15.5]]


def test_disks_have_their_area_and_their_dice_is_none_where_they_are_drawn():
    points = torch.tensor([[[15.0, 12.0], [torch.nan, torch.nan]]])
    disk = disks(points, 8.0, 32)
    assert float(disk[0, 0].sum()) == pytest.approx(np.pi * 64, rel=0.03)
    logits = 40 * disk.nan_to_num() - 20
    loss = DiskLoss(8.0)
    assert float(loss(logits, points)[0]) < 1e-4
    assert float(loss(-logits, points)[0]) > 0.9
    logits[0, 1] = 20
    assert float(loss(logits, points)[0]) < 1e-4
    assert float(loss(logits, points * torch.nan)[0]) == 0


def test_the_point_is_exact_though_the_box_is_off():
    with torch.inference_mode():
        found = stand_in(miss=(4.0, -3.0))(disk_image())
    assert found.shape == (1, 1, 3)
    assert found[0, 0, :2].tolist() == pytest.approx([40.3, 30.8], abs=0.05)


def test_published_answers_in_whole_pixels():
    net = stand_in(published=True)
    with torch.inference_mode():
        found = net(disk_image())[0, 0]
    assert found[:2].tolist() == found[:2].floor().tolist()
    assert found[:2].tolist() == pytest.approx([40.3, 30.8], abs=1.6)


def test_published_sees_an_image_resized_to_a_width_of_2048_though_it_learnt_at_its_own_pixels():
    full = {"detector": Pointer(), "segmenter": Painter(), "patch": 1024}
    assert FlatNet(**full, published=True).inference_zoom(843) == pytest.approx(2048 / 843)
    assert FlatNet(**full, zoom=1.5).inference_zoom(843) == 1.5
    assert PatchSamples(Spots(), 1024, zoom=1.5, published=True).zoom == 1
    assert PatchSamples(Spots(), 1024, zoom=1.5).zoom == 1.5


def offsets(**options):
    """How far landmarks lie from the middle of their training patches, in patch pixels; (n, 2)."""
    samples = PatchSamples(Spots(64), 64, **options)
    _, points = samples.batch(range(64), seed=5)
    return (points - 31.5).flatten(0, 1)


def test_published_patches_are_nearly_centred_and_others_miss_as_boxes_do():
    published = offsets(jitter=0.2, published=True).abs()
    assert published.max() <= 64 * 10 / 1024 + 0.5
    assert 0.3 < float((published == 0).all(-1).float().mean()) < 0.99
    missed = offsets(jitter=0.2)
    assert 0.15 * 64 < float(missed.abs().max()) <= 0.2 * 64
    assert float(missed.mean(0).abs().max()) < 2


def test_a_shape_unlike_a_disk_has_a_low_score():
    with torch.inference_mode():
        good, small, nothing = (float(stand_in()(disk_image(radius=r))[0, 0, 2]) for r in (5.0, 2.0, -9.0))
    assert good > 0.8
    assert small < 0.3
    assert nothing < 0.01


def test_points_of_patches_lie_on_what_they_name():
    patches, points = PatchSamples(Spots(), 32, zoom=2.0, jitter=0.2).batch([3, 4], seed=1)
    assert patches.shape == (2, 2, 32, 32)
    for k, sign in ((0, 1), (1, -1)):
        peak = (sign * patches[0, k]).flatten().argmax()
        assert [int(peak) % 32, int(peak) // 32] == pytest.approx(points[0, k].tolist(), abs=1.5)


def test_validation_patches_are_always_the_same_and_miss_too():
    samples = PatchSamples(Spots(), 32, jitter=0.2)
    (one, there), (two, _) = samples.batch([3, 4]), samples.batch([3, 4])
    assert torch.equal(one, two)
    assert (there - 15.5).abs().max() > 1


def test_only_the_landmarks_drawn_have_a_patch_while_training():
    samples = PatchSamples(Spots(), 32, drawn=1)
    patches, points = samples.batch(range(6), seed=2)
    missing = points.isnan().any(-1)
    assert missing.sum(1).tolist() == [1] * 6
    assert torch.equal(missing, patches[..., 0, 0].isnan())
    assert 0 < missing[:, 0].sum() < 6
    assert not samples.batch(range(6))[1].isnan().any()


def test_patch_data_cuts_patches_of_what_its_data_prepare(tmp_path):
    class Whole:
        def prepare(self, datasets, output, protocol):
            return Prepared(Spots(8), Spots(4), {"cases": 8})

    prepared = PatchData(Whole(), 32, zoom=2.0, jitter=0.1, drawn=1).prepare([], tmp_path, None)
    assert (len(prepared.training), len(prepared.validation), prepared.facts) == (8, 4, {"cases": 8})
    assert prepared.training.batch([0], seed=0)[0].shape == (1, 2, 32, 32)
    assert (prepared.validation.zoom, prepared.validation.jitter) == (2.0, pytest.approx(3.2))


def flatnet(stage):
    torch.manual_seed(0)
    boxes, disks_ = BoxDetector(2, **BOXES), PatchSegmenter(2, True, **THIN)
    for module in disks_.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.2  # the encoder's own momentum is for thousands of steps
    return FlatNet(boxes, disks_, patch=32, radius=4.0, zoom=1.0, view=1.0, stage=stage)


def trained(stage, start, samples, loss, path):
    network = flatnet(stage)
    if start:
        network.load_state_dict(start)
    schedule, reports = Schedule(4, batch=4, rate=4e-3, warmup=0.2, average=0.8), []
    trainer = Trainer(network, loss, schedule, path / f"{stage}.pt")
    trainer.run(samples, PatchSamples(Spots(4), 32) if stage == "segment" else Spots(4), report=reports.append)
    return trainer.averaged.state_dict(), reports


def test_two_runs_of_the_trainer_make_one_network_that_finds_both_spots(tmp_path):
    boxes, first = trained("detect", None, Spots(80), DetectorLoss(16.0), tmp_path)
    assert first[-1]["loss"] < 0.5 * first[0]["loss"]
    assert first[-1]["validation distance"] < 6
    patches = PatchSamples(Spots(64), 32, jitter=0.2)
    state, second = trained("segment", boxes, patches, DiskLoss(4.0), tmp_path)
    assert second[-1]["validation dice"] < 0.5
    assert all(torch.equal(boxes[name], state[name]) for name in boxes if name.startswith("detector."))

    network = flatnet("segment").eval()
    network.load_state_dict(state)
    images, points = Spots().batch(range(100, 108))
    with torch.inference_mode():
        found = network(images)
    distance = (found[..., :2] - points).norm(dim=-1)
    assert float(distance.median()) < 1.0


def test_each_stage_trains_its_own_weights_only():
    learns = {
        stage: {n.split(".")[0] for n, p in flatnet(stage).named_parameters() if p.requires_grad}
        for stage in ("detect", "segment")
    }
    assert learns == {"detect": {"detector"}, "segment": {"segmenter"}}


def test_one_unet_per_landmark_learns_from_patches():
    torch.manual_seed(0)
    segmenter = PatchSegmenter(2, False, **THIN).train()
    patches, points = PatchSamples(Spots(4), 32).batch(range(4), seed=0)
    loss, _ = DiskLoss(4.0)(segmenter(patches), points)
    loss.backward()
    assert all(float(net.head.weight.grad.abs().sum()) > 0 for net in segmenter.nets)


def test_what_was_not_found_is_not_invented_and_doubts_are_said():
    output = torch.tensor([[3.0, 4.0, 0.9], [5.0, 6.0, 0.1], [7.0, 8.0, 0.01]])
    decoded = FlatNetDecoder(["A1", "A2", "A3"])(output)
    assert decoded.points[:2].tolist() == [[3, 4], [5, 6]]
    assert np.isnan(decoded.points[2]).all()
    assert decoded.confidence.tolist() == pytest.approx([0.9, 0.1, 0.0])
    assert np.isnan(decoded.spread).all()
    assert decoded.warnings == ("not found in the image: A3", "uncertain: A2")
    assert FlatNetDecoder(["A1"])(output[:1]).warnings == ()
