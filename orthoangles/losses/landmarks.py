"""Loss of heatmap landmarks: cross-entropy between the softmax over all places and a Gaussian around the label."""

import torch
from torch import Tensor, nn

from orthoangles.networks.landmarks import STRIDE, place_probability


class LandmarkLoss(nn.Module):
    """Cross-entropy of a :class:`~orthoangles.networks.landmarks.LandmarkNet` against labels.

    Args:
        sigma: standard deviation in cells of the Gaussian around a label. It stands at the label itself and not at a
            cell, so that its mean, which the decoder reads, lies there too.

    A label that is NaN or beyond the image teaches absence.
    """

    def __init__(self, sigma: float = 1.0) -> None:
        super().__init__()
        self.sigma = sigma

    def forward(self, output: tuple[Tensor, Tensor], points: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """``output`` of the network, ``points`` (b, k, 2) in input pixels -> mean loss and its terms.

        The entropy of the target is taken off: a perfect output has a loss of zero.
        """
        maps, absence = output
        target, inside = gaussian_targets(points, tuple(maps.shape[-2:]), self.sigma)
        places, nowhere = place_probability(maps, absence)
        entropy = torch.special.entr(target).sum(-1)
        present = -(target * places).sum(-1) - entropy
        terms = {
            "place": (present * inside).sum() / inside.sum().clamp(min=1),
            "absence": (-nowhere * ~inside).sum() / (~inside).sum().clamp(min=1),
        }
        return torch.where(inside, present, -nowhere).mean(), terms


def gaussian_targets(points: Tensor, shape: tuple[int, int], sigma: float) -> tuple[Tensor, Tensor]:
    """Gaussians (b, k, h w) of sum one around points (b, k, 2) in input pixels, and which points lie inside (b, k)."""
    cells = (points - (STRIDE - 1) / 2) / STRIDE
    limit = torch.tensor([shape[1], shape[0]], device=points.device)
    inside = ((cells >= -0.5) & (cells <= limit - 0.5)).all(-1)
    x, y = torch.where(inside[..., None], cells, 0.0).unbind(-1)
    across = torch.exp(-((torch.arange(shape[1], device=points.device) - x[..., None]) ** 2) / (2 * sigma**2))
    down = torch.exp(-((torch.arange(shape[0], device=points.device) - y[..., None]) ** 2) / (2 * sigma**2))
    maps = (down[..., :, None] * across[..., None, :]).flatten(-2)
    return maps / maps.sum(-1, keepdim=True), inside
