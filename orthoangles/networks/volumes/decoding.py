"""Heatmaps in a volume -> places between cells, their probability and how widely they scatter."""

from typing import NamedTuple

import torch
from torch import Tensor

from orthoangles.networks.landmarks import place_probability
from orthoangles.networks.volumes.networks import STRIDE


class Places(NamedTuple):
    """``points`` (k, 3) (x, y, z) in input voxels; ``present`` (k,) probability that the landmark is in the volume;
    ``excess`` (k,) input voxels by which its map is wider (one standard deviation) than it was drawn.
    """

    points: Tensor
    present: Tensor
    excess: Tensor


def decode_places(maps: Tensor, absence: Tensor, sigma: float, reach: int = 2) -> Places:
    """Maps (k, d, h, w) of logits and absence (k,) of one volume.

    A landmark is the mean of its probability in a window of ``reach`` cells about the peak; ``sigma`` is the standard
    deviation in cells of the Gaussian that the network learnt to draw.
    """
    places, nowhere = place_probability(maps.float(), absence.float())
    present = -torch.expm1(nowhere.double())
    probability = places.double().exp().reshape(maps.shape)
    probability = probability / probability.sum((1, 2, 3), keepdim=True).clamp(min=1e-30)
    axes = [torch.arange(n, dtype=torch.float64, device=maps.device) for n in reversed(maps.shape[1:])]
    peak = _peaks(probability)
    near = [(axis - peak[:, k : k + 1]).abs() <= reach for k, axis in enumerate(axes)]
    window = probability * near[2][:, :, None, None] * near[1][:, None, :, None] * near[0][:, None, None, :]
    window = window / window.sum((1, 2, 3), keepdim=True)
    mean = torch.stack([margin @ axis for margin, axis in zip(_margins(window), axes, strict=True)], -1)
    variance = sum(
        (margin * (axis - mean[:, k : k + 1]) ** 2).sum(1)
        for k, (margin, axis) in enumerate(zip(_margins(probability), axes, strict=True))
    )
    excess = (variance / 3 - sigma**2).clamp(min=0).sqrt()
    return Places(STRIDE * mean + (STRIDE - 1) / 2, present, STRIDE * excess)


def _peaks(probability: Tensor) -> Tensor:
    """Cells (k, 3) (x, y, z) of the largest values."""
    _, rows, columns = probability.shape[1:]
    flat = probability.flatten(1).argmax(1)
    return torch.stack([flat % columns, flat // columns % rows, flat // (columns * rows)], -1).double()


def _margins(probability: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sums along x, y and z: (k, w), (k, h), (k, d)."""
    return probability.sum((1, 2)), probability.sum((1, 3)), probability.sum((2, 3))
