"""Losses of the vertebra network: focal losses on the maps, L1 on the vectors, a Laplace fit of their spread."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from orthoangles.heatmaps import RING, centre_heatmap, gaussian_radius, polygon_mask
from orthoangles.networks.vertebrae import STRIDE, branches

_EPS = 1e-4


def focal_loss(probability: Tensor, target: Tensor, alpha: float = 2.0, beta: float = 4.0) -> Tensor:
    """Penalty-reduced focal loss (Law and Deng, CornerNet, 2018) per positive cell; scalar.

    Cells whose target is one are positive; a Gaussian's flank lowers the penalty of the others. It takes
    probabilities, not logits, so that a map mixed from several sources (a mask and rasterised corners) has the same
    loss as a plain one. Clamped to [1e-4, 1 - 1e-4]: without it a sure, wrong cell gives infinite gradients.
    """
    p = probability.clamp(_EPS, 1 - _EPS)
    positive = target.eq(1)
    gain = torch.where(positive, (1 - p) ** alpha * p.log(), (1 - target) ** beta * p**alpha * (1 - p).log())
    return -gain.sum() / positive.sum().clamp(min=1)


class VertebraTargets:
    """Turns corners into the maps a :class:`~orthoangles.networks.vertebrae.VertebraNet` is trained on.

    ``reach`` is the half width in cells of the neighbourhood that learns a vertebra's vectors; 0 is S3's centre cell.
    """

    def __init__(self, reach: int = 1) -> None:
        self.reach = reach

    def __call__(self, corners: Tensor, shape: tuple[int, int]) -> dict[str, Tensor]:
        """Targets for (b, n, 4, 2) corners in input pixels on a grid of ``shape`` cells.

        ``centre`` and ``mask`` (b, 1, h, w); ``cells`` (b, n, k, 2) integer grid cells (x, y) that learn a vertebra,
        ``valid`` (b, n, k) those on the grid, ``offset`` (b, n, k, 2), ``corners`` (b, n, 1, 4, 2).
        """
        grid = corners / STRIDE
        centres = grid.mean(-2)
        ring = grid[..., RING, :]
        edges = (ring.roll(-1, -2) - ring).norm(dim=-1)
        size = torch.stack([edges[..., 0::2].mean(-1), edges[..., 1::2].mean(-1)], -1)
        sigma = (2 * gaussian_radius(size).floor() + 1) / 6

        step = torch.arange(-self.reach, self.reach + 1, device=corners.device)
        dy, dx = torch.meshgrid(step, step, indexing="ij")
        cells = centres.floor()[..., None, :] + torch.stack([dx, dy], -1).flatten(0, 1)
        limit = torch.tensor([shape[1], shape[0]], device=corners.device)
        return {
            "centre": centre_heatmap(centres, sigma, shape),
            "mask": polygon_mask(grid, shape),
            "cells": cells.long(),
            "valid": ((cells >= 0) & (cells < limit)).all(-1),
            "offset": centres[..., None, :] - cells,
            "corners": (centres[..., None, :] - grid)[..., None, :, :],
        }


class VertebraLoss(nn.Module):
    """Weighted sum of the branch losses; ``forward`` returns the total and every term.

    Args:
        weights: weight per term (``centre``, ``offset``, ``corners``, ``mask``, ``spread``); S3 weighs all of its four
            with 1; ``spread`` learns the Laplace scale of the corner residuals and sends no gradient into them.
        reach: see :class:`VertebraTargets`.
    """

    def __init__(self, weights: Mapping[str, float] | None = None, reach: int = 1) -> None:
        super().__init__()
        self.weights = {"centre": 1.0, "offset": 1.0, "corners": 1.0, "mask": 1.0, "spread": 0.1, **(weights or {})}
        self.targets = VertebraTargets(reach)

    def forward(self, output: Tensor, points: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """``output`` (b, 16, h, w) of the network, ``points`` (b, 4 n, 2) the corners in input pixels."""
        maps = branches(output)
        corners = points.unflatten(1, (-1, 4))
        target = self.targets(corners, tuple(output.shape[-2:]))
        offset = gather_cells(maps["offset"], target["cells"])
        vectors = gather_cells(maps["corners"], target["cells"]).unflatten(-1, (4, 2))
        scale = gather_cells(maps["spread"], target["cells"])
        valid = target["valid"]
        count = valid.sum().clamp(min=1)
        residual = (vectors - target["corners"]).abs()
        distance = residual.detach().mean(-1)
        terms = {
            "centre": focal_loss(maps["centre"].sigmoid(), target["centre"]),
            "offset": ((offset - target["offset"]).abs().mean(-1) * valid).sum() / count,
            "corners": (residual.mean((-1, -2)) * valid).sum() / count,
            "mask": focal_loss(maps["mask"].sigmoid(), target["mask"]),
            "spread": ((scale + distance * (-scale).exp()).mean(-1) * valid).sum() / count,
        }
        return sum(self.weights[name] * term for name, term in terms.items()), terms


def gather_cells(maps: Tensor, cells: Tensor) -> Tensor:
    """Values (b, ..., channels) of (b, channels, h, w) maps at (b, ..., 2) cells (x, y), clamped to the grid."""
    h, w = maps.shape[-2:]
    x, y = cells[..., 0].clamp(0, w - 1), cells[..., 1].clamp(0, h - 1)
    batch = torch.arange(len(maps), device=maps.device).view(-1, *[1] * (x.dim() - 1)).expand_as(x)
    return maps.permute(0, 2, 3, 1)[batch, y, x]
