"""Landmarks as heatmaps on a feature pyramid: an EfficientNet-Lite encoder, brought back to a quarter of the input.

The pyramid is that of Lin et al. (Feature pyramid networks, CVPR 2017). Every landmark has a map of logits; its
softmax, together with one logit for "not in this image", is the probability of each place.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from orthoangles.networks.efficientnet import EfficientNetLite, load_imagenet
from orthoangles.predicting import bundle_folder

STRIDE = 4
"""Input pixels per cell: cell (i, j) stands at input pixel (x, y) = (4 j + 1.5, 4 i + 1.5), its true centre."""


class FeaturePyramid(nn.Module):
    """Features of ``width`` channels at a quarter of the input, to which all coarser levels have contributed.

    Args:
        encoder: variant of :class:`EfficientNetLite`.
        width: channels.
        finest: level that the output stands on: 1 for a quarter of the input, 2 for an eighth.
    """

    def __init__(self, encoder: str = "lite0", width: int = 64, finest: int = 1) -> None:
        super().__init__()
        self.encoder = EfficientNetLite(encoder)
        self.finest, self.out_channels = finest, width
        channels: Sequence[int] = self.encoder.channels[finest:]
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.merge = nn.ModuleList(_conv(width, width) for _ in channels)

    def forward(self, image: Tensor) -> Tensor:
        """(b, 1, h, w) in -0.5..0.5, multiples of 32 -> (b, width, h/4, w/4)."""
        levels = [lateral(f) for lateral, f in zip(self.lateral, self.encoder(image)[self.finest :], strict=True)]
        x = self.merge[-1](levels[-1])
        for level, merge in zip(levels[-2::-1], self.merge[-2::-1], strict=True):
            x = merge(level + F.interpolate(x, level.shape[-2:], mode="bilinear", align_corners=False))
        return x


class LandmarkNet(nn.Module):
    """A map for each landmark and the logit of its absence.

    Args:
        landmarks: number of maps.
        encoder, width: see :class:`FeaturePyramid`.

    Input (b, 1, h, w) grey in -0.5..0.5, h and w multiples of 32; output a pair: maps (b, landmarks, h/4, w/4) of
    logits, and logits of absence (b, landmarks), all for one softmax over places and absence.
    """

    def __init__(self, landmarks: int, encoder: str = "lite0", width: int = 64) -> None:
        super().__init__()
        self.features = FeaturePyramid(encoder, width)
        self.maps = nn.Sequential(_conv(width, width), nn.Conv2d(width, landmarks, 1))
        self.absence = nn.Linear(width, landmarks)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x = self.features(image)
        return self.maps(x), self.absence(x.mean((-2, -1)))


class SegmentNet(nn.Module):
    """Logits of line segments on the same features: (b, 1, h, w) -> (b, segments, h/4, w/4)."""

    def __init__(self, segments: int = 3, encoder: str = "lite0", width: int = 64) -> None:
        super().__init__()
        self.features = FeaturePyramid(encoder, width)
        last = nn.Conv2d(width, segments, 1)
        # Few cells belong to a segment: a start at a probability of 0.02 spares the first steps that lesson.
        nn.init.constant_(last.bias, -4.0)
        self.maps = nn.Sequential(_conv(width, width), last)

    def forward(self, image: Tensor) -> Tensor:
        return self.maps(self.features(image))


class ImageNetStart:
    """For ``initialise`` of a training config: gives a network's encoder the ImageNet weights of ``variant``."""

    def __init__(self, variant: str = "lite0") -> None:
        self.variant = variant

    def __call__(self, network: nn.Module) -> None:
        """PredictionError where the package that holds them is not installed."""
        for module in network.modules():
            if isinstance(module, EfficientNetLite):
                load_imagenet(module, self.variant)


class FeatureStart:
    """For ``initialise`` of a training config: gives a network the feature pyramid of a trained bundle.

    Args:
        bundle: folder, or name in ``models``, of a network on a :class:`FeaturePyramid` of the same size.
    """

    def __init__(self, bundle: str) -> None:
        self.bundle = bundle

    def __call__(self, network: nn.Module) -> None:
        """PredictionError where the bundle is not there; RuntimeError where its pyramid has another size."""
        weights = bundle_folder(self.bundle) / "models" / "model.pt"
        state = torch.load(weights, map_location="cpu", weights_only=True)
        prefix = "features."
        features = {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
        network.features.load_state_dict(features)


def _conv(cin: int, cout: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(inplace=True))


def place_probability(maps: Tensor, absence: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (..., k, h, w), or (..., k, d, h, w), and (..., k) of absence -> log-probability of each cell, its axes
    made one, and of absence.
    """
    logits = torch.cat([maps.flatten(absence.dim()), absence[..., None]], -1).log_softmax(-1)
    return logits[..., :-1], logits[..., -1]
