"""Random views of one framed radiograph: where the camera stood, how it was exposed, what lies over it."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

MIRROR = (1, 0, 3, 2)
"""Corner order after a flip from left to right: TL and TR, BL and BR trade places."""


@dataclass(frozen=True)
class Augmentation:
    """Strengths of the random changes; every value is a range around none, or a probability.

    ``rotation`` in degrees (standard deviation), ``zoom`` and ``stretch`` relative, ``shift`` as a share of the frame,
    ``bend`` the height in frame pixels of a smooth sideways wave.
    """

    rotation: float = 6.0
    zoom: tuple[float, float] = (0.8, 1.2)
    stretch: float = 0.12
    shear: float = 0.06
    shift: float = 0.06
    bend: float = 12.0
    mirror: float = 0.5
    gamma: float = 0.4
    contrast: float = 0.3
    noise: float = 0.04
    blur: float = 0.3
    occlusion: float = 0.3
    inversion: float = 0.02

    def __call__(self, image: Tensor, corners: Tensor, size: tuple[int, int], seed: int) -> tuple[Tensor, Tensor]:
        """(1, rows, columns) image in 0..1 and (n, 4, 2) corners -> the same in a frame of ``size`` (rows, columns)."""
        rng = np.random.default_rng(seed)
        image, corners = self._move(image, corners, rng)
        if rng.random() < self.mirror:
            image = image.flip(-1)
            corners = corners.clone()
            corners[..., 0] = image.shape[-1] - 1 - corners[..., 0]
            corners = corners[:, MIRROR]
        image, corners = resize(image, corners, size)
        return self._expose(image, rng), corners

    def _move(self, image: Tensor, corners: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
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
        y, x = torch.meshgrid(torch.arange(rows).float(), torch.arange(columns).float(), indexing="ij")
        x = x - wave(y)
        grid = (torch.stack([x, y], -1) - middle - torch.from_numpy(shift).float()) @ backward.T + middle
        grid = (2 * grid + 1) / torch.tensor([columns, rows]) - 1
        moved = F.grid_sample(image[None], grid[None], mode="bilinear", padding_mode="zeros", align_corners=False)[0]

        points = (corners - middle) @ torch.from_numpy(forward).float().T + middle + torch.from_numpy(shift).float()
        points[..., 0] += wave(points[..., 1])
        return moved, points

    def _expose(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        image = image.clamp(0, 1) ** float(np.exp(rng.uniform(-self.gamma, self.gamma)))
        gain = 1 + rng.uniform(-self.contrast, self.contrast)
        image = (image - 0.5) * gain + 0.5 + rng.uniform(-self.contrast, self.contrast) / 2
        if rng.random() < self.blur:
            image = _blurred(image, rng.uniform(0.4, 1.5))
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
