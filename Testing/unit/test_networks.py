"""HRNet and the vertebra network."""

import json

import numpy as np
import pytest
import torch

from orthoangles.networks.decoding import VertebraDecoder
from orthoangles.networks.hrnet import HRNet
from orthoangles.networks.vertebrae import CHANNELS, VertebraNet, branches
from orthoangles.paths import models_dir

SMALL = {"width": 8, "stem": 8, "bottlenecks": 1, "modules": (1, 1, 1), "blocks": 1}


def test_hrnet_w18_gives_270_channels_at_a_quarter():
    with torch.inference_mode():
        features = HRNet().eval()(torch.zeros(1, 1, 64, 96))
    assert features.shape == (1, 270, 16, 24)


def test_the_branches_share_all_channels_without_overlap():
    covered = [c for s in CHANNELS.values() for c in range(16)[s]]
    assert covered == list(range(16))


@pytest.mark.parametrize("reduce", [None, 16])
def test_vertebra_net_starts_with_a_low_heatmap(reduce):
    net = VertebraNet(SMALL, reduce=reduce, hidden=8, corner_kernel=3).eval()
    with torch.inference_mode():
        maps = branches(net(torch.zeros(2, 1, 64, 32)))
    assert maps["corners"].shape == (2, 8, 16, 8)
    assert float(maps["centre"].sigmoid().mean()) == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("name", ["train.json", "train_s3.json"])
def test_every_training_config_builds_its_network(name):
    from monai.bundle import ConfigParser

    parser = ConfigParser()
    parser.read_config(str(models_dir() / "spine_ap_cobb" / "configs" / name))
    net = parser.get_parsed_content("network_def").eval()
    with torch.inference_mode():
        assert net(torch.zeros(1, 1, 64, 32)).shape == (1, 16, 16, 8)


def test_the_shipped_network_is_the_one_that_train_json_trains():
    configs = models_dir() / "spine_ap_cobb" / "configs"
    train, infer = (json.loads((configs / f"{name}.json").read_text()) for name in ("train", "inference"))
    assert train["network_def"] == infer["network_def"]
    assert train["size"] == infer["size"]


def output_with(rows, shape=(128, 32), heat=0.8):
    """A network output with one 8 x 4 cell vertebra centred at every given row of cells; ``heat`` for all or by row."""
    output = torch.zeros(16, *shape)
    maps = {name: output[channels] for name, channels in CHANNELS.items()}
    maps["centre"][:] = -9
    vectors = torch.tensor([4.0, 2, -4, 2, 4, -2, -4, -2])
    for row in rows:
        value = heat.get(row, 0.8) if isinstance(heat, dict) else heat
        maps["centre"][0, row, 16] = torch.logit(torch.tensor(value))
        maps["corners"][:, row, 16] = vectors
    return output


def test_a_full_spine_decodes_without_a_warning():
    decoded = VertebraDecoder()(output_with(range(6, 6 * 18, 6)))
    assert decoded.warnings == ()
    points = decoded.points.reshape(17, 4, 2)
    assert points[0, 0].tolist() == pytest.approx([48, 16], abs=0.05)
    assert points[16, 3].tolist() == pytest.approx([80, 416], abs=0.05)


def test_a_gap_stays_empty_and_is_said():
    rows = [r for r in range(6, 6 * 18, 6) if r != 36]
    decoded = VertebraDecoder()(output_with(rows))
    missing = [k for k, p in enumerate(decoded.points.reshape(17, 8)) if np.isnan(p[0])]
    assert missing == [5]
    assert "only 16 of 17" in decoded.warnings[0]


def test_a_short_spine_is_numbered_from_the_top_and_said():
    decoded = VertebraDecoder()(output_with(range(6, 6 * 13, 6)))
    points = decoded.points.reshape(17, 8)
    assert (points[:12, 0] == points[:12, 0]).all()
    assert (points[12:] != points[12:]).all()
    assert "check the levels" in decoded.warnings[0]


def test_low_confidence_is_said_and_nothing_found_is_not_invented():
    assert "low confidence" in VertebraDecoder()(output_with(range(6, 6 * 18, 6), heat=0.12)).warnings[0]
    nothing = VertebraDecoder()(output_with([]))
    assert (nothing.points != nothing.points).all()
    assert "only 0 of 17" in nothing.warnings[0]


def test_a_weak_vertebra_inside_wins_over_a_strong_one_beyond_the_end():
    rows = list(range(6, 6 * 19, 6))
    decoded = VertebraDecoder()(output_with(rows, heat={6: 0.7, 36: 0.3}))
    points = decoded.points.reshape(17, 4, 2)
    assert points[0, 0, 1] == pytest.approx(12 * 4 - 8, abs=0.05)
    assert np.diff(points[:, 0, 1]) == pytest.approx(24, abs=0.05)
    assert decoded.warnings == ()


def test_a_vertebra_too_many_that_looks_as_likely_is_said():
    rows = list(range(6, 6 * 19, 6))
    above = VertebraDecoder()(output_with(rows, heat={6: 0.78}))
    assert "above the column" in above.warnings[0]
    below = VertebraDecoder()(output_with(rows, heat={6 * 18: 0.78}))
    assert "below the column" in below.warnings[0]
    assert VertebraDecoder()(output_with(rows, heat={6: 0.3})).warnings == ()
