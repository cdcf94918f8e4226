"""Loss of landmarks in a volume: cross-entropy between the softmax over all places and a Gaussian around the label."""

import torch
from torch import Tensor, nn

from orthoangles.networks.landmarks import place_probability
from orthoangles.networks.volumes.networks import STRIDE


class VolumeLandmarkLoss(nn.Module):
    """Cross-entropy of a :class:`~orthoangles.networks.volumes.networks.VolumeLandmarkNet` against labels.

    Each cell counts by the value of the target heatmap there, which is what keeps some ten cells of a landmark from
    drowning in tens of thousands of empty ones (S2 weighs its loss by the heatmap for the same reason).

    Args:
        sigma: standard deviation in cells of the Gaussian around a label.
        margin: voxels at the border in which it is left open whether a landmark counts as present.

    A label that is NaN or beyond the volume teaches absence.
    """

    def __init__(self, sigma: float = 1.0, margin: float = 3.0) -> None:
        super().__init__()
        self.sigma, self.margin = sigma, margin

    def forward(self, output: tuple[Tensor, Tensor], points: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """``output`` of the network, ``points`` (b, k, 3) (x, y, z) in input voxels -> mean loss and its terms.

        The entropy of the target is taken off: a perfect output has a loss of zero.
        """
        maps, absence = output
        limit = STRIDE * torch.tensor(tuple(reversed(maps.shape[2:])), device=points.device)
        depth = torch.minimum(points, limit - 1 - points).amin(-1).nan_to_num(nan=-torch.inf)
        inside, sure = depth >= 0, depth.abs() >= self.margin
        target = _gaussians(torch.where(inside[..., None], points, 0.0), tuple(maps.shape[2:]), self.sigma)
        places, nowhere = place_probability(maps, absence)
        present = -(target * places).sum(-1) - torch.special.entr(target).sum(-1)
        terms = {
            "place": _mean(present, inside & sure),
            "absence": _mean(-nowhere, ~inside & sure),
        }
        return _mean(torch.where(inside, present, -nowhere), sure), terms


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    return (values * chosen).sum() / chosen.sum().clamp(min=1)


def _gaussians(points: Tensor, shape: tuple[int, int, int], sigma: float) -> Tensor:
    """Gaussians (b, k, d h w) of sum one around points (b, k, 3) in input voxels."""
    cells = (points - (STRIDE - 1) / 2) / STRIDE
    x, y, z = (
        torch.exp(-((torch.arange(n, device=points.device) - cells[..., k, None]) ** 2) / (2 * sigma**2))
        for k, n in enumerate(reversed(shape))
    )
    maps = (z[..., :, None, None] * y[..., None, :, None] * x[..., None, None, :]).flatten(-3)
    return maps / maps.sum(-1, keepdim=True).clamp(min=1e-30)
