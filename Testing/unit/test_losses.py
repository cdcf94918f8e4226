"""Losses of the vertebra network."""

import pytest
import torch

from orthoangles.losses.vertebrae import VertebraLoss, VertebraTargets, focal_loss
from orthoangles.networks.vertebrae import STRIDE, branches


@pytest.fixture
def corners():
    """Two upright vertebrae in one image, input pixels."""
    one = torch.tensor([[20.0, 30.0], [60.0, 32.0], [22.0, 58.0], [61.0, 60.0]])
    return torch.stack([one, one + torch.tensor([3.0, 50.0])])[None]


def perfect_output(corners, shape):
    """The network output whose loss is as low as it gets."""
    target = VertebraTargets(1)(corners, shape)
    output = torch.zeros(1, 16, *shape)
    maps = branches(output)
    maps["centre"][:] = torch.logit(target["centre"].clamp(1e-6, 1 - 1e-6))
    maps["mask"][:] = torch.logit(target["mask"].clamp(1e-6, 1 - 1e-6))
    maps["spread"][:] = -6
    for k in range(target["cells"].shape[1]):
        for cell, (x, y) in enumerate(target["cells"][0, k].tolist()):
            maps["offset"][0, :, y, x] = target["offset"][0, k, cell]
            maps["corners"][0, :, y, x] = target["corners"][0, k, 0].flatten()
    return output


def test_a_perfect_output_has_no_vector_loss_and_a_wrong_one_has_its_distance(corners):
    shape = (40, 24)
    loss = VertebraLoss()
    output = perfect_output(corners, shape)
    _, terms = loss(output, corners.flatten(1, 2))
    assert float(terms["corners"]) == pytest.approx(0, abs=1e-5)
    assert float(terms["offset"]) == pytest.approx(0, abs=1e-5)
    assert float(terms["mask"]) < 1e-3
    branches(output)["corners"][:] += 0.5
    _, worse = loss(output, corners.flatten(1, 2))
    assert float(worse["corners"]) == pytest.approx(0.5, abs=1e-5)


def test_corner_vectors_are_centre_minus_corner_in_cells(corners):
    target = VertebraTargets(0)(corners, (40, 24))
    vectors = target["corners"][0, :, 0]
    assert torch.allclose(vectors, (corners[0].mean(1, keepdim=True) - corners[0]) / STRIDE)


def test_spread_sends_no_gradient_into_the_corners(corners):
    output = perfect_output(corners, (40, 24)).requires_grad_()
    _, terms = VertebraLoss()(output + 0.3, corners.flatten(1, 2))
    terms["spread"].backward()
    gradient = branches(output.grad)
    assert gradient["corners"].abs().max() == 0
    assert gradient["spread"].abs().max() > 0


def test_spread_is_least_at_the_mean_absolute_residual(corners):
    output = perfect_output(corners, (40, 24))
    branches(output)["corners"][:] += 0.4
    values = []
    for scale in (0.2, 0.4, 0.8):
        branches(output)["spread"][:] = torch.log(torch.tensor(scale))
        values.append(float(VertebraLoss()(output, corners.flatten(1, 2))[1]["spread"]))
    assert values[1] == min(values)


def test_focal_loss_is_finite_where_the_network_is_sure_and_wrong():
    target = torch.zeros(1, 1, 4, 4)
    target[0, 0, 1, 1] = 1
    probability = (1 - target).requires_grad_()
    loss = focal_loss(probability, target)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(probability.grad).all()


def test_vertebrae_off_the_image_teach_nothing(corners):
    away = corners + torch.tensor([0.0, 1000.0])
    _, terms = VertebraLoss()(torch.zeros(1, 16, 40, 24), away.flatten(1, 2))
    assert float(terms["corners"]) == 0
    assert float(terms["offset"]) == 0
