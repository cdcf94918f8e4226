"""Random views of one framed radiograph: where the camera stood, how it was exposed, what lies over it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Augmentation:
    """Strengths of the random changes; every value is a range around none, or a probability.

    ``rotation`` in degrees (standard deviation, 25 at most), ``zoom`` and ``stretch`` relative, ``shift`` as a share of
    the frame, ``bend`` the height in frame pixels of a smooth sideways wave; ``warp``: pixels (standard deviation) by
    which the nodes of a smooth random deformation move, so that few people's bones take many shapes.
    ``mirror_order``: what a flip from left to right makes of each run of so many points, (1, 0, 3, 2) where the corners
    of vertebrae trade places; empty where points are named by anatomy and stay what they are. ``resolution``: of a
    picture that was small once; ``shading``: strength of a smooth change of brightness; ``equalised``: of a film whose
    grey values were spread evenly; ``sharpened``: of edges set off as viewing stations do.
    """

    rotation: float = 6.0
    zoom: tuple[float, float] = (0.8, 1.2)
    stretch: float = 0.12
    shear: float = 0.06
    shift: float = 0.06
    bend: float = 12.0
    warp: float = 0.0
    mirror: float = 0.5
    gamma: float = 0.4
    contrast: float = 0.3
    noise: float = 0.04
    blur: float = 0.3
    occlusion: float = 0.3
    inversion: float = 0.02
    resolution: float = 0.0
    shading: float = 0.0
    equalised: float = 0.0
    sharpened: float = 0.0
    mirror_order: Sequence[int] = ()

    def __call__(self, image: Tensor, points: Tensor, size: tuple[int, int], seed: int) -> tuple[Tensor, Tensor]:
        """(1, rows, columns) image in 0..1 and (k, 2) points -> the same in a frame of ``size`` (rows, columns).

        Points that are NaN stay NaN.
        """
        rng = np.random.default_rng(seed)
        image, points = self._move(image, points, rng)
        if rng.random() < self.mirror:
            image, points = self._mirrored(image, points)
        image, points = resize(image, points, size)
        return self._expose(image, rng), points

    def _mirrored(self, image: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        image = image.flip(-1)
        x, y = points.unbind(-1)
        points = torch.stack([image.shape[-1] - 1 - x, y], -1)
        if self.mirror_order:
            runs = points.unflatten(0, (-1, len(self.mirror_order)))
            points = runs[:, list(self.mirror_order)].flatten(0, 1)
        return image, points

    def _move(self, image: Tensor, points: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        rows, columns = image.shape[-2:]
        turn = np.deg2rad(np.clip(rng.normal(0, self.rotation), -25, 25))
        zoom = rng.uniform(*self.zoom)
        stretch = np.exp(rng.uniform(-self.stretch, self.stretch))
        rotate = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        shear = np.array([[1.0, rng.uniform(-self.shear, self.shear)], [0.0, 1.0]])
        forward = rotate @ shear @ np.diag([zoom * stretch, zoom / stretch])
        centre = np.array([(columns - 1) / 2, (rows - 1) / 2])
        shift = rng.uniform(-self.shift, self.shift, 2) * (columns, rows)
        wave = _Wave(rng.uniform(-self.bend, self.bend), rows / rng.uniform(0.5, 2.0), rng.uniform(0, 2 * np.pi))

        backward = torch.from_numpy(np.linalg.inv(forward)).float()
        middle = torch.from_numpy(centre).float()
        warp = _Warp(self.warp, (rows, columns), rng)
        y, x = torch.meshgrid(torch.arange(rows).float(), torch.arange(columns).float(), indexing="ij")
        x, y = (torch.stack([x, y], -1) - warp.field()).unbind(-1)
        x = x - wave(y)
        grid = (torch.stack([x, y], -1) - middle - torch.from_numpy(shift).float()) @ backward.T + middle
        grid = (2 * grid + 1) / torch.tensor([columns, rows]) - 1
        moved = F.grid_sample(image[None], grid[None], mode="bilinear", padding_mode="zeros", align_corners=False)[0]

        points = (points - middle) @ torch.from_numpy(forward).float().T + middle + torch.from_numpy(shift).float()
        points[..., 0] += wave(points[..., 1])
        return moved, warp.moved(points)

    def _expose(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        image = image.clamp(0, 1)
        if self.equalised and rng.random() < self.equalised:
            image = torch.lerp(image, _equalised(image), float(rng.uniform(0.3, 1.0)))
        image = image ** float(np.exp(rng.uniform(-self.gamma, self.gamma)))
        if self.shading:
            image = image + _shade(image.shape[-2:], rng, self.shading)
        gain = 1 + rng.uniform(-self.contrast, self.contrast)
        image = (image - 0.5) * gain + 0.5 + rng.uniform(-self.contrast, self.contrast) / 2
        if self.resolution and rng.random() < self.resolution:
            image = _coarse(image, rng.uniform(0.35, 0.9))
        if rng.random() < self.blur:
            image = _blurred(image, rng.uniform(0.4, 1.5))
        if self.sharpened and rng.random() < self.sharpened:
            image = image + float(rng.uniform(0.3, 1.5)) * (image - _blurred(image, rng.uniform(0.8, 4.0)))
        if rng.random() < self.occlusion:
            image = _occluded(image, rng)
        noise = torch.from_numpy(rng.standard_normal(image.shape, dtype=np.float32))
        image = (image + noise * float(rng.uniform(0, self.noise))).clamp(0, 1)
        return 1 - image if rng.random() < self.inversion else image


@dataclass(frozen=True)
class _Wave:
    """Sideways displacement as a function of height; rows stay in their row, so points move exactly with it."""

    height: float
    length: float
    phase: float

    def __call__(self, y: Tensor) -> Tensor:
        return self.height * torch.sin(2 * np.pi * y / self.length + self.phase)


class _Warp:
    """A smooth random displacement (x, y) of a picture's pixels, interpolated between 7 x 7 nodes."""

    def __init__(self, strength: float, size: tuple[int, int], rng: np.random.Generator) -> None:
        self.size, self._strength = size, strength
        # Nothing is drawn where there is no warp: what was trained without one can be trained again.
        nodes = rng.normal(0, strength, (1, 2, 7, 7)) if strength else np.zeros((1, 2, 7, 7))
        self._nodes = torch.from_numpy(nodes).float()

    def field(self) -> Tensor:
        """(rows, columns, 2) pixels."""
        return F.interpolate(self._nodes, self.size, mode="bilinear", align_corners=True)[0].movedim(0, -1)

    def moved(self, points: Tensor) -> Tensor:
        """Where points (k, 2) go; by iteration, since a pixel shows what stood where the warp *at the pixel* says."""
        if not self._strength:
            return points
        limit = torch.tensor([self.size[1], self.size[0]]) - 1
        found = points
        for _ in range(6):
            grid = (2 * found / limit - 1).nan_to_num()[None, None]
            step = F.grid_sample(self._nodes, grid, padding_mode="border", align_corners=True)[0, :, 0].T
            found = points + step
        return found


def resize(image: Tensor, corners: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """(c, rows, columns) image and (..., 2) points to ``size``, smoothed before it shrinks."""
    scale = torch.tensor([size[1] / image.shape[-1], size[0] / image.shape[-2]])
    small = F.interpolate(image[None], size, mode="bilinear", align_corners=False, antialias=True)[0]
    return small, (corners + 0.5) * scale - 0.5


def _blurred(image: Tensor, sigma: float) -> Tensor:
    reach = int(np.ceil(2.5 * sigma))
    kernel = torch.exp(-(torch.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    image = F.conv2d(image[None], kernel.view(1, 1, 1, -1), padding=(0, reach))
    return F.conv2d(image, kernel.view(1, 1, -1, 1), padding=(reach, 0))[0]


def _coarse(image: Tensor, share: float) -> Tensor:
    """As if the picture had been stored at ``share`` of its size."""
    small = F.interpolate(image[None], scale_factor=share, mode="bilinear", align_corners=False, antialias=True)
    return F.interpolate(small, image.shape[-2:], mode="bilinear", align_corners=False)[0]


def _equalised(image: Tensor) -> Tensor:
    """Grey values replaced by their rank; black, the frame's border, keeps its place."""
    edges = torch.quantile(image.flatten()[:: max(1, image.numel() // 4096)], torch.linspace(0, 1, 33))
    return torch.bucketize(image, edges[1:-1]).float() / 31


def _shade(size: tuple[int, int], rng: np.random.Generator, strength: float) -> Tensor:
    coarse = torch.from_numpy(rng.uniform(-strength, strength, (1, 1, 3, 3)).astype(np.float32))
    return F.interpolate(coarse, size, mode="bicubic", align_corners=True)[0]


def _occluded(image: Tensor, rng: np.random.Generator) -> Tensor:
    """A rod, a plate or a blanked patch over the image: implants, markers, shutters."""
    rows, columns = image.shape[-2:]
    image = image.clone()
    for _ in range(rng.integers(1, 4)):
        height, width = rng.uniform(0.02, 0.25) * rows, rng.uniform(0.02, 0.2) * columns
        top, left = rng.uniform(0, rows - height), rng.uniform(0, columns - width)
        patch = (slice(None), slice(int(top), int(top + height)), slice(int(left), int(left + width)))
        image[patch] = float(rng.uniform(0, 1)) if rng.random() < 0.5 else image[patch] * float(rng.uniform(0.3, 1.7))
    return image
