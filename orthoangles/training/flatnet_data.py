"""Patches around the landmarks: what the second stage of FlatNet learns from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from orthoangles.annotation.dataset import Dataset
from orthoangles.networks.flatnet import PUBLISHED_PATCH, cut_patches
from orthoangles.protocols import Protocol
from orthoangles.training.data import Prepared, TrainingData
from orthoangles.training.samples import Samples

_PUBLISHED_JITTER = 10 / PUBLISHED_PATCH
"""What the published augmentation shifts half of the patches by, at most, as a share of their side."""


class PatchSamples:
    """A patch around each landmark of framed cases.

    Args:
        samples: whole images with points in their pixels.
        patch: side of a patch in its own pixels.
        zoom: patch pixels per image pixel; the network's own.
        jitter: the patch's centre misses the landmark by up to this share of its side in x and in y, as the boxes of
            the first stage do; the default is the one that the published code names and does not use.
        drawn: so many landmarks, drawn at random, of each training image; all without it.
        published: whatever ``zoom`` and ``jitter`` say, patches have the image's own pixels, and half of them miss by
            a hundredth of their side at most, the others not at all.
    """

    def __init__(
        self,
        samples: Samples,
        patch: int,
        zoom: float = 1.0,
        jitter: float = 100 / PUBLISHED_PATCH,
        drawn: int | None = None,
        published: bool = False,
    ) -> None:
        self.samples, self.patch, self.drawn, self.published = samples, patch, drawn, published
        self.zoom = 1.0 if published else zoom
        self.jitter = patch * (_PUBLISHED_JITTER if published else jitter)

    def __len__(self) -> int:
        return len(self.samples)

    def batch(self, indices: Sequence[int], seed: int | None = None) -> tuple[Tensor, Tensor]:
        """Patches (b, k, p, p) in -0.5..0.5 and the points (b, k, 2) in their pixels, of the cases ``indices``.

        NaN where a landmark is missing or not drawn. In validation (``seed`` None) the centres miss the landmarks too,
        those of one case always in the same way.
        """
        images, points = self.samples.batch(indices, seed)
        rngs = [np.random.default_rng([int(k), 0 if seed is None else seed + 1]) for k in indices]
        centres = points - torch.stack([self._missed(rng, points.shape[1]) for rng in rngs]) / self.zoom
        if seed is not None and self.drawn:
            centres[torch.stack([self._left_out(rng, points.shape[1]) for rng in rngs])] = torch.nan
        inside = (self.patch - 1) / 2 + (points - centres) * self.zoom
        return cut_patches(images, centres, self.patch, self.zoom), inside

    def _missed(self, rng: np.random.Generator, count: int) -> Tensor:
        shift = rng.uniform(-self.jitter, self.jitter, (count, 2))
        if self.published:
            shift = np.rint(shift) * (rng.random((count, 1)) < 0.5)
        return torch.from_numpy(shift).float()

    def _left_out(self, rng: np.random.Generator, count: int) -> Tensor:
        return torch.from_numpy(rng.permutation(count) >= self.drawn)


@dataclass(frozen=True)
class PatchData:
    """The ``data`` of a training config of FlatNet's second stage: patches of what ``data`` prepares.

    For the other values see :class:`PatchSamples`.
    """

    data: TrainingData
    patch: int
    zoom: float = 1.0
    jitter: float = 100 / PUBLISHED_PATCH
    drawn: int | None = None
    published: bool = False

    def prepare(self, datasets: Sequence[Dataset], output: Path, protocol: Protocol) -> Prepared:
        """As :class:`~orthoangles.training.data.TrainingData` says."""
        whole = self.data.prepare(datasets, output, protocol)
        return replace(whole, training=self._patches(whole.training), validation=self._patches(whole.validation))

    def _patches(self, samples: Samples) -> PatchSamples:
        return PatchSamples(samples, self.patch, self.zoom, self.jitter, self.drawn, self.published)
