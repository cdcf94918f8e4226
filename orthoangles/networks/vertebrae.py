"""Vertebrae as objects: a centre heatmap, a centre offset, four corner offsets and a mask from shared features.

The branches are those of Yi et al. (vertebra-focused landmark detection, ISBI 2020) with the semantic branch of the
heterogeneous-consistency paper (S3); the corner spread is an addition of this project.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from orthoangles.networks.hrnet import HRNet

STRIDE = 4
"""Input pixels per cell of the output grid: cell (i, j) stands at input pixel (4 i, 4 j)."""

CHANNELS: Mapping[str, slice] = {
    "centre": slice(0, 1),  # logit of the centre heatmap
    "offset": slice(1, 3),  # (x, y) of the centre minus its cell, in cells
    "corners": slice(3, 11),  # centre minus corner for TL, TR, BL, BR, each (x, y), in cells
    "mask": slice(11, 12),  # logit of the vertebral bodies
    "spread": slice(12, 16),  # log of the Laplace scale of each corner, in cells
}


def branches(output: Tensor) -> dict[str, Tensor]:
    """Named channel groups of a (b, 16, h, w) network output."""
    return {name: output[:, channels] for name, channels in CHANNELS.items()}


def _head(cin: int, hidden: int, cout: int, kernel: int, last: int, bias: float = 0.0) -> nn.Sequential:
    final = nn.Conv2d(hidden, cout, last, padding=last // 2)
    nn.init.normal_(final.weight, std=0.001)
    nn.init.constant_(final.bias, bias)
    return nn.Sequential(nn.Conv2d(cin, hidden, kernel, padding=kernel // 2), nn.ReLU(inplace=True), final)


class VertebraNet(nn.Module):
    """HRNet features with the branches of ``CHANNELS``.

    Args:
        backbone: keyword arguments of :class:`HRNet`.
        reduce: width of a 1 x 1 convolution before the heads, None for none (as S3).
        hidden: hidden width of every head (S3: 256).
        corner_kernel: kernel of both convolutions of the corner head (S3: 7).

    Input (b, 1, h, w) grey in -0.5..0.5, h and w multiples of 32; output (b, 16, h/4, w/4).
    """

    def __init__(
        self,
        backbone: Mapping | None = None,
        reduce: int | None = None,
        hidden: int = 256,
        corner_kernel: int = 7,
    ) -> None:
        super().__init__()
        self.features = HRNet(**(backbone or {}))
        width = self.features.out_channels
        self.reduce: nn.Module = nn.Identity()
        if reduce:
            self.reduce = nn.Sequential(
                nn.Conv2d(width, reduce, 1, bias=False), nn.BatchNorm2d(reduce), nn.ReLU(inplace=True)
            )
            width = reduce
        # -2.19 starts the heatmap at a probability of 0.1 everywhere (Lin et al., focal loss, 2017).
        self.centre = _head(width, hidden, 1, 3, 1, bias=-2.19)
        self.offset = _head(width, hidden, 2, 3, 1)
        self.corners = _head(width, hidden, 8, corner_kernel, corner_kernel)
        self.mask = _head(width, hidden, 1, 3, 1, bias=-2.19)
        self.spread = _head(width, hidden // 2, 4, 3, 1)

    def forward(self, image: Tensor) -> Tensor:
        x = self.reduce(self.features(image))
        heads = (self.centre, self.offset, self.corners, self.mask, self.spread)
        return torch.cat([head(x) for head in heads], dim=1)
