"""Which feet an image shows, from where, which way up and whether inverted: objects as points on a coarse grid.

Objects as peaks of a heatmap, with their size read at the peak, are those of Zhou et al. (Objects as points,
arXiv 1904.07850); the up-vector and the inversion are additions of this project.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from monai.data import MetaTensor
from torch import Tensor, nn
from torch.nn import functional as F

from orthoangles.foot_views import KINDS, FootView, turns_of
from orthoangles.images import Image, require_radiograph
from orthoangles.networks.framing import plane_image, to_plane
from orthoangles.networks.landmarks import FeaturePyramid
from orthoangles.predicting import Backend

STRIDE = 8
"""Input pixels per cell: cell (i, j) stands at input pixel (x, y) = (8 j + 3.5, 8 i + 3.5)."""

CHANNELS: Mapping[str, slice] = {
    "kind": slice(0, 2),  # logit of a foot's centre, one map for each of KINDS
    "box": slice(2, 6),  # from the cell to the left, upper, right and lower edge, in cells
    "up": slice(6, 8),  # (x, y) towards the toes (AP) or the dorsum (lateral), about 1 long
    "inverted": slice(8, 9),  # logit of dark bone
}


def branches(output: Tensor) -> dict[str, Tensor]:
    """Named channel groups of a (b, 9, h, w) network output."""
    return {name: output[:, channels] for name, channels in CHANNELS.items()}


def cell_places(shape: Sequence[int], device: torch.device | None = None) -> Tensor:
    """(h, w, 2) input pixels (x, y) of the cells of a map of ``shape`` (h, w)."""
    y, x = torch.meshgrid(*(torch.arange(n, device=device) for n in shape), indexing="ij")
    return torch.stack([x, y], -1) * STRIDE + (STRIDE - 1) / 2


class FootFinderNet(nn.Module):
    """Maps of :data:`CHANNELS` on EfficientNet-Lite features at an eighth of the input.

    Args:
        encoder, width: see :class:`~orthoangles.networks.landmarks.FeaturePyramid`.

    Input (b, 1, h, w) grey in -0.5..0.5, h and w multiples of 32; output (b, 9, h/8, w/8).
    """

    def __init__(self, encoder: str = "lite0", width: int = 64) -> None:
        super().__init__()
        self.features = FeaturePyramid(encoder, width, finest=2)
        self.context = nn.Sequential(nn.Linear(width, width), nn.ReLU(inplace=True), nn.Linear(width, width))
        self.kind = _head(width, 2)
        self.rest = _head(width, 7)
        # -2.19 starts the heatmaps at a probability of 0.1 everywhere (Lin et al., focal loss, 2017).
        nn.init.constant_(self.kind[-1].bias, -2.19)

    def forward(self, image: Tensor) -> Tensor:
        x = self.features(image)
        # What lies at the far end of the image tells a foot from a hand, or toes from a heel.
        x = x + self.context(x.mean((-2, -1)))[..., None, None]
        return torch.cat([self.kind(x), self.rest(x)], 1)


def _head(width: int, cout: int) -> nn.Sequential:
    final = nn.Conv2d(width, cout, 1)
    nn.init.normal_(final.weight, std=0.001)
    return nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(inplace=True), final)


class FootFinderDecoder:
    """Peaks of the heatmaps -> feet, the surest first.

    Args:
        threshold: lowest heatmap value of a foot.
        count: most feet in one image.
        overlap: a box that shares more than this of the smaller one with a surer box is the same foot.
    """

    def __init__(self, threshold: float = 0.4, count: int = 2, overlap: float = 0.5) -> None:
        self.threshold, self.count, self.overlap = threshold, count, overlap

    def __call__(self, output: Tensor) -> tuple[FootView, ...]:
        """``output`` is (9, h, w) of one image; boxes are in pixels of the network's input."""
        maps = {name: value[0] for name, value in branches(output[None].float().cpu()).items()}
        heat = maps["kind"].sigmoid()
        peaks = torch.where(heat == F.max_pool2d(heat[None], 3, 1, 1)[0], heat, 0.0)
        values, flat = peaks.flatten().topk(8 * self.count)
        feet: list[FootView] = []
        for value, place in zip(values.tolist(), flat.tolist(), strict=True):
            if value < self.threshold or len(feet) == self.count:
                break
            foot = self._foot(maps, value, *np.unravel_index(place, heat.shape))
            if all(_shared(foot.box, other.box) <= self.overlap for other in feet):
                feet.append(foot)
        return tuple(feet)

    @staticmethod
    def _foot(maps: Mapping[str, Tensor], confidence: float, kind: int, row: int, column: int) -> FootView:
        box = box_of(cell_places(maps["box"].shape[-2:])[row, column], maps["box"][:, row, column])
        up = maps["up"][:, row, column].tolist()
        inverted = bool(maps["inverted"][0, row, column] > 0)
        return FootView(KINDS[kind], turns_of(up), tuple(box.tolist()), confidence, inverted)


def box_of(place: Tensor, edges: Tensor) -> Tensor:
    """(..., 4) x0, y0, x1, y1 in input pixels, of cells at (..., 2) input pixels with distances (..., 4) in cells."""
    sign = torch.tensor([-1.0, -1.0, 1.0, 1.0], device=edges.device)
    return torch.cat([place, place], -1) + sign * edges * STRIDE


def _shared(one: Sequence[float], other: Sequence[float]) -> float:
    """Overlap of two boxes as a share of the smaller one."""
    a, b = np.reshape(one, (2, 2)), np.reshape(other, (2, 2))
    common = np.clip(np.minimum(a[1], b[1]) - np.maximum(a[0], b[0]), 0, None).prod()
    smaller = min((a[1] - a[0]).clip(0).prod(), (b[1] - b[0]).clip(0).prod())
    return float(common / max(smaller, 1e-9))


class FootFinder(Backend):
    """The bundle ``foot_view``, loaded once and kept warm; arguments and errors as of :class:`Backend`.

    >>> FootFinder().find(read_image("feet.png"))  # doctest: +SKIP
    (FootView(kind='AP', quarter_turns=0, ...), FootView(kind='AP', quarter_turns=0, ...))
    """

    def __init__(self, bundle: str | Path = "foot_view", device: str = "auto") -> None:
        super().__init__(bundle, device)

    def find(self, image: Image) -> tuple[FootView, ...]:
        """The feet in a radiograph, the surest first, boxes in its pixels; none where it shows no foot."""
        require_radiograph(image)
        with self._lock, torch.inference_mode():
            framed = self._preprocess(plane_image(image.array[0], (image.spacing[1], image.spacing[0])))
            inputs = (framed.as_tensor()[None] - 0.5).to(self.device, memory_format=torch.channels_last)
            feet = self._decode(self._infer(inputs, self.network)[0])
        return tuple(replace(foot, box=_in_image(foot.box, framed, image)) for foot in feet)


def _in_image(box: Sequence[float], framed: MetaTensor, image: Image) -> tuple[float, ...]:
    """A box of the frame in pixels of the image, cut at its border."""
    corners = to_plane(framed, np.reshape(box, (2, 2))) / image.spacing[:2]
    return tuple(float(value) for value in np.clip(corners, 0, np.array(image.size[:2]) - 1).ravel())
