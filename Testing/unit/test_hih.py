"""Heatmap in heatmap: its size, its targets and the three ways to read it."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from orthoangles.losses.hourglass import HIHLoss, cells_and_fraction, gaussian_maps
from orthoangles.networks.hih import STRIDE, HeatmapInHeatmap
from orthoangles.networks.hih_decoding import HIHDecoder

pytestmark = pytest.mark.unit

SHAPE = (128, 128)
SMALL = {"stacks": 2, "width": 8, "levels": 2, "halvings": 1}


def parameters(**arguments):
    with torch.device("meta"):
        return sum(p.numel() for p in HeatmapInHeatmap(**arguments).parameters())


def random_points(count, shape=SHAPE, seed=0):
    """(count, 2) points in input pixels, anywhere on the image."""
    random = torch.Generator().manual_seed(seed)
    return torch.rand(count, 2, generator=random) * STRIDE * torch.tensor([shape[1], shape[0]]) - 0.5


def points_at_every_fraction(steps=20):
    """(steps^2, 2) points in random cells, at the same number of places in them along both coordinates."""
    fraction = torch.stack(torch.meshgrid(*[(torch.arange(steps) + 0.5) / steps] * 2, indexing="ij"), -1).reshape(-1, 2)
    cells = torch.randint(SHAPE[0], (steps**2, 2), generator=torch.Generator().manual_seed(0))
    return STRIDE * (cells + fraction) - 0.5


def perfect(points, mode="fixed", shape=SHAPE, n=4):
    """Output for one image of a network that has learnt the targets of points (k, 2)."""
    cells, fraction = cells_and_fraction(points, shape)
    bins = (n * fraction).floor() if mode == "fixed" else (n * fraction).round()
    return gaussian_maps(cells, 1.5, shape), gaussian_maps(bins, 1.0, (n, n))


def errors(decoding, points, **arguments):
    """Distances (k,) in cells between points and what a ``decoding`` makes of perfect maps of them."""
    decoded = HIHDecoder(decoding)(perfect(points, **arguments))
    return np.linalg.norm(decoded.points - points.double().numpy(), axis=1) / STRIDE


@pytest.mark.parametrize(("landmarks", "millions"), [(11, 28.11), (16, 28.18)])
def test_it_has_as_many_parameters_as_published(landmarks, millions):
    assert parameters(landmarks=landmarks) / 1e6 == pytest.approx(millions, abs=0.01)


def test_of_which_an_eighth_is_never_used():
    whole = HeatmapInHeatmap(3, **SMALL)
    lean = HeatmapInHeatmap(3, **SMALL, idle=False)
    spare = {name for name in whole.state_dict() if ".idle." in name}
    assert set(whole.state_dict()) - spare == set(lean.state_dict())
    lean.load_state_dict({name: value for name, value in whole.state_dict().items() if name not in spare})
    image = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0)) - 0.5
    for one, other in zip(whole.eval()(image), lean.eval()(image), strict=True):
        assert torch.equal(one, other)
    assert 1 - parameters(landmarks=11, idle=False) / parameters(landmarks=11) == pytest.approx(0.132, abs=0.001)


def test_training_gives_the_maps_of_every_stack_and_evaluation_the_last():
    net = HeatmapInHeatmap(5, **SMALL)
    image = torch.zeros(2, 1, 64, 64)
    maps, decimals = net(image)
    assert [m.shape for m in maps] == [(2, 5, 16, 16)] * 3
    assert decimals.shape == (2, 5, 4, 4)
    last, decimals = net.eval()(image)
    assert last.shape == (2, 5, 16, 16)
    assert decimals.shape == (2, 5, 4, 4)


def test_an_oblong_image_has_square_decimals_and_a_small_one_is_refused():
    net = HeatmapInHeatmap(5, **SMALL).eval()
    integer, decimals = net(torch.zeros(1, 1, 128, 64))
    assert integer.shape == (1, 5, 32, 16)
    assert decimals.shape == (1, 5, 4, 4)
    with pytest.raises(ValueError, match="too small"):
        HeatmapInHeatmap(5, stacks=1, width=8, levels=2).eval()(torch.zeros(1, 1, 64, 64))


def test_refinement_starts_as_the_last_stack_and_can_learn():
    net = HeatmapInHeatmap(3, **SMALL)
    maps, _ = net(torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(maps[-1], F.relu(maps[-2]))
    maps[-1].sum().backward()
    assert float(net.refinement.grad.abs()) > 0


def test_every_weight_in_use_learns():
    torch.manual_seed(0)
    net = HeatmapInHeatmap(3, **SMALL, idle=False)
    torch.nn.init.constant_(net.refinement, 0.1)
    points = random_points(6, (16, 16)).reshape(2, 3, 2)
    HIHLoss()(net(torch.rand(2, 1, 64, 64)), points)[0].backward()
    assert [name for name, p in net.named_parameters() if p.grad is None] == []


def test_fixed_decoding_comes_within_an_eighth_of_a_cell():
    points = random_points(400)
    decoded = HIHDecoder("fixed")(perfect(points))
    assert np.abs(decoded.points - points.double().numpy()).max() / STRIDE < 0.126
    assert errors("fixed", points).mean() < 0.15
    assert decoded.confidence == pytest.approx(1.0)


def test_published_decoding_is_off_by_a_third_of_a_cell_and_more():
    points = points_at_every_fraction()
    published, fixed = errors("published", points).mean(), errors("fixed", points).mean()
    # The middle of the cell alone would give 0.382.
    assert published == pytest.approx(0.37, abs=0.01)
    assert fixed == pytest.approx(0.382 / 4, abs=0.002)
    # As NME, that is by the side of the padded square:
    assert published / SHAPE[0] > 2.8e-3
    assert fixed / SHAPE[0] < 0.8e-3


def test_the_mean_is_as_exact_as_the_strongest_decimal_cell_and_careful_where_that_guesses():
    points = points_at_every_fraction()
    integer, decimal = perfect(points)
    sure = HIHDecoder("mean")((integer, decimal.log())).points
    assert sure == pytest.approx(HIHDecoder("fixed")((integer, decimal)).points, abs=1e-3)
    middle = HIHDecoder("published")((integer, torch.zeros_like(decimal))).points
    undecided = HIHDecoder("mean")((integer, torch.zeros_like(decimal))).points
    assert undecided == pytest.approx(middle)
    # A network that is torn between two cells means the place between them.
    torn = torch.cat([decimal[:1], decimal[1:2]]).mean(0, keepdim=True).log()
    between = HIHDecoder("mean")((integer[:1], torn)).points[0]
    cells, fraction = cells_and_fraction(points[:2], SHAPE)
    expected = STRIDE * (cells[0] + ((4 * fraction).floor().mean(0) + 0.5) / 4) - 0.5
    assert between == pytest.approx(expected.numpy(), abs=0.1)


def test_the_published_decimal_map_moves_a_point_by_less_than_a_fortieth_of_a_cell():
    integer, _ = perfect(random_points(50))
    corners = (torch.zeros(50, 4, 4) for _ in range(2))
    low, high = corners
    low[:, 0, 0], high[:, 3, 3] = 1, 1
    moved = HIHDecoder("published")((integer, high)).points - HIHDecoder("published")((integer, low)).points
    assert np.abs(moved).max() / STRIDE == pytest.approx(3 / 128)
    fixed = HIHDecoder("fixed")((integer, high)).points - HIHDecoder("fixed")((integer, low)).points
    assert fixed / STRIDE == pytest.approx(0.75)


def test_papers_targets_are_read_by_the_official_decoding_except_at_the_far_edge_of_a_cell():
    cells, quarters = torch.meshgrid(torch.arange(20.0, 40.0), torch.arange(8.0), indexing="ij")
    along = STRIDE * (cells + (quarters + 0.5) / 8).flatten() - 0.5
    points = torch.stack([along, torch.full_like(along, 4 * 30 + 1.0 - 0.5)], -1)
    error = errors("official", points, mode="paper").reshape(20, 8)
    assert error[:, :7].max() < 0.13
    # round(4 * 15/16) is 4, off the map: its flank is strongest at 3.
    assert error[:, 7] == pytest.approx(0.1875, abs=0.01)


def test_a_landmark_without_a_peak_is_not_found_and_a_low_one_is_doubted():
    integer, decimal = perfect(random_points(4))
    integer[1] = 0
    integer[2] *= 0.2
    decoded = HIHDecoder()((integer, decimal))
    assert np.isnan(decoded.points[:, 0]).tolist() == [False, True, False, False]
    assert decoded.confidence == pytest.approx([1, 0, 0.2, 1])
    assert decoded.warnings == (
        "only 3 of 4 landmarks were found",
        "1 landmarks were found with low confidence (below 0.25)",
    )


def test_a_mode_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="expected one of fixed, mean, official, published"):
        HIHDecoder("paper")
    with pytest.raises(ValueError, match="expected one of paper, fixed"):
        HIHLoss("published")


def test_points_at_the_borders_stay_on_the_map():
    limit = torch.tensor([4 * 128 - 0.5, 4 * 128 - 0.5])
    cells, fraction = cells_and_fraction(torch.stack([torch.tensor([-0.5, -0.5]), limit]), SHAPE)
    assert cells.tolist() == [[0, 0], [127, 127]]
    assert fraction[0].tolist() == [0, 0]
    assert (fraction < 1).all()
    assert (4 * fraction[1]).floor().tolist() == [3, 3]


@pytest.mark.parametrize("mode", ["paper", "fixed"])
def test_the_loss_is_least_for_the_right_maps(mode):
    points = random_points(5)
    integer, decimal = perfect(points, mode)
    targets, loss = points[None], HIHLoss(mode)
    right = loss(([integer[None]] * 2, decimal[None] * 9), targets)[1]
    assert float(right["heatmaps"]) < 1e-6
    beside = loss(([integer.roll(1, -1)[None]] * 2, decimal.flip(-1)[None] * 9), targets)[1]
    assert float(beside["heatmaps"]) > 1e-5
    assert float(beside["decimals"]) > float(right["decimals"])


def test_an_empty_map_costs_one_whatever_its_size():
    loss = HIHLoss("fixed")
    for shape in ((64, 64), (96, 128)):
        point = torch.tensor([[[4 * 30 + 1.5, 4 * 30 + 1.5]]])
        terms = loss((torch.zeros(1, 1, *shape), torch.zeros(1, 1, 4, 4)), point)[1]
        assert float(terms["heatmaps"]) == pytest.approx(1, abs=0.01)
        assert float(terms["decimals"]) == pytest.approx(np.log(16))


def test_the_papers_loss_is_that_of_its_formula():
    points = random_points(6).reshape(2, 3, 2)
    random = torch.Generator().manual_seed(4)
    maps = [torch.randn(2, 3, *SHAPE, generator=random) for _ in range(3)]
    decimal = torch.randn(2, 3, 4, 4, generator=random)
    cells, fraction = cells_and_fraction(points, SHAPE)
    target = gaussian_maps(cells, 1.5, SHAPE)
    inner = gaussian_maps((4 * fraction).round(), 1.0, (4, 4)).flatten(2).softmax(-1)
    error = F.mse_loss(torch.stack(maps, 1), target[:, None].expand(2, 3, 3, *SHAPE))
    divergence = F.kl_div(decimal.flatten(2).log_softmax(-1), inner, reduction="none").mean()
    assert float(HIHLoss("paper")((maps, decimal), points)[0]) == pytest.approx(float(error + 0.05 * divergence))


@pytest.mark.parametrize("mode", ["paper", "fixed"])
def test_missing_landmarks_teach_nothing(mode):
    points = random_points(3)
    points[1, 0] = torch.nan
    maps = torch.rand(1, 3, *SHAPE, generator=torch.Generator().manual_seed(0)).requires_grad_()
    decimal = torch.zeros(1, 3, 4, 4, requires_grad=True)
    HIHLoss(mode)(([maps, maps], decimal), points[None])[0].backward()
    assert (maps.grad.abs().amax((0, 2, 3)) > 0).tolist() == [True, False, True]
    assert (decimal.grad.abs().amax((0, 2, 3)) > 0).tolist() == [True, False, True]
    nothing = HIHLoss(mode)((maps, decimal), torch.full((1, 3, 2), torch.nan))[0]
    assert nothing.tolist() == 0


def test_a_small_network_learns_cell_and_fraction():
    torch.manual_seed(0)
    x, y = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="xy")
    points = torch.tensor([[[21.2, 36.1]], [[35.9, 17.4]], [[30.4, 27.8]]])
    images = torch.exp(-((torch.stack([x, y], -1) - points[:, None]) ** 2).sum(-1) / 50)[:, None] - 0.5
    net, loss = HeatmapInHeatmap(1, stacks=1, width=16, levels=2, halvings=0), HIHLoss("fixed")
    optimiser = torch.optim.AdamW(net.parameters(), 1e-2)
    for _ in range(240):
        optimiser.zero_grad()
        total, _ = loss(net(images), points)
        total.backward()
        optimiser.step()
    maps, decimals = (part.detach() for part in net.eval()(images))
    found = np.stack([HIHDecoder()(output).points for output in zip(maps, decimals, strict=True)])
    assert np.abs(found - points.numpy()).max() < 0.6
