"""FlatNet, the baseline of S1: a detector finds each landmark's box, a U-Net draws a disk around the landmark in it.

Published code (hangyulyoon/foot-deformity, MIT): RetinaNet with ResNet-101, and one U-Net per landmark,
EfficientNet-Lite4 with scSE, on patches of 1024 px. Three of its habits hold it back:

- The U-Nets learn on patches in the image's own pixels and then see an image resized to a width of 2048. ``published``
  of :class:`FlatNet` keeps that, and the whole pixels in which the code cuts, averages and answers.
- The patches that they learn on are centred on the landmark: the random shift is set to zero, and only the
  augmentation's 10 px are left. ``published`` of :class:`~orthoangles.training.flatnet_data.PatchSamples` keeps that.
- The learning rate of its command line is ignored: 5e-4 is written into the loop. Here ``rate`` of the schedule counts.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from orthoangles.networks.efficientnet import EfficientNetLite
from orthoangles.networks.retinanet import BoxDetector, best_centres, scaled_anchors

PUBLISHED_WIDTH, PUBLISHED_PATCH = 2048, 1024
"""Width that the published second stage resizes an image to, and side of its patches."""


class SpatialChannelGate(nn.Module):
    """scSE: features weighted by channel and by place, both added (Roy and others, MICCAI 2018)."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.channel = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, hidden, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, channels, 1),
            nn.Sigmoid(),
        )
        self.place = nn.Sequential(nn.Conv2d(channels, 1, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.channel(x) + x * self.place(x)


def _conv(cin: int, cout: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(inplace=True))


class _Up(nn.Module):
    """Twice the size, joined with the encoder's features of that size, two convolutions; gated before and after."""

    def __init__(self, cin: int, skip: int, cout: int) -> None:
        super().__init__()
        self.before = SpatialChannelGate(cin + skip) if skip else nn.Identity()
        self.convs = nn.Sequential(_conv(cin + skip, cout), _conv(cout, cout))
        self.after = SpatialChannelGate(cout)

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        x = x if skip is None else torch.cat([x, skip], 1)
        return self.after(self.convs(self.before(x)))


class UNet(nn.Module):
    """EfficientNet-Lite encoder, decoder with scSE; (b, 1, h, w) -> (b, outputs, h, w) logits, sides multiples of 32.

    ``decoder`` gives the channels at 1/16, 1/8, 1/4, 1/2 and the full size.
    """

    def __init__(
        self, outputs: int = 1, variant: str = "lite4", decoder: Sequence[int] = (256, 128, 64, 32, 16)
    ) -> None:
        super().__init__()
        self.encoder = EfficientNetLite(variant)
        skips = [*self.encoder.channels[-2::-1], 0]
        below = [self.encoder.channels[-1], *decoder[:-1]]
        self.ups = nn.ModuleList(_Up(*sizes) for sizes in zip(below, skips, decoder, strict=True))
        self.head = nn.Conv2d(decoder[-1], outputs, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        *skips, x = self.encoder(image)
        for up, skip in zip(self.ups, [*reversed(skips), None], strict=True):
            x = up(x, skip)
        return self.head(x)


class PatchSegmenter(nn.Module):
    """Draws a disk around each landmark in a patch of its own.

    Args:
        landmarks: number of landmarks k.
        shared: one U-Net with an output per landmark for all patches; otherwise one U-Net per landmark, as published.
        variant, decoder: see :class:`UNet`.

    (b, k, p, p) patches in -0.5..0.5, the patch of landmark n in channel n -> (b, k, p, p) logits. A patch of NaN is
    left out, its logits are 0. Where each landmark has its U-Net, their features are computed anew for the gradient,
    one U-Net after another: those of all patches of 1024 px would not fit into memory at once.
    """

    def __init__(
        self,
        landmarks: int,
        shared: bool = False,
        variant: str = "lite4",
        decoder: Sequence[int] = (256, 128, 64, 32, 16),
    ) -> None:
        super().__init__()
        self.shared = shared
        self.nets = nn.ModuleList(
            [UNet(landmarks, variant, decoder)] if shared else [UNet(1, variant, decoder) for _ in range(landmarks)]
        )

    def forward(self, patches: Tensor) -> Tensor:
        row, landmark = (~patches[..., 0, 0].isnan()).nonzero(as_tuple=True)
        logits = torch.zeros_like(patches)
        if self.shared:
            drawn = self.nets[0](patches[row, landmark][:, None])
            return logits.index_put((row, landmark), drawn[torch.arange(len(row)), landmark].to(logits.dtype))
        for k in landmark.unique().tolist():
            rows = row[landmark == k]
            drawn = self._drawn(self.nets[k], patches[rows, k][:, None])
            logits = logits.index_put((rows, torch.full_like(rows, k)), drawn[:, 0].to(logits.dtype))
        return logits

    def _drawn(self, net: UNet, patches: Tensor) -> Tensor:
        # Computed twice, the running means of the normalisation move twice as fast; nothing else changes.
        return checkpoint(net, patches, use_reentrant=False) if self.training else net(patches)


class FlatNet(nn.Module):
    """Both stages in one network, with one file of weights.

    Args:
        detector: finds the boxes, in the image shrunk by ``view``.
        segmenter: draws the disks.
        patch: side of a patch in its own pixels, a multiple of 32.
        radius: of the disks, in patch pixels; the area drawn is held against it for the score.
        zoom: patch pixels per image pixel, as the segmenter learnt them.
        view: size of the detector's image as a share of the image.
        stage: ``detect``: the detector learns and alone answers; ``segment``: it is frozen, the segmenter learns from
            patches, and an image runs through both. The weights of either stage start the other.
        published: see the module. Instead of ``zoom`` counts that of an image resized to a width of 2048 for patches
            of 1024, to one in proportion for smaller patches.

    An image (b, 1, h, w), sides times ``view`` multiples of 32, gives (b, k, 3): x, y in image pixels and a score 0..1.
    While the detector learns it gives logits, deltas and anchors in image pixels (see
    :class:`~orthoangles.networks.retinanet.BoxDetector`). Patches (b, k, p, p), k of 2 at least, give logits of the
    disks of that shape. A ``stage`` of another name is a KeyError.
    """

    def __init__(
        self,
        detector: BoxDetector,
        segmenter: PatchSegmenter,
        patch: int = 1024,
        radius: float = 40.0,
        zoom: float = 1.0,
        view: float = 0.5,
        stage: str = "segment",
        published: bool = False,
    ) -> None:
        super().__init__()
        self.detector, self.segmenter = detector, segmenter
        self.patch, self.radius, self.zoom, self.view = patch, radius, zoom, view
        self.stage, self.published = stage, published
        {"detect": segmenter, "segment": detector}[stage].requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        if x.shape[1] > 1:
            return self.segmenter(x)
        found = self._detected(x)
        if self.stage == "detect":
            return found if self.training else best_centres(*found)
        return self._refined(x, best_centres(*found))

    def _detected(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows, columns = (round(side * self.view) for side in image.shape[-2:])
        small = F.interpolate(image.float(), (rows, columns), mode="bilinear", align_corners=False, antialias=True)
        logits, deltas, anchors = self.detector(small)
        return logits, deltas, scaled_anchors(anchors, (image.shape[-1] / columns, image.shape[-2] / rows))

    def _refined(self, image: Tensor, found: Tensor) -> Tensor:
        zoom = self.inference_zoom(image.shape[-1])
        centres = found[..., :2]
        if self.published:
            # A patch begins at a whole pixel of the resized image.
            half = (self.patch - 1) / 2
            centres = ((centres * zoom - half).floor() + half) / zoom
        patches = cut_patches(image.float(), centres, self.patch, zoom)
        drawn = self.segmenter(patches).float().sigmoid()
        middle = disk_centres(drawn, published=self.published)
        points = centres + (middle - (self.patch - 1) / 2) / zoom
        points = points.floor() if self.published else points
        return torch.cat([points, found[..., 2:] * self._likeness(drawn)[..., None]], -1)

    def inference_zoom(self, width: int) -> float:
        """Patch pixels per pixel of an image of ``width`` columns."""
        return PUBLISHED_WIDTH * self.patch / PUBLISHED_PATCH / width if self.published else self.zoom

    def _likeness(self, drawn: Tensor) -> Tensor:
        """How near the area drawn comes to that of a disk; 0..1."""
        area, disk = drawn.sum((-1, -2)), torch.pi * self.radius**2
        return torch.minimum(area / disk, disk / area.clamp(min=1e-6)).clamp(max=1)


def cut_patches(image: Tensor, centres: Tensor, size: int, zoom: float) -> Tensor:
    """Squares around (b, k, 2) centres (x, y) in a (b, 1, h, w) image in -0.5..0.5; (b, k, size, size).

    ``size`` in patch pixels, of which ``zoom`` are one image pixel. Black beyond the image; NaN where a centre is.
    """
    rows, columns = image.shape[-2:]
    step = (torch.arange(size, device=image.device) - (size - 1) / 2) / zoom
    x = (2 * (centres[..., 0, None] + step) + 1) / columns - 1
    y = (2 * (centres[..., 1, None] + step) + 1) / rows - 1
    grid = torch.stack([x[..., None, :].expand(*x.shape, size), y[..., None].expand(*y.shape, size)], -1)
    lifted = F.grid_sample(
        image + 0.5, grid.flatten(1, 2).nan_to_num(-2), mode="bilinear", padding_mode="zeros", align_corners=False
    )
    patches = lifted[:, 0].unflatten(1, (-1, size)) - 0.5
    return patches.masked_fill(centres.isnan().any(-1)[..., None, None], torch.nan)


def disk_centres(drawn: Tensor, published: bool = False) -> Tensor:
    """Centre (x, y) of what is drawn in (..., p, p) probabilities; (..., 2) in pixels.

    The mean of the places weighted with what exceeds one half, or as ``published`` the mean of all places above it, in
    whole pixels. Where nothing exceeds it, the middle: the box that was found stands.
    """
    size = drawn.shape[-1]
    weight = (drawn > 0.5).float() if published else (drawn - 0.5).clamp(min=0)
    total = weight.sum((-1, -2))
    place = torch.arange(size, device=drawn.device, dtype=drawn.dtype)
    sums = torch.stack([(weight.sum(-2) * place).sum(-1), (weight.sum(-1) * place).sum(-1)], -1)
    centres = sums / total.clamp(min=1e-6)[..., None]
    centres = torch.where(total[..., None] > 0, centres, (size - 1) / 2)
    return centres.floor() if published else centres
