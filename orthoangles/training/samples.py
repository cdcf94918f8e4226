"""What the training loop draws its batches from."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from orthoangles.training.augmentation import Augmentation, resize
from orthoangles.training.packing import PackedCases


class Samples(Protocol):
    """Cases to learn from, or to validate on."""

    def __len__(self) -> int:
        """Cases in one epoch."""

    def batch(self, indices: Sequence[int], seed: int | None = None) -> tuple[Tensor, Tensor]:
        """Images (b, 1, rows, columns) in -0.5..0.5 and targets (b, ...) of these cases.

        ``seed`` of the random changes; None for none, as in validation.
        """


class LandmarkSamples:
    """Framed cases of ``packed`` brought to ``size`` (rows, columns); targets are points (b, k, 2) in its pixels.

    Packed cases are larger than the network's input, so that augmentation loses little.
    """

    def __init__(self, packed: PackedCases, size: Sequence[int], augmentation: Augmentation) -> None:
        self.size, self.augmentation = tuple(size), augmentation
        self._images = torch.from_numpy(packed.images)
        self._points = torch.from_numpy(packed.points)

    def __len__(self) -> int:
        return len(self._images)

    def batch(self, indices: Sequence[int], seed: int | None = None) -> tuple[Tensor, Tensor]:
        """As :class:`Samples` says."""
        views = [self._view(k, None if seed is None else seed * 4096 + i) for i, k in enumerate(np.asarray(indices))]
        return torch.stack([image for image, _ in views]) - 0.5, torch.stack([points for _, points in views])

    def _view(self, k: int, seed: int | None) -> tuple[Tensor, Tensor]:
        image, points = self._images[k][None].float() / 255, self._points[k]
        if seed is None:
            return resize(image, points, self.size)
        return self.augmentation(image, points, self.size, seed)
