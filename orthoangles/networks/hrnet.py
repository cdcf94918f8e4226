"""HRNet: features that stay at a quarter of the input resolution (Wang et al., TPAMI 2021, arXiv 1908.07919).

The defaults are HRNet-W18; fewer modules, blocks and bottlenecks give the smaller variants that train on a CPU.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def _conv_norm(cin: int, cout: int, kernel: int = 3, stride: int = 1, relu: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(cin, cout, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(cout),
    ]
    if relu:
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


class _Residual(nn.Module):
    """``relu(body(x) + skip(x))``; the skip projects where the width changes."""

    def __init__(self, body: nn.Module, cin: int, cout: int) -> None:
        super().__init__()
        self.body = body
        self.skip = nn.Identity() if cin == cout else _conv_norm(cin, cout, 1, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.skip(x), inplace=True)


def _basic(width: int) -> _Residual:
    return _Residual(nn.Sequential(_conv_norm(width, width), _conv_norm(width, width, relu=False)), width, width)


def _bottleneck(cin: int, width: int) -> _Residual:
    body = nn.Sequential(
        _conv_norm(cin, width, 1), _conv_norm(width, width), _conv_norm(width, 4 * width, 1, relu=False)
    )
    return _Residual(body, cin, 4 * width)


def _down(cin: int, cout: int, times: int) -> nn.Sequential:
    """``times`` stride-2 convolutions; width changes and the last ReLU is left out in the last one."""
    steps = [_conv_norm(cin, cin, stride=2) for _ in range(times - 1)]
    return nn.Sequential(*steps, _conv_norm(cin, cout, stride=2, relu=False))


def _upsample(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


class _Module(nn.Module):
    """Parallel branches of basic blocks, then every branch receives the sum of all branches."""

    def __init__(self, widths: Sequence[int], blocks: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*(_basic(w) for _ in range(blocks))) for w in widths)
        self.fuse = nn.ModuleList(
            nn.ModuleList(self._link(widths, source, target) for source in range(len(widths)))
            for target in range(len(widths))
        )

    @staticmethod
    def _link(widths: Sequence[int], source: int, target: int) -> nn.Module:
        if source == target:
            return nn.Identity()
        if source > target:
            return _conv_norm(widths[source], widths[target], 1, relu=False)
        return _down(widths[source], widths[target], target - source)

    def forward(self, xs: list[Tensor]) -> list[Tensor]:
        ys = [branch(x) for branch, x in zip(self.branches, xs, strict=True)]
        return [
            F.relu(sum(self._resized(link(y), ys[target]) for link, y in zip(links, ys, strict=True)))
            for target, links in enumerate(self.fuse)
        ]

    @staticmethod
    def _resized(x: Tensor, like: Tensor) -> Tensor:
        return x if x.shape[-2:] == like.shape[-2:] else _upsample(x, like)


class HRNet(nn.Module):
    """High-resolution features.

    Args:
        in_channels: channels of the image.
        width: channels of the finest branch; branch k has ``width * 2**k``.
        stem: channels of the two stride-2 convolutions; the bottlenecks give ``4 * stem``.
        bottlenecks: blocks of the first stage.
        modules: exchange modules of the stages with 2, 3 and 4 branches.
        blocks: basic blocks per branch and module.

    Input (b, in_channels, h, w) with h and w multiples of 32; output (b, ``out_channels``, h/4, w/4), the four
    branches brought to a quarter of the input and concatenated (270 channels for W18).
    """

    def __init__(
        self,
        in_channels: int = 1,
        width: int = 18,
        stem: int = 64,
        bottlenecks: int = 4,
        modules: Sequence[int] = (1, 4, 3),
        blocks: int = 4,
    ) -> None:
        super().__init__()
        widths = [width * 2**k for k in range(len(modules) + 1)]
        self.stem = nn.Sequential(_conv_norm(in_channels, stem, stride=2), _conv_norm(stem, stem, stride=2))
        self.first = nn.Sequential(*(_bottleneck(stem if k == 0 else 4 * stem, stem) for k in range(bottlenecks)))
        self.enter = _conv_norm(4 * stem, width)
        self.transitions = nn.ModuleList()
        self.stages = nn.ModuleList()
        for k, count in enumerate(modules):
            cin = 4 * stem if k == 0 else widths[k]
            self.transitions.append(_conv_norm(cin, widths[k + 1], stride=2))
            self.stages.append(nn.ModuleList(_Module(widths[: k + 2], blocks) for _ in range(count)))
        self.out_channels = sum(widths)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        x = self.first(self.stem(image))
        xs, last = [self.enter(x)], x
        for transition, stage in zip(self.transitions, self.stages, strict=True):
            xs = [*xs, transition(last)]
            for module in stage:
                xs = module(xs)
            last = xs[-1]
        return torch.cat([xs[0], *(_upsample(x, xs[0]) for x in xs[1:])], dim=1)
