"""The hourglass of S0: one map per bone segment, or per end of a segment, and the reading of the latter.

Grid of every map here: cell (i, j) stands at input pixel (x, y) = (4 j + 1.5, 4 i + 1.5), its true centre where pixel
centres are whole numbers.
"""

from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from orthoangles.networks.decoding import DecodedPoints
from orthoangles.segments import HANDLES, handles_between, to_pixels

STRIDE = 4
"""Input pixels per cell of the output maps."""

Order = Literal["conv-relu-norm", "conv-norm-relu"]


class _Convolution(nn.Sequential):
    """Convolution, ReLU and batch normalisation in the given order; the momentum is what S0's framework presets."""

    def __init__(self, cin: int, cout: int, kernel: int, order: Order, stride: int = 1) -> None:
        norm_last = order == "conv-relu-norm"
        conv = nn.Conv2d(cin, cout, kernel, stride, kernel // 2, bias=norm_last)
        norm, relu = nn.BatchNorm2d(cout, eps=1e-3, momentum=0.01), nn.ReLU()
        super().__init__(conv, *((relu, norm) if norm_last else (norm, relu)))


class _Residual(nn.Module):
    """Bottleneck of half the width, added to its input, which is projected where the width changes."""

    def __init__(self, cin: int, cout: int, order: Order) -> None:
        super().__init__()
        half = cout // 2
        self.body = nn.Sequential(
            _Convolution(cin, half, 1, order), _Convolution(half, half, 3, order), _Convolution(half, cout, 1, order)
        )
        self.skip = nn.Identity() if cin == cout else nn.Sequential(nn.Conv2d(cin, cout, 1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x)


class _Level(nn.Module):
    """One resolution of an hourglass and all the coarser ones inside it."""

    def __init__(self, width: int, poolings: int, order: Order) -> None:
        super().__init__()
        self.enter, self.skip = _Residual(width, width, order), _Residual(width, width, order)
        self.coarser, self.leave = None, nn.Identity()
        if poolings:
            self.coarser, self.leave = _Level(width, poolings - 1, order), _Residual(width, width, order)
        else:
            self.bottom = nn.Sequential(*(_Residual(width, width, order) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        below = self.bottom(x) if self.coarser is None else self._from_coarser(x)
        return self.leave(self.skip(x) + below)

    def _from_coarser(self, x: Tensor) -> Tensor:
        return F.interpolate(self.coarser(F.max_pool2d(x, 2)), scale_factor=2, mode="nearest")


class _Stack(nn.Module):
    """An hourglass and its maps; ``merge`` gives the features of the stack that follows."""

    def __init__(self, maps: int, width: int, poolings: int, order: Order, last: bool) -> None:
        super().__init__()
        self.hourglass = nn.Sequential(_Level(width, poolings, order), _Convolution(width, width, 1, order))
        self.maps = nn.Conv2d(width, maps, 1)
        self.from_features = None if last else nn.Conv2d(width, width, 1)
        self.from_maps = None if last else nn.Conv2d(maps, width, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.hourglass(x)
        maps = self.maps(features)
        return (x if self.from_maps is None else x + self.from_features(features) + self.from_maps(maps)), maps


class SegmentHourglass(nn.Module):
    """Maps of the axes of bones (S0).

    Args:
        segments: maps to give; 3 for the segments of S0, 6 for the ends that its keypoint network looks for.
        width: channels inside the hourglass.
        stacks: hourglasses one after the other; the last one's maps are the output.
        poolings: halvings inside an hourglass.
        order: ``conv-relu-norm`` as the published code has it, or the usual ``conv-norm-relu``.

    Input (b, 1, h, w) grey in -0.5..0.5, h and w multiples of ``4 * 2**poolings``; output (b, segments, h/4, w/4)
    logits. S0 gives a grey picture as three equal colours in 0..1; one channel carries the same, since weights on
    equal channels add up and an offset is a bias.

    >>> SegmentHourglass(width=8)(torch.zeros(1, 1, 64, 32)).shape
    torch.Size([1, 3, 16, 8])
    """

    def __init__(
        self,
        segments: int = 3,
        width: int = 128,
        stacks: int = 1,
        poolings: int = 3,
        order: Order = "conv-relu-norm",
    ) -> None:
        super().__init__()
        if order not in get_args(Order):
            raise ValueError(f"order is '{order}', expected one of {', '.join(get_args(Order))}")
        half = width // 2
        self.front = nn.Sequential(
            _Convolution(1, min(64, width), 7, order, stride=2),
            _Residual(min(64, width), half, order),
            nn.MaxPool2d(2),
            _Residual(half, half, order),
            _Residual(half, width, order),
        )
        self.stacks = nn.ModuleList(
            _Stack(segments, width, poolings, order, last=k + 1 == stacks) for k in range(stacks)
        )
        self.apply(_initialise)
        for stack in self.stacks:
            # Starts every map at a probability of 0.1 (Lin et al., focal loss, 2017): a segment fills few cells.
            nn.init.constant_(stack.maps.bias, -2.19)

    def forward(self, image: Tensor) -> Tensor:
        x = self.front(image)
        for stack in self.stacks:
            x, maps = stack(x)
        return maps


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class KeypointDecoder:
    """Maps of both ends of every segment -> five handles a bone, on the line between the ends.

    Args:
        refine: find the top of a peak between the cells, by the parabola of log-probabilities (exact for a Gaussian);
            False takes the strongest cell, as S0 does.
        threshold: lowest probability of an end.
        doubtful: below this a bone is named in a warning.

    The confidence of all handles of a bone is that of its weaker end. The maps tell no spread.
    """

    reach = 2
    """Cells between the three values of the parabola: noise weighs less than between neighbours."""

    def __init__(self, refine: bool = True, threshold: float = 0.05, doubtful: float = 0.25) -> None:
        self.refine, self.threshold, self.doubtful = refine, threshold, doubtful

    def __call__(self, output: Tensor) -> DecodedPoints:
        """``output`` (2 n, h, w) logits: both ends of n bones, base first. 5 n points, likewise."""
        log_p = F.logsigmoid(output.float().cpu())
        peak, flat = log_p.flatten(1).max(1)
        cells = torch.stack([flat % output.shape[2], flat // output.shape[2]], -1)
        position = cells + self._between(log_p, cells) if self.refine else cells
        ends = to_pixels(position.double().numpy().reshape(-1, 2, 2), STRIDE)
        confidence = peak.exp().double().numpy().reshape(-1, 2).min(1)
        found = confidence >= self.threshold
        ends[~found] = np.nan
        return DecodedPoints(
            points=handles_between(ends),
            confidence=np.where(found, confidence, 0.0).repeat(HANDLES),
            spread=np.full(HANDLES * len(ends), np.nan),
            warnings=doubts(found, confidence, self.doubtful, "bones"),
        )

    def _between(self, log_p: Tensor, cells: Tensor) -> Tensor:
        """Top of the parabola through a peak and the values ``reach`` cells off it, (n, 2) in cells from the peak."""
        reach = self.reach
        # Beyond the border nothing is known: NaN there leaves that coordinate at its cell.
        padded = F.pad(log_p, (reach,) * 4, value=torch.nan)
        n, (x, y) = torch.arange(len(cells)), (cells + reach).unbind(-1)
        steps = []
        for dx, dy in ((reach, 0), (0, reach)):
            before, at, after = padded[n, y - dy, x - dx], padded[n, y, x], padded[n, y + dy, x + dx]
            steps.append(reach / 2 * (before - after) / (before - 2 * at + after))
        return torch.stack(steps, -1).nan_to_num(0.0)


def doubts(found: np.ndarray, confidence: np.ndarray, doubtful: float, things: str) -> tuple[str, ...]:
    """What a reader must know of ``things`` (n,): how many were not found, and how many with low confidence."""
    warnings = []
    if not found.all():
        warnings.append(f"only {found.sum()} of {len(found)} {things} were found")
    weak = int((confidence[found] < doubtful).sum())
    if weak:
        warnings.append(f"{weak} {things} were found with low confidence (below {doubtful:g})")
    return tuple(warnings)
