"""RetinaNet that finds one box of known size around each landmark: the first stage of FlatNet.

Lin and others, Focal Loss for Dense Object Detection (ICCV 2017), with the heads and the pyramid of MONAI, whose heads
normalise by group. S1's baseline uses ResNet-101 with ImageNet weights and frozen normalisation; no such weights come
as a Python package, so here the normalisation learns with the rest.
"""

import math
from collections.abc import Sequence

import torch
from monai.apps.detection.networks.retinanet_network import RetinaNet
from monai.networks.blocks.feature_pyramid_network import FeaturePyramidNetwork, LastLevelP6P7
from monai.networks.nets.resnet import ResNet
from torch import Tensor, nn

DEPTHS = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
}
"""Kind and number of residual blocks per stage of a ResNet."""

DELTA_SCALE = (0.1, 0.1, 0.2, 0.2)
"""What one unit of a delta means: shares of the anchor's width and height, then logarithms of their change."""

_PLANES, _COARSEST = (64, 128, 256, 512), 5


class ResNetPyramid(nn.Module):
    """Feature pyramid over a ResNet.

    Args:
        depth: one of :data:`DEPTHS`.
        levels: neighbouring levels from 2 to 7; level n has a stride of 2**n. 6 and 7 are had together.
        width: channels of every level, a multiple of 8.
        widen: factor of the ResNet's channels.

    (b, 1, h, w) -> list of (b, width, h / 2**n, w / 2**n), finest first; h and w multiples of 32.
    """

    def __init__(
        self, depth: int = 101, levels: Sequence[int] = (3, 4, 5, 6, 7), width: int = 256, widen: float = 1.0
    ) -> None:
        super().__init__()
        block, layers = DEPTHS[depth]
        self.body = ResNet(
            block,
            list(layers),
            list(_PLANES),
            spatial_dims=2,
            n_input_channels=1,
            conv1_t_stride=2,
            widen_factor=widen,
            feed_forward=False,
            bias_downsample=False,
        )
        expansion = 4 if block == "bottleneck" else 1
        channels = [int(planes * widen) * expansion for planes in _PLANES][levels[0] - 2 :]
        extra = LastLevelP6P7(2, channels[-1], width) if levels[-1] > _COARSEST else None
        self.fpn = FeaturePyramidNetwork(2, channels, width, extra)
        self.levels, self.out_channels = tuple(levels), width

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.body.maxpool(self.body.act(self.body.bn1(self.body.conv1(image))))
        features = {}
        for level, layer in enumerate((self.body.layer1, self.body.layer2, self.body.layer3, self.body.layer4), 2):
            x = layer(x)
            if level >= self.levels[0]:
                features[str(level)] = x
        return list(self.fpn(features).values())[: len(self.levels)]


class BoxDetector(nn.Module):
    """One box per landmark.

    Args:
        landmarks: number of landmarks, each a class of its own.
        depth, levels, width, widen: see :class:`ResNetPyramid`.
        sizes: side of the anchors in pixels, one per level.
        scales, ratios: every anchor comes in these sizes and ratios of height to width. All boxes to be found are
            squares of one size, so that one level, one scale and the ratio 1 serve; the defaults are the paper's.

    (b, 1, h, w) -> class logits (b, a, landmarks), deltas (b, a, 4), anchors (a, 4) as centre x, centre y, width and
    height in pixels.
    """

    def __init__(
        self,
        landmarks: int,
        depth: int = 101,
        levels: Sequence[int] = (3, 4, 5, 6, 7),
        width: int = 256,
        widen: float = 1.0,
        sizes: Sequence[float] = (32, 64, 128, 256, 512),
        scales: Sequence[float] = (1, 2 ** (1 / 3), 2 ** (2 / 3)),
        ratios: Sequence[float] = (0.5, 1, 2),
    ) -> None:
        super().__init__()
        self.landmarks, self.levels = landmarks, tuple(levels)
        shapes = torch.tensor([(s / math.sqrt(r), s * math.sqrt(r)) for r in ratios for s in scales])
        self.shapes = [size * shapes for size in sizes]
        self.net = RetinaNet(2, landmarks, len(shapes), ResNetPyramid(depth, levels, width, widen))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps = self.net(image)
        logits = torch.cat([_listed(m, self.landmarks) for m in maps["classification"]], 1)
        deltas = torch.cat([_listed(m, 4) for m in maps["box_regression"]], 1)
        grids = [m.shape[-2:] for m in maps["box_regression"]]
        anchors = [
            grid_anchors(grid, 2**level, shapes)
            for grid, level, shapes in zip(grids, self.levels, self.shapes, strict=True)
        ]
        return logits, deltas, torch.cat(anchors).to(image.device)


def _listed(maps: Tensor, channels: int) -> Tensor:
    """(b, anchors * channels, h, w) -> (b, h * w * anchors, channels)."""
    return maps.unflatten(1, (-1, channels)).permute(0, 3, 4, 1, 2).flatten(1, 3)


def grid_anchors(grid: Sequence[int], stride: int, shapes: Tensor) -> Tensor:
    """Boxes of every (n, 2) shape (width, height) at every cell of a grid of (rows, columns); (rows * columns * n, 4).

    Centre x, centre y, width, height in pixels of the image, whose pixel centres are whole numbers.
    """
    y, x = (stride * torch.arange(count) + (stride - 1) / 2 for count in grid)
    centres = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).flatten(0, 1)
    count = len(shapes)
    return torch.cat([centres.repeat_interleave(count, 0), shapes.repeat(len(centres), 1)], 1)


def scaled_anchors(anchors: Tensor, factors: tuple[float, float]) -> Tensor:
    """Anchors of a resized image in the pixels of the image before; ``factors`` of x and y."""
    factor = anchors.new_tensor(factors)
    return torch.cat([(anchors[:, :2] + 0.5) * factor - 0.5, anchors[:, 2:] * factor], 1)


def box_deltas(anchors: Tensor, points: Tensor, box: float) -> Tensor:
    """What turns (..., 4) anchors into squares of side ``box`` around (..., 2) points; (..., 4)."""
    centre, size = anchors[..., :2], anchors[..., 2:]
    moved, grown = (points - centre) / size, (box / size).log()
    return torch.cat([moved, grown], -1) / anchors.new_tensor(DELTA_SCALE)


def best_centres(logits: Tensor, deltas: Tensor, anchors: Tensor) -> Tensor:
    """The surest box of each landmark; (b, landmarks, 3): x and y of its centre, its score 0..1."""
    score, index = logits.float().max(1)
    anchor = anchors[index]
    delta = deltas.float().gather(1, index[..., None].expand(-1, -1, 4))
    centre = anchor[..., :2] + delta[..., :2] * DELTA_SCALE[0] * anchor[..., 2:]
    return torch.cat([centre, score.sigmoid()[..., None]], -1)
