"""The foot finder: its losses, its decoding, and boxes brought from the network's frame into the image."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser, verify_metadata

from orthoangles.errors import ImageError
from orthoangles.images import Image
from orthoangles.losses.finder import FinderLoss
from orthoangles.networks.foot_finder import CHANNELS, STRIDE, FootFinder, FootFinderDecoder, FootFinderNet, branches
from orthoangles.paths import models_dir

pytestmark = pytest.mark.unit

BUNDLE = models_dir() / "foot_view"
NOTHING = [float("nan")] * 8


def sure(*feet, shape=(32, 32)):
    """(9, h, w) output that says exactly ``feet``: (kind, box, up, inverted), and is sure of it."""
    output = torch.zeros(9, *shape)
    output[CHANNELS["kind"]] = -12
    for kind, box, up, inverted in feet:
        x, y = (int(((box[k] + box[k + 2]) / 2 + 0.5) // STRIDE) for k in (0, 1))
        output[kind, y, x] = 12
        near = slice(y - 1, y + 2), slice(x - 1, x + 2)
        place = torch.stack(torch.meshgrid(*(torch.arange(n).float() for n in shape), indexing="xy"))
        place = place * STRIDE + (STRIDE - 1) / 2
        box = torch.tensor(box, dtype=torch.float32)[:, None, None]
        edges = torch.cat([place - box[:2], box[2:] - place]) / STRIDE
        output[(CHANNELS["box"], *near)] = edges[(slice(None), *near)]
        output[(CHANNELS["up"], *near)] = torch.tensor(up, dtype=torch.float32)[:, None, None]
        output[(CHANNELS["inverted"], *near)] = 12.0 if inverted else -12.0
    return output


RIGHT = (0, (20.0, 30.0, 110.0, 230.0), (0.0, -1.0), False)
LEFT = (0, (140.0, 28.0, 235.0, 225.0), (0.1, -0.99), False)
LYING = (1, (40.0, 20.0, 120.0, 250.0), (-1.0, 0.0), True)


def rows(*feet):
    listed = [[kind, *box, *up, float(inverted)] for kind, box, up, inverted in feet]
    return torch.tensor([[*listed, *[NOTHING] * (2 - len(listed))]])


def test_the_decoder_reads_two_feet_with_view_turn_and_box():
    feet = FootFinderDecoder()(sure(RIGHT, LEFT))
    assert [foot.kind for foot in feet] == ["AP", "AP"]
    assert sorted(foot.box[0] for foot in feet) == pytest.approx([20, 140])
    assert {foot.quarter_turns for foot in feet} == {0}
    (foot,) = FootFinderDecoder()(sure(LYING))
    assert (foot.kind, foot.quarter_turns, foot.inverted) == ("lateral", 3, True)
    assert foot.box == pytest.approx(LYING[1])
    assert foot.confidence > 0.99


def test_a_second_peak_on_the_same_foot_and_a_weak_one_are_no_feet():
    output = sure(RIGHT, (1, (24.0, 40.0, 112.0, 236.0), (0.0, -1.0), False))
    output[1] -= 2
    assert [foot.kind for foot in FootFinderDecoder()(output)] == ["AP"]
    assert FootFinderDecoder()(sure()) == ()
    assert FootFinderDecoder(threshold=0.4)(sure(RIGHT).clamp(max=-1)) == ()


@pytest.mark.parametrize("feet", [(RIGHT, LEFT), (LYING,), ()], ids=["two", "one", "none"])
def test_the_loss_of_a_true_output_is_small_and_of_a_false_one_is_not(feet):
    loss = FinderLoss()
    right, _ = loss(sure(*feet)[None], rows(*feet))
    wrong, terms = loss(
        sure(*[(1 - k, b, (-u[0], -u[1]), not i) for k, b, u, i in feet or (RIGHT,)])[None], rows(*feet)
    )
    assert set(terms) == {"kind", "box", "up", "inverted"}
    # Flanks of the Gaussians are asked for too, which a single sure cell does not give.
    assert right < 0.2
    assert wrong > 5


def test_a_foot_without_a_box_may_be_anywhere_but_must_be_of_its_kind():
    somewhere = rows(LYING)
    somewhere[..., 1:5] = float("nan")
    loss = FinderLoss()
    for foot in (LYING, (1, (130.0, 60.0, 240.0, 200.0), (-1.0, 0.0), True)):
        assert loss(sure(foot)[None], somewhere)[0] < 0.2
    assert loss(sure(RIGHT)[None], somewhere)[1]["kind"] > 5
    assert loss(sure()[None], somewhere)[1]["kind"] > 5


def test_box_up_and_inversion_are_learnt_only_where_there_are_feet():
    output = torch.zeros(1, 9, 8, 8, requires_grad=True)
    FinderLoss()(output, rows())[0].backward()
    assert (output.grad[:, 2:] == 0).all()
    assert (output.grad[:, :2] != 0).any()


def test_the_network_gives_finite_maps_at_an_eighth():
    output = FootFinderNet(width=16).eval()(torch.zeros(2, 1, 96, 64))
    assert output.shape == (2, 9, 12, 8)
    assert output.isfinite().all()
    assert set(branches(output)) == set(CHANNELS)


@pytest.fixture(scope="module")
def a_finder(tmp_path_factory):
    """The bundle with fresh weights and a frame of 256 x 256."""
    folder = tmp_path_factory.mktemp("bundle") / "foot_view"
    shutil.copytree(BUNDLE / "configs", folder / "configs")
    config = folder / "configs" / "inference.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "size": [256, 256]}))
    parser = ConfigParser()
    parser.read_config(str(folder / "configs" / "inference.json"))
    weights = folder / "models" / "model.pt"
    weights.parent.mkdir()
    torch.save(parser.get_parsed_content("network_def").state_dict(), weights)
    metadata = json.loads((folder / "configs" / "metadata.json").read_text())
    metadata["orthoangles"]["weights_sha256"] = hashlib.sha256(weights.read_bytes()).hexdigest()
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    return FootFinder(folder, "cpu")


def test_boxes_come_back_in_pixels_of_the_image(a_finder, monkeypatch):
    """An image of 400 columns and 200 rows of twice their height fills the square frame exactly."""
    monkeypatch.setattr(a_finder, "_infer", lambda image, network: sure(RIGHT)[None])
    pixels = np.random.default_rng(0).integers(0, 255, (1, 200, 400)).astype(np.uint8)
    (foot,) = a_finder.find(Image(pixels, spacing=(0.5, 1.0, 1), spacing_source="test"))
    across, down = 400 / 256, 200 / 256
    expected = [(20.5 * across) - 0.5, 30.5 * down - 0.5, 110.5 * across - 0.5, 230.5 * down - 0.5]
    assert foot.box == pytest.approx(expected, abs=1e-3)


def test_boxes_end_at_the_border_of_the_image(a_finder, monkeypatch):
    """A narrow image stands in the middle of the frame, black beside it."""
    monkeypatch.setattr(a_finder, "_infer", lambda image, network: sure(RIGHT, LEFT)[None])
    pixels = np.random.default_rng(0).integers(0, 255, (1, 400, 200)).astype(np.uint8)
    boxes = np.array([foot.box for foot in a_finder.find(Image(pixels))])
    assert (boxes >= 0).all()
    assert (boxes <= [199, 399, 199, 399]).all()


def test_a_volume_is_no_radiograph_of_feet(a_finder):
    with pytest.raises(ImageError, match=r"ct\.nrrd"):
        a_finder.find(Image(np.zeros((20, 64, 64), np.int16), name="ct.nrrd"))


def test_metadata_pass_monai():
    verify_metadata(
        meta_file=str(BUNDLE / "configs" / "metadata.json"),
        filepath=str(Path(__file__).parents[1] / "support" / "bundle_schema.json"),
    )
