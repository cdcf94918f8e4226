"""Heatmap in heatmap (HIH): stacked hourglasses for the cell of a landmark, a small map for the place inside the cell.

Lan et al., HIH (arXiv 2104.03100), in the form that S1 gives it: 4 x 4 decimal maps, and a last map refined by large
kernels. A cell is four input pixels wide; pixel centres are whole numbers, so that cell k reaches from pixel 4 k - 0.5
to 4 k + 3.5, and a coordinate p lies in cell floor(u) at the fraction u - floor(u) of it, u = (p + 0.5) / 4.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIDE = 4
"""Input pixels per cell of the integer maps."""

Training = tuple[list[Tensor], Tensor]
Evaluation = tuple[Tensor, Tensor]


def _convolution(cin: int, cout: int, kernel: int = 1, stride: int = 1, relu: bool = True) -> nn.Sequential:
    layers = [nn.Conv2d(cin, cout, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(cout)]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))


class _Residual(nn.Module):
    """Bottleneck of half the width, added to its input; ``idle`` adds the projection that equal widths never use."""

    def __init__(self, cin: int, cout: int, idle: bool) -> None:
        super().__init__()
        half = cout // 2
        self.body = nn.Sequential(
            _convolution(cin, half), _convolution(half, half, 3), _convolution(half, cout, relu=False)
        )
        self.skip = nn.Identity() if cin == cout else _convolution(cin, cout, relu=False)
        self.idle = _convolution(cin, cout, relu=False) if idle and cin == cout else None

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.skip(x))


class _Down(nn.Module):
    """Basic block that halves the resolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_convolution(width, width, 3, 2), _convolution(width, width, 3, relu=False))
        self.skip = _convolution(width, width, 1, 2, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.skip(x))


class _Level(nn.Module):
    """One resolution of an hourglass and all the coarser ones inside it."""

    def __init__(self, width: int, levels: int, idle: bool) -> None:
        super().__init__()
        self.skip = _Residual(width, width, idle)
        inner = _Level(width, levels - 1, idle) if levels > 1 else _Residual(width, width, idle)
        self.below = nn.Sequential(
            nn.MaxPool2d(2),
            _Residual(width, width, idle),
            inner,
            _Residual(width, width, idle),
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.skip(x) + self.below(x)


class _Stack(nn.Module):
    """Features -> (features for what follows, maps of this stack)."""

    def __init__(self, landmarks: int, width: int, levels: int, idle: bool) -> None:
        super().__init__()
        self.hourglass = nn.Sequential(
            _Level(width, levels, idle), _Residual(width, width, idle), _convolution(width, width)
        )
        self.maps = nn.Conv2d(width, landmarks, 1)
        self.from_features = _convolution(width, width)
        self.from_maps = _convolution(landmarks, width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.hourglass(x)
        maps = self.maps(features)
        return x + self.from_features(features) + self.from_maps(maps), maps


class _DecimalHead(nn.Module):
    """Features of the whole image -> one ``decimal`` x ``decimal`` map a landmark."""

    def __init__(self, landmarks: int, width: int, hidden: int, halvings: int, decimal: int) -> None:
        super().__init__()
        self.decimal = decimal
        self.down = nn.Sequential(
            _convolution(width, hidden), nn.MaxPool2d(3, 2), *(_Down(hidden) for _ in range(halvings))
        )
        self.maps = nn.Sequential(_convolution(hidden, hidden), nn.Conv2d(hidden, landmarks, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        if min(x.shape[-2:]) < self.decimal:
            raise ValueError(f"the image is too small for {self.decimal} decimal cells: take fewer halvings")
        # Nothing happens to a map of this size; the longer side of an oblong image is brought down to it.
        return self.maps(F.adaptive_avg_pool2d(x, self.decimal))


class HeatmapInHeatmap(nn.Module):
    """HIH with S1's refinement.

    Args:
        landmarks: maps to give.
        stacks: hourglasses one after the other.
        width: channels inside them.
        levels: halvings inside an hourglass.
        decimal: cells of a decimal map along one side.
        refine_kernel: kernel of the two convolutions that refine the last map.
        hidden: channels of the decimal head; None for 3/2 of ``width`` (S1: 384 on 256).
        halvings: stride-2 blocks of the decimal head; S1's 4 suit 128 cells (512 pixels), 3 suit 64 cells.
        idle: hold the projections that S1's code builds in every residual block and never calls. They make up 3.7 of
            its 28.1 M parameters, change nothing, and are here for the count; False leaves them out.

    Input (b, 1, h, w) grey in -0.5..0.5, h and w multiples of ``4 * 2**levels``. Output in training mode: a list of
    ``stacks + 1`` integer maps (b, landmarks, h/4, w/4), the last one refined, and decimal maps (b, landmarks,
    decimal, decimal); in evaluation mode the last integer map and the decimal maps.

    >>> integer, decimal = HeatmapInHeatmap(11, stacks=1, width=8, halvings=2).eval()(torch.zeros(1, 1, 128, 128))
    >>> integer.shape, decimal.shape
    (torch.Size([1, 11, 32, 32]), torch.Size([1, 11, 4, 4]))
    """

    def __init__(
        self,
        landmarks: int,
        stacks: int = 4,
        width: int = 256,
        levels: int = 4,
        decimal: int = 4,
        refine_kernel: int = 7,
        hidden: int | None = None,
        halvings: int = 4,
        idle: bool = True,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            _convolution(1, width // 4, 7, 2),
            _Residual(width // 4, width // 2, idle),
            nn.MaxPool2d(2),
            _Residual(width // 2, width // 2, idle),
            _Residual(width // 2, width, idle),
        )
        self.stacks = nn.ModuleList(_Stack(landmarks, width, levels, idle) for _ in range(stacks))
        self.decimals = _DecimalHead(landmarks, width, hidden or width * 3 // 2, halvings, decimal)
        self.apply(_initialise)
        margin = refine_kernel // 2
        self.refine = nn.Sequential(
            nn.Conv2d(landmarks, 4 * landmarks, refine_kernel, padding=margin),
            nn.BatchNorm2d(4 * landmarks),
            nn.ReLU(inplace=True),
            nn.Conv2d(4 * landmarks, landmarks, refine_kernel, padding=margin),
        )
        self.refinement = nn.Parameter(torch.zeros(1))

    def forward(self, image: Tensor) -> Training | Evaluation:
        x, maps = self.stem(image), []
        for stack in self.stacks:
            x, stack_maps = stack(x)
            maps.append(stack_maps)
        maps.append(F.relu(maps[-1] + self.refinement * self.refine(maps[-1])))
        return (maps if self.training else maps[-1]), self.decimals(x)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, std=0.001)
